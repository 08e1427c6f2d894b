package session

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"time"
)

const (
	maxText  = len("9999|4294967295|9223372036854775807|9223372036854775807")
	maxValue = 2 * maxText // in hex; in base64 it is shorter
)

// A login is what a cookie says.
type login struct {
	user  uint32
	at    time.Time
	token int64 // with Java2025
}

// cookie returns the default name of the cookie, and "" for an unknown format.
func (f Format) cookie() string {
	switch f {
	case InsecureNode2019, Java2020:
		return "rong_auth_cookie"
	case Java2025:
		return "st_cookie"
	}
	return ""
}

// decrypter returns a function that takes the value of a cookie and returns its
// text, or false if the value cannot be the encoding of any text.
func (f Format) decrypter(key string) func(value string) (string, bool) {
	if f == InsecureNode2019 {
		return nodeDecrypter(key)
	}
	return javaDecrypter(key)
}

// parse takes the text of a cookie. Each number is written in the one way that
// the old servers write it, without a sign or a zero in front.
func (f Format) parse(text string) (l login, ok bool) {
	most := []uint64{9999, math.MaxUint32, math.MaxInt64, math.MaxInt64}
	if f != Java2025 {
		most = most[:3]
	}
	fields := strings.Split(text, "|")
	if len(fields) != len(most) {
		return l, false
	}
	var n [4]uint64
	for i, field := range fields {
		var err error
		if n[i], err = strconv.ParseUint(field, 10, 64); err != nil || field[0] == '0' || n[i] > most[i] {
			return l, false
		}
	}
	salt, user, ms, token := n[0], n[1], n[2], n[3]
	return login{uint32(user), time.UnixMilli(int64(ms)), int64(token)}, salt >= 1000
}

// nodeDecrypter does what Node's crypto.createDecipher("aes-256-ctr", key)
// does. Key and IV come from OpenSSL's EVP_BytesToKey with MD5, one round and no
// salt. As the IV is fixed, so is the keystream.
func nodeDecrypter(key string) func(value string) (string, bool) {
	var last, derived []byte
	for range 3 {
		sum := md5.Sum(append(last, key...))
		last = sum[:]
		derived = append(derived, last...)
	}
	block, _ := aes.NewCipher(derived[:32]) // no error: the length is right
	keystream := make([]byte, maxText)
	cipher.NewCTR(block, derived[32:]).XORKeyStream(keystream, keystream)
	return func(value string) (string, bool) {
		text, err := hex.DecodeString(value)
		if err != nil || value != strings.ToLower(value) {
			return "", false
		}
		subtle.XORBytes(text, text, keystream)
		return string(text), true
	}
}

// javaDecrypter decrypts AES-128 in ECB mode with PKCS#7 padding. The key is
// what Java's SHA1PRNG returns first if its seed is key.
func javaDecrypter(key string) func(value string) (string, bool) {
	seed := sha1.Sum([]byte(key))
	state := sha1.Sum(seed[:])
	block, _ := aes.NewCipher(state[:16]) // no error: the length is right
	return func(value string) (string, bool) {
		text, err := base64.StdEncoding.Strict().DecodeString(value)
		if err != nil || len(text) == 0 || len(text)%aes.BlockSize != 0 {
			return "", false
		}
		for b := text; len(b) > 0; b = b[aes.BlockSize:] {
			block.Decrypt(b, b)
		}
		last := text[len(text)-1:]
		padding := int(last[0])
		if padding == 0 || padding > aes.BlockSize || !bytes.HasSuffix(text, bytes.Repeat(last, padding)) {
			return "", false
		}
		return string(text[:len(text)-padding]), true
	}
}
