package session_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"crypto/sha1"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc/httpapi"
	"github.com/sealtalk-go/misc/n3d"
	"github.com/sealtalk-go/misc/session"
)

const (
	node, java, java25 = session.InsecureNode2019, session.Java2020, session.Java2025

	key     = "zsyy2026"
	nodeOne = "c724f7e2bfd4d5c2e7a31d2d3a992c40228c55c7"     // user 1, as the Node server writes it
	javaOne = "q1HbI20+gJvo2pk1E99a9SLQR1LQbPQRO577lnnsmb0=" // user 1, as the Java servers of 2020 and 2021 do
	oneText = "4711|1|1764374400000"
)

var errBroken = errors.New("database is gone")

// tokens answers every look-up with what the function returns.
type tokens func(ctx context.Context, id int64) (uint32, time.Time, bool, error)

func (f tokens) LoginToken(ctx context.Context, id int64) (uint32, time.Time, bool, error) {
	return f(ctx, id)
}

// owned is a store in which user has a new row for every token.
func owned(user uint32) tokens {
	return func(context.Context, int64) (uint32, time.Time, bool, error) { return user, time.Now(), true, nil }
}

func codec(t testing.TB) *n3d.Codec {
	t.Helper()
	c, err := n3d.New("11EdDIaqpcim")
	require.NoError(t, err)
	return c
}

// newReader sets what cfg leaves out.
func newReader(t testing.TB, cfg session.Config) *session.Reader {
	t.Helper()
	if cfg.Key == "" {
		cfg.Key = key
	}
	cfg.Codec = codec(t)
	if cfg.Format == java25 && cfg.Tokens == nil {
		cfg.Tokens = owned(1)
	}
	rd, err := session.New(cfg)
	require.NoError(t, err)
	return rd
}

func request(headers ...string) *http.Request {
	return &http.Request{Header: http.Header{"Cookie": headers}}
}

// assertUser checks that the request is from the user with this number; 0 means
// that it has no valid cookie.
func assertUser(t *testing.T, user uint32, rd *session.Reader, r *http.Request) {
	t.Helper()
	id, err := rd.CurrentUser(r)
	if user == 0 {
		assert.ErrorIs(t, err, httpapi.ErrNotLoggedIn)
		assert.Empty(t, id)
		return
	}
	require.NoError(t, err)
	want, err := codec(t).Encode(user)
	require.NoError(t, err)
	assert.Equal(t, want, id, "the public id of %d", user)
}

func cookieName(f session.Format) string {
	if f == java25 {
		return "st_cookie"
	}
	return "rong_auth_cookie"
}

// crypt encrypts and decrypts in the form of the Node server.
func crypt(key string, text []byte) []byte {
	d1 := md5.Sum([]byte(key))
	d2 := md5.Sum(append(d1[:], key...))
	d3 := md5.Sum(append(d2[:], key...))
	block, err := aes.NewCipher(append(d1[:], d2[:]...))
	if err != nil {
		panic(err)
	}
	out := make([]byte, len(text))
	cipher.NewCTR(block, d3[:]).XORKeyStream(out, text)
	return out
}

func javaBlock(key string) cipher.Block {
	once := sha1.Sum([]byte(key))
	twice := sha1.Sum(once[:])
	block, err := aes.NewCipher(twice[:16])
	if err != nil {
		panic(err)
	}
	return block
}

// encryptPadded encrypts text, which has its padding already.
func encryptPadded(key, text string) string {
	out := []byte(text)
	for i := 0; i+16 <= len(out); i += 16 {
		javaBlock(key).Encrypt(out[i:], out[i:])
	}
	return base64.StdEncoding.EncodeToString(out)
}

// encode returns the value of a cookie as the old servers make it.
func encode(f session.Format, key, text string) string {
	if f == node {
		return hex.EncodeToString(crypt(key, []byte(text)))
	}
	n := 16 - len(text)%16
	return encryptPadded(key, text+strings.Repeat(string(rune(n)), n))
}

// cookie returns a Cookie header with text under the default name and key.
func cookie(f session.Format, text string) string {
	return cookieName(f) + "=" + encode(f, key, text)
}

