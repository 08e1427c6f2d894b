package catalog_test

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc/catalog"
)

// openReleases opens a directory with that releases.json.
func openReleases(t *testing.T, file []byte) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Open(fstest.MapFS{"releases.json": {Data: file}, clientVersion: {Data: []byte(goodClients)}}, catalog.Config{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	return c
}

func TestADifferenceIsToldInWords(t *testing.T) {
	read, err := os.ReadFile("testdata/releases.json")
	require.NoError(t, err)
	full := string(read)
	edit := func(old, new string) string {
		require.Contains(t, full, old)
		return strings.Replace(full, old, new, 1)
	}
	const one, two = `{"releases":[{"version":"1.0.0",BUILDS}]}`, `{"releases":[{"version":"1.0.1",BUILDS},{"version":"1.0.0",BUILDS}]}`
	for _, tt := range []struct {
		name, was, is    string
		changes, clients string
	}{
		{"nothing", full, full, "", ""},
		{"the order of releases, and spaces", full, strings.ReplaceAll(full, "  ", " "), "", ""},
		{"a release for everyone", one, two, `1.0.1: new, for everyone`, `clients older than 1.0.0: 1.0.0 → 1.0.1
clients on 1.0.0: nothing newer → 1.0.1`},
		{"its withdrawal", two, strings.Replace(two, `1.0.1",`, `1.0.1","withdrawn":"deletes\u001b[31m\ndata",`, 1), `1.0.1: withdrawn: deletes\x1b[31m\ndata`, `clients on 1.0.0: 1.0.1 → nothing newer
clients older than 1.0.0: 1.0.1 → 1.0.0`},
		{"its fix in a rollout", `{"releases":[{"version":"1.0.1","withdrawn":"bad",BUILDS},{"version":"1.0.0",BUILDS}]}`,
			`{"releases":[{"version":"1.0.2","rollout":25,BUILDS},{"version":"1.0.1","withdrawn":"bad",BUILDS},{"version":"1.0.0",BUILDS}]}`, `1.0.2: new, for 25 %`, `inside the rollout, clients on 1.0.0: nothing newer → 1.0.2
clients on 1.0.1: nothing newer → 1.0.2
inside the rollout, clients older than 1.0.0: 1.0.0 → 1.0.2`},
		{"no longer withdrawn, for another reason", `{"releases":[{"version":"1.0.1","withdrawn":"bad"},{"version":"1.0.0","withdrawn":"bad"}]}`, `{"releases":[{"version":"1.0.1","rollout":0,BUILDS},{"version":"1.0.0","withdrawn":"worse"}]}`, `1.0.1: no longer withdrawn
1.0.1: rollout everyone → nobody
darwin gains 1.0.1
win32 gains 1.0.1
linux gains 1.0.1
1.0.0: withdrawn: worse`, ""},
		{"a prerelease and its channel", one, `{"channels":["stable","beta"],"releases":[{"version":"1.0.1-beta.1","rollout":50,BUILDS},{"version":"1.0.0",BUILDS},{"version":"0.9.0","withdrawn":"bad"}]}`, `channels: stable → stable, beta
1.0.1-beta.1: new, for 50 % on beta
0.9.0: new, withdrawn: bad`, `channel beta, inside the rollout, clients on 0.9.0 or older: 1.0.0 → 1.0.1-beta.1
channel beta, inside the rollout, clients on 1.0.0: nothing newer → 1.0.1-beta.1`},
		{"another channel and from", `{"channels":["stable","beta"],"releases":[{"version":"1.0.1",BUILDS},{"version":"1.0.0",BUILDS}]}`, `{"channels":["stable","beta"],"releases":[{"version":"1.0.1","channel":"beta","from":"0.9.0",BUILDS},{"version":"1.0.0",BUILDS}]}`, `1.0.1: channel stable → beta
1.0.1: from none → 0.9.0`, `channel stable, clients on 1.0.0: 1.0.1 → nothing newer
clients older than 0.9.0: 1.0.1 → 1.0.0
channel stable, clients on 0.9.0: 1.0.1 → 1.0.0`},
		{"another URL, other notes", two, `{"releases":[{"version":"1.0.1","builds":[{"url":"https://x.test/b.zip"}]},{"version":"1.0.0","notes":"x",BUILDS}]}`, `1.0.1: other url
1.0.0: other notes`, ""},
		{"builds for some platforms", one, `{"releases":[{"version":"1.0.0","builds":[{"platform":"darwin","arch":"universal","min_os":"11","max_os":"13",URL},{"platform":"win32","arch":["x64","ia32"],"min_os":"10.0.17763",URL}]}]}`, `macOS before 11 and macOS 14 and later x64+arm64 loses 1.0.0
darwin ia32 loses 1.0.0
Windows before 10.0.17763 x64+ia32 loses 1.0.0
win32 arm64 loses 1.0.0
linux loses 1.0.0`, `darwin, OS unknown and macOS before 11 and macOS 14 and later, clients older than 1.0.0: 1.0.0 → nothing newer
win32 x64 and ia32, OS unknown and Windows before 10.0.17763, clients older than 1.0.0: 1.0.0 → nothing newer
win32 arm64, clients older than 1.0.0: 1.0.0 → nothing newer
linux and other, clients older than 1.0.0: 1.0.0 → nothing newer`},
		{"builds for another range of versions of Linux", `{"releases":[{"version":"1.0.0","builds":[{"platform":"linux","min_os":"5.4","max_os":"6.1",URL}]}]}`, `{"releases":[{"version":"1.0.0","builds":[{"platform":"linux","min_os":"4","max_os":"4.15",URL},{"platform":"linux","min_os":"5.10","max_os":"5.10",URL}]}]}`, `Linux from 4 to before 4.16 gains 1.0.0
Linux from 5.4 to before 5.10 and Linux from 5.11 to before 6.2 loses 1.0.0`, `Linux from 5.4 to before 5.10 and Linux from 5.11 to before 6.2, clients older than 1.0.0: 1.0.0 → nothing newer
Linux from 4 to before 4.16, clients older than 1.0.0: nothing newer → 1.0.0`},
		{"any OS that is known", `{"releases":[{"version":"1.0.1","builds":[{"platform":"linux","max_os":"0",URL},{"platform":"linux","min_os":"1",URL}]}]}`, `{"releases":[]}`, `1.0.1: removed`, `linux, OS known, clients older than 1.0.1: 1.0.1 → nothing newer`},
		{"builds that are swapped", `{"releases":[{"version":"1.0.0","builds":[{"arch":"x64","url":"https://x.test/x.zip"},{"arch":"arm64","url":"https://x.test/a.zip"},{"arch":"ia32","url":"https://x.test/i.zip"}]}]}`,
			`{"releases":[{"version":"1.0.0","builds":[{"arch":"x64","url":"https://x.test/a.zip"},{"arch":"arm64","url":"https://x.test/x.zip"},{"arch":"ia32","url":"https://x.test/i.zip"}]}]}`, `1.0.0: other url for any platform x64 and any platform arm64`, ""},
		{"a native build beside a universal one", `{"releases":[{"version":"1.0.0","builds":[{"platform":"darwin","arch":"universal","url":"https://x.test/u.zip"},{"platform":"darwin","arch":"arm64","url":"https://x.test/n.zip"}]}]}`,
			`{"releases":[{"version":"1.0.0","builds":[{"platform":"darwin","arch":"universal","url":"https://x.test/u.zip","extra":{"size":1}},{"platform":"darwin","arch":"x64","url":"https://x.test/n.zip"}]}]}`, `1.0.0: build for darwin x64 new
1.0.0: build for darwin arm64 removed
1.0.0: other size for darwin x64+arm64`, ""},
		{"a withdrawal below another rollout", `{"releases":[{"version":"2.2.0","rollout":5,BUILDS},{"version":"2.1.0","rollout":50,BUILDS},{"version":"2.0.0",BUILDS}]}`,
			`{"releases":[{"version":"2.2.0","rollout":5,BUILDS},{"version":"2.1.0","rollout":50,"withdrawn":"bad",BUILDS},{"version":"2.0.0",BUILDS}]}`, `2.1.0: withdrawn: bad`, `inside the rollout of 2.1.0 alone, clients on 2.0.0: 2.1.0 → nothing newer
outside all rollouts and inside the rollout of 2.1.0 alone, clients on 2.1.0: nothing newer → 2.2.0
inside the rollout of 2.1.0 alone, clients older than 2.0.0: 2.1.0 → 2.0.0`},
		{"a pause", `{"releases":[{"version":"2.0.0","rollout":50,BUILDS},{"version":"1.9.0","rollout":0,BUILDS}]}`, `{"releases":[{"version":"2.0.0","rollout":0,BUILDS},{"version":"1.9.0","rollout":0,BUILDS}]}`, `2.0.0: rollout 50 % → nobody`, `inside the rollout, clients on 1.9.0 or older: 2.0.0 → nothing newer`},
		{"a release at 0 removed", `{"releases":[{"version":"2.0.0","rollout":0,BUILDS}]}`, `{"releases":[]}`, `2.0.0: removed`, ""},
		{"builds for each platform", `{"releases":[{"version":"1.0.0","builds":[{"platform":"darwin",URL},{"platform":"win32",URL},{"platform":"linux",URL}]}]}`, `{"releases":[]}`, `1.0.0: removed`, `clients older than 1.0.0: 1.0.0 → nothing newer`},
		{"builds for one version of an OS", `{"releases":[{"version":"1.0.0","builds":[{"platform":"linux","min_os":"1.2.3.4","max_os":"1.2.3.4",URL},{"platform":"linux","min_os":"2",URL}]}]}`, `{"releases":[{"version":"1.0.0","builds":[{"platform":"linux","min_os":"2",URL}]}]}`, `Linux 1.2.3.4 loses 1.0.0`, `Linux 1.2.3.4, clients older than 1.0.0: 1.0.0 → nothing newer`},
		{"one CPU of several, and a build that is new", `{"releases":[{"version":"1.0.0","builds":[{"platform":"linux","arch":"arm64",URL},{"platform":"linux","arch":"ia32",URL}]}]}`, `{"releases":[{"version":"1.0.0","builds":[{"platform":"darwin",URL},{"platform":"linux","arch":"ia32",URL,"extra":{"size":1}}]}]}`, `darwin gains 1.0.0
linux arm64 loses 1.0.0
1.0.0: other size for linux ia32`, `linux arm64, clients older than 1.0.0: 1.0.0 → nothing newer
darwin, clients older than 1.0.0: nothing newer → 1.0.0`},
		{"a wider rollout", full, edit(`"rollout": 40`, `"rollout": 60`), `2.0.1: rollout 40 % → 60 %`, ""},
		{"the end of a rollout", full, edit(`"rollout": 40`, `"rollout": 100`), `2.0.1: rollout 40 % → everyone`, `macOS 12 and later, channel stable, outside the rollout, clients on 1.9.0: nothing newer → 2.0.1
macOS 12, channel beta, outside the rollout, clients on 1.9.0: nothing newer → 2.0.1
win32 x64, Windows 10.0.17763 and later, outside the rollout, clients on 1.4.0 to 1.9.0: nothing newer → 2.0.1
macOS 12 and later, channel stable, outside the rollout, clients on 1.4.0: 1.9.0 → 2.0.1
macOS 12, channel beta, outside the rollout, clients on 1.4.0: 1.9.0 → 2.0.1`},
		{"a withdrawal among many", full, edit(`"rollout": 40`, `"withdrawn": "bad"`), `2.0.1: withdrawn: bad`, `macOS 12 and later, channel stable, inside the rollout, clients on 1.9.0: 2.0.1 → nothing newer
macOS 12, channel beta, inside the rollout, clients on 1.9.0: 2.0.1 → nothing newer
darwin, OS unknown and macOS 12 and later, channel stable, clients on 2.0.0: 2.0.1 → nothing newer
darwin, OS unknown and macOS 12, channel beta, clients on 2.0.0: 2.0.1 → nothing newer
win32 x64, Windows 10.0.17763 and later, inside the rollout, clients on 1.4.0 to 1.9.0: 2.0.1 → nothing newer
win32 x64, Windows 10.0.17763 and later, clients on 2.0.0: 2.0.1 → nothing newer
macOS 12 and later, channel stable, inside the rollout, clients on 1.4.0: 2.0.1 → 1.9.0
macOS 12, channel beta, inside the rollout, clients on 1.4.0: 2.0.1 → 1.9.0`},
		{"a Windows build forgotten", full, edit(`"platform": "win32", "arch": "x64", "min_os": "10.0.17763"`, `"platform": "linux"`), `win32 loses 2.0.1
linux gains 2.0.1`, `win32 x64, Windows 10.0.17763 and later, inside the rollout, clients on 1.4.0 to 1.9.0: 2.0.1 → nothing newer
win32 x64, Windows 10.0.17763 and later, clients on 2.0.0: 2.0.1 → nothing newer
linux, inside the rollout, clients on 1.4.0 to 1.9.0: nothing newer → 2.0.1
linux, clients on 2.0.0: nothing newer → 2.0.1`},
		{"a lower min_os", full, edit(`"min_os": "12", "url": "https://downloads.example.com/2.0.1`, `"min_os": "11", "url": "https://downloads.example.com/2.0.1`), `macOS 11 gains 2.0.1`, `macOS 11, inside the rollout, clients on 1.9.0: nothing newer → 2.0.1
macOS 11, clients on 2.0.0: nothing newer → 2.0.1
macOS 11, inside the rollout, clients on 1.4.0: 1.9.0 → 2.0.1`},
		{"a release under another version", full, edit(`"version": "1.9.0"`, `"version": "1.9.1"`), `1.9.1: new, for everyone
1.9.0: removed`, `macOS 10.13 and later, channel stable, outside the rollout, clients on 1.4.0: 1.9.0 → 1.9.1
macOS from 10.13 to before 12, channel stable, inside the rollout, clients on 1.4.0: 1.9.0 → 1.9.1
macOS from 10.13 to before 13, channel beta, outside the rollout, clients on 1.4.0: 1.9.0 → 1.9.1
macOS from 10.13 to before 12, channel beta, inside the rollout, clients on 1.4.0: 1.9.0 → 1.9.1
macOS 10.13 and later, channel stable, outside the rollout, clients on 1.9.0: nothing newer → 1.9.1
macOS from 10.13 to before 12, channel stable, inside the rollout, clients on 1.9.0: nothing newer → 1.9.1
macOS from 10.13 to before 13, channel beta, outside the rollout, clients on 1.9.0: nothing newer → 1.9.1
macOS from 10.13 to before 12, channel beta, inside the rollout, clients on 1.9.0: nothing newer → 1.9.1`},
		{"another minimum", full, edit(`"minimum": "1.4.0"`, `"minimum": "1.9.0"`), `minimum: 1.4.0 → 1.9.0`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := openReleases(t, []byte(abbreviations.Replace(tt.is))).Diff(openReleases(t, []byte(abbreviations.Replace(tt.was))))
			assert.Equal(t, tt.changes, strings.Join(d.Changes, "\n"))
			assert.Equal(t, tt.clients, strings.Join(d.Clients, "\n"))
			assert.True(t, d.Complete)
		})
	}
}

