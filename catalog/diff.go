package catalog

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/url"
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
	Warnings []string `json:"warnings"` // of what is probably a mistake: in the change, or in the new files and not in the old ones
	Complete bool     `json:"complete"` // false: the files are so large that not every client was asked for
}

// Diff says what changes from what old serves now to what c serves now. It asks both
// for every client that their desktop releases can tell apart.
func (c *Catalog) Diff(old *Catalog) Difference {
	d := Difference{Changes: []string{}, Clients: []string{}}
	was, is := old.Releases(), c.Releases()
	d.Changes = append(d.Changes, is.changes(was)...)
	if changes := otherVersion(old.clients.current.Load(), c.clients.current.Load()); changes != "" {
		d.Changes = append(d.Changes, c.clients.name+": "+changes)
	}
	if changes := otherVersion(old.square.current.Load(), c.square.current.Load()); changes != "" {
		d.Changes = append(d.Changes, c.square.name+": "+changes)
	}
	clients, complete := is.clientChanges(was)
	d.Clients, d.Complete = append(d.Clients, clients...), complete
	known := map[warning]bool{}
	now := time.Now()
	for _, w := range old.warnings(now) {
		known[warning{version: w.version, text: w.text}] = true
	}
	found := is.changeWarnings(was)
	for _, w := range c.warnings(now) {
		if !known[warning{version: w.version, text: w.text}] {
			found = append(found, w)
		}
	}
	d.Warnings = texts(found)
	return d
}

// changeWarnings returns a warning for each change that is probably a mistake.
func (s *Releases) changeWarnings(old *Releases) (found []warning) {
	warn := func(version, format string, args ...any) {
		found = append(found, warning{s.file, "", version, printable(fmt.Sprintf(format, args...))})
	}
	if s.file == old.file && s.file == "releases.json" { // a squirrel.json has one release, or the next
		for _, words := range s.takenBack(old) {
			found = append(found, warning{file: s.file, text: "takes back what clients were offered: " + words})
		}
	}
	urls, hosts := map[string]misc.Version{}, map[string]bool{}
	for _, r := range old.releases {
		for _, b := range r.builds {
			urls[b.url] = r.version
			hosts[host(b.url)] = true
		}
	}
	for _, r := range s.releases {
		version := r.version.String()
		was := old.find(r.version)
		if was != nil && was.withdrawn != "" && r.withdrawn == "" {
			warn(version, "is no longer withdrawn: %s", was.withdrawn)
		}
		if was != nil || r.withdrawn != "" {
			continue
		}
		if newer := slices.IndexFunc(old.releases, func(o release) bool {
			is := s.find(o.version)
			return o.version.Compare(r.version) > 0 && is != nil && is.isOffered() && is.channel <= r.channel
		}); newer >= 0 {
			warn(version, "is new, and older than %s, which is there already", old.releases[newer].version)
		}
		for _, b := range r.builds {
			if other, had := urls[b.url]; had && s.find(other) == nil { // otherwise it is a warning of s
				warn(version, "has the URL that %s had", other)
			}
			if len(hosts) > 0 && !hosts[host(b.url)] {
				warn(version, "is on %s, where no release was before", host(b.url))
			}
		}
	}
	return slices.Compact(found)
}

// host returns the host of a URL that [misc.NewRelease] has taken.
func host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// otherVersion says what changed in a file that holds no desktop releases.
func otherVersion[T any](was, is *state[T]) string {
	switch {
	case is.revision == was.revision:
		return ""
	case is.version != was.version:
		return arrow(cmp.Or(was.version, "none"), cmp.Or(is.version, "none"))
	}
	return "other content"
}

// oneLine joins words for a line of the log, as many as people read.
func oneLine(words []string) string {
	if more := len(words) - maxProblems; more > 0 {
		words = append(slices.Clip(words[:maxProblems]), fmt.Sprintf("and %d more", more))
	}
	return strings.Join(words, "; ")
}

// and joins words in a sentence, as many as people read.
func and(words []string) string {
	const enough = 8
	if more := len(words) - enough; more > 1 {
		words = append(slices.Clip(words[:enough]), fmt.Sprintf("%d more", more))
	}
	return strings.Join(words, " and ")
}

func arrow(was, is string) string { return printable(was) + " → " + printable(is) }

