package catalog

import (
	"cmp"
	"fmt"
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

// fits returns the machines that a build fits.
func (b build) fits() (m machines) { return b.machines(x64 | arm64 | ia32) }

// meant returns the machines that a build is probably meant for: without a
// platform, those of the only client that exists, and without a CPU, all that are
// sold.
func (b build) meant() (m machines) {
	b.platform = cmp.Or(b.platform, "darwin")
	return b.machines(x64 | arm64)
}

func (b build) machines(unnamed cpus) (m machines) {
	for i, platform := range platforms {
		if b.platform == "" || b.platform == platform {
			m[i] = cmp.Or(b.cpus, unnamed)
		}
	}
	return m
}

// all returns the machines of all builds of r, of each of which f tells them.
func (r *release) all(f func(build) machines) (m machines) {
	for _, b := range r.builds {
		m = m.with(f(b))
	}
	return m
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
		w.path += " (" + w.version + ")"
	}
	if w.path != "" {
		w.path += ": "
	}
	return w.file + ": " + w.path + w.text
}

// Warnings returns a warning for each thing that is valid but probably a mistake.
// A warning begins with the name of the file, the path in it and the version of
// the release. Some are about the time: a URL that expires within a week.
func (s *Releases) Warnings() []string {
	var texts []string
	for _, w := range s.warnings(time.Now()) {
		texts = append(texts, w.String())
	}
	return texts
}

func (s *Releases) warnings(now time.Time) (found []warning) {
	newer := map[string]func(older *release){} // by URL: warns of the release that has it already
	known := map[warning]bool{}
	reachesDefault := false
	for i := range s.releases {
		r := &s.releases[i]
		warn := func(key, format string, args ...any) {
			if w := (warning{s.file, r.path + key, r.version.String(), printable(fmt.Sprintf(format, args...))}); !known[w] {
				known[w] = true
				found = append(found, w)
			}
		}
		if r.withdrawn != "" {
			s.warnOfWithdrawn(r, warn)
			continue
		}
		s.warnOfRelease(r, warn)
		s.warnOfSteppingStones(r, warn)
		if before := slices.IndexFunc(s.releases[i+1:], func(o release) bool { return o.withdrawn == "" && o.channel == r.channel }); before >= 0 {
			warnOfLaxer(r, &s.releases[i+1+before], warn)
		}
		for _, b := range r.builds {
			s.warnOfBuild(r, b, now, warn)
			if warnOf := newer[b.url]; warnOf != nil {
				warnOf(r)
			}
			newer[b.url] = func(older *release) {
				if older != r {
					warn(b.key("url"), "is also that of %s, so whoever installs it is offered %s again, without end", older.version, r.version)
				}
			}
			reachesDefault = reachesDefault || r.channel == 0 && r.rollout == everyone && b.os == anyOS && b.fits()[0]&x64 != 0
		}
	}
	if w, isUnreachable := s.unreachable(); isUnreachable {
		found = append(found, w)
	}
	if !reachesDefault {
		found = append(found, warning{s.file, "releases", "", "none is for a client that sends neither id nor os_version"})
	}
	return found
}

// isOffered reports whether some clients get r.
func (r *release) isOffered() bool { return r.withdrawn == "" && r.rollout > 0 }

func (s *Releases) warnOfWithdrawn(r *release, warn func(key, format string, args ...any)) {
	var fixed machines
	isFixed := false
	for i := range s.releases {
		if o := &s.releases[i]; o.isOffered() && o.channel <= r.channel && o.version.Compare(r.version) > 0 && (o.from == nil || o.from.Compare(r.version) <= 0) {
			fixed, isFixed = fixed.with(o.all(build.fits)), true
		}
	}
	if lost := r.all(build.meant).without(fixed); !isFixed {
		warn("withdrawn", "whoever runs %s is offered nothing newer", r.version)
	} else if lost != (machines{}) {
		warn("withdrawn", "whoever runs %s on %s is offered nothing newer", r.version, lost)
	}
	if len(r.builds) == 0 {
		warn("builds", "keep those that it had: they tell which OS a client has that runs it and does not say")
	}
}

