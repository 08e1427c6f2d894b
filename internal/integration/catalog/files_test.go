//go:build unix

package catalog_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc/catalog"
)

func write(t *testing.T, dir string, e edition) {
	require.NoError(t, os.MkdirAll(dir, 0o700))
	for _, name := range []string{"squirrel.json", "client_version.json"} {
		replace(t, dir, name, e.files()[name])
	}
}

func open(dir string) (*catalog.Catalog, error) {
	return catalog.Open(os.DirFS(dir), catalog.Config{Logger: slog.New(slog.DiscardHandler)})
}

// Opening a pipe waits for a writer, and a device has no end.
func TestWhatIsNoVersionFileIsNamedAndDoesNotHang(t *testing.T) {
	for name, test := range map[string]struct {
		put     func(path string) error
		problem string
	}{
		"a pipe":                {func(path string) error { return syscall.Mkfifo(path, 0o600) }, "is not a regular file"},
		"a directory":           {func(path string) error { return os.Mkdir(path, 0o700) }, "is not a regular file"},
		"a link to a device":    {func(path string) error { return os.Symlink("/dev/zero", path) }, "is not a regular file"},
		"a link to nothing":     {func(path string) error { return os.Symlink("nothing", path) }, "is a link to nothing"},
		"a link to itself":      {func(path string) error { return os.Symlink(path, path) }, "too many levels of symbolic links"},
		"a byte more than 1MiB": {func(path string) error { return os.WriteFile(path, make([]byte, 1<<20+1), 0o600) }, "is larger than 1 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				write(t, dir, 1)
				c, err := open(dir)
				require.NoError(t, err)
				path := filepath.Join(dir, "squirrel.json")
				require.NoError(t, os.Remove(path))
				require.NoError(t, test.put(path))
				time.Sleep(time.Second)
				assert.EqualValues(t, 1, ask(t, c, "squirrel.json"))
				assert.EqualError(t, c.Err(), "catalog: squirrel.json: "+test.problem)
				_, err = open(dir)
				assert.EqualError(t, err, "catalog: squirrel.json: "+test.problem)
			})
		})
	}
}

func TestADirectoryThatIsMissingIsNamedOnce(t *testing.T) {
	_, err := open(filepath.Join(t.TempDir(), "nowhere"))
	assert.EqualError(t, err, "catalog: the directory of the files: no such file or directory")
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// A Kubernetes ConfigMap is a directory of links through ..data, which is itself a link
// that is swapped.
func TestASwappedLinkIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		swap := func(e edition, target string) {
			write(t, filepath.Join(dir, target), e)
			require.NoError(t, os.Symlink(target, filepath.Join(dir, "..data_tmp")))
			require.NoError(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
		}
		swap(1, "..1")
		for _, name := range []string{"squirrel.json", "client_version.json"} {
			require.NoError(t, os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)))
		}
		c, err := open(dir)
		require.NoError(t, err)
		assert.EqualValues(t, 1, ask(t, c, "squirrel.json"))
		swap(2, "..2")
		require.NoError(t, os.RemoveAll(filepath.Join(dir, "..1")))
		time.Sleep(time.Second)
		assert.EqualValues(t, 2, ask(t, c, "squirrel.json"))
		assert.EqualValues(t, 2, ask(t, c, "client_version.json"))
		assert.NoError(t, c.Err())
	})
}
