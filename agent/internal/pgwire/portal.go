package pgwire

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/nodedb/nodedb/agent/internal/admission"
	"github.com/nodedb/nodedb/agent/internal/sql"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// portal is a statement with its parameters, before, while or after it runs.
type portal struct {
	name      string
	statement *statement
	args      []datum.Datum
	formats   []int16
	hold      hold // for args

	run  *run // nil: not read piece by piece
	done bool
	tag  string // once it is done
}

// tagOfNone is the tag of a portal that has no more rows to give.
func (p *portal) tagOfNone() string {
	command, _, _ := strings.Cut(p.tag, " ")
	switch command {
	case "INSERT":
		return "INSERT 0 0"
	case "UPDATE", "DELETE", "FETCH":
		return command + " 0"
	}
	return "SELECT 0"
}

// run is an execution that stops after some rows and goes on later: a coroutine
// of the connection's goroutine.
type run struct {
	sink rowSink
	// next lets the execution go on until it stops again; more is false at the end.
	next func() (_ struct{}, more bool)
	stop func()
	tag  string
	err  error
	// held are the rows that had to be read ahead, as messages.
	held   []byte
	hold   hold
	ended  bool
	ctxErr func(error) *sql.Error
}

// execute runs a portal, wholly or for some rows.
func (c *conn) execute(m *pgproto3.Execute) *sql.Error {
	limit := int(min(m.MaxRows, math.MaxInt32))
	if m.MaxRows > math.MaxInt32 { // negative: no limit
		limit = 0
	}
	p, err := c.portal(m.Portal)
	if err != nil {
		if there, failed := c.executeCursor(m.Portal, limit); there {
			return failed
		}
		return err
	}
	if p.statement.prepared.Empty {
		c.out.short(emptyQuery)
		return nil
	}
	if c.session.TxStatus() == txIdle && !c.in.endsAtSync() {
		c.beginImplicit()
	}
	if p.done {
		if p.statement.prepared.Columns == nil {
			return &sql.Error{Code: "55000", Message: fmt.Sprintf("portal %q cannot be run", p.name)}
		}
		c.complete(p.tagOfNone())
		return nil
	}
	if p.run != nil {
		return c.resume(p, limit)
	}
	if limit > 0 && p.statement.prepared.Columns != nil {
		c.settleOthers(p)
		c.start(p)
		return c.resume(p, limit)
	}
	return c.executeAll(p)
}

// executeAll is the way of nearly every statement: no coroutine, no garbage.
func (c *conn) executeAll(p *portal) *sql.Error {
	ctx := c.beginStatement()
	defer c.endStatement()
	if len(c.portals) > 1 {
		c.settlePortals(p.statement.ends)
	}
	c.sink = rowSink{conn: c, out: &c.out, formats: p.formats, columns: len(p.statement.prepared.Columns)}
	tag, err := c.session.Execute(ctx, p.statement.prepared, p.args, &c.sink)
	p.done, p.tag = true, tag
	if err != nil {
		return statementError(ctx, err)
	}
	c.complete(tag)
	return nil
}

// start makes the portal's coroutine, which waits for its first resume.
func (c *conn) start(p *portal) {
	r := &run{hold: hold{many: true}, sink: rowSink{conn: c, out: &c.out, formats: p.formats, columns: len(p.statement.prepared.Columns)}}
	p.run = r
	ctx := c.beginStatement()
	c.endStatement()
	r.ctxErr = func(err error) *sql.Error { return statementError(ctx, err) }
	r.next, r.stop = iter.Pull(func(yield func(struct{}) bool) {
		r.sink.suspend = func() error {
			r.sink.place.Yield() // until the client asks for more, if it does
			if !yield(struct{}{}) {
				return sql.ErrRowsUnread
			}
			return r.sink.place.Resume()
		}
		r.tag, r.err = c.session.Execute(ctx, p.statement.prepared, p.args, &r.sink)
	})
}

