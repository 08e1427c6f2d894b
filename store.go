package misc

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
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
// fields; no host has to implement it. A type that embeds one and has its own
// answer to either question needs its own RelatedScreenCapture, too.
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
//
// Gets take no lock: even a lock for readers is a place in memory that all
// cores write to, and with it two of them answer less than one alone.
type MemoryStore struct {
	seed   maphash.Seed
	shards [shards]shard
}

// shards is how many sets can go on at once. The lowest bits of a hash tell
// the shard, the others the list in it.
const shards = 64

// A shard holds some of the conversations that are on, in a hash table with a
// list for each hash. Who reads it sees each list in some state that it has
// had meanwhile: a list changes by one pointer, and a table that grows is
// replaced by a copy.
type shard struct {
	mu    sync.Mutex // for sets
	on    int        // how many are in lists
	lists atomic.Pointer[[]list]
	_     [40]byte // a cache line for each shard
}

// A list is a pointer to its first entry.
type list = atomic.Pointer[entry]

type entry struct {
	hash uint64
	c    Conversation
	next list
}

// NewMemoryStore returns a store in which every conversation is off.
func NewMemoryStore() *MemoryStore {
	m := &MemoryStore{seed: maphash.MakeSeed()}
	for i := range m.shards {
		m.shards[i].lists.Store(&[]list{{}})
	}
	return m
}

// ScreenCapture implements [ScreenCaptureStore].
func (m *MemoryStore) ScreenCapture(ctx context.Context, c Conversation) (NoticeStatus, error) {
	if err := ctx.Err(); err != nil {
		return NoticeOff, err
	}
	s, hash := m.shard(c)
	if _, e := find(*s.lists.Load(), hash, c); e != nil {
		return NoticeOn, nil
	}
	return NoticeOff, nil
}

// SetScreenCapture implements [ScreenCaptureStore].
func (m *MemoryStore) SetScreenCapture(ctx context.Context, c Conversation, status NoticeStatus) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if status != NoticeOff && status != NoticeOn {
		return ErrInvalidNoticeStatus
	}
	s, hash := m.shard(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch p, e := find(*s.lists.Load(), hash, c); {
	case e != nil && status == NoticeOff:
		p.Store(e.next.Load())
		s.on--
	case e == nil && status == NoticeOn:
		add(s.roomy(), hash, c)
		s.on++
	}
	return nil
}

func (m *MemoryStore) shard(c Conversation) (_ *shard, hash uint64) {
	hash = maphash.String(m.seed, c.a) + maphash.String(m.seed, c.b) // half the time that maphash.Comparable takes
	return &m.shards[hash%shards], hash
}

// roomy returns the lists, twice as many if there are too few for one more.
func (s *shard) roomy() []list {
	lists := *s.lists.Load()
	if 2*s.on < len(lists) {
		return lists
	}
	more := make([]list, 2*len(lists))
	for i := range lists {
		for e := lists[i].Load(); e != nil; e = e.next.Load() {
			add(more, e.hash, e.c)
		}
	}
	s.lists.Store(&more)
	return more
}

// of returns the list for a hash.
func of(lists []list, hash uint64) *list {
	return &lists[hash/shards%uint64(len(lists))]
}

// find returns the entry of c and the pointer to it, or nil and where the list
// ends.
func find(lists []list, hash uint64, c Conversation) (*list, *entry) {
	p := of(lists, hash)
	e := p.Load()
	for e != nil && (e.hash != hash || e.c != c) {
		p = &e.next
		e = p.Load()
	}
	return p, e
}

func add(lists []list, hash uint64, c Conversation) {
	e := &entry{hash: hash, c: c}
	first := of(lists, hash)
	e.next.Store(first.Load())
	first.Store(e)
}
