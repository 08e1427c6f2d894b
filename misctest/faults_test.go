package misctest_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/n3d"
)

// Each rule of a suite has an implementation or two here that a person could
// write by mistake, and that the rule must find.

var errFault = errors.New("this implementation is wrong")

// others lets the other goroutines run.
func others() {
	for range 64 {
		runtime.Gosched()
	}
}

var codec = must(n3d.New(misctest.Key))

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// number decodes an id of the suites.
func number(id string) uint32 {
	n, _ := codec.Decode(id)
	return n // 0 names nobody
}

func wrongImplementations() []implementation {
	return append(append(append(append(wrongStores(), wrongRelations()...), wrongRelatedStores()...), wrongVersions()...), wrongMessengers()...)
}

// data is what several stores may be over.
type data struct {
	misc.MemoryStore
	broken atomic.Bool
}

func (d *data) mendable(*testing.T) func() {
	d.broken.Store(true)
	return func() { d.broken.Store(false) }
}

// A store is over data, except for the methods that are replaced.
type store struct {
	*data
	get func(context.Context, misc.Conversation) (misc.NoticeStatus, error)
	set func(context.Context, misc.Conversation, misc.NoticeStatus) error
}

func (s *store) read(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
	if s.broken.Load() {
		return misc.NoticeOff, errFault
	}
	return s.data.ScreenCapture(ctx, c)
}

func (s *store) write(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
	if s.broken.Load() {
		return errFault
	}
	return s.data.SetScreenCapture(ctx, c, status)
}

func (s *store) ScreenCapture(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
	return s.get(ctx, c)
}

func (s *store) SetScreenCapture(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
	return s.set(ctx, c, status)
}

// captures is the suite over stores that change has changed, two over the same
// data in each subtest.
func captures(change func(s *store)) func(*testing.T) {
	return func(t *testing.T) {
		var d *data
		open := func(*testing.T) misc.ScreenCaptureStore {
			s := &store{data: d}
			s.get, s.set = s.read, s.write
			change(s)
			return s
		}
		misctest.TestScreenCaptureStore(t, func(t *testing.T) misc.ScreenCaptureStore {
			d = &data{}
			return open(t)
		}, misctest.StoreOptions{Second: open, Break: func(t *testing.T) func() { return d.mendable(t) }})
	}
}

