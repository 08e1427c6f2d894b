//go:build unix

package cluster_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/internal/integration/servers"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/sqlstore"
)

// BenchmarkGalera prints what a get and a set cost on one server of MariaDB and on a
// cluster of three, all on this machine: how many there are a second with 16 clients, how
// long the middle one takes, and how much CPU time each takes in all servers together. A
// get is Access, and every set writes.
//
//	go test ./internal/integration/cluster -run '^$' -bench Galera -benchtime 1x
func BenchmarkGalera(b *testing.B) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		b.Skip("the processor time of other processes is read from /proc")
	}
	const clients, rounds = 16, 5
	one := servers.NewDatabase(b, servers.Plain()[2])
	g := newGalera(b)
	var pids []int
	var galera []*sqlstore.Store
	for _, n := range nodes {
		pids = append(pids, n.PID())
		galera = append(galera, g.store(b, n.Address()))
	}
	type setUp struct {
		name   string
		stores []*sqlstore.Store
		pids   []int
	}
	setUps := []setUp{
		{"one server", []*sqlstore.Store{one.Store(b, nil)}, []int{servers.MariaDB.PID()}},
		{"Galera, all clients at one node", galera[:1], pids},
		{"Galera, clients at three nodes", galera, pids},
	}
	fmt.Printf("\n%s, %s/%s, GOMAXPROCS=%d\n\n| set-up | call | answered | the middle one took | CPU time of the servers, each call |\n|---|---|---|---|---|\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))
	for _, call := range []string{"get", "set"} {
		rates := make([][]string, len(setUps))
		for range rounds { // in turn, so that what else the machine does affects all
			for i, s := range setUps {
				before, start := servers.CPU(b, s.pids...), time.Now()
				took := measure(b, s.stores, clients, call)
				n := float64(len(took))
				rates[i] = append(rates[i], fmt.Sprintf("%6.0f /s | %.2f ms | %.0f µs", n/time.Since(start).Seconds(),
					1e3*took[len(took)/2].Seconds(), 1e6*(servers.CPU(b, s.pids...)-before).Seconds()/n))
			}
		}
		for i, s := range setUps {
			slices.Sort(rates[i])
			fmt.Printf("| %s | %s | %s |\n", s.name, call, strings.TrimSpace(rates[i][rounds/2]))
		}
	}
	b.ReportMetric(0, "ns/op")
}

// measure returns how long each call took, in order, of those that the clients made in a
// second.
func measure(b *testing.B, stores []*sqlstore.Store, clients int, call string) (all []time.Duration) {
	var mu sync.Mutex
	var done sync.WaitGroup
	ctx, cancel := context.WithTimeout(b.Context(), time.Second)
	defer cancel()
	for i := range clients {
		s, c := stores[i%len(stores)], pair(1, uint32(i)+2)
		done.Go(func() {
			var took []time.Duration
			for n := 0; ctx.Err() == nil; n++ {
				start := time.Now()
				var err error
				if call == "set" {
					err = s.SetScreenCapture(b.Context(), c, misc.NoticeStatus(n%2))
				} else {
					_, _, err = s.Access(b.Context(), misctest.ID(1), c)
				}
				require.NoError(b, err)
				took = append(took, time.Since(start))
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
		})
	}
	done.Wait()
	slices.Sort(all)
	return all
}
