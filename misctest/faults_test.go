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
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/n3d"
)

var errFault = errors.New("this implementation is wrong")

// others lets the other goroutines run.
func others() {
	for range 64 {
		runtime.Gosched()
	}
}

func wrongImplementations() []implementation {
	var all []implementation
	for suite, wrong := range map[string]map[string]implementation{
		"captures": wrongStores(), "relations": wrongRelations(), "versions": wrongVersions(), "messenger": wrongMessengers(), "related": wrongRelatedStores(),
	} {
		for name, impl := range wrong {
			impl.name = suite + ": " + name
			all = append(all, impl)
		}
	}
	slices.SortFunc(all, func(a, b implementation) int { return strings.Compare(a.name, b.name) })
	return all
}

// A store is a MemoryStore, but for the methods that are replaced.
type store struct {
	*misc.MemoryStore
	get func(context.Context, misc.Conversation) (misc.NoticeStatus, error)
	set func(context.Context, misc.Conversation, misc.NoticeStatus) error
	off sync.Map // the conversations that read as off, whatever was set
}

func (s *store) ScreenCapture(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
	if _, off := s.off.Load(c); off {
		return misc.NoticeOff, ctx.Err()
	}
	if s.get == nil {
		return s.MemoryStore.ScreenCapture(ctx, c)
	}
	return s.get(ctx, c)
}

func (s *store) SetScreenCapture(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
	if s.set == nil {
		return s.MemoryStore.SetScreenCapture(ctx, c, status)
	}
	return s.set(ctx, c, status)
}

