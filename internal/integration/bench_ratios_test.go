//go:build unix

package integration_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
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
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/n3d"
	"github.com/sealtalk-go/misc/rongcloud"
	"github.com/sealtalk-go/misc/sqlstore"
)

const (
	rounds   = 7
	perRound = time.Second // for each side of a case; a third for those without I/O
	clients  = 16
)

// BenchmarkRatios prints a table of what this library costs above the same
// work done by hand. In each round one side of a case is measured after the
// other, in changing order. All numbers are medians of the rounds, and a ratio
// is the median of the rounds' ratios.
//
//	go test ./internal/integration -run '^$' -bench Ratios -benchtime 1x
func BenchmarkRatios(b *testing.B) {
	for b.Loop() {
		fmt.Printf("\n%s, %s/%s, GOMAXPROCS=%d\n\n| case | baseline | ours | ratio | wanted |\n|---|---|---|---|---|\n",
			runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))
		t := table{b}
		t.versions()
		for _, k := range plain() {
			t.database(k)
		}
		t.sendMessage()
		t.memoryStore()
		fmt.Println()
	}
	b.ReportMetric(0, "ns/op") // the table says it all
}

// A table comes out row by row.
type table struct{ b *testing.B }

func (t table) row(name, baseline, ours, ratio, wanted string) {
	fmt.Printf("| %s | %s | %s | %s | %s |\n", name, baseline, ours, ratio, wanted)
}

// rates adds a row for two functions that return how often a second they did
// their work.
func (t table) rates(name, wanted string, baseline, ours func() float64) {
	m := measure(baseline, ours)
	t.row(name, rate(m.of[0]), rate(m.of[1]), fmt.Sprintf("%.2f", m.ratio(1)), wanted)
}

func rate(perSecond float64) string { return fmt.Sprintf("%.0f /s", perSecond) }

func nanoseconds(ns float64) string { return fmt.Sprintf("%.0f ns", ns) }

// measured has one median for each side, and all that was measured.
type measured struct {
	of  []float64
	all [][]float64 // by side and round
}

// measure runs each side once to warm up, and then once in each round.
func measure(sides ...func() float64) measured {
	m := measured{make([]float64, len(sides)), make([][]float64, len(sides))}
	for _, side := range sides {
		side()
	}
	for round := range rounds {
		for i := range sides {
			if round%2 == 1 {
				i = len(sides) - 1 - i
			}
			m.all[i] = append(m.all[i], sides[i]())
		}
	}
	for i := range sides {
		m.of[i] = median(slices.Clone(m.all[i]))
	}
	return m
}

// ratio is that of a side to the first one, round by round.
func (m measured) ratio(side int) float64 {
	return m.median(side, func(v, first float64) float64 { return v / first })
}

func (m measured) median(side int, of func(v, first float64) float64) float64 {
	var all []float64
	for round, v := range m.all[side] {
		all = append(all, of(v, m.all[0][round]))
	}
	return median(all)
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// versions compares the GET endpoints with a handler that does nothing but
// write the same body.
func (t table) versions() {
	ours := handler(t.b, newDatabase(t.b, kinds()[0]), noCloud{})
	for _, tt := range []struct{ path, wanted string }{
		{"/misc/latest_update?version=1.0.0&platform=darwin", "≤ 2 µs, ≤ 12 allocations more"},
		{"/misc/client_version", "≤ 0.5 µs, ≤ 4 allocations more"},
		{"/misc/mobile_version", "≤ 0.5 µs, ≤ 4 allocations more"},
	} {
		answer := httptest.NewRecorder()
		ours.ServeHTTP(answer, httptest.NewRequest("GET", tt.path, nil))
		body := answer.Body.Bytes()
		bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			_, _ = w.Write(body)
		})
		name, _, _ := strings.Cut(strings.TrimPrefix(tt.path, "/misc/"), "?")
		request := func(int) string { return "GET " + tt.path + " HTTP/1.1\r\nHost: misc.example.com\r\n\r\n" }
		t.rates(name+", TCP", "≥ 0.90",
			newLoad(t.b, serving(t.b, bare), request, string(body)).rate, newLoad(t.b, serving(t.b, ours), request, string(body)).rate)

		serve := func(h http.Handler) func() {
			r := httptest.NewRequest("GET", tt.path, nil)
			w := &discard{header: http.Header{}}
			return func() {
				clear(w.header)
				h.ServeHTTP(w, r)
			}
		}
		m := measure(
			func() float64 { return timed(serve(bare)) },
			func() float64 { return timed(serve(ours)) },
		)
		allocs := []float64{testing.AllocsPerRun(1000, serve(bare)), testing.AllocsPerRun(1000, serve(ours))}
		cost := func(ns, allocs float64) string { return fmt.Sprintf("%.0f ns, %.0f allocations", ns, allocs) }
		more := m.median(1, func(v, first float64) float64 { return v - first })
		t.row(name+", in process", cost(m.of[0], allocs[0]), cost(m.of[1], allocs[1]),
			fmt.Sprintf("%+.0f ns, %+.0f allocations", more, allocs[1]-allocs[0]), tt.wanted)
	}
}

