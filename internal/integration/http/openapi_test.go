package http_test

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
	"strings"
	"testing"
	"time"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	faults "github.com/pb33f/libopenapi-validator/errors"
	"github.com/pb33f/libopenapi/datamodel/high/base"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/catalog"
	"github.com/sealtalk-go/misc/httpapi"
	"github.com/sealtalk-go/misc/internal/integration/testhost"
	"github.com/sealtalk-go/misc/misctest"
)

// Which request gets which answer is tested in httpapi. The tests here compare the
// handler with its OpenAPI document, through a validator: there is a request for each
// answer that the document has, and for each limit that it sets to a field.

// An exchange is a request from alice, and the status that its answer must have.
type exchange struct {
	name               string
	method, path, body string
	change             func(*http.Request)
	arrange            func(*testhost.Host)
	status             int
	wrong              bool // the document does not allow the request
	open               bool // the answer has further keys, which are passed through
}

// fields are the fields of a good body of each POST, as JSON.
var fields = map[string]map[string]string{
	"/misc/send_message":       {"conversationType": `"PRIVATE"`, "targetId": `"` + testhost.Bob + `"`, "objectName": `"RC:TxtMsg"`, "content": `"hi"`, "pushContent": `"push"`},
	"/misc/set_screen_capture": {"conversationType": `1`, "targetId": `"` + testhost.Bob + `"`, "noticeStatus": `1`},
	"/misc/get_screen_capture": {"conversationType": `1`, "targetId": `"` + testhost.Bob + `"`},
	"/misc/send_sc_msg":        {"conversationType": `1`, "targetId": `"` + testhost.Bob + `"`},
}

// body returns the good body of a POST with a value replaced. If the value is empty, the
// field is left out.
func body(path, field, value string) string {
	all := maps.Clone(fields[path])
	all[field] = value
	var members []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if all[name] != "" {
			members = append(members, `"`+name+`":`+all[name])
		}
	}
	return "{" + strings.Join(members, ",") + "}"
}

func versionExchanges(exampleSquare string) (all []exchange) {
	failing := func(err error) func(*testhost.Host) {
		return func(h *testhost.Host) { h.Misc.Versions, h.Misc.Square = failure{err}, failure{err} }
	}
	files := func(release, clients string) func(*testhost.Host) {
		return func(h *testhost.Host) {
			h.Misc.Versions = testhost.Must(misc.NewStaticVersions(
				testhost.Must(catalog.ParseRelease([]byte(release))), testhost.Must(catalog.ParseClientVersions([]byte(clients)))))
		}
	}
	square := func(file string) func(*testhost.Host) {
		return func(h *testhost.Host) { h.Misc.Square = testhost.SquareOf(file) }
	}
	const latest, tooLarge = "/misc/latest_update?version=", "9007199254740992.0.0" // which a pattern cannot tell
	list := []exchange{
		{name: "all parameters", path: latest + "1.0.0&platform=win32&arch=arm64&os_version=10.0.1&channel=beta&id=x", status: 200},
		{name: "two versions", path: latest + "1.0.0&version=1.0.1", status: 400}, // a schema is applied to each alone
		{name: "no version", path: "/misc/latest_update", status: 400, wrong: true},
		{name: "the least release", path: latest + "1.0.0", status: 200, arrange: files(`{"version":"v2.0.0-rc.1","url":"https://example.com/a%20b"}`, testhost.Clients)},
		{name: "a release with a time", path: latest + "1.0.0", status: 200, arrange: files(`{"version":"2.0.0","url":"https://example.com","pub_date":"2017-05-05T06:07:08+08:00"}`, testhost.Clients)},
		{name: "a release with more", path: latest + "1.0.0", status: 200, open: true, arrange: files(`{"version":"2.0.0","url":"https://example.com","sha256":"00","x":[1]}`, testhost.Clients)},
		{name: "a failing source", path: latest + "1.0.0", status: 500, arrange: failing(errors.New("no disk"))},
	}
	for status, versions := range map[int][]string{
		200: {"1.0.0", "v1.0.1", "1.0.2-beta.1+exp.sha-5"},
		204: {"1.0.2+5", "9007199254740991.0.0"},
		400: {"", "1.0", "1.0.0.0", "01.0.0", "1.0.0-01", "1.0.0-a..b", "1.0.0+", "latest", "1.0.0 ", "1.0.0-" + strings.Repeat("x", 251), tooLarge},
	} {
		for _, v := range versions {
			list = append(list, exchange{name: "version " + v, path: latest + url.QueryEscape(v), status: status, wrong: status == 400 && v != tooLarge})
		}
	}
	for _, path := range []string{"/misc/client_version", "/misc/mobile_version", "/misc/demo_square"} {
		list = append(list,
			exchange{name: "new", path: path, status: 200},
			exchange{name: "held", path: path, status: 304, change: func(r *http.Request) { r.Header.Set("If-None-Match", "*") }},
			exchange{name: "with more", path: path, status: 200, open: true, arrange: func(h *testhost.Host) {
				files(testhost.Release, strings.Replace(testhost.Clients, `{"iOS":{`, `{"x":1,"iOS":{"sha256":"00",`, 1))(h)
				square(`[{"id":"a","type":"group","x":1}]`)(h)
			}},
			exchange{name: "Android with a build", path: path, status: 200, arrange: files(testhost.Release, strings.Replace(testhost.Clients, `"Android":{`, `"Android":{"build":"201607181821",`, 1))},
			exchange{name: "a failing source", path: path, status: 500, arrange: failing(errors.New("no disk"))},
		)
	}
	list = append(list,
		exchange{name: "the example", path: "/misc/demo_square", status: 200, arrange: square(exampleSquare)},
		exchange{name: "empty", path: "/misc/demo_square", status: 200, open: true, arrange: square(`[]`)},
		exchange{name: "no list", path: "/misc/demo_square", status: 404, arrange: failing(misc.ErrNoSquare)},
	)
	for _, e := range list {
		for _, e.method = range []string{"GET", "HEAD"} {
			all = append(all, e)
		}
	}
	return all
}

