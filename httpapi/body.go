package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"
)

// body is the JSON object of a POST. Its methods read one field each, by its
// exact name; the first that is wrong is kept in err.
type body struct {
	fields map[string]json.RawMessage
	err    error
}

func (h *Handler) readBody(w http.ResponseWriter, r *http.Request) (*body, error) {
	if encoding := strings.Join(r.Header.Values("Content-Encoding"), ","); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return nil, refuse(http.StatusUnsupportedMediaType, "Content-Encoding must be identity: send the body uncompressed")
	}
	if !isJSON(r.Header.Get("Content-Type")) {
		return nil, refuse(http.StatusUnsupportedMediaType, "Content-Type must be application/json, in UTF-8")
	}
	tooLarge := func() error {
		if r.ProtoMajor == 1 { // else the server reads the rest of the body before it answers
			w.Header().Set("Connection", "close")
		}
		return refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf("body must be at most %d bytes", h.cfg.MaxBodyBytes))
	}
	if r.ContentLength > h.cfg.MaxBodyBytes { // before reading, which would ask a client that waits for 100 Continue to send it
		return nil, tooLarge()
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.cfg.MaxBodyBytes))
	if errors.As(err, new(*http.MaxBytesError)) {
		return nil, tooLarge()
	}
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "body ended early")
	}
	if !utf8.Valid(data) {
		return nil, refuse(http.StatusBadRequest, "body must be UTF-8")
	}
	b := &body{}
	text := bytes.TrimPrefix(data, []byte("\uFEFF"))
	err = json.Unmarshal(text, &b.fields)
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		return nil, refuse(http.StatusBadRequest, fmt.Sprintf("body is not valid JSON: %v (at byte %d)", syntax, syntax.Offset+int64(len(data)-len(text))))
	}
	if err != nil || b.fields == nil {
		return nil, refuse(http.StatusBadRequest, "body must be a JSON object")
	}
	return b, nil
}

func isJSON(contentType string) bool {
	media, params, err := mime.ParseMediaType(contentType)
	charset, ok := params["charset"]
	return err == nil && media == "application/json" && (!ok || strings.EqualFold(charset, "utf-8"))
}

func (b *body) wrong(field, problem string) {
	if b.err == nil {
		b.err = refuse(http.StatusBadRequest, field+" "+problem)
	}
}

// optional returns the value of a field, nil where it is missing or null.
func (b *body) optional(field string) json.RawMessage {
	if value := b.fields[field]; string(value) != "null" {
		return value
	}
	return nil
}

func (b *body) required(field string) json.RawMessage {
	value := b.optional(field)
	if value == nil {
		b.wrong(field, "is required")
	}
	return value
}

// mustBeString is the problem with a value that is not a string.
const mustBeString = "must be a string"

func (b *body) optionalText(field, problem string) string {
	var s string
	if value := b.optional(field); value != nil && json.Unmarshal(value, &s) != nil {
		b.wrong(field, problem)
	}
	return s
}

func (b *body) text(field, problem string) string {
	b.required(field)
	s := b.optionalText(field, problem)
	if s == "" {
		b.wrong(field, "must not be empty")
	}
	return s
}

// number reads a whole number as JSON writes it, 1 or 1.0 or 1e0, or a string of
// digits, as older clients send it. A number that is out of range becomes -1,
// which no field accepts.
func (b *body) number(field, problem string) int {
	raw := b.required(field)
	if text := ""; json.Unmarshal(raw, &text) == nil {
		digits := strings.TrimPrefix(text, "-")
		if digits == "" || strings.Trim(digits, "0123456789") != "" || digits[0] == '0' && text != "0" {
			b.wrong(field, problem)
		}
		raw = []byte(text)
	}
	n, err := strconv.ParseFloat(string(raw), 64)
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange), n != math.Trunc(n):
		b.wrong(field, problem)
	case math.Abs(n) <= math.MaxInt32:
		return int(n)
	}
	return -1
}
