package misc_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/misctest"
)

const (
	alice   = "alice"
	bob     = "bob"
	mallory = "mallory"
	team    = "team"
)

// service returns a Service with the parts in cfg, and fakes for the others: alice
// and bob are friends and the members of team.
func service(t *testing.T, cfg misc.Config) *misc.Service {
	t.Helper()
	if cfg.Versions == nil {
		cfg.Versions = &source{}
	}
	if cfg.Relations == nil && cfg.Store == nil {
		cfg.Relations = relations()
	}
	if cfg.Captures == nil && cfg.Store == nil {
		cfg.Captures = misc.NewMemoryStore()
	}
	if cfg.Messenger == nil {
		cfg.Messenger = &misctest.Messenger{}
	}
	svc, err := misc.New(cfg)
	require.NoError(t, err)
	return svc
}

func relations() misc.Relations {
	return misctest.NewRelations(misctest.World{
		Friends: [][2]string{{alice, bob}},
		Groups:  map[string][]string{team: {alice, bob}},
	})
}

var contents = []struct {
	name, objectName, content, want string
	err                             error
}{
	{name: "text", objectName: "RC:TxtMsg", content: `"你好,Martin"`, want: `{"content":"你好,Martin"}`},
	{name: "text is not escaped for HTML", objectName: "RC:TxtMsg", content: `"a<b> & \"c\"\n"`, want: `{"content":"a<b> & \"c\"\n"}`},
	{name: "text that is a number", objectName: "RC:TxtMsg", content: `"42"`, want: `{"content":"42"}`},
	{name: "text that is null", objectName: "RC:TxtMsg", content: `"null"`, want: `{"content":"null"}`},
	{name: "text that is JSON of another form", objectName: "RC:TxtMsg", content: `"{\"text\":\"hi\"}"`, want: `{"content":"{\"text\":\"hi\"}"}`},
	{name: "text that is an array", objectName: "RC:TxtMsg", content: `"[\"content\"]"`, want: `{"content":"[\"content\"]"}`},
	{name: "text whose content is no string", objectName: "RC:TxtMsg", content: `"{\"content\":1}"`, want: `{"content":"{\"content\":1}"}`},
	{name: "text whose key differs in case", objectName: "RC:TxtMsg", content: `"{\"Content\":\"hi\"}"`, want: `{"content":"{\"Content\":\"hi\"}"}`},
	{name: "text with something behind the object", objectName: "RC:TxtMsg", content: `"{\"content\":\"hi\"}!"`, want: `{"content":"{\"content\":\"hi\"}!"}`},
	{name: "the cloud's own form in a string", objectName: "RC:TxtMsg", content: `"{ \"content\": \"hi\", \"extra\": 1 }"`, want: `{ "content": "hi", "extra": 1 }`},
	{name: "an object goes out byte for byte", objectName: "RC:ImgTextMsg", content: `{ "title":"a\u003cb", "url":"https://x.test/?a=1&b=2","n":1.50 }`, want: `{ "title":"a\u003cb", "url":"https://x.test/?a=1&b=2","n":1.50 }`},
	{name: "an object of a text message too", objectName: "RC:TxtMsg", content: `{"text":1}`, want: `{"text":1}`},
	{name: "an empty object", objectName: "RC:TxtMsg", content: `{}`, want: `{}`},
	{name: "a string of another type goes out as it came", objectName: "RC:ImgMsg", content: `"{\"imageUri\":\"x\"}"`, want: `{"imageUri":"x"}`},
	{name: "plain text of another type too", objectName: "my:type", content: `"hi"`, want: `hi`},
	{name: "the name of a type is exact", objectName: "rc:txtmsg", content: `"hi"`, want: `hi`},
	{name: "empty", objectName: "RC:TxtMsg", content: `""`, err: misc.ErrInvalidContent},
	{name: "nothing", objectName: "RC:TxtMsg", content: ``, err: misc.ErrInvalidContent},
	{name: "null", objectName: "RC:TxtMsg", content: `null`, err: misc.ErrInvalidContent},
	{name: "number", objectName: "my:type", content: `1`, err: misc.ErrInvalidContent},
	{name: "true", objectName: "my:type", content: `true`, err: misc.ErrInvalidContent},
	{name: "array", objectName: "my:type", content: `["a"]`, err: misc.ErrInvalidContent},
	{name: "broken object", objectName: "my:type", content: `{"a":`, err: misc.ErrInvalidContent},
	{name: "white space that JSON has not", objectName: "my:type", content: "{}\f", err: misc.ErrInvalidContent},
	{name: "white space that JSON has", objectName: "my:type", content: " \t\r\n{ } \t\r\n", want: "{ }"},
	{name: "broken string", objectName: "my:type", content: `"a`, err: misc.ErrInvalidContent},
	{name: "as long as it may be", objectName: "my:type", content: `"` + strings.Repeat("a", misc.MaxContent) + `"`, want: strings.Repeat("a", misc.MaxContent)},
	{name: "too long", objectName: "my:type", content: `"` + strings.Repeat("a", misc.MaxContent+1) + `"`, err: misc.ErrContentTooLong},
	{name: "too long an object", objectName: "my:type", content: `{"a":"` + strings.Repeat("a", misc.MaxContent) + `"}`, err: misc.ErrContentTooLong},
	{name: "what goes out counts, not what came in", objectName: "RC:TxtMsg", content: `"` + strings.Repeat("a", misc.MaxContent-len(`{"content":""}`)+1) + `"`, err: misc.ErrContentTooLong},
	{name: "escapes do not count", objectName: "my:type", content: `"` + strings.Repeat(`\u0061`, misc.MaxContent) + `"`, want: strings.Repeat("a", misc.MaxContent)},
}

