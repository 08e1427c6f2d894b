//go:build unix

package http_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc/internal/integration/servers"
	"github.com/sealtalk-go/misc/internal/integration/testhost"
	"github.com/sealtalk-go/misc/misctest"
)

// A client that oapi-codegen generates from the unchanged OpenAPI document gets typed
// answers from each endpoint of examples/server.
func TestAGeneratedClientUnderstandsTheServer(t *testing.T) {
	dir, address := t.TempDir(), servers.FreeAddress(t)
	generated, overlay := filepath.Join(dir, "client.gen.go"), filepath.Join(dir, "overlay.json")
	out, err := exec.CommandContext(t.Context(), "go", "tool", "oapi-codegen", "-generate", "types,client", "-package", "main",
		"-o", generated, "../../../httpapi/openapi.yaml").CombinedOutput()
	require.NoError(t, err, "%s", out)
	inPlace := testhost.Must(filepath.Abs("openapiclient/client.gen.go"))
	text := testhost.Must(json.Marshal(map[string]any{"Replace": map[string]string{inPlace: generated}}))
	require.NoError(t, os.WriteFile(overlay, text, 0o600))
	client := servers.Build(t, "openapiclient", "-tags", "openapiclient", "-overlay", overlay)

	servers.Start(t, address, dir, servers.Build(t, "../../../examples/server"), "MISC_ADDR="+address, "MISC_DB=sqlite:misc.db",
		"MISC_N3D_KEY="+misctest.Key, "MISC_VERSIONS="+testhost.VersionFiles(t), "MISC_USER_LIMIT=9")
	out, err = exec.CommandContext(t.Context(), client, "http://"+address, testhost.Bob).CombinedOutput()
	require.NoError(t, err, "%s", out)
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
