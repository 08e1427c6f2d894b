//go:build unix

package integration_test

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A reader copies the program into an empty directory and runs go mod tidy; the test
// uses this module's go.mod instead.
func TestEachHostRunsInAnEmptyDirectory(t *testing.T) {
	for _, name := range []string{"nethttp", "chi", "gin", "echo"} {
		t.Run(name, func(t *testing.T) {
			address, admin, output := runHost(t, name)
			for _, ask := range []struct {
				session, method, path, body string
				status                      int
				want                        string // a part of the answer
			}{
				{"", "GET", "latest_update?version=1.0.0", "", 200, `"version":"1.0.2"`},
				{"", "GET", "latest_update?version=1.0.2", "", 204, ""},
				{"expired", "GET", "client_version", "", 200, `"Android":{"version":"2.0.1"`},
				{"", "POST", "get_screen_capture", `{"conversationType":1,"targetId":"bob"}`, 403, `not logged in`},
				{"expired", "POST", "get_screen_capture", `{"conversationType":1,"targetId":"bob"}`, 403, `not logged in`},
				{"session-of-bob", "POST", "get_screen_capture", `{"conversationType":1,"targetId":"alice"}`, 200, `{"status":0}`},
				{"session-of-alice", "POST", "set_screen_capture", `{"conversationType":1,"targetId":"bob","noticeStatus":1}`, 200, `{"code":200}`},
				{"session-of-bob", "POST", "get_screen_capture", `{"conversationType":1,"targetId":"alice"}`, 200, `{"status":1}`},
				{"session-of-bob", "POST", "get_screen_capture", `{"conversationType":3,"targetId":"team"}`, 200, `{"status":0}`},
				{"session-of-alice", "POST", "get_screen_capture", `{"conversationType":1,"targetId":"mallory"}`, 403, `not a friend`},
				{"session-of-alice", "POST", "set_screen_capture", `{"conversationType":3,"targetId":"board","noticeStatus":1}`, 403, `not a member`},
				{"session-of-bob", "POST", "send_message", `{"conversationType":"GROUP","targetId":"team","objectName":"RC:TxtMsg","content":"hello"}`, 200, `{"code":"200"}`},
				{"session-of-bob", "POST", "none", "{}", 404, `no such path`},
			} {
				r := must(http.NewRequestWithContext(t.Context(), ask.method, "http://"+address+"/misc/"+ask.path, strings.NewReader(ask.body)))
				r.Header.Set("Content-Type", "application/json")
				if ask.session != "" {
					r.AddCookie(&http.Cookie{Name: "session", Value: ask.session})
				}
				status, body := answerOf(t, r)
				require.Equal(t, ask.status, status, "%s: %s", ask.path, body)
				require.Contains(t, body, ask.want, ask.path)
			}
			require.Contains(t, output(), `alice to bob: {"operatorUserId":"alice","operation":"openScreenNtf"}`)
			require.Contains(t, output(), `bob to team: {"content":"hello"}`)

			if name == "nethttp" {
				_, vars := answerOf(t, must(http.NewRequestWithContext(t.Context(), "GET", "http://"+admin+"/debug/vars", nil)))
				require.Contains(t, vars, `"/misc/latest_update": 2`)
				require.Contains(t, vars, `"/misc/get_screen_capture": 6`)
			}
		})
	}
}

func answerOf(t *testing.T, r *http.Request) (status int, body string) {
	t.Helper()
	resp, body := ask(t, http.DefaultClient, r)
	return resp.StatusCode, body
}

// runHost runs a host. It returns the addresses that the host listens on instead of
// 127.0.0.1:8585 and 127.0.0.1:8586, and a function that returns what the host has
// printed.
func runHost(t *testing.T, name string) (address, admin string, output func() string) {
	t.Helper()
	return runProgram(t, t.TempDir(), string(must(os.ReadFile("hosts/"+name+"/main.go"))))
}

// runProgram is like runHost, but takes the text of the program, and a directory to run
// it in.
func runProgram(t *testing.T, dir, program string) (address, admin string, output func() string) {
	t.Helper()
	address, admin = fmt.Sprint("127.0.0.1:", must(freePort())), fmt.Sprint("127.0.0.1:", must(freePort()))
	require.Equal(t, 1, strings.Count(program, "127.0.0.1:8585"))
	library := must(filepath.Abs("../.."))
	for file, text := range map[string]string{
		"main.go": strings.NewReplacer("127.0.0.1:8585", address, "127.0.0.1:8586", admin).Replace(program),
		"go.mod":  strings.Replace(string(must(os.ReadFile("go.mod"))), "=> ../..", "=> "+library, 1),
		"go.sum":  string(must(os.ReadFile("go.sum"))),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600))
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", "host", ".")
	build.Dir, build.Env = dir, append(os.Environ(), "GOWORK=off")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)

	guard := exec.Command(os.Args[0], dir, must(user.Current()).Username, filepath.Join(dir, "host"))
	guard.Env = append(os.Environ(), childEnv+"=guard")
	in, stdout := must(guard.StdinPipe()), must(guard.StdoutPipe())
	require.NoError(t, guard.Start())
	t.Cleanup(func() {
		_ = in.Close()
		_ = guard.Wait()
	})
	var pid int
	_, err = fmt.Fscan(bufio.NewReader(stdout), &pid)
	require.NoError(t, err)
	output = func() string { return string(must(os.ReadFile(filepath.Join(dir, "log")))) }
	until(t, "the host listens", func() bool {
		resp, err := http.Get("http://" + address)
		if err == nil {
			_ = resp.Body.Close()
		}
		return err == nil
	})
	return address, admin, output
}
