package catalog_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/catalog"
)

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "versions")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for name, content := range map[string]string{
		"squirrel.json": `{"version": "1.0.2", "url": "https://downloads.example.com/SealTalk-1.0.2.zip"}`,
		"client_version.json": `{
			"iOS": {"version": "1.0.5", "build": "201607181821", "url": "https://downloads.example.com/app.plist"},
			"Android": {"version": "1.0.5", "url": "https://downloads.example.com/SealTalk-1.0.5.apk"}
		}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			log.Fatal(err)
		}
	}

	versions, err := catalog.Open(dir, catalog.Config{}) // for misc.Config.Versions
	if err != nil {
		log.Fatal(err)
	}
	release, err := versions.LatestRelease(context.Background(), misc.UpdateQuery{Version: "1.0.0"})
	if err != nil {
		log.Fatal(err)
	}
	clients, err := versions.ClientVersions(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	mobile, err := json.Marshal(clients)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(release.Version())
	fmt.Println(string(mobile))
	// Output:
	// 1.0.2
	// {"iOS":{"version":"1.0.5","build":"201607181821","url":"https://downloads.example.com/app.plist"},"Android":{"version":"1.0.5","url":"https://downloads.example.com/SealTalk-1.0.5.apk"}}
}

func ExampleParseReleases() {
	releases, err := catalog.ParseReleases([]byte(`{"releases": [
		{"version": "1.1.0", "rollout": 5, "builds": [{"url": "https://downloads.example.com/SealTalk-1.1.0.zip"}]},
		{"version": "1.0.2", "builds": [{"url": "https://downloads.example.com/SealTalk-1.0.2.zip"}]}
	]}`))
	if err != nil {
		log.Fatal(err)
	}
	for _, q := range []misc.UpdateQuery{
		{Version: "1.0.0", ClientID: "alice"}, // among the first 5 %
		{Version: "1.0.0", ClientID: "carol"}, // not among them
		{Version: "1.0.2", ClientID: "carol"},
		{Version: "1.1.0"},
	} {
		release, why := releases.Choose(q)
		if release == nil {
			fmt.Println("nothing:", why)
			continue
		}
		fmt.Println(release.Version())
	}
	// Output:
	// 1.1.0
	// 1.0.2
	// nothing: rollout
	// nothing: current
}

func ExampleParseRelease() {
	_, err := catalog.ParseRelease([]byte(`{"version": "1.0", "url": "SealTalk.zip", "notes": 5}`))
	fmt.Println(err)
	// Output:
	// catalog: notes: must be a string
	// catalog: version: "1.0" is not a semantic version such as 1.0.2
	// catalog: url: "SealTalk.zip" is not an absolute, percent-encoded https or http URL
}

// An id that is a number needs a codec. One that is a string is a public id already.
func ExampleParseSquare() {
	for _, file := range []string{
		`[{"id": "kFpN4KiZn", "type": "chatroom", "name": "Lobby"}]`,
		`[{"id": 1, "type": "chatroom", "name": "Lobby"}]`,
	} {
		_, err := catalog.ParseSquare([]byte(file), nil)
		fmt.Println(err)
	}
	// Output:
	// <nil>
	// catalog: [0].id: is a number, which needs a codec (Config.Codec)
}
