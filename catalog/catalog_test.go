package catalog_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
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

// directory is a file system whose files a test replaces. While hang is not nil,
// opening a file waits until it is closed.
type directory struct {
	mu    sync.Mutex
	files fstest.MapFS
	opens int
	hang  chan struct{}
}

func newDirectory(release, clients string) *directory {
	d := &directory{files: fstest.MapFS{}}
	d.swap(squirrel, release)
	d.swap(clientVersion, clients)
	return d
}

func (d *directory) Open(name string) (fs.File, error) {
	d.mu.Lock()
	d.opens++
	hang := d.hang
	d.mu.Unlock()
	if hang != nil {
		<-hang
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.files.Open(name)
}

func (d *directory) swap(name, content string) { d.put(name, &fstest.MapFile{Data: []byte(content)}) }

func (d *directory) put(name string, file *fstest.MapFile) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.files[name] = file
}

func (d *directory) remove(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.files, name)
}

func (d *directory) opened() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.opens
}

// fixture is a catalog of a directory with two good files.
type fixture struct {
	*catalog.Catalog
	*directory
	t   *testing.T
	log *testkit.Log
}

func open(t *testing.T, cfg catalog.Config) *fixture {
	t.Helper()
	f := &fixture{t: t, directory: newDirectory(goodRelease, goodClients), log: &testkit.Log{}}
	cfg.Logger = f.log.Logger()
	var err error
	f.Catalog, err = catalog.Open(f.directory, cfg)
	require.NoError(t, err)
	f.log.Take()
	return f
}

// inBubble calls test with a fixture whose time is that of a synctest bubble.
func inBubble(t *testing.T, test func(t *testing.T, f *fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, open(t, catalog.Config{})) })
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
func (f *fixture) logged() string { return strings.Join(f.log.Take(), "\n") }

func lines(s ...string) string { return strings.Join(s, "\n") }

