package main

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/rongcloud"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"
)

// regions are the names that -rongcloud knows. Any other value is a URL.
var regions = map[string]rongcloud.Region{
	"beijing":       rongcloud.Beijing,
	"singapore":     rongcloud.Singapore,
	"singapore-b":   rongcloud.SingaporeB,
	"north-america": rongcloud.NorthAmerica,
	"saudi-arabia":  rongcloud.SaudiArabia,
}

var regionNames = strings.Join(slices.Sorted(maps.Keys(regions)), ", ")

// cloud sends messages to RongCloud. It keeps the app within its quotas, and
// knows whether the last message was accepted.
type cloud struct {
	misc.Messenger
	turn     func(context.Context, misc.ConversationType) error // waits until the quota allows a message
	wait     time.Duration                                      // how long to wait for that
	patience time.Duration                                      // a cloud that has had less time than this has not failed
	failed   atomic.Bool
}

// openCloud returns a client of RongCloud, or a stand-in if there is no app key. The
// quotas are counted in redis, unless that is nil.
func openCloud(cfg config, redis *shared, tracing trace.TracerProvider, logger *slog.Logger) (_ *cloud, state string, _ error) {
	c := &cloud{
		Messenger: standIn{logger},
		turn:      newQuotas(cfg.groupQuota, cfg.privateQuota).wait,
		wait:      cfg.limits.quota,
		patience:  cfg.limits.cloud / 3,
	}
	if redis != nil {
		c.turn = redis.wait
	}
	if cfg.appKey == "" {
		return c, "a stand-in, which logs the messages it takes; -app-key switches to RongCloud", nil
	}
	name := cmp.Or(cfg.rongcloud, "beijing")
	region := cmp.Or(regions[name], rongcloud.Region(name))
	if !strings.Contains(string(region), "://") {
		return nil, "", usageErrorf("-rongcloud must be %s, or a URL", regionNames)
	}
	client, err := rongcloud.New(rongcloud.Config{
		AppKey:     cfg.appKey,
		AppSecret:  cfg.appSecret,
		Region:     region,
		Timeout:    cfg.limits.cloud,
		HTTPClient: &http.Client{Transport: otelhttp.NewTransport(rongcloud.NewTransport(cfg.limits.cloud/3), otelhttp.WithTracerProvider(tracing))},
	})
	if err != nil {
		return nil, "", usageErrorf("-rongcloud, -app-key, -app-secret: %w", err)
	}
	c.Messenger = client
	return c, "RongCloud at " + string(region), nil
}

// quotas keep this instance within the numbers of messages a second.
type quotas map[misc.ConversationType]*rate.Limiter

func newQuotas(group, private int) quotas {
	return quotas{misc.Group: quota(group), misc.Private: quota(private)}
}

// quota returns a limiter that allows at most perSecond messages in any second: a
// tenth of them at once, and the others evenly spread. One a second is a little less.
func quota(perSecond int) *rate.Limiter {
	burst := max(1, perSecond/10)
	return rate.NewLimiter(max(rate.Limit(perSecond-burst), 0.9), burst)
}

// wait waits until a message may be sent. If ctx would end before, it fails at once.
func (q quotas) wait(ctx context.Context, t misc.ConversationType) error {
	if limiter := q[t]; limiter != nil {
		return limiter.Wait(ctx)
	}
	return nil
}

// Send waits for the quota before it sends m, but no longer than c.wait.
func (c *cloud) Send(ctx context.Context, m misc.Message) error {
	waiting, cancel := context.WithTimeout(ctx, c.wait)
	err := c.turn(waiting, m.Type)
	cancel()
	if err != nil && ctx.Err() == nil {
		return quotaError{}
	}
	start := time.Now()
	err = c.Messenger.Send(ctx, m)
	// A caller who gives up says nothing about the cloud, unless it had its time.
	if err == nil || ctx.Err() == nil || time.Since(start) >= c.patience {
		c.failed.Store(err != nil)
	}
	return err
}

// masker returns a function that replaces the app's secret, quoted or not, and what
// may be a signature, in a text that the chat cloud may have written.
func masker(secret string) func(string) string {
	signature := regexp.MustCompile(`[0-9A-Fa-f]{40}`)
	quoted := strings.Trim(strconv.Quote(secret), `"`)
	return func(text string) string {
		if secret != "" {
			text = strings.ReplaceAll(strings.ReplaceAll(text, secret, "[secret]"), quoted, "[secret]")
		}
		return signature.ReplaceAllString(text, "[signature]")
	}
}

// quotaError means that the quota allows no message at the moment.
type quotaError struct{}

func (quotaError) Error() string             { return "the app's quota of messages is used up" }
func (quotaError) Unwrap() error             { return misc.ErrRateLimited }
func (quotaError) RetryAfter() time.Duration { return time.Second }

// standIn logs each message and delivers it to nobody.
type standIn struct{ logger *slog.Logger }

func (s standIn) Send(ctx context.Context, m misc.Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.logger.InfoContext(ctx, "stand-in: message taken", "type", int(m.Type), "from", m.From, "to", m.To,
		"objectName", m.ObjectName, "content", clip(m.Content, 1<<10), "includeSender", m.IncludeSender)
	return nil
}
