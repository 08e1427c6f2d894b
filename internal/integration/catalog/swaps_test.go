//go:build unix

package catalog_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/catalog"
)

// An edition is a number that is in every field of a file, so that a mixture of two
// editions shows. Each file is longer than a page, and its length differs from that of
// the edition before.
type edition int

func (e edition) files() map[string]string {
	padding := strings.Repeat(strconv.Itoa(int(e))+" ", 1100+int(e)%7*100)
	return map[string]string{
		"squirrel.json":       fmt.Sprintf(`{"version":"%d.0.0","url":"https://x.test/%[1]d","notes":"%s","n":%[1]d}`, e, padding),
		"releases.json":       fmt.Sprintf(`{"releases":[{"version":"%d.0.0","notes":"%s","builds":[{"url":"https://x.test/%[1]d","extra":{"n":%[1]d}}]}]}`, e, padding),
		"client_version.json": fmt.Sprintf(`{"iOS":{"version":"%d","build":"202001020304","url":"https://x.test/%[1]d"},"Android":{"version":"%[1]d","url":"https://x.test/%[1]d"},"n":%[1]d,"notes":"%s"}`, e, padding),
		"demo_square.json":    fmt.Sprintf(`[{"id":"%d","type":"group","name":"%[1]d","notes":"%s"}]`, e, padding),
	}
}

var firstNumber = regexp.MustCompile(`\d+`)

// ask returns the edition that a catalog serves under a name, which must be complete.
func ask(t *testing.T, c *catalog.Catalog, name string) (e edition) {
	var v interface{ MarshalJSON() ([]byte, error) }
	var err error
	served := name
	switch name {
	case "client_version.json":
		v, err = c.ClientVersions(t.Context())
	case "demo_square.json":
		v, err = c.Square(t.Context())
	default:
		served = "squirrel.json" // releases.json gives the same answer
		v, err = c.LatestRelease(t.Context(), misc.UpdateQuery{})
	}
	if !assert.NoError(t, err) {
		return 0
	}
	text, err := v.MarshalJSON()
	assert.NoError(t, err)
	_, _ = fmt.Sscan(firstNumber.FindString(string(text)), &e)
	if string(text) != e.files()[served] {
		assert.Fail(t, "a mixture, or half a file", "%s: %.300s", name, text)
	}
	return e
}

// replace publishes a file in the way that the package's documentation describes.
func replace(t *testing.T, dir, name, text string) {
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path+".new", []byte(text), 0o600))
	require.NoError(t, os.Rename(path+".new", path))
}

// The time is that of a synctest bubble: each swap comes a second after the one before,
// while a reader looks at the files. What is read must be one complete edition, and
// never an older one than before.
func TestSurvivesAThousandSwapsOfVersionFilesUnderLoad(t *testing.T) {
	for _, desktop := range []string{"squirrel.json", "releases.json"} {
		t.Run(desktop, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				swapAThousandTimes(t, []string{desktop, "client_version.json", "demo_square.json"})
			})
		})
	}
}

func swapAThousandTimes(t *testing.T, names []string) {
	const last = edition(1000)
	dir := t.TempDir()
	if memory, err := os.MkdirTemp("/dev/shm", "catalog-test-"); err == nil { // a thousand swaps are slow on a disk
		dir = memory
		t.Cleanup(func() { _ = os.RemoveAll(memory) })
	}
	swap := func(e edition) {
		for _, name := range names {
			replace(t, dir, name, e.files()[name])
		}
	}
	swap(1)
	c, err := catalog.Open(os.DirFS(dir), catalog.Config{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)

	var over atomic.Bool
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			seen := map[string]edition{}
			for !over.Load() {
				time.Sleep(time.Second)
				for _, name := range names {
					e := ask(t, c, name)
					assert.GreaterOrEqual(t, e, seen[name], "an older edition is back")
					seen[name] = e
				}
			}
		})
	}
	for e := edition(2); e <= last && !t.Failed(); e++ {
		time.Sleep(time.Second) // and then swap at the same time as the readers read
		swap(e)
	}
	over.Store(true)
	readers.Wait()
	time.Sleep(time.Second)
	for _, name := range names {
		assert.Equal(t, last, ask(t, c, name), name)
	}
	assert.NoError(t, c.Err())
}
