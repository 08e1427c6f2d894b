package misc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	goversion "github.com/hashicorp/go-version"
)

// Errors about versions.
var (
	// ErrNoRelease is what [VersionSource.LatestRelease] returns or wraps if it
	// has no release for the client.
	ErrNoRelease = errors.New("misc: no release for this client")

	// ErrInvalidVersion is returned for a version that is not valid; see
	// [ValidVersion].
	ErrInvalidVersion = errors.New("misc: version must be one semantic version such as 1.0.2")
)

// A VersionSource supplies the latest versions of the clients. Both methods
// return an error if the context is cancelled.
type VersionSource interface {
	// LatestRelease returns the release that the client described by q should
	// install, or ErrNoRelease if there is none for it. The release need not be
	// newer than q.Version: [Service.LatestUpdate] offers it only if it is.
	LatestRelease(ctx context.Context, q UpdateQuery) (*Release, error)

	// ClientVersions returns the versions of the mobile clients.
	ClientVersions(ctx context.Context) (*ClientVersions, error)
}

// An UpdateQuery is what a desktop client says about itself when it asks for an
// update. [ParseUpdateQuery] makes it from a request. A Service passes only
// queries with a Version on to its VersionSource. The other fields are
// unchecked; a field that the client did not send is empty.
type UpdateQuery struct {
	Version   Version // that it runs, such as 1.0.0
	Platform  string  // such as darwin or win32
	Arch      string  // such as x64 or arm64
	OSVersion string  // such as 14.4
	Channel   string  // such as beta
	ClientID  string  // a random id that the installation keeps, for staged rollouts
	UserAgent string  // the User-Agent of the request
}

// ParseUpdateQuery parses the parameters of the endpoint latest_update, version,
// platform, arch, os_version, channel and id, from the query of a URL without
// its question mark. UserAgent stays empty. It returns ErrInvalidVersion unless
// there is exactly one version and it is valid. Nothing else is an error: of
// other parameters with one name the first counts, one that is malformed counts
// as not sent, and unknown ones are ignored.
func ParseUpdateQuery(rawQuery string) (UpdateQuery, error) {
	var q UpdateQuery
	var version string
	versions := 0
	fields := [...]struct {
		name  string
		value *string
		found bool
	}{
		{"version", &version, false},
		{"platform", &q.Platform, false},
		{"arch", &q.Arch, false},
		{"os_version", &q.OSVersion, false},
		{"channel", &q.Channel, false},
		{"id", &q.ClientID, false},
	}
	for pair := range strings.SplitSeq(rawQuery, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name, _ = url.QueryUnescape(name) // empty if it is malformed
		value, err := url.QueryUnescape(value)
		if name == "version" {
			versions++
		}
		for i := range fields {
			if f := &fields[i]; err == nil && f.name == name && !f.found {
				*f.value, f.found = value, true
			}
		}
	}
	if versions != 1 {
		return UpdateQuery{}, ErrInvalidVersion
	}
	var err error
	if q.Version, err = ParseVersion(version); err != nil {
		return UpdateQuery{}, err
	}
	return q, nil
}

// ValidVersion reports whether v is a semantic version that is accepted by
// node-semver, the library with which SealTalk's Node.js server checks and
// compares versions. Such a version has an optional v, three numbers with dots
// between them, an optional -prerelease and an optional +build, and at most 256
// characters in all. Each of the three numbers is at most 2^53-1. None of them,
// and no number in the prerelease, may have leading zeros. 1.0.2, v1.0.2 and
// 2.1.0-beta.1+5 are valid; 1.0, 1.0.02 and 1.0.2.0 are not.
func ValidVersion(v string) bool {
	if len(v) > 256 {
		return false
	}
	v, build, hasBuild := strings.Cut(strings.TrimPrefix(v, "v"), "+")
	core, pre, hasPre := strings.Cut(v, "-")
	if strings.Count(core, ".") != 2 {
		return false
	}
	for n := range strings.SplitSeq(core, ".") {
		const most = "9007199254740991"
		if !isNumber(n) || hasLeadingZero(n) || len(n) > len(most) || len(n) == len(most) && n > most {
			return false
		}
	}
	if hasPre {
		for id := range strings.SplitSeq(pre, ".") {
			if !isIdentifier(id) || isNumber(id) && hasLeadingZero(id) {
				return false
			}
		}
	}
	if hasBuild {
		for id := range strings.SplitSeq(build, ".") {
			if !isIdentifier(id) {
				return false
			}
		}
	}
	return true
}

// CompareVersions returns -1 if a is older than b, 0 if they are equal, and 1
// if a is newer, in the order of [Version.Compare]. It returns
// ErrInvalidVersion if a or b is invalid.
func CompareVersions(a, b string) (int, error) {
	va, errA := ParseVersion(a)
	vb, errB := ParseVersion(b)
	if err := errors.Join(errA, errB); err != nil {
		return 0, err
	}
	return va.Compare(vb), nil
}

// A Version is a parsed semantic version. Make one with [ParseVersion]; the zero
// Version is not valid.
type Version struct {
	text string // as it was given
	core [3]int64
	pre  string
}