// files are the contents of the two files, with what is wrong with them.
var files = []struct{ name, release, clients, err string }{
	{
		name:    "every field of both files",
		release: `{"version": 1, "url": "SealTalk 1.0.2.zip", "pub_date": "2017-05-05T00:00:00.000Z", "notes": []}`,
		clients: `{"iOS": {"version": "", "build": "18:21", "url": "app.plist"}}`,
		err: lines(
			`catalog: squirrel.json: version: must be a string`,
			`catalog: squirrel.json: url: "SealTalk 1.0.2.zip" is not an absolute, percent-encoded https or http URL`,
			`catalog: squirrel.json: notes: must be a string`,
			`catalog: squirrel.json: pub_date: "2017-05-05T00:00:00.000Z" is neither 2006-01-02 nor 2006-01-02T15:04:05Z, without fractions of a second`,
			`catalog: client_version.json: iOS.version: required`,
			`catalog: client_version.json: iOS.build: "18:21" is not a time in the form yyyyMMddHHmm`,
			`catalog: client_version.json: iOS.url: "app.plist" is not an absolute, percent-encoded URL`,
			`catalog: client_version.json: Android: required: clients cannot do without it`,
		),
	},
	{name: "the files changed about", release: goodClients, clients: goodRelease, err: lines(
		`catalog: squirrel.json: version: required`,
		`catalog: squirrel.json: url: "" is not an absolute, percent-encoded https or http URL`,
		`catalog: client_version.json: iOS: required: clients cannot do without it`,
		`catalog: client_version.json: Android: required: clients cannot do without it`,
	)},
	{name: "two of it", release: goodRelease, clients: goodClients + goodClients, err: `catalog: client_version.json: is not valid JSON: invalid character '{' after top-level value (at byte 207, line 1)`},
	{name: "nothing but a byte order mark", release: "\uFEFF", clients: goodClients, err: `catalog: squirrel.json: is not valid JSON: unexpected end of JSON input (at byte 3, line 1)`},
	{name: "two byte order marks", release: "\uFEFF\uFEFF" + goodRelease, clients: goodClients, err: `catalog: squirrel.json: is not valid JSON: invalid character 'ï' looking for beginning of value (at byte 4, line 1)`},
	{name: "UTF-16", release: goodRelease, clients: "\xff\xfe{\x00}\x00", err: `catalog: client_version.json: is UTF-16: save it as UTF-8`},
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

// wait is long enough for the next call to read the files.
func wait() { time.Sleep(time.Second) }

func TestCatalogKeepsTheRulesOfAVersionSource(t *testing.T) {
	releases := abbreviations.Replace(`{"channels":["stable","beta"],"releases":[{"version":"2.0.0-beta.1",BUILDS},{"version":"1.0.3","rollout":50,"builds":[{"platform":"darwin","arch":"arm64","min_os":"12",URL}]},{"version":"1.0.2",BUILDS}]}`)
	for desktop, content := range map[string]string{squirrel: goodRelease, "releases.json": releases} {
		t.Run(desktop, func(t *testing.T) {
			t.Parallel() // it waits for the catalog
			var d *directory
			misctest.TestVersionSource(t, misctest.VersionSuite{
				New: func(t *testing.T) misc.VersionSource {
					d = newDirectory(goodRelease, goodClients)
					d.swap(desktop, content)
					c, err := catalog.Open(d, catalog.Config{Logger: slog.New(slog.DiscardHandler)})
					require.NoError(t, err)
					return c
				},
				Query: query(t, "version=1.0.0&platform=darwin"),
				Change: func(*testing.T) {
					d.swap(desktop, strings.ReplaceAll(content, "1.0.2", "1.0.9"))
					d.swap(clientVersion, newerClients)
					wait()
				},
				Break: func(*testing.T) func() {
					d.swap(desktop, "{")
					d.swap(clientVersion, "{")
					wait()
					return func() {
						d.swap(desktop, content)
						d.swap(clientVersion, goodClients)
						wait()
					}
				},
			})
		})
	}
}

func query(t testing.TB, text string) misc.UpdateQuery {
	t.Helper()
	q, err := misc.ParseUpdateQuery(text)
	require.NoError(t, err)
	return q
}

func TestFilesAreServedOrEveryProblemIsNamedWithFileAndField(t *testing.T) {
	for _, tt := range files {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, f *fixture) {
				_, err := catalog.Open(newDirectory(tt.release, tt.clients), catalog.Config{})
				f.swap(squirrel, tt.release)
				f.swap(clientVersion, tt.clients)
				wait()
				if tt.err == "" {
					require.NoError(t, err)
					require.NoError(t, f.Err())
				} else {
					require.Error(t, err)
					assert.Equal(t, tt.err, withoutLines(err))
					require.EqualError(t, f.Err(), err.Error())
				}
				f.serves("1.0.2", "1.0.5")
			})
		})
	}
}

func TestTheSquareIsOptionalUntilOneWasServed(t *testing.T) {
	codec, err := n3d.New(misctest.Key)
	require.NoError(t, err)
	const square = `[{"id":"kFpN4KiZn","type":"chatroom","name":"a"}]`
	synctest.Test(t, func(t *testing.T) {
		f := open(t, catalog.Config{Codec: codec})
		for _, step := range []struct {
			name          string
			do            func()
			serves, fails string
		}{
			{"never there", func() {}, "", ""},
			{"broken from the start", func() { f.swap(demoSquare, "{") }, "", "catalog: demo_square.json: is not valid JSON: unexpected end of JSON input (at byte 1, line 1)"},
			{"gone again", func() { f.remove(demoSquare) }, "", ""},
			{"there", func() { f.swap(demoSquare, `[{"type":"chatroom","id":1,"name":"a"}]`) }, square, ""},
			{"broken", func() { f.swap(demoSquare, "[{}]") }, square, "catalog: demo_square.json: [0].id (line 1): required\ncatalog: demo_square.json: [0].type (line 1): \"\" is neither chatroom nor group"},
			{"gone", func() { f.remove(demoSquare) }, square, "catalog: demo_square.json: file does not exist"},
			{"empty", func() { f.swap(demoSquare, "[]") }, "[]", ""},
		} {
			step.do()
			wait()
			s, err := f.Square(t.Context())
			if step.serves == "" {
				assert.ErrorIs(t, err, misc.ErrNoSquare, step.name)
			} else {
				assert.Equal(t, step.serves, encoded(t, s, err), step.name)
			}
			if err := f.Err(); step.fails == "" {
				assert.NoError(t, err, step.name)
			} else {
				assert.EqualError(t, err, step.fails, step.name)
			}
		}
		f.serves("1.0.2", "1.0.5")
	})
	d := newDirectory(goodRelease, goodClients)
	d.swap(demoSquare, `[{"type":"group","id":7}]`)
	_, err = catalog.Open(d, catalog.Config{})
	assert.EqualError(t, err, "catalog: demo_square.json: [0].id (line 1): is a number, which needs a codec (Config.Codec)")
}

