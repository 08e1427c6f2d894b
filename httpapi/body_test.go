package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
)

// untouched checks that a refused request stored and sent nothing.
func (h *host) untouched(t *testing.T) {
	t.Helper()
	assert.Empty(t, h.cloud.Delivered())
	for _, c := range []misc.Conversation{misc.PrivateConversation(alice, bob), misc.PrivateConversation(alice, mallory), misc.GroupConversation(team)} {
		status, err := h.store.ScreenCapture(t.Context(), c)
		require.NoError(t, err)
		assert.Equal(t, misc.NoticeOff, status)
	}
}

// good has, for each POST endpoint, a body that is answered 200.
var good = map[string]string{
	"send_message":       `{"conversationType":"PRIVATE","targetId":"z2mlAvb0c","objectName":"RC:TxtMsg","content":"hi","pushContent":"p"}`,
	"set_screen_capture": `{"conversationType":1,"targetId":"z2mlAvb0c","noticeStatus":1}`,
	"get_screen_capture": `{"conversationType":1,"targetId":"z2mlAvb0c"}`,
	"send_sc_msg":        `{"conversationType":1,"targetId":"z2mlAvb0c"}`,
}

// replaced returns the good body of path with the value of a field replaced,
// or with the field removed if value is empty.
func replaced(path, field, value string) string {
	parts := strings.Split(strings.Trim(good[path], "{}"), ",")
	kept := parts[:0]
	for _, p := range parts {
		if !strings.HasPrefix(p, `"`+field+`":`) {
			kept = append(kept, p)
		}
	}
	if value != "" {
		kept = append(kept, `"`+field+`":`+value)
	}
	return "{" + strings.Join(kept, ",") + "}"
}

func TestWrongFieldsAreNamed(t *testing.T) {
	type fault struct{ value, message string }
	const objectName = "objectName must be 1 to 32 characters, without control characters and not only white space"
	text := func(field, mistyped string) []fault {
		return []fault{
			{``, field + " is required"},
			{`null`, field + " is required"},
			{`""`, field + " must not be empty"},
			{`1`, field + mistyped},
			{`true`, field + mistyped},
			{`["z2mlAvb0c"]`, field + mistyped},
			{`{"id":"z2mlAvb0c"}`, field + mistyped},
		}
	}
	target := append(text("targetId", " must be a string"), fault{`"` + strings.Repeat("x", 257) + `"`, "targetId must have 1 to 256 bytes"})
	number := func(field, mistyped string) []fault {
		faults := []fault{{``, field + " is required"}, {`null`, field + " is required"}}
		for _, value := range []string{`1.5`, `15e-1`, `"01"`, `"1.5"`, `"1.0"`, `"1e0"`, `"NaN"`, `"Inf"`, `"0x1"`, `"1_0"`, `""`, `" 1"`, `"+1"`, `"-"`, `"-01"`, `"-0"`, `"1 "`, `"PRIVATE"`, `"１"`, `"1\u0000"`, `true`, `false`, `[1]`, `{}`, `{"a":1}`} {
			faults = append(faults, fault{value, field + mistyped})
		}
		return faults
	}
	for path, fields := range map[string]map[string][]fault{
		"send_message": {
			"conversationType": text("conversationType", " must be PRIVATE or GROUP"),
			"targetId":         target,
			"objectName":       append(text("objectName", " must be a string"), fault{`"` + strings.Repeat("a", 33) + `"`, objectName}, fault{`"` + strings.Repeat("你", 33) + `"`, objectName}, fault{`"my\n"`, objectName}, fault{`"\u0000"`, objectName}, fault{`" "`, objectName}),
			"content": {
				{``, "content is required"},
				{`null`, "content is required"},
				{`""`, "content must be a JSON object or a string that is not empty"},
				{`1`, "content must be a JSON object or a string that is not empty"},
				{`true`, "content must be a JSON object or a string that is not empty"},
				{`["a"]`, "content must be a JSON object or a string that is not empty"},
				{`"` + strings.Repeat("a", 128<<10) + `"`, "content must be at most 128 KiB"},
			},
			"pushContent": {{`1`, "pushContent must be a string"}, {`{}`, "pushContent must be a string"}, {`[]`, "pushContent must be a string"}},
		},
		"set_screen_capture": {
			"conversationType": number("conversationType", " must be 1 (private) or 3 (group)"),
			"targetId":         target,
			"noticeStatus": append(number("noticeStatus", " must be 0 (off) or 1 (on)"),
				fault{`2`, "noticeStatus must be 0 (off) or 1 (on)"}, fault{`-1`, "noticeStatus must be 0 (off) or 1 (on)"},
				fault{`"2"`, "noticeStatus must be 0 (off) or 1 (on)"}, fault{`4294967297`, "noticeStatus must be 0 (off) or 1 (on)"},
				fault{`1e400`, "noticeStatus must be 0 (off) or 1 (on)"}, fault{`18446744073709551617`, "noticeStatus must be 0 (off) or 1 (on)"}),
		},
		"get_screen_capture": {"conversationType": number("conversationType", " must be 1 (private) or 3 (group)"), "targetId": target},
		"send_sc_msg":        {"conversationType": number("conversationType", " must be 1 (private) or 3 (group)"), "targetId": target},
	} {
		for field, faults := range fields {
			for _, fault := range faults {
				h := newHost(t)
				body := replaced(path, field, fault.value)
				w := h.do(t, "POST", "/misc/"+path, body)
				assert.Equal(t, 400, w.Code, "%s %.200s", path, body)
				assert.Equal(t, failure(400, fault.message), w.Body.String(), "%s %.200s", path, body)
				assert.Empty(t, h.log.Take())
				h.untouched(t)
			}
		}
	}
	for path, values := range map[string][]string{
		"send_message":       {`"private"`, `"1"`, `"CHATROOM"`, `"PRIVATE "`},
		"set_screen_capture": {`0`, `2`, `7`, `-1`, `"7"`, `4294967297`, `18446744073709551617`, `1e400`, `-1e400`, `-0`, `7.0`, strings.Repeat("9", 100_000)},
		"send_sc_msg":        {`0`, `2`, `7`, `-3`, `"4"`, `4294967299`},
	} {
		for _, value := range values {
			h := newHost(t)
			types := "1 (private) or 3 (group)"
			if path == "send_message" {
				types = "PRIVATE or GROUP"
			}
			w := h.do(t, "POST", "/misc/"+path, replaced(path, "conversationType", value))
			assert.Equal(t, failure(403, "conversationType is not supported: use "+types), w.Body.String(), "%s %.100s", path, value)
			assert.Equal(t, 403, w.Code)
			h.untouched(t)
		}
	}
}

