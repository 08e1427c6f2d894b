package misc

import (
	"context"
	"errors"
	"fmt"
	"net/url"
)

// NoticeStatus says whether the members of a conversation are told about
// screenshots. Its values are those of the wire and of SealTalk's tables.
type NoticeStatus int

// The two states of a conversation; NoticeOff is that of one never set.
const (
	NoticeOff NoticeStatus = 0
	NoticeOn  NoticeStatus = 1
)

// ErrInvalidNoticeStatus reports a status that is neither NoticeOff nor
// NoticeOn.
var ErrInvalidNoticeStatus = errors.New("misc: noticeStatus must be 0 (off) or 1 (on)")

// A Conversation names the two users of a private chat or one group. It is
// comparable, and the same value whichever of the two users asks. Only
// [PrivateConversation] and [GroupConversation] make one.
type Conversation struct {
	kind ConversationType
	a, b string // the users in order, or the group and ""
}

// PrivateConversation returns the conversation of two users, in either order.
func PrivateConversation(a, b string) Conversation {
	return Conversation{Private, min(a, b), max(a, b)}
}

// GroupConversation returns the conversation of a group.
func GroupConversation(id string) Conversation {
	return Conversation{Group, id, ""}
}

// Type returns Private or Group, and 0 for the zero Conversation.
func (c Conversation) Type() ConversationType { return c.kind }

// Users returns the two users of a private conversation, the lower id (as a
// string) first, and two empty strings for any other.
func (c Conversation) Users() (string, string) {
	if c.kind != Private {
		return "", ""
	}
	return c.a, c.b
}

// GroupID returns the group of a group conversation, and "" for any other.
func (c Conversation) GroupID() string {
	if c.kind != Group {
		return ""
	}
	return c.a
}

// other returns whom userID talks to in a private conversation.
func (c Conversation) other(userID string) string {
	a, b := c.Users()
	if a == userID {
		return b
	}
	return a
}

// String returns a key that no two conversations share, whatever characters
// their ids have: private/alice/bob or group/team, with the ids escaped as in
// the path of a URL. The key of the zero Conversation is empty.
func (c Conversation) String() string {
	switch c.kind {
	case Private:
		return "private/" + url.PathEscape(c.a) + "/" + url.PathEscape(c.b)
	case Group:
		return "group/" + url.PathEscape(c.a)
	}
	return ""
}

// NoticeOperation is what a screen-capture notice tells, as clients read it.
type NoticeOperation string

// The operations that SealTalk's clients know.
const (
	NoticeOpened     NoticeOperation = "openScreenNtf"  // the operator switched the notices on
	NoticeClosed     NoticeOperation = "closeScreenNtf" // the operator switched the notices off
	NoticeScreenshot NoticeOperation = "sendScreenNtf"  // the operator took a screenshot
)

// NoticeObjectName is the message type of every screen-capture notice.
const NoticeObjectName = "ST:ConNtf"

// Notice returns the message that tells target of what operator did. It goes
// to the operator's own devices as well.
func Notice(operator string, t ConversationType, target string, op NoticeOperation) Message {
	content := encodeJSON(struct {
		OperatorUserID string          `json:"operatorUserId"`
		Operation      NoticeOperation `json:"operation"`
	}{operator, op})
	return Message{
		Type:          t,
		From:          operator,
		To:            target,
		ObjectName:    NoticeObjectName,
		Content:       string(content),
		IncludeSender: true,
	}
}

// ScreenCapture returns the setting of the conversation of userID with
// targetID, which is a user or a group according to t. Unlike the other
// methods it answers NoticeOff for a type that is neither Private nor Group,
// since clients ask about those as well. It also reads a status that is
// neither NoticeOff nor NoticeOn, which SealTalk's own server may have stored,
// as NoticeOff.
//
// Errors: ErrNotFriend, ErrNotMember, ErrInvalidID, and those of Relations and
// of the store.
func (s *Service) ScreenCapture(ctx context.Context, userID string, t ConversationType, targetID string) (NoticeStatus, error) {
	isRelated, status := s.mayCapture, NoticeOff
	both := s.cfg.Related != nil && !s.cfg.InsecureOpenScreenCapture
	if both {
		isRelated = func(ctx context.Context, userID string, c Conversation) (related bool, err error) {
			related, status, err = s.cfg.Related.RelatedScreenCapture(ctx, userID, c)
			return related, err
		}
	}
	c, err := s.conversation(ctx, userID, t, targetID, isRelated)
	switch {
	case err == ErrUnsupportedType:
		return NoticeOff, nil
	case err != nil:
		return NoticeOff, err
	case !both:
		if status, err = s.cfg.Captures.ScreenCapture(ctx, c); err != nil {
			return NoticeOff, ofHost(userID, fmt.Errorf("misc: screen capture: %w", err))
		}
	}
	if status != NoticeOn {
		return NoticeOff, nil
	}
	return NoticeOn, nil
}

// SetScreenCapture stores the setting of a conversation, and then tells the
// other side and the user's own devices of it. When the notice fails, the
// setting stays; the same call again is safe, and sends the notice again.
//
// Errors: ErrInvalidNoticeStatus, ErrUnsupportedType, ErrNotFriend,
// ErrNotMember, ErrInvalidID, those of Relations and of the store, and ErrSend
// for those of the Messenger.
func (s *Service) SetScreenCapture(ctx context.Context, userID string, t ConversationType, targetID string, status NoticeStatus) error {
	op := NoticeClosed
	switch status {
	case NoticeOff:
	case NoticeOn:
		op = NoticeOpened
	default:
		return ErrInvalidNoticeStatus
	}
	c, err := s.conversation(ctx, userID, t, targetID, s.mayCapture)
	if err != nil {
		return err
	}
	if err := s.cfg.Captures.SetScreenCapture(ctx, c, status); err != nil {
		return ofHost(userID, fmt.Errorf("misc: set screen capture: %w", err))
	}
	return s.send(ctx, Notice(userID, t, targetID, op))
}

// SendScreenCaptureNotice tells the other side, and the user's own devices,
// that userID took a screenshot. It does not ask whether the notices are
// switched on: the clients decide when to send one.
//
// Errors: ErrUnsupportedType, ErrNotFriend, ErrNotMember, ErrInvalidID, those
// of Relations, and ErrSend for those of the Messenger.
func (s *Service) SendScreenCaptureNotice(ctx context.Context, userID string, t ConversationType, targetID string) error {
	if _, err := s.conversation(ctx, userID, t, targetID, s.mayCapture); err != nil {
		return err
	}
	return s.send(ctx, Notice(userID, t, targetID, NoticeScreenshot))
}

// mayCapture asks Relations, unless the host chose to go without.
func (s *Service) mayCapture(ctx context.Context, userID string, c Conversation) (bool, error) {
	if s.cfg.InsecureOpenScreenCapture {
		return true, nil
	}
	return s.related(ctx, userID, c)
}