// changes says what changed from old to s.
func (s *Releases) changes(old *Releases) (words []string) {
	say := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	if s.file == "squirrel.json" && old.file == s.file {
		if is, was := s.releases[0].version.String(), old.releases[0].version.String(); is != was {
			say("%s", arrow(was, is))
			return words
		}
		return s.releases[0].contentChanges(&old.releases[0])
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
		switch gains := is.coverageChanges(was); {
		case is.withdrawn != "":
			if len(is.builds) == 0 && len(was.builds) > 0 {
				say("%s: its builds removed", version)
			}
		case gains != nil:
			words = append(words, gains...)
		default:
			words = append(words, is.buildChanges(was)...)
		}
		words = append(words, is.contentChanges(was)...)
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
		}{{"gains", r, was}, {"loses", was, r}} {
			places := map[string]cpus{}
			var moved []string
			for _, c := range allCPUs {
				var at []int
				hasNot := axis.covered(change.hasNot.builds, i, c)
				for place, covers := range axis.covered(change.has.builds, i, c) {
					if covers && !hasNot[place] {
						at = append(at, place+1)
					}
				}
				if at == nil {
					continue
				}
				os := axis.words(at, len(axis.points))
				if change.hasNot.fits[i] == 0 {
					os = "" // all of the platform
				}
				if places[os] == 0 {
					moved = append(moved, os)
				}
				places[os] |= c
			}
			for _, os := range moved {
				who := cmp.Or(os, platform)
				if places[os] != change.has.fits[i] {
					who += " " + places[os].String()
				}
				words = append(words, fmt.Sprintf("%s %s %s", who, change.verb, r.version))
			}
		}
	}
	return words
}

// buildChanges says which builds r has and was had not, and the reverse.
func (r *release) buildChanges(was *release) (words []string) {
	for _, change := range []struct {
		verb        string
		has, hasNot *release
	}{{"new", r, was}, {"removed", was, r}} {
		others := map[string]bool{}
		for _, b := range change.hasNot.builds {
			others[b.String()] = true
		}
		for _, b := range change.has.builds {
			if !others[b.String()] {
				words = append(words, fmt.Sprintf("%s: build for %s %s", r.version, b, change.verb))
			}
		}
	}
	return words
}

// contentChanges says what clients receive that they did not receive before, of each
// build that was there before.
func (r *release) contentChanges(was *release) (words []string) {
	about := map[string][]string{} // builds by the keys that changed
	var all []string
	keys := func(b build) (keys map[string]json.RawMessage) {
		text, _ := b.plain.MarshalJSON() // never fails
		_ = json.Unmarshal(text, &keys)
		return keys
	}
	old := map[string]build{}
	for _, b := range was.builds {
		old[b.String()] = b
	}
	for _, b := range r.builds {
		before, isThere := old[b.String()]
		if !isThere {
			continue
		}
		var changed []string
		is, was := keys(b), keys(before)
		for _, key := range slices.Sorted(maps.Keys(is)) {
			if string(is[key]) != string(was[key]) {
				changed = append(changed, printable(key))
			}
		}
		for _, key := range slices.Sorted(maps.Keys(was)) {
			if is[key] == nil {
				changed = append(changed, printable(key))
			}
		}
		if changed == nil {
			continue
		}
		what := strings.Join(changed[:min(len(changed), maxProblems)], ", ")
		if about[what] == nil {
			all = append(all, what)
		}
		about[what] = append(about[what], b.String())
	}
	for _, what := range all {
		where := ""
		if len(about[what]) < len(r.builds) {
			where = " for " + and(about[what])
		}
		words = append(words, fmt.Sprintf("%s: other %s%s", r.version, what, where))
	}
	return words
}