func wrongStores() []implementation {
	var all []implementation
	wrong := func(name, breaks string, change func(s *store)) {
		all = append(all, implementation{"captures: " + name, captures(change), breaks})
	}
	// keyed stores under a key of its own.
	keyed := func(name, breaks string, key func(kind misc.ConversationType, a, b string) string) {
		as := func(c misc.Conversation) misc.Conversation {
			a, b := c.Users()
			return misc.GroupConversation(key(c.Type(), cmp.Or(c.GroupID(), a), b))
		}
		wrong(name, breaks, func(s *store) {
			s.get = func(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) { return s.read(ctx, as(c)) }
			s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
				return s.write(ctx, as(c), status)
			}
		})
	}
	digits := func(id string) string { return fmt.Sprint(number(id)) }

	wrong("never set is an error", "never set is off and no error", func(s *store) {
		var set sync.Map
		s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
			set.Store(c, true)
			return s.write(ctx, c, status)
		}
		s.get = func(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
			if _, ok := set.Load(c); !ok {
				return misc.NoticeOff, errFault
			}
			return s.read(ctx, c)
		}
	})
	wrong("off is forgotten", "a setting is read back", func(s *store) {
		s.set = func(ctx context.Context, c misc.Conversation, _ misc.NoticeStatus) error {
			return s.write(ctx, c, misc.NoticeOn)
		}
	})
	wrong("a conversation is inserted once", "a setting is read back", func(s *store) {
		var set sync.Map
		s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
			if _, again := set.LoadOrStore(c, true); again {
				return ctx.Err()
			}
			return s.write(ctx, c, status)
		}
	})
	wrong("no row changed is an error", "setting the same again is no error", func(s *store) {
		var set sync.Map
		s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
			if old, ok := set.Swap(c, status); ok && old == status {
				return errFault
			}
			return s.write(ctx, c, status)
		}
	})
	wrong("a set toggles", "setting the same again is no error", func(s *store) {
		s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
			if old, err := s.read(ctx, c); err == nil && old == misc.NoticeOn {
				status = misc.NoticeOff
			}
			return s.write(ctx, c, status)
		}
	})
	wrong("a pair is written in the order of strings and read in that of numbers", "a pair is the same whoever asks", func(s *store) {
		s.get = func(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
			if a, b := c.Users(); number(a) > number(b) {
				return misc.NoticeOff, ctx.Err()
			}
			return s.read(ctx, c)
		}
	})
	wrong("a group is read as the pair that begins with its number", "a group is not a pair of a user with its number", func(s *store) {
		var pairs sync.Map
		s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
			a, b := c.Users()
			pairs.Store(a, c)
			pairs.Store(b, c)
			return s.write(ctx, c, status)
		}
		s.get = func(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
			if p, ok := pairs.Load(c.GroupID()); ok && c.Type() == misc.Group {
				c = p.(misc.Conversation)
			}
			return s.read(ctx, c)
		}
	})
	keyed("the numbers of a pair stand side by side", "a set leaves the other conversations alone", func(t misc.ConversationType, a, b string) string {
		if t == misc.Private && number(a) > number(b) {
			a, b = b, a
		}
		return fmt.Sprint(t) + digits(a) + digits(b)
	})
	keyed("a key is cut short", "a set leaves the other conversations alone", func(t misc.ConversationType, a, b string) string {
		return fmt.Sprintf("%d:%.2s_%s", t, digits(a), digits(b))
	})
	keyed("keys are compared without regard to case", "ids that differ in case alone are different", func(t misc.ConversationType, a, b string) string {
		return strings.ToLower(fmt.Sprint(t, a, b))
	})
	wrong("the oldest of more than 100 are forgotten", "many settings are all kept", func(s *store) {
		var mu sync.Mutex
		var recent []misc.Conversation
		s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
			mu.Lock()
			defer mu.Unlock()
			if recent = append(recent, c); len(recent) > 100 {
				_ = s.write(ctx, recent[0], misc.NoticeOff)
				recent = recent[1:]
			}
			return s.write(ctx, c, status)
		}
	})
	wrong("sets overwrite each other", "sets at the same time are all kept", func(s *store) {
		var settings atomic.Pointer[map[misc.Conversation]misc.NoticeStatus]
		settings.Store(&map[misc.Conversation]misc.NoticeStatus{})
		s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
			changed := maps.Clone(*settings.Load())
			others()
			changed[c] = status
			settings.Store(&changed)
			return ctx.Err()
		}
		s.get = func(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
			return (*settings.Load())[c], ctx.Err()
		}
	})
	// behind writes in another goroutine's time.
	behind := func(s *store) {
		type setting struct {
			c      misc.Conversation
			status misc.NoticeStatus
		}
		var mu sync.Mutex
		var queue []setting
		var writing bool
		s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
			mu.Lock()
			defer mu.Unlock()
			queue = append(queue, setting{c, status})
			if writing {
				return ctx.Err()
			}
			for writing = true; len(queue) > 0; queue = queue[1:] {
				next := queue[0]
				mu.Unlock()
				others()
				_ = s.write(context.Background(), next.c, next.status)
				mu.Lock()
			}
			writing = false
			return ctx.Err()
		}
	}
	wrong("a set is acknowledged before it is written", "an acknowledged set is what is read while others set", behind)
	// conflicting calls conflict for a set that meets another of its conversation.
	conflicting := func(name, breaks string, conflict error, meanwhile func(s *store, c misc.Conversation)) {
		wrong(name, breaks, func(s *store) {
			var underway sync.Map
			s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
				if _, busy := underway.LoadOrStore(c, true); busy {
					return conflict
				}
				meanwhile(s, c)
				others()
				err := s.write(ctx, c, status)
				underway.Delete(c)
				return err
			}
		})
	}
	conflicting("the second insert of two is an error", "one conversation may be set many times at once", errFault, func(*store, misc.Conversation) {})
	conflicting("a set deletes and inserts", "a set is one atomic step", nil, func(s *store, c misc.Conversation) {
		_ = s.write(context.Background(), c, misc.NoticeOff)
	})
	wrong("any status is taken", "an invalid status is refused and changes nothing", func(s *store) {
		s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
			return s.write(ctx, c, min(max(status, misc.NoticeOff), misc.NoticeOn))
		}
	})
	wrong("the refused status is stored", "an invalid status is refused and changes nothing", func(s *store) {
		s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
			taken := min(max(status, misc.NoticeOff), misc.NoticeOn)
			err := s.write(ctx, c, taken)
			if err == nil && taken != status {
				err = misc.ErrInvalidNoticeStatus
			}
			return err
		}
	})
	wrong("an invalid id is a failure", "an invalid id is never set or misc.ErrInvalidID", func(s *store) {
		s.get = func(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
			if c.Type() == misc.Group && number(c.GroupID()) == 0 {
				return misc.NoticeOff, errFault
			}
			return s.read(ctx, c)
		}
	})
	wrong("a read ignores the context", "a cancelled read is an error", func(s *store) {
		s.get = func(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
			return s.read(context.WithoutCancel(ctx), c)
		}
	})
	wrong("a set ignores the context", "a cancelled set is an error and changes nothing", func(s *store) {
		s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
			return s.write(context.WithoutCancel(ctx), c, status)
		}
	})
	wrong("a cancelled set is written", "a cancelled set is an error and changes nothing", func(s *store) {
		s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
			return cmp.Or(s.write(context.WithoutCancel(ctx), c, status), ctx.Err())
		}
	})
	const second = "a saved setting is visible through another instance"
	wrong("each instance has a cache", second, func(s *store) {
		var cache sync.Map
		s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
			err := s.write(ctx, c, status)
			if err == nil {
				cache.Store(c, status)
			}
			return err
		}
		s.get = func(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
			if known, ok := cache.Load(c); ok {
				return known.(misc.NoticeStatus), ctx.Err()
			}
			status, err := s.read(ctx, c)
			if err == nil {
				cache.Store(c, status)
			}
			return status, err
		}
	})
	wrong("sets are written behind the answer", second, func(s *store) {
		var waiting sync.Map // until the next set
		s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
			waiting.Range(func(c, status any) bool {
				waiting.Delete(c)
				_ = s.write(context.Background(), c.(misc.Conversation), status.(misc.NoticeStatus))
				return true
			})
			waiting.Store(c, status)
			return ctx.Err()
		}
		s.get = func(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
			if status, ok := waiting.Load(c); ok {
				return status.(misc.NoticeStatus), ctx.Err()
			}
			return s.read(ctx, c)
		}
	})
	wrong("a failure is off", "a failing backend is an error and loses nothing", func(s *store) {
		s.get = func(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
			status, _ := s.read(ctx, c)
			return status, ctx.Err()
		}
	})
	wrong("a failed set is acknowledged", "a failing backend is an error and loses nothing", func(s *store) {
		s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
			if err := s.write(ctx, c, status); !errors.Is(err, errFault) {
				return err
			}
			return nil
		}
	})
	return all
}

