//go:build unix

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// With BE_MISC_CATALOG set, the test binary acts as the program misc-catalog.
func TestMain(m *testing.M) {
	if os.Getenv("BE_MISC_CATALOG") != "" {
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

const clients = `{"iOS":{"version":"1.0.5","build":"201607181821","url":"https://x.test/app.plist"},"Android":{"version":"1.0.5","url":"https://x.test/a.apk"}}`

// newDir returns a directory with the files, by name, and with a good
// client_version.json if files has none.
func newDir(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	if _, has := files["client_version.json"]; !has {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "client_version.json"), []byte(clients), 0o600))
	}
	return dir
}

// call runs the command with dir for DIR, and returns what it prints with DIR for dir.
func call(dir string, args ...string) (exitCode int, out, errOut string) {
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "DIR", dir)
	}
	var stdout, stderr bytes.Buffer
	exitCode = run(args, &stdout, &stderr)
	return exitCode, strings.ReplaceAll(stdout.String(), dir, "DIR"), strings.ReplaceAll(stderr.String(), dir, "DIR")
}

// sum returns the revision of a file with that text.
func sum(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text)))[:12] }

func TestCheckPrintsTheFilesTheReleasesAndEveryProblemAndWarning(t *testing.T) {
	const (
		goodFile     = `{"releases":[{"version":"1.0.2","from":"1.0.0","builds":[{"platform":"darwin","url":"https://x.test/a.zip"},{"platform":"win32","arch":["x64","ia32"],"min_os":"10","url":"https://x.test/a.msix"}]},{"version":"1.0.1","withdrawn":"bad"},{"version":"1.0.0","builds":[{"url":"https://x.test/b.zip"}]}]}`
		doubtfulFile = `{"version":"1.0.2","url":"https://x.test/a.zip","pub_date":"2017-05-05"}`
		square       = `[{"id":7,"type":"group"}]`
		warning      = `squirrel.json: pub_date (1.0.2): "2017-05-05" has no time: macOS shows a date in 1970`
		goodWarning  = "releases.json: releases[1].builds (1.0.1): keep those that it had: they tell which OS a client has that runs it and does not say"
	)
	good := map[string]string{"releases.json": goodFile}
	doubtful := map[string]string{"squirrel.json": doubtfulFile, "demo_square.json": square}
	bad := map[string]string{"releases.json": `{"releases":[{"version":"1.0.2","builds":[{"min_os":"12"}]}]}`, "client_version.json": `[]`}
	table := "DIR/client_version.json  " + sum(clients) + "\nDIR/releases.json        " + sum(goodFile) + `

version  channel  share           from   builds
1.0.2    stable   everyone        1.0.0  darwin
                                         win32 x64+ia32, 10 or later
1.0.1    stable   withdrawn: bad  -      -
1.0.0    stable   everyone        -      any platform

warning: ` + goodWarning + "\nDIR is valid: 3 releases up to 1.0.2\n"
	doubtfulTable := "DIR/client_version.json  " + sum(clients) + "\nDIR/demo_square.json     " + sum(square) + "\nDIR/squirrel.json        " + sum(doubtfulFile) + `

version  channel  share     from  builds
1.0.2    stable   everyone  -     any platform

warning: ` + warning + "\nDIR is valid: 1 release up to 1.0.2\n"
	problems := []string{
		"catalog: releases.json: releases[0].builds[0].min_os (1.0.2, line 1): needs a platform beside it",
		`catalog: releases.json: releases[0].builds[0].url (1.0.2, line 1): "" is not an absolute, percent-encoded https or http URL`,
		"catalog: client_version.json: must be a JSON object",
	}
	for _, tt := range []struct {
		name     string
		files    map[string]string
		args     string
		exitCode int
		out      string
	}{
		{"good", good, "check DIR", 0, table},
		{"a warning", doubtful, "check DIR", 0, doubtfulTable},
		{"a warning, strictly", doubtful, "check DIR -strict", 1, doubtfulTable},
		{"a warning, as JSON", doubtful, "check DIR -json -strict", 1, `{
  "files": {
    "client_version.json": "` + sum(clients) + `",
    "demo_square.json": "` + sum(square) + `",
    "squirrel.json": "` + sum(doubtfulFile) + `"
  },
  "releases": [
    {
      "version": "1.0.2",
      "channel": "stable",
      "share": "everyone",
      "builds": [
        "any platform"
      ]
    }
  ],
  "problems": [],
  "warnings": [
    ` + quote(warning) + `
  ]
}
`},
		{"no releases, strictly", map[string]string{"releases.json": `{"releases":[]}`}, "check -strict DIR", 0, "DIR/client_version.json  " + sum(clients) + "\nDIR/releases.json        " + sum(`{"releases":[]}`) + "\n\nDIR is valid: no releases\n"},
		{"bad", bad, "check DIR", 1, strings.Join(problems, "\n") + "\n"},
		{"bad, as JSON", bad, "check DIR -json", 1, "{\n  \"problems\": [\n    " + quote(problems[0]) + ",\n    " + quote(problems[1]) + ",\n    " + quote(problems[2]) + "\n  ],\n  \"warnings\": []\n}\n"},
		{"no directory", good, "check DIR/none", 1, "DIR/none: no such file or directory\n"},
		{"a file", good, "check DIR/releases.json", 1, "DIR/releases.json is a file: name the directory that it is in\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			exitCode, out, errOut := call(newDir(t, tt.files), strings.Fields(tt.args)...)
			assert.Equal(t, tt.out, out)
			assert.Equal(t, tt.exitCode, exitCode)
			assert.Empty(t, errOut)
		})
	}
}