// covered reports for each point whether one of the builds is for a machine with
// that OS version.
func (a osAxis) covered(builds []build, platform int, c cpus) []bool {
	covered := make([]bool, len(a.points))
	for _, b := range builds {
		if b.machines(platforms, x64|arm64|ia32)[platform]&c == 0 {
			continue
		}
		first, _ := slices.BinarySearchFunc(a.points, b.os.min, osVersion.compare)
		for i := first; i < len(a.points) && a.points[i].compare(b.os.max) <= 0; i++ {
			covered[i] = true
		}
	}
	return covered
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
	return and(parts)
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
	maxLooked  = 100_000_000 // releases that are looked at
	maxChanges = 100         // that are told of clients
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
type cell [axes]int32

// clientChanges says who is offered another release by s than by was. It reports
// whether it has asked for all clients; of very large files it does not.
func (s *Releases) clientChanges(was *Releases) (words []string, complete bool) {
	space := newSpace(s, was)
	type move struct{ was, is string }
	moved := map[move][]cell{}
	complete = true
	old, new := space.seen(was), space.seen(s)
	looked := 0
	for c := range space.cells {
		if looked += len(s.releases) + len(was.releases) + 100; looked > maxLooked {
			complete = false
			break
		}
		share := c[axisShare]
		m := move{space.ask(old[share], c), space.ask(new[share], c)}
		if m.was != m.is {
			moved[m] = append(moved[m], c)
		}
	}
	order := slices.SortedFunc(maps.Keys(moved), func(a, b move) int {
		isLoss := func(m move) int {
			if m.is == nothing {
				return 0
			}
			return 1
		}
		return cmp.Or(isLoss(a)-isLoss(b), len(moved[b])-len(moved[a]), cmp.Compare(a.is, b.is), cmp.Compare(a.was, b.was))
	})
	for _, m := range order {
		for _, who := range space.describe(axesInOrder, moved[m]) {
			if len(words) == maxChanges {
				return append(words, "and more"), complete
			}
			words = append(words, who.String()+": "+arrow(m.was, m.is))
		}
	}
	return words, complete
}

// nothing is what a client is offered that gets a 204.
const nothing = "nothing newer"

// inside returns the releases as a client sees them that has an id and is inside the
// rollouts that f selects. Without an id, and outside of all, s itself answers alike.
func (s *Releases) inside(f func(r *release) bool) *Releases {
	inside := *s
	inside.releases = slices.Clone(s.releases)
	for i := range inside.releases {
		if r := &inside.releases[i]; r.rollout > 0 && f(r) {
			r.rollout = everyone
		}
	}
	return &inside
}

// space has the values of each axis.
type space struct {
	rollouts  []misc.Version // of the releases with one that excludes some clients
	platforms []string
	cpus      [][]cpus // for each platform
	os        []osAxis // likewise
	channels  []string
	versions  []misc.Version // oldest first; the first is older than all releases
}

func newSpace(s, was *Releases) *space {
	p := &space{platforms: platforms}
	for _, r := range slices.Concat(s.releases, was.releases) {
		if r.withdrawn == "" && r.rollout > 0 && r.rollout < everyone {
			p.rollouts = append(p.rollouts, r.version)
		}
		for _, b := range r.builds {
			if b.platform == "" {
				p.platforms = append(slices.Clip(platforms), "other")
			}
		}
	}
	slices.SortFunc(p.rollouts, misc.Version.Compare)
	p.rollouts = slices.CompactFunc(p.rollouts, func(v, w misc.Version) bool { return v.Compare(w) == 0 })
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

// shares returns how many places the axis of rollouts has: outside of all, inside of
// all and, if there are several, inside of each alone.
func (p *space) shares() int {
	switch n := len(p.rollouts); n {
	case 0, 1:
		return 1 + n
	default:
		return 2 + n
	}
}

// seen returns s as the clients see it at each of these places.
func (p *space) seen(s *Releases) []*Releases {
	seen := []*Releases{s, s.inside(func(*release) bool { return true })}
	for _, v := range p.rollouts {
		seen = append(seen, s.inside(func(r *release) bool { return r.version.Compare(v) == 0 }))
	}
	return seen
}

// cells yields every client.
func (p *space) cells(yield func(cell) bool) {
	for share := range p.shares() {
		for platform := range p.platforms {
			for cpu := range p.cpus[platform] {
				for os := range 1 + len(p.os[platform].points) {
					for channel := range p.channels {
						for version := range p.versions {
							if !yield(cell{axisShare: int32(share), axisPlatform: int32(platform), axisCPU: int32(cpu), axisOS: int32(os), axisChannel: int32(channel), axisVersion: int32(version)}) {
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
	return nothing
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

// axesInOrder is the order in which clients are told apart. That of the OS depends on
// the platform, and is told by few words if the versions are known before.
var axesInOrder = []int{axisPlatform, axisCPU, axisVersion, axisChannel, axisShare, axisOS}

// describe says in words who the clients are. Each description is about some of
// them, and together they are about all.
func (p *space) describe(order []int, cells []cell) []description {
	if len(order) == 0 {
		return []description{{}}
	}
	axis := order[0]
	parts := map[int32][]cell{}
	for _, c := range cells {
		parts[c[axis]] = append(parts[c[axis]], c)
	}
	var alike [][]int // places whose clients have the same descriptions
	var rests [][]description
	for _, place := range slices.Sorted(maps.Keys(parts)) {
		rest := p.describe(order[1:], parts[place])
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
		return and(names)
	}
	switch axis {
	case axisShare:
		return list(p.shares(), func(i int) string {
			switch {
			case len(p.rollouts) == 1:
				return []string{"outside the rollout", "inside the rollout"}[i]
			case i < 2:
				return []string{"outside all rollouts", "inside all rollouts"}[i]
			}
			return "inside the rollout of " + p.rollouts[i-2].String() + " alone"
		})
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
	return "clients " + and(texts)
}
