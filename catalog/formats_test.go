package catalog_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc/catalog"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/n3d"
)

const (
	documentedRelease = `{"version":"1.0.2","url":"http://downloads.rongcloud.cn/sealtalk/releases/mac/SealTalk_by_RongCloud_1.0.2.dmg","name":"SealTalk 1.0.2","notes":"bug fix","pub_date":"2017-05-05"}`
	documentedClients = `{"iOS":{"version":"1.0.5","build":"201607181821","url":"https://dn-rongcloud.qbox.me/app.plist"},"Android":{"version":"1.0.5","url":"http://downloads.rongcloud.cn/SealTalk_by_RongCloud_Android_v1_0_5.apk"}}`
)

// parse parses a file in a format.
func parse(format string, file []byte) (json.Marshaler, error) {
	switch format {
	case "release":
		return catalog.ParseRelease(file)
	case "clients":
		return catalog.ParseClientVersions(file)
	case "square without a codec":
		return catalog.ParseSquare(file, nil)
	}
	codec, err := n3d.New(misctest.Key)
	if err != nil {
		return nil, err
	}
	return catalog.ParseSquare(file, codec)
}

func TestAFileGoesOutAsItIsOrItsProblemsAreNamed(t *testing.T) {
	for _, test := range []struct{ format, name, file, want, problems string }{
		{format: "release", name: "as documented", file: documentedRelease, want: documentedRelease},
		{
			format: "release", name: "order of keys, unknown keys, empty values, no HTML escaping",
			file: `{"size": 1e3, "url":"https://x.test/a?b=1&c=%20", "delta":{"a":[1, 2.50]}, "sha256":null, "notes":"", "name":null, "version":"v1.0.2-rc.1+7", "pub_date":"2017-05-05T10:00:00+08:00", "a":"<&>"}`,
			want: `{"version":"v1.0.2-rc.1+7","url":"https://x.test/a?b=1&c=%20","pub_date":"2017-05-05T10:00:00+08:00","a":"<&>","delta":{"a":[1,2.50]},"sha256":null,"size":1e3}`,
		},
		{format: "release", name: "keys are exact", file: `{"Version":"9.9.9","version":"1.0.0","url":"https://x.test"}`, want: `{"version":"1.0.0","url":"https://x.test","Version":"9.9.9"}`},
		{format: "release", name: "nothing", file: "", problems: "is not valid JSON: unexpected end of JSON input (at byte 0, line 1)"},
		{format: "release", name: "half", file: documentedRelease[:60], problems: "is not valid JSON: unexpected end of JSON input (at byte 60, line 1)"},
		{format: "release", name: "no object", file: `["1.0.2"]`, problems: "must be a JSON object"},
		{format: "release", name: "null", file: `null`, problems: "must be a JSON object"},
		{format: "release", name: "another encoding", file: "{\"version\":\"1.0.2\",\"url\":\"https://x.test\",\"x\":\"\xff\"}", problems: "is not valid UTF-8 in line 1"},
		{
			format: "release", name: "every problem at once, one for each key", file: `{"version":102,"url":"SealTalk.zip","name":["x"],"pub_date":"2017-05-05T10:00:00.5Z"}`,
			problems: `version: must be a string
url: "SealTalk.zip" is not an absolute, percent-encoded https or http URL
name: must be a string
pub_date: "2017-05-05T10:00:00.5Z" is neither 2006-01-02 nor 2006-01-02T15:04:05Z, without fractions of a second`,
		},
		{
			format: "release", name: "nothing of what is required", file: `{}`,
			problems: `version: required
url: "" is not an absolute, percent-encoded https or http URL`,
		},
		{format: "clients", name: "as documented", file: documentedClients, want: documentedClients},
		{
			format: "clients", name: "iOS comes first, unknown keys and platforms survive",
			file: `{"HarmonyOS":{"version":"1"},"Android":{"size":5,"url":"market://details?id=x","version":"1.0.5","build":null},"iOS":{"url":"itms-services://?action=x","force":true,"build":"201607181821","version":"1"}}`,
			want: `{"iOS":{"version":"1","build":"201607181821","url":"itms-services://?action=x","force":true},"Android":{"version":"1.0.5","url":"market://details?id=x","size":5},"HarmonyOS":{"version":"1"}}`,
		},
		{format: "clients", name: "no object", file: `1`, problems: "must be a JSON object"},
		{format: "clients", name: "half", file: `{"iOS":`, problems: "is not valid JSON: unexpected end of JSON input (at byte 7, line 1)"},
		{
			format: "clients", name: "Android is missing, which crashes its clients", file: `{"iOS":{"version":"1.0.5","build":"201607181821","url":"https://x.test"}}`,
			problems: "Android: required: clients cannot do without it",
		},
		{
			format: "clients", name: "every problem at once, one for each key", file: `{"iOS":{"version":5,"build":"2016-07-18","url":"app.plist"},"Android":"1.0.5"}`,
			problems: `iOS.version: must be a string
iOS.build: "2016-07-18" is not a time in the form yyyyMMddHHmm
iOS.url: "app.plist" is not an absolute, percent-encoded URL
Android: must be a JSON object`,
		},
		{
			format: "clients", name: "nothing of what is required", file: `{"iOS":{},"Android":{}}`,
			problems: `iOS.version: required
iOS.build: required
iOS.url: "" is not an absolute, percent-encoded URL
Android.version: required
Android.url: "" is not an absolute, percent-encoded URL`,
		},
		{
			format: "clients", name: "a build that Android has is checked too", file: `{"iOS":{"version":"1","build":"201607181821","url":"https://x.test"},"Android":{"version":"1","build":"201613181821","url":"https://x.test/ä"}}`,
			problems: `Android.build: "201613181821" is not a time in the form yyyyMMddHHmm
Android.url: "https://x.test/ä" is not an absolute, percent-encoded URL`,
		},
		{
			format: "square", name: "numbers are encoded, strings are public ids, keys in order, unknown ones behind",
			file: `[{"type":"group","id":10},{"x":{"b":1, "a":2},"name":"聊天室 I","maxMemberCount":9,"memberCount":null,"portraitUri":"https://x.test/?a&b","type":"chatroom","id":1},{"id":"kFpN4KiZn","type":"group","name":""}]`,
			want: `[{"id":"2iwWTQPgC","type":"group"},{"id":"kFpN4KiZn","type":"chatroom","name":"聊天室 I","portraitUri":"https://x.test/?a&b","maxMemberCount":9,"x":{"b":1,"a":2}},{"id":"kFpN4KiZn","type":"group"}]`,
		},
		{format: "square", name: "a string of digits is the number, with a codec", file: `[{"id":"1","type":"group"},{"id":"0010","type":"group"},{"id":"1x","type":"group"}]`, want: `[{"id":"kFpN4KiZn","type":"group"},{"id":"2iwWTQPgC","type":"group"},{"id":"1x","type":"group"}]`},
		{format: "square without a codec", name: "a string of digits is a public id", file: `[{"id":"1","type":"group"}]`, want: `[{"id":"1","type":"group"}]`},
		{format: "square", name: "digits that are no id", file: `[{"id":"0","type":"group"},{"id":"4294967296","type":"group"},{"id":"` + strings.Repeat("x", 257) + `","type":"group"}]`,
			problems: "[0].id: must be a public id or a number from 1 to 4294967295\n[1].id: must be a public id or a number from 1 to 4294967295\n[2].id: has 257 bytes, more than 256"},
		{format: "square", name: "empty", file: `[]`, want: `[]`},
		{format: "square without a codec", name: "public ids need no codec", file: `[{"id":"room","type":"chatroom","name":"a"}]`, want: `[{"id":"room","type":"chatroom","name":"a"}]`},
		{format: "square without a codec", name: "a number", file: `[{"id":1,"type":"group"}]`, problems: "[0].id: is a number, which needs a codec (Config.Codec)"},
		{format: "square", name: "an object", file: `{"type":"group","id":10}`, problems: "must be a JSON list"},
		{format: "square", name: "null", file: `null`, problems: "must be a JSON list"},
		{format: "square", name: "half", file: `[{"id"`, problems: "is not valid JSON: unexpected end of JSON input (at byte 6, line 1)"},
		{
			format: "square", name: "every problem at once, one for each key",
			file: `[{"id":0,"type":"group"},{"id":4294967296,"type":"room"},{"id":1.5,"type":"chatroom","memberCount":"9","maxMemberCount":-1},7,{"type":"chatroom","id":true,"name":["a"]},{"id":"","type":null}]`,
			problems: `[0].id: must be a public id or a number from 1 to 4294967295
[1].id: must be a public id or a number from 1 to 4294967295
[1].type: "room" is neither chatroom nor group
[2].id: must be a public id or a number from 1 to 4294967295
[2].name: required for a chat room: SealTalk's iOS client crashes without one
[2].memberCount: must be a whole number that is not negative
[2].maxMemberCount: must be a whole number that is not negative
[3]: must be a JSON object
[4].id: must be a public id or a number from 1 to 4294967295
[4].name: must be a string
[5].id: required
[5].type: "" is neither chatroom nor group`,
		},
	} {
		t.Run(test.format+", "+test.name, func(t *testing.T) {
			v, err := parse(test.format, []byte(test.file))
			if test.problems != "" {
				require.Error(t, err)
				assert.Equal(t, "catalog: "+strings.ReplaceAll(test.problems, "\n", "\ncatalog: "), withoutLines(err))
				return
			}
			require.NoError(t, err)
			got, err := v.MarshalJSON()
			require.NoError(t, err)
			assert.Equal(t, test.want, string(got))
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(documentedRelease))
	f.Add([]byte(documentedClients))
	f.Add([]byte(`[{"type":"group","id":10},{"type":"chatroom","id":"x","name":"聊天室 I","memberCount":3}]`))
	f.Add([]byte(`{"version":"1.0.0","url":"https://x.test","x":"\ud800","\u0000":{"a":[1e999]}}`))
	f.Fuzz(func(t *testing.T, file []byte) {
		for _, format := range []string{"release", "clients", "square"} {
			v, err := parse(format, file)
			if err != nil {
				continue
			}
			first, err := v.MarshalJSON()
			require.NoError(t, err)
			again, err := parse(format, first)
			require.NoError(t, err, "what goes out must be readable: %s", first)
			second, err := again.MarshalJSON()
			require.NoError(t, err)
			require.Equal(t, string(first), string(second))
		}
	})
}
