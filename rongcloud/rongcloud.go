// Package rongcloud implements misc.Messenger with the Server API of RongCloud,
// a messaging service. It uses net/http alone, no SDK.
//
// A [Client] sends for one RongCloud app. A process may have any number of
// Clients. The User-Agent of their requests is sealtalk-misc-go.
//
// # The backup host
//
// Each of the Region constants has a backup host, and a private cloud may have
// one; see Config.Backup. If a host cannot be reached, does not answer in time,
// or answers with a 5xx status or the code of a timeout, the Client switches to
// the other host, and uses that one until it fails too. It switches at most
// once every 30 seconds. A message whose context ends says nothing about the
// host, unless the host had a third of Config.Timeout to make a connection and to
// answer.
//
// After such a failure, Send makes a second attempt, on the other host, in two
// cases only: if the first attempt never got a connection, so that the message
// cannot have reached the cloud, or if Config.Idempotent is set, because the
// cloud then recognizes a message that it already has. It makes this attempt
// even if the Client has switched within the last 30 seconds; the Client does
// not switch again then.
//
// # The standard logger
//
// If a host sends bytes that belong to no answer, net/http writes up to 4 KiB of
// them to the standard logger of package log, which nothing in this package can
// prevent or mask. A hostile host can put a signature there. Use log.SetOutput
// to send these lines where they are looked after.
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

// A Region is the base URL of the API for an app: one of the constants, or the
// URL of a private cloud.
type Region string

// The regions of RongCloud's public cloud.
const (
	Beijing      Region = "https://api.rong-api.com"
	Singapore    Region = "https://api.sg-light-api.com"
	SingaporeB   Region = "https://api.sg-b-light-api.com"
	NorthAmerica Region = "https://api.us-light-api.com"
	SaudiArabia  Region = "https://api.sau-light-api.com"
)

// backup returns the backup host of a Region constant, and "" for any other.
func (r Region) backup() string {
	switch r {
	case Beijing, Singapore, SingaporeB, NorthAmerica, SaudiArabia:
		return strings.Replace(string(r), "//api.", "//api-b.", 1)
	}
	return ""
}

// Config configures a [Client]. Packages fmt, encoding/json, encoding/xml and
// log/slog do not print AppSecret, except in two cases that no method can
// prevent: fmt prints it for a verb that is wrong for the value, such as %p, or
// %s for a pointer to a struct with a Config, and fmt and slog's TextHandler
// print it if the Config is in an unexported field of another struct. Package
// encoding/gob does encode it.
type Config struct {
	AppKey string // required; printable ASCII without spaces

	// AppSecret is required, in printable ASCII without spaces. A secret that is
	// read from a file often ends in a newline, which is refused: use
	// strings.TrimSpace. Package encoding/json neither encodes nor decodes it.
	AppSecret string `json:"-" xml:"-"`

	// Region is required: one of the constants, or the http or https URL of a
	// private cloud, without user, query or fragment:
	// https://chat.example.com:8443, not chat.example.com.
	Region Region

	// Backup is the URL of the backup host of a private cloud, if it has one.
	// It must be empty if Region is one of the constants, which have their own.
	Backup string

	// If Idempotent is true, the Client sends a random number with each
	// message, the parameter msgRandom. RongCloud then refuses a second message
	// with the same number within a minute, so that Send may try again. Set it
	// only if RongCloud has switched that on for your app, which it does on
	// request: otherwise messages may be delivered twice.
	Idempotent bool

	// Timeout is the maximum duration of a Send, including a second attempt.
	// Write 5 * time.Second, not 5. 0 means 8 seconds, since some of SealTalk's
	// clients give up after 10. It must not be negative.
	//
	// If there is a backup host, the first attempt must get a connection within
	// Timeout/3; if Idempotent is set, it must instead get its answer within
	// Timeout/2, and within 30 seconds. If the context ends before Timeout does,
	// the first attempt has at most two thirds of the time until then. Less than
	// Timeout/3 is too little to leave a host that hangs, so Timeout should be no
	// longer than what your requests have. The Client's own transport gives a TCP
	// connection and a TLS handshake Timeout/3 each.
	Timeout time.Duration

	// HTTPClient makes the requests. Its CheckRedirect is not used: no redirect
	// is followed. If it or its Transport is nil, the Client uses
	// [NewTransport]. Another transport should wrap that one, or itself do what
	// RongCloud asks for: close idle connections before RongCloud does, and
	// send fewer than 80 requests over a connection. If it does not call the
	// hooks of net/http/httptrace, Send cannot know that there was no
	// connection, and makes a second attempt only with Idempotent.
	//
	//	&http.Client{Transport: otelhttp.NewTransport(rongcloud.NewTransport(3 * time.Second))} // right
	//	&http.Client{Transport: http.DefaultTransport}                                          // wrong
	HTTPClient *http.Client `json:"-" xml:"-"`
}

// New returns a Client for cfg, or an error that names every problem with cfg.
func New(cfg Config) (*Client, error) {
	cfg.Region = Region(strings.TrimRight(string(cfg.Region), "/"))
	cfg.Backup = strings.TrimRight(cfg.Backup, "/")
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg.Backup = cmp.Or(cfg.Region.backup(), cfg.Backup)
	cfg.Timeout = cmp.Or(cfg.Timeout, 8*time.Second)
	var client http.Client
	if cfg.HTTPClient != nil {
		client = *cfg.HTTPClient
	}
	if client.Transport == nil {
		client.Transport = NewTransport(cfg.Timeout / 3)
	}
	client.Transport = noRedirects{client.Transport}
	if client.Timeout >= cfg.Timeout { // of no use, and net/http starts a goroutine for it, unless it knows the transport
		client.Timeout = 0
	}
	secret := cfg.AppSecret
	cfg.AppSecret = ""
	patience := cfg.Timeout / 3
	if cfg.Idempotent {
		patience = min(patience, msgRandomWindow/2)
	}
	return &Client{cfg, func() string { return secret }, patience, &client, &hosts{inUse: string(cfg.Region), other: cfg.Backup}}, nil
}

// validate shows none of the values: a URL may hold a password.
func (c Config) validate() error {
	var problems []error
	add := func(bad bool, problem string) {
		if bad {
			problems = append(problems, errors.New("rongcloud: Config."+problem))
		}
	}
	add(!isCredential(c.AppKey), "AppKey must be printable ASCII without spaces, and not empty")
	add(!isCredential(c.AppSecret), "AppSecret must be printable ASCII without spaces, and not empty")
	add(!isBaseURL(string(c.Region)), "Region must be one of the constants or an http(s) URL without user, query or fragment")
	add(c.Backup != "" && !isBaseURL(c.Backup), "Backup must be an http(s) URL without user, query or fragment")
	add(c.Backup != "" && c.Region.backup() != "", "Backup is for private clouds: the Region constants have their own")
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
