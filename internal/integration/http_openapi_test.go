//go:build unix

package integration_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	faults "github.com/pb33f/libopenapi-validator/errors"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/catalog"
	"github.com/sealtalk-go/misc/httpapi"
	"github.com/sealtalk-go/misc/misctest"
)

// An exchange is a request from alice, and the status that its answer must have.
type exchange struct {
	name               string
	method, path, body string
	change             func(*http.Request)
	arrange            func(*host)
	status             int
	wrong              bool // the document does not allow the request
	open               bool // the answer has further keys, which are passed through
}

// fields are the fields of a good body of each POST, as JSON.
var fields = map[string]map[string]string{
	"/misc/send_message":       {"conversationType": `"PRIVATE"`, "targetId": `"` + bob + `"`, "objectName": `"RC:TxtMsg"`, "content": `"hi"`, "pushContent": `"push"`},
	"/misc/set_screen_capture": {"conversationType": `1`, "targetId": `"` + bob + `"`, "noticeStatus": `1`},
	"/misc/get_screen_capture": {"conversationType": `1`, "targetId": `"` + bob + `"`},
	"/misc/send_sc_msg":        {"conversationType": `1`, "targetId": `"` + bob + `"`},
}

// body returns the good body of a POST with values replaced. A field with an empty
// value is left out.
func body(path string, replaced ...string) string {
	all := maps.Clone(fields[path])
	for i := 0; i < len(replaced); i += 2 {
		all[replaced[i]] = replaced[i+1]
	}
	var members []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if all[name] != "" {
			members = append(members, `"`+name+`":`+all[name])
		}
	}
	return "{" + strings.Join(members, ",") + "}"
}

func exchanges() []exchange {
	all := versionExchanges()
	for path := range fields {
		all = append(all, postExchanges(path)...)
	}
	return all
}

func versionExchanges() []exchange {
	var all []exchange
	failing := func(h *host) {
		h.misc.Versions = &hooked{hook: failsWith(errors.New("no disk"))}
		h.misc.Square = squares{err: errors.New("no disk")}
	}
	const uncounted = "9007199254740992.0.0" // too large, which a pattern cannot tell
	list := []exchange{
		{name: "of macOS", path: "/misc/latest_update?version=1.0.0&platform=darwin", status: 200},
		{name: "all parameters", path: "/misc/latest_update?version=1.0.0&platform=win32&arch=arm64&os_version=10.0.1&channel=beta&id=x", status: 200},
		{name: "a malformed parameter", path: "/misc/latest_update?version=1.0.0&platform=%zz", status: 200},
		{name: "two versions", path: "/misc/latest_update?version=1.0.0&version=1.0.1", status: 400}, // a schema is applied to each alone
		{name: "no version", path: "/misc/latest_update", status: 400, wrong: true},
		{name: "no release", path: "/misc/latest_update?version=1.0.0", status: 204, arrange: func(h *host) {
			h.misc.Versions = &hooked{hook: failsWith(misc.ErrNoRelease)}
		}},
		{name: "the least release", path: "/misc/latest_update?version=1.0.0", status: 200, arrange: versionFiles(`{"version":"v2.0.0-rc.1","url":"https://example.com/a%20b"}`, clientsJSON)},
		{name: "a release with a time", path: "/misc/latest_update?version=1.0.0", status: 200, arrange: versionFiles(`{"version":"2.0.0","url":"https://example.com","pub_date":"2017-05-05T06:07:08+08:00"}`, clientsJSON)},
		{name: "a release with more", path: "/misc/latest_update?version=1.0.0", status: 200, open: true, arrange: versionFiles(`{"version":"2.0.0","url":"https://example.com","sha256":"00","x":[1]}`, clientsJSON)},
		{name: "a failing source", path: "/misc/latest_update?version=1.0.0", status: 500, arrange: failing},
	}
	for status, versions := range map[int][]string{
		200: {"1.0.0", "v1.0.1", "1.0.2-beta.1+exp.sha-5"},
		204: {"1.0.2", "1.0.2+5", "9007199254740991.0.0"},
		400: {"", "1.0", "1.0.0.0", "01.0.0", "1.0.0-01", "1.0.0-a..b", "1.0.0+", "latest", "1.0.0 ", "1.0.0-" + strings.Repeat("x", 251), uncounted},
	} {
		for _, v := range versions {
			list = append(list, exchange{name: "version " + v, path: "/misc/latest_update?version=" + url.QueryEscape(v), status: status, wrong: status == 400 && v != uncounted})
		}
	}
	for _, path := range []string{"/misc/client_version", "/misc/mobile_version"} {
		list = append(list,
			exchange{name: "new", path: path, status: 200},
			exchange{name: "other than held", path: path, status: 200, change: header("If-None-Match", `"0"`)},
			exchange{name: "held", path: path, status: 304, change: header("If-None-Match", "*")},
			exchange{name: "with more", path: path, status: 200, open: true, arrange: versionFiles(releaseJSON, strings.Replace(clientsJSON, `{"iOS":{`, `{"x":1,"iOS":{"sha256":"00",`, 1))},
			exchange{name: "Android with a build", path: path, status: 200, arrange: versionFiles(releaseJSON, strings.Replace(clientsJSON, `"Android":{`, `"Android":{"build":"201607181821",`, 1))},
			exchange{name: "a failing source", path: path, status: 500, arrange: failing},
		)
	}
	const square = "/misc/demo_square"
	list = append(list,
		exchange{name: "a list", path: square, status: 200},
		exchange{name: "with more", path: square, status: 200, open: true, arrange: lists(`[{"id":"a","type":"group","x":1}]`)},
		exchange{name: "of the API document", path: square, status: 200, arrange: lists(apiSquare)},
		exchange{name: "empty", path: square, status: 200, open: true, arrange: lists(`[]`)},
		exchange{name: "held", path: square, status: 304, change: header("If-None-Match", "*")},
		exchange{name: "no list", path: square, status: 404, arrange: func(h *host) { h.misc.Square = squares{err: misc.ErrNoSquare} }},
		exchange{name: "a failing source", path: square, status: 500, arrange: failing},
	)
	for _, e := range list {
		for _, e.method = range []string{"GET", "HEAD"} {
			all = append(all, e)
		}
	}
	return all
}

