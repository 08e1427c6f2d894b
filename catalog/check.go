package catalog

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Row describes a release of a releases.json, for people.
type Row struct {
	Version   string   `json:"version"`
	Channel   string   `json:"channel"`
	Share     string   `json:"share"`               // everyone, nobody, or the rollout, such as "25 %"
	Builds    []string `json:"builds"`              // platform, CPUs and OS versions of each, such as "darwin x64+arm64, 12 or later"
	From      string   `json:"from,omitempty"`      // the oldest version that may install it directly
	Withdrawn string   `json:"withdrawn,omitempty"` // why
}

// Table returns a row for each release, newest first.
func (s *Releases) Table() []Row {
	rows := make([]Row, 0, len(s.releases))
	for _, r := range s.releases {
		row := Row{Version: r.version.String(), Channel: s.channels[r.channel], Share: share(r.rollout), Builds: []string{}, From: r.since(), Withdrawn: printable(r.withdrawn)}
		for _, b := range slices.SortedFunc(slices.Values(r.builds), func(a, b build) int { return a.index - b.index }) {
			row.Builds = append(row.Builds, b.String())
		}
		if r.withdrawn != "" {
			row.Share = "nobody"
		}
		rows = append(rows, row)
	}
	return rows
}

// since returns the oldest version that may install r directly, or "".
func (r *release) since() string {
	if r.from == nil {
		return ""
	}
	return r.from.String()
}

// String returns for which clients b is.
func (b build) String() string {
	text := cmp.Or(b.platform, "any platform")
	if b.cpus != 0 {
		text += " " + b.cpus.String()
	}
	if b.os != anyOS {
		text += ", " + b.os.String()
	}
	return text
}

// allCPUs are those that a build can name.
var allCPUs = []cpus{x64, arm64, ia32}

// String returns the names of the CPUs in c.
func (c cpus) String() string {
	var names []string
	for _, name := range []string{"x64", "arm64", "ia32"} {
		if c&cpuNames[name] != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, "+")
}

// share returns a rollout in words.
func share(rollout int) string {
	switch rollout {
	case 0:
		return "nobody"
	case everyone:
		return "everyone"
	}
	return percent(rollout)
}

// machines is a set of pairs of a platform and a CPU: the CPUs of each platform, in
// the order of platforms.
type machines [3]cpus

// machines returns those that b fits if a build without platform is for those in
// unnamed, and one without CPU is for those in c.
func (b build) machines(unnamed []string, c cpus) (m machines) {
	for i, platform := range platforms {
		if b.platform == platform || b.platform == "" && slices.Contains(unnamed, platform) {
			m[i] = cmp.Or(b.cpus, c)
		}
	}
	return m
}

// withMachines sets the machines of r. A build is probably meant for those of the
// only client that exists if it names no platform, and for the CPUs that are sold
// if it names none.
func (r release) withMachines() release {
	for _, b := range r.builds {
		r.fits = r.fits.with(b.machines(platforms, x64|arm64|ia32))
		r.meant = r.meant.with(b.machines(platforms[:1], x64|arm64))
	}
	return r
}

func (m machines) with(n machines) machines {
	for i := range m {
		m[i] |= n[i]
	}
	return m
}

func (m machines) without(n machines) machines {
	for i := range m {
		m[i] &^= n[i]
	}
	return m
}

func (m machines) String() string {
	var names []string
	for i, c := range m {
		if c != 0 {
			names = append(names, platforms[i]+" "+c.String())
		}
	}
	return strings.Join(names, ", ")
}

// A warning is about something that is valid, but probably a mistake.
type warning struct{ file, path, version, text string }

func (w warning) String() string {
	if w.version != "" {
		w.path = strings.TrimSpace(w.path + " (" + w.version + ")")
	}
	if w.path != "" {
		w.path += ": "
	}
	return w.file + ": " + w.path + w.text
}

// maxWarnings is how many warnings are told.
const maxWarnings = 100

