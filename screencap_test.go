package misc_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/misctest"
)

func TestNewNamesEverythingMissing(t *testing.T) {
	_, err := misc.New(misc.Config{})
	assert.EqualError(t, err, `misc: Config.Versions is required
misc: Config.Relations is required, unless Config.Store is set
misc: Config.Captures is required, unless Config.Store is set
misc: Config.Messenger is required`)
	_, err = misc.New(misc.Config{
		Versions: (*source)(nil), Relations: (*misctest.Relations)(nil), Captures: (*misc.MemoryStore)(nil),
		Messenger: (*misctest.Messenger)(nil), Square: (*source)(nil), Store: (*parts)(nil),
	})
	assert.EqualError(t, err, `misc: Config.Store takes the place of Config.Relations and Config.Captures: leave those nil
misc: Config.Versions holds a nil *misc_test.source
misc: Config.Relations holds a nil *misctest.Relations
misc: Config.Captures holds a nil *misc.MemoryStore
misc: Config.Messenger holds a nil *misctest.Messenger
misc: Config.Store holds a nil *misc_test.parts
misc: Config.Square holds a nil *misc_test.source`)
	for _, cfg := range []misc.Config{{Relations: relations()}, {Captures: misc.NewMemoryStore()}} {
		cfg.Versions, cfg.Messenger, cfg.Store = &source{}, &misctest.Messenger{}, &parts{}
		_, err := misc.New(cfg)
		assert.EqualError(t, err, "misc: Config.Store takes the place of Config.Relations and Config.Captures: leave those nil")
	}
}

func TestAConversationIsTheSameWhoeverAsks(t *testing.T) {
	private, group := misc.PrivateConversation("b", "a"), misc.GroupConversation("a")
	assert.Equal(t, misc.PrivateConversation("a", "b"), private)
	assert.NotEqual(t, misc.PrivateConversation("a", ""), group)
	assert.NotEqual(t, misc.PrivateConversation("", "a"), group)
	assert.Equal(t, misc.Private, private.Type())
	assert.Equal(t, misc.Group, group.Type())
	a, b := private.Users()
	assert.Equal(t, [2]string{"a", "b"}, [2]string{a, b})
	assert.Empty(t, private.GroupID())
	a, b = group.Users()
	assert.Equal(t, [2]string{}, [2]string{a, b})
	assert.Equal(t, "a", group.GroupID())
	assert.Zero(t, misc.Conversation{}.Type())
}

func TestNoTwoConversationsShareAKey(t *testing.T) {
	assert.Equal(t, "private/alice/bob", misc.PrivateConversation(bob, alice).String())
	assert.Equal(t, "group/team", misc.GroupConversation(team).String())
	ids := []string{"", "a", "b", "A", "/", "a/b", "b/a", "%", "%2F", "a%2Fb", "\x00", "\xff", "\xfe", "\ufffd", "private", "group", " ", "+", "你"}
	seen := map[string]misc.Conversation{misc.Conversation{}.String(): {}}
	for _, a := range ids {
		for _, b := range ids {
			for _, c := range []misc.Conversation{misc.PrivateConversation(a, b), misc.GroupConversation(a), misc.GroupConversation(a + "/" + b)} {
				if other, ok := seen[c.String()]; ok {
					require.Equal(t, other, c, "both have the key %q", c)
				}
				seen[c.String()] = c
			}
		}
	}
}

func TestANoticeSaysWhoDidWhat(t *testing.T) {
	assert.Equal(t, misc.Message{
		Type: misc.Group, From: alice, To: team, ObjectName: "ST:ConNtf",
		Content: `{"operatorUserId":"alice","operation":"openScreenNtf"}`, IncludeSender: true,
	}, misc.Notice(alice, misc.Group, team, misc.NoticeOpened))
	assert.Equal(t, `{"operatorUserId":"<\"&>","operation":"closeScreenNtf"}`, misc.Notice(`<"&>`, misc.Private, bob, misc.NoticeClosed).Content)
	assert.Equal(t, `{"operatorUserId":"alice","operation":"sendScreenNtf"}`, misc.Notice(alice, misc.Private, bob, misc.NoticeScreenshot).Content)
}

