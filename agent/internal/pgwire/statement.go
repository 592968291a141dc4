package pgwire

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/nodedb/nodedb/agent/internal/sql"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// statement is a prepared statement of the protocol.
type statement struct {
	prepared *sql.Prepared
	params   []datum.Type
	ends     bool // the transaction
	hold     hold
	users    int // portals, and the name
}

// release is called by each user at its end.
func (s *statement) release() {
	if s.users--; s.users == 0 {
		s.hold.release()
	}
}

// parse prepares a statement.
func (c *conn) parse(m *pgproto3.Parse) *sql.Error {
	if m.Name == "" {
		c.dropStatement("")
	} else if _, ok := c.session.Named(m.Name); ok {
		return &sql.Error{Code: "42P05", Message: fmt.Sprintf("prepared statement %q already exists", m.Name)}
	}
	if err := checkText(m.Query); err != nil {
		return err
	}
	s := &statement{ends: endsTransaction(m.Query), users: 1, hold: hold{many: m.Name != ""}}
	if err := s.hold.grow(&c.account, syntax.Cost(m.Query)); err != nil {
		return err
	}
	if err := c.prepare(s, m); err != nil {
		s.hold.release()
		return err
	}
	if m.Name != "" {
		if err := c.session.Name(m.Name, s.prepared); err != nil {
			s.hold.release()
			return sql.AsError(err)
		}
	}
	c.statements[m.Name] = s
	c.out.short(parseComplete)
	return nil
}

func (c *conn) prepare(s *statement, m *pgproto3.Parse) *sql.Error {
	ctx := c.beginStatement()
	defer c.endStatement()
	// The message's memory is used again by the next one.
	p, err := c.session.Prepare(ctx, m.Query, slices.Clone(m.ParameterOIDs))
	if err != nil {
		return statementError(ctx, err)
	}
	s.prepared, s.params = p, p.ParamTypes
	return nil
}

func (c *conn) dropStatement(name string) {
	if s, ok := c.statements[name]; ok {
		delete(c.statements, name)
		if name != "" {
			c.session.Unname(name)
		}
		s.hold.orphan() // if portals still need it
		s.release()
	}
}

// dropUnnamed drops statements whose names were taken away by DEALLOCATE or DISCARD.
func (c *conn) dropUnnamed() {
	for name := range c.statements {
		if _, ok := c.session.Named(name); !ok && name != "" {
			c.dropStatement(name)
		}
	}
}

// describe tells the types of a statement's parameters and columns, or a
// portal's columns with the formats that Bind chose.
func (c *conn) describe(m *pgproto3.Describe) *sql.Error {
	switch m.ObjectType {
	case 'S':
		s, err := c.statement(m.Name)
		if err != nil {
			return err
		}
		if c.session.TxStatus() == txFailed && s.prepared.Columns != nil {
			return errFailedBlock()
		}
		c.parameterDescription(s.prepared.ParamOIDs)
		return c.rowDescription(s.prepared.Columns, nil)
	case 'P':
		p, err := c.portal(m.Name)
		if err != nil {
			if of, ok := c.ofCursor("FETCH FROM", m.Name); ok {
				return c.rowDescription(of.Columns, cursorFormats(of))
			}
			return err
		}
		if c.session.TxStatus() == txFailed && p.statement.prepared.Columns != nil {
			return errFailedBlock()
		}
		return c.rowDescription(p.statement.prepared.Columns, p.formats)
	}
	return protocolError("invalid DESCRIBE message subtype %d", m.ObjectType)
}

// errFailedBlock refuses what needs a transaction that has not failed.
func errFailedBlock() *sql.Error {
	return &sql.Error{Code: "25P02", Message: "current transaction is aborted, commands ignored until end of transaction block"}
}

func (c *conn) closeObject(m *pgproto3.Close) *sql.Error {
	switch m.ObjectType {
	case 'S':
		c.dropStatement(m.Name)
		c.session.Unname(m.Name) // which PREPARE may have given
	case 'P':
		if _, ok := c.portals[m.Name]; !ok {
			if err := c.closeCursor(m.Name); err != nil {
				return err
			}
		}
		c.dropPortal(m.Name)
	default:
		return protocolError("invalid CLOSE message subtype %d", m.ObjectType)
	}
	c.out.short(closeComplete)
	return nil
}

func (c *conn) statement(name string) (*statement, *sql.Error) {
	if s, ok := c.statements[name]; ok {
		return s, nil
	}
	if p, ok := c.session.Named(name); ok { // of PREPARE
		return &statement{prepared: p, params: p.ParamTypes, users: 1}, nil
	}
	if name == "" {
		return nil, &sql.Error{Code: "26000", Message: "unnamed prepared statement does not exist"}
	}
	return nil, &sql.Error{Code: "26000", Message: fmt.Sprintf("prepared statement %q does not exist", name)}
}

func (c *conn) portal(name string) (*portal, *sql.Error) {
	if p, ok := c.portals[name]; ok {
		return p, nil
	}
	return nil, &sql.Error{Code: "34000", Message: fmt.Sprintf("portal %q does not exist", name)}
}

func (c *conn) parameterDescription(oids []uint32) {
	c.out.buf = append(c.out.buf, 't')
	c.out.buf = binary.BigEndian.AppendUint32(c.out.buf, uint32(6+4*len(oids)))
	c.out.buf = binary.BigEndian.AppendUint16(c.out.buf, uint16(len(oids)))
	for _, oid := range oids {
		c.out.buf = binary.BigEndian.AppendUint32(c.out.buf, oid)
	}
}

// rowDescription describes columns; nil columns are a statement without rows.
func (c *conn) rowDescription(columns []sql.Column, formats []int16) *sql.Error {
	if columns == nil {
		c.out.short(noData)
		return nil
	}
	if len(columns) > maxColumns {
		return &sql.Error{Code: "54011", Message: fmt.Sprintf("target lists can have at most %d entries", maxColumns)}
	}
	// By hand: drivers ask for it with every execution.
	mark := len(c.out.buf)
	buf := append(c.out.buf, 'T', 0, 0, 0, 0)
	buf = binary.BigEndian.AppendUint16(buf, uint16(len(columns)))
	for i := range columns {
		col := &columns[i]
		buf = append(buf, clean(col.Name)...)
		buf = append(buf, 0)
		buf = binary.BigEndian.AppendUint32(buf, col.TableOID)
		buf = binary.BigEndian.AppendUint16(buf, uint16(col.Attr))
		buf = binary.BigEndian.AppendUint32(buf, col.OID)
		buf = binary.BigEndian.AppendUint16(buf, uint16(col.Size))
		buf = binary.BigEndian.AppendUint32(buf, uint32(col.Modifier))
		buf = binary.BigEndian.AppendUint16(buf, uint16(formatOf(formats, i)))
	}
	binary.BigEndian.PutUint32(buf[mark+1:], uint32(len(buf)-mark-1))
	c.out.buf = buf
	return nil
}

// maxColumns is PostgreSQL's limit of a target list.
const maxColumns = 1664

// formatOf is the format of column or parameter i: none given is text, one is for all.
func formatOf(formats []int16, i int) int16 {
	switch len(formats) {
	case 0:
		return pgproto3.TextFormat
	case 1:
		return formats[0]
	}
	return formats[i]
}
