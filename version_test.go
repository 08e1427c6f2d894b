package misc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
)

func TestValidVersion(t *testing.T) {
	for _, v := range []string{
		"1.0.0", "v1.0.0", "0.0.0", "10.20.30", "9007199254740991.9007199254740991.9007199254740991",
		"1.2.3-0", "1.2.3-alpha", "1.2.3-alpha.1", "1.2.3--", "1.2.3--5", "1.2.3-a-b.c-d", "1.2.3-0a", "1.2.3-01a", "1.2.3-a.-.0",
		"1.2.3-99999999999999999999999", "1.2.3-azAZ09", "1.2.3+build", "1.2.3+01.-.x", "1.2.3-a+b", "1.2.3+a-b", "1.2.3+a-b.01",
		"1.2.3-" + strings.Repeat("a", 250),
	} {
		assert.True(t, misc.ValidVersion(v), "%q", v)
	}
	for _, v := range []string{
		"", "v", "1", "1.2", "1.2.3.4", "1..3", ".1.2", "1.2.", "01.2.3", "1.02.3", "1.2.03", "00.0.0", "a.b.c", "1.2.x", "-1.2.3", "1.-2.3",
		"9007199254740992.0.0", "0.9007199254740992.0", "0.0.9007199254740992", "10000000000000000.0.0",
		"1.2.3-", "1.2.3-.", "1.2.3-a.", "1.2.3-.a", "1.2.3-a..b", "1.2.3-01", "1.2.3-a.01", "1.2.3-beta_1", "1.2.3-é", "1.2.3-a b",
		"1.2.3+", "1.2.3+.", "1.2.3+a.", "1.2.3+a..b", "1.2.3+a_b", "1.2.3+a+b", "1.2.3-a+", "1.2.3-+b", "1.2.3~1", "1.2.3-a~b", "1.2.3-~", "1.2.3beta",
		" 1.2.3", "1.2.3 ", "1.2.3\n", "\t1.2.3", "vv1.2.3", "V1.2.3", "=1.2.3", "v 1.2.3", "1.2.3\x00", "１.2.3", "1,2,3",
		"1.2.3-" + strings.Repeat("a", 251),
	} {
		assert.False(t, misc.ValidVersion(v), "%q", v)
	}
}

// ordered lists versions from old to new; those in one line are equal.
var ordered = [][]string{
	{"0.0.0-0", "v0.0.0-0"},
	{"0.0.0-a"},
	{"0.0.0", "v0.0.0", "0.0.0+x"},
	{"0.9.0"},
	{"0.10.0"},
	{"1.0.0--"},
	{"1.0.0--5"},
	{"1.0.0-A"},
	{"1.0.0-a"},
	{"1.0.0-a.0"},
	{"1.0.0-a.b"},
	{"1.0.0-a0"},
	{"1.0.0-b"},
	{"1.0.0-rc.1", "1.0.0-rc.1+7"},
	{"1.0.0-rc.2"},
	{"1.0.0-rc.10"},
	{"1.0.0-rc.9223372036854775807"},
	{"1.0.0-rc.9223372036854775808"},
	{"1.0.0-rc.10000000000000000000000000"},
	{"1.0.0-rc.-5"},
	{"1.0.0-rc.x"},
	{"1.0.0-rc.x.1"},
	{"1.0.0", "1.0.0+a", "1.0.0+b.01", "v1.0.0"},
	{"1.0.1-0"},
	{"1.0.1"},
	{"1.0.2"},
	{"1.0.10"},
	{"2.0.0-999"},
	{"2.0.0"},
	{"10.0.0"},
	{"9007199254740991.0.0"},
}

func TestVersionsCompareAsTheClientsDo(t *testing.T) {
	for i, as := range ordered {
		for j, bs := range ordered {
			for _, a := range as {
				for _, b := range bs {
					got, err := misc.CompareVersions(a, b)
					require.NoError(t, err)
					want := 0
					if i < j {
						want = -1
					} else if i > j {
						want = 1
					}
					require.Equal(t, want, got, "%s against %s", a, b)
				}
			}
		}
	}
	for _, pair := range [][2]string{{"1.0", "1.0.0"}, {"1.0.0", "1.0"}, {"", ""}} {
		_, err := misc.CompareVersions(pair[0], pair[1])
		assert.ErrorIs(t, err, misc.ErrInvalidVersion, "%q", pair)
	}
}

