package catalog_test

import (
	"context"
	"encoding/json"
	"errors"
	"expvar"
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

// Reading a bucket can take seconds. Watch does it in the background.
func ExampleCatalog_Watch() {
	bucket := fstest.MapFS{ // in a server: an fs.FS of the SDK of your bucket, such as a *blob.Bucket of gocloud.dev
		"releases.json":       {Data: []byte(`{"releases": [{"version": "1.0.2", "builds": [{"url": "https://downloads.example.com/SealTalk-1.0.2.zip"}]}]}`)},
		"client_version.json": {Data: []byte(`{"iOS": {"version": "0", "build": "200001010000", "url": "https://example.com"}, "Android": {"version": "0", "url": "https://example.com"}}`)},
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()

	versions, err := catalog.Open(bucket, catalog.Config{})
	if err != nil {
		log.Fatal(err)
	}
	go versions.Watch(ctx) // until ctx ends

	fmt.Println(versions.Releases())
	// Output: 1 release up to 1.0.2
}

// signed gives each client a URL that is valid for a short time.
type signed struct {
	*catalog.Catalog
	sign func(ctx context.Context, url string) (string, error) // of the SDK of your bucket
}

func (s signed) LatestRelease(ctx context.Context, q misc.UpdateQuery) (*misc.Release, error) {
	release, err := s.Catalog.LatestRelease(ctx, q)
	if err != nil {
		return nil, err
	}
	text, err := release.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var keys map[string]json.RawMessage
	var url string
	if err := errors.Join(json.Unmarshal(text, &keys), json.Unmarshal(keys["url"], &url)); err != nil {
		return nil, err
	}
	if url, err = s.sign(ctx, url); err != nil {
		return nil, err
	}
	if keys["url"], err = json.Marshal(url); err != nil {
		return nil, err
	}
	if text, err = json.Marshal(keys); err != nil {
		return nil, err
	}
	return catalog.ParseRelease(text)
}

// A VersionSource around a Catalog signs the URL of each answer.
func Example_signedURLs() {
	versions, err := catalog.Open(fstest.MapFS{
		"squirrel.json":       {Data: []byte(`{"version": "1.0.2", "url": "https://bucket.example.com/SealTalk-1.0.2.zip"}`)},
		"client_version.json": {Data: []byte(`{"iOS": {"version": "0", "build": "200001010000", "url": "https://example.com"}, "Android": {"version": "0", "url": "https://example.com"}}`)},
	}, catalog.Config{})
	if err != nil {
		log.Fatal(err)
	}
	source := signed{versions, func(_ context.Context, url string) (string, error) { return url + "?expires=3600&signature=ab12", nil }}

	query, err := misc.ParseUpdateQuery("version=1.0.0")
	if err != nil {
		log.Fatal(err)
	}
	release, err := source.LatestRelease(context.Background(), query)
	if err != nil {
		log.Fatal(err)
	}
	answer, err := release.MarshalJSON()
	fmt.Println(string(answer), err)
	// Output: {"version":"1.0.2","url":"https://bucket.example.com/SealTalk-1.0.2.zip?expires=3600&signature=ab12"} <nil>
}

func ExampleConfig_decided() {
	files := fstest.MapFS{
		"releases.json":       {Data: []byte(`{"releases": [{"version": "1.0.2", "builds": [{"url": "https://downloads.example.com/SealTalk-1.0.2.zip"}]}]}`)},
		"client_version.json": {Data: []byte(`{"iOS": {"version": "0", "build": "200001010000", "url": "https://example.com"}, "Android": {"version": "0", "url": "https://example.com"}}`)},
	}
	decisions := expvar.NewMap("update_decisions") // served at /debug/vars
	versions, err := catalog.Open(files, catalog.Config{
		Decided: func(_ context.Context, _ misc.UpdateQuery, d catalog.Decision) {
			decisions.Add(string(d.Reason), 1)
		},
	})
	if err != nil {
		log.Fatal(err)
	}

	query, err := misc.ParseUpdateQuery("version=1.0.0")
	if err != nil {
		log.Fatal(err)
	}
	_, err = versions.LatestRelease(context.Background(), query)
	fmt.Println(decisions, err)
	// Output: {"update": 1} <nil>
}
