package main

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/catalog"
)

// The page, and the releases.json that it changes. Its texts are in texts.js.
//
//go:embed page
var pageFiles embed.FS

const (
	contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	lookEvery    = 300 * time.Millisecond // how often to look at the files
	writeTimeout = 5 * time.Second        // a client that reads no events for this long is dropped
	maxStreams   = 32                     // of events
)

// A page shows people how the host works: two phones, and who gets which release.
type page struct {
	*host
	wire     *wire
	releases string        // the path of the file
	streams  chan struct{} // holds one for each that is open

	mu     sync.Mutex
	looked time.Time // at the file
	state  *state    // as it was then
}

// newPage returns a page with its own host. The caller must close the host.
func newPage() (*page, error) {
	releases, err := pageFiles.ReadFile("page/releases.json")
	if err != nil {
		return nil, err
	}
	w := newWire()
	h, err := newHost(releases, w)
	if err != nil {
		return nil, err
	}
	w.names = make(map[string]string)
	for name, id := range h.public {
		w.names[id] = name
	}
	p := &page{host: h, wire: w, releases: filepath.Join(h.dir, "versions", "releases.json"), streams: make(chan struct{}, maxStreams)}
	p.current() // the file is valid now
	return p, nil
}

// handler returns a handler that serves the page at / and the host at /misc/.
func (p *page) handler() (http.Handler, error) {
	static, err := fs.Sub(pageFiles, "page")
	if err != nil {
		return nil, err
	}
	files := http.FileServerFS(static)
	mux := http.NewServeMux()
	mux.Handle("/misc/", p.wire.record(p.mux))
	mux.HandleFunc("GET /demo/world", func(w http.ResponseWriter, r *http.Request) { writeJSON(w, p.public) })
	mux.HandleFunc("GET /demo/events", p.events)
	mux.HandleFunc("GET /demo/explain", p.explain)
	mux.HandleFunc("PUT /demo/releases", p.saveReleases)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Referrer-Policy", "same-origin")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-cache")
		files.ServeHTTP(w, r)
	})
	return sameOrigin(mux), nil
}