// vectors are cookies that Node 20 or JDK 17 made, or a public server. The text
// is empty if its salt is unknown.
var vectors = []struct {
	format           session.Format
	key, text, value string
	user             uint32
	token            int64
}{
	{node, key, oneText, nodeOne, 1, 0},
	{node, key, "1000|4294967295|1764374400000", "c223f6e3bfd19bcae4ac1f293f942d0c238b53c34df7e69510bd7ad78c", 4294967295, 0},
	{node, "k", "", "06051cf2a815682280a3989a04b1abda5c913c6e873f1d5d91c4beec7d", 4294967288, 0},
	{node, "密钥🔑", "9999|10|1764374400001", "26cb752b1cb633b408168e1aca16375cf1e5add9f4", 10, 0},
	{node, ` a long key with spaces and "quotes" = + / `, "1234|123456789|1700000000000", "630db2593ab1a47a3e3985681f16b7567b90a50828bd69cd50794d1f", 123456789, 0},
	{node, strings.Repeat("x", 64), "5678|4294967295|9007199254740993", "fac7beca5b7dbddcaf0b94856c7421fd8545e971a2980db384322768da1468d0", 4294967295, 0},
	{java, key, oneText, javaOne, 1, 0},
	{java, key, "1000|4294967295|1764374400000", "0KSZLz2nTlYvGFR3/48WHE+fhJ+99Jk9UwW40ybUTVw=", 4294967295, 0},
	{java, "密钥", "", "NHmZGlpIyEHWXKHvx+t/eMXMPZy1glju8NoK62l7K9M=", 6, 0},
	{java, "密钥🔑", "9999|10|1764374400001", "0EG8p7pNZJGpeq0UjFhhK80xWwwGM2Lclz4A/WTcSkA=", 10, 0},
	{java25, key, oneText + "|42", "q1HbI20+gJvo2pk1E99a9YuKnP2APzHhhNsEtlE3wTc=", 1, 42},
	{java25, "aaaa", "", "0airEVTb8f3wwwFHpmt+jMrupffQ4nIbpPsdygFydZ0=", 77, 748218},
	{java25, "k", "1001|123456|1764374400000|123456", "J6Oh+/L75E2ppF3JxKWKruxpZps3sXd/O8rvED8D8OiMkDJkhOV80RVwFJZsF5dl", 123456, 123456},
	{java25, key, "1000|4294967295|9223372036854775807|9223372036854775807", "0KSZLz2nTlYvGFR3/48WHKmnWUYB/yUNtY8Euw07yfgdXjqE7nxOHSiubchdG3uDpr7rsiWBOhA7oH/6IC8s+A==", 4294967295, 9223372036854775807},
}

func TestCookiesOfSealTalksServersNameTheirUser(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.value, func(t *testing.T) {
			cfg := session.Config{Format: v.format, Key: v.key}
			if v.format == java25 {
				cfg.Tokens = tokens(func(_ context.Context, id int64) (uint32, time.Time, bool, error) {
					return v.user, time.Now(), id == v.token, nil
				})
			}
			assertUser(t, v.user, newReader(t, cfg), request(cookieName(v.format)+"="+v.value))
			if v.text != "" {
				assert.Equal(t, v.value, encode(v.format, v.key, v.text), "the encoder of these tests")
			}
		})
	}
}

