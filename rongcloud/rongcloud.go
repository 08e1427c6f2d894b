// Package rongcloud is a [misc.Messenger] over the RongCloud Server API, on
// net/http alone.
//
// A [Client] belongs to one app; a process may have any number of them. The
// User-Agent of its requests is sealtalk-misc-go.
//
// # The backup host
//
// Every named [Region] has a backup host, and a private cloud may have one.
// After an unreachable host, a time-out (also that of a caller's context) or a
// 5xx the Client goes over to the other host and stays there until that one
// fails; it changes hosts at most once every 30 seconds.
//
// Send makes a second attempt, on the other host, in two cases only: the first
// one never got a connection, so the message cannot have reached the cloud; or
// Config.Idempotent is set, and the cloud knows the message again. That attempt
// is also made within the 30 seconds, and then does not change hosts.
package rongcloud

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// A Region is the base URL of the cloud that an app belongs to: one of the
// regions below, or a private cloud.
type Region string

// The regions of RongCloud's public cloud.
const (
	Beijing      Region = "https://api.rong-api.com"
	Singapore    Region = "https://api.sg-light-api.com"
	SingaporeB   Region = "https://api.sg-b-light-api.com"
	NorthAmerica Region = "https://api.us-light-api.com"
	SaudiArabia  Region = "https://api.sau-light-api.com"
)

// backup returns the backup host of a named region, and "" for any other.
func (r Region) backup() string {
	switch r {
	case Beijing, Singapore, SingaporeB, NorthAmerica, SaudiArabia:
		return strings.Replace(string(r), "//api.", "//api-b.", 1)
	}
	return ""
}

// Config says which app a [Client] sends for, and how. Packages fmt,
// encoding/json and log/slog do not show its secret. Package fmt shows it all
// the same for the verbs %p and %w, which do not fit a Config, and if the Config
// is in an unexported field of another struct.
type Config struct {
	AppKey    string // required
	AppSecret string `json:"-"` // required; JSON neither shows nor sets it

	// Region is required: a named one, or the http or https URL of a private
	// cloud, without user, query and fragment.
	Region Region

	// Backup is the URL of the backup host of a private cloud, if it has one.
	// It must be empty for a named region.
	Backup string

	// Idempotent sends msgRandom, by which the cloud refuses to take a message
	// twice within a minute. RongCloud switches this on for an app on request.
	// If it has not, messages may be delivered twice.
	Idempotent bool

	// Timeout limits one Send with both its attempts; 0 means 10 seconds. If
	// there is a backup host, the first attempt may take a third of it to
	// connect or, with Idempotent, half of it in all, but at most 30 seconds.
	Timeout time.Duration

	// HTTPClient makes the requests, but never follows a redirect. If it or its
	// Transport is nil, the Client has a transport of its own, which uses the
	// proxy that the environment names, drops idle connections before RongCloud
	// does, and keeps to fewer than 80 requests on a connection, as RongCloud
	// asks. Another Transport has to see to that itself, or wrap [NewTransport].
	HTTPClient *http.Client `json:"-"`
}

// New returns a Client for cfg, or an error that names every problem with it.
func New(cfg Config) (*Client, error) {
	cfg.Region = Region(strings.TrimRight(string(cfg.Region), "/"))
	cfg.Backup = strings.TrimRight(cfg.Backup, "/")
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg.Backup = cmp.Or(cfg.Region.backup(), cfg.Backup)
	cfg.Timeout = cmp.Or(cfg.Timeout, 10*time.Second)
	var client http.Client
	if cfg.HTTPClient != nil {
		client = *cfg.HTTPClient
	}
	if client.Transport == nil {
		client.Transport = NewTransport(cfg.Timeout / 3)
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // the signature is for this host alone
	}
	secret := cfg.AppSecret
	cfg.AppSecret = ""
	return &Client{cfg, func() string { return secret }, &client, &hosts{inUse: string(cfg.Region), other: cfg.Backup}}, nil
}

// validate shows none of the values: a URL may hold a password.
func (c Config) validate() error {
	var problems []error
	add := func(bad bool, problem string) {
		if bad {
			problems = append(problems, errors.New("rongcloud: Config."+problem))
		}
	}
	add(!isCredential(c.AppKey), "AppKey is required, in printable ASCII without spaces")
	add(!isCredential(c.AppSecret), "AppSecret is required, in printable ASCII without spaces")
	add(!isBaseURL(string(c.Region)), "Region must be a named region or an http(s) URL without user, query and fragment")
	add(c.Backup != "" && !isBaseURL(c.Backup), "Backup must be an http(s) URL without user, query and fragment")
	add(c.Backup != "" && c.Region.backup() != "", "Backup is for private clouds: a named region has its own")
	add(c.Timeout < 0, "Timeout must not be negative")
	return errors.Join(problems...)
}

func isCredential(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

func isBaseURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" &&
		u.User == nil && !strings.ContainsAny(s, "?#")
}

// Format implements [fmt.Formatter], without the secret.
func (c Config) Format(f fmt.State, verb rune) {
	type plain Config // without this method
	c.AppSecret = ""
	fmt.Fprintf(f, fmt.FormatString(f, verb), plain(c))
}
