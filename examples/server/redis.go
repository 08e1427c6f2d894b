package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/sealtalk-go/misc"
)

const (
	// redisWait is how long Redis may take for an answer.
	redisWait = 250 * time.Millisecond

	// redisProbe and redisWait are the time within which all instances notice that
	// Redis has gone away or come back.
	redisProbe = 100 * time.Millisecond

	// changePause is how long an instance sends nothing when Redis has gone away, come
	// back or restarted: so long that a second does not have messages from before and
	// after, and longer than the instances differ in noticing it.
	changePause = 1100 * time.Millisecond

	// maxLate is how late a message may be sent, and may arrive, after its turn without
	// bringing a second over the quota.
	maxLate = 100 * time.Millisecond
)

// shared counts what all instances do, in Redis. While Redis is away, each of the
// instances keeps to its share.
type shared struct {
	client       *redis.Client
	counts       *redis_rate.Limiter
	instances    int
	groupQuota   int
	privateQuota int
	logger       *slog.Logger

	mode     atomic.Pointer[mode]
	run      atomic.Pointer[string] // which run of a Redis server the last connection is to
	watching sync.WaitGroup
	stop     context.CancelFunc
}

// A mode lasts until Redis goes away, comes back or restarts.
type mode struct {
	away   error         // why Redis does not count; nil if it does
	from   time.Time     // no message is sent before
	quotas quotas        // of this instance, while Redis is away
	over   chan struct{} // closed at the end
}

// openShared returns nil if there is no -redis. An instance starts without Redis, too,
// but with -check it is an error.
func openShared(ctx context.Context, cfg config, logger *slog.Logger) (_ *shared, state string, _ error) {
	if cfg.redis == "" {
		return nil, "", nil
	}
	options, err := redis.ParseURL(cfg.redis)
	if err != nil || !showable(cfg.redis) {
		return nil, "", usageErrorf("-redis needs a URL of the form redis://user:password@host:6379/0, or rediss:// with TLS, %s", escapes)
	}
	s := &shared{instances: cfg.instances, groupQuota: cfg.groupQuota, privateQuota: cfg.privateQuota, logger: logger, stop: func() {}}
	options.DialTimeout, options.ReadTimeout, options.WriteTimeout, options.PoolTimeout = redisWait, redisWait, redisWait, redisWait
	options.MaxRetries, options.DialerRetries = -1, 1
	options.DisableIdentity = true
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	options.OnConnect = s.connected
	s.client = redis.NewClient(options)
	s.counts = redis_rate.NewLimiter(s.client)
	err = s.probe(ctx)
	if err != nil && cfg.check {
		return s, "", fmt.Errorf("-redis: %s does not answer: %w", options.Addr, err)
	}
	s.change(nil, err)
	watched, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.watching.Go(func() { s.watch(watched) })
	if err != nil {
		return s, options.Addr + " does not answer; until it does, this instance counts its share", nil
	}
	return s, options.Addr + " counts for all instances", nil
}

func (s *shared) close() {
	s.stop()
	s.watching.Wait()
	_ = s.client.Close()
}

// away returns why Redis does not count, or nil.
func (s *shared) away() error { return s.mode.Load().away }

// watch looks for Redis until ctx ends.
func (s *shared) watch(ctx context.Context) {
	tick := time.NewTicker(redisProbe)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		m := s.mode.Load()
		err := s.probe(ctx)
		if ctx.Err() == nil && (err == nil) != (m.away == nil) {
			s.change(m, err)
		}
	}
}

// probe finds out whether Redis counts, which one that is read-only does not.
func (s *shared) probe(ctx context.Context) error {
	_, err := s.counts.Allow(ctx, "misc:probe", redis_rate.PerSecond(1000))
	return err
}

