//go:build unix

package integration_test

import (
	"bufio"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9/logging"
	"github.com/stretchr/testify/require"
)

// childEnv makes the test binary act as another program; see TestMain.
const childEnv = "MISC_INTEGRATION_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childEnv) {
	case "guard":
		guard(os.Args[1], os.Args[2], os.Args[3:])
	case "handler":
		serveHandler(os.Args[1], os.Args[2])
	default:
		logging.Disable() // go-redis would report each connection that it cannot make
		code := m.Run()
		for _, s := range []*server{&mariaDB, &postgres, &redisServer} {
			if s.dir != "" {
				if s.running() {
					s.end(s.gracefully)
				}
				_ = os.RemoveAll(s.dir)
			}
		}
		os.Exit(code)
	}
}

// A server is one database server, or Redis, shared by all tests. Tests that stop it
// start it again, and no test is parallel.
type server struct {
	programs   []string // their names, that of the server first
	admin      string   // a user with all privileges
	open       func(user string, port int, database string, dial dialer) *sql.DB
	ping       func(s *server) error
	prepare    func(s *server, program []string) [][]string // nil if there is nothing to prepare
	command    func(s *server, program []string) []string
	gracefully syscall.Signal
	needsUser  bool // it refuses to run as root

	once      sync.Once
	err       error // of setUp
	missing   string
	program   []string
	dir, user string
	port      int
	guard     *exec.Cmd
	guardPipe io.Closer
	pid       int
	databases int
}

var mariaDB = server{
	programs:   []string{"mariadbd", "mariadb-install-db"},
	admin:      "root",
	open:       openMariaDBAs,
	ping:       pingDatabase,
	gracefully: syscall.SIGTERM,
	prepare: func(s *server, program []string) [][]string {
		// When a server starts, it removes the temporary files of all others in its tmpdir.
		return [][]string{{program[1], "--no-defaults", "--datadir=" + s.dir + "/data", "--tmpdir=" + s.dir, "--user=" + s.user,
			"--auth-root-authentication-method=normal", "--skip-test-db"}}
	},
	command: func(s *server, program []string) []string {
		// With io_uring, the kernel may still write for a server that was killed while the next one recovers.
		return []string{program[0], "--no-defaults", "--innodb-use-native-aio=0", "--datadir=" + s.dir + "/data", "--tmpdir=" + s.dir, "--user=" + s.user,
			"--bind-address=127.0.0.1", "--port=" + strconv.Itoa(s.port), "--socket=" + s.dir + "/socket",
			"--pid-file=" + s.dir + "/pid", "--skip-name-resolve", "--max-connections=400", "--innodb-buffer-pool-size=64M"}
	},
}

var postgres = server{
	programs:   []string{"postgres", "initdb"},
	admin:      "postgres",
	open:       openPostgres,
	ping:       pingDatabase,
	gracefully: syscall.SIGINT, // SIGTERM would wait for the clients to disconnect
	needsUser:  true,
	prepare: func(s *server, program []string) [][]string {
		return [][]string{{program[1], "--pgdata=" + s.dir + "/data", "--username=postgres", "--auth=trust",
			"--encoding=UTF8", "--locale=C", "--no-sync"}}
	},
	command: func(s *server, program []string) []string {
		return []string{program[0], "-D", s.dir + "/data", "-p", strconv.Itoa(s.port),
			"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=400", "-c", "fsync=off"}
	},
}

// get starts the server if no test has done so yet.
func (s *server) get(t testing.TB) *server {
	t.Helper()
	s.once.Do(func() { s.err = s.setUp() })
	if s.missing != "" {
		text := s.missing + " is not installed; on Debian: apt-get install mariadb-server postgresql redis-server"
		if os.Getenv("CI") == "true" {
			t.Fatal(text)
		}
		t.Skip(text)
	}
	require.NoError(t, s.err)
	return s
}

