package catalog_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"testing/fstest"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/catalog"
)

func ExampleOpen() {
	files := fstest.MapFS{ // in a server: os.DirFS("versions"), an embed.FS, …
		"squirrel.json": {Data: []byte(`{"version": "1.0.2", "url": "https://downloads.example.com/SealTalk-1.0.2.zip"}`)},
		"client_version.json": {Data: []byte(`{
			"iOS": {"version": "1.0.5", "build": "201607181821", "url": "https://downloads.example.com/app.plist"},
			"Android": {"version": "1.0.5", "url": "https://downloads.example.com/SealTalk-1.0.5.apk"}
		}`)},
	}
	versions, err := catalog.Open(files, catalog.Config{}) // for misc.Config.Versions
	if err != nil {
		log.Fatal(err)
	}
	query, err := misc.ParseUpdateQuery("version=1.0.0")
	if err != nil {
		log.Fatal(err)
	}
	release, err := versions.LatestRelease(context.Background(), query)
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
	for _, client := range []string{
		"version=1.0.0&id=alice", // among the first 5 %
		"version=1.0.0&id=carol", // not among them
		"version=1.0.2&id=carol",
		"version=1.1.0",
	} {
		q, err := misc.ParseUpdateQuery(client)
		if err != nil {
			log.Fatal(err)
		}
		d := releases.Choose(q)
		if d.Release == nil {
			fmt.Println("nothing:", d.Reason, d.Version)
			continue
		}
		fmt.Println(d.Version)
	}
	// Output:
	// 1.1.0
	// 1.0.2
	// nothing: rollout 1.1.0
	// nothing: current
}

func ExampleParseRelease() {
	_, err := catalog.ParseRelease([]byte(`{"version": "1.0", "url": "SealTalk.zip", "notes": 5}`))
	fmt.Println(err)
	// Output:
	// catalog: version (line 1): "1.0" is not a semantic version such as 1.0.2
	// catalog: url (line 1): "SealTalk.zip" is not an absolute, percent-encoded https or http URL
	// catalog: notes (line 1): must be a string
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
	// catalog: [0].id (line 1): is a number, which needs a codec (Config.Codec)
}
