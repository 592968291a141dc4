package sql

import (
	"context"
	"maps"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// bodyChecker plans what stands in a body without carrying it out, to find what is wrong with
// it. What depends on how records come to be is left.
type bodyChecker struct {
	*frame
	ctx context.Context //nolint:containedctx // of the one look
}

// lead is what stands before an expression when it is planned.
const lead = "SELECT "

// placedAt is what is wrong with a part of a body, whose positions count from the beginning
// of that.
func placedAt(err error, position, before int) error {
	if err == nil {
		return nil
	}
	out := *AsError(err)
	if out.Code == "55000" { // a record of which it is not known
		return nil
	}
	if out.Position > 0 {
		out.Position = max(position-1+out.Position-before, 1)
	} else {
		out.Position = position
	}
	return &out
}

func (c *bodyChecker) statements(list []syntax.BodyStatement) error {
	for _, st := range list {
		if err := c.statement(st); err != nil {
			return err
		}
	}
	return nil
}

func (c *bodyChecker) exprs(list ...*syntax.Expr) error {
	for _, e := range list {
		if e == nil || c.recordIn(e) != nil {
			continue
		}
		if _, err := c.bind(c.ctx, lead+e.SQL, e.Position); err != nil {
			if err = placedAt(err, e.Position, len(lead)); err != nil {
				return err
			}
		}
	}
	return nil
}

// query plans a query and gives what it has.
func (c *bodyChecker) query(q *syntax.BodyQuery) ([]queryplan.Column, error) {
	b, err := c.bind(c.ctx, q.SQL, q.Position)
	if err != nil {
		return nil, placedAt(err, q.Position, 0)
	}
	return b.prepared.plan.Columns, c.into(q.Into, b.prepared.plan.Columns)
}

// into looks at what is assigned to; columns are nil if they are not known.
func (c *bodyChecker) into(into *syntax.BodyInto, columns []queryplan.Column) error {
	if into == nil {
		return nil
	}
	return c.targets(into.Targets, columns)
}

func (c *bodyChecker) targets(list []syntax.BodyTarget, columns []queryplan.Column) error {
	for i := range list {
		t := &list[i]
		v, at, err := c.target(t)
		if err != nil {
			return placedAt(err, t.Position, 0)
		}
		if v.record && at < 0 && t.Row == "" && columns != nil {
			if err := c.takeRow(c.ctx, v, columns, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *bodyChecker) execute(st *syntax.BodyExecute) error {
	if st == nil {
		return nil
	}
	if err := c.exprs(&st.SQL); err != nil {
		return err
	}
	for i := range st.Using {
		if err := c.exprs(&st.Using[i]); err != nil {
			return err
		}
	}
	return c.into(st.Into, nil)
}

func (c *bodyChecker) statement(st syntax.BodyStatement) error {
	switch st := st.(type) {
	case *syntax.BodyQuery:
		_, err := c.query(st)
		return err
	case *syntax.BodyExecute:
		return c.execute(st)
	case *syntax.BodyAssign:
		if err := c.targets([]syntax.BodyTarget{st.Target}, nil); err != nil {
			return err
		}
		return c.exprs(&st.Value)
	case *syntax.BodyRaise:
		for i := range st.Args {
			if err := c.exprs(&st.Args[i]); err != nil {
				return err
			}
		}
		for _, name := range slices.Sorted(maps.Keys(st.Options)) {
			e := st.Options[name]
			if err := c.exprs(&e); err != nil {
				return err
			}
		}
	case *syntax.BodyReturn:
		if st.Next || st.Query != nil || st.Execute != nil {
			return placedAt(&Error{Code: "42804", Message: "cannot use RETURN NEXT in a non-SETOF function"}, st.Position, 0)
		}
		return c.exprs(st.Expr)
	case *syntax.BodyExit:
		return c.exprs(st.When)
	case *syntax.BodyAssert:
		return c.exprs(&st.Condition, st.Message)
	case *syntax.BodyDiagnostics:
		return c.targets(st.Targets, nil)
	}
	return c.nested(st)
}

// nested looks at a statement that has others.
func (c *bodyChecker) nested(st syntax.BodyStatement) error {
	switch st := st.(type) {
	case *syntax.BodyIf:
		for i := range st.Arms {
			if err := c.exprs(&st.Arms[i].Condition); err != nil {
				return err
			}
			if err := c.statements(st.Arms[i].Statements); err != nil {
				return err
			}
		}
		return c.statements(st.Else)
	case *syntax.BodyCase:
		if err := c.exprs(st.Operand); err != nil {
			return err
		}
		for i := range st.Arms {
			for n := range st.Arms[i].Values {
				if err := c.exprs(&st.Arms[i].Values[n]); err != nil {
					return err
				}
			}
			if err := c.statements(st.Arms[i].Statements); err != nil {
				return err
			}
		}
		return c.statements(st.Else)
	case *syntax.BodyLoop:
		return c.loop(st)
	case *syntax.BodyBlock:
		return c.block(st)
	}
	return nil
}

func (c *bodyChecker) loop(st *syntax.BodyLoop) error {
	defer c.enter(st.Label)()
	if err := c.exprs(st.While, st.From, st.To, st.By, st.Array); err != nil {
		return err
	}
	if err := c.execute(st.Execute); err != nil {
		return err
	}
	var columns []queryplan.Column
	if st.Query != nil {
		var err error
		if columns, err = c.query(st.Query); err != nil {
			return err
		}
	}
	if st.From != nil {
		c.declare(&variable{name: st.Targets[0].Name, typ: datum.Int4, modifier: -1})
	} else if err := c.targets(st.Targets, columns); err != nil {
		return err
	}
	return c.statements(st.Statements)
}

func (c *bodyChecker) block(st *syntax.BodyBlock) error {
	defer c.enter(st.Label)()
	for i := range st.Declare {
		d := st.Declare[i]
		if err := c.exprs(d.Default); err != nil {
			return err
		}
		d.Default, d.NotNull = nil, false
		if err := c.declared(c.ctx, &d); err != nil {
			return placedAt(err, d.Position, 0)
		}
	}
	if err := c.statements(st.Statements); err != nil {
		return err
	}
	for i := range st.Handlers {
		closed := c.enter("")
		for _, name := range []string{"sqlstate", "sqlerrm"} {
			c.declare(&variable{name: name, typ: datum.Text, modifier: -1, value: datum.MakeText("")})
		}
		err := c.statements(st.Handlers[i].Statements)
		closed()
		if err != nil {
			return err
		}
	}
	return nil
}

// inStatementText gives an error in a body its position in the statement whose body begins
// at start.
func inStatementText(err error, start int) error {
	if err == nil {
		return nil
	}
	out := *AsError(err)
	if out.Position > 0 {
		out.Position += start - 1
	}
	return &out
}
