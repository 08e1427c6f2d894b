//go:build unix

package catalog_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/catalog"
	"github.com/sealtalk-go/misc/internal/testkit"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/n3d"
)

const (
	squirrel      = "squirrel.json"
	clientVersion = "client_version.json"
	demoSquare    = "demo_square.json"
)

const (
	goodRelease = documentedRelease
	goodClients = documentedClients
)

var (
	newerRelease = strings.ReplaceAll(goodRelease, "1.0.2", "1.0.3")
	newerClients = strings.ReplaceAll(goodClients, "1.0.5", "1.0.6")
)

const maxSize = 1 << 20

// fixture is a directory with two good files, and a catalog of it whose clock
// stands still until a test advances it.
type fixture struct {
	*catalog.Catalog
	t     *testing.T
	dir   string
	clock *clock
	log   *testkit.Log
}

func open(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, dir: newDir(t, goodRelease, goodClients), clock: &clock{}, log: &testkit.Log{}}
	var err error
	f.Catalog, err = catalog.Open(f.dir, catalog.Config{Logger: f.log.Logger()})
	require.NoError(t, err)
	f.SetNow(f.clock.Now)
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

// encoded returns v as JSON, if there is no error.
func encoded[T json.Marshaler](t *testing.T, v T, err error) string {
	t.Helper()
	require.NoError(t, err)
	b, err := v.MarshalJSON()
	require.NoError(t, err)
	return string(b)
}

func (f *fixture) release() string {
	f.t.Helper()
	r, err := f.LatestRelease(f.t.Context(), misc.UpdateQuery{})
	return encoded(f.t, r, err)
}

func (f *fixture) clients() string {
	f.t.Helper()
	v, err := f.ClientVersions(f.t.Context())
	return encoded(f.t, v, err)
}

// serves checks the versions that are served.
func (f *fixture) serves(release, clients string) {
	f.t.Helper()
	assert.Equal(f.t, strings.ReplaceAll(goodRelease, "1.0.2", release), f.release())
	assert.Equal(f.t, strings.ReplaceAll(goodClients, "1.0.5", clients), f.clients())
}

// logged returns what was logged since the last call, one record per line.
func (f *fixture) logged() string {
	return strings.ReplaceAll(strings.Join(f.log.Take(), "\n"), f.dir+string(filepath.Separator), "")
}

type clock struct{ elapsed atomic.Int64 }

func (c *clock) Now() time.Time {
	return time.Date(2017, 5, 5, 0, 0, 0, 0, time.UTC).Add(time.Duration(c.elapsed.Load()))
}

func (c *clock) add(d time.Duration) { c.elapsed.Add(int64(d)) }

func lines(s ...string) string { return strings.Join(s, "\n") }