// change ends a mode, unless that has happened already, and starts the next.
func (s *shared) change(m *mode, away error) {
	next := &mode{away: away, from: time.Now().Add(changePause), over: make(chan struct{})}
	if away != nil {
		next.quotas = newQuotas(s.groupQuota/s.instances, s.privateQuota/s.instances)
		for _, q := range next.quotas {
			q.AllowN(next.from, q.Burst()) // it starts empty: no burst
		}
	}
	if !s.mode.CompareAndSwap(m, next) {
		return
	}
	if m != nil {
		close(m.over)
	}
	switch {
	case away != nil:
		s.logger.Warn("redis is away: this instance counts its share of limits and quotas", "error", away)
	case m != nil && m.away == nil:
		s.logger.Warn("redis has restarted: its counts may be lost")
	case m != nil:
		s.logger.Info("redis is back: it counts for all instances")
	}
}

// connected notices that Redis has restarted, or is another one, before that gets its
// first command: its counts may be lost or old. A restart can be shorter than the time
// between two commands.
func (s *shared) connected(ctx context.Context, c *redis.Conn) error {
	info, err := c.Info(ctx, "server").Result()
	if err != nil {
		return err
	}
	_, run, _ := strings.Cut(info, "run_id:")
	run, _, _ = strings.Cut(run, "\r\n")
	m := s.mode.Load()
	if last := s.run.Swap(&run); last != nil && *last != run && m != nil && m.away == nil {
		s.change(m, nil)
	}
	return nil
}

// allow reports whether one more request may pass under a limit. ok is false while
// Redis is away.
func (s *shared) allow(ctx context.Context, key string, perSecond int) (allowed, ok bool) {
	m := s.mode.Load()
	if m.away != nil {
		return false, false
	}
	result, err := s.counts.Allow(ctx, "misc:"+key, redis_rate.PerSecond(perSecond))
	if err != nil {
		if ctx.Err() == nil {
			s.change(m, err)
		}
		return false, false
	}
	return result.Allowed > 0, true
}

// wait waits until a message may be sent, as [quotas.wait] does.
func (s *shared) wait(ctx context.Context, t misc.ConversationType) error {
	for {
		m := s.mode.Load()
		err := s.waitIn(ctx, m, t)
		select {
		case <-m.over: // its turn was in this mode
		default:
			return err
		}
	}
}

func (s *shared) waitIn(ctx context.Context, m *mode, t misc.ConversationType) error {
	if err := m.sleep(ctx, time.Until(m.from)); err != nil {
		return err
	}
	if m.away != nil {
		return m.quotas.wait(ctx, t)
	}
	for {
		asked := time.Now()
		delay, err := s.reserve(ctx, m, t)
		if err == nil {
			err = m.sleep(ctx, delay)
		}
		if err != nil || time.Since(asked)-delay <= maxLate {
			return err
		}
	}
}

// reserve returns how long a message has to wait for its turn. The messages of all
// instances in any time of a second and maxLate are at most the quota: a tenth of it at
// once, and the others evenly spread.
func (s *shared) reserve(ctx context.Context, m *mode, t misc.ConversationType) (time.Duration, error) {
	quota, name := s.groupQuota, "misc:group"
	if t == misc.Private {
		quota, name = s.privateQuota, "misc:private"
	}
	burst := max(1, quota/10)
	limit := redis_rate.Limit{Rate: quota - burst + 1, Period: time.Second + maxLate}
	each := limit.Period / time.Duration(limit.Rate)
	limit.Burst = burst
	if end, ok := ctx.Deadline(); ok { // a message takes a later turn that it can wait for
		limit.Burst += int(time.Until(end) / each)
	}
	result, err := s.counts.Allow(ctx, name, limit)
	if err != nil {
		if ctx.Err() == nil {
			s.change(m, err)
		}
		return 0, err
	}
	if result.Allowed == 0 {
		return 0, errNoTurn
	}
	return max(0, result.ResetAfter-time.Duration(burst)*each), nil
}

var errNoTurn = errors.New("no turn within the time limit")

// sleep returns at once if ctx would end before, and when the mode ends.
func (m *mode) sleep(ctx context.Context, d time.Duration) error {
	if end, ok := ctx.Deadline(); ok && time.Until(end) < d {
		return errNoTurn
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-m.over:
		return nil // wait sees it
	case <-ctx.Done():
		return ctx.Err()
	}
}
