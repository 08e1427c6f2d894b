package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
)

const (
	contentType = "application/json; charset=utf-8"
	noStore     = "no-store"
	maxAge      = "max-age=60"
)

func write(w http.ResponseWriter, status int, cacheControl string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", cacheControl)
	w.WriteHeader(status)
	_, _ = w.Write(body) // fails when the client has left, and then there is no one to tell
}

// encode returns v, which must have a JSON form, without HTML escapes.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