func captures(newStore func() misc.ScreenCaptureStore) func(*testing.T) {
	return func(t *testing.T) {
		misctest.TestScreenCaptureStore(t, func(*testing.T) misc.ScreenCaptureStore { return newStore() })
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
	n, err := codec.Decode(id)
	if err != nil {
		return 0 // names nobody
	}
	return n
}

// users returns the users of a pair in the order of their numbers.
func users(c misc.Conversation) (lower, higher string, ok bool) {
	a, b := c.Users()
	if c.Type() == misc.Private && number(a) > number(b) {
		a, b = b, a
	}
	return a, b, c.Type() == misc.Private
}

// digits are the ids of c as decimal numbers: the users in the order of their
// numbers, or the group and "".
func digits(c misc.Conversation) (string, string) {
	if lower, higher, ok := users(c); ok {
		return fmt.Sprint(number(lower)), fmt.Sprint(number(higher))
	}
	return fmt.Sprint(number(c.GroupID())), ""
}

func wrongStores() map[string]implementation {
	const apart = "a set leaves the other conversations alone"
	const mixedUp = "a group is not a pair of a user with its number"

	wrong := func(breaks string, change func(s *store)) implementation {
		return implementation{breaks: breaks, suite: captures(func() misc.ScreenCaptureStore {
			s := &store{MemoryStore: misc.NewMemoryStore()}
			change(s)
			return s
		})}
	}
	// keyed reads and writes under the strings that the two functions make.
	keyed := func(breaks string, readKey, writeKey func(misc.Conversation) string) implementation {
		return wrong(breaks, func(s *store) {
			s.get = func(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
				return s.MemoryStore.ScreenCapture(ctx, misc.GroupConversation(readKey(c)))
			}
			s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
				return s.MemoryStore.SetScreenCapture(ctx, misc.GroupConversation(writeKey(c)), status)
			}
		})
	}
	// sees calls before with each set, and whether the conversation had a
	// setting: 0 none, 1 the same, 2 another.
	sees := func(breaks string, before func(had int, status misc.NoticeStatus) error) implementation {
		return wrong(breaks, func(s *store) {
			var mu sync.Mutex
			settings := make(map[misc.Conversation]misc.NoticeStatus)
			s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
				mu.Lock()
				defer mu.Unlock()
				had := 0
				if old, ok := settings[c]; ok {
					had = 2
					if old == status {
						had = 1
					}
				}
				if err := before(had, status); err != nil {
					return err
				}
				settings[c] = status
				return s.MemoryStore.SetScreenCapture(ctx, c, status)
			}
		})
	}
	// conflicting calls conflict instead of a set that meets a set of another
	// value, or of any value, on its way.
	conflicting := func(anyValue bool, conflict func(s *store, c misc.Conversation) error) implementation {
		return wrong("one conversation may be set many times at once", func(s *store) {
			var mu sync.Mutex
			underway := make(map[misc.Conversation]misc.NoticeStatus)
			s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
				mu.Lock()
				other, busy := underway[c]
				if !busy {
					underway[c] = status
				}
				mu.Unlock()
				if busy && (anyValue || other != status) {
					return conflict(s, c)
				}
				others()
				err := s.MemoryStore.SetScreenCapture(ctx, c, status)
				if !busy {
					mu.Lock()
					delete(underway, c)
					mu.Unlock()
				}
				return err
			}
		})
	}

	unsetIsError := func(of misc.ConversationType) implementation {
		return wrong("never set is off and no error", func(s *store) {
			var set sync.Map
			s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
				set.Store(c, true)
				return s.MemoryStore.SetScreenCapture(ctx, c, status)
			}
			s.get = func(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
				if _, ok := set.Load(c); !ok && c.Type() == of {
					return misc.NoticeOff, errFault
				}
				return s.MemoryStore.ScreenCapture(ctx, c)
			}
		})
	}
	// offWrites switches off what of returns as well, where a pair is.
	offWrites := func(of func(lower, higher string) string) implementation {
		return wrong(mixedUp, func(s *store) {
			s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
				if lower, higher, ok := users(c); ok && status == misc.NoticeOff {
					_ = s.MemoryStore.SetScreenCapture(ctx, misc.GroupConversation(of(lower, higher)), status)
				}
				return s.MemoryStore.SetScreenCapture(ctx, c, status)
			}
		})
	}
	// readsPairs reads a group as on where the last pair with a user of its
	// number, which of returns, is on.
	readsPairs := func(of func(lower, higher string) string) implementation {
		return wrong(mixedUp, func(s *store) {
			var pairs sync.Map
			s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
				if lower, higher, ok := users(c); ok {
					pairs.Store(of(lower, higher), c)
				}
				return s.MemoryStore.SetScreenCapture(ctx, c, status)
			}
			s.get = func(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
				status, err := s.MemoryStore.ScreenCapture(ctx, c)
				if p, ok := pairs.Load(c.GroupID()); ok && err == nil {
					other, err := s.MemoryStore.ScreenCapture(ctx, p.(misc.Conversation))
					return max(status, other), err
				}
				return status, err
			}
		})
	}
	lower := func(lower, _ string) string { return lower }
	higher := func(_, higher string) string { return higher }

	byNumber := func(c misc.Conversation) string { a, b := digits(c); return a + "_" + b }
	byNumberDown := func(c misc.Conversation) string { a, b := digits(c); return b + "_" + a }
	byString := func(c misc.Conversation) string {
		if a, b := c.Users(); c.Type() == misc.Private {
			return fmt.Sprint(number(a)) + "_" + fmt.Sprint(number(b))
		}
		return byNumber(c)
	}
	joined := func(c misc.Conversation) string { a, b := digits(c); return fmt.Sprint(c.Type()) + ":" + a + b }
	firstDigits := func(c misc.Conversation) string {
		if a, b := digits(c); b == "" {
			return a[:min(2, len(a))]
		}
		return byNumber(c)
	}
	lowerCase := func(c misc.Conversation) string {
		a, b := c.Users()
		return strings.ToLower(c.GroupID() + "|" + a + "|" + b)
	}

	return map[string]implementation{
		"fails on an id that it cannot read": wrong("an id that is none is no error but misc.ErrInvalidID", func(s *store) {
			s.get = func(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
				a, _ := c.Users()
				if _, err := codec.Decode(cmp.Or(a, c.GroupID())); err != nil {
					return misc.NoticeOff, errFault
				}
				return s.MemoryStore.ScreenCapture(ctx, c)
			}
		}),
		"fails to set what it cannot read": wrong("an id that is none is no error but misc.ErrInvalidID", func(s *store) {
			s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
				if _, err := codec.Decode(c.GroupID()); err != nil && c.Type() == misc.Group {
					return errFault
				}
				return s.MemoryStore.SetScreenCapture(ctx, c, status)
			}
		}),
		"takes any status": wrong("a status that is none is refused and changes nothing", func(s *store) {
			s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
				return s.MemoryStore.SetScreenCapture(ctx, c, min(max(status, misc.NoticeOff), misc.NoticeOn))
			}
		}),
		"stores the status that it refuses": wrong("a status that is none is refused and changes nothing", func(s *store) {
			s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
				taken := min(max(status, misc.NoticeOff), misc.NoticeOn)
				if err := s.MemoryStore.SetScreenCapture(ctx, c, taken); err != nil || taken == status {
					return err
				}
				return misc.ErrInvalidNoticeStatus
			}
		}),
		"a pair never set is an error":  unsetIsError(misc.Private),
		"a group never set is an error": unsetIsError(misc.Group),
		"never set is on": wrong("never set is off and no error", func(s *store) {
			s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
				return s.MemoryStore.SetScreenCapture(ctx, c, misc.NoticeOn-status)
			}
			s.get = func(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
				status, err := s.MemoryStore.ScreenCapture(ctx, c)
				return misc.NoticeOn - status, err
			}
		}),
		"a set is forgotten": wrong("a setting is read back", func(s *store) {
			s.set = func(ctx context.Context, _ misc.Conversation, _ misc.NoticeStatus) error { return ctx.Err() }
		}),
		"off is forgotten": wrong("a setting is read back", func(s *store) {
			s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
				return cmp.Or(ctx.Err(), s.MemoryStore.SetScreenCapture(ctx, c, misc.NoticeOn))
			}
		}),
		"a conversation is set once": sees("a setting is read back", func(had int, _ misc.NoticeStatus) error {
			if had == 2 {
				return errFault
			}
			return nil
		}),
		"on again is an error": sees("setting the same again is no error", func(had int, status misc.NoticeStatus) error {
			if had == 1 && status == misc.NoticeOn {
				return errFault
			}
			return nil
		}),
		"off again is an error": sees("setting the same again is no error", func(had int, status misc.NoticeStatus) error {
			if had == 1 && status == misc.NoticeOff {
				return errFault
			}
			return nil
		}),
		"on again switches off": wrong("setting the same again is no error", func(s *store) {
			s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
				if old, _ := s.MemoryStore.ScreenCapture(ctx, c); old == misc.NoticeOn {
					status = misc.NoticeOff
				}
				return s.MemoryStore.SetScreenCapture(ctx, c, status)
			}
		}),
		"a pair is written in the order of strings, read in that of numbers":      keyed("a pair is the same whoever asks", byNumber, byString),
		"a pair is written in the order of strings, read against that of numbers": keyed("a pair is the same whoever asks", byNumberDown, byString),
		"a group reads 7_10 as 7": wrong(mixedUp, func(s *store) {
			var mu sync.Mutex
			first := make(map[string]misc.Conversation)
			s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
				mu.Lock()
				defer mu.Unlock()
				if number, other := digits(c); other != "" {
					first[number] = c
				}
				return s.MemoryStore.SetScreenCapture(ctx, c, status)
			}
			s.get = func(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
				mu.Lock()
				defer mu.Unlock()
				number, other := digits(c)
				if p, ok := first[number]; ok && other == "" {
					c = p
				}
				return s.MemoryStore.ScreenCapture(ctx, c)
			}
		}),
		"a group writes 7_10 as well": wrong(mixedUp, func(s *store) {
			var mu sync.Mutex
			first := make(map[string]misc.Conversation)
			s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
				mu.Lock()
				defer mu.Unlock()
				number, other := digits(c)
				if other != "" {
					first[number] = c
				} else if p, ok := first[number]; ok {
					_ = s.MemoryStore.SetScreenCapture(ctx, p, status)
				}
				return s.MemoryStore.SetScreenCapture(ctx, c, status)
			}
		}),
		"a pair reads the group of its lower user": wrong(mixedUp, func(s *store) {
			s.get = func(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
				status, err := s.MemoryStore.ScreenCapture(ctx, c)
				if lower, _, ok := users(c); ok && err == nil {
					group, err := s.MemoryStore.ScreenCapture(ctx, misc.GroupConversation(lower))
					return max(status, group), err
				}
				return status, err
			}
		}),
		"a pair writes the group of its lower user": wrong(mixedUp, func(s *store) {
			s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
				if lower, _, ok := users(c); ok {
					_ = s.MemoryStore.SetScreenCapture(ctx, misc.GroupConversation(lower), status)
				}
				return s.MemoryStore.SetScreenCapture(ctx, c, status)
			}
		}),
		"a pair writes the group of its higher user": wrong(mixedUp, func(s *store) {
			s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
				if _, higher, ok := users(c); ok {
					_ = s.MemoryStore.SetScreenCapture(ctx, misc.GroupConversation(higher), status)
				}
				return s.MemoryStore.SetScreenCapture(ctx, c, status)
			}
		}),
		"a group reads the pair of a lower user":                    readsPairs(lower),
		"a group reads the pair of a higher user":                   readsPairs(higher),
		"a pair switches its lower user's group off":                offWrites(lower),
		"a pair switches its higher user's group off":               offWrites(higher),
		"the numbers of a pair are joined without anything between": keyed(apart, joined, joined),
		"groups are matched by the first digits":                    keyed(apart, firstDigits, firstDigits),
		"ids are compared without regard to case":                   keyed("ids that differ in case alone are different", lowerCase, lowerCase),
		"sets overwrite each other": wrong("sets at the same time are all kept", func(s *store) {
			var settings atomic.Pointer[map[misc.Conversation]misc.NoticeStatus]
			settings.Store(&map[misc.Conversation]misc.NoticeStatus{})
			s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
				if err := ctx.Err(); err != nil {
					return err
				}
				changed := maps.Clone(*settings.Load())
				others()
				changed[c] = status
				settings.Store(&changed)
				return nil
			}
			s.get = func(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
				return (*settings.Load())[c], ctx.Err()
			}
		}),
		"a set is acknowledged before it is written": wrong("an acknowledged set is what is read while others set", func(s *store) {
			type setting struct {
				c      misc.Conversation
				status misc.NoticeStatus
			}
			var mu sync.Mutex
			var queue []setting
			var writing bool
			s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
				if err := ctx.Err(); err != nil {
					return err
				}
				mu.Lock()
				defer mu.Unlock()
				queue = append(queue, setting{c, status})
				if writing {
					return nil
				}
				writing = true
				for len(queue) > 0 {
					next := queue[0]
					queue = queue[1:]
					mu.Unlock()
					others()
					_ = s.MemoryStore.SetScreenCapture(context.Background(), next.c, next.status)
					mu.Lock()
				}
				writing = false
				return nil
			}
		}),
		"the second insert of two is an error": conflicting(true, func(*store, misc.Conversation) error { return errFault }),
		"of two equal sets none is left": conflicting(true, func(s *store, c misc.Conversation) error {
			s.off.Store(c, true)
			return nil
		}),
		"of two values one is an error": conflicting(false, func(*store, misc.Conversation) error { return errFault }),
		"of two values neither is left": wrong("one conversation may be set many times at once", func(s *store) {
			var mu sync.Mutex
			sum := make(map[misc.Conversation]misc.NoticeStatus)
			underway := 0
			s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
				if err := ctx.Err(); err != nil {
					return err
				}
				mu.Lock()
				underway++
				busy := underway > 1
				mu.Unlock()
				others()
				mu.Lock()
				defer mu.Unlock()
				underway--
				if busy && sum[c] != status {
					status = 2
				}
				sum[c] = status
				return nil
			}
			s.get = func(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
				mu.Lock()
				defer mu.Unlock()
				return sum[c], ctx.Err()
			}
		}),
		"a set deletes and inserts": wrong("a set is one atomic step", func(s *store) {
			s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
				if err := s.MemoryStore.SetScreenCapture(ctx, c, misc.NoticeOff); err != nil {
					return err
				}
				others()
				return s.MemoryStore.SetScreenCapture(ctx, c, status)
			}
		}),
		"a read ignores the context": wrong("a cancelled read is an error", func(s *store) {
			s.get = func(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
				return s.MemoryStore.ScreenCapture(context.WithoutCancel(ctx), c)
			}
		}),
		"a cancelled read is off": wrong("a cancelled read is an error", func(s *store) {
			s.get = func(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
				status, _ := s.MemoryStore.ScreenCapture(ctx, c)
				return status, nil
			}
		}),
		"a read of a setting ignores the context": wrong("a cancelled read is an error", func(s *store) {
			s.get = func(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
				if status, _ := s.MemoryStore.ScreenCapture(context.WithoutCancel(ctx), c); status == misc.NoticeOn {
					return status, nil
				}
				return s.MemoryStore.ScreenCapture(ctx, c)
			}
		}),
		"a read of no setting ignores the context": wrong("a cancelled read is an error", func(s *store) {
			s.get = func(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
				if status, _ := s.MemoryStore.ScreenCapture(context.WithoutCancel(ctx), c); status == misc.NoticeOff {
					return status, nil
				}
				return s.MemoryStore.ScreenCapture(ctx, c)
			}
		}),
		"a set ignores the context": wrong("a cancelled set is an error and changes nothing", func(s *store) {
			s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
				return s.MemoryStore.SetScreenCapture(context.WithoutCancel(ctx), c, status)
			}
		}),
		"a cancelled set is no error": wrong("a cancelled set is an error and changes nothing", func(s *store) {
			s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
				_ = s.MemoryStore.SetScreenCapture(ctx, c, status)
				return nil
			}
		}),
		"a cancelled set is written": wrong("a cancelled set is an error and changes nothing", func(s *store) {
			s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
				_ = s.MemoryStore.SetScreenCapture(context.WithoutCancel(ctx), c, status)
				return ctx.Err()
			}
		}),
		"a cancelled set is off": wrong("a cancelled set is an error and changes nothing", func(s *store) {
			s.set = func(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
				if ctx.Err() != nil {
					_ = s.MemoryStore.SetScreenCapture(context.WithoutCancel(ctx), c, misc.NoticeOff)
				}
				return s.MemoryStore.SetScreenCapture(ctx, c, status)
			}
		}),
	}
}

