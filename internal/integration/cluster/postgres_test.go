//go:build unix

package cluster_test

import (
	"context"
	"database/sql"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/internal/integration/servers"
	"github.com/sealtalk-go/misc/internal/integration/testhost"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/sqlstore"
)

// postgres returns connections to the first of some addresses that takes writes, which
// are closed once their server does not.
func postgres(t testing.TB, options string, addresses ...string) *sql.DB {
	t.Helper()
	cfg, err := pgx.ParseConfig("postgres://postgres@" + strings.Join(addresses, ",") + "/postgres?sslmode=disable&connect_timeout=5" + options)
	require.NoError(t, err)
	byDefault := cfg.OnPgError
	cfg.OnPgError = func(conn *pgconn.PgConn, err *pgconn.PgError) bool {
		return err.Code != "25006" && byDefault(conn, err)
	}
	return manage(t, stdlib.OpenDB(*cfg))
}

const readWrite = "&target_session_attrs=read-write"

// newPrimary returns a server that has the tables, and connections to it as an
// administrator.
func newPrimary(t testing.TB) (*servers.Server, *sql.DB) {
	t.Helper()
	primary := servers.NewPostgreSQL().Get(t)
	admin := postgres(t, "", primary.Address())
	require.NoError(t, sqlstore.Migrate(t.Context(), admin, sqlstore.PostgreSQL))
	return primary, admin
}

// beSynchronous makes every set wait for the standby.
func beSynchronous(t testing.TB, admin *sql.DB) {
	t.Helper()
	execute(t, admin, `ALTER SYSTEM SET synchronous_standby_names = '*'`)
	execute(t, admin, `SELECT pg_reload_conf()`)
	testhost.Until(t, "the standby is synchronous", func() bool {
		var names, state string
		err := admin.QueryRow(`SELECT current_setting('synchronous_standby_names'), sync_state FROM pg_stat_replication`).Scan(&names, &state)
		return err == nil && names == "*" && state == "sync"
	})
}

func promote(t testing.TB, standby *sql.DB) {
	t.Helper()
	var done bool
	require.NoError(t, standby.QueryRow(`SELECT pg_promote()`).Scan(&done))
	require.True(t, done)
}

func TestNothingIsLostWhenASynchronousStandbyTakesOverFromAPrimaryThatIsKilled(t *testing.T) {
	primary, admin := newPrimary(t)
	standby := servers.NewStandby(primary.Address()).Get(t)
	beSynchronous(t, admin)
	s := newStore(t, postgres(t, readWrite, primary.Address(), standby.Address()), sqlstore.PostgreSQL)
	l := startLoad(t, s)
	l.awaitMore(t)
	primary.Stop(t, syscall.SIGKILL)
	require.ErrorContains(t, s.Check(t.Context()), "sqlstore: check: ")
	promote(t, postgres(t, "", standby.Address()))
	l.awaitMore(t)
	require.NoError(t, s.Check(t.Context()))
	l.wantHeld(t, s)
}

// Connections to the old primary stay open, and it answers.
func TestNothingIsLostWhenASynchronousStandbyTakesOverTheAddress(t *testing.T) {
	primary, admin := newPrimary(t)
	standby := servers.NewStandby(primary.Address()).Get(t)
	beSynchronous(t, admin)
	p := newProxy(t, primary.Address())
	s := newStore(t, postgres(t, readWrite, p.address), sqlstore.PostgreSQL)
	l := startLoad(t, s)
	l.awaitMore(t)
	execute(t, admin, `ALTER SYSTEM SET default_transaction_read_only = on`)
	execute(t, admin, `SELECT pg_reload_conf()`)
	old := newStore(t, postgres(t, "", primary.Address()), sqlstore.PostgreSQL)
	testhost.Until(t, "the primary is read-only", func() bool { return old.Check(t.Context()) != nil })
	require.EqualError(t, old.Check(t.Context()), "sqlstore: check: the database takes no writes: transaction_read_only is on")
	promote(t, postgres(t, "", standby.Address()))
	p.to(standby.Address())
	l.awaitMore(t)
	l.wantHeld(t, newStore(t, postgres(t, "", standby.Address()), sqlstore.PostgreSQL))
}

