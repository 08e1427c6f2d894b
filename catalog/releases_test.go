package catalog_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc/catalog"
)

// Abbreviations in the files below: a list with one build, one build, and the
// rest of a build.
var abbreviations = strings.NewReplacer(
	"BUILDS", `"builds":[{"url":"https://x.test/a.zip"}]`,
	"BUILD", `{"url":"https://x.test/a.zip"}`,
	"URL", `"url":"https://x.test/a.zip"`)

// releasesFiles are contents of releases.json with their problems, or none if they
// are valid.
var releasesFiles = []struct{ name, file, problems string }{
	{"empty list", `{"releases":[]}`, ""},
	{"smallest", `{"releases":[{"version":"1.0.2",BUILDS}]}`, ""},
	{"null is missing", `{"channels":null,"minimum":null,"releases":[{"version":"1.0.2","name":null,"notes":null,"pub_date":null,"channel":null,"from":null,"rollout":null,"withdrawn":null,
		"builds":[{"platform":null,"arch":null,"min_os":null,"max_os":null,"extra":null,URL}]}]}`, ""},
	{"empty texts", `{"releases":[{"version":"1.0.2","name":"","notes":"","pub_date":"",BUILDS}]}`, ""},
	{"no releases", `{}`, "releases: required, but may be empty"},
	{"null for releases", `{"releases":null}`, "releases: required, but may be empty"},
	{"releases in an object", `{"releases":{}}`, "releases: must be a list"},
	{"a list", `[]`, "must be a JSON object"},
	{"the static feed of Squirrel.Mac", `{"currentRelease":"1.0.2","releases":[{"version":"1.0.2","updateTo":{"version":"1.0.2","url":"https://x.test/a.zip"}}]}`,
		"is the static feed of Squirrel.Mac, which has the same name: keep that feed elsewhere, and write the file of docs/releases.md"},
	{"not JSON", "{\r\n\n\"releases\":[}", "is not valid JSON: invalid character '}' looking for beginning of value (at byte 17, line 3)"},
	{"not UTF-8", "{\"releases\":[],\n\"\xff\":1}", "is not valid UTF-8 in line 2"},
	{"a release, a build and extra that are no objects", `{"releases":[1,{"version":"1.0.2","builds":[null,{"extra":[],URL}]}]}`,
		"releases[0]: must be a JSON object\nreleases[1].builds[0]: must be a JSON object\nreleases[1].builds[1].extra: must be a JSON object"},
	{"unknown keys", `{"release":[],"releases":[{"version":"1.0.2","rolout":5,"Notes":"","builds":[{URL,"min-os":"12","":1}]}]}`,
		`releases[0].builds[0].: unknown key; known are platform, arch, min_os, max_os, url, extra
releases[0].builds[0].min-os: unknown key; known are platform, arch, min_os, max_os, url, extra
releases[0].Notes: unknown key; known are version, name, notes, pub_date, from, rollout, channel, withdrawn, builds
releases[0].rolout: unknown key; known are version, name, notes, pub_date, from, rollout, channel, withdrawn, builds
release: unknown key; known are channels, minimum, releases`},
	{"keys that appear twice", `{"releases":[{"version":"1.0.2","builds":[{URL,"extra":{"a":{"b":1,"\u0062":2},"c":[{"d":1e999,"d":1}]}}],"version":"1.0.2"}],"releases":[{"version":"1.0.3",BUILDS}]}`,
		"releases[0].builds[0].extra.a.b: appears twice\nreleases[0].builds[0].extra.c[0].d: appears twice\nreleases[0].version: appears twice\nreleases: appears twice"},

	{"channels", `{"channels":["stable","Beta-2"],"releases":[{"version":"1.0.2","channel":"Beta-2",BUILDS}]}`, ""},
	{"16 channels", `{"channels":["a","b","c","d","e","f","g","h","i","j","k","l","m","n","o","p"],"releases":[]}`, ""},
	{"17 channels", `{"channels":["a","b","c","d","e","f","g","h","i","j","k","l","m","n","o","p","q"],"releases":[]}`, "channels: must be a list of 1 to 16 strings"},
	{"no channels", `{"channels":[],"releases":[{"version":"1.0.2",BUILDS}]}`, "channels: must be a list of 1 to 16 strings"},
	{"a channel alone", `{"channels":"stable","releases":[]}`, "channels: must be a list of 1 to 16 strings"},
	{"a channel of 65 characters", `{"channels":["` + strings.Repeat("a", 64) + `","` + strings.Repeat("b", 65) + `"],"releases":[]}`, `channels[1]: "` + strings.Repeat("b", 65) + `" must consist of 1 to 64 letters, digits and hyphens`},
	{"the schema for editors", `{"$schema":"./releases.schema.json","releases":[{"version":"1.0.2",BUILDS}]}`, ""},
	{"$schema in a release, and twice", `{"$schema":"","$schema":"","releases":[{"$schema":"","version":"1.0.2",BUILDS}]}`, "releases[0].$schema: unknown key; known are version, name, notes, pub_date, from, rollout, channel, withdrawn, builds\n$schema: appears twice"},
	{"UTF-16 without a byte order mark", "{\x00\"\x00", "is UTF-16: save it as UTF-8"},
	{"channels that are none", `{"channels":["a","b c","","ä","a"],"releases":[]}`, `channels[1]: "b c" must consist of 1 to 64 letters, digits and hyphens
channels[2]: "" must consist of 1 to 64 letters, digits and hyphens
channels[3]: "ä" must consist of 1 to 64 letters, digits and hyphens
channels[4]: "a" appears twice`},
	{"the channel of a prerelease", `{"channels":["stable","rc"],"releases":[{"version":"1.0.2-rc.1",BUILDS},{"version":"1.0.2-beta.1","channel":"rc",BUILDS}]}`, ""},
	{"no channel for a prerelease", `{"releases":[{"version":"1.0.2-rc.1",BUILDS}]}`, `releases[0].channel: required, or "rc" in channels: the version is 1.0.2-rc.1`},
	{"unknown channel", `{"releases":[{"version":"1.0.2","channel":"Stable",BUILDS},{"version":"1.0.3","channel":"",BUILDS}]}`,
		"releases[0].channel: \"Stable\" is not one of channels: stable\nreleases[1].channel: \"\" is not one of channels: stable"},

	{"minimum as new as the newest", `{"minimum":"v1.0.2+5","releases":[{"version":"1.0.2",BUILDS}]}`, ""},
	{"minimum that is no version", `{"minimum":"1.0","releases":[]}`, `minimum: "1.0" is not a semantic version such as 1.0.2`},
	{"minimum that nobody can reach", `{"minimum":"1.0.0","channels":["stable","beta"],"releases":[{"version":"1.0.0-rc.1","channel":"stable",BUILDS},
		{"version":"1.0.1","rollout":99.99,BUILDS},{"version":"1.0.2","withdrawn":"bad",BUILDS},{"version":"1.0.3","channel":"beta",BUILDS}]}`,
		""},

	{"versions", `{"releases":[{BUILDS},{"version":"1.0","channel":"stable",BUILDS},{"version":1,BUILDS}]}`, `releases[0].version: required
releases[1].version: "1.0" is not a semantic version such as 1.0.2
releases[2].version: must be a string`},
	{"versions that are equal", `{"releases":[{"version":"v1.0.2+1",BUILDS},{"version":"1.0.2",BUILDS}]}`, "releases[1].version: 1.0.2 is also at releases[0].version"},
	{"texts", `{"releases":[{"version":"1.0.2","name":1,"notes":[],"pub_date":"2026-11-24T08:00:00.5Z",BUILDS}]}`, `releases[0].name: must be a string
releases[0].notes: must be a string
releases[0].pub_date: "2026-11-24T08:00:00.5Z" is neither 2006-01-02 nor 2006-01-02T15:04:05Z, without fractions of a second`},
	{"from", `{"releases":[{"version":"1.0.2","from":"1.0.2-0",BUILDS}]}`, ""},
	{"from that is not below", `{"releases":[{"version":"1.0.2-0","channel":"stable","from":"1.0.2-0+1",BUILDS},{"version":"1.0.1","from":"",BUILDS}]}`,
		"releases[0].from: 1.0.2-0 must be below the release's version, 1.0.2-0\nreleases[1].from: \"\" is not a semantic version such as 1.0.2"},
	{"rollouts", `{"releases":[{"version":"1.0.1","rollout":0,BUILDS},{"version":"1.0.2","rollout":0.01,BUILDS},{"version":"1.0.3","rollout":33.33,BUILDS},{"version":"1.0.4","rollout":1e2,BUILDS}]}`, ""},
	{"rollouts that are none", `{"releases":[{"version":"1.0.1","rollout":-0.01,BUILDS},{"version":"1.0.2","rollout":100.01,BUILDS},{"version":"1.0.3","rollout":33.333,BUILDS},
		{"version":"1.0.4","rollout":"5",BUILDS},{"version":"1.0.5","rollout":1e999,BUILDS},{"version":"1.0.6","rollout":1e-400,BUILDS},{"version":"1.0.7","rollout":100.000000000000000001,BUILDS}]}`, strings.Join([]string{
		"releases[0].rollout: must be a number from 0 to 100 with at most two decimals", "releases[1].rollout: must be a number from 0 to 100 with at most two decimals",
		"releases[2].rollout: must be a number from 0 to 100 with at most two decimals", "releases[3].rollout: must be a number from 0 to 100 with at most two decimals",
		"releases[4].rollout: must be a number from 0 to 100 with at most two decimals", "releases[5].rollout: must be a number from 0 to 100 with at most two decimals",
		"releases[6].rollout: must be a number from 0 to 100 with at most two decimals"}, "\n")},
	{"withdrawn", `{"releases":[{"version":"1.0.2","withdrawn":"bad"},{"version":"1.0.1","withdrawn":"bad","builds":[]},{"version":"1.0.0","withdrawn":"bad",BUILDS}]}`, ""},
	{"withdrawn for no reason", `{"releases":[{"version":"1.0.2","withdrawn":"",BUILDS},{"version":"1.0.1","withdrawn":true,BUILDS}]}`,
		"releases[0].withdrawn: must say why\nreleases[1].withdrawn: must be a string"},
	{"no builds", `{"releases":[{"version":"1.0.2"},{"version":"1.0.1","builds":[]},{"version":"1.0.0","builds":{}}]}`, `releases[0].builds: at least one is required, except for a withdrawn release
releases[1].builds: at least one is required, except for a withdrawn release
releases[2].builds: must be a list`},

	{"platforms", `{"releases":[{"version":"1.0.2","builds":[{"platform":"darwin",URL},{"platform":"win32",URL},{"platform":"linux",URL},BUILD]}]}`, ""},
	{"unknown platform", `{"releases":[{"version":"1.0.2","builds":[{"platform":"macos",URL},{"platform":"",URL}]}]}`,
		"releases[0].builds[0].platform: \"macos\" is not darwin, win32 or linux\nreleases[0].builds[1].platform: \"\" is not darwin, win32 or linux"},
	{"CPUs", `{"releases":[{"version":"1.0.2","builds":[{"arch":"x64",URL},{"arch":["arm64"],URL},{"arch":["ia32","x64"],URL},{"arch":["ia32","universal"],URL},BUILD]}]}`, ""},
	{"unknown CPUs", `{"releases":[{"version":"1.0.2","builds":[{"arch":"x86",URL},{"arch":[],URL},{"arch":["x64",1],URL},{"arch":["X64"],URL},{"arch":1,URL}]}]}`, `releases[0].builds[0].arch: "x86" is not x64, arm64, ia32 or universal
releases[0].builds[1].arch: must be a string or a list of strings
releases[0].builds[2].arch: must be a string or a list of strings
releases[0].builds[3].arch: "X64" is not x64, arm64, ia32 or universal
releases[0].builds[4].arch: must be a string or a list of strings`},
	{"OS versions", `{"releases":[{"version":"1.0.2","builds":[{"platform":"darwin","min_os":"10.13","max_os":"10.13",URL},{"platform":"darwin","min_os":"26",URL},{"platform":"win32","min_os":"16.0.999999.0",URL},{"platform":"linux","max_os":"0",URL}]}]}`, ""},
	{"OS versions that are none", `{"releases":[{"version":"1.0.2","builds":[{"platform":"linux","min_os":"",URL},{"platform":"linux","min_os":"1.2.3.4.5",URL},{"platform":"linux","min_os":"1.",URL},{"platform":"linux","max_os":"1000000",URL},
		{"platform":"linux","max_os":"+5",URL},{"platform":"linux","max_os":12,URL},{"min_os":"12",URL}]}]}`, `releases[0].builds[0].min_os: "" is not one to four numbers with dots, such as 10.0.17763
releases[0].builds[1].min_os: "1.2.3.4.5" is not one to four numbers with dots, such as 10.0.17763
releases[0].builds[2].min_os: "1." is not one to four numbers with dots, such as 10.0.17763
releases[0].builds[3].max_os: "1000000" is not one to four numbers with dots, such as 10.0.17763
releases[0].builds[4].max_os: "+5" is not one to four numbers with dots, such as 10.0.17763
releases[0].builds[5].max_os: must be a string
releases[0].builds[6].min_os: needs a platform beside it`},
	{"kernels of macOS", `{"releases":[{"version":"1.0.2","builds":[{"platform":"darwin","min_os":"16",URL},{"platform":"darwin","max_os":"25.6",URL},{"platform":"darwin","min_os":"15","max_os":"26",URL}]}]}`,
		"releases[0].builds[0].min_os: 16 is a kernel's version: there is no macOS 16 to 25\nreleases[0].builds[1].max_os: 25.6 is a kernel's version: there is no macOS 16 to 25"},
	{"no OS is left", `{"releases":[{"version":"1.0.2","builds":[{"platform":"darwin","min_os":"13.0.1","max_os":"13.0.0",URL}]}]}`, "releases[0].builds[0].max_os: is below min_os"},
	{"one version with four numbers is left", `{"releases":[{"version":"1.0.2","builds":[{"platform":"linux","min_os":"1.2.3.4","max_os":"1.2.3.4",URL}]}]}`, ""},
	{"one OS is left", `{"releases":[{"version":"1.0.2","builds":[{"platform":"darwin","min_os":"13.6","max_os":"13",URL}]}]}`, ""},
	{"URLs", `{"releases":[{"version":"1.0.2","builds":[{"arch":"x64"},{"arch":"arm64","url":"a.zip"},{"arch":"ia32","url":5}]}]}`, `releases[0].builds[0].url: "" is not an absolute, percent-encoded https or http URL
releases[0].builds[1].url: "a.zip" is not an absolute, percent-encoded https or http URL
releases[0].builds[2].url: must be a string`},
	{"extra with keys of our own", `{"minimum":"1.0.2","releases":[{"version":"1.0.2","builds":[{URL,"extra":{"pub_date":"","version":"1.0.2","url":1,"name":null,"notes":[],"mandatory":false,"size":1}}]}]}`, `releases[0].builds[0].extra.version: has a place of its own and must not be in extra
releases[0].builds[0].extra.url: has a place of its own and must not be in extra
releases[0].builds[0].extra.name: has a place of its own and must not be in extra
releases[0].builds[0].extra.notes: has a place of its own and must not be in extra
releases[0].builds[0].extra.pub_date: has a place of its own and must not be in extra
releases[0].builds[0].extra.mandatory: has a place of its own and must not be in extra`},

	{"builds that differ in each way", `{"releases":[{"version":"1.0.2","builds":[BUILD,{"arch":"x64",URL},{"arch":"arm64",URL},{"arch":"universal",URL},{"arch":["x64","arm64","ia32"],URL},{"platform":"darwin","arch":"x64",URL},
		{"platform":"win32","max_os":"6.3",URL},{"platform":"win32","min_os":"6.4","max_os":"9",URL},{"platform":"win32","min_os":"10",URL}]}]}`, ""},
	{"builds for the same clients", `{"releases":[{"version":"1.0.2","pub_date":"x","builds":[{"url":""},BUILD,BUILD]},{"version":"1.0.1","builds":[{"arch":"universal",URL},{"platform":"darwin","arch":"universal",URL},{"arch":["ia32","x64"],URL}]},
		{"version":"1.0.0","builds":[{"platform":"darwin","max_os":"13",URL},{"platform":"darwin","min_os":"13.6.9.9",URL}]},
		{"version":"0.9.0","builds":[{"platform":"linux","min_os":"1.2.3.4",URL},{"platform":"linux","max_os":"1.2.3.4",URL}]}]}`,
		`releases[0].pub_date: "x" is neither 2006-01-02 nor 2006-01-02T15:04:05Z, without fractions of a second
releases[0].builds[0].url: "" is not an absolute, percent-encoded https or http URL
releases[0].builds[2]: a client that it fits may fit builds[1] just as well: their platforms, CPUs or OS versions must differ
releases[1].builds[2]: a client that it fits may fit builds[0] just as well: their platforms, CPUs or OS versions must differ
releases[2].builds[1]: a client that it fits may fit builds[0] just as well: their platforms, CPUs or OS versions must differ
releases[3].builds[1]: a client that it fits may fit builds[0] just as well: their platforms, CPUs or OS versions must differ`},
}