func TestTheFirstValidCookieOfAnyHeaderCounts(t *testing.T) {
	const (
		one     = "rong_auth_cookie=" + nodeOne
		android = "; Max-Age=2592000; Domain=.example.com; Path=/; Expires=Tue, 29 Dec 2026 08:00:00 GMT; HttpOnly"
		ios     = "; 29 Dec 2026 08:00:00 GMT;"
	)
	two := cookie(node, "5000|2|1764374400000")
	otherKey := "rong_auth_cookie=" + encode(node, "other key", oneText)
	tests := map[string]struct {
		format  session.Format
		headers []string
		user    uint32
	}{
		"no cookie":                 {node, nil, 0},
		"empty header":              {node, []string{""}, 0},
		"browser":                   {node, []string{one}, 1},
		"browser, Java":             {java, []string{"rong_auth_cookie=" + javaOne}, 1},
		"browser, Java 2025":        {java25, []string{cookie(java25, oneText+"|42")}, 1},
		"Android":                   {node, []string{one + android}, 1},
		"Android, Java":             {java, []string{"rong_auth_cookie=" + javaOne + android}, 1},
		"Android, Java 2025":        {java25, []string{cookie(java25, oneText+"|42") + android}, 1},
		"Android, several headers":  {node, []string{"csrf=1; Path=/", two + android, one + android}, 2},
		"iOS":                       {node, []string{one + ios}, 1},
		"iOS, Java":                 {java, []string{"rong_auth_cookie=" + javaOne + ios}, 1},
		"iOS, Java 2025":            {java25, []string{cookie(java25, oneText+"|42") + ios}, 1},
		"quoted":                    {java, []string{`rong_auth_cookie="` + javaOne + `"`}, 1},
		"other cookies around":      {node, []string{"a=1; =; ;b; " + one + "; c=é; rong_auth_cookie2=x"}, 1},
		"two valid ones":            {node, []string{two + "; " + one}, 2},
		"first one empty":           {node, []string{"rong_auth_cookie=; " + one}, 1},
		"first one empty, Java":     {java, []string{"rong_auth_cookie=; rong_auth_cookie=" + javaOne}, 1},
		"first one invalid":         {node, []string{"rong_auth_cookie=deleted; " + one}, 1},
		"first one of another key":  {node, []string{otherKey, one}, 1},
		"first one of another form": {node, []string{"rong_auth_cookie=" + javaOne + "; " + one}, 1},
		"first one huge":            {node, []string{"rong_auth_cookie=" + strings.Repeat("0", 1<<20) + "; " + one}, 1},
		"another key":               {node, []string{otherKey}, 0},
		"another key, Java":         {java, []string{"rong_auth_cookie=" + encode(java, "other key", oneText)}, 0},
		"another name":              {node, []string{"st_cookie=" + nodeOne}, 0},
		"name in another case":      {node, []string{"Rong_Auth_Cookie=" + nodeOne}, 0},
		"valid one begun twice":     {node, []string{"rong_auth_cookie=rong_auth_cookie=" + nodeOne}, 0},
		"percent-encoded":           {java, []string{"rong_auth_cookie=" + strings.NewReplacer("+", "%2B", "=", "%3D").Replace(javaOne)}, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			assertUser(t, tt.user, newReader(t, session.Config{Format: tt.format}), request(tt.headers...))
		})
	}
	rd := newReader(t, session.Config{Format: node, Cookie: "auth"})
	assertUser(t, 2, rd, request("rong_auth_cookie="+nodeOne+"; "+strings.Replace(two, "rong_auth_cookie", "auth", 1)))
}

// wrongTexts are refused by Node and Java 2020, and, with a token behind them,
// by Java 2025.
var wrongTexts = []string{
	"", "|", "||", "4711", "4711|1", "|1|1764374400000", "4711||1764374400000", "4711|1|",
	"999|1|1764374400000", "10000|1|1764374400000", "04711|1|1764374400000", "0|1|1764374400000", "+4711|1|1764374400000",
	"4711|0|1764374400000", "4711|4294967296|1764374400000", "4711|01|1764374400000", "4711|+1|1764374400000", "4711|-1|1764374400000",
	"4711|18446744073709551617|1764374400000", "4711|1x|1764374400000", "4711|0x1|1764374400000", "4711|1_0|1764374400000", "4711|１|1764374400000",
	"4711|1|-1764374400000", "4711|1|+1764374400000", "4711|1|01764374400000", "4711|1|1764374400000.5", "4711|1|1.7e12", "4711|1|9223372036854775808",
	" 4711|1|1764374400000", "4711|1 |1764374400000", "4711|1|1764374400000\n", "4711|1|1764374400000\x00",
}