// sameOrigin refuses requests that another site makes a browser send, since the host
// trusts every request. Only a link to the page is let through. Programs such as curl
// send neither Origin nor Sec-Fetch-Site.
func sameOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin, site := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site")
		link := r.Method == http.MethodGet && r.URL.Path == "/" &&
			r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
		w.Header().Set("Content-Security-Policy", contentSecurityPolicy)
		switch {
		case !isLoopback(r.Host):
			http.Error(w, "this demo answers only for localhost and 127.0.0.1, not for "+strconv.Quote(r.Host), http.StatusForbidden)
		case origin != "" && origin != "http://"+r.Host, site != "" && site != "same-origin" && site != "none" && !link:
			http.Error(w, "this demo answers no other site: open http://"+r.Host+"/ yourself", http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func isLoopback(host string) bool {
	name := (&url.URL{Host: host}).Hostname() // without the port
	return strings.EqualFold(name, "localhost") || net.ParseIP(name).IsLoopback()
}

// events streams what the wire records, and the state of releases.json whenever
// it changes.
func (p *page) events(w http.ResponseWriter, r *http.Request) {
	select {
	case p.streams <- struct{}{}:
		defer func() { <-p.streams }()
	default:
		http.Error(w, "this demo is open in too many windows: close one", http.StatusServiceUnavailable)
		return
	}
	last, _ := strconv.Atoi(r.Header.Get("Last-Event-ID")) // if there is none, from the beginning
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	stream := http.NewResponseController(w)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var shown *state
	for {
		var out []byte
		if current := p.current(); current != shown {
			shown = current
			out = append(out, current.event...)
		}
		events, grown := p.wire.since(last)
		for _, e := range events {
			out = append(out, e.data...)
			last = e.id
		}
		if len(out) > 0 {
			_ = stream.SetWriteDeadline(time.Now().Add(writeTimeout)) // net/http supports it
			if _, err := w.Write(out); err != nil {
				return
			}
			if err := stream.Flush(); err != nil {
				return
			}
		}
		select {
		case <-grown:
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

// An installation is one of the clients on which the page shows the rollout.
type installation struct {
	misc.UpdateQuery
	Version string // for the page
	Offered string // a version, or empty
	Reason  catalog.Reason
}

// installations returns 200 installations in a mixed order, the same each time.
func installations() []installation {
	kinds := []struct {
		count int
		query string
	}{
		{50, "version=2.0.0&platform=darwin&arch=arm64&os_version=14.5"},
		{45, "version=2.0.0&platform=win32&arch=x64&os_version=10.0.22631"},
		{35, "version=1.0.2&platform=darwin&arch=x64&os_version=12.7"},
		{20, "version=1.0.2&platform=linux&arch=x64"},
		{20, "version=1.0.0&platform=win32&arch=x64&os_version=10.0.19045"},
		{10, "version=2.1.0&platform=darwin&arch=arm64&os_version=15.1"},
		{12, "version=2.1.0&platform=darwin&arch=arm64&os_version=15.1&channel=beta"},
		{8, "version=1.0.2&platform=darwin&arch=x64&os_version=10.15.7"},
	}
	var all []installation
	for _, kind := range kinds {
		q, err := misc.ParseUpdateQuery(kind.query)
		if err != nil {
			panic(err) // the versions above are valid
		}
		for range kind.count {
			q.ClientID = fmt.Sprintf("client-%d", len(all))
			all = append(all, installation{UpdateQuery: q, Version: q.Version.String()})
		}
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// A state is what the page shows of releases.json.
type state struct {
	Path          string         `json:"path"` // different for each server
	Text          string         `json:"text"`
	Good          string         `json:"good"` // the last valid text
	Problem       string         `json:"problem"`
	Missing       bool           `json:"missing"`
	Installations []installation `json:"installations"`
	Possible      map[string]int `json:"possible"` // how many could be offered each version if its rollout were at 100 %

	releases *catalog.Releases // that are served, which may be older than the file
	event    []byte            // all this, as it goes out
}

// current returns the state as it was within the last lookEvery. However many ask for
// it, it is made once for each change.
func (p *page) current() *state {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state != nil && time.Since(p.looked) < lookEvery {
		return p.state
	}
	p.looked = time.Now()
	text, err := os.ReadFile(p.releases)
	s := &state{Path: p.releases, Text: string(text), Missing: errors.Is(err, fs.ErrNotExist), Possible: map[string]int{}, releases: p.source.Releases()}
	if p.state != nil && p.state.Text == s.Text && p.state.Missing == s.Missing && p.state.releases == s.releases {
		return p.state
	}
	if err == nil {
		_, err = catalog.ParseReleases(text)
	}
	switch {
	case err == nil:
		s.Good = s.Text
	default:
		s.Problem = err.Error()
		if p.state != nil {
			s.Good = p.state.Good
		}
	}
	s.ask()
	data, err := json.Marshal(s)
	if err != nil {
		panic(err) // such values always encode
	}
	s.event = fmt.Appendf(nil, "event: catalog\ndata: %s\n\n", data)
	p.state = s
	return s
}

// ask finds out what the releases offer each installation.
func (s *state) ask() {
	s.Installations = installations()
	for i := range s.Installations {
		n := &s.Installations[i]
		explained := s.releases.Explain(n.UpdateQuery)
		n.Reason = explained.Reason
		for _, v := range explained.Releases {
			switch v.Reason {
			case catalog.ReasonUpdate:
				n.Offered = v.Version
				fallthrough
			case catalog.ReasonSuperseded, catalog.ReasonRollout, catalog.ReasonNoID:
				s.Possible[v.Version]++
			}
		}
	}
}

// explain answers why the client described by the query gets each release or not.
func (p *page) explain(w http.ResponseWriter, r *http.Request) {
	explained := &catalog.Explanation{Releases: []catalog.Verdict{}}
	if q, err := misc.ParseUpdateQuery(r.URL.RawQuery); err == nil { // otherwise latest_update says what is wrong
		q.UserAgent = r.UserAgent()
		explained = p.source.Releases().Explain(q)
	}
	writeJSON(w, explained)
}

// saveReleases publishes a releases.json as a person would: it writes the new
// file beside the old one, and renames it into place.
func (p *page) saveReleases(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err == nil {
		_, err = catalog.ParseReleases(text)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	err = os.WriteFile(p.releases+".new", text, 0o600)
	if err == nil {
		err = os.Rename(p.releases+".new", p.releases)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v) // fails when the client has left
}
