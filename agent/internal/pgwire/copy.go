package pgwire

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/nodedb/nodedb/agent/internal/sql"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// copyResponse tells the client that data comes ('H'), or that it is to send some ('G').
func (c *conn) copyResponse(kind byte, binaryFormat bool, columns int) {
	format := datum.FormatText
	if binaryFormat {
		format = datum.FormatBinary
	}
	b := append(c.out.buf, kind)
	b = binary.BigEndian.AppendUint32(b, uint32(4+1+2+2*columns))
	b = append(b, byte(format))
	b = binary.BigEndian.AppendUint16(b, uint16(columns))
	for range columns {
		b = binary.BigEndian.AppendUint16(b, uint16(format))
	}
	c.out.buf = b
}

// CopyOut implements sql.CopyClient.
func (s *rowSink) CopyOut(binaryFormat bool, columns int) error {
	s.conn.copyResponse('H', binaryFormat, columns)
	return nil
}

// CopyData sends a row; it waits while the client does not read.
func (s *rowSink) CopyData(data []byte) error {
	o := s.out
	mark := len(o.buf)
	o.buf = append(o.buf, 'd', 0, 0, 0, 0)
	o.buf = append(o.buf, data...)
	if err := s.endRow(mark); err != nil {
		if o.err != nil {
			return clientGone()
		}
		return err
	}
	return nil
}

// CopyDone implements sql.CopyClient.
func (s *rowSink) CopyDone() error {
	s.out.buf = append(s.out.buf, 'c', 0, 0, 0, 4)
	return nil
}

// CopyIn asks the client for data.
func (s *rowSink) CopyIn(ctx context.Context, binaryFormat bool, columns int) error {
	c := s.conn
	c.copyResponse('G', binaryFormat, columns)
	c.out.due = true
	s.before = c.account.message
	s.awake = context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.bounded = true
		_ = c.raw.SetReadDeadline(time.Unix(1, 0)) // wakes who waits for the client
	})
	return nil
}

// CopyEnd says that no more data is wanted. What comes all the same is thrown away.
func (s *rowSink) CopyEnd() { s.awake() }

// CopyNext waits for another piece of data; it is used until the next call.
func (s *rowSink) CopyNext(ctx context.Context) ([]byte, error) {
	for {
		kind, message, err := s.copyMessage(ctx)
		if err != nil {
			return nil, err
		}
		switch m := message.(type) {
		case *pgproto3.CopyData:
			return m.Data, nil
		case *pgproto3.CopyDone:
			return nil, io.EOF
		case *pgproto3.CopyFail:
			return nil, &sql.Error{Code: "57014", Message: "COPY from stdin failed: " + m.Message}
		case *pgproto3.Flush, *pgproto3.Sync:
			// libpq sends them without a look at what it does.
		default:
			return nil, protocolError("unexpected message type 0x%02X during COPY from stdin", kind)
		}
	}
}

// copyMessage waits for a message, without the statement's place if that takes long.
func (s *rowSink) copyMessage(ctx context.Context) (kind byte, message pgproto3.FrontendMessage, err error) {
	c := s.conn
	c.account.backTo(s.before)
	header := func() error {
		c.copying = ctx // it may be woken here, and not inside of a message
		defer func() { c.copying = nil }()
		kind, _, err = c.in.next(messageHeader)
		return err
	}
	if c.in.r.Buffered() < messageHeader {
		err = s.place.During(header)
	} else {
		err = header()
	}
	if ended := ctx.Err(); ended != nil {
		return 0, nil, ended //nolint:wrapcheck // the session says what it means
	}
	if err == nil {
		message, err = c.receive()
	}
	var refused *sql.Error
	switch {
	case errors.As(err, &refused) && !errors.Is(err, errEnding):
		told := *refused
		told.Severity = severityError
		return 0, nil, &told
	case err != nil:
		return 0, nil, clientGone()
	}
	return kind, message, nil
}
