package catalog

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/sealtalk-go/misc"
)

// A Difference says in words what changes from the files of one [Catalog] to those
// of another.
type Difference struct {
	Changes  []string `json:"changes"`  // what changed in the files, as the log has it when a file is reloaded
	Clients  []string `json:"clients"`  // who is offered another desktop release, such as "clients on 2.0.0: 2.0.1 → nothing newer"
	Warnings []string `json:"warnings"` // those of the new files that the old ones do not have
	Complete bool     `json:"complete"` // false: Clients has only what the first million questions found
}

// Diff says what changes from old to c. It asks both for every client that their
// desktop releases can tell apart, and does not wait for a file to be reloaded.
func (c *Catalog) Diff(old *Catalog) Difference {
	d := Difference{Changes: []string{}, Clients: []string{}, Warnings: []string{}}
	was, is := old.Releases(), c.Releases()
	d.Changes = append(d.Changes, is.changes(was)...)
	if changes := c.clients.changes(old.clients.current.Load()); changes != "" {
		d.Changes = append(d.Changes, c.clients.name+": "+changes)
	}
	if changes := c.square.changes(old.square.current.Load()); changes != "" {
		d.Changes = append(d.Changes, c.square.name+": "+changes)
	}
	clients, complete := is.clientChanges(was)
	d.Clients, d.Complete = append(d.Clients, clients...), complete
	known := map[warning]bool{}
	now := time.Now()
	for _, w := range old.warnings(now) {
		known[warning{version: w.version, text: w.text}] = true
	}
	for _, w := range c.warnings(now) {
		if !known[warning{version: w.version, text: w.text}] {
			d.Warnings = append(d.Warnings, w.String())
		}
	}
	return d
}

// changes says what changed in f since was, or "" if nothing did.
func (f *file[T]) changes(was *state[T]) string {
	is := f.current.Load()
	if releases, ok := any(is.good).(*Releases); ok && was.good != nil {
		words := releases.changes(any(was.good).(*Releases))
		if more := len(words) - maxProblems; more > 0 {
			words = append(words[:maxProblems], fmt.Sprintf("and %d more", more))
		}
		return strings.Join(words, "; ")
	}
	switch {
	case is.revision == was.revision:
		return ""
	case is.version != was.version:
		return arrow(cmp.Or(was.version, "none"), cmp.Or(is.version, "none"))
	}
	return "other content"
}

func arrow(was, is string) string { return printable(was) + " → " + printable(is) }

// changes says what changed from old to s.
func (s *Releases) changes(old *Releases) (words []string) {
	say := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	if s.file == "squirrel.json" && old.file == s.file {
		if is, was := s.releases[0].version.String(), old.releases[0].version.String(); is != was {
			say("%s", arrow(was, is))
		} else if what := s.releases[0].contentChanges(&old.releases[0]); what != "" {
			say("other %s", what)
		}
		return words
	}
	minimum := func(s *Releases) string {
		if s.minimum == nil {
			return "none"
		}
		return s.minimum.String()
	}
	if is, was := strings.Join(s.channels, ", "), strings.Join(old.channels, ", "); is != was {
		say("channels: %s", arrow(was, is))
	}
	if is, was := minimum(s), minimum(old); is != was {
		say("minimum: %s", arrow(was, is))
	}
	for _, v := range versions(s, old) {
		is, was, version := s.find(v), old.find(v), printable(v.String())
		switch {
		case is == nil:
			say("%s: removed", version)
			continue
		case was == nil && is.withdrawn != "":
			say("%s: new, withdrawn: %s", version, printable(is.withdrawn))
			continue
		case was == nil:
			channel := ""
			if is.channel > 0 {
				channel = " on " + printable(s.channels[is.channel])
			}
			say("%s: new, for %s%s", version, share(is.rollout), channel)
			continue
		case is.withdrawn == "" && was.withdrawn != "":
			say("%s: no longer withdrawn", version)
		case is.withdrawn != was.withdrawn:
			say("%s: withdrawn: %s", version, printable(is.withdrawn))
		}
		if is.rollout != was.rollout && is.withdrawn == "" {
			say("%s: rollout %s", version, arrow(share(was.rollout), share(is.rollout)))
		}
		if old.channels[was.channel] != s.channels[is.channel] {
			say("%s: channel %s", version, arrow(old.channels[was.channel], s.channels[is.channel]))
		}
		if is.since() != was.since() {
			say("%s: from %s", version, arrow(cmp.Or(was.since(), "none"), cmp.Or(is.since(), "none")))
		}
		if is.withdrawn == "" {
			words = append(words, is.coverageChanges(was)...)
		}
		if what := is.contentChanges(was); what != "" {
			say("%s: other %s", version, what)
		}
	}
	return words
}

