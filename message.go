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
	ErrInvalidObjectName = errors.New("misc: objectName must be 1 to 32 characters, without control characters and not only white space")
	ErrInvalidContent    = errors.New("misc: content must be a JSON object or a string that is not empty")
	ErrContentTooLong    = errors.New("misc: content must be at most 128 KiB")
	ErrUnsupportedType   = errors.New("misc: conversation type must be private (1) or group (3)")
	ErrNotFriend         = errors.New("misc: target is not a friend of the user")
	ErrNotMember         = errors.New("misc: user is not a member of the group")
)

// An IDError reports that the host cannot translate an id. It matches
// ErrInvalidID. By the ID a [Service] tells the two cases apart: an invalid
// target is the client's mistake, and an invalid id of the logged-in user is
// the host's (a wrong key, a number in place of the public id), which is
// reported without ErrInvalidID.
type IDError struct{ ID string }

// Error quotes the id.
func (e *IDError) Error() string { return fmt.Sprintf("misc: %.64q is not a valid public id", e.ID) }

// Unwrap returns ErrInvalidID.
func (e *IDError) Unwrap() error { return ErrInvalidID }

// Relations answers who may reach whom; the user who asks comes first. Both
// methods return an error when the context is cancelled, and an [IDError] for
// an id that the host cannot translate. An id that names nobody is not related
// to anybody, and is not an error.
type Relations interface {
	// AreFriends reports whether userID counts otherID among their friends.
	AreFriends(ctx context.Context, userID, otherID string) (bool, error)

	// IsGroupMember reports whether userID is in the group now.
	IsGroupMember(ctx context.Context, userID, groupID string) (bool, error)
}

// A Messenger hands messages to the chat cloud. Send returns nil once the
// cloud has taken the message, and never delivers a message twice. It wraps
// the sentinel below that fits, if one does, and a [RetryAfterError] when the
// cloud said how long to wait. Send returns an error and sends nothing when
// the context is already cancelled, and for a Type other than Private and
// Group (ErrUnsupportedType).
type Messenger interface {
	Send(ctx context.Context, m Message) error
}

// A RetryAfterError is an ErrRateLimited that knows how long to wait before
// the next message; 0 means that it does not know.
type RetryAfterError interface {
	error
	RetryAfter() time.Duration
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
		return Conversation{}, ofHost(userID, fmt.Errorf("misc: relations: %w", err))
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

// ofHost returns err, without its chain if it is about the id of userID: no
// client can help that.
func ofHost(userID string, err error) error {
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