func TestOutgoingContent(t *testing.T) {
	for _, test := range contents {
		t.Run(test.name, func(t *testing.T) {
			got, err := misc.OutgoingContent(test.objectName, json.RawMessage(test.content))
			if test.err != nil {
				assert.ErrorIs(t, err, test.err)
				assert.Zero(t, len(got))
				return
			}
			require.NoError(t, err)
			assert.Equal(t, test.want, got)
		})
	}
}

func TestMentions(t *testing.T) {
	for content, want := range map[string]bool{
		`{"content":"hi","mentionedInfo":{"type":1}}`: true,
		`{"mentionedInfo":{}}`:                        true,
		`{"mentionedInfo":null}`:                      false,
		`{"mentionedInfo":"all"}`:                     false,
		`{"mentionedInfo":[]}`:                        false,
		`{"MentionedInfo":{}}`:                        false,
		`{"content":{"mentionedInfo":{}}}`:            false,
		`{"content":"hi"}`:                            false,
		`["mentionedInfo"]`:                           false,
		`mentionedInfo`:                               false,
		`{"mentionedInfo":{}}!`:                       false,
		``:                                            false,
	} {
		assert.Equal(t, want, misc.Mentions(content), content)
	}
}

func FuzzOutgoingContent(f *testing.F) {
	for _, test := range contents {
		if len(test.content) < 1000 {
			f.Add(test.objectName, test.content)
		}
	}
	f.Add("RC:TxtMsg", `"{\"content\":\"hi\",\"mentionedInfo\":{}}"`)
	f.Add("RC:TxtMsg", `"\ud800"`)
	f.Fuzz(func(t *testing.T, objectName, content string) {
		out, err := misc.OutgoingContent(objectName, json.RawMessage(content))
		misc.Mentions(content)
		switch {
		case err != nil:
			require.Empty(t, out)
			require.True(t, errors.Is(err, misc.ErrInvalidContent) || errors.Is(err, misc.ErrContentTooLong))
		case objectName == "RC:TxtMsg":
			var fields map[string]json.RawMessage
			require.NoError(t, json.Unmarshal([]byte(out), &fields), "a text message must go out as an object")
		case strings.HasPrefix(strings.TrimLeft(content, " \t\r\n"), "{"):
			require.True(t, json.Valid([]byte(content)))
			require.Equal(t, strings.Trim(content, " \t\r\n"), out)
		default:
			var text string
			require.NoError(t, json.Unmarshal([]byte(content), &text))
			require.Equal(t, text, out)
		}
	})
}

