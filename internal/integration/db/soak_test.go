//go:build unix

package db_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc/internal/integration/servers"
	"github.com/sealtalk-go/misc/internal/integration/testhost"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/rongcloud"
)

const connections = 200

// TestSoakEveryAnswerIsRightUnderLoad calls the endpoints, all but demo_square, over 200 connections, each
// as a different user, on MariaDB if it is installed and on SQLite otherwise. Each
// connection does so once, or for as long as the environment says: MISC_SOAK=5m.
// With -v, the test logs how much time and memory it took.
func TestSoakEveryAnswerIsRightUnderLoad(t *testing.T) {
	var long time.Duration
	if text := os.Getenv("MISC_SOAK"); text != "" {
		var err error
		long, err = time.ParseDuration(text)
		require.NoError(t, err, "MISC_SOAK is a time such as 5m")
	}
	k := servers.Plain()[0]
	if servers.Find("mariadbd") != "" {
		k = servers.Plain()[2]
		k.Server.Get(t)
	}
	goroutines := runtime.NumGoroutine()
	t.Run(k.Name, func(t *testing.T) {
		s := newSoak(t, k)
		s.run(t, 0) // opens every connection
		require.False(t, t.Failed())
		clear(s.latencies[:])
		before, start := heap(), time.Now()
		s.run(t, long)
		took, after := time.Since(start), heap()
		assert.Equal(t, s.sent.Load(), s.taken.Load(), "messages that the cloud has taken, each once")
		n := s.within(len(s.latencies))
		t.Logf("%d requests in %v (%.0f a second) over %d connections: p50 %v, p99 %v; heap %.1f MiB before, %.1f MiB after",
			n, took.Round(time.Millisecond), float64(n)/took.Seconds(), connections,
			s.percentile(50), s.percentile(99), float64(before)/(1<<20), float64(after)/(1<<20))
		if long > 0 {
			assert.LessOrEqual(t, after-before, int64(20<<20), "bytes that the heap has grown by")
		}
	})
	testhost.Until(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= goroutines })
}

type soak struct {
	url         string
	client      *http.Client
	sent, taken atomic.Int64         // messages
	latencies   [10_000]atomic.Int64 // how many requests took each multiple of resolution; the last element counts all slower ones
}

const resolution = 100 * time.Microsecond

// The first user, that user's friend, and the group that all users are in.
const (
	firstUser   = 1
	firstFriend = 1001
	ofAll       = 5000
)

func newSoak(t *testing.T, k servers.Kind) *soak {
	s := &soak{}
	cloud := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ParseForm() == nil && r.PostForm.Get("content") != "" {
			s.taken.Add(1)
		}
		_, _ = io.WriteString(w, `{"code":200}`)
	}))
	t.Cleanup(cloud.Close)
	messenger := testhost.Must(rongcloud.New(rongcloud.Config{AppKey: "key", AppSecret: "secret", Region: rongcloud.Region(cloud.URL)}))
	t.Cleanup(messenger.CloseIdleConnections)

	d := newDatabase(t, k)
	for i := range uint32(connections) {
		d.AddFriend(t, firstUser+i, firstFriend+i, 20)
		d.AddMember(t, ofAll, firstUser+i)
	}
	h := testhost.Over(d.Store(t, nil))
	h.Misc.Messenger = messenger
	server := httptest.NewServer(h.Handler())
	t.Cleanup(server.Close)
	transport := &http.Transport{MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections}
	t.Cleanup(transport.CloseIdleConnections)
	s.url, s.client = server.URL, &http.Client{Transport: transport, Timeout: time.Minute}
	return s
}

// run makes every user call these endpoints, once or until long has passed.
func (s *soak) run(t *testing.T, long time.Duration) {
	var all sync.WaitGroup
	start := time.Now()
	for i := range uint32(connections) {
		all.Go(func() {
			for again := true; again && !t.Failed(); again = time.Since(start) < long {
				assert.NoError(t, s.pass(i))
			}
		})
	}
	all.Wait()
}

func (s *soak) pass(i uint32) error {
	private := `{"conversationType":1,"targetId":"` + misctest.ID(firstFriend+i) + `"`
	group := `{"conversationType":3,"targetId":"` + misctest.ID(ofAll) + `"`
	message := func(kind, target string) string {
		return `{"conversationType":"` + kind + `","targetId":"` + target + `","objectName":"RC:TxtMsg","content":"hello"}`
	}
	for _, r := range []struct {
		path, body string
		status     int
		want       string // the answer begins with this
		messages   int64
	}{
		{"latest_update?version=1.0.0&platform=darwin", "", 200, testhost.Release, 0},
		{"latest_update?version=1.0.2", "", 204, "", 0},
		{"client_version", "", 200, testhost.Clients, 0},
		{"set_screen_capture", private + `,"noticeStatus":1}`, 200, `{"code":200}`, 1},
		{"get_screen_capture", private + `}`, 200, `{"code":200,"result":{"status":1}}`, 0},
		{"send_sc_msg", private + `}`, 200, `{"code":200}`, 1},
		{"mobile_version", "", 200, `{"code":200,"result":` + testhost.Clients, 0},
		{"send_message", message("PRIVATE", misctest.ID(firstFriend+i)), 200, `{"code":"200"}`, 1},
		{"set_screen_capture", private + `,"noticeStatus":0}`, 200, `{"code":200}`, 1},
		{"get_screen_capture", private + `}`, 200, `{"code":200,"result":{"status":0}}`, 0},
		{"get_screen_capture", group + `}`, 200, `{"code":200,"result":{"status":0}}`, 0},
		{"send_message", message("GROUP", misctest.ID(ofAll)), 200, `{"code":"200"}`, 1},
		{"get_screen_capture", `{"conversationType":1,"targetId":"` + misctest.ID(ofAll) + `"}`, 403, `{"code":403,`, 0},
	} {
		method := http.MethodGet
		if r.body != "" {
			method = http.MethodPost
		}
		req := testhost.Must(http.NewRequest(method, s.url+"/misc/"+r.path, strings.NewReader(r.body)))
		req.Header = http.Header{"Content-Type": {"application/json"}, "Cookie": {testhost.Cookie + "=" + misctest.ID(firstUser+i)}}
		start := time.Now()
		resp, err := s.client.Do(req)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != r.status || !strings.HasPrefix(string(body), r.want) {
			return fmt.Errorf("%s %s: %d %s: %w", r.path, r.body, resp.StatusCode, body, err)
		}
		s.latencies[min(int(time.Since(start)/resolution), len(s.latencies)-1)].Add(1)
		s.sent.Add(r.messages)
	}
	return nil
}

// within returns how many requests took less than n times resolution.
func (s *soak) within(n int) (sum int64) {
	for i := range n {
		sum += s.latencies[i].Load()
	}
	return sum
}

// percentile returns the time within which p percent of the requests were answered.
func (s *soak) percentile(p int64) time.Duration {
	total := s.within(len(s.latencies))
	n := sort.Search(len(s.latencies), func(n int) bool { return s.within(n)*100 >= total*p })
	return time.Duration(n) * resolution
}

// heap returns how many bytes of the heap are in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // frees what finalizers and pools held during the first
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
