package rongcloud

import (
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/sealtalk-go/misc"
)

var _ misc.Messenger = (*Client)(nil)

// A Client sends messages for one app. It is safe for concurrent use. Make one
// with [New].
type Client struct {
	cfg      Config        // without the secret
	secret   func() string // a function, because fmt prints only its address
	patience time.Duration // a host that was cut off earlier has not failed
	http     *http.Client
	hosts    *hosts
}

// Send sends m to RongCloud, and returns nil if RongCloud has accepted it. It
// does not make the checks of [misc.Service.SendMessage].
//
// Errors:
//
//   - misc.ErrUnsupportedType if m.Type is neither Private nor Group
//   - an [*Error] if RongCloud's answer is not a success
//   - misc.ErrUnreachable if no connection could be made, the connection was
//     lost before an answer had arrived, or the answer is not HTTP
//   - misc.ErrTimeout if a time limit or the deadline of ctx has passed
//   - context.Canceled if ctx was cancelled
//
// RongCloud has certainly not accepted m if no connection could be made, or if
// the answer is a refusal in RongCloud's own form with a 4xx status. If
// Idempotent is set, neither is certain: the error may be that of a second
// attempt, and RongCloud may have accepted m at the first one.
func (c *Client) Send(ctx context.Context, m misc.Message) error {
	path, form, err := publication(m)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("%w: %w", misc.ErrTimeout, err)
		}
		return fmt.Errorf("rongcloud: not sent: %w", err)
	}
	if c.cfg.Idempotent {
		form += "&msgRandom=" + randomNumber()
	}

	start := time.Now()
	p := post{form, rand.Text(), start.Add(c.cfg.Timeout)}
	host, other := c.hosts.pick()
	first := c.post(ctx, host+path, p, other != "")
	if first.cutOff && time.Since(start) >= c.patience || !first.cutOff && isHostFailure(first.err) {
		c.hosts.leave(host)
	}
	if other == "" || ctx.Err() != nil || !time.Now().Before(p.deadline) || !isHostFailure(first.err) || first.mayHaveArrived && !c.cfg.Idempotent {
		return first.err
	}
	if second := c.post(ctx, other+path, p, false); second.err != nil {
		return fmt.Errorf("%w; and before that: %v", second.err, first.err)
	}
	return nil
}

// CloseIdleConnections closes the connections that are not in use. If
// Config.HTTPClient has a Transport, it calls the method CloseIdleConnections
// of that Transport, if there is one.
func (c *Client) CloseIdleConnections() {
	c.http.CloseIdleConnections()
}

// publication returns the path and the form for m. Parameters that would only
// restate a default are left out. Writing the form as text takes a third of the
// time that url.Values takes.
func publication(m misc.Message) (path, form string, err error) {
	var to string
	switch m.Type {
	case misc.Private:
		path, to = "/message/private/publish.json", "&toUserId="
	case misc.Group:
		path, to = "/message/group/publish.json", "&toGroupId="
	default:
		return "", "", fmt.Errorf("rongcloud: not sent: %w", misc.ErrUnsupportedType)
	}
	form = "fromUserId=" + url.QueryEscape(m.From) + to + url.QueryEscape(m.To) +
		"&objectName=" + url.QueryEscape(m.ObjectName) + "&content=" + url.QueryEscape(m.Content)
	if m.PushContent != "" {
		form += "&pushContent=" + url.QueryEscape(m.PushContent)
	}
	if m.Mentioned && m.Type == misc.Group {
		form += "&isMentioned=1"
	}
	if m.IncludeSender {
		form += "&isIncludeSender=1"
	}
	return path, form, nil
}

// A post is what both attempts of one Send share.
type post struct {
	form, requestID string
	deadline        time.Time
}

// An attempt is what came of sending a post to one host.
type attempt struct {
	err            error // nil: the host has accepted the message
	mayHaveArrived bool
	cutOff         bool // before the host had answered, by the caller or by the end of the time
}

// post makes one attempt. If there is a next host, it leaves time for that one,
// but never gives up a message that may have arrived and must not come twice.
func (c *Client) post(ctx context.Context, endpoint string, p post, hasNext bool) attempt {
	whole := ctx
	ctx, cancel := context.WithDeadline(ctx, p.deadline)
	defer cancel()
	var conn connection
	if hasNext {
		limit := time.AfterFunc(c.firstShare(ctx), func() {
			if c.cfg.Idempotent || !conn.mayExist() {
				cancel()
			}
		})
		defer limit.Stop()
	}
	req, err := http.NewRequestWithContext(conn.trace(ctx), http.MethodPost, endpoint, strings.NewReader(p.form))
	if err != nil {
		return attempt{err: fmt.Errorf("rongcloud: not sent: %w", err)}
	}
	nonce, timestamp := randomNumber(), strconv.FormatInt(time.Now().UnixMilli(), 10)
	signature := sign(c.secret(), nonce, timestamp)
	req.Header = http.Header{
		"Content-Type": {"application/x-www-form-urlencoded"},
		"User-Agent":   {"sealtalk-misc-go"},
		"App-Key":      {c.cfg.AppKey},
		"Nonce":        {nonce},
		"Timestamp":    {timestamp},
		"Signature":    {signature},
		"X-Request-Id": {p.requestID},
	}
	mask := func(s string) string {
		quoted := strconv.Quote(c.secret()) // as net/http writes what it refuses
		return strings.NewReplacer(signature, "[signature]", c.secret(), "[secret]", quoted[1:len(quoted)-1], "[secret]").Replace(s)
	}

	resp, err := c.http.Do(req)
	if err == nil {
		defer resp.Body.Close()
		var body []byte
		if resp.StatusCode >= http.StatusOK { // the body of a 101 is the bare connection, and has no end
			body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
		}
		if err == nil || resp.StatusCode != http.StatusOK { // the status alone says that it failed
			return attempt{err: readAnswer(resp, body, p.requestID, mask), mayHaveArrived: true}
		}
	}
	cutOff := ctx.Err() != nil
	reason := misc.ErrUnreachable
	var netErr net.Error
	switch {
	case errors.Is(whole.Err(), context.Canceled):
		return attempt{fmt.Errorf("rongcloud: %w (request %s)", context.Canceled, p.requestID), conn.mayExist(), cutOff}
	case cutOff:
		reason, err = misc.ErrTimeout, context.DeadlineExceeded
	case errors.As(err, &netErr) && netErr.Timeout():
		reason = misc.ErrTimeout
	}
	if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
		err = wrapped.Err // the rest is the endpoint, once more
	}
	oneLine := func(r rune) rune { // names in certificates may hold anything
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}
	if text := strings.Map(oneLine, clip(mask(err.Error()))); text != err.Error() {
		err = errors.New(text)
	}
	return attempt{fmt.Errorf("rongcloud: %w: %s: %w (request %s)", reason, endpoint, err, p.requestID), conn.mayExist(), cutOff}
}

func sign(secret, nonce, timestamp string) string {
	sum := sha1.Sum([]byte(secret + nonce + timestamp))
	return hex.EncodeToString(sum[:])
}

// randomNumber returns at most 18 digits, as many as a nonce may have.
func randomNumber() string {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	return strconv.FormatUint(binary.BigEndian.Uint64(random[:])>>5, 10)
}
