package catalog_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc/catalog"
)

// distinct writes the abbreviations out, and gives each build a URL of its own.
func distinct(file string) []byte {
	n := 0
	return regexp.MustCompile(`x\.test/a\.zip`).ReplaceAllFunc([]byte(abbreviations.Replace(file)), func([]byte) []byte {
		n++
		return fmt.Appendf(nil, "x.test/%d.zip", n)
	})
}

func TestProbableMistakesAreWarnedOf(t *testing.T) {
	full, err := os.ReadFile("testdata/releases.json")
	require.NoError(t, err)
	const forNobody = "\nreleases: none is for everyone on darwin x64 on channel a, which is what SealTalk's desktop client asks for"
	for _, tt := range []struct{ name, file, warnings string }{
		{"nothing", `{"releases":[{"version":"1.0.2","name":"1.0.2","pub_date":"2026-06-01T10:00:00Z",BUILDS},{"version":"1.0.1","name":"1.0.1",BUILDS}]}`, ""},
		{"the file of the documentation", string(full), `releases[1].rollout (2.0.1): clients that send no id are not offered it, and today's SealTalk sends none
releases[1].from (2.0.1): no release for win32 x64 from 1.4.0 on and older than 2.0.1 is offered, so clients older than 1.4.0 never get there
releases[3].pub_date (1.9.0): "2026-06-01" has no time: macOS shows a date in 1970
minimum: no release for everyone on channel stable is 1.4.0 or newer, so clients are told to install what they cannot get: win32 x64`},
		{
			"a Windows that does not exist", `{"releases":[{"version":"1.0.2","builds":[{"platform":"win32","min_os":"11",URL},BUILD]},{"version":"1.0.1","builds":[{"platform":"win32","min_os":"10.0.22000",URL},BUILD]}]}`,
			"releases[0].builds (1.0.2): no Windows has version 11: Windows 11 is 10.0.22000",
		},
		{"a minimum that nobody can reach", `{"minimum":"1.0.2","releases":[{"version":"1.0.3","rollout":0,BUILDS},{"version":"1.0.2","withdrawn":"bad",BUILDS}]}`,
			"releases[0].rollout (1.0.3): nobody is offered it\nreleases[1].withdrawn (1.0.2): whoever runs 1.0.2 is offered nothing newer\nminimum: no release for everyone on channel stable is 1.0.2 or newer, so clients are told to install what they cannot get: darwin x64+arm64" + strings.Replace(forNobody, "channel a", "channel stable", 1)},
		{"a minimum and no releases", `{"minimum":"1.0.2","releases":[]}`,
			"minimum: no release for everyone on channel stable is 1.0.2 or newer, so clients are told to install what they cannot get: all"},
		{"a minimum for some CPUs alone", `{"minimum":"1.0.2","releases":[{"version":"1.0.2","builds":[{"platform":"darwin","arch":"x64",URL},{"platform":"win32",URL}]},{"version":"1.0.1","channel":"b","builds":[{"platform":"darwin","arch":"universal",URL},{"platform":"win32","arch":["ia32","x64"],URL}]}],"channels":["a","b"]}`,
			"minimum: no release for everyone on channel a is 1.0.2 or newer, so clients are told to install what they cannot get: darwin arm64"},
		{"no releases", `{"releases":[]}`, ""},
		{"a release for Windows alone", `{"releases":[{"version":"1.0.0","builds":[{"platform":"win32",URL}]}]}`, ""},
		{
			"nothing for SealTalk's own client", `{"channels":["a","beta"],"releases":[{"version":"1.0.3","channel":"beta","builds":[{"platform":"darwin","min_os":"12",URL},{"arch":"ia32",URL}]}]}`,
			forNobody[1:],
		},
		{
			"versions that end the search for updates", `{"channels":["stable","nightly","weekly"],"releases":[{"version":"1.0.2",BUILDS},{"version":"1.0.3-weekly.1",BUILDS},{"version":"1.0.3-nightly.1",BUILDS},{"version":"1.0.1+build7-8",BUILDS}]}`,
			"releases[2].version (1.0.3-nightly.1): \"1.0.3-nightly.1\" has seven letters or digits in a row: SealTalk's desktop client that runs it stops looking for updates by itself",
		},
		{
			"arm64 without x64", `{"channels":["a","b","c"],"releases":[{"version":"1.0.2","builds":[{"platform":"darwin","arch":"arm64",URL},{"platform":"win32","arch":["arm64","ia32"],URL},{"platform":"win32","arch":"x64",URL}]},
				{"version":"1.0.1","channel":"b","builds":[{"arch":"arm64",URL}]},{"version":"0.9.0","channel":"c","builds":[{"platform":"darwin","arch":"arm64",URL},{"arch":"x64",URL}]}]}`,
			`releases[0].builds (1.0.2): arm64 without x64 for darwin: a client that names no CPU, as SealTalk's desktop client, counts as x64
releases[1].builds (1.0.1): arm64 without x64 for any platform: a client that names no CPU, as SealTalk's desktop client, counts as x64` + forNobody,
		},
		{
			"a from that nothing leads to", `{"channels":["stable","beta"],"releases":[{"version":"2.0.0","from":"1.4.0",BUILDS},{"version":"1.5.0","withdrawn":"bad",BUILDS},{"version":"1.4.5","rollout":0,BUILDS},
				{"version":"1.4.1-beta.1",BUILDS},{"version":"1.3.9",BUILDS},{"version":"2.0.1-beta.1","from":"1.4.0",BUILDS}]}`,
			"releases[0].from (2.0.0): no release from 1.4.0 on and older than 2.0.0 is offered, so clients older than 1.4.0 never get there\nreleases[2].rollout (1.4.5): nobody is offered it",
		},
		{"a from that is met exactly", `{"releases":[{"version":"2.0.0","from":"1.4.0",BUILDS},{"version":"1.4.0",BUILDS}]}`, ""},
		{
			"stepping stones for Macs alone, and in a rollout", `{"channels":["a","b"],"releases":[{"version":"2.0.0","from":"1.4.0","builds":[{"platform":"darwin",URL},{"platform":"win32",URL}]},{"version":"1.4.0","builds":[{"platform":"darwin",URL}]},
				{"version":"1.3.0-b","from":"1.2.0",BUILDS},{"version":"1.2.0","rollout":50,"channel":"b",BUILDS}]}`,
			`releases[0].from (2.0.0): no release for win32 x64+arm64 from 1.4.0 on and older than 2.0.0 is offered, so clients older than 1.4.0 never get there
releases[2].from (1.3.0-b): no release for darwin x64+arm64 from 1.2.0 on and older than 1.3.0-b is for everyone, so some clients older than 1.2.0 do not get there
releases[3].rollout (1.2.0): clients that send no id are not offered it, and today's SealTalk sends none`,
		},
		{
			"withdrawn, and nothing newer", `{"channels":["stable","beta"],"releases":[{"version":"2.0.0","withdrawn":"bad"},{"version":"2.0.1","rollout":0,BUILDS},{"version":"2.0.2-beta.1",BUILDS},{"version":"1.0.0","withdrawn":"bad",BUILDS},{"version":"1.0.1",BUILDS}]}`,
			`releases[1].rollout (2.0.1): nobody is offered it
releases[0].withdrawn (2.0.0): whoever runs 2.0.0 is offered nothing newer
releases[0].builds (2.0.0): keep those that it had: they tell which OS a client has that runs it and does not say`,
		},
		{
			"withdrawn, and nothing newer for Windows, or none that it may install", `{"releases":[{"version":"1.0.1",BUILDS,"from":"0.9.1"},{"version":"1.0.0","withdrawn":"bad","builds":[{"platform":"darwin",URL},{"platform":"win32","arch":"x64",URL}]},
				{"version":"0.9.0","withdrawn":"bad",BUILDS},{"version":"2.0.0","builds":[{"platform":"darwin",URL}],"from":"1.0.0"}]}`,
			`releases[0].from (1.0.1): no release from 0.9.1 on and older than 1.0.1 is offered, so clients older than 0.9.1 never get there
releases[2].withdrawn (0.9.0): whoever runs 0.9.0 is offered nothing newer`,
		},
		{
			"withdrawn, and a fix for Macs alone", `{"releases":[{"version":"1.0.1","builds":[{"platform":"darwin",URL}]},{"version":"1.0.0","withdrawn":"bad","builds":[{"platform":"darwin",URL},{"platform":"win32","arch":"x64",URL}]}]}`,
			"releases[1].withdrawn (1.0.0): whoever runs 1.0.0 on win32 x64 is offered nothing newer",
		},
		{
			"laxer than the release before it on its channel", `{"channels":["a","b"],"releases":[{"version":"1.0.4","builds":[{"platform":"darwin","arch":"x64","min_os":"11",URL},{"platform":"linux",URL}]},{"version":"1.0.3-b",BUILDS},{"version":"1.0.2","withdrawn":"bad",BUILDS},
				{"version":"1.0.1","from":"1.0.0","builds":[{"platform":"darwin","min_os":"12",URL},{"platform":"win32","arch":"x64",URL},{"platform":"linux","min_os":"5",URL}]},{"version":"1.0.0",BUILDS}]}`,
			`releases[0].from (1.0.4): is missing; 1.0.1 has 1.0.0
releases[0].builds (1.0.4): none for darwin arm64, win32 x64; 1.0.1 has one
releases[0].builds (1.0.4): min_os for darwin x64 is 11; that of 1.0.1 is 12
releases[0].builds (1.0.4): min_os for linux x64+arm64 is missing; that of 1.0.1 is 5
releases[2].withdrawn (1.0.2): whoever runs 1.0.2 on darwin arm64 is offered nothing newer`,
		},
		{
			"rollouts that leave out more than they seem to", `{"releases":[{"version":"1.0.3","rollout":0.25,BUILDS},{"version":"1.0.2","rollout":1,BUILDS},{"version":"1.0.1",BUILDS}]}`,
			`releases[0].rollout (1.0.3): is in percent: 0.25 % of the clients are offered it
releases[0].rollout (1.0.3): clients that send no id are not offered it, and today's SealTalk sends none
releases[1].rollout (1.0.2): clients that send no id are not offered it, and today's SealTalk sends none`,
		},
		{
			"channels in the wrong order", `{"channels":["beta","stable"],"releases":[{"version":"1.0.3-beta.1",BUILDS},{"version":"1.0.2","channel":"stable",BUILDS}]}`,
			"releases[0].channel (1.0.3-beta.1): a prerelease on beta, the most stable channel, is for everyone; is the order of channels wrong?",
		},
		{
			"the URL or the name of another release", `{"releases":[{"version":"1.0.3","name":"SealTalk 1.0.2","builds":[{"url":"https://x.test/SealTalk-1.0.1.zip"}]},{"version":"1.0.2","builds":[{"url":"https://x.test/SealTalk.zip"}]},{"version":"1.0.1","builds":[{"platform":"darwin","url":"https://x.test/SealTalk.zip"},{"platform":"win32","url":"https://x.test/SealTalk.zip"},{"platform":"linux","url":"https://x.test/1.0.0/9.9.9"}]},{"version":"1.0.0",BUILDS}]}`,
			`releases[0].name (1.0.3): names 1.0.2
releases[0].builds[0].url (1.0.3): names 1.0.1
releases[1].builds[0].url (1.0.2): is also that of 1.0.1, so whoever installs it is offered 1.0.2 again, without end
releases[2].builds[2].url (1.0.1): names 1.0.0`,
		},
		{
			"what a platform cannot install", `{"releases":[{"version":"1.0.2","builds":[{"platform":"darwin","arch":"x64","url":"http://x.test/a.dmg?a=.zip"},{"platform":"darwin","url":"https://x.test/a.ZIP?a=b"},{"platform":"win32","url":"http://x.test/a.exe"},BUILD]},
				{"version":"1.0.1","builds":[{"arch":"x64","url":"https://x.test/SealTalk-mac.zip"},{"arch":"arm64","url":"https://x.test/SealTalk.AppImage"},{"url":"https://x.test/win32/b"}]}]}`,
			`releases[0].builds[0].url (1.0.2): does not end in .zip, and macOS can install nothing else
releases[0].builds[0].url (1.0.2): is http, and macOS loads nothing but https unless the app allows it
releases[1].builds[0].platform (1.0.1): is missing, so clients of every platform are offered -mac.zip
releases[1].builds[1].platform (1.0.1): is missing, so clients of every platform are offered .appimage
releases[1].builds[2].platform (1.0.1): is missing, so clients of every platform are offered win32`,
		},
		{
			"min_os by CPU", `{"releases":[{"version":"1.0.2","builds":[{"platform":"darwin","arch":"x64",URL},{"platform":"darwin","arch":"arm64","min_os":"11",URL}]},{"version":"1.0.1","builds":[{"platform":"darwin","arch":"x64","min_os":"12",URL},{"platform":"darwin","arch":"arm64","min_os":"10.15",URL}]}]}`,
			"releases[0].builds (1.0.2): min_os for darwin x64 is missing; that of 1.0.1 is 12",
		},
		{
			"a fix for newer systems than the withdrawn release", `{"releases":[{"version":"1.0.1","builds":[{"platform":"darwin","min_os":"14",URL},{"platform":"win32","min_os":"10.0.22000",URL}]},{"version":"1.0.0","withdrawn":"bad","builds":[{"platform":"darwin","arch":"universal","min_os":"12",URL},{"platform":"win32","arch":"arm64","min_os":"10",URL}]}]}`,
			"releases[1].withdrawn (1.0.0): whoever runs 1.0.0 on macOS from 12 to before 14 is offered nothing newer\nreleases[1].withdrawn (1.0.0): whoever runs 1.0.0 on Windows from 10 to before 10.0.22000 is offered nothing newer",
		},
		{
			"builds that were mixed up", `{"releases":[{"version":"1.0.1","builds":[{"platform":"darwin","arch":"x64","url":"https://x.test/a-arm64.zip"},{"platform":"darwin","arch":"arm64","url":"https://x.test/b_x64.zip"},{"platform":"darwin","arch":"universal","url":"https://x.test/c-arm64.zip"},
				{"platform":"win32","arch":"x64","url":"https://x.test/d-mac.zip"},{"platform":"linux","url":"https://x.test/windows/e"},{"platform":"win32","max_os":"11","arch":"ia32","url":"https://x.test/f-universal.exe"}]}]}`,
			`releases[0].builds[0].url (1.0.1): names arm64 in a build for x64
releases[0].builds[1].url (1.0.1): names x64 in a build for arm64
releases[0].builds[3].url (1.0.1): names mac.zip in a build for win32
releases[0].builds[5].url (1.0.1): names arm64 in a build for ia32
releases[0].builds[5].url (1.0.1): names x64 in a build for ia32
releases[0].builds (1.0.1): no Windows has version 11: Windows 11 is 10.0.22000
releases[0].builds[4].url (1.0.1): names windows in a build for linux`,
		},
		{
			"the URL of a withdrawn release, a checksum, versions of betas, and versions of no release", `{"channels":["stable","beta"],"releases":[{"version":"1.0.2","name":"Fixes 1.0.1 at last","builds":[{"url":"https://x.test/a.zip","extra":{"sha256":"ab"}},{"arch":"x64","url":"https://x.test/2.0.9/b.zip","extra":{"sha256":5}}]},{"version":"1.0.1","withdrawn":"bad","builds":[{"url":"https://x.test/a.zip"}]},
				{"version":"1.0.0","builds":[{"url":"https://x.test/SealTalk_1.0.0-mac.zip","platform":"darwin","extra":{"sha256":"ab"}},{"url":"https://x.test/10.0.0/c","platform":"win32"}]},{"version":"1.0.3-beta.2","builds":[{"url":"https://x.test/v1.0.3-beta.1/d"}]},{"version":"1.0.3-beta.1","builds":[{"url":"https://x.test/1.0.3-beta.1/e"}]}]}`,
			`releases[3].builds[0].url (1.0.3-beta.2): names 1.0.3-beta.1
releases[0].builds[1].url (1.0.2): names 2.0.9
releases[0].builds[0].url (1.0.2): is also that of 1.0.1, so whoever installs it is offered 1.0.2 again, without end
releases[2].builds[0].extra.sha256 (1.0.0): is also that of another URL, https://x.test/a.zip
releases[2].builds[1].url (1.0.0): names 10.0.0`,
		},
		{
			"URLs that expire", // the clock of a bubble begins on 2000-01-01
			`{"releases":[{"version":"1.0.3","builds":[{"url":"https://x.test/a.zip?X-Amz-Date=20000101T000000Z&X-Amz-Expires=604799"},{"arch":"x64","url":"https://x.test/a.zip?X-Amz-Date=20000101T000000Z&X-Amz-Expires=604801"},{"arch":"arm64","url":"https://x.test/a.zip?X-Amz-Date=2000&X-Amz-Expires=1"}]},
				{"version":"1.0.2","builds":[{"url":"https://x.test/b.zip?Expires=946684799"},{"arch":"x64","url":"https://x.test/b.zip?Expires=never"},{"arch":"arm64","url":"https://x.test/b.zip?x-oss-date=19991231T000000Z&x-oss-expires=60"},{"arch":"ia32","url":"https://x.test/b.zip?expires=3600"},{"platform":"linux","url":"https://x.test/b.zip?se=2000-01-02T00:00:00Z&sig=x"},{"platform":"linux","arch":"x64","url":"https://x.test/b.zip?se=2000-01-02T00:00:00Z"}]}]}`,
			`releases[0].builds[0].url (1.0.3): expires on 2000-01-07
releases[1].builds[4].url (1.0.2): expires on 2000-01-02
releases[1].builds[2].url (1.0.2): has expired, on 1999-12-31
releases[1].builds[0].url (1.0.2): has expired, on 1999-12-31`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				file := []byte(tt.file)
				if !strings.Contains(tt.file, "https://") {
					file = distinct(tt.file)
				}
				c := openReleases(t, []byte(abbreviations.Replace(string(file))))
				want := ""
				if tt.warnings != "" {
					want = "releases.json: " + strings.ReplaceAll(tt.warnings, "\n", "\nreleases.json: ")
				}
				assert.Equal(t, want, strings.Join(c.Warnings(), "\n"))
			})
		})
	}
}

