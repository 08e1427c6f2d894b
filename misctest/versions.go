package misctest

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/sealtalk-go/misc"
)

// TestVersionSource tests a source. Its data must not change meanwhile and must
// hold client versions. The source may choose the release by the whole query. A
// source with a desktop release for darwin is tested more thoroughly than one
// without.
func TestVersionSource(t *testing.T, newSource func(t *testing.T) misc.VersionSource) {
	rule := func(name string, check func(t *testing.T, s source)) {
		t.Run(name, func(t *testing.T) { check(t, source{newSource(t)}) })
	}
	platforms := []string{"darwin", "win32", "linux", "no such platform", ""}

	rule("the latest release is valid or there is none", func(t *testing.T, s source) {
		for _, platform := range platforms {
			if r := s.latest(t, "1.0.0", platform); r != nil {
				encode(t, r)
			}
		}
	})

	rule("the client versions are valid", func(t *testing.T, s source) {
		encode(t, s.clients(t))
	})

	rule("what was handed over is never changed", func(t *testing.T, s source) {
		r, v := s.latest(t, "1.0.0", "darwin"), s.clients(t)
		release, clients := encode(t, r), encode(t, v)
		for _, platform := range platforms {
			s.latest(t, "1.0.1", platform)
			s.clients(t)
			if got := encode(t, r); got != release {
				t.Errorf("the release was %s, and is now %s", release, got)
			}
			if got := encode(t, v); got != clients {
				t.Errorf("the client versions were %s, and are now %s", clients, got)
			}
		}
	})

	rule("questions at the same time get their own answers", func(t *testing.T, s source) {
		clients := encode(t, s.clients(t))
		releases := make(map[string]string)
		for _, platform := range platforms {
			releases[platform] = encode(t, s.latest(t, "1.0.0", platform))
		}
		together(func(i uint32) {
			platform := platforms[int(i)%len(platforms)]
			for range 4 {
				if got := encode(t, s.latest(t, "1.0.0", platform)); got != releases[platform] {
					t.Errorf("LatestRelease for %q is %s when many ask, and %s when one does", platform, got, releases[platform])
				}
				if got := encode(t, s.clients(t)); got != clients {
					t.Errorf("ClientVersions is %s when many ask, and %s when one does", got, clients)
				}
			}
		})
	})

	rule("a cancelled question about the release is an error", func(t *testing.T, s source) {
		if _, err := s.LatestRelease(cancelled(t), misc.UpdateQuery{Version: "1.0.0", Platform: "darwin"}); err == nil {
			t.Error("LatestRelease returned no error under a cancelled context")
		}
	})

	rule("a cancelled question about the client versions is an error", func(t *testing.T, s source) {
		if _, err := s.ClientVersions(cancelled(t)); err == nil {
			t.Error("ClientVersions returned no error under a cancelled context")
		}
	})
}

type source struct{ misc.VersionSource }

// latest returns nil where there is no release.
func (s source) latest(t *testing.T, version, platform string) *misc.Release {
	t.Helper()
	r, err := s.LatestRelease(t.Context(), misc.UpdateQuery{Version: version, Platform: platform})
	if errors.Is(err, misc.ErrNoRelease) {
		return nil
	}
	if err != nil || r == nil {
		t.Errorf("LatestRelease for %q = %v, %v; want a release or ErrNoRelease", platform, r, err)
		return nil
	}
	return r
}

func (s source) clients(t *testing.T) *misc.ClientVersions {
	t.Helper()
	v, err := s.ClientVersions(t.Context())
	if err != nil || v == nil {
		t.Errorf("ClientVersions = %v, %v; want versions", v, err)
		return &misc.ClientVersions{}
	}
	return v
}

// encode returns what clients receive of v, null for no release.
func encode(t *testing.T, v any) string {
	t.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		t.Errorf("what the source returned cannot be encoded: %v", err)
	}
	return string(out)
}