func TestOnlyTheExactFormIsACookie(t *testing.T) {
	values := map[session.Format][]string{
		node: {
			encode(node, key, oneText+"|42"), encode(node, key, oneText+"|"),
			strings.ToUpper(nodeOne), nodeOne[:39] + "C", nodeOne[:39], nodeOne + "0", nodeOne + "00", nodeOne[:38] + "g7", "0x" + nodeOne, nodeOne + " 00",
		},
		java: {
			encode(java, key, oneText+"|42"), strings.TrimRight(javaOne, "="), strings.Replace(javaOne, "+", "-", 1), javaOne + "=", javaOne + "AAAA",
			javaOne[:22] + "==", javaOne[:42] + "1=", // with bits that no encoder sets
			javaOne[:24], hex.EncodeToString([]byte(oneText)), base64.StdEncoding.EncodeToString([]byte(oneText)), "====",
			encryptPadded(key, oneText+strings.Repeat("\x0c", 11)+"\x00"), encryptPadded(key, oneText+strings.Repeat("\x11", 12)), encryptPadded(key, oneText+"|42400000000"),
			encryptPadded(key, oneText+"\x0b"+strings.Repeat("\x0c", 11)), encryptPadded(key, oneText+"\x0c"+strings.Repeat("\x0c", 9)+"\x0b\x0c"),
			encryptPadded(key, "4711|12|17643744"), encryptPadded(key, strings.Repeat("\x10", 16)), encryptPadded(key, oneText+strings.Repeat("\x1c", 28)),
		},
		java25: {
			encode(java25, key, oneText), encode(java25, key, oneText+"|42|43"), encode(java25, key, oneText+"|"), encode(java25, key, oneText+"|0"), encode(java25, key, oneText+"|-42"),
			encode(java25, key, oneText+"|+42"), encode(java25, key, oneText+"|042"), encode(java25, key, oneText+"|9223372036854775808"), encode(java25, key, oneText+"|x"),
		},
	}
	for format, wrong := range values {
		for _, text := range wrongTexts {
			if format == java25 {
				text += "|42"
			}
			wrong = append(wrong, encode(format, key, text))
		}
		rd := newReader(t, session.Config{Format: format})
		for _, value := range wrong {
			_, err := rd.CurrentUser(request(cookieName(format) + "=" + value))
			assert.ErrorIs(t, err, httpapi.ErrNotLoggedIn, "%s %s", format, value)
		}
	}
	for _, text := range []string{"1000|1|1", "9999|1|1", "4711|1|9223372036854775807"} {
		assertUser(t, 1, newReader(t, session.Config{Format: node}), request(cookie(node, text)))
	}
}

func TestAnOverlongValueIsNotDecoded(t *testing.T) {
	for _, format := range []session.Format{node, java} {
		rd, r := newReader(t, session.Config{Format: format}), request("rong_auth_cookie="+strings.Repeat("0", 1<<20))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := rd.CurrentUser(r)
		runtime.ReadMemStats(&after)
		assert.ErrorIs(t, err, httpapi.ErrNotLoggedIn)
		assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(100<<10), "bytes")
	}
}

// A fact that the documentation of InsecureNode2019 states, not a wish.
func TestAForgedNodeCookieIsAccepted(t *testing.T) {
	value, err := hex.DecodeString(nodeOne)
	require.NoError(t, err)
	value[len("4711|")] ^= '1' ^ '2'
	assertUser(t, 2, newReader(t, session.Config{Format: node}), request("rong_auth_cookie="+hex.EncodeToString(value)))
}

func TestMaxAgeIsMeasuredFromTheTimeInTheCookie(t *testing.T) {
	const day = 24 * time.Hour
	tests := map[string]struct {
		maxAge, age time.Duration
		valid       bool
	}{
		"new":                      {30 * day, 0, true},
		"as old as allowed":        {30 * day, 30 * day, true},
		"a millisecond older":      {30 * day, 30*day + time.Millisecond, false},
		"clock ahead as allowed":   {30 * day, -5 * time.Minute, true},
		"a millisecond more ahead": {30 * day, -5*time.Minute - time.Millisecond, false},
		"far future":               {30 * day, -200 * 365 * day, false},
		"no limit, old":            {0, 20 * 365 * day, true},
		"no limit, far future":     {0, -200 * 365 * day, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				text := fmt.Sprintf("1000|1|%d", time.Now().Add(-tt.age).UnixMilli())
				young := fmt.Sprintf("1000|2|%d", time.Now().UnixMilli())
				first := uint32(2)
				if tt.valid {
					first = 1
				}
				for _, format := range []session.Format{node, java} {
					rd := newReader(t, session.Config{Format: format, MaxAge: tt.maxAge})
					assertUser(t, first, rd, request(cookie(format, text), cookie(format, young)))
				}
				rd := newReader(t, session.Config{Format: java25, MaxAge: tt.maxAge})
				assertUser(t, first%2, rd, request(cookie(java25, text+"|42")))
			})
		})
	}
}

