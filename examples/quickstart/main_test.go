package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sealtalk-go/misc/internal/testkit"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheWalkComesOutAsExpected(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, walk(t.Context(), &out, steps), out.String())
	assert.NotContains(t, out.String(), "!!")
	for _, endpoint := range []string{"latest_update", "client_version", "mobile_version", "demo_square", "send_message", "set_screen_capture", "get_screen_capture", "send_sc_msg"} {
		assert.Contains(t, out.String(), " /misc/"+endpoint)
	}
	assert.Contains(t, out.String(), `cloud: ST:ConNtf {"operatorUserId":"z2mlAvb0c","operation":"sendScreenNtf"} to user kFpN4KiZn`)
}

func TestTheWalkFailsOnAnAnswerThatIsNotExpected(t *testing.T) {
	for name, change := range map[string]func(*step){
		"status":   func(s *step) { s.status = 201 },
		"answer":   func(s *step) { s.answer += " " },
		"delivery": func(s *step) { s.delivered = "" },
	} {
		changed := append([]step(nil), steps[6])
		change(&changed[0])
		var out bytes.Buffer
		assert.ErrorContains(t, walk(t.Context(), &out, changed), "1 of 1 steps went wrong", name)
		assert.Contains(t, out.String(), "!! expected", name)
	}
}

func TestTheLinesToPasteWork(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	var out testkit.Log
	done := make(chan error)
	go func() { done <- keepServing(ctx, &out, "127.0.0.1:0") }()
	var lines []string
	require.Eventually(t, func() bool {
		lines = regexp.MustCompile("(?m)^curl .*\n").FindAllString(out.String(), -1)
		return len(lines) == 3
	}, 10*time.Second, time.Millisecond)

	var bodies []string
	for _, line := range lines {
		quoted := regexp.MustCompile(`'[^']*'`).FindAllString(line, -1)
		url, method, body := strings.Trim(quoted[0], "'"), http.MethodGet, ""
		if strings.Contains(line, " -d '") {
			method, body = http.MethodPost, strings.Trim(quoted[len(quoted)-1], "'")
			quoted = quoted[:len(quoted)-1]
		}
		r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
		require.NoError(t, err)
		for _, header := range quoted[1:] {
			name, value, _ := strings.Cut(strings.Trim(header, "'"), ": ")
			r.Header.Set(name, value)
		}
		response, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		answer, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, 200, response.StatusCode, line)
		bodies = append(bodies, string(answer))
	}
	assert.Equal(t, []string{release, `{"code":200}`, `{"code":200,"result":{"status":1}}`}, bodies)

	stop()
	require.NoError(t, <-done)
}

func TestItServesOnLoopbackAlone(t *testing.T) {
	assert.ErrorContains(t, keepServing(t.Context(), io.Discard, ":0"), "not a loopback address")
	assert.Error(t, keepServing(t.Context(), io.Discard, "nonsense"))

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	_, port, err := net.SplitHostPort(taken.Addr().String())
	require.NoError(t, err)
	assert.ErrorContains(t, keepServing(t.Context(), io.Discard, "0.0.0.0:"+port), "not a loopback address")
}

func TestLargeRequestsAreNotKept(t *testing.T) {
	p, base := servedPage(t)
	large := strings.Repeat("x", 100<<10)
	assert.Equal(t, 431, get(t, base+"/misc/client_version", "X-Large", large[:64<<10]))
	assert.Equal(t, 431, get(t, base+"/misc/client_version?"+large[:64<<10], "", ""))

	for range 100 { // more than keptBytes
		require.Equal(t, 200, get(t, base+"/misc/client_version?"+large[:8<<10], "X-User", large[:7<<10]))
		r, err := http.NewRequest("POST", base+"/misc/send_message", strings.NewReader(
			`{"conversationType":"PRIVATE","targetId":"`+p.public["bob"]+`","objectName":"RC:TxtMsg","content":"`+large+`"}`))
		require.NoError(t, err)
		r.Header.Set("X-User", "alice")
		r.Header.Set("Content-Type", "application/json")
		require.Equal(t, 200, status(t, r)) // the host got the whole body
	}
	events, _ := p.wire.since(0)
	kept := 0
	for _, e := range events {
		kept += len(e.data)
		assert.LessOrEqual(t, len(e.data), 6*keptText)
	}
	assert.LessOrEqual(t, kept, keptBytes)
	assert.Greater(t, kept, keptBytes/2)

	for range 2 * keptEvents {
		p.wire.publish("small", nil)
	}
	events, _ = p.wire.since(0)
	assert.Len(t, events, keptEvents)
}

