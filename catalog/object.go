package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sealtalk-go/misc"
)

// object is a JSON object being read: what is taken out of rest has a field of
// its own, what stays becomes Extra. Problems have path before their keys.
type object struct {
	path  string
	rest  map[string]json.RawMessage
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
	if !utf8.Valid(data) {
		return errors.New("is not valid UTF-8")
	}
	err := json.Unmarshal(data, v)
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		return fmt.Errorf("is not valid JSON: %w (at byte %d)", err, syntax.Offset)
	}
	if err != nil {
		return errNoObject
	}
	return nil
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
		o.add(key, "must be a string")
	}
	return s
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

// add returns p with those of a constructor's error, except about keys that p
// names already.
func (p problems) add(err error) problems {
	if err == nil {
		return p
	}
	all, errs := slices.Clone(p), []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		errs = joined.Unwrap()
	}
	for _, err := range errs {
		var f *misc.FieldError
		if !errors.As(err, &f) {
			all = append(all, problem{"", err})
		} else if !slices.ContainsFunc(p, func(known problem) bool {
			return known.key == f.Field || strings.HasPrefix(f.Field, known.key+".")
		}) {
			all = append(all, problem{f.Field, errors.New(f.Problem)})
		}
	}
	return all
}

// join returns the problems as one error, each behind prefix.
func (p problems) join(prefix string) error {
	var named []error
	for _, p := range p {
		if p.key != "" {
			p.cause = fmt.Errorf("%s: %w", p.key, p.cause)
		}
		named = append(named, fmt.Errorf("%s%w", prefix, p.cause))
	}
	return errors.Join(named...)
}
