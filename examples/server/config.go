package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/peterbourgon/ff/v3"
	"github.com/realclientip/realclientip-go"
	"github.com/sealtalk-go/misc/n3d"
)

// demoN3DKey is the key of a server that was not given one.
const demoN3DKey = "11EdDIaqpcim"

const helpText = `The misc endpoints of SealTalk, as a server.
Each flag has an environment variable, which the flag overrides: MISC_APP_KEY for -app-key, and so on.
Traces go to OTEL_EXPORTER_OTLP_ENDPOINT (OTLP over HTTP), and nowhere if it is not set.

`

// config holds the settings from the flags and the environment.
type config struct {
	help         bool
	addr         string
	db           string
	versions     string
	codec        *n3d.Codec
	demoKey      bool // codec has the demo's key
	rongcloud    string
	appKey       string
	appSecret    string
	login        string // the server whose cookie is read; empty: ownLogin
	cookieName   string
	cookieKey    string
	cookieMaxAge time.Duration
	notLoggedIn  int // the code of a missing login; 0: the status
	prefix       string
	proxies      []net.IPNet
	seed         bool
	log          string
	check        bool
	userLimit    int
	readLimit    int
	addressLimit int
	redis        string
	instances    int
	groupQuota   int
	privateQuota int
	stopDelay    time.Duration
	otlpEndpoint string
	limits       limits
}

// limits are the times after which the server stops waiting.
type limits struct {
	start    time.Duration // for the database to answer and its tables to be ready
	request  time.Duration // for the work on a request, including the database and the cloud
	write    time.Duration // from the end of the header to the end of the answer; longer than request
	database time.Duration // for MySQL to answer a statement, unless the DSN says otherwise; shorter than request
	cloud    time.Duration // for the chat cloud to accept a message
	quota    time.Duration // for the quota to allow a message; quota and cloud together are shorter than request
	idle     time.Duration // when stopping, for clients to close connections on which they send nothing
	drain    time.Duration // after that, for requests in flight to finish
}

var defaultLimits = limits{
	start:    20 * time.Second,
	request:  10 * time.Second,
	write:    18 * time.Second,
	database: 9 * time.Second, // Galera answers nothing for 6 to 8 s after a node has died
	cloud:    8 * time.Second,
	quota:    time.Second,
	idle:     3 * time.Second,
	drain:    20 * time.Second,
}

// prefixPattern matches paths without characters that have a meaning in the
// patterns of [http.ServeMux].
var prefixPattern = regexp.MustCompile(`^/([A-Za-z0-9._~-]+/)+$`)

