package integration_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// forwarders are the functions that log a message that they are given, with the index
// of that argument and the levels.
var forwarders = map[string]struct {
	argument int
	levels   []string
}{
	"logFaults": {1, []string{"ERROR"}},
	"report":    {0, []string{"INFO", "ERROR"}},
}

// logCalls are the methods of a slog.Logger, with the index of the argument that is the
// message, and the level, which is empty if it is an argument too.
var logCalls = map[string]struct {
	argument int
	level    string
}{
	"Debug": {0, "DEBUG"}, "DebugContext": {1, "DEBUG"}, "Info": {0, "INFO"}, "InfoContext": {1, "INFO"},
	"Warn": {0, "WARN"}, "WarnContext": {1, "WARN"}, "Error": {0, "ERROR"}, "ErrorContext": {1, "ERROR"},
	"Log": {2, ""}, "LogAttrs": {2, ""},
}

// row matches the start of a row of the tables in docs/operations.md, except for
// messages with …, which are from net/http or a driver.
var row = regexp.MustCompile("(?m)^\\| (DEBUG|INFO|WARN|ERROR) \\| `([^`…]+)` \\|")

func TestTheOperationsPageHasEachMessageThatIsLoggedAndNoOther(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	documented := map[string]bool{} // LEVEL message
	for _, r := range row.FindAllSubmatch(page, -1) {
		documented[string(r[1])+" "+string(r[2])] = true
	}
	logged := map[string]bool{}
	for _, dir := range []string{".", "httpapi", "catalog", "rongcloud", "sqlstore", "n3d", "examples/server"} {
		files, err := filepath.Glob(filepath.Join("../..", dir, "*.go"))
		require.NoError(t, err)
		files = slices.DeleteFunc(files, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
		require.NotEmpty(t, files, dir)
		for _, line := range loggedBy(t, files) {
			logged[line] = true
		}
	}
	assert.Equal(t, slices.Sorted(maps.Keys(logged)), slices.Sorted(maps.Keys(documented)))
}

// loggedBy returns the level and the message of each line that a package logs.
func loggedBy(t *testing.T, files []string) (lines []string) {
	t.Helper()
	fset, constants := token.NewFileSet(), map[string]string{}
	var parsed []*ast.File
	for _, name := range files {
		file, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		parsed = append(parsed, file)
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok {
				for i, value := range spec.Values {
					if text, ok := literal(value); ok && len(spec.Names) == len(spec.Values) {
						constants[spec.Names[i].Name] = text
					}
				}
			}
			return true
		})
	}
	for _, file := range parsed {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			argument, levels := 0, []string(nil)
			switch f := call.Fun.(type) {
			case *ast.Ident:
				argument, levels = forwarders[f.Name].argument, forwarders[f.Name].levels
			case *ast.SelectorExpr:
				method, isLog := logCalls[f.Sel.Name]
				if !isLog || !isLogger(f.X) {
					return true
				}
				if argument, levels = method.argument, []string{method.level}; method.level == "" {
					levels = levelsOf(call.Args[1])
				}
			}
			if levels == nil {
				return true
			}
			message := call.Args[argument]
			text, ok := literal(message)
			if name, isName := message.(*ast.Ident); isName && !ok {
				if name.Name == "part" { // inside a forwarder
					return true
				}
				text, ok = constants[name.Name]
			}
			require.True(t, ok, "%s: the message is no constant, so the page cannot have it", fset.Position(call.Pos()))
			for _, level := range levels {
				lines = append(lines, level+" "+text)
			}
			return true
		})
	}
	return lines
}

// isLogger reports whether x has the name of a logger, such as logger, c.logger or
// h.cfg.Logger, or is slog itself.
func isLogger(x ast.Expr) bool {
	name := ""
	switch x := x.(type) {
	case *ast.Ident:
		name = x.Name
	case *ast.SelectorExpr:
		name = x.Sel.Name
	}
	return strings.EqualFold(name, "logger") || name == "slog"
}

// levelsOf returns the levels of a level that is an argument. A variable has one of the
// two levels that httpapi uses.
func levelsOf(x ast.Expr) []string {
	if level, ok := x.(*ast.SelectorExpr); ok {
		return []string{strings.ToUpper(strings.TrimPrefix(level.Sel.Name, "Level"))}
	}
	return []string{"INFO", "ERROR"}
}

func literal(x ast.Expr) (string, bool) {
	l, ok := x.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(l.Value)
	return text, err == nil
}
