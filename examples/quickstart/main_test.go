package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
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
		response, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, 200, response.StatusCode) // the host got the whole body
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
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode
}
