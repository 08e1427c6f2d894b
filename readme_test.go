package misc_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var code = regexp.MustCompile("(?ms)^ *```.*?^ *```$")

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(b)
}

// anchors returns the anchors that GitHub makes from the headings of a page.
func anchors(t *testing.T, file string) (anchors []string) {
	t.Helper()
	without := regexp.MustCompile(`[^\pL\d _-]`)
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(code.ReplaceAllString(read(t, file), ""), -1) {
		anchors = append(anchors, "#"+strings.ReplaceAll(strings.ToLower(without.ReplaceAllString(heading[1], "")), " ", "-"))
	}
	return anchors
}

func TestTheHostProgramOfTheREADMEIsTheOneThatCompiles(t *testing.T) {
	program := read(t, "examples/host/main.go")
	assert.LessOrEqual(t, strings.Count(program, "\n"), 60)
	for _, readme := range []string{"README.md", "README.zh-CN.md"} {
		assert.True(t, strings.Contains(read(t, readme), "```go\n"+program+"```\n"), readme)
	}
}

func TestTheREADMEIsShort(t *testing.T) {
	other := regexp.MustCompile(`(?m)^\|.*$|!\[[^]]*\]\([^)]*\)`)
	words := strings.Fields(other.ReplaceAllString(code.ReplaceAllString(read(t, "README.md"), ""), ""))
	assert.LessOrEqual(t, len(words), 1000, "words outside code blocks, tables and pictures")
}

func TestBothLanguagesHaveTheSameCodeTablesNamesNumbersAndLinks(t *testing.T) {
	comment := regexp.MustCompile(`(?m)(^ *| +)(//|#|--) .*$`)
	pairs := []string{"README", "docs/databases", "docs/migrating", "docs/operations", "docs/releases", "examples/server/README"}
	inEnglish := []string{".zh-CN.md", ".md", "-zh.webp", "-en.webp", "-zh.svg", "-en.svg"} // the targets of Chinese links
	for _, page := range pairs {
		english, chinese := anchors(t, page+".md"), anchors(t, page+".zh-CN.md")
		require.Len(t, chinese, len(english), "headings of %s", page)
		for i, anchor := range chinese {
			inEnglish = append(inEnglish, anchor+")", english[i]+")")
		}
	}
	pages := strings.NewReplacer(inEnglish...)
	for _, page := range pairs {
		english, chinese := read(t, page+".md"), pages.Replace(read(t, page+".zh-CN.md"))
		blocks := func(text string) []string { // with comments in either language
			return code.FindAllString(comment.ReplaceAllString(text, ""), -1)
		}
		assert.Equal(t, blocks(english), blocks(chinese), page)
		english, chinese = code.ReplaceAllString(pages.Replace(english), ""), code.ReplaceAllString(chinese, "")
		for name, part := range map[string]string{
			"headings":    `(?m)^#+ `,
			"list items":  `(?m)^(- |\d+\. )`,
			"table cells": `(?m)^\||\|$| \| `,
			"row heads":   "(?m)^\\| (`(?:GET|POST|misc)[^`]*`|[1-5][0-9]{2}|([A-Z]+ \\| )?`[^`]*` \\|)",
			"bold":        `\*\*`,
			"ratios":      `(?m)\| [0-9.]+ \|$`,
		} {
			re := regexp.MustCompile(part)
			assert.Equal(t, re.FindAllString(english, -1), re.FindAllString(chinese, -1), "%s: %s", page, name)
		}
		// Chinese has another order of words.
		for name, part := range map[string]string{
			"names":   "`[^`\n]+`",
			"links":   `\]\([^)]*\)|<http[^>]*>`,
			"numbers": `[0-9]+(\.[0-9]+)*`,
		} {
			re := regexp.MustCompile(part)
			assert.ElementsMatch(t, re.FindAllString(english, -1), re.FindAllString(chinese, -1), "%s: %s", page, name)
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