// versions returns those of the releases in both, newest first.
func versions(a, b *Releases) []misc.Version {
	all := make([]misc.Version, 0, len(a.releases)+len(b.releases))
	for _, r := range slices.Concat(a.releases, b.releases) {
		all = append(all, r.version)
	}
	slices.SortFunc(all, func(v, w misc.Version) int { return w.Compare(v) })
	return slices.CompactFunc(all, func(v, w misc.Version) bool { return v.Compare(w) == 0 })
}

// coverageChanges says which machines can install r and could not install was, and
// the reverse.
func (r *release) coverageChanges(was *release) (words []string) {
	for i, platform := range platforms {
		axis := newOSAxis(platform, slices.Concat(r.builds, was.builds))
		for _, change := range []struct {
			verb        string
			has, hasNot *release
		}{{verb: "gains", has: r, hasNot: was}, {verb: "loses", has: was, hasNot: r}} {
			places := map[string]cpus{}
			var moved []string
			for _, c := range []cpus{x64, arm64, ia32} {
				var at []int
				for place, os := range axis.points {
					if change.has.covers(i, c, os) && !change.hasNot.covers(i, c, os) {
						at = append(at, place+1)
					}
				}
				if at == nil {
					continue
				}
				os := axis.words(at, len(axis.points))
				if change.hasNot.all(build.fits)[i] == 0 {
					os = "" // all of the platform
				}
				if places[os] == 0 {
					moved = append(moved, os)
				}
				places[os] |= c
			}
			for _, os := range moved {
				who := cmp.Or(os, platform)
				if places[os] != change.has.all(build.fits)[i] {
					who += " " + places[os].String()
				}
				words = append(words, fmt.Sprintf("%s %s %s", who, change.verb, printable(r.version.String())))
			}
		}
	}
	return words
}

// covers reports whether r has a build for such a client.
func (r *release) covers(platform int, c cpus, os osVersion) bool {
	return slices.ContainsFunc(r.builds, func(b build) bool { return b.fits()[platform]&c != 0 && b.os.contains(osRange{os, os}) })
}

// contentChanges says what else clients of r receive that those of was do not.
func (r *release) contentChanges(was *release) string {
	contents := func(r *release) (urls, all []string) {
		for _, b := range r.builds {
			text, _ := b.plain.MarshalJSON() // never fails
			urls, all = append(urls, b.url), append(all, string(text))
		}
		slices.Sort(urls)
		slices.Sort(all)
		return slices.Compact(urls), slices.Compact(all)
	}
	urls, all := contents(r)
	oldURLs, oldAll := contents(was)
	switch {
	case len(all) == 0 || len(oldAll) == 0:
		return ""
	case !slices.Equal(urls, oldURLs):
		return "url"
	case !slices.Equal(all, oldAll):
		return "version, name, notes, pub_date or extra"
	}
	return ""
}

// osAxis divides the OS versions of a platform where builds begin and end. All
// versions from a point to the next one are alike to all builds.
type osAxis struct {
	platform string
	points   []osVersion // the first is the lowest version
}

