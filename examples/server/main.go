// Command server is the misc endpoints as a small server that a team can run:
// on a SQLite file, or on the MySQL or PostgreSQL database that its users,
// friends and groups are in.
//
//	go run ./examples/server
//
// starts it with a database file, demo users, versions and a stand-in for
// RongCloud, and prints three commands to try. The -h flag lists the settings.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/httpapi"
	"github.com/sealtalk-go/misc/n3d"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "server:", oneLine(err))
	if errors.As(err, new(usageError)) {
		os.Exit(2)
	}
	os.Exit(1)
}

// run is the whole program: it serves until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	cfg, err := parseConfig(args, stdout)
	if err != nil || cfg.help {
		return err
	}
	return serve(ctx, cfg, stdout, stderr)
}

// serve starts everything, from what depends on nothing to what depends on
// all of it, and ends it in the opposite order.
func serve(ctx context.Context, cfg config, stdout, stderr io.Writer) error {
	say := func(topic, format string, args ...any) {
		fmt.Fprintf(stdout, "%-11s %s\n", topic, fmt.Sprintf(format, args...))
	}
	logger := newLogger(stderr)
	starting, cancel := context.WithTimeout(ctx, cfg.limits.start)
	defer cancel()

	listener, err := net.Listen("tcp", cfg.addr)
	if err != nil {
		return fmt.Errorf("-addr: %w", err)
	}
	defer listener.Close()

	codec, err := n3d.New(cfg.n3dKey)
	if err != nil {
		return usageError{fmt.Errorf("-n3d-key: %w", err)}
	}
	friend, err := codec.Encode(2)
	if err != nil {
		return err
	}
	if cfg.n3dKey == demoN3DKey {
		say("ids", "public ids under the demo's key; to use your deployment's, set -n3d-key")
	}

	decisions := newDecisions()
	versions, dir, err := openVersions(cfg.versions, codec, decisions, logger)
	if err != nil {
		return err
	}
	say("versions", "in %s: change a file there, and the change is served", dir)

	cloud, cloudName, closeCloud, err := openCloud(cfg, logger)
	if err != nil {
		return err
	}
	defer closeCloud()
	say("chat cloud", "%s", cloudName)

	db, err := openDatabase(starting, cfg.db, logger)
	if err != nil {
		return err
	}
	defer db.Close()
	say("database", "%s answers", db.name)
	store, seeded, err := openStore(starting, db, codec, cfg.seed)
	if err != nil {
		return err
	}
	defer store.Close()
	say("tables", "ready: missing ones were made, existing ones are never changed")
	say("seed", "%s", seeded)

	service, err := misc.New(misc.Config{
		Versions:  versions,
		Square:    versions,
		Relations: store,
		Captures:  store,
		Related:   store,
		Messenger: cloud,
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	currentUser := httpapi.UserFromContext // set by no one here: nobody is logged in
	loopback := listener.Addr().(*net.TCPAddr).IP.IsLoopback()
	if loopback {
		s := newSessions(cfg.sessionKey, sessionLength)
		currentUser = s.currentUser
		mux.Handle("POST /demo/login", login(codec, s))
		say("login", "POST /demo/login: for demos, anyone on this machine may be any user")
	} else {
		say("login", "switched off: %s is not loopback, and the demo's login asks for no password; every POST is answered 403", listener.Addr())
	}
	api, err := httpapi.New(httpapi.Config{Service: service, CurrentUser: currentUser, Logger: logger})
	if err != nil {
		return err
	}
	metrics := newMetrics(db.DB, versions, decisions)
	mux.Handle("/misc/", api)
	mux.HandleFunc("GET /healthz", healthy)
	mux.Handle("GET /readyz", ready(db.DB, versions, logger))
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { answerError(w, http.StatusNotFound, "no such path") })

	traced, flush, err := tracing(starting, cfg.otlpEndpoint)
	if err != nil {
		return err
	}
	defer flush()

	server := &http.Server{
		Handler:           traced(observe(mux, metrics, logger, cfg.limits.request)),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      cfg.limits.write,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	say("listening", "http://%s", listener.Addr())
	if loopback {
		fmt.Fprint(stdout, tryIt("http://"+listener.Addr().String(), friend))
	}

	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	say("stopping", "requests in flight have %s to finish", cfg.limits.drain)
	draining, cancel := context.WithTimeout(context.Background(), cfg.limits.drain)
	defer cancel()
	if err := server.Shutdown(draining); err != nil {
		server.Close()
		return fmt.Errorf("stopped with requests unfinished: %w", err)
	}
	say("stopped", "every request was answered")
	return nil
}

// tryIt returns three commands to paste; friend is the public id of user 2.
func tryIt(base, friend string) string {
	return fmt.Sprintf(`
Try it, as user 1 with the friend 2, who is %[2]s to clients:

curl -c /tmp/misc-cookies -H 'Content-Type: application/json' -d '{"userId":1}' %[1]s/demo/login
curl -b /tmp/misc-cookies -w '\n' -H 'Content-Type: application/json' -d '{"conversationType":1,"targetId":"%[2]s","noticeStatus":1}' %[1]s/misc/set_screen_capture
curl -b /tmp/misc-cookies -w '\n' -H 'Content-Type: application/json' -d '{"conversationType":1,"targetId":"%[2]s"}' %[1]s/misc/get_screen_capture

`, base, friend)
}

var lineBreak = regexp.MustCompile(`\s*[\r\n]\s*`)

// oneLine joins the lines of an error that has several.
func oneLine(err error) string {
	return strings.ReplaceAll(lineBreak.ReplaceAllString(strings.TrimSpace(err.Error()), "; "), ":; ", ": ")
}
