package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc/internal/integration/testhost"
)

// Most blocks are whole files. The others are parts of a test.
func TestTheCodeOfThePageOnMountingIsTheOneThatCompiles(t *testing.T) {
	read := func(file string) string { return string(testhost.Must(os.ReadFile(file))) }
	page := read("../../../docs/mounting.md")
	files := testhost.Must(filepath.Glob("../hosts/*/*.go"))
	require.NotEmpty(t, files)
	for _, file := range files {
		assert.Contains(t, page, "```go\n"+read(file)+"```\n", file)
	}
	files = append(files, "../db/owntables_test.go", "../hosts/userservice_test.go", "../db/redis_test.go")
	for _, block := range regexp.MustCompile("(?s)```go\n(.*?)```\n").FindAllStringSubmatch(page, -1) {
		found := false
		for _, file := range files {
			found = found || strings.Contains("\n"+read(file), "\n"+block[1])
		}
		assert.True(t, found, "no file has these lines:\n%s", block[1])
	}
}

// Readers keep what the programs do not set. Without these, clients that send nothing hold connections for ever, and headers
// take a megabyte each.
func TestEachProgramLimitsItsConnections(t *testing.T) {
	servers := 0
	for _, page := range []string{"README.md", "README.zh-CN.md", "docs/mounting.md"} {
		text := testhost.Must(os.ReadFile("../../../" + page))
		for _, server := range regexp.MustCompile(`(?s)&http\.Server\{.*?\}`).FindAllString(string(text), -1) {
			servers++
			for _, limit := range []string{"ReadHeaderTimeout", "ReadTimeout", "WriteTimeout", "IdleTimeout", "MaxHeaderBytes"} {
				assert.Contains(t, server, limit+": ", page)
			}
		}
	}
	assert.Equal(t, 6, servers)
}
