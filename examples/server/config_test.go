package main

import (
	"database/sql"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sealtalk-go/misc/n3d"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace/noop"
)

func TestWhatIsWrongAtTheStartIsToldInOneLineWithoutSecrets(t *testing.T) {
	const secret = "hunter2-hunter2"
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts connections, and never answers
	require.NoError(t, err)
	defer silent.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	refusing := closed.Addr().String()
	require.NoError(t, closed.Close())
	dir := t.TempDir()
	noTable := filepath.Join(dir, "other.db")
	db, err := sql.Open("sqlite", noTable)
	require.NoError(t, err)
	_, err = db.Exec("CREATE TABLE friendships (userId INTEGER)")
	require.NoError(t, err)
	require.NoError(t, db.Close())

	for _, c := range []struct {
		name    string
		args    []string
		usage   bool
		message string
	}{
		{"unknown flag", []string{"-colour"}, true, "-colour"},
		{"argument", []string{secret}, true, "no other arguments"},
		{"bad boolean", []string{"-seed=perhaps"}, true, "-seed"},
		{"key without secret", []string{"-app-key", secret}, true, "-app-key and -app-secret go together"},
		{"region without key", []string{"-rongcloud", "singapore"}, true, "-rongcloud needs -app-key"},
		{"unknown region", []string{"-rongcloud", "atlantis", "-app-key", "k", "-app-secret", secret}, true, "beijing, north-america, saudi-arabia, singapore, singapore-b, or a URL"},
		{"bad secret", []string{"-app-key", "k", "-app-secret", secret + " "}, true, "AppSecret"},
		{"unknown form of the log", []string{"-log", "xml"}, true, "-log must be text or json"},
		{"no limit", []string{"-user-limit", "0"}, true, "-user-limit, -read-limit and -address-limit must be 1 or more"},
		{"unknown login", []string{"-login", "node", "-auth-cookie-key", secret}, true, "-login must be node2019, java2020 or java2025"},
		{"a login without a key", []string{"-login", "node2019"}, true, "-login needs -auth-cookie-key"},
		{"a key without a login", []string{"-auth-cookie-key", secret}, true, "need -login"},
		{"a login without its table", []string{"-login", "java2025", "-auth-cookie-key", secret}, false, "table login_token is missing"},
		{"versions without their table", []string{"-versions", "database"}, false, "table config_list is missing"},
		{"a code of success", []string{"-not-logged-in-code", "200"}, true, "-not-logged-in-code must be"},
		{"a login that is never over", []string{"-login", "node2019", "-auth-cookie-key", secret, "-auth-cookie-max-age", "-1h"}, true, "-auth-cookie-…: session: Config.MaxAge"},
		{"half a prefix", []string{"-prefix", "/misc"}, true, "-prefix is \"/misc\" and must be"},
		{"a prefix that no path has", []string{"-prefix", "/misc/../"}, true, "-prefix is \"/misc/../\" and must be"},
		{"a name for a proxy", []string{"-proxies", "10.0.0.0/8,proxy"}, true, "-proxies must be addresses or networks"},
		{"a user who can use up the quota", []string{"-user-limit", "10", "-group-quota", "20"}, true, "more than twice -user-limit"},
		{"bad N3D key", []string{"-n3d-key", "x"}, true, "-n3d-key: n3d: key: too short"},
		{"unknown database", []string{"-db", "oracle://scott:" + secret + "@host"}, true, "sqlite:FILE, mysql:DSN or postgres://"},
		{"no file", []string{"-db", "sqlite:"}, true, "sqlite:misc.db"},
		{"database in memory", []string{"-db", "sqlite::memory:"}, true, "sqlite:misc.db"},
		{"bad MySQL DSN", []string{"-db", "mysql:scott:" + secret + "@nowhere"}, true, "user:password@tcp(host:3306)/name"},
		{"bad PostgreSQL URL", []string{"-db", "postgres://scott:" + secret + "@host:port/name"}, true, "postgres://user:password@host:5432/name"},
		{"MySQL DSN without a name", []string{"-db", "mysql:scott:@/" + secret + "@tcp(" + refusing + ")"}, true, "user:password@tcp(host:3306)/name"},
		{"MySQL DSN without an address", []string{"-db", "mysql:scott:12/" + secret}, true, "user:password@tcp(host:3306)/name"},
		{"MySQL URL", []string{"-db", "mysql:mysql://scott:" + secret + "@" + refusing + "/sealtalk"}, true, "user:password@tcp(host:3306)/name"},
		{"MySQL with a password behind the name", []string{"-db", "mysql:scott@tcp(" + refusing + ")/sealtalk?Password=" + secret}, true, "user:password@tcp(host:3306)/name"},
		{"PostgreSQL password with a slash", []string{"-db", "postgres://scott:12/" + secret + "@host/name"}, true, "of user and password are %2F"},
		{"PostgreSQL password with an @ and a slash", []string{"-db", "postgres://scott:p@12/" + secret + "@host/name"}, true, "of user and password are %2F"},
		{"PostgreSQL password with a question mark", []string{"-db", "postgres://scott:12?" + secret + "@host/name"}, true, "of user and password are %2F"},
		{"PostgreSQL password with a #", []string{"-db", "postgres://" + secret + ":12#" + secret + "@host/name"}, true, "of user and password are %2F"},
		{"PostgreSQL password with a broken escape", []string{"-db", "postgres://scott:%zz" + secret + "@host/name"}, true, "of user and password are %2F"},
		{"PostgreSQL without //", []string{"-db", "postgres:password=" + secret + " host=" + refusing + " user=scott"}, true, "of user and password are %2F"},
		{"URL for SQLite", []string{"-db", "sqlite://scott:" + secret + "@host/name"}, true, "sqlite:misc.db"},
		{"other URL for SQLite", []string{"-db", "sqlite:postgres://scott:" + secret + "@host/name"}, true, "sqlite:misc.db"},
		{"Redis with a password with a slash", []string{"-redis", "redis://u:12/" + secret + "@host:6379/0"}, true, "of user and password are %2F"},
		{"Redis with a password with a #", []string{"-redis", "redis://u:12#" + secret + "@host:6379/0"}, true, "of user and password are %2F"},
		{"Redis without a host", []string{"-redis", "redis://u:" + secret}, true, "-redis needs a URL"},
		{"Redis of another kind", []string{"-redis", "memcached://u:" + secret + "@host"}, true, "-redis needs a URL"},
		{"Redis with an unknown setting", []string{"-redis", "redis://host/0?auth=" + secret}, true, "-redis needs a URL"},
		{"instances without Redis", []string{"-instances", "2"}, true, "-instances must be"},
		{"more instances than messages", []string{"-instances", "100001", "-redis", "redis://host"}, true, "-instances must be"},
		{"file in no folder", []string{"-db", "sqlite:" + filepath.Join(dir, "none", "misc.db")}, false, "does not answer"},
		{"tables of something else", []string{"-db", "sqlite:" + noTable}, false, "table friendships has no column friendId"},
		{"MySQL that refuses", []string{"-db", "mysql:scott:" + secret + "@tcp(" + refusing + ")/sealtalk"}, false, "MySQL database sealtalk on " + refusing + " does not answer"},
		{"MySQL that hangs", []string{"-db", "mysql:scott:" + secret + "@tcp(" + silent.Addr().String() + ")/sealtalk?readTimeout=20ms"}, false, "does not answer"},
		{"PostgreSQL that refuses", []string{"-db", "postgres://scott:" + secret + "@" + refusing + "/sealtalk?sslmode=disable"}, false, "PostgreSQL database sealtalk on " + refusing + " does not answer"},
		{"no versions", []string{"-versions", filepath.Join(dir, "none")}, false, "the directory of the files"},
		{"address in use", []string{"-addr", silent.Addr().String()}, false, "-addr"},
	} {
		work := t.TempDir()
		args := append(testArgs(t, work), c.args...)
		for _, check := range []bool{false, true} {
			if check {
				args = append([]string{"-check"}, args...)
			}
			var out, log output
			status := run(t.Context(), args, &out, &log)
			switch {
			case check && c.name == "address in use": // a check does not listen, and can run beside the server
				continue
			case c.usage && !check:
				assert.Equal(t, 2, status, c.name)
			default:
				assert.Equal(t, 1, status, c.name)
			}
			assert.Regexp(t, `(?m)^\S+ level=ERROR msg=.* error=.*`+regexp.QuoteMeta(strings.ReplaceAll(c.message, `"`, `\"`)), log.String(), c.name)
			assert.NotContains(t, log.String(), `\n`, "one line for each finding")
			assert.NotContains(t, out.String()+log.String(), secret, c.name)
		}
	}
}

