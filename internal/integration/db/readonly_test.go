//go:build unix

package db_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sealtalk-go/misc/internal/integration/servers"
	"github.com/sealtalk-go/misc/internal/integration/testhost"
)

// The databases become read-only, and then writable, for new connections alone, as
// after a failover behind one address: those that are open stay as they are. MariaDB
// prepares no statement on such a connection, so there the server starts while all
// connections are read-only.
func TestTheServerStartsOnAReadOnlyDatabaseAndHealsWithoutARestart(t *testing.T) {
	server := servers.Build(t, "../../../examples/server")
	for _, c := range []struct {
		name                 string
		kind                 int
		prepare              []string // these statements have ME, ADDRESS, DATABASE and NOBODY in place of names
		atStart, later, undo string
		disconnect           string // all connections of the user
		dsn                  string
	}{
		{"MariaDB", 2,
			[]string{"CREATE USER ME", "GRANT ALL ON DATABASE.* TO ME"},
			"SET GLOBAL read_only = ON", "SET GLOBAL init_connect = 'SET SESSION TRANSACTION READ ONLY'", "SET GLOBAL init_connect = '', read_only = OFF",
			"KILL USER ME", "mysql:ME@tcp(ADDRESS)/DATABASE"},
		{"PostgreSQL, two hosts", 1,
			[]string{"CREATE ROLE ME LOGIN", "GRANT ALL ON ALL TABLES IN SCHEMA public TO ME"},
			"ALTER ROLE ME SET default_transaction_read_only = on", "ALTER ROLE ME SET default_transaction_read_only = on", "ALTER ROLE ME RESET default_transaction_read_only",
			"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'ME'", "postgres://ME@NOBODY,ADDRESS/DATABASE?sslmode=disable"},
		{"PostgreSQL, connections to any server", 1,
			[]string{"CREATE ROLE ME LOGIN", "GRANT ALL ON ALL TABLES IN SCHEMA public TO ME"},
			"ALTER ROLE ME SET default_transaction_read_only = on", "ALTER ROLE ME SET default_transaction_read_only = on", "ALTER ROLE ME RESET default_transaction_read_only",
			"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'ME'", "postgres://ME@ADDRESS/DATABASE?sslmode=disable&target_session_attrs=any"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := servers.NewDatabase(t, servers.Plain()[c.kind])
			names := strings.NewReplacer("ME", "failover_"+d.DBName, "ADDRESS", d.Server.Address(), "DATABASE", d.DBName, "NOBODY", servers.FreeAddress(t))
			run := func(statement string) { d.Exec(t, names.Replace(statement)) }
			for _, statement := range c.prepare {
				run(statement)
			}
			d.AddFriend(t, 1, 2, 20)
			address := servers.FreeAddress(t)
			ask := testhost.Client(t, address)
			set := func() int {
				status, _ := ask("POST", "/misc/set_screen_capture", `{"conversationType":1,"targetId":"z2mlAvb0c","noticeStatus":1}`)
				return status
			}
			heals := func() {
				testhost.Until(t, "it says that the database is read-only", func() bool {
					status, body := ask("GET", "/readyz", "")
					return status == 503 && strings.Contains(body, `"database":"read-only"`)
				})
				testhost.Until(t, "a set is refused", func() bool { return set() == 500 })
				status, _ := ask("GET", "/misc/latest_update?version=1.0.0", "")
				assert.Equal(t, 200, status, "the version endpoints work meanwhile")
				run(c.undo)
				testhost.Until(t, "a set is taken", func() bool { return set() == 200 })
				testhost.Until(t, "it is ready", func() bool {
					status, _ := ask("GET", "/readyz", "")
					return status == 200
				})
			}

			run(c.atStart)
			defer run(c.undo)
			env := []string{"MISC_ADDR=" + address, "MISC_VERSIONS=" + testhost.VersionFiles(t), "MISC_SEED=false", "MISC_DB=" + names.Replace(c.dsn)}
			check := exec.CommandContext(t.Context(), server, "-check")
			check.Env = append(os.Environ(), env...)
			findings, err := check.CombinedOutput()
			assert.Error(t, err)
			assert.Contains(t, string(findings), `level=ERROR msg=database error="sqlstore: check: the database takes no writes: `)
			p := servers.Start(t, address, t.TempDir(), server, env...)
			ask("POST", "/demo/login", `{"userId":1}`)
			testhost.Until(t, "it is told at the start", func() bool {
				return strings.Contains(p.Log.String(), `level=WARN msg="not ready" part=database error="sqlstore: check: the database takes no writes: `)
			})
			heals()
			run(c.later)
			run(c.disconnect)
			heals()
		})
	}
}
