package misctest

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/sealtalk-go/misc"
)

// VersionOptions let [TestVersionSource] test more.
type VersionOptions struct {
	// Query is one for which the source must have a release.
	Query misc.UpdateQuery

	// Change gives the source that was made last another release for Query, or
	// other client versions.
	Change func(t *testing.T)
}

// TestVersionSource tests a source. Its data must not change meanwhile, but for
// Change, and must hold client versions. The source may choose the release by
// the whole query.
func TestVersionSource(t *testing.T, newSource func(t *testing.T) misc.VersionSource, options ...VersionOptions) {
	o := optional(options)
	queries := []misc.UpdateQuery{o.Query, {Version: "1.0.0"}}
	for _, platform := range []string{"darwin", "win32", "linux", "no such platform"} {
		queries = append(queries,
			misc.UpdateQuery{Version: "1.0.0", Platform: platform},
			misc.UpdateQuery{Version: "0.0.1-beta.1", Platform: platform, Arch: "arm64", OSVersion: "14.4", Channel: "beta", ClientID: "a"},
			misc.UpdateQuery{Version: "9007199254740991.0.0", Platform: platform, Arch: "x64", OSVersion: "10.0", UserAgent: "Darwin/22.5.0"})
	}
	if untested(t, o.Query == misc.UpdateQuery{}, "VersionOptions.Query") {
		queries = queries[1:]
	}
	rule := func(name string, check func(t *testing.T, s source)) {
		t.Run(name, func(t *testing.T) { check(t, source{newSource(t)}) })
	}

	rule("what the source returns is valid", func(t *testing.T, s source) {
		for _, q := range queries {
			s.answers(t, q)
		}
	})

	if o.Query != (misc.UpdateQuery{}) {
		rule("there is a release for the query of the options", func(t *testing.T, s source) {
			if s.answers(t, o.Query).Release == nil {
				t.Errorf("LatestRelease(%+v) has no release", o.Query)
			}
		})
	}

	change := !untested(t, o.Change == nil, "VersionOptions.Change")
	rule("what was handed over is never changed", func(t *testing.T, s source) {
		var handed []answers
		var were []string
		take := func(q misc.UpdateQuery) string {
			handed = append(handed, s.answers(t, q))
			were = append(were, encode(t, handed[len(handed)-1]))
			return were[len(were)-1]
		}
		for _, q := range slices.Concat(queries, queries) {
			take(q)
		}
		if before := take(queries[0]); change {
			o.Change(t)
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

	rule("questions at the same time get their own answers", func(t *testing.T, s source) {
		want := make([]string, len(queries))
		for i, q := range queries {
			want[i] = encode(t, s.answers(t, q))
		}
		together(func(i uint32) {
			for k := range queries {
				k = (k + int(i)) % len(queries)
				if got := encode(t, s.answers(t, queries[k])); got != want[k] {
					t.Errorf("the answers to %+v are %s when many ask, and %s when one does", queries[k], got, want[k])
				}
			}
		})
	})

	rule("a cancelled question is an error", func(t *testing.T, s source) {
		_, err := s.LatestRelease(cancelled(t), queries[0])
		wantFailure(t, "LatestRelease, cancelled", err)
		_, err = s.ClientVersions(cancelled(t))
		wantFailure(t, "ClientVersions, cancelled", err)
	})
}

// A source answers both questions at once.
type source struct{ misc.VersionSource }

type answers struct {
	Release *misc.Release // nil if there is none
	Clients *misc.ClientVersions
}

func (s source) answers(t *testing.T, q misc.UpdateQuery) answers {
	t.Helper()
	r, err := s.LatestRelease(t.Context(), q)
	if !errors.Is(err, misc.ErrNoRelease) && (err != nil || r == nil) {
		t.Errorf("LatestRelease(%+v) = %v, %v; want a release or ErrNoRelease", q, r, err)
	}
	v, err := s.ClientVersions(t.Context())
	if err != nil || v == nil {
		t.Errorf("ClientVersions = %v, %v; want versions", v, err)
	}
	a := answers{r, v}
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