// files are the contents of the two files, with what is wrong with them.
var files = []struct{ name, release, clients, err string }{
	{
		name:    "every field of both files",
		release: `{"version": 1, "url": "SealTalk 1.0.2.zip", "pub_date": "2017-05-05T00:00:00.000Z", "notes": []}`,
		clients: `{"iOS": {"version": "", "build": "18:21", "url": "app.plist"}}`,
		err: lines(
			`catalog: squirrel.json: version: must be a string`,
			`catalog: squirrel.json: notes: must be a string`,
			`catalog: squirrel.json: url: "SealTalk 1.0.2.zip" is not an absolute, percent-encoded https or http URL`,
			`catalog: squirrel.json: pub_date: "2017-05-05T00:00:00.000Z" is neither 2006-01-02 nor 2006-01-02T15:04:05Z, without fractions of a second`,
			`catalog: client_version.json: Android: required: clients cannot do without it`,
			`catalog: client_version.json: iOS.version: required`,
			`catalog: client_version.json: iOS.build: "18:21" is not a time in the form yyyyMMddHHmm`,
			`catalog: client_version.json: iOS.url: "app.plist" is not an absolute, percent-encoded URL`,
		),
	},
	{name: "the files changed about", release: goodClients, clients: goodRelease, err: lines(
		`catalog: squirrel.json: version: "" is not a semantic version such as 1.0.2`,
		`catalog: squirrel.json: url: "" is not an absolute, percent-encoded https or http URL`,
		`catalog: client_version.json: iOS: required: clients cannot do without it`,
		`catalog: client_version.json: Android: required: clients cannot do without it`,
	)},
	{name: "two of it", release: goodRelease, clients: goodClients + goodClients, err: `catalog: client_version.json: is not valid JSON: invalid character '{' after top-level value (at byte 207, line 1)`},
	{name: "nothing but a byte order mark", release: "\uFEFF", clients: goodClients, err: `catalog: squirrel.json: is empty`},
	{name: "two byte order marks", release: "\uFEFF\uFEFF" + goodRelease, clients: goodClients, err: `catalog: squirrel.json: is not valid JSON: invalid character 'ï' looking for beginning of value (at byte 1, line 1)`},
	{name: "UTF-16", release: goodRelease, clients: "\xff\xfe{\x00}\x00", err: `catalog: client_version.json: is not valid UTF-8`},
	{
		name:    "a byte more than 1 MiB",
		release: goodRelease + strings.Repeat(" ", maxSize+1-len(goodRelease)),
		clients: goodClients + strings.Repeat("\n", maxSize+1-len(goodClients)),
		err:     lines(`catalog: squirrel.json: is larger than 1 MiB`, `catalog: client_version.json: is larger than 1 MiB`),
	},
	{name: "good ones", release: goodRelease, clients: goodClients},
	{name: "byte order marks and final newlines", release: "\uFEFF" + goodRelease + "\r\n", clients: "\uFEFF" + goodClients + "\r\n"},
	{
		name:    "exactly 1 MiB",
		release: goodRelease + strings.Repeat(" ", maxSize-len(goodRelease)),
		clients: goodClients + strings.Repeat("\n", maxSize-len(goodClients)),
	},
}

func TestCatalogKeepsTheRulesOfAVersionSource(t *testing.T) {
	releases := abbreviations.Replace(`{"channels":["stable","beta"],"releases":[{"version":"2.0.0-beta.1",BUILDS},{"version":"1.0.3","rollout":50,"builds":[{"platform":"darwin","arch":"arm64","min_os":"12",URL}]},{"version":"1.0.2",BUILDS}]}`)
	for desktop, content := range map[string]string{squirrel: goodRelease, "releases.json": releases} {
		t.Run(desktop, func(t *testing.T) {
			var f *fixture
			swap := func(release, clients string) {
				f.swap(desktop, release)
				f.swap(clientVersion, clients)
				f.clock.add(time.Second)
			}
			misctest.TestVersionSource(t, func(t *testing.T) misc.VersionSource {
				f = open(t)
				swap(content, goodClients)
				require.NoError(t, f.Err()) // reads the files before many calls are made at once
				return f
			}, misctest.VersionOptions{
				Query:  misc.UpdateQuery{Version: "1.0.0", Platform: "darwin"},
				Change: func(*testing.T) { swap(strings.ReplaceAll(content, "1.0.2", "1.0.9"), newerClients) },
				Break: func(*testing.T) func() {
					swap("{", "{")
					return func() { swap(content, goodClients) }
				},
			})
		})
	}
}

func TestFilesAreServedOrEveryProblemIsNamedWithFileAndField(t *testing.T) {
	for _, tt := range files {
		t.Run(tt.name, func(t *testing.T) {
			_, err := catalog.Open(newDir(t, tt.release, tt.clients), catalog.Config{})
			changed := open(t)
			changed.swap(squirrel, tt.release)
			changed.swap(clientVersion, tt.clients)
			changed.clock.add(time.Second)
			if tt.err == "" {
				require.NoError(t, err)
				require.NoError(t, changed.Err())
			} else {
				require.EqualError(t, err, tt.err)
				require.EqualError(t, changed.Err(), tt.err)
			}
			changed.serves("1.0.2", "1.0.5")
		})
	}
}

