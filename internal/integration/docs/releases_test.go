package docs_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc/internal/integration/testhost"
)

// The console blocks of the page are run by the test of cmd/misc-catalog.
func TestTheCodeOfThePageOnReleasesIsThatOfTheExamples(t *testing.T) {
	undented := func(text string) string { return regexp.MustCompile(`(?m)^\t+`).ReplaceAllString(text, "") }
	page := string(testhost.Must(os.ReadFile("../../../docs/releases.md")))
	examples := undented(string(testhost.Must(os.ReadFile("../../../catalog/example_test.go"))))
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```\n").FindAllStringSubmatch(page, -1)
	require.Len(t, blocks, 3)
	for _, block := range blocks {
		assert.True(t, strings.Contains(examples, undented(block[1])), "no example has these lines:\n%s", block[1])
	}
}
