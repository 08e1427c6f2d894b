package misctest_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/misctest"
)

func TestIDEncodesUnderKey(t *testing.T) {
	for n, want := range map[uint32]string{1: "kFpN4KiZn", 2: "z2mlAvb0c", 10: "2iwWTQPgC", 4294967295: "u7r7tFnKC"} {
		equal(t, want, misctest.ID(n), n)
	}
	defer func() { check(t, recover() != nil, "ID(0) must panic") }()
	misctest.ID(0)
}

// The suites choose their numbers for these properties of the ids.
func TestIDsOfTheSuitesHaveTheOrderAndTheCaseThatTheRulesNeed(t *testing.T) {
	check(t, misctest.ID(10) < misctest.ID(2))
	check(t, misctest.ID(4) < misctest.ID(5))
	check(t, misctest.ID(100) < misctest.ID(42))
	for _, n := range []uint32{109, 173, 288, 309} {
		a, b := misctest.ID(n), misctest.ID(n+3782)
		check(t, a != b)
		check(t, strings.EqualFold(a, b), a, b)
	}
}

func TestTheStoreOfTheExampleKeepsTheRules(t *testing.T) { testMyStore(t) }

func TestRelationsDoNotChangeWithTheirWorld(t *testing.T) {
	w := misctest.World{Friends: [][2]string{{"ann", "bob"}}, Groups: map[string][]string{"club": {"ann"}}}
	r := misctest.NewRelations(w)
	w.Friends[0] = [2]string{"ann", "carl"}
	w.Groups["club"][0] = "carl"
	w.Groups["den"] = []string{"ann"}

	empty := misctest.NewRelations(misctest.World{})
	for _, tt := range []struct {
		ask   func(ctx context.Context, a, b string) (bool, error)
		a, b  string
		wants bool
	}{
		{empty.AreFriends, "ann", "bob", false},
		{empty.IsGroupMember, "ann", "club", false},
		{r.AreFriends, "ann", "bob", true},
		{r.AreFriends, "ann", "carl", false},
		{r.IsGroupMember, "ann", "club", true},
		{r.IsGroupMember, "carl", "club", false},
		{r.IsGroupMember, "ann", "den", false},
	} {
		got, err := tt.ask(t.Context(), tt.a, tt.b)
		noError(t, err)
		equal(t, tt.wants, got, tt.a, tt.b)
	}
}

func TestMessengerRecordsInOrderWhatItDidNotRefuse(t *testing.T) {
	var m misctest.Messenger
	first := misc.Notice("ann", misc.Private, "bob", misc.NoticeOpened)
	second := misc.Notice("ann", misc.Group, "club", misc.NoticeClosed)
	equal(t, 0, len(m.Delivered()))

	noError(t, m.Send(t.Context(), first))
	m.Fail(misc.ErrRateLimited)
	equal(t, misc.ErrRateLimited, m.Send(t.Context(), second))
	equal(t, misc.ErrRateLimited, m.Send(t.Context(), second))
	m.Fail(nil)
	check(t, errors.Is(m.Send(t.Context(), misc.Message{Type: 2}), misc.ErrUnsupportedType))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	check(t, errors.Is(m.Send(ctx, second), context.Canceled))
	noError(t, m.Send(t.Context(), second))

	delivered := m.Delivered()
	equal(t, []misc.Message{first, second}, delivered)
	delivered[0] = second
	equal(t, []misc.Message{first, second}, m.Delivered(), "the record is not the caller's to change")
}
