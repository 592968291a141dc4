// Package codec takes binary messages and values apart.
//
// docs/FORMATS.md has the conventions: numbers are uvarint or big endian, bytes are
// a uvarint length and then as many bytes.
//
// # Invariants
//
//  1. No input, however malformed, makes a Reader panic, or make room for more than
//     the input has (fuzzed).
//  2. The first fault sticks: what is read after it is zero.
package codec

import (
	"encoding/binary"
	"fmt"
)

// Reader takes fields off the front of a message. What it returns aliases the
// message. The zero Reader is at its end.
type Reader struct {
	rest      []byte
	malformed error
	err       error
}

// Read returns a Reader of b, whose faults are malformed.
func Read(b []byte, malformed error) Reader { return Reader{rest: b, malformed: malformed} }

// Fail notes a fault, unless there was one before.
func (r *Reader) Fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", r.malformed, fmt.Sprintf(format, args...))
	}
	r.rest = nil
}

// Err returns the first fault.
func (r *Reader) Err() error { return r.err }

// Len returns how many bytes are left.
func (r *Reader) Len() int { return len(r.rest) }

// Rest returns what is left, without taking it.
func (r *Reader) Rest() []byte { return r.rest }

// End returns the first fault; bytes that are left over are one.
func (r *Reader) End() error {
	if len(r.rest) > 0 {
		r.Fail("%d bytes after the end", len(r.rest))
	}
	return r.err
}

// Raw takes n bytes.
func (r *Reader) Raw(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.short()
		return nil
	}
	v := r.rest[:n:n]
	r.rest = r.rest[n:]
	return v
}

func (r *Reader) short() { r.Fail("it ends early") }

// Byte takes one byte.
func (r *Reader) Byte() byte {
	if len(r.rest) == 0 {
		r.short()
		return 0
	}
	v := r.rest[0]
	r.rest = r.rest[1:]
	return v
}

// Uvarint takes a number of any length.
func (r *Reader) Uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.short()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// Varint takes a zigzag number.
func (r *Reader) Varint() int64 {
	u := r.Uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

// UpTo takes a uvarint that is at most most.
func (r *Reader) UpTo(most uint64) uint64 {
	v := r.Uvarint()
	if v > most {
		r.Fail("%d is more than %d", v, most)
		return 0
	}
	return v
}

// Uint32 takes four bytes, big endian.
func (r *Reader) Uint32() uint32 {
	if len(r.rest) < 4 {
		r.short()
		return 0
	}
	v := binary.BigEndian.Uint32(r.rest)
	r.rest = r.rest[4:]
	return v
}

// Uint64 takes eight bytes, big endian.
func (r *Reader) Uint64() uint64 {
	if len(r.rest) < 8 {
		r.short()
		return 0
	}
	v := binary.BigEndian.Uint64(r.rest)
	r.rest = r.rest[8:]
	return v
}

// Bytes takes a length and as many bytes.
func (r *Reader) Bytes() []byte { return r.Raw(r.Uvarint()) }

// Count takes how many records of at least size bytes follow, as a uvarint.
func (r *Reader) Count(size int) int { return r.fits(r.Uvarint(), size) }

// Count32 is Count of a number of four bytes.
func (r *Reader) Count32(size int) int { return r.fits(uint64(r.Uint32()), size) }

// fits refuses a number of records that promises more than is there, before
// anything is made for them.
func (r *Reader) fits(n uint64, size int) int {
	if n > uint64(len(r.rest)/size) {
		r.Fail("%d records in %d bytes", n, len(r.rest))
		return 0
	}
	return int(n) //nolint:gosec // bounded
}

// AppendBytes appends what Bytes takes.
func AppendBytes[T ~string | ~[]byte](b []byte, v T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}