// A group of people is relations that can change and fail.
type people struct {
	misctest.World
	broken bool
	ask    func(ctx context.Context, p *people, group bool, a, b string) (bool, error)
}

func (p *people) answer(ctx context.Context, group bool, a, b string) (bool, error) {
	r := misctest.NewRelations(p.World)
	switch {
	case p.broken:
		return false, errFault
	case group:
		return r.IsGroupMember(ctx, a, b)
	}
	return r.AreFriends(ctx, a, b)
}

func (p *people) AreFriends(ctx context.Context, userID, otherID string) (bool, error) {
	return p.ask(ctx, p, false, userID, otherID)
}

func (p *people) IsGroupMember(ctx context.Context, userID, groupID string) (bool, error) {
	return p.ask(ctx, p, true, userID, groupID)
}

// relations is the suite over people who answer as newAsk's function does.
func relations(newAsk func() func(ctx context.Context, p *people, group bool, a, b string) (bool, error)) func(*testing.T) {
	return func(t *testing.T) {
		var p *people
		misctest.TestRelations(t, func(_ *testing.T, w misctest.World) misc.Relations {
			p = &people{World: w, ask: newAsk()}
			return p
		}, misctest.RelationsOptions{
			Remove: func(_ *testing.T, w misctest.World) {
				p.Friends = nil
				for group, members := range w.Groups {
					kept := []string{}
					for _, m := range p.Groups[group] {
						if m != members[0] {
							kept = append(kept, m)
						}
					}
					p.Groups[group] = kept
				}
			},
			Break: func(*testing.T) func() {
				p.broken = true
				return func() { p.broken = false }
			},
		})
	}
}

