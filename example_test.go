package misc_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/misctest"
)

func ExampleNew() {
	release, err := misc.NewRelease(misc.ReleaseFields{Version: "1.0.2", URL: "https://downloads.example.com/SealTalk-1.0.2.zip"})
	if err != nil {
		fmt.Println(err)
		return
	}
	clients, err := misc.NewClientVersions(misc.ClientVersionsFields{
		IOS:     misc.ClientVersion{Version: "1.0.5", Build: "201607181821", URL: "https://downloads.example.com/app.plist"},
		Android: misc.ClientVersion{Version: "1.0.5", URL: "https://downloads.example.com/app.apk"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	versions, err := misc.NewStaticVersions(release, clients)
	if err != nil {
		fmt.Println(err)
		return
	}
	cloud := &misctest.Messenger{} // in a server: rongcloud.New
	svc, err := misc.New(misc.Config{
		Versions:  versions,
		Relations: misctest.NewRelations(misctest.World{Friends: [][2]string{{"alice", "bob"}}}), // in a server: your users
		Captures:  misc.NewMemoryStore(),
		Messenger: cloud,
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	ctx := context.Background()
	query, err := misc.ParseUpdateQuery("version=1.0.0&platform=darwin")
	if err != nil {
		fmt.Println(err)
		return
	}
	update, err := svc.LatestUpdate(ctx, query)
	fmt.Println(update.Version(), err)

	fmt.Println(svc.SetScreenCapture(ctx, "alice", misc.Private, "bob", misc.NoticeOn))
	fmt.Println(cloud.Delivered()[0].Content)

	_, err = svc.ScreenCapture(ctx, "mallory", misc.Private, "bob")
	fmt.Println(misc.CodeOf(err))
	// Output:
	// 1.0.2 <nil>
	// <nil>
	// {"operatorUserId":"alice","operation":"openScreenNtf"}
	// not-friend
}

func ExampleCompareVersions() {
	for _, v := range []string{"1.0.10", "1.0.2+build", "1.0.2-rc.1", "1.0"} {
		c, err := misc.CompareVersions(v, "1.0.2")
		fmt.Println(v, c, err)
	}
	// Output:
	// 1.0.10 1 <nil>
	// 1.0.2+build 0 <nil>
	// 1.0.2-rc.1 -1 <nil>
	// 1.0 0 misc: version must be one semantic version such as 1.0.2
}

func ExampleOutgoingContent() {
	text, _ := misc.OutgoingContent("RC:TxtMsg", json.RawMessage(`"你好,Martin"`))
	link, _ := misc.OutgoingContent("RC:ImgTextMsg", json.RawMessage(`{"title":"News","url":"https://example.com"}`))
	fmt.Println(text)
	fmt.Println(link)
	// Output:
	// {"content":"你好,Martin"}
	// {"title":"News","url":"https://example.com"}
}

// The constructors report all problems at once.
func ExampleNewRelease_invalid() {
	_, err := misc.NewRelease(misc.ReleaseFields{
		Version: "1.0",                                                 // right: 1.0.2
		URL:     "https://downloads.example.com/My App.zip",            // right: https://downloads.example.com/My%20App.zip
		PubDate: "2026-11-28 08:00:00",                                 // right: 2026-11-28T08:00:00Z
		Extra:   map[string]json.RawMessage{"sha256": []byte("ab12…")}, // right: `"ab12…"`, with the quotes
	})
	fmt.Println(err)
	// Output:
	// misc: version: "1.0" is not a semantic version such as 1.0.2
	// misc: url: "https://downloads.example.com/My App.zip" is not an absolute, percent-encoded https or http URL
	// misc: pub_date: "2026-11-28 08:00:00" is neither 2006-01-02 nor 2006-01-02T15:04:05Z, without fractions of a second
	// misc: sha256: is not valid JSON
}

func ExampleNewClientVersions_invalid() {
	_, err := misc.NewClientVersions(misc.ClientVersionsFields{
		IOS:     misc.ClientVersion{Version: "1.0.5", Build: "20261128", URL: "itms-services://?url=https%3A%2F%2Fexample.com"}, // right: 202611280930
		Android: misc.ClientVersion{Version: "1.0.5", URL: "example.com/app.apk"},                                               // right: https://example.com/app.apk
	})
	fmt.Println(err)
	// Output:
	// misc: iOS.build: "20261128" is not a time in the form yyyyMMddHHmm
	// misc: Android.url: "example.com/app.apk" is not an absolute, percent-encoded URL
}

func ExampleNewSquare_invalid() {
	_, err := misc.NewSquare([]misc.SquareEntry{
		{ID: "kFpN4KiZn", Type: "Group"},                  // right: group
		{ID: "z2mlAvb0c", Type: "chatroom"},               // right: with a Name
		{ID: "z2mlAvb0c", Type: "group", MemberCount: -1}, // right: 0 if it is not known
	})
	fmt.Println(err)
	// Output:
	// misc: [0].type: "Group" is neither chatroom nor group
	// misc: [1].name: required for a chat room: SealTalk's iOS client crashes without one
	// misc: [2].memberCount: -1 is negative
}

// A field of an interface type that holds a nil pointer counts as a mistake.
func ExampleNew_invalid() {
	var store *misc.MemoryStore // right: misc.NewMemoryStore()
	_, err := misc.New(misc.Config{Captures: store, Messenger: &misctest.Messenger{}})
	fmt.Println(err)
	// Output:
	// misc: Config.Versions is required
	// misc: Config.Relations is required, unless Config.Store is set
	// misc: Config.Captures holds a nil *misc.MemoryStore
}
