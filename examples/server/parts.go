package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"

	"github.com/sealtalk-go/misc/catalog"
	"github.com/sealtalk-go/misc/sqlstore"
	"go.opentelemetry.io/otel/trace"
)

// parts has everything that the server uses.
type parts struct {
	updates   *updates
	tracing   trace.TracerProvider
	flush     func() // sends the last spans
	versions  *catalog.Catalog
	files     *sqlstore.ConfigFiles // with -versions database
	watching  sync.WaitGroup        // for the versions in the database
	stopWatch context.CancelFunc
	login     currentUser // nil without -login
	tokens    *sqlstore.Tokens
	redis     *shared // nil without -redis
	cloud     *cloud
	db        *database
	store     *sqlstore.Store
}

// openParts opens everything that cfg names, and logs a line about each part. The
// error joins the errors of all parts. With -check it changes nothing. The parts
// must be closed, even after an error.
func openParts(ctx context.Context, cfg config, logger *slog.Logger) (*parts, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.limits.start)
	defer cancel()
	var faults []error
	report := func(part, state string, err error) {
		if err != nil {
			logFaults(logger, part, err)
			faults = append(faults, err)
			return
		}
		logger.Info(part, "state", state)
	}
	p := &parts{updates: newUpdates(), stopWatch: func() {}}
	var state string
	var err error

	logger.Info("settings", "state", "valid", "demo_n3d_key", cfg.demoKey)
	if cfg.demoKey && cfg.login != "" {
		logger.Warn("-login without -n3d-key: the public ids of the demo's key are not those of your clients")
	}
	p.tracing, p.flush, state, err = openTracing(ctx, cfg.otlpEndpoint, masker(cfg.appSecret), logger)
	report("traces", state, err)
	p.redis, state, err = openShared(ctx, cfg, logger)
	if cfg.redis != "" {
		report("redis", state, err)
	}
	p.cloud, state, err = openCloud(cfg, p.redis, p.tracing, logger)
	report("chat cloud", state, err)
	p.db, state, err = openDatabase(ctx, cfg, p.tracing, logger)
	report("database", state, err)
	fromDatabase := cfg.versions == "database" || strings.HasPrefix(cfg.versions, "database:")
	if err == nil || !fromDatabase {
		state, openErr := p.openVersions(ctx, cfg, logger)
		report("versions", state, openErr)
	}
	if err == nil {
		var openErr error
		p.login, p.tokens, state, openErr = openLogin(ctx, p.db, cfg)
		report("login", state, openErr)
	}
	if err == nil && (len(faults) == 0 || cfg.check) { // create nothing for a server that cannot start
		p.store, state, err = openStore(ctx, p.db, cfg)
		report("tables", state, err)
		if err == nil {
			p.checkWrites(ctx, cfg, report, logger)
		}
	}
	return p, errors.Join(faults...)
}

// checkWrites finds out whether the database takes writes. If not, -check fails, but a
// server starts: a failover may be going on, and the version endpoints work meanwhile.
func (p *parts) checkWrites(ctx context.Context, cfg config, report func(part, state string, err error), logger *slog.Logger) {
	switch err := p.store.Check(ctx); {
	case err != nil && cfg.check:
		report("database", "", err)
	case err != nil:
		logger.Warn("not ready", "part", "database", "error", err)
	}
	p.db.writesOnly()
}

// close closes the parts that were opened.
func (p *parts) close() {
	p.stopWatch()
	p.watching.Wait()
	if p.files != nil {
		p.files.Close()
	}
	if p.tokens != nil {
		p.tokens.Close()
	}
	if p.store != nil {
		p.store.Close()
	}
	if p.db != nil {
		p.db.Close()
	}
	if p.redis != nil {
		p.redis.close()
	}
	p.flush()
}