func TestAChangeThatIsProbablyAMistakeIsWarnedOf(t *testing.T) {
	const was = `{"releases":[{"version":"2.0.0","rollout":50,"builds":[{"url":"https://a.test/2.0.0.zip"}]},{"version":"1.9.0","withdrawn":"bad","builds":[{"url":"https://a.test/1.9.0.zip"}]},{"version":"1.8.0","builds":[{"url":"https://a.test/1.8.0.zip"}]}]}`
	for _, tt := range []struct{ name, is, warnings string }{
		{"nothing", was, ""},
		{"a lower rollout, and a release that is no longer withdrawn", `{"releases":[{"version":"2.0.0","rollout":25,"builds":[{"url":"https://a.test/2.0.0.zip"}]},{"version":"1.9.0","builds":[{"url":"https://a.test/1.9.0.zip"}]},{"version":"1.8.0","builds":[{"url":"https://a.test/1.8.0.zip"}]}]}`,
			"takes back what clients were offered: 2.0.0: rollout 50 % → 25 %\n(1.9.0): is no longer withdrawn: bad"},
		{"a release removed, and its URL in another", `{"releases":[{"version":"2.0.0","rollout":50,"builds":[{"url":"https://a.test/2.0.0.zip"}]},{"version":"1.8.1","builds":[{"url":"https://a.test/1.8.0.zip"}]}]}`,
			"takes back what clients were offered: 1.8.0: removed, and not withdrawn\n(1.8.1): is new, and older than 2.0.0, which is there already\n(1.8.1): has the URL that 1.8.0 had\nreleases[1].builds[0].url (1.8.1): names 1.8.0"},
		{"another host", `{"releases":[{"version":"2.0.1","builds":[{"url":"https://b.test/2.0.1.zip"},{"arch":"x64","url":"https://b.test/2.0.1-x64.zip"}]},` + was[len(`{"releases":[`):], "(2.0.1): is on b.test, where no release was before"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := []string{}
			for line := range strings.Lines(tt.warnings) {
				want = append(want, "releases.json: "+strings.TrimSuffix(line, "\n"))
			}
			assert.Equal(t, want, openReleases(t, []byte(tt.is)).Diff(openReleases(t, []byte(was))).Warnings)
		})
	}
}

