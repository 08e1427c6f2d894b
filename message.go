package misc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// ConversationType tells a private chat from a group, with the numbers of the
// chat cloud. It has further types; the operations here know these two.
type ConversationType int

// The conversation types that messages and notices go to.
const (
	Private ConversationType = 1
	Group   ConversationType = 3
)

// Limits of the chat cloud on a message.
const (
	MaxObjectName = 32        // characters in Message.ObjectName
	MaxContent    = 128 << 10 // bytes in Message.Content
)

// A Message is one message on its way to the chat cloud, in public ids.
type Message struct {
	Type          ConversationType // Private or Group
	From          string           // the user who sends it
	To            string           // a user, or a group when Type is Group
	ObjectName    string           // the message type, such as RC:TxtMsg; 1 to MaxObjectName characters
	Content       string           // in the form the message type asks for; 1 to MaxContent bytes
	PushContent   string           // what an offline device shows; may be empty
	Mentioned     bool             // in a group: whoever Content mentions is told so
	IncludeSender bool             // the sender's own devices receive it as well
}

// What callers get wrong about a message or its target.
var (
	ErrInvalidID         = errors.New("misc: id is not a valid public id")
	ErrInvalidObjectName = errors.New("misc: objectName must be 1 to 32 characters")
	ErrInvalidContent    = errors.New("misc: content must be a JSON object or a string that is not empty")
	ErrContentTooLong    = errors.New("misc: content must be at most 128 KiB")
	ErrUnsupportedType   = errors.New("misc: conversation type must be private (1) or group (3)")
	ErrNotFriend         = errors.New("misc: target is not a friend of the user")
	ErrNotMember         = errors.New("misc: user is not a member of the group")
)

// Relations answers who may reach whom. A cancelled context stops either
// method with an error. An id that the host cannot translate is ErrInvalidID;
// one that names nobody is simply not related.
type Relations interface {
	// AreFriends reports whether userID counts otherID among their friends.
	AreFriends(ctx context.Context, userID, otherID string) (bool, error)

	// IsGroupMember reports whether userID is in the group now.
	IsGroupMember(ctx context.Context, groupID, userID string) (bool, error)
}

// A Messenger hands messages to the chat cloud. Send returns nil once the
// cloud has taken the message, and never delivers one twice. It wraps the
// sentinel below that fits, if one does; an error with a method
// RetryAfter() time.Duration says when to try again. A context that is already
// cancelled is an error, and so is a Type other than Private and Group
// (ErrUnsupportedType); neither sends anything.
type Messenger interface {
	Send(ctx context.Context, m Message) error
}

// Why the chat cloud did not take a message. Whatever a Messenger returns,
// the errors of a [Service] wrap ErrSend as well.
var (
	ErrSend        = errors.New("misc: message not sent")
	ErrRateLimited = errors.New("misc: the chat cloud's rate limit is reached")
	ErrRefused     = errors.New("misc: the chat cloud refused the message")
	ErrUnreachable = errors.New("misc: the chat cloud cannot be reached")
	ErrTimeout     = errors.New("misc: the chat cloud did not answer in time")
)

// OutgoingContent returns what goes out as Message.Content for the content
// that a client sent, a JSON string or a JSON object.
//
// An object goes out byte for byte. So does the text of a string, but for
// RC:TxtMsg: there the text goes out as {"content":text}, unless it is itself
// a JSON object with a string "content", which is the chat cloud's own form.
//
// Errors: ErrInvalidContent for any other JSON and for an empty string,
// ErrContentTooLong for a result of over MaxContent bytes.
func OutgoingContent(objectName string, content json.RawMessage) (string, error) {
	content = bytes.Trim(content, " \t\r\n")
	var out string
	switch {
	case len(content) > 0 && content[0] == '{' && json.Valid(content):
		out = string(content)
	case len(content) > 0 && content[0] == '"' && json.Unmarshal(content, &out) == nil:
		if objectName == "RC:TxtMsg" && out != "" && !isTextMessage(out) {
			out = `{"content":` + string(encodeJSON(out)) + `}`
		}
	}
	if err := checkContent(out); err != nil {
		return "", err
	}
	return out, nil
}

func isTextMessage(content string) bool {
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(content), &fields) != nil {
		return false
	}
	text := fields["content"]
	return len(text) > 0 && text[0] == '"'
}

// Mentions reports whether a group message with this content asks the chat
// cloud to tell the mentioned members: it is a JSON object with an object
// under mentionedInfo.
func Mentions(content string) bool {
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(content), &fields) != nil {
		return false
	}
	info := fields["mentionedInfo"]
	return len(info) > 0 && info[0] == '{'
}

// SendMessage sends m, whose Content is final (see [OutgoingContent]), to a
// friend of m.From or to a group that m.From is in. In a group, Mentioned is
// set according to [Mentions].
//
// Errors: ErrInvalidObjectName, ErrInvalidContent, ErrContentTooLong,
// ErrInvalidID, ErrUnsupportedType, ErrNotFriend, ErrNotMember, those of
// Relations, and ErrSend for those of the Messenger.
func (s *Service) SendMessage(ctx context.Context, m Message) error {
	if n := utf8.RuneCountInString(m.ObjectName); n < 1 || n > MaxObjectName {
		return ErrInvalidObjectName
	}
	if err := checkContent(m.Content); err != nil {
		return err
	}
	if _, err := conversation(m.From, m.Type, m.To); err != nil {
		return err
	}
	if err := s.checkRelation(ctx, m.From, m.Type, m.To); err != nil {
		return err
	}
	m.Mentioned = m.Type == Group && Mentions(m.Content)
	return s.send(ctx, m)
}

func checkContent(content string) error {
	switch {
	case content == "":
		return ErrInvalidContent
	case len(content) > MaxContent:
		return ErrContentTooLong
	}
	return nil
}

// checkRelation returns nil if userID may reach targetID, a user or a group
// according to t, which conversation has checked.
func (s *Service) checkRelation(ctx context.Context, userID string, t ConversationType, targetID string) error {
	var related bool
	var err error
	if t == Group {
		related, err = s.cfg.Relations.IsGroupMember(ctx, targetID, userID)
	} else {
		related, err = s.cfg.Relations.AreFriends(ctx, userID, targetID)
	}
	switch {
	case err != nil:
		return fmt.Errorf("misc: relations: %w", err)
	case !related:
		return refusal(t)
	}
	return nil
}

// refusal is what a user hears who is not related to a target of type t.
func refusal(t ConversationType) error {
	if t == Group {
		return ErrNotMember
	}
	return ErrNotFriend
}

// send hands m to the Messenger. A deadline that passes there is ErrTimeout,
// whether the Messenger says so or not.
func (s *Service) send(ctx context.Context, m Message) error {
	err := s.cfg.Messenger.Send(ctx, m)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w: %w", ErrSend, ErrTimeout, err)
	}
	return fmt.Errorf("%w: %w", ErrSend, err)
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
