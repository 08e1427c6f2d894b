package catalog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/catalog"
	"github.com/sealtalk-go/misc/misctest"
)

const (
	squirrel      = "squirrel.json"
	clientVersion = "client_version.json"
)

// The examples of SealTalk's API document.
const (
	goodRelease = `{
  "version": "1.0.2",
  "url": "http://downloads.rongcloud.cn/sealtalk/releases/mac/SealTalk_by_RongCloud_1.0.2.dmg",
  "name": "SealTalk 1.0.2",
  "notes": "bug fix",
  "pub_date": "2017-05-05"
}`
	goodClients = `{
  "iOS": {
    "version": "1.0.5",
    "build": "201607181821",
    "url": "https://dn-rongcloud.qbox.me/app.plist"
  },
  "Android": {
    "version": "1.0.5",
    "url": "http://downloads.rongcloud.cn/SealTalk_by_RongCloud_Android_v1_0_5.apk"
  }
}`
)

var (
	newerRelease = strings.ReplaceAll(goodRelease, "1.0.2", "1.0.3")
	newerClients = strings.ReplaceAll(goodClients, "1.0.5", "1.0.6")
)

const maxSize = 1 << 20

// fixture is a directory with two good files, and a catalog over it whose
// clock stands still until a test moves it.
type fixture struct {
	*catalog.Catalog
	t     *testing.T
	dir   string
	clock *clock
	log   *logBuffer
}

func open(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, dir: newDir(t, goodRelease, goodClients), clock: &clock{}, log: &logBuffer{}}
	var err error
	f.Catalog, err = catalog.Open(f.dir, catalog.Config{Logger: f.log.logger(), Now: f.clock.Now})
	require.NoError(t, err)
	return f
}

func newDir(t *testing.T, release, clients string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, squirrel), []byte(release), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, clientVersion), []byte(clients), 0o600))
	return dir
}

func (f *fixture) path(name string) string { return filepath.Join(f.dir, name) }

// write truncates the file and writes it in place.
func (f *fixture) write(name, content string) {
	f.t.Helper()
	require.NoError(f.t, os.WriteFile(f.path(name), []byte(content), 0o600))
}

// swap renames a complete file into place.
func (f *fixture) swap(name, content string) {
	f.t.Helper()
	f.write(name+".new", content)
	require.NoError(f.t, os.Rename(f.path(name+".new"), f.path(name)))
}

func (f *fixture) remove(name string) {
	f.t.Helper()
	require.NoError(f.t, os.Remove(f.path(name)))
}

func (f *fixture) release() *misc.Release {
	f.t.Helper()
	r, err := f.LatestRelease(f.t.Context(), misc.UpdateQuery{Version: "1.0.0"})
	require.NoError(f.t, err)
	return r
}

func (f *fixture) clients() *misc.ClientVersions {
	f.t.Helper()
	v, err := f.ClientVersions(f.t.Context())
	require.NoError(f.t, err)
	return v
}

// serves checks the versions that are served.
func (f *fixture) serves(release, clients string) {
	f.t.Helper()
	assert.Equal(f.t, release, f.release().Version)
	v := f.clients()
	assert.Equal(f.t, clients, v.IOS.Version)
	assert.Equal(f.t, clients, v.Android.Version)
}

// logged returns what was logged since the last call, one record a line.
func (f *fixture) logged() string {
	return strings.ReplaceAll(f.log.take(), f.dir+string(filepath.Separator), "")
}

type clock struct{ elapsed atomic.Int64 }

func (c *clock) Now() time.Time {
	return time.Date(2017, 5, 5, 0, 0, 0, 0, time.UTC).Add(time.Duration(c.elapsed.Load()))
}

func (c *clock) add(d time.Duration) { c.elapsed.Add(int64(d)) }

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.b.Reset()
	return l.b.String()
}

func (l *logBuffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}

func lines(s ...string) string { return strings.Join(s, "\n") }

