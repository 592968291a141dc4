package sql

import (
	"context"
	"fmt"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// maxCompiled is how many triggers a session keeps compiled.
const maxCompiled = 64

// compiled returns a trigger that can be fired. It is compiled once for a session, a version
// of its table and one of its function; its statements are planned anew as those of a client
// are.
func (s *Session) compiled(ctx context.Context, table *catalog.Table, t *cluster.TableTrigger) (*compiledTrigger, error) {
	function, err := s.functionOf(t)
	if err != nil {
		return nil, err
	}
	if c, ok := s.triggers[t.ID]; ok && c.table == table && c.desc == t && c.function == function {
		return c, nil
	}
	c, err := s.compileTrigger(ctx, table, t)
	if err != nil {
		return nil, inContext(err, fmt.Sprintf("trigger %s on table %s", t.Name, table.Name()))
	}
	if s.triggers == nil || len(s.triggers) >= maxCompiled {
		s.triggers = map[cluster.ObjectID]*compiledTrigger{}
	}
	s.triggers[t.ID] = c
	return c, nil
}

// functionOf is the function that a trigger calls; nil: it has a body of its own.
func (s *Session) functionOf(t *cluster.TableTrigger) (*cluster.Object, error) {
	if t.Function == 0 {
		return nil, nil //nolint:nilnil // there is none
	}
	o, ok := s.scope().Object(t.Function)
	if !ok {
		return nil, &Error{Code: "42883", Message: fmt.Sprintf("the function of trigger %q was dropped meanwhile", t.Name)}
	}
	return o, nil
}

// compileTrigger reads what a trigger does.
func (s *Session) compileTrigger(ctx context.Context, table *catalog.Table, t *cluster.TableTrigger) (*compiledTrigger, error) {
	c := &compiledTrigger{desc: t, table: table}
	c.shape, c.visible = rowShape(table)
	name, text := fmt.Sprintf("trigger %s on table %s", t.Name, table.Name()), t.Body
	var err error
	if c.function, err = s.functionOf(t); err != nil {
		return nil, err
	}
	if c.function != nil {
		name, text = fmt.Sprintf("PL/pgSQL function %s()", c.function.Name), c.function.Function.Body
	}
	if c.body, err = bodyOf(name, text); err != nil {
		return nil, err
	}
	if t.When != "" {
		if err := s.compileWhen(ctx, c); err != nil {
			return nil, err
		}
	}
	c.look()
	return c, nil
}

// look notes what the body may do beside looking at NEW and OLD.
func (c *compiledTrigger) look() {
	syntax.EachInBody(c.body.statements, &syntax.BodyVisitor{
		Statement: func(st syntax.BodyStatement) {
			switch st := st.(type) {
			case *syntax.BodyQuery, *syntax.BodyCommand, *syntax.BodyExecute:
				c.reads = true
			case *syntax.BodyReturn:
				if st.Expr != nil { // a row that was made otherwise
					c.sets, c.keys = true, true
				}
			}
		},
		Expr: func(e *syntax.Expr) {
			if !onlyBuiltins(e.SQL) {
				c.reads = true
			}
		},
		Target: func(t *syntax.BodyTarget) {
			switch {
			case t.Row == "" && t.Name == "new":
				c.sets, c.keys = true, true
			case t.Row == "new":
				i, ok := c.table.ColumnIndex(t.Name)
				c.sets, c.keys = true, c.keys || ok && c.table.IsKey(i)
			}
		},
	})
}

// onlyBuiltins reports whether an expression reads no tables and calls no function that may.
func onlyBuiltins(text string) bool {
	e, err := syntax.ParseExpression(text)
	if err != nil {
		return false // it has more to it than an expression
	}
	own := true
	_ = syntax.Walk(e, func(n *pg.Node) (bool, error) {
		if n.GetSubLink() != nil {
			own = false
		}
		if names := n.GetFuncCall().GetFuncname(); len(names) > 0 && !duck.Knows(names[len(names)-1].GetString_().GetSval()) {
			own = false
		}
		return own, nil
	})
	return own
}

// when compiles WHEN.
func (s *Session) compileWhen(ctx context.Context, c *compiledTrigger) error {
	t := c.desc
	e, err := syntax.ParseExpression(t.When)
	if err != nil {
		return err
	}
	if err := syntax.OfOneRow(e, syntax.InWhen); err != nil {
		told := *AsError(err)
		told.Position = 0 // of a text of ours
		return &told
	}
	if err := c.whenFields(e); err != nil {
		return err
	}
	if c.when, err = c.frame(&occasion{session: s}).bound(ctx, "SELECT "+t.When); err != nil {
		told := *AsError(err)
		told.Position = 0
		return &told
	}
	if typ := c.when.prepared.plan.Columns[0].Type; typ != datum.Bool && typ != datum.Unknown {
		return &Error{Code: "42804", Message: "argument of WHEN must be type boolean, not type " + typ.SQLName()}
	}
	return nil
}

// whenFields refuses rows that there are not.
func (c *compiledTrigger) whenFields(e *pg.Node) error {
	t, table := c.desc, c.table
	var wrong *Error
	syntax.EachColumn(e, func(r *pg.ColumnRef) {
		row := r.GetFields()[0].GetString_().GetSval()
		if row != "new" && row != "old" || wrong != nil {
			return
		}
		column := ""
		if fields := r.GetFields(); len(fields) == 2 {
			column = fields[1].GetString_().GetSval()
		}
		i, known := table.ColumnIndex(column)
		switch {
		case !t.Row:
			wrong = &Error{Code: "42P17", Message: "statement trigger's WHEN condition cannot reference column values"}
		case row == "old" && t.On(cluster.OnInsert):
			wrong = &Error{Code: "42P17", Message: "INSERT trigger's WHEN condition cannot reference OLD values"}
		case row == "new" && t.On(cluster.OnDelete):
			wrong = &Error{Code: "42P17", Message: "DELETE trigger's WHEN condition cannot reference NEW values"}
		case column != "" && (!known || table.Columns[i].Hidden):
			wrong = &Error{Code: "42703", Message: fmt.Sprintf("column %s.%s does not exist", row, column)}
		case known && row == "new" && t.Timing == cluster.BeforeRows && table.Columns[i].Generated != "":
			wrong = &Error{Code: "42P17", Message: "BEFORE trigger's WHEN condition cannot reference NEW generated columns", Detail: fmt.Sprintf("Column %q is a generated column.", column)}
		}
	})
	if wrong != nil {
		return wrong
	}
	return nil
}
