// Package userservice is misc.Relations over a team's own user service.
package userservice

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// maxAnswer is how much of an answer is read, in bytes.
const maxAnswer = 4 << 10

// Relations asks a user service, which answers 200 with {"related":true} or {"related":false}. Everything else is an
// error, never a no: a service that fails must not look like the end of a friendship.
type Relations struct {
	base   string
	client *http.Client
}

// New returns the relations that the service at base knows, such as http://users.internal:8080. A question that takes
// longer than timeout is an error.
func New(base string, timeout time.Duration) *Relations {
	return &Relations{base, &http.Client{
		// By default 2 connections are kept; under load the others would be closed and opened again.
		Transport:     &http.Transport{MaxIdleConnsPerHost: 100, IdleConnTimeout: 90 * time.Second},
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// AreFriends asks /friends?user=…&other=….
func (r *Relations) AreFriends(ctx context.Context, userID, otherID string) (bool, error) {
	return r.ask(ctx, "/friends", url.Values{"user": {userID}, "other": {otherID}})
}

// IsGroupMember asks /members?user=…&group=….
func (r *Relations) IsGroupMember(ctx context.Context, userID, groupID string) (bool, error) {
	return r.ask(ctx, "/members", url.Values{"user": {userID}, "group": {groupID}})
}

func (r *Relations) ask(ctx context.Context, path string, query url.Values) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base+path+"?"+query.Encode(), nil)
	if err != nil {
		return false, fmt.Errorf("userservice: %w", err)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return false, fmt.Errorf("userservice: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // whatever the status, so that the connection is used again
	if err != nil {
		return false, fmt.Errorf("userservice: %s: %w", path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return false, fmt.Errorf("userservice: %s: status %d", path, resp.StatusCode)
	}
	var answer struct {
		Related *bool `json:"related"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return false, fmt.Errorf("userservice: %s: %w", path, err)
	}
	if answer.Related == nil {
		return false, fmt.Errorf("userservice: %s: no answer in the body", path)
	}
	return *answer.Related, nil
}
