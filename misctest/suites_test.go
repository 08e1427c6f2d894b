package misctest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/misctest"
)

// An implementation is either a right one, which must pass its suite, or a wrong one
// with the rule that it breaks.
type implementation struct {
	name   string
	suite  func(*testing.T)
	breaks string
}

func rightImplementations() []implementation {
	shared := misc.NewMemoryStore()
	all := misctest.World{Groups: map[string][]string{}}
	return []implementation{
		{name: "captures", suite: captures(func(*store) {})},
		{name: "captures: one store for all rules", suite: func(t *testing.T) {
			misctest.TestScreenCaptureStore(t, func(*testing.T) misc.ScreenCaptureStore { return shared })
		}},
		{name: "relations", suite: relations("relations", func(*related) {})},
		{name: "relations: one database for all rules", suite: func(t *testing.T) {
			misctest.TestRelations(t, func(t *testing.T, w misctest.World) misc.Relations {
				all.Friends = append(all.Friends, w.Friends...)
				for g, members := range w.Groups {
					check(t, all.Groups[g] == nil, "another rule has this group", g)
					all.Groups[g] = members
				}
				return misctest.NewRelations(all)
			})
		}},
		{name: "relations: an id that cannot be decoded is an IDError", suite: relations("relations", func(r *related) {
			r.friends = func(q question) (bool, error) {
				for _, id := range []string{q.user, q.other} {
					if number(id) == 0 {
						return false, &misc.IDError{ID: id}
					}
				}
				return r.areFriends(q)
			}
		})},
		{name: "related", suite: relations("related", func(*related) {})},
		{name: "related: one database for all rules", suite: func(t *testing.T) {
			seen := map[[2]string]*people{} // the friends, and the rule that has them
			relations("related", func(r *related) {
				for _, f := range r.world.Friends {
					other := seen[f]
					check(t, other == nil || other == r.people, "another rule has these friends", number(f[0]), number(f[1]))
					seen[f], seen[[2]string{f[1], f[0]}] = r.people, r.people
				}
			})(t)
		}},
		{name: "versions: by the whole query", suite: versions(func(*source) {})},
		{name: "versions: no desktop release", suite: func(t *testing.T) {
			none := must(misc.NewStaticVersions(nil, newClients("2.0.1")))
			misctest.TestVersionSource(t, func(*testing.T) misc.VersionSource { return none })
		}},
		{name: "messenger", suite: messengers(func(c *cloud) sender { return c.Send })},
		{name: "messenger: an odd id is an error", suite: messengers(func(c *cloud) sender {
			return func(ctx context.Context, m misc.Message) error {
				if number(m.From) == 0 || number(m.To) == 0 {
					return misc.ErrInvalidID
				}
				return c.Send(ctx, m)
			}
		})},
	}
}

func TestSuitesPassRightImplementations(t *testing.T) {
	for _, impl := range rightImplementations() {
		t.Run(impl.name, impl.suite)
	}
}

var ruleLine = regexp.MustCompile(`(?m)^ +--- (PASS|FAIL): TestSuitesFailWrongImplementations/([^/\n]+)/(.*) \(`)

// The suites fail in a separate process, whose output says which rules passed and
// which failed.
func TestSuitesFailWrongImplementations(t *testing.T) {
	const child = "MISCTEST_CHILD"
	if os.Getenv(child) != "" {
		for _, impl := range wrongImplementations() {
			t.Run(impl.name, impl.suite)
		}
		return
	}
	exe, err := os.Executable()
	noError(t, err)
	cmd := exec.Command(exe, "-test.run=^TestSuitesFailWrongImplementations$", "-test.v", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("the suites must fail, and end: %v\n%s", err, out)
	}
	check(t, !strings.Contains(string(out), "DATA RACE"), "a fault is to be found without the race detector")

	verdicts := make(map[string]map[string][]string) // by implementation, and by PASS or FAIL
	for _, m := range ruleLine.FindAllStringSubmatch(string(out), -1) {
		verdict, name, rule := m[1], m[2], m[3]
		if verdicts[name] == nil {
			verdicts[name] = make(map[string][]string)
		}
		verdicts[name][verdict] = append(verdicts[name][verdict], rule)
	}
	subtest := func(name string) string { return strings.ReplaceAll(name, " ", "_") }
	rules, broken := make(map[string]bool), make(map[string]bool) // by suite and rule
	for _, impl := range wrongImplementations() {
		passed, failed := verdicts[subtest(impl.name)]["PASS"], verdicts[subtest(impl.name)]["FAIL"]
		check(t, slices.Contains(failed, subtest(impl.breaks)), impl.name, "breaks", impl.breaks)
		check(t, len(passed) > 0, impl.name, "breaks every rule, and so says nothing about this one")
		suite, _, _ := strings.Cut(impl.name, ":")
		broken[suite+": "+subtest(impl.breaks)] = true
		for _, rule := range slices.Concat(passed, failed) {
			rules[suite+": "+rule] = true
		}
	}
	equal(t, rules, broken, "each rule needs a wrong implementation that breaks it")
}