// broken holds file contents that are refused, with the whole error. An empty
// content stands for the good file.
var broken = []struct {
	name             string
	release, clients string
	err              string
}{
	{
		name:    "version with two numbers",
		release: strings.Replace(goodRelease, "1.0.2", "1.0", 1),
		err:     `catalog: squirrel.json: version: "1.0" is no semantic version such as 1.0.2`,
	},
	{
		name:    "every field of both files",
		release: `{"version": 1, "url": "SealTalk 1.0.2.zip", "pub_date": "2017-05-05T00:00:00.000Z", "notes": []}`,
		clients: `{"iOS": {"version": "", "build": "18:21", "url": "app.plist"}, "Android": {"url": "https://example.com/a b.apk"}}`,
		err: lines(
			`catalog: squirrel.json: version: must be a string`,
			`catalog: squirrel.json: notes: must be a string`,
			`catalog: squirrel.json: url: "SealTalk 1.0.2.zip" is no absolute, percent-encoded https or http URL`,
			`catalog: squirrel.json: pub_date: "2017-05-05T00:00:00.000Z" is neither 2006-01-02 nor 2006-01-02T15:04:05Z, without fractions of a second`,
			`catalog: client_version.json: iOS.version: required`,
			`catalog: client_version.json: iOS.build: "18:21" is no time in the form yyyyMMddHHmm`,
			`catalog: client_version.json: iOS.url: "app.plist" is no absolute, percent-encoded URL`,
			`catalog: client_version.json: Android.version: required`,
			`catalog: client_version.json: Android.url: "https://example.com/a b.apk" is no absolute, percent-encoded URL`,
		),
	},
	{
		name:    "the files changed about",
		release: goodClients,
		clients: goodRelease,
		err: lines(
			`catalog: squirrel.json: version: "" is no semantic version such as 1.0.2`,
			`catalog: squirrel.json: url: "" is no absolute, percent-encoded https or http URL`,
			`catalog: client_version.json: iOS: required: clients cannot do without it`,
			`catalog: client_version.json: Android: required: clients cannot do without it`,
		),
	},
	{
		name:    "no Android",
		clients: `{"iOS": {"version": "1.0.5", "build": "201607181821", "url": "https://example.com/app.plist"}}`,
		err:     `catalog: client_version.json: Android: required: clients cannot do without it`,
	},
	{
		name:    "the envelope of mobile_version",
		clients: `{"code": 200, "result": ` + goodClients + `}`,
		err: lines(
			`catalog: client_version.json: iOS: required: clients cannot do without it`,
			`catalog: client_version.json: Android: required: clients cannot do without it`,
		),
	},
	{
		name:    "half of it",
		release: goodRelease[:len(goodRelease)/2],
		err:     `catalog: squirrel.json: is no JSON: unexpected end of JSON input (at byte 99)`,
	},
	{
		name:    "two of it",
		clients: goodClients + goodClients,
		err:     `catalog: client_version.json: is no JSON: invalid character '{' after top-level value (at byte 252)`,
	},
	{
		name:    "an array",
		release: `[` + goodRelease + `]`,
		err:     `catalog: squirrel.json: must be a JSON object`,
	},
	{
		name:    "null",
		clients: `null`,
		err:     `catalog: client_version.json: must be a JSON object`,
	},
	{
		name:    "nothing but a byte order mark",
		release: "\uFEFF",
		err:     `catalog: squirrel.json: is empty`,
	},
	{
		name:    "two byte order marks",
		release: "\uFEFF\uFEFF" + goodRelease,
		err:     `catalog: squirrel.json: is no JSON: invalid character 'ï' looking for beginning of value (at byte 1)`,
	},
	{
		name:    "notes in GBK",
		release: strings.Replace(goodRelease, "bug fix", "\xd0\xde\xb8\xb4", 1),
		err:     `catalog: squirrel.json: is not UTF-8`,
	},
	{
		name:    "UTF-16 with a byte order mark",
		clients: "\xff\xfe{\x00}\x00",
		err:     `catalog: client_version.json: is not UTF-8`,
	},
	{
		name:    "a byte more than 1 MiB",
		release: goodRelease + strings.Repeat(" ", maxSize+1-len(goodRelease)),
		clients: goodClients + strings.Repeat("\n", maxSize+1-len(goodClients)),
		err: lines(
			`catalog: squirrel.json: is larger than 1 MiB`,
			`catalog: client_version.json: is larger than 1 MiB`,
		),
	},
}