func TestTheSquareIsOptionalUntilOneWasServed(t *testing.T) {
	f := open(t)
	codec, err := n3d.New(misctest.Key)
	require.NoError(t, err)
	f.Catalog, err = catalog.Open(f.dir, catalog.Config{Logger: f.log.Logger(), Codec: codec})
	require.NoError(t, err)
	f.SetNow(f.clock.Now)
	const square = `[{"id":"kFpN4KiZn","type":"chatroom","name":"a"}]`
	for _, step := range []struct {
		name          string
		do            func()
		serves, fails string
	}{
		{"never there", func() {}, "", ""},
		{"broken from the start", func() { f.swap(demoSquare, "{") }, "", "catalog: demo_square.json: is not valid JSON: unexpected end of JSON input (at byte 1, line 1)"},
		{"gone again", func() { f.remove(demoSquare) }, "", ""},
		{"there", func() { f.swap(demoSquare, `[{"type":"chatroom","id":1,"name":"a"}]`) }, square, ""},
		{"broken", func() { f.swap(demoSquare, "[{}]") }, square, "catalog: demo_square.json: [0].id: required\ncatalog: demo_square.json: [0].type: \"\" is neither chatroom nor group"},
		{"gone", func() { f.remove(demoSquare) }, square, "catalog: demo_square.json: open demo_square.json: no such file or directory"},
		{"empty", func() { f.swap(demoSquare, "[]") }, "[]", ""},
	} {
		step.do()
		f.clock.add(time.Second)
		s, err := f.Square(t.Context())
		if step.serves == "" {
			assert.ErrorIs(t, err, misc.ErrNoSquare, step.name)
		} else {
			assert.Equal(t, step.serves, encoded(t, s, err), step.name)
		}
		if err := f.Err(); step.fails == "" {
			assert.NoError(t, err, step.name)
		} else {
			assert.EqualError(t, errors.New(strings.ReplaceAll(err.Error(), f.dir+"/", "")), step.fails, step.name)
		}
	}
	f.serves("1.0.2", "1.0.5")
	_, err = catalog.Open(newDirWith(t, `[{"type":"group","id":7}]`), catalog.Config{})
	assert.EqualError(t, err, "catalog: demo_square.json: [0].id: is a number, which needs a codec (Config.Codec)")
}

func TestReleasesJSONTakesOverFromSquirrelJSONForGood(t *testing.T) {
	const (
		two     = `{"releases":[{"version":"2.0.0","rollout":50,BUILDS},{"version":"1.0.3",BUILDS},{"version":"0.9.0","withdrawn":"bad"}]}`
		lowered = `{"releases":[{"version":"v2.0.0+1","rollout":49.99,BUILDS},{"version":"1.0.4",BUILDS}]}`
		refused = `level=ERROR msg="catalog: file refused, the last good one is served" file=releases.json error="catalog: releases.json: `
		lost    = `level=WARN msg="catalog: releases.json takes back what clients were offered" lost="`
		notList = `catalog: releases.json: releases: must be a list`
		missing = `catalog: releases.json: open releases.json: no such file or directory`
	)
	f := open(t)
	swap := func(name, text string) func() {
		return func() { f.swap(name, abbreviations.Replace(text)) }
	}
	remove := func(name string) func() { return func() { f.remove(name) } }
	for _, step := range []struct {
		name             string
		do               func()
		offers, err, log string
	}{
		{"squirrel.json alone", func() {}, "1.0.2", "", ""},
		{"an invalid one", swap("releases.json", `{"releases":1}`), "1.0.2", notList, refused + `releases: must be a list"`},
		{"squirrel.json goes on", swap(squirrel, newerRelease), "1.0.3", notList, `level=INFO msg="catalog: file reloaded" file=squirrel.json version=1.0.3`},
		{"the invalid one is gone", remove("releases.json"), "1.0.3", "", `level=INFO msg="catalog: refused file removed" file=releases.json`},
		{"squirrel.json breaks, and the invalid one is back", func() { swap(squirrel, "{")(); swap("releases.json", `{"releases":1}`)() }, "1.0.3",
			lines(notList, `catalog: squirrel.json: is not valid JSON: unexpected end of JSON input (at byte 1, line 1)`), lines(refused+`releases: must be a list"`,
				`level=ERROR msg="catalog: file refused, the last good one is served" file=squirrel.json error="catalog: squirrel.json: is not valid JSON: unexpected end of JSON input (at byte 1, line 1)"`)},
		{"a valid one", swap("releases.json", two), "1.0.3", "", lines(
			`level=INFO msg="catalog: file reloaded" file=releases.json version="3 releases up to 2.0.0"`, `level=INFO msg="catalog: releases.json is used, squirrel.json is not read"`)},
		{"squirrel.json changes", swap(squirrel, goodRelease), "1.0.3", "", ""},
		{"a lower rollout, a version that is missing", swap("releases.json", lowered), "1.0.4", "", lines(
			`level=INFO msg="catalog: file reloaded" file=releases.json version="2 releases up to 2.0.0"`,
			lost+`2.0.0 has a rollout of 49.99 %, lowered from 50 %"`, lost+`1.0.3 is missing and was not withdrawn"`)},
		{"an invalid one again", swap("releases.json", `{"releases":1}`), "1.0.4", notList, refused + `releases: must be a list"`},
		{"none again", remove("releases.json"), "1.0.4", missing, refused + `open releases.json: no such file or directory"`},
		{"one that is not offered", swap("releases.json", `{"releases":[{"version":"2.0.0","withdrawn":"bad"},{"version":"1.0.4","withdrawn":"bad"}]}`), "", "",
			lines(`level=INFO msg="catalog: file reloaded" file=releases.json version="2 releases up to 2.0.0"`)},
	} {
		step.do()
		f.clock.add(time.Second)
		r, err := f.LatestRelease(t.Context(), misc.UpdateQuery{Version: "1.0.0"})
		if step.offers == "" {
			require.ErrorIs(t, err, misc.ErrNoRelease, step.name)
		} else {
			require.NoError(t, err, step.name)
			assert.Equal(t, step.offers, r.Version(), step.name)
		}
		if err := f.Err(); step.err == "" {
			assert.NoError(t, err, step.name)
		} else if assert.Error(t, err, step.name) {
			assert.Equal(t, step.err, strings.ReplaceAll(err.Error(), f.dir+"/", ""), step.name)
		}
		assert.Equal(t, step.log, f.logged(), step.name)
	}
}

