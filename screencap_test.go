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
misc: Config.Relations is required
misc: Config.Captures is required
misc: Config.Messenger is required`)
	_, err = misc.New(misc.Config{
		Versions: (*source)(nil), Relations: (*misctest.Relations)(nil), Captures: (*misc.MemoryStore)(nil),
		Messenger: (*misctest.Messenger)(nil), Square: (*source)(nil), Related: (*both)(nil),
	})
	assert.EqualError(t, err, `misc: Config.Versions holds a nil *misc_test.source
misc: Config.Relations holds a nil *misctest.Relations
misc: Config.Captures holds a nil *misc.MemoryStore
misc: Config.Messenger holds a nil *misctest.Messenger
misc: Config.Square holds a nil *misc_test.source
misc: Config.Related holds a nil *misc_test.both`)
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

// screenCaptureCalls are the three operations, each called by a user for a target.
var screenCaptureCalls = map[string]func(s *misc.Service, user string, t misc.ConversationType, target string) error{
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
}

func TestScreenCaptureIsForThoseWhoAreRelated(t *testing.T) {
	for _, test := range []struct {
		name, user, target string
		kind               misc.ConversationType
		err                error
		open               error // with InsecureOpenScreenCapture
	}{
		{name: "a friend", user: alice, target: bob, kind: misc.Private},
		{name: "a member", user: alice, target: team, kind: misc.Group},
		{name: "a stranger", user: mallory, target: bob, kind: misc.Private, err: misc.ErrNotFriend},
		{name: "a stranger to the group", user: mallory, target: team, kind: misc.Group, err: misc.ErrNotMember},
		{name: "a friend as a group", user: alice, target: bob, kind: misc.Group, err: misc.ErrNotMember},
		{name: "no target", user: alice, kind: misc.Private, err: misc.ErrInvalidID, open: misc.ErrInvalidID},
		{name: "no user", target: bob, kind: misc.Private, err: misc.ErrInvalidID, open: misc.ErrInvalidID},
		{name: "another type", user: alice, target: bob, kind: 2, err: misc.ErrUnsupportedType, open: misc.ErrUnsupportedType},
	} {
		for call, do := range screenCaptureCalls {
			for _, open := range []bool{false, true} {
				cloud, store := &misctest.Messenger{}, misc.NewMemoryStore()
				svc := service(t, misc.Config{Messenger: cloud, Captures: store, InsecureOpenScreenCapture: open})
				want := test.err
				if open {
					want = test.open
				}
				if call == "get" && want == misc.ErrUnsupportedType {
					want = nil
				}
				err := do(svc, test.user, test.kind, test.target)
				assert.ErrorIs(t, err, want, "%s, %s, open %t", test.name, call, open)
				if want == nil && call != "get" {
					assert.Len(t, cloud.Delivered(), 1)
				} else {
					assert.Empty(t, cloud.Delivered())
				}
			}
		}
	}
}

func TestSetScreenCaptureRefusesAStatusThatIsNone(t *testing.T) {
	cloud := &misctest.Messenger{}
	svc := service(t, misc.Config{Messenger: cloud})
	for _, status := range []misc.NoticeStatus{-1, 2} {
		assert.ErrorIs(t, svc.SetScreenCapture(t.Context(), alice, misc.Private, bob, status), misc.ErrInvalidNoticeStatus)
	}
	assert.Empty(t, cloud.Delivered())
}

// order records the order in which a setting is stored and its notice is sent.
type order struct {
	misc.ScreenCaptureStore
	misctest.Messenger
	steps []string
}

func (o *order) SetScreenCapture(ctx context.Context, c misc.Conversation, s misc.NoticeStatus) error {
	o.steps = append(o.steps, "store")
	return o.ScreenCaptureStore.SetScreenCapture(ctx, c, s)
}

func (o *order) Send(ctx context.Context, m misc.Message) error {
	o.steps = append(o.steps, "send")
	return o.Messenger.Send(ctx, m)
}

func TestASettingIsStoredBeforeItsNoticeIsSent(t *testing.T) {
	o := &order{ScreenCaptureStore: misc.NewMemoryStore()}
	svc := service(t, misc.Config{Captures: o, Messenger: o})
	require.NoError(t, svc.SetScreenCapture(t.Context(), alice, misc.Private, bob, misc.NoticeOn))
	assert.Equal(t, []string{"store", "send"}, o.steps)

	o.Fail(misc.ErrUnreachable)
	assert.ErrorIs(t, svc.SetScreenCapture(t.Context(), alice, misc.Private, bob, misc.NoticeOff), misc.ErrSend)
	status, err := svc.ScreenCapture(t.Context(), bob, misc.Private, alice)
	require.NoError(t, err)
	assert.Equal(t, misc.NoticeOff, status, "the setting stays though its notice failed")
}

func TestErrorsOfTheMessengerKeepTheirChain(t *testing.T) {
	lost := errors.New("lost")
	for _, test := range []struct {
		from error
		want []error
		not  []error
	}{
		{lost, []error{misc.ErrSend, lost}, []error{misc.ErrTimeout}},
		{fmt.Errorf("x: %w", misc.ErrRateLimited), []error{misc.ErrSend, misc.ErrRateLimited}, []error{misc.ErrTimeout}},
		{context.DeadlineExceeded, []error{misc.ErrSend, misc.ErrTimeout, context.DeadlineExceeded}, nil},
		{context.Canceled, []error{misc.ErrSend, context.Canceled}, []error{misc.ErrTimeout}},
	} {
		cloud := &misctest.Messenger{}
		cloud.Fail(test.from)
		err := service(t, misc.Config{Messenger: cloud}).SendScreenCaptureNotice(t.Context(), alice, misc.Private, bob)
		for _, want := range test.want {
			assert.ErrorIs(t, err, want)
		}
		for _, not := range test.not {
			assert.NotErrorIs(t, err, not)
		}
	}
}

// broken fails in every method.
type broken struct{ err error }

func (b broken) AreFriends(context.Context, string, string) (bool, error)    { return true, b.err }
func (b broken) IsGroupMember(context.Context, string, string) (bool, error) { return true, b.err }
func (b broken) ScreenCapture(context.Context, misc.Conversation) (misc.NoticeStatus, error) {
	return misc.NoticeOn, b.err
}
func (b broken) SetScreenCapture(context.Context, misc.Conversation, misc.NoticeStatus) error {
	return b.err
}

func TestWhatAHostsPartsReportIsWrapped(t *testing.T) {
	lost := broken{errors.New("lost")}
	for call, do := range screenCaptureCalls {
		for _, kind := range []misc.ConversationType{misc.Private, misc.Group} {
			cloud := &misctest.Messenger{}
			assert.ErrorIs(t, do(service(t, misc.Config{Relations: lost, Messenger: cloud}), alice, kind, bob), lost.err, call)
			assert.Empty(t, cloud.Delivered())
		}
		if call != "send" {
			cloud := &misctest.Messenger{}
			assert.ErrorIs(t, do(service(t, misc.Config{Captures: lost, Messenger: cloud}), alice, misc.Private, bob), lost.err, call)
			assert.Empty(t, cloud.Delivered())
		}
	}
}

// both is a RelatedStore that counts the calls of RelatedScreenCapture.
type both struct {
	*misc.MemoryStore
	misc.Relations
	asked  int
	status misc.NoticeStatus
	err    error
}

func (b *both) RelatedScreenCapture(ctx context.Context, userID string, c misc.Conversation) (bool, misc.NoticeStatus, error) {
	b.asked++
	a, other := c.Users()
	if a != userID {
		a, other = other, a
	}
	related, _ := b.AreFriends(ctx, a, other)
	if c.Type() == misc.Group {
		related, _ = b.IsGroupMember(ctx, userID, c.GroupID())
	}
	return related, b.status, b.err
}

func TestARelatedStoreIsAskedOnce(t *testing.T) {
	lost := errors.New("lost")
	for _, test := range []struct {
		name, user, target string
		kind               misc.ConversationType
		status, want       misc.NoticeStatus
		lost, err          error
	}{
		{name: "a friend", user: bob, kind: misc.Private, target: alice, status: misc.NoticeOn, want: misc.NoticeOn},
		{name: "a member", user: alice, kind: misc.Group, target: team},
		{name: "a stranger, whatever is set", user: mallory, kind: misc.Private, target: alice, status: misc.NoticeOn, err: misc.ErrNotFriend},
		{name: "a stranger to the group", user: mallory, kind: misc.Group, target: team, status: misc.NoticeOn, err: misc.ErrNotMember},
		{name: "a failure", user: alice, kind: misc.Private, target: bob, status: misc.NoticeOn, lost: lost, err: lost},
	} {
		b := &both{misc.NewMemoryStore(), relations(), 0, test.status, test.lost}
		got, err := service(t, misc.Config{Relations: b, Captures: b, Related: b}).ScreenCapture(t.Context(), test.user, test.kind, test.target)
		assert.ErrorIs(t, err, test.err, test.name)
		assert.Equal(t, test.want, got, test.name)
		assert.Equal(t, 1, b.asked, test.name)
	}
}

// blocking adds a block list to the relations of a RelatedStore.
type blocking struct{ *both }

func (blocking) AreFriends(context.Context, string, string) (bool, error) { return false, nil }

func TestARelatedStoreIsAskedOnlyWhereTheHostSaysSo(t *testing.T) {
	b := &both{misc.NewMemoryStore(), relations(), 0, misc.NoticeOn, nil}
	_, err := service(t, misc.Config{Relations: blocking{b}, Captures: blocking{b}}).ScreenCapture(t.Context(), alice, misc.Private, bob)
	assert.ErrorIs(t, err, misc.ErrNotFriend, "an override of AreFriends counts")
	got, err := service(t, misc.Config{Relations: b, Captures: b, Related: b, InsecureOpenScreenCapture: true}).ScreenCapture(t.Context(), mallory, misc.Private, bob)
	require.NoError(t, err)
	assert.Equal(t, misc.NoticeOff, got, "relations do not count")
	assert.Zero(t, b.asked)
}

func TestAStatusThatAnotherServerStoredIsReadAsOff(t *testing.T) {
	for _, status := range []misc.NoticeStatus{-1, 2, 100} {
		b := &both{misc.NewMemoryStore(), relations(), 0, status, nil}
		for _, cfg := range []misc.Config{{Related: b}, {Captures: stored(status)}} {
			got, err := service(t, cfg).ScreenCapture(t.Context(), alice, misc.Private, bob)
			require.NoError(t, err)
			assert.Equal(t, misc.NoticeOff, got)
		}
	}
}

// stored is a store that holds one status for every conversation.
type stored misc.NoticeStatus

func (s stored) ScreenCapture(context.Context, misc.Conversation) (misc.NoticeStatus, error) {
	return misc.NoticeStatus(s), nil
}
func (stored) SetScreenCapture(context.Context, misc.Conversation, misc.NoticeStatus) error {
	return nil
}

// badID cannot translate one id.
type badID struct {
	misc.Relations
	misc.ScreenCaptureStore
	id string
}

func (b badID) AreFriends(_ context.Context, userID, otherID string) (bool, error) {
	return true, b.check(userID, otherID)
}

func (b badID) IsGroupMember(_ context.Context, userID, groupID string) (bool, error) {
	return true, b.check(userID, groupID)
}

func (b badID) ScreenCapture(_ context.Context, c misc.Conversation) (misc.NoticeStatus, error) {
	one, other := c.Users()
	return misc.NoticeOff, b.check(one, other, c.GroupID())
}

func (b badID) SetScreenCapture(ctx context.Context, c misc.Conversation, _ misc.NoticeStatus) error {
	_, err := b.ScreenCapture(ctx, c)
	return err
}

func (b badID) check(ids ...string) error {
	for _, id := range ids {
		if id == b.id {
			return fmt.Errorf("x: %w", &misc.IDError{ID: id})
		}
	}
	return nil
}

func TestAnInvalidTargetIsTheClientsMistakeAndAnInvalidUserTheHosts(t *testing.T) {
	for _, open := range []bool{false, true} {
		for call, do := range screenCaptureCalls {
			if open && call == "send" {
				continue // no part is asked
			}
			for _, kind := range []misc.ConversationType{misc.Private, misc.Group} {
				for _, test := range []struct {
					bad    string
					client bool
				}{{bob, true}, {alice, false}} {
					if open && kind == misc.Group && test.bad == alice {
						continue // the user's id is passed to no part
					}
					parts := badID{id: test.bad}
					svc := service(t, misc.Config{Relations: parts, Captures: parts, InsecureOpenScreenCapture: open})
					err := do(svc, alice, kind, bob)
					assert.ErrorContains(t, err, "is not a valid public id", call)
					assert.Equal(t, test.client, errors.Is(err, misc.ErrInvalidID), "%s, %v, open %t: %v", call, kind, open, err)
				}
			}
		}
	}
}
