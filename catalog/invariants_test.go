package catalog_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/catalog"
)

// releasesFile is a releases.json that a test can change.
type releasesFile struct {
	Channels []string      `json:"channels"`
	Minimum  string        `json:"minimum,omitempty"`
	Releases []releaseFile `json:"releases"`
}

type releaseFile struct {
	Version   string      `json:"version"`
	Channel   string      `json:"channel,omitempty"`
	From      string      `json:"from,omitempty"`
	Rollout   float64     `json:"rollout"`
	Withdrawn string      `json:"withdrawn,omitempty"`
	Builds    []buildFile `json:"builds"`
}

type buildFile struct {
	Platform string   `json:"platform,omitempty"`
	Arch     []string `json:"arch,omitempty"`
	MinOS    string   `json:"min_os,omitempty"`
	MaxOS    string   `json:"max_os,omitempty"`
	URL      string   `json:"url"` // ends with min_os, or with 0 if there is none
}

// with returns a copy of f that change has modified.
func (f releasesFile) with(change func(f *releasesFile)) releasesFile {
	f.Releases = slices.Clone(f.Releases)
	for i := range f.Releases {
		f.Releases[i].Builds = slices.Clone(f.Releases[i].Builds)
	}
	change(&f)
	return f
}

// parse returns nil if f is not valid.
func (f releasesFile) parse(t *testing.T) *catalog.Releases {
	t.Helper()
	text, err := json.Marshal(f)
	require.NoError(t, err)
	s, err := catalog.ParseReleases(text)
	if err != nil {
		return nil
	}
	return s
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

var randomVersions = func() (all []string) {
	for _, core := range []string{"1.0.0", "1.0.1", "1.2.0", "1.10.0", "2.0.0"} {
		all = append(all, core+"-alpha.1", core+"-beta.2", core+"-beta.10", core)
	}
	return all
}()

// randomFile returns a valid file.
func randomFile(t *testing.T, r *rand.Rand) (releasesFile, *catalog.Releases) {
	for {
		f := releasesFile{Channels: []string{"stable", "beta", "alpha"}}
		if r.IntN(2) == 0 {
			f.Minimum = pick(r, randomVersions...)
		}
		for _, i := range r.Perm(len(randomVersions))[:1+r.IntN(8)] {
			release := releaseFile{Version: randomVersions[i], Rollout: pick(r, 100, 100, 100, 0, 0.01, 33.33, 50, 99.99)}
			release.Channel = pick(r, "", "", "stable", "beta")
			if r.IntN(3) == 0 {
				release.From = pick(r, randomVersions[:i+1]...)
			}
			if r.IntN(5) == 0 {
				release.Withdrawn = "bad"
			}
			for range 1 + r.IntN(4) {
				b := buildFile{Platform: pick(r, "", "darwin", "darwin", "win32"), URL: "https://x.test/0"}
				b.Arch = pick(r, nil, nil, []string{"x64"}, []string{"arm64"}, []string{"universal"}, []string{"ia32", "x64"})
				if b.Platform != "" && r.IntN(2) == 0 {
					b.MinOS = pick(r, "10.13", "11", "12", "12.3", "13")
					b.URL = "https://x.test/" + b.MinOS
				}
				if b.Platform != "" && r.IntN(4) == 0 {
					b.MaxOS = pick(r, "12", "13", "14.1")
				}
				release.Builds = append(release.Builds, b)
			}
			f.Releases = append(f.Releases, release)
		}
		if s := f.parse(t); s != nil {
			return f, s
		}
	}
}

func randomQuery(t *testing.T, r *rand.Rand) misc.UpdateQuery {
	return misc.UpdateQuery{
		Version:   version(t, pick(r, slices.Concat(randomVersions, []string{"0.9.0", "v1.0.0+7", "1.0.0-rc.1", "3.0.0"})...)),
		Platform:  pick(r, "", "darwin", "darwin", "win32", "linux", "plan9"),
		Arch:      pick(r, "", "x64", "arm64", "universal", "ia32", "mips"),
		OSVersion: pick(r, "", "", "10.12.6", "10.13", "10.16", "11.7", "12", "12.3.1", "13.0", "14.4", "21.6.0", "nonsense"),
		Channel:   pick(r, "", "", "stable", "beta", "alpha", "nightly"),
		ClientID:  pick(r, "", fmt.Sprint("client-", r.IntN(1000)), fmt.Sprint("client-", r.IntN(1000))),
		UserAgent: pick(r, "", "", "Darwin/17.7.0", "Darwin/22.5.0"),
	}
}

// answered is an answer as clients read it.
type answered struct {
	Version, URL string
	Mandatory    bool
}

// choose returns the answer, or nil if there is none, and checks that Explain agrees
// with it.
func choose(t *testing.T, s *catalog.Releases, q misc.UpdateQuery) *answered {
	t.Helper()
	d, e := s.Choose(q), s.Explain(q)
	r, why := d.Release, d.Reason
	require.Equal(t, why, e.Reason)
	offered := slices.IndexFunc(e.Releases, func(v catalog.Verdict) bool { return v.Reason == catalog.ReasonUpdate })
	if r == nil {
		require.NotEqual(t, catalog.ReasonUpdate, why)
		require.Equal(t, -1, offered)
		return nil
	}
	require.Equal(t, catalog.ReasonUpdate, why)
	text, err := r.MarshalJSON()
	require.NoError(t, err)
	var a answered
	require.NoError(t, json.Unmarshal(text, &a))
	require.Equal(t, a.Version, e.Releases[offered].Version)
	return &a
}

func compare(t *testing.T, a, b string) int {
	t.Helper()
	c, err := misc.CompareVersions(a, b)
	require.NoError(t, err)
	return c
}

// atLeast requires the version in is to be at least as new as that in was, if any.
func atLeast(t *testing.T, was, is *answered, msg ...any) {
	t.Helper()
	if was != nil {
		require.NotNil(t, is, msg...)
		require.GreaterOrEqual(t, compare(t, is.Version, was.Version), 0, msg...)
	}
}

// known returns the OS version of the client that sends q, as four numbers, or nil if
// it is not known exactly.
func known(q misc.UpdateQuery) []int {
	onMac := q.Platform == "" || q.Platform == "darwin"
	switch {
	case onMac && q.OSVersion == "21.6.0":
		return numbers("12")
	case onMac && slices.Contains([]string{"", "10.16", "nonsense"}, q.OSVersion):
		return map[string][]int{"Darwin/17.7.0": numbers("10.13"), "Darwin/22.5.0": numbers("13")}[q.UserAgent]
	case q.OSVersion == "" || q.OSVersion == "nonsense":
		return nil
	}
	return numbers(q.OSVersion)
}

func numbers(version string) []int {
	all := make([]int, 4)
	for i, n := range strings.Split(version, ".") {
		all[i], _ = strconv.Atoi(n) // the versions are the tests' own
	}
	return all
}

func TestWhatHoldsForEveryFileAndEveryClient(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		f, s := randomFile(t, r)
		place := r.IntN(len(f.Releases))
		raised := f.with(func(f *releasesFile) { f.Releases[place].Rollout = 100 }).parse(t)
		shuffled := f.with(func(f *releasesFile) {
			r.Shuffle(len(f.Releases), func(i, k int) { f.Releases[i], f.Releases[k] = f.Releases[k], f.Releases[i] })
			for _, release := range f.Releases {
				slices.Reverse(release.Builds)
			}
		}).parse(t)
		withdrawn := f.with(func(f *releasesFile) { f.Releases[place].Withdrawn = "bad" }).parse(t)
		free := f.with(func(f *releasesFile) { f.Minimum = "" }).parse(t)
		for range 20 {
			q := randomQuery(t, r)
			is := choose(t, s, q)
			about := fmt.Sprintf("%+v\n%+v\n%+v", f, q, is)

			if is != nil {
				require.Positive(t, compare(t, is.Version, q.Version.String()), about)
				i := slices.IndexFunc(f.Releases, func(r releaseFile) bool { return r.Version == is.Version })
				require.Empty(t, f.Releases[i].Withdrawn, about)
				require.Equal(t, f.Minimum != "" && compare(t, q.Version.String(), f.Minimum) < 0, is.Mandatory, about)
				if has := known(q); has != nil {
					require.LessOrEqual(t, slices.Compare(numbers(strings.TrimPrefix(is.URL, "https://x.test/")), has), 0, about)
				}
			}
			runs := func(f releasesFile, is func(releaseFile) bool) bool {
				return slices.ContainsFunc(f.Releases, func(r releaseFile) bool { return is(r) && compare(t, r.Version, q.Version.String()) == 0 })
			}
			if runs(f, func(r releaseFile) bool { return r.Withdrawn != "" }) {
				require.False(t, is != nil && choose(t, raised, q) == nil, about)
			} else {
				atLeast(t, is, choose(t, raised, q), about)
			}
			require.Equal(t, is, choose(t, shuffled, q), about)
			switch after := choose(t, withdrawn, q); {
			case runs(f, func(r releaseFile) bool { return r.Version == f.Releases[place].Version }):
				require.False(t, is != nil && after == nil, about)
			case is == nil || is.Version != f.Releases[place].Version:
				require.Equal(t, is, after, about)
			}
			without := choose(t, free, q)
			if is != nil {
				is.Mandatory = false
			}
			require.Equal(t, is, without, about)
			if q.ClientID == "" {
				said := q
				said.ClientID = "client-0"
				atLeast(t, is, choose(t, s, said), about)
			}

			installed := map[string]bool{}
			for is != nil {
				require.False(t, installed[is.Version], about)
				installed[is.Version] = true
				q.Version = version(t, is.Version)
				is = choose(t, s, q)
			}
		}
	}
}

