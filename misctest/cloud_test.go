package misctest_test

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
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

func privateForm() url.Values {
	return url.Values{"fromUserId": {"alice"}, "toUserId": {"bob"}, "objectName": {"RC:TxtMsg"}, "content": {`{"content":"hello"}`}}
}

func groupForm() url.Values {
	return url.Values{"fromUserId": {"alice"}, "toGroupId": {"team"}, "objectName": {"RC:TxtMsg"}, "content": {`{"content":"hello"}`}}
}

// cloudRequest returns a request that is signed as RongCloud's documentation says.
func cloudRequest(path, nonce string, form url.Values) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	signCloudRequest(r, nonce, "1408710653000")
	return r
}

func signCloudRequest(r *http.Request, nonce, timestamp string) {
	sum := sha1.Sum([]byte(cloudSecret + nonce + timestamp))
	r.Header.Set("App-Key", cloudKey)
	r.Header.Set("Nonce", nonce)
	r.Header.Set("Timestamp", timestamp)
	r.Header.Set("Signature", hex.EncodeToString(sum[:]))
}

// cloudAnswer returns the HTTP status and the code of the answer to r.
func cloudAnswer(t *testing.T, cloud *misctest.Cloud, r *http.Request) (status, code int) {
	t.Helper()
	w := httptest.NewRecorder()
	cloud.ServeHTTP(w, r)
	var answer struct {
		Code         int
		ErrorMessage string
	}
	noError(t, json.Unmarshal(w.Body.Bytes(), &answer))
	equal(t, "application/json", w.Header().Get("Content-Type"))
	equal(t, answer.Code != 200, answer.ErrorMessage != "", "a refusal, and nothing else, has a message")
	return w.Code, answer.Code
}

// The signature is that of RongCloud's own test vector, written out.
func TestCloudTakesWhatRongCloudTakes(t *testing.T) {
	t.Parallel()
	cloud := misctest.NewCloud(cloudKey, cloudSecret)
	everything, nothing := groupForm(), groupForm()
	maps.Copy(everything, url.Values{"pushContent": {"push"}, "isIncludeSender": {"1"}, "isMentioned": {"1"}, "msgRandom": {"-9223372036854775808"}})
	maps.Copy(nothing, url.Values{"pushContent": {""}, "isIncludeSender": {"0"}, "isMentioned": {"0"}})
	largest := privateForm()
	largest.Set("objectName", strings.Repeat("型", 32))
	largest.Set("content", strings.Repeat("&", 128<<10))
	first := cloudRequest(privatePath, "14314", privateForm())
	equal(t, "30be0bbca9c9b2e27578701e9fda2358a814c88f", first.Header.Get("Signature"))
	for _, r := range []*http.Request{
		first,
		cloudRequest(groupPath, "123456789012345678", groupForm()),
		cloudRequest(groupPath, "3", everything),
		cloudRequest(groupPath, "4", nothing),
		cloudRequest(privatePath, "5", largest),
	} {
		status, code := cloudAnswer(t, cloud, r)
		equal(t, [2]int{200, 200}, [2]int{status, code})
	}
	private := misc.Message{Type: misc.Private, From: "alice", To: "bob", ObjectName: "RC:TxtMsg", Content: `{"content":"hello"}`}
	group := private
	group.Type, group.To = misc.Group, "team"
	flagged := group
	flagged.PushContent, flagged.IncludeSender, flagged.Mentioned = "push", true, true
	long := private
	long.ObjectName, long.Content = strings.Repeat("型", 32), strings.Repeat("&", 128<<10)
	equal(t, []misc.Message{private, group, flagged, group, long}, cloud.Delivered())
}