func TestOpenReadsReleasesJSONInPlaceOfSquirrelJSON(t *testing.T) {
	for _, tt := range []struct{ name, releases, squirrel, err string }{
		{"both", `{"releases":[]}`, goodRelease, ""},
		{"squirrel.json is invalid", `{"releases":[]}`, "{", ""},
		{"squirrel.json is missing", `{"releases":[]}`, "", ""},
		{"releases.json is invalid", `{"releases":[1],"a":1}`, goodRelease, lines(
			"catalog: releases.json: releases[0]: must be a JSON object", "catalog: releases.json: a: unknown key; known are channels, minimum, releases")},
		{"releases.json is empty", "", "", "catalog: releases.json: is empty"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log testkit.Log
			dir := newDir(t, tt.squirrel, goodClients)
			if tt.squirrel == "" {
				require.NoError(t, os.Remove(filepath.Join(dir, squirrel)))
			}
			require.NoError(t, os.WriteFile(filepath.Join(dir, "releases.json"), []byte(tt.releases), 0o600))
			c, err := catalog.Open(dir, catalog.Config{Logger: log.Logger()})
			if tt.err != "" {
				require.EqualError(t, err, tt.err)
				assert.Empty(t, log.String())
				return
			}
			require.NoError(t, err)
			assert.Equal(t, "level=INFO msg=\"catalog: releases.json is used, squirrel.json is not read\"\n", log.String())
			_, err = c.LatestRelease(t.Context(), misc.UpdateQuery{Version: "1.0.0"})
			require.ErrorIs(t, err, misc.ErrNoRelease)
			_, err = c.LatestRelease(t.Context(), misc.UpdateQuery{Version: "1.0"})
			require.ErrorIs(t, err, misc.ErrInvalidVersion)
			assert.Equal(t, "no releases", c.Releases().String())
		})
	}
	f := open(t)
	assert.Equal(t, "1 release up to 1.0.2", f.Releases().String())
	f.swap(squirrel, newerRelease)
	f.clock.add(time.Second)
	assert.Equal(t, "1 release up to 1.0.3", f.Releases().String())
}

