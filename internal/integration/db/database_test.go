//go:build unix

package db_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/internal/integration/servers"
	"github.com/sealtalk-go/misc/misctest"
)

func TestMain(m *testing.M) { servers.Main(m) }

type database struct{ *servers.Database }

func newDatabase(t testing.TB, k servers.Kind) *database {
	t.Helper()
	return &database{servers.NewDatabase(t, k)}
}

func eachKind(t *testing.T, kinds []servers.Kind, test func(t *testing.T, d *database)) {
	t.Helper()
	for _, k := range kinds {
		t.Run(k.Name, func(t *testing.T) { test(t, newDatabase(t, k)) })
	}
}

// withServer returns the plain kinds that have a server.
func withServer() []servers.Kind { return servers.Plain()[1:] }

func (d *database) count(t testing.TB, text string) (n int) {
	t.Helper()
	require.NoError(t, d.DB.QueryRow(d.SQL(text)).Scan(&n))
	return n
}

func pair(a, b uint32) misc.Conversation {
	return misc.PrivateConversation(misctest.ID(a), misctest.ID(b))
}

func group(n uint32) misc.Conversation { return misc.GroupConversation(misctest.ID(n)) }

func wantCaptures(t *testing.T, s misc.ScreenCaptureStore, want map[misc.Conversation]misc.NoticeStatus) {
	t.Helper()
	for c, status := range want {
		got, err := s.ScreenCapture(t.Context(), c)
		require.NoError(t, err)
		require.Equal(t, status, got, "%v", c)
	}
}
