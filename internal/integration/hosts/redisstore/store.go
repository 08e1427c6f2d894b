// Package redisstore is a misc.ScreenCaptureStore on Redis.
package redisstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
	"github.com/sealtalk-go/misc"
)

// A Store keeps each setting under misc:capture: and the key of its conversation. Every call is one round trip.
type Store struct{ client *redis.Client }

// New returns a store on the server that options name. Call Close when it is no longer used.
func New(options redis.Options) *Store {
	options.ContextTimeoutEnabled = true // a call ends at the deadline of its context
	options.MaxRetries = -1              // a set is sent once: sent again, it could replace a newer one
	return &Store{redis.NewClient(&options)}
}

// Close closes the connections.
func (s *Store) Close() error { return s.client.Close() }

func key(c misc.Conversation) string { return "misc:capture:" + c.String() }

// ScreenCapture implements misc.ScreenCaptureStore.
func (s *Store) ScreenCapture(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
	status, err := s.client.Get(ctx, key(c)).Int()
	if errors.Is(err, redis.Nil) { // never set
		return misc.NoticeOff, nil
	}
	if err != nil {
		return misc.NoticeOff, fmt.Errorf("redisstore: get: %w", err)
	}
	return misc.NoticeStatus(status), nil
}

// SetScreenCapture implements misc.ScreenCaptureStore.
func (s *Store) SetScreenCapture(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
	if status != misc.NoticeOff && status != misc.NoticeOn {
		return misc.ErrInvalidNoticeStatus
	}
	if err := s.client.Set(ctx, key(c), int(status), 0).Err(); err != nil {
		return fmt.Errorf("redisstore: set: %w", err)
	}
	return nil
}
