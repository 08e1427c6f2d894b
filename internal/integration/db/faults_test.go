//go:build unix

package db_test

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
	"github.com/sealtalk-go/misc/internal/integration/servers"
	"github.com/sealtalk-go/misc/internal/integration/testhost"
	"github.com/sealtalk-go/misc/sqlstore"
)

// lock changes the row of group 7, and so locks it for other writers, until commit is called.
func (d *database) lock(t *testing.T) (commit func()) {
	t.Helper()
	tx, err := d.DB.Begin()
	require.NoError(t, err)
	_, err = tx.Exec(d.SQL(`UPDATE "screen_statuses" SET "conversationType" = 4 WHERE "operateId" = '7'`))
	require.NoError(t, err)
	return func() { _ = tx.Commit() }
}

// awaitWaiting returns when a statement is waiting for a lock.
func (d *database) awaitWaiting(t *testing.T) {
	t.Helper()
	waiting := `SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'`
	if d.Dialect == sqlstore.PostgreSQL {
		waiting = `SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`
	}
	// InnoDB updates its table only after nobody has read it for 100 ms.
	require.Eventually(t, func() bool { return d.count(t, waiting) == 1 }, testhost.Patience, 150*time.Millisecond)
}

func TestASetStopsWaitingForALockedRowWhenItsContextEnds(t *testing.T) {
	eachKind(t, withServer(), func(t *testing.T, d *database) {
		s := d.Store(t, nil)
		require.NoError(t, s.SetScreenCapture(t.Context(), group(7), misc.NoticeOff))
		defer d.lock(t)()
		ctx, cancel := context.WithCancel(t.Context())
		done := setInBackground(ctx, s)
		d.awaitWaiting(t)
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	})
}

func setInBackground(ctx context.Context, s *sqlstore.Store) <-chan error {
	done := make(chan error, 1)
	go func() { done <- s.SetScreenCapture(ctx, group(7), misc.NoticeOn) }()
	return done
}

func TestACallStopsWaitingForALockedTableAtItsDeadline(t *testing.T) {
	eachKind(t, withServer(), func(t *testing.T, d *database) {
		s := d.Store(t, nil)
		conn, err := d.Pool(t).Conn(t.Context())
		require.NoError(t, err)
		defer conn.Close()
		statements := []string{`LOCK TABLES friendships WRITE, group_members WRITE, screen_statuses WRITE`, `UNLOCK TABLES`}
		if d.Dialect == sqlstore.PostgreSQL {
			statements = []string{`BEGIN; LOCK TABLE friendships, group_members, screen_statuses`, `COMMIT`}
		}
		_, err = conn.ExecContext(t.Context(), statements[0])
		require.NoError(t, err)
		defer func() { _, _ = conn.ExecContext(context.Background(), statements[1]) }()
		for _, call := range calls(s, 1) {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			require.ErrorIs(t, call(ctx), context.DeadlineExceeded)
			cancel()
		}
	})
}

// The row is locked by a transaction that then waits for the set. The database chooses
// the set as the victim, since it has done less.
func TestASetThatIsTheVictimOfADeadlockIsRepeated(t *testing.T) {
	eachKind(t, servers.Kinds()[2:], func(t *testing.T, d *database) {
		s := d.Store(t, d.Pool(t))
		for n := range uint32(20) {
			require.NoError(t, s.SetScreenCapture(t.Context(), group(n+1), misc.NoticeOff))
		}
		tx, err := d.DB.Begin()
		require.NoError(t, err)
		defer func() { _ = tx.Rollback() }()
		for n := range 20 {
			_, err = tx.Exec(`UPDATE screen_statuses SET conversationType = 4 WHERE operateId = ?`, strconv.Itoa(n+1))
			require.NoError(t, err)
		}
		done := setInBackground(t.Context(), s)
		d.awaitWaiting(t)
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

// MariaDB has snapshot isolation from 11.6.2 on unless it is switched off.
func TestASetIsRepeatedThatTheDatabaseCannotSerialize(t *testing.T) {
	eachKind(t, withServer(), func(t *testing.T, d *database) {
		if d.Dialect == sqlstore.PostgreSQL {
			d.Exec(t, `ALTER DATABASE `+d.DBName+` SET default_transaction_isolation = 'serializable'`)
		} else {
			d.Exec(t, `SET GLOBAL innodb_snapshot_isolation = 1, GLOBAL tx_isolation = 'SERIALIZABLE'`)
			defer d.Exec(t, `SET GLOBAL innodb_snapshot_isolation = 0, GLOBAL tx_isolation = DEFAULT`)
		}
		s := d.Store(t, d.Pool(t))
		require.NoError(t, s.SetScreenCapture(t.Context(), group(7), misc.NoticeOff))
		commit := d.lock(t)
		done := setInBackground(t.Context(), s)
		d.awaitWaiting(t)
		commit()
		require.NoError(t, <-done)
		wantCaptures(t, s, map[misc.Conversation]misc.NoticeStatus{group(7): misc.NoticeOn})
	})
}

func TestSurvivesADatabaseServerThatIsStoppedOrKilledAndStartedAgain(t *testing.T) {
	eachKind(t, withServer(), func(t *testing.T, d *database) {
		s := d.Store(t, d.Pool(t))
		ask := func(c misc.Conversation) error {
			ctx, cancel := context.WithTimeout(t.Context(), testhost.Patience)
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
		for _, signal := range []syscall.Signal{d.Server.Gracefully, syscall.SIGKILL} {
			atOnce(assert.NoError) // now there are idle connections with prepared statements
			d.Server.Stop(t, signal)
			atOnce(func(t assert.TestingT, err error, _ ...any) bool {
				return assert.ErrorContains(t, err, "sqlstore: ") && assert.NotErrorIs(t, err, context.DeadlineExceeded) && assert.NotErrorIs(t, err, misc.ErrInvalidID)
			})
			err := d.newError(t)
			require.ErrorContains(t, err, "sqlstore: look for the tables: ")
			require.NotContains(t, err.Error(), "screen_statuses", "a lost connection is not a missing table")
			require.NotContains(t, strings.ToUpper(err.Error()), "SELECT")
			require.Error(t, sqlstore.Migrate(t.Context(), d.DB, d.Dialect))
			d.Server.Start(t)
			atOnce(assert.NoError)
		}
	})
}

// A server that is killed under load loses nothing that it has acknowledged.
func TestSurvivesKill9WithEverySetThatWasAcknowledged(t *testing.T) {
	const enough = 3000
	eachKind(t, withServer(), func(t *testing.T, d *database) {
		s := d.Store(t, d.Pool(t))
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
		d.Server.Stop(t, syscall.SIGKILL)
		done.Wait()
		d.Server.Start(t)
		wantCaptures(t, s, acknowledged)
	})
}
