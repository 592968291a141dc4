package transport

import (
	"fmt"
	"sync"

	"google.golang.org/grpc/mem"
)

// message is what gRPC carries: bytes.
type message struct{ data []byte }

// grpcCodec hands bytes to gRPC and back. Sent messages go back to the pool when
// gRPC has written them; received ones are copied out once and belong to the
// receiver.
type grpcCodec struct{ pool *bufferPool }

func (c grpcCodec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(*message)
	if !ok {
		return nil, fmt.Errorf("transport: cannot send a %T", v)
	}
	return mem.BufferSlice{mem.NewBuffer(&m.data, c.pool)}, nil
}

func (c grpcCodec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*message)
	if !ok {
		return fmt.Errorf("transport: cannot receive a %T", v)
	}
	m.data = data.Materialize()
	return nil
}

func (grpcCodec) Name() string { return "nodedb-frames" }

// bufferPool keeps send buffers. A buffer that grew large is let go.
type bufferPool struct{ p sync.Pool }

const keepBuffer = 1 << 20

func (p *bufferPool) Get(length int) *[]byte {
	b, ok := p.p.Get().(*[]byte)
	if !ok || cap(*b) < length {
		n := make([]byte, length, max(length, 4<<10))
		return &n
	}
	*b = (*b)[:length]
	return b
}

func (p *bufferPool) Put(b *[]byte) {
	if cap(*b) <= keepBuffer {
		p.p.Put(b)
	}
}
