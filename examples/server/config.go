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
)

// demoN3DKey is the key of a server that was given none.
const demoN3DKey = "11EdDIaqpcim"

const helpText = `The misc endpoints of SealTalk, as a server.
Each flag has an environment variable, which the flag overrides: MISC_APP_KEY for -app-key, and so on.
Traces go to OTEL_EXPORTER_OTLP_ENDPOINT (OTLP over HTTP), and nowhere if it is not set.

`

// config is what the flags and the environment say.
type config struct {
	help         bool
	addr         string
	db           string
	versions     string
	n3dKey       string
	rongcloud    string
	appKey       string
	appSecret    string
	sessionKey   string
	seed         bool
	otlpEndpoint string
	limits       limits
}

// limits are the times after which the server gives up.
type limits struct {
	start   time.Duration // for the database to answer and its tables to be ready
	request time.Duration // for the work on a request, the database and the cloud included
	write   time.Duration // from the end of the header to the end of the answer; longer than request
	drain   time.Duration // for requests in flight at the end
	cloud   time.Duration // for the chat cloud to take a message; shorter than request
}

var defaultLimits = limits{
	start:   20 * time.Second,
	request: 10 * time.Second,
	write:   18 * time.Second,
	drain:   20 * time.Second,
	cloud:   8 * time.Second,
}

// usageError is a fault of a flag or of its environment variable.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usageErrorf(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// parseConfig reads each setting from its flag, else from its environment
// variable, else from its default. Its errors show no value that may be a
// secret or hold one. It answers -h on stdout.
func parseConfig(args []string, stdout io.Writer) (config, error) {
	cfg := config{limits: defaultLimits, otlpEndpoint: os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT")}
	flags := flag.NewFlagSet("server", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&cfg.addr, "addr", "127.0.0.1:8585", "`HOST:PORT` to listen on; the demo's login works on loopback alone")
	flags.StringVar(&cfg.db, "db", "sqlite:misc.db", "the `DATABASE`: sqlite:FILE, mysql:DSN (user:password@tcp(host:3306)/name) or postgres://user:password@host:5432/name")
	flags.StringVar(&cfg.versions, "versions", "", "the `DIR` of squirrel.json or releases.json, client_version.json and demo_square.json (default "+demoVersionsDir+", into which the demo's files are put)")
	flags.StringVar(&cfg.n3dKey, "n3d-key", "", "the `KEY` of public ids, the same as on the deployment's other servers (default the demo's)")
	flags.StringVar(&cfg.rongcloud, "rongcloud", "", "the chat cloud, as `REGION` ("+regionNames+") or URL (default beijing)")
	flags.StringVar(&cfg.appKey, "app-key", "", "the `KEY` of your RongCloud app (default none: a stand-in logs the messages)")
	flags.StringVar(&cfg.appSecret, "app-secret", "", "the `SECRET` of your RongCloud app; other users of a machine see flags, so prefer the variable")
	flags.StringVar(&cfg.sessionKey, "session-key", "", "the `KEY` that signs the demo's sessions, 32 characters or more (default a new one at each start)")
	flags.BoolVar(&cfg.seed, "seed", true, "put demo friends and a group into a fresh database")

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
	cfg.n3dKey = cmp.Or(cfg.n3dKey, demoN3DKey)
	if (cfg.appKey == "") != (cfg.appSecret == "") {
		faults = append(faults, errors.New("-app-key and -app-secret go together"))
	}
	if cfg.rongcloud != "" && cfg.appKey == "" {
		faults = append(faults, errors.New("-rongcloud needs -app-key and -app-secret"))
	}
	if cfg.sessionKey != "" && len(cfg.sessionKey) < 32 {
		faults = append(faults, errors.New("-session-key must have 32 characters or more"))
	}
	if len(faults) > 0 {
		return config{}, usageError{errors.Join(faults...)}
	}
	return cfg, nil
}
