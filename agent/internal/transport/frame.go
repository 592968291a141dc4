package transport

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/nodedb/nodedb/agent/internal/codec"
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
		b = codec.AppendBytes(b, f.name)
	case kindError:
		b = binary.AppendUvarint(b, f.id)
		b = codec.AppendBytes(b, f.name)
		b = codec.AppendBytes(b, f.message)
	case kindReply:
		b = binary.AppendUvarint(b, f.id)
	case kindCancel:
		return binary.AppendUvarint(b, f.id)
	case kindEnd:
		return b
	case kindRaft, kindData, kindHello:
	}
	return codec.AppendBytes(b, f.payload)
}

// decodeFrame reads one frame. Its payload is part of b.
func decodeFrame(b []byte) (f frame, rest []byte, err error) {
	if len(b) == 0 {
		return f, nil, errFrame
	}
	r := read(b[1:])
	f.kind = kind(b[0])
	switch f.kind {
	case kindRequest:
		f.id = r.Uvarint()
		f.timeout = time.Duration(min(r.Uvarint(), uint64(1<<63-1)/uint64(time.Microsecond))) * time.Microsecond
		f.name = string(r.Bytes())
	case kindError:
		f.id = r.Uvarint()
		f.name, f.message = string(r.Bytes()), string(r.Bytes())
	case kindReply:
		f.id = r.Uvarint()
	case kindCancel:
		f.id = r.Uvarint()
		return f, r.Rest(), r.Err()
	case kindEnd:
		return f, r.Rest(), nil
	case kindRaft, kindData, kindHello:
	default:
		return f, nil, errFrame
	}
	f.payload = r.Bytes()
	return f, r.Rest(), r.Err()
}

func read(b []byte) codec.Reader { return codec.Read(b, errFrame) }