// related is a Relations, but for the methods that are replaced.
type related struct {
	*misctest.Relations
	friends, member func(ctx context.Context, a, b string) (bool, error)
}

func (r *related) AreFriends(ctx context.Context, userID, otherID string) (bool, error) {
	if r.friends == nil {
		return r.Relations.AreFriends(ctx, userID, otherID)
	}
	return r.friends(ctx, userID, otherID)
}

func (r *related) IsGroupMember(ctx context.Context, groupID, userID string) (bool, error) {
	if r.member == nil {
		return r.Relations.IsGroupMember(ctx, groupID, userID)
	}
	return r.member(ctx, groupID, userID)
}

func wrongRelations() map[string]implementation {
	wrong := func(breaks string, change func(r *related, w misctest.World)) implementation {
		return implementation{breaks: breaks, suite: func(t *testing.T) {
			misctest.TestRelations(t, func(_ *testing.T, w misctest.World) misc.Relations {
				r := &related{Relations: misctest.NewRelations(w)}
				change(r, w)
				return r
			})
		}}
	}
	// also answers true as well where one of the functions does.
	type question = func(w misctest.World, a, b string) bool
	also := func(breaks string, friends, member question) implementation {
		return wrong(breaks, func(r *related, w misctest.World) {
			if friends != nil {
				r.friends = func(ctx context.Context, a, b string) (bool, error) {
					ok, err := r.Relations.AreFriends(ctx, a, b)
					return ok || friends(w, a, b), err
				}
			}
			if member != nil {
				r.member = func(ctx context.Context, a, b string) (bool, error) {
					ok, err := r.Relations.IsGroupMember(ctx, a, b)
					return ok || member(w, a, b), err
				}
			}
		})
	}
	friends := func(w misctest.World, a, b string) bool {
		ok, _ := misctest.NewRelations(w).AreFriends(context.Background(), a, b)
		return ok
	}
	member := func(w misctest.World, g, u string) bool {
		ok, _ := misctest.NewRelations(w).IsGroupMember(context.Background(), g, u)
		return ok
	}
	users := func(w misctest.World) []string {
		var all []string
		for _, f := range w.Friends {
			all = append(all, f[:]...)
		}
		for _, members := range w.Groups {
			all = append(all, members...)
		}
		return all
	}
	anyUser := func(w misctest.World, ok func(user string) bool) bool {
		for _, u := range users(w) {
			if ok(u) {
				return true
			}
		}
		return false
	}
	known := func(w misctest.World, user string) bool {
		return anyUser(w, func(u string) bool { return u == user })
	}
	// scratch keeps the question where the next one finds it.
	scratch := func(ask func(ctx context.Context, a, b string) (bool, error)) func(context.Context, string, string) (bool, error) {
		var last atomic.Pointer[[2]string]
		return func(ctx context.Context, a, b string) (bool, error) {
			last.Store(&[2]string{a, b})
			others()
			q := *last.Load()
			return ask(ctx, q[0], q[1])
		}
	}

	const directions = "friends are friends in both directions"
	const strangers = "strangers are no friends"
	const themselves = "nobody is a friend of themselves"
	const members = "a member is in the group"
	const outsiders = "a stranger is not in the group"
	const mixedUp = "a group is not the user with its number"
	const inCase = "ids that differ in case alone are different"
	const unknown = "an unknown id is related to nobody and no error"
	const atOnce = "questions at the same time get their own answers"
	return map[string]implementation{
		"fails on a friend that it cannot read": wrong("an id that is none is not related or misc.ErrInvalidID", func(r *related, _ misctest.World) {
			r.friends = func(ctx context.Context, a, b string) (bool, error) {
				if _, err := codec.Decode(b); err != nil {
					return false, errFault
				}
				return r.Relations.AreFriends(ctx, a, b)
			}
		}),
		"fails on a group that it cannot read": wrong("an id that is none is not related or misc.ErrInvalidID", func(r *related, _ misctest.World) {
			r.member = func(ctx context.Context, a, b string) (bool, error) {
				if _, err := codec.Decode(a); err != nil {
					return false, errFault
				}
				return r.Relations.IsGroupMember(ctx, a, b)
			}
		}),
		"friends in the order of strings": wrong(directions, func(r *related, _ misctest.World) {
			r.friends = func(ctx context.Context, a, b string) (bool, error) {
				ok, err := r.Relations.AreFriends(ctx, a, b)
				return ok && a < b, err
			}
		}),
		"friends against the order of strings": wrong(directions, func(r *related, _ misctest.World) {
			r.friends = func(ctx context.Context, a, b string) (bool, error) {
				ok, err := r.Relations.AreFriends(ctx, a, b)
				return ok && a > b, err
			}
		}),
		"friends whose ids have another order than their numbers are lost": wrong(directions, func(r *related, _ misctest.World) {
			r.friends = func(ctx context.Context, a, b string) (bool, error) {
				ok, err := r.Relations.AreFriends(ctx, a, b)
				return ok && (a < b) == (number(a) < number(b)), err
			}
		}),
		"friends whose ids have the order of their numbers are lost": wrong(directions, func(r *related, _ misctest.World) {
			r.friends = func(ctx context.Context, a, b string) (bool, error) {
				ok, err := r.Relations.AreFriends(ctx, a, b)
				return ok && (a < b) != (number(a) < number(b)), err
			}
		}),
		"who has a friend is everyone's friend": also(strangers, func(w misctest.World, a, _ string) bool {
			return anyUser(w, func(u string) bool { return friends(w, a, u) })
		}, nil),
		"whoever has a friend is a friend of all": also(strangers, func(w misctest.World, _, b string) bool {
			return anyUser(w, func(u string) bool { return friends(w, b, u) })
		}, nil),
		"friends of friends are friends": also(strangers, func(w misctest.World, a, b string) bool {
			return a != b && anyUser(w, func(u string) bool { return friends(w, a, u) && friends(w, u, b) })
		}, nil),
		"members of one group are friends": also(strangers, func(w misctest.World, a, b string) bool {
			for g := range w.Groups {
				if a != b && member(w, g, a) && member(w, g, b) {
					return true
				}
			}
			return false
		}, nil),
		"everyone is a friend of themselves": also(themselves, func(_ misctest.World, a, b string) bool { return a == b }, nil),
		"a group has one member": wrong(members, func(r *related, w misctest.World) {
			r.member = func(ctx context.Context, g, u string) (bool, error) {
				list := w.Groups[g]
				return len(list) > 0 && list[0] == u, ctx.Err()
			}
		}),
		"a group's first member is forgotten": wrong(members, func(r *related, w misctest.World) {
			r.member = func(ctx context.Context, g, u string) (bool, error) {
				ok, err := r.Relations.IsGroupMember(ctx, g, u)
				return ok && (len(w.Groups[g]) < 2 || w.Groups[g][0] != u), err
			}
		}),
		"a user is in one group": wrong(members, func(r *related, w misctest.World) {
			r.member = func(ctx context.Context, g, u string) (bool, error) {
				ok, err := r.Relations.IsGroupMember(ctx, g, u)
				for other := range w.Groups {
					ok = ok && (other <= g || !member(w, other, u))
				}
				return ok, err
			}
		}),
		"a member of any group is in all": also(outsiders, nil, func(w misctest.World, _, u string) bool {
			for g := range w.Groups {
				if member(w, g, u) {
					return true
				}
			}
			return false
		}),
		"a friend of a member is in the group": also(outsiders, nil, func(w misctest.World, g, u string) bool {
			return anyUser(w, func(m string) bool { return member(w, g, m) && friends(w, m, u) })
		}),
		"who shares a group with a member is in": also(outsiders, nil, func(w misctest.World, g, u string) bool {
			for other := range w.Groups {
				if member(w, other, u) && anyUser(w, func(m string) bool { return member(w, other, m) && member(w, g, m) }) {
					return true
				}
			}
			return false
		}),
		"an empty group is open to all": also(outsiders, nil, func(w misctest.World, g, _ string) bool {
			list, ok := w.Groups[g]
			return ok && len(list) == 0
		}),
		"friends are looked up among members": also(mixedUp, member, nil),
		"friends are looked up among members, the other way round": also(mixedUp, func(w misctest.World, a, b string) bool {
			return member(w, b, a)
		}, nil),
		"members are looked up among friends": also(mixedUp, nil, friends),
		"members are looked up in the order of listed friends": also(mixedUp, nil, func(w misctest.World, a, b string) bool {
			for _, f := range w.Friends {
				if f == [2]string{b, a} {
					return true
				}
			}
			return false
		}),
		"a group is in itself": also(mixedUp, nil, func(w misctest.World, g, u string) bool {
			_, ok := w.Groups[g]
			return ok && g == u
		}),
		"group and user may be swapped": also(mixedUp, nil, func(w misctest.World, g, u string) bool { return member(w, u, g) }),
		"users are compared without regard to case": also(inCase, func(w misctest.World, a, b string) bool {
			return anyUser(w, func(u string) bool { return strings.EqualFold(u, a) && friends(w, u, b) })
		}, nil),
		"other users are compared without regard to case": also(inCase, func(w misctest.World, a, b string) bool {
			return anyUser(w, func(u string) bool { return strings.EqualFold(u, b) && friends(w, a, u) })
		}, nil),
		"groups are compared without regard to case": also(inCase, nil, func(w misctest.World, g, u string) bool {
			for other := range w.Groups {
				if strings.EqualFold(other, g) && member(w, other, u) {
					return true
				}
			}
			return false
		}),
		"members are compared without regard to case": also(inCase, nil, func(w misctest.World, g, u string) bool {
			return anyUser(w, func(m string) bool { return strings.EqualFold(m, u) && member(w, g, m) })
		}),
		"an unknown user is an error": wrong(unknown, func(r *related, w misctest.World) {
			r.friends = func(ctx context.Context, a, b string) (bool, error) {
				if !known(w, a) {
					return false, errFault
				}
				return r.Relations.AreFriends(ctx, a, b)
			}
		}),
		"an unknown other user is an error": wrong(unknown, func(r *related, w misctest.World) {
			r.friends = func(ctx context.Context, a, b string) (bool, error) {
				if !known(w, b) {
					return false, errFault
				}
				return r.Relations.AreFriends(ctx, a, b)
			}
		}),
		"two unknown users are friends": also(unknown, func(w misctest.World, a, b string) bool {
			return !known(w, a) && !known(w, b)
		}, nil),
		"an unknown member is an error": wrong(unknown, func(r *related, w misctest.World) {
			r.member = func(ctx context.Context, g, u string) (bool, error) {
				if !known(w, u) {
					return false, errFault
				}
				return r.Relations.IsGroupMember(ctx, g, u)
			}
		}),
		"an unknown group is an error": wrong(unknown, func(r *related, w misctest.World) {
			r.member = func(ctx context.Context, g, u string) (bool, error) {
				if _, ok := w.Groups[g]; !ok {
					return false, errFault
				}
				return r.Relations.IsGroupMember(ctx, g, u)
			}
		}),
		"an unknown user is in every unknown group": also(unknown, nil, func(w misctest.World, g, u string) bool {
			_, ok := w.Groups[g]
			return !ok && !known(w, u)
		}),
		"questions about friends overwrite each other": wrong(atOnce, func(r *related, _ misctest.World) {
			r.friends = scratch(r.Relations.AreFriends)
		}),
		"questions about members overwrite each other": wrong(atOnce, func(r *related, _ misctest.World) {
			r.member = scratch(r.Relations.IsGroupMember)
		}),
		"a question about friends ignores the context": wrong("a cancelled question about friends is an error", func(r *related, _ misctest.World) {
			r.friends = func(ctx context.Context, a, b string) (bool, error) {
				return r.Relations.AreFriends(context.WithoutCancel(ctx), a, b)
			}
		}),
		"a cancelled question about friends is no": wrong("a cancelled question about friends is an error", func(r *related, _ misctest.World) {
			r.friends = func(ctx context.Context, a, b string) (bool, error) {
				ok, _ := r.Relations.AreFriends(ctx, a, b)
				return ok, nil
			}
		}),
		"a question about members ignores the context": wrong("a cancelled question about members is an error", func(r *related, _ misctest.World) {
			r.member = func(ctx context.Context, g, u string) (bool, error) {
				return r.Relations.IsGroupMember(context.WithoutCancel(ctx), g, u)
			}
		}),
		"a cancelled question about members is no": wrong("a cancelled question about members is an error", func(r *related, _ misctest.World) {
			r.member = func(ctx context.Context, g, u string) (bool, error) {
				ok, _ := r.Relations.IsGroupMember(ctx, g, u)
				return ok, nil
			}
		}),
	}
}

