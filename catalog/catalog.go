// Package catalog implements misc.VersionSource and misc.SquareSource with
// files in a directory. They are the version files of SealTalk's own servers,
// and a file that can offer different releases to different clients:
//
//	squirrel.json        one desktop release for everyone; see [ParseRelease]
//	releases.json        replaces squirrel.json: several desktop releases, and which client gets which; see [ParseReleases]
//	client_version.json  the versions of the mobile clients; see [ParseClientVersions]
//	demo_square.json     optional: the chat rooms and groups that clients offer to everyone; see [ParseSquare]
//
// You may change a file at any time; the server need not be restarted. To
// publish, write the new file under another name and rename it. You may also
// truncate it and write it in place: while it is half-written it is invalid,
// and an invalid file never replaces a valid one.
package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/n3d"
)

const (
	// interval is the least time between two looks at the files.
	interval = time.Second

	// lookLimit is how long a look may take before Err reports it.
	lookLimit = 10 * time.Second

	// maxSize is the largest file that is read, in bytes.
	maxSize = 1 << 20
)

// Config configures a [Catalog]. The zero value is ready to use.
type Config struct {
	// Codec encodes the ids in demo_square.json that are numbers. It is
	// required if the file has one: {"id": 16} needs a Codec, {"id":
	// "kFpN4KiZn"} does not. A number in quotes is a public id.
	Codec *n3d.Codec

	// Decided, if it is not nil, is called for each decision that LatestRelease
	// makes from releases.json, for example to count the clients that a rollout
	// excludes. It is not called for squirrel.json. LatestRelease waits for it,
	// and several calls may run at the same time. q.Version is valid; the other
	// fields of q are unchecked text from the client.
	Decided func(ctx context.Context, q misc.UpdateQuery, why Reason)

	// Logger receives a line for each file that is reloaded or found invalid,
	// and the warnings that [Catalog] describes. Nil means slog.Default().
	Logger *slog.Logger
}

var (
	_ misc.VersionSource = (*Catalog)(nil)
	_ misc.SquareSource  = (*Catalog)(nil)
)

// A Catalog serves the files in a directory. Make one with [Open]; there is
// nothing to close.
//
// It reads the files again at most once a second: the first call of a method
// after a second has passed reads all of them, and returns what they hold then.
// Calls made meanwhile do not wait; for each file, they return what it held
// before or holds now.
//
// If a file is missing, unreadable or invalid, the last valid one is served.
// The error is logged, once until it changes, and returned by Err. A file that
// is reloaded is logged with its version. The files are independent: an invalid
// one does not keep the others from being reloaded.
//
// As soon as there is a valid releases.json, the Catalog logs that, uses it,
// and no longer reads squirrel.json. To go back, remove releases.json and open
// a new Catalog. If a new releases.json drops a release that was not withdrawn,
// or lowers a rollout (the share of clients that a release is offered to), it
// is used, and a warning is logged.
type Catalog struct {
	decided func(context.Context, misc.UpdateQuery, Reason)
	logger  *slog.Logger
	now     func() time.Time
	start   time.Time
	looked  atomic.Int64 // when the last look began, in nanoseconds since start
	busy    atomic.Bool  // a look goes on

	mu       sync.Mutex // held for a look
	releases *file[Releases]
	squirrel *file[Releases] // read as long as there is no releases.json
	clients  *file[misc.ClientVersions]
	square   *file[misc.Square]
}

// Open returns a Catalog of the files in dir. There must be a
// client_version.json, and a releases.json or a squirrel.json; with a
// releases.json, squirrel.json is not read. Each file must be valid JSON in
// UTF-8 of at most 1 MiB; a byte order mark is skipped. The error joins all
// problems of all files, each with its file and field.
func Open(dir string, cfg Config) (*Catalog, error) {
	c := &Catalog{
		decided:  cfg.Decided,
		logger:   cfg.Logger,
		now:      time.Now,
		start:    time.Now(),
		releases: newFile(dir, "releases.json", parseReleases),
		squirrel: newFile(dir, "squirrel.json", parseSquirrel),
		clients:  newFile(dir, "client_version.json", parseClientVersions),
		square: newFile(dir, "demo_square.json", func(data []byte) (*misc.Square, string, problems) {
			return parseSquare(data, cfg.Codec)
		}),
	}
	c.releases.optional = true
	c.square.optional = true
	if c.logger == nil {
		c.logger = slog.Default()
	}
	c.releases.load()
	if *c.releases.current.Load() == (state[Releases]{}) {
		c.squirrel.load()
	}
	c.clients.load()
	c.square.load()
	if err := c.failures(); err != nil {
		return nil, err
	}
	if c.releases.current.Load().good != nil {
		c.logger.Info(releasesUsed)
	}
	return c, nil
}

const releasesUsed = "catalog: releases.json is used, squirrel.json is not read"

// LatestRelease returns the release that [Releases.Choose] chooses for q,
// misc.ErrNoRelease if there is none, or misc.ErrInvalidVersion. Without a
// releases.json, it returns the release in squirrel.json, whatever q is.
func (c *Catalog) LatestRelease(ctx context.Context, q misc.UpdateQuery) (*misc.Release, error) {
	releases, err := serve(ctx, c, c.releases)
	switch {
	case err != nil:
		return nil, err
	case releases == nil:
		return c.squirrel.current.Load().good.releases[0].builds[0].plain, nil
	}
	r, why := releases.Choose(q)
	if why == "" {
		return nil, misc.ErrInvalidVersion
	}
	if c.decided != nil {
		c.decided(ctx, q, why)
	}
	if r == nil {
		return nil, misc.ErrNoRelease
	}
	return r, nil
}