func TestEventStreamsAreLimitedAndShareTheirWork(t *testing.T) {
	p, base := servedPage(t)
	first := p.current()
	assert.Same(t, first, p.current())
	p.looked = time.Time{}
	assert.Same(t, first, p.current(), "nothing has changed")

	var streams []*http.Response
	for range maxStreams {
		response, err := http.Get(base + "/demo/events")
		require.NoError(t, err)
		defer response.Body.Close()
		require.Equal(t, 200, response.StatusCode)
		streams = append(streams, response)
	}
	assert.Equal(t, 503, get(t, base+"/demo/events", "", ""))
	require.NoError(t, streams[0].Body.Close())
	assert.Eventually(t, func() bool {
		response, err := http.Get(base + "/demo/events")
		return err == nil && response.Body.Close() == nil && response.StatusCode == 200
	}, 10*time.Second, time.Millisecond)
}

func TestTheStoryShowsAWithdrawalAndItsFix(t *testing.T) {
	p, base := servedPage(t)
	for chapter, want := range []string{
		"2.0.0: 12 get 2.2.0-beta.1 (update), 23 get 2.1.0 (update), 72 get nothing (rollout), 10 get nothing (no-id); " +
			"1.0.2: 12 get 2.1.0 (update), 43 get 2.0.0 (update), 8 get nothing (os); 1.0.0: 20 get 1.0.2 (update)",
		"2.2.0-beta.1: 12 get nothing (current); 2.1.0: 35 get nothing (current); 2.0.0: 125 get nothing (current); 1.0.2: 20 get 2.0.0 (update), 8 get nothing (os)",
		"2.2.0-beta.1: 12 get nothing (current); 2.1.0: 35 get 2.1.1 (update); 2.0.0: 11 get 2.1.1 (update), 124 get nothing (rollout), 10 get nothing (no-id); 1.0.2: 8 get nothing (os)",
		"2.2.0-beta.1: 12 get nothing (current); 2.1.1: 46 get nothing (current); 2.0.0: 134 get 2.1.1 (update); 1.0.2: 8 get nothing (os)",
	} {
		require.Equal(t, 204, send(t, http.MethodPut, fmt.Sprintf("%s/demo/chapters/%d", base, chapter)))
		shown := p.current()
		assert.Equal(t, chapter, shown.Chapter)
		assert.Equal(t, want, inWords(shown.Groups))
		file, err := os.ReadFile(p.releases)
		require.NoError(t, err)
		assert.Equal(t, p.story[chapter].text, string(file))

		if chapter == 2 { // the place in the rollout would have let a few of the 35 through
			inside := 0
			for _, n := range shown.Groups[1].Installations {
				n.install("2.0.0")
				if p.source.Releases().Choose(n.parsed()).Release != nil {
					inside++
				}
			}
			assert.Less(t, inside, 10)
		}
	}
	for _, chapter := range []string{"4", "-1", "x"} {
		assert.Equal(t, 404, send(t, http.MethodPut, base+"/demo/chapters/"+chapter))
	}

	// Another file is none of the story's, and back in it everything is as before.
	require.NoError(t, os.WriteFile(p.releases, []byte(p.story[2].text+" "), 0o600))
	p.looked = time.Time{}
	assert.Equal(t, -1, p.current().Chapter)
	require.Equal(t, 204, send(t, http.MethodPut, base+"/demo/chapters/0"))
	assert.Equal(t, 0, p.current().Chapter)
	assert.Equal(t, "2.0.0", p.current().Groups[0].Version)
}

// inWords describes groups, with the offers of each in the order of its releases.
func inWords(groups []group) string {
	var words []string
	for _, g := range groups {
		counts := map[string]int{}
		for _, n := range g.Installations {
			counts[fmt.Sprintf("get %s (%s)", cmp.Or(n.Offered, "nothing"), n.Reason)]++
		}
		var parts []string
		for _, offer := range []string{"2.2.0-beta.1 (update)", "2.1.1 (update)", "2.1.0 (update)", "2.0.0 (update)", "1.0.2 (update)",
			"nothing (rollout)", "nothing (no-id)", "nothing (os)", "nothing (current)"} {
			if n := counts["get "+offer]; n > 0 {
				parts = append(parts, fmt.Sprintf("%d get %s", n, offer))
			}
			delete(counts, "get "+offer)
		}
		if len(counts) > 0 {
			parts = append(parts, fmt.Sprint(counts))
		}
		words = append(words, g.Version+": "+strings.Join(parts, ", "))
	}
	return strings.Join(words, "; ")
}

// servedPage serves a page until the test ends, and returns it with its URL.
func servedPage(t *testing.T) (*page, string) {
	t.Helper()
	p, err := newPage()
	require.NoError(t, err)
	t.Cleanup(p.close)
	handler, err := p.handler()
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := serve(listener, handler)
	t.Cleanup(func() { assert.NoError(t, server.Close()) })
	return p, "http://" + listener.Addr().String()
}

// get sends a request with one header, and returns the status of its answer.
func get(t *testing.T, url, name, value string) int {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	require.NoError(t, err)
	if name != "" {
		r.Header.Set(name, value)
	}
	return status(t, r)
}

func send(t *testing.T, method, url string) int {
	t.Helper()
	r, err := http.NewRequest(method, url, nil)
	require.NoError(t, err)
	return status(t, r)
}

func status(t *testing.T, r *http.Request) int {
	t.Helper()
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode
}