// texts returns the warnings in words.
func texts(warnings []warning) []string {
	list := []string{}
	for i, w := range warnings {
		if i == maxWarnings {
			return append(list, fmt.Sprintf("and %d more", len(warnings)-i))
		}
		list = append(list, w.String())
	}
	return list
}

// warnings collects what is wrong with the releases, once each.
type warnings struct {
	*Releases
	versions map[string]bool
	known    map[warning]bool
	found    []warning
}

func (w *warnings) add(r *release, key, format string, args ...any) {
	found := warning{w.file, r.path + key, r.version.String(), printable(fmt.Sprintf(format, args...))}
	if !w.known[found] {
		w.known[found] = true
		w.found = append(w.found, found)
	}
}

// warnings returns a warning for each thing that is valid but probably a mistake.
func (s *Releases) warnings(now time.Time) []warning {
	w := &warnings{Releases: s, versions: map[string]bool{}, known: map[warning]bool{}}
	for _, r := range s.releases {
		w.versions[r.version.String()] = true
	}
	newer := map[string]*release{} // by URL: the oldest of the releases that have it
	sums := map[string]string{}    // URLs by sha256
	var told, reached machines
	for i := range s.releases {
		r := &s.releases[i]
		for _, b := range r.builds {
			if n := newer[b.url]; n != nil && n != r {
				w.add(n, n.key(b.url), "is also that of %s, so whoever installs it is offered %s again, without end", r.version, n.version)
			}
			newer[b.url] = r
		}
		if r.withdrawn != "" {
			w.addWithdrawn(r)
			continue
		}
		w.addRelease(r)
		w.addSteppingStones(r)
		if before := slices.IndexFunc(s.releases[i+1:], func(o release) bool { return o.withdrawn == "" && o.channel == r.channel }); before >= 0 {
			w.addLaxer(r, &s.releases[i+1+before])
		}
		for _, b := range r.builds {
			w.addBuild(r, b, now)
			sum := b.sum()
			if other := sums[sum]; sum != "" && other != "" && other != b.url {
				w.add(r, b.key("extra.sha256"), "is also that of another URL, %s", other)
			}
			sums[sum] = b.url
		}
		told = told.with(r.meant)
		if r.channel == 0 && r.rollout == everyone {
			reached = reached.with(r.fits)
		}
	}
	if m := s.unreachable(); m != nil {
		w.found = append(w.found, *m)
	}
	if told[0]&x64 != 0 && reached[0]&x64 == 0 {
		w.found = append(w.found, warning{s.file, "releases", "", "none is for everyone on darwin x64 on channel " + printable(s.channels[0]) + ", which is what SealTalk's desktop client asks for"})
	}
	return w.found
}

// key returns the path within r of the URL of its first build that has it.
func (r *release) key(url string) string {
	return r.builds[slices.IndexFunc(r.builds, func(b build) bool { return b.url == url })].key("url")
}

// key returns the path of a key of b within its release.
func (b build) key(name string) string {
	if b.index < 0 {
		return name // of squirrel.json
	}
	return fmt.Sprintf("builds[%d].%s", b.index, name)
}

// sum returns the checksum that clients receive with b, or "".
func (b build) sum() string {
	var keys struct {
		SHA256 any `json:"sha256"`
	}
	text, _ := b.plain.MarshalJSON() // never fails
	if json.Unmarshal(text, &keys) != nil {
		return ""
	}
	sum, _ := keys.SHA256.(string)
	return sum
}

// isOffered reports whether some clients get r.
func (r *release) isOffered() bool { return r.withdrawn == "" && r.rollout > 0 }

