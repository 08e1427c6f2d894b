// Package misc implements the operations of eight HTTP endpoints that
// SealTalk's clients call. SealTalk is an open-source chat app for iOS,
// Android, desktop and web. Its messages go through RongCloud, a messaging
// service; this documentation calls it the chat cloud. For everything else, the
// clients call an app server. The endpoints, under the path /misc/, are a part
// of that server.
//
// They report which desktop and mobile versions are the latest, list the chat
// rooms and groups that clients offer to everyone (the square), send a message
// for a user, and handle screen-capture notices: each conversation has a
// setting that says whether its members are told when one of them takes a
// screenshot.
//
// Your server passes implementations of four interfaces to [New]:
//
//   - a [VersionSource] knows the latest versions (package catalog)
//   - [Relations] knows who is a friend of whom, and who is in which group
//     (package sqlstore)
//   - a [ScreenCaptureStore] keeps the settings (package sqlstore,
//     [MemoryStore])
//   - a [Messenger] sends messages to the chat cloud (package rongcloud)
//
// New returns a [Service], which has a method for each operation. Package
// httpapi serves it over HTTP. Package misctest tests your own implementations
// of the interfaces. The rules for versions, contents and notices are also
// available as functions that do no I/O: [ValidVersion], [CompareVersions],
// [OutgoingContent], [Mentions] and [Notice].
//
// # Ids
//
// A public id is the string by which the clients and the chat cloud know a
// user, a group or a chat room. This package takes public ids only and does not
// interpret them; an empty one is invalid. SealTalk's database has numbers
// instead; package n3d translates between the two.
//
// # Errors
//
// The errors for invalid or forbidden calls are variables of this package, to be
// matched with [errors.Is]. An error that a method of an interface returns is
// wrapped; [IDError] describes the one exception. A Service returns an error of
// its own if a [VersionSource] or [SquareSource] returns neither a value nor an
// error.
package misc

import (
	"errors"
	"fmt"
	"reflect"
)

// Config has the parts of a [Service]. The first four fields are required.
// Leave an optional field nil if it is not used. A field must not hold a typed
// nil, such as a nil *catalog.Catalog.
type Config struct {
	Versions  VersionSource
	Relations Relations
	Captures  ScreenCaptureStore
	Messenger Messenger

	// Square is optional. It supplies the chat rooms and groups that clients
	// offer to everyone. Without it, [Service.Square] returns ErrNoSquare.
	Square SquareSource

	// Related is optional. If it is set, [Service.ScreenCapture] asks it
	// instead of Relations and Captures, which saves a round trip to the
	// database. It must give the same answers as those two. With a store of
	// package sqlstore:
	//
	//	misc.Config{Relations: store, Captures: store, Related: store}            // right
	//	misc.Config{Relations: blockList{store}, Captures: store, Related: store} // wrong: Related ignores the block list
	Related RelatedStore

	// InsecureOpenScreenCapture lets every user read and change the setting of
	// every group, and of a private chat with anyone, and send notices to them,
	// as SealTalk's own servers do. Only SendMessage then requires friendship
	// or membership, and Related is not used. If it is false, every operation
	// on a conversation requires friendship or membership.
	InsecureOpenScreenCapture bool
}

// A Service has a method for each operation behind the endpoints. It has no
// state of its own, so any number of Services, in any number of processes, may
// share a store. Make one with [New].
type Service struct{ cfg Config }

// New returns a Service with the parts in cfg. Its error names each required
// field that is missing and each field that holds a typed nil.
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
