package httpapi_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
)

func notice(from string, t misc.ConversationType, to, operation string) misc.Message {
	return misc.Message{
		Type: t, From: from, To: to, ObjectName: "ST:ConNtf", IncludeSender: true,
		Content: `{"operatorUserId":"` + from + `","operation":"` + operation + `"}`,
	}
}

func TestWhatClientsSendIsAnswered(t *testing.T) {
	private, group := misc.PrivateConversation(bob, alice), misc.GroupConversation(team)
	message := func(t misc.ConversationType, to, objectName, content, push string) misc.Message {
		return misc.Message{Type: t, From: alice, To: to, ObjectName: objectName, Content: content, PushContent: push}
	}
	for _, test := range []struct {
		name, path, body string
		answer           string
		sent             *misc.Message
		on               *misc.Conversation // the conversation that is on afterwards; all are off before
	}{
		{
			name: "the document's message", path: "send_message",
			body:   `{"conversationType":"PRIVATE","targetId":"z2mlAvb0c","objectName":"RC:TxtMsg","content":"你好,Martin","pushContent":"push 内容"}`,
			answer: `{"code":"200"}`, sent: ptr(message(1, bob, "RC:TxtMsg", `{"content":"你好,Martin"}`, "push 内容")),
		},
		{
			name: "the iOS share extension", path: "send_message",
			body:   `{"conversationType":"GROUP","targetId":"JZlK4nOwb","objectName":"RC:ImgTextMsg","content":{"title":"t","content":"c","imageUri":"https:\/\/x.test\/a.png","url":"https://x.test/?a=1&b=<2>"}}`,
			answer: `{"code":"200"}`, sent: ptr(message(3, team, "RC:ImgTextMsg", `{"title":"t","content":"c","imageUri":"https:\/\/x.test\/a.png","url":"https://x.test/?a=1&b=<2>"}`, "")),
		},
		{
			name: "unknown fields, null and an empty push", path: "send_message",
			body:   `{"conversationType":"PRIVATE","targetId":"z2mlAvb0c","objectName":"x:y","content":"raw","pushContent":null,"extra":{"a":[1]},"TargetId":1}`,
			answer: `{"code":"200"}`, sent: ptr(message(1, bob, "x:y", "raw", "")),
		},
		{
			name: "the last of two equal fields counts", path: "send_message",
			body:   `{"conversationType":"GROUP","conversationType":"PRIVATE","targetId":"z2mlAvb0c","objectName":"x:y","content":"raw","pushContent":""}`,
			answer: `{"code":"200"}`, sent: ptr(message(1, bob, "x:y", "raw", "")),
		},
		{
			name: "a mention", path: "send_message",
			body:   `{"conversationType":"GROUP","targetId":"JZlK4nOwb","objectName":"RC:TxtMsg","content":{"content":"@all","mentionedInfo":{"type":1}}}`,
			answer: `{"code":"200"}`, sent: ptr(misc.Message{Type: 3, From: alice, To: team, ObjectName: "RC:TxtMsg", Content: `{"content":"@all","mentionedInfo":{"type":1}}`, Mentioned: true}),
		},
		{
			name: "32 characters, however long", path: "send_message",
			body:   `{"conversationType":"PRIVATE","targetId":"z2mlAvb0c","objectName":"` + strings.Repeat("你", 32) + `","content":"raw"}`,
			answer: `{"code":"200"}`, sent: ptr(message(1, bob, strings.Repeat("你", 32), "raw", "")),
		},
		{
			name: "on, in private", path: "set_screen_capture", body: `{"conversationType":1,"targetId":"z2mlAvb0c","noticeStatus":1}`,
			answer: `{"code":200}`, sent: ptr(notice(alice, 1, bob, "openScreenNtf")), on: &private,
		},
		{
			name: "on, in a group, as older callers ask", path: "set_screen_capture", body: `{"conversationType":"3","targetId":"JZlK4nOwb","noticeStatus":"1"}`,
			answer: `{"code":200}`, sent: ptr(notice(alice, 3, team, "openScreenNtf")), on: &group,
		},
		{
			name: "off", path: "set_screen_capture", body: `{"conversationType":1,"targetId":"z2mlAvb0c","noticeStatus":0}`,
			answer: `{"code":200}`, sent: ptr(notice(alice, 1, bob, "closeScreenNtf")),
		},
		{name: "never set", path: "get_screen_capture", body: `{"conversationType":1,"targetId":"z2mlAvb0c"}`, answer: `{"code":200,"result":{"status":0}}`},
		{name: "never set, in a group", path: "get_screen_capture", body: `{"conversationType":"3","targetId":"JZlK4nOwb"}`, answer: `{"code":200,"result":{"status":0}}`},
		{name: "the ultra groups Android asks for", path: "get_screen_capture", body: `{"conversationType":10,"targetId":"anything"}`, answer: `{"code":200,"result":{"status":0}}`},
		{name: "a number beyond all types", path: "get_screen_capture", body: `{"conversationType":99999999999999999999999,"targetId":"anything"}`, answer: `{"code":200,"result":{"status":0}}`},
		{name: "a target as long as it may be", path: "get_screen_capture", body: `{"conversationType":10,"targetId":"` + strings.Repeat("x", 256) + `"}`, answer: `{"code":200,"result":{"status":0}}`},
		{name: "a negative type", path: "get_screen_capture", body: `{"conversationType":"-1","targetId":"anything"}`, answer: `{"code":200,"result":{"status":0}}`},
		{name: "a screenshot, though the notices are off", path: "send_sc_msg", body: `{"conversationType":1,"targetId":"z2mlAvb0c"}`, answer: `{"code":200}`, sent: ptr(notice(alice, 1, bob, "sendScreenNtf"))},
		{name: "a screenshot of a group", path: "send_sc_msg", body: `{"conversationType":"3","targetId":"JZlK4nOwb"}`, answer: `{"code":200}`, sent: ptr(notice(alice, 3, team, "sendScreenNtf"))},
		{name: "numbers as JSON writes them, behind a byte order mark", path: "set_screen_capture", body: "\ufeff" + `{"conversationType":30e-1,"targetId":"JZlK4nOwb","noticeStatus":1.0}`,
			answer: `{"code":200}`, sent: ptr(notice(alice, 3, team, "openScreenNtf")), on: &group},
		{name: "zero in each form", path: "set_screen_capture", body: `{"conversationType":1e0,"targetId":"z2mlAvb0c","noticeStatus":-0.0}`,
			answer: `{"code":200}`, sent: ptr(notice(alice, 1, bob, "closeScreenNtf"))},
		{name: "a number in escapes", path: "send_sc_msg", body: `{"conversationType":"\u0033","targetId":"JZlK4nOwb"}`, answer: `{"code":200}`, sent: ptr(notice(alice, 3, team, "sendScreenNtf"))},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHost(t)
			w := h.do(t, "POST", "/misc/"+test.path, test.body)
			assert.Equal(t, 200, w.Code)
			assert.Equal(t, test.answer, w.Body.String())
			assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			assert.Empty(t, h.log.Take())
			if test.sent == nil {
				assert.Empty(t, h.cloud.Delivered())
			} else {
				assert.Equal(t, []misc.Message{*test.sent}, h.cloud.Delivered())
			}
			for _, c := range []misc.Conversation{private, group} {
				status, err := h.store.ScreenCapture(t.Context(), c)
				require.NoError(t, err)
				assert.Equal(t, test.on != nil && *test.on == c, status == misc.NoticeOn)
			}
		})
	}
}