func (w *warnings) addWithdrawn(r *release) {
	var fixes []*release
	var fixed machines
	for i := range w.releases {
		o := &w.releases[i]
		if o.version.Compare(r.version) <= 0 {
			break
		}
		if o.isOffered() && o.channel <= r.channel && (o.from == nil || o.from.Compare(r.version) <= 0) {
			fixes = append(fixes, o)
			fixed = fixed.with(o.fits)
		}
	}
	lost := r.meant.without(fixed)
	switch {
	case fixes == nil:
		w.add(r, "withdrawn", "whoever runs %s is offered nothing newer", r.version)
	case lost != (machines{}):
		w.add(r, "withdrawn", "whoever runs %s on %s is offered nothing newer", r.version, lost)
	default:
		for i := range platforms {
			if who := r.uncovered(i, fixes); who != "" {
				w.add(r, "withdrawn", "whoever runs %s on %s is offered nothing newer", r.version, who)
			}
		}
	}
	if len(r.builds) == 0 {
		w.add(r, "builds", "keep those that it had: they tell which OS a client has that runs it and does not say")
	}
}

// uncovered names the OS versions of a platform on which r runs and none of others
// does.
func (r *release) uncovered(platform int, others []*release) string {
	builds := slices.Clone(r.builds)
	for _, o := range others {
		builds = append(builds, o.builds...)
	}
	axis := newOSAxis(platforms[platform], builds)
	var places []int
	for _, c := range allCPUs {
		if r.meant[platform]&c == 0 {
			continue
		}
		has := axis.covered(r.builds, platform, c)
		for _, o := range others {
			for i, covers := range axis.covered(o.builds, platform, c) {
				has[i] = has[i] && !covers
			}
		}
		for i, isLost := range has {
			if isLost && !slices.Contains(places, i+1) {
				places = append(places, i+1)
			}
		}
	}
	if places == nil {
		return ""
	}
	slices.Sort(places)
	return axis.words(places, len(axis.points)+1)
}

func (w *warnings) addRelease(r *release) {
	if version := r.builds[0].plain.Version(); sevenWordCharacters.MatchString(version) {
		w.add(r, "version", "%q has seven letters or digits in a row: SealTalk's desktop client that runs it stops looking for updates by itself", version)
	}
	if r.version.Prerelease() != "" && r.channel == 0 {
		w.add(r, "channel", "a prerelease on %s, the most stable channel, is for everyone; is the order of channels wrong?", w.channels[0])
	}
	if _, err := time.Parse(time.DateOnly, r.pubDate); err == nil {
		w.add(r, "pub_date", "%q has no time: macOS shows a date in 1970", r.pubDate)
	}
	if other := w.named(r, r.name); other != "" && w.versions[other] && strings.HasSuffix(r.name, other) {
		w.add(r, "name", "names %s", other)
	}
	switch {
	case r.rollout == 0:
		w.add(r, "rollout", "nobody is offered it")
	case r.rollout < everyone/100:
		w.add(r, "rollout", "is in percent: %s of the clients are offered it", percent(r.rollout))
		fallthrough
	case r.rollout < everyone:
		w.add(r, "rollout", "clients that send no id are not offered it, and today's SealTalk sends none")
	}
	for _, b := range r.builds {
		if b.cpus&arm64 != 0 && !slices.ContainsFunc(r.builds, func(o build) bool {
			return (o.platform == "" || o.platform == b.platform) && (o.cpus == 0 || o.cpus&x64 != 0)
		}) {
			w.add(r, "builds", "arm64 without x64 for %s: a client that names no CPU, as SealTalk's desktop client, counts as x64", cmp.Or(b.platform, "any platform"))
		}
	}
}

// addSteppingStones warns if a client that is older than r.from gets no release
// from which it can install r.
func (w *warnings) addSteppingStones(r *release) {
	if r.from == nil {
		return
	}
	var stones, forEveryone machines
	isStone := false
	for i := range w.releases {
		o := &w.releases[i]
		if !o.isOffered() || o.channel > r.channel || o.version.Compare(r.version) >= 0 || o.version.Compare(*r.from) < 0 {
			continue
		}
		isStone = true
		stones = stones.with(o.fits)
		if o.rollout == everyone {
			forEveryone = forEveryone.with(o.fits)
		}
	}
	where := ""
	lost := r.meant.without(stones)
	if isStone && lost != (machines{}) {
		where = " for " + lost.String()
	}
	if !isStone || where != "" {
		w.add(r, "from", "no release%s from %s on and older than %s is offered, so clients older than %[2]s never get there", where, r.from, r.version)
	} else if lost := r.meant.without(forEveryone); lost != (machines{}) {
		w.add(r, "from", "no release for %s from %s on and older than %s is for everyone, so some clients older than %[2]s do not get there", lost, r.from, r.version)
	}
}

