//go:build unix

package integration_test

import (
	"bufio"
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/internal/integration/hosts/redisstore"
	"github.com/sealtalk-go/misc/misctest"
)

var redisServer = server{
	programs: []string{"redis-server"},
	ping: func(s *server) error {
		return withRedis(s, func(c *redis.Client) error { return c.Ping(context.Background()).Err() })
	},
	gracefully: syscall.SIGTERM,
	command: func(s *server, program []string) []string {
		return []string{program[0], "--bind", "127.0.0.1", "--port", strconv.Itoa(s.port), "--dir", s.dir, "--save", "",
			"--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"}
	},
}

func withRedis(s *server, f func(c *redis.Client) error) error {
	c := redis.NewClient(&redis.Options{Addr: fmt.Sprint("127.0.0.1:", s.port)})
	defer c.Close()
	return f(c)
}

// openRedis returns a store with its own connections, like that of each instance.
func openRedis(t *testing.T) *redisstore.Store {
	t.Helper()
	s := redisstore.New(redis.Options{Addr: fmt.Sprint("127.0.0.1:", redisServer.get(t).port)})
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func emptyRedis(t *testing.T) {
	t.Helper()
	require.NoError(t, withRedis(redisServer.get(t), func(c *redis.Client) error { return c.FlushAll(t.Context()).Err() }))
}

func TestRedisStoreIsAScreenCaptureStore(t *testing.T) {
	emptyRedis(t)
	first, second := openRedis(t), openRedis(t)
	misctest.TestScreenCaptureStore(t, func(*testing.T) misc.ScreenCaptureStore { return first }, misctest.StoreOptions{
		Second: func(*testing.T) misc.ScreenCaptureStore { return second },
		Break: func(t *testing.T) (mend func()) {
			redisServer.stop(t, syscall.SIGKILL)
			return func() { require.NoError(t, redisServer.start()) }
		},
	})
}

// Redis is killed and started again while two instances set and read. Each setting is
// that of a different conversation, which is switched on, or on and then off. If a set
// fails, nothing is expected of its conversation.
func TestNoAcknowledgedSettingIsLostWhileRedisRestarts(t *testing.T) {
	emptyRedis(t)
	stores := []*redisstore.Store{openRedis(t), openRedis(t)}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var acknowledged, failed atomic.Int64
	want := make([]map[misc.Conversation]misc.NoticeStatus, 8)
	var writers sync.WaitGroup
	for i := range want {
		want[i] = make(map[misc.Conversation]misc.NoticeStatus)
		writers.Go(func() {
			for n := 1; ctx.Err() == nil; n++ {
				c, final := group(uint32(i*1_000_000+n)), misc.NoticeStatus(n%2)
				// Not with ctx, so that each call gets its answer at the end, too.
				err := stores[n/2%2].SetScreenCapture(context.Background(), c, misc.NoticeOn)
				if err == nil && final == misc.NoticeOff {
					err = stores[n/4%2].SetScreenCapture(context.Background(), c, final)
				}
				if err != nil {
					failed.Add(1)
					continue
				}
				acknowledged.Add(1)
				want[i][c] = final
				if got, err := stores[n%2].ScreenCapture(context.Background(), c); err == nil {
					assert.Equal(t, final, got, "%v, read while others set", c)
				}
			}
		})
	}
	more := func(counter *atomic.Int64, n int64) {
		before := counter.Load()
		until(t, "answers", func() bool { return counter.Load() >= before+n })
	}
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGKILL} {
		more(&acknowledged, 200)
		redisServer.stop(t, signal)
		more(&failed, 8)
		require.NoError(t, redisServer.start())
	}
	more(&acknowledged, 200) // the instances were not restarted
	redisServer.stop(t, syscall.SIGKILL)
	stop()
	writers.Wait()
	require.NoError(t, redisServer.start())
	for _, s := range stores {
		until(t, "a connection", func() bool {
			_, err := s.ScreenCapture(t.Context(), group(1))
			return err == nil
		})
		for _, want := range want {
			wantCaptures(t, s, want)
		}
	}
}

func TestARedisThatHangsIsAnErrorAtTheDeadline(t *testing.T) {
	emptyRedis(t)
	s := openRedis(t)
	require.NoError(t, s.SetScreenCapture(t.Context(), group(7), misc.NoticeOn))
	require.NoError(t, syscall.Kill(redisServer.pid, syscall.SIGSTOP))
	defer func() { require.NoError(t, syscall.Kill(redisServer.pid, syscall.SIGCONT)) }()
	for _, call := range []func(ctx context.Context) error{
		func(ctx context.Context) error { _, err := s.ScreenCapture(ctx, group(7)); return err },     // over an existing connection
		func(ctx context.Context) error { return s.SetScreenCapture(ctx, group(7), misc.NoticeOff) }, // over a new connection
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		require.Error(t, call(ctx))
		deadline, _ := ctx.Deadline()
		require.WithinRange(t, time.Now(), deadline, deadline.Add(3*time.Second), "not with the time-out of go-redis")
	}
}

func TestACallOfTheRedisStoreIsOneRoundTrip(t *testing.T) {
	emptyRedis(t)
	s := openRedis(t)
	call := func() {
		require.NoError(t, s.SetScreenCapture(t.Context(), pair(1, 2), misc.NoticeOn))
		_, err := s.ScreenCapture(t.Context(), pair(1, 2))
		require.NoError(t, err)
	}
	call() // makes the connection
	require.NoError(t, withRedis(redisServer.get(t), func(c *redis.Client) error {
		before := commands(t, c)
		for range 10 {
			call()
		}
		require.Equal(t, 20, commands(t, c)-before-1, "beside the INFO that counts them")
		return nil
	}))
}

// commands returns how many commands the server has processed.
func commands(t *testing.T, c *redis.Client) int {
	t.Helper()
	info, err := c.Info(t.Context(), "stats").Result()
	require.NoError(t, err)
	for lines := bufio.NewScanner(strings.NewReader(info)); lines.Scan(); {
		if n, found := strings.CutPrefix(lines.Text(), "total_commands_processed:"); found {
			return must(strconv.Atoi(n))
		}
	}
	t.Fatal("INFO does not count commands")
	return 0
}

func TestTheRedisStoreReportsWhatIsNoSetting(t *testing.T) {
	emptyRedis(t)
	require.NoError(t, withRedis(redisServer.get(t), func(c *redis.Client) error {
		return c.Set(t.Context(), "misc:capture:"+group(7).String(), "on", time.Minute).Err()
	}))
	_, err := openRedis(t).ScreenCapture(t.Context(), group(7))
	require.ErrorIs(t, err, strconv.ErrSyntax)
}
