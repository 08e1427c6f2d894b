package n3d_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/n3d"
)

const (
	key      = "11EdDIaqpcim"
	alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

func codec(t testing.TB, key string) *n3d.Codec {
	t.Helper()
	c, err := n3d.New(key)
	require.NoError(t, err)
	return c
}

// vectors are ids as SealTalk's servers encode them under key.
var vectors = map[uint32]string{
	1:          "kFpN4KiZn",
	2:          "z2mlAvb0c",
	3:          "uOavJZUpX",
	7:          "JZlK4nOwb",
	10:         "2iwWTQPgC",
	61:         "iGHhTEv4Z",
	62:         "Gb9DJ2FlC",
	63:         "k08yqutaZ",
	100:        "WcPOmYWuE",
	12345:      "JsbFeYhE2",
	4294967295: "u7r7tFnKC",
}

func TestIdsAreThoseOfSealTalksServers(t *testing.T) {
	c := codec(t, key)
	for id, public := range vectors {
		got, err := c.Encode(id)
		require.NoError(t, err)
		assert.Equal(t, public, got, "id %d", id)
		back, err := c.Decode(public)
		require.NoError(t, err)
		assert.Equal(t, id, back, "public id %s", public)
	}
	public, err := c.Encode(0)
	assert.ErrorIs(t, err, misc.ErrInvalidID)
	assert.Empty(t, public)
}

func TestNew(t *testing.T) {
	const maxID = math.MaxUint32
	const pow5 = 62 * 62 * 62 * 62 * 62
	const pow6 = 62 * pow5
	for _, test := range []struct{ name, key, problem string }{
		{"empty", "", "too short"},
		{"four characters", "~~~~", "too short"},
		{"the last keyCode below the ids", keyFor(maxID - 1), "too short"},
		{"the first keyCode of the ids", keyFor(maxID), "cannot encode every id"},
		{"not ASCII", "11EdDIaqpcim\u00e9", "byte 12 is not ASCII"},
		{"beyond 2^53", strings.Repeat("~", 7*17), "too long"},
		{"the first keyCode beyond 2^53", keyFor(1<<53 + 1), "too long"},
		{"exactly 2^53", keyFor(1 << 53), ""},
		{"112 of the highest characters", strings.Repeat("\x7f", 112), ""},
		{"113 of them", strings.Repeat("\x7f", 113), "too long"},
		{"an ordinary key that encodes no id", "mykey123", "cannot encode every id"},
		{"the highest id is the last to lose a digit", keyFor(maxID + pow5 + pow5/62 - 1), "cannot encode every id"},
		{"above all that lose the fifth digit", keyFor(maxID + pow5 + pow5/62), ""},
		{"below all that lose the sixth digit", keyFor(pow6), ""},
		{"the id 1 loses the sixth digit", keyFor(pow6 + 1), "cannot encode every id"},
		{"ids in the middle lose the sixth digit", keyFor(pow6 + maxID/2), "cannot encode every id"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := n3d.New(test.key)
			if test.problem == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.problem)
			assert.Nil(t, c)
			assert.True(t, test.key == "" || !strings.Contains(err.Error(), test.key), "the key must not show")
		})
	}
}

// keyFor returns a key with the given keyCode. Every seventh character adds up
// to 127 to the part from bit 42 on.
func keyFor(code uint64) string {
	var key []byte
	for rest := code >> 42; ; rest -= 127 {
		key = append(key, 0, 0, 0, 0, 0, 0, byte(min(rest, 127)))
		if rest <= 127 {
			break
		}
	}
	for i := range 6 {
		key[i] = byte(code >> (7 * i) & 127)
	}
	return string(key)
}

// losesADigit does only the arithmetic of Encode: a number that is reduced to
// exactly 62 is encoded like another.
func losesADigit(n uint64) bool {
	for n > 62 {
		n /= 62
	}
	return n == 62
}

