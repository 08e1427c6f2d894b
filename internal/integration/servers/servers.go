//go:build unix

// Package servers starts what tests need outside their process: MariaDB, PostgreSQL
// and Redis with their databases, clusters of them, the proxies in front of them, and
// programs of this repository. Everything is on free ports of 127.0.0.1 and in temporary
// directories.
package servers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
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

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/stretchr/testify/require"
)

// A Server is shared by all tests of a package, unless a test makes one of its own. Tests
// that stop it start it again, and no test is parallel.
type Server struct {
	Admin      string         // a user with all privileges
	Gracefully syscall.Signal // ends it in the usual way

	programs  []string // their names, that of the server first
	open      func(user string, port int, database string, dial Dialer) *sql.DB
	ping      func(s *Server) error
	prepare   func(s *Server) []string // a command, nil if there is nothing to prepare
	command   func(s *Server) []string
	needsUser bool    // it refuses to run as root
	after     *Server // is started before

	once       sync.Once
	err        error // of setUp
	missing    string
	program    []string // the paths of programs
	dir        string
	port       int
	credential *syscall.Credential // of another user, nil for our own
	process    *os.Process
	ended      chan struct{}
	databases  int
	peer       int // a port for the other nodes of a cluster
	transfer   int // a port to get what a node has missed
}

var started []*Server // those that Main ends

// MariaDB writes durably, as it does by default.
var MariaDB = &Server{
	Admin:      "root",
	Gracefully: syscall.SIGTERM,
	programs:   []string{"mariadbd", "mariadb-install-db"},
	open:       openMariaDB,
	ping:       pingDatabase,
	prepare: func(s *Server) []string {
		// The user counts only for root. When a server starts, it removes the temporary files of all others in its tmpdir.
		return []string{s.program[1], "--no-defaults", "--datadir=" + s.dir + "/data", "--tmpdir=" + s.dir, "--user=root",
			"--auth-root-authentication-method=normal", "--skip-test-db"}
	},
	command: func(s *Server) []string {
		// With io_uring, the kernel may still write for a server that was killed while the next one recovers.
		return []string{s.program[0], "--no-defaults", "--innodb-use-native-aio=0", "--datadir=" + s.dir + "/data", "--tmpdir=" + s.dir, "--user=root",
			"--bind-address=127.0.0.1", "--port=" + strconv.Itoa(s.port), "--socket=" + s.dir + "/socket",
			"--pid-file=" + s.dir + "/pid", "--skip-name-resolve", "--max-connections=400", "--innodb-buffer-pool-size=64M"}
	},
}

// PostgreSQL runs with fsync=off.
var PostgreSQL = &Server{
	Admin:      "postgres",
	Gracefully: syscall.SIGINT, // SIGTERM would wait for the clients to disconnect
	programs:   []string{"postgres", "initdb"},
	open:       openPostgreSQL,
	ping:       pingDatabase,
	needsUser:  true,
	prepare: func(s *Server) []string {
		return []string{s.program[1], "--pgdata=" + s.dir + "/data", "--username=postgres", "--auth=trust",
			"--encoding=UTF8", "--locale=C", "--no-sync"}
	},
	command: func(s *Server) []string {
		return []string{s.program[0], "-D", s.dir + "/data", "-p", strconv.Itoa(s.port),
			"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=400", "-c", "fsync=off"}
	},
}

// Redis keeps every acknowledged write.
var Redis = &Server{
	Gracefully: syscall.SIGTERM,
	programs:   []string{"redis-server"},
	ping: func(s *Server) error {
		c := redis.NewClient(&redis.Options{Addr: s.Address()})
		defer c.Close()
		return c.Ping(context.Background()).Err()
	},
	command: func(s *Server) []string {
		return []string{s.program[0], "--bind", "127.0.0.1", "--port", strconv.Itoa(s.port), "--dir", s.dir, "--save", "",
			"--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"}
	},
}

// Main runs the tests of a package, and then ends the servers that they have started.
// A package that uses a Server calls it in TestMain.
func Main(m *testing.M) {
	logging.Disable() // go-redis would report each connection that it cannot make
	code := m.Run()
	for _, s := range started {
		if s.running() {
			s.end(s.Gracefully)
		}
		_ = os.RemoveAll(s.dir)
	}
	os.Exit(code)
}

