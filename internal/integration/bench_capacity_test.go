//go:build unix

package integration_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc/misctest"
)

// BenchmarkCapacity prints how many requests per second one and two instances of
// examples/server answer with one MariaDB, and how much CPU time each request
// takes in the instances and in MariaDB. The clients, the instances, the database
// and a stand-in for RongCloud share the machine, so the rates say little about
// other machines; the CPU time per request says how much a core can do. Every set
// writes, since each client switches the setting on and off.
//
//	go test ./internal/integration -run '^$' -bench Capacity -benchtime 1x
func BenchmarkCapacity(b *testing.B) {
	const most, rounds = 2, 3 // rounds, not counting one to warm up
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		b.Skip("the processor time of other processes is read from /proc")
	}
	cloud := serving(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		reply(w, `{"code":200}`)
	}))
	d := newDatabase(b, kinds()[3])
	for i := range uint32(most * clients) {
		d.addFriend(b, 1, 2+i, 20)
		d.exec(b, `INSERT INTO "screen_statuses" ("operateId", "conversationType", "status", "createdAt", "updatedAt") VALUES (?, 1, 1, NOW(), NOW())`,
			"1_"+strconv.Itoa(2+int(i)))
	}
	versions, server := versionsDir(b), buildServer(b)
	var instances []program
	var logins []string
	for range most {
		p := startProgram(b, []string{server}, func(free string) []string {
			return []string{"MISC_ADDR=127.0.0.1:" + free, "MISC_DB=mysql:root@tcp(127.0.0.1:" + strconv.Itoa(d.server.port) + ")/" + d.name,
				"MISC_VERSIONS=" + versions, "MISC_N3D_KEY=" + misctest.Key,
				"MISC_RONGCLOUD=http://" + cloud, "MISC_APP_KEY=key", "MISC_APP_SECRET=secret",
				"MISC_USER_LIMIT=1000000", "MISC_GROUP_QUOTA=3000000", "MISC_PRIVATE_QUOTA=3000000"}
		})
		instances, logins = append(instances, p), append(logins, "Cookie: "+p.login(b))
	}

	fmt.Printf("\n%s, %s/%s, GOMAXPROCS=%d\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))
	fmt.Printf("| case | answered | server, each request | MariaDB, each request | a core of servers | a core of MariaDB |\n|---|---|---|---|---|---|\n")
	for _, c := range []struct {
		path   string
		fields []string // further fields of the bodies to send in turn; nil for a GET
		answer string
	}{
		{"latest_update", nil, releaseJSON},
		{"get_screen_capture", []string{""}, `{"code":200,"result":{"status":1}}`},
		{"set_screen_capture", []string{`,"noticeStatus":0`, `,"noticeStatus":1`}, `{"code":200}`},
	} {
		for n := 1; n <= most; n++ {
			var sides []func() float64
			for i, p := range instances[:n] {
				sides = append(sides, loadInTurn(b, p.address, func(client int) []string {
					if c.fields == nil {
						return []string{"GET /misc/" + c.path + "?version=1.0.0&platform=darwin HTTP/1.1\r\nHost: misc.example.com\r\n\r\n"}
					}
					var requests []string
					for _, fields := range c.fields { // no two clients ask about the same friend
						requests = append(requests, postBy(logins[i], c.path, 2+uint32(i*clients+client), fields))
					}
					return requests
				}, c.answer))
			}
			atOnce(sides)
			var answered float64
			start, servers, database := time.Now(), cpu(b, instances[:n]...), cpu(b, program{pid: d.server.pid})
			for range rounds {
				answered += atOnce(sides)
			}
			took := time.Since(start)
			servers, database = cpu(b, instances[:n]...)-servers, cpu(b, program{pid: d.server.pid})-database
			requests := answered / rounds * took.Seconds()
			each := func(cpu time.Duration) (cost, perCore string) {
				if cpu.Seconds()/requests < 1e-6 { // what an idle MariaDB uses
					return "", ""
				}
				return fmt.Sprintf("%.0f µs", 1e6*cpu.Seconds()/requests), rate(requests / cpu.Seconds())
			}
			serverCost, serverCore := each(servers)
			databaseCost, databaseCore := each(database)
			fmt.Printf("| %s, %d of the server | %s | %s | %s | %s | %s |\n",
				c.path, n, rate(answered/rounds), serverCost, databaseCost, serverCore, databaseCore)
		}
	}
	b.ReportMetric(0, "ns/op")
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

// cpu returns the CPU time that programs have used, including that of the system
// for them.
func cpu(b *testing.B, programs ...program) (sum time.Duration) {
	const tick = time.Second / 100 // in /proc, whatever the kernel's own tick is
	for _, p := range programs {
		stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.pid), "stat"))
		require.NoError(b, err)
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:])) // starting with the third, state
		for _, field := range fields[11:13] {                                               // utime, stime
			sum += time.Duration(must(strconv.Atoi(field))) * tick
		}
	}
	return sum
}