func postExchanges(path string) []exchange {
	const targetID = "targetId"
	good, stranger := body(path, "", ""), `"`+testhost.Stranger+`"`
	list := []exchange{
		{name: "with more", body: body(path, "x", "[1]"), status: 200},
		{name: "not logged in", body: good, status: 403, wrong: true, change: func(r *http.Request) { r.Header.Del("Cookie") }},
		{name: "to a stranger", body: body(path, targetID, stranger), status: 403},
		{name: "too long", body: body(path, "x", `"`+strings.Repeat("x", 256<<10)+`"`), status: 413},
		{name: "no media type", body: good, status: 415, wrong: true, change: func(r *http.Request) { r.Header.Del("Content-Type") }},
		{name: "compressed", body: good, status: 415, change: func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }},
		{name: "a failing part", body: good, status: 500, arrange: func(h *testhost.Host) {
			h.HTTP.CurrentUser = func(*http.Request) (string, error) { return "", errors.New("no database") }
		}},
		{name: "nothing", body: "", status: 400, wrong: true},
		{name: "no target", body: body(path, targetID, ""), status: 400, wrong: true},
		{name: "an array", body: "[]", status: 400, wrong: true},
		{name: "two values", body: good + "{}", status: 400, wrong: true},
	}
	value := func(status int, wrong bool, name string, values ...string) {
		for _, v := range values {
			list = append(list, exchange{name: fmt.Sprintf("%s %.20s", name, v), body: body(path, name, v), status: status, wrong: wrong})
		}
	}
	value(400, true, targetID, `""`, `7`)
	if path != "/misc/send_message" {
		value(200, false, "conversationType", `"1"`, `1.0`)
		value(400, true, "conversationType", `"PRIVATE"`, `1.5`, `"01"`, `"1.0"`, `"-0"`, `true`, `{}`)
	}
	switch path {
	case "/misc/send_message":
		value(200, false, "conversationType", `"PRIVATE"`)
		value(403, true, "conversationType", `"SYSTEM"`)
		value(400, true, "conversationType", `1`, `""`)
		value(400, false, "objectName", `" "`) // a schema only counts characters
		value(200, false, "objectName", `"`+strings.Repeat("型", 32)+`"`, `"`+strings.Repeat("🙂", 32)+`"`)
		value(400, true, "objectName", `""`, `7`, `"`+strings.Repeat("x", 33)+`"`)
		value(200, false, "content", `{"title":"x"}`, `{}`, `" "`)
		value(400, true, "content", `""`, `7`, `[{}]`, `"`+strings.Repeat("x", misc.MaxContent+1)+`"`)
		value(400, false, "content", `"`+strings.Repeat("型", misc.MaxContent/3)+`"`, `{"x":"`+strings.Repeat("x", misc.MaxContent)+`"}`) // a schema does not count bytes
		value(200, false, "pushContent", `""`)
		value(400, true, "pushContent", `7`)
		list = append(list, exchange{name: "with the number", body: good, status: 200, arrange: func(h *testhost.Host) { h.HTTP.NumericSendCode = true }})
	case "/misc/set_screen_capture":
		value(200, false, "noticeStatus", `0`, `"0"`, `"1"`)
		value(400, true, "noticeStatus", `2`, `"01"`, `true`)
		value(403, true, "conversationType", `7`, `"7"`)
	case "/misc/get_screen_capture":
		value(200, false, "conversationType", `7`, `"10"`, `-1`, `0`, `123456789012345678901234567890`)
		list = append(list, exchange{name: "switched on", body: good, status: 200, arrange: func(h *testhost.Host) {
			_ = h.Misc.Captures.SetScreenCapture(context.Background(), misc.PrivateConversation(testhost.Alice, testhost.Bob), misc.NoticeOn)
		}})
	case "/misc/send_sc_msg":
		value(403, true, "conversationType", `7`)
	}
	if path != "/misc/get_screen_capture" {
		for status, errs := range map[int][]error{429: {misc.ErrRateLimited, failure{misc.ErrRateLimited}}, 502: {misc.ErrRefused}, 504: {misc.ErrTimeout}} {
			for _, err := range errs {
				list = append(list, exchange{name: err.Error(), body: good, status: status, arrange: func(h *testhost.Host) { h.Cloud.Fail(err) }})
			}
		}
	}
	for i := range list {
		list[i].method, list[i].path = "POST", path
	}
	return list
}

