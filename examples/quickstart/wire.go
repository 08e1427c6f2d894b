package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A wire records the exchanges with the host, and what the host sent to the chat
// cloud for each. The page shows them, and the phones get what was delivered.
type wire struct {
	names map[string]string // by public id

	mu     sync.Mutex
	events []event // the last ones: at most keptEvents with keptBytes
	kept   int     // the bytes of events
	count  int     // of all events so far
	grown  chan struct{}
}

const (
	keptEvents = 300
	keptBytes  = 4 << 20
	keptText   = 16 << 10 // bytes of a body; serve limits headers
)

// An event is an event in the stream that the page listens to.
type event struct {
	id   int    // 1, 2, 3 …
	data []byte // as it goes out
}

// An exchange is one request to the host, with its answer.
type exchange struct {
	User    string `json:"user"`
	Method  string `json:"method"`
	Path    string `json:"path"`
	Status  int    `json:"status"`
	Request string `json:"request"` // as it went over the wire
	Answer  string `json:"answer"`
	Cloud   []sent `json:"cloud"`
}

// sent is one request to the chat cloud, with its answer.
type sent struct {
	Request  string `json:"request"`
	Answer   string `json:"answer"`
	Verified bool   `json:"verified"` // the cloud accepted the signature
}

// A delivery is a message that the chat cloud accepted, with the users who receive it.
type delivery struct {
	From       string   `json:"from"` // a name, like To and Users
	To         string   `json:"to"`
	Users      []string `json:"users"`
	ObjectName string   `json:"objectName"`
	Content    string   `json:"content"`
}

func newWire() *wire { return &wire{grown: make(chan struct{})} }

func (w *wire) publish(name string, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // such values always encode
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count++
	e := event{w.count, fmt.Appendf(nil, "id: %d\nevent: %s\ndata: %s\n\n", w.count, name, data)}
	w.kept += len(e.data)
	w.events = append(w.events, e)
	for len(w.events) > keptEvents || w.kept > keptBytes {
		w.kept -= len(w.events[0].data)
		w.events = slices.Delete(w.events, 0, 1)
	}
	close(w.grown)
	w.grown = make(chan struct{})
}

// since returns the kept events after the one with this id, and a channel that is
// closed when there are more. A slow reader misses some, but does not block others.
func (w *wire) since(id int) (events []event, grown <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if id > w.count {
		id = 0 // the id is from a server that ran before this one
	}
	first := w.count - len(w.events) + 1
	return slices.Clone(w.events[max(id+1-first, 0):]), w.grown
}

type exchangeKey struct{}

// record passes requests on to the host, and publishes each with its answer.
func (w *wire) record(host http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		e := exchange{User: r.Header.Get("X-User"), Method: r.Method, Path: r.URL.RequestURI(), Cloud: []sent{}}
		head, err := httputil.DumpRequest(r, false)
		if err != nil {
			http.Error(rw, err.Error(), http.StatusBadRequest)
			return
		}
		body, _ := io.ReadAll(io.LimitReader(r.Body, keptText+1)) // the host gets the same read error
		e.Request = string(head) + cut(string(body))
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(body), r.Body), r.Body}

		answer := httptest.NewRecorder()
		host.ServeHTTP(answer, r.WithContext(context.WithValue(r.Context(), exchangeKey{}, &e)))
		header := answer.Header() // with what net/http would add
		header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
		if answer.Code != http.StatusNoContent && answer.Code != http.StatusNotModified {
			header.Set("Content-Length", strconv.Itoa(answer.Body.Len()))
		}
		if r.Method == http.MethodHead {
			answer.Body.Reset()
		}
		e.Status, e.Answer = answer.Code, answerText(answer.Code, header, answer.Body.String())
		w.publish("exchange", e)
		for name, values := range header {
			rw.Header()[name] = values
		}
		rw.WriteHeader(answer.Code)
		_, _ = rw.Write(answer.Body.Bytes()) // fails when the client has left
	})
}

func answerText(status int, header http.Header, body string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	_ = header.Write(&text) // writing to a Builder never fails
	return text.String() + "\r\n" + cut(body)
}

// cut returns the part of a text that is kept.
func cut(text string) string {
	if len(text) <= keptText {
		return text
	}
	return strings.ToValidUTF8(text[:keptText], "") + "…"
}

// RoundTrip implements http.RoundTripper for the host's requests to the chat cloud.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	copied := r.Clone(context.Background())
	var err error
	if copied.Body, err = r.GetBody(); err != nil {
		return nil, fmt.Errorf("reading the form: %w", err)
	}
	request, err := httputil.DumpRequestOut(copied, true)
	if err != nil {
		return nil, fmt.Errorf("writing the request down: %w", err)
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(answer))

	head, form, _ := strings.Cut(string(request), "\r\n\r\n")
	s := sent{
		Request:  head + "\r\n\r\n" + cut(form),
		Answer:   answerText(response.StatusCode, response.Header, string(answer)),
		Verified: response.StatusCode == http.StatusOK, // the stand-in answers 401 if it is not
	}
	if e, ok := r.Context().Value(exchangeKey{}).(*exchange); ok {
		e.Cloud = append(e.Cloud, s)
	}
	if s.Verified {
		w.deliver(form)
	}
	return response, nil
}

// deliver publishes a message for the phones of the users to whom the cloud sends it.
func (w *wire) deliver(body string) {
	form, _ := url.ParseQuery(body) // the cloud was able to parse it
	d := delivery{
		From:       w.names[form.Get("fromUserId")],
		To:         w.names[form.Get("toUserId")+form.Get("toGroupId")],
		ObjectName: form.Get("objectName"),
		Content:    cut(form.Get("content")),
	}
	members := []string{d.To}
	if form.Has("toGroupId") {
		members = []string{"alice", "bob"}
	}
	for _, name := range members {
		if name != d.From {
			d.Users = append(d.Users, name)
		}
	}
	if form.Get("isIncludeSender") == "1" {
		d.Users = append(d.Users, d.From)
	}
	w.publish("delivery", d)
}
