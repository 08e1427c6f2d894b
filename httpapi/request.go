package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sealtalk-go/misc"
)

const (
	sentString = `{"code":"200"}`
	sentNumber = `{"code":200}`
)

func (h *Handler) sendMessage(w http.ResponseWriter, r *http.Request, userID string) error {
	body, err := h.readBody(w, r)
	if err != nil {
		return err
	}
	kind := body.text("conversationType")
	m := misc.Message{
		From:        userID,
		To:          body.text("targetId"),
		ObjectName:  body.text("objectName"),
		PushContent: body.optionalText("pushContent"),
	}
	content := body.required("content")
	if body.err != nil {
		return body.err
	}
	if m.Content, err = misc.OutgoingContent(m.ObjectName, content); err != nil {
		return err
	}
	switch kind {
	case "PRIVATE":
		m.Type = misc.Private
	case "GROUP":
		m.Type = misc.Group
	}
	if err := h.cfg.Service.SendMessage(r.Context(), m); err != nil {
		return err
	}
	sent := sentString
	if h.cfg.NumericSendCode {
		sent = sentNumber
	}
	write(w, http.StatusOK, noStore, []byte(sent))
	return nil
}

func (h *Handler) setScreenCapture(w http.ResponseWriter, r *http.Request, userID string) error {
	body, t, target, err := h.readConversation(w, r)
	if err != nil {
		return err
	}
	status := body.number("noticeStatus")
	if body.err != nil {
		return body.err
	}
	err = h.cfg.Service.SetScreenCapture(r.Context(), userID, t, target, misc.NoticeStatus(status))
	if err == nil {
		write(w, http.StatusOK, noStore, []byte(sentNumber))
	}
	return err
}

func (h *Handler) getScreenCapture(w http.ResponseWriter, r *http.Request, userID string) error {
	_, t, target, err := h.readConversation(w, r)
	if err != nil {
		return err
	}
	status, err := h.cfg.Service.ScreenCapture(r.Context(), userID, t, target)
	if err == nil {
		write(w, http.StatusOK, noStore, fmt.Appendf(nil, `{"code":200,"result":{"status":%d}}`, status))
	}
	return err
}

func (h *Handler) sendScreenCaptureNotice(w http.ResponseWriter, r *http.Request, userID string) error {
	_, t, target, err := h.readConversation(w, r)
	if err != nil {
		return err
	}
	err = h.cfg.Service.SendScreenCaptureNotice(r.Context(), userID, t, target)
	if err == nil {
		write(w, http.StatusOK, noStore, []byte(sentNumber))
	}
	return err
}

// body is the JSON object of a POST. Its methods read one field each, by its
// exact name; the first that is wrong is kept in err.
type body struct {
	fields map[string]json.RawMessage
	err    error
}

func (h *Handler) readBody(w http.ResponseWriter, r *http.Request) (*body, error) {
	if !isJSON(r.Header.Get("Content-Type")) {
		return nil, refusal{http.StatusUnsupportedMediaType, "Content-Type must be application/json, in UTF-8"}
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.cfg.MaxBodyBytes))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, refusal{http.StatusRequestEntityTooLarge, fmt.Sprintf("body must be at most %d bytes", tooLarge.Limit)}
	}
	if err != nil {
		return nil, refusal{http.StatusBadRequest, "body ended early"}
	}
	if !utf8.Valid(data) {
		return nil, refusal{http.StatusBadRequest, "body must be UTF-8"}
	}
	b := &body{}
	err = json.Unmarshal(data, &b.fields)
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		return nil, refusal{http.StatusBadRequest, fmt.Sprintf("body is not valid JSON: %v (at byte %d)", syntax, syntax.Offset)}
	}
	if err != nil || b.fields == nil {
		return nil, refusal{http.StatusBadRequest, "body must be a JSON object"}
	}
	return b, nil
}

// readConversation reads a body and the two fields that name a conversation.
func (h *Handler) readConversation(w http.ResponseWriter, r *http.Request) (*body, misc.ConversationType, string, error) {
	b, err := h.readBody(w, r)
	if err != nil {
		return nil, 0, "", err
	}
	t, target := b.number("conversationType"), b.text("targetId")
	return b, misc.ConversationType(t), target, b.err
}

func isJSON(contentType string) bool {
	media, params, err := mime.ParseMediaType(contentType)
	charset, ok := params["charset"]
	return err == nil && media == "application/json" && (!ok || strings.EqualFold(charset, "utf-8"))
}

func (b *body) wrong(field, problem string) {
	if b.err == nil {
		b.err = refusal{http.StatusBadRequest, field + " " + problem}
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

func (b *body) optionalText(field string) string {
	var s string
	if value := b.optional(field); value != nil && json.Unmarshal(value, &s) != nil {
		b.wrong(field, "must be a string")
	}
	return s
}

func (b *body) text(field string) string {
	b.required(field)
	s := b.optionalText(field)
	if s == "" {
		b.wrong(field, "must not be empty")
	}
	return s
}

// number reads a whole number, or a string of one, as older clients send it.
// One that is out of range is -1, which no field knows.
func (b *body) number(field string) int {
	raw := b.required(field)
	value := string(raw)
	if len(raw) > 0 && raw[0] == '"' && json.Unmarshal(raw, &value) != nil {
		value = ""
	}
	digits := strings.TrimPrefix(value, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" || digits[0] == '0' && value != "0" {
		b.wrong(field, "must be a whole number")
		return -1
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		return -1
	}
	return n
}
