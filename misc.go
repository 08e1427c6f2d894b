// Package misc is the domain behind SealTalk's "misc" endpoints: which
// desktop or mobile version is the latest, sending a message through the chat
// cloud, and the screen-capture notice of a conversation.
//
// A host hands [New] four small interfaces: a [VersionSource], its
// [Relations], a [ScreenCaptureStore] and a [Messenger]. The [Service] that
// comes back has one method for each operation. Package httpapi serves it over
// HTTP as SealTalk's clients expect it. Packages catalog, rongcloud and
// sqlstore implement the interfaces, and package misctest tests
// implementations of them.
//
// The decisions themselves are functions without I/O: [ValidVersion] and
// [CompareVersions], [OutgoingContent] and [Mentions], [Notice].
//
// # Ids
//
// User and group ids are opaque strings: the public ids that clients send and
// that the chat cloud takes. The package never looks inside one.
//
// # Errors
//
// A caller's mistakes are reported with the sentinels of this package, matched
// with [errors.Is]. Any other error comes from the implementation of an
// interface and is wrapped.
package misc

import (
	"errors"
	"fmt"
	"reflect"
)

// Config holds what a [Service] works with. The first four fields are required.
type Config struct {
	Versions  VersionSource
	Relations Relations
	Captures  ScreenCaptureStore
	Messenger Messenger

	// Square is optional. Without it there is no square.
	Square SquareSource

	// Related is optional. It answers [Service.ScreenCapture] in place of
	// Relations and Captures, in one round trip: with sqlstore, set all three
	// to the same Store.
	Related RelatedStore

	// InsecureOpenScreenCapture lets any user read and switch the
	// screen-capture setting of any conversation and send notices into it, as
	// SealTalk's own servers do. Only SendMessage then requires friendship or
	// membership. The zero value requires it everywhere.
	InsecureOpenScreenCapture bool
}

// A Service carries out the operations behind the endpoints. It keeps no state
// of its own: any number of instances may share a store. Make one with [New].
type Service struct{ cfg Config }

// New returns a Service over cfg, or an error that names each required field
// that is missing and each field that holds a nil pointer.
func New(cfg Config) (*Service, error) {
	var faults []error
	for _, part := range []struct {
		field    string
		value    any
		optional bool
	}{
		{"Versions", cfg.Versions, false},
		{"Relations", cfg.Relations, false},
		{"Captures", cfg.Captures, false},
		{"Messenger", cfg.Messenger, false},
		{"Square", cfg.Square, true},
		{"Related", cfg.Related, true},
	} {
		switch v := reflect.ValueOf(part.value); v.Kind() {
		case reflect.Invalid:
			if !part.optional {
				faults = append(faults, fmt.Errorf("misc: Config.%s is required", part.field))
			}
		case reflect.Pointer, reflect.Func, reflect.Map, reflect.Slice, reflect.Chan:
			if v.IsNil() {
				faults = append(faults, fmt.Errorf("misc: Config.%s holds a nil %T", part.field, part.value))
			}
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return &Service{cfg}, nil
}
