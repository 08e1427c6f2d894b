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
// decision from a releases.json is counted in p.updates. The catalog logs each
// file with its revision.
func (p *parts) openVersions(ctx context.Context, cfg config, logger *slog.Logger) (state string, err error) {
	where, files := cmp.Or(cfg.versions, demoVersionsDir), fs.FS(nil)
	source, dir, _ := strings.Cut(where, ":")
	switch {
	case source == "database":
		if p.files, err = sqlstore.NewConfigFiles(ctx, p.db.DB, p.db.dialect); err != nil {
			return "", err
		}
		files, where = p.files, "the table config_list (mobileVersion is client_version.json, demoSquare is demo_square.json)"
		if dir != "" {
			files, where = releasesBeside{p.files, os.DirFS(dir)}, where+" and, for releases, "+dir
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
		Decided: func(ctx context.Context, q misc.UpdateQuery, d catalog.Decision) {
			p.updates.count(ctx, p.versions, q, d)
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
	return "in " + where + "; a change there is served", nil
}

// releasesBeside are the files of the table config_list, with the desktop releases
// of a directory.
type releasesBeside struct{ table, dir fs.FS }

var _ fs.StatFS = releasesBeside{}

func (f releasesBeside) of(name string) fs.FS {
	if name == "releases.json" || name == "squirrel.json" {
		return f.dir
	}
	return f.table
}

func (f releasesBeside) Open(name string) (fs.File, error) { return f.of(name).Open(name) }

// Stat does not open the file, which would hang on a pipe.
func (f releasesBeside) Stat(name string) (fs.FileInfo, error) { return fs.Stat(f.of(name), name) }
