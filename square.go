package misc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// ErrNoSquare is what [SquareSource.Square] returns or wraps if there is no
// square.
var ErrNoSquare = errors.New("misc: no square")

// A SquareSource supplies the square, the list of chat rooms and groups that
// clients offer to everyone. It returns ErrNoSquare if there is none, and an
// error if the context is cancelled.
type SquareSource interface {
	Square(ctx context.Context) (*Square, error)
}

// A Square is the list of chat rooms and groups that clients offer to everyone,
// in the form that clients receive. It is immutable and may be copied. Make one
// with [NewSquare].
type Square struct{ encoded string }

// A SquareEntry is one chat room or group of a [Square]. Fields that are empty
// or 0 are left out of the JSON that clients receive.
type SquareEntry struct {
	ID             string // required; a public id such as kFpN4KiZn, not the number in the database
	Type           string // required; chatroom or group, in lower case
	Name           string // required for a chat room
	PortraitURI    string
	MemberCount    int // not negative
	MaxMemberCount int // not negative

	// Extra has further keys of the JSON object that clients receive. The keys
	// id, type, name, portraitUri, memberCount and maxMemberCount are not
	// allowed. Each value must be valid JSON.
	Extra map[string]json.RawMessage
}

// NewSquare returns the square of these entries, in their order, or an error
// that joins a *[FieldError] for each problem with them. The Field is a path
// such as [1].name.
func NewSquare(entries []SquareEntry) (*Square, error) {
	var p problems
	encoded := make([]string, len(entries))
	for i, e := range entries {
		path := fmt.Sprintf("[%d].", i)
		p.check(path+"id", "id", e.ID)
		p.check(path+"type", "type", e.Type)
		p.check(path+"name", e.Type+".name", e.Name)
		encoded[i] = p.encode(path, e.Extra, field{"id", e.ID}, field{"type", e.Type}, field{"name", e.Name}, field{"portraitUri", e.PortraitURI},
			p.count(path, "memberCount", e.MemberCount), p.count(path, "maxMemberCount", e.MaxMemberCount))
	}
	if p != nil {
		return nil, errors.Join(p...)
	}
	return &Square{"[" + strings.Join(encoded, ",") + "]"}, nil
}

// MarshalJSON returns s as the list in the answer that clients receive. It
// never fails for a Square that [NewSquare] made.
func (s Square) MarshalJSON() ([]byte, error) { return marshal(s.encoded) }

// count is the field of a number, or of an empty string for 0.
func (p *problems) count(path, key string, n int) field {
	if n < 0 {
		p.add(path+key, "%d is negative", n)
	}
	if n == 0 {
		return field{key, ""}
	}
	return field{key, n}
}

// Square returns the chat rooms and groups that clients offer to everyone. Its
// error has the code CodeNoSquare if there are none or if Config.Square is nil,
// and CodeInternal if the SquareSource fails.
func (s *Service) Square(ctx context.Context) (*Square, error) {
	if s.cfg.Square == nil {
		return nil, &Error{Code: CodeNoSquare, Err: ErrNoSquare}
	}
	q, err := s.cfg.Square.Square(ctx)
	switch {
	case errors.Is(err, ErrNoSquare):
		return nil, &Error{Code: CodeNoSquare, Err: err}
	case err != nil:
		return nil, internal("Square", err)
	case q == nil || q.encoded == "":
		return nil, internal("Square", errors.New("returned neither a square made by NewSquare nor an error"))
	}
	return q, nil
}
