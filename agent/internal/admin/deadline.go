package admin

import (
	"net/http"
	"time"
)

// writeWait is how long a caller may take to accept a piece of the answer. One
// that does not read would hold its watch, and the node's slot, for ever.
const writeWait = 30 * time.Second

// writeDeadlines bounds each write of an answer rather than the whole answer:
// watches are open for days.
func writeDeadlines(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(&timedWriter{ResponseWriter: w, control: http.NewResponseController(w)}, r)
	})
}

type timedWriter struct {
	http.ResponseWriter

	control *http.ResponseController
}

// Unwrap lets http.ResponseController find the connection.
func (t *timedWriter) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// Write gives the caller time anew.
func (t *timedWriter) Write(p []byte) (int, error) {
	t.extend()
	return t.ResponseWriter.Write(p)
}

// Flush implements http.Flusher.
func (t *timedWriter) Flush() {
	t.extend()
	_ = t.control.Flush() // a lost connection: the next write says so
}

func (t *timedWriter) extend() {
	_ = t.control.SetWriteDeadline(time.Now().Add(writeWait)) // not supported: a test's recorder
}