// revision is what sha256sum prints first for a file with that text.
func revision(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text)))[:12] }

// reloaded is the line that is logged for a file with that text.
func reloaded(file, version, text string) string {
	return `level=INFO msg="catalog: file reloaded" file=` + file + ` version=` + version + ` revision=` + revision(abbreviations.Replace(text))
}

func TestReleasesJSONTakesOverFromSquirrelJSONForGood(t *testing.T) {
	many := `{"releases":[{"version":"1.0.4","withdrawn":"bad"},{"version":"2.0.0","withdrawn":"bad"}`
	for i := range 21 {
		many += fmt.Sprintf(`,{"version":"0.1.%d","withdrawn":"bad"}`, i)
	}
	many += `]}`
	const (
		two       = `{"releases":[{"version":"2.0.0","rollout":50,BUILDS},{"version":"1.0.3",BUILDS},{"version":"0.9.0","withdrawn":"bad"}]}`
		lowered   = `{"releases":[{"version":"v2.0.0+1","rollout":49.99,BUILDS},{"version":"1.0.4",BUILDS}]}`
		withdrawn = `{"releases":[{"version":"2.0.0","withdrawn":"bad"},{"version":"1.0.4","withdrawn":"bad"}]}`
		refused   = `level=ERROR msg="catalog: file refused, the last good one is served" file=releases.json error="catalog: releases.json: `
		lost      = `level=WARN msg="catalog: releases.json takes back what clients were offered" lost="`
		notList   = `catalog: releases.json: releases (line 1): must be a list`
		missing   = `catalog: releases.json: file does not exist`
		used      = `level=INFO msg="catalog: releases.json is used, squirrel.json is not read"`
	)
	inBubble(t, func(t *testing.T, f *fixture) {
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
			{"an invalid one", swap("releases.json", `{"releases":1}`), "1.0.2", notList, refused + `releases (line 1): must be a list"`},
			{"squirrel.json goes on", swap(squirrel, newerRelease), "1.0.3", notList, reloaded(squirrel, "1.0.3", newerRelease) + ` changes="1.0.2 → 1.0.3"`},
			{"the invalid one is gone", remove("releases.json"), "1.0.3", "", `level=INFO msg="catalog: refused file removed" file=releases.json`},
			{"squirrel.json breaks, and the invalid one is back", func() { swap(squirrel, "{")(); swap("releases.json", `{"releases":1}`)() }, "1.0.3",
				lines(notList, `catalog: squirrel.json: is not valid JSON: unexpected end of JSON input (at byte 1, line 1)`), lines(refused+`releases (line 1): must be a list"`,
					`level=ERROR msg="catalog: file refused, the last good one is served" file=squirrel.json error="catalog: squirrel.json: is not valid JSON: unexpected end of JSON input (at byte 1, line 1)"`)},
			{"a valid one", swap("releases.json", two), "1.0.3", "", lines(reloaded("releases.json", `"3 releases up to 2.0.0"`, two)+` changes="2.0.0: new, for 50 %; 1.0.3: other url, name, notes, pub_date; 0.9.0: new, withdrawn: bad"`, used)},
			{"squirrel.json changes", swap(squirrel, goodRelease), "1.0.3", "", ""},
			{"a lower rollout, a version that is missing", swap("releases.json", lowered), "1.0.4", "", lines(
				reloaded("releases.json", `"2 releases up to 2.0.0"`, lowered)+` changes="2.0.0: rollout 50 % → 49.99 %; 2.0.0: other version; 1.0.4: new, for everyone; 1.0.3: removed; 0.9.0: removed"`,
				lost+`2.0.0: rollout 50 % → 49.99 %; 1.0.3: removed, and not withdrawn"`)},
			{"an invalid one again", swap("releases.json", `{"releases":1}`), "1.0.4", notList, refused + `releases (line 1): must be a list"`},
			{"none again", remove("releases.json"), "1.0.4", missing, refused + `file does not exist"`},
			{"one that is not offered", swap("releases.json", withdrawn), "", "",
				reloaded("releases.json", `"2 releases up to 2.0.0"`, withdrawn) + ` changes="2.0.0: withdrawn: bad; 2.0.0: its builds removed; 1.0.4: withdrawn: bad; 1.0.4: its builds removed"`},
			{"more changes than a line has room for", swap("releases.json", many), "", "",
				reloaded("releases.json", `"23 releases up to 2.0.0"`, many) + ` changes="` + func() (changes string) {
					for i := 20; i > 0; i-- {
						changes += fmt.Sprintf("0.1.%d: new, withdrawn: bad; ", i)
					}
					return changes + `and 1 more"`
				}()},
		} {
			step.do()
			wait()
			r, err := f.LatestRelease(t.Context(), query(t, "version=1.0.0"))
			if step.offers == "" {
				require.ErrorIs(t, err, misc.ErrNoRelease, step.name)
			} else {
				require.NoError(t, err, step.name)
				assert.Equal(t, step.offers, r.Version(), step.name)
			}
			if err := f.Err(); step.err == "" {
				assert.NoError(t, err, step.name)
			} else {
				assert.EqualError(t, err, step.err, step.name)
			}
			assert.Equal(t, step.log, f.logged(), step.name)
		}
	})
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
			d := newDirectory(tt.squirrel, goodClients)
			if tt.squirrel == "" {
				d.remove(squirrel)
			}
			d.swap("releases.json", tt.releases)
			c, err := catalog.Open(d, catalog.Config{Logger: log.Logger()})
			if tt.err != "" {
				require.Error(t, err)
				assert.Equal(t, tt.err, withoutLines(err))
				assert.Empty(t, log.String())
				return
			}
			require.NoError(t, err)
			assert.Equal(t, []string{`level=INFO msg="catalog: releases.json is used, squirrel.json is not read"`,
				strings.Replace(reloaded("releases.json", `"no releases"`, tt.releases), "reloaded", "loaded", 1),
				strings.Replace(reloaded(clientVersion, `"iOS 1.0.5, Android 1.0.5"`, goodClients), "reloaded", "loaded", 1)}, log.Take())
			_, err = c.LatestRelease(t.Context(), query(t, "version=1.0.0"))
			require.ErrorIs(t, err, misc.ErrNoRelease)
			assert.Equal(t, "no releases", c.Releases().String())
		})
	}
	inBubble(t, func(t *testing.T, f *fixture) {
		assert.Equal(t, "1 release up to 1.0.2", f.Releases().String())
		f.swap(squirrel, newerRelease)
		wait()
		assert.Equal(t, "1 release up to 1.0.3", f.Releases().String())
	})
}