func (s *server) setUp() error {
	for _, name := range s.programs {
		path := find(name)
		if path == "" {
			s.missing = name
			return nil
		}
		s.program = append(s.program, path)
	}
	var err error
	if s.dir, err = os.MkdirTemp("", s.programs[0]+"-test-"); err != nil {
		return err
	}
	me, err := user.Current()
	if err != nil {
		return err
	}
	s.user = me.Username
	if s.needsUser && me.Uid == "0" {
		s.user = "postgres"
		if _, err := user.Lookup(s.user); err != nil {
			s.user = "nobody"
		}
		other, err := credential(s.user)
		if err != nil {
			return err
		}
		if err := os.Chown(s.dir, int(other.Uid), int(other.Gid)); err != nil {
			return err
		}
	}
	var commands [][]string
	if s.prepare != nil {
		commands = s.prepare(s, s.program)
	}
	for _, args := range commands {
		cmd := exec.Command(args[0], args[1:]...)
		if err := runAs(cmd, s.user); err != nil {
			return err
		}
		cmd.Dir = s.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", args[0], err, out)
		}
	}
	if s.port, err = freePort(); err != nil {
		return err
	}
	return s.start()
}

// start starts the server and returns when it answers.
func (s *server) start() error {
	cmd := exec.Command(os.Args[0], append([]string{s.dir, s.user}, s.command(s, s.program)...)...)
	cmd.Env = append(os.Environ(), childEnv+"=guard")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt from the terminal must not reach it
	cmd.Stderr = os.Stderr
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	if err := errors.Join(inErr, outErr, cmd.Start()); err != nil {
		return err
	}
	if _, err := fmt.Fscan(bufio.NewReader(out), &s.pid); err != nil {
		return fmt.Errorf("%s did not start: %w", s.programs[0], err)
	}
	s.guard, s.guardPipe = cmd, in

	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		err := s.ping(s)
		if err == nil {
			return nil
		}
		if !s.running() || time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("%s does not answer: %w\n%s", s.programs[0], err, log)
		}
	}
}

func pingDatabase(s *server) error {
	db := s.open(s.admin, s.port, "", direct)
	defer db.Close()
	return db.Ping()
}

// running reports whether the process exists.
func (s *server) running() bool { return s.pid != 0 && syscall.Kill(s.pid, 0) == nil }

// end sends the signal to the server only, and returns when the server has ended.
func (s *server) end(signal syscall.Signal) {
	_ = syscall.Kill(s.pid, signal)
	_ = s.guard.Wait()
	_ = s.guardPipe.Close()
	s.pid = 0
}

// stop ends the server. The test that calls it starts it again.
func (s *server) stop(t testing.TB, signal syscall.Signal) {
	t.Helper()
	t.Cleanup(func() {
		if !s.running() {
			require.NoError(t, s.start())
		}
	})
	s.end(signal)
}

// newDatabase creates an empty database on the server.
func (s *server) newDatabase(t testing.TB) string {
	t.Helper()
	s.databases++
	name := fmt.Sprintf("test%d", s.databases)
	exec := func(statement string) {
		db := s.open(s.admin, s.port, "", direct)
		defer db.Close()
		_, err := db.Exec(statement + name)
		require.NoError(t, err)
	}
	exec("CREATE DATABASE ")
	t.Cleanup(func() { exec("DROP DATABASE ") })
	return name
}

// guard runs a server until it ends. If the tests end first, because they panicked or
// were killed, guard ends the server and removes its directory.
func guard(dir, user string, command []string) {
	cmd := exec.Command(command[0], command[1:]...)
	log, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	if err = errors.Join(err, runAs(cmd, user)); err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(cmd.Process.Pid)
	go func() {
		_ = cmd.Wait()
		os.Exit(0)
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = cmd.Process.Kill()
	_ = os.RemoveAll(dir)
	os.Exit(0)
}

// runAs makes cmd run as the named user, which is another one only if this process is
// run by root.
func runAs(cmd *exec.Cmd, name string) error {
	c, err := credential(name)
	if err == nil && int(c.Uid) != os.Getuid() {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c}
	}
	return err
}

func credential(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(uidErr, gidErr)
}

// find looks for a program in PATH, and then where Debian installs those that are not
// in PATH, the newest version last.
func find(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	for _, path := range append([]string{"/usr/sbin/" + name, "/usr/local/sbin/" + name}, found...) {
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
			return path
		}
	}
	return ""
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