// good holds file contents that are accepted, with what is served.
var good = []struct {
	name                         string
	release, clients             string
	servesRelease, servesClients string
}{
	{
		name:          "the API document's examples",
		release:       goodRelease,
		clients:       goodClients,
		servesRelease: compact(goodRelease),
		servesClients: compact(goodClients),
	},
	{
		name:          "byte order marks and final newlines",
		release:       "\uFEFF" + goodRelease + "\r\n",
		clients:       "\uFEFF" + goodClients + "\r\n",
		servesRelease: compact(goodRelease),
		servesClients: compact(goodClients),
	},
	{
		name:          "exactly 1 MiB",
		release:       goodRelease + strings.Repeat(" ", maxSize-len(goodRelease)),
		clients:       goodClients + strings.Repeat("\n", maxSize-len(goodClients)),
		servesRelease: compact(goodRelease),
		servesClients: compact(goodClients),
	},
	{
		name:          "the required fields alone",
		release:       `{"version": "v2.0.0-beta.1+7", "url": "https://example.com/%E5%B0%81.zip"}`,
		clients:       `{"Android": {"version": "5", "url": "market://details?id=a"}, "iOS": {"version": "5", "build": "202501010000", "url": "itms-apps://a"}}`,
		servesRelease: `{"version":"v2.0.0-beta.1+7","url":"https://example.com/%E5%B0%81.zip"}`,
		servesClients: `{"iOS":{"version":"5","build":"202501010000","url":"itms-apps://a"},"Android":{"version":"5","url":"market://details?id=a"}}`,
	},
	{
		name:          "keys that newer clients read",
		release:       `{"size": 7, "sha256": "ab", "version": "1.0.2", "url": "https://example.com/a.zip", "notes": "修复 <1>"}`,
		clients:       `{"Web": null, "iOS": {"version": "5", "build": "202501010000", "url": "a:b", "force": true}, "Android": {"version": "5", "url": "a:b"}}`,
		servesRelease: `{"version":"1.0.2","url":"https://example.com/a.zip","notes":"修复 <1>","sha256":"ab","size":7}`,
		servesClients: `{"iOS":{"version":"5","build":"202501010000","url":"a:b","force":true},"Android":{"version":"5","url":"a:b"},"Web":null}`,
	},
}

func compact(s string) string {
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(s)); err != nil {
		panic(err)
	}
	return b.String()
}

func TestCatalogKeepsTheRulesOfAVersionSource(t *testing.T) {
	misctest.TestVersionSource(t, func(t *testing.T) misc.VersionSource { return open(t) })
}

func TestGoodFilesAreServedByteForByte(t *testing.T) {
	for _, tt := range good {
		t.Run(tt.name, func(t *testing.T) {
			check := func(t *testing.T, c *catalog.Catalog) {
				require.NoError(t, c.Err())
				r, err := c.LatestRelease(t.Context(), misc.UpdateQuery{})
				require.NoError(t, err)
				b, err := r.MarshalJSON()
				require.NoError(t, err)
				assert.Equal(t, tt.servesRelease, string(b))
				v, err := c.ClientVersions(t.Context())
				require.NoError(t, err)
				b, err = v.MarshalJSON()
				require.NoError(t, err)
				assert.Equal(t, tt.servesClients, string(b))
			}
			t.Run("by Open", func(t *testing.T) {
				c, err := catalog.Open(newDir(t, tt.release, tt.clients), catalog.Config{})
				require.NoError(t, err)
				check(t, c)
			})
			t.Run("after a change", func(t *testing.T) {
				f := open(t)
				f.swap(squirrel, tt.release)
				f.swap(clientVersion, tt.clients)
				f.clock.add(time.Second)
				check(t, f.Catalog)
			})
		})
	}
}

func TestEveryProblemIsNamedWithFileAndField(t *testing.T) {
	for _, tt := range broken {
		t.Run(tt.name, func(t *testing.T) {
			release, clients := tt.release, tt.clients
			if release == "" {
				release = goodRelease
			}
			if clients == "" {
				clients = goodClients
			}
			t.Run("by Open", func(t *testing.T) {
				c, err := catalog.Open(newDir(t, release, clients), catalog.Config{})
				require.EqualError(t, err, tt.err)
				assert.Nil(t, c)
			})
			t.Run("by Err, and the last good files are served", func(t *testing.T) {
				f := open(t)
				f.swap(squirrel, release)
				f.swap(clientVersion, clients)
				f.clock.add(time.Second)
				require.EqualError(t, f.Err(), tt.err)
				f.serves("1.0.2", "1.0.5")
			})
		})
	}
}

