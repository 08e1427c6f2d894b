// Misc-catalog checks version files before they are published, and explains
// which desktop release a client gets from them.
//
//	misc-catalog check DIR [-strict] [-json]
//	misc-catalog explain DIR QUERY [-user-agent TEXT] [-json]
//
// DIR is a directory of files for package catalog: client_version.json, a
// releases.json or squirrel.json, and perhaps a demo_square.json.
//
// check prints every problem that would make a server refuse the files. If
// there is none, it prints a warning for each thing in them that is valid but
// probably a mistake. It assumes that the server has a Codec for ids that are
// numbers.
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
// is wrong. With -strict, check also exits with 1 if there is a warning.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/catalog"
	"github.com/sealtalk-go/misc/n3d"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

const usage = `usage: misc-catalog check DIR [-strict] [-json]
       misc-catalog explain DIR QUERY [-user-agent TEXT] [-json]

DIR holds the version files. QUERY is what a client sends, as in
       misc-catalog explain versions 'version=1.9.0&platform=darwin&os_version=14.4&id=7f3a'

`

func run(args []string, out, errOut io.Writer) (exitCode int) {
	flags := flag.NewFlagSet("misc-catalog", flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.Usage = func() {
		fmt.Fprint(errOut, usage)
		flags.PrintDefaults()
	}
	asJSON := flags.Bool("json", false, "print JSON")
	strict := flags.Bool("strict", false, "check: exit 1 for a warning as well")
	userAgent := flags.String("user-agent", "", "explain: the client's User-Agent, whose Darwin/N tells the version of macOS")
	words, err := parse(flags, args)
	set := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { set[f.Name] = true })
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case len(words) == 2 && words[0] == "check" && !set["user-agent"]:
		return check(words[1], *strict, *asJSON, out)
	case len(words) == 3 && words[0] == "explain" && !set["strict"]:
		return explain(words[1], words[2], *userAgent, *asJSON, out)
	}
	flags.Usage()
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
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is a file: name the directory that it is in", dir)
	}
	if err != nil {
		return nil, err
	}
	codec, err := n3d.New("any key")
	if err != nil {
		return nil, err
	}
	return catalog.Open(os.DirFS(dir), catalog.Config{Codec: codec, Logger: slog.New(slog.DiscardHandler)})
}

// report is what check prints.
type report struct {
	Problems []string `json:"problems"`
	Warnings []string `json:"warnings"`
}

func check(dir string, strict, asJSON bool, out io.Writer) (exitCode int) {
	found := report{[]string{}, []string{}}
	c, err := open(dir)
	if err != nil {
		found.Problems, exitCode = strings.Split(err.Error(), "\n"), 1
	} else {
		found.Warnings = append(found.Warnings, c.Warnings()...)
	}
	if strict && len(found.Warnings) > 0 {
		exitCode = 1
	}
	if asJSON {
		printJSON(out, found)
		return exitCode
	}
	for _, p := range found.Problems {
		fmt.Fprintln(out, p)
	}
	for _, w := range found.Warnings {
		fmt.Fprintln(out, "warning:", w)
	}
	if err == nil {
		fmt.Fprintf(out, "%s is valid: %s\n", dir, c.Releases())
	}
	return exitCode
}

// explanation is what explain prints.
type explanation struct {
	Status int             `json:"status"`
	Answer json.RawMessage `json:"answer,omitempty"` // nil for a 204
	*catalog.Explanation
	Ignored []string `json:"ignored,omitempty"` // unknown parameters
}

func explain(dir, query, userAgent string, asJSON bool, out io.Writer) int {
	var e explanation
	c, err := open(dir)
	if err == nil {
		e, err = ask(c.Releases(), query, userAgent)
	}
	switch {
	case err != nil && asJSON:
		printJSON(out, report{Problems: strings.Split(err.Error(), "\n"), Warnings: []string{}})
		return 1
	case err != nil:
		fmt.Fprintln(out, err)
		if errors.Is(err, misc.ErrInvalidVersion) {
			fmt.Fprintln(out, "\nA query is like 'version=1.9.0&platform=darwin'. A + in it means a space: write %2B.")
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
			e.Ignored = append(e.Ignored, name)
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
	_, _ = out.Write(b.Bytes())
}
