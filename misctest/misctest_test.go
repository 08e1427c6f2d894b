package misctest_test

import (
	"testing"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/misctest"
)

func TestIDEncodesUnderKey(t *testing.T) {
	equal(t, []string{"kFpN4KiZn", "u7r7tFnKC"}, []string{misctest.ID(1), misctest.ID(4294967295)})
	func() {
		defer func() { check(t, recover() != nil, "ID(0) must panic") }()
		misctest.ID(0)
	}()
}

func TestRelationsDoNotChangeWithTheirWorld(t *testing.T) {
	w := misctest.World{Friends: [][2]string{{"ann", "bob"}}, Groups: map[string][]string{"club": {"ann"}}}
	r := misctest.NewRelations(w)
	w.Friends[0], w.Groups["club"][0], w.Groups["den"] = [2]string{"ann", "carl"}, "carl", []string{"ann"}
	for q, want := range map[[2]string]bool{{"ann", "bob"}: true, {"ann", "carl"}: false, {"ann", "club"}: true, {"carl", "club"}: false, {"ann", "den"}: false} {
		friends, err := r.AreFriends(t.Context(), q[0], q[1])
		noError(t, err)
		member, err := r.IsGroupMember(t.Context(), q[0], q[1])
		noError(t, err)
		equal(t, want, friends || member, q)
	}
}

func TestMessengerRecordsInOrderWhatItDidNotRefuse(t *testing.T) {
	var m misctest.Messenger
	first, second := misc.Message{Type: misc.Private, To: "bob"}, misc.Message{Type: misc.Group, To: "club"}
	noError(t, m.Send(t.Context(), first))
	m.Fail(misc.ErrRateLimited)
	equal(t, misc.ErrRateLimited, m.Send(t.Context(), second))
	equal(t, misc.ErrUnsupportedType, m.Send(t.Context(), misc.Message{Type: 2}), "as without Fail")
	m.Fail(nil)
	noError(t, m.Send(t.Context(), second))
	m.Delivered()[0] = second // a copy
	equal(t, []misc.Message{first, second}, m.Delivered())
}
