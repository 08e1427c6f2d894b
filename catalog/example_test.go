package catalog_test

import (
	"context"
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
	fmt.Println("desktop", release.Version)
	fmt.Println("iOS", clients.IOS.Version, clients.IOS.Build)
	fmt.Println("Android", clients.Android.Version)
	// Output:
	// desktop 1.0.2
	// iOS 1.0.5 201607181821
	// Android 1.0.5
}
