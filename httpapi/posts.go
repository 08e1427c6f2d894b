package httpapi

import (
	"fmt"
	"net/http"

	"github.com/sealtalk-go/misc"
)

const (
	sentString = `{"code":"200"}`
	sentNumber = `{"code":200}`

	namedTypes   = "PRIVATE or GROUP"
	numericTypes = "1 (private) or 3 (group)"
)

func (h *Handler) sendMessage(w http.ResponseWriter, r *http.Request, userID string) error {
	body, err := h.readBody(w, r)
	if err != nil {
		return err
	}
	kind := body.text("conversationType", "must be "+namedTypes)
	m := misc.Message{
		From:        userID,
		To:          body.text("targetId", mustBeString),
		ObjectName:  body.text("objectName", mustBeString),
		PushContent: body.optionalText("pushContent", mustBeString),
	}
	content := body.required("content")
	if body.err != nil {
		return body.err
	}
	if m.Content, err = misc.OutgoingContent(m.ObjectName, content); err != nil {
		return invalid(err)
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
	status := body.number("noticeStatus", "must be 0 (off) or 1 (on)")
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

// readConversation reads a body and the two fields that name a conversation.
func (h *Handler) readConversation(w http.ResponseWriter, r *http.Request) (*body, misc.ConversationType, string, error) {
	b, err := h.readBody(w, r)
	if err != nil {
		return nil, 0, "", err
	}
	t, target := b.number("conversationType", "must be "+numericTypes), b.text("targetId", mustBeString)
	return b, misc.ConversationType(t), target, b.err
}