func TestAnUnsupportedTypeStillNeedsATarget(t *testing.T) {
	w := newHost(t).do(t, "POST", "/misc/get_screen_capture", `{"conversationType":7}`)
	assert.Equal(t, failure(400, "targetId is required"), w.Body.String())
}

func TestRequestsThatAreRefused(t *testing.T) {
	long := func(n int) string {
		return `{"conversationType":1,"targetId":"` + bob + `","noticeStatus":1,"x":"` + strings.Repeat("a", n) + `"}`
	}
	for _, test := range []struct {
		name, method, target, body string
		change                     func(*http.Request)
		status                     int
		message                    string
		allow                      string
	}{
		{name: "no such endpoint", method: "GET", target: "/misc/nothing", status: 404, message: "no such path"},
		{name: "the prefix alone", method: "GET", target: "/misc/", status: 404, message: "no such path"},
		{name: "a slash too many", method: "GET", target: "/misc/client_version/", status: 404, message: "no such path"},
		{name: "another prefix", method: "GET", target: "/other/client_version", status: 404, message: "no such path"},
		{name: "another case", method: "GET", target: "/misc/Client_Version", status: 404, message: "no such path"},
		{name: "the path comes before the method", method: "DELETE", target: "/misc/nothing", status: 404, message: "no such path"},
		{name: "POST to a GET", method: "POST", target: "/misc/latest_update?version=1.0.0", status: 405, message: "method must be GET or HEAD", allow: "GET, HEAD"},
		{name: "OPTIONS", method: "OPTIONS", target: "/misc/mobile_version", status: 405, message: "method must be GET or HEAD", allow: "GET, HEAD"},
		{name: "GET to a POST", method: "GET", target: "/misc/send_message", status: 405, message: "method must be POST", allow: "POST"},
		{name: "the method comes before the login", method: "PUT", target: "/misc/send_sc_msg", change: header("X-User"), status: 405, message: "method must be POST", allow: "POST"},
		{name: "not logged in", method: "POST", target: "/misc/set_screen_capture", body: long(1), change: header("X-User"), status: 403, message: "not logged in"},
		{name: "the login comes before the media type", method: "POST", target: "/misc/set_screen_capture", body: "a=b", change: func(r *http.Request) { r.Header = http.Header{} }, status: 403, message: "not logged in"},
		{name: "a form", method: "POST", target: "/misc/set_screen_capture", body: "a=b", change: header("Content-Type", "application/x-www-form-urlencoded"), status: 415, message: "Content-Type must be application/json, in UTF-8"},
		{name: "compressed", method: "POST", target: "/misc/set_screen_capture", body: "\x1f\x8b", change: header("Content-Encoding", "gzip"), status: 415, message: "Content-Encoding must be identity: send the body uncompressed"},
		{name: "compressed twice", method: "POST", target: "/misc/set_screen_capture", body: "\x1f\x8b", change: header("Content-Encoding", "identity", "br"), status: 415, message: "Content-Encoding must be identity: send the body uncompressed"},
		{name: "no media type", method: "POST", target: "/misc/set_screen_capture", body: long(1), change: header("Content-Type"), status: 415, message: "Content-Type must be application/json, in UTF-8"},
		{name: "a broken media type", method: "POST", target: "/misc/set_screen_capture", body: long(1), change: header("Content-Type", "application/json; charset"), status: 415, message: "Content-Type must be application/json, in UTF-8"},
		{name: "another charset", method: "POST", target: "/misc/set_screen_capture", body: long(1), change: header("Content-Type", "application/json; charset=gbk"), status: 415, message: "Content-Type must be application/json, in UTF-8"},
		{name: "the media type comes before the size", method: "POST", target: "/misc/set_screen_capture", body: long(1 << 20), change: header("Content-Type", "text/plain"), status: 415, message: "Content-Type must be application/json, in UTF-8"},
		{name: "a body too large", method: "POST", target: "/misc/set_screen_capture", body: long(256 << 10), status: 413, message: "body must be at most 262144 bytes"},
		{name: "the size comes before the JSON", method: "POST", target: "/misc/set_screen_capture", body: strings.Repeat("x", 1<<20), status: 413, message: "body must be at most 262144 bytes"},
		{name: "no body", method: "POST", target: "/misc/set_screen_capture", status: 400, message: "body is not valid JSON: "},
		{name: "half a body", method: "POST", target: "/misc/set_screen_capture", body: `{"conversationType":1,`, status: 400, message: "body is not valid JSON: "},
		{name: "JavaScript", method: "POST", target: "/misc/set_screen_capture", body: `{conversationType:1}`, status: 400, message: "body is not valid JSON: "},
		{name: "a second value", method: "POST", target: "/misc/set_screen_capture", body: long(1) + `{}`, status: 400, message: "body is not valid JSON: "},
		{name: "two byte order marks", method: "POST", target: "/misc/set_screen_capture", body: "\ufeff\ufeff" + long(1), status: 400, message: "body is not valid JSON: "},
		{name: "an array", method: "POST", target: "/misc/set_screen_capture", body: `[` + long(1) + `]`, status: 400, message: "body must be a JSON object"},
		{name: "null", method: "POST", target: "/misc/set_screen_capture", body: `null`, status: 400, message: "body must be a JSON object"},
		{name: "a string", method: "POST", target: "/misc/set_screen_capture", body: `"{}"`, status: 400, message: "body must be a JSON object"},
		{name: "bytes that are no UTF-8", method: "POST", target: "/misc/send_message", body: replaced("send_message", "content", "\"\xff\""), status: 400, message: "body must be UTF-8"},
		{name: "nested without end", method: "POST", target: "/misc/send_message", body: replaced("send_message", "content", strings.Repeat(`{"a":`, 20_000)+`1`+strings.Repeat(`}`, 20_000)), status: 400, message: "body is not valid JSON: "},
		{name: "a field in another case is missing", method: "POST", target: "/misc/set_screen_capture", body: `{"ConversationType":1,"targetId":"x","noticeStatus":1}`, status: 400, message: "conversationType is required"},
		{name: "fields come before the type", method: "POST", target: "/misc/set_screen_capture", body: `{"conversationType":7,"targetId":"x","noticeStatus":2}`, status: 400, message: "noticeStatus must be 0 (off) or 1 (on)"},
		{name: "the type comes before the relation", method: "POST", target: "/misc/set_screen_capture", body: `{"conversationType":7,"targetId":"` + mallory + `","noticeStatus":1}`, status: 403, message: "conversationType is not supported: use 1 (private) or 3 (group)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHost(t)
			change := test.change
			if change == nil {
				change = func(*http.Request) {}
			}
			w := h.do(t, test.method, test.target, test.body, change)
			assert.Equal(t, test.status, w.Code)
			if strings.HasSuffix(test.message, ": ") { // followed by the words of encoding/json
				assert.Contains(t, w.Body.String(), strings.TrimSuffix(failure(test.status, test.message), `"}`))
			} else {
				assert.Equal(t, failure(test.status, test.message), w.Body.String())
			}
			assert.Equal(t, test.allow, w.Header().Get("Allow"))
			assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			assert.Empty(t, h.log.Take(), "what the client did wrong is not logged")
			h.untouched(t)
		})
	}
}