func TestASquareThatIOSCrashesOnIsWarnedOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := `{"type":"chatroom","id":"a","name":"A"},`
		for rooms := range 6 {
			d, log := newDirectory(goodRelease, goodClients), &testkit.Log{}
			d.swap(demoSquare, "["+strings.Repeat(room, rooms)+`{"type":"group","id":"b"}]`)
			for _, reloaded := range []bool{false, true} {
				c, err := catalog.Open(d, catalog.Config{Logger: log.Logger()})
				require.NoError(t, err)
				if reloaded {
					log.Take()
					d.swap(demoSquare, "["+strings.Repeat(room, rooms)+`{"type":"group","id":"c"}]`)
					wait()
				}
				warnings := strings.Join(c.Warnings(), "\n")
				for _, said := range []string{warnings, log.String()} {
					assert.Equal(t, 1 <= rooms && rooms <= 3, strings.Contains(said, "of the four chat rooms"), "%d rooms: %s", rooms, said)
				}
			}
		}
	})
}

func TestARevisionIsThatOfTheFileThatIsServed(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		revisions := map[string]string{squirrel: revision(goodRelease), clientVersion: revision(goodClients)}
		assert.Equal(t, revisions, f.Revisions())
		f.swap(squirrel, "{")
		f.swap(demoSquare, "[]")
		revisions[demoSquare] = "4f53cda18c2b" // as printf '[]' | sha256sum
		wait()
		assert.Equal(t, revisions, f.Revisions())
		const marked = "\uFEFF" + `{"releases":[]}`
		f.swap("releases.json", marked)
		delete(revisions, squirrel)
		revisions["releases.json"] = revision(marked)
		wait()
		assert.Equal(t, revisions, f.Revisions())
		assert.Equal(t, revision(marked), f.Releases().Choose(misc.UpdateQuery{}).Revision)
	})
}

