//go:build unix

package integration_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/sqlstore"
)

// patience is the time limit for what must end soon; no test waits for it to pass.
const patience = 30 * time.Second

// servers returns the kinds that have a server.
func servers() []kind { return plain()[1:] }

// lock locks the row of operateID for other writers, until commit is called.
func (d *database) lock(t testing.TB, operateID string) (commit func()) {
	t.Helper()
	tx, err := d.db.Begin()
	require.NoError(t, err)
	_, err = tx.Exec(d.sql(`UPDATE "screen_statuses" SET "conversationType" = 3 WHERE "operateId" = ?`), operateID)
	require.NoError(t, err)
	return func() { _ = tx.Commit() }
}

// waiting returns how many statements are waiting for a lock.
func (d *database) waiting(t testing.TB) int {
	t.Helper()
	if d.dialect == sqlstore.PostgreSQL {
		return d.count(t, `SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`)
	}
	return d.count(t, `SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'`)
}

func (d *database) awaitWaiting(t testing.TB, n int) {
	t.Helper()
	// InnoDB updates this table only after nobody has read it for 100 ms.
	require.Eventually(t, func() bool { return d.waiting(t) == n }, patience, 150*time.Millisecond)
}

func TestASetStopsWaitingForALockedRowWhenItsContextEnds(t *testing.T) {
	eachKind(t, servers(), func(t *testing.T, d *database) {
		s := d.store(t, nil)
		require.NoError(t, s.SetScreenCapture(t.Context(), group(7), misc.NoticeOff))
		defer d.lock(t, "7")()
		set := func(ctx context.Context) error { return s.SetScreenCapture(ctx, group(7), misc.NoticeOn) }
		ctx, cancel := context.WithCancel(t.Context())
		done := inBackground(func() error { return set(ctx) })
		d.awaitWaiting(t, 1)
		cancel()
		require.ErrorIs(t, inTime(t, done), context.Canceled)
		wantDeadlineExceeded(t, set)
	})
}

func TestACallStopsWaitingForALockedTableAtItsDeadline(t *testing.T) {
	eachKind(t, servers(), func(t *testing.T, d *database) {
		s := d.store(t, nil)
		conn, err := d.pool(t).Conn(t.Context())
		require.NoError(t, err)
		defer conn.Close()
		statements := []string{`LOCK TABLES friendships WRITE, group_members WRITE, screen_statuses WRITE`, `UNLOCK TABLES`}
		if d.dialect == sqlstore.PostgreSQL {
			statements = []string{`BEGIN; LOCK TABLE friendships, group_members, screen_statuses`, `COMMIT`}
		}
		_, err = conn.ExecContext(t.Context(), statements[0])
		require.NoError(t, err)
		defer func() { _, _ = conn.ExecContext(context.Background(), statements[1]) }()
		for _, call := range calls(s, 1) {
			wantDeadlineExceeded(t, call)
		}
	})
}

func wantDeadlineExceeded(t *testing.T, call func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, inTime(t, inBackground(func() error { return call(ctx) })), context.DeadlineExceeded)
}

func inBackground(call func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- call() }()
	return done
}

// inTime returns the error of a call, which must end soon.
func inTime(t *testing.T, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		t.Fatal("it is still waiting")
		return nil
	}
}

// The row is locked by a transaction that then waits for the set. The database chooses
// the set as the victim, since it has done less.
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
		done := inBackground(func() error { return s.SetScreenCapture(t.Context(), group(7), misc.NoticeOn) })
		d.awaitWaiting(t, 1)
		before := d.deadlocks(t)
		_, err = tx.Exec(`UPDATE screen_statuses SET conversationType = 3`) // reaches the row that the set has begun to write
		require.NoError(t, err, "the database gave up the other transaction, and this test proves nothing")
		require.Greater(t, d.deadlocks(t), before)
		require.NoError(t, tx.Commit())
		require.NoError(t, <-done)
		wantCaptures(t, s, map[misc.Conversation]misc.NoticeStatus{group(7): misc.NoticeOn})
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
		done := inBackground(func() error { return s.SetScreenCapture(t.Context(), group(7), misc.NoticeOn) })
		d.awaitWaiting(t, 1)
		commit()
		require.NoError(t, <-done)
		wantCaptures(t, s, map[misc.Conversation]misc.NoticeStatus{group(7): misc.NoticeOn})
	})
}

func TestSurvivesADatabaseServerThatIsStoppedOrKilledAndStartedAgain(t *testing.T) {
	eachKind(t, servers(), func(t *testing.T, d *database) {
		s := d.store(t, d.pool(t))
		ask := func(c misc.Conversation) error {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := s.SetScreenCapture(ctx, c, misc.NoticeOn); err != nil {
				return err
			}
			status, err := s.ScreenCapture(ctx, c)
			if err != nil || status != misc.NoticeOn {
				return fmt.Errorf("get: %d, %w", status, err)
			}
			for name, call := range calls(s, 1) {
				if err := call(ctx); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
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
		for _, signal := range []syscall.Signal{d.server.gracefully, syscall.SIGKILL} {
			atOnce(assert.NoError) // now there are idle connections with prepared statements
			d.server.stop(t, signal)
			atOnce(func(t assert.TestingT, err error, _ ...any) bool {
				return assert.ErrorContains(t, err, "sqlstore: ") && assert.NotErrorIs(t, err, context.DeadlineExceeded) && assert.NotErrorIs(t, err, misc.ErrInvalidID)
			})
			err := d.newError(t)
			require.ErrorContains(t, err, "sqlstore: look for the tables: ")
			require.NotContains(t, err.Error(), "screen_statuses", "a lost connection is not a missing table")
			require.NotContains(t, strings.ToUpper(err.Error()), "SELECT")
			require.Error(t, sqlstore.Migrate(t.Context(), d.db, d.dialect))
			require.NoError(t, d.server.start())
			atOnce(assert.NoError)
		}
	})
}

func wantCaptures(t *testing.T, s misc.ScreenCaptureStore, want map[misc.Conversation]misc.NoticeStatus) {
	t.Helper()
	for c, status := range want {
		got, err := s.ScreenCapture(t.Context(), c)
		require.NoError(t, err)
		require.Equal(t, status, got)
	}
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

// A server that is killed under load loses nothing that it has acknowledged.
func TestSurvivesKill9WithEverySetThatWasAcknowledged(t *testing.T) {
	const enough = 3000
	eachKind(t, servers(), func(t *testing.T, d *database) {
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
		d.server.stop(t, syscall.SIGKILL)
		done.Wait()
		require.NoError(t, d.server.start())
		wantCaptures(t, s, acknowledged)
	})
}
