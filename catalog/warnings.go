package catalog

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"time"
)

// Warnings returns a warning for each thing that is valid but probably a
// mistake. A warning begins with the name of the file and the path in it.
func (s *Releases) Warnings() (found []string) {
	warn := func(path, format string, args ...any) {
		if w := s.file + ": " + path + ": " + fmt.Sprintf(format, args...); !slices.Contains(found, w) {
			found = append(found, w)
		}
	}
	isOffered := func(fits func(r *release) bool) bool {
		return slices.ContainsFunc(s.releases, func(r release) bool { return r.withdrawn == "" && r.rollout > 0 && fits(&r) })
	}
	for _, r := range s.releases {
		if r.withdrawn != "" {
			if !isOffered(func(o *release) bool { return o.channel <= r.channel && o.version.Compare(r.version) > 0 }) {
				warn(r.path+"withdrawn", "whoever runs %s is offered nothing newer", r.version)
			}
			continue
		}
		if version := r.builds[0].plain.Version(); sevenWordCharacters.MatchString(version) {
			warn(r.path+"version", "%q has seven letters or digits in a row: SealTalk's desktop client that runs it stops looking for updates by itself", version)
		}
		if _, err := time.Parse(time.DateOnly, r.pubDate); err == nil {
			warn(r.path+"pub_date", "%q has no time: macOS shows a date in 1970", r.pubDate)
		}
		if r.from != nil && !isOffered(func(o *release) bool {
			return o.channel <= r.channel && o.version.Compare(r.version) < 0 && o.version.Compare(*r.from) >= 0
		}) {
			warn(r.path+"from", "no release from %s on and older than %s is offered, so clients older than %[1]s never get there", r.from, r.version)
		}
		for _, b := range r.builds {
			if b.platform == "win32" && b.os.min[0] > 10 {
				warn(r.path+"builds", "no Windows has version %d: Windows 11 is 10.0.22000", b.os.min[0])
			}
			if b.cpus&arm64 != 0 && !slices.ContainsFunc(r.builds, func(o build) bool {
				return (o.platform == "" || o.platform == b.platform) && o.cpus.overlap(x64)
			}) {
				warn(r.path+"builds", "arm64 without x64 for %s: a client that names no CPU, as SealTalk's desktop client, counts as x64", cmp.Or(b.platform, "any platform"))
			}
		}
	}
	if !isOffered(func(r *release) bool {
		return r.channel == 0 && r.rollout == everyone && slices.ContainsFunc(r.builds, func(b build) bool { return b.os == anyOS && b.cpus.overlap(x64) })
	}) {
		warn("releases", "none is for a client that sends neither id nor os_version")
	}
	return found
}

var sevenWordCharacters = regexp.MustCompile(`\w{7}`)
