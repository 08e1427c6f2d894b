package misc_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/misctest"
)

func TestMemoryStore(t *testing.T) {
	s := misc.NewMemoryStore()
	same := func(*testing.T) misc.ScreenCaptureStore { return s }
	misctest.TestScreenCaptureStore(t, misctest.CaptureSuite{New: same, Second: same, OpaqueIDs: true})
}

func TestMemoryStoreKeepsThousandsOfConversationsApart(t *testing.T) {
	s := misc.NewMemoryStore()
	const n = 6000
	var all sync.WaitGroup
	for part := range 4 {
		all.Go(func() {
			for i := part; i < n; i += 4 {
				for _, status := range []misc.NoticeStatus{misc.NoticeOn, misc.NoticeOff, misc.NoticeStatus(i / 4 % 2)} {
					assert.NoError(t, s.SetScreenCapture(t.Context(), conversation(i), status))
				}
			}
		})
	}
	all.Wait()
	for i := range n {
		got, err := s.ScreenCapture(t.Context(), conversation(i))
		assert.NoError(t, err)
		assert.Equal(t, misc.NoticeStatus(i/4%2), got, "conversation %d", i)
	}
}

// conversation returns the i-th of many private conversations, with new strings, like
// those of a request.
func conversation(i int) misc.Conversation {
	return misc.PrivateConversation(fmt.Sprintf("u%08d", i), fmt.Sprintf("u%08d", i*7+1))
}
