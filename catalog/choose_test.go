package catalog_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/catalog"
	"github.com/sealtalk-go/misc/httpapi"
	"github.com/sealtalk-go/misc/misctest"
)

// decisions are queries for testdata/releases.json, with the version and the last
// part of the URL in the answer, and the reason.
var decisions = []struct{ query, userAgent, offered, reason string }{
	{"version=1.9.0&platform=darwin&os_version=14.4&id=client-0", "", "2.0.1 SealTalk-universal.zip", "update"},
	{"version=1.9.0&platform=darwin&os_version=14.4&id=client-1", "", "", "rollout"},
	{"version=1.9.0&platform=darwin&os_version=14.4", "", "", "no-id"},
	{"version=1.5.0&platform=darwin&os_version=14.4&id=client-1", "", "1.9.0 SealTalk-universal.zip", "update"},
	{"version=1.5.0&platform=darwin&os_version=14.4", "", "1.9.0 SealTalk-universal.zip", "update"},
	{"version=1.5.0&platform=darwin&os_version=11.7&id=client-0", "", "1.9.0 SealTalk-universal.zip", "update"},
	{"version=1.5.0&platform=darwin&os_version=22.6.0&id=client-0", "", "2.0.1 SealTalk-universal.zip", "update"},
	{"version=1.5.0&platform=darwin&os_version=10.16&id=client-0", "", "1.9.0 SealTalk-universal.zip", "update"},
	{"version=1.5.0&platform=darwin&os_version=10.16&id=client-0", "SealTalk/1 CFNetwork/1 Darwin/22.5.0", "2.0.1 SealTalk-universal.zip", "update"},
	{"version=1.5.0&platform=darwin&id=client-0", "", "", "os-unknown"},
	{"version=1.5.0&platform=darwin", "SealTalk/1 CFNetwork/1 Darwin/17.5.0", "1.9.0 SealTalk-universal.zip", "update"},
	{"version=1.5.0&platform=darwin", "SealTalk/1 CFNetwork/1 Darwin/16.7.0", "", "os"},
	{"version=1.9.0&platform=darwin&id=client-0", "", "", "os-unknown"},
	{"version=2.0.0&platform=darwin&id=client-0", "", "2.0.1 SealTalk-universal.zip", "update"},
	{"version=2.0.0&platform=darwin&os_version=14.4", "", "2.0.1 SealTalk-universal.zip", "update"}, // 2.0.0 is withdrawn
	{"version=1.4.0&platform=darwin&os_version=10.12.6", "", "", "os"},
	{"version=1.0.0&platform=darwin&os_version=14.4&id=client-0", "", "1.4.0 SealTalk.zip, mandatory", "update"},
	{"version=1.0.0&platform=darwin", "", "1.4.0 SealTalk.zip, mandatory", "update"},
	{"version=1.3.9&platform=darwin&os_version=10.9", "", "1.4.0 SealTalk.zip, mandatory", "update"},
	{"version=2.0.1&platform=darwin&os_version=14.4", "", "", "current"},
	{"version=2.0.1%2B7&platform=darwin&os_version=14.4", "", "", "current"},
	{"version=2.2.0&platform=darwin&os_version=14.4", "", "", "current"},
	{"version=2.0.1&platform=darwin&os_version=14.4&channel=beta", "", "2.1.0-beta.2 SealTalk-x64.zip", "update"},
	{"version=2.1.0-beta.1&platform=darwin&os_version=14.4", "", "2.1.0-beta.2 SealTalk-x64.zip", "update"},
	{"version=2.1.0-beta.1&platform=darwin&os_version=14.4&channel=stable", "", "", "current"},
	{"version=2.1.0-rc.1&platform=darwin&os_version=14.4", "", "", "current"},
	{"version=1.9.0&platform=darwin&os_version=14.4&channel=nightly&id=client-0", "", "2.0.1 SealTalk-universal.zip", "update"},
	{"version=2.0.1&platform=darwin&os_version=12.7&channel=beta", "", "", "os"},
	{"version=2.0.1&platform=darwin&arch=arm64&os_version=14.4&channel=beta", "", "2.1.0-beta.2 SealTalk-arm64.zip", "update"},
	{"version=2.0.1&platform=darwin&arch=mips&os_version=14.4&channel=beta", "", "", "arch"},
	{"version=1.9.0&platform=win32&arch=x64&os_version=10.0.19045&id=client-0", "", "2.0.1 SealTalk.msix", "update"},
	{"version=1.9.0&platform=win32&arch=x64&os_version=10.0.14393&id=client-0", "", "", "os"},
	{"version=1.9.0&platform=win32&arch=arm64&os_version=10.0.22631&id=client-0", "", "", "arch"},
	{"version=1.9.0&platform=linux&id=client-0", "", "", "platform"},
	{"version=1.9.0&os_version=14.4&id=client-0", "", "2.0.1 SealTalk-universal.zip", "update"},
	{"version=1.4.0&platform=darwin&os_version=14.4&id=client-0", "", "2.0.1 SealTalk-universal.zip", "update"}, // from 1.4.0 on
	{"version=1.4.0-rc.1&platform=darwin&os_version=14.4&id=client-0", "", "1.4.0 SealTalk.zip, mandatory", "update"},
}

