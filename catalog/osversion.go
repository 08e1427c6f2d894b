package catalog

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// osVersion is a version of an operating system. A number that it lacks is 0 in
// the min of an osRange, and MaxInt in its max.
type osVersion [4]int

// osRange is the versions from min to max: those that a build runs on, or those
// that a client may have.
type osRange struct{ min, max osVersion }

var (
	unbounded = osVersion{-1, -1, -1, -1}
	endless   = osVersion{math.MaxInt, math.MaxInt, math.MaxInt, math.MaxInt}
	anyOS     = osRange{unbounded, endless}
)

func (r osRange) overlap(s osRange) bool {
	return r.min.compare(s.max) <= 0 && s.min.compare(r.max) <= 0
}

func (v osVersion) compare(w osVersion) int { return slices.Compare(v[:], w[:]) }

// contains reports whether r has every version of s.
func (r osRange) contains(s osRange) bool {
	return r.min.compare(s.min) <= 0 && s.max.compare(r.max) <= 0
}

// parseOS reads one to four numbers of at most six digits each, and reports
// whether there are more behind them.
func parseOS(s string) (known osRange, more, ok bool) {
	known.max = endless
	more = true
	for i := 0; more && i < len(known.min); i++ {
		var number string
		number, s, more = strings.Cut(s, ".")
		n, err := strconv.Atoi(number)
		if err != nil || len(number) > 6 || number[0] < '0' {
			return anyOS, false, false
		}
		known.min[i], known.max[i] = n, n
	}
	return known, more, true
}

// String returns r in words: "12 or later", or "unknown" of a client.
func (r osRange) String() string {
	lowest, highest := trimmed(r.min), r.max.String()
	exact, _, _ := parseOS(highest)
	switch {
	case r == anyOS:
		return "unknown"
	case r == exact:
		return highest
	case r.max == endless:
		return lowest + " or later"
	case r.min == unbounded:
		return "up to " + highest
	}
	return lowest + " to " + highest
}

// trimmed returns the numbers of v without zeros at the end.
func trimmed(v osVersion) string {
	text := v.String()
	for strings.HasSuffix(text, ".0") {
		text = strings.TrimSuffix(text, ".0")
	}
	return text
}

// String returns the numbers that v has.
func (v osVersion) String() string {
	var numbers []string
	for _, n := range v {
		if n != math.MaxInt {
			numbers = append(numbers, strconv.Itoa(n))
		}
	}
	return strings.Join(numbers, ".")
}

// clientOS reads what a client says: the digits and dots at the beginning, up to
// four numbers.
func clientOS(said string) osRange {
	said = said[:len(said)-len(strings.TrimLeft(said, "0123456789."))]
	if said == "" {
		return anyOS
	}
	known, _, _ := parseOS(strings.TrimSuffix(said, "."))
	return known
}

// macOS translates the kernel's versions, 16 to 25, and the 10.16 that macOS 11
// and later tell old programs. If the client said nothing usable, the kernel's
// version in the User-Agent counts.
func macOS(said osRange, userAgent string) osRange {
	switch major := said.min[0]; {
	case major >= 16 && major <= 25:
		return kernel(major)
	case major >= 0 && (major != 10 || said.min[1] != 16):
		return said
	}
	_, version, _ := strings.Cut(userAgent, "Darwin/")
	n, _, _ := strings.Cut(version, ".")
	if known := kernel(clientOS(n).min[0]); known != anyOS || said == anyOS {
		return known
	}
	return osRange{osVersion{11}, endless}
}

// kernel returns the macOS that has version n of the kernel.
func kernel(n int) osRange {
	known := osRange{max: endless}
	put := func(i, n int) { known.min[i], known.max[i] = n, n }
	switch {
	case n < 13:
		return anyOS
	case n < 20:
		put(0, 10)
		put(1, n-4)
	case n < 25:
		put(0, n-9)
	default:
		put(0, n+1)
	}
	return known
}
