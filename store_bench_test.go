package misc_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
)

// BenchmarkMemoryStore asks about 1000 conversations spread over a store of
// many, as those that are active are, and about any of them at random. With
// -cpu 1,2 it shows what a second core adds.
func BenchmarkMemoryStore(b *testing.B) {
	ctx := context.Background()
	for n := 1000; n <= 1_000_000; n *= 10 {
		s := misc.NewMemoryStore()
		for i := range n {
			require.NoError(b, s.SetScreenCapture(ctx, conversation(i), misc.NoticeOn))
		}
		random := rand.New(rand.NewPCG(1, 2))
		active, all := make([]misc.Conversation, 1000), make([]misc.Conversation, 1<<16)
		for i := range active {
			active[i] = conversation(random.IntN(n))
		}
		for i := range all {
			all[i] = conversation(random.IntN(n))
		}
		for _, asked := range []struct {
			name string
			of   []misc.Conversation
		}{{"active", active}, {"any", all}} {
			b.Run(fmt.Sprintf("get, %s of %d", asked.name, n), func(b *testing.B) {
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					for i := rand.IntN(1000); pb.Next(); i++ {
						if status, err := s.ScreenCapture(ctx, asked.of[i%len(asked.of)]); status != misc.NoticeOn || err != nil {
							b.Error(status, err)
						}
					}
				})
			})
			b.Run(fmt.Sprintf("set, %s of %d", asked.name, n), func(b *testing.B) {
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					for i := rand.IntN(1000); pb.Next(); i++ {
						if err := s.SetScreenCapture(ctx, asked.of[i%len(asked.of)], misc.NoticeOn); err != nil {
							b.Error(err)
						}
					}
				})
			})
		}
	}
}

// conversation returns the i-th of many private conversations, with strings of
// its own, as a request brings them.
func conversation(i int) misc.Conversation {
	return misc.PrivateConversation(fmt.Sprintf("u%08d", i), fmt.Sprintf("u%08d", i*7+1))
}
