package misctest_test

import (
	"context"
	"sync"
	"testing"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/misctest"
)

// MyStore is a misc.ScreenCaptureStore on a database. Here, a map takes the
// place of the database.
type MyStore struct{ db *sync.Map }

func (s MyStore) ScreenCapture(ctx context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
	if err := ctx.Err(); err != nil {
		return misc.NoticeOff, err
	}
	status, ok := s.db.Load(c.String())
	if !ok {
		return misc.NoticeOff, nil
	}
	return status.(misc.NoticeStatus), nil
}

func (s MyStore) SetScreenCapture(ctx context.Context, c misc.Conversation, status misc.NoticeStatus) error {
	if status != misc.NoticeOff && status != misc.NoticeOn {
		return misc.ErrInvalidNoticeStatus
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.db.Store(c.String(), status)
	return nil
}

func testMyStore(t *testing.T) {
	db := new(sync.Map)
	open := func(*testing.T) misc.ScreenCaptureStore { return MyStore{db} }
	misctest.TestScreenCaptureStore(t, open, misctest.StoreOptions{
		Second: open, // another instance on the same database
	})
}

// A store of your own, and its test.
func ExampleTestScreenCaptureStore() {
	_ = func(t *testing.T) { testMyStore(t) } // func TestMyStore(t *testing.T), in a test file
}
