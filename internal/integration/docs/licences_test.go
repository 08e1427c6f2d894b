package docs_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write examples/server/LICENSES.md")

// phrases are found in the licenses that a program like this may ship with, in the
// order in which they are looked for.
var phrases = []struct{ license, text string }{
	{"Apache-2.0", "Apache License"},
	{"MPL-2.0", "Mozilla Public License"},
	{"BSD-3-Clause", "Neither the name"},
	{"BSD-3-Clause", "names of its contributors may"},
	{"BSD-2-Clause", "Redistribution and use in source and binary forms"},
	{"ISC", "Permission to use, copy, modify, and/or distribute this software"},
	{"MIT", "Permission is hereby granted, free of charge"},
}

// Whoever passes the program on must name the licenses of what is in it.
func TestTheLicensesOfTheServersModulesAreListed(t *testing.T) {
	list := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Dir}}{{end}}{{end}}", ".")
	list.Dir, list.Env = "../../../examples/server", append(os.Environ(), "GOWORK=off")
	out, err := list.Output()
	require.NoError(t, err)
	page := "# Licenses\n\nThe program has code of these modules. `go test ./internal/integration/docs -update` writes this list.\n\n| module | license |\n|---|---|\n"
	modules := strings.Split(strings.TrimSpace(string(out)), "\n")
	slices.Sort(modules)
	for _, module := range slices.Compact(modules) {
		path, dir, _ := strings.Cut(module, "\t")
		if path == "" {
			continue
		}
		license := ""
		if path == "github.com/sealtalk-go/misc" {
			dir = "../../.."
		}
		files, err := filepath.Glob(filepath.Join(dir, "LICEN[CS]E*"))
		require.NoError(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, p := range phrases {
				if license == "" && strings.Contains(strings.Join(strings.Fields(string(text)), " "), p.text) {
					license = p.license
				}
			}
		}
		require.NotEmpty(t, license, "%s has none of the known licenses: look at %s", path, dir)
		page += fmt.Sprintf("| %s | %s |\n", path, license)
	}
	const name = "../../../examples/server/LICENSES.md"
	if *update {
		require.NoError(t, os.WriteFile(name, []byte(page), 0o644))
	}
	file, err := os.ReadFile(name)
	require.NoError(t, err)
	assert.Equal(t, page, string(file))
}
