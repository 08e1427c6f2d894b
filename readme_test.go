package misc_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(b)
}

func TestTheHostProgramOfTheREADMEIsTheOneThatCompiles(t *testing.T) {
	program := read(t, "examples/host/main.go")
	assert.LessOrEqual(t, strings.Count(program, "\n"), 45)
	for _, readme := range []string{"README.md", "README.zh-CN.md"} {
		assert.Contains(t, read(t, readme), "```go\n"+program+"```\n", readme)
	}
}

func TestBothREADMEsShowTheSame(t *testing.T) {
	english, chinese := read(t, "README.md"), read(t, "README.zh-CN.md")
	for name, part := range map[string]string{
		"headings":   `(?m)^#+ `,
		"table rows": `(?m)^\|`,
		"measures":   `(?m)^\|.* (≥|≤|for information).*\|$`,
		"names":      "`[A-Za-z]+\\.[A-Za-z]+`",
		"commands":   `(?m)^    (go|git) .*$`,
		"code":       "(?s)```.*?```",
		"list items": `(?m)^- `,
		"statuses":   `(?m)^\| [1-5][0-9][0-9][0-9, ]* `,
		"links":      `\]\((CHANGELOG|SECURITY)\.md\)`,
	} {
		re := regexp.MustCompile(part)
		assert.Equal(t, re.FindAllString(english, -1), re.FindAllString(chinese, -1), name)
	}
}
