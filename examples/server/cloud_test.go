package main

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealtalk-go/misc"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A user can end the time of a request from outside, which says nothing about the cloud, unless it had a third of its time.
func TestACallerWhoGivesUpDoesNotMakeTheCloudFail(t *testing.T) {
	const patience = 3 * time.Second
	for _, c := range []struct {
		name   string
		send   func(context.Context) error
		after  time.Duration // the caller gives up
		failed bool
	}{
		{"at once", hang, time.Millisecond, false},
		{"before a third", hang, patience - 1, false},
		{"after a third", hang, patience, true},
		{"never", func(context.Context) error { return misc.ErrUnreachable }, time.Minute, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), c.after)
			defer cancel()
			sender := &cloud{Messenger: messengerFunc(c.send), turn: newQuotas(20, 100).wait, patience: patience}
			require.Error(t, sender.Send(ctx, misc.Message{}), c.name)
			assert.Equal(t, c.failed, sender.failed.Load(), c.name)

			sender.Messenger = messengerFunc(func(context.Context) error { return nil })
			require.NoError(t, sender.Send(ctx, misc.Message{}), c.name)
			assert.False(t, sender.failed.Load(), "%s: a message was taken", c.name)
		})
	}
}

func hang(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestTheStandInLogsNoMoreThanTheBeginningOfAMessage(t *testing.T) {
	var log output
	m := misc.Message{Type: misc.Private, From: "alice", To: "bob", ObjectName: "RC:TxtMsg", Content: "hello" + strings.Repeat("\x00", 100_000)}
	require.NoError(t, standIn{newLogger(&log, "text")}.Send(t.Context(), m))
	assert.Contains(t, log.String(), "hello")
	assert.LessOrEqual(t, len(log.String()), 5<<10)
}

type messengerFunc func(context.Context) error

func (f messengerFunc) Send(ctx context.Context, _ misc.Message) error { return f(ctx) }
