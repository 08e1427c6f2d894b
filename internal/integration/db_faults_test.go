//go:build unix

package integration_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/n3d"
	"github.com/sealtalk-go/misc/sqlstore"
)

// patience is a limit on what must end soon; nothing waits for it to pass.
const patience = 30 * time.Second

// servers are the kinds that have one.
func servers() []kind { return plain()[1:] }

// lock locks the row of c for other writers, until the function it returns.
func (d *database) lock(t testing.TB, operateID string) (commit func()) {
	t.Helper()
	tx, err := d.db.Begin()
	require.NoError(t, err)
	_, err = tx.Exec(d.sql(`UPDATE "screen_statuses" SET "conversationType" = 3 WHERE "operateId" = ?`), operateID)
	require.NoError(t, err)
	return func() { _ = tx.Commit() }
}

// waiting is how many statements wait for a lock.
func (d *database) waiting(t testing.TB) int {
	t.Helper()
	if d.dialect == sqlstore.PostgreSQL {
		return d.count(t, `SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`)
	}
	return d.count(t, `SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'`)
}

func (d *database) awaitWaiting(t testing.TB, n int) {
	t.Helper()
	// MariaDB refreshes its list once nobody has read it for a tenth of a second.
	require.Eventually(t, func() bool { return d.waiting(t) == n }, patience, 200*time.Millisecond)
}

func TestACancelledSetStopsWaitingForALockedRow(t *testing.T) {
	eachKind(t, servers(), func(t *testing.T, d *database) {
		s := d.store(t, d.pool(t))
		require.NoError(t, s.SetScreenCapture(t.Context(), group(7), misc.NoticeOff))
		defer d.lock(t, "7")()

		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- s.SetScreenCapture(ctx, group(7), misc.NoticeOn) }()
		d.awaitWaiting(t, 1)
		cancel()
		select {
		case err := <-done:
			require.ErrorIs(t, err, context.Canceled)
		case <-time.After(patience):
			t.Fatal("the set is still waiting")
		}
	})
}

func TestASetStopsWaitingForALockedRowAtItsDeadline(t *testing.T) {
	eachKind(t, servers(), func(t *testing.T, d *database) {
		s := d.store(t, d.pool(t))
		require.NoError(t, s.SetScreenCapture(t.Context(), group(7), misc.NoticeOff))
		defer d.lock(t, "7")()
		wantDeadlineExceeded(t, func(ctx context.Context) error {
			return s.SetScreenCapture(ctx, group(7), misc.NoticeOn)
		})
	})
}

func TestAQuestionStopsWaitingForALockedTableAtItsDeadline(t *testing.T) {
	eachKind(t, servers(), func(t *testing.T, d *database) {
		s := d.store(t, d.pool(t))
		conn, err := d.db.Conn(t.Context())
		require.NoError(t, err)
		defer conn.Close()
		statements := []string{`LOCK TABLES friendships WRITE, group_members WRITE, screen_statuses WRITE`, `UNLOCK TABLES`}
		if d.dialect == sqlstore.PostgreSQL {
			statements = []string{`BEGIN; LOCK TABLE friendships, group_members, screen_statuses`, `COMMIT`}
		}
		_, err = conn.ExecContext(t.Context(), statements[0])
		require.NoError(t, err)
		defer func() { _, _ = conn.ExecContext(context.Background(), statements[1]) }()

		wantDeadlineExceeded(t, func(ctx context.Context) error {
			_, err := s.ScreenCapture(ctx, group(7))
			return err
		})
		wantDeadlineExceeded(t, func(ctx context.Context) error {
			_, err := s.AreFriends(ctx, misctest.ID(1), misctest.ID(2))
			return err
		})
		wantDeadlineExceeded(t, func(ctx context.Context) error {
			_, err := s.IsGroupMember(ctx, misctest.ID(1), misctest.ID(2))
			return err
		})
		wantDeadlineExceeded(t, func(ctx context.Context) error {
			_, _, err := s.RelatedScreenCapture(ctx, misctest.ID(1), group(7))
			return err
		})
	})
}

