// Quickstart starts a demo server and a fake RongCloud on loopback. It calls
// all eight endpoints over HTTP, including requests that are refused, and
// prints each request, each answer, and each message that was delivered. It
// exits with 1 if an answer is not the expected one.
//
//	go run ./examples/quickstart
//	go run ./examples/quickstart -listen 127.0.0.1:8585
//
// With -listen it keeps running instead. It serves a page with two phones to
// try the endpoints on, and prints curl commands to paste.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	listen := flag.String("listen", "", "keep serving on this loopback `address`, such as 127.0.0.1:8585")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "quickstart: unexpected argument %q\n", flag.Arg(0))
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if *listen == "" {
		err = walk(ctx, os.Stdout, steps)
	} else {
		err = keepServing(ctx, os.Stdout, *listen)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		stop()
		os.Exit(1)
	}
}

// keepServing serves until ctx is done.
func keepServing(ctx context.Context, out io.Writer, address string) error {
	resolved, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return err
	}
	if !resolved.IP.IsLoopback() {
		return fmt.Errorf("%s is not a loopback address, and this demo believes whoever asks: use 127.0.0.1:8585", address)
	}
	listener, err := net.ListenTCP("tcp", resolved)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Open http://%s/ in a browser. It is served until interrupted.\n", listener.Addr())
	p, err := newPage()
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer p.close()
	handler, err := p.handler()
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	server := serve(listener, handler)
	defer server.Close()

	fmt.Fprint(out, "Or paste:\n\n")
	for _, s := range []step{steps[0], steps[12], steps[13]} {
		fmt.Fprintln(out, p.curl("http://"+listener.Addr().String(), s))
	}
	<-ctx.Done()
	return nil
}

// serve answers in the background until the server is closed.
func serve(listener net.Listener, handler http.Handler) *http.Server {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintln(os.Stderr, "quickstart:", err)
		}
	}()
	return server
}