func TestTheOrderIsAntisymmetricAndTransitive(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	compare := func(a, b string) int {
		c, err := misc.CompareVersions(a, b)
		require.NoError(t, err, "%s against %s", a, b)
		return c
	}
	rounds := 100_000 // of three pairs
	if testing.Short() {
		rounds = 10_000
	}
	for range rounds {
		a, b, c := randomVersion(random), randomVersion(random), randomVersion(random)
		ab, bc, ac := compare(a, b), compare(b, c), compare(a, c)
		if compare(b, a) != -ab || ab <= 0 && bc <= 0 && ac > 0 || ab >= 0 && bc >= 0 && ac < 0 || ab == 0 && ac != bc {
			t.Fatalf("%s, %s, %s: %d, %d, %d", a, b, c, ab, bc, ac)
		}
	}
}

func randomVersion(r *rand.Rand) string {
	ids := []string{"0", "1", "2", "10", "-", "-1", "a", "A", "b", "a-", "0a", "rc", "9223372036854775807", "9223372036854775808", "99999999999999999999"}
	v := fmt.Sprintf("%d.%d.%d", r.IntN(2), r.IntN(2), r.IntN(2))
	for i := range r.IntN(4) {
		v += string("-..."[i]) + ids[r.IntN(len(ids))]
	}
	if r.IntN(4) == 0 {
		v += "+" + ids[r.IntN(len(ids))]
	}
	return v
}

func FuzzCompareVersions(f *testing.F) {
	for i := range ordered {
		f.Add(ordered[i][0], ordered[len(ordered)-1-i][0])
	}
	f.Add("1.2.3-beta_1", "01.2.3")
	f.Fuzz(func(t *testing.T, a, b string) {
		ab, errAB := misc.CompareVersions(a, b)
		ba, errBA := misc.CompareVersions(b, a)
		require.Equal(t, misc.ValidVersion(a) && misc.ValidVersion(b), errAB == nil)
		require.Equal(t, errAB == nil, errBA == nil)
		require.Equal(t, ab, -ba)
	})
}

const (
	documentedRelease = `{"version":"1.0.2","url":"http://downloads.rongcloud.cn/sealtalk/releases/mac/SealTalk_by_RongCloud_1.0.2.dmg","name":"SealTalk 1.0.2","notes":"bug fix","pub_date":"2017-05-05"}`
	documentedClients = `{"iOS":{"version":"1.0.5","build":"201607181821","url":"https://dn-rongcloud.qbox.me/app.plist"},"Android":{"version":"1.0.5","url":"http://downloads.rongcloud.cn/SealTalk_by_RongCloud_Android_v1_0_5.apk"}}`
)

