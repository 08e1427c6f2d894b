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

	// maxAhead is how far a count may be ahead of Redis' clock. A message takes no turn
	// that is so far away, so one that is further ahead says that the clock was set back,
	// or that an instance asks all to stay away.
	maxAhead = 3 * time.Second

	// maxStay is how long the instances stay away at most once Redis answers again, and
	// how long it has to count without a change to be trusted at once the next time.
	maxStay = 30 * time.Second
)

// perMicrosecond is the limit of the probe: a probe counts for next to nothing, and none
// is refused.
var perMicrosecond = redis_rate.Limit{Rate: 1e6, Period: time.Second, Burst: 1e9}

var errAhead = errors.New("ahead of Redis' clock: that was set back, or an instance lost Redis too often")

// shared counts what all instances do, in Redis. While Redis is away, each of the
// instances keeps to its share.
type shared struct {
	client       *redis.Client // for the quotas
	counts       *redis_rate.Limiter
	limitClient  *redis.Client // has connections of its own, since strangers may use up all of them
	limits       *redis_rate.Limiter
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
	stay   time.Duration // how long to stay away once Redis answers again
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
	options.ConnMaxIdleTime = 15 * time.Second // before a firewall forgets the connection
	options.DisableIdentity = true
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	s.limitClient = redis.NewClient(options)
	s.limits = redis_rate.NewLimiter(s.limitClient)
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
	_ = s.limitClient.Close()
}

// away returns why Redis does not count, or nil.
func (s *shared) away() error { return s.mode.Load().away }

// watch looks for Redis until ctx ends. If that went away too often, all instances stay
// away for a time that each knows from Redis, and count their shares.
func (s *shared) watch(ctx context.Context) {
	tick := time.NewTicker(redisProbe)
	defer tick.Stop()
	var stayed *mode // in which the instances stay away, or did
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		m := s.mode.Load()
		err := s.probe(ctx)
		if err == nil && m.away != nil && m.stay > 0 && m != stayed {
			_, err = ask(ctx, s.counts, "misc:probe", perMicrosecond, int((maxAhead+m.stay)/time.Microsecond))
		}
		if errors.Is(err, errAhead) {
			stayed = m
		}
		if ctx.Err() == nil && (err == nil) != (m.away == nil) {
			s.change(m, err)
		}
	}
}

// probe finds out whether Redis counts, which one that is read-only or has other values
// than counts does not.
func (s *shared) probe(ctx context.Context) error {
	if _, err := ask(ctx, s.counts, "misc:probe", perMicrosecond, 1); err != nil {
		return err
	}
	for _, key := range []string{"misc:group", "misc:private"} {
		if _, err := ask(ctx, s.counts, key, redis_rate.PerSecond(1), 0); err != nil {
			return fmt.Errorf("rate:%s: %w", key, err)
		}
	}
	return nil
}

// ask counts n more under a limit, if that allows it.
func ask(ctx context.Context, counts *redis_rate.Limiter, key string, limit redis_rate.Limit, n int) (result *redis_rate.Result, err error) {
	defer func() {
		if v := recover(); v != nil { // the limiter expects what its script returns
			err = fmt.Errorf("unexpected answer: %v", v)
		}
	}()
	result, err = counts.AllowN(ctx, key, limit, n)
	if err == nil && (result.ResetAfter < 0 || result.ResetAfter > maxAhead) {
		err = fmt.Errorf("%v %w", result.ResetAfter.Round(time.Second), errAhead)
	}
	return result, err
}

// change ends a mode, unless that has happened already, and starts the next.
func (s *shared) change(m *mode, away error) {
	next := &mode{away: away, from: time.Now().Add(changePause), over: make(chan struct{})}
	if m != nil {
		next.stay = m.stay
		if away != nil && m.away == nil {
			next.stay = min(max(time.Second, 2*m.stay), maxStay)
			if time.Since(m.from) > maxStay {
				next.stay = 0
			}
		}
	}
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

// allow reports whether one more request may pass under a limit. ok is false if Redis
// does not say, for which there are more reasons than that it is away: as many requests
// as strangers send, or a wrong value for one of them. So it is for watch to find out.
func (s *shared) allow(ctx context.Context, key string, perSecond int) (allowed, ok bool) {
	if s.away() != nil {
		return false, false
	}
	result, err := ask(ctx, s.limits, "misc:"+key, redis_rate.PerSecond(perSecond), 1)
	if err != nil {
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
	result, err := ask(ctx, s.counts, name, limit, 1)
	if err != nil && !errors.Is(err, errAhead) { // the connection may have been an old one
		result, err = ask(ctx, s.counts, name, limit, 1)
	}
	if err != nil {
		if ctx.Err() == nil {
			s.change(m, fmt.Errorf("rate:%s: %w", name, err))
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