func answering(ctx context.Context, p *people, group bool, a, b string) (bool, error) {
	return p.answer(ctx, group, a, b)
}

func wrongRelations() []implementation {
	type question = func(ctx context.Context, p *people, group bool, a, b string) (bool, error)
	var all []implementation
	wrong := func(name, breaks string, ask question) {
		all = append(all, implementation{"relations: " + name, relations(func() func(context.Context, *people, bool, string, string) (bool, error) { return ask }), breaks})
	}
	// in replaces the answer about friends, or about members.
	in := func(group bool, answer func(p *people, a, b string) bool) question {
		return func(ctx context.Context, p *people, isGroup bool, a, b string) (bool, error) {
			yes, err := p.answer(ctx, isGroup, a, b)
			if err == nil && isGroup == group {
				yes = answer(p, a, b)
			}
			return yes, err
		}
	}
	is := func(p *people, group bool, a, b string) bool {
		yes, _ := p.answer(context.Background(), group, a, b)
		return yes
	}

	wrong("one direction of a friendship", "friends are friends in both directions", in(false, func(p *people, a, b string) bool {
		return is(p, false, a, b) && number(a) < number(b)
	}))
	wrong("friends of friends", "strangers are no friends", in(false, func(p *people, a, b string) bool {
		for _, f := range p.Friends {
			if a != b && (is(p, false, a, f[0]) && is(p, false, f[0], b) || is(p, false, a, f[1]) && is(p, false, f[1], b)) {
				return true
			}
		}
		return is(p, false, a, b)
	}))
	wrong("an invalid id is a failure", "an invalid id is not related or misc.ErrInvalidID", func(ctx context.Context, p *people, group bool, a, b string) (bool, error) {
		if number(b) == 0 {
			return false, errFault
		}
		return p.answer(ctx, group, a, b)
	})
	wrong("everybody is their own friend", "nobody is a friend of themselves", in(false, func(p *people, a, b string) bool { return a == b || is(p, false, a, b) }))
	wrong("only the first member", "a member is in the group", in(true, func(p *people, a, b string) bool {
		return len(p.Groups[b]) > 0 && p.Groups[b][0] == a
	}))
	wrong("members of any group", "a stranger is not in the group", in(true, func(p *people, a, b string) bool {
		for g := range p.Groups {
			if is(p, true, a, g) {
				return true
			}
		}
		return false
	}))
	wrong("the group comes first", "a group is not the user with its number", in(true, func(p *people, a, b string) bool {
		return is(p, true, a, b) || is(p, true, b, a)
	}))
	fold := func(p *people, group bool, a, b string) bool {
		for _, f := range p.Friends {
			if !group && (strings.EqualFold(f[0], a) && strings.EqualFold(f[1], b) || strings.EqualFold(f[1], a) && strings.EqualFold(f[0], b)) {
				return true
			}
		}
		return is(p, group, a, b)
	}
	wrong("ids are compared without regard to case", "ids that differ in case alone are different", in(false, func(p *people, a, b string) bool { return fold(p, false, a, b) }))
	wrong("members are found by a part of the number", "a part of an id is not that id", in(true, func(p *people, a, b string) bool {
		var joined string
		for _, m := range p.Groups[b] {
			joined += fmt.Sprint(number(m)) + ","
		}
		return number(a) != 0 && strings.Contains(joined, fmt.Sprint(number(a)))
	}))
	wrong("members are found by a part of the id", "a part of an id is not that id", in(true, func(p *people, a, b string) bool {
		return strings.Contains(strings.Join(p.Groups[b], ","), a)
	}))
	wrong("an unknown user is an error", "an unknown id is related to nobody and no error", func(ctx context.Context, p *people, group bool, a, b string) (bool, error) {
		if number(a) == 504 {
			return false, errFault
		}
		return p.answer(ctx, group, a, b)
	})
	var mu sync.Mutex
	var last [2]string
	wrong("answers are mixed up", "questions at the same time get their own answers", func(ctx context.Context, p *people, group bool, a, b string) (bool, error) {
		mu.Lock()
		last = [2]string{a, b}
		mu.Unlock()
		others()
		mu.Lock()
		asked := last
		mu.Unlock()
		return p.answer(ctx, group, asked[0], asked[1])
	})
	ignores := func(of bool) question {
		return func(ctx context.Context, p *people, group bool, a, b string) (bool, error) {
			if group == of {
				ctx = context.WithoutCancel(ctx)
			}
			return p.answer(ctx, group, a, b)
		}
	}
	wrong("a question about friends ignores the context", "a cancelled question about friends is an error", ignores(false))
	wrong("a question about members ignores the context", "a cancelled question about members is an error", ignores(true))
	all = append(all, implementation{"relations: a yes is kept for ever", relations(func() func(context.Context, *people, bool, string, string) (bool, error) {
		var known sync.Map
		return func(ctx context.Context, p *people, group bool, a, b string) (bool, error) {
			if _, ok := known.Load([3]any{group, a, b}); ok && ctx.Err() == nil {
				return true, nil
			}
			yes, err := p.answer(ctx, group, a, b)
			if yes {
				known.Store([3]any{group, a, b}, true)
			}
			return yes, err
		}
	}), "who was removed is no longer related"})
	wrong("a failure is a no", "a failing backend is an error and not a no", func(ctx context.Context, p *people, group bool, a, b string) (bool, error) {
		yes, _ := p.answer(ctx, group, a, b)
		return yes, ctx.Err()
	})
	return all
}