func TestParseRelease(t *testing.T) {
	for _, test := range []struct{ name, file, want, problems string }{
		{name: "as documented", file: documentedRelease, want: documentedRelease},
		{
			name: "order of keys, unknown keys, empty values, no HTML escaping",
			file: `{"size": 1e3, "url":"https://x.test/a?b=1&c=%20", "delta":{"a":[1, 2.50]}, "sha256":null, "notes":"", "name":null, "version":"v1.0.2-rc.1+7", "pub_date":"2017-05-05T10:00:00+08:00", "a":"<&>"}`,
			want: `{"version":"v1.0.2-rc.1+7","url":"https://x.test/a?b=1&c=%20","pub_date":"2017-05-05T10:00:00+08:00","a":"<&>","delta":{"a":[1,2.50]},"sha256":null,"size":1e3}`,
		},
		{name: "keys are exact", file: `{"Version":"9.9.9","version":"1.0.0","url":"https://x.test"}`, want: `{"version":"1.0.0","url":"https://x.test","Version":"9.9.9"}`},
		{name: "nothing", file: "", problems: "is no JSON: unexpected end of JSON input (at byte 0)"},
		{name: "half", file: documentedRelease[:60], problems: "is no JSON: unexpected end of JSON input (at byte 60)"},
		{name: "no object", file: `["1.0.2"]`, problems: "must be a JSON object"},
		{name: "null", file: `null`, problems: "must be a JSON object"},
		{name: "another encoding", file: "{\"version\":\"1.0.2\",\"url\":\"https://x.test\",\"x\":\"\xff\"}", problems: "is not UTF-8"},
		{
			name: "every problem at once, one for each key", file: `{"version":102,"url":"SealTalk.zip","name":["x"],"pub_date":"2017-05-05T10:00:00.5Z"}`,
			problems: `version: must be a string
name: must be a string
url: "SealTalk.zip" is no absolute, percent-encoded https or http URL
pub_date: "2017-05-05T10:00:00.5Z" is neither 2006-01-02 nor 2006-01-02T15:04:05Z, without fractions of a second`,
		},
		{
			name: "nothing of what is required", file: `{}`,
			problems: `version: "" is no semantic version such as 1.0.2
url: "" is no absolute, percent-encoded https or http URL`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := misc.ParseRelease([]byte(test.file))
			if test.problems != "" {
				require.EqualError(t, err, test.problems)
				require.Nil(t, r)
				return
			}
			require.NoError(t, err)
			got, err := r.MarshalJSON()
			require.NoError(t, err)
			assert.Equal(t, test.want, string(got))
		})
	}
}

func TestReleaseValidate(t *testing.T) {
	for _, url := range []string{"http://x.test/a.zip", "https://x.test", "https://x.test/%E4%BD%A0?a=b#c"} {
		assert.NoError(t, (&misc.Release{Version: "1.0.0", URL: url}).Validate(), url)
	}
	for _, url := range []string{"", "//x.test/a", "x.test/a", "ftp://x.test/a", "https:///a", "https:a", "https://x.test/a b", "https://x.test/你", "https://x.test/%zz", "https://x.test/?a=%zz", "https://x.test/%2", "https://:80/", "https://x.test/\"", "https://x.test/a?{}", "https://x.test/\x7f"} {
		assert.ErrorContains(t, (&misc.Release{Version: "1.0.0", URL: url}).Validate(), "url: ", url)
	}
	for _, date := range []string{"", "2017-05-05", "2017-05-05T10:00:00Z", "2017-05-05T10:00:00-07:00"} {
		assert.NoError(t, (&misc.Release{Version: "1.0.0", URL: "https://x.test", PubDate: date}).Validate(), date)
	}
	for _, date := range []string{"2017-5-5", "2017-02-30", "05.05.2017", "2017-05-05 10:00:00", "2017-05-05T1:02:03Z", "2017-05-05T10:00:00", "2017-05-05T10:00:00.000Z", "2017-05-05T10:00:00,5Z", "yesterday"} {
		assert.ErrorContains(t, (&misc.Release{Version: "1.0.0", URL: "https://x.test", PubDate: date}).Validate(), "pub_date: ", date)
	}
	extra := map[string]json.RawMessage{"url": json.RawMessage(`""`), "size": json.RawMessage(`{`), "ok": json.RawMessage(`1`), "none": nil}
	assert.EqualError(t, (&misc.Release{Version: "1.0.0", URL: "https://x.test", Extra: extra}).Validate(),
		"none: is no JSON\nsize: is no JSON\nurl: has a field of its own, and does not belong into Extra")
}

