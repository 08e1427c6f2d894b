// Package n3d encodes database ids as SealTalk's public ids, and back.
//
// SealTalk shows no database id. Each user and group id on the wire is the N3D
// encoding of a number from 1 to 4294967295, under a key that a deployment
// chooses once. It hides numbers from view; it does not protect them: whoever
// collects enough ids can find the key.
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

	// A keyCode is at most 2^53, which nine symbols hold.
	maxKeyCode = 1 << 53
	maxLen     = 9
)

// errDecode is made once, so that a wrong id costs no allocation.
var errDecode = fmt.Errorf("n3d: %w", misc.ErrInvalidID)

// A Codec translates ids under one key. Make one with [New].
type Codec struct {
	keyCode uint64
	symbols [base][base]byte // the symbol at a place, for each permutation
	places  [base][128]uint8 // the place of a symbol, base for a byte that is none
}

// New returns a Codec for key, the same string that the deployment's other
// servers use: five ASCII characters or more. An error says what is wrong with
// the key, and never shows it.
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

// Encode returns the public id of id. It is
// misc.ErrInvalidID for 0, and under a rare key for those numbers whose encoding would name another one.
func (c *Codec) Encode(id uint32) (string, error) {
	var buf [maxLen]byte
	public, err := c.appendID(buf[:0], id)
	return string(public), err
}

func (c *Codec) appendID(b []byte, id uint32) ([]byte, error) {
	if id == 0 {
		return nil, fmt.Errorf("n3d: 0 has no public id: %w", misc.ErrInvalidID)
	}
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
	if n == base {
		// The loop ends one digit early here, as it does on every server.
		return nil, fmt.Errorf("n3d: the encoding of %d would name another id: %w", id, misc.ErrInvalidID)
	}
	return b, nil
}

// Decode returns the id whose public id is public. Anything that Encode does
// not produce is misc.ErrInvalidID, so that each id has one public id and no other.
func (c *Codec) Decode(public string) (uint32, error) {
	if id, ok := c.decode(public); ok {
		return id, nil
	}
	return 0, errDecode
}

func (c *Codec) decode(public string) (uint32, bool) {
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
	if c.keyCode-n > math.MaxUint32 { // also where n is the larger one, and the difference wraps around
		return 0, false
	}
	var buf [maxLen]byte
	again, err := c.appendID(buf[:0], uint32(c.keyCode-n))
	return uint32(c.keyCode - n), err == nil && string(again) == public
}
