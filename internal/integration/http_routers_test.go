//go:build unix

package integration_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/catalog"
	"github.com/sealtalk-go/misc/httpapi"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/sqlstore"
)

// handler serves the relations and settings of d.
func handler(t testing.TB, d *database, cloud misc.Messenger) *httpapi.Handler {
	t.Helper()
	s := d.store(t, nil)
	return over(misc.Config{Relations: s, Captures: s, Related: s, Messenger: cloud})
}

// over returns a handler over the parts of cfg and some versions. The user is
// the one in the context, or else in the header User.
func over(cfg misc.Config) *httpapi.Handler {
	cfg.Versions = must(misc.NewStaticVersions(must(catalog.ParseRelease([]byte(releaseJSON))), must(catalog.ParseClientVersions([]byte(clientsJSON)))))
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

// Each router has a middleware that logs user 1 in if the header Login says so.
func TestTheHandlerAnswersInEachRouter(t *testing.T) {
	const login = "Login"
	as1 := func(r *http.Request) *http.Request {
		if r.Header.Get(login) == "" {
			return r
		}
		return r.WithContext(httpapi.WithUser(r.Context(), misctest.ID(1)))
	}
	middleware := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, as1(r)) })
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
			r.Use(func(c *gin.Context) { c.Request = as1(c.Request) })
			r.Any("/misc/*path", gin.WrapH(h))
			return r
		},
		"echo": func(h http.Handler) http.Handler {
			e := echo.New()
			e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
				return func(c echo.Context) error {
					c.SetRequest(as1(c.Request()))
					return next(c)
				}
			})
			e.Any("/misc/*", echo.WrapHandler(h))
			return e
		},
	}
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
				want               string // JSON; empty: no body
				delivered          int
			}{
				{"GET", "/misc/latest_update?version=1.0.0", "", 200, releaseJSON, 0},
				{"GET", "/misc/latest_update?version=1.0.2", "", 204, "", 0},
				{"HEAD", "/misc/latest_update?version=1.0.0", "", 200, "", 0},
				{"GET", "/misc/client_version", "", 200, clientsJSON, 0},
				{"GET", "/misc/mobile_version", "", 200, `{"code":200,"result":` + clientsJSON + `}`, 0},
				{"POST", "/misc/send_message", `{"conversationType":"PRIVATE","targetId":"` + misctest.ID(2) + `","objectName":"RC:TxtMsg","content":"hi","pushContent":""}`, 200, `{"code":"200"}`, 1},
				{"POST", "/misc/set_screen_capture", `{"conversationType":1,"targetId":"` + misctest.ID(2) + `","noticeStatus":1}`, 200, `{"code":200}`, 2},
				{"POST", "/misc/get_screen_capture", `{"conversationType":1,"targetId":"` + misctest.ID(2) + `"}`, 200, `{"code":200,"result":{"status":1}}`, 2},
				{"POST", "/misc/get_screen_capture", `{"conversationType":3,"targetId":"` + misctest.ID(3) + `"}`, 200, `{"code":200,"result":{"status":0}}`, 2},
				{"POST", "/misc/send_sc_msg", `{"conversationType":3,"targetId":"` + misctest.ID(3) + `"}`, 200, `{"code":200}`, 3},
				{"POST", "/misc/get_screen_capture", `{"conversationType":1,"targetId":"` + misctest.ID(9) + `"}`, 403, `{"code":403,"message":"targetId is not a friend of yours"}`, 3},
				{"POST", "/misc/get_screen_capture", `{"conversationType":1,"targetId":"7"}`, 400, `{"code":400,"message":"targetId is not a valid id"}`, 3},
				{"GET", "/misc/none", "", 404, `{"code":404,"message":"no such path"}`, 3},
				{"GET", "/misc/client_version/", "", 404, `{"code":404,"message":"no such path"}`, 3},
				{"POST", "/misc/client_version", "{}", 405, `{"code":405,"message":"method must be GET or HEAD"}`, 3},
				{"GET", "/misc/send_message", "", 405, `{"code":405,"message":"method must be POST"}`, 3},
				{"DELETE", "/misc/get_screen_capture", "", 405, `{"code":405,"message":"method must be POST"}`, 3},
			} {
				req, err := http.NewRequestWithContext(t.Context(), tt.method, server.URL+tt.path, strings.NewReader(tt.body))
				require.NoError(t, err)
				req.Header.Set("Content-Type", "application/json")
				req.Header.Set(login, "yes")
				resp, err := server.Client().Do(req)
				require.NoError(t, err)
				body, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				require.NoError(t, resp.Body.Close())
				require.Equal(t, tt.status, resp.StatusCode, "%s %s: %s", tt.method, tt.path, body)
				if tt.want == "" {
					require.Empty(t, body, tt.path)
				} else {
					require.JSONEq(t, tt.want, string(body), tt.path)
					require.Equal(t, "application/json; charset=utf-8", resp.Header.Get("Content-Type"), tt.path)
				}
				require.Len(t, cloud.Delivered(), tt.delivered, tt.path)
			}
		})
	}
}

// blockList overrides AreFriends of the store that it embeds.
type blockList struct{ *sqlstore.Store }

func (blockList) AreFriends(context.Context, string, string) (bool, error) { return false, nil }

func TestAWrapperAroundTheStoreIsNotBypassed(t *testing.T) {
	d := newDatabase(t, plain()[0])
	d.addFriend(t, 1, 2, 20)
	blocking := blockList{d.store(t, nil)}
	for path, body := range map[string]string{"get_screen_capture": "", "set_screen_capture": `,"noticeStatus":1`, "send_sc_msg": ""} {
		r := httptest.NewRequest("POST", "/misc/"+path, strings.NewReader(`{"conversationType":1,"targetId":"`+misctest.ID(2)+`"`+body+`}`))
		r.Header = http.Header{"User": {misctest.ID(1)}, "Content-Type": {"application/json"}}
		w := httptest.NewRecorder()
		over(misc.Config{Relations: blocking, Captures: blocking, Messenger: noCloud{}}).ServeHTTP(w, r)
		require.Equal(t, 403, w.Code, path)
	}
}
