package misctest_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/misctest"
)

var errDown = errors.New("the backend fails")

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// A row says that a user may act in a conversation.
type row struct {
	user string
	c    misc.Conversation
}

// A backend has the data that the instances of a misc.Store share.
type backend struct {
	decode   func(id string) (canonical string, ok bool)
	rows     map[row]bool
	settings misc.MemoryStore
	down     bool
}

// put adds the rows for w, or removes them. No two rules may add the same row.
func (b *backend) put(t *testing.T, w misctest.World, present bool) {
	put := func(c misc.Conversation, users ...string) {
		for _, user := range users {
			check(t, !(present && b.rows[row{user, c}]), "another rule has added", user, "to", c)
			b.rows[row{user, c}] = present
		}
	}
	for _, f := range w.Friends {
		put(misc.PrivateConversation(f[0], f[1]), f[:]...)
	}
	for g, members := range w.Groups {
		put(misc.GroupConversation(g), members...)
	}
}

// some reports whether there is a row for which f is true.
func (b *backend) some(f func(r row) bool) bool {
	return slices.ContainsFunc(slices.Collect(maps.Keys(b.rows)), func(r row) bool { return b.rows[r] && f(r) })
}

// A query holds the arguments of a call, and an answer the results of Access.
type query struct {
	ctx context.Context
	row
	status misc.NoticeStatus
}

type answer struct {
	ok     bool
	status misc.NoticeStatus
	err    error
}

// A host is an instance of a misc.Store. A test may replace its functions.
type host struct {
	*backend
	access func(q query) answer
	set    func(q query) error
	key    func(c misc.Conversation) string // of its setting
}

// open returns a host that is right except for what change does to it.
func (b *backend) open(change func(h *host)) *host {
	h := &host{backend: b, key: misc.Conversation.String}
	h.access, h.set = h.ask, h.save
	change(h)
	return h
}

func (h *host) Access(ctx context.Context, user string, c misc.Conversation) (bool, misc.NoticeStatus, error) {
	a := h.access(query{ctx, row{user, c}, off})
	return a.ok, a.status, a.err
}

func (h *host) SetScreenCapture(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
	user, _ := c.Users()
	return h.set(query{ctx, row{user + c.GroupID(), c}, status})
}

func (h *host) ask(q query) (a answer) {
	if q, a.err = h.start(q); a.err == nil {
		a.ok = h.rows[q.row]
		a.status, a.err = h.settings.ScreenCapture(q.ctx, misc.GroupConversation(h.key(q.c)))
	}
	return a
}

func (h *host) save(q query) error {
	q, err := h.start(q)
	if err == nil {
		err = h.settings.SetScreenCapture(q.ctx, misc.GroupConversation(h.key(q.c)), q.status)
	}
	return err
}

// start decodes the ids of q, or returns the error with which the call ends.
func (h *host) start(q query) (_ query, err error) {
	if h.down {
		return q, errDown
	}
	decode := func(id string) string {
		canonical, ok := h.decode(id)
		if !ok {
			err = fmt.Errorf("decode: %w", &misc.IDError{ID: id})
		}
		return canonical
	}
	q.user = decode(q.user)
	if a, b := q.c.Users(); q.c.Type() == misc.Private {
		q.c = misc.PrivateConversation(decode(a), decode(b))
	} else {
		q.c = misc.GroupConversation(decode(q.c.GroupID()))
	}
	return q, err
}

// stores returns TestStore over hosts. Each rule has its own backend, unless all
// rules share one.
func stores(f form, shared bool, change func(h *host)) func(t *testing.T) {
	return func(t *testing.T) {
		var b *backend
		misctest.TestStore(t, misctest.StoreSuite{
			New: func(t *testing.T, w misctest.World) misc.Store {
				if b == nil || !shared {
					b = &backend{decode: f.decode, rows: make(map[row]bool)}
				}
				b.put(t, w, true)
				return b.open(change)
			},
			Second: func(*testing.T) misc.Store {
				if b.down && shared {
					return nil // as if it could not be opened
				}
				return b.open(change)
			},
			Change: func(t *testing.T, before, after misctest.World) {
				b.put(t, before, false)
				b.put(t, after, true)
			},
			Break: func(*testing.T) (mend func()) { b.down = true; return func() { b.down = false } },
			ID:    f.id, OpaqueIDs: f.opaque,
		})
	}
}

