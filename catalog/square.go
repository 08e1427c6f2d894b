package catalog

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sealtalk-go/misc"
	"github.com/sealtalk-go/misc/n3d"
)

// ParseSquare parses a square in the form of SealTalk's demo_square.json: a
// list of objects with the keys id, type, name, portraitUri, memberCount and
// maxMemberCount, for which the rules of [misc.SquareEntry] hold. Other keys go
// to Extra. An id is a string, which is a public id, or a number, which codec
// encodes. codec may be nil if no id is a number. The error joins all problems,
// each with its place in the list and its key.
func ParseSquare(data []byte, codec *n3d.Codec) (*misc.Square, error) {
	s, _, found := parseSquare(data, codec)
	return s, found.join("catalog: ")
}

func parseSquare(data []byte, codec *n3d.Codec) (*misc.Square, string, problems) {
	var list []json.RawMessage
	if err := parse(data, &list); err != nil || list == nil {
		if err == nil || err == errNoObject {
			err = errors.New("must be a JSON list")
		}
		return nil, "", problems{{"", err}}
	}
	var found problems
	entries := make([]misc.SquareEntry, len(list))
	for i, raw := range list {
		o := parseObject(raw, fmt.Sprintf("[%d].", i))
		if o.found == nil {
			entries[i] = o.entry(codec)
		}
		found = append(found, o.found...)
	}
	if found != nil {
		return nil, "", found
	}
	s, err := misc.NewSquare(entries)
	return s, fmt.Sprint(len(list), " entries"), found.add(err)
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
		Extra:          o.rest,
	}
}

func (o *object) id(codec *n3d.Codec) string {
	if value := o.rest["id"]; value == nil || value[0] == '"' || string(value) == "null" {
		return o.checked("id", "id")
	}
	value := o.take("id")
	var n uint32
	switch err := json.Unmarshal(value, &n); {
	case err != nil || n == 0:
		o.add("id", "must be a public id or a number from 1 to 4294967295")
	case codec == nil:
		o.add("id", "is a number, which needs a codec (Config.Codec)")
	default:
		public, err := codec.Encode(n)
		if err != nil {
			o.add("id", "%w", err)
		}
		return public
	}
	return ""
}

func (o *object) number(key string) int {
	var n int
	if value := o.take(key); value != nil && (json.Unmarshal(value, &n) != nil || n < 0) {
		o.add(key, "must be a whole number that is not negative")
	}
	return n
}
