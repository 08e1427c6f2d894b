package catalog

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/sealtalk-go/misc"
)

// A Reason says why a client is offered a release or none, or why it is not
// offered one particular release.
type Reason string

// The reasons that [Releases.Choose] returns. A candidate is a release that is
// newer than the client's version, is not withdrawn, and is on the client's
// channel or a more stable one. ReasonPlatform and ReasonArch are about all
// candidates. Those after them are about the newest candidate that has a build
// for the client's platform and CPU. If several of them apply to it, the one that
// comes first in this list is returned.
const (
	ReasonUpdate    Reason = "update"     // the client is offered a release
	ReasonCurrent   Reason = "current"    // there is no candidate
	ReasonPlatform  Reason = "platform"   // none has a build for the client's platform
	ReasonArch      Reason = "arch"       // none has a build for both the client's platform and its CPU
	ReasonOS        Reason = "os"         // it has no build for the client's OS version
	ReasonOSUnknown Reason = "os-unknown" // the client's OS version is not known well enough to choose a build
	ReasonFrom      Reason = "from"       // the client's version is too old to install it directly
	ReasonRollout   Reason = "rollout"    // the client's id is outside the rollout, or the rollout is 0
	ReasonNoID      Reason = "no-id"      // it has a rollout, and the client sent no id, or one longer than 256 bytes
)

// Further reasons why a client is not offered one particular release.
const (
	ReasonWithdrawn  Reason = "withdrawn"  // the release was withdrawn
	ReasonChannel    Reason = "channel"    // the release is on a less stable channel than the client
	ReasonSuperseded Reason = "superseded" // the client is offered a newer one
)

// An Explanation is a decision of [Releases.Choose] in words.
type Explanation struct {
	Client   string    `json:"client"` // what the query says about the client, with the defaults
	Reason   Reason    `json:"reason"`
	Releases []Verdict `json:"releases"` // newest first
}

// A Verdict says whether the client is offered a particular release and, if
// not, why.
type Verdict struct {
	Version string `json:"version"`
	Channel string `json:"channel"`
	Reason  Reason `json:"reason"` // ReasonUpdate: it is offered; ReasonCurrent: it is not newer
	Detail  string `json:"detail"` // the reason in words
}

// A Decision says which release a client gets, and why.
type Decision struct {
	Release *misc.Release // nil if the client gets none
	Reason  Reason

	Version  string // as Version.String has it, of the release that is offered, or that Reason is about; empty for the reasons that are about none or all
	Channel  string // the client's
	Platform string // the client's: darwin, win32, linux or other
	Revision string // of the file that was asked; see [Catalog.Revisions]
}

// Choose decides which release the client described by q should install. The
// result depends only on q and s. q.Version must not be the zero Version.
//
// It chooses the newest release that meets all of these conditions:
//
//   - it is newer than q.Version
//   - it is not withdrawn
//   - it is on the client's channel or a more stable one
//   - it has a build for the client's platform, CPU and OS version
//   - the client's version is not older than the release's "from", if it has
//     one
//   - its rollout includes q.ClientID
//
// If q.ClientID is empty or longer than 256 bytes, only a rollout of 100
// includes it.
//
// A client that runs a withdrawn release must not wait for a rollout. If there is
// no such release for it, but there would be with another id, it gets the one of
// those with the widest rollout above 0; of several, the newest.
//
// For the defaults of the other fields, see
// https://github.com/sealtalk-go/misc/blob/main/docs/releases.md. A client
// below the "minimum" of the file gets the release with "mandatory": true.
func (s *Releases) Choose(q misc.UpdateQuery) Decision {
	c := s.client(q)
	return s.choose(&c)
}