func newOSAxis(platform string, builds []build) osAxis {
	points := []osVersion{{}}
	for _, b := range builds {
		if b.platform != platform {
			continue
		}
		if b.os.min != unbounded {
			points = append(points, b.os.min)
		}
		if b.os.max != endless {
			points = append(points, next(b.os.max))
		}
	}
	slices.SortFunc(points, osVersion.compare)
	return osAxis{platform, slices.Compact(points)}
}

// next returns the lowest version above all that a max_os includes.
func next(v osVersion) osVersion {
	last := 0
	for i, n := range v {
		if n == math.MaxInt {
			v[i] = 0
		} else {
			last = i
		}
	}
	v[last]++
	return v
}

var osNames = map[string]string{"darwin": "macOS", "win32": "Windows", "linux": "Linux"}

// words names the places in at, of count in all: 0 is an unknown OS, and the others
// are points. It returns "" if at has all.
func (a osAxis) words(at []int, count int) string {
	if len(at) == count {
		return ""
	}
	name := cmp.Or(osNames[a.platform], "OS")
	var parts []string
	for _, run := range runs(at) {
		first, last := run[0], run[1]
		if first == 0 {
			parts = append(parts, "OS unknown")
			if first++; first > last {
				continue
			}
		}
		low := trimmed(a.points[first-1])
		switch {
		case first == 1 && last == len(a.points):
			parts = append(parts, "OS known")
		case last == len(a.points):
			parts = append(parts, name+" "+low+" and later")
		case first == 1:
			parts = append(parts, name+" before "+trimmed(a.points[last]))
		default:
			end := a.points[last]
			if isNext(a.points[first-1], end) {
				parts = append(parts, name+" "+low)
			} else {
				parts = append(parts, name+" from "+low+" to before "+trimmed(end))
			}
		}
	}
	return strings.Join(parts, " and ")
}

// isNext reports whether v and the versions that begin with its numbers are all
// before end.
func isNext(v, end osVersion) bool {
	for i := len(v) - 1; i >= 0; i-- {
		if v[i] != 0 || i == 0 {
			v[i]++
			return v == end
		}
	}
	return false
}

// runs returns the first and the last of each sequence of numbers in a row.
func runs(numbers []int) (runs [][2]int) {
	for _, n := range numbers {
		if last := len(runs) - 1; last >= 0 && runs[last][1] == n-1 {
			runs[last][1] = n
		} else {
			runs = append(runs, [2]int{n, n})
		}
	}
	return runs
}

const (
	maxQuestions = 1_000_000
	maxChanges   = 100 // that are told of clients
)

// The axes along which clients differ, in the order in which they are told.
const (
	axisPlatform = iota
	axisCPU
	axisOS
	axisChannel
	axisShare
	axisVersion
	axes
)

// cell is a client that the two files can tell apart from others: its place on each
// axis.
type cell [axes]uint16

// clientChanges says who is offered another release by s than by was. It asks no more
// than maxQuestions questions, and reports whether that was enough.
func (s *Releases) clientChanges(was *Releases) (words []string, complete bool) {
	space := newSpace(s, was)
	type move struct{ was, is string }
	moved := map[move][]cell{}
	complete = true
	questions := 0
	oldRollouts, newRollouts := was.all(), s.all()
	for c := range space.cells {
		if questions += 2; questions > maxQuestions {
			complete = false
			break
		}
		old, new := was, s
		if c[axisShare] == 1 {
			old, new = oldRollouts, newRollouts
		}
		m := move{space.ask(old, c), space.ask(new, c)}
		if m.was != m.is {
			moved[m] = append(moved[m], c)
		}
	}
	order := slices.SortedFunc(maps.Keys(moved), func(a, b move) int {
		return cmp.Or(-len(moved[a])+len(moved[b]), cmp.Compare(a.is, b.is), cmp.Compare(a.was, b.was))
	})
	for _, m := range order {
		for _, who := range space.describe(moved[m]) {
			if len(words) == maxChanges {
				return append(words, "and more"), complete
			}
			words = append(words, who.String()+": "+arrow(m.was, m.is))
		}
	}
	return words, complete
}

