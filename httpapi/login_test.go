package httpapi_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/httpapi"
)

func TestAUserOfTheHostsMiddlewareIsLoggedIn(t *testing.T) {
	h := newHost(t)
	h.http.CurrentUser = httpapi.UserFromContext
	for user, want := range map[string]int{alice: 200, mallory: 403, "": 403} {
		w := h.do(t, "POST", "/misc/send_sc_msg", good["send_sc_msg"], func(r *http.Request) {
			*r = *r.WithContext(httpapi.WithUser(r.Context(), user))
		})
		assert.Equal(t, want, w.Code, user)
	}
	assert.Equal(t, failure(403, "not logged in"), h.do(t, "POST", "/misc/send_sc_msg", good["send_sc_msg"]).Body.String())
	assert.Equal(t, []misc.Message{notice(alice, 1, bob, "sendScreenNtf")}, h.cloud.Delivered())
}

func TestTheCodeOfARequestWithoutLoginIsASetting(t *testing.T) {
	h := newHost(t)
	h.http.NotLoggedInCode = 10000
	w := h.do(t, "POST", "/misc/send_sc_msg", good["send_sc_msg"], as(""))
	assert.Equal(t, 403, w.Code)
	assert.Equal(t, failure(10000, "not logged in"), w.Body.String())
	w = h.do(t, "POST", "/misc/send_sc_msg", good["send_sc_msg"], as(mallory))
	assert.Equal(t, failure(403, "targetId is not a friend of yours"), w.Body.String(), "only that one")
}

func TestAnEmptyUserIsNotLoggedIn(t *testing.T) {
	h := newHost(t)
	h.http.CurrentUser = func(*http.Request) (string, error) { return "", nil }
	assert.Equal(t, failure(403, "not logged in"), h.do(t, "POST", "/misc/send_sc_msg", good["send_sc_msg"]).Body.String())
}
