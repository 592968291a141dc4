package pgwire

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/sql"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

const (
	txIdle   = 'I'
	txOpen   = 'T'
	txFailed = 'E'
	// maxPortals bounds what one session can keep, beside the
	// bytes of its account.
	maxPortals = 1_000
)

// serve handles messages until the client leaves (nil) or the connection can't go on.
func (c *conn) serve() error {
	for {
		c.account.backTo(0)
		message, err := c.receive()
		if err != nil {
			return err
		}
		if message == nil {
			continue // refused
		}
		c.idle = false
		if _, ok := message.(*pgproto3.Terminate); ok {
			return nil
		}
		if c.skipping {
			if _, ok := message.(*pgproto3.Sync); !ok {
				continue
			}
		}
		if err := c.count(message); err != nil {
			c.extended(err)
			continue
		}
		err = c.handle(message)
		forget(message)
		if err != nil {
			return err
		}
		if c.out.err != nil {
			return c.out.err
		}
	}
}

// count begins to count the time of what a message asks for, or ends it if that has taken
// too long already.
func (c *conn) count(message pgproto3.FrontendMessage) *sql.Error {
	switch message.(type) {
	case *pgproto3.Parse, *pgproto3.Bind, *pgproto3.Describe, *pgproto3.Execute:
	default:
		return nil
	}
	switch limit := c.session.StatementTimeout(); {
	case limit == 0:
		c.since = time.Time{}
	case c.since.IsZero():
		c.since = time.Now()
	case time.Since(c.since) > limit:
		return &sql.Error{Code: "57014", Message: "canceling statement due to statement timeout"}
	}
	c.session.CountFrom(c.since)
	return nil
}

// handle answers one message. Its error ends the connection; a statement's error
// has been sent by then and is not one.
func (c *conn) handle(message pgproto3.FrontendMessage) error {
	switch m := message.(type) {
	case *pgproto3.Bind:
		c.extended(c.bind(m))
	case *pgproto3.Execute:
		c.extended(c.execute(m))
	case *pgproto3.Sync:
		c.sync()
	case *pgproto3.Parse:
		c.extended(c.parse(m))
	case *pgproto3.Describe:
		c.extended(c.describe(m))
	case *pgproto3.Close:
		c.extended(c.closeObject(m))
	case *pgproto3.Flush:
		c.out.due = true
	case *pgproto3.Query:
		c.simpleQuery(m.String)
	case *pgproto3.FunctionCall:
		c.sendError(&sql.Error{Code: "0A000", Message: "function calls of the protocol are not supported",
			Hint: "Call the function in a SELECT."})
		c.ready()
	case *pgproto3.CopyData, *pgproto3.CopyDone, *pgproto3.CopyFail:
		// A client that was refused its COPY may still be sending data.
	default:
		return fatal("08P01", fmt.Sprintf("unexpected message %T", message))
	}
	return nil
}

// ready ends the answer to a simple query or to a Sync.
func (c *conn) ready() {
	c.sendNotifications()
	c.sendChanges()
	c.out.readyForQuery(c.session.TxStatus())
	c.idle, c.idleSince = true, time.Now()
}

// sync ends an error state, the implicit transaction and, outside of a block, all
// portals.
func (c *conn) sync() {
	if err := c.endImplicit(); err != nil {
		c.sendError(err)
	}
	c.skipping, c.since = false, time.Time{}
	if c.session.TxStatus() == txIdle {
		c.dropPortals()
	}
	c.ready()
}

// beginImplicit makes one transaction of the statements up to endImplicit.
func (c *conn) beginImplicit() {
	if !c.implicit {
		c.implicit = true
		c.session.BeginImplicit()
	}
}

// endImplicit commits the implicit transaction, if there is one, or rolls it back if a
// statement of it failed.
func (c *conn) endImplicit() *sql.Error {
	if !c.implicit {
		return nil
	}
	c.implicit = false
	ctx := c.beginStatement()
	defer c.endStatement()
	if err := c.session.EndImplicit(ctx); err != nil {
		return statementError(ctx, err)
	}
	return nil
}

// extended ends one step of the extended protocol.
func (c *conn) extended(err *sql.Error) {
	if err == nil {
		return
	}
	c.session.FailTx()
	c.sendError(err)
	c.skipping = true
}

