package catalog

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/sealtalk-go/misc"
)

// ParseRelease parses a release in the form of SealTalk's squirrel.json: an
// object with the keys version, url, name, notes and pub_date, for which the
// rules of [misc.ReleaseFields] hold. Other keys go to Extra. The error joins
// all problems, each with its key.
func ParseRelease(data []byte) (*misc.Release, error) {
	r, _, found := parseRelease(data)
	return r, found.join("catalog: ", data)
}

func parseRelease(data []byte) (*misc.Release, misc.ReleaseFields, problems) {
	o := parseFile(data)
	if o.found != nil {
		return nil, misc.ReleaseFields{}, o.found
	}
	fields := misc.ReleaseFields{
		Version: o.checked("version", "version"),
		URL:     o.checked("url", "url"),
		Name:    o.text("name"),
		Notes:   o.text("notes"),
		PubDate: o.checked("pub_date", "pub_date"),
		Extra:   o.extra(),
	}
	if o.found != nil {
		return nil, fields, o.found
	}
	r, err := misc.NewRelease(fields)
	return r, fields, o.found.add(err)
}

// parseSquirrel returns one release for everyone.
func parseSquirrel(data []byte) (releases parsed[Releases], _ problems) {
	r, fields, found := parseRelease(data)
	if found != nil {
		return releases, found
	}
	version, err := misc.ParseVersion(fields.Version)
	only := release{version: version, name: fields.Name, pubDate: fields.PubDate, rollout: everyone, builds: []build{{index: -1, url: fields.URL, os: anyOS, plain: r}}}
	s := &Releases{file: "squirrel.json", revision: revision(data), channels: []string{"stable"}, releases: []release{only.withMachines()}}
	return parsed[Releases]{good: s, version: fields.Version}, found.add(err)
}

// Releases are the desktop releases of a releases.json. They are immutable.
// Make them with [ParseReleases].
type Releases struct {
	file     string        // the name, for warnings
	revision string        // of the bytes of the file
	channels []string      // most stable first
	minimum  *misc.Version // nil: none
	releases []release     // newest first
}

type release struct {
	path      string // in the file, with a dot behind it
	version   misc.Version
	name      string
	pubDate   string
	channel   int           // its place in channels
	from      *misc.Version // nil: any
	rollout   int           // of everyone, in millionths
	withdrawn string        // why; empty: it is not
	builds    []build       // the first that fits a client is the one for it
	fits      machines      // that a build fits
	meant     machines      // that the builds are probably meant for
}

// maxAnswers bounds the names and notes in all answers of a release, in bytes.
const maxAnswers = 16 << 20

// everyone is a rollout of 100 %.
const everyone = 1_000_000

type build struct {
	index     int // in the file
	url       string
	platform  string // empty: any
	cpus      cpus
	os        osRange
	plain     *misc.Release
	mandatory *misc.Release // nil without a minimum
}

// platforms are those that a build can name.
var platforms = []string{"darwin", "win32", "linux"}

// cpus is a set of CPUs. The empty set stands for any.
type cpus uint

const (
	x64 cpus = 1 << iota
	arm64
	ia32
)

var cpuNames = map[string]cpus{"x64": x64, "arm64": arm64, "ia32": ia32, "universal": x64 | arm64}

// ParseReleases parses a releases.json, whose keys are described in
// https://github.com/sealtalk-go/misc/blob/main/docs/releases.md. A key that is
// unknown, or that appears twice in an object, is an error. The error joins all
// problems, each with its path, such as releases[2].builds[0].min_os.
func ParseReleases(data []byte) (*Releases, error) {
	s, found := parseReleases(data)
	return s.good, found.join("catalog: ", data)
}

