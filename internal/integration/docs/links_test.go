package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// anchor returns the anchor that GitHub makes from a heading.
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
	require.NoError(t, filepath.WalkDir("../../..", func(page string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(page) != ".md" {
			return err
		}
		pages++
		for _, l := range link.FindAllStringSubmatch(outsideCode(t, page), -1) {
			target := page
			if l[1] != "" {
				target = filepath.Join(filepath.Dir(page), l[1])
			}
			if !assert.FileExists(t, target, "%s: %s", page, l[0]) || l[2] == "" {
				continue
			}
			var anchors []string
			for _, h := range heading.FindAllStringSubmatch(outsideCode(t, target), -1) {
				anchors = append(anchors, "#"+anchor(h[1]))
			}
			assert.Contains(t, anchors, l[2], "%s: %s", page, l[0])
		}
		return nil
	}))
	assert.Greater(t, pages, 8)
}

// outsideCode returns a page without its code and comments.
func outsideCode(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	return regexp.MustCompile("(?ms)^```.*?^```$|^    .*?$|<!--.*?-->").ReplaceAllString(string(text), "")
}
