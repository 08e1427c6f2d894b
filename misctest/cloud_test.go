package misctest_test

import (
	"cmp"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/misctest"
)

const (
	cloudKey    = "app-key"
	cloudSecret = "Y1W2MeFwwwRxa0"
	privatePath = "/message/private/publish.json"
	groupPath   = "/message/group/publish.json"
)

// A cloudRequest is signed as RongCloud's documentation says.
type cloudRequest struct {
	method, path, nonce, timestamp string
	form                           url.Values
	body                           string            // if it is not empty, in place of form
	header                         map[string]string // in place of the right one
}

// message returns a request that the cloud accepts. The target of a private
// message is toUserId, that of a group message toGroupId.
func message(path, nonce, target string) *cloudRequest {
	return &cloudRequest{"POST", path, nonce, "1408710653000",
		url.Values{"fromUserId": {"alice"}, target: {"bob"}, "objectName": {"RC:TxtMsg"}, "content": {`{"content":"hello"}`}}, "", map[string]string{}}
}

func (q *cloudRequest) set(name string, values ...string) *cloudRequest {
	q.form[name] = values
	return q
}

// answer returns the HTTP status and the code with which the cloud answers.
func (q *cloudRequest) answer(t *testing.T, cloud *misctest.Cloud) [2]int {
	t.Helper()
	r := httptest.NewRequest(q.method, q.path, strings.NewReader(cmp.Or(q.body, q.form.Encode())))
	sum := sha1.Sum([]byte(cloudSecret + q.nonce + q.timestamp))
	for name, value := range map[string]string{"App-Key": cloudKey, "Nonce": q.nonce, "Timestamp": q.timestamp,
		"Signature": hex.EncodeToString(sum[:]), "Content-Type": "application/x-www-form-urlencoded", "X-Request-ID": ""} {
		r.Header.Set(name, cmp.Or(q.header[name], value))
	}
	w := httptest.NewRecorder()
	cloud.ServeHTTP(w, r)
	var answer struct {
		Code         int
		ErrorMessage string
	}
	noError(t, json.Unmarshal(w.Body.Bytes(), &answer))
	equal(t, "application/json", w.Header().Get("Content-Type"))
	equal(t, answer.Code != 200, answer.ErrorMessage != "", "a refusal, and nothing else, has a message")
	return [2]int{w.Code, answer.Code}
}

func TestCloudTakesWhatRongCloudTakes(t *testing.T) {
	cloud := misctest.NewCloud(cloudKey, cloudSecret)
	vector := message(privatePath, "14314", "toUserId") // RongCloud's own test vector
	vector.header["Signature"] = "30be0bbca9c9b2e27578701e9fda2358a814c88f"
	for _, q := range []*cloudRequest{
		vector,
		message(groupPath, "123456789012345678", "toGroupId").set("pushContent", "").set("isIncludeSender", "0").set("isMentioned", "0"),
		message(groupPath, "3", "toGroupId").set("pushContent", "push").set("isIncludeSender", "1").set("isMentioned", "1").set("msgRandom", "-9223372036854775808"),
		message(privatePath, "4", "toUserId").set("objectName", strings.Repeat("型", 32)).set("content", strings.Repeat("&", 128<<10)),
	} {
		equal(t, [2]int{200, 200}, q.answer(t, cloud))
	}
	private := misc.Message{Type: misc.Private, From: "alice", To: "bob", ObjectName: "RC:TxtMsg", Content: `{"content":"hello"}`}
	group, long := private, private
	group.Type = misc.Group
	flagged := group
	flagged.PushContent, flagged.IncludeSender, flagged.Mentioned = "push", true, true
	long.ObjectName, long.Content = strings.Repeat("型", 32), strings.Repeat("&", 128<<10)
	equal(t, []misc.Message{private, group, flagged, long}, cloud.Delivered())
}

func TestCloudRefusesWhatRongCloudRefuses(t *testing.T) {
	type change = func(q *cloudRequest)
	set := func(name string, values ...string) change { return func(q *cloudRequest) { q.set(name, values...) } }
	header := func(name, value string) change { return func(q *cloudRequest) { q.header[name] = value } }
	for name, test := range map[string]struct {
		change       change
		status, code int
	}{
		"unknown path":            {func(q *cloudRequest) { q.path = "/user/getToken.json" }, 404, 404},
		"GET":                     {func(q *cloudRequest) { q.method = "GET" }, 405, 405},
		"unknown app":             {header("App-Key", "other"), 401, 1004},
		"signature of another":    {header("Nonce", "2"), 401, 1004},
		"no nonce":                {func(q *cloudRequest) { q.nonce = "" }, 400, 1003},
		"no timestamp":            {func(q *cloudRequest) { q.timestamp = "" }, 400, 1003},
		"nonce too long":          {func(q *cloudRequest) { q.nonce = "1234567890123456789" }, 400, 1005},
		"timestamp in seconds":    {func(q *cloudRequest) { q.timestamp = "1408710653" }, 400, 1002},
		"request id too long":     {header("X-Request-ID", strings.Repeat("x", 37)), 400, 1005},
		"JSON":                    {header("Content-Type", "application/json"), 400, 1002},
		"parameters in the URL":   {func(q *cloudRequest) { q.path += "?isMentioned=1" }, 400, 1002},
		"broken form":             {func(q *cloudRequest) { q.body = "fromUserId=%zz" }, 400, 1002},
		"form too large":          {set("content", strings.Repeat("x", 1<<20)), 400, 1002},
		"no sender":               {set("fromUserId"), 400, 1003},
		"no target":               {set("toUserId"), 400, 1003},
		"no object name":          {set("objectName"), 400, 1003},
		"no content":              {set("content"), 400, 1003},
		"two targets":             {set("toUserId", "bob", "carol"), 400, 1002},
		"group target in private": {set("toGroupId", "team"), 400, 1002},
		"mention in private":      {set("isMentioned", "1"), 400, 1002},
		"flag that is no flag":    {set("isIncludeSender", "true"), 400, 1002},
		"msgRandom over an int64": {set("msgRandom", "9223372036854775808"), 400, 1002},
		"object name too long":    {set("objectName", strings.Repeat("x", 33)), 400, 1005},
		"content too long":        {set("content", strings.Repeat("x", 128<<10+1)), 400, 1005},
	} {
		t.Run(name, func(t *testing.T) {
			cloud, q := misctest.NewCloud(cloudKey, cloudSecret), message(privatePath, "1", "toUserId")
			test.change(q)
			equal(t, [2]int{test.status, test.code}, q.answer(t, cloud))
			equal(t, 0, len(cloud.Delivered()))
		})
	}
}

func TestCloudTakesANonceAndAMsgRandomOnceUntilReset(t *testing.T) {
	cloud := misctest.NewCloud(cloudKey, cloudSecret)
	code := func(nonce, random string) int {
		return message(privatePath, nonce, "toUserId").set("msgRandom", random).answer(t, cloud)[1]
	}
	equal(t, 200, code("1", "2"), "a nonce is no msgRandom")
	equal(t, 200, code("2", "1"))
	equal(t, 1004, code("1", "3"), "nonce again")
	equal(t, 1002, code("3", "1"), "msgRandom again")
	cloud.Delivered()[0].To = "mallory"
	equal(t, "bob", cloud.Delivered()[0].To, "a copy")
	cloud.Reset()
	equal(t, 0, len(cloud.Delivered()))
	equal(t, 200, code("1", "1"))
}
