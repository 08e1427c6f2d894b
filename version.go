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
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	goversion "github.com/hashicorp/go-version"
)

// What a VersionSource and the version rule report.
var (
	ErrNoRelease      = errors.New("misc: no release for this client")
	ErrInvalidVersion = errors.New("misc: version must be one semantic version such as 1.0.2")
)

// A VersionSource knows the latest releases. A cancelled context stops either
// method with an error.
type VersionSource interface {
	// LatestRelease returns the release that a desktop client asking q should
	// run, whether or not it is newer than q.Version; ErrNoRelease if there is
	// none for this client.
	LatestRelease(ctx context.Context, q UpdateQuery) (*Release, error)

	// ClientVersions returns the versions of the mobile clients.
	ClientVersions(ctx context.Context) (*ClientVersions, error)
}

// An UpdateQuery is what a desktop client says of itself.
type UpdateQuery struct {
	Version  string // the version it runs; ValidVersion
	Platform string // such as darwin; empty when the client does not say
}

// A Release is a desktop release. It must not be changed, nor copied, once it
// was handed over: its encoded form is made once and kept with it.
type Release struct {
	Version string // required; ValidVersion
	URL     string // required; absolute http or https, percent-encoded
	Name    string
	Notes   string
	PubDate string // 2006-01-02, or RFC 3339 without fractions of a second

	// Extra holds the other keys that clients receive, such as sha256.
	Extra map[string]json.RawMessage

	once   sync.Once
	parsed semver
	json   []byte
	err    error
}

// ClientVersions are the versions of the mobile clients. They must not be
// changed, nor copied, once they were handed over: their encoded form is made
// once and kept with them.
type ClientVersions struct {
	IOS     ClientVersion // Build is required
	Android ClientVersion

	// Extra holds the other keys that clients receive.
	Extra map[string]json.RawMessage

	once sync.Once
	json []byte
	err  error
}

// ClientVersion is the version of one mobile client.
type ClientVersion struct {
	Version string // required
	Build   string // yyyyMMddHHmm, which iOS compares; empty where there is none
	URL     string // required; absolute

	// Extra holds the other keys that clients receive.
	Extra map[string]json.RawMessage
}

// ValidVersion reports whether v is a semantic version by the rule that
// SealTalk's desktop clients live with, node-semver's: N.N.N, each at most
// 2^53-1 and without leading zeros, with an optional v in front, an optional
// -prerelease and an optional +build behind; at most 256 characters.
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

// CompareVersions returns -1, 0 or 1 as a is older than b, as old, or newer:
// by the core numbers, then a prerelease below its release, then prerelease
// identifiers from left to right, numbers by value and below words, words
// bytewise, and the longer list above. The build is ignored. An invalid
// version is ErrInvalidVersion.
func CompareVersions(a, b string) (int, error) {
	va, errA := parseVersion(a)
	vb, errB := parseVersion(b)
	if err := errors.Join(errA, errB); err != nil {
		return 0, err
	}
	return va.compare(vb), nil
}

// semver is a parsed version without its build.
type semver struct {
	core []int64
	pre  string
}

// parseVersion checks the form first, since go-version takes far more than
// ValidVersion does. Its order differs too, hence compare.
func parseVersion(v string) (semver, error) {
	if !ValidVersion(v) {
		return semver{}, ErrInvalidVersion
	}
	parsed, err := goversion.NewSemver(v)
	if err != nil {
		return semver{}, fmt.Errorf("%w: %w", ErrInvalidVersion, err)
	}
	return semver{parsed.Segments64(), parsed.Prerelease()}, nil
}

