//go:build unix

package cluster_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc/internal/integration/servers"
	"github.com/sealtalk-go/misc/internal/integration/testhost"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/sqlstore"
)

// A recorder is a chat cloud that knows, in milliseconds, when each message was sent,
// by the Timestamp that it is signed with, and when it arrived.
type recorder struct {
	cloud         *misctest.Cloud
	mu            sync.Mutex
	sent, arrived []int64
}

func (c *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	sent := testhost.Must(strconv.ParseInt(r.Header.Get("Timestamp"), 10, 64))
	c.mu.Lock()
	c.sent, c.arrived = append(c.sent, sent), append(c.arrived, time.Now().UnixMilli())
	c.mu.Unlock()
	c.cloud.ServeHTTP(w, r)
}

func (c *recorder) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.sent)
}

// most returns the largest number of times within one second.
func most(times []int64) (n int) {
	slices.Sort(times)
	for i, first := 0, 0; i < len(times); i++ {
		for times[i]-times[first] >= 1000 {
			first++
		}
		n = max(n, i-first+1)
	}
	return n
}

func TestInstancesTogetherKeepTheQuotaWhateverHappensToRedis(t *testing.T) {
	const quota, users = 20, 12
	cloud := &recorder{cloud: misctest.NewCloud("key", "secret")}
	rongcloud := httptest.NewServer(cloud)
	defer rongcloud.Close()
	counts := servers.Redis.Get(t)
	admin := redis.NewClient(&redis.Options{Addr: counts.Address()})
	defer admin.Close()
	require.NoError(t, admin.FlushAll(t.Context()).Err())

	dir, program := t.TempDir(), servers.Build(t, "../../../examples/server")
	file := filepath.Join(dir, "misc.db")
	db := servers.OpenSQLite(file)
	require.NoError(t, sqlstore.Migrate(t.Context(), db, sqlstore.SQLite))
	for user := range users {
		_, err := db.Exec(`INSERT INTO group_members (groupId, memberId) VALUES (1, ?)`, 1+user)
		require.NoError(t, err)
	}
	require.NoError(t, db.Close())
	var instances []servers.Program
	var addresses []string
	for range 2 {
		address := servers.FreeAddress(t)
		instances = append(instances, servers.Start(t, address, dir, program, "MISC_ADDR="+address, "MISC_DB=sqlite:"+file, "MISC_VERSIONS="+testhost.VersionFiles(t),
			"MISC_N3D_KEY="+misctest.Key, "MISC_RONGCLOUD="+rongcloud.URL, "MISC_APP_KEY=key", "MISC_APP_SECRET=secret",
			"MISC_REDIS=redis://"+counts.Address(), "MISC_INSTANCES=2", "MISC_USER_LIMIT=9", "MISC_ADDRESS_LIMIT=1000000", fmt.Sprint("MISC_GROUP_QUOTA=", quota)))
		addresses = append(addresses, address)
	}

	var clients sync.WaitGroup
	ended := make(chan struct{})
	statuses := make([]map[int]int, users) // how often each user got which
	for user := range users {
		address := addresses[user%2]
		login := testhost.Request(t.Context(), "POST", "http://"+address+"/demo/login", fmt.Sprintf(`{"userId":%d}`, 1+user))
		resp, _ := testhost.Ask(t, http.DefaultClient, login)
		require.Len(t, resp.Cookies(), 1)
		statuses[user] = map[int]int{}
		clients.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
				}
				r := testhost.Request(t.Context(), "POST", "http://"+address+"/misc/send_message",
					`{"conversationType":"GROUP","targetId":"`+misctest.ID(1)+`","objectName":"RC:TxtMsg","content":"hi"}`)
				r.Header.Set("Cookie", resp.Cookies()[0].String())
				resp, err := http.DefaultClient.Do(r)
				if !assert.NoError(t, err) {
					return
				}
				_ = resp.Body.Close()
				if statuses[user][resp.StatusCode]++; resp.StatusCode != http.StatusOK {
					time.Sleep(50 * time.Millisecond) // as a client would
				}
			}
		})
	}
	messages := func(n int) {
		t.Helper()
		before := cloud.count()
		testhost.Until(t, "messages are sent", func() bool { return cloud.count() >= before+n })
	}
	logged := func(line string, times int) {
		t.Helper()
		for _, in := range instances {
			testhost.Until(t, line, func() bool { return strings.Count(in.Log.String(), line) >= times })
		}
	}
	const away, back = `msg="redis is away`, `msg="redis is back`

	messages(60)
	for range 4 {
		require.NoError(t, admin.ConfigSet(t.Context(), "appendonly", "no").Err())
		messages(20)
		counts.Stop(t, syscall.SIGKILL) // and forgets the last messages
		counts.Start(t)
		messages(20)
	}
	hanging := counts.PID()
	require.NoError(t, syscall.Kill(hanging, syscall.SIGSTOP))
	defer func() { _ = syscall.Kill(hanging, syscall.SIGCONT) }()
	logged(away, 1)
	messages(60)
	require.NoError(t, syscall.Kill(hanging, syscall.SIGCONT))
	logged(back, 1)
	for range 4 { // some instances notice it, and some do not
		require.NoError(t, admin.Do(t.Context(), "CLIENT", "PAUSE", "300").Err())
		messages(20)
	}
	messages(60)
	counts.Stop(t, syscall.SIGTERM)
	logged(away, 2)
	messages(60)
	counts.Start(t)
	logged(back, 2)
	messages(60)
	close(ended)
	clients.Wait()

	sent, arrived := most(cloud.sent), most(cloud.arrived)
	t.Logf("%d messages in %d ms, in any second at most %d were sent and %d arrived", len(cloud.sent), cloud.sent[len(cloud.sent)-1]-cloud.sent[0], sent, arrived)
	assert.LessOrEqual(t, sent, quota, "a busy machine may deliver some later")
	taken := 0
	for user, got := range statuses {
		assert.Positive(t, got[200], "user %d: %v", 1+user, got)
		taken += got[200]
		delete(got, 429)
		assert.Len(t, got, 1, "user %d: %v", 1+user, got)
	}
	assert.Len(t, cloud.cloud.Delivered(), taken)
}
