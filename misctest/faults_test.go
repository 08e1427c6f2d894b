package misctest_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/n3d"
)

// For each rule of a suite, there are one or more implementations here that somebody
// could write by mistake, and that the rule must detect.

var (
	errFault = errors.New("this implementation is wrong")
	errDown  = errors.New("the backend fails")
	codec    = must(n3d.New(misctest.Key))
)

const off, on = misc.NoticeOff, misc.NoticeOn

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// number decodes an id of the suites. It returns 0 for an invalid one.
func number(id string) uint32 {
	n, _ := codec.Decode(id)
	return n
}

// others lets the other goroutines run.
func others() {
	for range 64 {
		runtime.Gosched()
	}
}

func wrongImplementations() []implementation {
	return slices.Concat(wrongStores(), wrongRelations(), wrongRelatedStores(), wrongVersions(), wrongMessengers())
}

// A query holds the arguments of a call to a store.
type query struct {
	ctx    context.Context
	c      misc.Conversation
	status misc.NoticeStatus
}

func (q query) deaf() query {
	q.ctx = context.WithoutCancel(q.ctx)
	return q
}

func (q query) with(status misc.NoticeStatus) query {
	q.status = status
	return q
}

func (q query) under(key string) query {
	q.c = misc.GroupConversation(key)
	return q
}

// A store is an instance over data, with methods that a test can replace.
type store struct {
	data *misc.MemoryStore
	down bool
	get  func(q query) (misc.NoticeStatus, error)
	set  func(q query) error
}

func (s *store) ScreenCapture(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
	return s.get(query{ctx: ctx, c: c})
}

func (s *store) SetScreenCapture(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
	return s.set(query{ctx, c, status})
}

func (s *store) read(q query) (misc.NoticeStatus, error) {
	if s.down {
		return off, errDown
	}
	return s.data.ScreenCapture(q.ctx, q.c)
}

func (s *store) write(q query) error {
	if s.down {
		return errDown
	}
	return s.data.SetScreenCapture(q.ctx, q.c, q.status)
}

// captures returns a test of stores that are right except for what change does to them.
func captures(change func(s *store)) func(*testing.T) {
	return func(t *testing.T) {
		var last *store
		open := func(data *misc.MemoryStore) *store {
			s := &store{data: data}
			s.get, s.set = s.read, s.write
			change(s)
			return s
		}
		misctest.TestScreenCaptureStore(t, func(*testing.T) misc.ScreenCaptureStore {
			last = open(misc.NewMemoryStore())
			return last
		}, misctest.StoreOptions{
			Second: func(*testing.T) misc.ScreenCaptureStore { return open(last.data) },
			Break:  func(*testing.T) func() { last.down = true; return func() { last.down = false } },
		})
	}
}

