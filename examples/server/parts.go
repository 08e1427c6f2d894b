package main

import (
	"context"
	"errors"
	"log/slog"

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
	p := &parts{decisions: newDecisions()}
	var state string
	var err error

	logger.Info("settings", "state", "valid", "demo_n3d_key", cfg.demoKey)
	p.tracing, p.flush, state, err = openTracing(ctx, cfg.otlpEndpoint, logger)
	report("traces", state, err)
	p.versions, state, err = openVersions(cfg, p.decisions, logger)
	report("versions", state, err)
	p.cloud, state, err = openCloud(cfg, p.tracing, logger)
	report("chat cloud", state, err)
	p.db, state, err = openDatabase(ctx, cfg, p.tracing, logger)
	report("database", state, err)
	if err == nil && (len(faults) == 0 || cfg.check) { // create nothing for a server that cannot start
		p.store, state, err = openStore(ctx, p.db, cfg)
		report("tables", state, err)
	}
	return p, errors.Join(faults...)
}

// close closes the parts that were opened.
func (p *parts) close() {
	if p.store != nil {
		p.store.Close()
	}
	if p.db != nil {
		p.db.Close()
	}
	p.flush()
}