// parts are Relations and both kinds of stores, in which every call fails with err, if
// it is not nil, or finds status. They count the calls.
type parts struct {
	misc.Relations
	status misc.NoticeStatus
	err    error
	calls  []string
}

func (p *parts) AreFriends(ctx context.Context, userID, otherID string) (bool, error) {
	p.calls = append(p.calls, "friends")
	related, _ := p.Relations.AreFriends(ctx, userID, otherID)
	return related, p.err
}

func (p *parts) IsGroupMember(ctx context.Context, userID, groupID string) (bool, error) {
	p.calls = append(p.calls, "member")
	related, _ := p.Relations.IsGroupMember(ctx, userID, groupID)
	return related, p.err
}

func (p *parts) ScreenCapture(context.Context, misc.Conversation) (misc.NoticeStatus, error) {
	p.calls = append(p.calls, "get")
	return p.status, p.err
}

func (p *parts) SetScreenCapture(_ context.Context, c misc.Conversation, s misc.NoticeStatus) error {
	p.calls = append(p.calls, "set")
	return p.err
}

func (p *parts) Send(context.Context, misc.Message) error {
	p.calls = append(p.calls, "send")
	return p.err
}

func (p *parts) Access(ctx context.Context, userID string, c misc.Conversation) (bool, misc.NoticeStatus, error) {
	p.calls = append(p.calls, "access")
	a, b := c.Users()
	if a != userID {
		a, b = b, a
	}
	allowed, _ := p.Relations.AreFriends(ctx, a, b)
	if c.Type() == misc.Group {
		allowed, _ = p.Relations.IsGroupMember(ctx, userID, c.GroupID())
	}
	return allowed, p.status, p.err
}

// operations are those on a conversation, each called by a user for a target.
var operations = map[string]func(s *misc.Service, user string, t misc.ConversationType, target string) error{
	"get": func(s *misc.Service, user string, t misc.ConversationType, target string) error {
		_, err := s.ScreenCapture(context.Background(), user, t, target)
		return err
	},
	"set": func(s *misc.Service, user string, t misc.ConversationType, target string) error {
		return s.SetScreenCapture(context.Background(), user, t, target, misc.NoticeOn)
	},
	"send": func(s *misc.Service, user string, t misc.ConversationType, target string) error {
		return s.SendScreenCaptureNotice(context.Background(), user, t, target)
	},
	"message": func(s *misc.Service, user string, t misc.ConversationType, target string) error {
		return s.SendMessage(context.Background(), misc.Message{Type: t, From: user, To: target, ObjectName: "x", Content: "y"})
	},
}

