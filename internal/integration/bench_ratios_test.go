//go:build unix

package integration_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
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
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/rongcloud"
	"github.com/sealtalk-go/misc/sqlstore"
)

const (
	rounds   = 7
	perRound = time.Second // for each side of a case; in-process sides get a third of it
	clients  = 16
)

// BenchmarkRatios prints a table of what this library costs, compared with the same
// work done by hand.
//
//	go test ./internal/integration -run '^$' -bench Ratios -benchtime 1x
//
// Each group of rows is a sub-benchmark: -bench Ratios/MariaDB runs only that one.
func BenchmarkRatios(b *testing.B) {
	t := &table{}
	b.Run("versions", t.versions)
	for _, k := range plain() {
		b.Run(k.name, func(b *testing.B) { t.database(b, k) })
	}
	b.Run("send_message", t.sendMessage)
	b.Run("MemoryStore", t.memoryStore)
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
	of, ratios := measure(baseline, ours)
	t.row(name, rate(of[0]), rate(of[1]), fmt.Sprintf("%.2f", ratios[1]), wanted)
}

func rate(perSecond float64) string { return fmt.Sprintf("%.0f /s", perSecond) }

// measure warms up each side and then runs the sides in turn, in alternating order,
// so that all sides of a round run under the same conditions. It returns the median
// of each side, and the median of its ratios to the first side.
func measure(sides ...func() float64) (medians, ratios []float64) {
	figures := make([][]float64, len(sides))
	for round := range 1 + rounds {
		for i := range sides {
			if round%2 == 1 {
				i = len(sides) - 1 - i
			}
			figures[i] = append(figures[i], sides[i]())
		}
	}
	for _, of := range figures {
		quotients := make([]float64, rounds)
		for i := range rounds {
			quotients[i] = of[1+i] / figures[0][1+i]
		}
		medians, ratios = append(medians, median(of[1:])), append(ratios, median(quotients))
	}
	return medians, ratios
}

func median(v []float64) float64 { return slices.Sorted(slices.Values(v))[len(v)/2] }

