package transport

import (
	"encoding/binary"
	"errors"
	"time"
)

// kind is what a frame is.
type kind byte

const (
	kindRaft    kind = 1 // payload: a batch of raft messages
	kindRequest kind = 2 // id, timeout, name: method, payload
	kindReply   kind = 3 // id, payload
	kindError   kind = 4 // id, name: code, message, payload: detail
	kindCancel  kind = 5 // id: of a request whose caller has gone
	kindData    kind = 6 // payload: a chunk of a snapshot or scan
	kindEnd     kind = 7 // no more chunks
	kindHello   kind = 8 // payload: hello
)

// maxPayload bounds one frame.
const maxPayload = 64 << 20

// frame is one message. Many frames in one gRPC message stand one after another.
type frame struct {
	kind    kind
	id      uint64
	timeout time.Duration // of a request; 0: none
	name    string        // method or error code
	message string        // of an error
	payload []byte
}

var errFrame = errors.New("malformed frame")

// size bounds the encoded length from above.
func (f *frame) size() int {
	return 1 + 5*binary.MaxVarintLen64 + len(f.name) + len(f.message) + len(f.payload)
}

// append encodes f: kind, then what its kind has, each byte string behind its
// length.
func (f *frame) append(b []byte) []byte {
	b = append(b, byte(f.kind))
	switch f.kind {
	case kindRequest:
		b = binary.AppendUvarint(b, f.id)
		b = binary.AppendUvarint(b, uint64(f.timeout/time.Microsecond))
		b = appendBytes(b, f.name)
	case kindError:
		b = binary.AppendUvarint(b, f.id)
		b = appendBytes(b, f.name)
		b = appendBytes(b, f.message)
	case kindReply:
		b = binary.AppendUvarint(b, f.id)
	case kindCancel:
		return binary.AppendUvarint(b, f.id)
	case kindEnd:
		return b
	case kindRaft, kindData, kindHello:
	}
	return appendBytes(b, f.payload)
}

func appendBytes[T string | []byte](b []byte, s T) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// decodeFrame reads one frame. Its payload is part of b.
func decodeFrame(b []byte) (f frame, rest []byte, err error) {
	if len(b) == 0 {
		return f, nil, errFrame
	}
	r := reader{b: b[1:]}
	f.kind = kind(b[0])
	switch f.kind {
	case kindRequest:
		f.id = r.uvarint()
		f.timeout = time.Duration(min(r.uvarint(), uint64(1<<63-1)/uint64(time.Microsecond))) * time.Microsecond
		f.name = string(r.bytes())
	case kindError:
		f.id = r.uvarint()
		f.name, f.message = string(r.bytes()), string(r.bytes())
	case kindReply:
		f.id = r.uvarint()
	case kindCancel:
		f.id = r.uvarint()
		return f, r.b, r.err
	case kindEnd:
		return f, r.b, nil
	case kindRaft, kindData, kindHello:
	default:
		return f, nil, errFrame
	}
	f.payload = r.bytes()
	return f, r.b, r.err
}

// reader takes fields off the front of b; after an error it gives zero values.
type reader struct {
	b   []byte
	err error
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || r.err != nil {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) bytes() []byte {
	n := r.uvarint()
	if r.err != nil || n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) fail() { r.b, r.err = nil, errFrame }
