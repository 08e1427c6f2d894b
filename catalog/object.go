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
	"unicode"
	"unicode/utf8"

	"github.com/sealtalk-go/misc"
)

// node is a JSON value, and where it begins in its file.
type node struct {
	json.RawMessage
	at int
}

// parse reads the JSON value in a file.
func parse(data []byte) (node, error) {
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) || bytes.IndexByte(data[:min(len(data), 2)], 0) >= 0 {
		return node{}, errors.New("is UTF-16: save it as UTF-8")
	}
	if !utf8.Valid(data) {
		line := 1
		for text := range bytes.Lines(data) {
			if !utf8.Valid(text) {
				break
			}
			line++
		}
		return node{}, fmt.Errorf("is not valid UTF-8 in line %d", line)
	}
	const space = " \t\r\n"
	skipped := len(data) - len(bytes.TrimLeft(bytes.TrimPrefix(data, []byte("\uFEFF")), space))
	n := node{bytes.TrimRight(data[skipped:], space), skipped}
	err := json.Unmarshal(n.RawMessage, new(json.RawMessage))
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		at := skipped + int(syntax.Offset)
		return node{}, fmt.Errorf("is not valid JSON: %w (at byte %d, line %d)", err, at, line(data, at))
	}
	return n, err
}

// line returns the number of the line with the byte at a place in data.
func line(data []byte, at int) int { return 1 + bytes.Count(data[:at], []byte("\n")) }

// isObject and isList report what n is.
func (n node) isObject() bool { return n.RawMessage[0] == '{' }
func (n node) isList() bool   { return n.RawMessage[0] == '[' }

// members calls f for each value in n, a list or an object, with its key in an
// object.
func (n node) members(f func(key string, v node)) {
	text := n.RawMessage
	key, hasKey := "", n.isList()
	for i := 1; i < len(text)-1; {
		if strings.IndexByte(between, text[i]) >= 0 {
			i++
			continue
		}
		value := node{text[i : i+length(text[i:])], n.at + i}
		i += len(value.RawMessage)
		if hasKey {
			f(key, value)
		} else {
			_ = json.Unmarshal(value.RawMessage, &key) // n is valid
		}
		hasKey = !hasKey || n.isList()
	}
}

// between are the characters between values.
const between = " \t\r\n,:"

// length returns the length of the value at the beginning of text.
func length(text []byte) int {
	if strings.IndexByte(`"{[`, text[0]) < 0 { // a number, true, false or null
		if end := bytes.IndexAny(text, " \t\r\n,]}"); end >= 0 {
			return end
		}
		return len(text)
	}
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
			continue
		case c == '"':
			quoted = !quoted
		case quoted:
			continue
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
		if depth == 0 && !quoted {
			return i + 1
		}
	}
	return len(text)
}

// object is a JSON object being read: the keys that are taken have a field of
// their own, and the others become Extra. Problems have path before their keys.
type object struct {
	path   string
	at     int
	values map[string]node
	taken  []string
	found  problems
	full   bool // problems are only counted, since no error has room for more
}

// parseObject reads an object; a problem with all of it is in found.
func parseObject(n node, path string) *object {
	o := &object{path: path, at: n.at}
	if n.isObject() {
		o.values = make(map[string]node)
		n.members(func(key string, v node) { o.values[key] = v })
	} else {
		o.found = problems{{key: strings.TrimSuffix(path, "."), at: n.at, cause: errNoObject}}
	}
	return o
}

var errNoObject = errors.New("must be a JSON object")

// parseFile reads a file that holds an object.
func parseFile(data []byte) *object {
	n, err := parse(data)
	if err != nil {
		return &object{found: problems(nil).add(err)}
	}
	return parseObject(n, "")
}

// extra returns what was not taken.
func (o *object) extra() map[string]json.RawMessage {
	extra := make(map[string]json.RawMessage)
	for key, value := range o.values {
		if !slices.Contains(o.taken, key) {
			extra[key] = value.RawMessage
		}
	}
	return extra
}