func (s *Releases) choose(c *client) Decision {
	d := Decision{Reason: ReasonCurrent, Channel: s.channels[c.channel], Platform: c.platform, Revision: s.revision}
	if !slices.Contains(platforms, c.platform) {
		d.Platform = "other"
	}
	var chosen, widest *release // widest: of those that only their rollout keeps from the client
	var chosenBuild, widestBuild *build
	for i := range s.releases {
		r := &s.releases[i]
		if r.version.Compare(c.version) <= 0 {
			break
		}
		b, reason := r.judge(c)
		if reason == ReasonUpdate {
			chosen, chosenBuild = r, b
			break
		}
		if b != nil && (widest == nil || r.rollout > widest.rollout) {
			widest, widestBuild = r, b
		}
		switch reason {
		case ReasonWithdrawn, ReasonChannel:
		case ReasonPlatform, ReasonArch:
			if d.Reason == ReasonCurrent || d.Reason == ReasonPlatform {
				d.Reason = reason
			}
		default:
			if d.Version == "" {
				d.Reason, d.Version = reason, r.version.String()
			}
		}
	}
	if chosen == nil && widest != nil {
		if running := s.find(c.version); running != nil && running.withdrawn != "" {
			chosen, chosenBuild = widest, widestBuild
		}
	}
	if chosen != nil {
		d.Release, d.Reason, d.Version = chosenBuild.plain, ReasonUpdate, chosen.version.String()
		if s.minimum != nil && c.version.Compare(*s.minimum) < 0 {
			d.Release = chosenBuild.mandatory
		}
	}
	return d
}

// Explain explains what [Releases.Choose] returns for q.
func (s *Releases) Explain(q misc.UpdateQuery) *Explanation {
	c := s.client(q)
	id := "no id"
	if c.id != "" {
		id = fmt.Sprintf("id %q", c.id)
	}
	e := &Explanation{Client: fmt.Sprintf("%s on %s %s, OS version %s, channel %s, %s",
		c.version, printable(c.platform), printable(c.arch), c.os, s.channels[c.channel], id)}
	d := s.choose(&c)
	e.Reason = d.Reason
	e.Releases = make([]Verdict, 0, len(s.releases))
	for i := range s.releases {
		r := &s.releases[i]
		_, reason := r.judge(&c)
		detail := ""
		switch {
		case d.Release != nil && r.version.String() == d.Version:
			if reason != ReasonUpdate {
				detail = "offered whatever its rollout, since the client runs a withdrawn release"
			}
			reason = ReasonUpdate
		case r.version.Compare(c.version) <= 0 && r.withdrawn == "":
			reason = ReasonCurrent
		case reason == ReasonUpdate:
			reason = ReasonSuperseded
		}
		e.Releases = append(e.Releases, Verdict{r.version.String(), s.channels[r.channel], reason, cmp.Or(detail, s.detail(r, &c, reason))})
	}
	return e
}

// detail is for people who look for the reason in their releases.json.
func (s *Releases) detail(r *release, c *client, reason Reason) string {
	switch reason {
	case ReasonUpdate:
		return "offered"
	case ReasonSuperseded:
		return "possible, but a newer release is offered"
	case ReasonCurrent:
		return fmt.Sprintf("not newer than %s, which the client runs", c.version)
	case ReasonWithdrawn:
		return "withdrawn: " + printable(r.withdrawn)
	case ReasonChannel:
		return fmt.Sprintf("the client is on channel %s", s.channels[c.channel])
	case ReasonPlatform:
		return fmt.Sprintf("no build for platform %q", c.platform)
	case ReasonArch:
		return fmt.Sprintf("no build for platform %q on CPU %q", c.platform, c.arch)
	case ReasonOS, ReasonOSUnknown:
		return fmt.Sprintf("for OS version %s, and the client's is %s", r.osFor(c), c.os)
	case ReasonFrom:
		return fmt.Sprintf("to be installed from %s on, and the client runs %s", r.from, c.version)
	}
	place := "the client sent no id"
	if c.id != "" {
		place = "the client's place in it is " + percent(bucket(r.version, c.id))
	}
	return fmt.Sprintf("the rollout is at %s, and %s", percent(r.rollout), place) // ReasonRollout, ReasonNoID
}

