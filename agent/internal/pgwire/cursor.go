package pgwire

import (
	"strconv"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/sql"
)

// A cursor that DECLARE has made is a portal, too: it can be described, executed and closed
// as one, by what the statements about cursors do.

// ofCursor prepares a statement about a cursor, whose name comes last; false: there is none.
func (c *conn) ofCursor(words, name string) (*sql.Prepared, bool) {
	if name == "" {
		return nil, false
	}
	ctx := c.beginStatement()
	defer c.endStatement()
	p, err := c.session.Prepare(ctx, words+` "`+strings.ReplaceAll(name, `"`, `""`)+`"`, nil)
	return p, err == nil && p.Columns != nil
}

// cursorFormats are those of the rows of a cursor.
func cursorFormats(p *sql.Prepared) []int16 {
	if p.Binary {
		return binaryFormats
	}
	return nil
}

// executeCursor gives up to limit rows of a cursor; 0 is all.
func (c *conn) executeCursor(name string, limit int) (there bool, _ *sql.Error) {
	words := "FETCH ALL FROM"
	if limit > 0 {
		words = "FETCH " + strconv.Itoa(limit) + " FROM"
	}
	p, ok := c.ofCursor(words, name)
	if !ok {
		return false, nil
	}
	c.settlePortals(false)
	ctx := c.beginStatement()
	defer c.endStatement()
	sink := rowSink{conn: c, out: &c.out, formats: cursorFormats(p), columns: len(p.Columns)}
	tag, err := c.session.Execute(ctx, p, nil, &sink)
	if err != nil {
		return true, statementError(ctx, err)
	}
	rows := strings.TrimPrefix(tag, "FETCH ")
	if limit > 0 && rows == strconv.Itoa(limit) {
		c.out.short(portalSuspended)
		return true, nil
	}
	c.complete("SELECT " + rows)
	return true, nil
}

// closeCursor closes a cursor, if there is one.
func (c *conn) closeCursor(name string) *sql.Error {
	if _, ok := c.ofCursor("FETCH FROM", name); !ok {
		return nil
	}
	ctx := c.beginStatement()
	defer c.endStatement()
	p, err := c.session.Prepare(ctx, `CLOSE "`+strings.ReplaceAll(name, `"`, `""`)+`"`, nil)
	if err == nil {
		_, err = c.session.Execute(ctx, p, nil, &rowSink{conn: c, out: &c.out})
	}
	if err != nil {
		return statementError(ctx, err)
	}
	return nil
}