func wrongStores() []implementation {
	wrong := func(name, breaks string, change func(s *store)) implementation {
		return implementation{"captures: " + name, captures(change), breaks}
	}
	gets := func(name, breaks string, get func(s *store, q query) (misc.NoticeStatus, error)) implementation {
		return wrong(name, breaks, func(s *store) { s.get = func(q query) (misc.NoticeStatus, error) { return get(s, q) } })
	}
	sets := func(name, breaks string, set func(s *store, q query) error) implementation {
		return wrong(name, breaks, func(s *store) { s.set = func(q query) error { return set(s, q) } })
	}
	// keyed reads and writes under the strings that the functions return.
	keyed := func(name, breaks string, readKey, writeKey func(misc.Conversation) string) implementation {
		return wrong(name, breaks, func(s *store) {
			s.get = func(q query) (misc.NoticeStatus, error) { return s.read(q.under(readKey(q.c))) }
			s.set = func(q query) error { return s.write(q.under(writeKey(q.c))) }
		})
	}
	// numbers returns the numbers of two users, or that of a group and 0.
	numbers := func(c misc.Conversation) (uint32, uint32) {
		a, b := c.Users()
		return number(cmp.Or(a, c.GroupID())), number(b)
	}
	joined := func(c misc.Conversation) string { a, b := numbers(c); return fmt.Sprintf("%d:%d%d", c.Type(), a, b) }
	byString := func(c misc.Conversation) string { a, b := numbers(c); return fmt.Sprint(a, b) }
	byNumber := func(c misc.Conversation) string { a, b := numbers(c); return fmt.Sprint(min(a, b), max(a, b)) }
	lowerCase := func(c misc.Conversation) string { return strings.ToLower(c.String()) }
	sideBySide := func(c misc.Conversation) string { a, b := c.Users(); return fmt.Sprint(c.Type()) + a + b + c.GroupID() }
	cut := func(c misc.Conversation) string { return fmt.Sprintf("%.26s", c.String()) }
	padded := func(c misc.Conversation) string { return strings.ReplaceAll(c.String(), "%20", "") }
	valid := func(s misc.NoticeStatus) misc.NoticeStatus { return min(max(s, off), on) }
	const readBack, mixedUp = "a setting is read back, set once or again", "a group is not a pair of a user with its number"
	const status, cancelled = "an invalid status is refused and changes nothing", "a cancelled call is an error and changes nothing"
	const invalid = "an invalid id is never set or misc.ErrInvalidID"
	const another = "a saved setting is visible through another instance"
	return []implementation{
		gets("never set is an error", "never set is off and no error", func(s *store, q query) (misc.NoticeStatus, error) {
			if number(q.c.GroupID()) == 103 {
				return off, errFault
			}
			return s.read(q)
		}),
		sets("off is forgotten", readBack, func(s *store, q query) error { return s.write(q.with(max(q.status, on))) }),
		sets("on again is an error", readBack, func(s *store, q query) error {
			if old, _ := s.read(q); old == on && q.status == on {
				return errFault
			}
			return s.write(q)
		}),
		keyed("a pair is written by string and read by number", "a pair is the same whoever asks", byNumber, byString),
		sets("a pair writes the groups of its users", mixedUp, func(s *store, q query) error {
			a, b := q.c.Users()
			return errors.Join(s.write(q.under(a)), s.write(q.under(b)), s.write(q))
		}),
		gets("a pair reads the group of a user", mixedUp, func(s *store, q query) (misc.NoticeStatus, error) {
			a, _ := q.c.Users()
			if status, _ := s.read(q.under(a)); status == on {
				return on, nil
			}
			return s.read(q)
		}),
		keyed("the numbers of a pair are joined without anything between", "a set leaves the other conversations alone", joined, joined),
		keyed("ids are compared without regard to case", "ids that differ in case alone are different", lowerCase, lowerCase),
		wrong("forgets all but the last 1000 conversations", "many sets at the same time are all kept", func(s *store) {
			var mu sync.Mutex
			var last []query
			s.set = func(q query) error {
				mu.Lock()
				defer mu.Unlock()
				if last = append(last, q); len(last) > 1000 {
					_ = s.write(last[0].with(off))
					last = last[1:]
				}
				return s.write(q)
			}
		}),
		wrong("a set is acknowledged before it is written", "an acknowledged set is what is read while others set", func(s *store) {
			var mu sync.Mutex
			var queue []query
			s.set = func(q query) error {
				mu.Lock()
				defer mu.Unlock()
				if queue = append(queue, q.deaf()); len(queue) > 1 {
					return nil // the call that writes the first one also writes this one
				}
				for ; len(queue) > 0; queue = queue[1:] {
					mu.Unlock()
					others()
					mu.Lock()
					_ = s.write(queue[0])
				}
				return nil
			}
		}),
		wrong("of two sets at once one is an error", "one conversation may be set many times at once", func(s *store) {
			var underway sync.Map
			s.set = func(q query) error {
				if _, busy := underway.LoadOrStore(q.c, true); busy {
					return errFault
				}
				defer underway.Delete(q.c)
				others()
				return s.write(q)
			}
		}),
		sets("a set deletes and inserts", "a set is one atomic step", func(s *store, q query) error {
			err := s.write(q.with(off))
			others()
			return cmp.Or(err, s.write(q))
		}),
		sets("takes any status", status, func(s *store, q query) error { return s.write(q.with(valid(q.status))) }),
		sets("a status loses its higher bits", status, func(s *store, q query) error { return s.write(q.with(misc.NoticeStatus(uint8(q.status)))) }),
		sets("stores the status that it refuses", status, func(s *store, q query) error {
			if err := s.write(q.with(valid(q.status))); err != nil || valid(q.status) == q.status {
				return err
			}
			return misc.ErrInvalidNoticeStatus
		}),
		gets("an invalid id is another error", invalid, func(s *store, q query) (misc.NoticeStatus, error) {
			if a, _ := numbers(q.c); a == 0 {
				return off, errFault
			}
			return s.read(q)
		}),
		keyed("ids are joined without a separator", invalid, sideBySide, sideBySide),
		keyed("a key is cut short", invalid, cut, cut),
		keyed("ids are padded with spaces", invalid, padded, padded),
		gets("a read ignores the context", cancelled, func(s *store, q query) (misc.NoticeStatus, error) { return s.read(q.deaf()) }),
		sets("a set ignores the context", cancelled, func(s *store, q query) error { return s.write(q.deaf()) }),
		sets("a cancelled set is written", cancelled, func(s *store, q query) error { return cmp.Or(s.write(q.deaf()), q.ctx.Err()) }),
		// The cache is written through, so that no instance contradicts itself.
		wrong("each instance has a cache", another, func(s *store) {
			var cache sync.Map
			s.get = func(q query) (misc.NoticeStatus, error) {
				if status, ok := cache.Load(q.c); ok && q.ctx.Err() == nil {
					return status.(misc.NoticeStatus), nil
				}
				status, err := s.read(q)
				if err == nil {
					cache.Store(q.c, status)
				}
				return status, err
			}
			s.set = func(q query) error {
				err := s.write(q)
				if err == nil {
					cache.Store(q.c, q.status)
				}
				return err
			}
		}),
		wrong("a set is written by the next one, and read from memory until then", another, func(s *store) {
			var mu sync.Mutex
			var pending query
			s.get = func(q query) (misc.NoticeStatus, error) {
				mu.Lock()
				defer mu.Unlock()
				if pending.c == q.c && q.ctx.Err() == nil {
					return pending.status, nil
				}
				return s.read(q)
			}
			s.set = func(q query) error {
				mu.Lock()
				defer mu.Unlock()
				if q.ctx.Err() != nil || s.down || q.status != valid(q.status) {
					return s.write(q)
				}
				if pending.ctx != nil {
					_ = s.write(pending)
				}
				pending = q.deaf()
				return nil
			}
		}),
		sets("a failed set is acknowledged", "a failing backend is an error and loses nothing", func(s *store, q query) error {
			if err := s.write(q); !errors.Is(err, errDown) {
				return err
			}
			return nil
		}),
		wrong("a failed set stays in a cache", "a failing backend is an error and loses nothing", func(s *store) {
			var failed sync.Map
			s.set = func(q query) error {
				err := s.write(q)
				if failed.Delete(q.c); errors.Is(err, errDown) {
					failed.Store(q.c, q.status)
				}
				return err
			}
			s.get = func(q query) (misc.NoticeStatus, error) {
				if status, ok := failed.Load(q.c); ok {
					return status.(misc.NoticeStatus), nil
				}
				return s.read(q)
			}
		}),
		gets("a failure is off", "a failing backend is an error and loses nothing", func(s *store, q query) (misc.NoticeStatus, error) {
			status, err := s.read(q)
			if errors.Is(err, errDown) {
				return off, nil
			}
			return status, err
		}),
	}
}