func TestAJava2025CookieNeedsARowOfItsUser(t *testing.T) {
	const week = 7 * 24 * time.Hour
	tests := map[string]struct {
		user  uint32
		age   time.Duration
		found bool
		want  uint32
	}{
		"new row":                     {1, 0, true, 1},
		"missing row":                 {1, 0, false, 0},
		"row of another user":         {2, 0, true, 0},
		"row of no user":              {0, 0, true, 0},
		"seven days old":              {1, week, true, 1},
		"a millisecond older":         {1, week + time.Millisecond, true, 0},
		"from a clock that is ahead":  {1, -time.Hour, true, 1},
		"from before computers exist": {1, 280 * 365 * 24 * time.Hour, true, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rd := newReader(t, session.Config{Format: java25, MaxAge: 365 * 24 * time.Hour * 100, Tokens: tokens(func(_ context.Context, id int64) (uint32, time.Time, bool, error) {
					assert.EqualValues(t, 42, id)
					return tt.user, time.Now().Add(-tt.age), tt.found, nil
				})})
				assertUser(t, tt.want, rd, request(cookie(java25, "4711|1|946684800000|42"))) // now, by the clock of synctest
			})
		})
	}
}

func TestALogoutCountsAtOnce(t *testing.T) {
	loggedIn := true
	rd := newReader(t, session.Config{Format: java25, Tokens: tokens(func(context.Context, int64) (uint32, time.Time, bool, error) {
		return 1, time.Now(), loggedIn, nil
	})})
	r := request(cookie(java25, oneText+"|42"))
	assertUser(t, 1, rd, r)
	loggedIn = false
	assertUser(t, 0, rd, r)
}

func TestTheTokenStoreGetsTheContextOfTheRequest(t *testing.T) {
	type mark struct{}
	rd := newReader(t, session.Config{Format: java25, Tokens: tokens(func(ctx context.Context, _ int64) (uint32, time.Time, bool, error) {
		return 1, time.Now(), ctx.Value(mark{}) != nil, nil
	})})
	assertUser(t, 1, rd, request(cookie(java25, oneText+"|42")).WithContext(context.WithValue(t.Context(), mark{}, true)))
}

func TestOneRequestLooksUpThreeTokensAtMost(t *testing.T) {
	// Row 4 is the only one that exists.
	tests := map[string]struct {
		tokens []int64
		want   uint32
		asked  []int64
	}{
		"the third counts":       {[]int64{1, 2, 4}, 1, []int64{1, 2, 4}},
		"the fourth does not":    {[]int64{1, 2, 3, 4}, 0, []int64{1, 2, 3}},
		"repeated ones are free": {[]int64{1, 1, 2, 1, 2, 4}, 1, []int64{1, 2, 4}},
		"none after a valid one": {[]int64{4, 1}, 1, []int64{4}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var asked []int64
			rd := newReader(t, session.Config{Format: java25, Tokens: tokens(func(_ context.Context, id int64) (uint32, time.Time, bool, error) {
				asked = append(asked, id)
				return 1, time.Now(), id == 4, nil
			})})
			var headers []string
			for _, token := range tt.tokens {
				headers = append(headers, cookie(java25, oneText+"|"+strconv.FormatInt(token, 10)))
			}
			assertUser(t, tt.want, rd, request(headers...))
			assert.Equal(t, tt.asked, asked)
		})
	}
	t.Run("an answer is kept with its user", func(t *testing.T) {
		rd := newReader(t, session.Config{Format: java25, Tokens: owned(2)})
		assertUser(t, 2, rd, request(cookie(java25, oneText+"|42"), cookie(java25, "4711|2|1764374400000|42")))
	})
	t.Run("no invalid cookie asks", func(t *testing.T) {
		rd := newReader(t, session.Config{Format: java25, MaxAge: time.Hour, Tokens: tokens(func(context.Context, int64) (uint32, time.Time, bool, error) {
			return 0, time.Time{}, false, errBroken
		})})
		assertUser(t, 0, rd, request(cookie(java25, oneText+"|42")+"; st_cookie="+javaOne)) // too old; without a token
	})
}

