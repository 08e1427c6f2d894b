//go:build unix

package cluster_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/internal/integration/servers"
	"github.com/sealtalk-go/misc/internal/integration/testhost"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/sqlstore"
)

var nodes = servers.NewGalera(3)

// A galera is a database on a cluster of three nodes, with connections to each.
type galera struct {
	*servers.Database
	pools []*sql.DB
}

func newGalera(t testing.TB) *galera {
	t.Helper()
	awaitNodes(t)
	g := &galera{Database: servers.NewDatabase(t, servers.Kind{Dialect: sqlstore.MySQL, Server: nodes[0]})}
	for _, n := range nodes {
		g.pools = append(g.pools, g.pool(t, n.Address(), options))
		g.await(t, g.pools[len(g.pools)-1])
	}
	return g
}

// HideTables makes every statement fail, on all nodes.
func (g *galera) HideTables(t *testing.T) (mend func()) {
	show := g.Database.HideTables(t)
	g.settle(t)
	return func() {
		show()
		g.settle(t)
	}
}

// settle returns when all nodes have what the first one has: sets do not wait for that.
func (g *galera) settle(t *testing.T) {
	for _, db := range g.pools {
		execute(t, db, `SHOW TABLES`)
	}
}

// awaitNodes returns when all nodes have all data.
func awaitNodes(t testing.TB) {
	t.Helper()
	for _, n := range nodes {
		testhost.Until(t, "the node has joined", func() bool { return n.Get(t).Answers() })
	}
}

// await returns when a node has the database and the user.
func (g *galera) await(t testing.TB, db *sql.DB) {
	t.Helper()
	testhost.Until(t, "the node has the database", func() bool { return db.Ping() == nil })
}

// options are those of docs/databases.md.
const options = "?wsrep_sync_wait=1&rejectReadOnly=true&timeout=5s&readTimeout=15s&innodb_lock_wait_timeout=5"

// pool returns connections to a node, or to a proxy.
func (g *galera) pool(t testing.TB, address, options string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", g.Server.Admin+"@tcp("+address+")/"+g.DBName+options)
	require.NoError(t, err)
	return manage(t, db)
}

func (g *galera) store(t testing.TB, address string) *sqlstore.Store {
	t.Helper()
	return newStore(t, g.pool(t, address, options), sqlstore.MySQL)
}

type instance interface {
	misc.Store
	misc.ScreenCaptureStore
}

