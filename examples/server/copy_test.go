package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// It follows README.md, "A login of your own".
func TestACopyWithALoginOfItsOwnPassesVetAndAllTests(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	_, section, _ := strings.Cut(string(readme), "\n## A login of your own\n")
	var blocks []string
	for _, block := range regexp.MustCompile("(?s)```(?:sh|go)\n(.*?)```\n").FindAllStringSubmatch(section, 4) {
		blocks = append(blocks, block[1])
	}
	require.Len(t, blocks, 4, "copy, two files, check")

	copied := filepath.Join(t.TempDir(), "misc-server")
	t.Setenv("GOWORK", "off")
	info, _ := debug.ReadBuildInfo()
	if slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) { // so that what both need is compiled only once
		t.Setenv("GOFLAGS", os.Getenv("GOFLAGS")+" -race")
	}
	follow := func(dir, steps string) {
		cmd := exec.CommandContext(t.Context(), "sh", "-ec", steps)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	require.Contains(t, blocks[0], "~/misc-server")
	follow("../..", strings.ReplaceAll(blocks[0], "~/misc-server", copied))
	for i, file := range []string{"login.go", "login_test.go"} {
		path := filepath.Join(copied, file)
		assert.FileExists(t, path)
		require.NoError(t, os.WriteFile(path, []byte(blocks[1+i]), 0o600))
	}
	follow(copied, blocks[3])
}