func TestAReleasesFileIsAcceptedOrEveryProblemIsNamedWithItsPath(t *testing.T) {
	for _, tt := range releasesFiles {
		t.Run(tt.name, func(t *testing.T) {
			s, err := catalog.ParseReleases([]byte(abbreviations.Replace(tt.file)))
			if tt.problems != "" {
				require.Error(t, err)
				assert.Equal(t, "catalog: "+strings.ReplaceAll(tt.problems, "\n", "\ncatalog: "), withoutLines(err))
				assert.Nil(t, s)
				return
			}
			require.NoError(t, err)
		})
	}
}

// withoutLines returns an error without the versions and lines in it, of which
// TestAProblemNamesItsReleaseAndLine has the proof.
func withoutLines(err error) string {
	return regexp.MustCompile(` \((\S+, )?line \d+\)(:|$)`).ReplaceAllString(err.Error(), "$2")
}

func TestAProblemNamesItsReleaseAndLine(t *testing.T) {
	for _, tt := range []struct{ name, file, problems string }{
		{
			"a value, an object where it is missing, a list that begins on another line", "\uFEFF\n{\"channels\":\n [\"a b\"],\r\n\"releases\":[\n{\"version\":\"v2.0.1+7\",\n\"builds\":[\n{\"platform\":\"darwin\",\n\"min_os\": \n\"1.\"}]},\n{\"notes\":\"\"\n,\"builds\":\n[],\"x\":\n{}}]}",
			`channels[0] (line 3): "a b" must consist of 1 to 64 letters, digits and hyphens
releases[0].builds[0].min_os (2.0.1, line 9): "1." is not one to four numbers with dots, such as 10.0.17763
releases[0].builds[0].url (2.0.1, line 7): "" is not an absolute, percent-encoded https or http URL
releases[1].version (line 10): required
releases[1].builds (line 12): at least one is required, except for a withdrawn release
releases[1].x (line 13): unknown key; known are version, name, notes, pub_date, from, rollout, channel, withdrawn, builds`,
		},
		{
			"versions that are equal, builds for the same clients, a key that appears twice", "{\"releases\":[{\"version\":\"1.0.2\",\"builds\":[\nBUILD,\nBUILD]},\n{\n\"version\":\"1.0.2\",\n\"version\":\"1.0.2\",BUILDS}]}",
			`releases[0].builds[1] (1.0.2, line 3): a client that it fits may fit builds[0] just as well: their platforms, CPUs or OS versions must differ
releases[1].version (1.0.2, line 6): 1.0.2 is also at releases[0].version
releases[1].version (1.0.2, line 6): appears twice`,
		},
		{
			"what would control a terminal, or begin a line", `{"releases":[],"\u001b[31m\nred\u202e":1,"minimum":"\n"}`,
			"minimum (line 1): \"\\n\" is not a semantic version such as 1.0.2\n" + `\x1b[31m\nred\u202e (line 1): unknown key; known are channels, minimum, releases`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := catalog.ParseReleases([]byte(abbreviations.Replace(tt.file)))
			require.EqualError(t, err, "catalog: "+strings.ReplaceAll(tt.problems, "\n", "\ncatalog: "))
		})
	}
}

