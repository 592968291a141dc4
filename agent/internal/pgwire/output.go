package pgwire

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/jackc/pgx/v5/pgproto3"
)

const (
	// outputLimit is how much output waits before it is written to the socket
	// in any case: large enough for one system call per many rows, small enough
	// that the first rows of a long answer go out early.
	outputLimit = 32 << 10
	// writePiece is how much a client has to read within Config.WriteTimeout.
	writePiece = 256 << 10
	// outputKeep is the largest buffer that an idle connection keeps.
	outputKeep = 64 << 10
)

// output collects messages for the client.
type output struct {
	w   io.Writer
	buf []byte
	// arm gives the client time to read the next piece; nil: it has all the time
	// that the socket's deadline leaves.
	arm func() error
	// due is true when the client waits for what is in buf.
	due bool
	// err is the first error of the socket; nothing is written after it.
	err     error
	written uint64
	// hold, if set, keeps rows instead of writing them.
	hold    *hold
	account *account // of hold
}

// send appends a message.
func (o *output) send(m pgproto3.BackendMessage) {
	buf, err := m.Encode(o.buf)
	if err != nil {
		o.err = errors.Join(o.err, err)
		return
	}
	o.buf = buf
}

// The messages without a body, on the way of every statement.
var (
	parseComplete   = [...]byte{'1', 0, 0, 0, 4}
	bindComplete    = [...]byte{'2', 0, 0, 0, 4}
	closeComplete   = [...]byte{'3', 0, 0, 0, 4}
	noData          = [...]byte{'n', 0, 0, 0, 4}
	emptyQuery      = [...]byte{'I', 0, 0, 0, 4}
	portalSuspended = [...]byte{'s', 0, 0, 0, 4}
)

func (o *output) short(m [5]byte) { o.buf = append(o.buf, m[:]...) }

// commandComplete tells what a statement did.
func (o *output) commandComplete(tag string) {
	o.buf = append(o.buf, 'C')
	o.buf = binary.BigEndian.AppendUint32(o.buf, uint32(4+len(tag)+1))
	o.buf = append(o.buf, tag...)
	o.buf = append(o.buf, 0)
}

// readyForQuery ends an answer: the client is waiting for it now.
func (o *output) readyForQuery(txStatus byte) {
	o.buf = append(o.buf, 'Z', 0, 0, 0, 5, txStatus)
	o.due = true
}

// beginRow starts a DataRow of n columns and returns its mark for endRow.
func (o *output) beginRow(n int) int {
	mark := len(o.buf)
	o.buf = append(o.buf, 'D', 0, 0, 0, 0)
	o.buf = binary.BigEndian.AppendUint16(o.buf, uint16(n))
	return mark
}

// endRow completes the row and writes if enough is waiting: this is where a slow
// client holds back its statement.
func (o *output) endRow(mark int) error {
	binary.BigEndian.PutUint32(o.buf[mark+1:], uint32(len(o.buf)-mark-1))
	switch {
	case o.hold != nil:
		if err := o.hold.cover(o.account, int64(cap(o.buf))); err != nil {
			return err
		}
		return o.err
	case len(o.buf) < outputLimit:
		return o.err
	}
	return o.flush()
}

// flush writes all that is waiting.
func (o *output) flush() error {
	o.due = false
	if o.err != nil || len(o.buf) == 0 {
		o.buf = o.buf[:0]
		return o.err
	}
	for rest := o.buf; len(rest) > 0 && o.err == nil; {
		if o.arm != nil {
			if o.err = o.arm(); o.err != nil {
				break
			}
		}
		n, err := o.w.Write(rest[:min(len(rest), writePiece)])
		o.written += uint64(n)
		rest = rest[n:]
		o.err = err
	}
	if cap(o.buf) > outputKeep {
		o.buf = nil
	}
	o.buf = o.buf[:0]
	return o.err
}
