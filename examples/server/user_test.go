package main

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Cookies of user 1, made with the key below, who logged in on 2025-11-29. The last is
// that of token 42.
const cookieKey = "zsyy2026"

var cookies = map[string]string{
	"node2019": "rong_auth_cookie=c724f7e2bfd4d5c2e7a31d2d3a992c40228c55c7",
	"java2020": "rong_auth_cookie=q1HbI20+gJvo2pk1E99a9SLQR1LQbPQRO577lnnsmb0=",
	"java2025": "st_cookie=q1HbI20+gJvo2pk1E99a9YuKnP2APzHhhNsEtlE3wTc=",
}

// javaTables returns a database with the tables that SealTalk's Java server of 2025 has
// besides the others: user 1 has just logged in.
func javaTables(t *testing.T, dir string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "misc.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	mobile, err := os.ReadFile("versions/client_version.json")
	require.NoError(t, err)
	for _, statement := range []string{
		`CREATE TABLE login_token (id INTEGER PRIMARY KEY, user_id INTEGER, login_time INTEGER, create_time TEXT, update_time TEXT)`,
		`CREATE TABLE config_list (id INTEGER PRIMARY KEY, att_key TEXT UNIQUE, att_value TEXT)`,
	} {
		_, err := db.Exec(statement)
		require.NoError(t, err)
	}
	_, err = db.Exec(`INSERT INTO login_token (id, user_id, login_time) VALUES (42, 1, ?)`, time.Now().UnixMilli())
	require.NoError(t, err)
	_, err = db.Exec(`INSERT INTO config_list (att_key, att_value) VALUES ('mobileVersion', ?)`, mobile)
	require.NoError(t, err)
	return db
}

func TestWhoIsLoggedInAtSealTalksServerIsLoggedInHere(t *testing.T) {
	for login, cookie := range cookies {
		t.Run(login, func(t *testing.T) {
			dir := t.TempDir()
			db := javaTables(t, dir)
			in := start(t, testConfig(t, dir, "-login", login, "-auth-cookie-key", cookieKey, "-prefix", "/server-api/misc/"))
			for path, body := range map[string]string{"set_screen_capture": switchOn, "get_screen_capture": toFriend, "send_sc_msg": toFriend} {
				r := in.do("POST", "/server-api/misc/"+path, body, "Cookie", cookie+"; Max-Age=2592000; Path=/; HttpOnly")
				assert.Equal(t, http.StatusOK, r.status, r.body)
				assert.Empty(t, r.header.Values("Set-Cookie"))
			}
			for _, other := range []string{"", strings.Replace(cookie, "=", "=x", 1), "st_session=" + cookie} {
				r := in.do("POST", "/server-api/misc/send_sc_msg", toFriend, "Cookie", other)
				assert.Equal(t, http.StatusForbidden, r.status)
				assert.Empty(t, r.header.Values("Set-Cookie"))
				assert.Equal(t, `{"code":10000,"message":"not logged in"}`, r.body)
			}
			assert.Equal(t, http.StatusOK, in.do("GET", "/server-api/misc/client_version", "").status)
			assert.Contains(t, in.do("GET", "/metrics", "").body, `{endpoint="/misc/send_sc_msg",method="POST",status="200"} 1`, "the labels have no prefix")
			if login == "java2025" {
				_, err := db.Exec(`DELETE FROM login_token`)
				require.NoError(t, err)
				soon := func(status int, message string) {
					require.Eventually(t, func() bool {
						return in.do("POST", "/server-api/misc/send_sc_msg", toFriend, "Cookie", cookie).status == status
					}, 30*time.Second, 10*time.Millisecond, message)
				}
				soon(http.StatusForbidden, "a logout counts within a second")
				_, err = db.Exec(`DROP TABLE login_token`)
				require.NoError(t, err)
				soon(http.StatusInternalServerError, "the table is gone")
				assert.Contains(t, in.log.String(), "login token")
			}
			in.stop()
		})
	}
}

type countedTokens struct {
	asked int
	err   error
}

