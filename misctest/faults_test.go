package misctest_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sealtalk-go/misc"
)

// An implementation breaks rules of its suite. The name begins with the suite.
type implementation struct {
	name   string
	suite  func(*testing.T)
	breaks string // separated by semicolons
}

const off, on = misc.NoticeOff, misc.NoticeOn

// wrongImplementations returns, for each rule of a suite, an implementation that
// somebody could write by mistake, and that the rule must detect. There are more
// for ids that look alike and for who is allowed, one for each kind of mistake.
func wrongImplementations() (all []implementation) {
	// TestStore has the rules of TestScreenCaptureStore, as settings, and those
	// of TestRelations.
	in := forms["opaque ids"]
	wrong := func(name, breaks string, change func(h *host)) {
		all = append(all, implementation{"store: " + name, stores(in, false, change), breaks})
	}
	key := func(name, breaks string, key func(c misc.Conversation) string) {
		wrong(name, breaks, func(h *host) { h.key = key })
	}
	const invalid, part = "an invalid id is never set or misc.ErrInvalidID", "an invalid id, or a part of one, is not related or misc.ErrInvalidID"
	const inSettings, inRelations = "settings/ids that look alike are different", "relations/ids that look alike are different"
	key("keys are joined by _", inSettings, func(c misc.Conversation) string { return strings.Trim(joined(c, "_"), "_") })
	key("keys are cut at 40 characters", inSettings, func(c misc.Conversation) string { return fmt.Sprintf("%.40s", c) })
	wrong("friends are joined by _", inRelations, also(func(h *host, q row) bool {
		return h.some(func(r row) bool { return q.c.Type() == misc.Private && joined(r.c, "_") == joined(q.c, "_") })
	}))
	wrong("spaces at the end do not count", inSettings+"; "+inRelations, compares(func(id string) string { return strings.TrimRight(id, " ") }))
	wrong("case does not count", inSettings+"; "+inRelations, compares(strings.ToLower))
	wrong("ids are cut at 40 characters", inSettings+"; "+inRelations, compares(func(id string) string { return fmt.Sprintf("%.40s", id) }))
	in = form{nil, false, in.decode}
	wrong("case does not count in n3d", inSettings+"; "+inRelations, compares(strings.ToLower))

	wrong("spaces at the end do not count in n3d", "settings/"+invalid+"; relations/"+part, compares(func(id string) string { return strings.TrimRight(id, " ") }))

	in = forms["opaque ids"]
	wrong("only one of two users reads the setting", "settings/a setting is off, and then what was set last", asks(func(_ *host, q query, a *answer) {
		if first, _ := q.c.Users(); q.user == first {
			a.status = off
		}
	}))
	wrong("a pair sets the groups of its users", "settings/a set leaves the other conversations alone", sets(func(h *host, q query) error {
		a, b := q.c.Users()
		_ = h.save(query{q.ctx, row{a, misc.GroupConversation(a)}, q.status})
		_ = h.save(query{q.ctx, row{b, misc.GroupConversation(b)}, q.status})
		return h.save(q)
	}))
	wrong("forgets all but the last 1000 conversations", "settings/many sets at the same time are read at once and kept", func(h *host) {
		last := make(chan row, 1000)
		h.set = func(q query) error {
			select {
			case last <- q.row:
			default:
				_ = h.save(query{q.ctx, <-last, off})
			}
			return h.save(q)
		}
	})
	wrong("a set deletes and inserts", "settings/one conversation may be set many times at once, each in one step", sets(func(h *host, q query) error {
		err := h.save(query{q.ctx, q.row, off})
		others()
		return cmp.Or(err, h.save(q))
	}))
	wrong("takes any status", "settings/an invalid status is refused and changes nothing", sets(func(h *host, q query) error { return h.save(query{q.ctx, q.row, max(off, min(q.status, on))}) }))
	key("keys are joined without anything", "settings/"+invalid, func(c misc.Conversation) string { return fmt.Sprint(c.Type()) + joined(c, "") })
	wrong("a cancelled set is saved", "settings/a cancelled call is an error and changes nothing", sets(func(h *host, q query) error {
		return cmp.Or(h.save(query{context.WithoutCancel(q.ctx), q.row, q.status}), q.ctx.Err())
	}))
	wrong("a failed set is acknowledged", "settings/a failing backend is an error and loses nothing", sets(func(h *host, q query) error { return except(errDown, h.save(q)) }))
	wrong("an instance opened while the backend fails never works", "settings/an instance opened while the backend fails works afterwards", func(h *host) {
		if h.down {
			h.set = func(query) error { return errDown }
		}
	})
	const visible = "settings/a saved setting is visible through another instance; relations/a change shows at once"
	wrong("an answer is kept for 30 seconds", visible, func(h *host) {
		var cache sync.Map // the suite does not take that long
		h.access = func(q query) answer {
			if a, ok := cache.Load(q.row); ok && q.ctx.Err() == nil {
				return a.(answer)
			}
			a := h.ask(q)
			if a.err == nil {
				cache.Store(q.row, a)
			}
			return a
		}
		h.set = func(q query) error {
			defer cache.Clear()
			return h.save(q)
		}
	})

	wrong("friends in one direction", "relations/all friends and members are found, whoever asks", asks(func(_ *host, q query, a *answer) {
		_, second := q.c.Users()
		a.ok = a.ok && q.user != second
	}))
	wrong("everyone is a friend of themselves", "relations/strangers are not related, known or not", also(func(_ *host, q row) bool { return q.c == misc.PrivateConversation(q.user, q.user) }))
	wrong("friends are looked up among members", "relations/a group is not the user with its number", also(func(h *host, q row) bool {
		a, b := q.c.Users()
		return h.rows[row{a, misc.GroupConversation(b)}] || h.rows[row{b, misc.GroupConversation(a)}]
	}))
	wrong("membership by substring", "relations/"+part, also(func(h *host, q row) bool {
		return h.some(func(r row) bool { return r.c == q.c && q.user != "" && strings.Contains(r.user, q.user) })
	}))
	wrong("questions overwrite each other", "relations/questions at the same time get their own answers", func(h *host) {
		var last atomic.Pointer[query]
		h.access = func(q query) answer {
			last.Store(&q)
			others()
			return h.ask(*last.Load())
		}
	})
	wrong("a question ignores the context", "relations/a cancelled question is an error", asks(func(h *host, q query, a *answer) { *a = h.ask(query{context.WithoutCancel(q.ctx), q.row, off}) }))
	wrong("a failure is an invalid id", "relations/a failing backend is an error and not a no", asks(func(h *host, _ query, a *answer) {
		if h.down {
			a.err = misc.ErrInvalidID
		}
	}))

	const nobody = "nobody else is allowed, whatever is set"
	wrong("whatever is on is allowed", nobody, asks(func(_ *host, _ query, a *answer) { a.ok = a.ok || a.status == on }))
	wrong("checks the pair and not who asks", nobody, asks(func(h *host, q query, a *answer) {
		first, _ := q.c.Users()
		*a = h.ask(query{q.ctx, row{cmp.Or(first, q.user), q.c}, off})
	}))

	wrongSource := func(name, breaks string, latest finder) {
		all = append(all, implementation{"versions: " + name, versions(latest), breaks})
	}
	wrongSource("never has a release", "what the source returns is valid, and there is a release for Query", func(*source, context.Context, misc.UpdateQuery) (*misc.Release, error) {
		return nil, misc.ErrNoRelease
	})
	wrongSource("no release is nil without an error", "what the source returns is valid, and there is a release for Query", func(s *source, ctx context.Context, q misc.UpdateQuery) (*misc.Release, error) {
		if q.Channel != "beta" {
			return nil, ctx.Err()
		}
		return s.find(ctx, q)
	})
	wrongSource("a question ignores the context", "a cancelled question is an error", func(s *source, ctx context.Context, q misc.UpdateQuery) (*misc.Release, error) {
		return s.find(context.WithoutCancel(ctx), q)
	})
	wrongSource("a failure is no release", "a failing backend is an error, or the last answer", func(s *source, ctx context.Context, q misc.UpdateQuery) (*misc.Release, error) {
		if s.down {
			return nil, misc.ErrNoRelease
		}
		return s.find(ctx, q)
	})
	shared := newRelease("SealTalk")
	wrongSource("a new release overwrites the one handed over", "what was handed over is never changed", func(s *source, ctx context.Context, _ misc.UpdateQuery) (*misc.Release, error) {
		if s.name == "new" {
			*shared = *newRelease("new")
		}
		return shared, ctx.Err()
	})
	var platform atomic.Pointer[string]
	wrongSource("questions overwrite each other", "questions at the same time get their own answers", func(_ *source, ctx context.Context, q misc.UpdateQuery) (*misc.Release, error) {
		platform.Store(&q.Platform)
		others()
		return newRelease(*platform.Load()), ctx.Err()
	})

	wrongMessenger := func(name, breaks string, client sender) {
		all = append(all, implementation{"messenger: " + name, messengers(client), breaks})
	}
	wrongMessenger("the sender's devices are left out", "a message arrives whole, sent once or again", changes(func(m *misc.Message) { m.IncludeSender = false }))
	wrongMessenger("the push content is not escaped", "text arrives as it was written", changes(func(m *misc.Message) { m.PushContent = raw(m.PushContent) }))
	wrongMessenger("the target is not escaped", "an odd id or type arrives as it is", changes(func(m *misc.Message) { m.To = raw(m.To) }))
	wrongMessenger("long content is cut", "the longest message arrives whole", changes(func(m *misc.Message) { m.Content = m.Content[:min(len(m.Content), misc.MaxContent-1)] }))
	wrongMessenger("what is too long is left out", "a message that does not arrive is an error", ignores(misc.ErrContentTooLong))
	wrongMessenger("an unsupported type is a group", "an unsupported conversation type is an error and sends nothing", changes(func(m *misc.Message) { m.Type = max(misc.Private, min(m.Type, misc.Group)) }))
	wrongMessenger("a refusal is ignored", "a refusal is misc.ErrRefused", ignores(misc.ErrRefused))
	wrongMessenger("a send ignores the context", "a cancelled send is an error and sends nothing", func(c *cloud, ctx context.Context, m misc.Message) error {
		return c.accept(context.WithoutCancel(ctx), m)
	})
	wrongMessenger("a message is sent again after any error", "a message whose answer is lost is an error and not delivered twice", func(c *cloud, ctx context.Context, m misc.Message) error {
		err := c.accept(ctx, m)
		if errors.Is(err, misc.ErrUnreachable) {
			err = c.accept(ctx, m)
		}
		return err
	})
	var last atomic.Pointer[misc.Message]
	wrongMessenger("messages overwrite each other", "messages sent at the same time arrive once each", func(c *cloud, ctx context.Context, m misc.Message) error {
		last.Store(&m)
		others()
		return c.accept(ctx, *last.Load())
	})
	return all
}