func parseReleases(data []byte) (releases parsed[Releases], _ problems) {
	file, err := parse(data)
	if err != nil {
		return releases, problems(nil).add(err)
	}
	o := parseObject(file, "")
	if o.found != nil {
		return releases, o.found
	}
	delete(o.values, "$schema") // editors look for it
	if _, isFeed := o.values["currentRelease"]; isFeed {
		return releases, o.found.add(errors.New("is the static feed of Squirrel.Mac, which has the same name: keep that feed elsewhere, and write the file of docs/releases.md"))
	}
	s := &Releases{file: "releases.json", revision: revision(data), channels: o.channels(), minimum: o.version("minimum")}
	list, ok := o.list("releases")
	if ok && list == nil {
		o.add("releases", "required, but may be empty")
	}
	paths := map[string]string{}
	for i, raw := range list {
		in := parseObject(raw, fmt.Sprintf("releases[%d].", i))
		in.full = len(o.found) > maxProblems
		if r, ok := in.release(s); ok {
			if other, taken := paths[r.version.String()]; taken {
				in.add("version", "%s is also at %sversion", r.version, other)
			}
			paths[r.version.String()] = r.path
			for k := range in.found {
				in.found[k].version = r.version.String()
			}
			s.releases = append(s.releases, r)
		}
		o.found = o.found.with(in.found...)
	}
	o.refuseRest()
	for _, p := range file.repeated() {
		for _, r := range s.releases {
			if strings.HasPrefix(p.key, r.path) {
				p.version = r.version.String()
			}
		}
		o.found = o.found.with(p)
	}
	if o.found != nil {
		return releases, o.found
	}
	slices.SortFunc(s.releases, func(a, b release) int { return b.version.Compare(a.version) })
	releases = parsed[Releases]{good: s, version: s.String(), warning: s.unreachable()}
	return releases, nil
}

// String returns the number of releases and the newest version, such as "2
// releases up to 1.1.0".
func (s *Releases) String() string {
	if len(s.releases) == 0 {
		return "no releases"
	}
	plural := "s"
	if len(s.releases) == 1 {
		plural = ""
	}
	return fmt.Sprintf("%d release%s up to %s", len(s.releases), plural, s.releases[0].version)
}

// takenBack says what clients were offered by was and are not by s, although it was
// not withdrawn.
func (s *Releases) takenBack(was *Releases) (words []string) {
	for _, r := range was.releases {
		switch is := s.find(r.version); {
		case is == nil && r.withdrawn == "":
			words = append(words, r.version.String()+": removed, and not withdrawn")
		case is != nil && is.rollout < r.rollout:
			words = append(words, r.version.String()+": rollout "+arrow(share(r.rollout), share(is.rollout)))
		}
	}
	return words
}

// find returns the release with that version, nil if there is none.
func (s *Releases) find(version misc.Version) *release {
	i, found := slices.BinarySearchFunc(s.releases, version, func(r release, v misc.Version) int { return v.Compare(r.version) })
	if !found {
		return nil
	}
	return &s.releases[i]
}

// percent writes millionths.
func percent(millionths int) string {
	return strconv.FormatFloat(float64(millionths)/(everyone/100), 'f', -1, 64) + " %"
}

func (o *object) channels() []string {
	value, given := o.take("channels")
	if !given {
		return []string{"stable"}
	}
	var channels []string
	if json.Unmarshal(value.RawMessage, &channels) != nil || len(channels) < 1 || len(channels) > 16 {
		o.add("channels", "must be a list of 1 to 16 strings")
		return nil
	}
	before := len(o.found)
	for i, c := range channels {
		if c == "" || len(c) > 64 || strings.Trim(c, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-") != "" {
			o.add(fmt.Sprintf("channels[%d]", i), "%.100q must consist of 1 to 64 letters, digits and hyphens", c)
		} else if slices.Contains(channels[:i], c) {
			o.add(fmt.Sprintf("channels[%d]", i), "%q appears twice", c)
		}
	}
	if len(o.found) > before {
		return nil
	}
	return channels
}

