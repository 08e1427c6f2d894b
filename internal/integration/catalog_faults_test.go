//go:build unix

package integration_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
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
	"github.com/sealtalk-go/misc/internal/testkit"
)

// An edition is one number in every field of a file, so that a mixture of two
// shows.
type edition int

// The keys are in the order in which they go out.
func (e edition) release() string {
	return fmt.Sprintf(`{"version":"%d.0.0","url":"https://example.com/%[1]d","name":"SealTalk %[1]d","notes":"%s","n":%[1]d}`, e, e.padding())
}

func (e edition) clients() string {
	return fmt.Sprintf(`{"iOS":{"version":"%d","build":"202001020304","url":"https://example.com/%[1]d"},"Android":{"version":"%[1]d","url":"https://example.com/%[1]d"},"n":%[1]d,"notes":"%s"}`, e, e.padding())
}

// padding makes a file longer than a page, and of another length than the one
// before.
func (e edition) padding() string {
	return strings.Repeat(strconv.Itoa(int(e))+" ", 1100+int(e)%7*100)
}

// readEdition returns the edition that an answer is all of, or 0.
func readEdition(path, body string) edition {
	var e edition
	if i := strings.Index(body, `"version":"`); i >= 0 {
		_, _ = fmt.Sscanf(body[i:], `"version":"%d`, &e)
	}
	want := map[string]string{
		catalogPaths[0]: e.release(),
		catalogPaths[1]: e.clients(),
		catalogPaths[2]: `{"code":200,"result":` + e.clients() + `}`,
	}[path]
	if body != want {
		return 0
	}
	return e
}

var catalogPaths = []string{"latest_update?version=0.0.1", "client_version", "mobile_version"}

// A shop is a catalogue in fake time: each request comes a second after the one
// before, so that it looks at the files.
type shop struct {
	dir     string
	catalog *catalog.Catalog
	handler http.Handler
	log     *testkit.Log
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{dir: t.TempDir(), log: &testkit.Log{}}
	if dir, err := os.MkdirTemp("/dev/shm", "catalog-test-"); err == nil { // a disk makes a thousand swaps slow
		s.dir = dir
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
	}
	s.replace(t, 1)
	var err error
	s.catalog, err = catalog.Open(s.dir, catalog.Config{Logger: s.log.Logger()})
	require.NoError(t, err)
	h := newHost(t)
	h.log, h.misc.Versions = s.log, s.catalog
	h.http.Logger = s.log.Logger()
	s.handler = h.handler(t)
	return s
}

func (s *shop) files(e edition) map[string]string {
	return map[string]string{
		filepath.Join(s.dir, "squirrel.json"):       e.release(),
		filepath.Join(s.dir, "client_version.json"): e.clients(),
	}
}

// replace publishes an edition as the package's documentation asks for.
func (s *shop) replace(t *testing.T, e edition) {
	t.Helper()
	for path, text := range s.files(e) {
		require.NoError(t, os.WriteFile(path+".new", []byte(text), 0o600))
		require.NoError(t, os.Rename(path+".new", path))
	}
}

// ask returns the edition of an answer, which must be whole and 200.
func (s *shop) ask(t assert.TestingT, path string) (edition, string) {
	time.Sleep(time.Second)
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, httptest.NewRequest("GET", "/misc/"+path, nil))
	e := readEdition(path, w.Body.String())
	assert.Equal(t, 200, w.Code, path)
	assert.NotZero(t, e, "a mixture, or half an answer: %.300s", w.Body)
	return e, w.Header().Get("ETag")
}

// The swaps are of every kind: renamed into place, written in place in two
// halves, and with a directory in between. Each answer is of some whole edition,
// and none of an older one than before.
func TestSurvivesAThousandSwapsOfVersionFilesUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		const swaps = 1000
		var last atomic.Int64
		tags := sync.Map{} // what an ETag stands for
		var done sync.WaitGroup
		for worker := range 2 {
			done.Go(func() {
				seen := make([]edition, len(catalogPaths))
				for i := worker; last.Load() <= swaps && !t.Failed(); i++ {
					runtime.Gosched()
					which := i % len(catalogPaths)
					e, tag := s.ask(t, catalogPaths[which])
					assert.GreaterOrEqual(t, e, seen[which], "an older edition is back")
					seen[which] = e
					if tag != "" {
						was, _ := tags.LoadOrStore(tag, fmt.Sprint(which, " ", e))
						assert.Equal(t, was, fmt.Sprint(which, " ", e), "one ETag for two answers")
					}
				}
			})
		}
		for n := range swaps {
			e := edition(n + 2)
			switch n % 4 {
			case 0, 1:
				s.replace(t, e)
			case 2:
				for path, text := range s.files(e) {
					f, err := os.Create(path)
					require.NoError(t, err)
					for _, half := range []string{text[:len(text)/2], text[len(text)/2:]} {
						_, err := f.WriteString(half)
						require.NoError(t, err)
						s.ask(t, catalogPaths[0])
					}
					require.NoError(t, f.Close())
				}
			case 3:
				for path := range s.files(e) {
					require.NoError(t, os.Remove(path))
					require.NoError(t, os.Mkdir(path, 0o700))
					s.ask(t, catalogPaths[1])
					require.NoError(t, os.Remove(path))
				}
				s.replace(t, e)
			}
			for _, path := range catalogPaths {
				until(t, "the new edition is served", func() bool {
					got, _ := s.ask(t, path)
					return got == e
				})
			}
			last.Store(int64(n + 2))
			if t.Failed() {
				break
			}
		}
		last.Store(swaps + 1)
		done.Wait()
		require.NoError(t, s.catalog.Err())
		for _, line := range s.log.Take() {
			require.NotContains(t, line, "request failed")
		}
	})
}

// A file that is written in place is truncated and then written anew, and a
// reader may be in the middle of it: one page of the last edition, and the
// next of the new one.
func TestAFileWrittenInPlaceIsNeverServedAsAMixture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShop(t)
		var stop atomic.Bool
		var reader sync.WaitGroup
		reader.Go(func() {
			for !stop.Load() && !t.Failed() {
				s.ask(t, catalogPaths[0])
			}
		})
		for n := edition(2); n < 2000 && !t.Failed(); n++ {
			time.Sleep(time.Second) // and then at the same time as the reader
			for path, text := range s.files(n) {
				require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			}
		}
		stop.Store(true)
		reader.Wait()
	})
}
