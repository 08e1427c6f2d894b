//go:build unix

package bench_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/catalog"
	"github.com/sealtalk-go/misc/internal/integration/servers"
	"github.com/sealtalk-go/misc/internal/integration/testhost"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/rongcloud"
	"github.com/sealtalk-go/misc/sqlstore"
)

// A server starts only when a benchmark needs it.
func TestMain(m *testing.M) { servers.Main(m) }

const (
	rounds   = 7
	perRound = time.Second // for each side of a case; in-process sides get a third of it
	clients  = 16
)

// BenchmarkRatios prints a table of what this library costs, compared with the same
// work done by hand.
//
//	go test ./internal/integration/bench -run '^$' -bench Ratios -benchtime 1x
//
// Each group of rows is a sub-benchmark: -bench Ratios/MariaDB runs only that one.
func BenchmarkRatios(b *testing.B) {
	t := &table{}
	b.Run("versions", t.versions)
	for _, k := range servers.Plain() {
		b.Run(k.Name, func(b *testing.B) { t.database(b, k) })
	}
	b.Run("send_message", t.sendMessage)
	fmt.Printf("\n%s, %s/%s, GOMAXPROCS=%d\n\n| case | baseline | misc | ratio | wanted |\n|---|---|---|---|---|\n%s\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), t.rows)
}

type table struct{ rows string }

func (t *table) row(name, baseline, ours, ratio, wanted string) {
	t.rows += fmt.Sprintf("| %s | %s | %s | %s | %s |\n", name, baseline, ours, ratio, wanted)
}

// rates adds a row for two functions, each of which returns how many times per
// second it did its work.
func (t *table) rates(name, wanted string, baseline, ours func() float64) {
	of, ratio := measure(baseline, ours)
	t.row(name, rate(of[0]), rate(of[1]), fmt.Sprintf("%.2f", ratio), wanted)
}

func rate(perSecond float64) string { return fmt.Sprintf("%.0f /s", perSecond) }

// measure warms up both sides and then runs them in turn, in alternating order, so that
// both sides of a round run under the same conditions. It returns the median of each
// side, and the median of the ratios.
func measure(sides ...func() float64) (medians []float64, ratio float64) {
	var figures [2][]float64
	for round := range 1 + rounds {
		for i := range sides {
			i ^= round % 2
			figures[i] = append(figures[i], sides[i]())
		}
	}
	ratios := make([]float64, rounds)
	for i := range rounds {
		ratios[i] = figures[1][1+i] / figures[0][1+i]
	}
	return []float64{median(figures[0][1:]), median(figures[1][1:])}, median(ratios)
}

func median(v []float64) float64 { return slices.Sorted(slices.Values(v))[len(v)/2] }

// together lets all clients call f for one round, and returns the number of calls per
// second.
func together(f func(client int)) float64 {
	var all sync.WaitGroup
	var calls atomic.Int64
	start := time.Now()
	for i := range clients {
		all.Go(func() {
			count := int64(0) // each goroutine counts its own calls
			for ; time.Since(start) < perRound; count++ {
				f(i)
			}
			calls.Add(count)
		})
	}
	all.Wait()
	return float64(calls.Load()) / time.Since(start).Seconds()
}

// inProcess returns a function that measures how many nanoseconds a request to h
// takes. The result is the median of many passes of 100 requests, most of which end
// before anything else gets the CPU.
func inProcess(h http.Handler, r *http.Request) func() float64 {
	w := discard{}
	return func() float64 {
		var all []float64
		for start := time.Now(); time.Since(start) < perRound/3; {
			began := time.Now()
			for range 100 {
				clear(w)
				h.ServeHTTP(w, r)
			}
			all = append(all, float64(time.Since(began).Nanoseconds())/100)
		}
		return median(all)
	}
}

// discard is a ResponseWriter that costs the same for every handler.
type discard http.Header

func (d discard) Header() http.Header       { return http.Header(d) }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(status int) {
	if status != http.StatusOK {
		panic(status)
	}
}

// serving starts a server with that handler and returns its address.
func serving(b *testing.B, h http.Handler) string {
	server := httptest.NewServer(h)
	b.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// load returns a function that runs clients against a server. Each client sends its
// requests in turn, again and again, over its own connection. The clients do little
// work, to leave the machine to the server: an answer is complete when it ends with
// want.
func load(b *testing.B, address string, requests func(client int) []string, want string) func() float64 {
	conns, inTurn, answers, asked := make([]net.Conn, clients), make([][][]byte, clients), make([][]byte, clients), make([]int, clients)
	for i := range clients {
		conns[i], answers[i] = testhost.Must(net.Dial("tcp", address)), make([]byte, 8<<10)
		for _, request := range requests(i) {
			inTurn[i] = append(inTurn[i], []byte(request))
		}
		b.Cleanup(func() { _ = conns[i].Close() })
	}
	ask := func(i int) {
		testhost.Must(conns[i].Write(inTurn[i][asked[i]%len(inTurn[i])]))
		asked[i]++
		for n := 0; !bytes.HasSuffix(answers[i][:n], []byte(want)); {
			n += testhost.Must(conns[i].Read(answers[i][n:]))
			if !bytes.HasPrefix(answers[i], []byte("HTTP/1.1 200 OK\r\n")) {
				panic(string(answers[i]))
			}
		}
	}
	return func() float64 { return together(ask) }
}

// post returns a request about a friend, with the cookie that logs the user in.
func post(cookie, path string, friend uint32, fields string) string {
	body := `{"conversationType":1,"targetId":"` + misctest.ID(friend) + `"` + fields + `}`
	return fmt.Sprintf("POST /misc/%s HTTP/1.1\r\nHost: misc.example.com\r\nCookie: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		path, cookie, len(body), body)
}

// reply writes an answer of a handler that is written by hand.
func reply(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = io.WriteString(w, body)
}

// noCloud accepts every message.
type noCloud struct{}

func (noCloud) Send(context.Context, misc.Message) error { return nil }

// versions compares the GET endpoints with a handler that does nothing but
// write the same body.
func (t *table) versions(b *testing.B) {
	host := testhost.New()
	single := host.Handler()
	dir := testhost.VersionFiles(b)
	require.NoError(b, os.WriteFile(filepath.Join(dir, "releases.json"), []byte(manyReleases()), 0o600))
	host.Misc.Versions = testhost.Must(catalog.Open(os.DirFS(dir), catalog.Config{Logger: host.HTTP.Logger}))
	many := host.Handler()
	const newest = `{"version":"2.0.99","url":"https://example.com/2.0.99-1.zip","notes":"100 of 100","mandatory":true,"size":99}`
	for _, tt := range []struct {
		ours                            http.Handler
		name, path, query, body, wanted string
	}{
		{single, "latest_update", "latest_update", "?version=1.0.0&platform=darwin", testhost.Release, "≤ 2 µs, ≤ 12 allocations more"},
		{many, "latest_update, 100 releases of 4 builds", "latest_update", "?version=1.0.0&platform=darwin", newest, "≤ 2.5 µs, ≤ 14 allocations more"},
		{many, "latest_update, 100 releases of 4 builds, all parameters", "latest_update",
			"?version=1.0.0&platform=darwin&arch=arm64&os_version=14.4&channel=stable&id=6f1f0c2e-3a5b-4a57-9a0e-0d6a3c1b7e55",
			newest, "≤ 2.5 µs, ≤ 14 allocations more"},
		{single, "client_version", "client_version", "", testhost.Clients, "≤ 0.5 µs, ≤ 4 allocations more"},
		{single, "mobile_version", "mobile_version", "", `{"code":200,"result":` + testhost.Clients + `}`, "≤ 0.5 µs, ≤ 4 allocations more"},
	} {
		path := "/misc/" + tt.path + tt.query
		bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { reply(w, tt.body) })
		request := func(int) []string { return []string{"GET " + path + " HTTP/1.1\r\nHost: misc.example.com\r\n\r\n"} }
		t.rates(tt.name+", TCP", "≥ 0.90", load(b, serving(b, bare), request, tt.body), load(b, serving(b, tt.ours), request, tt.body))

		r := httptest.NewRequest("GET", path, nil)
		side := func(h http.Handler) func() float64 { return inProcess(h, r) }
		allocs := func(h http.Handler) float64 { return testing.AllocsPerRun(1000, func() { h.ServeHTTP(discard{}, r) }) }
		of, _ := measure(side(bare), side(tt.ours))
		cost := func(ns, allocs float64) string {
			plural := "s"
			if allocs == 1 {
				plural = ""
			}
			return fmt.Sprintf("%.0f ns, %.0f allocation%s", ns, allocs, plural)
		}
		t.row(tt.name+", in process", cost(of[0], allocs(bare)), cost(of[1], allocs(tt.ours)),
			"+"+cost(of[1]-of[0], allocs(tt.ours)-allocs(bare)), tt.wanted)
	}
}

// manyReleases returns a releases.json with 100 releases of four builds each, newest last.
func manyReleases() string {
	var all []string
	for i := range 100 {
		var builds []string
		for k, fits := range []string{`"platform":"darwin","arch":"ia32"`, `"platform":"darwin","arch":"universal"`, `"platform":"win32","arch":"x64"`, `"platform":"linux"`} {
			builds = append(builds, fmt.Sprintf(`{%s,"url":"https://example.com/2.0.%d-%d.zip","extra":{"size":%[2]d}}`, fits, i, k))
		}
		all = append(all, fmt.Sprintf(`{"version":"2.0.%d","notes":"%d of 100","builds":[%s]}`, i, i+1, strings.Join(builds, ",")))
	}
	return `{"minimum":"1.5.0","releases":[` + strings.Join(all, ",") + `]}`
}

// database compares get_screen_capture and set_screen_capture with handlers
// written by hand. Each client asks about a different friend.
func (t *table) database(b *testing.B, k servers.Kind) {
	d := servers.NewDatabase(b, k)
	for i := range uint32(clients) {
		d.AddFriend(b, 1, 2+i, 20)
	}
	host := testhost.Over(d.Store(b, nil))
	host.Misc.Messenger = noCloud{}
	ours := host.Handler()
	get, set := byHand(b, d)
	rates := func(path, fields, answer string, byHand http.Handler) {
		request := func(client int) []string {
			return []string{post(testhost.Cookie+"="+testhost.Alice, path, 2+uint32(client), fields)}
		}
		t.rates(path+", "+k.Name, "≥ 0.85", load(b, serving(b, byHand), request, answer), load(b, serving(b, ours), request, answer))
	}
	rates("get_screen_capture", "", `{"code":200,"result":{"status":0}}`, get)
	if k.Server == nil {
		d.DB.SetMaxOpenConns(1) // SQLite waits for another writer by sleeping
	}
	rates("set_screen_capture", `,"noticeStatus":1`, `{"code":200}`, set)
}

// byHand returns the handlers that a server without this library would have, except
// that they panic on every mistake.
func byHand(b *testing.B, d *servers.Database) (get, set http.Handler) {
	const areFriends = `SELECT COUNT(*) FROM "friendships" WHERE "userId" = ? AND "friendId" = ? AND "status" = 20`
	const selectStatus = `SELECT "status" FROM "screen_statuses" WHERE "operateId" = ?`
	onConflict := `ON CONFLICT ("operateId") DO UPDATE SET`
	if d.Dialect == sqlstore.MySQL {
		onConflict = `ON DUPLICATE KEY UPDATE`
	}
	prepare := func(text string) *sql.Stmt { return testhost.Must(d.DB.Prepare(d.SQL(text))) }
	both, friends := prepare(`SELECT (`+areFriends+`), (`+selectStatus+`)`), prepare(areFriends)
	put := prepare(`INSERT INTO "screen_statuses" ("operateId", "conversationType", "status", "createdAt", "updatedAt")
		VALUES (?, 1, ?, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP) ` + onConflict + ` "status" = ?, "updatedAt" = CURRENT_TIMESTAMP`)

	type question struct {
		ConversationType int    `json:"conversationType"`
		TargetID         string `json:"targetId"`
		NoticeStatus     int    `json:"noticeStatus"`
		publicUser       string
		user, target     uint32
		key              string
	}
	decode := servers.Codec.Decode
	serve := func(answer func(r *http.Request, q question) string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var q question
			if err := json.NewDecoder(r.Body).Decode(&q); err != nil || q.ConversationType != 1 || q.NoticeStatus&1 != q.NoticeStatus {
				panic(err)
			}
			q.publicUser = testhost.Must(r.Cookie(testhost.Cookie)).Value
			q.user, q.target = testhost.Must(decode(q.publicUser)), testhost.Must(decode(q.TargetID))
			q.key = strconv.Itoa(int(min(q.user, q.target))) + "_" + strconv.Itoa(int(max(q.user, q.target)))
			reply(w, answer(r, q))
		})
	}
	get = serve(func(r *http.Request, q question) string {
		var n int
		var on sql.NullInt64
		if err := both.QueryRowContext(r.Context(), q.user, q.target, q.key).Scan(&n, &on); err != nil || n == 0 {
			panic(err)
		}
		return `{"code":200,"result":{"status":` + strconv.FormatInt(on.Int64, 10) + `}}`
	})
	set = serve(func(r *http.Request, q question) string {
		var n int
		if err := friends.QueryRowContext(r.Context(), q.user, q.target).Scan(&n); err != nil || n == 0 {
			panic(err)
		}
		testhost.Must(put.ExecContext(r.Context(), q.key, q.NoticeStatus, q.NoticeStatus))
		operation := []string{"closeScreenNtf", "openScreenNtf"}[q.NoticeStatus]
		content := testhost.Must(json.Marshal(map[string]string{"operatorUserId": q.publicUser, "operation": operation}))
		var cloud misc.Messenger = noCloud{}
		testhost.Must(0, cloud.Send(r.Context(), misc.Message{Type: misc.Private, From: q.publicUser, To: q.TargetID,
			ObjectName: "ST:ConNtf", Content: string(content), IncludeSender: true}))
		return `{"code":200}`
	})
	return get, set
}

