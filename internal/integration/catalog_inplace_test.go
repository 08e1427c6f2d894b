//go:build unix

package integration_test

import (
	"os"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// A file that is written in place is truncated and then written anew, and a
// reader may be in the middle of it: one page of the last edition, and the
// next of the new one.
func TestAFileWrittenInPlaceIsNeverServedAsAMixture(t *testing.T) {
	s := newShop(t)
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !stop.Load() && !t.Failed() {
			s.ask(t, catalogPaths[0])
		}
	}()
	for n := edition(2); n < 2000 && !t.Failed(); n++ {
		for path, text := range s.files(n) {
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		}
	}
	stop.Store(true)
	<-done
}