func postExchanges(path string) []exchange {
	list := []exchange{
		{name: "good", body: body(path), status: 200},
		{name: "with a charset", body: body(path), status: 200, change: header("Content-Type", "application/json; charset=UTF-8")},
		{name: "with more", body: body(path, "x", "[1]"), status: 200},
		{name: "not logged in", body: body(path), status: 403, wrong: true, change: func(r *http.Request) { r.Header.Del("Cookie") }},
		{name: "no target", body: body(path, "targetId", ""), status: 400, wrong: true},
		{name: "to a stranger", body: body(path, "targetId", `"`+stranger+`"`), status: 403},
		{name: "too long", body: body(path), status: 413, arrange: func(h *host) { h.http.MaxBodyBytes = 10 }},
		{name: "longer than the default", body: body(path, "x", `"`+strings.Repeat("x", httpapi.DefaultMaxBodyBytes)+`"`), status: 413},
		{name: "a form", body: body(path), status: 415, wrong: true, change: header("Content-Type", "application/x-www-form-urlencoded")},
		{name: "compressed", body: body(path), status: 415, change: header("Content-Encoding", "gzip")},
		{name: "no media type", body: body(path), status: 415, wrong: true, change: func(r *http.Request) { r.Header.Del("Content-Type") }},
		{name: "another charset", body: body(path), status: 415, change: header("Content-Type", "application/json; charset=gbk")},
		{name: "failing relations", body: body(path), status: 500, arrange: fails("AreFriends", errors.New("no database"))},
		{name: "a failing login", body: body(path), status: 500, arrange: fails("CurrentUser", errors.New("no database"))},
		{name: "a panic", body: body(path), status: 500, arrange: func(h *host) {
			h.http.CurrentUser = func(*http.Request) (string, error) { panic("no database") }
		}},
		{name: "an id that cannot be decoded", body: body(path), status: 400, arrange: fails("AreFriends", misc.ErrInvalidID)},
		{name: "not UTF-8", body: body(path, "x", "\"\xff\""), status: 400},
		{name: "nothing", body: "", status: 400, wrong: true},
		{name: "null", body: "null", status: 400, wrong: true},
		{name: "an array", body: "[]", status: 400, wrong: true},
		{name: "a string", body: `"x"`, status: 400, wrong: true},
		{name: "no JSON", body: "{", status: 400, wrong: true},
		{name: "two values", body: body(path) + "{}", status: 400, wrong: true},
	}
	value := func(status int, wrong bool, name string, values ...string) {
		for _, v := range values {
			short := v[:min(len(v), 20)]
			list = append(list, exchange{name: name + " " + short, body: body(path, name, v), status: status, wrong: wrong})
		}
	}
	value(400, true, "targetId", `""`, `7`, `true`, `[]`, `{}`, `["`+bob+`"]`)
	if path != "/misc/send_message" {
		value(200, false, "conversationType", `"1"`)
		value(400, true, "conversationType", `"PRIVATE"`, `1.5`, `"01"`, `""`, `" 1"`, `"1.0"`, `"-0"`, `true`, `[1]`, `{}`)
		value(400, false, "conversationType", `1.0`, `1e0`) // to a schema, the same number as 1
	}
	switch path {
	case "/misc/send_message":
		value(403, true, "conversationType", `"private"`, `"SYSTEM"`)
		value(400, true, "conversationType", `1`, `""`, `[]`)
		value(400, false, "objectName", `" "`, `"a\n"`) // a schema only counts characters
		value(200, false, "objectName", `"RC:ImgTextMsg"`, `"`+strings.Repeat("型", 32)+`"`, `"`+strings.Repeat("🙂", 32)+`"`)
		value(400, true, "objectName", `""`, `7`, `[]`, `"`+strings.Repeat("x", 33)+`"`)
		value(200, false, "content", `{"title":"x"}`, `{}`, `" "`, `"{\"content\":\"hi\"}"`)
		value(400, true, "content", `""`, `7`, `true`, `[]`, `[{}]`, `"`+strings.Repeat("x", misc.MaxContent+1)+`"`)
		value(400, false, "content", `"`+strings.Repeat("型", misc.MaxContent/3)+`"`, `{"x":"`+strings.Repeat("x", misc.MaxContent)+`"}`) // a schema does not count bytes
		value(200, false, "pushContent", `""`, `"news"`)
		value(400, true, "pushContent", `7`, `[]`, `{}`)
		list = append(list,
			exchange{name: "to a group", body: body(path, "conversationType", `"GROUP"`, "targetId", `"`+team+`"`, "content", `{"mentionedInfo":{"type":1}}`), status: 200},
			exchange{name: "with the number", body: body(path), status: 200, arrange: func(h *host) { h.http.NumericSendCode = true }})
	case "/misc/set_screen_capture":
		value(200, false, "noticeStatus", `0`, `"0"`, `"1"`)
		value(400, true, "noticeStatus", `2`, `-1`, `"2"`, `1.5`, `"01"`, `""`, `true`, `[]`, `"on"`)
		value(400, false, "noticeStatus", `1.0`)
		value(403, true, "conversationType", `7`, `"7"`, `-1`, `0`)
		list = append(list, exchange{name: "a failing store", body: body(path), status: 500, arrange: fails("SetScreenCapture", errors.New("no disk"))})
	case "/misc/get_screen_capture":
		value(200, false, "conversationType", `7`, `"10"`, `-1`, `0`, `123456789012345678901234567890`)
		list = append(list,
			exchange{name: "a failing store", body: body(path), status: 500, arrange: fails("ScreenCapture", errors.New("no disk"))},
			exchange{name: "switched on", body: body(path), status: 200, arrange: func(h *host) {
				_ = h.store.SetScreenCapture(context.Background(), misc.PrivateConversation(alice, bob), misc.NoticeOn)
			}})
	case "/misc/send_sc_msg":
		value(403, true, "conversationType", `7`, `"7"`, `-1`)
	}
	if path != "/misc/send_message" {
		list = append(list, exchange{name: "of a group", body: body(path, "conversationType", "3", "targetId", `"`+team+`"`), status: 200})
	}
	if path != "/misc/get_screen_capture" {
		for _, f := range []struct {
			name   string
			err    error
			status int
		}{
			{"the rate limit", misc.ErrRateLimited, 429},
			{"the rate limit for some time", limited(1500 * time.Millisecond), 429},
			{"a refusal", misc.ErrRefused, 502},
			{"an unreachable cloud", misc.ErrUnreachable, 502},
			{"a cloud that is late", misc.ErrTimeout, 504},
		} {
			list = append(list, exchange{name: f.name, body: body(path), status: f.status, arrange: func(h *host) { h.cloud.Fail(f.err) }})
		}
	}
	for i := range list {
		list[i].method, list[i].path = "POST", path
	}
	return list
}