func TestWhoMayActInAConversation(t *testing.T) {
	for _, test := range []struct {
		name, user, target string
		kind               misc.ConversationType
		want               misc.Code
		open               misc.Code // with InsecureOpenScreenCapture
	}{
		{name: "a friend", user: alice, target: bob, kind: misc.Private},
		{name: "a friend, the other way round", user: bob, target: alice, kind: misc.Private},
		{name: "a member", user: alice, target: team, kind: misc.Group},
		{name: "a stranger", user: mallory, target: bob, kind: misc.Private, want: misc.CodeNotFriend},
		{name: "a stranger to the group", user: mallory, target: team, kind: misc.Group, want: misc.CodeNotMember},
		{name: "a friend as a group", user: alice, target: bob, kind: misc.Group, want: misc.CodeNotMember},
		{name: "no target", user: alice, kind: misc.Private, want: misc.CodeInvalid, open: misc.CodeInvalid},
		{name: "no user", target: bob, kind: misc.Private, want: misc.CodeInternal, open: misc.CodeInternal},
		{name: "another type", user: alice, target: bob, kind: 2, want: misc.CodeUnsupportedType, open: misc.CodeUnsupportedType},
	} {
		for operation, do := range operations {
			for _, open := range []bool{false, true} {
				for _, store := range []bool{false, true} {
					p := &parts{Relations: relations()}
					cfg := misc.Config{Messenger: p, InsecureOpenScreenCapture: open}
					reached := map[string][]string{"get": {"get"}, "set": {"set", "send"}, "send": {"send"}, "message": {"send"}}[operation]
					if store {
						cfg.Store = p
						if operation == "get" {
							reached = nil // Access has the setting
						}
						reached = append([]string{"access"}, reached...)
					} else {
						cfg.Relations, cfg.Captures = p, p
						if !open || operation == "message" {
							reached = append([]string{map[misc.ConversationType]string{misc.Private: "friends", misc.Group: "member"}[test.kind]}, reached...)
						}
					}
					want := test.want
					if open && operation != "message" {
						want = test.open
					}
					if operation == "get" && want == misc.CodeUnsupportedType {
						want, reached = "", nil
					}
					switch want {
					case misc.CodeNotFriend, misc.CodeNotMember:
						reached = reached[:1]
					case misc.CodeInvalid, misc.CodeInternal, misc.CodeUnsupportedType:
						reached = nil
					}
					err := do(service(t, cfg), test.user, test.kind, test.target)
					assert.Equal(t, want, misc.CodeOf(err), "%s, %s, open %t, store %t", test.name, operation, open, store)
					assert.Equal(t, reached, p.calls, "%s, %s, open %t, store %t", test.name, operation, open, store)
				}
			}
		}
	}
}

func TestASettingIsRead(t *testing.T) {
	for status, want := range map[misc.NoticeStatus]misc.NoticeStatus{misc.NoticeOff: misc.NoticeOff, misc.NoticeOn: misc.NoticeOn, -1: misc.NoticeOff, 2: misc.NoticeOff, 257: misc.NoticeOff} {
		p := &parts{Relations: relations(), status: status}
		for _, cfg := range []misc.Config{{Relations: p, Captures: p}, {Store: p}, {Store: p, InsecureOpenScreenCapture: true}} {
			user := bob
			if cfg.InsecureOpenScreenCapture {
				user = mallory
			}
			got, err := service(t, cfg).ScreenCapture(t.Context(), user, misc.Private, alice)
			require.NoError(t, err)
			assert.Equal(t, want, got)
		}
	}
}

func TestSetScreenCaptureRefusesAStatusThatIsNone(t *testing.T) {
	p := &parts{Relations: relations()}
	for _, status := range []misc.NoticeStatus{-1, 2} {
		err := service(t, misc.Config{Store: p, Messenger: p}).SetScreenCapture(t.Context(), alice, misc.Private, bob, status)
		assert.Equal(t, &misc.Error{Code: misc.CodeInvalid, Field: "noticeStatus", Err: misc.ErrInvalidNoticeStatus}, err)
	}
	assert.Empty(t, p.calls)
}

func TestTheNoticeSaysWhatWasSetAndASettingStaysThoughItFails(t *testing.T) {
	cloud := &misctest.Messenger{}
	svc := service(t, misc.Config{Messenger: cloud})
	require.NoError(t, svc.SetScreenCapture(t.Context(), alice, misc.Private, bob, misc.NoticeOff))
	require.NoError(t, svc.SetScreenCapture(t.Context(), alice, misc.Group, team, misc.NoticeOn))
	require.NoError(t, svc.SendScreenCaptureNotice(t.Context(), bob, misc.Group, team))
	assert.Equal(t, []misc.Message{misc.Notice(alice, misc.Private, bob, misc.NoticeClosed), misc.Notice(alice, misc.Group, team, misc.NoticeOpened),
		misc.Notice(bob, misc.Group, team, misc.NoticeScreenshot)}, cloud.Delivered())

	cloud.Fail(misc.ErrUnreachable)
	assert.Equal(t, misc.CodeUnreachable, misc.CodeOf(svc.SetScreenCapture(t.Context(), alice, misc.Private, bob, misc.NoticeOn)))
	status, err := svc.ScreenCapture(t.Context(), bob, misc.Private, alice)
	require.NoError(t, err)
	assert.Equal(t, misc.NoticeOn, status)
}

