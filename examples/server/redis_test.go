//go:build unix

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
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

// newFakeRedis returns the URL of a Redis that answers each count with what answer
// returns for its key, and does not answer if that is nothing.
func newFakeRedis(t *testing.T, answer func(key string) string) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for in := bufio.NewReader(conn); ; {
					command, err := readCommand(in)
					if err != nil {
						return
					}
					reply := "+OK\r\n"
					switch strings.ToUpper(command[0]) {
					case "HELLO":
						reply = "-ERR unknown command\r\n"
					case "INFO":
						reply = "$8\r\nrun_id:1\r\n"
					case "EVAL", "EVALSHA":
						reply = answer(command[3])
					}
					if _, err := io.WriteString(conn, reply); err != nil {
						return
					}
				}
			}()
		}
	}()
	return "redis://" + listener.Addr().String()
}

func readCommand(in *bufio.Reader) (words []string, err error) {
	number := func() (int, error) { // after * or $
		line, err := in.ReadString('\n')
		if err != nil {
			return 0, err
		}
		return strconv.Atoi(strings.TrimSpace(line[1:]))
	}
	n, err := number()
	for range n {
		length, err := number()
		if err != nil {
			return nil, err
		}
		word := make([]byte, length+2)
		if _, err := io.ReadFull(in, word); err != nil {
			return nil, err
		}
		words = append(words, string(word[:length]))
	}
	return words, err
}

const allowed = "*4\r\n:1\r\n:0\r\n$2\r\n-1\r\n$5\r\n0.001\r\n"

const awayInLog = `level=WARN msg="redis is away: this instance counts its share of limits and quotas" error=`

func soon(t *testing.T, condition func() bool, message string) {
	t.Helper()
	require.Eventually(t, condition, time.Minute, time.Millisecond, message)
}

func TestNoStrangerStopsTheMessagesWithAllConnectionsToRedis(t *testing.T) {
	var asked atomic.Int32
	in := start(t, testConfig(t, t.TempDir(), "-proxies", "127.0.0.0/8", "-redis", newFakeRedis(t, func(key string) string {
		if strings.Contains(key, ":address:") {
			asked.Add(1)
			return ""
		}
		return allowed
	})))
	login := credentials(t, 1)
	soon(t, func() bool { return in.do("POST", "/misc/send_sc_msg", toFriend, login...).status == 200 }, "after the start")
	ctx, cancel := context.WithCancel(t.Context())
	var strangers sync.WaitGroup
	for i := range 60 {
		strangers.Go(func() {
			for ctx.Err() == nil {
				in.do("POST", "/misc/send_sc_msg", toFriend, "X-Forwarded-For", fmt.Sprint("192.0.2.", i))
			}
		})
	}
	soon(t, func() bool { return asked.Load() > 200 }, "their connections are used up")
	for range 10 {
		assert.Equal(t, 200, in.do("POST", "/misc/send_sc_msg", toFriend, login...).status)
	}
	cancel()
	strangers.Wait()
	in.stop()
	assert.NotContains(t, in.log.String(), "redis is away")
}

func TestWhoIsOverTheWholeLimitIsRefusedWithoutAskingRedis(t *testing.T) {
	var asked atomic.Int32
	in := start(t, testConfig(t, t.TempDir(), "-address-limit", "1", "-redis", newFakeRedis(t, func(key string) string {
		if strings.Contains(key, ":address:") {
			asked.Add(1)
		}
		return allowed
	})))
	statuses := map[int]int{}
	for statuses[http.StatusTooManyRequests] < 20 {
		r := in.do("POST", "/misc/send_sc_msg", toFriend)
		if statuses[r.status]++; r.status == http.StatusTooManyRequests {
			assert.Equal(t, "1", r.header.Get("Retry-After"))
		}
		require.Less(t, statuses[http.StatusForbidden], 1000)
	}
	assert.Equal(t, statuses[http.StatusForbidden], int(asked.Load()), "%v", statuses)
}

func TestAnOddAnswerOfRedisCountsAsAway(t *testing.T) {
	for name, odd := range map[string]string{
		"not an array":         "+OK\r\n",
		"short":                "*1\r\n:1\r\n",
		"integers for strings": "*4\r\n:1\r\n:0\r\n:-1\r\n:0\r\n",
		"not a number":         "*4\r\n:1\r\n:0\r\n$2\r\n-1\r\n$3\r\nnan\r\n",
		"nothing":              "$-1\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			var answer atomic.Value
			answer.Store(allowed)
			in := start(t, testConfig(t, t.TempDir(), "-redis", newFakeRedis(t, func(string) string { return answer.Load().(string) })))
			in.login(1)
			send := func() bool { return in.do("POST", "/misc/send_sc_msg", toFriend).status == 200 }
			soon(t, send, "at the start")
			answer.Store(odd)
			soon(t, func() bool {
				in.do("POST", "/misc/send_sc_msg", toFriend)
				return strings.Contains(in.log.String(), awayInLog)
			}, "it is noticed")
			soon(t, send, "while it is away")
			in.stop()
			assert.NotContains(t, in.log.String(), "panic")
		})
	}
}

