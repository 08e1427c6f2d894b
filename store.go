package misc

import (
	"context"
	"sync"
)

// A ScreenCaptureStore keeps, for each conversation, whether its members are
// told about screenshots.
//
// A saved setting is immediately visible to every later ScreenCapture, through
// any instance over the same data. Setting the same value again is not an
// error. Both methods return an error when the context is cancelled, and a set
// that returned an error may be repeated. An id that the store cannot translate
// is an [IDError].
type ScreenCaptureStore interface {
	// ScreenCapture returns the setting of c, NoticeOff if it was never set.
	ScreenCapture(ctx context.Context, c Conversation) (NoticeStatus, error)

	// SetScreenCapture replaces the setting of c in one atomic step. A status
	// other than NoticeOff and NoticeOn is ErrInvalidNoticeStatus.
	SetScreenCapture(ctx context.Context, c Conversation, s NoticeStatus) error
}

// A RelatedStore is a ScreenCaptureStore that knows the Relations as well, and
// answers both questions of [Service.ScreenCapture] in one round trip to its
// database. A host that puts one into Config.Related must give the same
// answers through Config.Relations and Config.Captures: a type that embeds a
// RelatedStore and overrides AreFriends, say for a block list, leaves Related
// empty or overrides RelatedScreenCapture as well.
type RelatedStore interface {
	ScreenCaptureStore
	Relations

	// RelatedScreenCapture reports whether userID may reach c, as a friend of
	// its other user or as a member of its group, and returns the setting of c
	// if so.
	RelatedScreenCapture(ctx context.Context, userID string, c Conversation) (related bool, s NoticeStatus, err error)
}

var _ ScreenCaptureStore = (*MemoryStore)(nil)

// MemoryStore is a ScreenCaptureStore in the memory of one process, which
// forgets everything when the process ends. It holds only the conversations
// that are on. Make one with [NewMemoryStore].
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