func wantDeadlineExceeded(t *testing.T, ask func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- ask(ctx) }()
	select {
	case err := <-done:
		require.ErrorIs(t, err, context.DeadlineExceeded)
	case <-time.After(patience):
		t.Fatal("it is still waiting")
	}
}

// The row is locked by a transaction that goes on to wait for the set: the
// database gives up the set, which has done less.
func TestASetThatIsTheVictimOfADeadlockIsRepeated(t *testing.T) {
	eachKind(t, kinds()[2:], func(t *testing.T, d *database) {
		s := d.store(t, d.pool(t))
		for n := range uint32(20) {
			require.NoError(t, s.SetScreenCapture(t.Context(), group(n+1), misc.NoticeOff))
		}
		tx, err := d.db.Begin()
		require.NoError(t, err)
		defer func() { _ = tx.Rollback() }()
		for n := range 20 {
			_, err = tx.Exec(`UPDATE screen_statuses SET conversationType = 4 WHERE operateId = ?`, strconv.Itoa(n+1))
			require.NoError(t, err)
		}
		done := make(chan error, 1)
		go func() { done <- s.SetScreenCapture(t.Context(), group(7), misc.NoticeOn) }()
		d.awaitWaiting(t, 1)
		before := d.deadlocks(t)
		_, err = tx.Exec(`UPDATE screen_statuses SET conversationType = 3`) // meets the row that the set has begun
		require.NoError(t, err, "the database gave up the other transaction, and this test proves nothing")
		require.Greater(t, d.deadlocks(t), before)
		require.NoError(t, tx.Commit())
		require.NoError(t, <-done)
		got, err := s.ScreenCapture(t.Context(), group(7))
		require.NoError(t, err)
		require.Equal(t, misc.NoticeOn, got)
	})
}

func (d *database) deadlocks(t *testing.T) int {
	t.Helper()
	return d.count(t, `SELECT variable_value FROM information_schema.global_status WHERE variable_name = 'INNODB_DEADLOCKS'`)
}

func TestASetIsRepeatedThatPostgreSQLCannotSerialize(t *testing.T) {
	eachKind(t, plain()[1:2], func(t *testing.T, d *database) {
		d.exec(t, `ALTER DATABASE `+d.name+` SET default_transaction_isolation = 'serializable'`)
		s := d.store(t, d.pool(t))
		require.NoError(t, s.SetScreenCapture(t.Context(), group(7), misc.NoticeOff))
		commit := d.lock(t, "7")
		done := make(chan error, 1)
		go func() { done <- s.SetScreenCapture(t.Context(), group(7), misc.NoticeOn) }()
		d.awaitWaiting(t, 1)
		commit()
		require.NoError(t, <-done)
		got, err := s.ScreenCapture(t.Context(), group(7))
		require.NoError(t, err)
		require.Equal(t, misc.NoticeOn, got)
	})
}

func TestSurvivesADatabaseServerThatIsStoppedAndStartedAgain(t *testing.T) {
	eachKind(t, servers(), func(t *testing.T, d *database) {
		d.addFriend(t, 1, 2, 20)
		d.addMember(t, 3, 1, 0)
		s := d.store(t, d.pool(t))
		ask := func(c misc.Conversation) error {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := s.SetScreenCapture(ctx, c, misc.NoticeOn); err != nil {
				return fmt.Errorf("set: %w", err)
			}
			status, err := s.ScreenCapture(ctx, c)
			if err != nil || status != misc.NoticeOn {
				return fmt.Errorf("get: %d, %w", status, err)
			}
			friends, err := s.AreFriends(ctx, misctest.ID(1), misctest.ID(2))
			if err != nil || !friends {
				return fmt.Errorf("friends: %v, %w", friends, err)
			}
			member, err := s.IsGroupMember(ctx, misctest.ID(1), misctest.ID(3))
			if err != nil || !member {
				return fmt.Errorf("member: %v, %w", member, err)
			}
			friends, status, err = s.RelatedScreenCapture(ctx, misctest.ID(1), pair(1, 2))
			if err != nil || !friends || status != misc.NoticeOff {
				return fmt.Errorf("friends and get: %v, %d, %w", friends, status, err)
			}
			return nil
		}
		atOnce := func(want assert.ErrorAssertionFunc) {
			var done sync.WaitGroup
			for n := range uint32(20) {
				done.Go(func() { want(t, ask(group(n+1))) })
			}
			done.Wait()
		}
		noError := func(t assert.TestingT, err error, _ ...any) bool { return assert.NoError(t, err) }

		atOnce(noError) // now there are idle connections with prepared statements
		d.server.stop(t)
		atOnce(func(t assert.TestingT, err error, _ ...any) bool {
			return assert.Error(t, err) && assert.NotErrorIs(t, err, context.DeadlineExceeded) && assert.NotErrorIs(t, err, misc.ErrInvalidID)
		})
		d.server.restart(t)
		atOnce(noError)
	})
}