func TestDiffPrintsWhatChangesAndTheNewWarnings(t *testing.T) {
	file := func(version, more string) string {
		return `{"releases":[{"version":"` + version + `",` + more + `"builds":[{"url":"https://x.test/` + version + `.zip"}]}]}`
	}
	dir := newDir(t, map[string]string{
		"releases.json": file("1.0.2", ""), "next": file("1.0.3", `"rollout":50,`), "same": file("1.0.2", ""), "clients": strings.Replace(clients, "1.0.5", "1.0.6", 1), "square": `[]`,
		"squirrel": `{"version":"1.0.2","url":"https://x.test/1.0.2.zip"}`, "bad": "{\n\"releases\":1}", "text": "hello",
	})
	require.NoError(t, os.Mkdir(filepath.Join(dir, "empty"), 0o700))
	const halfWarning = "releases.json: releases[0].rollout (1.0.3): clients that send no id are not offered it, and today's SealTalk sends none"
	const (
		removed = "releases.json: takes back what clients were offered: 1.0.2: removed, and not withdrawn"
		nobody  = "releases.json: releases: none is for everyone on darwin x64 on channel stable, which is what SealTalk's desktop client asks for"
		half    = `1.0.3: new, for 50 %
1.0.2: removed

clients:
  outside the rollout, clients older than 1.0.2: 1.0.2 → nothing newer
  inside the rollout, clients older than 1.0.2: 1.0.2 → 1.0.3
  inside the rollout, clients on 1.0.2: nothing newer → 1.0.3

warning: ` + removed + `
warning: ` + halfWarning + `
warning: ` + nobody + `
`
	)
	for _, tt := range []struct {
		args     string
		exitCode int
		out      string
	}{
		{"DIR DIR", 0, "nothing changes for clients\n"},
		{"DIR DIR/next", 0, half},
		{"DIR/same DIR/next -strict", 1, half},
		{"DIR/next DIR", 0, `1.0.3: removed
1.0.2: new, for everyone

clients:
  inside the rollout, clients on 1.0.2: 1.0.3 → nothing newer
  inside the rollout, clients older than 1.0.2: 1.0.3 → 1.0.2
  outside the rollout, clients older than 1.0.2: nothing newer → 1.0.2

warning: releases.json: takes back what clients were offered: 1.0.3: removed, and not withdrawn
`},
		{"DIR/squirrel DIR/same", 0, "nothing changes for clients\n"},
		{"DIR DIR/clients", 0, "client_version.json: iOS 1.0.5, Android 1.0.5 → iOS 1.0.6, Android 1.0.5\n"},
		{"DIR DIR/square", 0, "demo_square.json: none → 0 entries\n"},
		{"DIR/same DIR/next -json", 0, `{
  "changes": [
    "1.0.3: new, for 50 %",
    "1.0.2: removed"
  ],
  "clients": [
    "outside the rollout, clients older than 1.0.2: 1.0.2 → nothing newer",
    "inside the rollout, clients older than 1.0.2: 1.0.2 → 1.0.3",
    "inside the rollout, clients on 1.0.2: nothing newer → 1.0.3"
  ],
  "warnings": [
    "` + removed + `",
    "` + halfWarning + `",
    "` + nobody + `"
  ],
  "complete": true
}
`},
		{"DIR/bad DIR/text", 1, "DIR/bad: catalog: releases.json: releases (line 2): must be a list\nDIR/text: catalog: releases.json: is not valid JSON: invalid character 'h' looking for beginning of value (at byte 1, line 1)\n"},
		{"DIR/none DIR", 1, "DIR/none: no such file or directory\n"},
		{"/dev/zero DIR", 1, "/dev/zero: is neither a directory nor a regular file\n"},
		{"DIR/empty DIR/next", 1, "DIR/empty: catalog: there is no releases.json, and no squirrel.json: file does not exist\nDIR/empty: catalog: client_version.json: no such file or directory\n"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			exitCode, out, errOut := call(dir, append([]string{"diff"}, strings.Fields(tt.args)...)...)
			if tt.exitCode == 1 && !strings.Contains(tt.args, "-strict") {
				out, errOut = errOut, out
			}
			assert.Equal(t, tt.out, out)
			assert.Equal(t, tt.exitCode, exitCode)
			assert.Empty(t, errOut)
		})
	}
}