// spoil makes a file unreadable in each way that the table of contents cannot.
var spoil = []struct {
	name string
	do   func(t *testing.T, path string)
	err  string // behind the file's name
}{
	{"is missing", func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) }, "stat PATH: no such file or directory"},
	{"is a directory", func(t *testing.T, path string) {
		require.NoError(t, os.Remove(path))
		require.NoError(t, os.Mkdir(path, 0o700))
	}, "is no regular file"},
	{"is a device", func(t *testing.T, path string) {
		require.NoError(t, os.Remove(path))
		require.NoError(t, os.Symlink(os.DevNull, path))
	}, "is no regular file"},
	{"is empty", func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, 0)) }, "is empty"},
}

func TestUnreadableFileIsAnErrorAndTheLastGoodOneServed(t *testing.T) {
	for _, tt := range spoil {
		for _, name := range []string{squirrel, clientVersion} {
			t.Run(name+" "+tt.name, func(t *testing.T) {
				f := open(t)
				r, v := f.release(), f.clients()
				tt.do(t, f.path(name))
				want := "catalog: " + name + ": " + strings.ReplaceAll(tt.err, "PATH", f.path(name))

				c, err := catalog.Open(f.dir, catalog.Config{})
				require.EqualError(t, err, want)
				assert.Nil(t, c)

				f.clock.add(time.Second)
				assert.Same(t, r, f.release())
				assert.Same(t, v, f.clients())
				require.EqualError(t, f.Err(), want)

				require.NoError(t, os.RemoveAll(f.path(name)))
				f.write(squirrel, goodRelease)
				f.write(clientVersion, goodClients)
				f.clock.add(time.Second)
				require.NoError(t, f.Err(), "the file is back as it was")
				f.serves("1.0.2", "1.0.5")
			})
		}
	}
}

func TestOpenWithoutDirectoryNamesBothFilesAndTheCause(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	_, err := catalog.Open(dir, catalog.Config{})
	require.ErrorIs(t, err, fs.ErrNotExist)
	assert.EqualError(t, err, lines(
		"catalog: squirrel.json: stat "+filepath.Join(dir, squirrel)+": no such file or directory",
		"catalog: client_version.json: stat "+filepath.Join(dir, clientVersion)+": no such file or directory",
	))
}

func TestChangeIsTakenUpOnceASecondHasPassed(t *testing.T) {
	ways := map[string]func(f *fixture, name, content string){
		"renamed into place": (*fixture).swap,
		"written in place":   (*fixture).write,
	}
	for name, put := range ways {
		t.Run(name, func(t *testing.T) {
			f := open(t)
			f.clock.add(10 * time.Second)
			f.serves("1.0.2", "1.0.5")
			put(f, squirrel, newerRelease)
			put(f, clientVersion, newerClients)
			f.clock.add(time.Second - 1)
			f.serves("1.0.2", "1.0.5")
			f.clock.add(1)
			f.serves("1.0.3", "1.0.6")

			put(f, squirrel, goodRelease)
			f.clock.add(time.Second - 1)
			f.serves("1.0.3", "1.0.6")
			f.clock.add(1)
			f.serves("1.0.2", "1.0.6")
		})
	}
}

func TestChangeIsTakenUpByWhicheverMethodComesFirst(t *testing.T) {
	f := open(t)
	f.swap(squirrel, newerRelease)
	f.clock.add(time.Second)
	assert.Equal(t, "1.0.3", f.release().Version)

	f.swap(clientVersion, newerClients)
	f.clock.add(time.Second)
	assert.Equal(t, "1.0.6", f.clients().Android.Version)

	f.swap(squirrel, "{")
	require.NoError(t, f.Err())
	f.clock.add(time.Second)
	require.EqualError(t, f.Err(), `catalog: squirrel.json: is no JSON: unexpected end of JSON input (at byte 1)`)
}

func TestUnchangedFilesStayTheSameValues(t *testing.T) {
	f := open(t)
	r, v := f.release(), f.clients()
	for range 3 {
		f.clock.add(time.Second)
		f.swap(squirrel, "\uFEFF"+goodRelease)
		f.write(clientVersion, goodClients)
		assert.Same(t, r, f.release())
		assert.Same(t, v, f.clients())
	}
	assert.Empty(t, f.logged())
}