// A question holds the arguments of a call to relations.
type question struct {
	ctx         context.Context
	user, other string
}

type answer = func(q question) (bool, error)

// people is the data that several relateds may share.
type people struct {
	misc.MemoryStore
	world misctest.World
	down  bool
}

// A related answers about people, with methods that a test can replace.
type related struct {
	*people
	friends, member answer
	both            func(q query, user string) (bool, misc.NoticeStatus, error)
}

func (r *related) AreFriends(ctx context.Context, user, other string) (bool, error) {
	return r.friends(question{ctx, user, other})
}

func (r *related) IsGroupMember(ctx context.Context, user, group string) (bool, error) {
	return r.member(question{ctx, user, group})
}

func (r *related) RelatedScreenCapture(ctx context.Context, user string, c misc.Conversation) (bool, misc.NoticeStatus, error) {
	return r.both(query{ctx: ctx, c: c}, user)
}

func (r *related) areFriends(q question) (bool, error) {
	if r.down {
		return false, errDown
	}
	return misctest.NewRelations(r.world).AreFriends(q.ctx, q.user, q.other)
}

func (r *related) isMember(q question) (bool, error) {
	if r.down {
		return false, errDown
	}
	return misctest.NewRelations(r.world).IsGroupMember(q.ctx, q.user, q.other)
}

