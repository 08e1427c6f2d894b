//go:build unix

package integration_test

import (
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/sqlstore"
)

// A deployment is a handler over a store that has one connection, so that what
// is set for the connection holds for the store.
type deployment struct {
	*database
	store *sqlstore.Store
	host  *host
	serve http.Handler
}

func newDeployment(t *testing.T, d *database) *deployment {
	t.Helper()
	d.db.SetMaxOpenConns(1)
	d.addFriend(t, 1, 2, 20)
	d.addMember(t, 3, 1, 0)
	x := &deployment{database: d, store: d.store(t, nil), host: newHost(t)}
	x.host.misc.Captures, x.host.misc.Relations = x.store, x.store
	x.serve = x.host.handler(t)
	return x
}

func (x *deployment) post(t *testing.T, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	w, r := httptest.NewRecorder(), asAlice(t.Context(), "POST", "/misc/"+path, body)
	x.serve.ServeHTTP(w, r)
	wantDocumented(t, r, w, path)
	return w
}

// wantSet sets the notice of alice and bob, or of the team, and looks at what
// that has done.
func (x *deployment) wantSet(t *testing.T, target, noticeStatus string, status int) {
	t.Helper()
	rows := x.count(t, `SELECT COUNT(*) FROM "screen_statuses"`)
	before := x.post(t, "get_screen_capture", `{`+target+`}`)
	require.Equal(t, 200, before.Code, before.Body)
	sent := len(x.delivered())
	w := x.post(t, "set_screen_capture", `{`+target+`,"noticeStatus":`+noticeStatus+`}`)
	require.Equal(t, status, w.Code, w.Body)
	after := x.post(t, "get_screen_capture", `{`+target+`}`)
	require.Equal(t, 200, after.Code, after.Body)
	lines := x.host.log.take()
	if status == 200 {
		require.Equal(t, `{"code":200,"result":{"status":`+noticeStatus+`}}`, after.Body.String())
		require.Len(t, x.delivered(), sent+1)
		require.Empty(t, lines)
		return
	}
	require.Equal(t, `{"code":500,"message":"internal error"}`, w.Body.String())
	require.Equal(t, before.Body.String(), after.Body.String())
	require.Equal(t, rows, x.count(t, `SELECT COUNT(*) FROM "screen_statuses"`))
	require.Len(t, x.delivered(), sent, "a notice of what is not stored")
	require.Len(t, lines, 1)
	require.Contains(t, lines[0], "level=ERROR")
}

func (x *deployment) delivered() []misc.Message {
	return x.host.misc.Messenger.(*misctest.Messenger).Delivered()
}

var (
	withBob  = `"conversationType":1,"targetId":"` + bob + `"`
	withTeam = `"conversationType":3,"targetId":"` + team + `"`
)

// What cannot be written is answered 500, and what was stored is still read.
func TestSurvivesAReadOnlyDatabase(t *testing.T) {
	for _, k := range plain() {
		t.Run(k.name, func(t *testing.T) {
			d := newDatabase(t, k)
			readOnly := map[sqlstore.Dialect][2]string{
				sqlstore.SQLite:     {`PRAGMA query_only = 1`, `PRAGMA query_only = 0`},
				sqlstore.PostgreSQL: {`SET default_transaction_read_only = on`, `SET default_transaction_read_only = off`},
				sqlstore.MySQL:      {`SET GLOBAL read_only = 1`, `SET GLOBAL read_only = 0`},
			}[d.dialect]
			admin := d
			if d.dialect == sqlstore.MySQL { // root may write all the same
				reader := *d
				d.exec(t, `CREATE USER reader`)
				t.Cleanup(func() { admin.exec(t, `DROP USER reader`) })
				d.exec(t, `GRANT SELECT, INSERT, UPDATE ON *.* TO reader`)
				reader.db = d.poolAs(t, "reader", direct)
				d = &reader
			}
			x := newDeployment(t, d)
			x.wantSet(t, withBob, "1", 200)
			admin.exec(t, readOnly[0])
			t.Cleanup(func() { admin.exec(t, readOnly[1]) })
			x.wantSet(t, withBob, "0", 500)
			x.wantSet(t, withTeam, "1", 500)
			admin.exec(t, readOnly[1])
			x.wantSet(t, withBob, "0", 200)
			x.wantSet(t, withTeam, "1", 200)
		})
	}
}

func TestSurvivesASQLiteFileThatIsOpenedReadOnly(t *testing.T) {
	d := newDatabase(t, plain()[0])
	x := newDeployment(t, d)
	x.wantSet(t, withBob, "1", 200)
	reader := *d
	var err error
	reader.db, err = sql.Open("sqlite", "file:"+d.file+"?mode=ro")
	require.NoError(t, err)
	t.Cleanup(func() { _ = reader.db.Close() })
	r := &deployment{database: &reader, store: reader.store(t, nil), host: newHost(t)}
	r.host.misc.Captures, r.host.misc.Relations = r.store, r.store
	r.serve = r.host.handler(t)
	r.wantSet(t, withBob, "0", 500)
	r.wantSet(t, withTeam, "1", 500)
	x.wantSet(t, withTeam, "1", 200)
	require.Equal(t, `{"code":200,"result":{"status":1}}`, r.post(t, "get_screen_capture", `{`+withTeam+`}`).Body.String())
}

