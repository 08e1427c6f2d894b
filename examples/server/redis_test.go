//go:build unix

package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sealtalk-go/misc"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// redisServer is a Redis on a free port of loopback that a test starts and ends.
type redisServer struct {
	t       *testing.T
	address string
	process *exec.Cmd
}

const redisPassword = "hunter2-hunter2"

func newRedis(t *testing.T) *redisServer {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("redis-server is not installed; on Debian: apt-get install redis-server")
		}
		t.Skip("redis-server is not installed")
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &redisServer{t: t, address: free.Addr().String()}
	require.NoError(t, free.Close())
	s.start()
	t.Cleanup(s.kill)
	return s
}

func (s *redisServer) url() string { return "redis://:" + redisPassword + "@" + s.address + "/1" }

// start returns when Redis answers. It keeps nothing of its last run.
func (s *redisServer) start() {
	s.t.Helper()
	_, port, err := net.SplitHostPort(s.address)
	require.NoError(s.t, err)
	s.process = exec.Command("redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--dir", s.t.TempDir(), "--requirepass", redisPassword)
	require.NoError(s.t, s.process.Start())
	options, err := redis.ParseURL(s.url())
	require.NoError(s.t, err)
	client := redis.NewClient(options)
	defer client.Close()
	require.Eventually(s.t, func() bool { return client.Ping(s.t.Context()).Err() == nil }, time.Minute, 10*time.Millisecond)
}

func (s *redisServer) kill() {
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
}

func TestInstancesWithOneRedisCountAUserOnce(t *testing.T) {
	dir, redis := t.TempDir(), newRedis(t)
	config := func() config {
		return testConfig(t, dir, "-user-limit", "1", "-read-limit", "1", "-address-limit", "1", "-redis", redis.url(), "-instances", "2")
	}
	one, other := start(t, config()), start(t, config())
	defer one.stop()
	defer other.stop()
	for _, c := range []struct {
		name, path string
		header     func(i int) []string // of somebody new
	}{
		{"a user who sends", "/misc/send_sc_msg", func(i int) []string { return credentials(t, uint32(10+i)) }},
		{"a user who asks", "/misc/get_screen_capture", func(i int) []string { return credentials(t, uint32(10+i)) }},
	} {
		for i := 0; ; i++ { // until both requests came within a second
			first, second := one.do("POST", c.path, toFriend, c.header(i)...), other.do("POST", c.path, toFriend, c.header(i)...)
			require.Equal(t, http.StatusForbidden, first.status, c.name)
			if second.status == http.StatusTooManyRequests {
				assert.Equal(t, "1", second.header.Get("Retry-After"))
				assert.Equal(t, `{"code":429,"message":"too many requests, try again later"}`, second.body)
				break
			}
			require.Less(t, i, 100, "%s: the other instance does not know of the first request", c.name)
		}
	}
	require.Eventually(t, func() bool {
		return one.do("POST", "/misc/send_sc_msg", toFriend).status == 403 && other.do("POST", "/misc/send_sc_msg", toFriend).status == 429
	}, time.Minute, time.Millisecond, "an address without a login")
}