func TestAnUnreadableFileIsAnErrorAndTheLastGoodOneServed(t *testing.T) {
	for problem, file := range map[string]*fstest.MapFile{
		"file does not exist":   nil,
		"is not a regular file": {Mode: fs.ModeNamedPipe},
		"is empty":              {},
	} {
		for _, name := range []string{squirrel, clientVersion} {
			inBubble(t, func(t *testing.T, f *fixture) {
				good := f.files[name]
				if f.put(name, file); file == nil {
					f.remove(name)
				}
				want := "catalog: " + name + ": " + problem

				_, err := catalog.Open(f.directory, catalog.Config{})
				if name == squirrel && file == nil { // which name is missing, nobody can know
					require.EqualError(t, err, "catalog: there is no releases.json, and no squirrel.json: "+problem)
				} else {
					require.EqualError(t, err, want)
				}
				wait()
				f.serves("1.0.2", "1.0.5")
				require.EqualError(t, f.Err(), want)

				f.put(name, good)
				wait()
				require.NoError(t, f.Err(), "the file is back as it was")
				f.serves("1.0.2", "1.0.5")
			})
		}
	}
	_, err := catalog.Open(nil, catalog.Config{})
	require.EqualError(t, err, "catalog: the file system is nil")
}

func TestAMissingDirectoryIsNamedOnce(t *testing.T) {
	_, err := catalog.Open(fstest.MapFS{}, catalog.Config{})
	assert.EqualError(t, err, lines("catalog: there is no releases.json, and no squirrel.json: file does not exist", "catalog: client_version.json: file does not exist"))
	const missing = "catalog: the directory of the files: file does not exist"
	nowhere, err := fs.Sub(fstest.MapFS{}, "nowhere")
	require.NoError(t, err)
	_, err = catalog.Open(nowhere, catalog.Config{})
	assert.EqualError(t, err, missing)
	assert.ErrorIs(t, err, fs.ErrNotExist)

	synctest.Test(t, func(t *testing.T) {
		all := fstest.MapFS{"v/squirrel.json": {Data: []byte(goodRelease)}, "v/client_version.json": {Data: []byte(goodClients)}}
		kept := fstest.MapFS{}
		versions, err := fs.Sub(all, "v")
		require.NoError(t, err)
		c, err := catalog.Open(versions, catalog.Config{Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		for name, file := range all {
			kept[name] = file
			delete(all, name)
		}
		wait()
		assert.EqualError(t, c.Err(), missing)
		_, err = c.ClientVersions(t.Context())
		assert.NoError(t, err)
		for name, file := range kept {
			all[name] = file
		}
		wait()
		assert.NoError(t, c.Err())
	})
}

func TestANameThatIsNearlyRightAndALinkToNothingAreNamed(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	open := func() error {
		_, err := catalog.Open(os.DirFS(dir), catalog.Config{Logger: slog.New(slog.DiscardHandler)})
		return err
	}
	write(clientVersion, goodClients)
	write("Release.JSON", `{"releases":[]}`)
	require.EqualError(t, open(), "catalog: there is no releases.json (but Release.JSON), and no squirrel.json: file does not exist")
	write(squirrel, goodRelease)
	require.NoError(t, open())
	require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "releases.json")))
	require.EqualError(t, open(), "catalog: releases.json: is a link to nothing")
}

