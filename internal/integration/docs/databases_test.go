package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc/internal/integration/testhost"
)

func TestEachTestThatThePageOnDatabasesNamesExists(t *testing.T) {
	var sources strings.Builder
	for _, dir := range []string{"db", "cluster"} {
		for _, file := range testhost.Must(filepath.Glob("../" + dir + "/*_test.go")) {
			sources.Write(testhost.Must(os.ReadFile(file)))
		}
	}
	named := regexp.MustCompile("`(Test\\w+)(…?)`").FindAllStringSubmatch(string(testhost.Must(os.ReadFile("../../../docs/databases.md"))), -1)
	require.NotEmpty(t, named)
	for _, name := range named {
		end := "("
		if name[2] != "" {
			end = ""
		}
		assert.Contains(t, sources.String(), "\nfunc "+name[1]+end)
	}
}
