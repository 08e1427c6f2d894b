package rongcloud

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sealtalk-go/misc"
)

var _ misc.Messenger = (*Client)(nil)

// A Client sends messages for one app. It is safe for concurrent use. Make one
// with [New].
type Client struct {
	appKey     string
	sign       func(nonce, timestamp string) string // alone knows the secret
	idempotent bool
	timeout    time.Duration
	http       *http.Client
	now        func() time.Time
	rand       io.Reader
	hosts      *hosts
}

// Send hands m to RongCloud, and returns nil once it was taken. It leaves the
// checks of [misc.Service.SendMessage] to its caller.
//
// Errors:
//   - misc.ErrUnsupportedType for a type other than private and group;
//   - an [*Error] for an answer that is no success;
//   - misc.ErrUnreachable for a connection that could not be made, or was lost
//     before the whole answer had come;
//   - misc.ErrTimeout, with context.DeadlineExceeded, for a deadline, whether
//     that of ctx or Config.Timeout;
//   - context.Canceled when the caller gave up.
//
// After ErrTimeout, a lost connection, a 5xx or context.Canceled, nobody knows
// whether the cloud took the message. With Idempotent the same is true of a
// refusal: the cloud may have taken the first attempt and refused the second.
func (c *Client) Send(ctx context.Context, m misc.Message) error {
	path, form, err := publication(m)
	if err != nil {
		return err
	}
	switch err := ctx.Err(); {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("rongcloud: not sent: %w: %w", misc.ErrTimeout, err)
	case err != nil:
		return fmt.Errorf("rongcloud: not sent: %w", err)
	}
	var random [24]byte
	if _, err := io.ReadFull(c.rand, random[:]); err != nil {
		return fmt.Errorf("rongcloud: not sent: random numbers: %w", err)
	}
	requestID := hex.EncodeToString(random[:16])
	if c.idempotent {
		form += "&msgRandom=" + strconv.FormatUint(binary.BigEndian.Uint64(random[16:])>>1, 10)
	}

	p := post{path: path, form: form, requestID: requestID, deadline: time.Now().Add(c.timeout)}
	host, other := c.hosts.pick()
	connected, err := c.post(ctx, host, p, other != "")
	if !isHostFailure(err) {
		return err
	}
	c.hosts.leave(host, c.now())
	if other == "" || connected && !c.idempotent {
		return err
	}
	first := err
	if _, err = c.post(ctx, other, p, false); err != nil {
		return fmt.Errorf("%w; and before that: %v", err, first) // what the caller may match is the last one's
	}
	return nil
}

// CloseIdleConnections closes the connections that no Send is using, those of
// Config.HTTPClient if there is one.
func (c *Client) CloseIdleConnections() {
	c.http.CloseIdleConnections()
}

// publication returns the path and the form for m. Parameters that would only
// restate a default are left out.
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

// isHostFailure reports whether err is a reason to go over to the other host.
func isHostFailure(err error) bool {
	var answer *Error
	return errors.Is(err, misc.ErrUnreachable) || errors.Is(err, misc.ErrTimeout) ||
		errors.As(err, &answer) && answer.HTTPStatus >= 500
}

// A post is what the attempts of one Send have in common.
type post struct {
	path, form, requestID string
	deadline              time.Time
}

