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
// publish, write the new file under another name and rename it: requests then
// get the old file or the new one, never a mixture. An invalid file never
// replaces a valid one. If you write a file in place, that is all that is
// promised: a mixture that happens to be valid is served until the next look.
package catalog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/n3d"
)

const (
	// interval is the least time from the end of one reading of the files to the next.
	interval = time.Second

	// lookLimit is how long a reading may take before Err reports it.
	lookLimit = 10 * time.Second

	// maxSize is the largest file that is read, in bytes.
	maxSize = 1 << 20
)

// Config configures a [Catalog]. The zero value is ready to use.
type Config struct {
	// Codec encodes the ids in demo_square.json that are numbers, in quotes or
	// not. It is required if the file has one without quotes: {"id": 16} needs a
	// Codec, {"id": "kFpN4KiZn"} does not. Without a Codec, a number in quotes is
	// a public id.
	Codec *n3d.Codec

	// Decided, if it is not nil, is called for each decision that LatestRelease
	// makes from releases.json, for example to count the clients that a rollout
	// excludes. It is not called for squirrel.json. LatestRelease waits for it,
	// and several calls may run at the same time. The fields of q other than
	// Version are unchecked text from the client.
	Decided func(ctx context.Context, q misc.UpdateQuery, d Decision)

	// Logger receives a line for each file that is loaded or found invalid,
	// and the warnings that [Catalog] describes. Nil means slog.Default().
	Logger *slog.Logger
}

var (
	_ misc.VersionSource = (*Catalog)(nil)
	_ misc.SquareSource  = (*Catalog)(nil)
)

// A Catalog serves the files of a file system, such as a directory. Make one
// with [Open]; there is nothing to close.
//
// It reads the files again at most once a second: the first call of a method
// after a second has passed reads all of them, and returns what they hold then.
// Calls made meanwhile do not wait; for each file, they return what it held
// before or holds now. If reading can be slow, as from a bucket, call
// [Catalog.Watch], so that no request reads.
//
// If a file is missing, unreadable or invalid, the last valid one is served.
// The error is logged, once until it changes, and returned by Err. A file that
// is loaded is logged with its version, its revision (see [Catalog.Revisions])
// and, when it is reloaded, what changed. The files are independent: an invalid one does not keep
// the others from being reloaded.
//
// As soon as there is a valid releases.json, the Catalog logs that, uses it,
// and no longer reads squirrel.json. To go back, remove releases.json and open
// a new Catalog. If a new releases.json drops a release that was not withdrawn,
// or lowers a rollout (the share of clients that a release is offered to), it
// is used, and a warning is logged.
type Catalog struct {
	fsys     fs.FS
	decided  func(context.Context, misc.UpdateQuery, Decision)
	logger   *slog.Logger
	start    time.Time
	began    atomic.Int64 // when the reading that goes on began, in nanoseconds since start; 0 if none does
	ended    atomic.Int64 // when the last one ended
	watchers atomic.Int64 // how many calls of Watch run

	lost atomic.Pointer[error] // not nil if the directory itself is missing

	mu       sync.Mutex // held for a reading
	releases *file[Releases]
	squirrel *file[Releases] // read as long as there is no releases.json
	clients  *file[misc.ClientVersions]
	square   *file[misc.Square]
}

