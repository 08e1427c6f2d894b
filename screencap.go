package misc

import (
	"context"
	"errors"
	"net/url"
)

// A NoticeStatus is the setting of a conversation: whether its members are told
// about screenshots. The values are those of requests, answers and SealTalk's
// database.
type NoticeStatus int

// The two settings of a conversation. One that was never set is NoticeOff.
const (
	NoticeOff NoticeStatus = 0
	NoticeOn  NoticeStatus = 1
)

// ErrInvalidNoticeStatus is returned for a status other than NoticeOff and
// NoticeOn.
var ErrInvalidNoticeStatus = errors.New("misc: noticeStatus must be 0 (off) or 1 (on)")

// A Conversation is a private chat of two users, or a group. Conversations can
// be compared with ==; a private chat is the same in whichever order its users
// are given. Make one with [PrivateConversation] or [GroupConversation].
type Conversation struct {
	kind ConversationType
	a, b string // the users in order, or the group and ""
}

// PrivateConversation returns the conversation of two users, given in either
// order.
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
// string) first. For any other it returns two empty strings.
func (c Conversation) Users() (string, string) {
	if c.kind != Private {
		return "", ""
	}
	return c.a, c.b
}

// GroupID returns the group of a group conversation, and an empty string for
// any other.
func (c Conversation) GroupID() string {
	if c.kind != Group {
		return ""
	}
	return c.a
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

// A NoticeOperation is what a screen-capture notice reports, as clients read
// it.
type NoticeOperation string

// The operations that SealTalk's clients know. The operator is the user who acted.
const (
	NoticeOpened     NoticeOperation = "openScreenNtf"  // the operator switched the notices on
	NoticeClosed     NoticeOperation = "closeScreenNtf" // the operator switched the notices off
	NoticeScreenshot NoticeOperation = "sendScreenNtf"  // the operator took a screenshot
)

// NoticeObjectName is the Message.ObjectName of every screen-capture notice.
const NoticeObjectName = "ST:ConNtf"

// Notice returns the message that tells target, a user or a group, what
// operator did. The operator's own devices receive it too.
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

// ScreenCapture returns the setting of the conversation between userID and
// targetID, which is a user or a group according to t. If t is neither Private
// nor Group, it returns NoticeOff and no error, unlike the other methods, since
// clients also ask about other types; targetID must not be empty even then. If
// the store returns a status other than NoticeOff and NoticeOn, which
// SealTalk's own server may have saved, it returns NoticeOff.
//
// The code of its error is CodeInvalid for targetId, CodeNotFriend,
// CodeNotMember or CodeInternal.
func (s *Service) ScreenCapture(ctx context.Context, userID string, t ConversationType, targetID string) (NoticeStatus, error) {
	c, status, err := s.access(ctx, userID, t, targetID, s.cfg.InsecureOpenScreenCapture)
	switch {
	case CodeOf(err) == CodeUnsupportedType:
		return NoticeOff, nil
	case err != nil:
		return NoticeOff, err
	case s.cfg.Store == nil:
		if status, err = s.cfg.Captures.ScreenCapture(ctx, c); err != nil {
			return NoticeOff, partError("Captures", err, userID, targetID)
		}
	}
	if status != NoticeOn {
		return NoticeOff, nil
	}
	return NoticeOn, nil
}

// SetScreenCapture saves the setting of a conversation. It then sends a notice
// of it to the other user or the group, and to the user's own devices. If the
// notice fails, the setting stays saved. The call may be repeated; it sends the
// notice each time, even if the setting is the same.
//
// The code of its error is CodeInvalid for noticeStatus or targetId,
// CodeUnsupportedType, CodeNotFriend, CodeNotMember, one of the four about the
// chat cloud, or CodeInternal.
func (s *Service) SetScreenCapture(ctx context.Context, userID string, t ConversationType, targetID string, status NoticeStatus) error {
	op := NoticeClosed
	switch status {
	case NoticeOff:
	case NoticeOn:
		op = NoticeOpened
	default:
		return &Error{CodeInvalid, "noticeStatus", ErrInvalidNoticeStatus}
	}
	c, _, err := s.access(ctx, userID, t, targetID, s.cfg.InsecureOpenScreenCapture)
	if err != nil {
		return err
	}
	part := "Captures"
	if s.cfg.Store != nil {
		part, err = "Store", s.cfg.Store.SetScreenCapture(ctx, c, status)
	} else {
		err = s.cfg.Captures.SetScreenCapture(ctx, c, status)
	}
	if err != nil {
		return partError(part, err, userID, targetID)
	}
	return s.send(ctx, Notice(userID, t, targetID, op))
}

// SendScreenCaptureNotice tells the other user or the group, and the user's own
// devices, that userID took a screenshot. It does not check whether the notices
// of the conversation are on: the clients decide when to send one.
//
// The code of its error is CodeInvalid for targetId, CodeUnsupportedType,
// CodeNotFriend, CodeNotMember, one of the four about the chat cloud, or
// CodeInternal.
func (s *Service) SendScreenCaptureNotice(ctx context.Context, userID string, t ConversationType, targetID string) error {
	if _, _, err := s.access(ctx, userID, t, targetID, s.cfg.InsecureOpenScreenCapture); err != nil {
		return err
	}
	return s.send(ctx, Notice(userID, t, targetID, NoticeScreenshot))
}
