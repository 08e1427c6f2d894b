package misc_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

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
			"commands":    `(?m)^    (go|git) .*$`,
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
		for name, part := range map[string]string{"names": "`[^`\n]+`", "links": `\]\([^)]*\)|<http[^>]*>`} {
			re := regexp.MustCompile(part)
			sorted := func(text string) []string {
				text = strings.ReplaceAll(code.ReplaceAllString(text, ""), ".zh-CN.md", ".md")
				text = strings.NewReplacer("-zh.webp", "-en.webp", "README.md", "README", "migrating.md", "migrating").Replace(text)
				return slices.Sorted(slices.Values(re.FindAllString(text, -1)))
			}
			assert.Equal(t, sorted(english), sorted(chinese), "%s: %s", page, name)
		}
	}
}

func TestTheRatiosOfTheREADMEAreThoseOfThePage(t *testing.T) {
	page := read(t, "docs/performance.md")
	rows := regexp.MustCompile(`(?m)^\| (.*) \| ([0-9.]+) \|$`).FindAllStringSubmatch(read(t, "README.md"), -1)
	assert.Len(t, rows, 5)
	for _, row := range rows {
		assert.Regexp(t, `(?m)^\| `+regexp.QuoteMeta(row[1])+` \|.*\| `+regexp.QuoteMeta(row[2])+` \| ≥ `, page)
	}
}

// anchor is what GitHub makes of a heading.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
}

func TestEachLinkOfEachPageLeadsSomewhere(t *testing.T) {
	link, heading := regexp.MustCompile(`\]\(([^)#:]*)(#[^)]*)?\)`), regexp.MustCompile(`(?m)^#+ (.*)$`)
	pages := 0
	require.NoError(t, filepath.WalkDir(".", func(page string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.Name() == "node_modules":
			return fs.SkipDir
		case filepath.Ext(page) != ".md":
			return nil
		}
		pages++
		for _, l := range link.FindAllStringSubmatch(code.ReplaceAllString(read(t, page), ""), -1) {
			target := page
			if l[1] != "" {
				target = filepath.Join(filepath.Dir(page), l[1])
			}
			if !assert.FileExists(t, target, "%s: %s", page, l[0]) || l[2] == "" {
				continue
			}
			var anchors []string
			for _, h := range heading.FindAllStringSubmatch(code.ReplaceAllString(read(t, target), ""), -1) {
				anchors = append(anchors, "#"+anchor(h[1]))
			}
			assert.Contains(t, anchors, l[2], "%s: %s", page, l[0])
		}
		return nil
	}))
	assert.Greater(t, pages, 8)
}