// resume sends up to limit more rows; 0 is all.
func (c *conn) resume(p *portal, limit int) *sql.Error {
	r := p.run
	r.sink.sent = 0
	if !r.sendHeld(&c.out, &limit) {
		c.out.short(portalSuspended)
		return nil
	}
	if !r.ended {
		c.settleOthers(p)
		c.goOn()
		defer c.endStatement()
		r.sink.out, r.sink.left = &c.out, limit
		if _, more := r.next(); more {
			c.out.short(portalSuspended)
			return nil
		}
		r.ended = true
	}
	p.done, p.tag = true, r.tag
	p.run = nil
	r.hold.release()
	if r.err != nil {
		return r.ctxErr(r.err)
	}
	c.complete(r.sink.tagOf(r.tag))
	return nil
}

// movePortal runs MOVE of a portal of the protocol that gives rows; false: it is of another.
func (c *conn) movePortal(m *sql.Prepared) (tag string, ok bool, _ *sql.Error) {
	name, rows, ok := m.Moves()
	p := c.portals[name]
	if !ok || p == nil || p.statement.prepared.Columns == nil || c.session.TxStatus() != txOpen {
		return "", false, nil
	}
	moved := int64(0)
	if !p.done {
		if p.run == nil {
			c.settleOthers(p)
			c.start(p)
		}
		r := p.run
		if !r.ended {
			r.readAhead(&c.account)
		}
		for ; moved < rows && len(r.held) > 0; moved++ {
			r.held = r.held[1+binary.BigEndian.Uint32(r.held[1:]):]
		}
		if r.err != nil && moved < rows {
			return "", true, r.ctxErr(r.err)
		}
	}
	return "MOVE " + strconv.FormatInt(moved, 10), true, nil
}

// sendHeld sends rows that were read ahead and lowers limit by them. It returns
// false if limit ended it.
func (r *run) sendHeld(o *output, limit *int) bool {
	unlimited := *limit == 0
	for len(r.held) > 0 {
		n := 1 + binary.BigEndian.Uint32(r.held[1:])
		o.buf = append(o.buf, r.held[:n]...)
		r.held = r.held[n:]
		r.sink.sent++
		if len(o.buf) >= outputLimit {
			_ = o.flush() // kept in o.err
		}
		if *limit--; !unlimited && *limit == 0 {
			return false
		}
	}
	if unlimited {
		*limit = 0
	}
	return true
}

// settlePortals prepares half-read portals for another statement of the session,
// which can do one thing at a time: their rows are read ahead. Before the end of
// a transaction they are closed, as they would be by it.
func (c *conn) settlePortals(closing bool) {
	for name, p := range c.portals {
		switch {
		case p.run == nil || p.run.ended:
		case closing:
			c.dropPortal(name)
		default:
			p.run.readAhead(&c.account)
		}
	}
}

func (c *conn) settleOthers(except *portal) {
	for _, p := range c.portals {
		if p != except && p.run != nil && !p.run.ended {
			p.run.readAhead(&c.account)
		}
	}
}

// readAhead runs the execution to its end and keeps its rows.
func (r *run) readAhead(a *account) {
	held := output{buf: r.held, hold: &r.hold, account: a}
	r.sink.out, r.sink.left = &held, 0
	r.next()
	r.ended = true
	r.held = held.buf
}

func endsTransaction(text string) bool {
	word, rest := firstWord(text)
	switch word {
	case "COMMIT", "END", "ABORT":
		return true
	case "ROLLBACK": // not TO a savepoint
		if word, rest = firstWord(rest); word == "WORK" || word == "TRANSACTION" {
			word, _ = firstWord(rest)
		}
		return word != "TO"
	}
	return false
}

// firstWord cuts the first word off.
func firstWord(text string) (word, rest string) {
	text = strings.TrimLeft(text, " \t\r\n")
	i := strings.IndexFunc(text, func(r rune) bool { return r < 'A' || r > 'z' })
	if i < 0 {
		i = len(text)
	}
	return strings.ToUpper(text[:i]), text[i:]
}