// post makes one attempt. connected is false only if no connection was made,
// so that nothing can have reached the host; without a next host nobody asks.
func (c *Client) post(ctx context.Context, host string, p post, hasNext bool) (connected bool, err error) {
	var random [8]byte
	if _, err := io.ReadFull(c.rand, random[:]); err != nil {
		return false, fmt.Errorf("rongcloud: not sent: random numbers: %w", err)
	}
	now := c.now()
	nonce := strconv.FormatUint(binary.BigEndian.Uint64(random[:])>>5, 10) // at most 18 digits
	timestamp := strconv.FormatInt(now.UnixMilli(), 10)
	signature := c.sign(nonce, timestamp)

	attempt, cancel := context.WithDeadline(ctx, p.deadline)
	defer cancel()
	mayBeConnected := func() bool { return true }
	if hasNext {
		var limit *time.Timer
		attempt, limit, mayBeConnected = c.leaveTime(attempt, cancel)
		defer limit.Stop()
	}
	req, err := http.NewRequestWithContext(attempt, http.MethodPost, host+p.path, strings.NewReader(p.form))
	if err != nil {
		return false, fmt.Errorf("rongcloud: not sent: %w", err)
	}
	values := [...]string{"application/x-www-form-urlencoded", c.appKey, nonce, timestamp, signature, p.requestID}
	req.Header = make(http.Header, len(values))
	for i, name := range [...]string{"Content-Type", "App-Key", "Nonce", "Timestamp", "Signature", "X-Request-Id"} {
		req.Header[name] = values[i : i+1 : i+1] // one allocation for all
	}

	resp, err := c.http.Do(req)
	if err == nil {
		defer resp.Body.Close()
		var body []byte
		body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
		if err == nil || resp.StatusCode != http.StatusOK { // the status alone says that it failed
			return true, readAnswer(resp, body, p.requestID, signature, now)
		}
	}
	connected = mayBeConnected()
	reason := misc.ErrUnreachable
	var netErr net.Error
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return connected, fmt.Errorf("rongcloud: %w (request %s)", ctx.Err(), p.requestID)
	case attempt.Err() != nil:
		reason, err = misc.ErrTimeout, fmt.Errorf("%s: %w", host, context.DeadlineExceeded)
	case errors.As(err, &netErr) && netErr.Timeout():
		reason = misc.ErrTimeout
	}
	if strings.Contains(err.Error(), signature) {
		err = errors.New("cause withheld, for it shows the signature")
	}
	return connected, fmt.Errorf("rongcloud: %w: %w (request %s)", reason, err, p.requestID)
}

// leaveTime cancels an attempt early enough for another one, unless it may have
// got a connection, and returns the context to make it with, the timer that
// does so, and what tells whether it may have.
func (c *Client) leaveTime(attempt context.Context, cancel func()) (traced context.Context, limit *time.Timer, mayBeConnected func() bool) {
	var conn struct{ asked, got atomic.Bool }
	traced = httptrace.WithClientTrace(attempt, &httptrace.ClientTrace{
		GetConn: func(string) { conn.asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { conn.got.Store(true) },
	})
	// A RoundTripper that knows nothing of httptrace never asks for a
	// connection, and may have got through all the same.
	mayBeConnected = func() bool { return conn.got.Load() || !conn.asked.Load() }
	deadline, _ := attempt.Deadline()
	share := time.Until(deadline) / 3
	if c.idempotent {
		share = min(time.Until(deadline)/2, msgRandomWindow/2)
	}
	limit = time.AfterFunc(share, func() {
		if c.idempotent || !mayBeConnected() {
			cancel()
		}
	})
	return traced, limit, mayBeConnected
}

// msgRandomWindow is how long the cloud knows a msgRandom again.
const msgRandomWindow = time.Minute

// switchInterval is how long RongCloud asks to stay on a host.
const switchInterval = 30 * time.Second

// hosts knows which of the two hosts to send to.
type hosts struct {
	main, backup string // backup is "" if there is none

	mu       sync.Mutex
	inUse    string
	switched time.Time
}

// pick returns the host in use and the other one, "" if there is none.
func (h *hosts) pick() (host, other string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.inUse == h.main {
		return h.main, h.backup
	}
	return h.backup, h.main
}

// leave goes over to the other host, unless there is none, somebody else has
// already done so, or the last change is too recent.
func (h *hosts) leave(host string, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.backup == "" || h.inUse != host || now.Sub(h.switched) < switchInterval {
		return
	}
	h.switched = now
	if h.inUse == h.main {
		h.inUse = h.backup
	} else {
		h.inUse = h.main
	}
}