// release reads one of the releases of s. ok is false without a valid version.
func (o *object) release(s *Releases) (r release, ok bool) {
	if o.found != nil {
		return r, false
	}
	fields := misc.ReleaseFields{
		Version: o.checked("version", "version"), Name: o.text("name"), Notes: o.text("notes"), PubDate: o.checked("pub_date", "pub_date"),
	}
	version, err := misc.ParseVersion(fields.Version)
	r = release{path: o.path, version: version, name: fields.Name, pubDate: fields.PubDate, from: o.version("from"), rollout: o.rollout()}
	ok = err == nil
	r.channel = o.channel(s, version)
	if ok && r.from != nil && r.from.Compare(version) >= 0 {
		o.add("from", "%s must be below the release's version, %s", r.from, version)
	}
	why, given := o.given("withdrawn")
	if r.withdrawn = why; given && why == "" {
		o.add("withdrawn", "must say why")
	}
	list, isList := o.list("builds")
	if len(list) == 0 && why == "" && isList {
		o.add("builds", "at least one is required, except for a withdrawn release")
	}
	if len(list)*(len(fields.Name)+len(fields.Notes)) > maxAnswers {
		o.add("builds", "are too many for a name and notes of this length: every answer has these")
		list = nil
	}
	valid := o.found == nil
	taken := make(ties)
	for i, raw := range list {
		in := parseObject(raw, fmt.Sprintf("%sbuilds[%d].", o.path, i))
		in.full = o.full || len(o.found) > maxProblems
		b := in.build(i, fields, valid, s.minimum != nil)
		if in.found == nil {
			if k, tied := taken.add(b, i); tied {
				in.found = problems{{key: fmt.Sprintf("%sbuilds[%d]", o.path, i), at: raw.at, cause: fmt.Errorf("a client that it fits may fit builds[%d] just as well: their platforms, CPUs or OS versions must differ", k)}}
			}
		}
		r.builds = append(r.builds, b)
		o.found = o.found.with(in.found...)
	}
	o.refuseRest()
	slices.SortFunc(r.builds, build.precedence)
	return r.withMachines(), ok
}

// channel returns the place of a release's channel among those of s, which are nil
// if they could not be read.
func (o *object) channel(s *Releases, version misc.Version) int {
	name, given := o.given("channel")
	if !given && version.Prerelease() == "" {
		return 0
	}
	if !given {
		name, _, _ = strings.Cut(version.Prerelease(), ".")
	}
	place := slices.Index(s.channels, name)
	switch {
	case s.channels == nil:
	case place < 0 && given:
		o.add("channel", "%.100q is not one of channels: %s", name, strings.Join(s.channels, ", "))
	case place < 0:
		o.add("channel", "required, or %.100q in channels: the version is %s", name, version)
	}
	return place
}

// rollout returns the share of clients, in millionths.
func (o *object) rollout() int {
	value, given := o.take("rollout")
	if !given {
		return everyone
	}
	number := string(value.RawMessage)
	percent, err := strconv.ParseFloat(number, 64)
	hundredths := math.Round(percent * 100)
	digits, _, _ := strings.Cut(strings.ToLower(number), "e")
	isExact := len(digits) <= 16 && (percent != 0 || strings.Trim(digits, "-0.") == "") // in a float64
	if err != nil || !isExact || percent < 0 || percent > 100 || hundredths/100 != percent {
		o.add("rollout", "must be a number from 0 to 100 with at most two decimals")
		return 0
	}
	return int(hundredths) * (everyone / 100_00)
}

// build reads one of the builds of a release with these fields. It makes no
// misc.Release if they are not valid.
func (o *object) build(index int, fields misc.ReleaseFields, valid, minimum bool) (b build) {
	if o.found != nil {
		return b
	}
	b = build{index: index, platform: o.platform(), cpus: o.cpus(), os: anyOS}
	if bound := o.os("min_os", b.platform); bound != nil {
		b.os.min = bound.min
	}
	if bound := o.os("max_os", b.platform); bound != nil {
		b.os.max = bound.max
	}
	if b.os.min.compare(b.os.max) > 0 {
		o.add("max_os", "is below min_os")
	}
	b.url = o.checked("url", "url")
	fields.URL = b.url
	if extra, given := o.take("extra"); given {
		in := parseObject(extra, o.path+"extra.")
		for _, key := range []string{"version", "url", "name", "notes", "pub_date", "mandatory"} {
			if _, set := in.values[key]; set {
				in.add(key, "has a place of its own and must not be in extra")
			}
		}
		fields.Extra = in.extra()
		o.found = o.found.with(in.found...)
	}
	o.refuseRest()
	if o.found != nil || !valid {
		return b
	}
	var err error
	b.plain, err = misc.NewRelease(fields)
	o.found = o.found.add(err)
	if minimum {
		extra := map[string]json.RawMessage{"mandatory": json.RawMessage("true")}
		maps.Copy(extra, fields.Extra)
		fields.Extra = extra
		b.mandatory, err = misc.NewRelease(fields)
		o.found = o.found.add(err)
	}
	return b
}