func TestWithoutRedisEachInstanceCountsItsShare(t *testing.T) {
	redis := newRedis(t)
	in := start(t, testConfig(t, t.TempDir(), "-redis", redis.url(), "-instances", "2", "-user-limit", "100"))
	in.login(1)
	ready := func(state string) func() bool {
		return func() bool {
			r := in.do("GET", "/readyz", "")
			return r.status == 200 && withoutFiles(r.body) == `{"catalog":"ok","cloud":"ok","database":"ok","redis":"`+state+`","status":"ready"}`
		}
	}
	const away = "away, this instance counts its share"
	soon := func(condition func() bool, message string) {
		t.Helper()
		require.Eventually(t, condition, 30*time.Second, 10*time.Millisecond, message)
	}
	for _, c := range []struct {
		name           string
		take, giveBack func()
	}{
		{"it has ended", redis.kill, redis.start},
		{"it hangs", func() { _ = redis.process.Process.Signal(syscall.SIGSTOP) }, func() { _ = redis.process.Process.Signal(syscall.SIGCONT) }},
	} {
		soon(ready("ok"), c.name)
		assert.Contains(t, in.do("GET", "/metrics", "").body, "\nmisc_redis_up 1\n")
		soon(func() bool { return in.do("POST", "/misc/send_sc_msg", toFriend).status == 200 }, "messages are sent")
		c.take()
		assert.Equal(t, 200, in.do("POST", "/misc/get_screen_capture", toFriend).status, "no request waits for Redis, or fails")
		soon(ready(away), c.name)
		assert.Contains(t, in.do("GET", "/metrics", "").body, "\nmisc_redis_up 0\n")
		soon(func() bool {
			r := in.do("POST", "/misc/send_sc_msg", toFriend)
			return r.status == 200 && r.header.Get("X-RateLimit-Limit") == "50"
		}, "messages are sent, within the share of the user's limit")
		c.giveBack()
	}
	soon(ready("ok"), "at the end")
	in.stop()
	log := in.log.String()
	assert.Contains(t, log, `level=INFO msg=redis state="`+redis.address+` counts for all instances"`)
	assert.Contains(t, log, `level=WARN msg="redis is away: this instance counts its share of limits and quotas" error=`)
	assert.Contains(t, log, `level=INFO msg="redis is back: it counts for all instances"`)
	assert.NotContains(t, log, redisPassword)
}

func TestAServerStartsWithoutRedisAndACheckDoesNot(t *testing.T) {
	dir, redis := t.TempDir(), newRedis(t)
	wrong := strings.Replace(redis.url(), redisPassword, redisPassword+"-wrong", 1)
	in := start(t, testConfig(t, dir, "-redis", wrong))
	in.login(1)
	assert.Contains(t, in.do("GET", "/readyz", "").body, `"redis":"away, this instance counts its share"`)
	assert.Equal(t, 200, in.do("POST", "/misc/get_screen_capture", toFriend).status)
	in.stop()
	assert.Contains(t, in.log.String(), `level=INFO msg=redis state="`+redis.address+` does not answer; until it does, this instance counts its share"`)

	for url, status := range map[string]int{wrong: 1, redis.url(): 0} {
		var out, log output
		assert.Equal(t, status, run(t.Context(), append(testArgs(t, filepath.Clean(dir)), "-check", "-redis", url), &out, &log), log.String())
		assert.Equal(t, status, strings.Count(log.String(), "level=ERROR msg=redis error=\"-redis: "+redis.address+" does not answer: WRONGPASS"))
		assert.NotContains(t, out.String()+log.String()+in.log.String(), redisPassword)
	}
}

func TestNothingIsSentForASecondAfterAChangeAndThenTheShareIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // in which time passes as soon as every goroutine waits
		s := &shared{instances: 2, groupQuota: 20, privateQuota: 100, logger: slog.New(slog.DiscardHandler)}
		s.change(nil, errors.New("redis refuses connections"))
		changes := []time.Time{time.Now()}
		var sent []time.Time
		for len(changes) < 3 {
			for range 30 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				if s.wait(ctx, misc.Group) == nil {
					sent = append(sent, time.Now())
				} else {
					time.Sleep(10 * time.Millisecond) // it would have to wait for longer
				}
				cancel()
			}
			time.Sleep(time.Second / 3) // for a burst, if there were one
			s.change(s.mode.Load(), errors.New("redis hangs"))
			changes = append(changes, time.Now())
		}
		assert.LessOrEqual(t, most(sent), 10)
		assert.Greater(t, len(sent), 30)
		for _, change := range changes {
			assert.False(t, slices.ContainsFunc(sent, func(at time.Time) bool { return at.After(change) && at.Sub(change) <= time.Second }))
		}
	})
}
