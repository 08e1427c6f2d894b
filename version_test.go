package misc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/misctest"
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

// ordered lists versions from old to new; those on one line are equal.
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
	rounds := 30_000 // of three pairs
	if testing.Short() {
		rounds = 3_000
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

func TestAParsedVersionIsKnownWithoutItsBuild(t *testing.T) {
	for _, tt := range []struct{ text, known, prerelease string }{
		{"1.0.2", "1.0.2", ""},
		{"v1.0.2", "1.0.2", ""},
		{"9007199254740991.0.10", "9007199254740991.0.10", ""},
		{"1.0.2-rc.1", "1.0.2-rc.1", "rc.1"},
		{"v1.0.2-rc-1.x+a-b.7", "1.0.2-rc-1.x", "rc-1.x"},
		{"1.0.2+a-b", "1.0.2", ""},
	} {
		v, err := misc.ParseVersion(tt.text)
		require.NoError(t, err)
		assert.Equal(t, tt.known, v.String())
		assert.Equal(t, tt.prerelease, v.Prerelease())
		same, err := misc.ParseVersion(tt.known)
		require.NoError(t, err)
		assert.Zero(t, v.Compare(same))
	}
	_, err := misc.ParseVersion("1.0")
	require.ErrorIs(t, err, misc.ErrInvalidVersion)
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

// released and clients are the values of the API document.
var (
	released = misc.ReleaseFields{
		Version: "1.0.2", Name: "SealTalk 1.0.2", Notes: "bug fix", PubDate: "2017-05-05",
		URL: "http://downloads.rongcloud.cn/sealtalk/releases/mac/SealTalk_by_RongCloud_1.0.2.dmg",
	}
	clients = misc.ClientVersionsFields{
		IOS:     misc.ClientVersion{Version: "1.0.5", Build: "201607181821", URL: "https://dn-rongcloud.qbox.me/app.plist"},
		Android: misc.ClientVersion{Version: "1.0.5", URL: "http://downloads.rongcloud.cn/SealTalk_by_RongCloud_Android_v1_0_5.apk"},
	}
)

func version(v string) misc.Version { return must(misc.ParseVersion(v)) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestNewRelease(t *testing.T) {
	type F = misc.ReleaseFields
	for _, url := range []string{"http://x.test/a.zip", "https://x.test", "https://x.test/~%E4%BD%A0?a=b#c"} {
		_, err := misc.NewRelease(F{Version: "1.0.0", URL: url})
		assert.NoError(t, err, url)
	}
	for _, url := range []string{"", "//x.test/a", "x.test/a", "ftp://x.test/a", "https:///a", "https:a", "https://x.test/a b", "https://x.test/你", "https://x.test/%zz", "https://x.test/?a=%zz", "https://x.test/%2", "https://:80/", "https://x.test/\"", "https://x.test/a?{}", "https://x.test/\x7f"} {
		_, err := misc.NewRelease(F{Version: "1.0.0", URL: url})
		assert.ErrorContains(t, err, "misc: url: ", url)
		assert.NotEmpty(t, misc.CheckField("url", url), url)
	}
	for _, date := range []string{"", "2017-05-05", "2017-05-05T10:00:00Z", "2017-05-05T10:00:00-07:00"} {
		_, err := misc.NewRelease(F{Version: "1.0.0", URL: "https://x.test", PubDate: date})
		assert.NoError(t, err, date)
	}
	for _, date := range []string{"2017-5-5", "2017-02-30", "05.05.2017", "2017-05-05 10:00:00", "2017-05-05T1:02:03Z", "2017-05-05T1:02:03+07:00", "2017-05-05T10:00:00+24:00", "2017-05-05T10:00:00-24:00", "2017-05-05T10:00:00.1234Z", "2017-05-05T10:00:00", "2017-05-05T10:00:00.000Z", "2017-05-05T10:00:00,5Z", "yesterday"} {
		_, err := misc.NewRelease(F{Version: "1.0.0", URL: "https://x.test", PubDate: date})
		assert.ErrorContains(t, err, "misc: pub_date: ", date)
	}
	extra := map[string]json.RawMessage{"url": json.RawMessage(`""`), "size": json.RawMessage(`{`), "ok": json.RawMessage(`1`), "none": nil}
	_, err := misc.NewRelease(F{Version: "1.0", Extra: extra})
	assert.EqualError(t, err, `misc: version: "1.0" is not a semantic version such as 1.0.2
misc: url: "" is not an absolute, percent-encoded https or http URL
misc: none: is not valid JSON
misc: size: is not valid JSON
misc: url: has a field of its own and must not be in Extra`)
	var first *misc.FieldError
	require.ErrorAs(t, err, &first)
	assert.Equal(t, "version", first.Field)
}

func TestNewClientVersions(t *testing.T) {
	_, err := misc.NewClientVersions(misc.ClientVersionsFields{
		IOS:     misc.ClientVersion{Version: "1", URL: "app.plist", Extra: map[string]json.RawMessage{"build": json.RawMessage(`1`)}},
		Android: misc.ClientVersion{Build: "201613181821", URL: "https://x.test/ä"},
		Extra:   map[string]json.RawMessage{"iOS": json.RawMessage(`1`)},
	})
	assert.EqualError(t, err, `misc: iOS.build: required
misc: iOS.url: "app.plist" is not an absolute, percent-encoded URL
misc: iOS.build: has a field of its own and must not be in Extra
misc: Android.version: required
misc: Android.build: "201613181821" is not a time in the form yyyyMMddHHmm
misc: Android.url: "https://x.test/ä" is not an absolute, percent-encoded URL
misc: iOS: has a field of its own and must not be in Extra`)
}

func TestNewSquare(t *testing.T) {
	_, err := misc.NewSquare([]misc.SquareEntry{
		{ID: "a", Type: "group"},
		{ID: strings.Repeat("x", 256), Type: "group"},
		{ID: strings.Repeat("x", 257), Type: "group"},
		{Type: "chatroom", MemberCount: -1, MaxMemberCount: -2},
		{ID: "b", Type: "room", Name: "x", Extra: map[string]json.RawMessage{"memberCount": json.RawMessage(`1`)}},
	})
	assert.EqualError(t, err, `misc: [2].id: has 257 bytes, more than 256
misc: [3].id: required
misc: [3].name: required for a chat room: SealTalk's iOS client crashes without one
misc: [3].memberCount: -1 is negative
misc: [3].maxMemberCount: -2 is negative
misc: [4].type: "room" is neither chatroom nor group
misc: [4].memberCount: has a field of its own and must not be in Extra`)
}

func TestValuesGoOutAsDocumentedAndNeverChange(t *testing.T) {
	extra := map[string]json.RawMessage{"sha256": json.RawMessage(`"<&>"`), "delta": json.RawMessage(`{"a": [1, 2.50]}`)}
	withExtra := released
	withExtra.Extra = extra
	release, versions := must(misc.NewRelease(withExtra)), must(misc.NewClientVersions(clients))
	square := must(misc.NewSquare([]misc.SquareEntry{
		{ID: "a", Type: "group", Extra: extra},
		{ID: "b", Type: "chatroom", Name: "聊天室", PortraitURI: "https://x.test/b.png", MemberCount: 2, MaxMemberCount: 9},
	}))
	extra["sha256"][1] = '!'
	delete(extra, "delta")
	const (
		releaseForm = `{"version":"1.0.2","url":"http://downloads.rongcloud.cn/sealtalk/releases/mac/SealTalk_by_RongCloud_1.0.2.dmg","name":"SealTalk 1.0.2","notes":"bug fix","pub_date":"2017-05-05","delta":{"a":[1,2.50]},"sha256":"<&>"}`
		clientsForm = `{"iOS":{"version":"1.0.5","build":"201607181821","url":"https://dn-rongcloud.qbox.me/app.plist"},"Android":{"version":"1.0.5","url":"http://downloads.rongcloud.cn/SealTalk_by_RongCloud_Android_v1_0_5.apk"}}`
		squareForm  = `[{"id":"a","type":"group","delta":{"a":[1,2.50]},"sha256":"<&>"},{"id":"b","type":"chatroom","name":"聊天室","portraitUri":"https://x.test/b.png","memberCount":2,"maxMemberCount":9}]`
	)
	for _, test := range []struct {
		value, copied json.Marshaler
		want          string
	}{{release, *release, releaseForm}, {versions, *versions, clientsForm}, {square, *square, squareForm}} {
		for _, v := range []json.Marshaler{test.value, test.copied} {
			form, err := v.MarshalJSON()
			require.NoError(t, err)
			assert.Equal(t, test.want, string(form))
			form[0] = '!'
			again, err := v.MarshalJSON()
			require.NoError(t, err)
			assert.Equal(t, test.want, string(again), "whatever a caller does with the bytes")
		}
	}
	assert.Equal(t, "1.0.2", release.Version())
	assert.Equal(t, `[]`, string(must(must(misc.NewSquare(nil)).MarshalJSON())))
	for _, zero := range []json.Marshaler{misc.Release{}, misc.ClientVersions{}, misc.Square{}} {
		_, err := zero.MarshalJSON()
		assert.ErrorContains(t, err, "was not made by its constructor")
	}
}

func TestStaticVersionsAnswersWhatItWasGiven(t *testing.T) {
	_, err := misc.NewStaticVersions(must(misc.NewRelease(released)), nil)
	assert.EqualError(t, err, "misc: client versions are required")
	v := must(misc.NewClientVersions(clients))
	s := must(misc.NewStaticVersions(nil, v))
	_, err = s.LatestRelease(t.Context(), misc.UpdateQuery{Version: version("1.0.0")})
	assert.ErrorIs(t, err, misc.ErrNoRelease)
	assert.Same(t, v, must(s.ClientVersions(t.Context())))

	misctest.TestVersionSource(t, misctest.VersionSuite{New: func(t *testing.T) misc.VersionSource {
		return must(misc.NewStaticVersions(must(misc.NewRelease(released)), v))
	}, Query: misc.UpdateQuery{Version: version("1.0.0")}})
}

// source is a VersionSource that returns whatever a test puts into it.
type source struct {
	release *misc.Release
	clients *misc.ClientVersions
	square  *misc.Square
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

func TestParseUpdateQuery(t *testing.T) {
	for query, want := range map[string]misc.UpdateQuery{
		"version=v1.0.0%2B1&platform=darwin&arch=arm64&os_version=14.4&channel=beta&id=%E5%B0%8F&other=1": {
			Version: version("v1.0.0+1"), Platform: "darwin", Arch: "arm64", OSVersion: "14.4", Channel: "beta", ClientID: "小"},
		"id=a+b&version=1.0.0&id=c&channel=&channel=beta":       {Version: version("1.0.0"), ClientID: "a b"}, // the first one counts
		"&&os_version&arch=%zz&arch=x64&=1&version=1.0.0&ID=a&": {Version: version("1.0.0"), Arch: "x64"},
		"platform=a;b&id=c=d&%69d=e&v%65rsion=1.0.0":            {Version: version("1.0.0"), Platform: "a;b", ClientID: "c=d"},
	} {
		got, err := misc.ParseUpdateQuery(query)
		require.NoError(t, err, query)
		assert.Equal(t, want, got, query)
	}
	for _, query := range []string{"", "version=", "version=1.0", "version=1.0.0+5", "version=%zz", "version=1.0.0;a", "Version=1.0.0",
		"version=1.0.0&version=1.0.0", "version=1.0.0&vers%69on=1.0.0", "version=1.0.0&version=%zz"} {
		got, err := misc.ParseUpdateQuery(query)
		assert.ErrorIs(t, err, misc.ErrInvalidVersion, query)
		assert.Zero(t, got, query)
	}
}

func FuzzParseUpdateQuery(f *testing.F) {
	f.Add("version=v1.0.0%2B1&platform=darwin&id=%E5%B0%8F")
	f.Add("version=1.0.0&version=%zz;&&=")
	f.Fuzz(func(t *testing.T, query string) {
		q, err := misc.ParseUpdateQuery(query)
		if err != nil {
			require.ErrorIs(t, err, misc.ErrInvalidVersion)
			return
		}
		require.True(t, misc.ValidVersion(q.Version.String()))
		again := url.Values{"version": {q.Version.String()}, "platform": {q.Platform}, "id": {q.ClientID}}.Encode()
		same, err := misc.ParseUpdateQuery(again)
		require.NoError(t, err)
		require.Zero(t, q.Version.Compare(same.Version))
		require.Equal(t, q.Platform+"\x00"+q.ClientID, same.Platform+"\x00"+same.ClientID)
	})
}

func TestLatestUpdate(t *testing.T) {
	lost := errors.New("connection lost")
	release := must(misc.NewRelease(released))
	for _, test := range []struct {
		name, version string
		source        source
		want          misc.Code
		cause         error
	}{
		{name: "older", version: "1.0.1", source: source{release: release}},
		{name: "a prerelease of it", version: "v1.0.2-rc.1", source: source{release: release}},
		{name: "the same", version: "1.0.2", source: source{release: release}, want: misc.CodeNoRelease, cause: misc.ErrNoRelease},
		{name: "the same but for its build", version: "1.0.2+7", source: source{release: release}, want: misc.CodeNoRelease},
		{name: "newer", version: "1.0.10", source: source{release: release}, want: misc.CodeNoRelease},
		{name: "none for this client", version: "1.0.0", source: source{err: fmt.Errorf("x: %w", misc.ErrNoRelease)}, want: misc.CodeNoRelease, cause: misc.ErrNoRelease},
		{name: "the source fails", version: "1.0.0", source: source{err: lost}, want: misc.CodeInternal, cause: lost},
		{name: "the source answers nothing", version: "1.0.0", want: misc.CodeInternal},
		{name: "the source answers what no constructor made", version: "1.0.0", source: source{release: &misc.Release{}}, want: misc.CodeInternal},
	} {
		t.Run(test.name, func(t *testing.T) {
			svc := service(t, misc.Config{Versions: &test.source})
			q := misc.UpdateQuery{Version: version(test.version), Platform: "darwin", Arch: "x64", OSVersion: "14.4", Channel: "beta", ClientID: "c", UserAgent: "u"}
			got, err := svc.LatestUpdate(t.Context(), q)
			assert.Equal(t, test.want, misc.CodeOf(err))
			assert.Equal(t, q, test.source.query)
			if test.want == "" {
				assert.Same(t, release, got)
				return
			}
			assert.Nil(t, got)
			if test.cause != nil {
				assert.ErrorIs(t, err, test.cause)
			}
		})
	}
	unasked := &source{release: release}
	_, err := service(t, misc.Config{Versions: unasked}).LatestUpdate(t.Context(), misc.UpdateQuery{Platform: "darwin"})
	assert.Equal(t, &misc.Error{Code: misc.CodeInvalid, Field: "version", Err: misc.ErrInvalidVersion}, err)
	assert.Zero(t, unasked.query)
}

func (s *source) Square(context.Context) (*misc.Square, error) { return s.square, s.err }

func TestASourceThatFailsIsInternalAndNamed(t *testing.T) {
	for _, test := range []struct {
		source  source
		problem string
	}{
		{source{err: errors.New("connection lost")}, ": connection lost"},
		{source{err: misc.ErrNoRelease}, ": no release for this client"},
		{source{}, " made by New"},
		{source{clients: &misc.ClientVersions{}, square: &misc.Square{}}, "nor an error"},
	} {
		svc := service(t, misc.Config{Versions: &test.source, Square: &test.source})
		_, versions := svc.ClientVersions(t.Context())
		_, square := svc.Square(t.Context())
		for part, err := range map[string]error{"misc: internal: Versions: ": versions, "misc: internal: Square: ": square} {
			assert.Equal(t, misc.CodeInternal, misc.CodeOf(err))
			assert.ErrorContains(t, err, part)
			assert.ErrorContains(t, err, test.problem)
		}
	}
	for _, cfg := range []misc.Config{{}, {Square: &source{err: fmt.Errorf("x: %w", misc.ErrNoSquare)}}} {
		_, err := service(t, cfg).Square(t.Context())
		assert.Equal(t, misc.CodeNoSquare, misc.CodeOf(err))
		assert.ErrorIs(t, err, misc.ErrNoSquare)
	}
}
