//go:build unix

package docs_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	"github.com/pb33f/libopenapi/datamodel/high/base"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/catalog"
	"github.com/sealtalk-go/misc/httpapi"
	"github.com/sealtalk-go/misc/internal/integration/servers"
	"github.com/sealtalk-go/misc/internal/integration/testhost"
	"github.com/sealtalk-go/misc/misctest"
)

const readmePage = "../../../README.md"

var readmeBlocks = regexp.MustCompile("(?s)```(?:go|sh|sql)\n(.*?)```\n")

// readmeBlock returns the block of code in the README that contains words.
func readmeBlock(t *testing.T, words string) string {
	t.Helper()
	for _, block := range readmeBlocks.FindAllStringSubmatch(string(testhost.Must(os.ReadFile(readmePage))), -1) {
		if strings.Contains(block[1], words) {
			return block[1]
		}
	}
	require.FailNow(t, "no block of the README has "+words)
	return ""
}

// A readmeCommand is a curl command in the README, with the answer below it.
type readmeCommand struct {
	method, path, contentType, cookie, body, answer string
}

func readmeCommands(t *testing.T) (commands []readmeCommand) {
	t.Helper()
	for line := range strings.Lines(strings.ReplaceAll(readmeBlock(t, "curl "), "\\\n", "")) {
		if answer, ok := strings.CutPrefix(line, "# "); ok {
			commands[len(commands)-1].answer = strings.TrimSpace(answer)
			continue
		}
		part := func(pattern string) string {
			found := regexp.MustCompile(pattern).FindStringSubmatch(line)
			require.NotNil(t, found, "%s in %s", pattern, line)
			return found[1]
		}
		c := readmeCommand{method: "GET", path: part(`127\.0\.0\.1:8080(/[^ '\n]*)`)}
		if strings.Contains(line, " -d ") {
			c.method, c.contentType, c.cookie, c.body = "POST", part(`-H 'Content-Type: ([^']*)'`), part(`-b (\S+)`), part(`-d '([^']*)'`)
		}
		commands = append(commands, c)
	}
	return commands
}

// A reader runs the program with the stand-in for RongCloud first, and then with a
// database.
func TestTheHostOfTheREADMERunsInAnEmptyDirectory(t *testing.T) {
	replace := func(s string, oldnew ...string) string {
		for i := 0; i < len(oldnew); i += 2 {
			require.Equal(t, 1, strings.Count(s, oldnew[i]), "%q", oldnew[i])
			s = strings.Replace(s, oldnew[i], oldnew[i+1], 1)
		}
		return s
	}
	statement := func(program, pattern string) string { return regexp.MustCompile(pattern).FindString(program) }
	const anImport = "\t\"github.com/sealtalk-go/misc/rongcloud\"\n"
	cloud := servers.FreeAddress(t)
	inMemory := replace(readmeBlock(t, "func main"),
		"func main() {\n", "func main() {\n"+replace(readmeBlock(t, "misctest.NewCloud"), "127.0.0.1:9000", cloud),
		"rongcloud.Beijing", fmt.Sprintf("%q", "http://"+cloud),
		"127.0.0.1:8080", "127.0.0.1:8585", // which RunText replaces
		"\t\"context\"\n", "\t\"context\"\n\t\"fmt\"\n",
		anImport, anImport+"\t\"github.com/sealtalk-go/misc/misctest\"\n")
	onDatabase := replace(inMemory,
		statement(inMemory, `(?m)^var sessions = .*\n`), readmeBlock(t, "var codec"),
		statement(inMemory, `(?s)\tsvc := .*?\}\)\)\n`), readmeBlock(t, "sqlstore.New"),
		"\t\"context\"\n", "\t\"context\"\n\t\"database/sql\"\n",
		anImport, anImport+"\t\"github.com/sealtalk-go/misc/n3d\"\n\t\"github.com/sealtalk-go/misc/sqlstore\"\n\t_ \"modernc.org/sqlite\"\n")
	files, _, found := strings.Cut(readmeBlock(t, "mkdir versions"), "go mod init")
	require.True(t, found)
	t.Setenv("APP_KEY", "key")
	t.Setenv("APP_SECRET", "secret")

	for name, program := range map[string]string{"in memory": inMemory, "on a database": onDatabase} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			create := exec.CommandContext(t.Context(), "sh", "-ec", files)
			create.Dir = dir
			out, err := create.CombinedOutput()
			require.NoError(t, err, "%s", out)
			address, _, log := servers.RunText(t, dir, program)
			friend := "bob"
			if program == onDatabase {
				rows := readmeBlock(t, "INSERT")
				friend = misctest.ID(2)
				require.Contains(t, rows, misctest.ID(1)+", "+friend+" and "+misctest.ID(7)+".\n")
				db := servers.OpenSQLite(filepath.Join(dir, "misc.db"))
				defer db.Close()
				_, err := db.Exec(rows)
				require.NoError(t, err)
			}
			commands := readmeCommands(t)
			require.Len(t, commands, 3)
			square := regexp.MustCompile(`echo '([^']*)' >versions/demo_square.json`).FindStringSubmatch(files)
			require.NotNil(t, square)
			for _, c := range append(commands, readmeCommand{method: "GET", path: "/misc/demo_square", answer: `{"code":200,"result":` + square[1] + `}`}) {
				r := testhost.Must(http.NewRequestWithContext(t.Context(), c.method, "http://"+address+c.path, strings.NewReader(strings.Replace(c.body, "bob", friend, 1))))
				if c.method == http.MethodPost {
					r.Header.Set("Content-Type", c.contentType)
					r.Header.Set("Cookie", c.cookie)
				}
				resp, body := testhost.Ask(t, http.DefaultClient, r)
				require.Equal(t, http.StatusOK, resp.StatusCode, "%s\n%s", body, log)
				require.JSONEq(t, c.answer, body)
			}
			_, sent := testhost.Ask(t, http.DefaultClient, testhost.Request(t.Context(), "GET", "http://"+address+"/sent", ""))
			require.Contains(t, sent, "openScreenNtf")
		})
	}
}

