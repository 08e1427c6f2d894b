package main

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
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

	story []chapter

	mu      sync.Mutex
	chapter int            // of the story, that the installations are in
	all     []installation // with the versions that they run in it
	looked  time.Time      // at the file
	state   *state         // as it was then
}

// newPage returns a page with its own host. The caller must close the host.
func newPage() (*page, error) {
	chapters, err := story()
	if err != nil {
		return nil, err
	}
	w := newWire()
	h, err := newHost([]byte(chapters[0].text), w)
	if err != nil {
		return nil, err
	}
	w.names = make(map[string]string)
	for name, id := range h.public {
		w.names[id] = name
	}
	p := &page{
		host: h, wire: w, releases: filepath.Join(h.dir, "versions", "releases.json"), streams: make(chan struct{}, maxStreams),
		story: chapters, all: installations(),
	}
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
	mux.HandleFunc("PUT /demo/chapters/{chapter}", p.turnTo)
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

// A state is what the page shows of releases.json.
type state struct {
	Path     string         `json:"path"` // different for each server
	Text     string         `json:"text"`
	Good     string         `json:"good"` // the last valid text
	Problem  string         `json:"problem"`
	Missing  bool           `json:"missing"`
	Chapter  int            `json:"chapter"` // of the story; -1 if the file is another
	Groups   []group        `json:"groups"`
	Possible map[string]int `json:"possible"` // how many could be offered each version if its rollout were at 100 %

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
	s := &state{Path: p.releases, Text: string(text), Missing: errors.Is(err, fs.ErrNotExist), Chapter: p.chapter, Possible: map[string]int{}, releases: p.source.Releases()}
	if s.Text != p.story[p.chapter].text {
		s.Chapter = -1
	}
	if o := p.state; o != nil && o.Text == s.Text && o.Missing == s.Missing && o.Chapter == s.Chapter && o.releases == s.releases {
		return o
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
	for p.ask(p.all); p.source.Releases() != s.releases; p.ask(p.all) { // all of one file
		s.releases = p.source.Releases()
	}
	s.Groups = groups(p.all)
	for _, n := range p.all {
		for _, v := range s.releases.Explain(n.parsed()).Releases {
			switch v.Reason {
			case catalog.ReasonUpdate, catalog.ReasonSuperseded, catalog.ReasonRollout, catalog.ReasonNoID:
				s.Possible[v.Version]++
			}
		}
	}
	data, err := json.Marshal(s)
	if err != nil {
		panic(err) // such values always encode
	}
	s.event = fmt.Appendf(nil, "event: catalog\ndata: %s\n\n", data)
	p.state = s
	return s
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
	if err := p.publish(text); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (p *page) publish(text []byte) error {
	return errors.Join(os.WriteFile(p.releases+".new", text, 0o600), os.Rename(p.releases+".new", p.releases))
}

// turnTo publishes the file of a chapter, and lets the installations go on as soon as
// it is served.
func (p *page) turnTo(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.PathValue("chapter"))
	if err != nil || n < 0 || n >= len(p.story) {
		http.NotFound(w, r)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	text := []byte(p.story[n].text)
	if err := p.publish(text); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	sum := sha256.Sum256(text)
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	for p.source.Revisions()["releases.json"] != hex.EncodeToString(sum[:])[:12] {
		select {
		case <-time.After(20 * time.Millisecond): // the catalog looks at it once a second
		case <-ctx.Done():
			http.Error(w, "releases.json was replaced before it was served", http.StatusConflict)
			return
		}
	}
	p.chapter, p.all, p.looked = n, p.fleet(n), time.Time{}
	w.WriteHeader(http.StatusNoContent)
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v) // fails when the client has left
}