func TestChangeOfSameSizeAndModificationTimeIsTakenUp(t *testing.T) {
	f := open(t)
	at := time.Date(2017, 5, 5, 0, 0, 0, 0, time.UTC)
	for range 2 {
		for _, release := range []string{goodRelease, newerRelease} {
			f.write(squirrel, release)
			require.NoError(t, os.Chtimes(f.path(squirrel), at, at))
			f.clock.add(time.Second)
			b, err := f.release().MarshalJSON()
			require.NoError(t, err)
			assert.Equal(t, compact(release), string(b))
		}
	}
}

func TestHalfWrittenFileNeverReplacesAGoodOne(t *testing.T) {
	f := open(t)
	r, v := f.release(), f.clients()
	for name, content := range map[string]string{squirrel: newerRelease, clientVersion: newerClients} {
		for n := range len(content) {
			f.write(name, content[:n])
			f.clock.add(time.Second)
			require.Same(t, r, f.release(), content[:n])
			require.Same(t, v, f.clients(), content[:n])
			require.ErrorContains(t, f.Err(), "catalog: "+name+": ", content[:n])
		}
		f.write(name, content)
		f.clock.add(time.Second)
		require.NoError(t, f.Err())
		r, v = f.release(), f.clients()
	}
	f.serves("1.0.3", "1.0.6")
}

func TestBrokenFileDoesNotHoldUpTheOther(t *testing.T) {
	f := open(t)
	f.swap(squirrel, "{")
	f.swap(clientVersion, newerClients)
	f.clock.add(time.Second)
	f.serves("1.0.2", "1.0.6")
	require.EqualError(t, f.Err(), `catalog: squirrel.json: is no JSON: unexpected end of JSON input (at byte 1)`)

	f.swap(squirrel, newerRelease)
	f.swap(clientVersion, "[]")
	f.clock.add(time.Second)
	f.serves("1.0.3", "1.0.6")
	require.EqualError(t, f.Err(), `catalog: client_version.json: must be a JSON object`)

	f.swap(squirrel, "0")
	f.clock.add(time.Second)
	f.serves("1.0.3", "1.0.6")
	require.EqualError(t, f.Err(), lines(
		`catalog: squirrel.json: must be a JSON object`,
		`catalog: client_version.json: must be a JSON object`,
	))

	f.swap(squirrel, goodRelease)
	f.swap(clientVersion, goodClients)
	f.clock.add(time.Second)
	require.NoError(t, f.Err())
	f.serves("1.0.2", "1.0.5")
}

func TestFailureIsLoggedOnceAndRecoveryToo(t *testing.T) {
	const refused = `level=ERROR msg="catalog: file refused, the last good one is served" file=`
	steps := []struct {
		name string
		do   func(f *fixture)
		log  string
	}{
		{"nothing happened", func(*fixture) {}, ""},
		{"a new release", func(f *fixture) { f.swap(squirrel, newerRelease) },
			`level=INFO msg="catalog: file taken up" file=squirrel.json version=1.0.3` + "\n"},
		{"new client versions", func(f *fixture) { f.swap(clientVersion, newerClients) },
			`level=INFO msg="catalog: file taken up" file=client_version.json version="iOS 1.0.6, Android 1.0.6"` + "\n"},
		{"a failure", func(f *fixture) { f.swap(squirrel, "[]") },
			refused + `squirrel.json error="catalog: squirrel.json: must be a JSON object"` + "\n"},
		{"the same file", func(*fixture) {}, ""},
		{"another file, the same failure", func(f *fixture) { f.swap(squirrel, "[1]") }, ""},
		{"another failure", func(f *fixture) { f.swap(squirrel, " ") },
			refused + `squirrel.json error="catalog: squirrel.json: is no JSON: unexpected end of JSON input (at byte 1)"` + "\n"},
		{"an unreadable file", func(f *fixture) { f.remove(squirrel) },
			refused + `squirrel.json error="catalog: squirrel.json: stat squirrel.json: no such file or directory"` + "\n"},
		{"still unreadable", func(*fixture) {}, ""},
		{"a failure of the other file", func(f *fixture) { f.write(clientVersion, "") },
			refused + `client_version.json error="catalog: client_version.json: is empty"` + "\n"},
		{"recovery to what is served", func(f *fixture) { f.swap(squirrel, newerRelease) },
			`level=INFO msg="catalog: file taken up" file=squirrel.json version=1.0.3` + "\n"},
		{"the failure from before", func(f *fixture) { f.swap(squirrel, "[]") },
			refused + `squirrel.json error="catalog: squirrel.json: must be a JSON object"` + "\n"},
	}
	f := open(t)
	assert.Empty(t, f.logged(), "Open returns its error and logs nothing")
	for _, step := range steps {
		step.do(f)
		f.clock.add(time.Second)
		f.release()
		f.clients()
		_ = f.Err()
		assert.Equal(t, step.log, f.logged(), step.name)
	}
}