// A source answers what its functions answer, where it has them, and always
// the same otherwise.
type source struct {
	latest  func(q misc.UpdateQuery) (*misc.Release, error)
	clients func() (*misc.ClientVersions, error)

	deafRelease, deafClients bool // the context is ignored
}

func versions(newSource func() misc.VersionSource) func(*testing.T) {
	return func(t *testing.T) {
		misctest.TestVersionSource(t, func(*testing.T) misc.VersionSource { return newSource() })
	}
}

func newRelease(name string) *misc.Release {
	return &misc.Release{
		Version: "1.2.3", URL: "https://example.com/1.2.3.zip", Name: name, PubDate: "2020-01-02",
		Extra: map[string]json.RawMessage{"size": json.RawMessage("5")},
	}
}

func newClients() *misc.ClientVersions {
	client := misc.ClientVersion{Version: "2.0.1", Build: "202001020304", URL: "https://example.com/app"}
	return &misc.ClientVersions{IOS: client, Android: client, Extra: map[string]json.RawMessage{"note": json.RawMessage(`"x"`)}}
}

func staticVersions() *misc.StaticVersions {
	return must(misc.NewStaticVersions(newRelease("SealTalk"), newClients()))
}

func (s *source) LatestRelease(ctx context.Context, q misc.UpdateQuery) (*misc.Release, error) {
	if err := ctx.Err(); err != nil && !s.deafRelease {
		return nil, err
	}
	if s.latest == nil {
		return newRelease("SealTalk"), nil
	}
	return s.latest(q)
}

