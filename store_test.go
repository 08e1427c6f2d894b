package misc_test

import (
	"context"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
)

// Some thousand conversations are switched on and off, so that lists get
// longer, shorter and are copied, while those next to them are read.
func TestMemoryStoreAnswersRightWhileItGrowsAndShrinks(t *testing.T) {
	const kept, switched, never = 0, 1, 2 // what becomes of conversation i, by i%3
	s := misc.NewMemoryStore()
	set := func(i int, status misc.NoticeStatus) {
		assert.NoError(t, s.SetScreenCapture(t.Context(), conversation(i), status))
	}
	want := func(i int, want misc.NoticeStatus) {
		got, err := s.ScreenCapture(t.Context(), conversation(i))
		assert.NoError(t, err)
		assert.Equal(t, want, got, "conversation %d", i)
	}
	const n = 3 * 2000
	var writing, reading sync.WaitGroup
	done := make(chan struct{})
	for part := range 2 {
		writing.Go(func() {
			for _, status := range []misc.NoticeStatus{misc.NoticeOn, misc.NoticeOff, misc.NoticeOn, misc.NoticeOn, misc.NoticeOff} {
				for i := 3*part + switched; i < n; i += 6 {
					set(i, status)
					want(i, status)
				}
			}
		})
	}
	for i := kept; i < n/10; i += 3 {
		set(i, misc.NoticeOn)
	}
	for range 2 {
		reading.Go(func() {
			for i := kept; ; i = (i + 3) % (n / 10) {
				want(i, misc.NoticeOn)
				want(i+never, misc.NoticeOff)
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	writing.Wait()
	close(done)
	reading.Wait()
	on := 0
	for i := range n {
		status, err := s.ScreenCapture(t.Context(), conversation(i))
		require.NoError(t, err)
		on += int(status)
	}
	assert.Equal(t, n/10/3, on, "those that were switched on to stay, and no others")
}

func TestMemoryStoreDoesNotGrowWhileOneConversationIsSwitched(t *testing.T) {
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	s, c := misc.NewMemoryStore(), conversation(1)
	before := heap()
	for range 200_000 {
		require.NoError(t, s.SetScreenCapture(context.Background(), c, misc.NoticeOn))
		require.NoError(t, s.SetScreenCapture(context.Background(), c, misc.NoticeOff))
	}
	assert.Less(t, heap()-before, int64(1<<20), "bytes")
	runtime.KeepAlive(s)
}