// usageError is an error in a flag or its environment variable.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usageErrorf(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// parseConfig takes each setting from its flag, or else from its environment
// variable, or else from its default. Its errors show no value that may be or
// contain a secret. It prints the help for -h to stdout.
func parseConfig(args []string, stdout io.Writer) (config, error) {
	cfg := config{limits: defaultLimits, otlpEndpoint: os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT")}
	var n3dKey, proxies string
	flags := flag.NewFlagSet("server", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&cfg.addr, "addr", "127.0.0.1:8585", "`HOST:PORT` to listen on; without -login, the demo's login works on loopback alone")
	flags.StringVar(&cfg.db, "db", "sqlite:misc.db", "the `DATABASE`: sqlite:FILE, mysql:DSN (user:password@tcp(host:3306)/name) or postgres://user:password@host:5432/name")
	flags.StringVar(&cfg.versions, "versions", "", "the `DIR` of squirrel.json or releases.json, client_version.json and demo_square.json (default "+demoVersionsDir+", into which the demo's files are put); database[:DIR] for the table config_list of SealTalk's Java server of 2025, with the desktop releases of DIR or none")
	flags.StringVar(&n3dKey, "n3d-key", "", "the `KEY` of public ids, the same as on the deployment's other servers (default the demo's)")
	flags.StringVar(&cfg.rongcloud, "rongcloud", "", "the chat cloud, as `REGION` ("+regionNames+") or URL (default beijing)")
	flags.StringVar(&cfg.appKey, "app-key", "", "the `KEY` of your RongCloud app (default none: a stand-in logs the messages)")
	flags.StringVar(&cfg.appSecret, "app-secret", "", "the `SECRET` of your RongCloud app; other users of a machine see flags, so prefer the variable")
	flags.StringVar(&cfg.login, "login", "", "the `SERVER` at which users log in, and whose cookie is read: node2019, java2020 or java2025 (default none: the login in login.go)")
	flags.StringVar(&cfg.cookieName, "auth-cookie-name", "", "the `NAME` of its cookie, its AUTH_COOKIE_NAME (default rong_auth_cookie, for java2025 st_cookie)")
	flags.StringVar(&cfg.cookieKey, "auth-cookie-key", "", "the `KEY` of its cookie, its AUTH_COOKIE_KEY")
	flags.DurationVar(&cfg.cookieMaxAge, "auth-cookie-max-age", 0, "the `TIME` after which a login is over, such as 720h (default never, as at the old servers)")
	flags.IntVar(&cfg.notLoggedIn, "not-logged-in-code", 0, "the `CODE` in the body of the 403 for a missing login (default 10000 with -login, which sends clients to their login page, otherwise 403)")
	flags.StringVar(&cfg.prefix, "prefix", "/misc/", "the `PATH` of the endpoints; the newest clients ask for /server-api/misc/")
	flags.StringVar(&proxies, "proxies", "", "the `NETWORKS` of your proxies, such as 10.0.0.0/8,::1, whose X-Forwarded-For is believed in limits and log (default none)")
	flags.BoolVar(&cfg.seed, "seed", true, "put demo friends and a group into a fresh database")
	flags.IntVar(&cfg.userLimit, "user-limit", 5, "the `NUMBER` of POSTs that a user may send in a second, apart from get_screen_capture; without -redis, each instance counts its own")
	flags.IntVar(&cfg.readLimit, "read-limit", 50, "the `NUMBER` of get_screen_capture, likewise")
	flags.IntVar(&cfg.addressLimit, "address-limit", 20, "the `NUMBER` of POSTs without a login that an address may send in a second, get_screen_capture and /demo/login counted apart")
	flags.StringVar(&cfg.redis, "redis", "", "the `URL` of a Redis, redis://user:password@host:6379/0, that counts limits and quotas for all instances (default none: each counts its own)")
	flags.IntVar(&cfg.instances, "instances", 1, "the `NUMBER` of instances that share -redis; while it is away, each keeps to its share")
	flags.IntVar(&cfg.groupQuota, "group-quota", 20, "the `NUMBER` of group messages that go to RongCloud in a second: the app's quota, without -redis divided by the number of instances")
	flags.IntVar(&cfg.privateQuota, "private-quota", 100, "the `NUMBER` of private messages, likewise")
	flags.DurationVar(&cfg.stopDelay, "stop-delay", 3*time.Second, "the `TIME` from the signal to stop until new connections are refused; longer than your load balancer takes to notice /readyz")
	flags.StringVar(&cfg.log, "log", "text", "the `FORM` of the log: text or json")
	flags.BoolVar(&cfg.check, "check", false, "check settings, versions and database, change nothing, and exit with 0 if all is well, otherwise 1")

	var faults []error
	switch err := ff.Parse(flags, args, ff.WithEnvVarPrefix("MISC")); {
	case errors.Is(err, flag.ErrHelp):
		flags.SetOutput(stdout)
		fmt.Fprint(stdout, helpText)
		flags.PrintDefaults()
		return config{help: true}, nil
	case err != nil: // the flags behind it were not read
		return cfg, usageError{fmt.Errorf("%w; -h lists the flags and the values they take", err)}
	case flags.NArg() > 0:
		faults = append(faults, errors.New("there are flags, and no other arguments; -h lists them"))
	}
	cfg.demoKey = n3dKey == ""
	var err error
	if cfg.codec, err = n3d.New(cmp.Or(n3dKey, demoN3DKey)); err != nil {
		faults = append(faults, fmt.Errorf("-n3d-key: %w", err))
	}
	if (cfg.appKey == "") != (cfg.appSecret == "") {
		faults = append(faults, errors.New("-app-key and -app-secret go together"))
	}
	if cfg.rongcloud != "" && cfg.appKey == "" {
		faults = append(faults, errors.New("-rongcloud needs -app-key and -app-secret"))
	}
	if cfg.log != "text" && cfg.log != "json" {
		faults = append(faults, errors.New("-log must be text or json"))
	}
	if cfg.login == "" && (cfg.cookieName != "" || cfg.cookieKey != "" || cfg.cookieMaxAge != 0) {
		faults = append(faults, errors.New("-auth-cookie-name, -auth-cookie-key and -auth-cookie-max-age need -login"))
	}
	if _, ok := logins[cfg.login]; !ok && cfg.login != "" {
		faults = append(faults, errors.New("-login must be node2019, java2020 or java2025"))
	}
	if cfg.login != "" && cfg.cookieKey == "" {
		faults = append(faults, errors.New("-login needs -auth-cookie-key"))
	}
	if cfg.notLoggedIn == 0 && cfg.login != "" {
		cfg.notLoggedIn = 10000
	}
	if cfg.notLoggedIn < 0 || cfg.notLoggedIn == 200 {
		faults = append(faults, errors.New("-not-logged-in-code must be a code of failure, such as 10000"))
	}
	if !prefixPattern.MatchString(cfg.prefix) || path.Clean(cfg.prefix)+"/" != cfg.prefix {
		faults = append(faults, fmt.Errorf("-prefix is %.100q and must be a path with a slash at both ends, such as /server-api/misc/", cfg.prefix))
	}
	if proxies != "" {
		if cfg.proxies, err = realclientip.AddressesAndRangesToIPNets(strings.Split(strings.ReplaceAll(proxies, " ", ""), ",")...); err != nil {
			faults = append(faults, fmt.Errorf("-proxies must be addresses or networks with commas between them, such as 10.0.0.0/8,::1: %w", err))
		}
	}
	if cfg.userLimit < 1 || cfg.readLimit < 1 || cfg.addressLimit < 1 || cfg.stopDelay < 0 {
		faults = append(faults, errors.New("-user-limit, -read-limit and -address-limit must be 1 or more, and -stop-delay not negative"))
	}
	if min(cfg.groupQuota, cfg.privateQuota) <= 2*cfg.userLimit {
		faults = append(faults, errors.New("-group-quota and -private-quota must be more than twice -user-limit, or one user can use them up"))
	}
	if cfg.instances != 1 && cfg.redis == "" || cfg.instances < 1 || cfg.instances > min(cfg.groupQuota, cfg.privateQuota) {
		faults = append(faults, errors.New("-instances must be 1 or more, needs -redis, and must not be more than -group-quota and -private-quota"))
	}
	if len(faults) > 0 {
		return cfg, usageError{errors.Join(faults...)}
	}
	return cfg, nil
}
