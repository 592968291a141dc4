package pgwire

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/nodedb/nodedb/agent/internal/sql"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// bind makes a portal of a statement and its parameters.
func (c *conn) bind(m *pgproto3.Bind) *sql.Error {
	s, err := c.statement(m.PreparedStatement)
	if err != nil {
		return err
	}
	if fresh := c.session.Redescribed(s.prepared); fresh != s.prepared {
		s = &statement{prepared: fresh}
	}
	if len(m.Parameters) != len(s.params) {
		return protocolError("bind message supplies %d parameters, but prepared statement %q requires %d",
			len(m.Parameters), m.PreparedStatement, len(s.params))
	}
	if n := len(m.ParameterFormatCodes); n > 1 && n != len(m.Parameters) {
		return protocolError("bind message has %d parameter formats but %d parameters", n, len(m.Parameters))
	}
	if c.session.TxStatus() == txFailed && !s.prepared.EndsTransaction() {
		return errFailedBlock()
	}
	if n := len(m.ResultFormatCodes); n > 1 && s.prepared.Columns != nil && n != len(s.prepared.Columns) {
		return protocolError("bind message has %d result formats but query has %d columns", n, len(s.prepared.Columns))
	}
	if err := checkFormats(m.ParameterFormatCodes); err != nil {
		return err
	}
	if err := checkFormats(m.ResultFormatCodes); err != nil {
		return err
	}
	p, err := c.newPortal(m.DestinationPortal)
	if err != nil {
		return err
	}
	p.formats = m.ResultFormatCodes // Decode makes a new slice for each message
	p.hold.many = p.name != ""
	if err := p.hold.grow(&c.account, c.argsCost(s, m)); err != nil {
		return err
	}
	if err := c.decodeArgs(p, s, m); err != nil {
		p.hold.release()
		return err
	}
	p.statement = s
	s.users++
	c.portals[p.name] = p
	c.out.short(bindComplete)
	return nil
}

// argsCost is about how much memory the parameters take.
func (c *conn) argsCost(s *statement, m *pgproto3.Bind) int64 {
	const perValue = 96 // a datum
	cost := int64(0)
	for i, value := range m.Parameters {
		cost += perValue
		if s.params[i].IsArray() {
			cost += perValue / 2 * int64(len(value)) // two bytes can be an element
		} else {
			cost += int64(len(value))
		}
	}
	return cost
}

func (c *conn) decodeArgs(p *portal, s *statement, m *pgproto3.Bind) *sql.Error {
	by := c.session.Reading()
	for i, value := range m.Parameters {
		d, err := datum.Decode(s.params[i], value, formatOf(m.ParameterFormatCodes, i), by)
		if errors.Is(err, datum.ErrSurplus) {
			err = &sql.Error{Code: datum.ErrSurplus.Code, Message: fmt.Sprintf("%s in bind parameter %d", datum.ErrSurplus.Message, i+1)}
		}
		if err != nil {
			return ofParameter(sql.AsError(err), m, i)
		}
		p.args = append(p.args, d)
	}
	return nil
}

// ofParameter says of which parameter an error is, as PostgreSQL does.
func ofParameter(e *sql.Error, m *pgproto3.Bind, i int) *sql.Error {
	out := *e
	portal := "unnamed portal"
	if m.DestinationPortal != "" {
		portal = fmt.Sprintf("portal %q", m.DestinationPortal)
	}
	value := ""
	if formatOf(m.ParameterFormatCodes, i) == pgproto3.TextFormat && e.Code != "22021" {
		value = " = '...'"
	}
	out.Context = fmt.Sprintf("%s parameter $%d%s", portal, i+1, value)
	return &out
}

func checkFormats(codes []int16) *sql.Error {
	for _, code := range codes {
		if code != pgproto3.TextFormat && code != pgproto3.BinaryFormat {
			return &sql.Error{Code: "22023", Message: fmt.Sprintf("unsupported format code: %d", code)}
		}
	}
	return nil
}

// newPortal takes the name, ending the unnamed portal that had it.
func (c *conn) newPortal(name string) (*portal, *sql.Error) {
	if name != "" {
		if _, ok := c.portals[name]; ok {
			return nil, &sql.Error{Code: "42P03", Message: fmt.Sprintf("cursor %q already exists", name)}
		}
		if len(c.portals) >= maxPortals {
			return nil, &sql.Error{Code: "53400", Message: fmt.Sprintf("more than %d portals in one session", maxPortals)}
		}
		return &portal{name: name}, nil
	}
	c.dropPortal("")
	if p := c.spare; p != nil {
		c.spare = nil
		return p, nil
	}
	return &portal{}, nil
}

// spareArgs is how many parameters the spare portal keeps room for.
const spareArgs = 64

// dropPortal ends a portal and what it still runs.
func (c *conn) dropPortal(name string) {
	p, ok := c.portals[name]
	if !ok {
		return
	}
	delete(c.portals, name)
	p.close()
	if name == "" {
		clear(p.args)
		args := p.args[:0]
		if cap(args) > spareArgs {
			args = nil
		}
		*p = portal{args: args}
		c.spare = p
	}
}

func (c *conn) dropPortals() {
	for name := range c.portals {
		c.dropPortal(name)
	}
}