func (s *Releases) warnOfRelease(r *release, warn func(key, format string, args ...any)) {
	if version := r.builds[0].plain.Version(); sevenWordCharacters.MatchString(version) {
		warn("version", "%q has seven letters or digits in a row: SealTalk's desktop client that runs it stops looking for updates by itself", version)
	}
	if r.version.Prerelease() != "" && r.channel == 0 {
		warn("channel", "a prerelease on %s, the most stable channel, is for everyone; is the order of channels wrong?", s.channels[0])
	}
	if _, err := time.Parse(time.DateOnly, r.pubDate); err == nil {
		warn("pub_date", "%q has no time: macOS shows a date in 1970", r.pubDate)
	}
	if other := s.named(r, r.name); other != "" {
		warn("name", "names %s", other)
	}
	switch {
	case r.rollout == 0:
		warn("rollout", "nobody is offered it")
	case r.rollout < everyone/100:
		warn("rollout", "is in percent: %s of the clients are offered it", percent(r.rollout))
		fallthrough
	case r.rollout < everyone:
		warn("rollout", "clients that send no id are not offered it, and today's SealTalk sends none")
	}
	for _, b := range r.builds {
		if b.cpus&arm64 != 0 && !slices.ContainsFunc(r.builds, func(o build) bool {
			return (o.platform == "" || o.platform == b.platform) && (o.cpus == 0 || o.cpus&x64 != 0)
		}) {
			warn("builds", "arm64 without x64 for %s: a client that names no CPU, as SealTalk's desktop client, counts as x64", cmp.Or(b.platform, "any platform"))
		}
	}
}

// warnOfSteppingStones warns if a client that is older than r.from gets no release
// from which it can install r.
func (s *Releases) warnOfSteppingStones(r *release, warn func(key, format string, args ...any)) {
	if r.from == nil {
		return
	}
	var stones, stonesForEveryone machines
	isStone := false
	for i := range s.releases {
		o := &s.releases[i]
		if !o.isOffered() || o.channel > r.channel || o.version.Compare(r.version) >= 0 || o.version.Compare(*r.from) < 0 {
			continue
		}
		isStone = true
		stones = stones.with(o.all(build.fits))
		if o.rollout == everyone {
			stonesForEveryone = stonesForEveryone.with(o.all(build.fits))
		}
	}
	where := ""
	lost := r.all(build.meant).without(stones)
	if isStone && lost != (machines{}) {
		where = " for " + lost.String()
	}
	if !isStone || where != "" {
		warn("from", "no release%s from %s on and older than %s is offered, so clients older than %[2]s never get there", where, r.from, r.version)
	} else if lost := r.all(build.meant).without(stonesForEveryone); lost != (machines{}) {
		warn("from", "no release for %s from %s on and older than %s is for everyone, so some clients older than %[2]s do not get there", lost, r.from, r.version)
	}
}

// warnOfLaxer warns of what r lacks and the release before it has.
func warnOfLaxer(r, before *release, warn func(key, format string, args ...any)) {
	if r.from == nil && before.from != nil {
		warn("from", "none, and %s has %s", before.version, before.from)
	}
	if lost := before.all(build.meant).without(r.all(build.fits)); lost != (machines{}) {
		warn("builds", "none for %s, and %s has one", lost, before.version)
	}
	for i, platform := range platforms {
		was, is := before.leastOS(i), r.leastOS(i)
		if was != endless && is.compare(was) < 0 {
			words := "none"
			if is != unbounded {
				words = trimmed(is)
			}
			warn("builds", "min_os for %s is %s, and that of %s is %s", platform, words, before.version, trimmed(was))
		}
	}
}

// leastOS returns the lowest OS version that the builds for a platform run on, or
// endless if there is no build.
func (r *release) leastOS(platform int) osVersion {
	least := endless
	for _, b := range r.builds {
		if b.fits()[platform] != 0 && b.os.min.compare(least) < 0 {
			least = b.os.min
		}
	}
	return least
}