// take returns the value under key, and whether there is one; null counts as
// missing.
func (o *object) take(key string) (n node, given bool) {
	n, given = o.values[key]
	o.taken = append(o.taken, key)
	return n, given && string(n.RawMessage) != "null"
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
	n, given := o.take(key)
	if given && json.Unmarshal(n.RawMessage, &s) != nil {
		o.add(key, "must be a string")
		return "", false
	}
	return s, given
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

// list returns the list under key, nil if it is missing. ok is false if there is
// something else.
func (o *object) list(key string) (list []node, ok bool) {
	n, given := o.take(key)
	if !given {
		return nil, true
	}
	if !n.isList() {
		o.add(key, "must be a list")
		return nil, false
	}
	list = []node{}
	n.members(func(_ string, v node) { list = append(list, v) })
	return list, true
}

// refuseRest adds a problem for each key that was not taken.
func (o *object) refuseRest() {
	known := strings.Join(o.taken, ", ")
	for _, key := range slices.Sorted(maps.Keys(o.extra())) {
		o.add(key, "unknown key; known are %s", known)
	}
}

// add adds a problem with the value under key. If there is none, the problem is
// at the beginning of o.
func (o *object) add(key, format string, args ...any) {
	if o.full || len(o.found) > maxProblems {
		o.found = o.found.with(problem{})
		return
	}
	at := o.at
	if n, given := o.values[key]; given {
		at = n.at
	} else if list, _, inList := strings.Cut(key, "["); inList && o.values[list].at > 0 {
		at = o.values[list].at
	}
	o.found = o.found.with(problem{key: o.path + key, at: at, cause: fmt.Errorf(format, args...)})
}

// problem is what is wrong with the value under key, a path such as iOS.url, or
// with the whole file if key is empty.
type problem struct {
	key     string
	version string // of the release that it is about; empty if there is none
	at      int    // where the value begins in the file
	cause   error
	more    int // how many others it stands for
}

type problems []problem

// add returns p with err, if it is not nil, as a problem with the whole file.
func (p problems) add(err error) problems {
	if err == nil {
		return p
	}
	return p.with(problem{cause: err})
}

// with returns p with more. Of those that no error has room for, the first stands
// for all.
func (p problems) with(more ...problem) problems {
	for _, m := range more {
		if len(p) > maxProblems {
			p[maxProblems].more += 1 + m.more
		} else {
			p = append(p, m)
		}
	}
	return p
}

const (
	maxProblems = 20  // in one error
	maxText     = 500 // bytes of a text from a file
)

// join returns the problems of the file data as one error, each behind prefix.
// Its length is bounded, whatever the file holds.
func (p problems) join(prefix string, data []byte) error {
	var named []error
	for _, p := range p[:min(len(p), maxProblems)] {
		if text := p.cause.Error(); printable(text) != text {
			p.cause = errors.New(printable(text))
		}
		if p.key != "" {
			p.cause = fmt.Errorf("%s: %w", place(p.key, p.version, line(data, p.at)), p.cause)
		}
		named = append(named, fmt.Errorf("%s%w", prefix, p.cause))
	}
	if len(p) > maxProblems {
		named = append(named, fmt.Errorf("%sand %d more", prefix, 1+p[maxProblems].more))
	}
	return errors.Join(named...)
}

// place names a place in a file.
func place(key, version string, line int) string {
	if version != "" {
		version += ", "
	}
	return fmt.Sprintf("%s (%sline %d)", printable(key), printable(version), line)
}

// printable returns a text from a file for people: short, in one line, and without
// characters that would control a terminal.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case b.Len() >= maxText:
			return b.String() + "…"
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}

// repeated returns a problem for each key that appears twice in one object of n,
// with its path, as long as an error has room for it.
func (n node) repeated() (found problems) {
	d := json.NewDecoder(bytes.NewReader(n.RawMessage))
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
				if keys[key] && len(found) > maxProblems {
					found = found.with(problem{})
				} else if keys[key] {
					found = found.with(problem{key: strings.TrimPrefix(strings.Join(path, ""), "."), at: n.at + int(d.InputOffset()), cause: errors.New("appears twice")})
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
	err := read() // first: it adds to found
	return found.add(err)
}
