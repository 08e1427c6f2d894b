package catalog

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
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
	if w := s.unreachable(); w != "" {
		found = append(found, w)
	}
	if !isOffered(func(r *release) bool {
		return r.channel == 0 && r.rollout == everyone && slices.ContainsFunc(r.builds, func(b build) bool { return b.os == anyOS && b.cpus.overlap(x64) })
	}) {
		warn("releases", "none is for a client that sends neither id nor os_version")
	}
	return found
}

// unreachable returns a warning if clients are told that an update is mandatory
// and some of them cannot get one that is new enough: there is a build for their
// platform and CPU, but none in a release for everyone on the first channel that
// is not below the minimum.
func (s *Releases) unreachable() string {
	if s.minimum == nil {
		return ""
	}
	isReached := func(platform string, c cpus) bool {
		return slices.ContainsFunc(s.releases, func(r release) bool {
			return r.channel == 0 && r.withdrawn == "" && r.rollout == everyone && r.version.Compare(*s.minimum) >= 0 && slices.ContainsFunc(r.builds, func(b build) bool {
				return (b.platform == "" || b.platform == platform) && (b.cpus == 0 || b.cpus&c == c)
			})
		})
	}
	var lost []string
	for _, r := range s.releases {
		for _, b := range r.builds {
			for _, c := range []cpus{x64, arm64, ia32} {
				named := b.cpus&c != 0 || b.cpus == 0 && c != ia32 // a build for any CPU is meant for these two
				client := strings.TrimSpace(b.platform + " " + cpuName(c))
				if named && !isReached(b.platform, c) && !slices.Contains(lost, client) {
					lost = append(lost, client)
				}
			}
		}
	}
	if lost == nil && len(s.releases) > 0 {
		return ""
	}
	slices.Sort(lost)
	return fmt.Sprintf("%s: minimum: no release for everyone on channel %s is %s or newer, so clients are told to install what they cannot get: %s",
		s.file, s.channels[0], s.minimum, cmp.Or(strings.Join(lost, ", "), "all"))
}

func cpuName(c cpus) string {
	for name, cpu := range cpuNames {
		if cpu == c {
			return name
		}
	}
	return ""
}

var sevenWordCharacters = regexp.MustCompile(`\w{7}`)