// A relatedStore asks its relations whether the user may reach the
// conversation.
type relatedStore struct {
	*misc.MemoryStore
	*misctest.Relations
	ask func(ctx context.Context, s *relatedStore, user string, c misc.Conversation) (bool, misc.NoticeStatus, error)
}

func (s *relatedStore) RelatedScreenCapture(ctx context.Context, user string, c misc.Conversation) (bool, misc.NoticeStatus, error) {
	return s.ask(ctx, s, user, c)
}

func (s *relatedStore) relation(ctx context.Context, user string, c misc.Conversation) (bool, error) {
	a, b := c.Users()
	switch {
	case c.Type() == misc.Group:
		return s.IsGroupMember(ctx, user, c.GroupID())
	case a == user:
		return s.AreFriends(ctx, user, b)
	case b == user:
		return s.AreFriends(ctx, user, a)
	}
	return false, ctx.Err()
}

func bothQuestions(ctx context.Context, s *relatedStore, user string, c misc.Conversation) (bool, misc.NoticeStatus, error) {
	related, err := s.relation(ctx, user, c)
	if err != nil || !related {
		return false, misc.NoticeOff, err
	}
	status, err := s.ScreenCapture(ctx, c)
	return true, status, err
}

func relatedStores(ask func(ctx context.Context, s *relatedStore, user string, c misc.Conversation) (bool, misc.NoticeStatus, error)) func(*testing.T) {
	return func(t *testing.T) {
		misctest.TestRelatedStore(t, func(_ *testing.T, w misctest.World) misc.RelatedStore {
			return &relatedStore{misc.NewMemoryStore(), misctest.NewRelations(w), ask}
		})
	}
}