// SQLite is held to the pages it has. A server has the table in a file system
// of its own, with no room left, and where the tests may not mount one, what
// the server does when there is none: MariaDB with a full table in memory,
// PostgreSQL with an error that is raised.
func TestSurvivesAFullDisk(t *testing.T) {
	for _, k := range plain() {
		t.Run(k.name, func(t *testing.T) {
			d := newDatabase(t, k)
			fill, makeRoom := d.smallDisk(t)
			x := newDeployment(t, d)
			x.wantSet(t, withBob, "1", 200)
			fill()
			const enough = 10000
			n := uint32(1)
			for ; n < enough && x.store.SetScreenCapture(t.Context(), group(100+n), misc.NoticeOn) == nil; n++ {
			}
			require.Less(t, n, uint32(enough), "the disk is not full")
			x.wantSet(t, withTeam, "1", 500)
			x.wantSet(t, withTeam, "1", 500)
			makeRoom()
			x.wantSet(t, withTeam, "1", 200)
			x.wantSet(t, withBob, "0", 200)
			require.NoError(t, x.store.SetScreenCapture(t.Context(), group(100+n), misc.NoticeOn))
			for i := range n {
				got, err := x.store.ScreenCapture(t.Context(), group(100+i+1))
				require.NoError(t, err)
				require.Equal(t, i+1 <= n, got == misc.NoticeOn)
			}
		})
	}
}

// smallDisk gives screen_statuses a disk that can be filled, or what comes
// closest.
func (d *database) smallDisk(t *testing.T) (fill, makeRoom func()) {
	t.Helper()
	if d.server == nil {
		fill = func() { d.count(t, `PRAGMA max_page_count = 1`) } // no lower than there are
		return fill, func() { d.count(t, `PRAGMA max_page_count = 4294967294`) }
	}
	dir, mounted := d.server.mount(t)
	switch {
	case d.dialect == sqlstore.MySQL && mounted:
		schema, err := sqlstore.Schema(d.dialect)
		require.NoError(t, err)
		d.exec(t, `DROP TABLE screen_statuses`)
		d.exec(t, schema[0]+` DATA DIRECTORY='`+dir+`'`)
		t.Cleanup(func() { d.exec(t, `DROP TABLE screen_statuses`) })
	case d.dialect == sqlstore.MySQL:
		fill = func() {
			d.exec(t, `SET max_heap_table_size = 16384`)
			d.exec(t, `ALTER TABLE screen_statuses ENGINE = MEMORY`)
		}
		return fill, func() { d.exec(t, `ALTER TABLE screen_statuses ENGINE = InnoDB`) }
	case mounted:
		d.exec(t, `CREATE TABLESPACE small LOCATION '`+dir+`'`)
		d.exec(t, `ALTER TABLE screen_statuses SET TABLESPACE small`)
		t.Cleanup(func() {
			d.exec(t, `DROP TABLE screen_statuses`)
			d.exec(t, `DROP TABLESPACE small`)
		})
	default:
		fill = func() {
			d.exec(t, `CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
				RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
			END$$`)
			d.exec(t, `CREATE TRIGGER full_disk BEFORE INSERT ON screen_statuses FOR EACH ROW EXECUTE FUNCTION full_disk()`)
		}
		return fill, func() { d.exec(t, `DROP TRIGGER full_disk ON screen_statuses`) }
	}
	ballast := filepath.Join(dir, "ballast")
	fill = func() {
		err := os.WriteFile(ballast, make([]byte, diskSize), 0o600)
		require.ErrorIs(t, err, syscall.ENOSPC)
	}
	return fill, func() { require.NoError(t, os.Remove(ballast)) }
}

const diskSize = 4 << 20

// mount gives the server a file system of diskSize bytes, and reports whether
// that is allowed here.
func (s *server) mount(t *testing.T) (_ string, allowed bool) {
	t.Helper()
	dir, err := os.MkdirTemp(s.dir, "disk-") // where its user may go
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.Remove(dir)) })
	u, err := user.Lookup(s.user)
	require.NoError(t, err)
	options := fmt.Sprintf("size=%d,mode=0700,uid=%s", diskSize, u.Uid)
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", options, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Logf("no file system of its own: %v: %s", err, out)
		return "", false
	}
	t.Cleanup(func() { require.NoError(t, exec.Command("umount", "-l", dir).Run()) })
	return dir, true
}