// judge returns the build of r that the client should install, or the reason
// why it gets none. If only a rollout above 0 is the reason, it returns both. It
// does not compare versions.
func (r *release) judge(c *client) (*build, Reason) {
	switch {
	case r.withdrawn != "":
		return nil, ReasonWithdrawn
	case r.channel > c.channel:
		return nil, ReasonChannel
	}
	b, reason := r.build(c)
	switch {
	case b == nil:
		return nil, reason
	case r.from != nil && c.version.Compare(*r.from) < 0:
		return nil, ReasonFrom
	case r.rollout == everyone:
		return b, ReasonUpdate
	case r.rollout == 0:
		return nil, ReasonRollout
	case c.id == "":
		return b, ReasonNoID
	case bucket(r.version, c.id) >= r.rollout:
		return b, ReasonRollout
	}
	return b, ReasonUpdate
}

// build returns the build for the client, or the reason why none fits.
func (r *release) build(c *client) (*build, Reason) {
	reason := ReasonPlatform
	for i := range r.builds {
		switch b := &r.builds[i]; {
		case !b.isForPlatform(c):
		case !b.isForCPU(c):
			if reason == ReasonPlatform {
				reason = ReasonArch
			}
		case b.os.contains(c.os):
			return b, ""
		case c.os.max == endless:
			reason = ReasonOSUnknown
		default:
			reason = ReasonOS
		}
	}
	return nil, reason
}

// osFor describes the OS versions of the builds for the client's platform and
// CPU.
func (r *release) osFor(c *client) string {
	var ranges []string
	for _, b := range r.builds {
		if b.isForPlatform(c) && b.isForCPU(c) {
			ranges = append(ranges, b.os.String())
		}
	}
	return strings.Join(ranges, " and ")
}

func (b *build) isForPlatform(c *client) bool { return b.platform == "" || b.platform == c.platform }

func (b *build) isForCPU(c *client) bool { return b.cpus == 0 || b.cpus&c.cpus != 0 }

// bucket returns the client's place in the rollout of a version, from 0 to
// 999,999. The places in different versions are independent.
func bucket(v misc.Version, id string) int {
	text := append(append(append(make([]byte, 0, 512), v.String()...), 0), id...)
	sum := sha256.Sum256(text)
	place, _ := bits.Mul64(binary.BigEndian.Uint64(sum[:]), everyone)
	return int(place)
}

// client is what an UpdateQuery says.
type client struct {
	version  misc.Version
	channel  int // its place in the channels of the Releases
	platform string
	arch     string
	cpus     cpus    // none: a CPU that no build names
	os       osRange // the versions that it may have; anyOS: unknown
	id       string
}

func (s *Releases) client(q misc.UpdateQuery) client {
	c := client{version: q.Version, platform: cmp.Or(q.Platform, "darwin"), arch: cmp.Or(q.Arch, "x64")}
	if len(q.ClientID) <= 256 { // no installation makes up more, and each rollout hashes it
		c.id = q.ClientID
	}
	if c.arch == "universal" {
		c.arch = "x64" // runs on both
	}
	c.cpus = cpuNames[c.arch]
	channel := q.Channel
	if channel == "" {
		channel, _, _ = strings.Cut(c.version.Prerelease(), ".")
	}
	c.channel = max(slices.Index(s.channels, channel), 0)
	c.os = clientOS(q.OSVersion)
	if c.platform == "darwin" {
		c.os = macOS(c.os, q.UserAgent)
	}
	if c.os == anyOS {
		c.os = s.leastOS(&c)
	}
	return c
}

// leastOS returns the lowest OS version that a client running one of the
// releases can have: that of one of the builds that it may have installed.
func (s *Releases) leastOS(c *client) osRange {
	least := endless
	if r := s.find(c.version); r != nil {
		for i := range r.builds {
			if b := &r.builds[i]; b.isForPlatform(c) && b.isForCPU(c) && b.os.min.compare(least) < 0 {
				least = b.os.min
			}
		}
	}
	if least == endless {
		return anyOS
	}
	return osRange{least, endless}
}