func TestZeroConfigUsesTheDefaultLogger(t *testing.T) {
	var log logBuffer
	before := slog.Default()
	slog.SetDefault(log.logger())
	t.Cleanup(func() { slog.SetDefault(before) })

	var clock clock
	dir := newDir(t, goodRelease, goodClients)
	c, err := catalog.Open(dir, catalog.Config{Now: clock.Now})
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(dir, squirrel)))
	clock.add(time.Second)
	require.Error(t, c.Err())
	assert.Contains(t, log.take(), "level=ERROR")
}

func TestCancelledContextIsAnErrorOfBothMethods(t *testing.T) {
	f := open(t)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	expired, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	for _, ctx := range []context.Context{cancelled, expired} {
		r, err := f.LatestRelease(ctx, misc.UpdateQuery{})
		assert.Nil(t, r)
		require.ErrorIs(t, err, ctx.Err())
		assert.EqualError(t, err, "catalog: "+ctx.Err().Error())

		v, err := f.ClientVersions(ctx)
		assert.Nil(t, v)
		require.ErrorIs(t, err, ctx.Err())
		assert.EqualError(t, err, "catalog: "+ctx.Err().Error())
	}
}

// blockingWriter says when it is written to, and waits to be let go.
type blockingWriter struct{ entered, release chan struct{} }

func (w blockingWriter) Write(p []byte) (int, error) {
	w.entered <- struct{}{}
	<-w.release
	return len(p), nil
}

func TestOtherRequestsAreServedWhileOneLooks(t *testing.T) {
	var clock clock
	log := blockingWriter{make(chan struct{}), make(chan struct{})}
	dir := newDir(t, goodRelease, goodClients)
	c, err := catalog.Open(dir, catalog.Config{Logger: slog.New(slog.NewTextHandler(log, nil)), Now: clock.Now})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, squirrel), []byte(newerRelease), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, clientVersion), []byte(newerClients), 0o600))
	clock.add(time.Second)

	looker := make(chan string)
	go func() {
		v, err := c.ClientVersions(context.Background())
		if err != nil {
			looker <- err.Error()
			return
		}
		looker <- v.IOS.Version
	}()
	<-log.entered // squirrel.json was taken up, and client_version.json comes next
	for range 2 { // whether or not a look is due
		r, err := c.LatestRelease(t.Context(), misc.UpdateQuery{})
		require.NoError(t, err)
		assert.Equal(t, "1.0.3", r.Version)
		v, err := c.ClientVersions(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "1.0.5", v.IOS.Version)
		require.NoError(t, c.Err())
		clock.add(time.Second)
	}
	log.release <- struct{}{}
	<-log.entered
	log.release <- struct{}{}
	assert.Equal(t, "1.0.6", <-looker, "the request that looked is answered from what it found")
}

