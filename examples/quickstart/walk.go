package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/sealtalk-go/misc"
)

// A step is one request and its expected results. Ids are written as names in
// angle brackets, such as <bob>.
type step struct {
	title     string
	user      string // empty if not logged in
	method    string
	path      string
	header    string // one more header, as "Name: value"
	body      string
	status    int
	answer    string
	delivered string // what the chat cloud delivers; empty if nothing
}

const (
	release = `{"version":"1.0.2","url":"http://downloads.rongcloud.cn/sealtalk/releases/mac/SealTalk_by_RongCloud_1.0.2.dmg","name":"SealTalk 1.0.2","notes":"bug fix","pub_date":"2017-05-05"}`
	clients = `{"iOS":{"version":"1.0.5","build":"201607181821","url":"https://dn-rongcloud.qbox.me/app.plist"},"Android":{"version":"1.0.5","url":"http://downloads.rongcloud.cn/SealTalk_by_RongCloud_Android_v1_0_5.apk"}}`
)

var steps = []step{
	{
		title:  "A desktop client that runs 1.0.0 asks for an update",
		method: "GET", path: "/misc/latest_update?version=1.0.0&platform=darwin",
		status: 200, answer: release,
	},
	{
		title:  "One that runs the latest version has nothing to install",
		method: "GET", path: "/misc/latest_update?version=1.0.2&platform=darwin",
		status: 204,
	},
	{
		title:  "An invalid version",
		method: "GET", path: "/misc/latest_update?version=1.0",
		status: 400, answer: `{"code":400,"message":"version must be one semantic version such as 1.0.2"}`,
	},
	{
		title:  "Android asks for the mobile versions",
		method: "GET", path: "/misc/client_version",
		status: 200, answer: clients,
	},
	{
		title:  "iOS asks for them in SealTalk's envelope",
		method: "GET", path: "/misc/mobile_version",
		status: 200, answer: `{"code":200,"result":` + clients + `}`,
	},
	{
		title:  "Both ask for the chat rooms and groups that everyone may join",
		method: "GET", path: "/misc/demo_square",
		status: 200, answer: `{"code":200,"result":[{"id":"<team>","type":"group","name":"team","memberCount":2},{"id":"<alice>","type":"chatroom","name":"聊天室 I"},` +
			`{"id":"<bob>","type":"chatroom","name":"聊天室 II"},{"id":"<mallory>","type":"chatroom","name":"聊天室 III"},{"id":"<team>","type":"chatroom","name":"聊天室 IV"}]}`,
	},
	{
		title: "Alice writes to her friend Bob",
		user:  "alice", method: "POST", path: "/misc/send_message",
		body:   `{"conversationType":"PRIVATE","targetId":"<bob>","objectName":"RC:TxtMsg","content":"你好,Martin","pushContent":"push 内容"}`,
		status: 200, answer: `{"code":"200"}`,
		delivered: `RC:TxtMsg {"content":"你好,Martin"} to user <bob>`,
	},
	{
		title: "The share extension of iOS sends a link to the team",
		user:  "alice", method: "POST", path: "/misc/send_message",
		body:   `{"conversationType":"GROUP","targetId":"<team>","objectName":"RC:ImgTextMsg","content":{"title":"News","url":"https://example.com/?a=1&b=2"}}`,
		status: 200, answer: `{"code":"200"}`,
		delivered: `RC:ImgTextMsg {"title":"News","url":"https://example.com/?a=1&b=2"} to group <team>`,
	},
	{
		title: "Mallory, who is no friend, writes to Bob",
		user:  "mallory", method: "POST", path: "/misc/send_message",
		body:   `{"conversationType":"PRIVATE","targetId":"<bob>","objectName":"RC:TxtMsg","content":"hi"}`,
		status: 403, answer: `{"code":403,"message":"targetId is not a friend of yours"}`,
	},
	{
		title: "An invalid id",
		user:  "alice", method: "POST", path: "/misc/send_message",
		body:   `{"conversationType":"PRIVATE","targetId":"DS9ahdanm","objectName":"RC:TxtMsg","content":"hi"}`,
		status: 400, answer: `{"code":400,"message":"targetId is not a valid id"}`,
	},
	{
		title: "A chat room is no conversation that this endpoint serves",
		user:  "alice", method: "POST", path: "/misc/send_message",
		body:   `{"conversationType":"CHATROOM","targetId":"<bob>","objectName":"RC:TxtMsg","content":"hi"}`,
		status: 403, answer: `{"code":403,"message":"conversationType is not supported: use PRIVATE or GROUP"}`,
	},
	{
		title: "Alice asks for the screen-capture notice of her chat with Bob, which nobody has set",
		user:  "alice", method: "POST", path: "/misc/get_screen_capture",
		body:   `{"conversationType":1,"targetId":"<bob>"}`,
		status: 200, answer: `{"code":200,"result":{"status":0}}`,
	},
	{
		title: "She switches it on, and Bob is told",
		user:  "alice", method: "POST", path: "/misc/set_screen_capture",
		body:   `{"conversationType":1,"targetId":"<bob>","noticeStatus":1}`,
		status: 200, answer: `{"code":200}`,
		delivered: `ST:ConNtf {"operatorUserId":"<alice>","operation":"openScreenNtf"} to user <bob> and the sender's other devices`,
	},
	{
		title: "It is on for Bob too, whose older client sends numbers as strings",
		user:  "bob", method: "POST", path: "/misc/get_screen_capture",
		body:   `{"conversationType":"1","targetId":"<alice>"}`,
		status: 200, answer: `{"code":200,"result":{"status":1}}`,
	},
	{
		title: "Bob takes a screenshot, and Alice is told",
		user:  "bob", method: "POST", path: "/misc/send_sc_msg",
		body:   `{"conversationType":1,"targetId":"<alice>"}`,
		status: 200, answer: `{"code":200}`,
		delivered: `ST:ConNtf {"operatorUserId":"<bob>","operation":"sendScreenNtf"} to user <alice> and the sender's other devices`,
	},
	{
		title: "Alice switches it off again",
		user:  "alice", method: "POST", path: "/misc/set_screen_capture",
		body:   `{"conversationType":1,"targetId":"<bob>","noticeStatus":0}`,
		status: 200, answer: `{"code":200}`,
		delivered: `ST:ConNtf {"operatorUserId":"<alice>","operation":"closeScreenNtf"} to user <bob> and the sender's other devices`,
	},
	{
		title: "Android asks for an ultra group, which has no notices",
		user:  "alice", method: "POST", path: "/misc/get_screen_capture",
		body:   `{"conversationType":10,"targetId":"anything"}`,
		status: 200, answer: `{"code":200,"result":{"status":0}}`,
	},
	{
		title: "Mallory, who is not in the team, tries its switch",
		user:  "mallory", method: "POST", path: "/misc/set_screen_capture",
		body:   `{"conversationType":3,"targetId":"<team>","noticeStatus":1}`,
		status: 403, answer: `{"code":403,"message":"you are not a member of the group targetId"}`,
	},
	{
		title: "An invalid status changes nothing",
		user:  "alice", method: "POST", path: "/misc/set_screen_capture",
		body:   `{"conversationType":3,"targetId":"<team>","noticeStatus":2}`,
		status: 400, answer: `{"code":400,"message":"noticeStatus must be 0 (off) or 1 (on)"}`,
	},
	{
		title:  "Nobody is logged in",
		method: "POST", path: "/misc/send_sc_msg",
		body:   `{"conversationType":1,"targetId":"<bob>"}`,
		status: 403, answer: `{"code":403,"message":"not logged in"}`,
	},
	{
		title: "A form where JSON belongs",
		user:  "alice", method: "POST", path: "/misc/send_sc_msg",
		header: "Content-Type: application/x-www-form-urlencoded", body: "conversationType=1",
		status: 415, answer: `{"code":415,"message":"Content-Type must be application/json, in UTF-8"}`,
	},
	{
		title: "The wrong method",
		user:  "alice", method: "GET", path: "/misc/send_message",
		status: 405, answer: `{"code":405,"message":"method must be POST"}`,
	},
}

