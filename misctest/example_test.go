package misctest_test

import (
	"context"
	"fmt"
	"log"
	"testing"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/misctest"
)

func ExampleTestScreenCaptureStore() {
	// In a test file: func TestMyStore(t *testing.T) { … }
	_ = func(t *testing.T) {
		db := misc.NewMemoryStore() // a real one opens a database here, and makes stores below
		open := func(*testing.T) misc.ScreenCaptureStore { return db }
		misctest.TestScreenCaptureStore(t, misctest.CaptureSuite{
			New:       open,
			Second:    open, // another instance on the same database
			OpaqueIDs: true, // a key from Conversation.String takes any id
		})
	}
}

func ExampleTestRelations() {
	// In a test file: func TestMyRelations(t *testing.T) { … }
	_ = func(t *testing.T) {
		misctest.TestRelations(t, misctest.RelationsSuite{
			New: func(t *testing.T, w misctest.World) misc.Relations {
				// A real one inserts w into its database, each friendship in both
				// directions.
				return misctest.NewRelations(w)
			},
			// This database has UUIDs. If it has n3d ids, leave ID nil, and use
			// n3d.New(misctest.Key).
			ID: func(n uint32) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) },
		})
	}
}

// A service over the fakes: who may send, what is delivered, and what comes
// back when the chat cloud fails.
func Example() {
	var cloud misctest.Messenger
	service, err := misc.New(misc.Config{
		Versions:  static(nil), // such as one of package catalog
		Relations: misctest.NewRelations(misctest.World{Friends: [][2]string{{"ann", "bob"}}}),
		Captures:  misc.NewMemoryStore(),
		Messenger: &cloud,
	})
	if err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	fmt.Println(service.SetScreenCapture(ctx, "ann", misc.Private, "bob", misc.NoticeOn))
	fmt.Println(service.SetScreenCapture(ctx, "ann", misc.Private, "carl", misc.NoticeOn))
	for _, m := range cloud.Delivered() {
		fmt.Println(m.From, "to", m.To, m.Content)
	}

	cloud.Fail(misc.ErrUnreachable)
	err = service.SendScreenCaptureNotice(ctx, "bob", misc.Private, "ann")
	fmt.Println(misc.CodeOf(err))
	// Output:
	// <nil>
	// misc: not-friend
	// ann to bob {"operatorUserId":"ann","operation":"openScreenNtf"}
	// unreachable
}
