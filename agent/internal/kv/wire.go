package kv

import (
	"encoding/binary"
	"errors"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/codec"
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

func (w *writer) txns(ids []cluster.TxnID) {
	w.count(w.reserveCount(), len(ids))
	for i := range ids {
		w.raw(ids[i][:])
	}
}

// reader takes fields from a message.
type reader struct{ codec.Reader }

func (r *reader) bool() bool {
	v := r.Byte()
	if v > 1 {
		r.Fail("a truth value is neither 0 nor 1")
	}
	return v == 1
}

func (r *reader) ts() hlc.Timestamp { return hlc.Timestamp(r.Uint64()) }

func (r *reader) txns() []cluster.TxnID {
	n := r.Count32(len(cluster.TxnID{}))
	if n == 0 {
		return nil
	}
	ids := make([]cluster.TxnID, n)
	for i := range ids {
		copy(ids[i][:], r.Raw(uint64(len(ids[i]))))
	}
	return ids
}

func (r *reader) text() string { return string(r.Bytes()) }

func (r *reader) optional() []byte {
	if !r.bool() {
		return nil
	}
	return r.Bytes()
}