func TestEachClientGetsItsRelease(t *testing.T) {
	releases, err := os.ReadFile("testdata/releases.json")
	require.NoError(t, err)
	h := newReleasesHost(t, string(releases))
	for _, tt := range decisions {
		t.Run(tt.query+" "+tt.userAgent, func(t *testing.T) {
			offered, reason := h.ask(tt.query, tt.userAgent)
			assert.Equal(t, tt.offered, offered)
			assert.Equal(t, tt.reason, reason)
		})
	}
}

func TestTheOSOfAClientIsReadAsTheClientMeansIt(t *testing.T) {
	s, err := catalog.ParseReleases([]byte(`{"releases":[{"version":"2.0.0","builds":[
		{"platform":"darwin","min_os":"99","url":"https://x.test/a"},{"platform":"win32","min_os":"99","url":"https://x.test/b"}]}]}`))
	require.NoError(t, err)
	for _, tt := range []struct{ platform, osVersion, userAgent, os string }{
		{"darwin", "14.4", "Darwin/22.5.0", "14.4"},
		{"darwin", "14.4.1.9", "", "14.4.1.9"},
		{"darwin", "14.4.1.9.77777777", "", "14.4.1.9"},
		{"darwin", "010.0.0", "", "10.0.0"},
		{"darwin", "15-beta", "", "15"},
		{"darwin", "14.", "", "14"},
		{"darwin", "14..4", "", "unknown"},
		{"darwin", "14..", "", "unknown"},
		{"darwin", ".14", "", "unknown"},
		{"darwin", "14.1000000", "", "unknown"},
		{"darwin", "Sonoma", "", "unknown"},
		{"darwin", "", "", "unknown"},
		{"darwin", "15.9", "", "15.9"},
		{"darwin", "16.7.0", "", "10.12"},
		{"darwin", "19", "", "10.15"},
		{"darwin", "20.1", "", "11"},
		{"darwin", "24", "", "15"},
		{"darwin", "25.0", "", "26"},
		{"darwin", "26.1", "", "26.1"},
		{"darwin", "10.15.7", "", "10.15.7"},
		{"darwin", "10.16", "", "11 or later"},
		{"darwin", "10.16.2", "Darwin/12.0", "11 or later"},
		{"darwin", "10.16", "SealTalk/1 CFNetwork/1 Darwin/23.1.0 (x86_64)", "14"},
		{"darwin", "10.17", "Darwin/23.1.0", "10.17"},
		{"darwin", "9.16", "Darwin/23.1.0", "9.16"},
		{"darwin", "", "Darwin/12.6", "unknown"},
		{"darwin", "", "Darwin/13", "10.9"},
		{"darwin", "Sonoma", "Darwin/15.6.0", "10.11"},
		{"darwin", "", "Darwin/22..5 Darwin/23", "13"},
		{"darwin", "", "Darwin/25.0.0", "26"},
		{"darwin", "", "Darwin/26.0.0", "27"},
		{"darwin", "", "Darwin/", "unknown"},
		{"darwin", "", "Darwin/1000000", "unknown"},
		{"darwin", "", "darwin/22", "unknown"},
		{"", "22.6.0", "", "13"},
		{"win32", "10.0.19045", "Darwin/22.5.0", "10.0.19045"},
		{"win32", "22.6.0", "", "22.6.0"},
		{"win32", "", "Darwin/22.5.0", "unknown"},
	} {
		e := s.Explain(misc.UpdateQuery{Version: version(t, "1.0.0"), Platform: tt.platform, OSVersion: tt.osVersion, UserAgent: tt.userAgent})
		assert.Equal(t, "for OS version 99 or later, and the client's is "+tt.os, e.Releases[0].Detail, tt)
		unknown := strings.HasSuffix(tt.os, "unknown") || strings.HasSuffix(tt.os, "later")
		assert.Equal(t, unknown, e.Releases[0].Reason == catalog.ReasonOSUnknown, tt)
	}
}

