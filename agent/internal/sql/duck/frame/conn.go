package frame

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
)

// Tag says what a message is.
type Tag uint8

// From the agent: Run, then while it lasts ScanRows and ScanFailed as credits
// allow, and Cancel. From the worker for each Run: Begun, any of Described, Rows,
// Scan*, and at last Done or Failed.
const (
	Run Tag = iota + 1
	ScanRows
	ScanFailed
	Cancel

	Begun
	Described
	Rows
	ScanOpen
	ScanCredit
	ScanClose
	Done
	Failed
)

// MaxMessage bounds the length of a message.
const MaxMessage = 1 << 30

const header = 5

// Conn sends and receives messages over a stream.
type Conn struct {
	rw  io.ReadWriteCloser
	in  *bufio.Reader
	mu  sync.Mutex // serializes writes
	vec [2][]byte
}

// NewConn makes a Conn of a stream.
func NewConn(rw io.ReadWriteCloser) *Conn {
	return &Conn{rw: rw, in: bufio.NewReaderSize(rw, 64<<10)}
}

// Close closes the stream; a blocked Send or Receive ends.
func (c *Conn) Close() { _ = c.rw.Close() }

// Send writes one message.
func (c *Conn) Send(tag Tag, payload []byte) error {
	if len(payload) > MaxMessage {
		return fmt.Errorf("message of %d bytes is over the limit", len(payload))
	}
	var h [header]byte
	binary.NativeEndian.PutUint32(h[:], uint32(len(payload)))
	h[4] = byte(tag)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(payload) < 4096 {
		buf := make([]byte, 0, header+len(payload))
		buf = append(append(buf, h[:]...), payload...)
		_, err := c.rw.Write(buf)
		return err
	}
	c.vec = [2][]byte{h[:], payload}
	bufs := net.Buffers(c.vec[:])
	_, err := bufs.WriteTo(c.rw)
	return err
}

// Receive reads one message; its payload is 8-aligned and the caller's.
func (c *Conn) Receive() (Tag, []byte, error) {
	var h [header]byte
	if _, err := io.ReadFull(c.in, h[:]); err != nil {
		return 0, nil, err
	}
	n := binary.NativeEndian.Uint32(h[:])
	if n > MaxMessage {
		return 0, nil, fmt.Errorf("message of %d bytes is over the limit", n)
	}
	payload := make([]byte, n, padded(int(n)))
	if _, err := io.ReadFull(c.in, payload); err != nil {
		return 0, nil, fmt.Errorf("read message: %w", err)
	}
	return Tag(h[4]), payload, nil
}
