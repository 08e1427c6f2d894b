package main

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/sealtalk-go/misc"
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

// openCloud returns a client of RongCloud, or without an app key a stand-in,
// its name for people, and what closes it.
func openCloud(cfg config, logger *slog.Logger) (_ misc.Messenger, name string, closeIdle func(), _ error) {
	if cfg.appKey == "" {
		return standIn{logger}, "a stand-in, which logs the messages it takes; -app-key switches to RongCloud", func() {}, nil
	}
	name = cmp.Or(cfg.rongcloud, "beijing")
	region := cmp.Or(regions[name], rongcloud.Region(name))
	if !strings.Contains(string(region), "://") {
		return nil, "", nil, usageErrorf("-rongcloud must be %s, or a URL", regionNames)
	}
	client, err := rongcloud.New(rongcloud.Config{
		AppKey:    cfg.appKey,
		AppSecret: cfg.appSecret,
		Region:    region,
		Timeout:   cfg.limits.cloud,
	})
	if err != nil {
		return nil, "", nil, usageErrorf("-rongcloud, -app-key, -app-secret: %w", err)
	}
	return client, "RongCloud at " + string(region), client.CloseIdleConnections, nil
}

// standIn logs each message and delivers it to nobody.
type standIn struct{ logger *slog.Logger }

func (s standIn) Send(ctx context.Context, m misc.Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.logger.InfoContext(ctx, "stand-in: message taken", "type", int(m.Type), "from", m.From, "to", m.To,
		"objectName", m.ObjectName, "content", m.Content, "includeSender", m.IncludeSender)
	return nil
}
