package misc

import (
	"context"
	"errors"
	"fmt"
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
	content := encodeObject([]string{"operatorUserId", "operation"}, []string{operator, string(op)}, nil)
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
// since clients ask about those as well.
//
// Errors: ErrNotFriend, ErrNotMember, ErrInvalidID, and those of Relations and
// of the store.
func (s *Service) ScreenCapture(ctx context.Context, userID string, t ConversationType, targetID string) (NoticeStatus, error) {
	c, err := conversation(userID, t, targetID)
	if errors.Is(err, ErrUnsupportedType) {
		return NoticeOff, nil
	}
	if err != nil {
		return NoticeOff, err
	}
	status := NoticeOff
	if s.related != nil {
		var related bool
		related, status, err = s.related.RelatedScreenCapture(ctx, userID, c)
		if err == nil && !related {
			return NoticeOff, refusal(t)
		}
	} else {
		if err := s.checkScreenCapture(ctx, userID, t, targetID); err != nil {
			return NoticeOff, err
		}
		status, err = s.cfg.Captures.ScreenCapture(ctx, c)
	}
	if err != nil {
		return NoticeOff, fmt.Errorf("misc: screen capture: %w", err)
	}
	if status != NoticeOff && status != NoticeOn {
		return NoticeOff, fmt.Errorf("misc: screen capture: the store holds status %d", status)
	}
	return status, nil
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
	c, err := conversation(userID, t, targetID)
	if err != nil {
		return err
	}
	if err := s.checkScreenCapture(ctx, userID, t, targetID); err != nil {
		return err
	}
	if err := s.cfg.Captures.SetScreenCapture(ctx, c, status); err != nil {
		return fmt.Errorf("misc: set screen capture: %w", err)
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
	if _, err := conversation(userID, t, targetID); err != nil {
		return err
	}
	if err := s.checkScreenCapture(ctx, userID, t, targetID); err != nil {
		return err
	}
	return s.send(ctx, Notice(userID, t, targetID, NoticeScreenshot))
}

// checkScreenCapture checks the relation, unless the host chose to go without.
func (s *Service) checkScreenCapture(ctx context.Context, userID string, t ConversationType, targetID string) error {
	if s.cfg.InsecureOpenScreenCapture {
		return nil
	}
	return s.checkRelation(ctx, userID, t, targetID)
}

// conversation returns the conversation that userID means by targetID.
func conversation(userID string, t ConversationType, targetID string) (Conversation, error) {
	if userID == "" || targetID == "" {
		return Conversation{}, fmt.Errorf("%w: it is empty", ErrInvalidID)
	}
	switch t {
	case Private:
		return PrivateConversation(userID, targetID), nil
	case Group:
		return GroupConversation(targetID), nil
	}
	return Conversation{}, ErrUnsupportedType
}