func (s *source) ClientVersions(ctx context.Context) (*misc.ClientVersions, error) {
	if err := ctx.Err(); err != nil && !s.deafClients {
		return nil, err
	}
	if s.clients == nil {
		return newClients(), nil
	}
	return s.clients()
}

func wrongVersions() map[string]implementation {
	// Each suite's source is made by a function of its own, so that none
	// shares what another changes.
	wrong := func(breaks string, newSource func() *source) implementation {
		return implementation{breaks: breaks, suite: versions(func() misc.VersionSource { return newSource() })}
	}
	latest := func(breaks string, f func(q misc.UpdateQuery) (*misc.Release, error)) implementation {
		return wrong(breaks, func() *source { return &source{latest: f} })
	}
	clients := func(breaks string, f func() (*misc.ClientVersions, error)) implementation {
		return wrong(breaks, func() *source { return &source{clients: f} })
	}

	const valid = "the latest release is valid or there is none"
	const validClients = "the client versions are valid"
	const anyVersion = "the latest release is the same for older and newer clients"
	const asFields = "what is handed over goes out as its fields say"
	const unchanged = "what was handed over is never changed"
	const atOnce = "questions at the same time get their own answers"
	return map[string]implementation{
		"no release is nil without an error": latest(valid, func(q misc.UpdateQuery) (*misc.Release, error) {
			if q.Platform == "darwin" {
				return newRelease("darwin"), nil
			}
			return nil, nil
		}),
		"no release is an error of its own": latest(valid, func(q misc.UpdateQuery) (*misc.Release, error) {
			if q.Platform != "no such platform" {
				return newRelease("SealTalk"), nil
			}
			return nil, errFault
		}),
		"a release is invalid": latest(valid, func(q misc.UpdateQuery) (*misc.Release, error) {
			r := newRelease("SealTalk")
			if q.Platform == "linux" {
				r.URL = "/1.2.3.zip"
			}
			return r, nil
		}),
		"a release is invalid for a client that says no platform": latest(valid, func(q misc.UpdateQuery) (*misc.Release, error) {
			r := newRelease("SealTalk")
			if q.Platform == "" {
				r.Version = "1.2"
			}
			return r, nil
		}),
		"client versions are nil without an error": clients(validClients, func() (*misc.ClientVersions, error) { return nil, nil }),
		"client versions are an error":             clients(validClients, func() (*misc.ClientVersions, error) { return nil, errFault }),
		"client versions are invalid": clients(validClients, func() (*misc.ClientVersions, error) {
			v := newClients()
			v.Android = misc.ClientVersion{}
			return v, nil
		}),
		"an equal version has no release": latest(anyVersion, func(q misc.UpdateQuery) (*misc.Release, error) {
			if q.Version == "1.2.3" {
				return nil, misc.ErrNoRelease
			}
			return newRelease("SealTalk"), nil
		}),
		"a newer version has no release": latest(anyVersion, func(q misc.UpdateQuery) (*misc.Release, error) {
			if c, err := misc.CompareVersions(q.Version, "1.2.3"); c > 0 || err != nil {
				return nil, errors.Join(misc.ErrNoRelease, err)
			}
			return newRelease("SealTalk"), nil
		}),
		"an older version is offered another release": latest(anyVersion, func(q misc.UpdateQuery) (*misc.Release, error) {
			if c, err := misc.CompareVersions(q.Version, "1.0.0"); c < 0 || err != nil {
				return newRelease("stepping stone"), err
			}
			return newRelease("SealTalk"), nil
		}),
		"a release is changed after it was encoded": latest(asFields, func(misc.UpdateQuery) (*misc.Release, error) {
			r := newRelease("SealTalk")
			_, err := r.MarshalJSON()
			r.URL = "https://cdn.example.com/1.2.3.zip"
			return r, err
		}),
		"client versions are changed after they were encoded": clients(asFields, func() (*misc.ClientVersions, error) {
			v := newClients()
			_, err := v.MarshalJSON()
			v.IOS.URL = "https://cdn.example.com/app"
			return v, err
		}),
		// They change it for a version that no other rule asks about, or the
		// rule about questions at the same time would be a data race.
		"a release is changed for another client": wrong(unchanged, func() *source {
			r := newRelease("SealTalk")
			return &source{latest: func(q misc.UpdateQuery) (*misc.Release, error) {
				if q.Version == "1.0.1" {
					r.Name = q.Platform
				}
				return r, nil
			}}
		}),
		"client versions are changed after another client asked": wrong(unchanged, func() *source {
			v := newClients()
			return &source{
				latest: func(q misc.UpdateQuery) (*misc.Release, error) {
					if q.Version == "1.0.1" {
						v.IOS.Version = q.Version
					}
					return newRelease("SealTalk"), nil
				},
				clients: func() (*misc.ClientVersions, error) { return v, nil },
			}
		}),
		"questions about the release overwrite each other": wrong(atOnce, func() *source {
			var last atomic.Pointer[string]
			return &source{latest: func(q misc.UpdateQuery) (*misc.Release, error) {
				last.Store(&q.Platform)
				others()
				return newRelease(*last.Load()), nil
			}}
		}),
		"questions about the client versions disturb each other": wrong(atOnce, func() *source {
			var underway atomic.Int32
			return &source{clients: func() (*misc.ClientVersions, error) {
				defer underway.Add(-1)
				v := newClients()
				if underway.Add(1) > 1 {
					v.Extra = nil
				}
				others()
				return v, nil
			}}
		}),
		"a question about the release ignores the context": wrong("a cancelled question about the release is an error",
			func() *source { return &source{deafRelease: true} }),
		"a question about the client versions ignores the context": wrong("a cancelled question about the client versions is an error",
			func() *source { return &source{deafClients: true} }),
	}
}