// limited is an error about a rate limit that says when the limit ends.
type limited time.Duration

func (limited) Error() string               { return "slow down" }
func (limited) Unwrap() error               { return misc.ErrRateLimited }
func (l limited) RetryAfter() time.Duration { return time.Duration(l) }

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func failsWith(err error) func(context.Context, string) error {
	return func(context.Context, string) error { return err }
}

func fails(part string, err error) func(*host) {
	return func(h *host) {
		h.hooked().hook = func(_ context.Context, p string) error {
			if p == part {
				return err
			}
			return nil
		}
	}
}

func versionFiles(release, clients string) func(*host) {
	return func(h *host) {
		h.misc.Versions = must(misc.NewStaticVersions(must(catalog.ParseRelease([]byte(release))), must(catalog.ParseClientVersions([]byte(clients)))))
	}
}

// squares is a SquareSource with one answer.
type squares struct {
	square *misc.Square
	err    error
}

func (s squares) Square(context.Context) (*misc.Square, error) { return s.square, s.err }

func lists(file string) func(*host) {
	return func(h *host) { h.misc.Square = squares{square: must(catalog.ParseSquare([]byte(file), nil))} }
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (e exchange) request(t *testing.T, method, host string) *http.Request {
	r := asAlice(t.Context(), method, host+e.path, e.body)
	if e.change != nil {
		e.change(r)
	}
	return r
}

// A contract is the OpenAPI document, with a validator for it.
type contract struct {
	validator.Validator
	root map[string]any
}

func newContract(t testing.TB, text []byte) *contract {
	t.Helper()
	c := &contract{}
	require.NoError(t, yaml.Unmarshal(text, &c.root))
	document, err := libopenapi.NewDocument(text)
	require.NoError(t, err)
	v, errs := validator.NewValidator(document, config.WithFormatAssertions())
	require.Empty(t, errs)
	c.Validator = v
	return c
}

// try sends the request of e over TCP and checks the answer against the document. It
// returns the problems of the request, according to the document. An answer to HEAD
// must have no body, and otherwise equal the answer to GET.
func (c *contract) try(t *testing.T, e exchange) (problems []string, header http.Header, answer []byte) {
	t.Helper()
	h := newHost(t)
	if e.arrange != nil {
		e.arrange(h)
	}
	server := httptest.NewServer(h.handler(t))
	defer server.Close()
	send := func(method string) (*http.Response, []byte) {
		resp, err := server.Client().Do(e.request(t, method, server.URL))
		require.NoError(t, err)
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		for _, name := range []string{"Date", "Content-Length"} { // added by net/http
			resp.Header.Del(name)
		}
		require.Empty(t, resp.Header.Values("Set-Cookie"))
		return resp, answer
	}
	resp, answer := send(e.method)
	require.Equal(t, e.status, resp.StatusCode, "%s %s %s: %s", e.method, e.path, e.body, answer)
	if e.method == "HEAD" {
		require.Empty(t, answer)
		get, _ := send("GET")
		require.Equal(t, get.StatusCode, resp.StatusCode)
		require.Equal(t, get.Header, resp.Header)
	}
	resp.Body = io.NopCloser(bytes.NewReader(answer))
	assert.Empty(t, c.problems(c.ValidateHttpResponse(e.request(t, e.method, server.URL), resp)))
	return c.problems(c.ValidateHttpRequestSync(e.request(t, e.method, server.URL))), resp.Header, answer
}

// wantDocumented checks an answer in another test against the document.
func wantDocumented(t testing.TB, r *http.Request, w *httptest.ResponseRecorder, name string) {
	t.Helper()
	shared.once.Do(func() { shared.contract = newContract(t, httpapi.OpenAPI()) })
	shared.mu.Lock()
	defer shared.mu.Unlock()
	assert.Empty(t, shared.problems(shared.ValidateHttpResponse(r, w.Result())), name)
}

var shared struct {
	*contract
	once sync.Once
	mu   sync.Mutex
}

// at follows names, and every reference on the way.
func (c *contract) at(from any, names ...string) map[string]any {
	m, _ := from.(map[string]any)
	if ref, ok := m["$ref"].(string); ok {
		return c.at(c.at(c.root, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...), names...)
	}
	if len(names) == 0 {
		return m
	}
	return c.at(m[names[0]], names[1:]...)
}

// each calls f for each documented answer. The key is of the form "GET /misc/x 200",
// and content is nil if the answer has no body.
func (c *contract) each(f func(key string, response, content map[string]any)) {
	for path, item := range c.at(c.root, "paths") {
		for method, operation := range c.at(item) {
			for status, response := range c.at(operation, "responses") {
				f(strings.ToUpper(method)+" "+path+" "+status, c.at(response), c.at(response, "content", "application/json"))
			}
		}
	}
}

// properties returns the paths of all the properties that a schema declares.
func (c *contract) properties(schema any, under string) []string {
	s := c.at(schema)
	var all []string
	if s["type"] == "array" {
		return c.properties(s["items"], under)
	}
	for name, property := range c.at(s, "properties") {
		all = append(all, under+"."+name)
		all = append(all, c.properties(property, under+"."+name)...)
	}
	return all
}

// members returns the paths of all the members in a JSON value.
func members(value any, under string) []string {
	var all []string
	list, _ := value.([]any)
	for _, item := range list {
		all = append(all, members(item, under)...)
	}
	object, _ := value.(map[string]any)
	for name, member := range object {
		all = append(all, under+"."+name)
		all = append(all, members(member, under+"."+name)...)
	}
	return all
}

// problems returns in words what the validator has found.
func (*contract) problems(_ bool, errs []*faults.ValidationError) []string {
	var all []string
	for _, err := range errs {
		text := err.Message + ": " + err.Reason
		for _, failure := range err.SchemaValidationErrors {
			text += "; " + failure.FieldPath + " " + failure.Reason
		}
		all = append(all, text)
	}
	return all
}

// encode returns v as JSON, with sorted keys.
func encode(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}

type set map[string]bool

func (s set) add(items ...string) {
	for _, item := range items {
		s[item] = true
	}
}

func (s set) sorted() []string { return slices.Sorted(maps.Keys(s)) }

func TestTheDocumentIsValidOpenAPI(t *testing.T) {
	text := httpapi.OpenAPI()
	c := newContract(t, text)
	require.Empty(t, c.problems(c.ValidateDocument()))
	require.Equal(t, "3.0.3", c.root["openapi"])
	require.NotContains(t, string(text), "<<:", "merge keys are of YAML 1.1")
	require.NotContains(t, string(text), "\t")
}

// The test fails if an endpoint, a method, a status, a header or a field of an answer is
// only in the handler or only in the document. Each example must be an answer that the
// handler gives.
func TestTheHandlerAndTheDocumentSayTheSame(t *testing.T) {
	c := newContract(t, httpapi.OpenAPI())
	produced, documented, said := set{}, set{}, set{}
	for _, e := range exchanges() {
		t.Run(fmt.Sprint(e.method, " ", e.path[:min(len(e.path), 60)], " ", e.name), func(t *testing.T) {
			problems, header, answer := c.try(t, e)
			assert.Equal(t, e.wrong, len(problems) > 0, "the problems of the document with the request: %q", problems)
			path, _, _ := strings.Cut(e.path, "?")
			key := fmt.Sprint(e.method, " ", path, " ", e.status)
			produced.add(key)
			for name, values := range header {
				if name == "Etag" {
					assert.Regexp(t, `^"[0-9a-f]{32}"$`, values[0]) // the validator removes the quotes
				}
				if name != "Content-Type" {
					produced.add(key + " header " + name)
				}
			}
			if len(answer) == 0 {
				return
			}
			var value any
			require.NoError(t, json.Unmarshal(answer, &value))
			said.add(key + encode(t, value))
			if e.status >= 400 {
				assert.EqualValues(t, e.status, value.(map[string]any)["code"])
			}
			if !e.open {
				produced.add(members(value, key+" ")...)
			}
		})
	}
	c.each(func(key string, response, content map[string]any) {
		documented.add(key)
		for name := range c.at(response, "headers") {
			documented.add(key + " header " + http.CanonicalHeaderKey(name))
		}
		documented.add(c.properties(content["schema"], key+" ")...)
		if content != nil {
			assert.Contains(t, said, key+encode(t, content["example"]), "the handler never says so")
		}
	})
	assert.Equal(t, documented.sorted(), produced.sorted())
	require.Len(t, c.at(c.root, "paths"), 8)
}

// Two answers belong to no operation, since they are for paths and methods that are not
// listed. The test adds these to the document, with only that answer.
func TestWhatTheDocumentDoesNotListIsAnsweredAsItSays(t *testing.T) {
	const unknown = "/misc/none"
	c := newContract(t, httpapi.OpenAPI())
	paths, responses := c.at(c.root, "paths"), c.at(c.root, "x-responses")
	paths[unknown] = map[string]any{}
	examples, said := set{}, set{}
	var all []exchange
	for path := range paths {
		item := c.at(paths, path)
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
			if item[strings.ToLower(method)] != nil {
				continue
			}
			e, response := exchange{method: method, path: path, status: 405}, c.at(responses, "MethodNotAllowed")
			if path == unknown {
				e.status, response = 404, c.at(responses, "NotFound")
			}
			item[strings.ToLower(method)] = map[string]any{"responses": map[string]any{strconv.Itoa(e.status): response}}
			examples.add(encode(t, c.at(response, "content", "application/json")["example"]))
			all = append(all, e)
		}
	}
	text, err := yaml.Marshal(c.root)
	require.NoError(t, err)
	c = newContract(t, text)
	for _, e := range all {
		t.Run(e.method+" "+e.path, func(t *testing.T) {
			_, _, answer := c.try(t, e)
			said.add(string(answer))
		})
	}
	require.Len(t, examples, 2)
	require.Subset(t, said.sorted(), examples.sorted(), "the handler never says so")
}