// A documented field is one in the README's table of the endpoints.
type documented struct {
	name, kind string // the kind as in the table: number, string or object, …
	required   bool
	example    string // JSON, except in a query; empty if the row has fewer examples than fields
}

// readmeEndpoints reads from the table which fields each endpoint takes and answers.
func readmeEndpoints(t *testing.T) (asked, answered map[string][]documented) {
	t.Helper()
	asked, answered = map[string][]documented{}, map[string][]documented{}
	_, table, found := strings.Cut(string(testhost.Must(os.ReadFile(readmePage))), "\n## Endpoints\n")
	require.True(t, found)
	table, _, found = strings.Cut(table, "\n## ")
	require.True(t, found)
	code := regexp.MustCompile("`([^`]*)`")
	endpoint, into := "", asked
	for row := range strings.Lines(table) {
		cells := strings.Split(row, "|")
		if len(cells) != 7 || !strings.Contains(cells[2], "`") {
			continue
		}
		if name := code.FindStringSubmatch(cells[1]); name != nil {
			endpoint, into = name[1], asked
		}
		if strings.Contains(cells[1], "200") {
			into = answered
		}
		kinds, examples := strings.Split(strings.TrimSpace(cells[3]), ", "), code.FindAllStringSubmatch(cells[5], -1)
		for i, field := range code.FindAllStringSubmatch(cells[2], -1) {
			d := documented{name: field[1], kind: kinds[min(i, len(kinds)-1)], required: strings.TrimSpace(cells[4]) == "yes"}
			if i < len(examples) {
				d.example = examples[i][1]
			}
			into[endpoint] = append(into[endpoint], d)
		}
	}
	return asked, answered
}

// That the handler keeps to the document is tested in http, and that the table does,
// below.
func TestTheExamplesOfTheREADMEAreRequestsAndAnswers(t *testing.T) {
	asked, answered := readmeEndpoints(t)
	examples := map[string]string{}
	for endpoint, fields := range answered {
		for _, d := range fields {
			examples[endpoint+" "+d.name] = d.example
		}
	}
	var release []string
	for _, d := range answered["GET /misc/latest_update"] {
		release = append(release, fmt.Sprintf("%q:%s", d.name, d.example))
	}
	mobile := examples["GET /misc/client_version iOS"]
	host := testhost.New()
	host.Misc.Versions = testhost.Must(misc.NewStaticVersions(
		testhost.Must(catalog.ParseRelease([]byte("{"+strings.Join(release, ",")+"}"))),
		testhost.Must(catalog.ParseClientVersions(fmt.Appendf(nil, `{"iOS":%s,"Android":%s}`, mobile, mobile)))))
	host.Misc.Square = testhost.SquareOf(examples["GET /misc/demo_square result"])
	host.Misc.Relations = misctest.NewRelations(misctest.World{Friends: [][2]string{{testhost.Alice, "bob"}}})
	require.NoError(t, host.Misc.Captures.SetScreenCapture(t.Context(), misc.PrivateConversation(testhost.Alice, "bob"), misc.NoticeOn)) // as in the example
	h := host.Handler()

	for endpoint, answer := range answered {
		method, path, _ := strings.Cut(endpoint, " ")
		t.Run(endpoint, func(t *testing.T) {
			query, members := url.Values{}, []string{}
			for _, d := range asked[endpoint] {
				require.NotEmpty(t, d.example, d.name)
				query.Set(d.name, d.example)
				members = append(members, fmt.Sprintf("%q:%s", d.name, d.example))
			}
			if method == http.MethodGet {
				path += "?" + query.Encode()
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, testhost.Request(t.Context(), method, path, "{"+strings.Join(members, ",")+"}"))
			require.Equal(t, http.StatusOK, w.Code, w.Body)
			var got map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got), w.Body)
			for _, d := range answer {
				require.Contains(t, got, d.name)
				if d.example != "" && !strings.Contains(d.example, "…") {
					assert.JSONEq(t, d.example, string(got[d.name]), d.name)
				}
			}
		})
	}
}