func TestACheckNamesEachFindingInALineAndChangesNothing(t *testing.T) {
	dir := t.TempDir()
	cfg := testConfig(t, dir)
	check := func(args ...string) (status int, log string) {
		var out, lines output
		status = run(t.Context(), append(append(testArgs(t, dir), "-check"), args...), &out, &lines)
		assert.Empty(t, out.String())
		return status, lines.String()
	}
	contents := func() map[string]string {
		found := map[string]string{}
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, entry := range entries {
			content, err := os.ReadFile(filepath.Join(dir, entry.Name()))
			require.NoError(t, err)
			found[entry.Name()] = string(content)
		}
		return found
	}

	before := contents()
	status, log := check()
	assert.Equal(t, 1, status)
	assert.Regexp(t, `level=ERROR msg=database error=".*misc.db does not answer`, log, "a missing file is not made")
	assert.True(t, maps.Equal(before, contents()), "the files are as they were")

	start(t, cfg).stop()
	before = contents()
	status, log = check()
	assert.Equal(t, 0, status, log)
	assert.Equal(t, 7, strings.Count(log, " state="), log)
	for _, part := range []string{"settings", "traces", "versions", `"chat cloud"`, "database", "login", "tables"} {
		assert.Contains(t, log, "level=INFO msg="+part+" state=")
	}
	assert.True(t, maps.Equal(before, contents()), "the files are as they were")

	javaTables(t, dir)
	status, log = check("-login", "java2025", "-auth-cookie-key", cookieKey, "-auth-cookie-max-age", "720h", "-versions", "database")
	assert.Equal(t, 0, status, log)
	for _, read := range []string{
		`level=WARN msg="-login without -n3d-key: `,
		`msg=login state="at java2025, by its cookie st_cookie and the table login_token, with a maximum age of 720h0m0s; a missing login has the code 10000"`,
		`msg=versions state="in the table config_list `,
		`file=client_version.json version=.* revision=[0-9a-f]{12}\n`,
		`msg=tables state="screen_statuses, friendships and group_members are complete"`,
	} {
		assert.Regexp(t, read, log)
	}

	require.NoError(t, os.WriteFile(filepath.Join(dir, "squirrel.json"), []byte("{}"), 0o600))
	db, err := sql.Open("sqlite", filepath.Join(dir, "misc.db"))
	require.NoError(t, err)
	_, err = db.Exec("DROP TABLE friendships; DROP TABLE group_members")
	require.NoError(t, errors.Join(err, db.Close()))
	status, log = check("-log", "json", "-rongcloud", "atlantis", "-app-key", "k", "-app-secret", "s")
	assert.Equal(t, 1, status)
	assert.Equal(t, 5, strings.Count(log, `"level":"ERROR"`), "two keys of squirrel.json, the region, two tables: %s", log)
	for _, finding := range []string{"squirrel.json", "-rongcloud must be", "table friendships is missing", "table group_members is missing"} {
		assert.Contains(t, log, finding)
	}
}

