package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"
)

// healthy answers 200 as long as the process runs.
func healthy(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]string{"status": "ok"})
}

// ready answers 200 if the database answers within a second, every version file
// is valid, and the server is not stopping; otherwise it answers 503. The body has
// the state of each part. The state of the cloud does not change the status: what
// sends no message works without the cloud, and a server that gets no requests
// would never find out that the cloud is back.
func ready(p *parts, stop *stopper, logger *slog.Logger) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		status, body := http.StatusOK, map[string]string{"status": "ready", "database": "ok", "catalog": "ok", "cloud": "ok"}
		fails := func(part, state string, err error) {
			status, body["status"], body[part] = http.StatusServiceUnavailable, "not ready", state
			logger.WarnContext(ctx, "not ready", "part", part, "error", err)
		}
		if err := p.db.PingContext(ctx); err != nil {
			fails("database", "does not answer", err)
		}
		if err := p.versions.Err(); err != nil {
			fails("catalog", "a file is missing or invalid", err)
		}
		if p.cloud.failed.Load() {
			body["cloud"] = "did not take the last message"
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