// Open returns a Catalog of the files at the root of fsys, such as
// os.DirFS("versions"). There must be a client_version.json, and a
// releases.json or a squirrel.json; with a releases.json, squirrel.json is not
// read. Each file must be valid JSON in UTF-8 of at most 1 MiB; a byte order
// mark is skipped. The error joins all problems of all files, each with its
// file and field. os.DirFS hides the path of its directory, so add it to the
// error.
func Open(fsys fs.FS, cfg Config) (*Catalog, error) {
	if fsys == nil {
		return nil, errors.New("catalog: the file system is nil")
	}
	c := &Catalog{
		fsys:     fsys,
		decided:  cfg.Decided,
		logger:   cfg.Logger,
		start:    time.Now(),
		releases: newFile("releases.json", parseReleases),
		squirrel: newFile("squirrel.json", parseSquirrel),
		clients:  newFile("client_version.json", parseClientVersions),
		square: newFile("demo_square.json", func(data []byte) (parsed[misc.Square], problems) {
			return parseSquare(data, cfg.Codec)
		}),
	}
	c.releases.optional = true
	c.releases.changes = func(was, is *state[Releases]) string {
		if was.good == nil {
			was = c.squirrel.current.Load()
		}
		return oneLine(is.good.changes(was.good))
	}
	c.squirrel.changes = func(was, is *state[Releases]) string { return oneLine(is.good.changes(was.good)) }
	c.square.optional = true
	if c.logger == nil {
		c.logger = slog.Default()
	}
	c.releases.load(fsys)
	if *c.releases.current.Load() == (state[Releases]{}) {
		c.squirrel.load(fsys)
	}
	c.clients.load(fsys)
	c.square.load(fsys)
	c.findDirectory()
	c.ended.Store(int64(time.Since(c.start)))
	if err := c.failures(); err != nil {
		return nil, err
	}
	if c.releases.current.Load().good != nil {
		c.logger.Info(releasesUsed)
	}
	c.releases.log(c.logger, nil)
	c.squirrel.log(c.logger, nil)
	c.clients.log(c.logger, nil)
	c.square.log(c.logger, nil)
	return c, nil
}

const releasesUsed = "catalog: releases.json is used, squirrel.json is not read"

// Watch reads the files until ctx ends: a second after it is called, and a
// second after each reading has ended. While it runs, no other method reads, so
// no request waits for a file system that is slow or hangs; Err reports what
// Watch finds. It returns when ctx has ended and a reading that goes on has
// too. Run it in a goroutine. Several calls read no more often than one.
func (c *Catalog) Watch(ctx context.Context) {
	c.watchers.Add(1)
	defer c.watchers.Add(-1)
	next := time.NewTicker(interval)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
			if ctx.Err() == nil { // of two that are ready, select takes either
				c.read()
			}
			next.Reset(interval)
		}
	}
}

