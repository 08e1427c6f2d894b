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
