package misc

import (
	"context"
	"sync"
)

// A ScreenCaptureStore keeps, for each conversation, whether its members are
// told about screenshots.
//
// As soon as SetScreenCapture has returned nil, every call of ScreenCapture
// returns the new setting, through any instance that uses the same data. So do
// not read from a replica or a cache that may be older. If it has returned an
// error, the setting may or may not have been saved, and the call may be
// repeated. Both methods return an error that wraps an [*IDError] for an id
// that they cannot translate. If the context is already cancelled, they return
// an error and change nothing.
type ScreenCaptureStore interface {
	// ScreenCapture returns the setting of c, NoticeOff if it was never set.
	ScreenCapture(ctx context.Context, c Conversation) (NoticeStatus, error)

	// SetScreenCapture replaces the setting of c in one atomic step. It may set
	// the value that c already has. It returns ErrInvalidNoticeStatus for a
	// status other than NoticeOff and NoticeOn.
	SetScreenCapture(ctx context.Context, c Conversation, s NoticeStatus) error
}

// A Store takes the place of [Relations] and a [ScreenCaptureStore] in a
// [Config]. It answers in one step, such as one round trip to a database,
// whether a user may act in a conversation and what its setting is. A Service
// that has a Store asks Access, and nothing else, before every operation on a
// conversation, so a rule of your own, such as a block list, belongs there.
type Store interface {
	// Access reports whether userID may act in c: send to it, and read and
	// change its setting. In a private conversation that is one of its two
	// users, if the other one is a friend of theirs; in a group, a member. It
	// is false, and no error, for ids that nobody has.
	//
	// It also returns the setting of c, NoticeOff if it was never set. If
	// allowed is false, the setting is used only with
	// Config.InsecureOpenScreenCapture. The rules of ScreenCaptureStore for
	// errors, and for what is visible after a set, hold here too.
	Access(ctx context.Context, userID string, c Conversation) (allowed bool, setting NoticeStatus, err error)

	// SetScreenCapture is the method of [ScreenCaptureStore].
	SetScreenCapture(ctx context.Context, c Conversation, s NoticeStatus) error
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
