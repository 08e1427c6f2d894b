//go:build unix

package integration_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const mountingPage = "../../docs/mounting.md"

var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```\n")

// Most blocks are whole files. The others are parts of a file.
func TestTheCodeOfThePageOnMountingIsTheOneThatCompiles(t *testing.T) {
	page := string(must(os.ReadFile(mountingPage)))
	files := must(filepath.Glob("hosts/*/*.go"))
	for _, file := range files {
		assert.Contains(t, page, "```go\n"+string(must(os.ReadFile(file)))+"```\n", file)
	}
	files = append(files, must(filepath.Glob("hosts_*_test.go"))...)
	blocks := goBlock.FindAllStringSubmatch(page, -1)
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		found := false
		for _, file := range files {
			found = found || strings.Contains("\n"+string(must(os.ReadFile(file))), "\n"+block[1])
		}
		assert.True(t, found, "no file has these lines:\n%s", block[1])
	}
}