// kinds returns the types that a schema allows, under the names that the README uses.
func kinds(p *base.SchemaProxy) (names []string) {
	s := p.Schema()
	if len(s.Type) > 0 {
		return []string{strings.NewReplacer("integer", "number", "array", "list").Replace(s.Type[0])}
	}
	for _, one := range s.OneOf {
		names = append(names, kinds(one)...)
	}
	for _, value := range s.Enum {
		names = append(names, map[string]string{"!!str": "string", "!!int": "number"}[value.Tag])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// The table has every field of the document, and no others. Numbers may also be sent as
// strings, which the README says below the table.
func TestTheREADMEHasTheFieldsOfTheContract(t *testing.T) {
	asked, answered := readmeEndpoints(t)
	model, err := testhost.Must(libopenapi.NewDocument(httpapi.OpenAPI())).BuildV3Model()
	require.NoError(t, err)
	compare := func(t *testing.T, documented []documented, content *v3.MediaType) {
		s := content.Schema.Schema()
		want, got := map[string]bool{}, map[string]bool{} // whether each is required
		for name := range s.Properties.KeysFromOldest() {
			want[name] = slices.Contains(s.Required, name)
		}
		for _, d := range documented {
			got[d.name] = d.required
			if property := s.Properties.GetOrZero(d.name); assert.NotNil(t, property, d.name) {
				kinds := kinds(property)
				if slices.Equal(kinds, []string{"number", "string"}) { // the README has one, and says so of numbers
					assert.Contains(t, kinds, d.kind, d.name)
				} else {
					assert.ElementsMatch(t, kinds, strings.Split(d.kind, " or "), d.name)
				}
			}
		}
		assert.Equal(t, want, got)
	}
	endpoints := 0
	for path, item := range model.Model.Paths.PathItems.FromOldest() {
		for method, operation := range item.GetOperations().FromOldest() {
			endpoint := strings.ToUpper(method) + " " + path
			if method == "head" {
				continue
			}
			endpoints++
			t.Run(endpoint, func(t *testing.T) {
				if method == "get" {
					want, got := map[string]bool{}, map[string]bool{}
					for _, p := range operation.Parameters {
						if p.In == "query" {
							want[p.Name] = p.Required != nil && *p.Required
						}
					}
					for _, d := range asked[endpoint] {
						got[d.name] = d.required
						assert.Equal(t, "string", d.kind, d.name)
					}
					assert.Equal(t, want, got)
				} else {
					compare(t, asked[endpoint], operation.RequestBody.Content.GetOrZero("application/json"))
				}
				compare(t, answered[endpoint], operation.Responses.Codes.GetOrZero("200").Content.GetOrZero("application/json"))
			})
		}
	}
	require.Len(t, answered, endpoints, "endpoints in the table")
}

func TestTheREADMENamesTheDriversThatAreTested(t *testing.T) {
	readme, mod := string(testhost.Must(os.ReadFile(readmePage))), string(testhost.Must(os.ReadFile("../go.mod")))
	drivers := regexp.MustCompile("`((?:github\\.com|modernc\\.org)/[^`]+?)(?:/stdlib)?` \\| `[^|]*` \\| [^|]*driver ([0-9.]+) ").FindAllStringSubmatch(readme, -1)
	require.Len(t, drivers, 3)
	for _, driver := range drivers {
		assert.Contains(t, mod, "\t"+driver[1]+" v"+driver[2]+"\n")
	}
}