func TestTheBestOfTheBuildsThatFitIsOffered(t *testing.T) {
	build := func(name, rest string) string { return `{"url":"https://x.test/` + name + `"` + rest + `}` }
	h := newReleasesHost(t, `{"releases":[{"version":"2.0.0","builds":[`+strings.Join([]string{
		build("any", ""),
		build("x64", `,"arch":"x64"`),
		build("darwin", `,"platform":"darwin"`),
		build("darwin-three", `,"platform":"darwin","arch":["ia32","universal"]`),
		build("darwin-universal", `,"platform":"darwin","arch":"universal","max_os":"13"`),
		build("darwin-arm64", `,"platform":"darwin","arch":"arm64","min_os":"13.1"`),
		build("win32-old", `,"platform":"win32","arch":"x64","max_os":"6.3"`),
		build("win32-new", `,"platform":"win32","arch":"x64","min_os":"6.4"`),
	}, ",")+`]}]}`)
	for _, tt := range []struct{ query, offered string }{
		{"version=1.0.0&platform=linux&arch=mips", "any"},
		{"version=1.0.0&platform=linux", "x64"},
		{"version=1.0.0&platform=linux&arch=universal", "x64"},
		{"version=1.0.0&platform=linux&arch=arm64", "any"},
		{"version=1.0.0", "darwin-three"},
		{"version=1.0.0&os_version=13", "darwin-universal"},
		{"version=1.0.0&os_version=13.7", "darwin-universal"},
		{"version=1.0.0&os_version=14", "darwin-three"},
		{"version=1.0.0&os_version=13&arch=arm64", "darwin-universal"},
		{"version=1.0.0&os_version=13.1&arch=arm64", "darwin-arm64"},
		{"version=1.0.0&os_version=13.0.9&arch=arm64", "darwin-universal"},
		{"version=1.0.0&os_version=14&arch=ia32", "darwin-three"},
		{"version=1.0.0&arch=mips", "darwin"},
		{"version=1.0.0&platform=win32&os_version=6.3.0", "win32-old"},
		{"version=1.0.0&platform=win32&os_version=6.3", "win32-old"},
		{"version=1.0.0&platform=win32&os_version=6.3.1", "win32-old"}, // whose max_os includes all of 6.3
		{"version=1.0.0&platform=win32&os_version=6.4", "win32-new"},
	} {
		offered, _ := h.ask(tt.query, "")
		assert.Equal(t, "2.0.0 "+tt.offered, offered, tt.query)
	}
}