// asks changes an answer that was right.
func asks(change func(h *host, q query, a *answer)) func(h *host) {
	return func(h *host) {
		h.access = func(q query) answer {
			a := h.ask(q)
			change(h, q, &a)
			return a
		}
	}
}

// also allows what guess does.
func also(guess func(h *host, q row) bool) func(h *host) {
	return asks(func(h *host, q query, a *answer) { a.ok = a.ok || a.err == nil && guess(h, q.row) })
}

func sets(set func(h *host, q query) error) func(h *host) {
	return func(h *host) { h.set = func(q query) error { return set(h, q) } }
}

// compares takes two ids for the same if fold does.
func compares(fold func(id string) string) func(h *host) {
	return func(h *host) {
		h.key = func(c misc.Conversation) string {
			a, b := c.Users()
			return fmt.Sprintf("%d %q %q %q", c.Type(), fold(c.GroupID()), fold(a), fold(b))
		}
		also(func(h *host, q row) bool {
			return h.some(func(r row) bool { return fold(r.user) == fold(q.user) && h.key(r.c) == h.key(q.c) })
		})(h)
	}
}

// joined returns the ids of c with a separator between them.
func joined(c misc.Conversation, separator string) string {
	a, b := c.Users()
	return a + c.GroupID() + separator + b
}

// others lets the other goroutines run.
func others() {
	for range 64 {
		runtime.Gosched()
	}
}

// except returns err, or nil if it is ignored.
func except(ignored, err error) error {
	if errors.Is(err, ignored) {
		return nil
	}
	return err
}

func changes(change func(m *misc.Message)) sender {
	return func(c *cloud, ctx context.Context, m misc.Message) error { change(&m); return c.accept(ctx, m) }
}

func ignores(ignored error) sender {
	return func(c *cloud, ctx context.Context, m misc.Message) error { return except(ignored, c.accept(ctx, m)) }
}

// raw returns what a form holds if value is not escaped.
func raw(value string) string {
	form, _ := url.ParseQuery("name=" + value)
	return form.Get("name")
}
