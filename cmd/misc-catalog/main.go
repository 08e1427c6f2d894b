// Misc-catalog checks version files before they are published, says what changes
// for clients, and explains which desktop release a client gets.
//
//	misc-catalog check DIR [-strict] [-json]
//	misc-catalog diff OLD NEW [-strict] [-json]
//	misc-catalog explain DIR QUERY [-user-agent TEXT] [-json]
//
// DIR is a directory of files for package catalog: client_version.json, a
// releases.json or squirrel.json, and perhaps a demo_square.json.
//
// check prints every problem that would make a server refuse the files. If
// there is none, it prints the files with their revisions, the desktop releases,
// and a warning for each thing that is valid but probably a mistake. It assumes
// that the server has a Codec for ids that are numbers.
//
// diff says in words what changes from OLD to NEW: in the files, and for clients. It
// then prints the warnings that NEW has and OLD has not, and those about the change
// itself. OLD and NEW are directories or files. A file may have any name. It is
// compared as if it replaced the file of its kind in the other directory.
//
// explain prints the answer to GET /misc/latest_update?QUERY and, for each
// release, whether the client is offered it and, if not, why. QUERY is what a
// client sends, such as
// 'version=1.9.0&platform=darwin&os_version=14.4&id=7f3a', or a whole URL.
// -user-agent is the client's User-Agent, which tells the version of macOS if
// QUERY does not.
//
// With -json, the output is JSON. The exit code is 0 on success, 1 if a file is
// missing or invalid or if QUERY has no valid version, and 2 if the command line
// is wrong. With -strict, check and diff also exit with 1 if they print a warning.
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing/fstest"
	"text/tabwriter"
	"unicode"
	"unicode/utf16"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/catalog"
	"github.com/sealtalk-go/misc/n3d"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

const usage = `usage: misc-catalog check DIR [-strict] [-json]
       misc-catalog diff OLD NEW [-strict] [-json]
       misc-catalog explain DIR QUERY [-user-agent TEXT] [-json]

DIR holds the version files. OLD and NEW are such directories, or files. QUERY is what a client sends, as in
       misc-catalog explain versions 'version=1.9.0&platform=darwin&os_version=14.4&id=7f3a'

`

func run(args []string, out, errOut io.Writer) (exitCode int) {
	flags := flag.NewFlagSet("misc-catalog", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // it would print what was typed
	flags.Usage = func() {}
	asJSON := flags.Bool("json", false, "print JSON")
	strict := flags.Bool("strict", false, "check, diff: exit 1 for a warning as well")
	userAgent := flags.String("user-agent", "", "explain: the client's User-Agent, whose Darwin/N tells the version of macOS")
	words, err := parse(flags, args)
	set := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { set[f.Name] = true })
	printUsage := func() {
		flags.SetOutput(errOut)
		fmt.Fprint(errOut, usage)
		flags.PrintDefaults()
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		printUsage()
		return 0
	case err != nil:
		fmt.Fprintln(errOut, printable(err.Error()))
		printUsage()
		return 2
	case len(words) == 2 && words[0] == "check" && !set["user-agent"]:
		return check(words[1], *strict, *asJSON, out)
	case len(words) == 3 && words[0] == "diff" && !set["user-agent"]:
		return diff(words[1], words[2], *strict, *asJSON, out, errOut)
	case len(words) == 3 && words[0] == "explain" && !set["strict"]:
		return explain(words[1], words[2], *userAgent, *asJSON, out, errOut)
	}
	printUsage()
	return 2
}

// parse accepts flags in any position.
func parse(flags *flag.FlagSet, args []string) (words []string, err error) {
	for len(args) > 0 {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		if args = flags.Args(); len(args) > 0 {
			words, args = append(words, args[0]), args[1:]
		}
	}
	return words, nil
}

// open is catalog.Open as a server calls it, except that any key will do for
// the ids of demo_square.json.
func open(dir string) (*catalog.Catalog, error) {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return nil, named(dir, err)
	case !info.IsDir():
		return nil, fmt.Errorf("%s is a file: name the directory that it is in", printable(dir))
	}
	return openFS(os.DirFS(dir))
}

func openFS(files fs.FS) (*catalog.Catalog, error) {
	codec, err := n3d.New("any key")
	if err != nil {
		return nil, err
	}
	return catalog.Open(files, catalog.Config{Codec: codec, Logger: slog.New(slog.DiscardHandler)})
}

