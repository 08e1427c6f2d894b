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
// A [Store] can take the place of Relations and the ScreenCaptureStore, if both
// are in one database.
//
// New returns a [Service], which has a method for each operation. Package
// httpapi serves it over HTTP. Package misctest tests your own implementations
// of the interfaces. The rules for versions, contents and notices are also
// available as functions that do no I/O: [ValidVersion], [CompareVersions],
// [ParseUpdateQuery], [CheckField], [OutgoingContent], [Mentions] and [Notice].
//
// # Ids
//
// A public id is the string by which the clients and the chat cloud know a
// user, a group or a chat room. This package takes public ids only and does not
// interpret them. An id has 1 to [MaxID] bytes. SealTalk's database has numbers
// instead; package n3d translates between the two.
//
// # Errors
//
// Every error of a Service is an *[Error], whose [Code] says what went wrong
// and whose fault it is. The interfaces and functions of this package return
// the errors that are declared next to them, to be matched with [errors.Is].
package misc

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// MaxID is the maximum length of a public id, in bytes.
const MaxID = 256

// Config has the parts of a [Service]. Versions and Messenger are required, and
// either Relations and Captures or Store. Leave an optional field nil if it is
// not used. A field must not hold a typed nil, such as a nil *catalog.Catalog.
type Config struct {
	Versions  VersionSource
	Relations Relations
	Captures  ScreenCaptureStore
	Messenger Messenger

	// Store takes the place of Relations and Captures, which must then be nil.
	// It saves a round trip to the database. With a store of package sqlstore:
	//
	//	misc.Config{Store: store}                                  // right
	//	misc.Config{Relations: store, Captures: store}             // right, with one more round trip to read a setting
	//	misc.Config{Store: store, Relations: blockList{store}}     // wrong: New returns an error
	Store Store

	// Square is optional. It supplies the chat rooms and groups that clients
	// offer to everyone. Without it, [Service.Square] has the code
	// CodeNoSquare.
	Square SquareSource

	// InsecureOpenScreenCapture lets every user read and change the setting of
	// every group, and of a private chat with anyone, and send notices to them,
	// as SealTalk's own servers do. Only SendMessage then requires friendship
	// or membership. If it is false, every operation on a conversation requires
	// them.
	InsecureOpenScreenCapture bool
}

// A Service has a method for each operation behind the endpoints. It has no
// state of its own, so any number of Services, in any number of processes, may
// share a store. Make one with [New].
type Service struct{ cfg Config }

// New returns a Service with the parts in cfg. Its error names each required
// field that is missing, each field that holds a typed nil, and fields that
// exclude each other.
func New(cfg Config) (*Service, error) {
	const otherwise = ", unless Config.Store is set"
	var faults []error
	if cfg.Store != nil && (cfg.Relations != nil || cfg.Captures != nil) {
		faults = append(faults, errors.New("misc: Config.Store takes the place of Config.Relations and Config.Captures: leave those nil"))
	}
	for _, part := range []struct {
		field    string
		value    any
		optional bool
		hint     string
	}{
		{"Versions", cfg.Versions, false, ""},
		{"Relations", cfg.Relations, cfg.Store != nil, otherwise},
		{"Captures", cfg.Captures, cfg.Store != nil, otherwise},
		{"Messenger", cfg.Messenger, false, ""},
		{"Store", cfg.Store, true, ""},
		{"Square", cfg.Square, true, ""},
	} {
		switch v := reflect.ValueOf(part.value); v.Kind() {
		case reflect.Invalid:
			if !part.optional {
				faults = append(faults, fmt.Errorf("misc: Config.%s is required%s", part.field, part.hint))
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

// A Code says what kind of failure an [Error] is.
type Code string

// The codes. Those before CodeRateLimited are about the request, which fails
// again if it is repeated unchanged. The others are not the client's fault.
const (
	CodeInvalid         Code = "invalid"          // Error.Field has an invalid value
	CodeUnsupportedType Code = "unsupported-type" // the conversation type is neither Private nor Group
	CodeNotFriend       Code = "not-friend"       // the target is not a friend of the user
	CodeNotMember       Code = "not-member"       // the user is not a member of the target group
	CodeNoRelease       Code = "no-release"       // there is no newer release for the client
	CodeNoSquare        Code = "no-square"        // there is no square
	CodeRateLimited     Code = "rate-limited"     // the chat cloud accepts no more messages at the moment
	CodeRefused         Code = "refused"          // the chat cloud refused the message, or the Messenger failed
	CodeUnreachable     Code = "unreachable"      // the chat cloud could not be reached
	CodeTimeout         Code = "timeout"          // the chat cloud did not answer in time
	CodeInternal        Code = "internal"         // another part failed, or your server passed an invalid user id
)

// An Error is what a [Service] returns, whatever goes wrong. Only a Service
// makes one. The code does not depend on what the error of a part wraps:
// Relations that fail with ErrTimeout, or with an Error of another Service, are
// CodeInternal. Only a Messenger can cause the codes about the chat cloud.
type Error struct {
	Code  Code
	Field string // with CodeInvalid: the JSON key or query parameter, such as targetId
	Err   error  // the cause; nil if there is none
}

// Error returns a text with the code, the field and the cause. The cause
// begins with the name of the part that failed, if one did.
func (e *Error) Error() string {
	text := "misc: " + string(e.Code)
	if e.Field != "" {
		text += ": " + e.Field
	}
	if e.Err != nil {
		text += ": " + strings.TrimPrefix(e.Err.Error(), "misc: ")
	}
	return text
}

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of the outermost [Error] that err is or wraps. It
// returns CodeInternal if there is none, and an empty Code if err is nil.
func CodeOf(err error) Code {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Code
	}
	return CodeInternal
}

// internal returns the Error for a failure of a part of the Config.
func internal(part string, err error) *Error {
	return &Error{Code: CodeInternal, Err: fmt.Errorf("%s: %w", part, err)}
}