// all returns the releases as a client sees them whose id is inside every rollout.
// Without an id, or outside every rollout, s itself answers alike.
func (s *Releases) all() *Releases {
	inside := *s
	inside.releases = slices.Clone(s.releases)
	for i := range inside.releases {
		if r := &inside.releases[i]; r.rollout > 0 {
			r.rollout = everyone
		}
	}
	return &inside
}

// space has the values of each axis.
type space struct {
	shares    int // 2 if a rollout excludes some clients
	platforms []string
	cpus      [][]cpus // for each platform
	os        []osAxis // likewise
	channels  []string
	versions  []misc.Version // oldest first; the first is older than all releases
}

func newSpace(s, was *Releases) *space {
	p := &space{shares: 1, platforms: platforms}
	for _, r := range slices.Concat(s.releases, was.releases) {
		if r.withdrawn == "" && r.rollout > 0 && r.rollout < everyone {
			p.shares = 2
		}
		for _, b := range r.builds {
			if b.platform == "" {
				p.platforms = append(slices.Clip(platforms), "other")
			}
		}
	}
	for _, platform := range p.platforms {
		var builds []build
		all := []cpus{x64, arm64}
		for _, r := range slices.Concat(s.releases, was.releases) {
			for _, b := range r.builds {
				if b.platform == "" || b.platform == platform {
					builds = append(builds, b)
					if b.cpus&ia32 != 0 && len(all) == 2 {
						all = append(all, ia32)
					}
				}
			}
		}
		p.cpus = append(p.cpus, all)
		p.os = append(p.os, newOSAxis(platform, builds))
	}
	p.channels = slices.Clone(was.channels)
	for _, c := range s.channels {
		if !slices.Contains(p.channels, c) {
			p.channels = append(p.channels, c)
		}
	}
	lowest, _ := misc.ParseVersion("0.0.0-0")
	p.versions = append(p.versions, lowest)
	named := versions(s, was)
	for _, r := range slices.Concat(s.releases, was.releases) {
		if r.from != nil {
			named = append(named, *r.from)
		}
	}
	slices.SortFunc(named, misc.Version.Compare)
	p.versions = append(p.versions, slices.CompactFunc(named, func(v, w misc.Version) bool { return v.Compare(w) == 0 })...)
	return p
}

// cells yields every client.
func (p *space) cells(yield func(cell) bool) {
	for share := range p.shares {
		for platform := range p.platforms {
			for cpu := range p.cpus[platform] {
				for os := range 1 + len(p.os[platform].points) {
					for channel := range p.channels {
						for version := range p.versions {
							if !yield(cell{axisShare: uint16(share), axisPlatform: uint16(platform), axisCPU: uint16(cpu), axisOS: uint16(os), axisChannel: uint16(channel), axisVersion: uint16(version)}) {
								return
							}
						}
					}
				}
			}
		}
	}
}

// ask returns the version that s offers to a client, or "nothing newer".
func (p *space) ask(s *Releases, c cell) string {
	client := client{
		version:  p.versions[c[axisVersion]],
		channel:  max(slices.Index(s.channels, p.channels[c[axisChannel]]), 0),
		platform: p.platforms[c[axisPlatform]],
		cpus:     p.cpus[c[axisPlatform]][c[axisCPU]],
		os:       anyOS,
	}
	if place := c[axisOS]; place > 0 {
		os := p.os[c[axisPlatform]].points[place-1]
		client.os = osRange{os, os}
	} else {
		client.os = s.leastOS(&client)
	}
	if d := s.choose(&client); d.Release != nil {
		return d.Version
	}
	return "nothing newer"
}

// description says in words who some clients are: on each axis, or "" if the axis
// does not matter.
type description [axes]string

