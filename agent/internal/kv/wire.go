package kv

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/hlc"
)

// errMalformed marks bytes that no encoder of this package made.
var errMalformed = errors.New("malformed kv message")

// writer appends fields to a message.
type writer struct{ b []byte }

func newWriter(size int) *writer { return &writer{b: make([]byte, 0, size)} }

func (w *writer) byte(v byte)        { w.b = append(w.b, v) }
func (w *writer) uvarint(v uint64)   { w.b = binary.AppendUvarint(w.b, v) }
func (w *writer) ts(v hlc.Timestamp) { w.b = binary.BigEndian.AppendUint64(w.b, uint64(v)) }
func (w *writer) raw(v []byte)       { w.b = append(w.b, v...) }
func (w *writer) text(v string)      { w.uvarint(uint64(len(v))); w.b = append(w.b, v...) }
func (w *writer) bytes(v []byte)     { w.uvarint(uint64(len(v))); w.b = append(w.b, v...) }
func (w *writer) count(at, n int)    { binary.BigEndian.PutUint32(w.b[at:], uint32(n)) }
func (w *writer) bool(v bool)        { w.byte(map[bool]byte{true: 1}[v]) }
func (w *writer) reserveCount() (at int) {
	at = len(w.b)
	w.b = append(w.b, 0, 0, 0, 0)
	return at
}

// optional writes v so that nil and empty stay apart.
func (w *writer) optional(v []byte) {
	w.bool(v != nil)
	if v != nil {
		w.bytes(v)
	}
}

// reader takes fields from a message; the first fault sticks. What it returns
// aliases the message.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", errMalformed, what)
	}
	r.b = nil
}

func (r *reader) raw(n uint64) []byte {
	if r.err != nil || n > uint64(len(r.b)) {
		r.fail("too short")
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) byte() byte {
	if v := r.raw(1); v != nil {
		return v[0]
	}
	return 0
}

func (r *reader) bool() bool {
	v := r.byte()
	if v > 1 {
		r.fail("a truth value is neither 0 nor 1")
	}
	return v == 1
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail("bad number")
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) ts() hlc.Timestamp {
	if v := r.raw(8); v != nil {
		return hlc.Timestamp(binary.BigEndian.Uint64(v))
	}
	return 0
}

func (r *reader) bytes() []byte { return r.raw(r.uvarint()) }
func (r *reader) text() string  { return string(r.bytes()) }

func (r *reader) optional() []byte {
	if !r.bool() {
		return nil
	}
	return r.bytes()
}

// count reads how many items follow, each of at least size bytes.
func (r *reader) count(size int) int {
	v := r.raw(4)
	if v == nil {
		return 0
	}
	n := uint64(binary.BigEndian.Uint32(v))
	if n*uint64(size) > uint64(len(r.b)) {
		r.fail("more items than bytes")
		return 0
	}
	return int(n)
}

// end returns the first fault, or one for bytes left over.
func (r *reader) end() error {
	if r.err == nil && len(r.b) > 0 {
		r.fail("data after the end")
	}
	return r.err
}
