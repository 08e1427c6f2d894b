//go:build unix

package integration_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/httpapi"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/sqlstore"
)

// handler returns a handler over the relations and settings of d.
func handler(t testing.TB, d *database, cloud misc.Messenger) *httpapi.Handler {
	t.Helper()
	s := d.store(t, nil)
	return over(misc.Config{Relations: s, Captures: s, Related: s, Messenger: cloud})
}

// over returns a handler over the parts of cfg, by default with the versions of newHost.
// The user is the one in the context or, if there is none, in the header User.
func over(cfg misc.Config) *httpapi.Handler {
	if cfg.Versions == nil {
		cfg.Versions = versions()
	}
	return must(httpapi.New(httpapi.Config{
		Service: must(misc.New(cfg)),
		CurrentUser: func(r *http.Request) (string, error) {
			if id, err := httpapi.UserFromContext(r); err == nil {
				return id, nil
			}
			return r.Header.Get("User"), nil
		},
	}))
}

// noCloud accepts every message.
type noCloud struct{}

func (noCloud) Send(context.Context, misc.Message) error { return nil }

// Each router has a middleware that logs user 1 in.
func TestTheHandlerAnswersInEachRouter(t *testing.T) {
	login := func(r *http.Request) *http.Request {
		return r.WithContext(httpapi.WithUser(r.Context(), misctest.ID(1)))
	}
	middleware := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, login(r)) })
	}
	gin.SetMode(gin.ReleaseMode)
	mount := map[string]func(h http.Handler) http.Handler{
		"net/http": func(h http.Handler) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("/misc/", h)
			return middleware(mux)
		},
		"chi": func(h http.Handler) http.Handler {
			r := chi.NewRouter()
			r.Use(middleware)
			r.Handle("/misc/*", h)
			return r
		},
		"gin": func(h http.Handler) http.Handler {
			r := gin.New()
			r.Use(func(c *gin.Context) { c.Request = login(c.Request) })
			r.Any("/misc/*path", gin.WrapH(h))
			return r
		},
		"echo": func(h http.Handler) http.Handler {
			e := echo.New()
			e.Use(echo.WrapMiddleware(middleware))
			e.Any("/misc/*", echo.WrapHandler(h))
			return e
		},
	}
	private := `{"conversationType":1,"targetId":"` + misctest.ID(2) + `"`
	group := `{"conversationType":3,"targetId":"` + misctest.ID(3) + `"`
	for name, mount := range mount {
		t.Run(name, func(t *testing.T) {
			d := newDatabase(t, plain()[0])
			d.addFriend(t, 1, 2, 20)
			d.addMember(t, 3, 1, 0)
			cloud := &misctest.Messenger{}
			server := httptest.NewServer(mount(handler(t, d, cloud)))
			defer server.Close()
			for _, tt := range []struct {
				method, path, body string
				status             int
				want               string // JSON; empty if there is no body
				delivered          int
			}{
				{"GET", "latest_update?version=1.0.0", "", 200, releaseJSON, 0},
				{"GET", "latest_update?version=1.0.2", "", 204, "", 0},
				{"HEAD", "latest_update?version=1.0.0", "", 200, "", 0},
				{"GET", "client_version", "", 200, clientsJSON, 0},
				{"GET", "mobile_version", "", 200, `{"code":200,"result":` + clientsJSON + `}`, 0},
				{"POST", "send_message", `{"conversationType":"PRIVATE","targetId":"` + misctest.ID(2) + `","objectName":"RC:TxtMsg","content":"hi"}`, 200, `{"code":"200"}`, 1},
				{"POST", "set_screen_capture", private + `,"noticeStatus":1}`, 200, `{"code":200}`, 2},
				{"POST", "get_screen_capture", private + `}`, 200, `{"code":200,"result":{"status":1}}`, 2},
				{"POST", "get_screen_capture", group + `}`, 200, `{"code":200,"result":{"status":0}}`, 2},
				{"POST", "send_sc_msg", group + `}`, 200, `{"code":200}`, 3},
				{"POST", "get_screen_capture", `{"conversationType":1,"targetId":"` + misctest.ID(9) + `"}`, 403, `{"code":403,"message":"targetId is not a friend of yours"}`, 3},
				{"POST", "get_screen_capture", `{"conversationType":1,"targetId":"7"}`, 400, `{"code":400,"message":"targetId is not a valid id"}`, 3},
				{"GET", "none", "", 404, `{"code":404,"message":"no such path"}`, 3},
				{"GET", "client_version/", "", 404, `{"code":404,"message":"no such path"}`, 3},
				{"POST", "client_version", "{}", 405, `{"code":405,"message":"method must be GET or HEAD"}`, 3},
				{"DELETE", "get_screen_capture", "", 405, `{"code":405,"message":"method must be POST"}`, 3},
			} {
				req := must(http.NewRequestWithContext(t.Context(), tt.method, server.URL+"/misc/"+tt.path, strings.NewReader(tt.body)))
				req.Header.Set("Content-Type", "application/json")
				resp, body := ask(t, server.Client(), req)
				require.Equal(t, tt.status, resp.StatusCode, "%s %s: %s", tt.method, tt.path, body)
				if tt.want == "" {
					require.Empty(t, body, tt.path)
				} else {
					require.JSONEq(t, tt.want, body, tt.path)
					require.Equal(t, "application/json; charset=utf-8", resp.Header.Get("Content-Type"), tt.path)
				}
				require.Len(t, cloud.Delivered(), tt.delivered, tt.path)
			}
		})
	}
}

