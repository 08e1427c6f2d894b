package main

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/catalog"
)

// updates counts the decisions which desktop release a client gets from a
// releases.json, and hands each to the log line of its request.
type updates struct {
	decisions *prometheus.CounterVec
	clients   *prometheus.CounterVec
	known     atomic.Pointer[knownVersions]
}

// knownVersions are those of the releases in the file with a revision.
type knownVersions struct {
	revision string
	versions map[string]bool
}

func newUpdates() *updates {
	return &updates{
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "misc_update_decisions_total",
			Help: "Decisions which desktop release a client gets, from releases.json; offered is a version or none.",
		}, []string{"reason", "platform", "offered"}),
		clients: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "misc_update_clients_total",
			Help: "Questions of desktop clients, by the version that they run: one of releases.json, or other.",
		}, []string{"version", "platform"}),
	}
}

// count counts a decision from the releases that c serves.
func (u *updates) count(ctx context.Context, c *catalog.Catalog, q misc.UpdateQuery, d catalog.Decision) {
	offered, runs := "none", "other"
	if d.Release != nil {
		offered = d.Version
	}
	known := u.known.Load()
	if known == nil || known.revision != d.Revision {
		known = &knownVersions{d.Revision, map[string]bool{}}
		for _, r := range c.Releases().Table() {
			known.versions[r.Version] = true
		}
		u.known.Store(known)
	}
	if known.versions[q.Version.String()] {
		runs = q.Version.String()
	}
	u.decisions.WithLabelValues(string(d.Reason), d.Platform, offered).Inc()
	u.clients.WithLabelValues(runs, d.Platform).Inc()
	if logged, ok := ctx.Value(decisionKey{}).(*slog.Attr); ok {
		*logged = slog.Group("update", "runs", q.Version.String(), "platform", d.Platform, "arch", clip(q.Arch, 64), "os_version", clip(q.OSVersion, 64),
			"channel", d.Channel, "has_id", q.ClientID != "", "reason", string(d.Reason), "about", d.Version, "offered", offered, "revision", d.Revision)
	}
}

// decisionKey is the key of the attribute of a request's log line that says what was
// decided. It stays empty for requests that need no decision.
type decisionKey struct{}

// revisions is a metric with the revision of each version file that is served.
type revisions struct{ *catalog.Catalog }

var revisionInfo = prometheus.NewDesc("misc_catalog_info", "1 for each version file that is served, with the first 12 digits of its SHA-256.", []string{"file", "revision"}, nil)

func (r revisions) Describe(to chan<- *prometheus.Desc) { to <- revisionInfo }

func (r revisions) Collect(to chan<- prometheus.Metric) {
	for file, revision := range r.Revisions() {
		to <- prometheus.MustNewConstMetric(revisionInfo, prometheus.GaugeValue, 1, file, revision)
	}
}
