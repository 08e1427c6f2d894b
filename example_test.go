package misc_test

import (
	"context"
	"encoding/json"
	"errors"
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
	update, err := svc.LatestUpdate(ctx, misc.UpdateQuery{Version: "1.0.0"})
	fmt.Println(update.Version(), err)

	fmt.Println(svc.SetScreenCapture(ctx, "alice", misc.Private, "bob", misc.NoticeOn))
	fmt.Println(cloud.Delivered()[0].Content)

	_, err = svc.ScreenCapture(ctx, "mallory", misc.Private, "bob")
	fmt.Println(errors.Is(err, misc.ErrNotFriend))
	// Output:
	// 1.0.2 <nil>
	// <nil>
	// {"operatorUserId":"alice","operation":"openScreenNtf"}
	// true
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

func ExampleNewRelease() {
	_, err := misc.NewRelease(misc.ReleaseFields{Version: "1.0", URL: "SealTalk.zip"})
	fmt.Println(err)
	// Output:
	// misc: version: "1.0" is not a semantic version such as 1.0.2
	// misc: url: "SealTalk.zip" is not an absolute, percent-encoded https or http URL
}