func TestAChangeIsServedOnceASecondHasPassed(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		time.Sleep(10 * time.Second)
		f.serves("1.0.2", "1.0.5")
		f.swap(squirrel, newerRelease)
		f.swap(clientVersion, newerClients)
		time.Sleep(time.Second - 1)
		f.serves("1.0.2", "1.0.5")
		time.Sleep(time.Nanosecond)
		f.serves("1.0.3", "1.0.6")
	})
}

func TestAChangeIsServedByWhicheverMethodComesFirst(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		f.swap(squirrel, newerRelease)
		wait()
		assert.Equal(t, newerRelease, f.release())
		f.swap(clientVersion, newerClients)
		wait()
		assert.Equal(t, newerClients, f.clients())
		f.swap(squirrel, "{")
		require.NoError(t, f.Err())
		wait()
		require.Error(t, f.Err())
	})
}

func TestAnInvalidFileNeverReplacesAGoodOneAndDoesNotHoldUpTheOthers(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		release := f.release()
		for n := range len(newerRelease) { // as when it is written in place
			f.swap(squirrel, newerRelease[:n])
			f.swap(clientVersion, strings.ReplaceAll(goodClients, "1.0.5", "1.0."+strings.Repeat("9", 1+n%2)))
			wait()
			require.Equal(t, release, f.release(), newerRelease[:n])
			require.Contains(t, f.clients(), "1.0."+strings.Repeat("9", 1+n%2))
			require.ErrorContains(t, f.Err(), "catalog: squirrel.json: ")
			require.NotContains(t, f.Err().Error(), clientVersion)
		}
		f.swap(squirrel, newerRelease)
		wait()
		require.NoError(t, f.Err())
		assert.Equal(t, newerRelease, f.release())
	})
}

func TestAFailureIsLoggedOnceAndRecoveryToo(t *testing.T) {
	const refused = `level=ERROR msg="catalog: file refused, the last good one is served" file=`
	inBubble(t, func(t *testing.T, f *fixture) {
		assert.Empty(t, f.logged())
		for _, step := range []struct {
			name string
			do   func()
			log  string
		}{
			{"nothing happened", func() {}, ""},
			{"the same text in another file", func() { f.swap(squirrel, goodRelease) }, ""},
			{"a new release", func() { f.swap(squirrel, newerRelease) }, reloaded(squirrel, "1.0.3", newerRelease) + ` changes="1.0.2 → 1.0.3"`},
			{"new client versions", func() { f.swap(clientVersion, newerClients) }, reloaded(clientVersion, `"iOS 1.0.6, Android 1.0.6"`, newerClients) + ` changes="iOS 1.0.5, Android 1.0.5 → iOS 1.0.6, Android 1.0.6"`},
			{"a failure", func() { f.swap(squirrel, "[]") }, refused + `squirrel.json error="catalog: squirrel.json: must be a JSON object"`},
			{"the same file", func() {}, ""},
			{"another file, the same failure", func() { f.swap(squirrel, "[1]") }, ""},
			{"an unreadable file", func() { f.remove(squirrel) }, refused + `squirrel.json error="catalog: squirrel.json: file does not exist"`},
			{"still unreadable", func() {}, ""},
			{"a failure of the other file", func() { f.swap(clientVersion, "") }, refused + `client_version.json error="catalog: client_version.json: is empty"`},
			{"recovery to what is served", func() { f.swap(squirrel, newerRelease) }, reloaded(squirrel, "1.0.3", newerRelease)},
			{"the failure from before", func() { f.swap(squirrel, "[]") }, refused + `squirrel.json error="catalog: squirrel.json: must be a JSON object"`},
		} {
			step.do()
			wait()
			f.release()
			f.clients()
			_ = f.Err()
			assert.Equal(t, step.log, f.logged(), step.name)
		}
	})
}

