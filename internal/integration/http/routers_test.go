package http_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc/httpapi"
	"github.com/sealtalk-go/misc/internal/integration/testhost"
)

// What docs/mounting.md says about metrics. The login makes a copy of the request, and
// the handler sets the pattern of that. The programs in hosts are tested there.
func TestAMiddlewareOfEachRouterSeesTheEndpointInThePattern(t *testing.T) {
	login := func(r *http.Request) *http.Request {
		return r.WithContext(httpapi.WithUser(r.Context(), testhost.Alice))
	}
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
		router := mount(testhost.New().Handler())
		none := map[string]string{"chi": "/misc/*"}[name] // what the router itself sets
		for path, pattern := range map[string]string{"latest_update?version=1.0.0": "/misc/latest_update", "send_message": "/misc/send_message", "none": none} {
			router.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/misc/"+path, nil))
			require.Equal(t, pattern, seen, "%s: %s", name, path)
		}
	}
}