// discard is a ResponseWriter that costs the same for every handler.
type discard struct {
	header http.Header
	failed bool
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(status int)      { d.failed = d.failed || status != http.StatusOK }

// timed returns how many nanoseconds a call of f takes.
func timed(f func()) float64 {
	return perPass(func() {
		for range 1000 {
			f()
		}
	}) / 1000
}

// perPass returns the nanoseconds of a pass, the median of many, since what
// else goes on in a machine makes some last far longer.
func perPass(pass func()) float64 {
	var all []float64
	for start := time.Now(); time.Since(start) < perRound/3; {
		began := time.Now()
		pass()
		all = append(all, float64(time.Since(began).Nanoseconds()))
	}
	return median(all)
}

// database compares get_screen_capture and set_screen_capture with handlers
// written by hand. Each client has a friend of its own to ask about.
func (t table) database(k kind) {
	if k.server != nil && slices.ContainsFunc(k.server.programs, func(name string) bool { return find(name) == "" }) {
		t.row("get_screen_capture, set_screen_capture, "+k.name, "not installed", "not installed", "", "≥ 0.85")
		return
	}
	d := newDatabase(t.b, k)
	for i := range uint32(clients) {
		d.addFriend(t.b, 1, 2+i, 20)
	}
	post := func(path, fields string) func(client int) string {
		return func(client int) string {
			body := `{"conversationType":1,"targetId":"` + misctest.ID(2+uint32(client)) + `"` + fields + `}`
			return "POST /misc/" + path + " HTTP/1.1\r\nHost: misc.example.com\r\nUser: " + misctest.ID(1) +
				"\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
		}
	}
	load := func(h http.Handler, request func(int) string, want string) func() float64 {
		return newLoad(t.b, serving(t.b, h), request, want).rate
	}
	ours, hand := handler(t.b, d, noCloud{}), newByHand(t.b, d)

	get, off := post("get_screen_capture", ""), `{"code":200,"result":{"status":0}}`
	t.rates("get_screen_capture, "+k.name, "≥ 0.85", load(http.HandlerFunc(hand.get), get, off), load(ours, get, off))
	if k.server == nil {
		d.db.SetMaxOpenConns(1) // SQLite's way to wait for another writer is to sleep
	}
	set, done := post("set_screen_capture", `,"noticeStatus":1`), `{"code":200}`
	t.rates("set_screen_capture, "+k.name, "≥ 0.85", load(http.HandlerFunc(hand.set), set, done), load(ours, set, done))
}

// byHand is what a server without this library would have.
type byHand struct {
	codec              *n3d.Codec
	both, friends, put *sql.Stmt
	now                func() any
}

func newByHand(b *testing.B, d *database) *byHand {
	h := &byHand{codec: codec(b), now: func() any { return time.Now().UTC().Format(time.DateTime) }}
	onConflict := `ON CONFLICT ("operateId") DO UPDATE SET`
	switch d.dialect {
	case sqlstore.MySQL:
		onConflict = `ON DUPLICATE KEY UPDATE`
	case sqlstore.PostgreSQL:
		h.now = func() any { return time.Now() }
	}
	const friends = `SELECT COUNT(*) FROM "friendships" WHERE "userId" = ? AND "friendId" = ? AND "status" = 20`
	const status = `SELECT "status" FROM "screen_statuses" WHERE "operateId" = ?`
	for _, p := range []struct {
		stmt **sql.Stmt
		text string
	}{
		{&h.both, `SELECT (` + friends + `), (` + status + `)`},
		{&h.friends, friends},
		{&h.put, `INSERT INTO "screen_statuses" ("operateId", "conversationType", "status", "createdAt", "updatedAt")
			VALUES (?, ?, ?, ?, ?) ` + onConflict + ` "status" = ?, "updatedAt" = ?`},
	} {
		stmt, err := d.db.Prepare(d.sql(p.text))
		require.NoError(b, err)
		b.Cleanup(func() { _ = stmt.Close() })
		*p.stmt = stmt
	}
	return h
}

// question is what a request asks, and ok whether it is one.
func (h *byHand) question(w http.ResponseWriter, r *http.Request) (q question, ok bool) {
	user, err := h.codec.Decode(r.Header.Get("User"))
	if err != nil {
		http.Error(w, "not logged in", http.StatusForbidden)
		return q, false
	}
	var body struct {
		ConversationType int    `json:"conversationType"`
		TargetID         string `json:"targetId"`
		NoticeStatus     int    `json:"noticeStatus"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, "bad request", http.StatusBadRequest)
		return q, false
	}
	target, err := h.codec.Decode(body.TargetID)
	if err != nil || body.ConversationType != 1 || body.NoticeStatus&1 != body.NoticeStatus {
		http.Error(w, "bad request", http.StatusBadRequest)
		return q, false
	}
	key := strconv.Itoa(int(min(user, target))) + "_" + strconv.Itoa(int(max(user, target)))
	return question{user, target, body.TargetID, key, body.NoticeStatus}, true
}

type question struct {
	user, target uint32
	targetID     string
	key          string
	notice       int
}

func (h *byHand) get(w http.ResponseWriter, r *http.Request) {
	q, ok := h.question(w, r)
	if !ok {
		return
	}
	var n int
	var on sql.NullInt64
	err := h.both.QueryRowContext(r.Context(), q.user, q.target, q.key).Scan(&n, &on)
	if related(w, n, err) {
		reply(w, `{"code":200,"result":{"status":`+strconv.FormatInt(on.Int64, 10)+`}}`)
	}
}

func (h *byHand) set(w http.ResponseWriter, r *http.Request) {
	q, ok := h.question(w, r)
	if !ok {
		return
	}
	var n int
	if err := h.friends.QueryRowContext(r.Context(), q.user, q.target).Scan(&n); !related(w, n, err) {
		return
	}
	now := h.now()
	if _, err := h.put.ExecContext(r.Context(), q.key, 1, q.notice, now, now, q.notice, now); err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	operation := "closeScreenNtf"
	if q.notice == 1 {
		operation = "openScreenNtf"
	}
	user := r.Header.Get("User")
	content, _ := json.Marshal(map[string]string{"operatorUserId": user, "operation": operation})
	var cloud misc.Messenger = noCloud{}
	if err := cloud.Send(r.Context(), misc.Message{Type: misc.Private, From: user, To: q.targetID,
		ObjectName: "ST:ConNtf", Content: string(content), IncludeSender: true}); err != nil {
		http.Error(w, "bad gateway", http.StatusBadGateway)
		return
	}
	reply(w, `{"code":200}`)
}

// related reports whether n friendships are one, and answers if not.
func related(w http.ResponseWriter, n int, err error) bool {
	switch {
	case err != nil:
		http.Error(w, "internal error", http.StatusInternalServerError)
	case n == 0:
		http.Error(w, "no friend", http.StatusForbidden)
	}
	return err == nil && n > 0
}

func reply(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = io.WriteString(w, body)
}

// noCloud takes every message.
type noCloud struct{}

func (noCloud) Send(context.Context, misc.Message) error { return nil }

// sendMessage compares the client of the chat cloud with one of net/http.
func (t table) sendMessage() {
	cloud := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		reply(w, `{"code":200}`)
	}))
	t.b.Cleanup(cloud.Close)
	client := func() *http.Client {
		transport := &http.Transport{MaxIdleConnsPerHost: clients}
		t.b.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport, Timeout: 10 * time.Second}
	}
	m := misc.Message{Type: misc.Private, From: misctest.ID(1), To: misctest.ID(2), ObjectName: "RC:TxtMsg", Content: `{"content":"hello"}`}
	ours := func(backup string) *rongcloud.Client {
		c, err := rongcloud.New(rongcloud.Config{AppKey: "key", AppSecret: "secret",
			Region: rongcloud.Region(cloud.URL), Backup: backup, HTTPClient: client()})
		require.NoError(t.b, err)
		return c
	}
	alone, withBackup := ours(""), ours(cloud.URL)
	bare := client()
	post := func() error {
		form := url.Values{"fromUserId": {m.From}, "toUserId": {m.To}, "objectName": {m.ObjectName}, "content": {m.Content}}
		req, err := http.NewRequest(http.MethodPost, cloud.URL+"/message/private/publish.json", strings.NewReader(form.Encode()))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := bare.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		var answer struct{ Code int }
		if err := json.Unmarshal(body, &answer); err != nil || answer.Code != 200 {
			return fmt.Errorf("code %d: %w", answer.Code, err)
		}
		return nil
	}
	each := func(call func() error) func() float64 {
		return func() float64 { return together(t.b, clients, func(int) error { return call() }) }
	}
	send := func(c *rongcloud.Client) func() float64 {
		return each(func() error { return c.Send(context.Background(), m) })
	}
	byHand := each(post)
	t.rates("send_message, rongcloud", "≥ 0.90", byHand, send(alone))
	t.rates("send_message, rongcloud, with a backup host", "≥ 0.90", byHand, send(withBackup))
}

// together lets n goroutines call f for one round, and returns the calls a
// second.
func together(b *testing.B, n int, f func(i int) error) float64 {
	var over atomic.Bool
	calls, failures := make([]int, n), make([]error, n)
	var all sync.WaitGroup
	start := time.Now()
	timer := time.AfterFunc(perRound, func() { over.Store(true) })
	defer timer.Stop()
	for i := range n {
		all.Go(func() {
			count := 0 // apart from those of the others
			for ; failures[i] == nil && !over.Load(); count++ {
				failures[i] = f(i)
			}
			calls[i] = count
		})
	}
	all.Wait()
	took := time.Since(start)
	require.NoError(b, errors.Join(failures...))
	total := 0
	for _, c := range calls {
		total += c
	}
	return float64(total) / took.Seconds()
}

// A load is what clients send to a server, each the same request again and
// again over a connection of its own. They are lean, to leave the machine to
// the server: an answer is as long as the first one was.
type load struct {
	b       *testing.B
	clients []client
	want    string
}

type client struct {
	conn            net.Conn
	request, answer []byte
}

func newLoad(b *testing.B, address string, request func(client int) string, want string) *load {
	l := &load{b, make([]client, clients), want}
	for i := range l.clients {
		conn, err := net.Dial("tcp", address)
		require.NoError(b, err)
		b.Cleanup(func() { _ = conn.Close() })
		text := []byte(request(i))
		_, err = conn.Write(text)
		require.NoError(b, err)
		var raw bytes.Buffer
		resp, err := http.ReadResponse(bufio.NewReader(io.TeeReader(conn, &raw)), nil)
		require.NoError(b, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(b, err)
		require.Equal(b, want, string(body))
		l.clients[i] = client{conn, text, raw.Bytes()}
	}
	return l
}

// serving returns the address of a server with that handler.
func serving(b *testing.B, h http.Handler) string {
	server := httptest.NewServer(h)
	b.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func (l *load) rate() float64 {
	return together(l.b, len(l.clients), func(i int) error {
		c := l.clients[i]
		if _, err := c.conn.Write(c.request); err != nil {
			return err
		}
		if _, err := io.ReadFull(c.conn, c.answer); err != nil {
			return err
		}
		if !bytes.HasPrefix(c.answer, []byte("HTTP/1.1 200 OK\r\n")) || !bytes.HasSuffix(c.answer, []byte(l.want)) {
			return fmt.Errorf("answer: %s", c.answer)
		}
		return nil
	})
}

// memoryStore shows how a MemoryStore grows: what a conversation takes, what any
// conversation at random costs a request, and what a second core adds.
func (t table) memoryStore() {
	var get, set []func() float64
	var names []string
	var last *misc.MemoryStore
	var asked []misc.Conversation
	for n := 1000; n <= 1_000_000; n *= 10 {
		s, bytes := newMemoryStore(t.b, n)
		t.row(fmt.Sprintf("MemoryStore of %d, memory for each conversation", n), "", fmt.Sprintf("%.0f B", bytes), "", "≤ 200 B")
		random := rand.New(rand.NewPCG(1, uint64(n)))
		asked = make([]misc.Conversation, 1<<16)
		for i := range asked {
			asked[i] = chat(random.IntN(n)) // strings of its own, as a request has them
		}
		requests := requests{over(misc.Config{Relations: everybody{}, Captures: s, Messenger: noCloud{}}), asked}
		get = append(get, func() float64 { return requests.per(t.b, "get_screen_capture", "") })
		set = append(set, func() float64 {
			return requests.per(t.b, "set_screen_capture", `,"noticeStatus":0`, `,"noticeStatus":1`)
		})
		names, last = append(names, strconv.Itoa(n)), s
	}
	for i, name := range []string{"get_screen_capture", "set_screen_capture"} {
		m := measure([][]func() float64{get, set}[i]...)
		for i := 1; i < len(m.of); i++ {
			t.row("MemoryStore, "+name+" of any in "+names[i]+", in process, to "+names[0], nanoseconds(m.of[0]), nanoseconds(m.of[i]),
				fmt.Sprintf("%.2f", m.ratio(i)), "≤ 1.5")
		}
	}
	parallel := func(goroutines int) func() float64 {
		return func() float64 {
			return float64(len(asked)) * together(t.b, goroutines, func(int) error { return getAll(last, asked) })
		}
	}
	t.rates("MemoryStore, gets on two goroutines, to one", "≥ 1.6", parallel(1), parallel(2))
}

// requests come to a handler over a store, and ask about one conversation
// after the other.
type requests struct {
	handler http.Handler
	of      []misc.Conversation
}

// per returns the nanoseconds of a request. All are made with the first fields,
// and then with the next.
func (q requests) per(b *testing.B, path string, fields ...string) float64 {
	r := httptest.NewRequest(http.MethodPost, "/misc/"+path, nil)
	r.Header.Set("Content-Type", "application/json")
	w := &discard{header: http.Header{}}
	var body bytes.Buffer
	return perPass(func() {
		for _, more := range fields {
			for _, c := range q.of {
				user, target := c.Users()
				body.Reset()
				body.WriteString(`{"conversationType":1,"targetId":"` + target + `"` + more + `}`)
				r.Header["User"] = []string{user}
				r.Body = io.NopCloser(&body)
				q.handler.ServeHTTP(w, r)
			}
		}
		require.False(b, w.failed)
	}) / float64(len(q.of)*len(fields))
}

// everybody is everybody's friend.
type everybody struct{}

func (everybody) AreFriends(context.Context, string, string) (bool, error)    { return true, nil }
func (everybody) IsGroupMember(context.Context, string, string) (bool, error) { return true, nil }

// newMemoryStore returns a store in which n conversations are on, and the heap
// that it takes for each, but for the characters of the ids.
func newMemoryStore(b *testing.B, n int) (*misc.MemoryStore, float64) {
	all := make([]misc.Conversation, n)
	for i := range all {
		all[i] = chat(i)
	}
	before := heap()
	s := misc.NewMemoryStore()
	for _, c := range all {
		require.NoError(b, s.SetScreenCapture(context.Background(), c, misc.NoticeOn))
	}
	after := heap()
	runtime.KeepAlive(all)
	return s, float64(after-before) / float64(n)
}

func chat(i int) misc.Conversation { return pair(uint32(i+1), uint32(2_000_000+i)) }

// heap returns the bytes in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what finalizers and pools have held until the first
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func getAll(s misc.ScreenCaptureStore, asked []misc.Conversation) error {
	ctx := context.Background()
	for _, c := range asked {
		if status, err := s.ScreenCapture(ctx, c); err != nil || status != misc.NoticeOn {
			return fmt.Errorf("status %d: %w", status, err)
		}
	}
	return nil
}