func (r *related) ask(q query, user string) (ok bool, status misc.NoticeStatus, err error) {
	a, b := q.c.Users()
	switch {
	case q.c.Type() == misc.Group:
		ok, err = r.member(question{q.ctx, user, q.c.GroupID()})
	case a == user:
		ok, err = r.friends(question{q.ctx, user, b})
	case b == user:
		ok, err = r.friends(question{q.ctx, user, a})
	}
	if err != nil || !ok {
		return false, off, err
	}
	status, err = r.ScreenCapture(q.ctx, q.c)
	return true, status, err
}

// relations returns a test of relateds that are right except for what change does to
// them, as relations or as a RelatedStore.
func relations(suite string, change func(r *related)) func(*testing.T) {
	return func(t *testing.T) {
		var p *people
		open := func() *related {
			r := &related{people: p}
			r.friends, r.member, r.both = r.areFriends, r.isMember, r.ask
			change(r)
			return r
		}
		over := func(w misctest.World) *related {
			p = &people{world: w}
			return open()
		}
		replace := func(_ *testing.T, _, after misctest.World) { p.world = after }
		fail := func(*testing.T) func() { p.down = true; return func() { p.down = false } }
		if suite == "relations" {
			misctest.TestRelations(t, func(_ *testing.T, w misctest.World) misc.Relations { return over(w) },
				misctest.RelationsOptions{Change: replace, Break: fail})
			return
		}
		misctest.TestRelatedStore(t, func(_ *testing.T, w misctest.World) misc.RelatedStore { return over(w) },
			misctest.RelatedOptions{Second: func(*testing.T) misc.RelatedStore { return open() }, Change: replace, Break: fail})
	}
}