// newStore returns a store for the example.
func newStore(t *testing.T, w misctest.World) misc.Store {
	b := &backend{decode: forms["n3d"].decode, rows: make(map[row]bool)}
	b.put(t, w, true)
	return b.open(func(*host) {})
}

// A source has client versions and one release, with a name. A test may replace
// its function.
type source struct {
	name   string
	latest finder
	down   bool
}

type finder func(s *source, ctx context.Context, q misc.UpdateQuery) (*misc.Release, error)

func newRelease(name string) *misc.Release {
	return must(misc.NewRelease(misc.ReleaseFields{Version: "1.2.3", URL: "https://example.com/1.2.3.zip", Name: name}))
}

// static returns a source of r, or without a release if r is nil.
func static(r *misc.Release) *misc.StaticVersions {
	client := misc.ClientVersion{Version: "2.0.1", Build: "202001020304", URL: "https://example.com/app"}
	return must(misc.NewStaticVersions(r, must(misc.NewClientVersions(misc.ClientVersionsFields{IOS: client, Android: client}))))
}

func (s *source) find(ctx context.Context, q misc.UpdateQuery) (*misc.Release, error) {
	if s.down {
		return nil, errDown
	}
	return static(newRelease(s.name)).LatestRelease(ctx, q)
}

func (s *source) LatestRelease(ctx context.Context, q misc.UpdateQuery) (*misc.Release, error) {
	return s.latest(s, ctx, q)
}

func (s *source) ClientVersions(ctx context.Context) (*misc.ClientVersions, error) {
	return static(nil).ClientVersions(ctx)
}

// versions returns TestVersionSource over sources.
func versions(latest finder) func(*testing.T) {
	return func(t *testing.T) {
		var s *source
		misctest.TestVersionSource(t, misctest.VersionSuite{
			New: func(*testing.T) misc.VersionSource {
				s = &source{name: "SealTalk", latest: latest}
				return s
			},
			Query:  misc.UpdateQuery{Version: must(misc.ParseVersion("1.0.0")), Channel: "beta"},
			Change: func(*testing.T) { s.name = "new" },
			Break:  func(*testing.T) func() { s.down = true; return func() { s.down = false } },
		})
	}
}

// A cloud is a fake that may lose its answer, behind a client that may be wrong.
type cloud struct {
	misctest.Messenger
	lost   bool
	client sender
}

type sender func(c *cloud, ctx context.Context, m misc.Message) error

func (c *cloud) Send(ctx context.Context, m misc.Message) error { return c.client(c, ctx, m) }

// accept is what a right client calls.
func (c *cloud) accept(ctx context.Context, m misc.Message) error {
	if len(m.Content) > misc.MaxContent {
		return misc.ErrContentTooLong
	}
	err := c.Messenger.Send(ctx, m)
	if err == nil && c.lost {
		return misc.ErrUnreachable
	}
	return err
}

// messengers returns TestMessenger over clouds.
func messengers(client sender) func(*testing.T) {
	return func(t *testing.T) {
		var c *cloud
		misctest.TestMessenger(t, misctest.MessengerSuite{
			New: func(*testing.T) (misc.Messenger, func() []misc.Message) {
				c = &cloud{client: client}
				return c, c.Delivered
			},
			Refuse: func(*testing.T) func() { c.Fail(misc.ErrRefused); return func() { c.Fail(nil) } },
			Lose:   func(*testing.T) func() { c.lost = true; return func() { c.lost = false } },
		})
	}
}