func (o *object) platform() string {
	platform, given := o.given("platform")
	if given && !slices.Contains(platforms, platform) {
		o.add("platform", "%q is not darwin, win32 or linux", platform)
	}
	return platform
}

// cpus reads one CPU or a list of them.
func (o *object) cpus() (all cpus) {
	value, given := o.take("arch")
	if !given {
		return 0
	}
	var names []string
	if json.Unmarshal(value.RawMessage, &names) != nil {
		names = make([]string, 1)
		if json.Unmarshal(value.RawMessage, &names[0]) != nil {
			names = nil
		}
	}
	if len(names) == 0 {
		o.add("arch", "must be a string or a list of strings")
	}
	for _, name := range names {
		c, known := cpuNames[name]
		if !known {
			o.add("arch", "%q is not x64, arm64, ia32 or universal", name)
		}
		all |= c
	}
	return all
}

// os reads a bound on the OS of a build for platform, nil if it is missing or
// invalid.
func (o *object) os(key, platform string) *osRange {
	s, given := o.given(key)
	if !given {
		return nil
	}
	bound, more, ok := parseOS(s)
	switch {
	case !ok || more:
		o.add(key, "%q is not one to four numbers with dots, such as 10.0.17763", s)
	case platform == "":
		o.add(key, "needs a platform beside it")
	case platform == "darwin" && bound.min[0] >= 16 && bound.min[0] <= 25:
		o.add(key, "%s is a kernel's version: there is no macOS 16 to 25", s)
	default:
		return &bound
	}
	return nil
}

// precedence orders the builds that fit a client: one that names its platform is
// first, then one for fewer CPUs.
func (b build) precedence(c build) int {
	named := func(b build) int { return min(len(b.platform), 1) }
	return cmp.Or(named(c)-named(b), b.cpus.count()-c.cpus.count())
}

// ties are the builds of a release between which a client might have to choose:
// those for one platform, with the same number of CPUs and one of these in common.
// Those in a list have OS ranges that do not overlap, in order.
type ties map[tie][]placed

type tie struct {
	platform string
	count    int
	cpu      cpus
}

type placed struct {
	os    osRange
	index int
}

// add reports which of the builds a client may fit as well as the one with this
// index, and adds that one if there is none.
func (t ties) add(b build, index int) (other int, tied bool) {
	for _, adds := range []bool{false, true} {
		for _, cpu := range []cpus{0, x64, arm64, ia32} {
			if b.cpus&cpu != cpu || (cpu == 0) != (b.cpus == 0) {
				continue
			}
			key := tie{b.platform, b.cpus.count(), cpu}
			list := t[key]
			place, _ := slices.BinarySearchFunc(list, b.os.min, func(p placed, least osVersion) int { return p.os.min.compare(least) })
			for _, neighbor := range list[max(0, place-1):min(len(list), place+1)] {
				if neighbor.os.overlap(b.os) {
					return neighbor.index, true
				}
			}
			if adds {
				t[key] = slices.Insert(list, place, placed{b.os, index})
			}
		}
	}
	return 0, false
}

// count returns how many CPUs are in c. The empty set, any CPU, counts as more
// than every named CPU.
func (c cpus) count() int {
	if c == 0 {
		return bits.UintSize
	}
	return bits.OnesCount(uint(c))
}
