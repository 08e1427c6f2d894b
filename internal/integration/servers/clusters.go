//go:build unix

package servers

import (
	_ "embed"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// MariaDB's own ways to copy the data need further programs, and some ten seconds.
//
//go:embed wsrep_sst_copy
var stateTransfer string

// NewGalera returns the nodes of a new Galera cluster, which write durably. Get starts
// the first one before another one.
func NewGalera(size int) []*Server {
	nodes := make([]*Server, size)
	for i := range nodes {
		s := &Server{Admin: MariaDB.Admin, Gracefully: MariaDB.Gracefully, programs: []string{"mariadbd", "mariadb-install-db", "libgalera_smm.so"},
			open: MariaDB.open, ping: pingNode, prepare: MariaDB.prepare}
		if i > 0 {
			s.after, s.prepare = nodes[0], nil
		}
		s.command = func(s *Server) []string { return galera(s, nodes) }
		nodes[i] = s
	}
	return nodes
}

func galera(s *Server, nodes []*Server) []string {
	// A node without data begins with an empty directory.
	_ = os.Mkdir(filepath.Join(s.dir, "data"), 0o700)
	s.write("wsrep_sst_copy", stateTransfer)
	var running []string
	for _, n := range nodes {
		if n != s && n.running() {
			running = append(running, "127.0.0.1:"+strconv.Itoa(n.peer))
		}
	}
	options := fmt.Sprintf("gmcast.listen_addr=tcp://127.0.0.1:%d;base_port=%d;ist.recv_addr=127.0.0.1:%d", s.peer, s.peer, s.transfer)
	return append(MariaDB.command(s), "--innodb-log-file-size=16M", "--binlog-format=ROW", "--innodb-autoinc-lock-mode=2",
		"--wsrep-on=ON", "--wsrep-provider="+s.program[2], "--wsrep-provider-options="+options, "--wsrep-node-address=127.0.0.1",
		"--wsrep-slave-threads=8", "--wsrep-sst-method=copy",
		"--wsrep-cluster-address=gcomm://"+strings.Join(running, ",")) // without others, it begins a cluster
}

// pingNode returns an error until the node has all data.
func pingNode(s *Server) error {
	db := s.open(s.Admin, s.port, "", nil)
	defer db.Close()
	var name, state string
	if err := db.QueryRow(`SHOW STATUS LIKE 'wsrep_local_state_comment'`).Scan(&name, &state); err != nil {
		return err
	}
	if state != "Synced" {
		return fmt.Errorf("the node is %s", state)
	}
	return nil
}

// NewPostgreSQL returns a PostgreSQL of its own, for a test that makes another one take
// over from it.
func NewPostgreSQL() *Server {
	return &Server{Admin: PostgreSQL.Admin, Gracefully: PostgreSQL.Gracefully, programs: PostgreSQL.programs,
		open: PostgreSQL.open, ping: PostgreSQL.ping, prepare: PostgreSQL.prepare, command: PostgreSQL.command, needsUser: true}
}

// NewStandby returns a PostgreSQL that copies the primary, which has been started, by way
// of an address.
func NewStandby(address string) *Server {
	s := NewPostgreSQL()
	s.programs = []string{"postgres", "pg_basebackup"}
	s.prepare = func(s *Server) []string {
		return []string{s.program[1], "--dbname=postgres://postgres@" + address + "/", "--pgdata=" + s.dir + "/data", "--write-recovery-conf",
			"--checkpoint=fast", "--no-sync"}
	}
	return s
}

// NewPgBouncer returns a PgBouncer in front of a PostgreSQL that has been started, with
// the lines for its section pgbouncer.
func NewPgBouncer(postgres *Server, lines string) *Server {
	return &Server{Admin: postgres.Admin, Gracefully: syscall.SIGTERM, programs: []string{"pgbouncer"}, open: postgres.open, ping: pingDatabase, needsUser: true,
		command: func(s *Server) []string {
			config := fmt.Sprintf("[databases]\n* = host=127.0.0.1 port=%d user=%s\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %d\n"+
				"unix_socket_dir =\nauth_type = any\nmax_client_conn = 400\n%s", postgres.port, postgres.Admin, s.port, lines)
			return []string{s.program[0], s.write("pgbouncer.ini", config)}
		}}
}

// NewHAProxy returns a HAProxy with a configuration that has %s in place of the address
// to listen on.
func NewHAProxy(config string) *Server {
	return &Server{Gracefully: syscall.SIGTERM, programs: []string{"haproxy"},
		ping: func(s *Server) error {
			conn, err := net.Dial("tcp", s.Address())
			if err == nil {
				_ = conn.Close()
			}
			return err
		},
		command: func(s *Server) []string {
			return []string{s.program[0], "-db", "-f", s.write("haproxy.cfg", strings.Replace(config, "%s", s.Address(), 1))}
		}}
}

// write writes a file that the server reads or runs, and returns its path.
func (s *Server) write(name, text string) string {
	path := filepath.Join(s.dir, name)
	_ = os.WriteFile(path, []byte(text), 0o755) // a server that lacks it does not start
	return path
}
