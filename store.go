package misc

import (
	"context"
	"sync"
)

// A ScreenCaptureStore keeps, for each conversation, whether its members are
// told about screenshots.
//
// A setting that SetScreenCapture has acknowledged is what every later
// ScreenCapture returns, through any instance over the same data. Setting the
// same value again is no error. A cancelled context stops either method with
// an error, and a set that returns one may be repeated. An id that the store
// cannot translate is ErrInvalidID.
type ScreenCaptureStore interface {
	// ScreenCapture returns the setting of c; NoticeOff for one never set.
	ScreenCapture(ctx context.Context, c Conversation) (NoticeStatus, error)

	// SetScreenCapture replaces the setting of c in one atomic step. A status
	// other than NoticeOff and NoticeOn is ErrInvalidNoticeStatus.
	SetScreenCapture(ctx context.Context, c Conversation, s NoticeStatus) error
}

// A RelatedStore is a ScreenCaptureStore that knows the Relations as well, and
// answers both questions of [Service.ScreenCapture] at once: in one round trip
// to a database. [New] uses that where Config holds one RelatedStore in both
// fields; no host has to implement it.
type RelatedStore interface {
	ScreenCaptureStore
	Relations

	// RelatedScreenCapture reports whether userID is a friend of the other
	// user of c, or a member of its group, and returns the setting of c if so.
	RelatedScreenCapture(ctx context.Context, userID string, c Conversation) (related bool, s NoticeStatus, err error)
}

var _ ScreenCaptureStore = (*MemoryStore)(nil)

// MemoryStore is a ScreenCaptureStore in the memory of one process. Make one
// with [NewMemoryStore].
type MemoryStore struct {
	mu sync.RWMutex
	on map[Conversation]struct{} // a conversation that is off has no entry
}

// NewMemoryStore returns a store in which every conversation is off.
func NewMemoryStore() *MemoryStore {
	return &MemoryStore{on: make(map[Conversation]struct{})}
}

// ScreenCapture implements [ScreenCaptureStore].
func (m *MemoryStore) ScreenCapture(ctx context.Context, c Conversation) (NoticeStatus, error) {
	if err := ctx.Err(); err != nil {
		return NoticeOff, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if _, ok := m.on[c]; ok {
		return NoticeOn, nil
	}
	return NoticeOff, nil
}

// SetScreenCapture implements [ScreenCaptureStore].
func (m *MemoryStore) SetScreenCapture(ctx context.Context, c Conversation, s NoticeStatus) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch s {
	case NoticeOff:
		delete(m.on, c)
	case NoticeOn:
		m.on[c] = struct{}{}
	default:
		return ErrInvalidNoticeStatus
	}
	return nil
}