// LatestRelease returns the release that [Releases.Choose] chooses for q, or
// misc.ErrNoRelease if there is none. Without a releases.json, it returns the
// release in squirrel.json, whatever q is.
func (c *Catalog) LatestRelease(ctx context.Context, q misc.UpdateQuery) (*misc.Release, error) {
	releases, err := serve(ctx, c, c.releases)
	switch {
	case err != nil:
		return nil, err
	case releases == nil:
		return c.squirrel.current.Load().good.releases[0].builds[0].plain, nil
	}
	d := releases.Choose(q)
	if c.decided != nil {
		c.decided(ctx, q, d)
	}
	if d.Release == nil {
		return nil, misc.ErrNoRelease
	}
	return d.Release, nil
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

// Warnings returns a warning for each thing that is valid but probably a mistake. A
// warning begins with the name of the file, the path in it and the version of the
// release. Some depend on the time, such as that of a URL that expires within a
// week. There are at most a hundred, and then how many more.
//
// A "minimum" that some clients cannot reach, and a square that some clients crash
// on, are also logged when the file is loaded.
func (c *Catalog) Warnings() []string { return texts(c.warnings(time.Now())) }

func (c *Catalog) warnings(now time.Time) []warning {
	found := c.Releases().warnings(now)
	if w := c.square.current.Load().warning; w != nil {
		found = append(found, *w)
	}
	if _, err := fs.Stat(c.fsys, c.squirrel.name); err == nil && c.releases.current.Load().good != nil {
		found = append(found, warning{file: c.squirrel.name, text: "is not read, but a server that starts without releases.json serves it: delete it"})
	}
	for _, known := range []string{c.releases.name, c.squirrel.name, c.clients.name, c.square.name} {
		for _, near := range c.near(known) {
			found = append(found, warning{file: near, text: "is not read: is it meant to be " + known + "?"})
		}
	}
	return found
}

// near returns the names of files that are easily mistaken for the one with that
// name. Not every file system has a list of its files.
func (c *Catalog) near(name string) (near []string) {
	entries, _ := fs.ReadDir(c.fsys, ".")
	for _, e := range entries {
		if other := e.Name(); other != name && strings.Contains(strings.ToLower(other), ".json") && alike(other) == alike(name) {
			near = append(near, printable(other))
		}
	}
	return near
}

func (c *Catalog) nearly(name string) string {
	if near := c.near(name); near != nil {
		return " (but " + strings.Join(near, ", ") + ")"
	}
	return ""
}

// alike returns the same text for names that are easily mistaken for each other:
// letters alone, no capitals and no plural, up to the ending .json.
func alike(name string) string {
	base, _, _ := strings.Cut(strings.ToLower(name), ".json")
	letters := strings.Map(func(r rune) rune {
		if r < 'a' || r > 'z' {
			return -1
		}
		return r
	}, base)
	return strings.TrimSuffix(letters, "s")
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

// Revisions returns the revision of each file that is served, by its name: the
// first 12 hexadecimal digits of the SHA-256 of the file, as sha256sum prints
// it. Two servers with the same revisions serve the same files.
func (c *Catalog) Revisions() map[string]string {
	c.look()
	revisions := make(map[string]string)
	c.releases.addRevision(revisions)
	if len(revisions) == 0 {
		c.squirrel.addRevision(revisions)
	}
	c.clients.addRevision(revisions)
	c.square.addRevision(revisions)
	return revisions
}

// Err returns nil if all files are valid, and otherwise what is wrong with
// them, as Open reports it. It reads the files again if a second has passed and
// no Watch runs, so it is up to date even if no other method is called. If the
// files have been read for more than ten seconds, as on a file system that
// hangs, Err reports that too.
func (c *Catalog) Err() error {
	c.look()
	if began := c.began.Load(); began != 0 {
		if since := time.Since(c.start) - time.Duration(began); since > lookLimit {
			return errors.Join(c.failures(), fmt.Errorf("catalog: reading the files has not ended after %s", since.Round(time.Second)))
		}
	}
	return c.failures()
}

func (c *Catalog) failures() error {
	if lost := c.lost.Load(); lost != nil {
		return *lost
	}
	releases := c.releases.current.Load()
	err := releases.err
	if squirrel := c.squirrel.current.Load(); releases.good == nil && err == nil && squirrel.good == nil && errors.Is(squirrel.err, fs.ErrNotExist) {
		err = fmt.Errorf("catalog: there is no releases.json%s, and no squirrel.json: %w", c.nearly(c.releases.name), fs.ErrNotExist)
	} else if releases.good == nil {
		err = errors.Join(err, squirrel.err)
	}
	return errors.Join(err, c.clients.current.Load().err, c.square.current.Load().err)
}

// findDirectory looks for the directory if a file that must exist is missing.
func (c *Catalog) findDirectory() {
	var lost *error
	if errors.Is(c.clients.current.Load().err, fs.ErrNotExist) {
		if _, err := fs.Stat(c.fsys, "."); err != nil {
			err = fmt.Errorf("catalog: the directory of the files: %w", cause(err))
			lost = &err
		}
	}
	c.lost.Store(lost)
}

func serve[T any](ctx context.Context, c *Catalog, f *file[T]) (*T, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	c.look()
	return f.current.Load().good, nil
}

// look reads the files, unless Watch does.
func (c *Catalog) look() {
	if c.watchers.Load() == 0 {
		c.read()
	}
}

// read reads the files if a second has passed since they were last read, and no
// other call is reading them.
func (c *Catalog) read() {
	now, ended := int64(time.Since(c.start)), c.ended.Load()
	if now-ended < int64(interval) || !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	if c.ended.Load() != ended { // another call has just read them
		return
	}
	c.began.Store(now)
	defer func() {
		c.ended.Store(int64(time.Since(c.start)))
		c.began.Store(0)
	}()
	c.reloadReleases()
	c.clients.reload(c.fsys, c.logger)
	c.square.reload(c.fsys, c.logger)
	c.findDirectory()
}

func (c *Catalog) reloadReleases() {
	was := c.releases.current.Load().good
	c.releases.reload(c.fsys, c.logger)
	switch is := c.releases.current.Load().good; {
	case is == nil:
		c.squirrel.reload(c.fsys, c.logger)
	case was == nil:
		c.logger.Info(releasesUsed)
	case is != was:
		if lost := is.takenBack(was); lost != nil {
			c.logger.Warn("catalog: releases.json takes back what clients were offered", "lost", oneLine(lost))
		}
	}
}

// file is one of the files. Only current may be used outside a reading.
type file[T any] struct {
	name     string
	optional bool                           // it may be missing as long as it has never been served
	changes  func(was, is *state[T]) string // says what changed from one good state to another
	parse    func([]byte) (parsed[T], problems)
	seen     []byte // what was read last; nil if it could not be read
	current  atomic.Pointer[state[T]]
}

// parsed is what a file holds.
type parsed[T any] struct {
	good    *T
	version string   // for the log
	warning *warning // to log; nil if there is none
}

// A state is what is served from a file, and the error if the file now holds
// something else. It is never modified.
type state[T any] struct {
	parsed[T]
	revision string
	err      error
}

func newFile[T any](name string, parse func([]byte) (parsed[T], problems)) *file[T] {
	f := &file[T]{name: name, parse: parse, changes: otherVersion[T]}
	f.current.Store(&state[T]{})
	return f
}

func (f *file[T]) addRevision(revisions map[string]string) {
	if s := f.current.Load(); s.good != nil {
		revisions[f.name] = s.revision
	}
}

// reload loads f and logs what changed.
func (f *file[T]) reload(fsys fs.FS, logger *slog.Logger) {
	was := f.current.Load()
	if !f.load(fsys) {
		return
	}
	switch s := f.current.Load(); {
	case s.err != nil:
		logger.Error("catalog: file refused, the last good one is served", "file", f.name, "error", s.err)
	case s.good == nil:
		logger.Info("catalog: refused file removed", "file", f.name)
	default:
		f.log(logger, was)
	}
}

// log logs which file is served, if there is one, what changed since was, and its
// warning. At the start, was is nil.
func (f *file[T]) log(logger *slog.Logger, was *state[T]) {
	s := f.current.Load()
	attrs := []any{"file", f.name, "version", s.version, "revision", s.revision}
	switch {
	case s.good == nil:
	case was == nil:
		logger.Info("catalog: file loaded", attrs...)
	default:
		if changes := f.changes(was, s); changes != "" {
			attrs = append(attrs, "changes", changes)
		}
		logger.Info("catalog: file reloaded", attrs...)
	}
	if s.warning != nil {
		logger.Warn("catalog: probably a mistake", "warning", s.warning.String())
	}
}

// load reads f and reports whether the current state changed. It compares
// bytes: a modification time can be too coarse to show a change.
func (f *file[T]) load(fsys fs.FS) bool {
	was := f.current.Load()
	content, err := read(fsys, f.name)
	if err == nil && bytes.Equal(content, f.seen) {
		return false
	}
	f.seen = content
	if links, ok := fsys.(fs.ReadLinkFS); ok && errors.Is(err, fs.ErrNotExist) {
		if _, missing := links.Lstat(f.name); missing == nil {
			err = errors.New("is a link to nothing")
		}
	}
	if f.optional && was.good == nil && errors.Is(err, fs.ErrNotExist) {
		f.current.Store(&state[T]{})
		return was.err != nil
	}
	found := problems(nil).add(err)
	if err == nil {
		var p parsed[T]
		if p, found = f.parse(content); found == nil {
			f.current.Store(&state[T]{p, revision(content), nil})
			return true
		}
	}
	err = found.join("catalog: "+f.name+": ", content)
	if was.err != nil && was.err.Error() == err.Error() {
		return false
	}
	f.current.Store(&state[T]{was.parsed, was.revision, err})
	return true
}

// read returns the content of a file, never empty.
func read(fsys fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(fsys, name) // first: opening a pipe waits for a writer
	if err != nil {
		return nil, cause(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is not a regular file")
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, cause(err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	switch {
	case err != nil:
		return nil, cause(err)
	case len(content) > maxSize:
		return nil, errors.New("is larger than 1 MiB")
	case len(content) == 0:
		return nil, errors.New("is empty")
	}
	return content, nil
}

// cause returns err without the name of the file, which the caller adds.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// revision returns what [Catalog.Revisions] documents.
func revision(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:6])
}
