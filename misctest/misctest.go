// Package misctest has test suites for implementations of the interfaces of
// package misc, and fakes of them for the tests of your server.
//
// Call a suite from a test: [TestScreenCaptureStore], [TestRelations],
// [TestStore], [TestVersionSource] or [TestMessenger]. It takes a struct, such
// as [CaptureSuite], whose field New returns your implementation. Each rule of
// the interface is a subtest, which has the rule as its name and calls New once.
// Some rules need more, such as a second instance or a way to make the backend
// fail. If a field for that is nil, the suite leaves these rules out and logs
// the name of the field.
//
// The suites have no time limits of their own: an implementation that blocks is
// stopped by the -timeout of go test. Run them with the race detector.
//
// # Ids
//
// The suites for stores and relations use the ids that their field ID returns,
// such as UUIDs or decimal numbers. They also use strings that are not ids, such
// as a part of an id or an id with a space after it. For these, an
// implementation may return a misc.IDError, or answer as for an id that nobody
// has. Other spellings of the same id, such as a UUID in upper case or a number
// with leading zeros, are not tested.
//
// If your implementation takes any string as an id, set OpaqueIDs. The suites
// then also use ids that code or a database may confuse: ids with separators
// such as _ and /, with spaces at either end, in another case, and of 256 bytes.
//
// # Fakes
//
// The fakes are [Relations], [Messenger], and [Cloud] for RongCloud itself. For
// a misc.ScreenCaptureStore and a misc.VersionSource, use misc.NewMemoryStore
// and misc.NewStaticVersions.
package misctest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/n3d"
)

// Key is the n3d key of the ids that [ID] returns. An implementation that decodes
// ids of n3d needs a codec with this key.
const Key = "11EdDIaqpcim"

// ID returns the public id of n under [Key]. It panics if n is 0, which has no
// public id.
func ID(n uint32) string { return must(codec.Encode(n)) }

var codec = must(n3d.New(Key))

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// A form is how an implementation writes ids.
type form struct {
	id     func(n uint32) string
	opaque bool // any string is an id
}

func newForm(id func(n uint32) string, opaque bool) form {
	if id == nil {
		id = ID
	}
	return form{id, opaque}
}

func (f form) pair(a, b uint32) misc.Conversation { return misc.PrivateConversation(f.id(a), f.id(b)) }

func (f form) group(n uint32) misc.Conversation { return misc.GroupConversation(f.id(n)) }

func (f form) ids(numbers ...uint32) (ids []string) {
	for _, n := range numbers {
		ids = append(ids, f.id(n))
	}
	return ids
}

// invalid returns strings that are not ids, or ids that nobody has. Under Key,
// the third decodes to 1 but is not its encoding. A search in a list, for a
// pattern or with padded strings takes some of them for the id of n.
func (f form) invalid(n uint32) []string {
	id, last := f.id(n), len(f.id(n))-1
	return []string{"!", "DS9ahdanm", "kFpN4KiZnn", "", "%", "*", "' OR '1'='1", id[:last], id[1:], id[last/4 : last*3/4],
		id[:last] + "_", id[:last] + "%", id + " ", id + ","}
}

// alike returns ids that an implementation may take for each other, and what may
// stand between two ids in a key. If any string is an id, they are the same if
// case or spaces do not count, if long ids are cut, or if text is compared as
// people read it. Otherwise they differ in case only; if the form has no such
// ids, alike returns nil.
func (f form) alike(id string) (ids, separators []string) {
	if f.opaque {
		return []string{id + "a", id + "A", id, id + " ", id + "  ", " " + id, long(id) + "a", long(id) + "b", id + "\u00e9", id + "e\u0301"},
			strings.Split("_/:,|- ", "")
	}
	seen := make(map[string]string)
	for n := uint32(5001); n <= 9999; n++ {
		id := f.id(n)
		if other, ok := seen[strings.ToLower(id)]; ok {
			return []string{other, id}, nil
		}
		seen[strings.ToLower(id)] = id
	}
	return nil, nil
}

// long returns an id that begins with id and has one byte less than the longest.
func long(id string) string { return id + strings.Repeat("x", max(0, misc.MaxID-1-len(id))) }

// three returns the ids of n and the next two numbers, sorted as the users of a
// conversation are.
func (f form) three(n uint32) (x, y, z string) {
	ids := f.ids(n, n+1, n+2)
	slices.Sort(ids)
	return ids[0], ids[1], ids[2]
}

// workers is how many goroutines make calls at the same time in tests of
// concurrency.
const workers = 16

// together calls f with 0 to workers-1, all at once, and waits for them.
func together(f func(i uint32)) {
	var ready, done sync.WaitGroup
	ready.Add(workers)
	for i := range uint32(workers) {
		done.Go(func() {
			ready.Done()
			ready.Wait()
			f(i)
		})
	}
	done.Wait()
}

// cancelled returns a context that is cancelled already.
func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// required ends the test if a field without which there is nothing to test is
// missing.
func required(t *testing.T, set bool, field string) {
	t.Helper()
	if !set {
		t.Fatal("misctest: " + field + " is required")
	}
}

// untested says what a suite leaves out because a field is missing.
func untested(t *testing.T, missing bool, field string) bool {
	t.Helper()
	if missing {
		t.Log("some rules are not tested without " + field)
	}
	return missing
}

// wantInvalidID accepts false, or ErrInvalidID, for ids of which one is
// invalid. Any other error would tell the client that the server is at fault.
func wantInvalidID(t *testing.T, call string, related bool, err error, ids ...string) {
	t.Helper()
	if related || err != nil && !errors.Is(err, misc.ErrInvalidID) {
		t.Errorf("%s(%q) = %v, %v; want false or misc.ErrInvalidID", call, ids, related, err)
	}
	if e := (*misc.IDError)(nil); errors.As(err, &e) && !slices.Contains(ids, e.ID) {
		t.Errorf("%s(%q): the misc.IDError is about %q", call, ids, e.ID)
	}
}

// wantFailure wants an error, for a failing backend or a cancelled context, that
// is neither the client's mistake nor an answer.
func wantFailure(t *testing.T, call string, err error) {
	t.Helper()
	if err == nil || errors.Is(err, misc.ErrInvalidID) || errors.Is(err, misc.ErrNoRelease) {
		t.Errorf("%s: %v; want an error other than misc.ErrInvalidID and misc.ErrNoRelease", call, err)
	}
}
