package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/sealtalk-go/misc/sqlstore"
)

// healthy answers 200 as long as the process runs.
func healthy(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]string{"status": "ok"})
}

// health knows whether the database answers statements and takes writes. However
// many ask, it asks the database once a second, for a second at most. If not, the next
// statements make new connections: behind the same address may be a server that does, as
// with a Galera node that has lost its cluster but keeps its connections.
type health struct {
	db    *database
	store *sqlstore.Store
	mu    sync.Mutex
	asked time.Time
	err   error
}

func (h *health) database() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.asked) > time.Second {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if h.err = h.store.Check(ctx); h.err != nil {
			h.db.reconnect()
		}
		h.asked = time.Now()
	}
	return h.err
}

// stateOf says what is wrong with the database, for everyone to see, by the error of
// [sqlstore.Store.Check].
func stateOf(err error) string {
	var refused *mysql.MySQLError
	switch {
	case errors.As(err, &refused) && (refused.Number == 1047 || refused.Number == 1205), // the latter is that of wsrep_sync_wait on new connections
		strings.Contains(err.Error(), "wsrep_"):
		return "not part of the cluster"
	case errors.Is(err, pgconn.ErrReadOnlyConnection), strings.Contains(err.Error(), "takes no writes"):
		return "read-only"
	}
	return "does not answer"
}

// ready answers 200 if the database answers within a second and takes writes, every
// version file is valid, and the server is not stopping; otherwise it answers 503. The
// body has the state of each part, and the revision of each version file that is served. The states of the cloud and of Redis do not change the
// status: what sends no message works without the cloud, a server that gets no requests
// would never find out that the cloud is back, and without Redis everything works.
func ready(p *parts, db *health, stop *stopper, logger *slog.Logger) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		status, body := http.StatusOK, map[string]any{"status": "ready", "database": "ok", "catalog": "ok", "files": p.versions.Revisions(), "cloud": "ok"}
		fails := func(part, state string, err error) {
			status, body["status"], body[part] = http.StatusServiceUnavailable, "not ready", state
			logger.WarnContext(ctx, "not ready", "part", part, "error", err)
		}
		if err := db.database(); err != nil {
			fails("database", stateOf(err), err)
		}
		if err := p.versions.Err(); err != nil {
			fails("catalog", "a file is missing or invalid", err)
		}
		if p.cloud.failed.Load() {
			body["cloud"] = "did not take the last message"
		}
		if p.redis != nil {
			body["redis"] = "ok"
			if p.redis.away() != nil {
				body["redis"] = "away, this instance counts its share"
			}
		}
		if stop.stopping.Load() {
			status, body["status"] = http.StatusServiceUnavailable, "stopping"
		}
		answer(w, status, body)
	}
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // fails when the client has left
}

func answerError(w http.ResponseWriter, status int, message string) {
	answer(w, status, map[string]any{"code": status, "message": message})
}