func ptr[T any](v T) *T { return &v }

func TestASettingIsReadByWhoeverAsks(t *testing.T) {
	h := newHost(t)
	ask := func(user, target string, kind int) string {
		return h.do(t, "POST", "/misc/get_screen_capture", fmt.Sprintf(`{"conversationType":%d,"targetId":%q}`, kind, target), as(user)).Body.String()
	}
	const on, off = `{"code":200,"result":{"status":1}}`, `{"code":200,"result":{"status":0}}`
	require.Equal(t, 200, h.do(t, "POST", "/misc/set_screen_capture", `{"conversationType":1,"targetId":"`+bob+`","noticeStatus":1}`).Code)
	assert.Equal(t, on, ask(alice, bob, 1))
	assert.Equal(t, on, ask(bob, alice, 1))
	assert.Equal(t, off, ask(alice, team, 3))
	require.Equal(t, 200, h.do(t, "POST", "/misc/set_screen_capture", `{"conversationType":1,"targetId":"`+alice+`","noticeStatus":0}`, as(bob)).Code)
	assert.Equal(t, off, ask(alice, bob, 1))
}

func TestANumericSendCode(t *testing.T) {
	h := newHost(t)
	h.http.NumericSendCode = true
	w := h.do(t, "POST", "/misc/send_message", `{"conversationType":"PRIVATE","targetId":"z2mlAvb0c","objectName":"RC:TxtMsg","content":"hi"}`)
	assert.Equal(t, `{"code":200}`, w.Body.String())
}

func TestStrangersReachNobody(t *testing.T) {
	for path, body := range good {
		for _, test := range []struct{ name, user, target, kind, message string }{
			{"a stranger", alice, mallory, "private", "targetId is not a friend of yours"},
			{"oneself", alice, alice, "private", "targetId is not a friend of yours"},
			{"a group as a friend", alice, team, "private", "targetId is not a friend of yours"},
			{"a group of others", mallory, team, "group", "you are not a member of the group targetId"},
			{"a friend as a group", alice, bob, "group", "you are not a member of the group targetId"},
			{"a group that is not", alice, "nosuchgroup", "group", "you are not a member of the group targetId"},
		} {
			kind := map[string]string{"private": "1", "group": "3"}[test.kind]
			if path == "send_message" {
				kind = map[string]string{"private": `"PRIVATE"`, "group": `"GROUP"`}[test.kind]
			}
			h := newHost(t)
			body := strings.NewReplacer(bob, test.target, `"conversationType":1`, `"conversationType":`+kind, `"PRIVATE"`, kind).Replace(body)
			w := h.do(t, "POST", "/misc/"+path, body, as(test.user))
			assert.Equal(t, 403, w.Code, "%s: %s", path, test.name)
			assert.Equal(t, failure(403, test.message), w.Body.String(), "%s: %s", path, test.name)
			h.untouched(t)
		}
	}
}

func TestAnOpenScreenCaptureIsOpenThereAlone(t *testing.T) {
	for path, body := range good {
		h := newHost(t)
		h.misc.InsecureOpenScreenCapture = true
		want := 200
		if path == "send_message" {
			want = 403
		}
		assert.Equal(t, want, h.do(t, "POST", "/misc/"+path, body, as(mallory)).Code, path)
	}
}

func TestAFailedNoticeIsSentByTheSameCallAgain(t *testing.T) {
	h := newHost(t)
	h.cloud.Fail(misc.ErrUnreachable)
	require.Equal(t, 502, h.do(t, "POST", "/misc/set_screen_capture", good["set_screen_capture"]).Code)
	h.cloud.Fail(nil)
	require.Equal(t, 200, h.do(t, "POST", "/misc/set_screen_capture", good["set_screen_capture"]).Code)
	assert.Equal(t, []misc.Message{notice(alice, 1, bob, "openScreenNtf")}, h.cloud.Delivered())
}
