package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/catalog"
)

// A chapter of the page's story is a releases.json that is published.
type chapter struct {
	text     string
	releases *catalog.Releases
}

// story returns the files of a bad release and its fix: 2.1.0 goes to a quarter of the
// clients, loses drafts and is withdrawn, 2.1.1 goes to a tenth, and then to everyone.
func story() ([]chapter, error) {
	rollout, err := pageFiles.ReadFile("page/releases.json")
	if err != nil {
		return nil, err
	}
	fix, err := pageFiles.ReadFile("page/fix.json")
	if err != nil {
		return nil, err
	}
	const bad = `    {
      "version": "2.1.0",
`
	withdrawn := strings.Replace(string(rollout), bad, bad+`      "withdrawn": "loses drafts",
`, 1)
	fixed := strings.Replace(withdrawn, bad, strings.TrimRight(string(fix), "\n")+",\n"+bad, 1)
	everyone := strings.Replace(fixed, `"rollout": 10,`, `"rollout": 100,`, 1)

	var chapters []chapter
	for _, text := range []string{string(rollout), withdrawn, fixed, everyone} {
		releases, err := catalog.ParseReleases([]byte(text))
		if err != nil {
			return nil, err
		}
		chapters = append(chapters, chapter{text, releases})
	}
	return chapters, nil
}

// An installation is one of the clients on which the page shows the rollout.
type installation struct {
	query   url.Values     // what it says about itself
	About   string         `json:"about"`
	Version string         `json:"version"` // that it runs
	Offered string         `json:"offered"` // a version, or empty
	Reason  catalog.Reason `json:"reason"`
}

// installations returns 200 installations in a mixed order, the same each time.
func installations() []installation {
	var all []installation
	for _, kind := range []struct {
		count int
		query string
	}{
		{50, "version=2.0.0&platform=darwin&arch=arm64&os_version=14.5"},
		{45, "version=2.0.0&platform=win32&arch=x64&os_version=10.0.22631"},
		{35, "version=1.0.2&platform=darwin&arch=x64&os_version=12.7"},
		{20, "version=1.0.2&platform=linux&arch=x64"},
		{20, "version=1.0.0&platform=win32&arch=x64&os_version=10.0.19045"},
		{12, "version=2.0.0&platform=darwin&arch=arm64&os_version=15.1&channel=beta"},
		{10, "version=2.0.0&platform=darwin&arch=arm64&os_version=15.1&id="},
		{8, "version=1.0.2&platform=darwin&arch=x64&os_version=10.15.7"},
	} {
		for range kind.count {
			query, err := url.ParseQuery(kind.query)
			if err != nil {
				panic(err) // they are valid
			}
			about := fmt.Sprintf("client-%d", len(all))
			if query.Has("id") {
				about += ", no id"
			} else {
				query.Set("id", about)
			}
			about = fmt.Sprintf("%s: %s %s %s %s", about, query.Get("platform"), query.Get("arch"), query.Get("os_version"), query.Get("channel"))
			all = append(all, installation{query: query, About: strings.TrimSpace(about), Version: query.Get("version")})
		}
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

func (n *installation) install(version string) {
	n.Version = version
	n.query.Set("version", version)
}

func (n *installation) parsed() misc.UpdateQuery {
	q, err := misc.ParseUpdateQuery(n.query.Encode())
	if err != nil {
		panic(err) // the versions are those of a catalog
	}
	return q
}

// fleet returns the installations in a chapter of the story. Between two chapters, each
// installs what it is offered.
func (p *page) fleet(n int) []installation {
	all := installations()
	for _, past := range p.story[:n] {
		for i := range all {
			if d := past.releases.Choose(all[i].parsed()); d.Release != nil {
				all[i].install(d.Version)
			}
		}
	}
	return all
}

type decisionKey struct{}

// decided is called by the catalog.
func decided(ctx context.Context, _ misc.UpdateQuery, d catalog.Decision) {
	if reason, ok := ctx.Value(decisionKey{}).(*catalog.Reason); ok {
		*reason = d.Reason
	}
}

// ask requests an update for each installation from the host, as the client does.
func (p *page) ask(all []installation) {
	for i := range all {
		n := &all[i]
		ctx := context.WithValue(context.Background(), decisionKey{}, &n.Reason)
		answer := httptest.NewRecorder()
		p.mux.ServeHTTP(answer, httptest.NewRequestWithContext(ctx, http.MethodGet, "/misc/latest_update?"+n.query.Encode(), nil))
		var release struct{ Version string }
		_ = json.Unmarshal(answer.Body.Bytes(), &release) // there is no body if there is no release
		n.Offered = release.Version
	}
}

// A group is the installations that run one version.
type group struct {
	Version       string         `json:"version"`
	Installations []installation `json:"installations"`
}

// groups returns the groups, with the newest version first.
func groups(all []installation) []group {
	var found []group
	for _, n := range all {
		i := slices.IndexFunc(found, func(g group) bool { return g.Version == n.Version })
		if i < 0 {
			i = len(found)
			found = append(found, group{Version: n.Version})
		}
		found[i].Installations = append(found[i].Installations, n)
	}
	slices.SortFunc(found, func(a, b group) int {
		return b.Installations[0].parsed().Version.Compare(a.Installations[0].parsed().Version)
	})
	return found
}