func TestAnErrorOfTheTokenStoreIsNoMissingLogin(t *testing.T) {
	fails := func(failure error) *session.Reader {
		return newReader(t, session.Config{Format: java25, Tokens: tokens(func(_ context.Context, id int64) (uint32, time.Time, bool, error) {
			if id == 13 {
				return 1, time.Now(), true, failure
			}
			return 1, time.Now(), id == 42, nil
		})})
	}
	broken, missing, valid := cookie(java25, oneText+"|13"), cookie(java25, oneText+"|7"), cookie(java25, oneText+"|42")
	for _, headers := range [][]string{{broken}, {broken, valid}, {missing, broken, valid}} {
		_, err := fails(errBroken).CurrentUser(request(headers...))
		assert.ErrorIs(t, err, errBroken)
		assert.NotErrorIs(t, err, httpapi.ErrNotLoggedIn)

		_, err = fails(fmt.Errorf("asking another server: %w", httpapi.ErrNotLoggedIn)).CurrentUser(request(headers...))
		assert.NotErrorIs(t, err, httpapi.ErrNotLoggedIn)
		assert.ErrorContains(t, err, "session: login token: asking another server")
	}
	assertUser(t, 1, fails(errBroken), request(valid, broken))
}

func TestNewNamesEveryProblem(t *testing.T) {
	const unknown, badKey = "Format must be", "Key must be UTF-8"
	good := session.Config{Format: node, Key: key, Codec: codec(t)}
	tests := map[string]struct {
		change func(*session.Config)
		want   []string
	}{
		"zero value":              {func(c *session.Config) { *c = session.Config{} }, []string{unknown, badKey, "Codec is required"}},
		"unknown format":          {func(c *session.Config) { c.Format, c.Tokens = "java", owned(1) }, []string{unknown}},
		"cookie with a value":     {func(c *session.Config) { c.Cookie = "rong_auth_cookie=" }, []string{"Cookie must be the name"}},
		"cookie with a space":     {func(c *session.Config) { c.Cookie = "a b" }, []string{"Cookie must be the name"}},
		"key from a file":         {func(c *session.Config) { c.Key = key + "\n" }, []string{badKey}},
		"key that is not UTF-8":   {func(c *session.Config) { c.Key = "\xc3\x28" }, []string{badKey}},
		"negative age":            {func(c *session.Config) { c.MaxAge = -1 }, []string{"MaxAge must not be negative"}},
		"2025 without tokens":     {func(c *session.Config) { c.Format = java25 }, []string{"Tokens is required with Java2025"}},
		"2025 with a nil pointer": {func(c *session.Config) { c.Format, c.Tokens = java25, (*sqlTokens)(nil) }, []string{"Tokens is required with Java2025"}},
		"tokens with Node":        {func(c *session.Config) { c.Tokens = owned(1) }, []string{"Tokens is for Java2025 only"}},
		"tokens with Java, more":  {func(c *session.Config) { c.Format, c.Tokens, c.Key = java, owned(1), "" }, []string{badKey, "Tokens is for Java2025 only"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := good
			tt.change(&cfg)
			rd, err := session.New(cfg)
			require.Error(t, err)
			assert.Nil(t, rd)
			lines := strings.Split(err.Error(), "\n")
			require.Len(t, lines, len(tt.want), err.Error())
			for i, want := range tt.want {
				assert.True(t, strings.HasPrefix(lines[i], "session: Config."+want), lines[i])
			}
			assert.NotContains(t, err.Error(), key)
		})
	}
}

