package pgwire

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/nodedb/nodedb/agent/internal/sql"
)

// frames gives the backend one message at a time. It has looked at the header by
// then, so that memory is counted before the backend takes it.
type frames struct {
	r    *bufio.Reader
	left int // bytes of the message that the backend has not read yet
}

const (
	startupHeader = 4 // a startup message has no type
	messageHeader = 5
	frameBuffer   = 8 << 10
)

// Read is the backend's way to the bytes.
func (f *frames) Read(p []byte) (int, error) {
	if f.left == 0 {
		return 0, errors.New("read beyond the end of a message")
	}
	n, err := f.r.Read(p[:min(len(p), f.left)])
	f.left -= n
	return n, err
}

// next waits for a header and returns the message's type and length.
func (f *frames) next(header int) (kind byte, length int, err error) {
	head, err := f.r.Peek(header)
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return 0, 0, err
	}
	length = header - 4 + int(int32(binary.BigEndian.Uint32(head[header-4:])))
	return head[0], length, nil
}

// endsAtSync reports whether Sync follows, with nothing but Close before it. It waits
// for the header of the next message: a client that has sent neither Sync nor Flush
// expects no answer.
func (f *frames) endsAtSync() bool {
	for at := 0; at+messageHeader <= f.r.Size(); {
		head, err := f.r.Peek(at + messageHeader)
		if err != nil {
			return false // whoever reads next hears of it
		}
		length := int32(binary.BigEndian.Uint32(head[at+1:]))
		switch {
		case head[at] == 'S':
			return true
		case head[at] != 'C' || length < messageHeader-1 || int(length) > f.r.Size():
			return false
		}
		at += 1 + int(length)
	}
	return false
}

// receiveStartup reads a message of the time before the login.
func (c *conn) receiveStartup() (pgproto3.FrontendMessage, error) {
	_, length, err := c.in.next(startupHeader)
	if err != nil {
		return nil, err
	}
	c.in.left = max(startupHeader, min(length, maxLoginMessageBytes)) // a bad length is the backend's to refuse
	return c.backend.ReceiveStartupMessage()
}

// receive reads a message. A nil message was refused and thrown away: there is
// no memory for it.
func (c *conn) receive() (pgproto3.FrontendMessage, error) {
	kind, length, err := c.in.next(messageHeader)
	if err != nil {
		return nil, err
	}
	if length < messageHeader || length-messageHeader > c.maxBody {
		c.in.left = messageHeader // the backend says what is wrong
		return c.backend.Receive()
	}
	// The message as it comes, and the copy that becomes text or values.
	if refused := c.account.use(2 * int64(length)); refused != nil {
		return nil, c.refuseMessage(kind, length, refused)
	}
	c.in.left = length
	return c.backend.Receive()
}

// refuseMessage answers a message that is not read.
func (c *conn) refuseMessage(kind byte, length int, why *sql.Error) error {
	if _, err := c.in.r.Discard(length); err != nil {
		return err
	}
	if c.session == nil {
		return fatal(why.Code, why.Message)
	}
	switch kind {
	case 'Q', 'F':
		c.session.FailTx()
		c.sendError(why)
		c.ready()
	case 'P', 'B', 'E', 'D', 'C':
		if !c.skipping {
			c.extended(why)
		}
	default:
		return fatal(why.Code, why.Message)
	}
	return nil
}

// forget lets go of what the backend keeps of a message until the next of its kind.
func forget(message pgproto3.FrontendMessage) {
	switch m := message.(type) {
	case *pgproto3.Query:
		m.String = ""
	case *pgproto3.Parse:
		*m = pgproto3.Parse{}
	case *pgproto3.Bind:
		*m = pgproto3.Bind{}
	}
}

// wire reads from the socket, and writes what is due before it waits: so the
// answers of statements that arrived together leave together.
type wire struct{ c *conn }

func (w wire) Read(p []byte) (int, error) {
	c := w.c
	for {
		if c.out.due {
			if err := c.out.flush(); err != nil {
				return 0, err
			}
		}
		if err := c.armRead(); err != nil {
			return 0, err
		}
		if c.idle && c.sendNotifications() {
			c.out.due = true
			continue
		}
		if c.copying != nil && c.copying.Err() != nil {
			return 0, context.Cause(c.copying)
		}
		n, err := c.net.Read(p)
		c.received += n
		if n == 0 && c.session != nil && errors.Is(err, os.ErrDeadlineExceeded) {
			continue // somebody wants the session to end: armRead knows
		}
		c.readErr = err
		return n, err
	}
}

// tooLong is the answer to a message that is longer than its limit.
func tooLong(e *pgproto3.ExceededMaxBodyLenErr) *sql.Error {
	return fatal("54000", fmt.Sprintf("message of %d bytes is longer than the limit of %d", e.ActualBodyLen, e.MaxExpectedBodyLen))
}
