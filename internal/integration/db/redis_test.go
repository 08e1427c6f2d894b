//go:build unix

package db_test

import (
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/internal/integration/hosts/redisstore"
	"github.com/sealtalk-go/misc/internal/integration/servers"
	"github.com/sealtalk-go/misc/misctest"
)

// openRedis returns a store with its own connections, like that of each instance.
func openRedis(t *testing.T) *redisstore.Store {
	s := redisstore.New(redis.Options{Addr: servers.Redis.Get(t).Address()})
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func emptyRedis(t *testing.T) {
	c := redis.NewClient(&redis.Options{Addr: servers.Redis.Get(t).Address()})
	defer c.Close()
	require.NoError(t, c.FlushAll(t.Context()).Err())
}

func TestRedisStoreIsAScreenCaptureStore(t *testing.T) {
	emptyRedis(t)
	misctest.TestScreenCaptureStore(t, misctest.CaptureSuite{
		New:    func(t *testing.T) misc.ScreenCaptureStore { return openRedis(t) },
		Second: func(t *testing.T) misc.ScreenCaptureStore { return openRedis(t) },
		Break: func(t *testing.T) (mend func()) {
			servers.Redis.Stop(t, syscall.SIGKILL)
			return func() { servers.Redis.Start(t) }
		},
		OpaqueIDs: true,
	})
}
