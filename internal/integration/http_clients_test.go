//go:build unix

package integration_test

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc/misctest"
)

// A client that oapi-codegen generates from the unchanged OpenAPI document gets typed
// answers from each endpoint of examples/server.
func TestAGeneratedClientUnderstandsTheServer(t *testing.T) {
	dir := t.TempDir()
	run := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		require.NoError(t, err, "%s%s", out, stderr.String())
		return string(out)
	}
	generated, overlay := filepath.Join(dir, "client.gen.go"), filepath.Join(dir, "overlay.json")
	run("tool", "oapi-codegen", "-generate", "types,client", "-package", "main", "-o", generated, "../../httpapi/openapi.yaml")
	inPlace, err := filepath.Abs("openapiclient/client.gen.go")
	require.NoError(t, err)
	text, err := json.Marshal(map[string]any{"Replace": map[string]string{inPlace: generated}})
	require.NoError(t, err)
	writeFile(t, overlay, string(text))

	server := startProgram(t, []string{buildServer(t)}, func(free string) []string {
		return []string{"MISC_ADDR=127.0.0.1:" + free, "MISC_DB=sqlite:" + filepath.Join(dir, "misc.db"), "MISC_N3D_KEY=" + misctest.Key,
			"MISC_VERSIONS=" + versionsDir(t), "MISC_USER_LIMIT=9"}
	})
	client := filepath.Join(dir, "client")
	run(slices.Concat([]string{"build"}, raceFlag(), []string{"-tags", "openapiclient", "-overlay", overlay, "-o", client, "./openapiclient"})...)
	out, err := exec.CommandContext(t.Context(), client, "http://"+server.address, misctest.ID(2)).CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, `latest_update 1.0.2 no-store
latest_update 204
latest_update version must be one semantic version such as 1.0.2
latest_update 200
client_version 201607181821
client_version 304
mobile_version 1.0.5
demo_square 1 group
send_message 200
send_message 200
set_screen_capture 200
get_screen_capture 1
send_sc_msg 200
send_sc_msg you are not a member of the group targetId
`, string(out))
}

// buildServer builds examples/server and returns the path of the program.
func buildServer(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "server")
	cmd := exec.CommandContext(t.Context(), "go", slices.Concat([]string{"build"}, raceFlag(), []string{"-o", path, "."})...)
	cmd.Dir = "../../examples/server"
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return path
}

// raceFlag returns -race if the tests run with it, so that what they build is compiled
// only once.
func raceFlag() []string {
	info, _ := debug.ReadBuildInfo()
	if slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		return []string{"-race"}
	}
	return nil
}