func TestAKeyIsRefusedExactlyIfAnIDHasNoEncoding(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for range 3000 {
		key := make([]byte, 5+random.IntN(8))
		var code uint64
		for i := range key {
			key[i] = alphabet[random.IntN(len(alphabet))]
			code += uint64(key[i]) << (7 * (i % 7))
		}
		// If an id loses a digit, then so does the lowest, the highest or the first of a power of 62.
		candidates := []uint64{code - 1, code - math.MaxUint32}
		for power := uint64(62); power < code; power *= 62 {
			if code-power <= math.MaxUint32 {
				candidates = append(candidates, power)
			}
		}
		c, err := n3d.New(string(key))
		if slices.ContainsFunc(candidates, losesADigit) {
			refused++
			require.ErrorContains(t, err, "cannot encode every id", "key %s", key)
			continue
		}
		require.NoError(t, err, "key %s", key)
		for range 20 {
			candidates = append(candidates, code-1-uint64(random.Uint32N(math.MaxUint32)))
		}
		for _, n := range candidates {
			public, err := c.Encode(uint32(code - n))
			require.NoError(t, err, "key %s, id %d", key, code-n)
			back, err := c.Decode(public)
			require.NoError(t, err, "key %s, id %d, %s", key, code-n, public)
			require.EqualValues(t, code-n, back, "key %s", key)
		}
	}
	require.NotZero(t, refused)
}

func TestOnlyTheCanonicalIDIsAccepted(t *testing.T) {
	c := codec(t, key)
	for _, public := range []string{
		"", "k", "kFpN4KiZ", "kFpN4KiZnn", "kFpN4KiZnnn", "kFpN4KiZo", "KFpN4KiZn", " kFpN4KiZn", "kFpN4KiZn ", "kFpN4KiZ!",
		"!FpN4KiZn", "kFpN4KiZ\x00", "kFpN4KiZ\xff", "\xffFpN4KiZn", "好FpN4Ki", strings.Repeat("k", 64), strings.Repeat("k", 1<<16),
		"1", "12345", "zzzzzzzzz", "000000000",
	} {
		_, err := c.Decode(public)
		assert.ErrorIs(t, err, misc.ErrInvalidID, "%q", public)
		var named *misc.IDError
		if assert.ErrorAs(t, err, &named) {
			assert.Equal(t, public, named.ID)
		}
	}
	other, err := codec(t, "SomeOtherKey").Encode(1)
	require.NoError(t, err)
	id, err := c.Decode(other)
	assert.False(t, err == nil && id == 1, "an id of another key must not pass for the same id")
}

func TestOneAllocationToEncodeNoneToDecode(t *testing.T) {
	c := codec(t, key)
	assert.LessOrEqual(t, testing.AllocsPerRun(100, func() { _, _ = c.Encode(12345) }), 1.0)
	assert.Zero(t, testing.AllocsPerRun(100, func() { _, _ = c.Decode("JsbFeYhE2") }))
}

func FuzzCodec(f *testing.F) {
	for id, public := range vectors {
		f.Add(key, id, public)
	}
	f.Add(key, uint32(0), "kFpN4KiZnn")
	f.Add(keyFor(1<<53), uint32(math.MaxUint32), "00000000")
	f.Fuzz(func(t *testing.T, key string, id uint32, public string) {
		c, err := n3d.New(key)
		if err != nil {
			return
		}
		encoded, err := c.Encode(id)
		require.Equal(t, id == 0, err != nil)
		if id != 0 {
			back, err := c.Decode(encoded)
			require.NoError(t, err)
			require.Equal(t, id, back)
		}
		if id, err := c.Decode(public); err == nil {
			again, err := c.Encode(id)
			require.NoError(t, err)
			require.Equal(t, public, again, "two public ids for %d", id)
		}
	})
}

func BenchmarkCodec(b *testing.B) {
	c := codec(b, key)
	b.Run("Encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = c.Encode(12345)
		}
	})
	b.Run("Decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = c.Decode("JsbFeYhE2")
		}
	})
}

func ExampleCodec() {
	c, err := n3d.New("11EdDIaqpcim")
	if err != nil {
		fmt.Println(err)
		return
	}
	public, _ := c.Encode(12345)
	id, _ := c.Decode(public)
	_, err = c.Decode("nobody")
	fmt.Println(public, id, err)
	// Output: JsbFeYhE2 12345 n3d: misc: "nobody" is not a valid public id
}
