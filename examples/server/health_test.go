package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hangingCloud starts a chat cloud that answers only after release is called.
func hangingCloud(t *testing.T) (url string, reached <-chan struct{}, release func()) {
	arrived, released := make(chan struct{}, 1), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		arrived <- struct{}{}
		<-released
		_, _ = io.WriteString(w, `{"code":200}`)
	}))
	release = sync.OnceFunc(func() { close(released) })
	t.Cleanup(func() { release(); server.Close() })
	return server.URL, arrived, release
}

func TestAHangingCloudIsAnswered504AndTheSettingStays(t *testing.T) {
	url, _, _ := hangingCloud(t)
	cfg := testConfig(t, t.TempDir(), "-rongcloud", url, "-app-key", "key", "-app-secret", "secret")
	cfg.limits.cloud = 50 * time.Millisecond
	in := start(t, cfg)
	in.login(1)
	r := in.do("POST", "/misc/set_screen_capture", switchOn, "X-Request-ID", "the-failing-one")
	assert.Equal(t, http.StatusGatewayTimeout, r.status)
	assert.Regexp(t, `level=ERROR msg="misc: request failed".*request_id=the-failing-one`, in.log.String(), "the cause is in the log under the request's id")
	assert.Equal(t, `{"code":200,"result":{"status":1}}`, in.do("POST", "/misc/get_screen_capture", toFriend).body)
	in.stop()
}

func TestAPoolThatIsUsedUpIsNotReadyAndIsAnswered500(t *testing.T) {
	cfg, logger := testConfig(t, t.TempDir()), slog.New(slog.DiscardHandler)
	cfg.limits.request = 50 * time.Millisecond
	p, err := openParts(t.Context(), cfg, logger)
	require.NoError(t, err)
	defer p.close()
	handler, err := newHandler(cfg, p, new(stopper), io.Discard, logger)
	require.NoError(t, err)
	in := serving(t, handler)
	p.db.SetMaxOpenConns(1)
	busy, err := p.db.Conn(t.Context())
	require.NoError(t, err)
	r := in.do("POST", "/misc/get_screen_capture", toFriend)
	assert.Equal(t, http.StatusInternalServerError, r.status)
	assert.Equal(t, `{"code":500,"message":"internal error"}`, r.body)
	r = in.do("GET", "/readyz", "")
	assert.Equal(t, http.StatusServiceUnavailable, r.status)
	assert.Contains(t, r.body, `"database":"does not answer"`)
	require.NoError(t, busy.Close())
	assert.Eventually(t, func() bool {
		return in.do("POST", "/misc/get_screen_capture", toFriend).status == 200 && in.do("GET", "/readyz", "").status == 200
	}, 30*time.Second, 10*time.Millisecond)
}

// unreliable connects to a database unless away is set.
type unreliable struct {
	driver.Connector
	away *atomic.Bool
}

func (u unreliable) Connect(ctx context.Context) (driver.Conn, error) {
	if u.away.Load() {
		return nil, errors.New("the database is away")
	}
	return u.Connector.Connect(ctx)
}

