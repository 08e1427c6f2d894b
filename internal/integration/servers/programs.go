//go:build unix

package servers

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc/internal/integration/testhost"
	"github.com/sealtalk-go/misc/internal/testkit"
)

// FreeAddress returns an address of this machine that nobody listens on.
func FreeAddress(t testing.TB) string {
	t.Helper()
	port, err := freePort()
	require.NoError(t, err)
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// A Program runs until its test ends.
type Program struct {
	PID int
	Log *testkit.Log // what it has printed
}

// Start starts a program in a directory and returns when it accepts connections at
// address. The environment is that of the tests with env added.
func Start(t testing.TB, address, dir, path string, env ...string) Program {
	t.Helper()
	log := &testkit.Log{}
	cmd := exec.CommandContext(t.Context(), path)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = dir, append(os.Environ(), env...), log, log, endsWithParent()
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() { <-ended }) // the context ends it
	testhost.Until(t, path+" listens", func() bool {
		select {
		case <-ended:
			t.Fatal(path, "has ended: ", log.String())
		default:
		}
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return Program{cmd.Process.Pid, log}
}

// Build compiles the program in a directory, whose module is that of the directory, and
// returns the path of the program. It uses -race if the tests do, so that what both
// need is compiled only once.
func Build(t testing.TB, dir string, options ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	args := append([]string{"build", "-o", path}, options...)
	info, _ := debug.ReadBuildInfo()
	if slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		args = append(args, "-race")
	}
	cmd := exec.CommandContext(t.Context(), "go", append(args, ".")...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return path
}

// RunText runs a program whose text a page shows, in a directory that may have files
// for it, with the go.mod of this module. It replaces 127.0.0.1:8585 by address and
// 127.0.0.1:8586 by admin.
func RunText(t testing.TB, dir, text string) (address, admin string, log *testkit.Log) {
	t.Helper()
	address, admin = FreeAddress(t), FreeAddress(t)
	require.Equal(t, 1, strings.Count(text, "127.0.0.1:8585"))
	module := testhost.Must(os.ReadFile("../go.mod"))
	library := testhost.Must(filepath.Abs("../../.."))
	for file, text := range map[string]string{
		"main.go": strings.NewReplacer("127.0.0.1:8585", address, "127.0.0.1:8586", admin).Replace(text),
		"go.mod":  strings.Replace(string(module), "=> ../..", "=> "+library, 1),
		"go.sum":  string(testhost.Must(os.ReadFile("../go.sum"))),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600))
	}
	t.Setenv("GOWORK", "off")
	return address, admin, Start(t, address, dir, Build(t, dir)).Log
}

// CPU returns the CPU time that processes have used, including that of the system
// for them.
func CPU(t testing.TB, pids ...int) (sum time.Duration) {
	const tick = time.Second / 100 // in /proc, whatever the kernel's own tick is
	for _, pid := range pids {
		stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		require.NoError(t, err)
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:])) // starting with the third, state
		for _, field := range fields[11:13] {                                               // utime, stime
			sum += time.Duration(testhost.Must(strconv.Atoi(field))) * tick
		}
	}
	return sum
}