// wrongRelations returns relations that are also wrong as a RelatedStore.
func wrongRelations() (all []implementation) {
	// friends and member replace one method with a wrong one, which may call the right one.
	both := func(name, breaks string, change func(r *related)) {
		for _, suite := range []string{"relations", "related"} {
			all = append(all, implementation{suite + ": " + name, relations(suite, change), breaks})
		}
	}
	friends := func(name, breaks string, wrong func(r *related, ask answer) answer) {
		both(name, breaks, func(r *related) { r.friends = wrong(r, r.areFriends) })
	}
	member := func(name, breaks string, wrong func(r *related, ask answer) answer) {
		both(name, breaks, func(r *related) { r.member = wrong(r, r.isMember) })
	}
	type guess = func(r *related, user, other string) bool
	// also answers true if the right method or f does.
	also := func(f guess) func(*related, answer) answer {
		return func(r *related, ask answer) answer {
			return func(q question) (bool, error) {
				ok, err := ask(q)
				return ok || err == nil && f(r, q.user, q.other), err
			}
		}
	}
	// fails returns the error if f returns true.
	fails := func(fault error, f guess) func(*related, answer) answer {
		return func(r *related, ask answer) answer {
			return func(q question) (bool, error) {
				if f(r, q.user, q.other) {
					return false, fault
				}
				return ask(q)
			}
		}
	}
	deaf := func(_ *related, ask answer) answer {
		return func(q question) (bool, error) { return ask(question{context.WithoutCancel(q.ctx), q.user, q.other}) }
	}
	// keeps repeats an answer that it has given before, if that answer equals kept.
	keeps := func(kept bool) func(*related, answer) answer {
		return func(_ *related, ask answer) answer {
			var known sync.Map
			return func(q question) (bool, error) {
				if _, ok := known.Load([2]string{q.user, q.other}); ok && q.ctx.Err() == nil {
					return kept, nil
				}
				ok, err := ask(q)
				if err == nil && ok == kept {
					known.Store([2]string{q.user, q.other}, true)
				}
				return ok, err
			}
		}
	}
	scratch := func(_ *related, ask answer) answer {
		var last atomic.Pointer[question]
		return func(q question) (bool, error) {
			last.Store(&q)
			others()
			return ask(*last.Load())
		}
	}
	down := func(r *related, _, _ string) bool { return r.down }
	invalid := func(_ *related, _, other string) bool { return number(other) == 0 }
	is := func(r *related, user, group string) bool { return slices.Contains(r.world.Groups[group], user) }
	anywhere := func(r *related, user, _ string) bool {
		for g := range r.world.Groups {
			if is(r, user, g) {
				return true
			}
		}
		return false
	}
	anyFriends := func(f func(a, b string) bool) func(*related, answer) answer {
		return also(func(r *related, user, other string) bool {
			return slices.ContainsFunc(r.world.Friends, func(p [2]string) bool { return p[0] == user && f(p[1], other) })
		})
	}
	anyMember := func(f func(m, user string) bool) func(*related, answer) answer {
		return also(func(r *related, user, group string) bool {
			return slices.ContainsFunc(r.world.Groups[group], func(m string) bool { return f(m, user) })
		})
	}
	digits := func(m, user string) bool {
		return number(user) > 0 && strings.Contains(fmt.Sprint(number(m)), fmt.Sprint(number(user)))
	}
	const strangers, outsiders = "strangers are not friends, known or not", "strangers are not in the group, known or not"
	const mixedUp, inCase = "a group is not the user with its number", "ids that differ in case alone are different"
	const part = "an invalid id, or a part of one, is not related or misc.ErrInvalidID"
	const atOnce, cancelled = "questions at the same time get their own answers", "a cancelled question is an error"
	const failure, changed = "a failing backend is an error and not a no", "a change shows at once"
	friends("friends in one direction", "friends are friends in both directions", func(_ *related, ask answer) answer {
		return func(q question) (bool, error) {
			ok, err := ask(q)
			return ok && q.user < q.other, err
		}
	})
	friends("everyone is a friend of themselves", strangers, also(func(_ *related, user, other string) bool { return user == other }))
	friends("members of groups are friends", strangers, also(func(r *related, user, other string) bool {
		return user != other && anywhere(r, user, "") && anywhere(r, other, "")
	}))
	member("a group has one member", "a member is in the group", func(r *related, ask answer) answer {
		return func(q question) (bool, error) {
			ok, err := ask(q)
			return ok && r.world.Groups[q.other][0] == q.user, err
		}
	})
	member("a member of any group is in all", outsiders, also(anywhere))
	friends("friends are looked up among members", mixedUp, also(is))
	member("group and user may be swapped", mixedUp, also(func(r *related, user, group string) bool { return is(r, group, user) }))
	friends("friends are compared without regard to case", inCase, anyFriends(strings.EqualFold))
	member("members are compared without regard to case", inCase, anyMember(strings.EqualFold))
	member("membership by substring", part, anyMember(strings.Contains))
	member("membership by substring of numbers", part, anyMember(digits))
	friends("friends by substring", part, anyFriends(strings.Contains))
	friends("an unknown friend is an error", strangers, fails(errFault, func(_ *related, _, other string) bool { return number(other) == 107 }))
	member("an unknown group is an error", outsiders, fails(errFault, func(_ *related, _, group string) bool { return number(group) == 408 }))
	friends("an invalid id is another error", part, fails(errFault, invalid))
	member("an IDError is about another id", part, fails(&misc.IDError{ID: misctest.ID(151)}, invalid))
	friends("questions about friends overwrite each other", atOnce, scratch)
	member("questions about members overwrite each other", atOnce, scratch)
	friends("a question about friends ignores the context", cancelled, deaf)
	member("a question about members ignores the context", cancelled, deaf)
	friends("a failure is no friend", failure, fails(nil, down))
	member("a failure is no member", failure, fails(nil, down))
	member("a failure is an invalid id", failure, fails(misc.ErrInvalidID, down))
	friends("who was a friend is one for ever", changed, keeps(true))
	member("who was a member is one for ever", changed, keeps(true))
	friends("who was a stranger is one for ever", changed, keeps(false))
	friends("only the first hundred", "all friends and members are found", func(r *related, ask answer) answer {
		return func(q question) (bool, error) {
			ok, err := ask(q)
			i := slices.IndexFunc(r.world.Friends, func(f [2]string) bool { return f == [2]string{q.user, q.other} || f == [2]string{q.other, q.user} })
			return ok && i < 100, err
		}
	})
	both("one cache for friends and members", mixedUp, func(r *related) {
		var yes sync.Map
		cached := func(ask answer) answer {
			return func(q question) (bool, error) {
				ok, err := ask(q)
				if ok {
					yes.Store([2]string{q.user, q.other}, true)
				}
				_, known := yes.Load([2]string{q.user, q.other})
				return known && err == nil, err
			}
		}
		r.friends, r.member = cached(r.areFriends), cached(r.isMember)
	})
	return all
}