func newDirWith(t *testing.T, square string) string {
	dir := newDir(t, goodRelease, goodClients)
	require.NoError(t, os.WriteFile(filepath.Join(dir, demoSquare), []byte(square), 0o600))
	return dir
}

// spoil makes a file unreadable in the ways that the table files cannot.
var spoil = []struct {
	name string
	do   func(t *testing.T, path string)
	err  string // after the file's name
}{
	{"is missing", func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) }, "open PATH: no such file or directory"},
	{"is a directory", func(t *testing.T, path string) {
		require.NoError(t, os.Remove(path))
		require.NoError(t, os.Mkdir(path, 0o700))
	}, "is not a regular file"},
	{"is a device", func(t *testing.T, path string) {
		require.NoError(t, os.Remove(path))
		require.NoError(t, os.Symlink(os.DevNull, path))
	}, "is not a regular file"},
	{"is a pipe without a writer", func(t *testing.T, path string) {
		require.NoError(t, os.Remove(path))
		require.NoError(t, syscall.Mkfifo(path, 0o600))
	}, "is not a regular file"},
	{"is empty", func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, 0)) }, "is empty"},
}

func TestUnreadableFileIsAnErrorAndTheLastGoodOneServed(t *testing.T) {
	for _, tt := range spoil {
		for _, name := range []string{squirrel, clientVersion} {
			t.Run(name+" "+tt.name, func(t *testing.T) {
				f := open(t)
				tt.do(t, f.path(name))
				want := "catalog: " + name + ": " + strings.ReplaceAll(tt.err, "PATH", f.path(name))

				c, err := catalog.Open(f.dir, catalog.Config{})
				require.EqualError(t, err, want)
				assert.Nil(t, c)

				f.clock.add(time.Second)
				f.serves("1.0.2", "1.0.5")
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
		"catalog: squirrel.json: open "+filepath.Join(dir, squirrel)+": no such file or directory",
		"catalog: client_version.json: open "+filepath.Join(dir, clientVersion)+": no such file or directory",
	))
}

func TestAChangeIsServedOnceASecondHasPassed(t *testing.T) {
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

func TestAChangeIsServedByWhicheverMethodComesFirst(t *testing.T) {
	f := open(t)
	f.swap(squirrel, newerRelease)
	f.clock.add(time.Second)
	assert.Equal(t, newerRelease, f.release())

	f.swap(clientVersion, newerClients)
	f.clock.add(time.Second)
	assert.Equal(t, newerClients, f.clients())

	f.swap(squirrel, "{")
	require.NoError(t, f.Err())
	f.clock.add(time.Second)
	require.Error(t, f.Err())
}

func TestAFileThatHoldsTheSameIsNotLogged(t *testing.T) {
	f := open(t)
	for range 3 {
		f.clock.add(time.Second)
		f.swap(squirrel, "\uFEFF"+goodRelease)
		f.write(clientVersion, goodClients)
		f.serves("1.0.2", "1.0.5")
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
			assert.Equal(t, release, f.release())
		}
	}
}

func TestHalfWrittenFileNeverReplacesAGoodOne(t *testing.T) {
	f := open(t)
	release, clients := f.release(), f.clients()
	for name, content := range map[string]string{squirrel: newerRelease, clientVersion: newerClients} {
		for n := range len(content) {
			f.write(name, content[:n])
			f.clock.add(time.Second)
			require.Equal(t, release, f.release(), content[:n])
			require.Equal(t, clients, f.clients(), content[:n])
			require.ErrorContains(t, f.Err(), "catalog: "+name+": ", content[:n])
		}
		f.write(name, content)
		f.clock.add(time.Second)
		require.NoError(t, f.Err())
		release, clients = f.release(), f.clients()
	}
	f.serves("1.0.3", "1.0.6")
}

func TestBrokenFileDoesNotHoldUpTheOther(t *testing.T) {
	f := open(t)
	f.swap(squirrel, "{")
	f.swap(clientVersion, newerClients)
	f.clock.add(time.Second)
	f.serves("1.0.2", "1.0.6")
	require.EqualError(t, f.Err(), `catalog: squirrel.json: is not valid JSON: unexpected end of JSON input (at byte 1, line 1)`)

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
			`level=INFO msg="catalog: file reloaded" file=squirrel.json version=1.0.3`},
		{"new client versions", func(f *fixture) { f.swap(clientVersion, newerClients) },
			`level=INFO msg="catalog: file reloaded" file=client_version.json version="iOS 1.0.6, Android 1.0.6"`},
		{"a failure", func(f *fixture) { f.swap(squirrel, "[]") },
			refused + `squirrel.json error="catalog: squirrel.json: must be a JSON object"`},
		{"the same file", func(*fixture) {}, ""},
		{"another file, the same failure", func(f *fixture) { f.swap(squirrel, "[1]") }, ""},
		{"another failure", func(f *fixture) { f.swap(squirrel, " ") },
			refused + `squirrel.json error="catalog: squirrel.json: is not valid JSON: unexpected end of JSON input (at byte 1, line 1)"`},
		{"an unreadable file", func(f *fixture) { f.remove(squirrel) },
			refused + `squirrel.json error="catalog: squirrel.json: open squirrel.json: no such file or directory"`},
		{"still unreadable", func(*fixture) {}, ""},
		{"a failure of the other file", func(f *fixture) { f.write(clientVersion, "") },
			refused + `client_version.json error="catalog: client_version.json: is empty"`},
		{"recovery to what is served", func(f *fixture) { f.swap(squirrel, newerRelease) },
			`level=INFO msg="catalog: file reloaded" file=squirrel.json version=1.0.3`},
		{"the failure from before", func(f *fixture) { f.swap(squirrel, "[]") },
			refused + `squirrel.json error="catalog: squirrel.json: must be a JSON object"`},
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
	var log testkit.Log
	before := slog.Default()
	slog.SetDefault(log.Logger())
	t.Cleanup(func() { slog.SetDefault(before) })

	var clock clock
	dir := newDir(t, goodRelease, goodClients)
	c, err := catalog.Open(dir, catalog.Config{})
	require.NoError(t, err)
	c.SetNow(clock.Now)
	require.NoError(t, os.Remove(filepath.Join(dir, squirrel)))
	clock.add(time.Second)
	require.Error(t, c.Err())
	assert.Contains(t, log.String(), "level=ERROR")
}

func TestACancelledContextIsAnErrorOfEachMethod(t *testing.T) {
	f := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, releaseErr := f.LatestRelease(ctx, misc.UpdateQuery{})
	_, clientsErr := f.ClientVersions(ctx)
	_, squareErr := f.Square(ctx)
	for _, err := range []error{releaseErr, clientsErr, squareErr} {
		require.ErrorIs(t, err, context.Canceled)
		assert.EqualError(t, err, "catalog: context canceled")
	}
}

// blockingWriter signals when it is written to, and then waits to be released.
type blockingWriter struct{ entered, release chan struct{} }

func (w blockingWriter) Write(p []byte) (int, error) {
	w.entered <- struct{}{}
	<-w.release
	return len(p), nil
}

func TestOtherRequestsAreServedWhileOneLooksAndErrTellsIfItDoesNotEnd(t *testing.T) {
	f := open(t)
	log := blockingWriter{make(chan struct{}), make(chan struct{})}
	var err error
	f.Catalog, err = catalog.Open(f.dir, catalog.Config{Logger: slog.New(slog.NewTextHandler(log, nil))})
	require.NoError(t, err)
	f.SetNow(f.clock.Now)
	f.swap(squirrel, newerRelease)
	f.swap(clientVersion, newerClients)
	f.clock.add(time.Second)

	looker := make(chan string)
	go func() { looker <- f.clients() }()
	<-log.entered  // squirrel.json was reloaded, and client_version.json comes next
	for range 11 { // whether or not a look is due
		f.serves("1.0.3", "1.0.5")
		require.NoError(t, f.Err())
		f.clock.add(time.Second - 1)
	}
	f.serves("1.0.3", "1.0.5")
	require.EqualError(t, f.Err(), "catalog: reading the files has not ended after 11s")
	log.release <- struct{}{}
	<-log.entered
	log.release <- struct{}{}
	assert.Equal(t, newerClients, <-looker, "the request that looked is answered from what it found")
	assert.NoError(t, f.Err())
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