// report is what check prints.
type report struct {
	Files    map[string]string `json:"files,omitempty"` // revisions by name
	Releases []catalog.Row     `json:"releases,omitempty"`
	Problems []string          `json:"problems"`
	Warnings []string          `json:"warnings"`
}

func check(dir string, strict, asJSON bool, out io.Writer) (exitCode int) {
	c, err := open(dir)
	if err != nil {
		return refuse(err, asJSON, out, out)
	}
	found := report{c.Revisions(), c.Releases().Table(), []string{}, append([]string{}, c.Warnings()...)}
	if strict && len(found.Warnings) > 0 {
		exitCode = 1
	}
	if asJSON {
		printJSON(out, found)
		return exitCode
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, file := range slices.Sorted(maps.Keys(found.Files)) {
		fmt.Fprintf(table, "%s\t%s\n", printable(filepath.Join(dir, file)), found.Files[file])
	}
	_ = table.Flush() // it writes to where the lines below go
	fmt.Fprintln(out)
	if len(found.Releases) > 0 {
		fmt.Fprintln(table, "version\tchannel\tshare\tfrom\tbuilds")
		for _, r := range found.Releases {
			share := r.Share
			if r.Withdrawn != "" {
				share = "withdrawn: " + r.Withdrawn
			}
			builds := append(r.Builds, "") // at least one line
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", r.Version, r.Channel, share, cmp.Or(r.From, "-"), cmp.Or(builds[0], "-"))
			for _, b := range builds[1:max(1, len(builds)-1)] {
				fmt.Fprintf(table, "\t\t\t\t%s\n", b)
			}
		}
		_ = table.Flush()
		fmt.Fprintln(out)
	}
	printWarnings(found.Warnings, out)
	fmt.Fprintf(out, "%s is valid: %s\n", printable(dir), c.Releases())
	return exitCode
}

// refuse prints the errors that err joins: as JSON to out, otherwise to text.
func refuse(err error, asJSON bool, out, text io.Writer) int {
	problems := strings.Split(err.Error(), "\n")
	for i, p := range problems {
		problems[i] = printable(p)
	}
	if asJSON {
		printJSON(out, report{Problems: problems, Warnings: []string{}})
		return 1
	}
	for _, p := range problems {
		fmt.Fprintln(text, p)
	}
	return 1
}

func printWarnings(warnings []string, out io.Writer) {
	for _, w := range warnings {
		fmt.Fprintln(out, "warning:", w)
	}
}

func diff(old, new string, strict, asJSON bool, out, errOut io.Writer) (exitCode int) {
	was, err := load(old, new)
	is, fault := load(new, old)
	if err == nil || fault != nil && fault.Error() != err.Error() {
		err = errors.Join(err, fault)
	}
	if err != nil {
		return refuse(err, asJSON, out, errOut)
	}
	d := is.Diff(was)
	if strict && len(d.Warnings) > 0 {
		exitCode = 1
	}
	if asJSON {
		printJSON(out, d)
		return exitCode
	}
	for _, change := range d.Changes {
		fmt.Fprintln(out, change)
	}
	if len(d.Clients) > 0 {
		fmt.Fprintln(out, "\nclients:")
	}
	for _, change := range d.Clients {
		fmt.Fprintln(out, " ", change)
	}
	if len(d.Warnings) > 0 {
		fmt.Fprintln(out)
	}
	switch {
	case !d.Complete:
		fmt.Fprintln(out, "the files are too large to ask for every client: there may be more")
	case len(d.Changes) == 0 && len(d.Clients) == 0:
		fmt.Fprintln(out, "nothing changes for clients")
	}
	printWarnings(d.Warnings, out)
	return exitCode
}

// load opens a directory, or a file as if it were in the directory other or, if that is
// a file too, in one with nothing else to compare. Its errors name the path.
func load(path, other string) (*catalog.Catalog, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, named(path, err)
	case info.IsDir():
		c, err := open(path)
		return c, named(path, err)
	case !info.Mode().IsRegular():
		return nil, named(path, errors.New("is neither a directory nor a regular file"))
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, named(path, err)
	}
	files := fstest.MapFS{
		"releases.json":       {Data: []byte(`{"releases":[]}`)},
		"client_version.json": {Data: []byte(`{"iOS":{"version":"0","build":"200001010000","url":"https://example.com"},"Android":{"version":"0","url":"https://example.com"}}`)},
	}
	if info, err := os.Stat(other); err == nil && info.IsDir() {
		c, err := open(other)
		if err != nil {
			return nil, named(other, err)
		}
		clear(files)
		for name := range c.Revisions() {
			content, err := os.ReadFile(filepath.Join(other, name))
			if err != nil {
				return nil, named(other, err)
			}
			files[name] = &fstest.MapFile{Data: content}
		}
	}
	name := kind(content)
	if name == "squirrel.json" {
		delete(files, "releases.json")
	} else if name == "releases.json" {
		delete(files, "squirrel.json")
	}
	files[name] = &fstest.MapFile{Data: content}
	c, err := openFS(files)
	return c, named(path, err)
}