// Get starts the server if no test has done so yet. If it is not installed, the test is
// skipped, or fails if the environment variable CI is true.
func (s *Server) Get(t testing.TB) *Server {
	t.Helper()
	if s.after != nil {
		s.after.Get(t)
	}
	s.once.Do(func() { s.err = s.setUp() })
	if s.missing != "" {
		NotInstalled(t, s.missing, "mariadb-server galera-4 postgresql pgbouncer haproxy redis-server")
	}
	require.NoError(t, s.err)
	return s
}

// NotInstalled skips a test for which a program is missing, or fails it if the
// environment variable CI is true.
func NotInstalled(t testing.TB, program, packages string) {
	t.Helper()
	text := program + " is not installed; on Debian: apt-get install " + packages
	if os.Getenv("CI") == "true" {
		t.Fatal(text)
	}
	t.Skip(text)
}

// Address returns the address that the server listens on.
func (s *Server) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// PID returns the number of the process.
func (s *Server) PID() int { return s.process.Pid }

// Answers reports whether the server answers; a node of a cluster, whether it has all data.
func (s *Server) Answers() bool { return s.ping(s) == nil }

func (s *Server) setUp() error {
	for _, name := range s.programs {
		path := Find(name)
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
	started = append(started, s)
	if s.needsUser && os.Getuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			u, err = user.Lookup("nobody")
		}
		if err != nil {
			return err
		}
		uid, uidErr := strconv.Atoi(u.Uid)
		gid, gidErr := strconv.Atoi(u.Gid)
		if err := errors.Join(uidErr, gidErr, os.Chown(s.dir, uid, gid)); err != nil {
			return err
		}
		s.credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	if s.prepare != nil {
		cmd := s.cmd(s.prepare(s))
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", cmd.Path, err, out)
		}
	}
	for _, port := range []*int{&s.port, &s.peer, &s.transfer} {
		if *port, err = freePort(); err != nil {
			return err
		}
	}
	return s.start()
}

func (s *Server) cmd(command []string) *exec.Cmd {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir, cmd.SysProcAttr = s.dir, endsWithParent()
	cmd.Env = append(os.Environ(), "PATH="+s.dir+":"+os.Getenv("PATH"))
	cmd.SysProcAttr.Credential = s.credential
	return cmd
}

// Start starts the server again, after Stop.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	require.NoError(t, s.start())
}

// start returns when the server answers. One that was killed may leave processes that
// end a moment later; until then, PostgreSQL refuses to start.
func (s *Server) start() (err error) {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if !s.running() {
			cmd := s.cmd(s.command(s))
			cmd.Stdout, cmd.Stderr = log, log
			if err := cmd.Start(); err != nil {
				return err
			}
			s.process, s.ended = cmd.Process, make(chan struct{})
			go func(ended chan struct{}) {
				_ = cmd.Wait()
				close(ended)
			}(s.ended)
		}
		if err = s.ping(s); err == nil {
			return nil
		}
	}
	text, _ := os.ReadFile(log.Name())
	return fmt.Errorf("%s does not answer: %w\n%s", s.programs[0], err, text)
}

func pingDatabase(s *Server) error {
	db := s.open(s.Admin, s.port, "", nil)
	defer db.Close()
	return db.Ping()
}

func (s *Server) running() bool {
	if s.process == nil {
		return false
	}
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// end returns when the server has ended.
func (s *Server) end(signal syscall.Signal) {
	_ = s.process.Signal(signal)
	<-s.ended
}

// Stop sends the signal to the server, and returns when it has ended. The test that
// calls Stop starts it again.
func (s *Server) Stop(t testing.TB, signal syscall.Signal) {
	t.Helper()
	t.Cleanup(func() {
		if !s.running() {
			s.Start(t)
		}
	})
	s.end(signal)
}

// newDatabase creates an empty database on the server.
func (s *Server) newDatabase(t testing.TB) string {
	t.Helper()
	s.databases++
	name := fmt.Sprintf("test%d", s.databases)
	exec := func(statement string) {
		db := s.open(s.Admin, s.port, "", nil)
		defer db.Close()
		_, err := db.Exec(statement + name)
		require.NoError(t, err)
	}
	exec("CREATE DATABASE ")
	t.Cleanup(func() { exec("DROP DATABASE ") })
	return name
}

// Find looks for a program in PATH, and then where Debian installs those that are not
// in PATH, the newest version last, and the library of Galera. It returns an empty string
// if there is none.
func Find(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	for _, path := range append([]string{"/usr/sbin/" + name, "/usr/local/sbin/" + name, "/usr/lib/galera/" + name}, found...) {
		if info, err := os.Stat(path); err == nil && (info.Mode()&0o111 != 0 || filepath.Ext(name) == ".so") {
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
