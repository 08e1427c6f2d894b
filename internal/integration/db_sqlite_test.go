//go:build unix

package integration_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
)

// busy_timeout limits the wait for another writer, and reads do not wait for writers.
func TestASetOnASQLiteFileThatStaysLockedIsAnErrorAndMayBeRepeated(t *testing.T) {
	d := newDatabase(t, plain()[0])
	s := d.store(t, nil)
	require.NoError(t, s.SetScreenCapture(t.Context(), group(7), misc.NoticeOn))
	d.exec(t, `PRAGMA busy_timeout = 50`) // on the one idle connection
	d.db.SetMaxOpenConns(1)
	conn, err := d.pool(t).Conn(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.ExecContext(t.Context(), `BEGIN IMMEDIATE`)
	require.NoError(t, err)
	require.ErrorContains(t, s.SetScreenCapture(t.Context(), group(7), misc.NoticeOff), "locked")
	got, err := s.ScreenCapture(t.Context(), group(7))
	require.NoError(t, err)
	require.Equal(t, misc.NoticeOn, got)
	_, err = conn.ExecContext(t.Context(), `ROLLBACK`)
	require.NoError(t, err)
	require.NoError(t, s.SetScreenCapture(t.Context(), group(7), misc.NoticeOff))
}

// If all connections of a pool waited for another writer, no read would be answered.
func TestSetsThatWaitForAnotherWriterOnSQLiteLeaveTheOthersAConnection(t *testing.T) {
	d := newDatabase(t, plain()[0])
	s := d.store(t, nil)
	d.db.SetMaxOpenConns(2)
	conn, err := d.pool(t).Conn(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.ExecContext(t.Context(), `BEGIN IMMEDIATE`)
	require.NoError(t, err)

	const sets = 6
	done := make(chan error, sets)
	for i := range uint32(sets) {
		go func() { done <- s.SetScreenCapture(t.Context(), group(i+1), misc.NoticeOn) }()
	}
	until(t, "one set waits in the database", func() bool { return d.db.Stats().InUse == 1 })
	got, err := s.ScreenCapture(t.Context(), group(1))
	require.NoError(t, err)
	require.Equal(t, misc.NoticeOff, got)
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, s.SetScreenCapture(short, group(100), misc.NoticeOn), context.DeadlineExceeded)

	_, err = conn.ExecContext(t.Context(), `ROLLBACK`)
	require.NoError(t, err)
	for range sets {
		require.NoError(t, <-done)
	}
	require.Equal(t, sets, d.count(t, `SELECT COUNT(*) FROM "screen_statuses" WHERE "status" = 1`))
}
