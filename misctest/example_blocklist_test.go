package misctest_test

import (
	"context"
	"testing"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/misctest"
)

// A BlockList is a misc.Store in which two users cannot act in their private
// conversation if one of them has blocked the other.
type BlockList struct {
	misc.Store
	Blocked func(ctx context.Context, a, b string) (bool, error)
}

func (s BlockList) Access(ctx context.Context, userID string, c misc.Conversation) (bool, misc.NoticeStatus, error) {
	allowed, setting, err := s.Store.Access(ctx, userID, c)
	if err == nil && allowed && c.Type() == misc.Private {
		a, b := c.Users()
		blocked, err := s.Blocked(ctx, a, b)
		return !blocked && err == nil, setting, err
	}
	return allowed, setting, err
}

func testBlockList(t *testing.T) {
	ann, bob := misctest.ID(10001), misctest.ID(10002) // not among the users of the suite
	newBlockList := func(t *testing.T, w misctest.World) misc.Store {
		store := newStore(t, w) // such as one of package sqlstore, with w in its database
		return BlockList{store, func(_ context.Context, a, b string) (bool, error) {
			return misc.PrivateConversation(a, b) == misc.PrivateConversation(ann, bob), nil
		}}
	}
	misctest.TestStore(t, misctest.StoreSuite{New: newBlockList}) // where nobody is blocked, nothing changes

	s := newBlockList(t, misctest.World{Friends: [][2]string{{ann, bob}}})
	if allowed, _, err := s.Access(t.Context(), bob, misc.PrivateConversation(ann, bob)); allowed || err != nil {
		t.Errorf("Access = %v, %v; want false", allowed, err)
	}
}

// A store with a rule of your own, and its test.
func ExampleTestStore() {
	_ = func(t *testing.T) { testBlockList(t) } // func TestBlockList(t *testing.T), in a test file
}