// Clients that switch the notices of a group each are answered 500 while the
// server is away and 200 when it is back, and read what was acknowledged last.
func TestSurvivesADatabaseServerThatIsKilledUnderLoad(t *testing.T) {
	const clients, plenty = 16, 50
	eachKind(t, servers(), func(t *testing.T, d *database) {
		h := newHost(t)
		s := d.store(t, d.pool(t))
		h.misc.Captures, h.misc.Relations = s, s
		serve := h.handler(t)
		post := func(path string, n uint32, fields string) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			body := `{"conversationType":3,"targetId":"` + misctest.ID(n) + `"` + fields + `}`
			serve.ServeHTTP(w, asAlice(t.Context(), "POST", "/misc/"+path, body))
			return w
		}
		var busy, refused, done sync.WaitGroup
		back := make(chan struct{})
		for n := range uint32(clients) {
			d.addMember(t, n+1, 1, 0)
			busy.Add(1)
			refused.Add(1)
			done.Go(func() {
				on := 0
				set := func() int {
					w := post("set_screen_capture", n+1, `,"noticeStatus":`+strconv.Itoa(1-on))
					if w.Code == 200 {
						on = 1 - on
					}
					return w.Code
				}
				for range plenty {
					assert.Equal(t, 200, set())
				}
				busy.Done()
				code := 200
				for code == 200 {
					code = set()
				}
				assert.Equal(t, 500, code)
				assert.Equal(t, 500, post("get_screen_capture", n+1, "").Code)
				refused.Done()
				<-back
				// The set that was under way may have been stored or not.
				assert.Contains(t, []string{`{"code":200,"result":{"status":0}}`, `{"code":200,"result":{"status":1}}`},
					post("get_screen_capture", n+1, "").Body.String())
				for range plenty {
					assert.Equal(t, 200, set())
				}
				assert.Equal(t, `{"code":200,"result":{"status":`+strconv.Itoa(on)+`}}`, post("get_screen_capture", n+1, "").Body.String())
			})
		}
		busy.Wait()
		d.server.kill(t)
		refused.Wait()
		for _, line := range h.log.take() {
			require.Contains(t, line, "sqlstore: ")
		}
		d.server.restart(t)
		close(back)
		done.Wait()
		require.Empty(t, h.log.take())
	})
}

func TestSurvivesIdleConnectionsThatMariaDBHasClosed(t *testing.T) {
	eachKind(t, plain()[2:], func(t *testing.T, d *database) {
		d.exec(t, `SET GLOBAL wait_timeout = 1`) // seconds, for connections made from now on
		t.Cleanup(func() { d.exec(t, `SET GLOBAL wait_timeout = DEFAULT`) })
		db := d.pool(t)
		s := d.store(t, db)
		for range 2 {
			var done sync.WaitGroup
			for n := range uint32(10) {
				done.Go(func() { assert.NoError(t, s.SetScreenCapture(t.Context(), group(n+1), misc.NoticeOn)) })
			}
			done.Wait()
			require.NotZero(t, db.Stats().Idle)
			require.Eventually(t, func() bool {
				return d.count(t, `SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()`) == 0
			}, patience, 20*time.Millisecond)
		}
		got, err := s.ScreenCapture(t.Context(), group(1))
		require.NoError(t, err)
		require.Equal(t, misc.NoticeOn, got)
	})
}

