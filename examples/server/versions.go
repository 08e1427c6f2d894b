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
	"slices"
	"strings"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/catalog"
	"github.com/sealtalk-go/misc/sqlstore"
)

// demoVersionsDir is where the demo's versions are kept.
const demoVersionsDir = "misc.versions"

//go:embed versions
var demoVersions embed.FS

// openVersions serves the files in -versions. Without that flag it serves those in
// demoVersionsDir, into which it copies the demo's files unless they exist. Each
// decision from a releases.json is counted in p.decisions.
func (p *parts) openVersions(ctx context.Context, cfg config, logger *slog.Logger) (state string, err error) {
	where, files := cmp.Or(cfg.versions, demoVersionsDir), fs.FS(nil)
	source, dir, _ := strings.Cut(where, ":")
	switch {
	case source == "database":
		if p.files, err = sqlstore.NewConfigFiles(ctx, p.db.DB, p.db.dialect); err != nil {
			return "", err
		}
		files = p.files
		if dir != "" {
			files = releasesBeside{p.files, os.DirFS(dir)}
		}
	case cfg.versions == "" && !cfg.check:
		demo, err := fs.Sub(demoVersions, "versions")
		if err == nil {
			err = os.CopyFS(where, demo)
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return "", fmt.Errorf("the demo's versions: %w", err)
		}
		fallthrough
	default:
		files = os.DirFS(where)
	}
	p.versions, err = catalog.Open(files, catalog.Config{
		Codec:  cfg.codec,
		Logger: logger,
		Decided: func(_ context.Context, _ misc.UpdateQuery, d catalog.Decision) {
			p.decisions.WithLabelValues(string(d.Reason)).Inc()
		},
	})
	if err != nil {
		return "", fmt.Errorf("%s: %w", where, err)
	}
	if source == "database" { // no request waits for it
		watched, stop := context.WithCancel(context.Background())
		p.stopWatch = stop
		p.watching.Go(func() { p.versions.Watch(watched) })
	}
	var revisions []string
	for name, revision := range p.versions.Revisions() {
		revisions = append(revisions, name+" "+revision)
	}
	slices.Sort(revisions)
	return "in " + where + ": " + strings.Join(revisions, ", ") + "; a change there is served", nil
}

// releasesBeside are the files of the table config_list, with the desktop releases
// of a directory.
type releasesBeside struct{ table, dir fs.FS }

func (f releasesBeside) Open(name string) (fs.File, error) {
	if name == "releases.json" || name == "squirrel.json" {
		return f.dir.Open(name)
	}
	return f.table.Open(name)
}
