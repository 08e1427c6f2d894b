package rongcloud_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc/rongcloud"
)

func TestNewNamesEveryProblemAtOnceAndNoValue(t *testing.T) {
	t.Parallel()
	const (
		badKey    = "Config.AppKey must be printable ASCII without spaces, and not empty"
		badSecret = "Config.AppSecret must be printable ASCII without spaces, and not empty"
		badRegion = "Config.Region must be one of the constants or an http(s) URL without user, query or fragment"
		badBackup = "Config.Backup must be an http(s) URL without user, query or fragment"
		ownBackup = "Config.Backup is for private clouds: the Region constants have their own"
		badTime   = "Config.Timeout must not be negative"
	)
	valid := rongcloud.Config{AppKey: appKey, AppSecret: appSecret, Region: rongcloud.Beijing}
	with := func(change func(*rongcloud.Config)) rongcloud.Config {
		cfg := valid
		change(&cfg)
		return cfg
	}
	tests := map[string]struct {
		cfg  rongcloud.Config
		want []string
	}{
		"valid":              {valid, nil},
		"zero value":         {rongcloud.Config{}, []string{badKey, badSecret, badRegion}},
		"all wrong":          {rongcloud.Config{AppKey: "a b", AppSecret: "s3cr3t\n", Region: "x", Backup: "y", Timeout: -1}, []string{badKey, badSecret, badRegion, badBackup, badTime}},
		"key not ASCII":      {with(func(c *rongcloud.Config) { c.AppKey = "ключ" }), []string{badKey}},
		"key with a newline": {with(func(c *rongcloud.Config) { c.AppKey = "key\r\nSignature: x" }), []string{badKey}},
		"secret with DEL":    {with(func(c *rongcloud.Config) { c.AppSecret = "s3cr3t\x7f" }), []string{badSecret}},
		"named with backup":  {with(func(c *rongcloud.Config) { c.Backup = "https://b.example" }), []string{ownBackup}},
		"private":            {with(func(c *rongcloud.Config) { c.Region = "http://rc.example:8080" }), nil},
		"private, backup":    {with(func(c *rongcloud.Config) { c.Region, c.Backup = "https://rc.example/", "http://[::1]:80/" }), nil},
		"bad backup":         {with(func(c *rongcloud.Config) { c.Region, c.Backup = "https://rc.example", "b.example" }), []string{badBackup}},
		"no time":            {with(func(c *rongcloud.Config) { c.Timeout = -time.Nanosecond }), []string{badTime}},
	}
	for _, region := range []rongcloud.Region{
		"", "/", "rc.example", "//rc.example", "ftp://rc.example", "https://", "https:rc.example", "https://:443",
		"https://user:s3cr3t@rc.example", "https://user@rc.example", "https://rc.example?a=b", "https://rc.example?",
		"https://rc.example#", "https://rc.example/#a", "https://rc example", "https://rc.example:port",
	} {
		tests["region "+string(region)] = struct {
			cfg  rongcloud.Config
			want []string
		}{with(func(c *rongcloud.Config) { c.Region = region }), []string{badRegion}}
	}
	for name, test := range tests {
		c, err := rongcloud.New(test.cfg)
		if test.want == nil {
			assert.NoError(t, err, name)
			assert.NotNil(t, c, name)
			continue
		}
		assert.EqualError(t, err, "rongcloud: "+strings.Join(test.want, "\nrongcloud: "), name)
		assert.NotContains(t, fmt.Sprint(err), "s3cr3t", name)
		assert.Nil(t, c, name)
	}
}

// prints returns v in every form in which it may be logged.
func prints(v any) string {
	var b bytes.Buffer
	for _, format := range []string{"%v\n", "%+v\n", "%#v\n", "%s\n", "%q\n", "%x\n", "%d\n"} {
		fmt.Fprintf(&b, format, v)
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
		slog.New(h).Info("printed", "value", v)
	}
	j, err := json.Marshal(v)
	fmt.Fprintf(&b, "%s %v\n", j, err)
	return b.String()
}

func assertHides(t *testing.T, printed string, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		require.NotEmpty(t, secret)
		assert.NotContains(t, printed, secret)
		assert.NotContains(t, printed, fmt.Sprintf("%x", secret))
	}
}

