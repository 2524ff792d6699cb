package metrics

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/sidegate/sidegate/metrics/border"
)

// An error from writing an answer means that the client has gone; there is
// nobody left to tell, so these functions drop it.

func writeProblem(w http.ResponseWriter, p border.Problem) {
	header := w.Header()
	header.Set("Content-Type", border.ContentType)
	switch {
	case p.RetryAfter():
		header.Set("Retry-After", "1")
	case p.Code == border.CodeUnauthenticated:
		header.Set("WWW-Authenticate", "Bearer")
	}
	writeBody(w, p.Status(), p.JSON())
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		writeProblem(w, border.Internal())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	writeBody(w, status, body)
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	writeBody(w, status, []byte(text))
}

func writeBody(w http.ResponseWriter, status int, body []byte) {
	header := w.Header()
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
