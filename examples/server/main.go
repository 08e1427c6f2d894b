// Server is a complete server for the endpoints of package misc, with a
// database, limits, logs, metrics and traces. Users log in at one of SealTalk's
// own servers, whose cookie it reads, or at a demo login to replace. It keeps its
// data in a SQLite file, or uses the MySQL or PostgreSQL database that already has
// your users, friends and groups.
//
//	go run ./examples/server
//
// starts it with a SQLite file, misc.db, demo users, demo versions and a stand-in
// for RongCloud, and prints three commands to try. The flag -h lists the
// settings.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9/logging"
	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/httpapi"
)

func main() {
	logging.Disable() // go-redis would write to the standard logger what is in the log already
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the whole program. It serves until ctx ends, logs what goes wrong,
// and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cfg, err := parseConfig(args, stdout)
	logger := newLogger(stderr, cfg.log)
	switch {
	case cfg.help:
		return 0
	case err != nil:
		logFaults(logger, "settings", err)
	case cfg.check:
		p, fault := openParts(ctx, cfg, logger)
		p.close()
		err = fault
	default:
		err = serve(ctx, cfg, stdout, logger)
	}
	switch {
	case err == nil:
		return 0
	case errors.As(err, new(usageError)) && !cfg.check:
		return 2
	}
	return 1
}

// serve answers requests until ctx ends, and then finishes those in flight.
func serve(ctx context.Context, cfg config, stdout io.Writer, logger *slog.Logger) error {
	listener, err := net.Listen("tcp", cfg.addr)
	if err != nil {
		err = fmt.Errorf("-addr: %w", err)
		logFaults(logger, "address", err)
		return err
	}
	defer listener.Close()
	flags, output := log.Flags(), log.Writer()
	log.SetFlags(0)
	log.SetOutput(standardLog(logger, masker(cfg.appSecret)))
	defer func() { log.SetFlags(flags); log.SetOutput(output) }()
	p, err := openParts(ctx, cfg, logger)
	defer p.close()
	if err != nil {
		return err
	}
	cfg.addr = listener.Addr().String() // with the port that 0 stands for
	stop := new(stopper)
	handler, err := newHandler(cfg, p, stop, stdout, logger)
	if err != nil {
		logFaults(logger, "handler", err)
		return err
	}
	server := &http.Server{
		Handler:           handler,
		ConnState:         stop.watch,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      cfg.limits.write,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10, // spans that wait for the collector keep parts of it
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	logger.Info("listening", "url", "http://"+cfg.addr)

	select {
	case err = <-ended:
	case <-ctx.Done():
		logger.Info("stopping", "delay", cfg.stopDelay)
		err = stop.stop(server, cfg.stopDelay, cfg.limits)
	}
	if err != nil {
		server.Close()
		logFaults(logger, "stopped", err)
		return err
	}
	logger.Info("stopped, every request was answered")
	return nil
}

// newHandler returns the handler of all requests. Users log in at the server that
// -login names, or else at ownLogin, which may print to stdout how to try it.
func newHandler(cfg config, p *parts, stop *stopper, stdout io.Writer, logger *slog.Logger) (http.Handler, error) {
	service, err := misc.New(misc.Config{
		Versions:  p.versions,
		Square:    p.versions,
		Store:     p.store,
		Messenger: p.cloud,
	})
	if err != nil {
		return nil, err
	}
	api, err := httpapi.New(httpapi.Config{Service: service, CurrentUser: userOf, NotLoggedInCode: cfg.notLoggedIn, Prefix: cfg.prefix, Logger: logger})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	who := p.login
	if who == nil {
		who = ownLogin(mux, cfg, stdout, logger)
	}
	posts := logIn(who, limit(api, p.redis, "send", cfg.userLimit, cfg.addressLimit))
	for _, name := range []string{"send_message", "set_screen_capture", "send_sc_msg"} {
		mux.Handle("POST "+cfg.prefix+name, posts)
	}
	// Clients ask for the setting of each conversation that they open, which costs RongCloud nothing.
	mux.Handle("POST "+cfg.prefix+"get_screen_capture", logIn(who, limit(api, p.redis, "read", cfg.readLimit, cfg.addressLimit)))
	mux.Handle(cfg.prefix, api)
	mux.HandleFunc("GET /openapi.yaml", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/yaml")
		_, _ = w.Write(httpapi.OpenAPI()) // fails when the client has left
	})
	db := &health{db: p.db, store: p.store}
	metrics := newMetrics(p.db.DB, db, p.redis, p.versions, p.updates)
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /healthz", healthy)
	mux.Handle("GET /readyz", ready(p, db, stop, logger))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { answerError(w, http.StatusNotFound, "no such path") })
	return behind(cfg.proxies, stop.tell(traced(observe(mux, cfg.prefix, metrics, logger, cfg.limits.request), p.tracing)))
}