// Whatever a file or a query holds, nothing controls the terminal and no line is forged.
func TestNothingIsPrintedRaw(t *testing.T) {
	const evil = `\u001b]0;x\u0007\n\u009b31m\u202e`
	dir := newDir(t, map[string]string{
		"releases.json": `{"releases":[{"version":"1.0.2","withdrawn":"` + evil + `","name":"` + evil + `","notes":"` + evil + `"},{"version":"1.0.1","notes":"` + "\u009b\u202e\U000e0001" + `","builds":[{"url":"https://x.test/a.zip","extra":{"` + evil + `":"` + evil + `"}}]}]}`,
		"bad":           `{"releases":[{"version":"` + evil + `","` + evil + `":1,"channel":"` + evil + `"}],"` + evil + `":1}`,
	})
	require.NoError(t, os.CopyFS(filepath.Join(dir, "\x1b\n31m\n"), os.DirFS(newDir(t, map[string]string{"releases.json": `{"releases":[]}`}))))
	for _, args := range [][]string{
		{"check", "DIR"}, {"check", "DIR", "-json"}, {"diff", "DIR", "DIR/bad"}, {"diff", "DIR/bad", "DIR", "-json"}, {"diff", "DIR", "DIR/releases.json"},
		{"explain", "DIR", "version=1.0.0&platform=%1b%0a&arch=%1b%0a&id=%1b%0a&os_version=%1b%0a&channel=%1b%0a&%1b%0ax=1"},
		{"explain", "DIR", "version=1.0.0&%1b%0a=1", "-json"}, {"explain", "DIR", "version=%1b%0a"}, {"check", "\x1b\n"}, {"check", "DIR/\x1b\n31m\n"}, {"check", "-\x1b\n31m"}, {"diff", "DIR", "\x1b\n31m"},
	} {
		_, out, errOut := call(dir, args...)
		out += errOut
		assert.NotEmpty(t, out, args)
		for _, r := range out {
			assert.True(t, r == '\n' || r == '\t' || unicode.IsPrint(r), "%q prints %q", args, r)
		}
		for line := range strings.Lines(out) {
			assert.NotRegexp(t, `^(31m|x|\])`, line)
		}
	}
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestExplainPrintsTheServersAnswerAndEachRelease(t *testing.T) {
	full, err := os.ReadFile("../../catalog/testdata/releases.json")
	require.NoError(t, err)
	releases := map[string]string{"releases.json": string(full)}
	squirrel := map[string]string{"squirrel.json": `{"version":"1.0.2","url":"https://x.test/a.zip"}`}
	const refusal = "misc: version must be one semantic version such as 1.0.2\n" +
		"\nA query is like 'version=1.9.0&platform=darwin'. A + in it means a space: write %2B.\n"
	for _, tt := range []struct {
		name     string
		files    map[string]string
		args     []string
		exitCode int
		out      string
	}{
		{"an update", releases, []string{"explain", "DIR", "https://chat.example.com/misc/latest_update?version=1.3.9&os_version=10.9&arch=arm64&id=a"}, 0, `200 OK
{
  "version": "1.4.0",
  "url": "https://downloads.example.com/1.4.0/SealTalk.zip",
  "mandatory": true
}

client: 1.3.9 on darwin arm64, OS version 10.9, channel stable, id "a"
reason: update

2.1.0-beta.2  beta    channel    the client is on channel stable
2.0.1         stable  os         for OS version 12 or later, and the client's is 10.9
2.0.0         stable  withdrawn  withdrawn: loses drafts
1.9.0         stable  os         for OS version 10.13 or later, and the client's is 10.9
1.4.0         stable  update     offered
`},
		{"an update, by the User-Agent", releases, []string{"explain", "DIR", "version=1.9.0&channel=beta", "-user-agent", "Darwin/22.5.0"}, 0, `200 OK
{
  "version": "2.1.0-beta.2",
  "url": "https://downloads.example.com/2.1.0-beta.2/SealTalk-x64.zip",
  "name": "SealTalk 2.1 beta 2",
  "notes": "Threads, second attempt",
  "pub_date": "2026-11-23T10:00:00Z"
}

client: 1.9.0 on darwin x64, OS version 13, channel beta, no id
reason: update

2.1.0-beta.2  beta    update     offered
2.0.1         stable  no-id      the rollout is at 40 %, and the client sent no id
2.0.0         stable  withdrawn  withdrawn: loses drafts
1.9.0         stable  current    not newer than 1.9.0, which the client runs
1.4.0         stable  current    not newer than 1.9.0, which the client runs
`},
		{"none, on another platform", releases, []string{"explain", "DIR", "version=1.3.9&platform=win32&arch=ia32&id=client-1&os=11&Channel=beta"}, 0, `204 No Content

client: 1.3.9 on win32 ia32, OS version unknown, channel stable, id "client-1"
reason: arch
ignored: Channel, os

2.1.0-beta.2  beta    channel    the client is on channel stable
2.0.1         stable  arch       no build for platform "win32" on CPU "ia32"
2.0.0         stable  withdrawn  withdrawn: loses drafts
1.9.0         stable  platform   no build for platform "win32"
1.4.0         stable  platform   no build for platform "win32"
`},
		{"squirrel.json", squirrel, []string{"explain", "-json", "DIR", "version=1.0.2&platform=mac"}, 0, `{
  "status": 204,
  "client": "1.0.2 on mac x64, OS version unknown, channel stable, no id",
  "reason": "current",
  "releases": [
    {
      "version": "1.0.2",
      "channel": "stable",
      "reason": "current",
      "detail": "not newer than 1.0.2, which the client runs"
    }
  ]
}
`},
		{"no releases, as JSON", map[string]string{"releases.json": `{"releases":[]}`}, []string{"explain", "DIR", "version=1.0.0", "-json"}, 0, `{
  "status": 204,
  "client": "1.0.0 on darwin x64, OS version unknown, channel stable, no id",
  "reason": "current",
  "releases": []
}
`},
		{"a refusal", releases, []string{"explain", "DIR", "version=1.0"}, 1, refusal},
		{"a plus", releases, []string{"explain", "DIR", "version=1.0.0+7"}, 1, refusal},
		{"a refusal, as JSON", releases, []string{"explain", "DIR", "version=1.0", "-json"}, 1, "{\n  \"problems\": [\n    \"misc: version must be one semantic version such as 1.0.2\"\n  ],\n  \"warnings\": []\n}\n"},
		{"invalid files, as JSON", map[string]string{"releases.json": "[]"}, []string{"explain", "DIR", "version=1.0.0", "-json"}, 1,
			"{\n  \"problems\": [\n    \"catalog: releases.json: must be a JSON object\"\n  ],\n  \"warnings\": []\n}\n"},
		{"question marks that belong to the query, and a fragment", squirrel, []string{"explain", "DIR", "version=1.0.2&id=a?b#c%0A&platform=%1b"}, 0, `204 No Content

client: 1.0.2 on \x1b x64, OS version unknown, channel stable, id "a?b#c\n"
reason: current

1.0.2  stable  current  not newer than 1.0.2, which the client runs
`},
		{"invalid files", map[string]string{"releases.json": "[]"}, []string{"explain", "DIR", "version=1.0.0"}, 1, "catalog: releases.json: must be a JSON object\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			exitCode, out, errOut := call(newDir(t, tt.files), tt.args...)
			if tt.exitCode == 1 && !strings.HasPrefix(out, "{") {
				out, errOut = errOut, out
			}
			assert.Equal(t, tt.out, out)
			assert.Equal(t, tt.exitCode, exitCode)
			assert.Empty(t, errOut)
		})
	}
}