// kind returns the name of the file with that content, or releases.json if it is none
// of the four.
func kind(content []byte) string {
	var keys map[string]json.RawMessage
	content = bytes.TrimSpace(bytes.TrimPrefix(content, []byte("\uFEFF")))
	switch err := json.Unmarshal(content, &keys); {
	case bytes.HasPrefix(content, []byte("[")):
		return "demo_square.json"
	case err != nil || keys["releases"] != nil:
		return "releases.json"
	case keys["iOS"] != nil || keys["Android"] != nil:
		return "client_version.json"
	case keys["version"] != nil || keys["url"] != nil:
		return "squirrel.json"
	}
	return "releases.json"
}

// named puts path in front of each of the errors that err joins.
func named(path string, err error) error {
	if err == nil {
		return nil
	}
	if file := new(fs.PathError); errors.As(err, &file) {
		err = file.Err
	}
	path = printable(path)
	return fmt.Errorf("%s: %w", path, errors.New(strings.ReplaceAll(err.Error(), "\n", "\n"+path+": ")))
}

// explanation is what explain prints.
type explanation struct {
	Status int             `json:"status"`
	Answer json.RawMessage `json:"answer,omitempty"` // nil for a 204
	*catalog.Explanation
	Ignored []string `json:"ignored,omitempty"` // unknown parameters
}

func explain(dir, query, userAgent string, asJSON bool, out, errOut io.Writer) int {
	var e explanation
	c, err := open(dir)
	if err == nil {
		e, err = ask(c.Releases(), query, userAgent)
	}
	switch {
	case err != nil:
		refuse(err, asJSON, out, errOut)
		if errors.Is(err, misc.ErrInvalidVersion) && !asJSON {
			fmt.Fprintln(errOut, "\nA query is like 'version=1.9.0&platform=darwin'. A + in it means a space: write %2B.")
		}
		return 1
	case asJSON:
		printJSON(out, e)
		return 0
	}
	fmt.Fprintln(out, e.Status, http.StatusText(e.Status))
	if e.Answer != nil {
		printJSON(out, e.Answer)
	}
	fmt.Fprintf(out, "\nclient: %s\nreason: %s\n", e.Client, e.Reason)
	if e.Ignored != nil {
		fmt.Fprintf(out, "ignored: %s\n", strings.Join(e.Ignored, ", "))
	}
	fmt.Fprintln(out)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, v := range e.Releases {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", v.Version, v.Channel, v.Reason, v.Detail)
	}
	_ = table.Flush() // it writes to where the lines above went
	return 0
}

// ask decides as a server does that has these releases.
func ask(releases *catalog.Releases, query, userAgent string) (e explanation, err error) {
	if address, behind, found := strings.Cut(query, "?"); found && !strings.Contains(address, "=") {
		query, _, _ = strings.Cut(behind, "#")
	}
	q, err := misc.ParseUpdateQuery(query)
	if err != nil {
		return e, err
	}
	q.UserAgent = userAgent
	e.Status, e.Explanation = http.StatusNoContent, releases.Explain(q)
	if r := releases.Choose(q).Release; r != nil {
		e.Status = http.StatusOK
		e.Answer, err = r.MarshalJSON()
	}
	parameters, _ := url.ParseQuery(query) // without those that are malformed
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		if !slices.Contains([]string{"version", "platform", "arch", "os_version", "channel", "id"}, name) {
			e.Ignored = append(e.Ignored, printable(name))
		}
	}
	return e, err
}

func printJSON(out io.Writer, v any) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		panic(err) // nothing that is printed here can fail
	}
	for _, r := range b.String() {
		if unicode.IsPrint(r) || r == '\n' {
			fmt.Fprint(out, string(r))
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(out, `\u%04x`, unit)
		}
	}
}

// printable escapes what would control a terminal or begin a line.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}