// The handler reads each documented field of a request, and requires no others.
func TestTheHandlerReadsTheDocumentedFields(t *testing.T) {
	c := newContract(t, httpapi.OpenAPI())
	for path, good := range fields {
		schema := c.at(c.root, "paths", path, "post", "requestBody", "content", "application/json", "schema")
		declared := c.at(schema, "properties")
		require.Equal(t, slices.Sorted(maps.Keys(good)), slices.Sorted(maps.Keys(declared)))
		required, _ := schema["required"].([]any)
		for name := range declared {
			missing := 200
			if slices.Contains(required, any(name)) {
				missing = 400
			}
			for value, status := range map[string]int{"[]": 400, "": missing, "null": missing} {
				problems, _, _ := c.try(t, exchange{method: "POST", path: path, body: body(path, name, value), status: status})
				assert.Equal(t, status == 400, len(problems) > 0, "%s %s %s: %q", path, name, value, problems)
			}
		}
	}
}

const apiSquare = `[{"id":"2iwWTQPgC","type":"group"},{"id":"kFpN4KiZn","type":"chatroom","name":"聊天室 I"}]`

// The answers, and the request, that the API document shows.
var apiDocument = map[string]string{
	"GET /misc/latest_update 200":       releaseJSON,
	"GET /misc/client_version 200":      clientsJSON,
	"GET /misc/mobile_version 200":      `{"code":200,"result":` + clientsJSON + `}`,
	"GET /misc/demo_square 200":         `{"code":200,"result":` + apiSquare + `}`,
	"POST /misc/send_message":           `{"conversationType":"PRIVATE","targetId":"DS9ahdanm","objectName":"RC:TxtMsg","content":"你好,Martin","pushContent":"push 内容"}`,
	"POST /misc/send_message 200":       `{"code":"200"}`,
	"POST /misc/set_screen_capture 200": `{"code":200}`,
	"POST /misc/get_screen_capture 200": `{"code":200,"result":{"status":0}}`,
	"POST /misc/send_sc_msg 200":        `{"code":200}`,
}

func TestTheExamplesAreThoseOfTheAPIDocumentAndAnswered(t *testing.T) {
	c := newContract(t, httpapi.OpenAPI())
	examples := map[string]string{}
	c.each(func(key string, _, content map[string]any) {
		if content != nil && strings.HasSuffix(key, " 200") {
			examples[key] = encode(t, content["example"])
		}
	})
	for path := range fields {
		example := encode(t, c.at(c.root, "paths", path, "post", "requestBody", "content", "application/json")["example"])
		if path == "/misc/send_message" { // the others are tables in the API document
			examples["POST "+path] = example
		}
		problems, _, answer := c.try(t, exchange{method: "POST", path: path, body: example, status: 200, arrange: func(h *host) {
			h.misc.Relations = misctest.NewRelations(misctest.World{Friends: [][2]string{{alice, "DS9ahdanm"}}})
		}})
		assert.Empty(t, problems, path)
		assert.JSONEq(t, apiDocument["POST "+path+" 200"], string(answer))
	}
	require.Equal(t, slices.Sorted(maps.Keys(apiDocument)), slices.Sorted(maps.Keys(examples)))
	for name, want := range apiDocument {
		assert.JSONEq(t, want, examples[name], name)
	}
}
