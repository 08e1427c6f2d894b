// Package misctest has test suites for implementations of the interfaces of
// package misc, and fakes of them for the tests of your server.
//
// Call a suite, [TestScreenCaptureStore], [TestRelations], [TestRelatedStore],
// [TestVersionSource] or [TestMessenger], from a test, with a function that
// returns the implementation. Each rule of the interface is a subtest, which
// has the rule as its name and calls that function once. Some rules need more,
// such as a second instance or a way to make the backend fail. To supply it,
// set the fields of an options value, such as [StoreOptions], and pass that as
// the last argument. Pass at most one options value. What is not tested for
// lack of an option is logged. The suites have no time limits of their own: an
// implementation that blocks is stopped by the -timeout of go test. Run them
// with the race detector.
//
// The fakes are [Relations], [Messenger], and [Cloud] for RongCloud itself. For
// a misc.ScreenCaptureStore and a misc.VersionSource, use misc.NewMemoryStore
// and misc.NewStaticVersions.
package misctest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/n3d"
)

// Key is the n3d key of the ids in the suites. An implementation that decodes
// ids needs a codec with this key. For any other, the ids are opaque strings.
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

// optional returns the options that a suite was given, and the zero value if
// there are none.
func optional[T any](options []T) (o T) {
	for _, o = range options {
	}
	return o
}

// untested says what a suite leaves out because an option is missing.
func untested(t *testing.T, missing bool, what string) bool {
	if missing {
		t.Log("not tested without this option: " + what)
	}
	return missing
}

// invalidIDs returns ids that cannot be decoded under Key and belong to no
// user. The third decodes to 1 but is not its encoding. A search in a list, for
// a pattern or with padded strings takes some of them for ID(n).
func invalidIDs(n uint32) []string {
	id, last := ID(n), len(ID(n))-1
	return []string{"!", "DS9ahdanm", "kFpN4KiZnn", "", "%", "*", "' OR '1'='1", id[:last], id[1:], id[2:6], id[:last] + "_", id[:last] + "%", id + " ", id + ","}
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