func TestARolloutHasItsShareOfTheClients(t *testing.T) {
	const ids = 20_000
	v := version(t, "1.0.0")
	included := func(version string, rollout float64) (all [ids]bool, n int) {
		s := releasesFile{Channels: []string{"stable"}, Releases: []releaseFile{{Version: version, Rollout: rollout, Builds: []buildFile{{URL: "https://x.test/0"}}}}}.parse(t)
		for i := range ids {
			d := s.Choose(misc.UpdateQuery{Version: v, ClientID: fmt.Sprint("client-", i)})
			if all[i] = d.Release != nil; all[i] {
				n++
			}
		}
		return all, n
	}
	isNear := func(n int, share float64) {
		t.Helper()
		assert.InDelta(t, ids*share, n, 5*math.Sqrt(ids*share*(1-share))+0.5)
	}
	var before [ids]bool
	for _, percent := range []float64{0, 0.01, 5, 33.33, 50, 99.99, 100} {
		now, n := included("2.0.0", percent)
		isNear(n, percent/100)
		for i := range ids {
			assert.False(t, before[i] && !now[i], "raising a rollout takes nobody out")
		}
		before = now
	}
	a, _ := included("2.0.0", 50)
	b, _ := included("2.0.1", 50)
	both := 0
	for i := range ids {
		if a[i] && b[i] {
			both++
		}
	}
	isNear(both, 0.25) // the first clients of one release are not those of the next
}