// addLaxer warns of what r lacks and the release before it has.
func (w *warnings) addLaxer(r, before *release) {
	if r.from == nil && before.from != nil {
		w.add(r, "from", "is missing; %s has %s", before.version, before.from)
	}
	if lost := before.meant.without(r.fits); lost != (machines{}) {
		w.add(r, "builds", "none for %s; %s has one", lost, before.version)
	}
	for i, platform := range platforms {
		lower := map[osRange]cpus{} // by the bounds of r and before
		for _, c := range allCPUs {
			if bounds := (osRange{r.leastOS(i, c), before.leastOS(i, c)}); before.meant[i]&c != 0 && bounds.min.compare(bounds.max) < 0 {
				lower[bounds] |= c
			}
		}
		for _, bounds := range slices.SortedFunc(maps.Keys(lower), func(a, b osRange) int { return int(lower[a]) - int(lower[b]) }) {
			words := "missing"
			if bounds.min != unbounded {
				words = trimmed(bounds.min)
			}
			w.add(r, "builds", "min_os for %s %s is %s; that of %s is %s", platform, lower[bounds], words, before.version, trimmed(bounds.max))
		}
	}
}

// leastOS returns the lowest OS version that the builds for a machine run on, or
// endless if there is no build.
func (r *release) leastOS(platform int, c cpus) osVersion {
	least := endless
	for _, b := range r.builds {
		if b.machines(platforms, x64|arm64|ia32)[platform]&c != 0 && b.os.min.compare(least) < 0 {
			least = b.os.min
		}
	}
	return least
}

func (w *warnings) addBuild(r *release, b build, now time.Time) {
	isForMac := b.platform == "darwin" || w.file == "squirrel.json"
	u, err := url.Parse(b.url)
	if err != nil {
		return // [misc.NewRelease] has taken it
	}
	path := strings.ToLower(u.Path)
	if isForMac && !strings.HasSuffix(path, ".zip") {
		w.add(r, b.key("url"), "does not end in .zip, and macOS can install nothing else")
	}
	if isForMac && u.Scheme == "http" {
		w.add(r, b.key("url"), "is http, and macOS loads nothing but https unless the app allows it")
	}
	for _, p := range platformNames {
		found := p.pattern.FindString(path)
		switch {
		case found == "":
		case b.platform == "" && !isForMac:
			w.add(r, b.key("platform"), "is missing, so clients of every platform are offered %s", strings.Trim(found, "/_"))
		case b.platform != "" && b.platform != p.platform:
			w.add(r, b.key("url"), "names %s in a build for %s", strings.Trim(found, "/_-."), b.platform)
		}
	}
	for _, c := range cpuPatterns {
		if b.cpus != 0 && b.cpus&c.cpu == 0 && c.pattern.MatchString(path) && !slices.ContainsFunc(cpuPatterns, func(own cpuPattern) bool {
			return b.cpus&own.cpu != 0 && own.pattern.MatchString(path)
		}) {
			w.add(r, b.key("url"), "names %s in a build for %s", c.cpu, b.cpus)
		}
	}
	for _, n := range []int{b.os.min[0], b.os.max[0]} {
		if b.platform == "win32" && n > 10 && n != endless[0] {
			w.add(r, "builds", "no Windows has version %d: Windows 11 is 10.0.22000", n)
		}
	}
	if other := w.named(r, u.Path); other != "" {
		w.add(r, b.key("url"), "names %s", other)
	}
	if end, expires := expiry(u.Query()); expires && end.Before(now.AddDate(0, 0, 7)) {
		words := "expires"
		if end.Before(now) {
			words = "has expired,"
		}
		w.add(r, b.key("url"), "%s on %s", words, end.UTC().Format(time.DateOnly))
	}
}

