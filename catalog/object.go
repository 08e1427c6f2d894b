package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sealtalk-go/misc"
)

// object is a JSON object being read: what is taken out of rest has a field of
// its own, what stays becomes Extra. Problems have path before their keys.
type object struct {
	path  string
	rest  map[string]json.RawMessage
	taken []string
	found problems
}

// parseObject reads an object; a problem with all of it is in found.
func parseObject(data []byte, path string) *object {
	o := &object{path: path}
	err := parse(data, &o.rest)
	if err == nil && o.rest == nil {
		err = errNoObject
	}
	if err != nil {
		o.found = problems{{strings.TrimSuffix(path, "."), err}}
	}
	return o
}

var errNoObject = errors.New("must be a JSON object")

// parse reads one JSON value, an object or a list, into v.
func parse(data []byte, v any) error {
	data = withoutBOM(data)
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return errors.New("is UTF-16: save it as UTF-8")
	}
	if !utf8.Valid(data) {
		line := 1
		for text := range bytes.Lines(data) {
			if !utf8.Valid(text) {
				break
			}
			line++
		}
		return fmt.Errorf("is not valid UTF-8 in line %d", line)
	}
	err := json.Unmarshal(data, v)
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		return fmt.Errorf("is not valid JSON: %w (at byte %d, line %d)", err, syntax.Offset, 1+bytes.Count(data[:syntax.Offset], []byte("\n")))
	}
	if err != nil {
		return errNoObject
	}
	return nil
}

func withoutBOM(data []byte) []byte { return bytes.TrimPrefix(data, []byte("\uFEFF")) }

// take removes and returns the value under key; null counts as missing.
func (o *object) take(key string) json.RawMessage {
	value := o.rest[key]
	delete(o.rest, key)
	o.taken = append(o.taken, key)
	if string(value) == "null" {
		return nil
	}
	return value
}

func (o *object) text(key string) string {
	s, _ := o.given(key)
	return s
}

// checked returns the string under key, which must be valid for the field of
// that name; see [misc.CheckField].
func (o *object) checked(key, name string) string {
	before := len(o.found)
	s := o.text(key)
	if problem := misc.CheckField(name, s); problem != "" && len(o.found) == before {
		o.add(key, "%s", problem)
	}
	return s
}

// given returns the string under key, and whether there is one.
func (o *object) given(key string) (s string, given bool) {
	value := o.take(key)
	if value == nil {
		return "", false
	}
	if json.Unmarshal(value, &s) != nil {
		o.add(key, "must be a string")
		return "", false
	}
	return s, true
}

// version returns the version under key, nil if it is missing or invalid.
func (o *object) version(key string) *misc.Version {
	s, given := o.given(key)
	if !given {
		return nil
	}
	v, err := misc.ParseVersion(s)
	if err != nil {
		o.add(key, "%.100q is not a semantic version such as 1.0.2", s)
		return nil
	}
	return &v
}

// list returns the list under key, and whether there is a value.
func (o *object) list(key string) (list []json.RawMessage, given bool) {
	value := o.take(key)
	if value != nil && json.Unmarshal(value, &list) != nil {
		o.add(key, "must be a list")
	}
	return list, value != nil
}

// refuseRest adds a problem for each key that was not taken.
func (o *object) refuseRest() {
	for _, key := range slices.Sorted(maps.Keys(o.rest)) {
		o.add(key, "unknown key; known are %s", strings.Join(o.taken, ", "))
	}
}

func (o *object) add(key, format string, args ...any) {
	o.found = append(o.found, problem{o.path + key, fmt.Errorf(format, args...)})
}

// problem is what is wrong with the value under key, a path such as iOS.url, or
// with the whole file if key is empty.
type problem struct {
	key   string
	cause error
}

type problems []problem

// add returns p with err, if it is not nil, as a problem with the whole file.
func (p problems) add(err error) problems {
	if err == nil {
		return p
	}
	return append(p, problem{"", err})
}

const (
	maxProblems = 20  // in one error
	maxProblem  = 500 // bytes of a key, and of what is wrong with it
)

// join returns the problems as one error, each behind prefix. Its length is
// bounded, whatever a file holds.
func (p problems) join(prefix string) error {
	var named []error
	for _, p := range p[:min(len(p), maxProblems)] {
		if text := p.cause.Error(); len(text) > maxProblem {
			p.cause = errors.New(cut(text))
		}
		if p.key != "" {
			p.cause = fmt.Errorf("%s: %w", cut(p.key), p.cause)
		}
		named = append(named, fmt.Errorf("%s%w", prefix, p.cause))
	}
	if more := len(p) - maxProblems; more > 0 {
		named = append(named, fmt.Errorf("%sand %d more", prefix, more))
	}
	return errors.Join(named...)
}

// cut returns the beginning of a text that is too long.
func cut(text string) string {
	if len(text) <= maxProblem {
		return text
	}
	return strings.ToValidUTF8(text[:maxProblem], "") + "…"
}

// repeated returns a problem for each key that appears twice in one object of
// data, which is valid JSON, up to a hundred.
func repeated(data []byte) (found problems) {
	d := json.NewDecoder(bytes.NewReader(withoutBOM(data)))
	d.UseNumber()
	var path []string
	var read func() error
	read = func() error {
		opening, err := d.Token()
		switch opening {
		case json.Delim('{'):
			keys := map[json.Token]bool{}
			for err == nil && d.More() {
				var key json.Token
				if key, err = d.Token(); err != nil {
					return err
				}
				path = append(path, fmt.Sprint(".", key))
				if keys[key] && len(found) < 100 {
					found = append(found, problem{strings.TrimPrefix(strings.Join(path, ""), "."), errors.New("appears twice")})
				}
				keys[key] = true
				err = read()
				path = path[:len(path)-1]
			}
		case json.Delim('['):
			for i := 0; err == nil && d.More(); i++ {
				path = append(path, "["+strconv.Itoa(i)+"]")
				err = read()
				path = path[:len(path)-1]
			}
		default:
			return err
		}
		_, closing := d.Token()
		return errors.Join(err, closing)
	}
	if err := read(); err != nil {
		found = append(found, problem{"", err})
	}
	return found
}
