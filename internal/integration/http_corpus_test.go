//go:build unix

package integration_test

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
)

// A corpusCase is a body and the status that each POST must answer it with.
type corpusCase struct {
	Name   string
	Body   []fragment
	UTF16  string         // le or be: the body in that form, behind a byte order mark
	Limit  int64          // of the handler; 0 is the default
	Status map[string]int // by endpoint, * for the others
}

// A fragment is text, with $FIELDS, $TYPE, $TARGET and $REST (the fields but
// the conversation type) standing for those of a good body, repeated, or bytes
// in hexadecimal.
type fragment struct {
	Text  string
	Times int
	Hex   string
}

func (f *fragment) UnmarshalJSON(data []byte) error {
	if data[0] == '"' {
		return json.Unmarshal(data, &f.Text)
	}
	type object fragment
	return json.Unmarshal(data, (*object)(f))
}

func (c corpusCase) body(path string) string {
	all := body(path)
	kind := fields[path]["conversationType"]
	replace := strings.NewReplacer("$FIELDS", all[1:len(all)-1], "$TYPE", kind, "$TARGET", bob,
		"$REST", strings.Replace(strings.Trim(all, "{}"), `"conversationType":`+kind+`,`, "", 1),
		"$OTHERS", strings.Trim(body(path, "targetId", ""), "{}"))
	var b strings.Builder
	for _, f := range c.Body {
		raw, err := hex.DecodeString(f.Hex)
		if err != nil {
			panic(err)
		}
		b.WriteString(strings.Repeat(replace.Replace(f.Text), max(f.Times, 1)) + string(raw))
	}
	if c.UTF16 == "" {
		return b.String()
	}
	var units []byte
	for _, unit := range append([]uint16{0xFEFF}, utf16.Encode([]rune(b.String()))...) {
		high, low := byte(unit>>8), byte(unit)
		if c.UTF16 == "le" {
			high, low = low, high
		}
		units = append(units, high, low)
	}
	return string(units)
}

func (c corpusCase) want(path string) int {
	if status, ok := c.Status[strings.TrimPrefix(path, "/misc/")]; ok {
		return status
	}
	return c.Status["*"]
}

// What a body may make the handler allocate: this many bytes for each of its
// own, and something for a request at all.
const (
	allocatedPerByte    = 64
	allocatedPerRequest = 64 << 10
)

func TestNoBodyBreaksAPost(t *testing.T) {
	text, err := os.ReadFile("testdata/corpus.json")
	require.NoError(t, err)
	var corpus []corpusCase
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&corpus))
	for _, c := range corpus {
		t.Run(c.Name, func(t *testing.T) {
			for path := range fields {
				text := c.body(path)
				var h *host
				var w *httptest.ResponseRecorder
				var r *http.Request
				limit, allocated := uint64(allocatedPerRequest+allocatedPerByte*len(text)), ^uint64(0)
				for range 3 { // other tests may still be cleaning up
					h = newHost(t)
					h.http.MaxBodyBytes = c.Limit
					handler := h.handler(t)
					r = asAlice(t.Context(), "POST", path, text)
					w = httptest.NewRecorder()
					var before, after runtime.MemStats
					runtime.ReadMemStats(&before)
					handler.ServeHTTP(w, r)
					runtime.ReadMemStats(&after)
					allocated = min(allocated, after.TotalAlloc-before.TotalAlloc)
					if allocated <= limit {
						break
					}
				}
				wantDocumented(t, r, w, path)
				assert.LessOrEqual(t, allocated, limit, path)
				assert.Equal(t, c.want(path), w.Code, "%s: %.200q: %s", path, text, w.Body)
				assert.Less(t, w.Code, 500, path)
				assert.Less(t, w.Body.Len(), 300, path)
				assert.True(t, utf8.Valid(w.Body.Bytes()), path)
				assert.Empty(t, h.log.Take(), path)
				var answer struct{ Code any }
				require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer), path)
				if w.Code != 200 {
					assert.EqualValues(t, w.Code, answer.Code, path)
				}
				sent, stored := 0, misc.NoticeOff
				if w.Code == 200 && path != "/misc/get_screen_capture" {
					sent = 1
				}
				if w.Code == 200 && path == "/misc/set_screen_capture" {
					stored = misc.NoticeOn
				}
				assert.Len(t, h.cloud.Delivered(), sent, path)
				assert.Equal(t, stored, h.captures(t, misc.PrivateConversation(alice, bob)), path)
				assert.Equal(t, misc.NoticeOff, h.captures(t, misc.GroupConversation(team)), path)
				assert.Equal(t, misc.NoticeOff, h.captures(t, misc.PrivateConversation(alice, stranger)), path)
			}
		})
	}
}