func TestAMiddlewareAroundTheMuxSeesTheEndpointInThePattern(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/misc/", newHost(t).handler(t))
	var seen string
	counting := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(w, r)
		seen = r.Pattern
	})
	for path, pattern := range map[string]string{
		"/misc/latest_update?version=1.0.0": "/misc/latest_update",
		"/misc/latest_update":               "/misc/latest_update", // 400
		"/misc/send_message":                "/misc/send_message",  // 405
		"/misc/none":                        "/misc/",              // 404: unknown paths do not get a label each
	} {
		counting.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
		require.Equal(t, pattern, seen, path)
	}
}

// A middleware around the login must use the request that the login has created.
func TestAMiddlewareOfEachRouterSeesTheEndpointInThePattern(t *testing.T) {
	login := func(r *http.Request) *http.Request { return r.WithContext(httpapi.WithUser(r.Context(), alice)) }
	var seen string
	gin.SetMode(gin.ReleaseMode)
	for name, mount := range map[string]func(h http.Handler) http.Handler{
		"chi": func(h http.Handler) http.Handler {
			r := chi.NewRouter()
			r.Use(func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, login(r)) })
			}, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					next.ServeHTTP(w, r)
					seen = r.Pattern
				})
			})
			r.Handle("/misc/*", h)
			return r
		},
		"gin": func(h http.Handler) http.Handler {
			r := gin.New()
			r.Use(func(c *gin.Context) {
				c.Next()
				seen = c.Request.Pattern
			}, func(c *gin.Context) { c.Request = login(c.Request) })
			r.Any("/misc/*path", gin.WrapH(h))
			return r
		},
		"echo": func(h http.Handler) http.Handler {
			e := echo.New()
			e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
				return func(c echo.Context) error {
					err := next(c)
					seen = c.Request().Pattern
					return err
				}
			}, func(next echo.HandlerFunc) echo.HandlerFunc {
				return func(c echo.Context) error {
					c.SetRequest(login(c.Request()))
					return next(c)
				}
			})
			e.Any("/misc/*", echo.WrapHandler(h))
			return e
		},
	} {
		router := mount(newHost(t).handler(t))
		none := map[string]string{"chi": "/misc/*"}[name] // what the router itself sets
		for path, pattern := range map[string]string{"latest_update?version=1.0.0": "/misc/latest_update", "send_message": "/misc/send_message", "none": none} {
			router.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/misc/"+path, nil))
			require.Equal(t, pattern, seen, "%s: %s", name, path)
		}
	}
}

// blockList overrides AreFriends of the store that it embeds: user 2 is blocked.
type blockList struct{ *sqlstore.Store }

func (b blockList) AreFriends(ctx context.Context, userID, otherID string) (bool, error) {
	friends, err := b.Store.AreFriends(ctx, userID, otherID)
	return friends && otherID != misctest.ID(2), err
}

func TestAWrapperAroundTheStoreIsNotBypassed(t *testing.T) {
	d := newDatabase(t, plain()[0])
	d.addFriend(t, 1, 2, 20)
	d.addFriend(t, 1, 4, 20)
	blocking := blockList{d.store(t, nil)}
	h := over(misc.Config{Relations: blocking, Captures: blocking, Messenger: noCloud{}})
	for path, fields := range map[string]string{"get_screen_capture": "", "set_screen_capture": `,"noticeStatus":1`, "send_sc_msg": ""} {
		for friend, status := range map[uint32]int{2: 403, 4: 200} {
			r := httptest.NewRequest("POST", "/misc/"+path, strings.NewReader(`{"conversationType":1,"targetId":"`+misctest.ID(friend)+`"`+fields+`}`))
			r.Header = http.Header{"User": {misctest.ID(1)}, "Content-Type": {"application/json"}}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Equal(t, status, w.Code, path)
		}
	}
}
