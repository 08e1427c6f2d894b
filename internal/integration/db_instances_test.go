//go:build unix

package integration_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/sqlstore"
)

// InnoDB detects deadlocks when one new key is upserted several times at once.
func TestInstancesThatSetTheSameNewConversationAtOnceLeaveOneRowAndNoError(t *testing.T) {
	eachKind(t, kinds(), func(t *testing.T, d *database) {
		stores := []*sqlstore.Store{d.store(t, nil), d.store(t, d.pool(t))}
		const conversations, workers = 120, 32
		var done sync.WaitGroup
		gates := make([]sync.WaitGroup, conversations)
		for i := range gates {
			gates[i].Add(workers)
		}
		for w := range workers {
			done.Go(func() {
				s := stores[w%len(stores)]
				for i := range gates {
					gates[i].Done()
					gates[i].Wait()
					c := pair(uint32(i+1), uint32(i+2))
					if i%2 == 1 {
						c = group(uint32(i + 1))
					}
					assert.NoError(t, s.SetScreenCapture(t.Context(), c, misc.NoticeOn))
				}
			})
		}
		done.Wait()
		require.Equal(t, conversations, d.count(t, `SELECT COUNT(*) FROM "screen_statuses" WHERE "status" = 1`))
		require.Equal(t, conversations, d.count(t, `SELECT COUNT(*) FROM "screen_statuses"`))
	})
}

// 64 clients of two instances set conversations. Each client also has some that it is
// the only one to set, so that it knows what every read must see.
func TestAnAcknowledgedSetIsReadThroughEitherInstance(t *testing.T) {
	eachKind(t, kinds(), func(t *testing.T, d *database) {
		stores := []*sqlstore.Store{d.store(t, nil), d.store(t, d.pool(t))}
		const conversations, clients, rounds = 1000, 64, 24
		var done sync.WaitGroup
		for client := range clients {
			done.Go(func() {
				for round := range rounds {
					own := uint32(client + 1 + clients*(round%4))
					c := pair(own, 5000)
					want := misc.NoticeStatus((round/4 + 1) % 2)
					if !assert.NoError(t, stores[round%2].SetScreenCapture(t.Context(), c, want)) {
						return
					}
					for _, s := range stores {
						got, err := s.ScreenCapture(t.Context(), c)
						if !assert.NoError(t, err) || !assert.Equal(t, want, got) {
							return
						}
					}
					shared := group(uint32((client*31+round*17)%conversations + 1))
					if !assert.NoError(t, stores[client%2].SetScreenCapture(t.Context(), shared, want)) {
						return
					}
					_, err := stores[round%2].ScreenCapture(t.Context(), shared)
					assert.NoError(t, err)
				}
			})
		}
		done.Wait()
		require.Equal(t, d.count(t, `SELECT COUNT(*) FROM "screen_statuses"`),
			d.count(t, `SELECT COUNT(DISTINCT "operateId") FROM "screen_statuses"`))
	})
}