func TestTheErrorOfABadFileIsShort(t *testing.T) {
	long := strings.Repeat("x", 1<<18)
	for _, file := range []string{
		`{"releases":[` + strings.Repeat(`1,`, 100_000) + `1]}`,
		`{"releases":[{"version":"` + long + `","pub_date":"` + long + `","channel":"` + long + `",BUILDS}]}`,
		`{"` + long + `":1,"releases":[]}`,
		`{"channels":["` + strings.Repeat(long[:1<<14]+`","`, 14) + `a"],"releases":[` + strings.Repeat(`{"version":"1.0.0","channel":"b",BUILDS},`, 99) + `1]}`,
		`{"releases":[{"version":"1.0.0","notes":"` + long + `","builds":[` + strings.Repeat(`{"url":"https://x.test/a.zip","platform":"linux"},`, 99) + `BUILD]}]}`,
	} {
		_, err := catalog.ParseReleases([]byte(abbreviations.Replace(file)))
		require.Error(t, err)
		assert.Less(t, len(err.Error()), 64<<10)
	}
	_, err := catalog.ParseSquare([]byte(`[`+strings.Repeat(`1,`, 20)+`1]`), nil)
	assert.ErrorContains(t, err, "catalog: [19] (line 1): must be a JSON object\ncatalog: and 1 more")
}