func wrongRelatedStores() []implementation {
	var all []implementation
	wrong := func(name, breaks string, ask func(ctx context.Context, s *relatedStore, user string, c misc.Conversation) (bool, misc.NoticeStatus, error)) {
		all = append(all, implementation{"related: " + name, relatedStores(ask), breaks})
	}
	wrong("the setting of the first user alone", "friends read their setting whoever asks", func(ctx context.Context, s *relatedStore, user string, c misc.Conversation) (bool, misc.NoticeStatus, error) {
		related, status, err := bothQuestions(ctx, s, user, c)
		if _, b := c.Users(); b == user {
			status = misc.NoticeOff
		}
		return related, status, err
	})
	wrong("groups are never on", "members read the setting of their group", func(ctx context.Context, s *relatedStore, user string, c misc.Conversation) (bool, misc.NoticeStatus, error) {
		related, status, err := bothQuestions(ctx, s, user, c)
		if c.Type() == misc.Group {
			status = misc.NoticeOff
		}
		return related, status, err
	})
	wrong("what is on is for everybody", "strangers are not related, whatever is set", func(ctx context.Context, s *relatedStore, user string, c misc.Conversation) (bool, misc.NoticeStatus, error) {
		related, _, err := bothQuestions(ctx, s, user, c)
		status, _ := s.ScreenCapture(ctx, c)
		return related || status == misc.NoticeOn, status, err
	})
	wrong("the pair is checked and not the asker", "the one who asks counts, and not only the pair", func(ctx context.Context, s *relatedStore, user string, c misc.Conversation) (bool, misc.NoticeStatus, error) {
		if a, _ := c.Users(); c.Type() == misc.Private {
			user = a
		}
		return bothQuestions(ctx, s, user, c)
	})
	wrong("a group is looked up as a user", "a group is not a user with its number", func(ctx context.Context, s *relatedStore, user string, c misc.Conversation) (bool, misc.NoticeStatus, error) {
		related, status, err := bothQuestions(ctx, s, user, c)
		if friends, _ := s.AreFriends(ctx, user, c.GroupID()); friends {
			related = true
		}
		return related, status, err
	})
	wrong("an invalid id is a failure", "an invalid id is not related or misc.ErrInvalidID", func(ctx context.Context, s *relatedStore, user string, c misc.Conversation) (bool, misc.NoticeStatus, error) {
		if a, b := c.Users(); number(c.GroupID())+number(a)*number(b) == 0 {
			return false, misc.NoticeOff, errFault
		}
		return bothQuestions(ctx, s, user, c)
	})
	wrong("the context is ignored", "a cancelled question is an error", func(ctx context.Context, s *relatedStore, user string, c misc.Conversation) (bool, misc.NoticeStatus, error) {
		return bothQuestions(context.WithoutCancel(ctx), s, user, c)
	})
	return all
}

// A source answers as its functions do.
type source struct {
	latest  func(q misc.UpdateQuery) (*misc.Release, error)
	clients func() (*misc.ClientVersions, error)
	ignores string // the context, in this method
}

func (s *source) LatestRelease(ctx context.Context, q misc.UpdateQuery) (*misc.Release, error) {
	if err := ctx.Err(); err != nil && s.ignores != "latest" {
		return nil, err
	}
	return s.latest(q)
}

func (s *source) ClientVersions(ctx context.Context) (*misc.ClientVersions, error) {
	if err := ctx.Err(); err != nil && s.ignores != "clients" {
		return nil, err
	}
	return s.clients()
}

func newRelease(name string) *misc.Release {
	return must(misc.NewRelease(misc.ReleaseFields{Version: "1.0.2", URL: "https://example.com/" + url.PathEscape(name), Name: name,
		Extra: map[string]json.RawMessage{"size": json.RawMessage("1")}}))
}

func newClients(version string) *misc.ClientVersions {
	return must(misc.NewClientVersions(misc.ClientVersionsFields{
		IOS:     misc.ClientVersion{Version: version, Build: "202001020304", URL: "https://example.com/ios"},
		Android: misc.ClientVersion{Version: version, URL: "https://example.com/android"},
	}))
}