// A killed server, or with SQLite a killed process of the host, loses nothing
// that it has acknowledged.
func TestSurvivesKill9WithEverySetThatWasAcknowledged(t *testing.T) {
	const enough = 3000
	t.Run("SQLite", func(t *testing.T) {
		d := newDatabase(t, plain()[0])
		cmd := exec.Command(os.Args[0], d.file)
		cmd.Env = append(os.Environ(), childEnv+"=sqlite")
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		acknowledged := make(map[misc.Conversation]misc.NoticeStatus)
		for {
			var a, b uint32
			if n, _ := fmt.Fscanln(out, &a, &b); n != 2 {
				break
			}
			acknowledged[pair(a, b)] = misc.NoticeOn
			if len(acknowledged) == enough {
				require.NoError(t, cmd.Process.Signal(syscall.SIGKILL))
			}
		}
		require.ErrorContains(t, cmd.Wait(), "killed")
		require.GreaterOrEqual(t, len(acknowledged), enough)
		wantCaptures(t, d.store(t, nil), acknowledged)
	})
	for _, k := range servers() {
		t.Run(k.name, func(t *testing.T) {
			d := newDatabase(t, k)
			s := d.store(t, d.pool(t))
			acknowledged := make(map[misc.Conversation]misc.NoticeStatus)
			var mu sync.Mutex
			var done sync.WaitGroup
			plenty := make(chan struct{})
			for w := range uint32(16) {
				done.Go(func() {
					for n := uint32(1); ; n++ {
						c := pair(w+1, 100+n)
						if s.SetScreenCapture(t.Context(), c, misc.NoticeOn) != nil {
							return // the server is gone
						}
						mu.Lock()
						acknowledged[c] = misc.NoticeOn
						if len(acknowledged) == enough {
							close(plenty)
						}
						mu.Unlock()
					}
				})
			}
			<-plenty
			d.server.kill(t)
			done.Wait()
			d.server.restart(t)
			wantCaptures(t, s, acknowledged)
		})
	}
}

func wantCaptures(t *testing.T, s *sqlstore.Store, want map[misc.Conversation]misc.NoticeStatus) {
	t.Helper()
	for c, status := range want {
		got, err := s.ScreenCapture(t.Context(), c)
		require.NoError(t, err)
		require.Equal(t, status, got)
	}
}

// setUntilKilled is the child of the test above: it tells of each set once it
// is acknowledged.
func setUntilKilled(file string) {
	c, err := n3d.New(misctest.Key)
	if err != nil {
		panic(err)
	}
	s, err := sqlstore.New(context.Background(), openSQLite(file), sqlstore.SQLite, sqlstore.Config{Codec: c})
	if err != nil {
		panic(err)
	}
	for n := uint32(1); ; n++ {
		if err := s.SetScreenCapture(context.Background(), pair(n, n+1), misc.NoticeOn); err != nil {
			panic(err)
		}
		fmt.Println(n, n+1)
	}
}

func TestNewOnALostConnectionDoesNotReportMissingTables(t *testing.T) {
	eachKind(t, servers(), func(t *testing.T, d *database) {
		d.server.stop(t)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		_, err := sqlstore.New(ctx, d.db, d.dialect, sqlstore.Config{Codec: codec(t)})
		require.ErrorContains(t, err, "sqlstore: look for the tables: ")
		require.NotContains(t, err.Error(), "screen_statuses")
		require.NotContains(t, strings.ToUpper(err.Error()), "SELECT")
		require.Error(t, sqlstore.Migrate(ctx, d.db, d.dialect))
		d.server.restart(t)
	})
}