// sendMessage compares the client of package rongcloud with one of net/http.
func (t *table) sendMessage(b *testing.B) {
	cloud := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		reply(w, `{"code":200}`)
	}))
	b.Cleanup(cloud.Close)
	client := func() *http.Client {
		return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}, Timeout: 10 * time.Second}
	}
	m := misc.Message{Type: misc.Private, From: misctest.ID(1), To: misctest.ID(2), ObjectName: "RC:TxtMsg", Content: `{"content":"hello"}`}
	bare := client()
	byHand := func(int) {
		form := url.Values{"fromUserId": {m.From}, "toUserId": {m.To}, "objectName": {m.ObjectName}, "content": {m.Content}}
		resp := testhost.Must(bare.PostForm(cloud.URL+"/message/private/publish.json", form))
		defer resp.Body.Close()
		var answer struct{ Code int }
		if err := json.Unmarshal(testhost.Must(io.ReadAll(resp.Body)), &answer); err != nil || answer.Code != 200 {
			panic(err)
		}
	}
	for _, backup := range []string{"", cloud.URL} {
		c := testhost.Must(rongcloud.New(rongcloud.Config{AppKey: "key", AppSecret: "secret", Region: rongcloud.Region(cloud.URL), Backup: backup, HTTPClient: client()}))
		ours := func(int) { testhost.Must(0, c.Send(context.Background(), m)) }
		t.rates("send_message, rongcloud"+map[string]string{cloud.URL: ", with a backup host"}[backup], "≥ 0.90",
			func() float64 { return together(byHand) }, func() float64 { return together(ours) })
	}
}