// newSource answers by the whole query, as a source may.
func newSource() *source {
	clients := newClients("1")
	return &source{
		latest: func(q misc.UpdateQuery) (*misc.Release, error) {
			if q.Platform == "linux" {
				return nil, fmt.Errorf("none for %s: %w", q.Platform, misc.ErrNoRelease)
			}
			return newRelease(q.Platform + q.Arch + q.Channel + q.Version), nil
		},
		clients: func() (*misc.ClientVersions, error) { return clients, nil },
	}
}

func versions(change func(s *source)) func(*testing.T) {
	return func(t *testing.T) {
		misctest.TestVersionSource(t, func(*testing.T) misc.VersionSource {
			s := newSource()
			change(s)
			return s
		}, misctest.VersionOptions{Query: misc.UpdateQuery{Version: "1.0.0", Platform: "darwin"}})
	}
}

func wrongVersions() []implementation {
	var all []implementation
	wrong := func(name, breaks string, change func(s *source)) {
		all = append(all, implementation{"versions: " + name, versions(change), breaks})
	}
	const valid = "the latest release is valid or there is none"
	wrong("no release and no error", valid, func(s *source) {
		latest := s.latest
		s.latest = func(q misc.UpdateQuery) (*misc.Release, error) { r, _ := latest(q); return r, nil }
	})
	wrong("a release that no constructor made", valid, func(s *source) {
		s.latest = func(q misc.UpdateQuery) (*misc.Release, error) { return &misc.Release{}, nil }
	})
	wrong("never a release", "there is a release for the query of the options", func(s *source) {
		s.latest = func(q misc.UpdateQuery) (*misc.Release, error) { return nil, misc.ErrNoRelease }
	})
	wrong("versions that no constructor made", "the client versions are valid", func(s *source) {
		s.clients = func() (*misc.ClientVersions, error) { return &misc.ClientVersions{}, nil }
	})
	const changed = "what was handed over is never changed"
	// They overwrite it at the second question, which no rule asks beside others:
	// that would be a data race.
	wrong("the first release is overwritten", changed, func(s *source) {
		latest, first, n := s.latest, misc.Release{}, atomic.Int64{}
		s.latest = func(q misc.UpdateQuery) (*misc.Release, error) {
			r, err := latest(q)
			if err == nil && n.Add(1) <= 2 {
				first = *r
				return &first, nil
			}
			return r, err
		}
	})
	wrong("client versions are overwritten", changed, func(s *source) {
		latest, shared, n := s.latest, newClients("1"), atomic.Int64{}
		s.clients = func() (*misc.ClientVersions, error) { return shared, nil }
		s.latest = func(q misc.UpdateQuery) (*misc.Release, error) {
			if n.Add(1) == 2 {
				*shared = *newClients("2")
			}
			return latest(q)
		}
	})
	wrong("answers are mixed up", "questions at the same time get their own answers", func(s *source) {
		latest := s.latest
		var last atomic.Pointer[misc.UpdateQuery]
		s.latest = func(q misc.UpdateQuery) (*misc.Release, error) {
			last.Store(&q)
			others()
			return latest(*last.Load())
		}
	})
	wrong("a question about the release ignores the context", "a cancelled question about the release is an error", func(s *source) { s.ignores = "latest" })
	wrong("a question about the client versions ignores the context", "a cancelled question about the client versions is an error", func(s *source) { s.ignores = "clients" })
	return all
}

// A cloud takes messages, unless it refuses them, and may lose its answers.
type cloud struct {
	mu             sync.Mutex
	taken          []misc.Message
	refuses, loses bool
}

func (c *cloud) take(ctx context.Context, m misc.Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.Type != misc.Private && m.Type != misc.Group {
		return misc.ErrUnsupportedType
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.refuses {
		return misc.ErrRefused
	}
	c.taken = append(c.taken, m)
	if c.loses {
		return misc.ErrUnreachable
	}
	return nil
}

func (c *cloud) delivered() []misc.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]misc.Message(nil), c.taken...)
}