// failure is a source that fails, and an error that says when a rate limit ends.
type failure struct{ err error }

func (f failure) Error() string                                { return f.err.Error() + " for some time" }
func (f failure) Unwrap() error                                { return f.err }
func (f failure) RetryAfter() time.Duration                    { return 1500 * time.Millisecond }
func (f failure) Square(context.Context) (*misc.Square, error) { return nil, f.err }
func (f failure) LatestRelease(context.Context, misc.UpdateQuery) (*misc.Release, error) {
	return nil, f.err
}
func (f failure) ClientVersions(context.Context) (*misc.ClientVersions, error) { return nil, f.err }

// A contract is the OpenAPI document, with a validator for it.
type contract struct {
	validator.Validator
	*v3.Document
}

func newContract(t *testing.T) contract {
	t.Helper()
	document, err := libopenapi.NewDocument(httpapi.OpenAPI())
	require.NoError(t, err)
	v, errs := validator.NewValidator(document, config.WithFormatAssertions())
	require.Empty(t, errs)
	model, err := document.BuildV3Model()
	require.NoError(t, err)
	return contract{v, &model.Model}
}

// try sends the request of e over TCP and checks the answer against the document. It
// returns the problems of the request, according to the document.
func (c contract) try(t *testing.T, e exchange) (problems []string, header http.Header, answer []byte) {
	t.Helper()
	h := testhost.New()
	if e.arrange != nil {
		e.arrange(h)
	}
	server := httptest.NewServer(h.Handler())
	defer server.Close()
	request := func() *http.Request {
		r := testhost.Request(t.Context(), e.method, server.URL+e.path, e.body)
		if e.change != nil {
			e.change(r)
		}
		return r
	}
	resp, text := testhost.Ask(t, server.Client(), request())
	require.Equal(t, e.status, resp.StatusCode, "%s %s %s: %s", e.method, e.path, e.body, text)
	resp.Body = io.NopCloser(strings.NewReader(text))
	assert.Empty(t, c.problems(c.ValidateHttpResponse(request(), resp)))
	return c.problems(c.ValidateHttpRequestSync(request())), resp.Header, []byte(text)
}

// problems returns in words what the validator has found.
func (contract) problems(_ bool, errs []*faults.ValidationError) (all []string) {
	for _, err := range errs {
		text := err.Message + ": " + err.Reason
		for _, failure := range err.SchemaValidationErrors {
			text += "; " + failure.FieldPath + " " + failure.Reason
		}
		all = append(all, text)
	}
	return all
}

// each calls f for each documented answer. The key is of the form "GET /misc/x 200", and
// content is nil if the answer has no body.
func (c contract) each(f func(key string, response *v3.Response, content *v3.MediaType)) {
	for path, item := range c.Paths.PathItems.FromOldest() {
		for method, operation := range item.GetOperations().FromOldest() {
			for status, response := range operation.Responses.Codes.FromOldest() {
				var content *v3.MediaType
				if response.Content != nil {
					content = response.Content.GetOrZero("application/json")
				}
				f(strings.ToUpper(method)+" "+path+" "+status, response, content)
			}
		}
	}
}

// request returns the schema of the body of a POST, and its example.
func (c contract) request(path string) (*base.Schema, any) {
	content := c.Paths.PathItems.GetOrZero(path).Post.RequestBody.Content.GetOrZero("application/json")
	var example any
	if err := content.Example.Decode(&example); err != nil {
		panic(err)
	}
	return content.Schema.Schema(), example
}

// properties adds the paths of all the properties that a schema declares.
func properties(s *base.Schema, under string, all map[string]bool) {
	if s.Items != nil && s.Items.A != nil {
		properties(s.Items.A.Schema(), under, all)
	}
	for name, property := range s.Properties.FromOldest() {
		all[under+"."+name] = true
		properties(property.Schema(), under+"."+name, all)
	}
}