// walk takes the steps on a new host, and prints the transcript.
func walk(ctx context.Context, out io.Writer, steps []step) error {
	h, err := newHost(nil, nil)
	if err != nil {
		return err
	}
	defer h.close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := serve(listener, h.mux)
	defer server.Close()

	fmt.Fprintf(out, "A server on http://%s. Its users are alice (%s), bob (%s) and mallory (%s); alice and bob are friends,\nand the members of the group team (%s).\n",
		listener.Addr(), h.public["alice"], h.public["bob"], h.public["mallory"], h.public["team"])
	wrong := 0
	for i, s := range steps {
		fmt.Fprintf(out, "\n%d. %s\n", i+1, s.title)
		problems, err := h.take(ctx, out, "http://"+listener.Addr().String(), s)
		if err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
		for _, p := range problems {
			fmt.Fprintf(out, "   !! %s\n", p)
		}
		if len(problems) > 0 {
			wrong++
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d of %d steps went wrong, marked !! above", wrong, len(steps))
	}
	fmt.Fprintf(out, "\nAll %d answers are as expected.\n", len(steps))
	return nil
}

// take sends one request, prints it and its results, and returns what is not as
// expected.
func (h *host) take(ctx context.Context, out io.Writer, base string, s step) ([]string, error) {
	body := h.named(s.body)
	r, err := http.NewRequestWithContext(ctx, s.method, base+s.path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	for _, line := range s.headers() {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	before := len(h.cloud.Delivered())
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	var delivered []string
	for _, m := range h.cloud.Delivered()[before:] {
		delivered = append(delivered, describe(m))
	}

	who := ""
	if s.user != "" {
		who = " as " + s.user
	}
	fmt.Fprintf(out, "   %s %s%s\n", s.method, s.path, who)
	if body != "" {
		fmt.Fprintf(out, "   > %s\n", body)
	}
	fmt.Fprintf(out, "   < %s %s\n", response.Status, answer)
	for _, d := range delivered {
		fmt.Fprintf(out, "   cloud: %s\n", d)
	}

	var problems []string
	if response.StatusCode != s.status || string(answer) != h.named(s.answer) {
		problems = append(problems, fmt.Sprintf("expected %d %s", s.status, h.named(s.answer)))
	}
	var expected []string
	if s.delivered != "" {
		expected = []string{h.named(s.delivered)}
	}
	if !slices.Equal(delivered, expected) {
		problems = append(problems, fmt.Sprintf("expected of the cloud: %q", expected))
	}
	return problems, nil
}

func describe(m misc.Message) string {
	target := "user " + m.To
	if m.Type == misc.Group {
		target = "group " + m.To
	}
	if m.IncludeSender {
		target += " and the sender's other devices"
	}
	return fmt.Sprintf("%s %s to %s", m.ObjectName, m.Content, target)
}

// named replaces the names in s with public ids.
func (h *host) named(s string) string {
	for name, id := range h.public {
		s = strings.ReplaceAll(s, "<"+name+">", id)
	}
	return s
}

func (s step) headers() []string {
	var headers []string
	if s.body != "" && s.header == "" {
		headers = append(headers, "Content-Type: application/json")
	}
	if s.header != "" {
		headers = append(headers, s.header)
	}
	if s.user != "" {
		headers = append(headers, "X-User: "+s.user)
	}
	return headers
}

// curl returns the request of a step as a command line for a shell.
func (h *host) curl(base string, s step) string {
	line := "curl -i '" + base + s.path + "'"
	for _, header := range s.headers() {
		line += " -H '" + header + "'"
	}
	if s.body != "" {
		line += " -d '" + h.named(s.body) + "'"
	}
	return line
}
