// Package catalog is a [misc.VersionSource] over the two files in which
// SealTalk's servers keep their versions: squirrel.json, the desktop release,
// in the form that [misc.ParseRelease] reads, and client_version.json, those
// of the mobile clients, in the form that [misc.ParseClientVersions] reads.
//
// A file may change at any time, and nothing has to be restarted. To publish,
// write the new file under another name and rename it into place. A file that
// is written in place works as well: while it is half-written it is broken,
// and a broken file never replaces a good one.
package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sealtalk-go/misc"
)

const (
	// interval is the least time between two looks at the files.
	interval = time.Second

	// maxSize is the largest file that is read, in bytes.
	maxSize = 1 << 20
)

// Config holds what a [Catalog] works with. Its zero value is ready to use.
type Config struct {
	Logger *slog.Logger     // nil: slog.Default()
	Now    func() time.Time // nil: time.Now
}

var _ misc.VersionSource = (*Catalog)(nil)

// A Catalog serves the versions in a directory. Make one with [Open]; there is
// nothing to close.
//
// When a second or more has passed since the last look at the files, the next
// request reads both before it is answered, and serves what they hold by then.
// Requests that come in meanwhile do not wait for it: they are answered from
// the files as they were.
//
// A file that is missing, unreadable or invalid is logged as an error, once
// until that error changes, and the last good one is served; Err tells as
// well. A good file that is taken up is logged with its version. The files
// are independent: one that is broken does not hold up the other.
type Catalog struct {
	logger *slog.Logger
	now    func() time.Time
	start  time.Time
	looked atomic.Int64 // when the files were last looked at, in nanoseconds since start

	mu      sync.Mutex // held for a look
	release *file[misc.Release]
	clients *file[misc.ClientVersions]
}

// Open returns a Catalog over squirrel.json and client_version.json in dir.
// Both must be there, valid, in UTF-8 (a byte order mark is skipped) and not
// larger than 1 MiB; the error joins every problem of both, each with its file
// and field.
func Open(dir string, cfg Config) (*Catalog, error) {
	c := &Catalog{
		logger: cfg.Logger,
		now:    cfg.Now,
		release: newFile(filepath.Join(dir, "squirrel.json"), misc.ParseRelease, func(r *misc.Release) string {
			return r.Version
		}),
		clients: newFile(filepath.Join(dir, "client_version.json"), misc.ParseClientVersions, func(v *misc.ClientVersions) string {
			return "iOS " + v.IOS.Version + ", Android " + v.Android.Version
		}),
	}
	if c.logger == nil {
		c.logger = slog.Default()
	}
	if c.now == nil {
		c.now = time.Now
	}
	c.start = c.now()
	c.release.load()
	c.clients.load()
	if err := c.failures(); err != nil {
		return nil, err
	}
	return c, nil
}

// LatestRelease returns the release in squirrel.json. That file holds one
// release for everyone, so the query is not consulted.
func (c *Catalog) LatestRelease(ctx context.Context, _ misc.UpdateQuery) (*misc.Release, error) {
	return serve(ctx, c, c.release)
}

// ClientVersions returns the versions in client_version.json.
func (c *Catalog) ClientVersions(ctx context.Context) (*misc.ClientVersions, error) {
	return serve(ctx, c, c.clients)
}

// Err returns nil while both files are good, and otherwise what is wrong with
// them, in the form that Open reports it. It looks at the files when a look is
// due, so it is right without any traffic.
func (c *Catalog) Err() error {
	c.look()
	return c.failures()
}

func (c *Catalog) failures() error {
	return errors.Join(c.release.current.Load().err, c.clients.current.Load().err)
}

func serve[T any](ctx context.Context, c *Catalog, f *file[T]) (*T, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	c.look()
	return f.current.Load().good, nil
}

// look reads the files if that is due and no other request is at it.
func (c *Catalog) look() {
	now, last := int64(c.now().Sub(c.start)), c.looked.Load()
	if now-last < int64(interval) || !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	if c.looked.CompareAndSwap(last, now) { // or another look has just ended
		c.release.reload(c.logger)
		c.clients.reload(c.logger)
	}
}

// file is one of the files. Only current may be used outside a look.
type file[T any] struct {
	path    string
	parse   func([]byte) (*T, error)
	version func(*T) string
	seen    []byte // what was read last; nil if it could not be read
	current atomic.Pointer[state[T]]
}

// state is what is served, and what is wrong with the file if that is not what
// it holds. It never changes.
type state[T any] struct {
	good *T
	err  error
}

func newFile[T any](path string, parse func([]byte) (*T, error), version func(*T) string) *file[T] {
	f := &file[T]{path: path, parse: parse, version: version}
	f.current.Store(&state[T]{})
	return f
}

// reload loads f and logs what changed.
func (f *file[T]) reload(logger *slog.Logger) {
	if !f.load() {
		return
	}
	if s := f.current.Load(); s.err != nil {
		logger.Error("catalog: file refused, the last good one is served", "file", f.path, "error", s.err)
	} else {
		logger.Info("catalog: file taken up", "file", f.path, "version", f.version(s.good))
	}
}

// load reads f and reports whether the current state changed. It compares
// bytes: a modification time can be too coarse to show a change.
func (f *file[T]) load() bool {
	content, err := read(f.path)
	if err == nil && bytes.Equal(content, f.seen) {
		return false
	}
	if err == nil {
		// A file that is being written in place may give one page of the old
		// version and the next of the new one, but hardly the same ones twice:
		// the writer would have to pause.
		if again, againErr := read(f.path); againErr != nil || !bytes.Equal(again, content) {
			if f.current.Load().good != nil {
				return false // the next look will tell
			}
			content, err = nil, errors.New("is being written")
		}
	}
	f.seen = content
	var parsed *T
	if err == nil {
		parsed, err = f.parse(content)
	}
	if err == nil {
		f.current.Store(&state[T]{good: parsed})
		return true
	}
	err = f.name(err)
	was := f.current.Load()
	if was.err != nil && was.err.Error() == err.Error() {
		return false
	}
	f.current.Store(&state[T]{was.good, err})
	return true
}

// name puts the file's name before err, or before each error that err joins.
func (f *file[T]) name(err error) error {
	errs := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		errs = joined.Unwrap()
	}
	named := make([]error, len(errs))
	for i, err := range errs {
		named[i] = fmt.Errorf("catalog: %s: %w", filepath.Base(f.path), err)
	}
	return errors.Join(named...)
}

// read returns the text of the file at path, never empty.
func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for a writer
		return nil, errors.New("is no regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()

	// With room for all of it, the file comes in one piece even if it is being
	// written in place.
	var b bytes.Buffer
	b.Grow(int(min(info.Size(), maxSize)) + bytes.MinRead)
	if _, err := b.ReadFrom(io.LimitReader(f, maxSize+1)); err != nil {
		return nil, err
	}
	if b.Len() > maxSize {
		return nil, errors.New("is larger than 1 MiB")
	}
	switch text := bytes.TrimPrefix(b.Bytes(), []byte("\uFEFF")); {
	case len(text) == 0:
		return nil, errors.New("is empty")
	default:
		return text, nil
	}
}