func TestPrintingNeverShowsTheSecret(t *testing.T) {
	t.Parallel()
	cfg := rongcloud.Config{AppKey: appKey, AppSecret: appSecret, Region: rongcloud.Singapore, HTTPClient: &http.Client{}}
	c := newClient(t, cfg)
	var none *rongcloud.Config
	for name, v := range map[string]any{
		"Config":  cfg,
		"*Config": &cfg,
		"nil":     none,
		"*Client": c,
		"Client":  *c,
		"host": struct {
			Config  rongcloud.Config
			Pointer *rongcloud.Config
			Client  *rongcloud.Client
			Copy    rongcloud.Client
			Any     any
		}{cfg, &cfg, c, *c, cfg},
		"map":   map[string]rongcloud.Config{"app": cfg},
		"slice": []*rongcloud.Config{&cfg},
	} {
		t.Run(name, func(t *testing.T) { assertHides(t, prints(v), appSecret) })
	}
	assert.Contains(t, fmt.Sprintf("%+v", cfg), "AppKey:"+appKey, "what is no secret is shown")
	j, err := json.Marshal(cfg)
	require.NoError(t, err)
	x, err := xml.Marshal(rongcloud.Config{AppKey: appKey, AppSecret: appSecret})
	require.NoError(t, err)
	assert.NotContains(t, string(x), appSecret)
	assert.JSONEq(t, `{"AppKey":"uwd1c0sxdlx2","Region":"https://api.sg-light-api.com","Backup":"","Idempotent":false,"Timeout":0}`, string(j))
}

// net/http quotes what it refuses.
func TestASecretWithAQuoteIsMaskedToo(t *testing.T) {
	t.Parallel()
	const secret = `s3c"r3t\`
	c := newClient(t, rongcloud.Config{AppKey: appKey, AppSecret: secret, Region: rongcloud.Region(rawHost(t, "HTTP/1.1 "+secret+"\r\n\r\n"))})
	err := c.Send(t.Context(), hello)
	assert.ErrorContains(t, err, "[secret]")
	assert.NotContains(t, err.Error(), "r3t")
}

func TestErrorsNeverShowTheSecretOrASignature(t *testing.T) {
	t.Parallel()
	var signature string // of the last request
	transports := map[string]roundTripper{
		"cause with the signature": func(r *http.Request) (*http.Response, error) {
			return nil, errors.New("cannot send " + r.Header.Get("Signature"))
		},
		"cause with the request": func(r *http.Request) (*http.Response, error) { return nil, fmt.Errorf("cannot send %v", r.Header) },
		"cause with the secret":  func(*http.Request) (*http.Response, error) { return nil, errors.New("proxy says " + appSecret) },
		"plain cause":            func(*http.Request) (*http.Response, error) { return nil, errBroken },
		"time-out": func(r *http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("%v: %w", r.Header, context.DeadlineExceeded)
		},
	}
	for name, answer := range map[string]http.HandlerFunc{
		"message with the secret": func(w http.ResponseWriter, r *http.Request) {
			reply(http.StatusUnauthorized, `{"code":1004,"errorMessage":"secret `+appSecret+` is wrong"}`)(w, r)
		},
		"secret where the message is cut": func(w http.ResponseWriter, r *http.Request) {
			reply(http.StatusUnauthorized, `{"code":1004,"errorMessage":"`+strings.Repeat("x", 250)+appSecret+`"}`)(w, r)
		},
		"message with the signature": func(w http.ResponseWriter, r *http.Request) {
			reply(http.StatusUnauthorized, `{"code":1004,"errorMessage":"got `+r.Header.Get("Signature")+` instead"}`)(w, r)
		},
		"signature where the message is cut": func(w http.ResponseWriter, r *http.Request) {
			reply(http.StatusUnauthorized, `{"code":1004,"errorMessage":"`+strings.Repeat("x", 230)+r.Header.Get("Signature")+`"}`)(w, r)
		},
		"garbage with the signature": func(w http.ResponseWriter, r *http.Request) {
			reply(http.StatusBadGateway, r.Header.Get("Signature"))(w, r)
		},
		"redirect to the signature": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "/"+r.Header.Get("Signature"))
			w.WriteHeader(http.StatusFound)
		},
		"redirect to nowhere": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "http://["+r.Header.Get("Signature"))
			w.WriteHeader(http.StatusFound)
		},
		"retry after the signature": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", r.Header.Get("Signature"))
			w.WriteHeader(http.StatusTooManyRequests)
		},
		"connection lost":   drop,
		"answer broken off": breakOff,
		"no answer":         hang,
	} {
		h := newHost(t, answer)
		transports[name] = func(r *http.Request) (*http.Response, error) {
			r = r.Clone(r.Context())
			r.URL.Host = h.Listener.Addr().String()
			return http.DefaultTransport.RoundTrip(r)
		}
	}
	for name, transport := range transports {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, rongcloud.Config{
				Region:  "http://rc.example",
				Timeout: 200 * time.Millisecond,
				HTTPClient: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
					signature = r.Header.Get("Signature")
					return transport(r)
				})},
			})
			err := c.Send(t.Context(), hello)
			require.Error(t, err)
			assertHides(t, prints(err), appSecret, signature, signature[:20])
			for e := err; e != nil; e = errors.Unwrap(e) {
				assertHides(t, prints(e), appSecret, signature, signature[:20])
			}
		})
	}
}