func TestMediaTypesThatAreJSON(t *testing.T) {
	for _, value := range []string{"application/json", "application/json;charset=utf-8", "application/json; charset=UTF-8", `Application/JSON; charset="utf-8"`, "application/json; profile=x"} {
		assert.Equal(t, 200, newHost(t).do(t, "POST", "/misc/send_sc_msg", good["send_sc_msg"], header("Content-Type", value)).Code, value)
	}
}

func TestABodyAsLargeAsTheLimit(t *testing.T) {
	h := newHost(t)
	h.http.MaxBodyBytes = int64(len(good["send_sc_msg"]))
	unsaid := func(r *http.Request) { r.ContentLength = -1 }
	assert.Equal(t, 200, h.do(t, "POST", "/misc/send_sc_msg", good["send_sc_msg"]).Code)
	for _, change := range []func(*http.Request){func(*http.Request) {}, unsaid} {
		w := h.do(t, "POST", "/misc/send_sc_msg", good["send_sc_msg"]+" ", change)
		assert.Equal(t, 413, w.Code)
		assert.Equal(t, "close", w.Header().Get("Connection"), "else the server reads the rest first")
		http2 := func(r *http.Request) { r.ProtoMajor = 2 }
		assert.Empty(t, h.do(t, "POST", "/misc/send_sc_msg", good["send_sc_msg"]+" ", change, http2).Header().Get("Connection"))
	}
}

