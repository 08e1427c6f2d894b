package misctest

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/sealtalk-go/misc"
)

// A VersionSuite says what [TestVersionSource] tests. New is required.
type VersionSuite struct {
	// New returns a source that has client versions. Its data may change only
	// through Change.
	New func(t *testing.T) misc.VersionSource

	// Query is a query, with a Version, for which the source has a release.
	// Break needs it.
	Query misc.UpdateQuery

	// Change gives the source that New returned last another release for Query,
	// or other client versions.
	Change func(t *testing.T)

	// Break makes the backend of the source that New returned last fail until
	// mend is called.
	Break func(t *testing.T) (mend func())
}

// TestVersionSource tests a misc.VersionSource. The source may use every field
// of the query to choose a release.
func TestVersionSource(t *testing.T, s VersionSuite) {
	required(t, s.New != nil, "VersionSuite.New")
	version := func(v string) misc.Version { return must(misc.ParseVersion(v)) }
	queries := []misc.UpdateQuery{s.Query, {Version: version("1.0.0")}}
	for _, platform := range []string{"darwin", "win32", "linux", "no such platform"} {
		queries = append(queries,
			misc.UpdateQuery{Version: version("1.0.0"), Platform: platform},
			misc.UpdateQuery{Version: version("0.0.1-beta.1"), Platform: platform, Arch: "arm64", OSVersion: "14.4", Channel: "beta", ClientID: "a"},
			misc.UpdateQuery{Version: version("9007199254740991.0.0"), Platform: platform, Arch: "x64", OSVersion: "10.0", UserAgent: "Darwin/22.5.0"})
	}
	if untested(t, s.Query == misc.UpdateQuery{}, "Query") {
		queries = queries[1:]
	}
	rule := func(name string, check func(t *testing.T, v source)) {
		t.Run(name, func(t *testing.T) { check(t, source{s.New(t)}) })
	}

	rule("what the source returns is valid, and there is a release for Query", func(t *testing.T, v source) {
		for _, q := range queries {
			if a := v.answers(t, q); a.Release == nil && q == s.Query {
				t.Errorf("LatestRelease(%+v) has no release", q)
			}
		}
	})

	change := !untested(t, s.Change == nil, "Change")
	rule("what was handed over is never changed", func(t *testing.T, v source) {
		var handed []answers
		var were []string
		take := func(q misc.UpdateQuery) string {
			handed = append(handed, v.answers(t, q))
			were = append(were, encode(t, handed[len(handed)-1]))
			return were[len(were)-1]
		}
		for _, q := range slices.Concat(queries, queries) {
			take(q)
		}
		if before := take(queries[0]); change {
			s.Change(t)
			if take(queries[0]) == before {
				t.Error("the answers are the same after Change")
			}
		}
		for i, a := range handed {
			if got := encode(t, a); got != were[i] {
				t.Errorf("what was handed over was %s, and is now %s", were[i], got)
			}
		}
	})

	rule("questions at the same time get their own answers", func(t *testing.T, v source) {
		var got [workers][]string // by all of them before anything can be in a cache
		together(func(i uint32) {
			got[i] = make([]string, len(queries))
			for k := range queries {
				k = (k + int(i)) % len(queries)
				got[i][k] = encode(t, v.answers(t, queries[k]))
			}
		})
		for k, q := range queries {
			want := encode(t, v.answers(t, q))
			for i := range got {
				if got[i][k] != want {
					t.Errorf("the answers to %+v are %s when many ask, and %s when one does", q, got[i][k], want)
				}
			}
		}
	})

	rule("a cancelled question is an error", func(t *testing.T, v source) {
		for range 2 { // a cache must look at the context, too
			_, err := v.LatestRelease(cancelled(t), queries[0])
			wantFailure(t, "LatestRelease, cancelled", err)
			_, err = v.ClientVersions(cancelled(t))
			wantFailure(t, "ClientVersions, cancelled", err)
			v.answers(t, queries[0])
		}
	})

	if !untested(t, s.Break == nil || s.Query == misc.UpdateQuery{}, "Break, with Query") {
		rule("a failing backend is an error, or the last answer", func(t *testing.T, v source) {
			mend := s.Break(t)
			if r, err := v.LatestRelease(t.Context(), s.Query); err != nil || r == nil {
				wantFailure(t, "LatestRelease", err)
			}
			if clients, err := v.ClientVersions(t.Context()); err != nil || clients == nil {
				wantFailure(t, "ClientVersions", err)
			}
			mend()
			v.answers(t, s.Query)
		})
	}
}

// A source answers both questions at once.
type source struct{ misc.VersionSource }

type answers struct {
	Release *misc.Release // nil if there is none
	Clients *misc.ClientVersions
}

func (v source) answers(t *testing.T, q misc.UpdateQuery) answers {
	t.Helper()
	r, err := v.LatestRelease(t.Context(), q)
	if !errors.Is(err, misc.ErrNoRelease) && (err != nil || r == nil) {
		t.Errorf("LatestRelease(%+v) = %v, %v; want a release or ErrNoRelease", q, r, err)
	}
	clients, err := v.ClientVersions(t.Context())
	if err != nil || clients == nil {
		t.Errorf("ClientVersions = %v, %v; want versions", clients, err)
	}
	a := answers{r, clients}
	encode(t, a)
	return a
}

// encode returns what clients receive.
func encode(t *testing.T, a answers) string {
	t.Helper()
	out, err := json.Marshal(a)
	if err != nil {
		t.Errorf("what the source returned cannot be encoded: %v", err)
	}
	return string(out)
}
