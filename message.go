package misc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A ConversationType says whether a conversation is a private chat or a group.
// The values are the chat cloud's, which has more types; this package supports
// these two.
type ConversationType int

// The supported conversation types.
const (
	Private ConversationType = 1
	Group   ConversationType = 3
)

// The chat cloud's limits on a message.
const (
	MaxObjectName = 32        // Unicode characters in Message.ObjectName
	MaxContent    = 128 << 10 // bytes in Message.Content
)

// A Message is a message to the chat cloud. Its ids are public ids.
type Message struct {
	Type          ConversationType // Private or Group
	From          string           // the user who sends it
	To            string           // a user, or a group if Type is Group
	ObjectName    string           // the kind of message, such as RC:TxtMsg for text; 1 to MaxObjectName characters
	Content       string           // in the form that ObjectName requires; 1 to MaxContent bytes
	PushContent   string           // what an offline device shows; may be empty
	Mentioned     bool             // in a group, notify the members that Content mentions
	IncludeSender bool             // the sender's own devices receive it too
}

// Errors about a message or a conversation.
var (
	ErrInvalidID         = errors.New("misc: id is not a valid public id")
	ErrInvalidObjectName = errors.New("misc: objectName must be 1 to 32 characters, without control characters and not only white space")
	ErrInvalidContent    = errors.New("misc: content must be a JSON object or a string that is not empty")
	ErrContentTooLong    = errors.New("misc: content must be at most 128 KiB")
	ErrUnsupportedType   = errors.New("misc: conversation type must be private (1) or group (3)")
	ErrNotFriend         = errors.New("misc: target is not a friend of the user")
	ErrNotMember         = errors.New("misc: user is not a member of the group")
)

// An IDError reports an id that [Relations] or a [ScreenCaptureStore] cannot
// translate. It wraps ErrInvalidID.
//
// If its ID is that of the target, the client has sent an invalid id, and the
// error of a [Service] wraps the IDError. If it is the id of the user who asks,
// your server has passed a wrong one, such as the number in the database. Then
// the error of a Service contains the text of the IDError but does not wrap it,
// so it does not match ErrInvalidID.
type IDError struct{ ID string }

// Error returns a text that quotes the id.
func (e *IDError) Error() string { return fmt.Sprintf("misc: %.64q is not a valid public id", e.ID) }

// Unwrap returns ErrInvalidID.
func (e *IDError) Unwrap() error { return ErrInvalidID }

// Relations reports which users are friends, and who is in which group. The
// first argument is always the user who asks. Both methods return false and no
// error for an id that nobody has, an error that wraps an [*IDError] for an id
// that they cannot translate, and an error if the context is cancelled.
type Relations interface {
	// AreFriends reports whether otherID is a friend of userID. The reverse
	// need not be true.
	AreFriends(ctx context.Context, userID, otherID string) (bool, error)

	// IsGroupMember reports whether userID is in the group now.
	IsGroupMember(ctx context.Context, userID, groupID string) (bool, error)
}

// A Messenger sends messages to the chat cloud. Send returns nil if the cloud
// has accepted the message. A call delivers its message at most once. Two calls
// with equal messages deliver two.
//
// The error wraps ErrRateLimited, ErrRefused, ErrUnreachable or ErrTimeout if
// one of them applies, and a [RetryAfterError] if the cloud said how long to
// wait. If m.Type is neither Private nor Group, Send returns ErrUnsupportedType
// and sends nothing. If the context is already cancelled, it returns an error
// and sends nothing.
type Messenger interface {
	Send(ctx context.Context, m Message) error
}

// A RetryAfterError is an error that may know how long to wait before the next
// message. RetryAfter returns 0 if it does not. A [Service] passes it on;
// package httpapi uses it for errors that match ErrRateLimited.
type RetryAfterError interface {
	error
	RetryAfter() time.Duration
}

