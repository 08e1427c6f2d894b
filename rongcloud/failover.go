package rongcloud

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/sealtalk-go/misc"
)

const (
	switchInterval  = 30 * time.Second // how long RongCloud asks to stay on a host
	msgRandomWindow = time.Minute      // how long RongCloud refuses a repeated msgRandom
)

// hosts knows which of the two hosts to send to.
type hosts struct {
	mu           sync.Mutex
	inUse, other string // other is "" if there is none
	changed      time.Time
}

func (h *hosts) pick() (inUse, other string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.inUse, h.other
}

// leave switches to the other host, unless there is none, another Send has
// already done so, or the last switch is too recent.
func (h *hosts) leave(host string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.other == "" || h.inUse != host || time.Since(h.changed) < switchInterval {
		return
	}
	h.inUse, h.other, h.changed = h.other, h.inUse, time.Now()
}

// isHostFailure reports whether err is a reason to switch to the other host.
func isHostFailure(err error) bool {
	var answer *Error
	return errors.Is(err, misc.ErrUnreachable) || errors.Is(err, misc.ErrTimeout) ||
		errors.As(err, &answer) && answer.HTTPStatus >= http.StatusInternalServerError
}

// firstShare returns how long a first attempt may take, so that there is time
// for a second one: to connect, or in all if the message may be sent again.
func (c *Client) firstShare(ctx context.Context) time.Duration {
	deadline, _ := ctx.Deadline()
	left := time.Until(deadline)
	if c.patience > left*2/3 { // too little to tell that the host has failed
		return left / 2
	}
	if c.cfg.Idempotent {
		return min(max(c.patience, left/2), msgRandomWindow/2)
	}
	return c.patience
}