// A sender hands each message to the cloud, its recording fake, as send says.
type sender func(ctx context.Context, m misc.Message) error

func (f sender) Send(ctx context.Context, m misc.Message) error { return f(ctx, m) }

func messenger(over func(cloud *misctest.Messenger) misc.Messenger) func(*testing.T) {
	return func(t *testing.T) {
		misctest.TestMessenger(t, func(*testing.T) (misc.Messenger, func() []misc.Message) {
			var cloud misctest.Messenger
			return over(&cloud), cloud.Delivered
		})
	}
}

func wrongMessengers() map[string]implementation {
	wrong := func(breaks string, over func(cloud *misctest.Messenger) sender) implementation {
		return implementation{breaks: breaks, suite: messenger(func(cloud *misctest.Messenger) misc.Messenger { return over(cloud) })}
	}
	// changing sends what change makes of a message.
	changing := func(breaks string, change func(m *misc.Message)) implementation {
		return wrong(breaks, func(cloud *misctest.Messenger) sender {
			return func(ctx context.Context, m misc.Message) error {
				change(&m)
				return cloud.Send(ctx, m)
			}
		})
	}
	deliver := func(cloud *misctest.Messenger, m misc.Message) { _ = cloud.Send(context.Background(), m) }
	isKnown := func(m misc.Message) bool { return m.Type == misc.Private || m.Type == misc.Group }

	const private = "a private message arrives whole"
	const group = "a group message arrives whole"
	const text = "text arrives as it was written"
	const longest = "the longest message arrives whole"
	const again = "a message sent again arrives again"
	const atOnce = "messages sent at the same time arrive once each"
	const unsupported = "an unsupported conversation type is an error and sends nothing"
	const cancelled = "a cancelled send is an error and sends nothing"
	return map[string]implementation{
		"a private message is delivered twice": wrong(private, func(cloud *misctest.Messenger) sender {
			return func(ctx context.Context, m misc.Message) error {
				if m.Type == misc.Private && ctx.Err() == nil {
					deliver(cloud, m)
				}
				return cloud.Send(ctx, m)
			}
		}),
		"nothing is delivered": wrong(private, func(cloud *misctest.Messenger) sender {
			return func(ctx context.Context, m misc.Message) error {
				if ctx.Err() == nil && isKnown(m) {
					return nil
				}
				return cloud.Send(ctx, m)
			}
		}),
		"a delivered message is an error": wrong(private, func(cloud *misctest.Messenger) sender {
			return func(ctx context.Context, m misc.Message) error {
				if err := cloud.Send(ctx, m); err != nil || m.Type == misc.Group {
					return err
				}
				return errFault
			}
		}),
		"a private message goes to its sender": changing(private, func(m *misc.Message) {
			if m.Type == misc.Private {
				m.From, m.To = m.To, m.From
			}
		}),
		"the sender's devices are left out":    changing(private, func(m *misc.Message) { m.IncludeSender = false }),
		"the sender's devices are included":    changing(private, func(m *misc.Message) { m.IncludeSender = true }),
		"the push content is left out":         changing(private, func(m *misc.Message) { m.PushContent = "" }),
		"the push content is made up":          changing(private, func(m *misc.Message) { m.PushContent = cmp.Or(m.PushContent, "New message") }),
		"every private message is a text":      changing(private, func(m *misc.Message) { m.ObjectName = "RC:TxtMsg" }),
		"content that is no JSON is made some": changing(private, func(m *misc.Message) { m.Content = strings.Replace(m.Content, "hello", `{"content":"hello"}`, 1) }),
		"a group message goes out as a private one": changing(group, func(m *misc.Message) {
			if m.Type == misc.Group {
				m.Type = misc.Private
			}
		}),
		"a group message is delivered twice": wrong(group, func(cloud *misctest.Messenger) sender {
			return func(ctx context.Context, m misc.Message) error {
				if m.Type == misc.Group && ctx.Err() == nil {
					deliver(cloud, m)
				}
				return cloud.Send(ctx, m)
			}
		}),
		"the mention is left out": changing(group, func(m *misc.Message) { m.Mentioned = false }),
		"every group message mentions": changing(group, func(m *misc.Message) {
			m.Mentioned = m.Type == misc.Group
		}),
		"a mention leaves out the sender's devices": changing(group, func(m *misc.Message) { m.IncludeSender = m.IncludeSender && !m.Mentioned }),
		"a group of the sender's number is left alone": wrong(group, func(cloud *misctest.Messenger) sender {
			return func(ctx context.Context, m misc.Message) error {
				if m.Type == misc.Group && m.From == m.To {
					return ctx.Err()
				}
				return cloud.Send(ctx, m)
			}
		}),
		"a form is not encoded": changing(text, func(m *misc.Message) {
			if content, err := url.QueryUnescape(m.Content); err == nil {
				m.Content = content
			}
		}),
		"the push content is not encoded": changing(text, func(m *misc.Message) { m.PushContent, _, _ = strings.Cut(m.PushContent, "&") }),
		"HTML is escaped": changing(text, func(m *misc.Message) {
			m.Content = strings.NewReplacer("<", `\u003c`, ">", `\u003e`, "&", `\u0026`).Replace(m.Content)
		}),
		"spaces are trimmed":           changing(text, func(m *misc.Message) { m.Content = strings.TrimSpace(m.Content) }),
		"line ends are made alike":     changing(text, func(m *misc.Message) { m.Content = strings.ReplaceAll(m.Content, "\r\n", "\n") }),
		"backslashes are read as such": changing(text, func(m *misc.Message) { m.Content = strings.ReplaceAll(m.Content, `\n`, "\n") }),
		"symbols of four bytes are lost": changing(text, func(m *misc.Message) {
			m.Content = strings.Map(func(r rune) rune {
				if r > 0xffff {
					return '?'
				}
				return r
			}, m.Content)
		}),
		"long content is cut": changing(longest, func(m *misc.Message) { m.Content = m.Content[:min(len(m.Content), misc.MaxContent-1)] }),
		"a long object name is refused": wrong(longest, func(cloud *misctest.Messenger) sender {
			return func(ctx context.Context, m misc.Message) error {
				if len(m.ObjectName) >= misc.MaxObjectName {
					return errFault
				}
				return cloud.Send(ctx, m)
			}
		}),
		"a message sent again is left out": wrong(again, func(cloud *misctest.Messenger) sender {
			var sent sync.Map
			return func(ctx context.Context, m misc.Message) error {
				if ctx.Err() == nil && isKnown(m) {
					if _, again := sent.LoadOrStore(m, true); again {
						return nil
					}
				}
				return cloud.Send(ctx, m)
			}
		}),
		"messages overwrite each other": wrong(atOnce, func(cloud *misctest.Messenger) sender {
			var last atomic.Pointer[misc.Message]
			return func(ctx context.Context, m misc.Message) error {
				last.Store(&m)
				others()
				return cloud.Send(ctx, *last.Load())
			}
		}),
		"a message that meets another is sent twice": wrong(atOnce, func(cloud *misctest.Messenger) sender {
			var underway atomic.Int32
			return func(ctx context.Context, m misc.Message) error {
				defer underway.Add(-1)
				if underway.Add(1) > 1 {
					deliver(cloud, m)
				}
				others()
				return cloud.Send(ctx, m)
			}
		}),
		"an unsupported type goes out as a group message": wrong(unsupported, func(cloud *misctest.Messenger) sender {
			return func(ctx context.Context, m misc.Message) error {
				if m.Type != misc.Private {
					m.Type = misc.Group
				}
				return cloud.Send(ctx, m)
			}
		}),
		"an unsupported type is no error": wrong(unsupported, func(cloud *misctest.Messenger) sender {
			return func(ctx context.Context, m misc.Message) error {
				if !isKnown(m) {
					return nil
				}
				return cloud.Send(ctx, m)
			}
		}),
		"an unsupported type is an error, and goes out": wrong(unsupported, func(cloud *misctest.Messenger) sender {
			return func(ctx context.Context, m misc.Message) error {
				if !isKnown(m) {
					m.Type = misc.Private
					deliver(cloud, m)
					return errFault
				}
				return cloud.Send(ctx, m)
			}
		}),
		"a send ignores the context": wrong(cancelled, func(cloud *misctest.Messenger) sender {
			return func(ctx context.Context, m misc.Message) error { return cloud.Send(context.WithoutCancel(ctx), m) }
		}),
		"a cancelled send is no error": wrong(cancelled, func(cloud *misctest.Messenger) sender {
			return func(ctx context.Context, m misc.Message) error {
				if ctx.Err() != nil {
					return nil
				}
				return cloud.Send(ctx, m)
			}
		}),
		"a cancelled group message is no error": wrong(cancelled, func(cloud *misctest.Messenger) sender {
			return func(ctx context.Context, m misc.Message) error {
				if ctx.Err() != nil && m.Type == misc.Group {
					return nil
				}
				return cloud.Send(ctx, m)
			}
		}),
		"a cancelled send is an error, and goes out": wrong(cancelled, func(cloud *misctest.Messenger) sender {
			return func(ctx context.Context, m misc.Message) error {
				if ctx.Err() != nil {
					deliver(cloud, m)
				}
				return cloud.Send(ctx, m)
			}
		}),
	}
}