func TestWhatRunsAReleaseHasAnOSThatIsNewEnoughForIt(t *testing.T) {
	s, err := catalog.ParseReleases([]byte(abbreviations.Replace(`{"channels":["stable","beta"],"releases":[
		{"version":"2.0.0","builds":[{"platform":"darwin","min_os":"12",URL},{"platform":"win32","min_os":"10","max_os":"10",URL}]},
		{"version":"1.6.0","builds":[{"platform":"darwin","max_os":"14",URL}]},
		{"version":"1.5.0","withdrawn":"bad","builds":[{"platform":"darwin","arch":"x64","min_os":"12.1",URL},{"platform":"darwin","arch":"universal","min_os":"12",URL},{"platform":"win32","min_os":"10",URL}]},
		{"version":"1.4.0","builds":[{"platform":"darwin","arch":"x64","min_os":"12",URL},{"platform":"darwin","arch":"universal","min_os":"11.9",URL}]},
		{"version":"1.3.0","builds":[{"platform":"darwin","min_os":"13",URL},BUILD]},
		{"version":"1.2.0-beta.1","builds":[{"platform":"darwin","arch":"arm64","min_os":"13",URL},{"arch":"x64",URL}]},
		{"version":"1.1.0","builds":[{"platform":"darwin","arch":"x64","min_os":"11.9",URL},{"platform":"darwin","arch":"universal","min_os":"12",URL}]}]}`)))
	require.NoError(t, err)
	for _, tt := range []struct{ version, platform, arch, os string }{
		{"1.6.0", "darwin", "x64", "unknown"},
		{"1.5.0", "darwin", "x64", "12 or later"},
		{"v1.5.0+7", "darwin", "arm64", "12 or later"},
		{"1.5.0", "win32", "x64", "10 or later"}, // and perhaps more than the max_os of 2.0.0
		{"1.5.0", "linux", "x64", "unknown"},
		{"1.5.1", "darwin", "x64", "unknown"}, // which is not in the file
		{"1.4.0", "darwin", "x64", "11.9 or later"},
		{"1.4.0", "darwin", "ia32", "unknown"},
		{"1.3.0", "darwin", "x64", "unknown"}, // since one of its builds runs on anything
		{"1.2.0-beta.1", "darwin", "arm64", "13 or later"},
		{"1.2.0-beta.1", "darwin", "x64", "unknown"},
		{"1.1.0", "darwin", "x64", "11.9 or later"},
	} {
		e := s.Explain(misc.UpdateQuery{Version: version(t, tt.version), Platform: tt.platform, Arch: tt.arch})
		assert.Contains(t, e.Client, "OS version "+tt.os+",", tt)
		want := catalog.ReasonOSUnknown
		switch {
		case tt.platform == "linux":
			want = catalog.ReasonPlatform
		case tt.platform == "darwin" && (tt.os == "12 or later" || tt.os == "13 or later"):
			want = catalog.ReasonUpdate
		}
		assert.Equal(t, want, e.Releases[0].Reason, tt)
	}
}

func TestAMandatoryAnswerHasEverythingThatAnyOtherHas(t *testing.T) {
	h := newReleasesHost(t, `{"minimum":"1.0.2","releases":[{"version":"1.0.2","name":"SealTalk","notes":"x","pub_date":"2026-11-24T08:00:00Z",
		"builds":[{"url":"https://x.test/a.zip","extra":{"size":5,"delta":{"a":[null]},"sha256":"00"}}]}]}`)
	const fields = `{"version":"1.0.2","url":"https://x.test/a.zip","name":"SealTalk","notes":"x","pub_date":"2026-11-24T08:00:00Z","delta":{"a":[null]},`
	assert.Equal(t, `200 `+fields+`"mandatory":true,"sha256":"00","size":5}`, h.get("version=1.0.1", ""))
	assert.Equal(t, `204`, h.get("version=1.0.2", ""))
	h = newReleasesHost(t, `{"minimum":"1.0.0","releases":[{"version":"1.0.2","name":"SealTalk","notes":"x","pub_date":"2026-11-24T08:00:00Z",
		"builds":[{"url":"https://x.test/a.zip","extra":{"size":5,"delta":{"a":[null]},"sha256":"00"}}]}]}`)
	assert.Equal(t, `200 `+fields+`"sha256":"00","size":5}`, h.get("version=1.0.0", ""))
}