// Errors of sending. If its Messenger fails, a [Service] returns an error that
// wraps ErrSend and the Messenger's error, and ErrTimeout if the latter wraps
// context.DeadlineExceeded. An error does not always mean that the chat cloud
// has not accepted the message: ErrUnreachable and ErrTimeout leave that open,
// and so does an ErrRefused that reports a failure of the chat cloud itself.
var (
	ErrSend        = errors.New("misc: message not sent")
	ErrRateLimited = errors.New("misc: the chat cloud's rate limit is reached")
	ErrRefused     = errors.New("misc: the chat cloud refused the message")
	ErrUnreachable = errors.New("misc: the chat cloud cannot be reached")
	ErrTimeout     = errors.New("misc: the chat cloud did not answer in time")
)

// OutgoingContent converts the content of a client's request, a JSON string or
// a JSON object, to a Message.Content.
//
// An object is sent byte for byte. A string is sent as the text that it holds,
// except for plain text messages: if objectName is RC:TxtMsg, the chat cloud
// requires a JSON object with a string under content, and a text that is not
// such an object is sent as {"content":text}.
//
// It returns ErrInvalidContent if content is anything else or an empty string,
// and ErrContentTooLong if the result is longer than MaxContent.
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

// Mentions reports whether content is a JSON object with an object under
// mentionedInfo. A group message with such content asks the chat cloud to
// notify the members that it mentions.
func Mentions(content string) bool {
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(content), &fields) != nil {
		return false
	}
	info := fields["mentionedInfo"]
	return len(info) > 0 && info[0] == '{'
}

// SendMessage sends m to m.To, which must be a friend of m.From or a group that
// m.From is in. m.Content is sent as it is; use [OutgoingContent] to make it.
// m.Mentioned is ignored: SendMessage sends [Mentions](m.Content) for a group,
// and false for a private chat.
//
// It returns ErrInvalidObjectName, ErrInvalidContent, ErrContentTooLong,
// ErrInvalidID, ErrUnsupportedType, ErrNotFriend, ErrNotMember, the errors of
// Relations, wrapped, and an error that wraps ErrSend if the Messenger fails.
func (s *Service) SendMessage(ctx context.Context, m Message) error {
	if utf8.RuneCountInString(m.ObjectName) > MaxObjectName || strings.TrimSpace(m.ObjectName) == "" || strings.ContainsFunc(m.ObjectName, unicode.IsControl) {
		return ErrInvalidObjectName
	}
	if err := checkContent(m.Content); err != nil {
		return err
	}
	if _, err := s.conversation(ctx, m.From, m.Type, m.To, s.related); err != nil {
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

// conversation returns the conversation of userID with targetID, which is a
// user or a group according to t, if isRelated says that userID may reach it.
func (s *Service) conversation(ctx context.Context, userID string, t ConversationType, targetID string,
	isRelated func(ctx context.Context, userID string, c Conversation) (bool, error)) (Conversation, error) {
	if userID == "" || targetID == "" {
		return Conversation{}, fmt.Errorf("%w: it is empty", ErrInvalidID)
	}
	var c Conversation
	refusal := ErrNotFriend
	switch t {
	case Private:
		c = PrivateConversation(userID, targetID)
	case Group:
		c, refusal = GroupConversation(targetID), ErrNotMember
	default:
		return Conversation{}, ErrUnsupportedType
	}
	related, err := isRelated(ctx, userID, c)
	switch {
	case err != nil:
		return Conversation{}, asServerFault(userID, fmt.Errorf("misc: relations: %w", err))
	case !related:
		return Conversation{}, refusal
	}
	return c, nil
}

// related asks Relations.
func (s *Service) related(ctx context.Context, userID string, c Conversation) (bool, error) {
	if c.kind == Group {
		return s.cfg.Relations.IsGroupMember(ctx, userID, c.GroupID())
	}
	return s.cfg.Relations.AreFriends(ctx, userID, c.other(userID))
}

// asServerFault returns err. An error about the id of userID is returned
// without its chain, so that it does not match ErrInvalidID: the server has
// passed that id, and the client cannot correct it.
func asServerFault(userID string, err error) error {
	if id := (*IDError)(nil); errors.As(err, &id) && id.ID == userID {
		return fmt.Errorf("misc: the logged-in user: %v", err)
	}
	return err
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