func TestAConnectionThatIsGoneIsNotARedisThatIsAway(t *testing.T) {
	var lost atomic.Bool
	url := newFakeRedis(t, func(key string) string {
		if key == "rate:misc:private" && lost.CompareAndSwap(true, false) {
			return ""
		}
		return allowed
	})
	s, _, err := openShared(t.Context(), config{redis: url, instances: 1, groupQuota: 20, privateQuota: 100}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer s.close()
	s.stop() // the probes
	s.watching.Wait()
	lost.Store(true)
	assert.NoError(t, s.wait(t.Context(), misc.Private))
	assert.False(t, lost.Load())
	assert.NoError(t, s.away())
}

// Redis answers, but cannot count messages.
func TestARedisWithWrongCountsIsAwayUntilTheyAreRight(t *testing.T) {
	server := newRedis(t)
	options, err := redis.ParseURL(server.url())
	require.NoError(t, err)
	admin := redis.NewClient(options)
	defer admin.Close()
	in := start(t, testConfig(t, t.TempDir(), "-redis", server.url()))
	in.login(1)
	send := func() bool { return in.do("POST", "/misc/send_sc_msg", toFriend).status == 200 }
	logged := func(text string, times int) func() bool {
		return func() bool { return strings.Count(in.log.String(), text) == times }
	}
	for i, c := range []struct {
		name, key string
		set       func(key string) error
		log       string
	}{
		{"not a number", "rate:misc:private", func(key string) error { return admin.Set(t.Context(), key, "garbage", 0).Err() }, "rate:misc:private: ERR"},
		{"another type", "rate:misc:group", func(key string) error { return admin.LPush(t.Context(), key, 1).Err() }, "rate:misc:group: WRONGTYPE"},
		{"the clock was set back", "rate:misc:private", func(key string) error {
			// The script counts seconds since the beginning of 2017.
			return admin.Set(t.Context(), key, time.Now().Add(time.Minute).Unix()-1483228800, time.Minute).Err()
		}, "rate:misc:private: 1m0s ahead of Redis' clock"},
	} {
		soon(t, send, c.name)
		soon(t, func() bool { // a message may overwrite it
			require.NoError(t, errors.Join(admin.Del(t.Context(), c.key).Err(), c.set(c.key)))
			return logged(awayInLog, 1+i)()
		}, c.name)
		require.NoError(t, errors.Join(admin.Del(t.Context(), c.key).Err(), c.set(c.key)))
		for range 20 {
			soon(t, send, c.name+": while it is away")
		}
		assert.True(t, logged(awayInLog, 1+i)(), "%s: it is away and stays so", c.name)
		require.NoError(t, admin.Del(t.Context(), c.key).Err())
		soon(t, logged("redis is back", 1+i), c.name)
	}
	in.stop()
}

func TestInstancesStayAwayTogetherAndLongerEachTimeOneLosesRedis(t *testing.T) {
	server := newRedis(t)
	var logs output
	open := func() *shared {
		s, _, err := openShared(t.Context(), config{redis: server.url(), instances: 2, groupQuota: 20, privateQuota: 100}, slog.New(slog.NewTextHandler(&logs, nil)))
		require.NoError(t, err)
		t.Cleanup(s.close)
		return s
	}
	one, other := open(), open()
	for i := range 2 {
		one.change(one.mode.Load(), errors.New("redis hangs"))
		soon(t, func() bool { return other.away() != nil }, "the other stays away too")
		assert.ErrorContains(t, other.away(), "an instance lost Redis too often")
		for _, s := range []*shared{one, other} {
			assert.Error(t, s.away())
			assert.Equal(t, time.Duration(1+i)*time.Second, s.mode.Load().stay)
		}
		soon(t, func() bool { return one.away() == nil && other.away() == nil }, "both come back")
		assert.Equal(t, 2*(1+i), strings.Count(logs.String(), "redis is back"), "together, and once")
	}
}

func TestHowLongAnInstanceStaysAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shared{instances: 1, groupQuota: 20, privateQuota: 100, logger: slog.New(slog.DiscardHandler)}
		s.change(nil, nil)
		for i, c := range []struct{ counts, stay time.Duration }{ // in seconds
			{60, 0}, {5, 1}, {5, 2}, {29, 4}, {5, 8}, {5, 16}, {5, 30}, {5, 30}, {60, 0}, {5, 1},
		} {
			time.Sleep(c.counts * time.Second)
			s.change(s.mode.Load(), errors.New("redis hangs"))
			assert.Equal(t, c.stay*time.Second, s.mode.Load().stay, "%d", i)
			time.Sleep(time.Minute)
			s.change(s.mode.Load(), nil)
		}
	})
}