func TestARolloutIncludesThePlacesBelowIt(t *testing.T) {
	for _, tt := range []struct {
		rollout, id string
		reason      catalog.Reason
	}{
		{"0.26", "client-36", catalog.ReasonRollout}, // whose place is 0.26 % to the millionth
		{"0.27", "client-36", catalog.ReasonUpdate},
		{"99.99", strings.Repeat("a", 256), catalog.ReasonUpdate},
		{"100", strings.Repeat("a", 257), catalog.ReasonUpdate},
		{"99.99", strings.Repeat("a", 257), catalog.ReasonNoID},
	} {
		s, err := catalog.ParseReleases([]byte(abbreviations.Replace(`{"releases":[{"version":"2.0.1","rollout":` + tt.rollout + `,BUILDS}]}`)))
		require.NoError(t, err)
		assert.Equal(t, tt.reason, s.Choose(misc.UpdateQuery{Version: version(t, "1.0.0"), ClientID: tt.id}).Reason, tt)
	}
}

func TestAPlaceInARolloutIsThatOfEveryInstance(t *testing.T) {
	for _, tt := range []struct{ version, id, place string }{
		{"2.0.1", "alice", "64.886 %"},
		{"v2.0.1+build", "alice", "64.886 %"},
		{"2.0.2", "alice", "24.912 %"},
		{"2.0.1", "小明", "20.6702 %"},
		{"1.10.0-beta.1", "6f1f0c2e-3a5b-4a57-9a0e-0d6a3c1b7e55", "14.1147 %"},
	} {
		s, err := catalog.ParseReleases([]byte(abbreviations.Replace(`{"releases":[{"version":"` + tt.version + `","channel":"stable","rollout":0.01,BUILDS}]}`)))
		require.NoError(t, err)
		e := s.Explain(misc.UpdateQuery{Version: version(t, "1.0.0"), ClientID: tt.id})
		assert.Equal(t, "the rollout is at 0.01 %, and the client's place in it is "+tt.place, e.Releases[0].Detail)
	}
}

func TestOneReleaseIsServedAlikeFromBothFiles(t *testing.T) {
	const fields = `"version":"v1.0.2-rc.1+7","name":"SealTalk","notes":"<a>","pub_date":"2017-05-05"`
	squirrel := newHostOver(t, `{`+fields+`,"url":"https://x.test/a.zip","size":5,"a":null}`, "")
	releases := newHostOver(t, "not read", `{"releases":[{`+fields+`,"channel":"stable","builds":[{"url":"https://x.test/a.zip","extra":{"size":5,"a":null}}]}]}`)
	for _, query := range []string{
		"version=1.0.1&platform=darwin", "version=1.0.2", "version=1.0.2-rc.1", "version=1.0.2-beta.7%2B5&channel=beta&id=a&arch=mips&platform=plan9&os_version=x",
		"", "version=1.0", "version=1.0.0&version=1.0.0", "version=1.0.0&%zz",
	} {
		assert.Equal(t, squirrel.get(query, ""), releases.get(query, ""), query)
	}
}

