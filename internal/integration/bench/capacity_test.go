//go:build unix

package bench_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc/internal/integration/servers"
	"github.com/sealtalk-go/misc/internal/integration/testhost"
	"github.com/sealtalk-go/misc/misctest"
)

// BenchmarkCapacity prints how many requests per second one and two instances of
// examples/server answer with one MariaDB, and how much CPU time each request
// takes in the instances and in MariaDB. The clients, the instances, the database
// and a stand-in for RongCloud share the machine, so the rates say little about
// other machines; the CPU time per request says how much a core can do. Every set
// writes, since each client switches the setting on and off.
//
//	go test ./internal/integration/bench -run '^$' -bench Capacity -benchtime 1x
func BenchmarkCapacity(b *testing.B) {
	const most, rounds = 2, 3 // rounds, not counting one to warm up
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		b.Skip("the processor time of other processes is read from /proc")
	}
	cloud := serving(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		reply(w, `{"code":200}`)
	}))
	d := servers.NewDatabase(b, servers.Kinds()[3])
	for i := range uint32(most * clients) {
		d.AddFriend(b, 1, 2+i, 20)
		d.Exec(b, `INSERT INTO "screen_statuses" ("operateId", "conversationType", "status", "createdAt", "updatedAt") VALUES (?, 1, 1, NOW(), NOW())`,
			"1_"+strconv.Itoa(2+int(i)))
	}
	versions, server := testhost.VersionFiles(b), servers.Build(b, "../../../examples/server")
	var addresses, logins []string
	var instances []int // their process ids
	for range most {
		address := servers.FreeAddress(b)
		p := servers.Start(b, address, b.TempDir(), server, "MISC_ADDR="+address, "MISC_DB="+d.DSN(), "MISC_VERSIONS="+versions, "MISC_N3D_KEY="+misctest.Key,
			"MISC_RONGCLOUD=http://"+cloud, "MISC_APP_KEY=key", "MISC_APP_SECRET=secret",
			"MISC_USER_LIMIT=1000000", "MISC_READ_LIMIT=1000000", "MISC_GROUP_QUOTA=3000000", "MISC_PRIVATE_QUOTA=3000000")
		addresses, logins, instances = append(addresses, address), append(logins, login(b, address)), append(instances, p.PID)
	}

	fmt.Printf("\n%s, %s/%s, GOMAXPROCS=%d\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))
	fmt.Printf("| case | answered | server, each request | MariaDB, each request | a core of servers | a core of MariaDB |\n|---|---|---|---|---|---|\n")
	for _, c := range []struct {
		path   string
		fields []string // further fields of the bodies to send in turn; nil for a GET
		answer string
	}{
		{"latest_update", nil, testhost.Release},
		{"get_screen_capture", []string{""}, `{"code":200,"result":{"status":1}}`},
		{"set_screen_capture", []string{`,"noticeStatus":0`, `,"noticeStatus":1`}, `{"code":200}`},
	} {
		for n := 1; n <= most; n++ {
			var sides []func() float64
			for i := range n {
				sides = append(sides, load(b, addresses[i], func(client int) []string {
					if c.fields == nil {
						return []string{"GET /misc/" + c.path + "?version=1.0.0&platform=darwin HTTP/1.1\r\nHost: misc.example.com\r\n\r\n"}
					}
					var requests []string
					for _, fields := range c.fields { // no two clients ask about the same friend
						requests = append(requests, post(logins[i], c.path, 2+uint32(i*clients+client), fields))
					}
					return requests
				}, c.answer))
			}
			atOnce(sides)
			var answered float64
			start, ours, database := time.Now(), servers.CPU(b, instances[:n]...), servers.CPU(b, d.Server.PID())
			for range rounds {
				answered += atOnce(sides)
			}
			took := time.Since(start)
			ours, database = servers.CPU(b, instances[:n]...)-ours, servers.CPU(b, d.Server.PID())-database
			requests := answered / rounds * took.Seconds()
			each := func(cpu time.Duration) (cost, perCore string) {
				if cpu.Seconds()/requests < 1e-6 { // what an idle MariaDB uses
					return "", ""
				}
				return fmt.Sprintf("%.0f µs", 1e6*cpu.Seconds()/requests), rate(requests / cpu.Seconds())
			}
			serverCost, serverCore := each(ours)
			databaseCost, databaseCore := each(database)
			fmt.Printf("| %s, %d of the server | %s | %s | %s | %s | %s |\n",
				c.path, n, rate(answered/rounds), serverCost, databaseCost, serverCore, databaseCore)
		}
	}
	b.ReportMetric(0, "ns/op")
}

// login returns the cookie with which examples/server knows user 1.
func login(b *testing.B, address string) string {
	resp, err := http.Post("http://"+address+"/demo/login", "application/json", strings.NewReader(`{"userId":1}`))
	require.NoError(b, err)
	defer resp.Body.Close()
	require.Len(b, resp.Cookies(), 1)
	return resp.Cookies()[0].Name + "=" + resp.Cookies()[0].Value
}

// atOnce runs all sides at the same time and returns the sum of their rates.
func atOnce(sides []func() float64) (sum float64) {
	rates := make(chan float64)
	for _, side := range sides {
		go func() { rates <- side() }()
	}
	for range sides {
		sum += <-rates
	}
	return sum
}
