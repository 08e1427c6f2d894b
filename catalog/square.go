package catalog

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/n3d"
)

// ParseSquare parses a square in the form of SealTalk's demo_square.json: a
// list of objects with the keys id, type, name, portraitUri, memberCount and
// maxMemberCount, for which the rules of [misc.SquareEntry] hold. Other keys go
// to Extra. An id is a public id or a number, which codec encodes. With a codec,
// a string of digits is that number too, as for SealTalk's Java server; without
// one, it is a public id. codec may be nil if no id is a number. The error joins
// all problems, each with its place in the list and its key.
func ParseSquare(data []byte, codec *n3d.Codec) (*misc.Square, error) {
	s, found := parseSquare(data, codec)
	return s.good, found.join("catalog: ", data)
}

func parseSquare(data []byte, codec *n3d.Codec) (square parsed[misc.Square], found problems) {
	n, err := parse(data)
	if err == nil && !n.isList() {
		err = errors.New("must be a JSON list")
	}
	if err != nil {
		return square, found.add(err)
	}
	rooms := 0
	entries := []misc.SquareEntry{}
	n.members(func(_ string, v node) {
		var entry misc.SquareEntry
		o := parseObject(v, fmt.Sprintf("[%d].", len(entries)))
		o.full = len(found) > maxProblems
		if o.found == nil {
			entry = o.entry(codec)
		}
		if entry.Type == "chatroom" {
			rooms++
		}
		entries = append(entries, entry)
		found = found.with(o.found...)
	})
	if found != nil {
		return square, found
	}
	s, err := misc.NewSquare(entries)
	square = parsed[misc.Square]{good: s, version: fmt.Sprint(len(entries), " entries")}
	if 1 <= rooms && rooms <= 3 {
		square.warning = &warning{file: "demo_square.json", text: fmt.Sprintf("%d of the four chat rooms that SealTalk's iOS client has buttons for: it crashes when one has no room; list none, or four and more", rooms)}
	}
	return square, found.add(err)
}

func (o *object) entry(codec *n3d.Codec) misc.SquareEntry {
	id, kind := o.id(codec), o.checked("type", "type")
	return misc.SquareEntry{
		ID:             id,
		Type:           kind,
		Name:           o.checked("name", kind+".name"),
		PortraitURI:    o.text("portraitUri"),
		MemberCount:    o.number("memberCount"),
		MaxMemberCount: o.number("maxMemberCount"),
		Extra:          o.extra(),
	}
}

func (o *object) id(codec *n3d.Codec) string {
	value, text := o.values["id"], ""
	isText := value.RawMessage == nil || json.Unmarshal(value.RawMessage, &text) == nil // "" for null
	if isText && (codec == nil || text == "" || strings.Trim(text, "0123456789") != "") {
		return o.checked("id", "id")
	}
	o.take("id")
	n, err := strconv.ParseUint(cmp.Or(text, string(value.RawMessage)), 10, 32)
	switch {
	case err != nil || n == 0:
		o.add("id", "must be a public id or a number from 1 to 4294967295")
		return ""
	case codec == nil:
		o.add("id", "is a number, which needs a codec (Config.Codec)")
		return ""
	}
	public, err := codec.Encode(uint32(n))
	if err != nil {
		o.add("id", "%w", err)
	}
	return public
}

func (o *object) number(key string) int {
	var n int
	if value, given := o.take(key); given && (json.Unmarshal(value.RawMessage, &n) != nil || n < 0) {
		o.add(key, "must be a whole number that is not negative")
	}
	return n
}
