package misc

import (
	"context"
	"sync"
)

// A ScreenCaptureStore keeps, for each conversation, whether its members are
// told about screenshots.
//
// As soon as SetScreenCapture has returned nil, every call of ScreenCapture
// returns the new setting, through any instance that uses the same data. If it
// has returned an error, the setting may or may not have been saved, and the
// call may be repeated. Both methods return an error that wraps an [*IDError]
// for an id that they cannot translate. If the context is already cancelled,
// they return an error and change nothing.
type ScreenCaptureStore interface {
	// ScreenCapture returns the setting of c, NoticeOff if it was never set.
	ScreenCapture(ctx context.Context, c Conversation) (NoticeStatus, error)

	// SetScreenCapture replaces the setting of c in one atomic step. It may set
	// the value that c already has. It returns ErrInvalidNoticeStatus for a
	// status other than NoticeOff and NoticeOn.
	SetScreenCapture(ctx context.Context, c Conversation, s NoticeStatus) error
}

// A RelatedStore is a ScreenCaptureStore that also implements Relations. It can
// report, in one round trip to its database, whether a user may read a setting
// and the value of that setting. See Config.Related.
//
// If you wrap a RelatedStore to override AreFriends, for example to add a block
// list, either leave Config.Related nil or override RelatedScreenCapture too.
type RelatedStore interface {
	ScreenCaptureStore
	Relations

	// RelatedScreenCapture reports whether userID is related to c and, if so,
	// returns the setting of c. A user is related to a private conversation if
	// they are one of its two users and the other one is a friend of theirs, as
	// AreFriends reports it, and to a group if they are a member.
	RelatedScreenCapture(ctx context.Context, userID string, c Conversation) (related bool, s NoticeStatus, err error)
}

var _ ScreenCaptureStore = (*MemoryStore)(nil)

// A MemoryStore is a ScreenCaptureStore in the memory of one process. When the
// process ends, the settings are lost. It takes memory only for the
// conversations that are on. Make one with [NewMemoryStore].
type MemoryStore struct {
	on sync.Map // Conversation to nothing
}

// NewMemoryStore returns a store in which every conversation is off.
func NewMemoryStore() *MemoryStore { return &MemoryStore{} }

// ScreenCapture implements [ScreenCaptureStore].
func (m *MemoryStore) ScreenCapture(ctx context.Context, c Conversation) (NoticeStatus, error) {
	if err := ctx.Err(); err != nil {
		return NoticeOff, err
	}
	if _, on := m.on.Load(c); on {
		return NoticeOn, nil
	}
	return NoticeOff, nil
}

// SetScreenCapture implements [ScreenCaptureStore].
func (m *MemoryStore) SetScreenCapture(ctx context.Context, c Conversation, s NoticeStatus) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	switch s {
	case NoticeOn:
		m.on.Store(c, nil)
	case NoticeOff:
		m.on.Delete(c)
	default:
		return ErrInvalidNoticeStatus
	}
	return nil
}
