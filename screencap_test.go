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

func TestMemoryStore(t *testing.T) {
	misctest.TestScreenCaptureStore(t, func(*testing.T) misc.ScreenCaptureStore { return misc.NewMemoryStore() })
}

func TestStaticVersions(t *testing.T) {
	misctest.TestVersionSource(t, func(t *testing.T) misc.VersionSource {
		release, err := misc.ParseRelease([]byte(documentedRelease))
		require.NoError(t, err)
		clients, err := misc.ParseClientVersions([]byte(documentedClients))
		require.NoError(t, err)
		s, err := misc.NewStaticVersions(release, clients)
		require.NoError(t, err)
		return s
	})
}

func TestAMemoryStoreRefusesAStatusThatIsNone(t *testing.T) {
	store, c := misc.NewMemoryStore(), misc.GroupConversation(team)
	require.NoError(t, store.SetScreenCapture(t.Context(), c, misc.NoticeOn))
	for _, status := range []misc.NoticeStatus{-1, 2} {
		assert.ErrorIs(t, store.SetScreenCapture(t.Context(), c, status), misc.ErrInvalidNoticeStatus)
	}
	got, err := store.ScreenCapture(t.Context(), c)
	require.NoError(t, err)
	assert.Equal(t, misc.NoticeOn, got, "a refused set changes nothing")
}

func TestNewNamesEverythingMissing(t *testing.T) {
	_, err := misc.New(misc.Config{})
	assert.EqualError(t, err, `misc: Config.Versions is required
misc: Config.Relations is required
misc: Config.Captures is required
misc: Config.Messenger is required`)
	_, err = misc.New(misc.Config{Versions: &source{}, Captures: misc.NewMemoryStore(), Messenger: &misctest.Messenger{}})
	assert.EqualError(t, err, "misc: Config.Relations is required")
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

func TestANoticeSaysWhoDidWhat(t *testing.T) {
	assert.Equal(t, misc.Message{
		Type: misc.Group, From: alice, To: team, ObjectName: "ST:ConNtf",
		Content: `{"operatorUserId":"alice","operation":"openScreenNtf"}`, IncludeSender: true,
	}, misc.Notice(alice, misc.Group, team, misc.NoticeOpened))
	assert.Equal(t, `{"operatorUserId":"<\"&>","operation":"closeScreenNtf"}`, misc.Notice(`<"&>`, misc.Private, bob, misc.NoticeClosed).Content)
	assert.Equal(t, `{"operatorUserId":"alice","operation":"sendScreenNtf"}`, misc.Notice(alice, misc.Private, bob, misc.NoticeScreenshot).Content)
}

// screenCaptureCalls are the three operations, each as one user on one target.
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

// order notes in which order a setting is stored and its notice sent.
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

// both is a RelatedStore that counts how often it is asked both questions.
type both struct {
	*misc.MemoryStore
	*misctest.Relations
	asked  *int
	status misc.NoticeStatus
	err    error
}

func (b both) RelatedScreenCapture(ctx context.Context, userID string, c misc.Conversation) (bool, misc.NoticeStatus, error) {
	*b.asked++
	a, other := c.Users()
	if a != userID {
		a, other = other, a
	}
	related, _ := b.AreFriends(ctx, a, other)
	if c.Type() == misc.Group {
		related, _ = b.IsGroupMember(ctx, c.GroupID(), userID)
	}
	return related, b.status, b.err
}

func TestARelatedStoreIsAskedOnce(t *testing.T) {
	lost := errors.New("lost")
	world := misctest.NewRelations(misctest.World{Friends: [][2]string{{alice, bob}}, Groups: map[string][]string{team: {alice}}})
	for _, test := range []struct {
		name, user, target string
		kind               misc.ConversationType
		status, want       misc.NoticeStatus
		lost, err          error
	}{
		{name: "a friend", user: bob, kind: misc.Private, target: alice, status: misc.NoticeOn, want: misc.NoticeOn},
		{name: "a member", user: alice, kind: misc.Group, target: team},
		{name: "a stranger, whatever is set", user: mallory, kind: misc.Private, target: alice, status: misc.NoticeOn, err: misc.ErrNotFriend},
		{name: "a stranger to the group", user: bob, kind: misc.Group, target: team, status: misc.NoticeOn, err: misc.ErrNotMember},
		{name: "a failure", user: alice, kind: misc.Private, target: bob, status: misc.NoticeOn, lost: lost, err: lost},
	} {
		asked := 0
		b := &both{misc.NewMemoryStore(), world, &asked, test.status, test.lost}
		got, err := service(t, misc.Config{Relations: b, Captures: b}).ScreenCapture(t.Context(), test.user, test.kind, test.target)
		assert.ErrorIs(t, err, test.err, test.name)
		assert.Equal(t, test.want, got, test.name)
		assert.Equal(t, 1, asked, test.name)
	}
}

// list cannot be compared with ==.
type list struct {
	*both
	_ []string
}

func TestTwoPartsAreAskedEach(t *testing.T) {
	asked := 0
	newBoth := func() *both {
		return &both{misc.NewMemoryStore(), misctest.NewRelations(misctest.World{Friends: [][2]string{{alice, bob}}}), &asked, misc.NoticeOn, nil}
	}
	one := newBoth()
	for name, cfg := range map[string]misc.Config{
		"of one type":            {Relations: newBoth(), Captures: newBoth()},
		"not to be compared":     {Relations: list{both: one}, Captures: list{both: one}},
		"open to anyone":         {Relations: one, Captures: one, InsecureOpenScreenCapture: true},
		"a store with relations": {Relations: relations(), Captures: one},
	} {
		got, err := service(t, cfg).ScreenCapture(t.Context(), alice, misc.Private, bob)
		require.NoError(t, err, name)
		assert.Equal(t, misc.NoticeOff, got, name)
		assert.Zero(t, asked, name)
	}
}