func wrongRelatedStores() []implementation {
	type both = func(r *related, q query, user string) (bool, misc.NoticeStatus, error)
	wrong := func(name, breaks string, f both) implementation {
		return implementation{"related: " + name, relations("related", func(r *related) {
			r.both = func(q query, user string) (bool, misc.NoticeStatus, error) { return f(r, q, user) }
		}), breaks}
	}
	// judges answers what f returns for the right answer.
	judges := func(name, breaks string, f func(r *related, q query, user string, ok bool) bool) implementation {
		return wrong(name, breaks, func(r *related, q query, user string) (bool, misc.NoticeStatus, error) {
			ok, status, err := r.ask(q, user)
			return f(r, q, user, ok), status, err
		})
	}
	isOn := func(r *related, q query) bool { status, _ := r.ScreenCapture(q.ctx, q.c); return status == on }
	const read = "the related read the setting, whoever asks"
	return []implementation{
		judges("knows the first user of the pair alone", read, func(_ *related, q query, user string, ok bool) bool {
			first, _ := q.c.Users()
			return ok && (first == user || q.c.Type() == misc.Group)
		}),
		judges("a group never set has no members", read, func(r *related, q query, _ string, ok bool) bool {
			return ok && (isOn(r, q) || q.c.Type() == misc.Private)
		}),
		judges("whatever is on is related", "strangers are not related, whatever is set", func(r *related, q query, _ string, ok bool) bool { return ok || isOn(r, q) }),
		wrong("checks the pair and not who asks", "the one who asks counts, and not only the pair", func(r *related, q query, user string) (bool, misc.NoticeStatus, error) {
			first, _ := q.c.Users()
			return r.ask(q, cmp.Or(first, user))
		}),
		judges("takes friends for members", "strangers are not related, whatever is set", func(r *related, q query, user string, ok bool) bool {
			friends, _ := r.areFriends(question{q.ctx, user, q.c.GroupID()})
			return ok || friends
		}),
		wrong("a setting is that of the other user's number as a group", "each conversation has its own setting", func(r *related, q query, user string) (bool, misc.NoticeStatus, error) {
			ok, status, err := r.ask(q, user)
			if a, b := q.c.Users(); ok && q.c.Type() == misc.Private {
				status, err = r.ScreenCapture(q.ctx, misc.GroupConversation(strings.Trim(strings.Replace(a+"/"+b, user, "", 1), "/")))
			}
			return ok, status, err
		}),
		{"related: each instance has a cache", relations("related", func(r *related) {
			var cache sync.Map
			r.both = func(q query, user string) (bool, misc.NoticeStatus, error) {
				ok, status, err := r.ask(q, user)
				if old, known := cache.LoadOrStore(q.c, status); known && ok {
					status = old.(misc.NoticeStatus)
				}
				return ok, status, err
			}
		}), "a saved setting is visible through another instance"},
		{"related: a block list stops AreFriends alone", relations("related", func(r *related) {
			r.both = (&related{r.people, r.areFriends, r.isMember, nil}).ask
			r.friends = func(q question) (bool, error) {
				ok, err := r.areFriends(q)
				return ok && q.other != misctest.ID(10), err
			}
		}), "friends are friends in both directions"},
	}
}

// A source answers with its fields, or with what its functions return.
type source struct {
	release *misc.Release
	clients *misc.ClientVersions
	latest  func(q misc.UpdateQuery) (*misc.Release, error)
	mobile  func() (*misc.ClientVersions, error)
	change  func()
	down    bool
	deaf    int // the method that ignores its context, 1 or 2
}

func (s *source) LatestRelease(ctx context.Context, q misc.UpdateQuery) (*misc.Release, error) {
	if ctx.Err() != nil && s.deaf != 1 {
		return nil, ctx.Err()
	}
	return s.latest(q)
}

func (s *source) ClientVersions(ctx context.Context) (*misc.ClientVersions, error) {
	if ctx.Err() != nil && s.deaf != 2 {
		return nil, ctx.Err()
	}
	return s.mobile()
}

func newRelease(name string) *misc.Release {
	return must(misc.NewRelease(misc.ReleaseFields{Version: "1.2.3", URL: "https://example.com/1.2.3.zip", Name: name}))
}

func newClients(version string) *misc.ClientVersions {
	client := misc.ClientVersion{Version: version, Build: "202001020304", URL: "https://example.com/app"}
	return must(misc.NewClientVersions(misc.ClientVersionsFields{IOS: client, Android: client}))
}