type sender func(ctx context.Context, m misc.Message) error

func (f sender) Send(ctx context.Context, m misc.Message) error { return f(ctx, m) }

func messenger(over func(c *cloud) sender) func(*testing.T) {
	return func(t *testing.T) {
		var c *cloud
		until := func(fault *bool) func() {
			*fault = true
			return func() { *fault = false }
		}
		misctest.TestMessenger(t, func(*testing.T) (misc.Messenger, func() []misc.Message) {
			c = &cloud{}
			return over(c), c.delivered
		}, misctest.MessengerOptions{
			Refuse: func(*testing.T) func() { return until(&c.refuses) },
			Lose:   func(*testing.T) func() { return until(&c.loses) },
		})
	}
}

func wrongMessengers() []implementation {
	var all []implementation
	wrong := func(name, breaks string, over func(c *cloud) sender) {
		all = append(all, implementation{"messenger: " + name, messenger(over), breaks})
	}
	// changed changes each message on its way.
	changed := func(name, breaks string, change func(m *misc.Message)) {
		wrong(name, breaks, func(c *cloud) sender {
			return func(ctx context.Context, m misc.Message) error {
				change(&m)
				return c.take(ctx, m)
			}
		})
	}
	unescaped := func(s string) string {
		values, _ := url.ParseQuery("v=" + s)
		return values.Get("v")
	}
	changed("the push content is left out in private", "a private message arrives whole", func(m *misc.Message) {
		if m.Type == misc.Private {
			m.PushContent = ""
		}
	})
	changed("mentions are left out", "a group message arrives whole", func(m *misc.Message) { m.Mentioned = false })
	changed("content is not escaped", "text arrives as it was written", func(m *misc.Message) { m.Content = unescaped(m.Content) })
	changed("ids are not escaped", "ids and types arrive as they are", func(m *misc.Message) { m.To = unescaped(m.To) })
	changed("types are not escaped", "ids and types arrive as they are", func(m *misc.Message) { m.ObjectName = unescaped(m.ObjectName) })
	changed("content is cut", "the longest message arrives whole", func(m *misc.Message) { m.Content = fmt.Sprintf("%.65536s", m.Content) })
	wrong("a message is known again", "a message sent again arrives again", func(c *cloud) sender {
		var sent sync.Map
		return func(ctx context.Context, m misc.Message) error {
			if _, again := sent.LoadOrStore(m, true); again && ctx.Err() == nil {
				return nil
			}
			return c.take(ctx, m)
		}
	})
	wrong("messages share a buffer", "messages sent at the same time arrive once each", func(c *cloud) sender {
		var buffer atomic.Pointer[misc.Message]
		return func(ctx context.Context, m misc.Message) error {
			buffer.Store(&m)
			others()
			return c.take(ctx, *buffer.Load())
		}
	})
	changed("any type is a group", "an unsupported conversation type is an error and sends nothing", func(m *misc.Message) {
		if m.Type != misc.Private {
			m.Type = misc.Group
		}
	})
	wrong("the context is ignored", "a cancelled send is an error and sends nothing", func(c *cloud) sender {
		return func(ctx context.Context, m misc.Message) error { return c.take(context.WithoutCancel(ctx), m) }
	})
	wrong("a cancelled send goes out", "a cancelled send is an error and sends nothing", func(c *cloud) sender {
		return func(ctx context.Context, m misc.Message) error {
			return cmp.Or(c.take(context.WithoutCancel(ctx), m), ctx.Err())
		}
	})
	wrong("a refusal is success", "a refusal is an error", func(c *cloud) sender {
		return func(ctx context.Context, m misc.Message) error {
			if err := c.take(ctx, m); !errors.Is(err, misc.ErrRefused) {
				return err
			}
			return nil
		}
	})
	wrong("after any error it sends again", "a message whose answer is lost is not delivered twice", func(c *cloud) sender {
		return func(ctx context.Context, m misc.Message) error {
			if c.take(ctx, m) == nil {
				return nil
			}
			return c.take(ctx, m)
		}
	})
	return all
}
