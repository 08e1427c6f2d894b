package docs_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	// row matches the start of a row of the tables in docs/operations.md, except for
	// messages with …, which are from net/http or a driver.
	row = regexp.MustCompile("(?m)^\\| (DEBUG|INFO|WARN|ERROR) \\| `([^`…]+)` \\|")

	// logs matches a call of a logger, and forwards one of the functions of
	// examples/server that log the message that they are given. A message is a text or
	// the name of a constant.
	logs     = regexp.MustCompile(`[lL]ogger\.(Log|LogAttrs|(?:Debug|Info|Warn|Error)(?:Context)?)\((.*)`)
	message  = regexp.MustCompile(`^(?:[^",]*, ?(level|slog\.Level\w+), ?|ctx, ?)?(?:"([^"]+)"|(\w+))[,)]`)
	forwards = regexp.MustCompile(`\b(report\(|logFaults\(logger, )"([^"]+)"`)
)

func TestTheOperationsPageHasEachMessageThatIsLoggedAndNoOther(t *testing.T) {
	page, err := os.ReadFile("../../../docs/operations.md")
	require.NoError(t, err)
	documented, logged := map[string]bool{}, map[string]bool{} // LEVEL message
	for _, r := range row.FindAllSubmatch(page, -1) {
		documented[string(r[1])+" "+string(r[2])] = true
	}
	for _, dir := range []string{".", "httpapi", "catalog", "session", "rongcloud", "sqlstore", "n3d", "examples/server"} {
		files, err := filepath.Glob(filepath.Join("../../..", dir, "*.go"))
		require.NoError(t, err)
		require.NotEmpty(t, files, dir)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, call := range forwards.FindAllStringSubmatch(string(text), -1) {
				logged["ERROR "+call[2]] = true
				if call[1] == "report(" {
					logged["INFO "+call[2]] = true
				}
			}
			for _, call := range logs.FindAllStringSubmatch(string(text), -1) {
				m := message.FindStringSubmatch(call[2])
				require.NotNil(t, m, "%s: the page cannot have the message of %s", file, call[0])
				if m[3] == "part" { // inside of what forwards matches
					continue
				}
				if m[3] != "" {
					constant := regexp.MustCompile(`\b` + m[3] + ` = "([^"]+)"`).FindSubmatch(text)
					require.NotNil(t, constant, "%s: %s is no constant", file, m[3])
					m[2] = string(constant[1])
				}
				level := strings.ToUpper(strings.TrimSuffix(call[1], "Context"))
				switch {
				case m[1] == "level": // httpapi uses one of these
					logged["INFO "+m[2]] = true
					level = "ERROR"
				case m[1] != "":
					level = strings.ToUpper(strings.TrimPrefix(m[1], "slog.Level"))
				}
				logged[level+" "+m[2]] = true
			}
		}
	}
	assert.Equal(t, slices.Sorted(maps.Keys(logged)), slices.Sorted(maps.Keys(documented)))
}