func (a semver) compare(b semver) int {
	if c := slices.Compare(a.core, b.core); c != 0 {
		return c
	}
	switch {
	case a.pre == b.pre:
		return 0
	case a.pre == "":
		return 1
	case b.pre == "":
		return -1
	}
	return slices.CompareFunc(strings.Split(a.pre, "."), strings.Split(b.pre, "."), compareIdentifiers)
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

// LatestUpdate returns the release that the client asking q should install.
//
// Errors: ErrInvalidVersion for q.Version, ErrNoRelease when nothing is newer,
// and those of the VersionSource.
func (s *Service) LatestUpdate(ctx context.Context, q UpdateQuery) (*Release, error) {
	runs, err := parseVersion(q.Version)
	if err != nil {
		return nil, err
	}
	r, err := s.cfg.Versions.LatestRelease(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("misc: latest release: %w", err)
	}
	if r == nil {
		return nil, errors.New("misc: latest release: the source returned neither a release nor an error")
	}
	if err := r.prepare(); err != nil {
		return nil, fmt.Errorf("misc: latest release: %w", err)
	}
	if r.parsed.compare(runs) <= 0 {
		return nil, ErrNoRelease
	}
	return r, nil
}

// ClientVersions returns the versions of the mobile clients. Errors are those
// of the VersionSource.
func (s *Service) ClientVersions(ctx context.Context) (*ClientVersions, error) {
	v, err := s.cfg.Versions.ClientVersions(ctx)
	if err != nil {
		return nil, fmt.Errorf("misc: client versions: %w", err)
	}
	if v == nil {
		return nil, errors.New("misc: client versions: the source returned neither versions nor an error")
	}
	if err := v.prepare(); err != nil {
		return nil, fmt.Errorf("misc: client versions: %w", err)
	}
	return v, nil
}

// ParseRelease reads a release in the form of SealTalk's squirrel.json: an
// object with the keys version, url, name, notes and pub_date, and any others.
// The error joins every problem, each with its key.
func ParseRelease(data []byte) (*Release, error) {
	o, err := parseObject(data)
	if err != nil {
		return nil, err
	}
	r := &Release{
		Version: o.text("version"),
		URL:     o.text("url"),
		Name:    o.text("name"),
		Notes:   o.text("notes"),
		PubDate: o.text("pub_date"),
		Extra:   o.rest,
	}
	if err := o.join(r.problems()); err != nil {
		return nil, err
	}
	return r, nil
}

// ParseClientVersions reads versions in the form of SealTalk's
// client_version.json: an object with the keys iOS and Android, each an object
// with version, build and url, and any others. The error joins every problem,
// each with its key.
func ParseClientVersions(data []byte) (*ClientVersions, error) {
	o, err := parseObject(data)
	if err != nil {
		return nil, err
	}
	v := &ClientVersions{IOS: o.client("iOS"), Android: o.client("Android"), Extra: o.rest}
	if err := o.join(v.problems()); err != nil {
		return nil, err
	}
	return v, nil
}

// Validate returns everything that a client could stumble over, joined, each
// with its key.
func (r *Release) Validate() error { return join(r.problems()) }

// Validate returns everything that a client could stumble over, joined, each
// with its key.
func (v *ClientVersions) Validate() error { return join(v.problems()) }

// problem is what is wrong with the value under key, a path such as iOS.url.
type problem struct{ key, text string }

func (p problem) Error() string { return p.key + ": " + p.text }

func join(problems []problem) error {
	errs := make([]error, len(problems))
	for i, p := range problems {
		errs[i] = p
	}
	return errors.Join(errs...)
}

func (r *Release) problems() []problem {
	var found []problem
	if !ValidVersion(r.Version) {
		found = append(found, problem{"version", fmt.Sprintf("%q is no semantic version such as 1.0.2", r.Version)})
	}
	if u, err := url.Parse(r.URL); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || !isPercentEncoded(r.URL) {
		found = append(found, problem{"url", fmt.Sprintf("%q is no absolute, percent-encoded https or http URL", r.URL)})
	}
	if !isPubDate(r.PubDate) {
		found = append(found, problem{"pub_date", fmt.Sprintf("%q is neither 2006-01-02 nor 2006-01-02T15:04:05Z, without fractions of a second", r.PubDate)})
	}
	return append(found, extraProblems("", releaseKeys, r.Extra)...)
}

func (v *ClientVersions) problems() []problem {
	found := append(v.IOS.problems("iOS.", true), v.Android.problems("Android.", false)...)
	return append(found, extraProblems("", platformKeys, v.Extra)...)
}

func (v ClientVersion) problems(path string, needsBuild bool) []problem {
	var found []problem
	if v.Version == "" {
		found = append(found, problem{path + "version", "required"})
	}
	if _, err := time.Parse("200601021504", v.Build); err != nil && (needsBuild || v.Build != "") {
		found = append(found, problem{path + "build", fmt.Sprintf("%q is no time in the form yyyyMMddHHmm", v.Build)})
	}
	if u, err := url.Parse(v.URL); err != nil || !u.IsAbs() || !isPercentEncoded(v.URL) {
		found = append(found, problem{path + "url", fmt.Sprintf("%q is no absolute, percent-encoded URL", v.URL)})
	}
	return append(found, extraProblems(path, clientKeys, v.Extra)...)
}

// extraProblems finds the keys of extra that have a field of their own, and
// the values that are no JSON.
func extraProblems(path string, known []string, extra map[string]json.RawMessage) []problem {
	var found []problem
	for _, key := range slices.Sorted(maps.Keys(extra)) {
		switch {
		case slices.Contains(known, key):
			found = append(found, problem{path + key, "has a field of its own, and does not belong into Extra"})
		case !json.Valid(extra[key]):
			found = append(found, problem{path + key, "is no JSON"})
		}
	}
	return found
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
	if s == "" || strings.Contains(s, ".") || strings.Contains(s, ",") {
		return s == ""
	}
	_, dateErr := time.Parse(time.DateOnly, s)
	_, timeErr := time.Parse(time.RFC3339, s) // which takes an hour of one digit, too
	return dateErr == nil || timeErr == nil && len(s) >= len("2006-01-02T15:04:05Z")
}

// prepare checks, parses and encodes r, the first time it is called.
func (r *Release) prepare() error {
	r.once.Do(func() {
		if r.err = r.Validate(); r.err == nil {
			r.parsed, r.err = parseVersion(r.Version)
			r.json = encodeObject(releaseKeys, []string{r.Version, r.URL, r.Name, r.Notes, r.PubDate}, r.Extra)
		}
	})
	return r.err
}

// prepare checks and encodes v, the first time it is called.
func (v *ClientVersions) prepare() error {
	v.once.Do(func() {
		if v.err = v.Validate(); v.err == nil {
			v.json = encodeObject(platformKeys, []json.RawMessage{v.IOS.encode(), v.Android.encode()}, v.Extra)
		}
	})
	return v.err
}

func (v ClientVersion) encode() []byte {
	return encodeObject(clientKeys, []string{v.Version, v.Build, v.URL}, v.Extra)
}

// MarshalJSON returns r as clients receive it: version, url, name, notes and
// pub_date, the empty ones left out, and then Extra in the order of its keys.
// Every call returns the same bytes, which must not be changed. The error is
// that of Validate.
func (r *Release) MarshalJSON() ([]byte, error) {
	err := r.prepare()
	return r.json, err
}

// MarshalJSON returns v as clients receive it: iOS, Android, and then Extra in
// the order of its keys. Every call returns the same bytes, which must not be
// changed. The error is that of Validate.
func (v *ClientVersions) MarshalJSON() ([]byte, error) {
	err := v.prepare()
	return v.json, err
}

// The keys that have a field of their own, in the order in which they go out.
var (
	releaseKeys  = []string{"version", "url", "name", "notes", "pub_date"}
	platformKeys = []string{"iOS", "Android"}
	clientKeys   = []string{"version", "build", "url"}
)

// encodeObject encodes values under keys, but for empty ones, and then extra
// in the order of its keys.
func encodeObject[V string | json.RawMessage](keys []string, values []V, extra map[string]json.RawMessage) []byte {
	b := []byte{'{'}
	add := func(key string, value any) {
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(append(append(b, encodeJSON(key)...), ':'), encodeJSON(value)...)
	}
	for i, key := range keys {
		if len(values[i]) > 0 {
			add(key, values[i])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(extra)) {
		add(key, extra[key])
	}
	return append(b, '}')
}

// object is a JSON object being read: what is taken out of rest has a field of
// its own, what stays becomes Extra.
type object struct {
	path  string
	rest  map[string]json.RawMessage
	found []problem
}

func parseObject(data []byte) (*object, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("is not UTF-8")
	}
	o := &object{}
	err := json.Unmarshal(data, &o.rest)
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		return nil, fmt.Errorf("is no JSON: %w (at byte %d)", err, syntax.Offset)
	}
	if err != nil || o.rest == nil {
		return nil, errors.New("must be a JSON object")
	}
	return o, nil
}

