package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/rongcloud"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const toGroup = `{"conversationType":"GROUP","targetId":"` + id1 + `","objectName":"RC:TxtMsg","content":"hi"}`

func TestNoUserAndNoCrowdUsesUpTheQuotaOfGroupMessages(t *testing.T) {
	const quota = 20
	for name, c := range map[string]struct {
		perSecond  map[uint32]int // requests per second of each user
		allOfOther bool           // no request of users 2 and later may be refused
	}{
		"one greedy user and four others": {map[uint32]int{1: 200, 2: 2, 3: 2, 4: 2, 5: 2}, true},
		"a crowd, each within the limit":  {map[uint32]int{1: 5, 2: 5, 3: 5, 4: 5, 5: 5, 6: 5, 7: 5, 8: 5}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // in which time passes as soon as every goroutine waits
				time.Sleep(2 * 365 * 24 * time.Hour) // time starts in 2000, and the cloud would take such a timestamp for seconds
				cfg := testConfig(t, t.TempDir(), "-user-limit", "5", "-group-quota", fmt.Sprint(quota))
				parts, err := openParts(t.Context(), cfg, slog.New(slog.DiscardHandler))
				require.NoError(t, err)
				defer parts.close()
				for user := 3; user <= 8; user++ {
					_, err := parts.db.Exec("INSERT INTO group_members (groupId, memberId) VALUES (1, ?)", user)
					require.NoError(t, err)
				}
				cloud := misctest.NewCloud("key", "secret")
				var mu sync.Mutex
				sent := map[string][]time.Time{} // by user; under "", those of all users
				parts.cloud.Messenger, err = rongcloud.New(rongcloud.Config{AppKey: "key", AppSecret: "secret", Region: "https://cloud.example.com",
					HTTPClient: &http.Client{Transport: roundTripper(func(r *http.Request) *http.Response {
						w := httptest.NewRecorder()
						cloud.ServeHTTP(w, r)
						mu.Lock()
						defer mu.Unlock()
						for _, user := range []string{"", r.PostForm.Get("fromUserId")} {
							sent[user] = append(sent[user], time.Now())
						}
						return w.Result()
					})}})
				require.NoError(t, err)
				handler, err := newHandler(cfg, parts, new(stopper), io.Discard, slog.New(slog.DiscardHandler))
				require.NoError(t, err)

				ids, answers := map[uint32]string{}, map[uint32]map[int]int{} // how often each status was answered, for each user
				var wg sync.WaitGroup
				for user, perSecond := range c.perSecond {
					id, err := cfg.codec.Encode(user)
					require.NoError(t, err)
					login := credentials(t, user)
					statuses := map[int]int{}
					ids[user], answers[user] = id, statuses
					for i := range 5 * perSecond { // for five seconds
						wg.Go(func() {
							time.Sleep(time.Duration(i) * time.Second / time.Duration(perSecond))
							r := httptest.NewRequest(http.MethodPost, "/misc/send_message", strings.NewReader(toGroup))
							r.Header.Set("Content-Type", "application/json")
							r.Header.Set(login[0], login[1])
							w := httptest.NewRecorder()
							handler.ServeHTTP(w, r)
							mu.Lock()
							defer mu.Unlock()
							if statuses[w.Code]++; w.Code == http.StatusTooManyRequests {
								assert.Equal(t, "1", w.Header().Get("Retry-After"))
								assert.Contains(t, w.Body.String(), `{"code":429,"message":"too many `)
							}
						})
					}
				}
				wg.Wait()

				total := 0
				for user, perSecond := range c.perSecond {
					statuses := answers[user]
					assert.Equal(t, 5*perSecond, statuses[200]+statuses[429], "%d: %v", user, statuses)
					assert.Len(t, sent[ids[user]], statuses[200], "a message goes to the cloud once if it was taken, otherwise never")
					assert.LessOrEqual(t, most(sent[ids[user]]), quota/2, "one user's messages in any second")
					if total += statuses[200]; c.allOfOther && user > 1 {
						assert.Zero(t, statuses[429], "user %d is refused", user)
					}
				}
				assert.Len(t, cloud.Delivered(), total)
				assert.LessOrEqual(t, most(sent[""]), quota, "all messages in any second")
				assert.Greater(t, total, 5*quota/2, "the quota is there to be used")
			})
		})
	}
}