func (c *conn) sendError(e *sql.Error) {
	if c.out.err != nil {
		return // the client is gone, which may be all that is wrong
	}
	if cause := errors.Unwrap(e); e.Code == "XX000" && cause != nil {
		c.server.cfg.Logger.Error("statement failed for an internal reason", "pid", c.pid, logattr.Err(cause))
	}
	c.out.send(errorResponse(e))
	c.out.due = true
	if e.Severity == severityFatal { // nothing comes behind it
		_ = c.out.flush() // the client may be gone
		c.out.err = cmp.Or(c.out.err, errEnding)
	}
}

// simpleQuery runs the statements of text one after the other, as one transaction; the
// first error ends the rest.
func (c *conn) simpleQuery(text string) {
	c.dropStatement("")
	c.dropPortal("")
	if err := c.runScript(text); err != nil {
		c.session.FailTx()
		c.sendError(err)
	}
	_ = c.endImplicit() // after an error, which has been sent
	if c.session.TxStatus() == txIdle {
		c.dropPortals()
	}
	c.ready()
}

func (c *conn) runScript(text string) *sql.Error {
	if err := checkText(text); err != nil {
		return err
	}
	texts, err := c.session.Parse(text)
	if err != nil {
		return sql.AsError(err)
	}
	if len(texts) > 1 {
		c.beginImplicit()
	}
	ran := false
	from := 0
	for i, one := range texts {
		at := from
		if i := strings.Index(text[from:], one); i >= 0 {
			at, from = from+i, from+i+len(one)
		}
		empty, err := c.runOne(one, i == len(texts)-1)
		if err != nil {
			return shiftPosition(err, text[:at])
		}
		ran = ran || !empty
	}
	if !ran {
		c.out.short(emptyQuery)
	}
	return nil
}

// runOne runs one statement of a simple query. The last one is done when all are
// committed.
func (c *conn) runOne(text string, last bool) (empty bool, _ *sql.Error) {
	defer c.account.backTo(c.account.message)
	if err := c.account.use(syntax.Cost(text)); err != nil {
		return false, err
	}
	ctx := c.beginStatement()
	defer c.endStatement()
	c.session.CountFrom(time.Now())
	c.settlePortals(endsTransaction(text))
	p, err := c.session.Prepare(ctx, text, nil)
	if err != nil {
		return false, statementError(ctx, err)
	}
	if p.Empty {
		return true, nil
	}
	if len(p.ParamOIDs) > 0 {
		return false, &sql.Error{Code: "42P02", Message: "there is no parameter $1"}
	}
	if tag, moved, err := c.movePortal(p); moved {
		if err == nil {
			c.complete(tag)
		}
		return false, err
	}
	sink := rowSink{conn: c, out: &c.out, describe: true, formats: cursorFormats(p)}
	tag, err := c.session.Execute(ctx, p, nil, &sink)
	if err != nil {
		e := statementError(ctx, err)
		if p.Reads() && (strings.HasPrefix(e.Code, "22") || strings.HasPrefix(e.Code, "21")) { // of a row: the columns come first
			_ = sink.Describe(p.Columns) // there is an error already
		}
		return false, e
	}
	if p.Columns != nil && !sink.described {
		if err := sink.Describe(p.Columns); err != nil {
			return false, sql.AsError(err)
		}
	}
	if last {
		if err := c.endImplicit(); err != nil {
			return false, err
		}
	}
	c.complete(tag)
	return false, nil
}

// complete reports the end of a statement.
func (c *conn) complete(tag string) {
	c.server.counters.statements.Add(1)
	c.since = time.Time{}
	if tag == "DISCARD ALL" || tag == "DEALLOCATE ALL" || tag == "DEALLOCATE" {
		c.dropUnnamed()
	}
	c.out.commandComplete(tag)
}

// shiftPosition makes a position in one statement one in the whole text.
func shiftPosition(e *sql.Error, before string) *sql.Error {
	if e.Position <= 0 || before == "" {
		return e
	}
	shifted := *e
	shifted.Position += utf8.RuneCountInString(before)
	return &shifted
}

// checkText refuses text that is not UTF-8, the only encoding there is.
func checkText(text string) *sql.Error {
	if utf8.ValidString(text) {
		return nil
	}
	return &sql.Error{Code: "22021", Message: `invalid byte sequence for encoding "UTF8"`}
}
