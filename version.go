package misc

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	goversion "github.com/hashicorp/go-version"
)

// Errors about versions and the square.
var (
	// ErrNoRelease is returned or wrapped by [VersionSource.LatestRelease] if
	// it has no release for the client, and by [Service.LatestUpdate] if no
	// newer one is available.
	ErrNoRelease = errors.New("misc: no release for this client")

	// ErrInvalidVersion is returned for a version that is not valid; see
	// [ValidVersion].
	ErrInvalidVersion = errors.New("misc: version must be one semantic version such as 1.0.2")

	// ErrNoSquare is returned or wrapped by [SquareSource.Square], and by
	// [Service.Square], if there is no square.
	ErrNoSquare = errors.New("misc: no square")
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

// A SquareSource supplies the square, the list of chat rooms and groups that
// clients offer to everyone. It returns ErrNoSquare if there is none, and an
// error if the context is cancelled.
type SquareSource interface {
	Square(ctx context.Context) (*Square, error)
}

// An UpdateQuery is what a desktop client says about itself when it asks for an
// update. A Service passes only valid versions on to its VersionSource. The
// other fields are unchecked; a field that the client did not send is empty.
type UpdateQuery struct {
	Version   string // the version that it runs, such as 1.0.0
	Platform  string // such as darwin or win32
	Arch      string // such as x64 or arm64
	OSVersion string // such as 14.4
	Channel   string // such as beta
	ClientID  string // a random id that the installation keeps, for staged rollouts
	UserAgent string // the User-Agent of the request
}

// A Release is a desktop release, in the form that clients receive. It is
// immutable and may be copied. Make one with [NewRelease].
type Release struct {
	version Version
	encoded string
}

// ReleaseFields is the argument of [NewRelease]. Empty fields are left out of
// the JSON that clients receive.
type ReleaseFields struct {
	// Version is required, and must be valid: 1.0.2, not 1.0. See [ValidVersion].
	Version string

	// URL is required. It is an absolute http or https URL, percent-encoded:
	// https://example.com/My%20App.zip, not https://example.com/My App.zip.
	URL string

	Name  string
	Notes string

	// PubDate is a date, or a time as in RFC 3339 without fractions of a second:
	// 2026-11-28 or 2026-11-28T08:00:00Z, not 2026-11-28 08:00:00.
	PubDate string

	// Extra has further keys of the JSON object that clients receive, such as
	// sha256. The keys version, url, name, notes and pub_date are not allowed.
	// Each value must be valid JSON: `"ab12"` with the quotes, not ab12.
	Extra map[string]json.RawMessage
}

// NewRelease returns the release that f describes, or an error that joins a
// *[FieldError] for each problem with f.
func NewRelease(f ReleaseFields) (*Release, error) {
	var p problems
	version, err := ParseVersion(f.Version)
	if err != nil {
		p.add("version", "%q is not a semantic version such as 1.0.2", f.Version)
	}
	if u, err := url.Parse(f.URL); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || !isPercentEncoded(f.URL) {
		p.add("url", "%q is not an absolute, percent-encoded https or http URL", f.URL)
	}
	if !isPubDate(f.PubDate) {
		p.add("pub_date", "%q is neither 2006-01-02 nor 2006-01-02T15:04:05Z, without fractions of a second", f.PubDate)
	}
	encoded := p.encode("", f.Extra, field{"version", f.Version}, field{"url", f.URL},
		field{"name", f.Name}, field{"notes", f.Notes}, field{"pub_date", f.PubDate})
	if p != nil {
		return nil, errors.Join(p...)
	}
	return &Release{version, encoded}, nil
}

// Version returns the version that was given to [NewRelease].
func (r Release) Version() string { return r.version.text }

// MarshalJSON returns r as clients receive it: version, url, name, notes and
// pub_date, then Extra in the order of its keys. It never fails for a Release
// that [NewRelease] made.
func (r Release) MarshalJSON() ([]byte, error) { return marshal(r.encoded) }

// ClientVersions are the latest versions of the mobile clients, in the form
// that clients receive. They are immutable and may be copied. Make them with
// [NewClientVersions].
type ClientVersions struct{ encoded string }

// A ClientVersion is the latest version of one mobile client.
type ClientVersion struct {
	// Version is required. It may be any text.
	Version string

	// Build is a time in the form yyyyMMddHHmm: 202611280930, not 20261128. It
	// is required for iOS, where a client compares it with its own.
	Build string

	// URL is required. It is an absolute URL of any scheme, percent-encoded:
	// itms-services://?url=https%3A%2F%2Fexample.com, not example.com/app.apk.
	URL string

	// Extra has further keys of the JSON object that clients receive. The keys
	// version, build and url are not allowed. Each value must be valid JSON.
	Extra map[string]json.RawMessage
}

// ClientVersionsFields is the argument of [NewClientVersions].
type ClientVersionsFields struct {
	IOS     ClientVersion
	Android ClientVersion

	// Extra has further keys of the JSON object that clients receive. The keys
	// iOS and Android are not allowed. Each value must be valid JSON.
	Extra map[string]json.RawMessage
}

// NewClientVersions returns the versions that f describes, or an error that
// joins a *[FieldError] for each problem with f.
func NewClientVersions(f ClientVersionsFields) (*ClientVersions, error) {
	var p problems
	ios, android := f.IOS.encode(&p, "iOS."), f.Android.encode(&p, "Android.")
	if f.IOS.Build == "" {
		p.add("iOS.build", "required, in the form yyyyMMddHHmm")
	}
	encoded := p.encode("", f.Extra, field{"iOS", json.RawMessage(ios)}, field{"Android", json.RawMessage(android)})
	if p != nil {
		return nil, errors.Join(p...)
	}
	return &ClientVersions{encoded}, nil
}

func (v ClientVersion) encode(p *problems, path string) string {
	if v.Version == "" {
		p.add(path+"version", "required")
	}
	if _, err := time.Parse("200601021504", v.Build); err != nil && v.Build != "" {
		p.add(path+"build", "%q is not a time in the form yyyyMMddHHmm", v.Build)
	}
	if u, err := url.Parse(v.URL); err != nil || !u.IsAbs() || !isPercentEncoded(v.URL) {
		p.add(path+"url", "%q is not an absolute, percent-encoded URL", v.URL)
	}
	return p.encode(path, v.Extra, field{"version", v.Version}, field{"build", v.Build}, field{"url", v.URL})
}

// MarshalJSON returns v as clients receive it: iOS, Android, then Extra in the
// order of its keys. It never fails for ClientVersions that [NewClientVersions]
// made.
func (v ClientVersions) MarshalJSON() ([]byte, error) { return marshal(v.encoded) }

// A Square is the list of chat rooms and groups that clients offer to everyone,
// in the form that clients receive. It is immutable and may be copied. Make one
// with [NewSquare].
type Square struct{ encoded string }

// A SquareEntry is one chat room or group of a [Square]. Fields that are empty
// or 0 are left out of the JSON that clients receive.
type SquareEntry struct {
	ID             string // required; a public id such as kFpN4KiZn, not the number in the database
	Type           string // required; chatroom or group, in lower case
	Name           string // required for a chat room
	PortraitURI    string
	MemberCount    int // not negative
	MaxMemberCount int // not negative

	// Extra has further keys of the JSON object that clients receive. The keys
	// id, type, name, portraitUri, memberCount and maxMemberCount are not
	// allowed. Each value must be valid JSON.
	Extra map[string]json.RawMessage
}

// NewSquare returns the square of these entries, in their order, or an error
// that joins a *[FieldError] for each problem with them. The Field is a path
// such as [1].name.
func NewSquare(entries []SquareEntry) (*Square, error) {
	var p problems
	encoded := make([]string, len(entries))
	for i, e := range entries {
		path := fmt.Sprintf("[%d].", i)
		if e.ID == "" {
			p.add(path+"id", "required")
		}
		if e.Type != "chatroom" && e.Type != "group" {
			p.add(path+"type", "%q is neither chatroom nor group", e.Type)
		}
		if e.Type == "chatroom" && e.Name == "" {
			p.add(path+"name", "required for a chat room")
		}
		encoded[i] = p.encode(path, e.Extra, field{"id", e.ID}, field{"type", e.Type}, field{"name", e.Name}, field{"portraitUri", e.PortraitURI},
			p.count(path, "memberCount", e.MemberCount), p.count(path, "maxMemberCount", e.MaxMemberCount))
	}
	if p != nil {
		return nil, errors.Join(p...)
	}
	return &Square{"[" + strings.Join(encoded, ",") + "]"}, nil
}

// MarshalJSON returns s as the list in the answer that clients receive. It
// never fails for a Square that [NewSquare] made.
func (s Square) MarshalJSON() ([]byte, error) { return marshal(s.encoded) }

func marshal(encoded string) ([]byte, error) {
	if encoded == "" {
		return nil, errors.New("misc: the value was not made by its constructor")
	}
	return []byte(encoded), nil
}

// A FieldError is one problem with the argument of a constructor.
type FieldError struct {
	Field   string // the JSON key, with a path such as iOS.url
	Problem string
}

// Error returns a text that names the field and what is wrong with it.
func (e *FieldError) Error() string { return "misc: " + e.Field + ": " + e.Problem }

type problems []error

func (p *problems) add(key, format string, args ...any) {
	*p = append(*p, &FieldError{key, fmt.Sprintf(format, args...)})
}

// field is one key of a JSON object: a string or valid JSON.
type field struct {
	key   string
	value any
}

// count is the field of a number, or of an empty string for 0.
func (p *problems) count(path, key string, n int) field {
	if n < 0 {
		p.add(path+key, "%d is negative", n)
	}
	if n == 0 {
		return field{key, ""}
	}
	return field{key, n}
}

// encode returns a JSON object with the fields that are not empty, then extra
// in the order of its keys, and adds the problems with extra.
func (p *problems) encode(path string, extra map[string]json.RawMessage, fields ...field) string {
	object := []byte{'{'}
	add := func(key string, value any) {
		if len(object) > 1 {
			object = append(object, ',')
		}
		object = append(append(append(object, encodeJSON(key)...), ':'), encodeJSON(value)...)
	}
	for _, f := range fields {
		if f.value != "" {
			add(f.key, f.value)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(extra)) {
		switch {
		case slices.ContainsFunc(fields, func(f field) bool { return f.key == key }):
			p.add(path+key, "has a field of its own and must not be in Extra")
		case !json.Valid(extra[key]):
			p.add(path+key, "is not valid JSON")
		default:
			add(key, extra[key])
		}
	}
	return string(append(object, '}'))
}

func isPercentEncoded(u string) bool {
	_, err := url.PathUnescape(u)
	return err == nil && !strings.ContainsFunc(u, func(c rune) bool {
		return c <= ' ' || c > '~' || strings.ContainsRune("\"<>\\^`{|}", c)
	})
}

// isPubDate accepts what desktop clients read; the updater of macOS takes a
// date with fractions of a second for 1970.
func isPubDate(s string) bool {
	if s == "" {
		return true
	}
	if _, err := time.Parse(time.DateOnly, s); err == nil {
		return true
	}
	// Parse also takes an hour of one digit, fractions and any offset.
	t, err := time.Parse(time.RFC3339, s)
	_, offset := t.Zone()
	return err == nil && len(s) > len("2006-01-02T15:04:05") && s[len("2006-01-02T15")] == ':' && !strings.ContainsAny(s, ".,") && max(offset, -offset) < 24*60*60
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

// A Version is a parsed semantic version, for programs that compare the same
// version repeatedly. Make one with [ParseVersion].
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
	return s != "" && strings.Trim(s, "0123456789") == ""
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
// install. It returns ErrInvalidVersion if q.Version is invalid, ErrNoRelease
// if no newer release is available for the client, and the errors of the
// VersionSource, wrapped.
func (s *Service) LatestUpdate(ctx context.Context, q UpdateQuery) (*Release, error) {
	running, err := ParseVersion(q.Version)
	if err != nil {
		return nil, err
	}
	r, err := s.cfg.Versions.LatestRelease(ctx, q)
	switch {
	case err != nil:
		return nil, fmt.Errorf("misc: latest release: %w", err)
	case r == nil || r.encoded == "":
		return nil, errors.New("misc: latest release: the source returned neither a release made by NewRelease nor an error")
	case r.version.Compare(running) <= 0:
		return nil, ErrNoRelease
	}
	return r, nil
}

// ClientVersions returns the latest versions of the mobile clients, or the
// error of the VersionSource, wrapped.
func (s *Service) ClientVersions(ctx context.Context) (*ClientVersions, error) {
	v, err := s.cfg.Versions.ClientVersions(ctx)
	if err != nil {
		return nil, fmt.Errorf("misc: client versions: %w", err)
	}
	if v == nil || v.encoded == "" {
		return nil, errors.New("misc: client versions: the source returned neither versions made by NewClientVersions nor an error")
	}
	return v, nil
}

// HasSquare reports whether Config.Square is set.
func (s *Service) HasSquare() bool { return s.cfg.Square != nil }

// Square returns the chat rooms and groups that clients offer to everyone. It
// returns ErrNoSquare if Config.Square is nil, and the errors of the
// SquareSource, wrapped.
func (s *Service) Square(ctx context.Context) (*Square, error) {
	if s.cfg.Square == nil {
		return nil, ErrNoSquare
	}
	q, err := s.cfg.Square.Square(ctx)
	if err != nil {
		return nil, fmt.Errorf("misc: square: %w", err)
	}
	if q == nil || q.encoded == "" {
		return nil, errors.New("misc: square: the source returned neither a square made by NewSquare nor an error")
	}
	return q, nil
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
