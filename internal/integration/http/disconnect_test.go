package http_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/internal/integration/testhost"
)

// waiting is every part of a host. The method named by part waits until its context
// ends; the others work.
type waiting struct {
	part           string
	asked          []string
	entered, ended chan error
}

func (p *waiting) call(ctx context.Context, part string) error {
	p.asked = append(p.asked, part)
	if part != p.part {
		return nil
	}
	p.entered <- nil
	err := errors.New("nobody cancelled")
	select {
	case <-ctx.Done():
		err = ctx.Err()
	case <-time.After(testhost.Patience):
	}
	p.ended <- err
	return err
}

func (p *waiting) Send(ctx context.Context, _ misc.Message) error { return p.call(ctx, "Send") }
func (p *waiting) LatestRelease(ctx context.Context, _ misc.UpdateQuery) (*misc.Release, error) {
	return nil, p.call(ctx, "LatestRelease")
}
func (p *waiting) ClientVersions(ctx context.Context) (*misc.ClientVersions, error) {
	return nil, p.call(ctx, "ClientVersions")
}
func (p *waiting) Square(ctx context.Context) (*misc.Square, error) {
	return nil, p.call(ctx, "Square")
}
func (p *waiting) AreFriends(ctx context.Context, _, _ string) (bool, error) {
	return true, p.call(ctx, "AreFriends")
}
func (p *waiting) IsGroupMember(ctx context.Context, _, _ string) (bool, error) {
	return true, p.call(ctx, "IsGroupMember")
}
func (p *waiting) ScreenCapture(ctx context.Context, _ misc.Conversation) (misc.NoticeStatus, error) {
	return misc.NoticeOff, p.call(ctx, "ScreenCapture")
}
func (p *waiting) SetScreenCapture(ctx context.Context, _ misc.Conversation, _ misc.NoticeStatus) error {
	return p.call(ctx, "SetScreenCapture")
}
func (p *waiting) Access(ctx context.Context, _ string, _ misc.Conversation) (bool, misc.NoticeStatus, error) {
	return true, misc.NoticeOff, p.call(ctx, "Access")
}

func TestAClientThatDisconnectsCancelsTheWorkOfEachPart(t *testing.T) {
	private := `{"conversationType":1,"targetId":"` + testhost.Bob + `","noticeStatus":1}`
	for part, request := range map[string][3]string{
		"LatestRelease":    {"GET", "latest_update?version=1.0.0"},
		"ClientVersions":   {"GET", "client_version"},
		"Square":           {"GET", "demo_square"},
		"AreFriends":       {"POST", "set_screen_capture", private},
		"IsGroupMember":    {"POST", "send_sc_msg", `{"conversationType":3,"targetId":"` + testhost.Team + `"}`},
		"ScreenCapture":    {"POST", "get_screen_capture", private},
		"SetScreenCapture": {"POST", "set_screen_capture", private},
		"Access":           {"POST", "set_screen_capture", private},
		"Send":             {"POST", "set_screen_capture", private},
	} {
		t.Run(part, func(t *testing.T) {
			p := &waiting{part: part, entered: make(chan error, 1), ended: make(chan error, 1)}
			h := testhost.New()
			if part == "Access" {
				h = testhost.Over(p)
			} else {
				h.Misc.Relations, h.Misc.Captures = p, p
			}
			h.Misc.Versions, h.Misc.Square, h.Misc.Messenger = p, p, p
			handler, served := h.Handler(), make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				handler.ServeHTTP(w, r)
				close(served)
			}))
			defer server.Close()

			ctx, disconnect := context.WithCancel(t.Context())
			gone := make(chan error, 1)
			go func() {
				_, err := server.Client().Do(testhost.Request(ctx, request[0], server.URL+"/misc/"+request[1], request[2]))
				gone <- err
			}()
			<-p.entered
			disconnect()
			require.ErrorIs(t, <-gone, context.Canceled)
			require.ErrorIs(t, <-p.ended, context.Canceled)
			<-served
			assert.Equal(t, part, p.asked[len(p.asked)-1], "work goes on after the client has left")
			for _, line := range h.Log.Take() {
				assert.Contains(t, line, "level=INFO", "a client that leaves is no alarm")
			}
		})
	}
}