// Releases returns the releases that LatestRelease chooses from at present:
// those of releases.json or, without one, the release in squirrel.json.
func (c *Catalog) Releases() *Releases {
	c.look()
	if s := c.releases.current.Load().good; s != nil {
		return s
	}
	return c.squirrel.current.Load().good
}

// ClientVersions returns the versions in client_version.json.
func (c *Catalog) ClientVersions(ctx context.Context) (*misc.ClientVersions, error) {
	return serve(ctx, c, c.clients)
}

// Square returns the square in demo_square.json, or misc.ErrNoSquare if there
// has been no valid one.
func (c *Catalog) Square(ctx context.Context) (*misc.Square, error) {
	s, err := serve(ctx, c, c.square)
	if s == nil && err == nil {
		err = misc.ErrNoSquare
	}
	return s, err
}

// Err returns nil if all files are valid, and otherwise what is wrong with
// them, as Open reports it. It reads the files again if a second has passed, so
// it is up to date even if no other method is called. If another call has been
// reading the files for more than ten seconds, as on a file system that hangs,
// Err reports that too.
func (c *Catalog) Err() error {
	c.look()
	since := c.now().Sub(c.start) - time.Duration(c.looked.Load())
	if c.busy.Load() && since > lookLimit {
		return errors.Join(c.failures(), fmt.Errorf("catalog: reading the files has not ended after %s", since.Round(time.Second)))
	}
	return c.failures()
}

func (c *Catalog) failures() error {
	releases := c.releases.current.Load()
	err := releases.err
	if releases.good == nil {
		err = errors.Join(err, c.squirrel.current.Load().err)
	}
	return errors.Join(err, c.clients.current.Load().err, c.square.current.Load().err)
}

func serve[T any](ctx context.Context, c *Catalog, f *file[T]) (*T, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	c.look()
	return f.current.Load().good, nil
}

// look reads the files if a second has passed and no other call is reading
// them.
func (c *Catalog) look() {
	now, last := int64(c.now().Sub(c.start)), c.looked.Load()
	if now-last < int64(interval) || !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	if c.looked.CompareAndSwap(last, now) { // or another look has just ended
		c.busy.Store(true)
		defer c.busy.Store(false)
		c.reloadReleases()
		c.clients.reload(c.logger)
		c.square.reload(c.logger)
	}
}

func (c *Catalog) reloadReleases() {
	was := c.releases.current.Load().good
	c.releases.reload(c.logger)
	switch is := c.releases.current.Load().good; {
	case is == nil:
		c.squirrel.reload(c.logger)
	case was == nil:
		c.logger.Info(releasesUsed)
	case is != was:
		for _, lost := range is.lost(was) {
			c.logger.Warn("catalog: releases.json takes back what clients were offered", "lost", lost)
		}
	}
}

// file is one of the files. Only current may be used outside a look.
type file[T any] struct {
	path     string
	optional bool // it may be missing as long as it has never been served
	parse    func([]byte) (_ *T, version string, _ problems)
	seen     []byte // what was read last; nil if it could not be read
	current  atomic.Pointer[state[T]]
}

// A state is what is served from a file, and the error if the file now holds
// something else. It is never modified.
type state[T any] struct {
	good    *T
	version string // of good, for the log
	err     error
}

func newFile[T any](dir, name string, parse func([]byte) (*T, string, problems)) *file[T] {
	f := &file[T]{path: filepath.Join(dir, name), parse: parse}
	f.current.Store(&state[T]{})
	return f
}

// reload loads f and logs what changed.
func (f *file[T]) reload(logger *slog.Logger) {
	if !f.load() {
		return
	}
	switch s := f.current.Load(); {
	case s.err != nil:
		logger.Error("catalog: file refused, the last good one is served", "file", f.path, "error", s.err)
	case s.good == nil:
		logger.Info("catalog: refused file removed", "file", f.path)
	default:
		logger.Info("catalog: file reloaded", "file", f.path, "version", s.version)
	}
}

// load reads f and reports whether the current state changed. It compares
// bytes: a modification time can be too coarse to show a change.
func (f *file[T]) load() bool {
	was := f.current.Load()
	content, err := read(f.path)
	if err == nil && bytes.Equal(content, f.seen) {
		return false
	}
	if f.optional && was.good == nil && errors.Is(err, fs.ErrNotExist) {
		f.seen = nil
		f.current.Store(&state[T]{})
		return was.err != nil
	}
	if err == nil {
		// A file that is being written in place may give one page of the old
		// version and the next of the new one, but hardly the same ones twice:
		// the writer would have to pause.
		if again, againErr := read(f.path); againErr != nil || !bytes.Equal(again, content) {
			if was.good != nil {
				return false // the next look will tell
			}
			content, err = nil, errors.New("is being written")
		}
	}
	f.seen = content
	found := problems{{"", err}}
	if err == nil {
		good, version, problems := f.parse(content)
		if problems == nil {
			f.current.Store(&state[T]{good, version, nil})
			return true
		}
		found = problems
	}
	err = found.join("catalog: " + filepath.Base(f.path) + ": ")
	if was.err != nil && was.err.Error() == err.Error() {
		return false
	}
	f.current.Store(&state[T]{was.good, was.version, err})
	return true
}

// read returns the text of the file at path, never empty.
func read(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is not a regular file")
	}

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