// close ends what the portal still runs, and gives back what it holds.
func (p *portal) close() {
	if p.run != nil {
		if !p.run.ended {
			p.run.ended = true
			p.run.stop()
		}
		p.run.hold.release()
	}
	p.run = nil
	p.hold.release()
	p.statement.release()
}

// rowSink sends the rows of one execution.
type rowSink struct {
	conn      *conn
	out       *output
	formats   []int16
	columns   int  // as described to the client
	describe  bool // the simple protocol: the rows' description is part of the answer
	described bool

	// left is how many rows may still go out before suspend is called; 0 is all.
	left    int
	suspend func() error
	sent    int // rows, since the client asked for some last
	// place is the statement's right to run, given back while its client does not read.
	place *admission.Place

	// before is what the message of a COPY has used when its data began, and awake has the
	// end of its context wake nobody any more.
	before int64
	awake  func() bool
}

// binaryFormats are those of what a BINARY cursor gives.
var binaryFormats = []int16{pgproto3.BinaryFormat} //nolint:gochecknoglobals // never changed

// WaitWith implements sql.ClientWaiter.
func (s *rowSink) WaitWith(p *admission.Place) { s.place = p }

// Tells implements sql.Teller.
func (s *rowSink) Tells() bool { return s.describe && !s.described }

// Describe is called before the first row.
func (s *rowSink) Describe(columns []sql.Column) error {
	if !s.describe {
		if len(columns) != s.columns {
			return &sql.Error{Code: "0A000", Message: sql.PlanChanged}
		}
		return nil
	}
	if s.described || columns == nil {
		return nil
	}
	s.described = true
	if err := s.conn.rowDescription(columns, s.formats); err != nil {
		return err
	}
	return nil
}

// Row sends one row; it waits while the client does not read.
func (s *rowSink) Row(row []datum.Datum) error {
	o := s.out
	account := &s.conn.account
	defer account.backTo(account.message)
	mark := o.beginRow(len(row))
	for i := range row {
		d := &row[i]
		if d.Null {
			o.buf = append(o.buf, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		if err := account.use(2 * int64(len(d.S))); err != nil {
			o.buf = o.buf[:mark]
			return err
		}
		at := len(o.buf)
		o.buf = append(o.buf, 0, 0, 0, 0)
		o.buf = datum.Append(o.buf, *d, formatOf(s.formats, i), &s.conn.style)
		binary.BigEndian.PutUint32(o.buf[at:], uint32(len(o.buf)-at-4))
	}
	if len(o.buf)-mark > maxRowBytes {
		o.buf = o.buf[:mark]
		return &sql.Error{Code: "54000", Message: fmt.Sprintf("row is longer than %d bytes", maxRowBytes)}
	}
	if err := s.endRow(mark); err != nil {
		if o.err != nil {
			return clientGone() // nothing is wrong inside
		}
		return err
	}
	s.sent++
	if s.left == 0 {
		return nil
	}
	if s.left--; s.left > 0 {
		return nil
	}
	return s.suspend()
}

// tagOf is the tag of a portal that was read piece by piece: it counts the last piece alone.
func (s *rowSink) tagOf(tag string) string {
	last := strings.LastIndexByte(tag, ' ') + 1
	if _, err := strconv.Atoi(tag[last:]); err != nil { // it counts nothing
		return tag
	}
	return tag[:last] + strconv.Itoa(s.sent)
}

// endRow completes a row; the statement needs no place while its client does not read.
func (s *rowSink) endRow(mark int) error {
	if s.place == nil || s.out.hold != nil || len(s.out.buf) < outputLimit {
		return s.out.endRow(mark)
	}
	return s.place.During(func() error { return s.out.endRow(mark) })
}

// maxRowBytes is what clients can take in one message, with room to spare.
const maxRowBytes = 1 << 30
