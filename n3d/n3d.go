// Package n3d translates between the numbers of users and groups in SealTalk's
// database and their public ids, the strings that clients and RongCloud know.
//
// A number from 1 to 4294967295 has exactly one public id under a key, which a
// deployment chooses once and keeps. The encoding hides the numbers from view
// but does not protect them: anyone who collects enough ids can find the key.
package n3d

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/sealtalk-go/misc"
)

const (
	alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	base     = uint64(len(alphabet))

	// A keyCode is at most 2^53, and so a public id at most nine symbols.
	maxKeyCode = 1 << 53
	maxLen     = 9
)

// A Codec translates ids under one key. Make one with [New].
type Codec struct {
	keyCode uint64
	symbols [base][base]byte // the symbol at a place, for each permutation
	places  [base][128]uint8 // the place of a symbol, base for any other byte
}

// New returns a Codec for key, which must be the same string as on the
// deployment's other servers. A key has at least five characters, all ASCII:
// 11EdDIaqpcim, not abcd. Keys of up to 112 characters are always short enough.
// A longer one is accepted if the number that SealTalk's servers compute from
// it is at most 2^53; above that, the servers do not agree on the ids.
//
// New also refuses a key, such as mykey123, with which some or all public ids
// do not decode to the number that was encoded. With such a key, SealTalk's own
// servers decode them wrongly too. Of random keys with 6 to 13 letters and
// digits, one to three in a hundred are like this. The error says what is wrong
// with the key and does not show it.
func New(key string) (*Codec, error) {
	var keyCode uint64
	for i := range len(key) {
		if key[i] > 127 {
			return nil, fmt.Errorf("n3d: key: byte %d is not ASCII", i)
		}
		keyCode += uint64(key[i]) << (7 * (i % 7))
		if keyCode > maxKeyCode {
			return nil, errors.New("n3d: key: too long, servers would disagree on its ids")
		}
	}
	if keyCode < math.MaxUint32 {
		return nil, errors.New("n3d: key: too short, use at least five characters")
	}
	// Encode's loop ends one digit early for a number that begins with the
	// digits 1 and 0.
	for power := uint64(1); power*base < keyCode; power *= base {
		if keyCode-math.MaxUint32 < power*base+power {
			return nil, errors.New("n3d: key: cannot encode every id, choose another one")
		}
	}
	c := &Codec{keyCode: keyCode}
	m := []byte(alphabet)
	for j := range c.symbols {
		i := keyCode - base + uint64(j)
		for l := range c.symbols[j] {
			k := base - uint64(l)
			s := i % k
			c.symbols[j][l] = m[s]
			m[s] = m[k-1]
		}
		copy(m, c.symbols[j][:])
		for b := range c.places[j] {
			c.places[j][b] = uint8(base)
		}
		for place, symbol := range c.symbols[j] {
			c.places[j][symbol] = uint8(place)
		}
	}
	return c, nil
}

// Encode returns the public id of a number. The only error is for 0, and
// matches misc.ErrInvalidID.
func (c *Codec) Encode(id uint32) (string, error) {
	if id == 0 {
		return "", fmt.Errorf("n3d: 0 has no public id: %w", misc.ErrInvalidID)
	}
	var buf [maxLen]byte
	return string(c.appendID(buf[:0], id)), nil
}

func (c *Codec) appendID(b []byte, id uint32) []byte {
	n := c.keyCode - uint64(id)
	d := n % base
	b = append(b, c.symbols[0][d])
	symbols := &c.symbols[d]
	s := uint64(0)
	for n > base {
		n = (n - d) / base
		d = n % base
		s = (s + d) % base
		b = append(b, symbols[s])
	}
	return b
}

// Decode returns the number of a public id. If Encode does not return this id
// for any number, the error wraps a [*misc.IDError].
func (c *Codec) Decode(public string) (uint32, error) {
	id, ok := c.decode(public)
	if !ok {
		return 0, fmt.Errorf("n3d: %w", &misc.IDError{ID: public})
	}
	return id, nil
}

func (c *Codec) decode(public string) (id uint32, ok bool) {
	if public == "" || len(public) > maxLen || strings.ContainsFunc(public, func(r rune) bool { return r > 127 }) {
		return 0, false
	}
	d := c.places[0][public[0]]
	if uint64(d) == base {
		return 0, false
	}
	n, t, power := uint64(d), uint64(0), base
	for i := 1; i < len(public); i++ {
		j := uint64(c.places[d][public[i]])
		if j == base {
			return 0, false
		}
		n += (base + j - t) % base * power
		t = j
		power *= base
	}
	number := c.keyCode - n // wraps around if n is larger, as does number-1 for 0
	if number-1 >= math.MaxUint32 {
		return 0, false
	}
	var buf [maxLen]byte
	return uint32(number), string(c.appendID(buf[:0], uint32(number))) == public
}