func TestASettingIsVisibleAtOnceOnAnotherNodeOfGalera(t *testing.T) {
	for name, suite := range map[string]func(t *testing.T, g *galera, s *sqlstore.Store, second func(t *testing.T) instance){
		"ScreenCaptureStore": func(t *testing.T, g *galera, s *sqlstore.Store, second func(t *testing.T) instance) {
			misctest.TestScreenCaptureStore(t, misctest.CaptureSuite{
				New:    func(*testing.T) misc.ScreenCaptureStore { return s },
				Second: func(t *testing.T) misc.ScreenCaptureStore { return second(t) },
				Break:  g.HideTables,
			})
		},
		"Relations": func(t *testing.T, g *galera, s *sqlstore.Store, _ func(t *testing.T) instance) {
			misctest.TestRelations(t, misctest.RelationsSuite{
				New:    func(t *testing.T, w misctest.World) misc.Relations { g.Put(t, w); return s },
				Change: g.Change,
				Break:  g.HideTables,
			})
		},
		"Store": func(t *testing.T, g *galera, s *sqlstore.Store, second func(t *testing.T) instance) {
			misctest.TestStore(t, misctest.StoreSuite{
				New:    func(t *testing.T, w misctest.World) misc.Store { g.Put(t, w); return s },
				Second: func(t *testing.T) misc.Store { return second(t) },
				Change: g.Change,
				Break:  g.HideTables,
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGalera(t) // which puts and changes relations on the first node
			suite(t, g, g.store(t, nodes[1].Address()), func(t *testing.T) instance {
				s, err := sqlstore.New(t.Context(), g.pool(t, nodes[2].Address(), options), sqlstore.MySQL, sqlstore.Config{Codec: servers.Codec})
				if err != nil {
					return nil
				}
				return s
			})
		})
	}
}

// While a table is locked on a node, the node goes on answering, and does not get what is
// new.
func TestWithoutSyncWaitAnotherNodeOfGaleraAnswersWithTheOldSetting(t *testing.T) {
	g := newGalera(t)
	s := g.store(t, nodes[0].Address())
	with := g.store(t, nodes[1].Address())
	without := newStore(t, g.pool(t, nodes[1].Address(), ""), sqlstore.MySQL)
	require.NoError(t, s.SetScreenCapture(t.Context(), group(7), misc.NoticeOff))
	wantCapture(t, with, group(7), misc.NoticeOff)

	conn, err := g.pool(t, nodes[1].Address(), "").Conn(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.ExecContext(t.Context(), `FLUSH TABLES WITH READ LOCK`)
	require.NoError(t, err)
	defer func() { _, _ = conn.ExecContext(context.Background(), `UNLOCK TABLES`) }()
	require.NoError(t, s.SetScreenCapture(t.Context(), group(7), misc.NoticeOn))
	wantCapture(t, without, group(7), misc.NoticeOff)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = with.ScreenCapture(ctx, group(7))
	require.ErrorIs(t, err, context.DeadlineExceeded, "it waits for what is new")

	_, err = conn.ExecContext(t.Context(), `UNLOCK TABLES`)
	require.NoError(t, err)
	wantCapture(t, with, group(7), misc.NoticeOn)
}

func TestMigrateRunsOnAllNodesOfGaleraAtOnce(t *testing.T) {
	awaitNodes(t)
	for range 5 {
		g := &galera{Database: servers.EmptyDatabase(t, servers.Kind{Dialect: sqlstore.MySQL, Server: nodes[0]})}
		var done sync.WaitGroup
		for _, n := range nodes {
			db := g.pool(t, n.Address(), options)
			g.await(t, db)
			done.Go(func() { assert.NoError(t, sqlstore.Migrate(t.Context(), db, sqlstore.MySQL)) })
		}
		done.Wait()
		for i, n := range nodes {
			c := group(uint32(i + 1))
			require.NoError(t, g.store(t, n.Address()).SetScreenCapture(t.Context(), c, misc.NoticeOn))
			wantCapture(t, g.store(t, nodes[(i+1)%3].Address()), c, misc.NoticeOn)
		}
	}
}

// One instance is at the node that is killed, and gets another one by its proxy; the
// other is at a node that stays.
func TestNothingIsLostWhenANodeOfGaleraIsKilledUnderLoad(t *testing.T) {
	g := newGalera(t)
	p := newProxy(t, nodes[1].Address())
	s, stays := g.store(t, p.address), g.store(t, nodes[0].Address())
	l := startLoad(t, s, stays)
	l.awaitMore(t)
	nodes[1].Stop(t, syscall.SIGKILL)
	require.ErrorContains(t, s.Check(t.Context()), "sqlstore: check: ")
	p.to(nodes[2].Address())
	p.cut()
	l.awaitMore(t)
	require.NoError(t, s.Check(t.Context()))
	l.wantHeld(t, s, stays)
	nodes[1].Start(t)
	l.wantHeld(t, g.store(t, nodes[1].Address()))
}

// A node that has lost the others answers a ping, and nothing else.
func TestNothingIsLostWhenANodeOfGaleraIsCutOffUnderLoad(t *testing.T) {
	g := newGalera(t)
	p := newProxy(t, nodes[1].Address())
	db := g.pool(t, p.address, options)
	s, stays := newStore(t, db, sqlstore.MySQL), g.store(t, nodes[0].Address())
	admin := g.pool(t, nodes[1].Address(), "?wsrep_dirty_reads=1")
	dirty := newStore(t, admin, sqlstore.MySQL)
	l := startLoad(t, s, stays)
	l.awaitMore(t)
	execute(t, admin, `SET GLOBAL wsrep_provider_options = 'gmcast.isolate=1'`)
	defer execute(t, admin, `SET GLOBAL wsrep_provider_options = 'gmcast.isolate=0'`)
	testhost.Until(t, "the node notices", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := s.Check(ctx)
		return err != nil && strings.Contains(err.Error(), "sqlstore: check: Error 1047 (08S01): WSREP has not yet prepared node for application use")
	})
	require.NoError(t, db.Ping())
	require.ErrorContains(t, s.SetScreenCapture(t.Context(), group(7), misc.NoticeOn), "1047")
	require.EqualError(t, dirty.Check(t.Context()), "sqlstore: check: the database takes no writes: wsrep_cluster_status is non-Primary, wsrep_ready is OFF")
	p.to(nodes[2].Address())
	p.cut()
	l.awaitMore(t)
	require.NoError(t, s.Check(t.Context()))
	l.wantHeld(t, s, stays)

	execute(t, admin, `SET GLOBAL wsrep_provider_options = 'gmcast.isolate=0'`)
	testhost.Until(t, "the node is back", func() bool { return dirty.Check(t.Context()) == nil })
	l.wantHeld(t, g.store(t, nodes[1].Address()))
}

// As when a network drops packets: no connection is closed.
func TestCallsEndAtTheirDeadlineWhenTheNetworkIsSilent(t *testing.T) {
	g := newGalera(t)
	p := newProxy(t, nodes[1].Address())
	s := g.store(t, p.address)
	l := startLoad(t, s)
	l.awaitMore(t)
	p.flow.Lock()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var done sync.WaitGroup
	for n := range uint32(40) { // more than there are connections
		done.Go(func() {
			assert.ErrorIs(t, s.SetScreenCapture(ctx, group(n+1), misc.NoticeOn), context.DeadlineExceeded)
			assert.ErrorIs(t, s.Check(ctx), context.DeadlineExceeded)
		})
	}
	done.Wait()
	p.flow.Unlock()
	l.awaitMore(t)
	l.wantHeld(t, s, g.store(t, nodes[2].Address()))
}

// With rejectReadOnly, the driver closes connections to a server that has become
// read-only, and tries again.
func TestAPoolLeavesAServerThatHasBecomeReadOnly(t *testing.T) {
	g := newGalera(t)
	user := "app_" + g.DBName
	g.Exec(t, `CREATE USER `+user)
	g.Exec(t, `GRANT ALL ON `+g.DBName+`.* TO `+user)
	t.Cleanup(func() { g.Exec(t, `DROP USER `+user) })
	p := newProxy(t, nodes[1].Address())
	db, err := sql.Open("mysql", user+"@tcp("+p.address+")/"+g.DBName+options)
	require.NoError(t, err)
	g.await(t, db)
	s := newStore(t, manage(t, db), sqlstore.MySQL)
	l := startLoad(t, s)
	l.awaitMore(t)
	admin := g.pool(t, nodes[1].Address(), "")
	execute(t, admin, `SET GLOBAL read_only = 1`)
	defer execute(t, admin, `SET GLOBAL read_only = 0`)
	require.EqualError(t, g.store(t, nodes[1].Address()).Check(t.Context()), "sqlstore: check: the database takes no writes: read_only is on")
	p.to(nodes[2].Address())
	l.awaitMore(t)
	l.wantHeld(t, s)
}

// HAProxy runs with the lines of docs/databases.md.
func TestHAProxyLeavesANodeOfGaleraThatIsCutOffAndReturns(t *testing.T) {
	g := newGalera(t)
	page := string(testhost.Must(os.ReadFile("../../../docs/databases.md")))
	block := func(language string) string {
		_, text, found := strings.Cut(page, "```"+language+"\n")
		require.True(t, found)
		text, _, _ = strings.Cut(text, "```")
		return text
	}
	const check = "/etc/haproxy/galera-check"
	script := filepath.Join(t.TempDir(), "galera-check")
	require.NoError(t, os.WriteFile(script, []byte(strings.Replace(block("sh"), "--user=haproxy", "--user="+g.Server.Admin, 1)), 0o700))
	config := strings.NewReplacer("127.0.0.1:3306", "%s", check, script,
		"10.0.0.1:3306", nodes[1].Address(), "10.0.0.2:3306", nodes[2].Address(), "10.0.0.3:3306", nodes[0].Address()).Replace(block("haproxy"))
	address := servers.NewHAProxy(config).Get(t).Address()
	reaches := func(node *servers.Server) {
		t.Helper()
		_, want, _ := strings.Cut(node.Address(), ":")
		testhost.Until(t, "new connections reach the node", func() bool {
			db := g.pool(t, address, options)
			defer db.Close()
			var port string
			return db.QueryRow(`SELECT @@port`).Scan(&port) == nil && port == want
		})
	}
	reaches(nodes[1])
	s := g.store(t, address)
	l := startLoad(t, s)
	l.awaitMore(t)
	admin := g.pool(t, nodes[1].Address(), "")
	execute(t, admin, `SET GLOBAL wsrep_provider_options = 'gmcast.isolate=1'`)
	defer execute(t, admin, `SET GLOBAL wsrep_provider_options = 'gmcast.isolate=0'`)
	reaches(nodes[2])
	l.awaitMore(t)
	require.NoError(t, s.Check(t.Context()))
	execute(t, admin, `SET GLOBAL wsrep_provider_options = 'gmcast.isolate=0'`)
	reaches(nodes[1])
	l.awaitMore(t)
	l.wantHeld(t, s)
}
