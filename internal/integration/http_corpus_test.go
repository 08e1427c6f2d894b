//go:build unix

package integration_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
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

// A corpusCase is a body, and the status with which each POST must answer it.
type corpusCase struct {
	Name   string
	Body   []fragment
	UTF16  string         // if le or be, the body is in this form, after a byte order mark
	Limit  int64          // of the handler; 0 means the default
	Status map[string]int // by endpoint, * for the others
}

// A fragment is text, which may be repeated, or bytes in hexadecimal. In the text,
// $FIELDS, $TYPE, $TARGET, $REST (the fields except the conversation type) and $OTHERS
// (the fields except targetId) stand for
// those of a good body.
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
		b.WriteString(strings.Repeat(replace.Replace(f.Text), max(f.Times, 1)))
		b.Write(must(hex.DecodeString(f.Hex)))
	}
	if c.UTF16 == "" {
		return b.String()
	}
	var order binary.AppendByteOrder = binary.BigEndian
	if c.UTF16 == "le" {
		order = binary.LittleEndian
	}
	var units []byte
	for _, unit := range append([]uint16{0xFEFF}, utf16.Encode([]rune(b.String()))...) {
		units = order.AppendUint16(units, unit)
	}
	return string(units)
}

func (c corpusCase) want(path string) int {
	if status, ok := c.Status[strings.TrimPrefix(path, "/misc/")]; ok {
		return status
	}
	return c.Status["*"]
}

// allocatedAtMost returns how many bytes the handler may allocate for a request: 64 for
// each byte of the body, and a fixed number.
func allocatedAtMost(body string) uint64 { return uint64(64<<10 + 64*len(body)) }

func TestNoBodyBreaksAPost(t *testing.T) {
	text, err := os.ReadFile("testdata/corpus.json")
	require.NoError(t, err)
	var corpus []corpusCase
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&corpus))
	for _, c := range corpus {
		t.Run(c.Name, func(t *testing.T) {
			for path := range fields {
				text := c.body(path)
				var h *host
				var w *httptest.ResponseRecorder
				r, allocated := asAlice(t.Context(), "POST", path, text), ^uint64(0)
				for try := 0; try < 3 && allocated > allocatedAtMost(text); try++ { // other tests may still be cleaning up
					h, r, w = newHost(t), asAlice(t.Context(), "POST", path, text), httptest.NewRecorder()
					h.http.MaxBodyBytes = c.Limit
					handler := h.handler(t)
					var before, after runtime.MemStats
					runtime.ReadMemStats(&before)
					handler.ServeHTTP(w, r)
					runtime.ReadMemStats(&after)
					allocated = after.TotalAlloc - before.TotalAlloc
				}
				wantDocumented(t, r, w, path)
				assert.LessOrEqual(t, allocated, allocatedAtMost(text), path)
				assert.Equal(t, c.want(path), w.Code, "%s: %.200q: %s", path, text, w.Body)
				assert.Less(t, w.Code, 500, path)
				assert.Less(t, w.Body.Len(), 300, path)
				assert.True(t, utf8.Valid(w.Body.Bytes()), path)
				assert.Empty(t, h.log.Take(), path)
				var answer struct{ Code any }
				require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer), path)
				sent, stored := 0, misc.NoticeOff
				switch {
				case w.Code != 200:
					assert.EqualValues(t, w.Code, answer.Code, path)
				case path == "/misc/set_screen_capture":
					sent, stored = 1, misc.NoticeOn
				case path != "/misc/get_screen_capture":
					sent = 1
				}
				assert.Len(t, h.cloud.Delivered(), sent, path)
				assert.Equal(t, stored, h.captures(t, misc.PrivateConversation(alice, bob)), path)
				assert.Equal(t, misc.NoticeOff, h.captures(t, misc.GroupConversation(team)), path)
				assert.Equal(t, misc.NoticeOff, h.captures(t, misc.PrivateConversation(alice, stranger)), path)
			}
		})
	}
}