// together lets n goroutines call f for one round, and returns the number of calls
// per second.
func together(n int, f func(i int)) float64 {
	var all sync.WaitGroup
	var calls atomic.Int64
	start := time.Now()
	for i := range n {
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
// takes; next prepares each request. The result is the median of many passes of 100
// requests, most of which end before anything else gets the CPU.
func inProcess(h http.Handler, r *http.Request, next func()) func() float64 {
	w := discard{}
	return func() float64 {
		var all []float64
		for start := time.Now(); time.Since(start) < perRound/3; {
			began := time.Now()
			for range 100 {
				next()
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

// load returns a function that runs clients against a server. Each client sends the
// same request again and again over its own connection. The clients do little work,
// to leave the machine to the server: an answer is complete when it ends with want.
func load(b *testing.B, address string, request func(client int) string, want string) func() float64 {
	return loadInTurn(b, address, func(client int) []string { return []string{request(client)} }, want)
}

// loadInTurn is like load, but each client sends several requests in turn.
func loadInTurn(b *testing.B, address string, requests func(client int) []string, want string) func() float64 {
	conns, inTurn, answers, asked := make([]net.Conn, clients), make([][][]byte, clients), make([][]byte, clients), make([]int, clients)
	for i := range clients {
		conns[i], answers[i] = must(net.Dial("tcp", address)), make([]byte, 8<<10)
		for _, request := range requests(i) {
			inTurn[i] = append(inTurn[i], []byte(request))
		}
		b.Cleanup(func() { _ = conns[i].Close() })
	}
	ask := func(i int) {
		must(conns[i].Write(inTurn[i][asked[i]%len(inTurn[i])]))
		asked[i]++
		for n := 0; !bytes.HasSuffix(answers[i][:n], []byte(want)); {
			n += must(conns[i].Read(answers[i][n:]))
			if !bytes.HasPrefix(answers[i], []byte("HTTP/1.1 200 OK\r\n")) {
				panic(string(answers[i]))
			}
		}
	}
	return func() float64 { return together(clients, ask) }
}

// versions compares the GET endpoints with a handler that does nothing but
// write the same body.
func (t *table) versions(b *testing.B) {
	parts := misc.Config{Relations: misctest.NewRelations(misctest.World{}), Captures: misc.NewMemoryStore(), Messenger: noCloud{}}
	single := over(parts)
	dir := versionsDir(b)
	writeFile(b, filepath.Join(dir, "releases.json"), manyReleases())
	parts.Versions = must(catalog.Open(dir, catalog.Config{Logger: slog.New(slog.DiscardHandler)}))
	many := over(parts)
	const newest = `{"version":"2.0.99","url":"https://example.com/2.0.99-1.zip","notes":"100 of 100","mandatory":true,"size":99}`
	for _, tt := range []struct {
		ours                            http.Handler
		name, path, query, body, wanted string
	}{
		{single, "latest_update", "latest_update", "?version=1.0.0&platform=darwin", releaseJSON, "≤ 2 µs, ≤ 12 allocations more"},
		{many, "latest_update, 100 releases of 4 builds", "latest_update", "?version=1.0.0&platform=darwin", newest, "≤ 2.5 µs, ≤ 14 allocations more"},
		{many, "latest_update, 100 releases of 4 builds, all parameters", "latest_update",
			"?version=1.0.0&platform=darwin&arch=arm64&os_version=14.4&channel=stable&id=6f1f0c2e-3a5b-4a57-9a0e-0d6a3c1b7e55",
			newest, "≤ 2.5 µs, ≤ 14 allocations more"},
		{single, "client_version", "client_version", "", clientsJSON, "≤ 0.5 µs, ≤ 4 allocations more"},
		{single, "mobile_version", "mobile_version", "", `{"code":200,"result":` + clientsJSON + `}`, "≤ 0.5 µs, ≤ 4 allocations more"},
	} {
		path := "/misc/" + tt.path + tt.query
		bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { reply(w, tt.body) })
		request := func(int) string { return "GET " + path + " HTTP/1.1\r\nHost: misc.example.com\r\n\r\n" }
		t.rates(tt.name+", TCP", "≥ 0.90", load(b, serving(b, bare), request, tt.body), load(b, serving(b, tt.ours), request, tt.body))

		r := httptest.NewRequest("GET", path, nil)
		side := func(h http.Handler) func() float64 { return inProcess(h, r, func() {}) }
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
func (t *table) database(b *testing.B, k kind) {
	d := newDatabase(b, k)
	for i := range uint32(clients) {
		d.addFriend(b, 1, 2+i, 20)
	}
	ours := handler(b, d, noCloud{})
	get, getInTwo, set := byHand(b, d)
	rates := func(name, wanted, path, fields, answer string, byHand http.Handler) {
		request := func(client int) string { return postBy("User: "+misctest.ID(1), path, 2+uint32(client), fields) }
		t.rates(path+", "+k.name+name, wanted, load(b, serving(b, byHand), request, answer), load(b, serving(b, ours), request, answer))
	}
	rates("", "≥ 0.85", "get_screen_capture", "", `{"code":200,"result":{"status":0}}`, get)
	if k.dialect == sqlstore.MySQL {
		rates(", two statements by hand", "for information", "get_screen_capture", "", `{"code":200,"result":{"status":0}}`, getInTwo)
	}
	if k.server == nil {
		d.db.SetMaxOpenConns(1) // SQLite waits for another writer by sleeping
	}
	rates("", "≥ 0.85", "set_screen_capture", `,"noticeStatus":1`, `{"code":200}`, set)
}

// byHand returns the handlers that a server without this library would have, except
// that they panic on every mistake.
func byHand(b *testing.B, d *database) (get, getInTwo, set http.Handler) {
	const areFriends = `SELECT COUNT(*) FROM "friendships" WHERE "userId" = ? AND "friendId" = ? AND "status" = 20`
	const selectStatus = `SELECT "status" FROM "screen_statuses" WHERE "operateId" = ?`
	onConflict := `ON CONFLICT ("operateId") DO UPDATE SET`
	if d.dialect == sqlstore.MySQL {
		onConflict = `ON DUPLICATE KEY UPDATE`
	}
	prepare := func(text string) *sql.Stmt { return must(d.db.Prepare(d.sql(text))) }
	both, friends, status := prepare(`SELECT (`+areFriends+`), (`+selectStatus+`)`), prepare(areFriends), prepare(selectStatus)
	put := prepare(`INSERT INTO "screen_statuses" ("operateId", "conversationType", "status", "createdAt", "updatedAt")
		VALUES (?, 1, ?, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP) ` + onConflict + ` "status" = ?, "updatedAt" = CURRENT_TIMESTAMP`)

	type question struct {
		ConversationType int    `json:"conversationType"`
		TargetID         string `json:"targetId"`
		NoticeStatus     int    `json:"noticeStatus"`
		user, target     uint32
		key              string
	}
	decode := codec(b).Decode
	serve := func(answer func(r *http.Request, q question) string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var q question
			if err := json.NewDecoder(r.Body).Decode(&q); err != nil || q.ConversationType != 1 || q.NoticeStatus&1 != q.NoticeStatus {
				panic(err)
			}
			q.user, q.target = must(decode(r.Header.Get("User"))), must(decode(q.TargetID))
			q.key = strconv.Itoa(int(min(q.user, q.target))) + "_" + strconv.Itoa(int(max(q.user, q.target)))
			reply(w, answer(r, q))
		})
	}
	mustBeFriends := func(r *http.Request, q question) {
		var n int
		if err := friends.QueryRowContext(r.Context(), q.user, q.target).Scan(&n); err != nil || n == 0 {
			panic(err)
		}
	}
	get = serve(func(r *http.Request, q question) string {
		var n int
		var on sql.NullInt64
		if err := both.QueryRowContext(r.Context(), q.user, q.target, q.key).Scan(&n, &on); err != nil || n == 0 {
			panic(err)
		}
		return `{"code":200,"result":{"status":` + strconv.FormatInt(on.Int64, 10) + `}}`
	})
	getInTwo = serve(func(r *http.Request, q question) string {
		mustBeFriends(r, q)
		var on int
		if err := status.QueryRowContext(r.Context(), q.key).Scan(&on); err != nil && err != sql.ErrNoRows {
			panic(err)
		}
		return `{"code":200,"result":{"status":` + strconv.Itoa(on) + `}}`
	})
	set = serve(func(r *http.Request, q question) string {
		mustBeFriends(r, q)
		must(put.ExecContext(r.Context(), q.key, q.NoticeStatus, q.NoticeStatus))
		operation, user := []string{"closeScreenNtf", "openScreenNtf"}[q.NoticeStatus], r.Header.Get("User")
		content := must(json.Marshal(map[string]string{"operatorUserId": user, "operation": operation}))
		var cloud misc.Messenger = noCloud{}
		must(0, cloud.Send(r.Context(), misc.Message{Type: misc.Private, From: user, To: q.TargetID,
			ObjectName: "ST:ConNtf", Content: string(content), IncludeSender: true}))
		return `{"code":200}`
	})
	return get, getInTwo, set
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
		resp := must(bare.PostForm(cloud.URL+"/message/private/publish.json", form))
		defer resp.Body.Close()
		var answer struct{ Code int }
		if err := json.Unmarshal(must(io.ReadAll(resp.Body)), &answer); err != nil || answer.Code != 200 {
			panic(err)
		}
	}
	for _, backup := range []string{"", cloud.URL} {
		c := must(rongcloud.New(rongcloud.Config{AppKey: "key", AppSecret: "secret", Region: rongcloud.Region(cloud.URL), Backup: backup, HTTPClient: client()}))
		ours := func(int) { must(0, c.Send(context.Background(), m)) }
		t.rates("send_message, rongcloud"+map[string]string{cloud.URL: ", with a backup host"}[backup], "≥ 0.90",
			func() float64 { return together(clients, byHand) }, func() float64 { return together(clients, ours) })
	}
}

// memoryStore shows how a MemoryStore scales: how much memory a conversation takes,
// how long a request about a random conversation takes, and how much a second core
// adds.
func (t *table) memoryStore(b *testing.B) {
	sizes := []int{1000, 10_000, 100_000, 1_000_000}
	chat := func(i int) misc.Conversation { return pair(uint32(i+1), uint32(2_000_000+i)) }
	var store *misc.MemoryStore
	var asked []misc.Conversation
	requests := map[string][]func() float64{}
	for _, n := range sizes {
		var all []misc.Conversation
		for i := range n {
			all = append(all, chat(i))
		}
		before := heap()
		store = misc.NewMemoryStore()
		for _, c := range all {
			require.NoError(b, store.SetScreenCapture(b.Context(), c, misc.NoticeOn))
		}
		t.row(fmt.Sprintf("MemoryStore of %d, memory for each conversation", n), "", fmt.Sprintf("%d B", (heap()-before)/int64(n)), "", "≤ 200 B")
		runtime.KeepAlive(all) // so that the characters of the ids do not count
		random := rand.New(rand.NewPCG(1, uint64(n)))
		asked = nil
		for range 1 << 16 {
			asked = append(asked, chat(random.IntN(n))) // with new strings, like a request
		}
		h := over(misc.Config{InsecureOpenScreenCapture: true, Relations: misctest.NewRelations(misctest.World{}), Captures: store, Messenger: noCloud{}})
		requests["get"] = append(requests["get"], eachAsked(h, asked, "get_screen_capture", ""))
		requests["set"] = append(requests["set"], eachAsked(h, asked, "set_screen_capture", `,"noticeStatus":0`, `,"noticeStatus":1`))
	}
	get := func(int) {
		for _, c := range asked {
			if must(store.ScreenCapture(context.Background(), c)) != misc.NoticeOn {
				panic(c)
			}
		}
	}
	gets := func(n int) func() float64 { return func() float64 { return float64(len(asked)) * together(n, get) } }
	t.rates("MemoryStore, gets on two goroutines, to one", "≥ 1.6", gets(1), gets(2))
	for _, path := range []string{"get", "set"} { // sets leave some settings off
		of, ratios := measure(requests[path]...)
		for i := 1; i < len(sizes); i++ {
			t.row(fmt.Sprintf("MemoryStore, %s_screen_capture of any in %d, in process, to %d", path, sizes[i], sizes[0]),
				fmt.Sprintf("%.0f ns", of[0]), fmt.Sprintf("%.0f ns", of[i]), fmt.Sprintf("%.2f", ratios[i]), "≤ 1.5")
		}
	}
}

// eachAsked returns a function that measures requests about one conversation after
// another, each with one of the fields at random, so that half of the sets change
// something, whatever the size.
func eachAsked(h http.Handler, asked []misc.Conversation, path string, fields ...string) func() float64 {
	r, i := httptest.NewRequest(http.MethodPost, "/misc/"+path, nil), 0
	r.Header.Set("Content-Type", "application/json")
	var body bytes.Buffer
	return inProcess(h, r, func() {
		user, target := asked[i%len(asked)].Users()
		body.Reset()
		body.WriteString(`{"conversationType":1,"targetId":"` + target + `"` + fields[rand.IntN(len(fields))] + `}`)
		r.Header["User"], r.Body = []string{user}, io.NopCloser(&body)
		i++
	})
}