func TestReadersDuringSwapsAndFailuresGetCompleteVersions(t *testing.T) {
	const swaps, readers = 1000, 3
	var releases, clients [swaps + 1]string
	for n := range releases {
		releases[n] = fmt.Sprintf(`{"version":"1.0.%d","url":"https://example.com/%[1]d.zip","notes":%q}`, n, strings.Repeat(fmt.Sprint(n, " "), 500))
		clients[n] = fmt.Sprintf(`{"iOS":{"version":"%d","build":"202501010000","url":"https://example.com/%[1]d.plist"},`+
			`"Android":{"version":"%[1]d","url":"https://example.com/%[1]d.apk"}}`, n)
	}
	f := open(t)
	f.swap(squirrel, releases[0])
	f.swap(clientVersion, clients[0])
	f.clock.add(time.Second)
	f.serves("1.0.0", "0")

	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() {
			lastRelease, lastClients := 0, 0
			for ctx.Err() == nil {
				runtime.Gosched() // the swapping goroutine needs its turns
				r, err := f.LatestRelease(context.Background(), misc.UpdateQuery{})
				if !assert.NoError(t, err) {
					return
				}
				var n int
				_, err = fmt.Sscanf(r.Version, "1.0.%d", &n)
				b, _ := r.MarshalJSON()
				if !assert.NoError(t, err) || !assert.Equal(t, releases[n], string(b)) || !assert.LessOrEqual(t, lastRelease, n) {
					return
				}
				lastRelease = n

				v, err := f.ClientVersions(context.Background())
				if !assert.NoError(t, err) {
					return
				}
				_, err = fmt.Sscan(v.IOS.Version, &n)
				b, _ = v.MarshalJSON()
				if !assert.NoError(t, err) || !assert.Equal(t, clients[n], string(b)) || !assert.LessOrEqual(t, lastClients, n) {
					return
				}
				lastClients = n
				if err := f.Err(); err != nil && !assert.EqualError(t, err, "catalog: client_version.json: must be a JSON object") {
					return
				}
			}
		})
	}
	for n := 1; n <= swaps; n++ {
		f.swap(squirrel, releases[n])
		f.swap(clientVersion, clients[n])
		f.clock.add(time.Second)
		if n%10 == 0 {
			f.swap(clientVersion, "[]")
			f.clock.add(time.Second)
		}
	}
	f.swap(clientVersion, clients[swaps])
	f.clock.add(time.Second)
	stop()
	wg.Wait()
	f.serves(fmt.Sprintf("1.0.%d", swaps), fmt.Sprint(swaps))
}

func TestRequestThatNeedNotLookAllocatesNothing(t *testing.T) {
	f := open(t)
	ctx := context.Background()
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		_, _ = f.LatestRelease(ctx, misc.UpdateQuery{})
		_, _ = f.ClientVersions(ctx)
		_ = f.Err()
	}))
}

func BenchmarkLatestRelease(b *testing.B) {
	dir := b.TempDir()
	require.NoError(b, os.WriteFile(filepath.Join(dir, squirrel), []byte(goodRelease), 0o600))
	require.NoError(b, os.WriteFile(filepath.Join(dir, clientVersion), []byte(goodClients), 0o600))
	c, err := catalog.Open(dir, catalog.Config{})
	require.NoError(b, err)
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if _, err := c.LatestRelease(context.Background(), misc.UpdateQuery{}); err != nil {
				b.Error(err)
			}
		}
	})
}

// FuzzFiles loads arbitrary files, by Open and by a change. Both must agree,
// and whatever they accept must be valid and encode to valid JSON. Run it with
// -fuzzminimizetime=20x: with files in every run, minimizing takes long.
func FuzzFiles(f *testing.F) {
	f.Add([]byte(newerRelease), []byte(newerClients))
	for _, tt := range good {
		if len(tt.release) < 1000 {
			f.Add([]byte(tt.release), []byte(tt.clients))
		}
	}
	for _, tt := range broken {
		if len(tt.release) < 1000 {
			f.Add([]byte(tt.release), []byte(tt.clients))
		}
	}
	f.Fuzz(func(t *testing.T, release, clients []byte) {
		changed := open(t)
		changed.swap(squirrel, string(release))
		changed.swap(clientVersion, string(clients))
		changed.clock.add(time.Second)
		serves(t, changed.Catalog)

		opened, err := catalog.Open(changed.dir, catalog.Config{})
		if err != nil {
			require.EqualError(t, changed.Err(), err.Error())
			for line := range strings.Lines(err.Error()) {
				require.Regexp(t, `^catalog: (squirrel|client_version)\.json: .`, line)
			}
			return
		}
		require.NoError(t, changed.Err())
		serves(t, opened)
	})
}

func serves(t *testing.T, c *catalog.Catalog) {
	t.Helper()
	r, err := c.LatestRelease(t.Context(), misc.UpdateQuery{})
	require.NoError(t, err)
	require.NoError(t, r.Validate())
	b, err := r.MarshalJSON()
	require.NoError(t, err)
	require.True(t, json.Valid(b), "%q", b)
	again, err := misc.ParseRelease(b)
	require.NoError(t, err, "%q", b)
	require.Equal(t, r.Version, again.Version)

	v, err := c.ClientVersions(t.Context())
	require.NoError(t, err)
	require.NoError(t, v.Validate())
	b, err = v.MarshalJSON()
	require.NoError(t, err)
	require.True(t, json.Valid(b), "%q", b)
	_, err = misc.ParseClientVersions(b)
	require.NoError(t, err, "%q", b)
}