func TestFilesThatAreNotReadAreWarnedOf(t *testing.T) {
	const dmg = `{"version":"1.0.2","url":"http://x.test/a.dmg","pub_date":"2017-05-05T00:00:00Z"}`
	for _, tt := range []struct {
		name     string
		files    map[string]string
		warnings []string
	}{
		{"squirrel.json alone", map[string]string{"squirrel.json": `{"version":"1.0.2","url":"https://x.test/SealTalk-mac.zip"}`}, nil},
		{"a squirrel.json that Macs cannot install", map[string]string{"squirrel.json": dmg}, []string{
			"squirrel.json: url (1.0.2): does not end in .zip, and macOS can install nothing else",
			"squirrel.json: url (1.0.2): is http, and macOS loads nothing but https unless the app allows it",
		}},
		{
			"squirrel.json beside releases.json, and names that are nearly right",
			map[string]string{"releases.json": `{"releases":[{"version":"1.0.3",BUILDS}]}`, "squirrel.json": dmg, "release.json": "", "Releases.json.bak": "", "client-version.json": "", "demo.square.json": "", "README": ""},
			[]string{
				"squirrel.json: is not read, but a server that starts without releases.json serves it: delete it",
				"Releases.json.bak: is not read: is it meant to be releases.json?",
				"client-version.json: is not read: is it meant to be client_version.json?",
				"demo.square.json: is not read: is it meant to be demo_square.json?",
				"release.json: is not read: is it meant to be releases.json?",
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := fstest.MapFS{clientVersion: {Data: []byte(goodClients)}}
			for name, text := range tt.files {
				files[name] = &fstest.MapFile{Data: []byte(abbreviations.Replace(text))}
			}
			c, err := catalog.Open(files, catalog.Config{})
			require.NoError(t, err)
			assert.ElementsMatch(t, tt.warnings, c.Warnings())
		})
	}
}

func TestTheTableHasARowForEachRelease(t *testing.T) {
	full, err := os.ReadFile("testdata/releases.json")
	require.NoError(t, err)
	s, err := catalog.ParseReleases(full)
	require.NoError(t, err)
	assert.Equal(t, []catalog.Row{
		{Version: "2.1.0-beta.2", Channel: "beta", Share: "everyone", Builds: []string{"darwin arm64, 13 or later", "darwin x64, 13 or later"}},
		{Version: "2.0.1", Channel: "stable", Share: "40 %", Builds: []string{"darwin x64+arm64, 12 or later", "win32 x64, 10.0.17763 or later"}, From: "1.4.0"},
		{Version: "2.0.0", Channel: "stable", Share: "nobody", Builds: []string{"darwin x64+arm64, 12 or later"}, Withdrawn: "loses drafts"},
		{Version: "1.9.0", Channel: "stable", Share: "everyone", Builds: []string{"darwin x64+arm64, 10.13 or later"}, From: "1.4.0"},
		{Version: "1.4.0", Channel: "stable", Share: "everyone", Builds: []string{"darwin x64+arm64"}},
	}, s.Table())
}
