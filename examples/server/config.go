package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/peterbourgon/ff/v3"
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
	sessionKey   string
	seed         bool
	log          string
	check        bool
	userLimit    int
	addressLimit int
	groupQuota   int
	privateQuota int
	stopDelay    time.Duration
	otlpEndpoint string
	limits       limits
}

// limits are the times after which the server stops waiting.
type limits struct {
	start   time.Duration // for the database to answer and its tables to be ready
	request time.Duration // for the work on a request, including the database and the cloud
	write   time.Duration // from the end of the header to the end of the answer; longer than request
	cloud   time.Duration // for the chat cloud to accept a message
	quota   time.Duration // for the quota to allow a message; quota and cloud together are shorter than request
	idle    time.Duration // when stopping, for clients to close connections on which they send nothing
	drain   time.Duration // after that, for requests in flight to finish
}

var defaultLimits = limits{
	start:   20 * time.Second,
	request: 10 * time.Second,
	write:   18 * time.Second,
	cloud:   8 * time.Second,
	quota:   time.Second,
	idle:    3 * time.Second,
	drain:   20 * time.Second,
}

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
	var n3dKey string
	flags := flag.NewFlagSet("server", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&cfg.addr, "addr", "127.0.0.1:8585", "`HOST:PORT` to listen on; the demo's login works on loopback alone")
	flags.StringVar(&cfg.db, "db", "sqlite:misc.db", "the `DATABASE`: sqlite:FILE, mysql:DSN (user:password@tcp(host:3306)/name) or postgres://user:password@host:5432/name")
	flags.StringVar(&cfg.versions, "versions", "", "the `DIR` of squirrel.json or releases.json, client_version.json and demo_square.json (default "+demoVersionsDir+", into which the demo's files are put)")
	flags.StringVar(&n3dKey, "n3d-key", "", "the `KEY` of public ids, the same as on the deployment's other servers (default the demo's)")
	flags.StringVar(&cfg.rongcloud, "rongcloud", "", "the chat cloud, as `REGION` ("+regionNames+") or URL (default beijing)")
	flags.StringVar(&cfg.appKey, "app-key", "", "the `KEY` of your RongCloud app (default none: a stand-in logs the messages)")
	flags.StringVar(&cfg.appSecret, "app-secret", "", "the `SECRET` of your RongCloud app; other users of a machine see flags, so prefer the variable")
	flags.StringVar(&cfg.sessionKey, "session-key", "", "the `KEY` that signs the demo's sessions, 32 characters or more (default a new one at each start)")
	flags.BoolVar(&cfg.seed, "seed", true, "put demo friends and a group into a fresh database")
	flags.IntVar(&cfg.userLimit, "user-limit", 5, "the `NUMBER` of POSTs that a user may send in a second; each instance counts its own")
	flags.IntVar(&cfg.addressLimit, "address-limit", 20, "the `NUMBER` of POSTs without a login that an address may send in a second")
	flags.IntVar(&cfg.groupQuota, "group-quota", 20, "the `NUMBER` of group messages that go to RongCloud in a second: the app's quota, divided by the number of instances")
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
	case err != nil:
		faults = append(faults, fmt.Errorf("%w; -h lists the flags", err))
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
	if cfg.sessionKey != "" && len(cfg.sessionKey) < 32 {
		faults = append(faults, errors.New("-session-key must have 32 characters or more"))
	}
	if cfg.log != "text" && cfg.log != "json" {
		faults = append(faults, errors.New("-log must be text or json"))
	}
	if cfg.userLimit < 1 || cfg.addressLimit < 1 || cfg.stopDelay < 0 {
		faults = append(faults, errors.New("-user-limit and -address-limit must be 1 or more, and -stop-delay not negative"))
	}
	if min(cfg.groupQuota, cfg.privateQuota) <= 2*cfg.userLimit {
		faults = append(faults, errors.New("-group-quota and -private-quota must be more than twice -user-limit, or one user can use them up"))
	}
	if len(faults) > 0 {
		return cfg, usageError{errors.Join(faults...)}
	}
	return cfg, nil
}