func TestEachReleaseIsExplained(t *testing.T) {
	s, err := catalog.ParseReleases([]byte(abbreviations.Replace(`{"channels":["stable","beta"],"releases":[
		{"version":"3.0.0","rollout":0,BUILDS},{"version":"2.9.0-beta.1",BUILDS},{"version":"2.8.0","withdrawn":"bad",BUILDS},{"version":"2.7.0","from":"2.0.0",BUILDS},
		{"version":"2.6.1","builds":[{"platform":"darwin","arch":"x64","min_os":"99",URL},{"platform":"darwin","arch":"arm64",URL}]},
		{"version":"2.6.0","builds":[{"platform":"win32",URL}]},{"version":"2.5.0","builds":[{"arch":"ia32",URL}]},
		{"version":"2.4.0","builds":[{"platform":"darwin","max_os":"12.0",URL},{"platform":"darwin","min_os":"13.0","max_os":"14",URL},{"platform":"darwin","arch":"arm64",URL}]},
		{"version":"2.3.0","rollout":50,BUILDS},{"version":"2.2.0",BUILDS},{"version":"2.1.0",BUILDS},{"version":"1.0.0",BUILDS},{"version":"0.9.0","withdrawn":"worse"}]}`)))
	require.NoError(t, err)
	e := s.Explain(misc.UpdateQuery{Version: version(t, "v1.0.0+7"), Arch: "universal", OSVersion: "12.1", Channel: "nightly"})
	assert.Equal(t, &catalog.Explanation{
		Client: "1.0.0 on darwin x64, OS version 12.1, channel stable, no id",
		Reason: catalog.ReasonUpdate,
		Releases: []catalog.Verdict{
			{"3.0.0", "stable", "rollout", "the rollout is at 0 %, and the client sent no id"},
			{"2.9.0-beta.1", "beta", "channel", "the client is on channel stable"},
			{"2.8.0", "stable", "withdrawn", "withdrawn: bad"},
			{"2.7.0", "stable", "from", "to be installed from 2.0.0 on, and the client runs 1.0.0"},
			{"2.6.1", "stable", "os", "for OS version 99 or later, and the client's is 12.1"},
			{"2.6.0", "stable", "platform", `no build for platform "darwin"`},
			{"2.5.0", "stable", "arch", `no build for platform "darwin" on CPU "x64"`},
			{"2.4.0", "stable", "os", "for OS version up to 12.0 and 13 to 14, and the client's is 12.1"},
			{"2.3.0", "stable", "no-id", "the rollout is at 50 %, and the client sent no id"},
			{"2.2.0", "stable", "update", "offered"},
			{"2.1.0", "stable", "superseded", "possible, but a newer release is offered"},
			{"1.0.0", "stable", "current", "not newer than 1.0.0, which the client runs"},
			{"0.9.0", "stable", "withdrawn", "withdrawn: worse"},
		},
	}, e)
}

func TestWhoRunsAWithdrawnReleaseNeedNotWaitForARollout(t *testing.T) {
	const platform = `"builds":[{"platform":"darwin","arch":"x64",URL}]`
	for _, tt := range []struct{ name, query, releases, offered, others, reason string }{
		{"with no id", "", `{"version":"1.0.1","rollout":25,BUILDS}`, "1.0.1 a.zip", "", "update"},
		{"the widest", "&id=client-1", `{"version":"1.0.1","rollout":25,BUILDS},{"version":"1.0.2","rollout":0.01,BUILDS},{"version":"1.0.3","rollout":25,BUILDS},{"version":"1.0.4","rollout":1,BUILDS}`, "1.0.3 a.zip", "", "update"},
		{"one that is possible comes first", "", `{"version":"1.0.2","rollout":25,BUILDS},{"version":"1.0.1",BUILDS}`, "1.0.1 a.zip", "1.0.1 a.zip", "update"},
		{"a pause", "", `{"version":"1.0.1","rollout":0,BUILDS}`, "", "", "rollout"},
		{"not for it", "", `{"version":"1.0.1","from":"1.0.1-0","rollout":25,BUILDS},{"version":"1.0.2","rollout":25,"builds":[{"platform":"win32",URL}]}`, "", "", "from"},
		{"another channel", "", `{"version":"1.0.1","channel":"beta","rollout":25,BUILDS}`, "", "", "current"},
		{"another platform's release is newer", "", `{"version":"1.0.2","builds":[{"platform":"win32",URL}]},{"version":"1.0.1","from":"1.0.1-0",` + platform + `}`, "", "", "from"},
		{"another CPU's", "&arch=arm64", `{"version":"1.0.2","builds":[{"platform":"win32",URL}]},{"version":"1.0.1",` + platform + `}`, "", "", "arch"},
		{"no platform", "&platform=linux", `{"version":"1.0.2","builds":[{"platform":"win32",URL}]},{"version":"1.0.1",` + platform + `}`, "", "", "platform"},
	} {
		for _, withdrawn := range []bool{true, false} {
			file := `{"channels":["stable","beta"],"releases":[{"version":"1.0.0",BUILDS},` + tt.releases + `]}`
			if withdrawn {
				file = strings.Replace(file, `"version":"1.0.0"`, `"version":"v1.0.0+7","withdrawn":"bad"`, 1)
			}
			offered, reason := newReleasesHost(t, abbreviations.Replace(file)).ask("version=1.0.0"+tt.query, "")
			if !withdrawn {
				assert.Equal(t, tt.others, offered, tt.name)
				continue
			}
			assert.Equal(t, tt.offered, offered, tt.name)
			assert.Equal(t, tt.reason, reason, tt.name)
		}
	}
}