type roundTripper func(*http.Request) *http.Response

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }

// most returns the largest number of times within one second. times is in order.
func most(times []time.Time) (n int) {
	for i, first := 0, 0; i < len(times); i++ {
		for times[i].Sub(times[first]) >= time.Second {
			first++
		}
		n = max(n, i-first+1)
	}
	return n
}

func TestWhoIsOverALimitIsAnswered429AndNobodyElseIs(t *testing.T) {
	cloud := misctest.NewCloud("key", "secret")
	server := httptest.NewServer(cloud)
	defer server.Close()
	in := start(t, testConfig(t, t.TempDir(), "-user-limit", "1", "-read-limit", "20", "-address-limit", "1", "-proxies", "127.0.0.0/8",
		"-rongcloud", server.URL, "-app-key", "key", "-app-secret", "secret"))
	for _, c := range []struct {
		name, path, body string
		header           []string
		status           int // until the limit is reached
	}{
		{"a user who sends", "/misc/send_sc_msg", toFriend, credentials(t, 1), 200},
		{"a user who asks", "/misc/get_screen_capture", `{"conversationType":1,"targetId":"` + id1 + `"}`, credentials(t, 2), 200},
		{"without a login", "/misc/send_sc_msg", toFriend, nil, 403},
		{"another address", "/misc/send_sc_msg", toFriend, []string{"X-Forwarded-For", "127.0.0.1, 192.0.2.1"}, 403},
		{"an address with a zone", "/misc/send_sc_msg", toFriend, []string{"X-Forwarded-For", "2001:db8::1%zone"}, 403},
	} {
		var r reply
		for i := 0; r.status != http.StatusTooManyRequests; i++ {
			r = in.do("POST", c.path, c.body, c.header...)
			require.Contains(t, []int{c.status, http.StatusTooManyRequests}, r.status, c.name)
			require.Less(t, i, 10_000, "%s: never refused", c.name)
		}
		assert.Equal(t, `{"code":429,"message":"too many requests, try again later"}`, r.body, c.name)
		assert.Equal(t, "1", r.header.Get("Retry-After"), c.name)
		assert.Equal(t, "application/json; charset=utf-8", r.header.Get("Content-Type"), c.name)
		assert.Contains(t, in.do("GET", "/metrics", "").body, `{endpoint="`+c.path+`",method="POST",status="429"}`)
		assert.Equal(t, http.StatusOK, in.do("GET", "/misc/client_version", "", c.header...).status, "the GETs have no limit")
		other := in.do("POST", "/misc/get_screen_capture", `{"conversationType":1,"targetId":"`+id3+`"}`, credentials(t, 3)...)
		assert.NotEqual(t, http.StatusTooManyRequests, other.status, "another user at the same address")
	}
	in.stop()
	assert.Contains(t, in.log.String(), "remote=192.0.2.1:0", "the log has the address of the client, not of the proxy")
	assert.Contains(t, in.log.String(), "remote=[2001:db8::1]:0", "a client may write any zone")
}

// While the database of the logins is away, nobody can be told apart but by the address.
func TestALoginThatCannotBeCheckedIsLimitedByAddress(t *testing.T) {
	asked := 0
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		answerError(w, http.StatusInternalServerError, "internal error")
	})
	away := func(*http.Request) (string, error) { return "", errors.New("the database is away") }
	in := serving(t, logIn(away, limit(next, nil, "", 1000, 2)))
	for i := 0; in.do("POST", "/misc/send_sc_msg", toFriend).status != http.StatusTooManyRequests; i++ {
		require.Less(t, i, 10_000, "never refused")
	}
	assert.NotZero(t, asked)
}