// A relatedStore answers both questions at once, from two fakes.
type relatedStore struct {
	*misc.MemoryStore
	*misctest.Relations
	answer func(s *relatedStore, ctx context.Context, user string, c misc.Conversation) (bool, misc.NoticeStatus, error)
}

func (s *relatedStore) RelatedScreenCapture(ctx context.Context, user string, c misc.Conversation) (bool, misc.NoticeStatus, error) {
	return s.answer(s, ctx, user, c)
}

// relation asks the relations as misc.Service does.
func (s *relatedStore) relation(ctx context.Context, user string, c misc.Conversation) (bool, error) {
	if c.Type() == misc.Group {
		return s.IsGroupMember(ctx, c.GroupID(), user)
	}
	other, b := c.Users()
	if other == user {
		other = b
	}
	return s.AreFriends(ctx, user, other)
}

func bothQuestions(s *relatedStore, ctx context.Context, user string, c misc.Conversation) (bool, misc.NoticeStatus, error) {
	related, err := s.relation(ctx, user, c)
	if err != nil {
		return false, misc.NoticeOff, err
	}
	status, err := s.ScreenCapture(ctx, c)
	return related, status, err
}

func relatedStores(answer func(s *relatedStore, ctx context.Context, user string, c misc.Conversation) (bool, misc.NoticeStatus, error)) func(*testing.T) {
	return func(t *testing.T) {
		misctest.TestRelatedStore(t, func(_ *testing.T, w misctest.World) misc.RelatedStore {
			return &relatedStore{misc.NewMemoryStore(), misctest.NewRelations(w), answer}
		})
	}
}

