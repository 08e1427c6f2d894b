// Package rongcloud is a [misc.Messenger] over the RongCloud Server API, on
// net/http alone.
//
// A [Client] belongs to one app; a process may have any number of them.
//
// # The backup host
//
// Every named [Region] has a backup host, and a private cloud may have one.
// After an unreachable host, a time-out (also that of a caller's context) or a
// 5xx the Client goes over to the other host and stays there until that one fails; it changes hosts at most
// once every 30 seconds.
//
// A message is never sent twice by itself. Send makes a second attempt, on the
// other host, in two cases only: the first never got a connection, so it cannot
// have reached the cloud; or Config.Idempotent is set, and the cloud knows the
// message again. That attempt is made within the 30 seconds too, where it does
// not change which host comes first.
package rongcloud

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// A Region is where an app lives: one of the regions below, or the base URL of
// a private cloud.
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

// Config says which app a [Client] speaks for, and how. Neither package fmt
// nor JSON nor slog show the secret, but fmt cannot be kept from it where a
// Config is in an unexported field of another struct.
type Config struct {
	AppKey    string // required
	AppSecret string // required

	// Region is required: a named one, or the http or https URL of a private
	// cloud, without user, query and fragment.
	Region Region

	// Backup is the URL of the backup host of a private cloud, if it has one.
	// The named regions bring their own.
	Backup string

	// Idempotent sends msgRandom, the key by which the cloud refuses to take a
	// message twice within a minute. RongCloud switches it on for an app on
	// request; set without that, messages may be delivered twice.
	Idempotent bool

	// Timeout limits one Send, with a second attempt; 0 is 10 seconds. To leave
	// time for that one, the first may take a third of the time to connect,
	// and half of the time in all if Idempotent is set, at most 30 seconds.
	Timeout time.Duration

	// HTTPClient does the requests, but never follows a redirect. Nil is a
	// client with a transport of its own, which uses the proxy that the
	// environment names and drops idle connections before RongCloud does.
	HTTPClient *http.Client

	Now  func() time.Time // nil is time.Now
	Rand io.Reader        // safe for concurrent use; nil is crypto/rand
}

// defaultTimeout is what a Config.Timeout of 0 stands for.
const defaultTimeout = 10 * time.Second

// New returns a Client for cfg, or an error that names every problem with it.
func New(cfg Config) (*Client, error) {
	cfg.Region = Region(strings.TrimRight(string(cfg.Region), "/"))
	cfg.Backup = strings.TrimRight(cfg.Backup, "/")
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if backup := cfg.Region.backup(); backup != "" {
		cfg.Backup = backup
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	var client http.Client
	if cfg.HTTPClient != nil {
		client = *cfg.HTTPClient
	} else {
		client.Transport = newTransport(cfg.Timeout / 3)
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // the signature is for this host alone
	}
	secret := cfg.AppSecret
	return &Client{
		appKey: cfg.AppKey,
		sign: func(nonce, timestamp string) string {
			sum := sha1.Sum([]byte(secret + nonce + timestamp))
			return hex.EncodeToString(sum[:])
		},
		idempotent: cfg.Idempotent,
		timeout:    cfg.Timeout,
		http:       &client,
		now:        cfg.Now,
		rand:       cfg.Rand,
		hosts:      &hosts{main: string(cfg.Region), backup: cfg.Backup, inUse: string(cfg.Region)},
	}, nil
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

// newTransport keeps connections the way RongCloud asks: it drops those that
// are idle after about 55 seconds.
func newTransport(connect time.Duration) *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: connect}).DialContext,
		TLSHandshakeTimeout:    connect,
		ForceAttemptHTTP2:      true,
		IdleConnTimeout:        50 * time.Second,
		MaxIdleConnsPerHost:    100,
		MaxResponseHeaderBytes: maxAnswer,
	}
}

// publicConfig is what may be shown of a Config.
type publicConfig struct {
	AppKey     string
	Region     string
	Backup     string
	Idempotent bool
	Timeout    time.Duration
}

// redacted hides the password of a URL, which New refuses.
func redacted(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return "(no URL)"
	}
	return u.Redacted()
}

func (c Config) public() publicConfig {
	return publicConfig{c.AppKey, redacted(string(c.Region)), redacted(c.Backup), c.Idempotent, c.Timeout}
}

// Format implements [fmt.Formatter], without the secret.
func (c Config) Format(f fmt.State, verb rune) {
	fmt.Fprintf(f, fmt.FormatString(f, verb), c.public())
}

// MarshalJSON implements [json.Marshaler], without the secret.
func (c Config) MarshalJSON() ([]byte, error) {
	return json.Marshal(c.public())
}
