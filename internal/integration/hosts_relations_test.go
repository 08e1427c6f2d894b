//go:build unix

package integration_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/internal/integration/hosts/userservice"
	"github.com/sealtalk-go/misc/misctest"
)

// A users is a team's user service.
type users struct {
	*httptest.Server
	connections atomic.Int64

	mu     sync.Mutex
	world  misctest.World
	broken http.HandlerFunc // if not nil, answers instead
}

func newUsers(t *testing.T) *users {
	t.Helper()
	u := &users{}
	u.Server = httptest.NewUnstartedServer(u)
	u.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			u.connections.Add(1)
		}
	}
	u.Start()
	t.Cleanup(u.Close)
	return u
}

func (u *users) relations() *userservice.Relations { return userservice.New(u.URL, patience) }

// put replaces the relations that the service knows.
func (u *users) put(w misctest.World) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.world = w
}

func (u *users) fail(broken http.HandlerFunc) (mend func()) {
	set := func(h http.HandlerFunc) {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.broken = h
	}
	set(broken)
	return func() { set(nil) }
}

func (u *users) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.mu.Lock()
	known, broken := misctest.NewRelations(u.world), u.broken
	u.mu.Unlock()
	if broken != nil {
		broken(w, r)
		return
	}
	q := r.URL.Query()
	var related bool
	var err error
	switch r.URL.Path {
	case "/friends":
		related, err = known.AreFriends(r.Context(), q.Get("user"), q.Get("other"))
	case "/members":
		related, err = known.IsGroupMember(r.Context(), q.Get("user"), q.Get("group"))
	default:
		http.NotFound(w, r)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintf(w, `{"related":%v}`, related)
}

func TestUserServiceIsRelations(t *testing.T) {
	u := newUsers(t)
	r := u.relations()
	misctest.TestRelations(t, func(_ *testing.T, w misctest.World) misc.Relations {
		u.put(w)
		return r
	}, misctest.RelationsOptions{
		Change: func(_ *testing.T, _, after misctest.World) { u.put(after) },
		Break: func(*testing.T) (mend func()) {
			return u.fail(answer(http.StatusServiceUnavailable, `{"related":false}`))
		},
	})
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// Careless code would take each of these for an answer.
func TestOnlyA200OfTheUserServiceWithAnAnswerDecides(t *testing.T) {
	u := newUsers(t)
	h := over(misc.Config{Relations: u.relations(), Captures: misc.NewMemoryStore(), Messenger: noCloud{}})
	for name, broken := range map[string]http.HandlerFunc{
		"500 with a yes":       answer(500, `{"related":true}`),
		"503 with a no":        answer(503, `{"related":false}`),
		"404 with a no":        answer(404, `{"related":false}`),
		"404":                  answer(404, "404 page not found\n"),
		"401":                  answer(401, ""),
		"201 with a yes":       answer(201, `{"related":true}`),
		"204":                  answer(204, ""),
		"200, empty":           answer(200, ""),
		"200, another object":  answer(200, `{}`),
		"200, null":            answer(200, `{"related":null}`),
		"200, a string":        answer(200, `{"related":"true"}`),
		"200, a page":          answer(200, "<html>Please log in</html>"),
		"200, a second answer": answer(200, `{"related":true}{"related":false}`),
		"200, too long":        answer(200, `{"filler":"`+strings.Repeat("x", 1<<20)+`","related":true}`),
		"200, cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"related":true}`)
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/login" {
				answer(200, `{"related":true}`)(w, r)
				return
			}
			http.Redirect(w, r, "/login", http.StatusFound)
		},
		"no answer": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			defer u.fail(broken)()
			r := u.relations()
			related, err := r.AreFriends(t.Context(), alice, bob)
			assert.Error(t, err)
			assert.False(t, related)
			related, err = r.IsGroupMember(t.Context(), alice, team)
			assert.Error(t, err)
			assert.False(t, related)
			assert.Equal(t, http.StatusInternalServerError, askCapture(h, t.Context()).Code)
		})
	}
	u.put(misctest.World{Friends: [][2]string{{alice, bob}}})
	assert.Equal(t, http.StatusOK, askCapture(h, t.Context()).Code)
	u.put(misctest.World{})
	assert.Equal(t, http.StatusForbidden, askCapture(h, t.Context()).Code)
	u.Close()
	assert.Equal(t, http.StatusInternalServerError, askCapture(h, t.Context()).Code, "the service is away")
}

// askCapture asks h, as alice, about her conversation with bob.
func askCapture(h http.Handler, ctx context.Context) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(ctx, "POST", "/misc/get_screen_capture", strings.NewReader(`{"conversationType":1,"targetId":"`+bob+`"}`))
	r.Header = http.Header{"User": {alice}, "Content-Type": {"application/json"}}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestAUserServiceThatHangsIsAnErrorInTime(t *testing.T) {
	u := newUsers(t)
	arrived, left := make(chan struct{}, 1), make(chan struct{}, 1)
	defer u.fail(func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
		left <- struct{}{}
	})()

	h := over(misc.Config{Relations: userservice.New(u.URL, 100*time.Millisecond), Captures: misc.NewMemoryStore(), Messenger: noCloud{}})
	assert.Equal(t, http.StatusInternalServerError, askCapture(h, t.Context()).Code, "at the time-out")
	<-arrived
	<-left

	ctx, cancel := context.WithCancel(t.Context())
	done := inBackground(func() error {
		_, err := u.relations().AreFriends(ctx, alice, bob)
		return err
	})
	<-arrived
	cancel()
	require.ErrorIs(t, inTime(t, done), context.Canceled, "the context is passed on")
	<-left
}

func TestTheUserServiceIsAskedOverConnectionsThatExist(t *testing.T) {
	u := newUsers(t)
	u.put(misctest.World{Friends: [][2]string{{alice, bob}}})
	r := u.relations()
	for n := range 30 {
		mend := func() {}
		if n%3 == 0 {
			mend = u.fail(answer(503, "try again later"))
		}
		_, _ = r.AreFriends(t.Context(), alice, bob)
		mend()
	}
	require.EqualValues(t, 1, u.connections.Load(), "one after the other, also after errors")

	const atOnce = 8
	for range 20 {
		var asking sync.WaitGroup
		for range atOnce {
			asking.Go(func() {
				_, err := r.AreFriends(t.Context(), alice, bob)
				assert.NoError(t, err)
			})
		}
		asking.Wait()
	}
	require.LessOrEqual(t, u.connections.Load(), int64(2*atOnce), "many at once")
}
