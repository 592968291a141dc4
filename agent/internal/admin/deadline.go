package admin

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
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

// bodyLimits bounds a request's body, in bytes and in time. Whoever sends no
// more of it would hold a connection for ever. An answer may take as long as it
// likes: the time ends with the body.
func bodyLimits(wait time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(w, r)
			return
		}
		b := &timedBody{ReadCloser: http.MaxBytesReader(w, r.Body, bodyMost), control: http.NewResponseController(w)}
		_ = b.control.SetReadDeadline(time.Now().Add(wait)) // not supported: a test's recorder
		if r.ProtoMajor == 1 {
			b.hangUp = func() { w.Header().Set("Connection", "close") }
			r = r.WithContext(context.WithValue(r.Context(), hangUpKey{}, b.hangUp))
		}
		r.Body = b
		next.ServeHTTP(w, r)
	})
}

type hangUpKey struct{}

// hangUp ends the connection with the answer: the rest of a refused request's
// body is not waited for.
func hangUp(ctx context.Context) {
	if fn, ok := ctx.Value(hangUpKey{}).(func()); ok {
		fn()
	}
}

// bodyMost is a little more than a request, so that the protocol's own limit
// speaks first.
const bodyMost = requestMost + 1<<10

type timedBody struct {
	io.ReadCloser

	control *http.ResponseController
	hangUp  func() // nil: HTTP/2, whose streams end apart
}

// Read ends the time with the body: from then on the connection is read to
// notice that the caller has gone. What follows a body that was cut short is no
// request.
func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		_ = b.control.SetReadDeadline(time.Time{}) // as above
	case err != nil && b.hangUp != nil:
		b.hangUp()
	}
	return n, err
}

type connKey struct{}

// credited is a connection that is told when its caller has shown a credential;
// a port under attack closes the others first.
type credited interface{ Authenticated() }

// rememberConn puts a connection that wants to be told into the context of its
// requests.
func rememberConn(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if k, ok := c.(credited); ok {
		return context.WithValue(ctx, connKey{}, k)
	}
	return ctx
}

// Authenticated says that the caller of a request has shown a credential.
func Authenticated(ctx context.Context) {
	if k, ok := ctx.Value(connKey{}).(credited); ok {
		k.Authenticated()
	}
}
