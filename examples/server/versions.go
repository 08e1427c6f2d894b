package main

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/catalog"
)

// demoVersionsDir is where the demo's versions are kept.
const demoVersionsDir = "misc.versions"

//go:embed versions
var demoVersions embed.FS

// openVersions serves the files in -versions. Without that flag it serves those in
// demoVersionsDir, into which it copies the demo's files unless they exist. Each
// decision from a releases.json is counted in decisions.
func openVersions(cfg config, decisions *prometheus.CounterVec, logger *slog.Logger) (_ *catalog.Catalog, state string, _ error) {
	dir := cmp.Or(cfg.versions, demoVersionsDir)
	if cfg.versions == "" && !cfg.check {
		files, err := fs.Sub(demoVersions, "versions")
		if err == nil {
			err = os.CopyFS(dir, files)
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, "", fmt.Errorf("the demo's versions: %w", err)
		}
	}
	versions, err := catalog.Open(os.DirFS(dir), catalog.Config{
		Codec:  cfg.codec,
		Logger: logger,
		Decided: func(_ context.Context, _ misc.UpdateQuery, d catalog.Decision) {
			decisions.WithLabelValues(string(d.Reason)).Inc()
		},
	})
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", dir, err)
	}
	return versions, "in " + dir + "; change a file there, and the change is served", nil
}
