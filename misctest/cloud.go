package misctest

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"unicode/utf8"

	"github.com/sealtalk-go/misc"
)

// A Cloud is a fake of RongCloud: an [http.Handler] that accepts private and
// group messages for one app, and records them. It checks the signature,
// refuses form parameters that package rongcloud does not send, and does not
// look into the content. For failures, put a handler in front of it.
//
// It keeps the messages, nonces and values of msgRandom until Reset, and
// refuses a nonce or a msgRandom that it has. Make one with [NewCloud].
type Cloud struct {
	appKey, appSecret string

	mu        sync.Mutex
	seen      map[string]bool // nonces and values of msgRandom
	delivered []misc.Message
}

var _ http.Handler = (*Cloud)(nil)

// NewCloud returns a Cloud for one app.
func NewCloud(appKey, appSecret string) *Cloud {
	return &Cloud{appKey: appKey, appSecret: appSecret, seen: make(map[string]bool)}
}

// Delivered returns the messages accepted since the last Reset, in the order in
// which they came.
func (c *Cloud) Delivered() []misc.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.delivered)
}

// Reset deletes the recorded messages, nonces and values of msgRandom.
func (c *Cloud) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.seen)
	c.delivered = nil
}

// ServeHTTP answers as RongCloud does: {"code":200} for a message that it
// accepts; otherwise an HTTP status of 400 or above, with RongCloud's code and
// an errorMessage in the body.
func (c *Cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m, refusal := c.read(w, r)
	w.Header().Set("Content-Type", "application/json")
	if refusal != nil {
		w.WriteHeader(refusal.status)
		_ = json.NewEncoder(w).Encode(refusal)
		return
	}
	c.mu.Lock()
	c.delivered = append(c.delivered, m)
	c.mu.Unlock()
	_, _ = w.Write([]byte(`{"code":200}`))
}

// A refusal is an answer that is not a success.
type refusal struct {
	status  int
	Code    int    `json:"code"`
	Message string `json:"errorMessage"`
}

func refuse(status, code int, message string) *refusal { return &refusal{status, code, message} }

// RongCloud's codes. Their HTTP status is 401 for the signature, 400 for the
// others.
const (
	codeBad       = 1002
	codeMissing   = 1003
	codeSignature = 1004
	codeTooLong   = 1005
	maxForm       = 1 << 20 // the longest content is 384 KiB once it is encoded
)

// read returns the message of r, or why it is refused.
func (c *Cloud) read(w http.ResponseWriter, r *http.Request) (m misc.Message, _ *refusal) {
	m.Type = map[string]misc.ConversationType{
		"/message/private/publish.json": misc.Private,
		"/message/group/publish.json":   misc.Group,
	}[r.URL.Path]
	if m.Type == 0 {
		return m, refuse(http.StatusNotFound, http.StatusNotFound, "no such path")
	}
	if r.Method != http.MethodPost {
		return m, refuse(http.StatusMethodNotAllowed, http.StatusMethodNotAllowed, "the method must be POST")
	}
	if refusal := c.authenticate(r.Header); refusal != nil {
		return m, refusal
	}
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if mediaType != "application/x-www-form-urlencoded" || r.URL.RawQuery != "" {
		return m, refuse(http.StatusBadRequest, codeBad, "parameters must come as a form")
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return m, refuse(http.StatusBadRequest, codeBad, "the form cannot be read")
	}
	refusal := c.readForm(r.PostForm, &m)
	return m, refusal
}

func (c *Cloud) authenticate(h http.Header) *refusal {
	nonce, timestamp := h.Get("Nonce"), h.Get("Timestamp")
	sum := sha1.Sum([]byte(c.appSecret + nonce + timestamp))
	millis, err := strconv.ParseInt(timestamp, 10, 64)
	switch {
	case nonce == "" || timestamp == "":
		return refuse(http.StatusBadRequest, codeMissing, "Nonce and Timestamp are required")
	case len(nonce) > 18 || len(h.Get("X-Request-ID")) > 36:
		return refuse(http.StatusBadRequest, codeTooLong, "Nonce may have 18 characters, X-Request-ID 36")
	case err != nil || millis < 1e12: // before 2001, or in seconds
		return refuse(http.StatusBadRequest, codeBad, "Timestamp must be in milliseconds")
	case h.Get("App-Key") != c.appKey || h.Get("Signature") != hex.EncodeToString(sum[:]):
		return refuse(http.StatusUnauthorized, codeSignature, "App-Key or Signature is wrong")
	case !c.isNew("nonce " + nonce):
		return refuse(http.StatusUnauthorized, codeSignature, "Nonce was used before")
	}
	return nil
}

// isNew reports whether key comes for the first time.
func (c *Cloud) isNew(key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen[key] {
		return false
	}
	c.seen[key] = true
	return true
}

// readForm fills m from form, or returns why it is refused.
func (c *Cloud) readForm(form map[string][]string, m *misc.Message) *refusal {
	target := "toUserId"
	flags := map[string]*bool{"isIncludeSender": &m.IncludeSender}
	if m.Type == misc.Group {
		target, flags["isMentioned"] = "toGroupId", &m.Mentioned
	}
	texts := map[string]*string{"fromUserId": &m.From, target: &m.To, "objectName": &m.ObjectName, "content": &m.Content, "pushContent": &m.PushContent}
	for name, values := range form {
		if len(values) > 1 {
			return refuse(http.StatusBadRequest, codeBad, name+" comes more than once")
		}
		value, valid := values[0], true
		if text := texts[name]; text != nil {
			*text = value
		} else if flag := flags[name]; flag != nil {
			*flag, valid = value == "1", value == "0" || value == "1"
		} else if name == "msgRandom" {
			_, err := strconv.ParseInt(value, 10, 64)
			valid = err == nil
		} else {
			return refuse(http.StatusBadRequest, codeBad, name+" is not a parameter here")
		}
		if !valid {
			return refuse(http.StatusBadRequest, codeBad, name+" is not a valid number")
		}
	}
	switch {
	case m.From == "" || m.To == "" || m.ObjectName == "" || m.Content == "":
		return refuse(http.StatusBadRequest, codeMissing, "fromUserId, "+target+", objectName and content are required")
	case utf8.RuneCountInString(m.ObjectName) > misc.MaxObjectName:
		return refuse(http.StatusBadRequest, codeTooLong, "objectName may have 32 characters")
	case len(m.Content) > misc.MaxContent:
		return refuse(http.StatusBadRequest, codeTooLong, "content may have 128 KiB")
	}
	if random, ok := form["msgRandom"]; ok && !c.isNew("msgRandom "+random[0]) {
		return refuse(http.StatusBadRequest, codeBad, "msgRandom was used before")
	}
	return nil
}
