package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sealtalk-go/misc/httpapi"
	"github.com/sealtalk-go/misc/n3d"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// credentials returns the header of requests of the user with this number: a name and
// a value.
func credentials(t testing.TB, user uint32) []string {
	t.Helper()
	codec, err := n3d.New(demoN3DKey)
	require.NoError(t, err)
	id, err := codec.Encode(user)
	require.NoError(t, err)
	cookie, err := newSessions(sessionKey, sessionLength).cookie(id)
	require.NoError(t, err)
	return []string{"Cookie", cookie.Name + "=" + cookie.Value}
}

func TestOnlyASessionThatWasSignedHereAndIsNotOverLogsIn(t *testing.T) {
	value := func(key string, length time.Duration) string {
		cookie, err := newSessions(key, length).cookie(id1)
		require.NoError(t, err)
		return cookie.Value
	}
	valid := value(sessionKey, sessionLength)
	for _, c := range []struct {
		name, key, cookie string
		length            time.Duration
		ok                bool
	}{
		{"valid", sessionKey, valid, sessionLength, true},
		{"over", sessionKey, valid, -time.Minute, false},
		{"signed with another key", sessionKey + "!", valid, sessionLength, false},
		{"empty", sessionKey, "", sessionLength, false},
		{"cut off", sessionKey, valid[:len(valid)-4], sessionLength, false},
		{"a plain id", sessionKey, id1, sessionLength, false},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.AddCookie(&http.Cookie{Name: sessionCookie, Value: c.cookie})
		userID, err := newSessions(c.key, c.length).currentUser(r)
		assert.Equal(t, !c.ok, errors.Is(err, httpapi.ErrNotLoggedIn), c.name)
		assert.Equal(t, c.ok, userID == id1, c.name)
	}
}

func TestTheDemoIsForLoopbackAloneAndNotBesideAnotherLogin(t *testing.T) {
	for _, c := range []struct {
		args        []string
		login, post int
	}{
		{nil, 200, 200},
		{[]string{"-addr", "0.0.0.0:0"}, 404, 403},
		{[]string{"-login", "node2019", "-auth-cookie-key", cookieKey}, 404, 403},
	} {
		in := start(t, testConfig(t, t.TempDir(), c.args...))
		base := in.base
		in.base = strings.NewReplacer("0.0.0.0", "127.0.0.1", "[::]", "127.0.0.1").Replace(in.base)
		r := in.do("POST", "/demo/login", `{"userId":1}`)
		assert.Equal(t, c.login, r.status, c.args)
		if c.login == 200 {
			assert.Equal(t, `{"code":200,"result":{"id":"`+id1+`"}}`, r.body)
			for _, attribute := range []string{"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=86400"} {
				assert.Contains(t, r.header.Get("Set-Cookie"), attribute)
			}
		}
		assert.Equal(t, http.StatusForbidden, in.do("POST", "/misc/get_screen_capture", toFriend).status, "no cookie")
		in.login(1)
		assert.Equal(t, c.post, in.do("POST", "/misc/get_screen_capture", toFriend).status, c.args)
		assert.Equal(t, http.StatusOK, in.do("GET", "/misc/client_version", "").status, c.args)
		in.stop()
		assert.Equal(t, base != in.base, strings.Contains(in.log.String(), "nobody can log in"), c.args)
		for _, command := range []string{
			`-d '{"userId":1}' ` + in.base + "/demo/login",
			"-d '" + switchOn + "' " + in.base + "/misc/set_screen_capture",
			"-d '" + toFriend + "' " + in.base + "/misc/get_screen_capture",
		} {
			assert.Equal(t, c.login == 200, strings.Contains(in.out.String(), command), c.args)
		}
	}
}

func TestAPageOfAnotherSiteCannotLogItsVisitorIn(t *testing.T) {
	in := start(t, testConfig(t, t.TempDir()))
	const user = `{"userId":1}`
	for _, c := range []struct {
		name   string
		body   string
		header []string
		status int
	}{
		{"a program, which sends no Origin", user, nil, 200},
		{"a page of this server", user, []string{"Origin", in.base}, 200},
		{"a page of this server, as a browser of today says", user, []string{"Origin", in.base, "Sec-Fetch-Site", "same-origin"}, 200},
		{"with a charset", user, []string{"Content-Type", "application/json; charset=utf-8"}, 200},
		{"by the name localhost", user, []string{"Host", "localhost:8585", "Origin", "http://localhost:8585"}, 200},
		{"by the address of IPv6", user, []string{"Host", "[::1]:8585"}, 200},
		{"a page of another site", user, []string{"Origin", "https://evil.example.com"}, 403},
		{"a page of another port", user, []string{"Origin", "http://127.0.0.1:1"}, 403},
		{"a page in a sandbox", user, []string{"Origin", "null"}, 403},
		{"a page whose browser says no more", user, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"a name that was made to point here", user, []string{"Host", "evil.example.com", "Origin", "http://evil.example.com", "Sec-Fetch-Site", "same-origin"}, 403},
		{"a name like an address", user, []string{"Host", "127.0.0.1.example.com"}, 403},
		{"an address of another machine", user, []string{"Host", "192.0.2.1"}, 403},
		{"a form", "userId=1", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415},
		{"a form in which text is JSON", user, []string{"Content-Type", "text/plain"}, 415},
		{"no JSON", "userId=1", nil, 400},
		{"no user's number", `{"userId":0}`, nil, 400},
		{"a larger number", `{"userId":4294967296}`, nil, 400},
	} {
		r := in.do("POST", "/demo/login", c.body, c.header...)
		assert.Equal(t, c.status, r.status, c.name)
		assert.Equal(t, c.status == 200, r.header.Get("Set-Cookie") != "", c.name)
		assert.Contains(t, r.body, fmt.Sprintf(`{"code":%d`, c.status), c.name)
	}
	in.stop()
}