func (s *Releases) warnOfBuild(r *release, b build, now time.Time, warn func(key, format string, args ...any)) {
	isForMac := b.platform == "darwin" || s.file == "squirrel.json"
	u, err := url.Parse(b.url)
	if err != nil {
		return // [misc.NewRelease] has taken it
	}
	path := strings.ToLower(u.Path)
	if isForMac && !strings.HasSuffix(path, ".zip") {
		warn(b.key("url"), "does not end in .zip, and macOS can install nothing else")
	}
	if isForMac && u.Scheme == "http" {
		warn(b.key("url"), "is http, and macOS loads nothing but https unless the app allows it")
	}
	if b.platform == "" && !isForMac {
		if platform := namesPlatform.FindString(path); platform != "" {
			warn(b.key("platform"), "none, so clients of every platform are offered %s", platform)
		}
	}
	if b.platform == "win32" && b.os.min[0] > 10 {
		warn("builds", "no Windows has version %d: Windows 11 is 10.0.22000", b.os.min[0])
	}
	if other := s.named(r, u.Path); other != "" {
		warn(b.key("url"), "names %s", other)
	}
	if end, expires := expiry(u.Query()); expires && end.Before(now.AddDate(0, 0, 7)) {
		words := "expires"
		if end.Before(now) {
			words = "has expired,"
		}
		warn(b.key("url"), "%s on %s", words, end.UTC().Format(time.DateOnly))
	}
}

// key returns the path of a key of b within its release.
func (b build) key(name string) string {
	if b.index < 0 {
		return name // of squirrel.json
	}
	return fmt.Sprintf("builds[%d].%s", b.index, name)
}

// named returns the version of another release that text names, if it does not
// name r.
func (s *Releases) named(r *release, text string) (other string) {
	own, _, _ := strings.Cut(r.version.String(), "-")
	cores := coreVersion.FindAllString(text, -1)
	if slices.Contains(cores, own) {
		return ""
	}
	for _, core := range cores {
		if slices.ContainsFunc(s.releases, func(o release) bool { return o.version.String() == core }) {
			return core
		}
	}
	return ""
}

// expiry returns until when a signed URL is valid. AWS, Google and Alibaba Cloud
// have a date and a number of seconds, and older forms of them a time alone.
func expiry(query url.Values) (end time.Time, expires bool) {
	values := map[string]string{}
	for key := range query {
		values[strings.ToLower(key)] = query.Get(key)
	}
	for _, prefix := range []string{"x-amz-", "x-goog-", "x-oss-"} {
		seconds, err := strconv.Atoi(values[prefix+"expires"])
		if date, noDate := time.Parse("20060102T150405Z", values[prefix+"date"]); err == nil && noDate == nil {
			return date.Add(time.Duration(seconds) * time.Second), true
		}
	}
	seconds, err := strconv.ParseInt(values["expires"], 10, 64)
	return time.Unix(seconds, 0), err == nil
}

// unreachable returns a warning if clients are told that an update is mandatory
// and some of them cannot get one that is new enough: there is a build for their
// platform and CPU, but none in a release for everyone on the first channel that
// is not below the minimum.
func (s *Releases) unreachable() (w warning, isUnreachable bool) {
	if s.minimum == nil {
		return w, false
	}
	var told, reached machines
	for i := range s.releases {
		r := &s.releases[i]
		told = told.with(r.all(build.meant))
		if r.channel == 0 && r.withdrawn == "" && r.rollout == everyone && r.version.Compare(*s.minimum) >= 0 {
			reached = reached.with(r.all(build.fits))
		}
	}
	lost := told.without(reached)
	if lost == (machines{}) && told != lost {
		return w, false
	}
	return warning{s.file, "minimum", "", fmt.Sprintf("no release for everyone on channel %s is %s or newer, so clients are told to install what they cannot get: %s",
		printable(s.channels[0]), s.minimum, cmp.Or(lost.String(), "all"))}, true
}

var (
	sevenWordCharacters = regexp.MustCompile(`\w{7}`)
	coreVersion         = regexp.MustCompile(`\d+\.\d+\.\d+`)
	namesPlatform       = regexp.MustCompile(`-mac\.zip$|\.(dmg|pkg|msix|msi|exe|appimage|deb|rpm)$|darwin|win32|linux`)
)