func TestParseClientVersions(t *testing.T) {
	for _, test := range []struct{ name, file, want, problems string }{
		{name: "as documented", file: documentedClients, want: documentedClients},
		{
			name: "iOS comes first, unknown keys and platforms survive",
			file: `{"HarmonyOS":{"version":"1"},"Android":{"size":5,"url":"market://details?id=x","version":"1.0.5","build":null},"iOS":{"url":"itms-services://?action=x","force":true,"build":"201607181821","version":"1"}}`,
			want: `{"iOS":{"version":"1","build":"201607181821","url":"itms-services://?action=x","force":true},"Android":{"version":"1.0.5","url":"market://details?id=x","size":5},"HarmonyOS":{"version":"1"}}`,
		},
		{name: "no object", file: `1`, problems: "must be a JSON object"},
		{name: "half", file: `{"iOS":`, problems: "is no JSON: unexpected end of JSON input (at byte 7)"},
		{
			name: "Android is missing, which crashes its clients", file: `{"iOS":{"version":"1.0.5","build":"201607181821","url":"https://x.test"}}`,
			problems: "Android: required: clients cannot do without it",
		},
		{
			name: "every problem at once, one for each key", file: `{"iOS":{"version":5,"build":"2016-07-18","url":"app.plist"},"Android":"1.0.5"}`,
			problems: `iOS.version: must be a string
Android: must be a JSON object
iOS.build: "2016-07-18" is no time in the form yyyyMMddHHmm
iOS.url: "app.plist" is no absolute, percent-encoded URL`,
		},
		{
			name: "nothing of what is required", file: `{"iOS":{},"Android":{}}`,
			problems: `iOS.version: required
iOS.build: "" is no time in the form yyyyMMddHHmm
iOS.url: "" is no absolute, percent-encoded URL
Android.version: required
Android.url: "" is no absolute, percent-encoded URL`,
		},
		{
			name: "a build that Android has is checked too", file: `{"iOS":{"version":"1","build":"201607181821","url":"https://x.test"},"Android":{"version":"1","build":"201613181821","url":"https://x.test/ä"}}`,
			problems: `Android.build: "201613181821" is no time in the form yyyyMMddHHmm
Android.url: "https://x.test/ä" is no absolute, percent-encoded URL`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			v, err := misc.ParseClientVersions([]byte(test.file))
			if test.problems != "" {
				require.EqualError(t, err, test.problems)
				require.Nil(t, v)
				return
			}
			require.NoError(t, err)
			got, err := v.MarshalJSON()
			require.NoError(t, err)
			assert.Equal(t, test.want, string(got))
		})
	}
}

func FuzzParseVersionFiles(f *testing.F) {
	f.Add([]byte(documentedRelease))
	f.Add([]byte(documentedClients))
	f.Add([]byte(`{"version":"1.0.0","url":"https://x.test","x":"\ud800","\u0000":{"a":[1e999]}}`))
	f.Fuzz(func(t *testing.T, file []byte) {
		if r, err := misc.ParseRelease(file); err == nil {
			first, err := r.MarshalJSON()
			require.NoError(t, err)
			again, err := misc.ParseRelease(first)
			require.NoError(t, err, "what goes out must be a release: %s", first)
			second, err := again.MarshalJSON()
			require.NoError(t, err)
			require.Equal(t, string(first), string(second))
		}
		if v, err := misc.ParseClientVersions(file); err == nil {
			first, err := v.MarshalJSON()
			require.NoError(t, err)
			_, err = misc.ParseClientVersions(first)
			require.NoError(t, err, "what goes out must be versions: %s", first)
		}
	})
}

func TestAnEncodedFormIsMadeOnce(t *testing.T) {
	r, err := misc.ParseRelease([]byte(documentedRelease))
	require.NoError(t, err)
	v, err := misc.ParseClientVersions([]byte(documentedClients))
	require.NoError(t, err)
	for _, m := range []json.Marshaler{r, v} {
		first, err := m.MarshalJSON()
		require.NoError(t, err)
		second, err := m.MarshalJSON()
		require.NoError(t, err)
		assert.Same(t, &first[0], &second[0])
		assert.Zero(t, testing.AllocsPerRun(10, func() { _, _ = m.MarshalJSON() }))
	}
}