// versions returns a test of sources that are right except for what change does to
// them. They have a release for only one query.
func versions(change func(s *source)) func(*testing.T) {
	query := misc.UpdateQuery{Version: "1.0.0", Platform: "darwin", Channel: "beta"}
	return func(t *testing.T) {
		var s *source
		misctest.TestVersionSource(t, func(*testing.T) misc.VersionSource {
			s = &source{release: newRelease("SealTalk"), clients: newClients("2.0.1")}
			s.latest = func(q misc.UpdateQuery) (*misc.Release, error) {
				if s.down {
					return nil, errDown
				}
				if q != query {
					return nil, misc.ErrNoRelease
				}
				return s.release, nil
			}
			s.mobile = func() (*misc.ClientVersions, error) { return s.clients, nil }
			s.change = func() { s.release, s.clients = newRelease("new"), newClients("2.0.2") }
			change(s)
			return s
		}, misctest.VersionOptions{Query: query, Change: func(*testing.T) { s.change() }, Break: func(*testing.T) func() { s.down = true; return func() { s.down = false } }})
	}
}

func wrongVersions() []implementation {
	wrong := func(name, breaks string, change func(s *source)) implementation {
		return implementation{"versions: " + name, versions(change), breaks}
	}
	latest := func(name, breaks string, f func(q misc.UpdateQuery) (*misc.Release, error)) implementation {
		return wrong(name, breaks, func(s *source) { s.latest = f })
	}
	mobile := func(name, breaks string, v *misc.ClientVersions) implementation {
		return wrong(name, breaks, func(s *source) { s.mobile = func() (*misc.ClientVersions, error) { return v, nil } })
	}
	const valid = "what the source returns is valid"
	const unchanged, atOnce, cancelled = "what was handed over is never changed", "questions at the same time get their own answers", "a cancelled question is an error"
	return []implementation{
		latest("never has a release", "there is a release for the query of the options", func(misc.UpdateQuery) (*misc.Release, error) { return nil, misc.ErrNoRelease }),
		latest("no release is nil without an error", valid, func(misc.UpdateQuery) (*misc.Release, error) { return nil, nil }),
		latest("a release was not made by its constructor", valid, func(misc.UpdateQuery) (*misc.Release, error) { return &misc.Release{}, nil }),
		mobile("client versions are nil without an error", valid, nil),
		mobile("client versions were not made by their constructor", valid, &misc.ClientVersions{}),
		wrong("a new release overwrites the one handed over", unchanged, func(s *source) { s.change = func() { *s.release = *newRelease("new") } }),
		wrong("new client versions overwrite those handed over", unchanged, func(s *source) { s.change = func() { *s.clients = *newClients("2.0.2") } }),
		wrong("questions overwrite each other", atOnce, func(s *source) {
			var last atomic.Pointer[string]
			s.latest = func(q misc.UpdateQuery) (*misc.Release, error) {
				last.Store(&q.Platform)
				others()
				return newRelease(*last.Load()), nil
			}
		}),
		wrong("a failure is no release", "a failing backend is an error, or the last answer", func(s *source) {
			latest := s.latest
			s.latest = func(q misc.UpdateQuery) (*misc.Release, error) {
				r, err := latest(q)
				if errors.Is(err, errDown) {
					err = misc.ErrNoRelease
				}
				return r, err
			}
		}),
		wrong("a question about the release ignores the context", cancelled, func(s *source) { s.deaf = 1 }),
		wrong("a question about the client versions ignores the context", cancelled, func(s *source) { s.deaf = 2 }),
	}
}

// A cloud accepts messages, and may lose the answer.
type cloud struct {
	misctest.Messenger
	lost bool
}

func (c *cloud) Send(ctx context.Context, m misc.Message) error {
	err := c.Messenger.Send(ctx, m)
	if err == nil && c.lost {
		return misc.ErrUnreachable
	}
	return err
}

// A sender sends through a cloud.
type sender func(ctx context.Context, m misc.Message) error

func (send sender) Send(ctx context.Context, m misc.Message) error { return send(ctx, m) }

func messengers(over func(c *cloud) sender) func(*testing.T) {
	return func(t *testing.T) {
		var c *cloud
		misctest.TestMessenger(t, func(*testing.T) (misc.Messenger, func() []misc.Message) {
			c = new(cloud)
			return over(c), c.Delivered
		}, misctest.MessengerOptions{
			Refuse: func(*testing.T) func() { c.Fail(misc.ErrRefused); return func() { c.Fail(nil) } },
			Lose:   func(*testing.T) func() { c.lost = true; return func() { c.lost = false } },
		})
	}
}