// Which code the error of a part gets. The tests of httpapi cross every part with
// every error.
func TestTheCodeSaysWhichPartFailed(t *testing.T) {
	foreign := &misc.Error{Code: misc.CodeNotFriend}
	for _, test := range []struct {
		part string
		err  error
		want misc.Code
		text string
	}{
		{"Messenger", errors.New("lost"), misc.CodeRefused, "misc: refused: Messenger: lost"},
		{"Messenger", context.Canceled, misc.CodeRefused, "misc: refused: Messenger: context canceled"},
		{"Messenger", foreign, misc.CodeRefused, "misc: refused: Messenger: misc: not-friend"},
		{"Messenger", fmt.Errorf("%w, %w", misc.ErrTimeout, misc.ErrRateLimited), misc.CodeRateLimited, ""},
		{"Messenger", fmt.Errorf("%w, %w", misc.ErrUnreachable, context.DeadlineExceeded), misc.CodeTimeout, ""},
		{"Messenger", misc.ErrTimeout, misc.CodeTimeout, ""},
		{"Messenger", misc.ErrUnreachable, misc.CodeUnreachable, ""},
		{"Relations", misc.ErrTimeout, misc.CodeInternal, "misc: internal: Relations: misc: the chat cloud did not answer in time"},
		{"Relations", foreign, misc.CodeInternal, "misc: internal: Relations: misc: not-friend"},
		{"Captures", misc.ErrInvalidID, misc.CodeInternal, "misc: internal: Captures: misc: id is not a valid public id"},
		{"Store", context.DeadlineExceeded, misc.CodeInternal, "misc: internal: Store: context deadline exceeded"},
		{"Relations", fmt.Errorf("x: %w", &misc.IDError{ID: bob}), misc.CodeInvalid, `misc: invalid: targetId: x: misc: "bob" is not a valid public id`},
		{"Captures", &misc.IDError{ID: bob}, misc.CodeInvalid, ""},
		{"Store", &misc.IDError{ID: bob}, misc.CodeInvalid, ""},
		{"Relations", &misc.IDError{ID: alice}, misc.CodeInternal, `misc: internal: Relations: misc: "alice" is not a valid public id`},
		{"Captures", &misc.IDError{ID: alice}, misc.CodeInternal, ""},
		{"Store", &misc.IDError{ID: "another"}, misc.CodeInternal, ""},
	} {
		p := &parts{Relations: relations(), err: test.err}
		cfg := map[string]misc.Config{"Messenger": {Messenger: p}, "Relations": {Relations: p}, "Captures": {Captures: p}, "Store": {Store: p}}[test.part]
		for operation, do := range operations {
			if test.part == "Messenger" && operation == "get" || test.part == "Captures" && operation != "get" && operation != "set" {
				continue
			}
			err := do(service(t, cfg), alice, misc.Private, bob)
			assert.Equal(t, test.want, misc.CodeOf(err), "%s, %s", operation, test.err)
			assert.ErrorIs(t, err, test.err)
			if test.text != "" {
				assert.EqualError(t, err, test.text)
			}
		}
	}
	// Nobody is to blame for an id that is the user's own.
	p := &parts{Relations: relations(), err: &misc.IDError{ID: alice}}
	assert.Equal(t, misc.CodeInternal, misc.CodeOf(operations["get"](service(t, misc.Config{Relations: p}), alice, misc.Private, alice)))
}

func TestCodeOfIsThatOfTheOutermostError(t *testing.T) {
	inner := &misc.Error{Code: misc.CodeNotFriend}
	assert.Equal(t, misc.Code(""), misc.CodeOf(nil))
	assert.Equal(t, misc.CodeInternal, misc.CodeOf(errors.New("x")))
	assert.Equal(t, misc.CodeNotFriend, misc.CodeOf(fmt.Errorf("x: %w", inner)))
	assert.Equal(t, misc.CodeRefused, misc.CodeOf(&misc.Error{Code: misc.CodeRefused, Err: inner}))
}