func (c *countedTokens) LoginToken(_ context.Context, id int64) (uint32, time.Time, bool, error) {
	c.asked++
	return uint32(id), time.Time{}, id < 100, c.err
}

func TestATokenIsAskedForOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := &countedTokens{}
		tokens := &recentTokens{TokenStore: table}
		ask := func(id int64) (uint32, bool, error) {
			user, _, found, err := tokens.LoginToken(t.Context(), id)
			return user, found, err
		}
		for range 1000 {
			user, found, err := ask(42)
			require.NoError(t, err)
			assert.True(t, found)
			assert.EqualValues(t, 42, user)
			_, found, _ = ask(100)
			assert.False(t, found, "a token that is gone is not asked for again and again, either")
		}
		assert.Equal(t, 2, table.asked)
		time.Sleep(time.Second)
		table.err = errors.New("the database is away")
		_, _, err := ask(42)
		require.ErrorIs(t, err, table.err)
		table.err = nil
		_, found, err := ask(42)
		require.NoError(t, err)
		assert.True(t, found, "an error is not kept")
		for id := range int64(3 * maxRecentTokens) {
			_, _, err := ask(id)
			require.NoError(t, err)
			require.LessOrEqual(t, len(tokens.known), maxRecentTokens)
		}
	})
}

func TestALoginThatIsTooOldIsOver(t *testing.T) {
	in := start(t, testConfig(t, t.TempDir(), "-login", "node2019", "-auth-cookie-key", cookieKey, "-auth-cookie-max-age", "24h", "-not-logged-in-code", "1000"))
	r := in.do("POST", "/misc/send_sc_msg", toFriend, "Cookie", cookies["node2019"])
	assert.Equal(t, `{"code":1000,"message":"not logged in"}`, r.body)
	in.stop()
}

func TestVersionsAreThoseOfTheTable(t *testing.T) {
	dir := t.TempDir()
	db := javaTables(t, dir)
	releases := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(releases, "squirrel.json"), []byte(`{"version":"9.0.0","url":"https://x.test/a.zip"}`), 0o600))
	for versions, want := range map[string]int{"database": http.StatusNoContent, "database:" + releases: http.StatusOK} {
		cfg := testConfig(t, dir, "-versions", versions)
		in := start(t, cfg)
		assert.Equal(t, want, in.do("GET", "/misc/latest_update?version=1.0.0", "").status)
		assert.Equal(t, http.StatusNotFound, in.do("GET", "/misc/demo_square", "").status)
		_, err := db.Exec(`INSERT INTO config_list (att_key, att_value) VALUES ('demoSquare', '[{"type":"group","id":"7"}]')`)
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			return in.do("GET", "/misc/demo_square", "").body == `{"code":200,"result":[{"id":"JZlK4nOwb","type":"group"}]}`
		}, time.Minute, 100*time.Millisecond, "what the admin page saves is served")
		in.stop()
		_, err = db.Exec(`DELETE FROM config_list WHERE att_key = 'demoSquare'`)
		require.NoError(t, err)
	}
}

func TestOnlyAProxyIsBelieved(t *testing.T) {
	cfg := testConfig(t, t.TempDir(), "-proxies", "192.0.2.0/24,::1")
	for _, tt := range []struct{ remote, forwarded, want string }{
		{"192.0.2.1:1", "198.51.100.7", "198.51.100.7:0"},
		{"192.0.2.1:1", "203.0.113.9, 198.51.100.7, 192.0.2.9", "198.51.100.7:0"},
		{"[::1]:1", "2001:db8::7", "[2001:db8::7]:0"},
		{"192.0.2.1:1", "", "192.0.2.1:1"},
		{"192.0.2.1:1", "nonsense", "192.0.2.1:1"},
		{"198.51.100.8:1", "198.51.100.7", "198.51.100.8:1"},
	} {
		var got string
		h, err := behind(cfg.proxies, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RemoteAddr }))
		require.NoError(t, err)
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = tt.remote
		r.Header.Set("X-Forwarded-For", tt.forwarded)
		h.ServeHTTP(httptest.NewRecorder(), r)
		assert.Equal(t, tt.want, got, tt)
	}
}
