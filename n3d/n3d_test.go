package n3d_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/n3d"
)

const key = "11EdDIaqpcim"

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
}

func TestEveryIDComesBackUnderEveryKey(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, key := range []string{key, "~~~~~", "zzzzz", "qwerty", "1234567", "12345678901234567890"} {
		c := codec(t, key)
		for range 20_000 {
			id := random.Uint32N(math.MaxUint32) + 1
			public, err := c.Encode(id)
			require.NoError(t, err, "key %s, id %d", key, id)
			back, err := c.Decode(public)
			require.NoError(t, err, "key %s, id %d, %s", key, id, public)
			require.Equal(t, id, back, "key %s", key)
		}
	}
}

func TestNew(t *testing.T) {
	for _, test := range []struct{ name, key, problem string }{
		{"empty", "", "too short"},
		{"four characters", "~~~~", "too short"},
		{"five characters below the range", "\x01\x01\x01\x01\x01", "too short"},
		{"the last keyCode below the range", "\x7e\x7f\x7f\x7f\x0f", "too short"},
		{"not ASCII", "11EdDIaqpcim\u00e9", "byte 12 is not ASCII"},
		{"beyond 2^53", strings.Repeat("~", 7*17), "too long"},
		{"the first keyCode beyond 2^53", beyond(1), "too long"},
		{"the first keyCode of the range", "\x7f\x7f\x7f\x7f\x0f", ""},
		{"exactly 2^53", beyond(0), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := n3d.New(test.key)
			if test.problem == "" {
				require.NoError(t, err)
				assert.NotNil(t, c)
				return
			}
			require.ErrorContains(t, err, test.problem)
			assert.Nil(t, c)
			if len(test.key) > 4 {
				assert.NotContains(t, err.Error(), test.key, "the key must not show")
			}
		})
	}
}

// beyond returns a key whose keyCode is 2^53 + n: 2^53 is 128 times 2^46, and
// 2^46 is 16 times 128^6.
func beyond(n byte) string {
	key := make([]byte, 7*17)
	for i := range 16 {
		key[7*i+6] = 127
	}
	key[7*16+6] = 16
	key[0] = n
	return string(key)
}

func TestAnIDThatWouldNameAnotherIsRefused(t *testing.T) {
	// A keyCode of 62^6 + 4294967295: ids near the top come down to 62.
	c := codec(t, keyFor(62*62*62*62*62*62+math.MaxUint32))
	for _, id := range []uint32{math.MaxUint32, math.MaxUint32 - 1, math.MaxUint32 - 61, math.MaxUint32 - 916132831} {
		public, err := c.Encode(id)
		assert.ErrorIs(t, err, misc.ErrInvalidID, "id %d", id)
		assert.Empty(t, public)
	}
	for _, id := range []uint32{1, math.MaxUint32 - 916132832} {
		public, err := c.Encode(id)
		require.NoError(t, err, "id %d", id)
		back, err := c.Decode(public)
		require.NoError(t, err)
		assert.Equal(t, id, back)
	}
	_, err := codec(t, key).Encode(0)
	assert.ErrorIs(t, err, misc.ErrInvalidID)
}

// keyFor returns a key of seven characters with the given keyCode.
func keyFor(code uint64) string {
	var key [7]byte
	for i := range key {
		key[i] = byte(code % 128)
		code /= 128
	}
	return string(key[:])
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
	assert.Zero(t, testing.AllocsPerRun(100, func() { _, _ = c.Decode("not an id") }))
}

func FuzzDecode(f *testing.F) {
	for _, public := range vectors {
		f.Add(key, public)
	}
	f.Add(key, "kFpN4KiZnn")
	f.Add(keyFor(62*62*62*62*62*62+math.MaxUint32), "00000000")
	f.Fuzz(func(t *testing.T, key, public string) {
		c, err := n3d.New(key)
		if err != nil {
			return
		}
		id, err := c.Decode(public)
		if err != nil {
			return
		}
		again, err := c.Encode(id)
		require.NoError(t, err)
		require.Equal(t, public, again, "two public ids for %d", id)
	})
}

func FuzzEncode(f *testing.F) {
	for id := range vectors {
		f.Add(key, id)
	}
	f.Add(keyFor(62*62*62*62*62*62+math.MaxUint32), uint32(math.MaxUint32))
	f.Fuzz(func(t *testing.T, key string, id uint32) {
		c, err := n3d.New(key)
		if err != nil {
			return
		}
		public, err := c.Encode(id)
		if err != nil {
			return
		}
		back, err := c.Decode(public)
		require.NoError(t, err)
		require.Equal(t, id, back)
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
	// Output: JsbFeYhE2 12345 n3d: misc: id is not a valid public id
}
