// Package misc is the domain behind SealTalk's "misc" endpoints: which
// desktop or mobile version is the latest, sending a message through the chat
// cloud, and the screen-capture notice of a conversation.
//
// A host hands [New] four small interfaces: a [VersionSource], its
// [Relations], a [ScreenCaptureStore] and a [Messenger]. The [Service] that
// comes back has one method for each operation. Package httpapi serves it over
// HTTP as SealTalk's clients expect it; packages catalog, rongcloud and
// sqlstore implement the interfaces, and misctest tests implementations of
// them.
//
// The decisions themselves are functions without I/O: [ValidVersion] and
// [CompareVersions], [OutgoingContent] and [Mentions], [Notice].
//
// # Ids
//
// User and group ids are strings and opaque: the public ids that clients send
// and that the chat cloud takes. The package never looks inside one.
//
// # Errors
//
// What a caller did wrong is reported with the sentinels of this package,
// matched with [errors.Is]. Any other error comes from the implementation of
// an interface and is wrapped, so its chain stays intact.
package misc

import (
	"errors"
	"fmt"
	"reflect"
)

// Config holds what a [Service] works with. All four interfaces are required.
type Config struct {
	Versions  VersionSource
	Relations Relations
	Captures  ScreenCaptureStore
	Messenger Messenger

	// InsecureOpenScreenCapture lets any user read and switch the
	// screen-capture setting of any conversation and send notices into it, as
	// SealTalk's own servers do. Friendship and membership are then asked for
	// in SendMessage alone. The zero value asks for them everywhere.
	InsecureOpenScreenCapture bool
}

// A Service carries out the operations behind the endpoints. It keeps no state
// of its own: any number of instances may share a store. Make one with [New].
type Service struct {
	cfg     Config
	related RelatedStore // nil if Config has none, or asks for no relation
}

// New returns a Service over cfg, or an error that names everything missing.
func New(cfg Config) (*Service, error) {
	var missing []error
	for _, part := range []struct {
		field string
		isNil bool
	}{
		{"Versions", cfg.Versions == nil},
		{"Relations", cfg.Relations == nil},
		{"Captures", cfg.Captures == nil},
		{"Messenger", cfg.Messenger == nil},
	} {
		if part.isNil {
			missing = append(missing, fmt.Errorf("misc: Config.%s is required", part.field))
		}
	}
	if len(missing) > 0 {
		return nil, errors.Join(missing...)
	}
	s := &Service{cfg: cfg}
	if both, ok := cfg.Captures.(RelatedStore); ok && !cfg.InsecureOpenScreenCapture && same(cfg.Captures, cfg.Relations) {
		s.related = both
	}
	return s, nil
}

// same reports whether a and b are one value; of values that cannot be
// compared, nobody knows.
func same(a, b any) bool {
	return reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}