// ParseVersion parses v. It returns ErrInvalidVersion if v is invalid; see
// [ValidVersion].
func ParseVersion(v string) (Version, error) {
	if !ValidVersion(v) { // which go-version does not decide: it accepts far more
		return Version{}, ErrInvalidVersion
	}
	if !strings.ContainsAny(v, "-+") {
		return parsePlain(v)
	}
	parsed, err := goversion.NewSemver(v)
	if err != nil {
		return Version{}, fmt.Errorf("%w: %w", ErrInvalidVersion, err)
	}
	return Version{v, [3]int64(parsed.Segments64()), parsed.Prerelease()}, nil
}

// parsePlain parses N.N.N, which nearly every client runs, at a tenth of the
// cost of go-version.
func parsePlain(v string) (_ Version, err error) {
	parsed := Version{text: v}
	rest := strings.TrimPrefix(v, "v")
	for i := range parsed.core {
		var n string
		n, rest, _ = strings.Cut(rest, ".")
		if parsed.core[i], err = strconv.ParseInt(n, 10, 64); err != nil {
			return Version{}, fmt.Errorf("%w: %w", ErrInvalidVersion, err)
		}
	}
	return parsed, nil
}

// String returns the version without a leading v and without the build. Two
// versions have the same String if and only if Compare returns 0.
func (v Version) String() string {
	s, _, _ := strings.Cut(strings.TrimPrefix(v.text, "v"), "+")
	return s
}

// Prerelease returns the prerelease, such as beta.1 for 2.1.0-beta.1+5, or an
// empty string.
func (v Version) Prerelease() string { return v.pre }

// Compare returns -1 if v is older than w, 0 if they are equal, and 1 if v is
// newer, in the order of Semantic Versioning 2.0.0. The three numbers come
// first; then a prerelease is older than its release; then the identifiers of
// the prereleases are compared from left to right. Numeric identifiers are
// compared by value and are older than others, which are compared byte by byte.
// Of two prereleases that are otherwise equal the longer one is newer. The
// build is ignored. The order of prereleases differs from that of
// github.com/hashicorp/go-version.
func (v Version) Compare(w Version) int {
	if c := slices.Compare(v.core[:], w.core[:]); c != 0 {
		return c
	}
	switch {
	case v.pre == w.pre:
		return 0
	case v.pre == "":
		return 1
	case w.pre == "":
		return -1
	}
	a, b := v.pre, w.pre
	for a != "" && b != "" {
		var idA, idB string
		idA, a, _ = strings.Cut(a, ".")
		idB, b, _ = strings.Cut(b, ".")
		if c := compareIdentifiers(idA, idB); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

func compareIdentifiers(a, b string) int {
	switch aNumber, bNumber := isNumber(a), isNumber(b); {
	case aNumber && bNumber: // no leading zeros: the longer is the larger
		return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
	case aNumber:
		return -1
	case bNumber:
		return 1
	}
	return strings.Compare(a, b)
}

func isNumber(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

func isIdentifier(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '-':
		default:
			return false
		}
	}
	return s != ""
}

func hasLeadingZero(number string) bool {
	return len(number) > 1 && number[0] == '0'
}

// LatestUpdate returns the release that the client described by q should
// install. The code of its error is CodeNoRelease if no newer release is
// available for the client, CodeInvalid if q.Version is the zero Version, and
// CodeInternal if the VersionSource fails.
func (s *Service) LatestUpdate(ctx context.Context, q UpdateQuery) (*Release, error) {
	if q.Version == (Version{}) {
		return nil, &Error{CodeInvalid, "version", ErrInvalidVersion}
	}
	r, err := s.cfg.Versions.LatestRelease(ctx, q)
	switch {
	case errors.Is(err, ErrNoRelease):
		return nil, &Error{Code: CodeNoRelease, Err: err}
	case err != nil:
		return nil, internal("Versions", err)
	case r == nil || r.encoded == "":
		return nil, internal("Versions", errors.New("returned neither a release made by NewRelease nor an error"))
	case r.version.Compare(q.Version) <= 0:
		return nil, &Error{Code: CodeNoRelease, Err: ErrNoRelease}
	}
	return r, nil
}

// ClientVersions returns the latest versions of the mobile clients. The code of
// its error is CodeInternal.
func (s *Service) ClientVersions(ctx context.Context) (*ClientVersions, error) {
	v, err := s.cfg.Versions.ClientVersions(ctx)
	if err != nil {
		return nil, internal("Versions", err)
	}
	if v == nil || v.encoded == "" {
		return nil, internal("Versions", errors.New("returned neither versions made by NewClientVersions nor an error"))
	}
	return v, nil
}

var _ VersionSource = (*StaticVersions)(nil)

// StaticVersions is a VersionSource whose versions never change. Make one with
// [NewStaticVersions].
type StaticVersions struct {
	release *Release
	clients *ClientVersions
}

// NewStaticVersions returns a source of r and v. If r is nil, there is no
// desktop release: LatestRelease returns ErrNoRelease. v is required.
func NewStaticVersions(r *Release, v *ClientVersions) (*StaticVersions, error) {
	if v == nil {
		return nil, errors.New("misc: client versions are required")
	}
	return &StaticVersions{r, v}, nil
}

// LatestRelease implements [VersionSource].
func (s *StaticVersions) LatestRelease(ctx context.Context, _ UpdateQuery) (*Release, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.release == nil {
		return nil, ErrNoRelease
	}
	return s.release, nil
}

// ClientVersions implements [VersionSource].
func (s *StaticVersions) ClientVersions(ctx context.Context) (*ClientVersions, error) {
	return s.clients, ctx.Err()
}
