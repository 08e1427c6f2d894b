package misctest

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/sealtalk-go/misc"
)

// TestVersionSource tests a source. Its data must not change meanwhile, must
// hold client versions, and have no rule about the version that a client runs,
// such as a channel. A source with a desktop release for darwin is tested more
// thoroughly than one without.
func TestVersionSource(t *testing.T, newSource func(t *testing.T) misc.VersionSource) {
	rule := func(name string, check func(t *testing.T, s source)) {
		t.Run(name, func(t *testing.T) { check(t, source{newSource(t)}) })
	}
	platforms := []string{"darwin", "win32", "linux", "no such platform", ""}

	rule("the latest release is valid or there is none", func(t *testing.T, s source) {
		for _, platform := range platforms {
			if r := s.latest(t, "1.0.0", platform); r != nil {
				encodeRelease(t, r)
			}
		}
	})

	rule("the client versions are valid", func(t *testing.T, s source) {
		encodeClients(t, s.clients(t))
	})

	rule("the latest release is the same for older and newer clients", func(t *testing.T, s source) {
		for _, platform := range platforms {
			r := s.latest(t, "0.0.0", platform)
			versions := []string{"9007199254740991.0.0"}
			if r != nil {
				versions = append(versions, r.Version)
			}
			for _, version := range versions {
				if got, want := encodeRelease(t, s.latest(t, version, platform)), encodeRelease(t, r); got != want {
					t.Errorf("LatestRelease for %q is %s to a client at %s, and %s to one at 0.0.0", platform, got, version, want)
				}
			}
		}
	})

	// The encoded form is made once: a copy made or a field changed after that
	// still goes out in the old form.
	rule("what is handed over goes out as its fields say", func(t *testing.T, s source) {
		r, v := s.latest(t, "1.0.0", "darwin"), s.clients(t)
		if out, _ := json.Marshal(r); string(out) != encodeRelease(t, r) {
			t.Errorf("the release goes out as %s, and its fields say %s", out, encodeRelease(t, r))
		}
		if out, _ := json.Marshal(v); string(out) != encodeClients(t, v) {
			t.Errorf("the client versions go out as %s, and their fields say %s", out, encodeClients(t, v))
		}
	})

	rule("what was handed over is never changed", func(t *testing.T, s source) {
		r, v := s.latest(t, "1.0.0", "darwin"), s.clients(t)
		release, clients := encodeRelease(t, r), encodeClients(t, v)
		for _, platform := range platforms {
			s.latest(t, "1.0.1", platform)
			s.clients(t)
			if got := encodeRelease(t, r); got != release {
				t.Errorf("the release was %s, and is now %s", release, got)
			}
			if got := encodeClients(t, v); got != clients {
				t.Errorf("the client versions were %s, and are now %s", clients, got)
			}
		}
	})

	rule("questions at the same time get their own answers", func(t *testing.T, s source) {
		clients := encodeClients(t, s.clients(t))
		releases := make(map[string]string)
		for _, platform := range platforms {
			releases[platform] = encodeRelease(t, s.latest(t, "1.0.0", platform))
		}
		together(func(i uint32) {
			platform := platforms[int(i)%len(platforms)]
			for range 4 {
				if got := encodeRelease(t, s.latest(t, "1.0.0", platform)); got != releases[platform] {
					t.Errorf("LatestRelease for %q is %s when many ask, and %s when one does", platform, got, releases[platform])
				}
				if got := encodeClients(t, s.clients(t)); got != clients {
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

// encodeRelease encodes r from its fields as they are now; null for nil.
func encodeRelease(t *testing.T, r *misc.Release) string {
	t.Helper()
	if r == nil {
		return "null"
	}
	return encode(t, &misc.Release{Version: r.Version, URL: r.URL, Name: r.Name, Notes: r.Notes, PubDate: r.PubDate, Extra: r.Extra})
}

// encodeClients encodes v from its fields as they are now.
func encodeClients(t *testing.T, v *misc.ClientVersions) string {
	t.Helper()
	return encode(t, &misc.ClientVersions{IOS: v.IOS, Android: v.Android, Extra: v.Extra})
}

func encode(t *testing.T, v json.Marshaler) string {
	t.Helper()
	out, err := v.MarshalJSON()
	if err != nil {
		t.Errorf("invalid: %v", err)
	}
	return string(out)
}