func FuzzParseReleases(f *testing.F) {
	for _, tt := range releasesFiles {
		f.Add([]byte(abbreviations.Replace(tt.file)))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		s, err := catalog.ParseReleases(file)
		again, errAgain := catalog.ParseReleases(file)
		require.Equal(t, s, again)
		require.Equal(t, fmt.Sprint(err), fmt.Sprint(errAgain), "problems in another order")
		if err == nil {
			require.NotEmpty(t, s.String())
			s.Table()
		}
	})
}

func FuzzChoose(f *testing.F) {
	for _, tt := range releasesFiles {
		f.Add(abbreviations.Replace(tt.file), "1.0.0", "darwin", "arm64", "14.4", "", "client-0", "Darwin/22.5.0")
	}
	f.Add(`{"minimum":"1.0.0","releases":[{"version":"1.0.2","rollout":0.5,"builds":[{"platform":"darwin","min_os":"12","max_os":"13","url":"https://x.test/"}]}]}`, "1.0.2-beta", "", "", "10.16", "beta", "", "Darwin/99")
	f.Fuzz(func(t *testing.T, file, version, platform, arch, osVersion, channel, id, userAgent string) {
		s, err := catalog.ParseReleases([]byte(file))
		if err != nil {
			require.Nil(t, s)
			return
		}
		v, err := misc.ParseVersion(version)
		if err != nil {
			return
		}
		q := misc.UpdateQuery{Version: v, Platform: platform, Arch: arch, OSVersion: osVersion, Channel: channel, ClientID: id, UserAgent: userAgent}
		if is := choose(t, s, q); is != nil {
			require.Positive(t, compare(t, is.Version, version))
		}
	})
}
