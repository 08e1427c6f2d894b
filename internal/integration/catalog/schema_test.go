package catalog_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc/catalog"
)

// The parser also refuses files that the schema allows; that is tested in catalog.
func TestTheSchemaMarksOnlyFilesThatTheParserRefuses(t *testing.T) {
	documented, err := os.ReadFile("../../../catalog/testdata/releases.json")
	require.NoError(t, err)
	schema, err := jsonschema.NewCompiler().Compile("../../../catalog/releases.schema.json") // also validates it
	require.NoError(t, err)
	require.Equal(t, 7, schema.DraftVersion, "the newest draft that all editors know")
	const ( // files with a placeholder for a value or for members
		whole     = `%s`
		inTop     = `{%s,"releases":[{"version":"1.0.2","builds":[{"url":"https://x.test/a.zip"}]}]}`
		inRelease = `{"channels":["stable","beta"],"releases":[{"version":"1.0.2","builds":[{"url":"https://x.test/a.zip"}],%s}]}`
		inBuild   = `{"releases":[{"version":"1.0.2","builds":[{"url":"https://x.test/a.zip",%s}]}]}`
		onMac     = `{"releases":[{"version":"1.0.2","builds":[{"url":"https://x.test/a.zip","platform":"darwin",%s}]}]}`
		ofVersion = `{"channels":["0","a","rc-1"],"releases":[{"version":%s,"builds":[{"url":"https://x.test/a.zip"}]}]}`
		ofBuilds  = `{"releases":[{"version":"1.0.2","builds":%s}]}`
		ofURL     = `{"releases":[{"version":"1.0.2","builds":[{"url":%s}]}]}`
	)
	for _, test := range []struct {
		name, file string
		right      []string // the parser and the schema accept
		wrong      []string // the parser and the schema refuse
	}{
		{
			name: "a file", file: whole,
			right: []string{string(documented), `{"releases":[{"version":"1.0.2","builds":[{"url":"https://x.test"}]}]}`, `{"releases":[]}`},
			wrong: []string{`{}`, `[]`, `null`, `"releases"`, `{"releases":null}`, `{"releases":{}}`, `{"releases":[null]}`, `{"releases":[[]]}`, `{"releases":[{}]}`, `{"Releases":[]}`},
		},
		{name: "an unknown key at the top", file: inTop, right: []string{`"$schema":"releases.schema.json"`}, wrong: []string{`"x":1`, `"x":null`, `"Channels":["stable"]`}},
		{name: "an unknown key of a release", file: inRelease, wrong: []string{`"rolout":5`, `"url":"https://x.test"`, `"mandatory":true`, `"platform":"darwin"`}},
		{name: "an unknown key of a build", file: inBuild, wrong: []string{`"os":"13"`, `"sha256":"00"`, `"version":"1.0.2"`, `"withdrawn":"x"`}},
		{
			name: "channels", file: inTop,
			right: []string{`"channels":null`, `"channels":["stable"]`, `"channels":["A","a","-","0"]`, `"channels":` + channelList(16)},
			wrong: []string{`"channels":[]`, `"channels":["a","a"]`, `"channels":"stable"`, `"channels":[1]`, `"channels":["a",null]`, `"channels":[""]`, `"channels":["a b"]`, `"channels":["a.b"]`, `"channels":["稳定"]`, `"channels":["a\n"]`, `"channels":` + channelList(17)},
		},
		{
			name: "minimum", file: inTop,
			right: []string{`"minimum":null`, `"minimum":"1.0.2"`, `"minimum":"v1.0.0-rc.1+5"`},
			wrong: []string{`"minimum":""`, `"minimum":"1.0"`, `"minimum":1`, `"minimum":["1.0.0"]`, `"minimum":"latest"`},
		},
		{
			name: "version", file: ofVersion,
			right: []string{`"1.0.2"`, `"v1.0.2"`, `"0.0.0"`, `"1.0.2-a.b"`, `"1.0.2-0.a"`, `"1.0.2-rc-1.01a.--"`, `"1.0.2+01.a-b"`, `"1.0.2-a+b"`, `"9007199254740991.0.0"`, `"1.0.2+` + strings.Repeat("x", 250) + `"`},
			wrong: []string{`null`, `102`, `""`, `"1"`, `"1.0"`, `"1.0.2.0"`, `"01.0.2"`, `"1.00.2"`, `"V1.0.2"`, `"vv1.0.2"`, `" 1.0.2"`, `"1.0.2\n"`, `"1.0.2-"`, `"1.0.2-a..b"`, `"1.0.2-a.01"`, `"1.0.2-a_b"`, `"1.0.2+"`, `"1.0.2+a+b"`, `"1.0.x"`, `"10000000000000000.0.0"`, `"1.0.2-ä"`, `"1.0.2+` + strings.Repeat("x", 251) + `"`},
		},
		{name: "name", file: inRelease, right: []string{`"name":null`, `"name":""`, `"name":"海豹"`}, wrong: []string{`"name":1`, `"name":["a"]`}},
		{name: "notes", file: inRelease, right: []string{`"notes":null`, `"notes":""`, `"notes":"a\nb"`}, wrong: []string{`"notes":false`, `"notes":{}`}},
		{
			name: "pub_date", file: inRelease,
			right: []string{`"pub_date":null`, `"pub_date":""`, `"pub_date":"2017-05-05"`, `"pub_date":"2017-05-05T06:07:08Z"`, `"pub_date":"2017-05-05T06:07:08+08:00"`, `"pub_date":"2017-12-31T23:59:59-00:30"`},
			wrong: []string{`"pub_date":20170505`, `"pub_date":"2017"`, `"pub_date":"2017-5-5"`, `"pub_date":"2017-13-01"`, `"pub_date":"2017-01-32"`, `"pub_date":"05/05/2017"`, `"pub_date":"2017-05-05T06:07:08"`, `"pub_date":"2017-05-05 06:07:08Z"`, `"pub_date":"2017-05-05T06:07:08.5Z"`, `"pub_date":"2017-05-05t06:07:08z"`, `"pub_date":"2017-05-05T06:07:08+0800"`, `"pub_date":" 2017-05-05"`},
		},
		{
			name: "channel", file: inRelease,
			right: []string{`"channel":null`, `"channel":"stable"`, `"channel":"beta"`},
			wrong: []string{`"channel":""`, `"channel":1`, `"channel":["beta"]`, `"channel":"a.b"`},
		},
		{
			name: "from", file: inRelease,
			right: []string{`"from":null`, `"from":"1.0.1"`, `"from":"v1.0.2-beta"`},
			wrong: []string{`"from":""`, `"from":"1.0"`, `"from":1`},
		},
		{
			name: "rollout", file: inRelease,
			right: []string{`"rollout":null`, `"rollout":0`, `"rollout":-0`, `"rollout":100`, `"rollout":1e2`, `"rollout":33.33`, `"rollout":0.07`, `"rollout":0.01`, `"rollout":99.99`, `"rollout":12.500`, `"rollout":0.29`, `"rollout":1e-2`},
			wrong: []string{`"rollout":-0.01`, `"rollout":100.01`, `"rollout":101`, `"rollout":"40"`, `"rollout":true`, `"rollout":[]`},
		},
		{name: "withdrawn", file: inRelease, right: []string{`"withdrawn":null`, `"withdrawn":"loses drafts"`, `"withdrawn":" "`}, wrong: []string{`"withdrawn":""`, `"withdrawn":true`, `"withdrawn":["x"]`}},
		{
			name: "builds", file: whole,
			right: []string{`{"releases":[{"version":"1.0.2","withdrawn":"x"}]}`, `{"releases":[{"version":"1.0.2","withdrawn":"x","builds":null}]}`, `{"releases":[{"version":"1.0.2","withdrawn":"x","builds":[]}]}`},
			wrong: []string{`{"releases":[{"version":"1.0.2"}]}`, `{"releases":[{"version":"1.0.2","withdrawn":null}]}`, `{"releases":[{"version":"1.0.2","withdrawn":""}]}`, `{"releases":[{"version":"1.0.2","withdrawn":"x","builds":{}}]}`, `{"releases":[{"version":"1.0.2","withdrawn":"x","builds":[{}]}]}`},
		},
		{
			name: "builds of a release that is not withdrawn", file: ofBuilds,
			right: []string{
				`[{"url":"https://x.test"},{"url":"https://x.test","platform":"linux"}]`,
				`[{"url":"https://x.test","platform":"win32","max_os":"9"},{"url":"https://x.test","platform":"win32","min_os":"10"}]`,
			},
			wrong: []string{`null`, `[]`, `{}`, `"x"`, `[null]`, `["https://x.test"]`, `[{}]`},
		},
		{name: "platform", file: inBuild, right: []string{`"platform":null`, `"platform":"darwin"`, `"platform":"win32"`, `"platform":"linux"`}, wrong: []string{`"platform":""`, `"platform":"macos"`, `"platform":"Darwin"`, `"platform":["darwin"]`, `"platform":1`}},
		{
			name: "arch", file: inBuild,
			right: []string{`"arch":null`, `"arch":"x64"`, `"arch":"arm64"`, `"arch":"ia32"`, `"arch":"universal"`, `"arch":["x64"]`, `"arch":["ia32","universal"]`, `"arch":["x64","x64"]`},
			wrong: []string{`"arch":""`, `"arch":"x86"`, `"arch":"X64"`, `"arch":[]`, `"arch":["x86"]`, `"arch":["x64",null]`, `"arch":[["x64"]]`, `"arch":64`, `"arch":{}`},
		},
		{
			name: "OS bounds", file: inBuild,
			right: []string{`"platform":"win32","min_os":"10.0.17763"`, `"platform":"win32","min_os":null,"max_os":null`, `"platform":"linux","max_os":"5.15.0.1"`, `"platform":"linux","min_os":"0"`, `"platform":"linux","min_os":"017.000001"`, `"platform":"linux","min_os":"22","max_os":"22"`, `"platform":"win32","max_os":"999999"`},
			wrong: []string{`"platform":"win32","min_os":""`, `"platform":"win32","min_os":10`, `"platform":"win32","min_os":"10."`, `"platform":"win32","max_os":".1"`, `"platform":"win32","max_os":"1.2.3.4.5"`, `"platform":"win32","max_os":"1..2"`, `"platform":"win32","min_os":"1000000"`, `"platform":"win32","min_os":"-1"`, `"platform":"win32","min_os":"+1"`, `"platform":"win32","min_os":"10.0-rc"`, `"platform":"win32","min_os":"XP"`, `"platform":"win32","min_os":["10"]`},
		},
		{name: "OS bounds without a platform", file: inBuild, right: []string{`"min_os":null`, `"platform":null,"min_os":null,"max_os":null`}, wrong: []string{`"min_os":"13"`, `"max_os":"13"`, `"platform":null,"min_os":"13"`, `"platform":null,"max_os":"13"`}},
		{
			name: "OS bounds on darwin", file: onMac,
			right: []string{`"min_os":"10.13"`, `"min_os":"10.16"`, `"min_os":"15.9","max_os":"26"`, `"max_os":"15.25"`, `"max_os":"100"`, `"min_os":null`},
			wrong: []string{`"min_os":"16"`, `"min_os":"22.6.0"`, `"max_os":"25"`, `"max_os":"20.1"`, `"min_os":"016"`, `"min_os":"12","max_os":"19"`},
		},
		{
			name: "url", file: ofURL,
			right: []string{`"http://x.test"`, `"HTTPS://X.test"`, `"https://x.test:8443/a%20b.zip?x=1&y=%E6%B5%B7#c"`, `"https://u:p@[::1]/a"`, `"https://127.0.0.1/[a](b);c,d'e!~$*+=@"`, `"https:\/\/x.test\/a"`},
			wrong: []string{`null`, `1`, `["https://x.test"]`, `""`, `"a.zip"`, `"/a.zip"`, `"//x.test/a"`, `"ftp://x.test/a"`, `"file:///a.zip"`, `"https:x.test"`, `"https://"`, `"https:///a"`, `"https://?a"`, `"https://x.test/a b"`, `"https://x.test/ä"`, `"https://x.test/%"`, `"https://x.test/%zz"`, `"https://x.test/a\n"`, `" https://x.test"`, `"https://x.test/a|b"`, `"https://x.test/{a}"`, `"https://x.test/\"a\""`, `"https://x.test/<a>"`, `"https://x.test/a\\b^c` + "`" + `d"`, `"https://x.test/\u007f"`},
		},
		{
			name: "extra", file: inBuild,
			right: []string{`"extra":null`, `"extra":{}`, `"extra":{"sha256":"00","size":5,"delta":{"version":"1","x":[null]},"Version":"1","platform":1,"":0}`, `"extra":{"sha256":null,"size":"5 MB"}`},
			wrong: []string{`"extra":[]`, `"extra":"x"`, `"extra":{"url":null}`, `"extra":{"name":1}`, `"extra":{"notes":""}`, `"extra":{"mandatory":true}`, `"extra":{"mandatory":null}`, `"extra":{"x":1,"url":"a"}`, `"extra":{"version":"1"}`, `"extra":{"pub_date":""}`},
		},
	} {
		try := func(values []string, valid bool) {
			for _, value := range values {
				t.Run(fmt.Sprintf("%s %.40s", test.name, value), func(t *testing.T) {
					file := fmt.Sprintf(test.file, value)
					document, err := jsonschema.UnmarshalJSON(strings.NewReader(file))
					require.NoError(t, err)
					_, err = catalog.ParseReleases([]byte(file))
					assert.Equal(t, valid, err == nil, "the parser, on %s: %v", file, err)
					err = schema.Validate(document)
					assert.Equal(t, valid, err == nil, "the schema, on %s: %v", file, err)
				})
			}
		}
		try(test.right, true)
		try(test.wrong, false)
	}
}

// channelList returns a JSON list of n channels.
func channelList(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf(`"c%d"`, i)
	}
	return "[" + strings.Join(names, ",") + "]"
}