func TestADecisionSaysWhatItIsAbout(t *testing.T) {
	file := abbreviations.Replace(`{"minimum":"1.0.1","channels":["stable","beta"],"releases":[{"version":"v2.0.0+7","rollout":0,"builds":[{"platform":"darwin",URL}]},{"version":"1.0.2",BUILDS}]}`)
	s, err := catalog.ParseReleases([]byte(file))
	require.NoError(t, err)
	for text, want := range map[string]catalog.Decision{
		"version=1.0.0&channel=beta":    {Reason: "update", Version: "1.0.2", Channel: "beta", Platform: "darwin"},
		"version=1.0.2&platform=darwin": {Reason: "rollout", Version: "2.0.0", Channel: "stable", Platform: "darwin"},
		"version=1.0.1&platform=win32":  {Reason: "update", Version: "1.0.2", Channel: "stable", Platform: "win32"},
		"version=2.0.0&platform=plan9":  {Reason: "current", Channel: "stable", Platform: "other"},
	} {
		got := s.Choose(query(t, text))
		assert.Equal(t, want.Reason == "update", got.Release != nil, text)
		want.Release, want.Revision = got.Release, revision(file)
		assert.Equal(t, want, got, text)
	}
}

func version(t testing.TB, text string) misc.Version {
	t.Helper()
	v, err := misc.ParseVersion(text)
	require.NoError(t, err)
	return v
}

// releasesHost serves a releases.json over HTTP.
type releasesHost struct {
	*catalog.Catalog
	t       *testing.T
	handler http.Handler
	reason  catalog.Reason
}

func newReleasesHost(t *testing.T, releases string) *releasesHost {
	t.Helper()
	return newHostOver(t, "not read", releases)
}

// newHostOver returns a host that serves the two files. There is no releases.json if
// releases is empty.
func newHostOver(t *testing.T, squirrel, releases string) *releasesHost {
	t.Helper()
	h := &releasesHost{t: t}
	d := newDirectory(squirrel, goodClients)
	if releases != "" {
		d.swap("releases.json", releases)
	}
	var err error
	h.Catalog, err = catalog.Open(d, catalog.Config{
		Decided: func(_ context.Context, _ misc.UpdateQuery, d catalog.Decision) { h.reason = d.Reason },
		Logger:  slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	service, err := misc.New(misc.Config{Versions: h, Relations: misctest.NewRelations(misctest.World{}), Captures: misc.NewMemoryStore(), Messenger: &misctest.Messenger{}})
	require.NoError(t, err)
	h.handler, err = httpapi.New(httpapi.Config{Service: service, CurrentUser: httpapi.UserFromContext})
	require.NoError(t, err)
	return h
}

// get returns the status and the body.
func (h *releasesHost) get(query, userAgent string) string {
	h.t.Helper()
	r := httptest.NewRequest("GET", "/misc/latest_update?"+query, nil)
	r.Header.Set("User-Agent", userAgent)
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r)
	return strings.TrimSpace(fmt.Sprintln(w.Code, w.Body))
}

// ask returns the version and the last part of the URL that are offered, whether
// the update is mandatory, and the reason.
func (h *releasesHost) ask(query, userAgent string) (offered, reason string) {
	h.t.Helper()
	status, body, _ := strings.Cut(h.get(query, userAgent), " ")
	if status == "204" {
		require.Empty(h.t, body)
		return "", string(h.reason)
	}
	require.Equal(h.t, "200", status, body)
	var answer struct {
		Version, URL string
		Mandatory    *bool
	}
	require.NoError(h.t, json.Unmarshal([]byte(body), &answer))
	offered = answer.Version + " " + path.Base(answer.URL)
	if answer.Mandatory != nil {
		require.True(h.t, *answer.Mandatory)
		offered += ", mandatory"
	}
	return offered, string(h.reason)
}