func (d description) String() string {
	if osNames[d[axisPlatform]] != "" && strings.HasPrefix(d[axisOS], osNames[d[axisPlatform]]) && d[axisCPU] == "" {
		d[axisPlatform] = "" // the name of the OS says it
	}
	d[axisPlatform] = strings.TrimSpace(d[axisPlatform] + " " + d[axisCPU])
	d[axisCPU] = ""
	said := slices.DeleteFunc(d[:], func(words string) bool { return words == "" })
	return cmp.Or(strings.Join(said, ", "), "everyone")
}

// describe says in words who the clients are. Each description is about some of
// them, and together they are about all. It looks for an order of the axes that
// needs few.
func (p *space) describe(cells []cell) (shortest []description) {
	orders := [][]int{{axisOS, axisChannel, axisShare, axisVersion}}
	if len(cells) < 10_000 {
		orders = permutations(orders[0])
	}
	for _, order := range orders {
		found := p.describeIn(append([]int{axisPlatform, axisCPU}, order...), cells)
		if shortest == nil || len(found) < len(shortest) {
			shortest = found
		}
	}
	return shortest
}

func permutations(list []int) (all [][]int) {
	if len(list) == 0 {
		return [][]int{nil}
	}
	for i, first := range list {
		for _, rest := range permutations(slices.Concat(list[:i], list[i+1:])) {
			all = append(all, append([]int{first}, rest...))
		}
	}
	return all
}

func (p *space) describeIn(order []int, cells []cell) []description {
	if len(order) == 0 {
		return []description{{}}
	}
	axis := order[0]
	parts := map[uint16][]cell{}
	for _, c := range cells {
		parts[c[axis]] = append(parts[c[axis]], c)
	}
	var alike [][]int // places whose clients have the same descriptions
	var rests [][]description
	for _, place := range slices.Sorted(maps.Keys(parts)) {
		rest := p.describeIn(order[1:], parts[place])
		if same := slices.IndexFunc(rests, func(r []description) bool { return slices.Equal(r, rest) }); same >= 0 {
			alike[same] = append(alike[same], int(place))
		} else {
			alike, rests = append(alike, []int{int(place)}), append(rests, rest)
		}
	}
	var all []description
	for i, places := range alike {
		words := p.words(axis, places, cells[0])
		for _, d := range rests[i] {
			d[axis] = words
			all = append(all, d)
		}
	}
	return all
}

// words names places on an axis, or returns "" for all of them. The client c is on
// the same platform.
func (p *space) words(axis int, places []int, c cell) string {
	platform := c[axisPlatform]
	list := func(count int, name func(int) string) string {
		if len(places) == count {
			return ""
		}
		var names []string
		for _, place := range places {
			names = append(names, name(place))
		}
		return strings.Join(names, " and ")
	}
	switch axis {
	case axisShare:
		return list(p.shares, func(i int) string { return []string{"outside the rollouts", "inside the rollouts"}[i] })
	case axisPlatform:
		return list(len(p.platforms), func(i int) string { return p.platforms[i] })
	case axisCPU:
		return list(len(p.cpus[platform]), func(i int) string { return p.cpus[platform][i].String() })
	case axisOS:
		return p.os[platform].words(places, 1+len(p.os[platform].points))
	case axisChannel:
		return list(len(p.channels), func(i int) string { return "channel " + printable(p.channels[i]) })
	}
	if len(places) == len(p.versions) {
		return ""
	}
	var texts []string
	for _, run := range runs(places) {
		first, last := p.versions[run[0]].String(), p.versions[run[1]].String()
		switch {
		case run[0] == 0 && run[1] == 0:
			texts = append(texts, "older than "+p.versions[1].String())
		case run[0] == 0:
			texts = append(texts, "on "+last+" or older")
		case first == last:
			texts = append(texts, "on "+first)
		default:
			texts = append(texts, "on "+first+" to "+last)
		}
	}
	return "clients " + strings.Join(texts, " and ")
}
