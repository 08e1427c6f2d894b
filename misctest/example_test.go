package misctest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/misctest"
)

func ExampleTestRelations() {
	// In a test file: func TestMyRelations(t *testing.T) { … }
	_ = func(t *testing.T) {
		misctest.TestRelations(t, func(t *testing.T, w misctest.World) misc.Relations {
			// A real one inserts w into its database, each friendship in both
			// directions. One that decodes ids gets n3d.New(misctest.Key).
			return misctest.NewRelations(w)
		})
	}
}

func ExampleTestMessenger() {
	// In a test file: func TestMyMessenger(t *testing.T) { … }
	_ = func(t *testing.T) {
		misctest.TestMessenger(t, func(t *testing.T) (misc.Messenger, func() []misc.Message) {
			// A real one gets the address of a server that stands in for its
			// cloud, and delivered asks that server.
			var m misctest.Messenger
			return &m, m.Delivered
		})
	}
}

// A service over the fakes: who may send, what is delivered, and what comes
// back when the chat cloud fails.
func Example() {
	clients, err := misc.NewClientVersions(misc.ClientVersionsFields{
		IOS:     misc.ClientVersion{Version: "2.0.1", Build: "202001020304", URL: "https://example.com/ios"},
		Android: misc.ClientVersion{Version: "2.0.1", URL: "https://example.com/android"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	versions, err := misc.NewStaticVersions(nil, clients)
	if err != nil {
		fmt.Println(err)
		return
	}
	var cloud misctest.Messenger
	service, err := misc.New(misc.Config{
		Versions:  versions,
		Relations: misctest.NewRelations(misctest.World{Friends: [][2]string{{"ann", "bob"}}}),
		Captures:  misc.NewMemoryStore(),
		Messenger: &cloud,
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	ctx := context.Background()
	fmt.Println(service.SetScreenCapture(ctx, "ann", misc.Private, "bob", misc.NoticeOn))
	fmt.Println(service.SetScreenCapture(ctx, "ann", misc.Private, "carl", misc.NoticeOn))
	for _, m := range cloud.Delivered() {
		fmt.Println(m.From, "to", m.To, m.Content)
	}

	cloud.Fail(misc.ErrUnreachable)
	err = service.SendScreenCaptureNotice(ctx, "bob", misc.Private, "ann")
	fmt.Println(errors.Is(err, misc.ErrUnreachable))
	// Output:
	// <nil>
	// misc: target is not a friend of the user
	// ann to bob {"operatorUserId":"ann","operation":"openScreenNtf"}
	// true
}
