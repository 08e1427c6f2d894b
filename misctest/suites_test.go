package misctest_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/n3d"
)

// A form of ids: the fields of a suite, and how an id is decoded.
type form struct {
	id     func(n uint32) string
	opaque bool
	decode func(id string) (canonical string, ok bool)
}

var (
	codec = must(n3d.New(misctest.Key))
	uuid  = regexp.MustCompile("^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$")
)

// As in a database, a number may have leading zeros, and a UUID either case.
var forms = map[string]form{
	"opaque ids": {nil, true, func(id string) (string, bool) { return id, true }},
	"n3d":        {nil, false, func(id string) (string, bool) { _, err := codec.Decode(id); return id, err == nil }},
	"decimals": {func(n uint32) string { return strconv.Itoa(int(n)) }, false, func(id string) (string, bool) {
		n, err := strconv.ParseUint(id, 10, 32)
		return fmt.Sprint(n), err == nil
	}},
	"UUIDs": {func(n uint32) string { return fmt.Sprintf("%08x-0000-4000-8000-%012x", n, n) }, false,
		func(id string) (string, bool) { return strings.ToLower(id), uuid.MatchString(id) }},
}

func TestSuitesPassRightImplementations(t *testing.T) {
	for name, f := range forms {
		t.Run("store with "+name, stores(f, true, func(*host) {}))
	}
	t.Run("captures without Second and Break", func(t *testing.T) {
		misctest.TestScreenCaptureStore(t, misctest.CaptureSuite{New: func(*testing.T) misc.ScreenCaptureStore { return misc.NewMemoryStore() }, OpaqueIDs: true})
	})
	t.Run("block list", testBlockList)
	t.Run("relations", func(t *testing.T) {
		misctest.TestRelations(t, misctest.RelationsSuite{
			New:       func(_ *testing.T, w misctest.World) misc.Relations { return misctest.NewRelations(w) },
			OpaqueIDs: true,
		})
	})
	t.Run("versions", versions((*source).find))
	t.Run("versions without a desktop release", func(t *testing.T) {
		misctest.TestVersionSource(t, misctest.VersionSuite{New: func(*testing.T) misc.VersionSource { return static(nil) }})
	})
	t.Run("messenger", messengers((*cloud).accept))
}

// ruleLine matches the suite and the rule. Groups of rules have a single word.
var ruleLine = regexp.MustCompile(`(?m)^ +--- (?:PASS|FAIL): TestSuitesFailWrongImplementations/(\w+:)[^/\n]+/(.*_.*) \(`)

// The suites fail in a separate process, whose output says which rules passed and
// which failed.
func TestSuitesFailWrongImplementations(t *testing.T) {
	const child = "MISCTEST_CHILD"
	if os.Getenv(child) != "" {
		for _, impl := range wrongImplementations() {
			t.Run(impl.name, impl.suite)
		}
		t.Run("no New", func(t *testing.T) { misctest.TestScreenCaptureStore(t, misctest.CaptureSuite{}) })
		t.Run("no New", func(t *testing.T) { misctest.TestRelations(t, misctest.RelationsSuite{}) })
		t.Run("no New", func(t *testing.T) { misctest.TestStore(t, misctest.StoreSuite{}) })
		t.Run("no New", func(t *testing.T) { misctest.TestVersionSource(t, misctest.VersionSuite{}) })
		t.Run("no New", func(t *testing.T) { misctest.TestMessenger(t, misctest.MessengerSuite{}) })
		return
	}
	cmd := exec.Command(must(os.Executable()), "-test.run=^TestSuitesFailWrongImplementations$", "-test.v", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("the suites must fail, and end: %v\n%s", err, out)
	}
	check(t, !strings.Contains(string(out), "DATA RACE"), "a fault is to be found without the race detector")
	equal(t, 5, strings.Count(string(out), "Suite.New is required"))

	subtest := func(name string) string { return strings.ReplaceAll(name, " ", "_") }
	rules, broken := make(map[string]bool), make(map[string]bool)
	for _, m := range ruleLine.FindAllStringSubmatch(string(out), -1) {
		rules[m[1]+m[2]] = true
	}
	for _, impl := range wrongImplementations() {
		suite, _, _ := strings.Cut(impl.name, " ")
		for rule := range strings.SplitSeq(impl.breaks, "; ") {
			broken[suite+subtest(rule)] = true
			name := subtest(impl.name + "/" + rule)
			check(t, strings.Contains(string(out), "--- FAIL: "+t.Name()+"/"+name+" ("), name)
		}
	}
	equal(t, rules, broken, "each rule needs a wrong implementation that breaks it")
}