func wrongMessengers() []implementation {
	wrong := func(name, breaks string, over func(c *cloud) sender) implementation {
		return implementation{"messenger: " + name, messengers(over), breaks}
	}
	// changing sends messages that change has modified.
	changing := func(name, breaks string, change func(m *misc.Message)) implementation {
		return wrong(name, breaks, func(c *cloud) sender {
			return func(ctx context.Context, m misc.Message) error {
				change(&m)
				return c.Send(ctx, m)
			}
		})
	}
	// raw sets value to what a form holds if it is not escaped.
	raw := func(value *string) {
		form, _ := url.ParseQuery("name=" + *value)
		*value = form.Get("name")
	}
	isKnown := func(m misc.Message) bool { return m.Type == misc.Private || m.Type == misc.Group }
	const whole, lost = "a message arrives whole", "a message whose answer is lost is an error and not delivered twice"
	const text, odd, longest = "text arrives as it was written", "an odd id or type arrives as it is", "the longest message arrives whole"
	return []implementation{
		changing("the sender's devices are left out", whole, func(m *misc.Message) { m.IncludeSender = false }),
		changing("the push content is left out", whole, func(m *misc.Message) { m.PushContent = "" }),
		changing("every group message mentions", whole, func(m *misc.Message) { m.Mentioned = m.Type == misc.Group }),
		changing("the content is not escaped", text, func(m *misc.Message) { raw(&m.Content) }),
		changing("the push content is not escaped", text, func(m *misc.Message) { raw(&m.PushContent) }),
		changing("line breaks in the push content are spaces", text, func(m *misc.Message) { m.PushContent = strings.ReplaceAll(m.PushContent, "\n", " ") }),
		changing("the object name is not escaped", odd, func(m *misc.Message) { raw(&m.ObjectName) }),
		changing("the sender is not escaped", odd, func(m *misc.Message) { raw(&m.From) }),
		changing("the target is not escaped", odd, func(m *misc.Message) { raw(&m.To) }),
		changing("line breaks in ids are left out", odd, func(m *misc.Message) { m.To = strings.ReplaceAll(m.To, "\n", "") }),
		changing("long content is cut", longest, func(m *misc.Message) { m.Content = m.Content[:min(len(m.Content), misc.MaxContent-1)] }),
		wrong("a message sent again is left out", "a message sent again arrives again", func(c *cloud) sender {
			return func(ctx context.Context, m misc.Message) error {
				if slices.Contains(c.Delivered(), m) {
					return ctx.Err()
				}
				return c.Send(ctx, m)
			}
		}),
		wrong("messages overwrite each other", "messages sent at the same time arrive once each", func(c *cloud) sender {
			var last atomic.Pointer[misc.Message]
			return func(ctx context.Context, m misc.Message) error {
				last.Store(&m)
				others()
				return c.Send(ctx, *last.Load())
			}
		}),
		changing("an unsupported type goes out", "an unsupported conversation type is an error and sends nothing", func(m *misc.Message) {
			if m.Type != misc.Private {
				m.Type = misc.Group
			}
		}),
		wrong("a send ignores the context", "a cancelled send is an error and sends nothing", func(c *cloud) sender {
			return func(ctx context.Context, m misc.Message) error { return c.Send(context.WithoutCancel(ctx), m) }
		}),
		wrong("the cloud's answer is ignored", "a refusal is misc.ErrRefused", func(c *cloud) sender {
			return func(ctx context.Context, m misc.Message) error {
				if err := c.Send(ctx, m); ctx.Err() != nil || !isKnown(m) {
					return err
				}
				return nil
			}
		}),
		wrong("a lost answer is success", lost, func(c *cloud) sender {
			return func(ctx context.Context, m misc.Message) error {
				if err := c.Send(ctx, m); !errors.Is(err, misc.ErrUnreachable) {
					return err
				}
				return nil
			}
		}),
		wrong("a message that is too long is left out", "a message that does not arrive is an error", func(c *cloud) sender {
			return func(ctx context.Context, m misc.Message) error {
				if len(m.Content) > misc.MaxContent {
					return nil
				}
				return c.Send(ctx, m)
			}
		}),
		wrong("a message is sent again after any error", lost, func(c *cloud) sender {
			return func(ctx context.Context, m misc.Message) error {
				if err := c.Send(ctx, m); err == nil {
					return nil
				}
				return c.Send(ctx, m)
			}
		}),
	}
}
