package main

import (
	"context"
	"embed"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/catalog"
	"github.com/sealtalk-go/misc/n3d"
)

// demoVersionsDir is where the demo's versions are kept.
const demoVersionsDir = "misc.versions"

//go:embed versions
var demoVersions embed.FS

// openVersions serves the files in dir. Without a dir it serves those in
// demoVersionsDir, after it has put each demo file there that is missing. Each
// decision of a releases.json is counted in decisions.
func openVersions(dir string, codec *n3d.Codec, decisions *prometheus.CounterVec, logger *slog.Logger) (_ *catalog.Catalog, opened string, _ error) {
	if dir == "" {
		dir = demoVersionsDir
		if err := writeDemoVersions(dir); err != nil {
			return nil, "", fmt.Errorf("the demo's versions: %w", err)
		}
	}
	versions, err := catalog.Open(dir, catalog.Config{
		Codec:  codec,
		Logger: logger,
		Decided: func(_ context.Context, _ misc.UpdateQuery, why catalog.Reason) {
			decisions.WithLabelValues(string(why)).Inc()
		},
	})
	if err != nil {
		return nil, "", fmt.Errorf("-versions %s: %w", dir, err)
	}
	return versions, dir, nil
}

func writeDemoVersions(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"squirrel.json", "client_version.json", "demo_square.json"} {
		content, err := demoVersions.ReadFile("versions/" + name)
		if err != nil {
			return err
		}
		path := filepath.Join(dir, name)
		if _, err := os.Lstat(path); err == nil {
			continue
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