func TestSendMessage(t *testing.T) {
	message := func(change func(*misc.Message)) misc.Message {
		m := misc.Message{Type: misc.Private, From: alice, To: bob, ObjectName: "RC:TxtMsg", Content: `{"content":"hi"}`, PushContent: "push"}
		if change != nil {
			change(&m)
		}
		return m
	}
	mention := `{"content":"hi","mentionedInfo":{"type":1}}`
	toTeam := func(m *misc.Message) { m.Type, m.To = misc.Group, team }
	for _, test := range []struct {
		name string
		m    misc.Message
		sent func(*misc.Message) // changes m to what is sent; nil if nothing is sent
		code misc.Code
		want string // the field, and the problem with it
	}{
		{name: "to a friend", m: message(nil), sent: func(*misc.Message) {}},
		{name: "to a group", m: message(toTeam), sent: func(*misc.Message) {}},
		{name: "a mention in a group", m: message(func(m *misc.Message) { toTeam(m); m.Content = mention }), sent: func(m *misc.Message) { m.Mentioned = true }},
		{name: "a mention in private is none", m: message(func(m *misc.Message) { m.Content = mention; m.Mentioned = true }), sent: func(m *misc.Message) { m.Mentioned = false }},
		{name: "the longest type name, in characters", m: message(func(m *misc.Message) { m.ObjectName = strings.Repeat("你", 32) }), sent: func(*misc.Message) {}},
		{name: "the shortest type name", m: message(func(m *misc.Message) { m.ObjectName = "x" }), sent: func(*misc.Message) {}},
		{name: "a type name too long", m: message(func(m *misc.Message) { m.ObjectName = strings.Repeat("a", 33) }), code: misc.CodeInvalid, want: "objectName: objectName must be 1 to 32 characters"},
		{name: "a type name with a line break", m: message(func(m *misc.Message) { m.ObjectName = "my:\ntype" }), code: misc.CodeInvalid, want: "objectName: objectName must be 1 to 32 characters"},
		{name: "a type name with NUL", m: message(func(m *misc.Message) { m.ObjectName = "my\x00" }), code: misc.CodeInvalid, want: "objectName: objectName must be 1 to 32 characters"},
		{name: "a type name of white space", m: message(func(m *misc.Message) { m.ObjectName = " \u3000" }), code: misc.CodeInvalid, want: "objectName: objectName must be 1 to 32 characters"},
		{name: "a type name with a space", m: message(func(m *misc.Message) { m.ObjectName = "my type" }), sent: func(*misc.Message) {}},
		{name: "no type name", m: message(func(m *misc.Message) { m.ObjectName = "" }), code: misc.CodeInvalid, want: "objectName: objectName must be 1 to 32 characters"},
		{name: "no content", m: message(func(m *misc.Message) { m.Content = "" }), code: misc.CodeInvalid, want: "content: content must be"},
		{name: "content too long", m: message(func(m *misc.Message) { m.Content = strings.Repeat("a", misc.MaxContent+1) }), code: misc.CodeInvalid, want: "content: content must be at most 128 KiB"},
		{name: "no target", m: message(func(m *misc.Message) { m.To = "" }), code: misc.CodeInvalid, want: "targetId: targetId must have 1 to 256 bytes"},
		{name: "a target too long", m: message(func(m *misc.Message) { m.To = strings.Repeat("b", 257) }), code: misc.CodeInvalid, want: "targetId: "},
		{name: "the longest target", m: message(func(m *misc.Message) { m.To = strings.Repeat("b", 256) }), code: misc.CodeNotFriend},
		{name: "the shortest ids", m: message(func(m *misc.Message) { m.From, m.To = "a", "b" }), code: misc.CodeNotFriend},
		{name: "no sender", m: message(func(m *misc.Message) { m.From = "" }), code: misc.CodeInternal, want: "the logged-in user: "},
		{name: "a sender too long", m: message(func(m *misc.Message) { m.From = strings.Repeat("a", 257) }), code: misc.CodeInternal, want: "the logged-in user: "},
		{name: "type 0", m: message(func(m *misc.Message) { m.Type = 0 }), code: misc.CodeUnsupportedType},
		{name: "type 2", m: message(func(m *misc.Message) { m.Type = 2 }), code: misc.CodeUnsupportedType},
		{name: "to a stranger", m: message(func(m *misc.Message) { m.To = mallory }), code: misc.CodeNotFriend},
		{name: "to a group as a friend", m: message(func(m *misc.Message) { m.To = team }), code: misc.CodeNotFriend},
		{name: "to oneself", m: message(func(m *misc.Message) { m.To = alice }), code: misc.CodeNotFriend},
		{name: "to a group of others", m: message(func(m *misc.Message) { toTeam(m); m.From = mallory }), code: misc.CodeNotMember},
		{name: "to a friend as a group", m: message(func(m *misc.Message) { m.Type = misc.Group }), code: misc.CodeNotMember},
	} {
		t.Run(test.name, func(t *testing.T) {
			cloud := &misctest.Messenger{}
			err := service(t, misc.Config{Messenger: cloud, InsecureOpenScreenCapture: true}).SendMessage(t.Context(), test.m)
			if test.sent == nil {
				assert.Equal(t, test.code, misc.CodeOf(err))
				assert.ErrorContains(t, err, "misc: "+string(test.code))
				assert.ErrorContains(t, err, test.want)
				assert.Empty(t, cloud.Delivered())
				return
			}
			require.NoError(t, err)
			test.sent(&test.m)
			assert.Equal(t, []misc.Message{test.m}, cloud.Delivered())
		})
	}
}
