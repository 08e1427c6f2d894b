package main

import (
	"bytes"
	"embed"
	"encoding/json"
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

// The page, and the releases.json that it plays with. Its texts are in texts.js.
//
//go:embed page
var pageFiles embed.FS

const (
	contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	lookEvery    = 300 * time.Millisecond // at the files
	writeTimeout = 5 * time.Second        // who does not read the events for so long is dropped
)

// A page lets people see the host work: two phones, and who gets which release.
type page struct {
	*host
	wire     *wire
	releases string // the file
	saving   sync.Mutex
}

// newPage returns the page over a host of its own. The caller closes the host.
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
	return &page{host: h, wire: w, releases: filepath.Join(h.dir, "versions", "releases.json")}, nil
}

// handler serves the page at / and the host at /misc/.
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
		w.Header().Set("Content-Security-Policy", contentSecurityPolicy)
		w.Header().Set("Referrer-Policy", "same-origin")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-cache")
		files.ServeHTTP(w, r)
	})
	return sameOrigin(mux), nil
}

// sameOrigin refuses what another site makes a browser send: the host believes
// whoever asks. Tools such as curl send neither Origin nor Sec-Fetch-Site.
func sameOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin, site := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site")
		switch {
		case !isLoopback(r.Host):
			http.Error(w, "this demo answers only for localhost and 127.0.0.1, not for "+strconv.Quote(r.Host), http.StatusForbidden)
		case origin != "" && origin != "http://"+r.Host, site != "" && site != "same-origin" && site != "none":
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
// it is another.
func (p *page) events(w http.ResponseWriter, r *http.Request) {
	last, _ := strconv.Atoi(r.Header.Get("Last-Event-ID")) // none: from the beginning
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	stream := http.NewResponseController(w)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var shown []byte // of the file, which the catalog reads a moment later
	var served *catalog.Releases
	for {
		var out bytes.Buffer
		if state, releases := p.catalogState(); !bytes.Equal(state, shown) || releases != served {
			shown, served = state, releases
			fmt.Fprintf(&out, "event: catalog\ndata: %s\n\n", state)
		}
		events, grown := p.wire.since(last)
		for _, e := range events {
			fmt.Fprintf(&out, "id: %d\nevent: %s\ndata: %s\n\n", e.id, e.name, e.data)
			last = e.id
		}
		if out.Len() > 0 {
			_ = stream.SetWriteDeadline(time.Now().Add(writeTimeout)) // net/http has it
			if _, err := w.Write(out.Bytes()); err != nil {
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

// An installation is one of those that the page shows the rollout on.
type installation struct {
	ID       string `json:"id"`
	Version  string `json:"version"`
	Platform string `json:"platform"`
	Arch     string `json:"arch"`
	OS       string `json:"os"`
	Channel  string `json:"channel"`
	Offered  string `json:"offered"` // a version, or empty
}

// installations returns 200 of them, mixed, and the same ones each time.
func installations() []installation {
	kinds := []struct {
		count int
		installation
	}{
		{60, installation{Version: "2.0.0", Platform: "darwin", Arch: "arm64", OS: "14.5"}},
		{45, installation{Version: "2.0.0", Platform: "win32", Arch: "x64", OS: "10.0.22631"}},
		{35, installation{Version: "1.0.2", Platform: "darwin", Arch: "x64", OS: "12.7"}},
		{20, installation{Version: "1.0.2", Platform: "linux", Arch: "x64"}},
		{20, installation{Version: "1.0.0", Platform: "win32", Arch: "x64", OS: "10.0.19045"}},
		{12, installation{Version: "2.1.0", Platform: "darwin", Arch: "arm64", OS: "15.1", Channel: "beta"}},
		{8, installation{Version: "1.0.2", Platform: "darwin", Arch: "x64", OS: "10.15.7"}},
	}
	var all []installation
	for _, kind := range kinds {
		for range kind.count {
			kind.ID = fmt.Sprintf("client-%d", len(all))
			all = append(all, kind.installation)
		}
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// catalogState returns the file, what is wrong with it, and what each
// installation is offered by the releases, which it returns as well.
func (p *page) catalogState() ([]byte, *catalog.Releases) {
	state := struct {
		Path          string         `json:"path"`
		Text          string         `json:"text"`
		Problem       string         `json:"problem"`
		Installations []installation `json:"installations"`
	}{Path: p.releases, Installations: installations()}
	releases := p.source.Releases()
	text, err := os.ReadFile(p.releases)
	if err == nil {
		err = p.source.Err()
	}
	if err != nil {
		state.Problem = err.Error()
	}
	state.Text = string(text)
	for i := range state.Installations {
		n := &state.Installations[i]
		q := misc.UpdateQuery{Version: n.Version, Platform: n.Platform, Arch: n.Arch, OSVersion: n.OS, Channel: n.Channel, ClientID: n.ID}
		if offered, _ := releases.Choose(q); offered != nil {
			n.Offered = offered.Version()
		}
	}
	data, err := json.Marshal(state)
	if err != nil {
		panic(err) // strings alone
	}
	return data, releases
}

// explain answers why the client that asks so gets each release or not.
func (p *page) explain(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	explained, err := p.source.Releases().Explain(misc.UpdateQuery{
		Version:   q.Get("version"),
		Platform:  q.Get("platform"),
		Arch:      q.Get("arch"),
		OSVersion: q.Get("os_version"),
		Channel:   q.Get("channel"),
		ClientID:  q.Get("id"),
		UserAgent: r.UserAgent(),
	})
	if err != nil {
		explained = &catalog.Explanation{Releases: []catalog.Verdict{}} // latest_update says what is wrong
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
	p.saving.Lock()
	defer p.saving.Unlock()
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
