//go:build unix

package alerts_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/sealtalk-go/misc/internal/integration/servers"
)

const dir = "../../../examples/server"

// load reads a file of that directory.
func load(t *testing.T, file string, v any) {
	text, err := os.ReadFile(filepath.Join(dir, file))
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, v))
}

func TestEachAlertFiresWhenItMustAndNotOtherwise(t *testing.T) {
	promtool := servers.Find("promtool")
	if promtool == "" {
		servers.NotInstalled(t, "promtool", "prometheus")
	}
	cmd := exec.CommandContext(t.Context(), promtool, "test", "rules", "alerts_test.yml")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	assert.NoError(t, err, "%s", out)

	var rules struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	load(t, "alerts.yml", &rules)
	var tests struct {
		Tests []struct {
			Cases []struct {
				Alert  string `yaml:"alertname"`
				Alerts []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	load(t, "alerts_test.yml", &tests)
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, test := range tests.Tests {
		for _, c := range test.Cases {
			fires[c.Alert] = fires[c.Alert] || len(c.Alerts) > 0
			silent[c.Alert] = silent[c.Alert] || len(c.Alerts) == 0
		}
	}
	page, err := os.ReadFile("../../../docs/operations.md")
	require.NoError(t, err)
	require.NotEmpty(t, rules.Groups)
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			assert.True(t, fires[rule.Alert] && silent[rule.Alert], "%s has no test that fires, or none that does not", rule.Alert)
			for _, metric := range regexp.MustCompile(`\b(misc|go|process)_\w+`).FindAllString(rule.Expr, -1) {
				assert.True(t, strings.Contains(string(page), metric), "%s: docs/operations.md does not have the metric %s", rule.Alert, metric)
			}
		}
	}
}
