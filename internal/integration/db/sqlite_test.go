//go:build unix

package db_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/internal/integration/servers"
)

// busy_timeout limits the wait for another writer, and reads do not wait for writers.
func TestASetOnASQLiteFileThatStaysLockedIsAnErrorAndMayBeRepeated(t *testing.T) {
	d := newDatabase(t, servers.Plain()[0])
	s := d.Store(t, nil)
	require.NoError(t, s.SetScreenCapture(t.Context(), group(7), misc.NoticeOn))
	d.Exec(t, `PRAGMA busy_timeout = 50`) // on the one idle connection
	d.DB.SetMaxOpenConns(1)
	conn, err := d.Pool(t).Conn(t.Context())
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