func TestPrintingNeverShowsTheKey(t *testing.T) {
	cfg := session.Config{Format: node, Key: key, Codec: codec(t)}
	rd := newReader(t, cfg)
	keystream := crypt(key, make([]byte, 8))
	var none *session.Config
	for name, v := range map[string]any{
		"Config": cfg, "*Config": &cfg, "nil": none, "Reader": *rd, "*Reader": rd,
		"host": struct {
			Config  session.Config
			Pointer *session.Config
			Reader  session.Reader
			Any     any
		}{cfg, &cfg, *rd, cfg},
		"slice": []session.Config{cfg},
	} {
		var out bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%30v"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		j, err := json.Marshal(v)
		require.NoError(t, err)
		out.Write(j)
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "v", v)
		for _, secret := range []string{key, hex.EncodeToString([]byte(key)), hex.EncodeToString(keystream), fmt.Sprint(keystream), fmt.Sprintf("%#v", keystream)} {
			assert.NotContains(t, out.String(), strings.Trim(secret, "[]"), name)
		}
	}
	assert.Error(t, gob.NewEncoder(io.Discard).Encode(cfg))
	x, err := xml.Marshal(cfg)
	require.NoError(t, err)
	assert.NotContains(t, string(x), key)
	assert.Contains(t, fmt.Sprint(cfg), "insecure-node-2019", "what is no secret is shown")
	require.NoError(t, json.Unmarshal([]byte(`{"Format":"java-2020","Key":"k"}`), &cfg))
	assert.Equal(t, key, cfg.Key, "JSON does not set the key")
	assert.Equal(t, java, cfg.Format)
}

var form = regexp.MustCompile(`^([1-9]\d{3})\|([1-9]\d{0,9})\|([1-9]\d{0,18})(?:\|([1-9]\d{0,18}))?$`)

// wantUser is a second implementation of what the text of a cookie means.
func wantUser(f session.Format, text string) uint32 {
	m := form.FindStringSubmatch(text)
	if m == nil || (m[4] != "") != (f == java25) {
		return 0
	}
	user, err := strconv.ParseUint(m[2], 10, 32)
	for _, n := range m[3:] {
		if _, tooLarge := strconv.ParseInt("0"+n, 10, 64); tooLarge != nil {
			return 0
		}
	}
	if err != nil {
		return 0
	}
	return uint32(user)
}

// decode is lenient: it returns a text for anything that could be a cookie.
func decode(f session.Format, value string) string {
	if f == node {
		b, _ := hex.DecodeString(value)
		return string(crypt(key, b))
	}
	b, _ := base64.StdEncoding.DecodeString(value)
	for i := 0; i+16 <= len(b); i += 16 {
		javaBlock(key).Decrypt(b[i:], b[i:])
	}
	return strings.TrimRight(string(b), "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10")
}

// FuzzCurrentUser sends a Cookie header, and a cookie that encrypts a text.
func FuzzCurrentUser(f *testing.F) {
	for _, v := range vectors {
		f.Add(cookieName(v.format)+"="+v.value+"; Max-Age=2592000; Expires=Tue, 29 Dec 2026 08:00:00 GMT", v.text)
	}
	for _, text := range wrongTexts {
		f.Add(cookie(java, text), text+"|42")
	}
	var user uint32
	readers := map[session.Format]*session.Reader{}
	for _, format := range []session.Format{node, java, java25} {
		cfg := session.Config{Format: format}
		if format == java25 {
			cfg.Tokens = tokens(func(context.Context, int64) (uint32, time.Time, bool, error) { return user, time.Now(), true, nil })
		}
		readers[format] = newReader(f, cfg)
	}
	f.Fuzz(func(t *testing.T, header, text string) {
		for format, rd := range readers {
			user = wantUser(format, text)
			assertUser(t, user, rd, request(cookie(format, text)))
			want := uint32(0) // of the header
			for _, c := range request(header).CookiesNamed(cookieName(format)) {
				opened := decode(format, c.Value)
				if user = wantUser(format, opened); user != 0 && encode(format, key, opened) == c.Value {
					want = user
					break
				}
			}
			assertUser(t, want, rd, request(header))
		}
	})
}

func BenchmarkCurrentUser(b *testing.B) {
	for _, format := range []session.Format{node, java, java25} {
		b.Run(string(format), func(b *testing.B) {
			text, cfg := oneText, session.Config{Format: format}
			if format == java25 {
				text += "|42"
				rows := map[int64]time.Time{42: time.Now()}
				cfg.Tokens = tokens(func(_ context.Context, id int64) (uint32, time.Time, bool, error) {
					loggedIn, found := rows[id]
					return 1, loggedIn, found, nil
				})
			}
			rd, r := newReader(b, cfg), request(cookie(format, text)+"; Max-Age=2592000; Domain=.example.com; Path=/; HttpOnly")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := rd.CurrentUser(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// sqlTokens is a TokenStore whose pointer may be nil.
type sqlTokens struct{ session.TokenStore }