func TestEachFlagHasAVariableThatItOverrides(t *testing.T) {
	env := map[string]string{
		"MISC_ADDR": "127.0.0.1:1", "MISC_DB": "sqlite:env.db", "MISC_VERSIONS": "env", "MISC_N3D_KEY": "env-n3d-key-0",
		"MISC_RONGCLOUD": "singapore", "MISC_APP_KEY": "env-key", "MISC_APP_SECRET": "env-secret", "MISC_SEED": "false",
		"MISC_USER_LIMIT": "1", "MISC_ADDRESS_LIMIT": "2", "MISC_GROUP_QUOTA": "3", "MISC_PRIVATE_QUOTA": "4", "MISC_STOP_DELAY": "5s", "MISC_LOG": "json",
		"MISC_LOGIN": "node2019", "MISC_AUTH_COOKIE_NAME": "c", "MISC_AUTH_COOKIE_KEY": "env-cookie-key",
		"MISC_AUTH_COOKIE_MAX_AGE": "720h", "MISC_NOT_LOGGED_IN_CODE": "1000", "MISC_PREFIX": "/server-api/misc/", "MISC_PROXIES": "10.0.0.0/8, ::1", "MISC_READ_LIMIT": "6", "MISC_REDIS": "redis://env", "MISC_INSTANCES": "3", "MISC_CHECK": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318",
	}
	for name, value := range env {
		t.Setenv(name, value)
	}
	cfg, err := parseConfig([]string{"-db", "sqlite:flag.db"}, io.Discard)
	require.NoError(t, err)
	codec, err := n3d.New("env-n3d-key-0")
	require.NoError(t, err)
	assert.Equal(t, config{
		addr: "127.0.0.1:1", db: "sqlite:flag.db", versions: "env", codec: codec,
		login: "node2019", cookieName: "c", cookieKey: "env-cookie-key", cookieMaxAge: 720 * time.Hour, notLoggedIn: 1000, prefix: "/server-api/misc/",
		proxies:   []net.IPNet{{IP: net.IP{10, 0, 0, 0}, Mask: net.CIDRMask(8, 32)}, {IP: net.IPv6loopback, Mask: net.CIDRMask(128, 128)}},
		userLimit: 1, readLimit: 6, addressLimit: 2, redis: "redis://env", instances: 3, groupQuota: 3, privateQuota: 4, stopDelay: 5 * time.Second, log: "json", check: true,
		rongcloud: "singapore", appKey: "env-key", appSecret: "env-secret", seed: false,
		otlpEndpoint: "http://127.0.0.1:4318", limits: defaultLimits,
	}, cfg)

	var help output
	require.Equal(t, 0, run(t.Context(), []string{"-h"}, &help, io.Discard))
	for _, part := range []string{"MISC_APP_KEY for -app-key", "OTEL_EXPORTER_OTLP_ENDPOINT"} {
		assert.Contains(t, help.String(), part)
	}
	assert.NotContains(t, help.String(), "env-", "help shows no secret")
	t.Setenv("MISC_SEED", "perhaps")
	_, err = parseConfig(nil, io.Discard)
	assert.ErrorContains(t, err, `"MISC_SEED"`)
}

func TestEachRegionHasAName(t *testing.T) {
	for _, name := range append(strings.Split(regionNames, ", "), "https://chat.example.com") {
		_, state, err := openCloud(config{rongcloud: name, appKey: "key", appSecret: "secret"}, nil, noop.NewTracerProvider(), slog.New(slog.DiscardHandler))
		require.NoError(t, err, name)
		assert.Contains(t, state, "RongCloud at https://")
	}
}

func TestTheRequestEndsBeforeItsConnectionDoes(t *testing.T) {
	assert.Less(t, defaultLimits.quota+defaultLimits.cloud, defaultLimits.request)
	assert.Less(t, defaultLimits.database, defaultLimits.request)
	assert.Less(t, defaultLimits.request, defaultLimits.write)
	assert.GreaterOrEqual(t, defaultLimits.drain, defaultLimits.write)
}
