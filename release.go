package misc

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

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
		p.check("version", "version", f.Version)
	}
	p.check("url", "url", f.URL)
	p.check("pub_date", "pub_date", f.PubDate)
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
	encoded := p.encode("", f.Extra, field{"iOS", json.RawMessage(ios)}, field{"Android", json.RawMessage(android)})
	if p != nil {
		return nil, errors.Join(p...)
	}
	return &ClientVersions{encoded}, nil
}

func (v ClientVersion) encode(p *problems, path string) string {
	p.check(path+"version", path+"version", v.Version)
	p.check(path+"build", path+"build", v.Build)
	p.check(path+"url", path+"url", v.URL)
	return p.encode(path, v.Extra, field{"version", v.Version}, field{"build", v.Build}, field{"url", v.URL})
}

// MarshalJSON returns v as clients receive it: iOS, Android, then Extra in the
// order of its keys. It never fails for ClientVersions that [NewClientVersions]
// made.
func (v ClientVersions) MarshalJSON() ([]byte, error) { return marshal(v.encoded) }

// A FieldError is one problem with the argument of a constructor.
type FieldError struct {
	Field   string // the JSON key, with a path such as iOS.url
	Problem string
}

// Error returns a text that names the field and what is wrong with it.
func (e *FieldError) Error() string { return "misc: " + e.Field + ": " + e.Problem }

// CheckField returns what is wrong with a value, or an empty string if it is
// valid. The constructors of this package check their fields like this; use it
// to check a single one, as a form does. The names are version, url and
// pub_date of a release; iOS.version, iOS.build and iOS.url, and the same of
// Android; id, type and chatroom.name of a square. For any other name, every
// value is valid.
func CheckField(name, value string) (problem string) {
	if check := checks[name]; check != nil {
		return check(value)
	}
	return ""
}

var checks = map[string]func(string) string{
	"version": func(v string) string {
		if v == "" || ValidVersion(v) {
			return required(v)
		}
		return fmt.Sprintf("%.100q is not a semantic version such as 1.0.2", v)
	},
	"url": func(v string) string {
		if u, err := url.Parse(v); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || !isPercentEncoded(v) {
			return fmt.Sprintf("%.100q is not an absolute, percent-encoded https or http URL", v)
		}
		return ""
	},
	"pub_date": func(v string) string {
		if !isPubDate(v) {
			return fmt.Sprintf("%.100q is neither 2006-01-02 nor 2006-01-02T15:04:05Z, without fractions of a second", v)
		}
		return ""
	},
	"iOS.version":     required,
	"iOS.url":         clientURL,
	"iOS.build":       func(v string) string { return cmp.Or(required(v), buildTime(v)) },
	"Android.version": required,
	"Android.url":     clientURL,
	"Android.build":   buildTime,
	"id": func(v string) string {
		if len(v) > MaxID {
			return fmt.Sprintf("has %d bytes, more than %d", len(v), MaxID)
		}
		return required(v)
	},
	"type": func(v string) string {
		if v != "chatroom" && v != "group" {
			return fmt.Sprintf("%.100q is neither chatroom nor group", v)
		}
		return ""
	},
	"chatroom.name": func(v string) string {
		if v == "" {
			return "required for a chat room: SealTalk's iOS client crashes without one"
		}
		return ""
	},
}

func required(v string) string {
	if v == "" {
		return "required"
	}
	return ""
}

func buildTime(v string) string {
	if _, err := time.Parse("200601021504", v); err != nil && v != "" {
		return fmt.Sprintf("%.100q is not a time in the form yyyyMMddHHmm", v)
	}
	return ""
}

func clientURL(v string) string {
	if u, err := url.Parse(v); err != nil || !u.IsAbs() || !isPercentEncoded(v) {
		return fmt.Sprintf("%.100q is not an absolute, percent-encoded URL", v)
	}
	return ""
}

type problems []error

func (p *problems) add(key, format string, args ...any) {
	*p = append(*p, &FieldError{key, fmt.Sprintf(format, args...)})
}

// check adds what is wrong with the value under key.
func (p *problems) check(key, name, value string) {
	if problem := CheckField(name, value); problem != "" {
		p.add(key, "%s", problem)
	}
}

// field is one key of a JSON object: a string or valid JSON.
type field struct {
	key   string
	value any
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
	return err == nil && s[len("2006-01-02T15")] == ':' && !strings.ContainsAny(s, ".,") && max(offset, -offset) < 24*60*60
}

func marshal(encoded string) ([]byte, error) {
	if encoded == "" {
		return nil, errors.New("misc: the value was not made by its constructor")
	}
	return []byte(encoded), nil
}

// encodeJSON returns v, a string or valid JSON, as JSON, with <, > and & as
// they are.
func encodeJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // a string always encodes, and so does JSON that is valid
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