// members adds the paths of all the members in a JSON value.
func members(value any, under string, all map[string]bool) {
	list, _ := value.([]any)
	for _, item := range list {
		members(item, under, all)
	}
	object, _ := value.(map[string]any)
	for name, member := range object {
		all[under+"."+name] = true
		members(member, under+"."+name, all)
	}
}

// encode returns v as JSON, with sorted keys.
func encode(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}

func TestTheDocumentIsValidOpenAPI(t *testing.T) {
	c, text := newContract(t), httpapi.OpenAPI()
	require.Empty(t, c.problems(c.ValidateDocument()))
	require.Equal(t, "3.0.3", c.Version)
	require.False(t, bytes.Contains(text, []byte("<<:")), "merge keys are of YAML 1.1")
	require.False(t, bytes.Contains(text, []byte("\t")))
}

// The test fails if an endpoint, a method, a status, a header or a field of an answer is
// only in the handler or only in the document. Each example must be an answer that the
// handler gives.
func TestTheHandlerAndTheDocumentSayTheSame(t *testing.T) {
	c := newContract(t)
	produced, documented, said := map[string]bool{}, map[string]bool{}, map[string]bool{}
	var square struct{ Result any }
	require.NoError(t, c.Paths.PathItems.GetOrZero("/misc/demo_square").Get.Responses.Codes.GetOrZero("200").Content.GetOrZero("application/json").Example.Decode(&square))
	all := versionExchanges(encode(t, square.Result))
	for path := range fields {
		all = append(all, postExchanges(path)...)
	}
	for _, e := range all {
		t.Run(fmt.Sprintf("%s %.60s %s", e.method, e.path, e.name), func(t *testing.T) {
			problems, header, answer := c.try(t, e)
			assert.Equal(t, e.wrong, len(problems) > 0, "the problems of the document with the request: %q", problems)
			path, _, _ := strings.Cut(e.path, "?")
			key := fmt.Sprint(e.method, " ", path, " ", e.status)
			produced[key] = true
			for name := range header {
				if !slices.Contains([]string{"Content-Type", "Content-Length", "Date"}, name) {
					produced[key+" header "+name] = true
				}
			}
			if len(answer) == 0 {
				return
			}
			var value any
			require.NoError(t, json.Unmarshal(answer, &value))
			said[key+encode(t, value)] = true
			if !e.open {
				members(value, key+" ", produced)
			}
		})
	}
	c.each(func(key string, response *v3.Response, content *v3.MediaType) {
		documented[key] = true
		for name := range response.Headers.FromOldest() {
			documented[key+" header "+http.CanonicalHeaderKey(name)] = true
		}
		if content != nil {
			properties(content.Schema.Schema(), key+" ", documented)
			var example any
			require.NoError(t, content.Example.Decode(&example))
			assert.True(t, said[key+encode(t, example)], "the handler never says so: %s", key)
		}
	})
	assert.Equal(t, slices.Sorted(maps.Keys(documented)), slices.Sorted(maps.Keys(produced)))
}

// Two answers belong to no operation, since they are for paths and methods that are not
// listed.
func TestWhatTheDocumentDoesNotListIsAnsweredAsItSays(t *testing.T) {
	var responses map[string]struct {
		Content map[string]struct{ Example any }
	}
	require.NoError(t, newContract(t).Extensions.GetOrZero("x-responses").Decode(&responses))
	for path, name := range map[string]string{"/misc/none": "NotFound", "/misc/send_message": "MethodNotAllowed"} {
		w := httptest.NewRecorder()
		testhost.New().Handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		assert.JSONEq(t, encode(t, responses[name].Content["application/json"].Example), w.Body.String())
	}
}

// The handler reads each documented field of a request, and requires no others.
func TestTheHandlerReadsTheDocumentedFields(t *testing.T) {
	c := newContract(t)
	for path, good := range fields {
		schema, example := c.request(path)
		require.Equal(t, slices.Sorted(maps.Keys(good)), slices.Sorted(schema.Properties.KeysFromOldest()))
		for name := range good {
			missing := 200
			if slices.Contains(schema.Required, name) {
				missing = 400
			}
			for value, status := range map[string]int{"[]": 400, "": missing, "null": missing} {
				problems, _, _ := c.try(t, exchange{method: "POST", path: path, body: body(path, name, value), status: status})
				assert.Equal(t, status == 400, len(problems) > 0, "%s %s %s: %q", path, name, value, problems)
			}
		}
		problems, _, _ := c.try(t, exchange{method: "POST", path: path, body: encode(t, example), status: 200, arrange: func(h *testhost.Host) {
			h.Misc.Relations = misctest.NewRelations(misctest.World{Friends: [][2]string{{testhost.Alice, "DS9ahdanm"}}})
		}})
		assert.Empty(t, problems, "the example of %s", path)
	}
}
