package rongcloud_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/rongcloud"
)

// answers has what RongCloud, or a proxy in front of it, may answer. err is nil
// for a success.
var answers = []struct {
	status  int
	body    string
	err     error
	code    int
	message string
}{
	{200, `{"code":200}`, nil, 0, ""},
	{200, `{"code":"200"}`, nil, 0, ""},
	{200, ` {"code":200,"messageUIDs":[{"userId":"bob","messageUID":"BS45-NPH4-HV87-10LM"}]} ` + "\n", nil, 0, ""},
	{200, `{"code":200,"errorMessage":5}`, nil, 0, ""},
	{200, `{"errorMessage":{"a":1},"code":1008}`, misc.ErrRateLimited, 1008, ""},
	{200, `{"code":1000,"errorMessage":"internal"}`, misc.ErrRefused, 1000, "internal"},
	{200, `{"code":1008,"errorMessage":"too many"}`, misc.ErrRateLimited, 1008, "too many"},
	{200, `{"code":"1008"}`, misc.ErrRateLimited, 1008, ""},
	{200, `{"code":1050}`, misc.ErrTimeout, 1050, ""},
	{201, `{"code":200}`, misc.ErrRefused, 200, ""},
	{204, ``, misc.ErrRefused, 0, ""},
	{400, `{"code":200}`, misc.ErrRefused, 200, ""},
	{400, `{"code":1002,"errorMessage":"bad"}`, misc.ErrRefused, 1002, "bad"},
	{400, `{"code":1003}`, misc.ErrRefused, 1003, ""},
	{400, `{"code":1005}`, misc.ErrRefused, 1005, ""},
	{401, `{"code":1001}`, misc.ErrRefused, 1001, ""},
	{401, `{"code":1004,"errorMessage":"signature"}`, misc.ErrRefused, 1004, "signature"},
	{401, `{"code":1006}`, misc.ErrRefused, 1006, ""},
	{401, `{"code":1007}`, misc.ErrRefused, 1007, ""},
	{429, `{"code":1008}`, misc.ErrRateLimited, 1008, ""},
	{429, `Too Many Requests`, misc.ErrRateLimited, 0, ""},
	{430, `{"code":1009}`, misc.ErrRefused, 1009, ""},
	{500, `{"code":1000}`, misc.ErrRefused, 1000, ""},
	{502, `<html>Bad Gateway</html>`, misc.ErrRefused, 0, ""},
	{504, `{"code":1050}`, misc.ErrTimeout, 1050, ""},
	{504, `<html>`, misc.ErrTimeout, 0, ""},
	{200, ``, misc.ErrRefused, 0, ""},
	{200, `null`, misc.ErrRefused, 0, ""},
	{200, `[]`, misc.ErrRefused, 0, ""},
	{200, `200`, misc.ErrRefused, 0, ""},
	{200, `{}`, misc.ErrRefused, 0, ""},
	{200, `{"code":null}`, misc.ErrRefused, 0, ""},
	{200, `{"code":true}`, misc.ErrRefused, 0, ""},
	{200, `{"code":"ok"}`, misc.ErrRefused, 0, ""},
	{200, `{"code":200`, misc.ErrRefused, 0, ""},
	{200, `{"code":200}{"code":200}`, misc.ErrRefused, 0, ""},
	{200, `{"code":1008} trailing`, misc.ErrRefused, 0, ""},
	{200, `{"code":200}` + strings.Repeat(" ", 64<<10-12), nil, 0, ""},
	{200, `{"code":200}` + strings.Repeat(" ", 64<<10-11), misc.ErrRefused, 0, ""},
	{400, `{"code":1002,"errorMessage":"` + strings.Repeat("x", 256) + `"}`, misc.ErrRefused, 1002, strings.Repeat("x", 256)},
	{400, `{"code":1002,"errorMessage":"` + strings.Repeat("x", 257) + `"}`, misc.ErrRefused, 1002, strings.Repeat("x", 256)},
	{400, `{"code":1002,"errorMessage":"` + strings.Repeat("错", 100) + `"}`, misc.ErrRefused, 1002, strings.Repeat("错", 85)},
}

func TestEachAnswerIsReportedForWhatItIs(t *testing.T) {
	t.Parallel()
	for _, test := range answers {
		name := test.body[:min(len(test.body), 40)]
		h := newHost(t, reply(test.status, test.body))
		c := newClient(t, rongcloud.Config{Region: rongcloud.Region(h.URL)})
		err := c.Send(t.Context(), hello)
		assert.Equal(t, 1, h.requests(), name)
		if test.err == nil {
			assert.NoError(t, err, name)
			continue
		}
		for _, sentinel := range []error{misc.ErrRateLimited, misc.ErrRefused, misc.ErrTimeout, misc.ErrUnreachable} {
			assert.Equal(t, sentinel == test.err, errors.Is(err, sentinel), "%d %s: %v", test.status, name, sentinel)
		}
		var answer *rongcloud.Error
		if assert.ErrorAs(t, err, &answer, name) {
			assert.Equal(t, test.status, answer.HTTPStatus, name)
			assert.Equal(t, test.code, answer.Code, name)
			assert.Equal(t, test.message, answer.Message, name)
			assert.Equal(t, h.headers[0].Get("X-Request-Id"), answer.RequestID, name)
		}
	}
}

