//go:build unix

package integration_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc/catalog"
)

// An edition is a number that is in every field of a file, so that a mixture of two
// editions shows.
type edition int

// files returns the texts of the files, with their keys in the order in which they
// are served. Each is about a page long or more, and its length differs from that of the
// edition before.
func (e edition) files() map[string]string {
	padding := strings.Repeat(strconv.Itoa(int(e))+" ", 1100+int(e)%7*100)
	return map[string]string{
		"squirrel.json":       fmt.Sprintf(`{"version":"%d.0.0","url":"https://example.com/%[1]d","name":"SealTalk %[1]d","notes":"%s","n":%[1]d}`, e, padding),
		"client_version.json": fmt.Sprintf(`{"iOS":{"version":"%d","build":"202001020304","url":"https://example.com/%[1]d"},"Android":{"version":"%[1]d","url":"https://example.com/%[1]d"},"n":%[1]d,"notes":"%s"}`, e, padding),
		"demo_square.json":    fmt.Sprintf(`[{"id":"%d","type":"group","name":"%[1]d","memberCount":%[1]d,"notes":"%s"}]`, e, padding),
	}
}

// The paths, each with the file that it serves and the text around that file.
var catalogPaths = []struct{ path, file, around string }{
	{"latest_update?version=0.0.1", "squirrel.json", `%s`},
	{"client_version", "client_version.json", `%s`},
	{"mobile_version", "client_version.json", `{"code":200,"result":%s}`},
	{"demo_square", "demo_square.json", `{"code":200,"result":%s}`},
}

// releases returns a releases.json that gives the same answer as squirrel.json.
func (e edition) releases() string {
	text := strings.Replace(e.files()["squirrel.json"], fmt.Sprintf(`"url":"https://example.com/%d",`, e), "", 1)
	text = strings.Replace(text, fmt.Sprintf(`,"n":%d}`, e), fmt.Sprintf(`,"builds":[{"url":"https://example.com/%d","extra":{"n":%[1]d}}]}`, e), 1)
	return `{"releases":[` + text + `]}`
}

var firstNumber = regexp.MustCompile(`"(?:version|name)":"(\d+)`)

// A shop is a catalog in fake time: each request comes a second after the one before,
// so that the catalog reads the files again.
type shop struct {
	*host
	dir      string
	releases bool // there is a releases.json instead of squirrel.json
	catalog  *catalog.Catalog
	serve    http.Handler
}

func newShop(t *testing.T, releases bool) *shop {
	t.Helper()
	s := &shop{host: newHost(t), dir: t.TempDir(), releases: releases}
	if dir, err := os.MkdirTemp("/dev/shm", "catalog-test-"); err == nil { // a thousand swaps are slow on a disk
		s.dir = dir
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
	}
	s.replace(t, 1)
	s.catalog = must(catalog.Open(s.dir, catalog.Config{Logger: s.log.Logger()}))
	s.misc.Versions, s.misc.Square = s.catalog, s.catalog
	s.serve = s.handler(t)
	return s
}

// files returns the texts of the files by name.
func (s *shop) files(e edition) map[string]string {
	files := e.files()
	if s.releases {
		delete(files, "squirrel.json")
		files["releases.json"] = e.releases()
	}
	return files
}

// replace publishes an edition in the way that the package's documentation describes.
func (s *shop) replace(t *testing.T, e edition) {
	t.Helper()
	for name, text := range s.files(e) {
		path := filepath.Join(s.dir, name)
		require.NoError(t, os.WriteFile(path+".new", []byte(text), 0o600))
		require.NoError(t, os.Rename(path+".new", path))
	}
}

// ask returns the edition of an answer, which must be complete and have the status 200.
func (s *shop) ask(t assert.TestingT, which int) (e edition, tag string) {
	time.Sleep(time.Second)
	w := httptest.NewRecorder()
	s.serve.ServeHTTP(w, httptest.NewRequest("GET", "/misc/"+catalogPaths[which].path, nil))
	if number := firstNumber.FindStringSubmatch(w.Body.String()); number != nil {
		_, _ = fmt.Sscan(number[1], &e)
	}
	assert.Equal(t, 200, w.Code)
	if w.Body.String() != fmt.Sprintf(catalogPaths[which].around, e.files()[catalogPaths[which].file]) {
		assert.Fail(t, "a mixture, or half an answer", "%.300s", w.Body)
	}
	return e, w.Header().Get("ETag")
}

// The files are swapped in every way: renamed into place, written in place in two
// halves, and replaced by a directory in between. Each answer must be that of one
// complete edition, and never of an older one than before.
func TestSurvivesAThousandSwapsOfVersionFilesUnderLoad(t *testing.T) {
	for name, releases := range map[string]bool{"squirrel.json": false, "releases.json": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { swapAThousandTimes(t, newShop(t, releases)) })
		})
	}
}

func swapAThousandTimes(t *testing.T, s *shop) {
	const swaps = 1000
	var over atomic.Bool
	tags := sync.Map{} // the answer that each ETag stands for
	var done sync.WaitGroup
	for worker := range 2 {
		done.Go(func() {
			seen := make([]edition, len(catalogPaths))
			for i := worker; !over.Load() && !t.Failed(); i++ {
				runtime.Gosched()
				which := i % len(catalogPaths)
				e, tag := s.ask(t, which)
				assert.GreaterOrEqual(t, e, seen[which], "an older edition is back")
				seen[which] = e
				if tag != "" {
					was, _ := tags.LoadOrStore(tag, fmt.Sprint(which, " ", e))
					assert.Equal(t, was, fmt.Sprint(which, " ", e), "one ETag for two answers")
				}
			}
		})
	}
	for e := edition(2); e < swaps+2 && !t.Failed(); e++ {
		switch e % 4 {
		case 0:
			for name, text := range s.files(e) {
				f := must(os.Create(filepath.Join(s.dir, name)))
				for _, half := range []string{text[:len(text)/2], text[len(text)/2:]} {
					must(f.WriteString(half))
					s.ask(t, 0)
				}
				require.NoError(t, f.Close())
			}
		case 1:
			for name := range s.files(e) {
				path := filepath.Join(s.dir, name)
				require.NoError(t, errors.Join(os.Remove(path), os.Mkdir(path, 0o700)))
				s.ask(t, 1)
				require.NoError(t, os.Remove(path))
			}
			fallthrough
		default:
			s.replace(t, e)
		}
		for which := range catalogPaths {
			until(t, "the new edition is served", func() bool {
				got, _ := s.ask(t, which)
				return got == e
			})
		}
	}
	over.Store(true)
	done.Wait()
	require.NoError(t, s.catalog.Err())
	require.NotContains(t, s.log.String(), "request failed")
}

// A file that is written in place is truncated and then written again. A reader that
// reads it meanwhile may get one page of the last edition and the next page of the
// new one.
func TestAFileWrittenInPlaceIsNeverServedAsAMixture(t *testing.T) {
	const last = edition(2000)
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t, false)
		var writer sync.WaitGroup
		writer.Go(func() {
			for e := edition(2); e <= last && !t.Failed(); e++ {
				time.Sleep(time.Second) // and then write at the same time as the reader reads
				assert.NoError(t, os.WriteFile(filepath.Join(s.dir, "squirrel.json"), []byte(e.files()["squirrel.json"]), 0o600))
			}
		})
		for e := edition(0); e < last && !t.Failed(); {
			e, _ = s.ask(t, 0)
		}
		writer.Wait()
	})
}
