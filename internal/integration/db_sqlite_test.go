//go:build unix

package integration_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
)

// busy_timeout bounds the wait for another writer, and a read waits for none.
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