func TestWhatWasAwayIsNamedAndComesBackWithoutARestart(t *testing.T) {
	dir := t.TempDir()
	var cloudAway, databaseAway atomic.Bool
	cloud := misctest.NewCloud("key", "secret")
	rongcloud := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if cloudAway.Load() {
			panic(http.ErrAbortHandler) // ends the connection
		}
		cloud.ServeHTTP(w, r)
	}))
	defer rongcloud.Close()
	var log output
	cfg, logger := testConfig(t, dir, "-rongcloud", rongcloud.URL, "-app-key", "key", "-app-secret", "secret"), newLogger(&log, "text")
	p, err := openParts(t.Context(), cfg, logger)
	require.NoError(t, err)
	defer p.close()
	require.NoError(t, p.store.Close())
	require.NoError(t, p.db.Close())
	connector, err := new(database).sqlite(filepath.Join(dir, "misc.db"), false)
	require.NoError(t, err)
	p.db.DB = sql.OpenDB(unreliable{connector, &databaseAway})
	p.db.SetMaxIdleConns(-1) // each statement makes a new connection
	p.store, _, err = openStore(t.Context(), p.db, cfg)
	require.NoError(t, err)
	handler, err := newHandler(cfg, p, new(stopper), io.Discard, logger)
	require.NoError(t, err)
	in := serving(t, handler)

	edit := func(content string) func() {
		return func() {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "client_version.json"), []byte(content), 0o600))
		}
	}
	good, err := os.ReadFile(filepath.Join(dir, "client_version.json"))
	require.NoError(t, err)
	const ready = `{"catalog":"ok","cloud":"ok","database":"ok","status":"ready"}`
	for _, c := range []struct {
		part            string
		take, giveBack  func()
		send, get, read int    // the statuses of send_sc_msg, get_screen_capture and client_version meanwhile
		readiness       int    // the status of /readyz meanwhile
		named           string // and its body
		log             string
	}{
		{"database", func() { databaseAway.Store(true) }, func() { databaseAway.Store(false) }, 500, 500, 200, 503,
			`{"catalog":"ok","cloud":"ok","database":"does not answer","status":"not ready"}`, `"not ready" part=database error="sqlstore: check: the database is away"`},
		{"cloud", func() { cloudAway.Store(true) }, func() { cloudAway.Store(false) }, 502, 200, 200, 200,
			`{"catalog":"ok","cloud":"did not take the last message","database":"ok","status":"ready"}`, `misc: the chat cloud cannot be reached`},
		{"catalogue", edit("{"), edit(string(good)), 200, 200, 200, 503,
			`{"catalog":"a file is missing or invalid","cloud":"ok","database":"ok","status":"not ready"}`, `"not ready" part=catalog error=".*client_version.json`},
	} {
		t.Run(c.part, func(t *testing.T) {
			answers := func(send, get, read, readiness int, named string) bool {
				sent := in.do("POST", "/misc/send_sc_msg", toFriend).status // first: the cloud's state is that of the last message
				r := in.do("GET", "/readyz", "")
				return sent == send && in.do("POST", "/misc/get_screen_capture", toFriend).status == get &&
					in.do("GET", "/misc/client_version", "").status == read && r.status == readiness && withoutFiles(r.body) == named
			}
			soon := func(condition func() bool, message string) {
				require.Eventually(t, condition, 30*time.Second, 10*time.Millisecond, message)
			}
			soon(func() bool { return answers(200, 200, 200, 200, ready) }, "all is well")
			c.take()
			soon(func() bool { return answers(c.send, c.get, c.read, c.readiness, c.named) }, c.part+" is away")
			assert.Regexp(t, c.log, log.String())
			metrics := in.do("GET", "/metrics", "").body
			for part, metric := range map[string]string{"database": "misc_database_up", "catalogue": "misc_catalog_up"} {
				up := 1
				if part == c.part {
					up = 0
				}
				assert.Contains(t, metrics, fmt.Sprintf("\n%s %d\n", metric, up))
			}
			c.giveBack()
			soon(func() bool { return answers(200, 200, 200, 200, ready) }, c.part+" is back")
		})
	}
}

func TestAfterAFailedProbeStatementsMakeNewConnections(t *testing.T) {
	p, err := openParts(t.Context(), testConfig(t, t.TempDir()), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer p.close()
	probe := func() error { return (&health{db: p.db, store: p.store}).database() }
	require.NoError(t, probe())
	assert.Positive(t, p.db.Stats().OpenConnections)
	_, err = p.db.Exec("DROP TABLE screen_statuses")
	require.NoError(t, err)
	assert.Error(t, probe())
	assert.Zero(t, p.db.Stats().OpenConnections)
}

func TestAReadinessProbeLearnsWhichWayTheDatabaseFails(t *testing.T) {
	for _, c := range []struct {
		err   error
		state string
	}{
		{&mysql.MySQLError{Number: 1047, Message: "WSREP has not yet prepared node for application use"}, "not part of the cluster"},
		{&mysql.MySQLError{Number: 1205, Message: "Lock wait timeout exceeded; try restarting transaction"}, "not part of the cluster"},
		{errors.New("the database takes no writes: wsrep_ready is OFF"), "not part of the cluster"},
		{errors.New("the database takes no writes: read_only is on"), "read-only"},
		{&pgconn.PgError{Code: "57P03", Message: "the database system is starting up"}, "does not answer"},
		{fmt.Errorf("connect: %w", pgconn.ErrReadOnlyConnection), "read-only"},
		{context.DeadlineExceeded, "does not answer"},
	} {
		assert.Equal(t, c.state, stateOf(fmt.Errorf("sqlstore: check: %w", c.err)), c.err)
	}
}

// withoutFiles removes the revisions of the version files from the body of /readyz.
func withoutFiles(body string) string {
	return regexp.MustCompile(`"files":\{[^}]*\},`).ReplaceAllString(body, "")
}