func TestNewStaticVersionsRefusesWhatAFileCouldNotHold(t *testing.T) {
	good := &misc.ClientVersions{
		IOS:     misc.ClientVersion{Version: "1.0.5", Build: "201607181821", URL: "https://x.test/app.plist"},
		Android: misc.ClientVersion{Version: "1.0.5", URL: "https://x.test/app.apk"},
	}
	_, err := misc.NewStaticVersions(&misc.Release{Version: "1.0", URL: "https://x.test"}, nil)
	assert.EqualError(t, err, "misc: release: version: \"1.0\" is no semantic version such as 1.0.2\nmisc: client versions: required")
	_, err = misc.NewStaticVersions(nil, &misc.ClientVersions{IOS: good.IOS})
	assert.EqualError(t, err, "misc: client versions: Android.version: required\nAndroid.url: \"\" is no absolute, percent-encoded URL")

	s, err := misc.NewStaticVersions(nil, good)
	require.NoError(t, err)
	_, err = s.LatestRelease(t.Context(), misc.UpdateQuery{Version: "1.0.0"})
	assert.ErrorIs(t, err, misc.ErrNoRelease)
	got, err := s.ClientVersions(t.Context())
	require.NoError(t, err)
	assert.Same(t, good, got)

	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.LatestRelease(cancelled, misc.UpdateQuery{})
	assert.ErrorIs(t, err, context.Canceled)
	_, err = s.ClientVersions(cancelled)
	assert.ErrorIs(t, err, context.Canceled)
}

// source is a VersionSource that answers whatever a test puts into it.
type source struct {
	release *misc.Release
	clients *misc.ClientVersions
	err     error
	query   misc.UpdateQuery
}

func (s *source) LatestRelease(_ context.Context, q misc.UpdateQuery) (*misc.Release, error) {
	s.query = q
	return s.release, s.err
}

func (s *source) ClientVersions(context.Context) (*misc.ClientVersions, error) {
	return s.clients, s.err
}

func TestLatestUpdate(t *testing.T) {
	lost := errors.New("connection lost")
	release := &misc.Release{Version: "1.0.2", URL: "https://x.test"}
	for _, test := range []struct {
		name, version string
		source        source
		want          error
		problem       string
	}{
		{name: "older", version: "1.0.1", source: source{release: release}},
		{name: "a prerelease of it", version: "v1.0.2-rc.1", source: source{release: release}},
		{name: "the same", version: "1.0.2", source: source{release: release}, want: misc.ErrNoRelease},
		{name: "the same but for its build", version: "1.0.2+7", source: source{release: release}, want: misc.ErrNoRelease},
		{name: "newer", version: "1.0.10", source: source{release: release}, want: misc.ErrNoRelease},
		{name: "invalid", version: "1.0", source: source{release: release}, want: misc.ErrInvalidVersion},
		{name: "none for this client", version: "1.0.0", source: source{err: fmt.Errorf("x: %w", misc.ErrNoRelease)}, want: misc.ErrNoRelease},
		{name: "the source fails", version: "1.0.0", source: source{err: lost}, want: lost},
		{name: "the source answers nothing", version: "1.0.0", problem: "neither a release nor an error"},
		{name: "the source has a wrong version", version: "1.0.0", source: source{release: &misc.Release{Version: "2.0", URL: "https://x.test"}}, problem: `"2.0" is no semantic version`},
	} {
		t.Run(test.name, func(t *testing.T) {
			svc := service(t, misc.Config{Versions: &test.source})
			got, err := svc.LatestUpdate(t.Context(), misc.UpdateQuery{Version: test.version, Platform: "darwin"})
			switch {
			case test.want != nil:
				assert.ErrorIs(t, err, test.want)
			case test.problem != "":
				assert.ErrorContains(t, err, test.problem)
				assert.NotErrorIs(t, err, misc.ErrInvalidVersion)
			default:
				require.NoError(t, err)
				assert.Same(t, release, got)
				assert.Equal(t, misc.UpdateQuery{Version: test.version, Platform: "darwin"}, test.source.query)
				return
			}
			assert.Nil(t, got)
		})
	}
}

func TestClientVersions(t *testing.T) {
	lost := errors.New("connection lost")
	_, err := service(t, misc.Config{Versions: &source{err: lost}}).ClientVersions(t.Context())
	assert.ErrorIs(t, err, lost)
	_, err = service(t, misc.Config{Versions: &source{}}).ClientVersions(t.Context())
	assert.ErrorContains(t, err, "neither versions nor an error")
	_, err = service(t, misc.Config{Versions: &source{clients: &misc.ClientVersions{}}}).ClientVersions(t.Context())
	assert.ErrorContains(t, err, "Android.version: required")
}