func TestTheFirstReleasesAreOnNoOtherHost(t *testing.T) {
	const file = `{"releases":[{"version":"2.0.0","builds":[{"platform":"darwin","url":"https://a.test/2.0.0.zip"}]}]}`
	assert.Empty(t, openReleases(t, []byte(file)).Diff(openReleases(t, []byte(`{"releases":[]}`))).Warnings)
}

func TestADifferenceIsNoLongerThanPeopleRead(t *testing.T) {
	var with, without strings.Builder
	for i := range 150 {
		fmt.Fprintf(&with, `,{"version":"1.0.%d","builds":[{"platform":"linux","min_os":"%[1]d",URL}]}`, i)
		fmt.Fprintf(&without, `,{"version":"1.0.%d","withdrawn":"bad","builds":[{"platform":"linux","min_os":"%[1]d",URL}]}`, i)
	}
	file := func(releases string) []byte {
		return []byte(abbreviations.Replace(`{"releases":[` + releases[1:] + `]}`))
	}
	d := openReleases(t, file(without.String())).Diff(openReleases(t, file(with.String())))
	assert.Len(t, d.Changes, 150)
	assert.Len(t, d.Clients, 101)
	assert.Equal(t, "and more", d.Clients[100])
}

func TestADifferenceHasTheOtherFilesAndTheNewWarnings(t *testing.T) {
	const squirrelJSON, square = `{"version":"1.0.2","url":"http://x.test/a.dmg"}`, `[{"id":"a","type":"chatroom","name":"A"}]`
	open := func(files map[string]string) *catalog.Catalog {
		fsys := fstest.MapFS{}
		for name, text := range files {
			fsys[name] = &fstest.MapFile{Data: []byte(abbreviations.Replace(text))}
		}
		c, err := catalog.Open(fsys, catalog.Config{Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		return c
	}
	for _, tt := range []struct {
		name    string
		was, is map[string]string
		want    catalog.Difference
	}{
		{
			"releases.json in place of squirrel.json", map[string]string{squirrel: squirrelJSON, clientVersion: goodClients, "demo_square.json": "[]"},
			map[string]string{"releases.json": `{"releases":[{"version":"1.0.2","builds":[{"platform":"darwin","url":"http://x.test/a.dmg"}]}]}`, squirrel: squirrelJSON, clientVersion: newerClients, "demo_square.json": square},
			catalog.Difference{
				Changes: []string{"win32 loses 1.0.2", "linux loses 1.0.2", "client_version.json: iOS 1.0.5, Android 1.0.5 → iOS 1.0.6, Android 1.0.6", "demo_square.json: 0 entries → 1 entries"},
				Clients: []string{"win32 and linux and other, clients older than 1.0.2: 1.0.2 → nothing newer"},
				Warnings: []string{
					"demo_square.json: 1 of the four chat rooms that SealTalk's iOS client has buttons for: it crashes when one has no room; list none, or four and more",
					"squirrel.json: is not read, but a server that starts without releases.json serves it: delete it",
				},
			},
		},
		{
			"a newer squirrel.json, a square for the first time, other client URLs", map[string]string{squirrel: squirrelJSON, clientVersion: goodClients},
			map[string]string{squirrel: `{"version":"1.0.3","url":"http://x.test/b.dmg"}`, clientVersion: strings.Replace(goodClients, "https://", "http://", 1), "demo_square.json": "[]"},
			catalog.Difference{
				Changes: []string{"1.0.2 → 1.0.3", "client_version.json: other content", "demo_square.json: none → 0 entries"},
				Clients: []string{"clients older than 1.0.2: 1.0.2 → 1.0.3", "clients on 1.0.2: nothing newer → 1.0.3"},
				Warnings: []string{
					"squirrel.json: url (1.0.3): does not end in .zip, and macOS can install nothing else",
					"squirrel.json: url (1.0.3): is http, and macOS loads nothing but https unless the app allows it",
				},
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.Complete = true
			assert.Equal(t, tt.want, open(tt.is).Diff(open(tt.was)))
		})
	}
}

func TestADifferenceOfHugeFilesIsCutShort(t *testing.T) {
	var file strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&file, `,{"version":"1.0.%d","withdrawn":"bad","builds":[{"platform":"linux","min_os":"%[1]d",URL}]}`, i)
	}
	d := openReleases(t, []byte(abbreviations.Replace(`{"releases":[{"version":"2.0.0",BUILDS}`+file.String()+`]}`))).Diff(openReleases(t, []byte(`{"releases":[]}`)))
	assert.False(t, d.Complete)
	assert.NotEmpty(t, d.Clients)
}