func wrongRelatedStores() map[string]implementation {
	wrong := func(breaks string, answer func(s *relatedStore, ctx context.Context, user string, c misc.Conversation) (bool, misc.NoticeStatus, error)) implementation {
		return implementation{breaks: breaks, suite: relatedStores(answer)}
	}
	return map[string]implementation{
		"asks for the first user of the pair": wrong("friends read their setting whoever asks", func(s *relatedStore, ctx context.Context, user string, c misc.Conversation) (bool, misc.NoticeStatus, error) {
			if first, _ := c.Users(); c.Type() == misc.Private && first != user {
				related, err := s.AreFriends(ctx, user, user)
				return related, misc.NoticeOff, err
			}
			return bothQuestions(s, ctx, user, c)
		}),
		"a group never set has no members": wrong("members read the setting of their group", func(s *relatedStore, ctx context.Context, user string, c misc.Conversation) (bool, misc.NoticeStatus, error) {
			related, status, err := bothQuestions(s, ctx, user, c)
			return related && (status == misc.NoticeOn || c.Type() == misc.Private), status, err
		}),
		"whatever is on is related": wrong("strangers are not related, whatever is set", func(s *relatedStore, ctx context.Context, user string, c misc.Conversation) (bool, misc.NoticeStatus, error) {
			related, status, err := bothQuestions(s, ctx, user, c)
			return related || status == misc.NoticeOn, status, err
		}),
		"takes friends for members": wrong("a group is not a user with its number", func(s *relatedStore, ctx context.Context, user string, c misc.Conversation) (bool, misc.NoticeStatus, error) {
			related, status, err := bothQuestions(s, ctx, user, c)
			if err == nil && c.Type() == misc.Group && !related {
				related, err = s.AreFriends(ctx, user, c.GroupID())
			}
			return related, status, err
		}),
		"fails on an id that it cannot read": wrong("an id that is none is not related or misc.ErrInvalidID", func(s *relatedStore, ctx context.Context, user string, c misc.Conversation) (bool, misc.NoticeStatus, error) {
			a, b := c.Users()
			_, errA := codec.Decode(cmp.Or(a, c.GroupID()))
			_, errB := codec.Decode(cmp.Or(b, c.GroupID()))
			if errA != nil || errB != nil {
				return false, misc.NoticeOff, errFault
			}
			return bothQuestions(s, ctx, user, c)
		}),
		"ignores its context": wrong("a cancelled question is an error", func(s *relatedStore, ctx context.Context, user string, c misc.Conversation) (bool, misc.NoticeStatus, error) {
			return bothQuestions(s, context.WithoutCancel(ctx), user, c)
		}),
	}
}