func TestWhatAStandbyDoesNotHaveIsOldThereAndLostWhenItTakesOver(t *testing.T) {
	primary, admin := newPrimary(t)
	link := newProxy(t, primary.Address())
	standby := servers.NewStandby(link.address).Get(t)
	s := newStore(t, admin, sqlstore.PostgreSQL)
	replicaDB := postgres(t, "", standby.Address())
	replica := newStore(t, replicaDB, sqlstore.PostgreSQL)
	require.EqualError(t, replica.Check(t.Context()), "sqlstore: check: the database takes no writes: it is a standby, transaction_read_only is on")
	require.NoError(t, s.SetScreenCapture(t.Context(), group(1), misc.NoticeOn))
	testhost.Until(t, "the standby has it", func() bool {
		got, err := replica.ScreenCapture(t.Context(), group(1))
		return err == nil && got == misc.NoticeOn
	})

	link.flow.Lock()
	require.NoError(t, s.SetScreenCapture(t.Context(), group(2), misc.NoticeOn))
	wantCapture(t, replica, group(2), misc.NoticeOff)

	execute(t, admin, `ALTER SYSTEM SET synchronous_standby_names = '*'`)
	execute(t, admin, `SELECT pg_reload_conf()`)
	testhost.Until(t, "sets wait for the standby", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		return s.SetScreenCapture(ctx, group(3), misc.NoticeOn) != nil
	})
	require.NoError(t, s.Check(t.Context()), "it does not see that")

	primary.Stop(t, syscall.SIGKILL)
	link.cut() // what is on its way is lost too
	link.flow.Unlock()
	promote(t, replicaDB)
	wantCapture(t, replica, group(1), misc.NoticeOn)
	wantCapture(t, replica, group(2), misc.NoticeOff)
	wantCapture(t, replica, group(3), misc.NoticeOff)
	require.NoError(t, replica.SetScreenCapture(t.Context(), group(2), misc.NoticeOn))
}

// newBouncer returns the database of a new server, and makes stores that reach it by
// way of a new PgBouncer.
func newBouncer(t *testing.T, lines string) (primary *servers.Database, store func(t *testing.T) (*sqlstore.Store, error)) {
	t.Helper()
	server, admin := newPrimary(t)
	bouncer := servers.NewPgBouncer(server, lines).Get(t)
	primary = &servers.Database{Kind: servers.Kind{Dialect: sqlstore.PostgreSQL, Server: server}, DB: admin, DBName: "postgres"}
	return primary, func(t *testing.T) (*sqlstore.Store, error) {
		return sqlstore.New(t.Context(), postgres(t, "", bouncer.Address()), sqlstore.PostgreSQL, sqlstore.Config{Codec: servers.Codec})
	}
}

func TestPgBouncerInSessionModeWillDo(t *testing.T) {
	wantSuite(t, "pool_mode = session\ndefault_pool_size = 40\n")
}

// PgBouncer prepares statements in this mode since 1.21. Before, an instance finds those
// that another one has prepared on the same connection. Debian 12 has 1.18.
func TestPgBouncerInTransactionModeWillDoSince121(t *testing.T) {
	if servers.Find("pgbouncer") == "" {
		servers.NotInstalled(t, "pgbouncer", "pgbouncer")
	}
	version, err := exec.Command(servers.Find("pgbouncer"), "--version").Output()
	require.NoError(t, err)
	var minor int
	_, err = fmt.Sscanf(string(version), "PgBouncer 1.%d", &minor)
	require.NoError(t, err, "%s", version)
	lines := "pool_mode = transaction\ndefault_pool_size = 1\n"
	if minor >= 21 {
		wantSuite(t, lines+"max_prepared_statements = 100\n")
		return
	}
	_, open := newBouncer(t, lines)
	_, err = open(t)
	require.NoError(t, err)
	_, err = open(t)
	require.ErrorContains(t, err, "already exists (SQLSTATE 42P05)")
}

// wantSuite runs the suite of a store with instances behind a PgBouncer.
func wantSuite(t *testing.T, lines string) {
	t.Helper()
	d, open := newBouncer(t, lines)
	s, err := open(t)
	require.NoError(t, err)
	require.NoError(t, s.Check(t.Context()))
	misctest.TestStore(t, misctest.StoreSuite{
		New: func(t *testing.T, w misctest.World) misc.Store { d.Put(t, w); return s },
		Second: func(t *testing.T) misc.Store {
			s, err := open(t)
			if err != nil {
				return nil
			}
			return s
		},
		Change: d.Change,
		Break:  d.HideTables,
	})
}
