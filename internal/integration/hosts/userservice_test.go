//go:build unix

package hosts_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/internal/integration/hosts/userservice"
	"github.com/sealtalk-go/misc/internal/integration/testhost"
	"github.com/sealtalk-go/misc/misctest"
)

// A users is a team's user service.
type users struct {
	*httptest.Server
	world  atomic.Pointer[misctest.World]
	broken atomic.Pointer[http.HandlerFunc] // if not nil, answers instead
}

func newUsers(t *testing.T) *users {
	u := &users{}
	u.Server = httptest.NewServer(u)
	t.Cleanup(u.Close)
	return u
}

func (u *users) relations() *userservice.Relations {
	return userservice.New(u.URL, testhost.Patience)
}

// put replaces the relations that the service knows.
func (u *users) put(w misctest.World) { u.world.Store(&w) }

func (u *users) fail(broken http.HandlerFunc) (mend func()) {
	u.broken.Store(&broken)
	return func() { u.broken.Store(nil) }
}

func (u *users) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if broken := u.broken.Load(); broken != nil {
		(*broken)(w, r)
		return
	}
	known := misctest.NewRelations(*u.world.Load())
	q := r.URL.Query()
	ask, other := known.AreFriends, q.Get("other")
	if r.URL.Path == "/members" {
		ask, other = known.IsGroupMember, q.Get("group")
	}
	related, err := ask(r.Context(), q.Get("user"), other)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintf(w, `{"related":%v}`, related)
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestUserServiceIsRelations(t *testing.T) {
	u := newUsers(t)
	r := u.relations()
	misctest.TestRelations(t, misctest.RelationsSuite{
		New: func(_ *testing.T, w misctest.World) misc.Relations {
			u.put(w)
			return r
		},
		Change: func(_ *testing.T, _, after misctest.World) { u.put(after) },
		Break: func(*testing.T) (mend func()) {
			return u.fail(answer(http.StatusServiceUnavailable, `{"related":false}`))
		},
		OpaqueIDs: true,
	})
}