func TestAClientThatWaitsFor100ContinueIsToldAtOnce(t *testing.T) {
	server := httptest.NewServer(newHost(t).handler(t))
	defer server.Close()
	for size, want := range map[int]string{256<<10 + 1: "HTTP/1.1 413 ", 1: "HTTP/1.1 100 "} {
		c, err := net.Dial("tcp", server.Listener.Addr().String())
		require.NoError(t, err)
		_, err = fmt.Fprintf(c, "POST /misc/send_sc_msg HTTP/1.1\r\nHost: x\r\nX-User: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", alice, size)
		require.NoError(t, err)
		line, err := bufio.NewReader(c).ReadString('\n')
		require.NoError(t, err)
		assert.True(t, strings.HasPrefix(line, want), line)
		require.NoError(t, c.Close())
	}
}

func TestABodyThatEndsEarly(t *testing.T) {
	h := newHost(t)
	w := h.do(t, "POST", "/misc/set_screen_capture", "", func(r *http.Request) {
		r.Body = io.NopCloser(io.MultiReader(strings.NewReader(good["set_screen_capture"]), errReader{}))
	})
	assert.Equal(t, failure(400, "body ended early"), w.Body.String())
	h.untouched(t)
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// FuzzPost sends any body to every POST endpoint. The answer must never be a
// 5xx. A request must never send two messages, and must send none if it is refused.
func FuzzPost(f *testing.F) {
	for path, body := range good {
		f.Add(body)
		for _, value := range []string{``, `null`, `""`, `"3"`, `"\u0033"`, `-1`, `1.5`, `1e999`, `true`, `[]`, `{}`, `"JZlK4nOwb"`, `"GROUP"`} {
			for _, field := range []string{"conversationType", "targetId", "content"} {
				f.Add(replaced(path, field, value))
			}
		}
	}
	for _, body := range []string{
		``, `{}`, `null`, `[]`, "\ufeff{}", `{"conversationType":"\ud800"}`, "{\"targetId\":\"\x00\"}", `{"targetId":"\u0000","conversationType":1,"noticeStatus":1}`,
		`{"conversationType":1,"conversationType":3,"targetId":"JZlK4nOwb","noticeStatus":"1"}`,
		`{"conversationType":"GROUP","targetId":"JZlK4nOwb","objectName":"RC:TxtMsg","content":"{\"content\":\"\ud83d\"}"}`,
		`{"conversationType":"GROUP","targetId":"JZlK4nOwb","objectName":"RC:TxtMsg","content":{"content":"hi","mentionedInfo":{"type":1}}}`,
	} {
		f.Add(body)
	}
	h := newHost(f)
	cloud := new(counter)
	h.misc.Messenger = cloud
	f.Fuzz(func(t *testing.T, body string) {
		for path := range good {
			*cloud = 0
			w := h.do(t, "POST", "/misc/"+path, body)
			require.Less(t, w.Code, 500)
			var answer map[string]any
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
			want := counter(0)
			if w.Code == 200 && path != "get_screen_capture" {
				want = 1
			}
			require.Equal(t, want, *cloud, path)
		}
	})
}

// counter is a Messenger that counts messages.
type counter int

func (c *counter) Send(context.Context, misc.Message) error {
	*c++
	return nil
}

func TestErrorsAreNotEscapedForHTML(t *testing.T) {
	w := newHost(t).do(t, "POST", "/misc/send_sc_msg", "<xml/>")
	assert.Equal(t, 400, w.Code)
	assert.Contains(t, w.Body.String(), "<")
}