func TestStatusSurvivesABodyThatBreaksOff(t *testing.T) {
	t.Parallel()
	h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		reply(http.StatusTooManyRequests, `{"code":`)(w, r)
	})
	c := newClient(t, rongcloud.Config{Region: rongcloud.Region(h.URL)})
	require.ErrorIs(t, c.Send(t.Context(), hello), misc.ErrRateLimited)
}

func TestErrorTextNamesWhatRongCloudSupportAsksFor(t *testing.T) {
	t.Parallel()
	h := newHost(t, reply(http.StatusUnauthorized, `{"code":1007,"errorMessage":"IP \n not allowed"}`))
	c := newClient(t, rongcloud.Config{Region: rongcloud.Region(h.URL)})
	err := c.Send(t.Context(), hello)
	assert.EqualError(t, err, `rongcloud: misc: the chat cloud refused the message: HTTP 401, code 1007, message "IP \n not allowed" (request `+
		h.headers[0].Get("X-Request-Id")+`)`)
}

func TestAPageOfAProxyIsNamedAsSuch(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`<html>Welcome</html>`, ``, `{"code":200`, `{"code":200}` + strings.Repeat(" ", 64<<10)} {
		h := newHost(t, reply(http.StatusOK, body))
		err := newClient(t, rongcloud.Config{Region: rongcloud.Region(h.URL)}).Send(t.Context(), hello)
		assert.ErrorContains(t, err, "HTTP 200, the body is not valid JSON of at most 64 KiB", "%.20s", body)
	}
}

// The body of such an answer is the raw connection, which never ends.
func TestSwitchingProtocolsIsARefusalWhoseBodyIsClosedUnread(t *testing.T) {
	t.Parallel()
	h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
		w.WriteHeader(http.StatusSwitchingProtocols)
		conn, _, err := http.NewResponseController(w).Hijack()
		if assert.NoError(t, err) {
			_, err = conn.Read(make([]byte, 1)) // until the client closes it
			assert.Error(t, err)
			_ = conn.Close()
		}
	})
	c := newClient(t, rongcloud.Config{Region: rongcloud.Region(h.URL), Timeout: time.Minute})
	err := c.Send(t.Context(), hello)
	var answer *rongcloud.Error
	require.ErrorAs(t, err, &answer)
	assert.Equal(t, http.StatusSwitchingProtocols, answer.HTTPStatus)
	require.ErrorIs(t, err, misc.ErrRefused)
}

// Whatever a host sends, and however net/http quotes it, an error has little of it, in a form that fits into a line.
func TestAnErrorHasAtMost256BytesOfTheCloudsWords(t *testing.T) {
	t.Parallel()
	const head = "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n"
	for name, words := range map[string]string{"letters": "x", "zeros": "\x00", "ESC": "\x1b[2J", "beyond ASCII": "错", "not UTF-8": "\xff", "quotes": `"`} {
		long := strings.Repeat(words, 60_000/len(words))
		for place, test := range map[string]struct {
			answer string
			err    error
		}{
			"status line":       {long + "\r\n\r\n", misc.ErrUnreachable},
			"status":            {"HTTP/1.1 " + long + "\r\n\r\n", misc.ErrUnreachable},
			"reason":            {"HTTP/1.1 403 " + long + "\r\nContent-Length: 0\r\n\r\n", misc.ErrRefused},
			"header":            {head + long + "\r\n\r\n", misc.ErrUnreachable},
			"length":            {"HTTP/1.1 200 OK\r\nContent-Length: " + long + "\r\n\r\n", misc.ErrUnreachable},
			"transfer encoding": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + long + "\r\n\r\n", misc.ErrUnreachable},
			"chunk":             {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + long + "\r\n", misc.ErrUnreachable},
			"body":              {"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n" + long[:60_000/len(words)*len(words)], nil},
		} {
			err := newClient(t, rongcloud.Config{Region: rongcloud.Region(rawHost(t, test.answer))}).Send(t.Context(), hello)
			if test.err != nil && !errors.Is(err, misc.ErrUnreachable) { // net/http refuses some of the words in a reason
				require.ErrorIs(t, err, test.err, "%s in the %s", name, place)
			}
			require.Error(t, err)
			assert.LessOrEqual(t, len(err.Error()), 600, "%s in the %s: %.300s", name, place, err)
			if words == "x" {
				assert.LessOrEqual(t, strings.Count(err.Error(), "x"), 256+len("x in a word of ours"), "%s in the %s", name, place)
			}
			assert.NotRegexp(t, `[[:cntrl:]]`, err.Error(), "%s in the %s", name, place)
			assert.True(t, utf8.ValidString(err.Error()), "%s in the %s", name, place)
		}
	}
}

