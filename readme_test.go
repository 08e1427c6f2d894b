package misc_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var code = regexp.MustCompile("(?ms)^```.*?^```$|^    .*?$|<!--.*?-->")

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

func TestTheREADMEIsShort(t *testing.T) {
	words := strings.Fields(code.ReplaceAllString(read(t, "README.md"), ""))
	assert.LessOrEqual(t, len(words), 1300, "words outside code blocks")
}

func TestBothLanguagesSayTheSame(t *testing.T) {
	for _, page := range []string{"README", "docs/migrating"} {
		english, chinese := read(t, page+".md"), read(t, page+".zh-CN.md")
		comment := regexp.MustCompile(`(?m)(^ *| +)(//|#|--) .*$`)
		for name, part := range map[string]string{
			"headings":    `(?m)^#+ `,
			"list items":  `(?m)^(- |\d+\. )`,
			"blocks":      "(?ms)^ *```.*?^ *```$",
			"table cells": `(?m)^\||\|$| \| `,
			"bold":        `\*\*.*?\*\*()`,
			"row heads":   "(?m)^\\| (`(?:GET|POST|misc)[^`]*`|[1-5][0-9]{2})",
			"ratios":      `(?m)\| [0-9.]+ \|$`,
		} {
			re := regexp.MustCompile(part)
			matches := func(text string) (all []string) {
				for _, m := range re.FindAllStringSubmatch(text, -1) {
					match := m[len(m)-1]
					if name == "blocks" {
						match = comment.ReplaceAllString(match, "")
					}
					all = append(all, match)
				}
				return all
			}
			assert.Equal(t, matches(english), matches(chinese), "%s: %s", page, name)
		}
		// The order of the words is another one in Chinese.
		for name, part := range map[string]string{"names": "`[^`\n]+`", "links": `\]\([^)]*\)|<http[^>]*>`, "numbers": `[0-9]+(\.[0-9]+)*`} {
			re := regexp.MustCompile(part)
			sorted := func(text string) []string {
				text = strings.ReplaceAll(code.ReplaceAllString(text, ""), ".zh-CN.md", ".md")
				text = strings.NewReplacer("#行为差异", "#what-differs", "-zh.webp", "-en.webp", "README.md", "README", "migrating.md", "migrating").Replace(text)
				return slices.Sorted(slices.Values(re.FindAllString(text, -1)))
			}
			assert.Equal(t, sorted(english), sorted(chinese), "%s: %s", page, name)
		}
	}
}

// fieldRows returns the rows on fields in the table of the endpoints, with their types and
// whether they are required in English.
func fieldRows(t *testing.T, readme string) (rows []string) {
	t.Helper()
	english := strings.NewReplacer("字符串", "string", "数字", "number", "对象", "object", "列表", "list", "、", ", ", "或", " or ", "是", "yes", "否", "no")
	for row := range strings.Lines(read(t, readme)) {
		cells := strings.Split(row, " | ")
		if len(cells) != 5 {
			continue
		}
		if required := english.Replace(cells[3]); required == "yes" || required == "no" {
			rows = append(rows, english.Replace(cells[1]+" | "+cells[2])+" | "+required)
		}
	}
	return rows
}

func TestBothLanguagesHaveTheSameFields(t *testing.T) {
	english := fieldRows(t, "README.md")
	assert.Greater(t, len(english), 15)
	assert.Equal(t, english, fieldRows(t, "README.zh-CN.md"))
}

func TestTheRatiosOfTheREADMEAreThoseOfThePage(t *testing.T) {
	page := read(t, "docs/performance.md")
	rows := regexp.MustCompile(`(?m)^\| (.*) \| ([0-9.]+) \|$`).FindAllStringSubmatch(read(t, "README.md"), -1)
	assert.Len(t, rows, 5)
	for _, row := range rows {
		assert.Regexp(t, `(?m)^\| `+regexp.QuoteMeta(row[1])+` \|.*\| `+regexp.QuoteMeta(row[2])+` \| ≥ `, page)
	}
}
