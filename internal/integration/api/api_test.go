// Package api_test holds the exported API against a file, so that a review sees
// each change of it.
package api_test

import (
	"flag"
	"go/token"
	"go/types"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/tools/go/packages"
)

var update = flag.Bool("update", false, "write api.txt")

func TestTheExportedAPIIsThatOfItsFile(t *testing.T) {
	loaded, err := packages.Load(&packages.Config{Mode: packages.NeedName | packages.NeedTypes | packages.NeedSyntax, Dir: "../../.."}, "./...")
	require.NoError(t, err)
	var lines []string
	for _, p := range loaded {
		require.Empty(t, p.Errors, p.PkgPath)
		if p.Name != "main" && !strings.Contains(p.PkgPath, "/internal/") {
			lines = append(lines, exported(p.Types)...)
		}
	}
	slices.Sort(lines)
	require.Greater(t, len(lines), 100)
	if *update {
		require.NoError(t, os.WriteFile("api.txt", []byte(strings.Join(lines, "\n")+"\n"), 0o644))
	}
	file, err := os.ReadFile("api.txt")
	require.NoError(t, err)
	known := strings.Split(strings.TrimSuffix(string(file), "\n"), "\n")
	without := func(a, b []string) []string {
		return slices.DeleteFunc(slices.Clone(a), func(line string) bool { return slices.Contains(b, line) })
	}
	const meant = "the API has changed: if that is meant, run go test ./internal/integration/api -update, and say why in CHANGELOG.md"
	assert.Empty(t, without(lines, known), meant+"; these are new")
	assert.Empty(t, without(known, lines), meant+"; these are gone")
}

// exported returns a line for each name of a package that others can use.
func exported(p *types.Package) (lines []string) {
	_, path, _ := strings.Cut(p.Path(), "sealtalk-go/")
	qualify := func(other *types.Package) string {
		if other == p {
			return ""
		}
		return other.Name()
	}
	add := func(o types.Object, of string) {
		text := types.ObjectString(o, qualify)
		if c, ok := o.(*types.Const); ok {
			text += " = " + c.Val().ExactString()
		}
		lines = append(lines, path+": "+of+text)
	}
	for _, name := range p.Scope().Names() {
		o := p.Scope().Lookup(name)
		if !token.IsExported(name) {
			continue
		}
		named, isType := o.(*types.TypeName)
		if !isType {
			add(o, "")
			continue
		}
		switch u := named.Type().Underlying().(type) {
		case *types.Struct:
			lines = append(lines, path+": type "+name+" struct")
			for f := range u.Fields() {
				if f.Exported() {
					add(f, name+" ")
				}
			}
		case *types.Interface:
			lines = append(lines, path+": type "+name+" interface")
			for m := range u.Methods() {
				add(m, "")
			}
		default:
			add(o, "")
		}
		methods := types.NewMethodSet(types.NewPointer(named.Type()))
		if types.IsInterface(named.Type()) {
			continue
		}
		for m := range methods.Methods() {
			if m.Obj().Exported() {
				add(m.Obj(), "")
			}
		}
	}
	return lines
}
