//go:build unix

package cluster_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sealtalk-go/misc/internal/integration/servers"
	"github.com/sealtalk-go/misc/internal/integration/testhost"
)

// The node keeps its connections, and so do the server's pool and the proxy.
func TestTheServerLeavesANodeThatHasLostItsClusterWithoutARestart(t *testing.T) {
	g := newGalera(t)
	g.AddFriend(t, 1, 2, 20)
	p := newProxy(t, nodes[1].Address())
	admin := g.pool(t, nodes[1].Address(), "?wsrep_dirty_reads=1")
	address := servers.FreeAddress(t)
	servers.Start(t, address, t.TempDir(), servers.Build(t, "../../../examples/server"), "MISC_ADDR="+address, "MISC_VERSIONS="+testhost.VersionFiles(t), "MISC_SEED=false",
		"MISC_DB=mysql:"+g.Server.Admin+"@tcp("+p.address+")/"+g.DBName+"?wsrep_sync_wait=1")
	ask := testhost.Client(t, address)
	set := func() int {
		status, _ := ask("POST", "/misc/set_screen_capture", `{"conversationType":1,"targetId":"z2mlAvb0c","noticeStatus":1}`)
		return status
	}
	ready := func(status int, database string) func() bool {
		return func() bool {
			gotStatus, gotBody := ask("GET", "/readyz", "")
			return gotStatus == status && strings.Contains(gotBody, `"database":"`+database+`"`)
		}
	}
	ask("POST", "/demo/login", `{"userId":1}`)
	testhost.Until(t, "the server is ready", ready(200, "ok"))
	assert.Equal(t, 200, set())

	execute(t, admin, `SET GLOBAL wsrep_provider_options = 'gmcast.isolate=1'`)
	defer execute(t, admin, `SET GLOBAL wsrep_provider_options = 'gmcast.isolate=0'`)
	testhost.Until(t, "it is told why the server is not ready", ready(503, "not part of the cluster"))
	assert.Equal(t, 500, set())
	status, _ := ask("GET", "/misc/latest_update?version=1.0.0", "")
	assert.Equal(t, 200, status)
	p.to(nodes[2].Address())
	testhost.Until(t, "the server is ready again", ready(200, "ok"))
	assert.Equal(t, 200, set())
}