func TestAnErrorOfTheTransportIsOneLine(t *testing.T) {
	t.Parallel()
	cause := errors.New("x509: certificate is valid for \x1b[2J\nforged\u2028" + strings.Repeat("x", 60_000))
	c := newClient(t, rongcloud.Config{Region: rongcloud.Beijing, HTTPClient: &http.Client{
		Transport: roundTripper(func(*http.Request) (*http.Response, error) { return nil, cause }),
	}})
	err := c.Send(t.Context(), hello)
	require.ErrorIs(t, err, misc.ErrUnreachable)
	assert.ErrorContains(t, err, "is valid for ?[2J?forged?xxx")
	assert.LessOrEqual(t, len(err.Error()), 600)
}

// net/http reads the Location even of a redirect that it is told not to follow.
func TestARedirectIsARefusalWhateverItsLocation(t *testing.T) {
	t.Parallel()
	backup := newHost(t, nil)
	for _, status := range []string{"301", "302", "303", "307", "308"} {
		for _, location := range []string{"", "http://[", "%zz", "http://a b/", "http://" + strings.Repeat("%", 60_000), "http://backup.example/"} {
			main := rawHost(t, "HTTP/1.1 "+status+" Found\r\nContent-Length: 0\r\nLocation: "+location+"\r\n\r\n")
			c := newClient(t, rongcloud.Config{Region: rongcloud.Region(main), Backup: backup.URL, Idempotent: true})
			for range 2 {
				err := c.Send(t.Context(), hello)
				require.ErrorIs(t, err, misc.ErrRefused, "%s %.20s", status, location)
				assert.ErrorContains(t, err, "HTTP "+status)
				assert.LessOrEqual(t, len(err.Error()), 300)
			}
		}
	}
	assert.Zero(t, backup.requests(), "sent again")
}

func TestRetryAfterIsKnownToTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // starts at midnight
		for header, want := range map[string]time.Duration{
			"":                              0,
			"0":                             0,
			"7":                             7 * time.Second,
			"86400":                         24 * time.Hour,
			"86401":                         0,
			"-1":                            0,
			"1.5":                           0,
			"soon":                          0,
			"99999999999999999999":          0,
			"Sat, 01 Jan 2000 00:00:30 GMT": 30 * time.Second,
			"Fri, 31 Dec 1999 23:59:30 GMT": 0,
			"Sun, 02 Jan 2000 00:00:01 GMT": 0,
		} {
			cloud := fakeCloud{"rc.example": func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Retry-After", header)
				reply(http.StatusTooManyRequests, `{"code":1008}`)(w, r)
			}}
			err := newClient(t, rongcloud.Config{Region: "https://rc.example", HTTPClient: cloud.client()}).Send(t.Context(), hello)
			var waiting *rongcloud.Error
			require.ErrorAs(t, err, &waiting)
			assert.Equal(t, want, waiting.RetryAfter(), header)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	for _, test := range answers {
		f.Add(test.status, test.body, "7")
	}
	f.Fuzz(func(t *testing.T, status int, body, retryAfter string) {
		c, err := rongcloud.New(rongcloud.Config{
			AppKey: appKey, AppSecret: appSecret, Region: "https://rc.example",
			HTTPClient: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				return &http.Response{
					StatusCode: status,
					Header:     http.Header{"Retry-After": {retryAfter}},
					Body:       io.NopCloser(strings.NewReader(body)),
					Request:    r,
				}, nil
			})},
		})
		require.NoError(t, err)
		err = c.Send(t.Context(), hello)
		if err == nil {
			assert.Equal(t, 200, status)
			assert.Contains(t, body, "200")
			return
		}
		var answer *rongcloud.Error
		require.ErrorAs(t, err, &answer)
		assert.Equal(t, status, answer.HTTPStatus)
		assert.LessOrEqual(t, len(answer.Message), 256)
		assert.True(t, utf8.ValidString(answer.Message))
		assert.False(t, answer.HTTPStatus == 200 && answer.Code == 200)
		assert.GreaterOrEqual(t, answer.RetryAfter(), time.Duration(0))
		assert.LessOrEqual(t, answer.RetryAfter(), 24*time.Hour)
		assert.NotEmpty(t, answer.Error())
	})
}
