//go:build unix

package integration_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/sqlstore"
)

// A deployment is a handler over a store that has one connection, so that settings of
// the connection apply to the store.
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

// wantSet sets the notice of alice and bob, or of the team, and checks the effects.
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
	lines := x.host.log.Take()
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

// A set that cannot be written is answered 500, and stored settings can still be read.
// No disk is really full here. Each database fails as it would then: SQLite has no page
// left, MariaDB has a full table in memory, and PostgreSQL raises the error.
func TestSurvivesADatabaseThatCannotWrite(t *testing.T) {
	for _, tt := range []struct {
		kind
		fault        string
		damage, mend []string
	}{
		{plain()[0], "read-only", []string{`PRAGMA query_only = 1`}, []string{`PRAGMA query_only = 0`}},
		{plain()[1], "read-only", []string{`SET default_transaction_read_only = on`}, []string{`SET default_transaction_read_only = off`}},
		{plain()[2], "read-only", []string{`SET GLOBAL read_only = 1`}, []string{`SET GLOBAL read_only = 0`}},
		{plain()[0], "full", []string{`PRAGMA max_page_count = 1`}, []string{`PRAGMA max_page_count = 4294967294`}},
		{plain()[1], "full", []string{`CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
				RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
			END$$`, `CREATE TRIGGER full_disk BEFORE INSERT ON screen_statuses FOR EACH ROW EXECUTE FUNCTION full_disk()`},
			[]string{`DROP TRIGGER full_disk ON screen_statuses`}},
		{plain()[2], "full", []string{`SET max_heap_table_size = 16384`, `ALTER TABLE screen_statuses ENGINE = MEMORY`},
			[]string{`ALTER TABLE screen_statuses ENGINE = InnoDB`}},
	} {
		t.Run(tt.name+", "+tt.fault, func(t *testing.T) {
			admin := newDatabase(t, tt.kind)
			d := *admin
			if d.dialect == sqlstore.MySQL { // root may write even then
				admin.db.SetMaxOpenConns(1)
				admin.exec(t, `CREATE USER writer`)
				t.Cleanup(func() { admin.exec(t, `DROP USER writer`) })
				admin.exec(t, `GRANT SELECT, INSERT, UPDATE ON *.* TO writer`)
				d.db = d.poolAs(t, "writer", direct)
			}
			x := newDeployment(t, &d)
			x.wantSet(t, withBob, "1", 200)
			for _, statement := range tt.damage {
				admin.exec(t, statement)
			}
			const enough = 10000
			n := uint32(1)
			for ; n < enough && x.store.SetScreenCapture(t.Context(), group(100+n), misc.NoticeOn) == nil; n++ {
			}
			require.Less(t, n, uint32(enough), "the disk is not full")
			x.wantSet(t, withTeam, "1", 500)
			x.wantSet(t, withTeam, "1", 500)
			for _, statement := range tt.mend {
				admin.exec(t, statement)
			}
			x.wantSet(t, withTeam, "1", 200)
			x.wantSet(t, withBob, "0", 200)
			require.NoError(t, x.store.SetScreenCapture(t.Context(), group(100+n), misc.NoticeOn))
			for i := range n {
				wantCaptures(t, x.store, map[misc.Conversation]misc.NoticeStatus{group(101 + i): misc.NoticeOn})
			}
		})
	}
}