func TestCloudRefusesWhatRongCloudRefuses(t *testing.T) {
	t.Parallel()
	form := func(path string, form url.Values) func(*http.Request) *http.Request {
		return func(*http.Request) *http.Request { return cloudRequest(path, "1", form) }
	}
	set := func(name string, values ...string) func(*http.Request) *http.Request {
		f := privateForm()
		f[name] = values
		return form(privatePath, f)
	}
	changed := func(change func(r *http.Request)) func(*http.Request) *http.Request {
		return func(r *http.Request) *http.Request { change(r); return r }
	}
	header := func(name, value string) func(*http.Request) *http.Request {
		return changed(func(r *http.Request) { r.Header.Set(name, value) })
	}
	sign := func(nonce, timestamp string) func(*http.Request) *http.Request {
		return changed(func(r *http.Request) { signCloudRequest(r, nonce, timestamp) })
	}
	empty := groupForm()
	empty.Set("isMentioned", "")
	tests := map[string]struct {
		change       func(*http.Request) *http.Request
		status, code int
	}{
		"unknown path":             {form("/user/getToken.json", privateForm()), 404, 404},
		"GET":                      {changed(func(r *http.Request) { r.Method = http.MethodGet }), 405, 405},
		"unknown app":              {header("App-Key", "other"), 401, 1004},
		"no app":                   {header("App-Key", ""), 401, 1004},
		"wrong signature":          {header("Signature", strings.Repeat("0", 40)), 401, 1004},
		"no signature":             {header("Signature", ""), 401, 1004},
		"signature of another":     {header("Nonce", "2"), 401, 1004},
		"no nonce":                 {sign("", "1408710653000"), 400, 1003},
		"no timestamp":             {sign("1", ""), 400, 1003},
		"nonce too long":           {sign("1234567890123456789", "1408710653000"), 400, 1005},
		"timestamp in seconds":     {sign("1", "1408710653"), 400, 1002},
		"timestamp no number":      {sign("1", "now"), 400, 1002},
		"request id too long":      {header("X-Request-ID", strings.Repeat("x", 37)), 400, 1005},
		"JSON":                     {header("Content-Type", "application/json"), 400, 1002},
		"no content type":          {header("Content-Type", ""), 400, 1002},
		"parameters in the URL":    {form(privatePath+"?isMentioned=1", privateForm()), 400, 1002},
		"broken form":              {changed(func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("fromUserId=%zz")) }), 400, 1002},
		"form too large":           {set("content", strings.Repeat("x", 1<<20)), 400, 1002},
		"no sender":                {set("fromUserId"), 400, 1003},
		"no target":                {set("toUserId"), 400, 1003},
		"no object name":           {set("objectName"), 400, 1003},
		"no content":               {set("content"), 400, 1003},
		"empty sender":             {set("fromUserId", ""), 400, 1003},
		"two targets":              {set("toUserId", "bob", "carol"), 400, 1002},
		"group target in private":  {set("toGroupId", "team"), 400, 1002},
		"mention in private":       {set("isMentioned", "1"), 400, 1002},
		"unknown parameter":        {set("isPersisted", "1"), 400, 1002},
		"flag that is no flag":     {set("isIncludeSender", "true"), 400, 1002},
		"msgRandom over an int64":  {set("msgRandom", "9223372036854775808"), 400, 1002},
		"object name too long":     {set("objectName", strings.Repeat("x", 33)), 400, 1005},
		"content too long":         {set("content", strings.Repeat("x", 128<<10+1)), 400, 1005},
		"user as target of groups": {form(groupPath, privateForm()), 400, 1002},
		"group without flag value": {form(groupPath, empty), 400, 1002},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cloud := misctest.NewCloud(cloudKey, cloudSecret)
			status, code := cloudAnswer(t, cloud, test.change(cloudRequest(privatePath, "1", privateForm())))
			equal(t, [2]int{test.status, test.code}, [2]int{status, code})
			equal(t, 0, len(cloud.Delivered()))
		})
	}
}

func TestCloudTakesANonceAndAMsgRandomOnceUntilReset(t *testing.T) {
	t.Parallel()
	cloud := misctest.NewCloud(cloudKey, cloudSecret)
	send := func(nonce, random string) int {
		form := privateForm()
		if random != "" {
			form.Set("msgRandom", random)
		}
		_, code := cloudAnswer(t, cloud, cloudRequest(privatePath, nonce, form))
		return code
	}
	equal(t, 200, send("1", ""))
	equal(t, 1004, send("1", ""), "nonce again")
	equal(t, 200, send("2", "1"), "a msgRandom is no nonce")
	equal(t, 1002, send("3", "1"), "msgRandom again")
	equal(t, 200, send("4", "2"))
	equal(t, 3, len(cloud.Delivered()))
	cloud.Delivered()[0].To = "mallory"
	equal(t, "bob", cloud.Delivered()[0].To, "a copy")
	cloud.Reset()
	equal(t, 0, len(cloud.Delivered()))
	equal(t, 200, send("1", "1"))
	equal(t, 1, len(cloud.Delivered()))
}

func TestCloudTakesMessagesAtOnce(t *testing.T) {
	t.Parallel()
	cloud := misctest.NewCloud(cloudKey, cloudSecret)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			_, code := cloudAnswer(t, cloud, cloudRequest(privatePath, fmt.Sprint(i), privateForm()))
			equal(t, 200, code)
			_ = cloud.Delivered()
		})
	}
	all.Wait()
	equal(t, 20, len(cloud.Delivered()))
}