func TestZeroConfigUsesTheDefaultLogger(t *testing.T) {
	var log testkit.Log
	before := slog.Default()
	slog.SetDefault(log.Logger())
	t.Cleanup(func() { slog.SetDefault(before) })
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory(goodRelease, goodClients)
		c, err := catalog.Open(d, catalog.Config{})
		require.NoError(t, err)
		d.remove(squirrel)
		wait()
		require.Error(t, c.Err())
		assert.Contains(t, log.String(), "level=ERROR")
	})
}

func TestACancelledContextIsAnErrorOfEachMethod(t *testing.T) {
	f := open(t, catalog.Config{})
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

func TestOtherRequestsAreServedWhileOneReadsAndErrTellsIfItDoesNotEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		hang := make(chan struct{})
		f.hang = hang
		f.swap(clientVersion, newerClients)
		wait()
		reader := make(chan string)
		go func() { reader <- f.clients() }()
		for range 11 {
			synctest.Wait()
			f.serves("1.0.2", "1.0.5")
			require.NoError(t, f.Err())
			time.Sleep(time.Second - 1)
		}
		time.Sleep(time.Second)
		require.EqualError(t, f.Err(), "catalog: reading the files has not ended after 12s")
		close(hang)
		assert.Equal(t, newerClients, <-reader, "the request that reads is answered from what it found")
		assert.NoError(t, f.Err())
	})
}

func TestWatchReadsInPlaceOfTheRequests(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		ctx, stop := context.WithCancel(t.Context())
		var watchers sync.WaitGroup
		for range 2 { // which share the interval
			watchers.Go(func() { f.Watch(ctx) })
		}
		time.Sleep(time.Second / 2)
		f.swap(squirrel, newerRelease)
		before := f.opened()
		f.serves("1.0.2", "1.0.5")
		time.Sleep(time.Second / 2)
		synctest.Wait()
		once := f.opened() - before
		f.serves("1.0.3", "1.0.5")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		assert.Equal(t, 11*once, f.opened()-before, "once a second, whoever asks")

		hang := make(chan struct{})
		f.mu.Lock()
		f.hang = hang
		f.mu.Unlock()
		f.swap(squirrel, goodRelease)
		time.Sleep(11 * time.Second)
		f.serves("1.0.3", "1.0.5")
		require.NoError(t, f.Err())
		time.Sleep(time.Second)
		require.EqualError(t, f.Err(), "catalog: reading the files has not ended after 11s")
		stop()
		ended := make(chan struct{})
		go func() { watchers.Wait(); close(ended) }()
		synctest.Wait()
		select {
		case <-ended:
			t.Error("Watch returned while it was reading")
		default:
		}
		f.mu.Lock()
		f.hang = nil
		f.mu.Unlock()
		close(hang)
		<-ended
		f.serves("1.0.2", "1.0.5")
		f.swap(squirrel, newerRelease)
		wait()
		f.serves("1.0.3", "1.0.5") // requests read again
	})
}

func TestARequestThatNeedNotReadAllocatesNothing(t *testing.T) {
	f := open(t, catalog.Config{})
	ctx := context.Background()
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		_, _ = f.LatestRelease(ctx, misc.UpdateQuery{})
		_, _ = f.ClientVersions(ctx)
		_ = f.Err()
	}))
}