func TestAWrongCommandLineIsExitCode2AndHelpIsNot(t *testing.T) {
	for args, want := range map[string]int{"": 2, "check": 2, "check a b": 2, "explain a": 2, "publish a": 2, "check a -no": 2, "check a -user-agent b": 2, "explain a b -strict": 2, "-h": 0, "check -help": 0} {
		exitCode, out, errOut := call("DIR", strings.Fields(args)...)
		assert.Equal(t, want, exitCode, args)
		assert.Empty(t, out)
		assert.Contains(t, errOut, "misc-catalog explain versions 'version=1.9.0&platform=darwin", args)
	}
}

// The test follows the page from top to bottom, as a reader would. It saves each JSON
// block with releases as versions/releases.json, and runs each console block.
func TestThePageOnReleasesShowsWhatTheCommandsPrint(t *testing.T) {
	page, err := os.ReadFile("../../docs/releases.md")
	require.NoError(t, err)
	program, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), mode))
	}
	write("bin/misc-catalog", "#!/bin/sh\nBE_MISC_CATALOG=1 exec '"+program+"' \"$@\"\n", 0o700)
	write("versions/client_version.json", clients, 0o600)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "misc.versions"), 0o700))
	commands := 0
	for _, block := range regexp.MustCompile("(?ms)^( *)```(json|console)\n(.*?)^ *```$").FindAllStringSubmatch(string(page), -1) {
		indent, kind, text := block[1], block[2], strings.TrimPrefix(block[3], block[1])
		text = strings.ReplaceAll(text, "\n"+indent, "\n")
		if kind == "json" {
			if strings.Contains(text, `"releases"`) {
				write("versions/releases.json", text, 0o600)
			}
			continue
		}
		for _, typed := range strings.Split("\n"+text, "\n$ ")[1:] {
			command, printed, _ := strings.Cut(typed+"\n", "\n")
			sh := exec.Command("sh", "-c", command)
			sh.Dir = dir
			sh.Env = append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"))
			out, err := sh.CombinedOutput()
			require.NoError(t, err, "%s\n%s", command, out)
			assert.Equal(t, strings.TrimRight(printed, "\n"), strings.TrimRight(string(out), "\n"), command)
			commands++
		}
	}
	assert.Greater(t, commands, 5)
}