// named returns a version that text names, if it does not name that of r.
func (w *warnings) named(r *release, text string) (other string) {
	own := r.version.String()
	core, _, _ := strings.Cut(own, "-")
	for _, found := range versionInText.FindAllStringSubmatch(text, -1) {
		switch name := found[1] + found[2]; {
		case name == own:
			return ""
		case w.versions[name]:
			other = name
		case found[1] == core: // with an ending, such as -mac
			return ""
		case other == "":
			other = found[1]
		}
	}
	return other
}

// expiry returns until when a signed URL is valid. AWS, Google and Alibaba Cloud
// have a date and a number of seconds, and older forms of them a Unix time alone;
// Azure has a time.
func expiry(query url.Values) (end time.Time, expires bool) {
	values := map[string]string{}
	for key := range query {
		values[strings.ToLower(key)] = query.Get(key)
	}
	for _, prefix := range []string{"x-amz-", "x-goog-", "x-oss-"} {
		seconds, err := strconv.Atoi(values[prefix+"expires"])
		date, noDate := time.Parse("20060102T150405Z", values[prefix+"date"])
		if err == nil && noDate == nil && seconds >= 0 && seconds < 1e9 {
			return date.Add(time.Duration(seconds) * time.Second), true
		}
	}
	if end, err := time.Parse(time.RFC3339, values["se"]); err == nil && values["sig"] != "" {
		return end, true
	}
	seconds, err := strconv.ParseInt(values["expires"], 10, 64)
	return time.Unix(seconds, 0), err == nil && seconds >= 1e8 // fewer are a length of time
}

// unreachable returns a warning if clients are told that an update is mandatory
// and some of them cannot get one that is new enough: there is a build for their
// platform and CPU, but none in a release for everyone on the first channel that
// is not below the minimum.
func (s *Releases) unreachable() *warning {
	if s.minimum == nil {
		return nil
	}
	var told, reached machines
	for _, r := range s.releases {
		told = told.with(r.meant)
		if r.channel == 0 && r.withdrawn == "" && r.rollout == everyone && r.version.Compare(*s.minimum) >= 0 {
			reached = reached.with(r.fits)
		}
	}
	lost := told.without(reached)
	if lost == (machines{}) && told != lost {
		return nil
	}
	return &warning{s.file, "minimum", "", fmt.Sprintf("no release for everyone on channel %s is %s or newer, so clients are told to install what they cannot get: %s",
		s.channels[0], s.minimum, cmp.Or(lost.String(), "all"))}
}

type cpuPattern struct {
	cpu     cpus
	pattern *regexp.Regexp
}

var (
	sevenWordCharacters = regexp.MustCompile(`\w{7}`)
	versionInText       = regexp.MustCompile(`(?:^|[^\d.])(\d+\.\d+\.\d+)(-[0-9A-Za-z]+(?:\.\d+)*)?`)

	platformNames = []struct {
		platform string
		pattern  *regexp.Regexp
	}{
		{"darwin", regexp.MustCompile(`-mac\.zip$|\.(dmg|pkg)$|[/_-](darwin|macos)[/_.-]`)},
		{"win32", regexp.MustCompile(`\.(msix|msi|exe)$|[/_-](win32|windows)[/_.-]`)},
		{"linux", regexp.MustCompile(`\.(appimage|deb|rpm)$|[/_-]linux[/_.-]`)},
	}
	cpuPatterns = []cpuPattern{
		{arm64, regexp.MustCompile(`[/_.-](arm64|aarch64|universal)[/_.-]`)},
		{x64, regexp.MustCompile(`[/_.-](x64|amd64|x86_64|universal)[/_.-]`)},
	}
)
