package main

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sealtalk-go/misc/misctest"
	"github.com/sealtalk-go/misc/rongcloud"
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

// chatCloud is the client of RongCloud, or of its stand-in.
type chatCloud struct {
	*rongcloud.Client
	name    string // for people
	standIn *http.Server
}

func openCloud(cfg config, logger *slog.Logger) (*chatCloud, error) {
	if cfg.appKey == "" {
		return openStandIn(cfg.limits.cloud, logger)
	}
	name := cmp.Or(cfg.rongcloud, "beijing")
	region := cmp.Or(regions[name], rongcloud.Region(name))
	if !strings.Contains(string(region), "://") {
		return nil, usageErrorf("-rongcloud must be %s, or a URL", regionNames)
	}
	client, err := rongcloud.New(rongcloud.Config{
		AppKey:    cfg.appKey,
		AppSecret: cfg.appSecret,
		Region:    region,
		Timeout:   cfg.limits.cloud,
	})
	if err != nil {
		return nil, usageErrorf("-rongcloud, -app-key, -app-secret: %w", err)
	}
	return &chatCloud{Client: client, name: "RongCloud at " + string(region)}, nil
}

// openStandIn serves a stand-in for RongCloud on a free port of this machine.
func openStandIn(timeout time.Duration, logger *slog.Logger) (*chatCloud, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("stand-in for RongCloud: %w", err)
	}
	url := "http://" + listener.Addr().String()
	key, secret := rand.Text(), rand.Text()
	cloud, err := openCloud(config{appKey: key, appSecret: secret, rongcloud: url, limits: limits{cloud: timeout}}, logger)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	cloud.name = "a stand-in at " + url + ", which logs the messages it takes; -app-key switches to RongCloud"
	cloud.standIn = &http.Server{
		Handler:           &standIn{cloud: misctest.NewCloud(key, secret), logger: logger},
		ReadHeaderTimeout: timeout,
	}
	go cloud.standIn.Serve(listener)
	return cloud, nil
}

func (c *chatCloud) close() {
	c.CloseIdleConnections()
	if c.standIn != nil {
		c.standIn.Close()
	}
}

// standIn logs each message that its cloud takes, and keeps none.
type standIn struct {
	mu     sync.Mutex
	cloud  *misctest.Cloud
	logger *slog.Logger
}

func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cloud.ServeHTTP(w, r)
	for _, m := range s.cloud.Delivered() {
		s.logger.Info("stand-in: message delivered", "type", int(m.Type), "from", m.From, "to", m.To,
			"objectName", m.ObjectName, "content", m.Content, "includeSender", m.IncludeSender)
	}
	s.cloud.Reset()
}
