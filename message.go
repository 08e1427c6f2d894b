package misc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
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
	// ErrInvalidID is wrapped by [IDError].
	ErrInvalidID = errors.New("misc: id is not a valid public id")

	// ErrInvalidContent and ErrContentTooLong are returned by [OutgoingContent].
	ErrInvalidContent = errors.New("misc: content must be a JSON object or a string that is not empty")
	ErrContentTooLong = errors.New("misc: content must be at most 128 KiB")

	// ErrUnsupportedType is what [Messenger.Send] returns for a message to
	// another kind of conversation.
	ErrUnsupportedType = errors.New("misc: conversation type must be private (1) or group (3)")
)

// An IDError reports an id that [Relations], a [ScreenCaptureStore] or a [Store]
// cannot translate. It wraps ErrInvalidID, which alone does not say whose fault
// it is: without an IDError, the code is CodeInternal.
//
// If its ID is that of the target, the client has sent an invalid id, and the
// code of the [Error] is CodeInvalid. If it is the id of the user who asks, your
// server has passed a wrong one, such as the number in the database, and the
// code is CodeInternal.
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
// one of them applies. If the cloud said how long to wait before the next
// message, it wraps an error with the method
//
//	RetryAfter() time.Duration
//
// which package httpapi passes on to the client of a message that was
// rate-limited. If m.Type is neither Private nor Group, Send returns
// ErrUnsupportedType and sends nothing. If the context is already cancelled, it
// returns an error and sends nothing.
type Messenger interface {
	Send(ctx context.Context, m Message) error
}

// Errors of a [Messenger]. An error does not always mean that the chat cloud has
// not accepted the message: ErrUnreachable and ErrTimeout leave that open, and
// so does an ErrRefused that reports a failure of the chat cloud itself.
var (
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
		if objectName == "RC:TxtMsg" && out != "" && !hasField(out, "content", '"') {
			out = `{"content":` + string(encodeJSON(out)) + `}`
		}
	}
	if err := checkContent(out); err != nil {
		return "", err
	}
	return out, nil
}

// Mentions reports whether content is a JSON object with an object under
// mentionedInfo. A group message with such content asks the chat cloud to
// notify the members that it mentions.
func Mentions(content string) bool { return hasField(content, "mentionedInfo", '{') }

// hasField reports whether content is a JSON object whose value under key begins
// with first.
func hasField(content, key string, first byte) bool {
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(content), &fields) != nil {
		return false
	}
	value := fields[key]
	return len(value) > 0 && value[0] == first
}

// SendMessage sends m to m.To, which must be a friend of m.From or a group that
// m.From is in. m.Content is sent as it is; use [OutgoingContent] to make it.
// m.Mentioned is ignored: SendMessage sends [Mentions](m.Content) for a group,
// and false for a private chat.
//
// The code of its error is CodeInvalid for objectName, content or targetId,
// CodeUnsupportedType, CodeNotFriend, CodeNotMember, one of the four about the
// chat cloud, or CodeInternal.
func (s *Service) SendMessage(ctx context.Context, m Message) error {
	if utf8.RuneCountInString(m.ObjectName) > MaxObjectName || strings.TrimSpace(m.ObjectName) == "" || strings.ContainsFunc(m.ObjectName, unicode.IsControl) {
		return &Error{CodeInvalid, "objectName", errObjectName}
	}
	if err := checkContent(m.Content); err != nil {
		return &Error{CodeInvalid, "content", err}
	}
	if _, _, err := s.access(ctx, m.From, m.Type, m.To, false); err != nil {
		return err
	}
	m.Mentioned = m.Type == Group && Mentions(m.Content)
	return s.send(ctx, m)
}

var errObjectName = errors.New("misc: objectName must be 1 to 32 characters, without control characters and not only white space")

func checkContent(content string) error {
	switch {
	case content == "":
		return ErrInvalidContent
	case len(content) > MaxContent:
		return ErrContentTooLong
	}
	return nil
}

// access returns the conversation of userID with targetID, which is a user or a
// group according to t, if userID may act in it or open is true. If there is a
// Store, it also returns the setting.
func (s *Service) access(ctx context.Context, userID string, t ConversationType, targetID string, open bool) (c Conversation, setting NoticeStatus, err error) {
	refusal := CodeNotFriend
	switch {
	case !isID(userID):
		return c, NoticeOff, internal("the logged-in user", errors.New("the id must have 1 to 256 bytes"))
	case !isID(targetID):
		return c, NoticeOff, &Error{CodeInvalid, "targetId", errIDLength}
	case t == Private:
		c = PrivateConversation(userID, targetID)
	case t == Group:
		c, refusal = GroupConversation(targetID), CodeNotMember
	default:
		return c, NoticeOff, &Error{Code: CodeUnsupportedType, Err: ErrUnsupportedType}
	}
	part, allowed := "Relations", open
	switch {
	case s.cfg.Store != nil:
		part = "Store"
		allowed, setting, err = s.cfg.Store.Access(ctx, userID, c)
	case open:
	case t == Group:
		allowed, err = s.cfg.Relations.IsGroupMember(ctx, userID, targetID)
	default:
		allowed, err = s.cfg.Relations.AreFriends(ctx, userID, targetID)
	}
	switch {
	case err != nil:
		return c, NoticeOff, partError(part, err, userID, targetID)
	case !allowed && !open:
		return c, NoticeOff, &Error{Code: refusal}
	}
	return c, setting, nil
}

func isID(id string) bool { return 1 <= len(id) && len(id) <= MaxID }

var errIDLength = errors.New("misc: targetId must have 1 to 256 bytes")

// partError returns the Error for a failure of Relations or a store. It is the
// client's fault only if it is about the id of the target: the server has
// passed the other one.
func partError(part string, err error, userID, targetID string) *Error {
	if id := (*IDError)(nil); errors.As(err, &id) && id.ID == targetID && targetID != userID {
		return &Error{CodeInvalid, "targetId", err}
	}
	return internal(part, err)
}

// send hands m to the Messenger, and says what its error means. A deadline that
// passes there is a timeout, whether the Messenger says so or not.
func (s *Service) send(ctx context.Context, m Message) error {
	err := s.cfg.Messenger.Send(ctx, m)
	if err == nil {
		return nil
	}
	code := CodeRefused
	switch {
	case errors.Is(err, ErrRateLimited):
		code = CodeRateLimited
	case errors.Is(err, ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		code = CodeTimeout
	case errors.Is(err, ErrUnreachable):
		code = CodeUnreachable
	}
	return &Error{Code: code, Err: fmt.Errorf("Messenger: %w", err)}
}
