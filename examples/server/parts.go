package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sealtalk-go/misc/catalog"
	"github.com/sealtalk-go/misc/sqlstore"
	"go.opentelemetry.io/otel/trace"
)

// parts has everything that the server uses.
type parts struct {
	decisions *prometheus.CounterVec
	tracing   trace.TracerProvider
	flush     func() // sends the last spans
	versions  *catalog.Catalog
	files     *sqlstore.ConfigFiles // with -versions database
	watching  sync.WaitGroup        // for the versions in the database
	stopWatch context.CancelFunc
	login     currentUser // nil without -login
	tokens    *sqlstore.Tokens
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
	p := &parts{decisions: newDecisions(), stopWatch: func() {}}
	var state string
	var err error

	logger.Info("settings", "state", "valid", "demo_n3d_key", cfg.demoKey)
	if cfg.demoKey && cfg.login != "" {
		logger.Warn("-login without -n3d-key: the public ids of the demo's key are not those of your clients")
	}
	p.tracing, p.flush, state, err = openTracing(ctx, cfg.otlpEndpoint, masker(cfg.appSecret), logger)
	report("traces", state, err)
	p.cloud, state, err = openCloud(cfg, p.tracing, logger)
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
	}
	return p, errors.Join(faults...)
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
	p.flush()
}
