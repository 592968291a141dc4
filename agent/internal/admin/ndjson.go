package admin

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"connectrpc.com/connect/v2"
)

// Bits of the flags byte that begins each frame of a Connect stream.
const (
	frameHeader = 5
	frameEnd    = 1 << 1
)

// httpStatus is what Connect itself answers with over JSON.
var httpStatus = map[connect.Code]int{
	connect.CodeCanceled:           499, // as nginx: the caller has gone
	connect.CodeUnknown:            http.StatusInternalServerError,
	connect.CodeInvalidArgument:    http.StatusBadRequest,
	connect.CodeDeadlineExceeded:   http.StatusGatewayTimeout,
	connect.CodeNotFound:           http.StatusNotFound,
	connect.CodeAlreadyExists:      http.StatusConflict,
	connect.CodePermissionDenied:   http.StatusForbidden,
	connect.CodeResourceExhausted:  http.StatusTooManyRequests,
	connect.CodeFailedPrecondition: http.StatusBadRequest,
	connect.CodeAborted:            http.StatusConflict,
	connect.CodeOutOfRange:         http.StatusBadRequest,
	connect.CodeUnimplemented:      http.StatusNotImplemented,
	connect.CodeInternal:           http.StatusInternalServerError,
	connect.CodeUnavailable:        http.StatusServiceUnavailable,
	connect.CodeDataLoss:           http.StatusInternalServerError,
	connect.CodeUnauthenticated:    http.StatusUnauthorized,
}

// ndjson makes streams curl-able: a plain JSON POST that accepts
// application/x-ndjson becomes a Connect stream, and its frames become lines. A
// call that fails before its first message gets a real HTTP status.
func ndjson(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || !strings.HasPrefix(r.Header.Get("Accept"), "application/x-ndjson") {
			next.ServeHTTP(w, r)
			return
		}
		inner := r.Clone(r.Context())
		inner.Header.Set("Content-Type", "application/connect+json")
		inner.Header.Del("Connect-Accept-Encoding")
		inner.Header.Del("Accept-Encoding")
		inner.Body = &framer{body: r.Body}
		inner.ContentLength = -1
		next.ServeHTTP(&unframer{w: w}, inner)
	})
}

// framer makes a body one frame of a Connect stream. The body is read when the
// frame is: a caller without a credential is refused before.
type framer struct {
	body  io.ReadCloser
	frame *bytes.Reader
}

// Read implements io.Reader.
func (f *framer) Read(p []byte) (int, error) {
	if f.frame == nil {
		body, err := io.ReadAll(f.body)
		if err != nil {
			return 0, err
		}
		f.frame = bytes.NewReader(append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(body))), body...))
	}
	return f.frame.Read(p)
}

// Close implements io.Closer.
func (f *framer) Close() error { return f.body.Close() }

// unframer writes the messages of a Connect stream as lines.
type unframer struct {
	w       http.ResponseWriter
	buf     []byte
	started bool
	plain   bool // not a stream: passed through
}

// Header implements http.ResponseWriter.
func (u *unframer) Header() http.Header { return u.w.Header() }

// Unwrap lets http.ResponseController find the connection.
func (u *unframer) Unwrap() http.ResponseWriter { return u.w }

// Flush implements http.Flusher.
func (u *unframer) Flush() {
	if u.started {
		_ = http.NewResponseController(u.w).Flush() // HTTP/1.0 cannot: then it waits
	}
}

// WriteHeader is held back until the first frame says whether the call failed.
func (u *unframer) WriteHeader(code int) {
	if code != http.StatusOK {
		u.plain, u.started = true, true
		u.w.WriteHeader(code)
	}
}

func (u *unframer) start(code int) {
	if u.started {
		return
	}
	u.started = true
	u.w.Header().Set("Content-Type", "application/x-ndjson")
	u.w.Header().Del("Content-Length")
	u.w.WriteHeader(code)
}

func (u *unframer) Write(p []byte) (int, error) {
	if u.plain {
		return u.w.Write(p)
	}
	u.buf = append(u.buf, p...)
	for len(u.buf) >= frameHeader {
		n := int(binary.BigEndian.Uint32(u.buf[1:frameHeader]))
		if len(u.buf) < frameHeader+n {
			break
		}
		flags, msg := u.buf[0], u.buf[frameHeader:frameHeader+n]
		if err := u.frame(flags, msg); err != nil {
			return 0, err
		}
		u.buf = u.buf[frameHeader+n:]
	}
	return len(p), nil
}

func (u *unframer) frame(flags byte, msg []byte) error {
	if flags&frameEnd == 0 {
		u.start(http.StatusOK)
		_, err := u.w.Write(append(msg[:len(msg):len(msg)], '\n'))
		return err
	}
	var end struct {
		Error json.RawMessage `json:"error"`
	}
	if err := json.Unmarshal(msg, &end); err != nil {
		return err // Connect made it: cannot be
	}
	if end.Error == nil {
		u.start(http.StatusOK)
		return nil
	}
	var e struct {
		Code connect.Code `json:"code"`
	}
	code := http.StatusInternalServerError
	if json.Unmarshal(end.Error, &e) == nil && httpStatus[e.Code] != 0 {
		code = httpStatus[e.Code]
	}
	u.start(code)
	_, err := u.w.Write([]byte(`{"error":` + string(end.Error) + "}\n"))
	return err
}