// take removes and returns the value under key; null counts as missing.
func (o *object) take(key string) json.RawMessage {
	value := o.rest[key]
	delete(o.rest, key)
	if string(value) == "null" {
		return nil
	}
	return value
}

func (o *object) text(key string) string {
	var s string
	if value := o.take(key); value != nil && json.Unmarshal(value, &s) != nil {
		o.found = append(o.found, problem{o.path + key, "must be a string"})
	}
	return s
}

func (o *object) client(platform string) ClientVersion {
	value := o.take(platform)
	if value == nil {
		o.found = append(o.found, problem{platform, "required: clients cannot do without it"})
		return ClientVersion{}
	}
	c, err := parseObject(value)
	if err != nil {
		o.found = append(o.found, problem{platform, err.Error()})
		return ClientVersion{}
	}
	c.path = platform + "."
	v := ClientVersion{Version: c.text("version"), Build: c.text("build"), URL: c.text("url"), Extra: c.rest}
	o.found = append(o.found, c.found...)
	return v
}

// join returns what was found while reading, and of more, what was found
// afterwards, whatever is about another key.
func (o *object) join(more []problem) error {
	found := o.found
	for _, m := range more {
		if !slices.ContainsFunc(o.found, func(f problem) bool {
			return m.key == f.key || strings.HasPrefix(m.key, f.key+".")
		}) {
			found = append(found, m)
		}
	}
	return join(found)
}

var _ VersionSource = (*StaticVersions)(nil)

// StaticVersions is a VersionSource for hosts that hold their versions in
// code. Make one with [NewStaticVersions].
type StaticVersions struct {
	release *Release
	clients *ClientVersions
}

// NewStaticVersions returns a source that always answers r and v. Both are
// checked as Validate does; a nil r means that there is no desktop release.
func NewStaticVersions(r *Release, v *ClientVersions) (*StaticVersions, error) {
	var problems []error
	if r != nil {
		if err := r.Validate(); err != nil {
			problems = append(problems, fmt.Errorf("misc: release: %w", err))
		}
	}
	if v == nil {
		problems = append(problems, errors.New("misc: client versions: required"))
	} else if err := v.Validate(); err != nil {
		problems = append(problems, fmt.Errorf("misc: client versions: %w", err))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
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
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.clients, nil
}
