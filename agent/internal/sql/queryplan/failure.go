package queryplan

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Failure is what PostgreSQL's planner says first of the constants of a statement that it cannot
// compute, whatever rows there are: those of what is selected or set, RETURNING, WHERE and HAVING,
// ON CONFLICT, and then rows of VALUES; each subquery behind the expression that it stands in.
// nil: there are none, or none that this finds.
func (p *Planner) Failure(q *syntax.Query) error {
	var fails error
	k := p.folding(&fails)
	k.only = true
	switch {
	case q.Select != nil:
		k.query(proto.CloneOf(q.Select))
	case q.Insert != nil:
		k.insert(p, proto.CloneOf(q.Insert))
	case q.Update != nil:
		s := proto.CloneOf(q.Update)
		k.clause(s.GetWithClause().GetCtes())
		k.functionRows(s.GetFromClause())
		k.sets(p, s.GetRelation(), s.GetTargetList())
		k.clause(s.GetReturningList())
		k.joins(s.GetFromClause())
		k.quals(s.GetWhereClause())
		k.derived(s.GetFromClause(), false)
	case q.Delete != nil:
		s := proto.CloneOf(q.Delete)
		k.clause(s.GetWithClause().GetCtes())
		k.functionRows(s.GetUsingClause())
		k.clause(s.GetReturningList())
		k.joins(s.GetUsingClause())
		k.quals(s.GetWhereClause())
		k.derived(s.GetUsingClause(), false)
	}
	return fails
}

// insert looks for expressions in an INSERT.
func (k *folding) insert(p *Planner, s *pg.InsertStmt) {
	k.clause(s.GetWithClause().GetCtes())
	sel := s.GetSelectStmt().GetSelectStmt()
	rows := sel.GetValuesLists()
	columns := k.columns(p, s)
	switch {
	case len(rows) == 1:
		k.row(rows[0].GetList().GetItems(), columns, true)
	case len(rows) == 0 && sel.GetOp() == pg.SetOperation_SETOP_NONE && len(sel.GetTargetList()) == len(columns):
		k.selected(sel, columns)
	case len(rows) == 0 && sel != nil:
		k.query(sel)
	}
	k.clause(s.GetReturningList())
	if c := s.GetOnConflictClause(); c != nil {
		k.sets(p, s.GetRelation(), c.GetTargetList())
		k.clause([]*pg.Node{c.GetWhereClause()})
	}
	if len(rows) > 1 {
		for _, r := range rows {
			k.row(r.GetList().GetItems(), columns, false)
		}
	}
}

// selected looks at a SELECT whose columns are inserted.
func (k *folding) selected(s *pg.SelectStmt, columns []*catalog.Column) {
	var values []*pg.Node
	for _, n := range s.GetTargetList() {
		values = append(values, n.GetResTarget().GetVal())
	}
	k.functionRows(s.GetFromClause())
	k.row(values, columns, true)
	s.TargetList = nil
	k.query(s)
}

// columns are those that an INSERT gives values for; nil where one is not known.
func (k *folding) columns(p *Planner, s *pg.InsertStmt) []*catalog.Column {
	table := k.table(p, s.GetRelation())
	var out []*catalog.Column
	for _, n := range s.GetCols() {
		out = append(out, columnCalled(table, n.GetResTarget().GetName()))
	}
	for i := 0; table != nil && len(s.GetCols()) == 0 && i < len(table.Columns); i++ {
		if !table.Columns[i].Hidden {
			out = append(out, &table.Columns[i])
		}
	}
	return out
}

func (k *folding) table(p *Planner, r *pg.RangeVar) *catalog.Table {
	t, ok := p.Lookup(r.GetSchemaname(), r.GetRelname())
	if !ok || t.Schemaless() {
		return nil
	}
	return t
}

func columnCalled(t *catalog.Table, name string) *catalog.Column {
	if t == nil {
		return nil
	}
	i := slices.IndexFunc(t.Columns, func(c catalog.Column) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return &t.Columns[i]
}

// row looks at the values of a row: by the columns of the table, or as they are written.
func (k *folding) row(values []*pg.Node, columns []*catalog.Column, sorted bool) {
	type value struct {
		n      *pg.Node
		column *catalog.Column
	}
	var list []value
	for i, n := range values {
		v := value{n: n}
		if i < len(columns) {
			v.column = columns[i]
		}
		list = append(list, v)
	}
	if sorted {
		slices.SortStableFunc(list, func(a, b value) int {
			if a.column == nil || b.column == nil {
				return 0
			}
			return int(a.column.ID) - int(b.column.ID)
		})
	}
	for _, v := range list {
		k.assigned(v.n, v.column)
	}
	k.subqueries()
}

// sets looks at a list of SET, by the columns of the table.
func (k *folding) sets(p *Planner, r *pg.RangeVar, l []*pg.Node) {
	table := k.table(p, r)
	var values []*pg.Node
	var columns []*catalog.Column
	for _, n := range l {
		t := n.GetResTarget()
		v := t.GetVal()
		if m := v.GetMultiAssignRef(); m != nil {
			if row := m.GetSource().GetRowExpr().GetArgs(); int(m.GetColno()) <= len(row) {
				v = row[m.GetColno()-1]
			} else if m.GetColno() > 1 {
				continue
			}
		}
		values, columns = append(values, v), append(columns, columnCalled(table, t.GetName()))
	}
	k.row(values, columns, true)
}

// assigned looks at a value of a column, and at what becomes of a constant there.
func (k *folding) assigned(n *pg.Node, column *catalog.Column) {
	if n == nil || n.GetSetToDefault() != nil {
		return
	}
	k.node(n)
	if column == nil || k.aside || *k.fails != nil || !k.constant(n) {
		return
	}
	e, err := k.compiler.expr(n)
	if err != nil {
		return
	}
	if e, err = assign(e, *column, 0); err != nil {
		return
	}
	if f, ok := settled(e).(*failing); ok {
		*k.fails = f.err
	}
}

// FailsToAssign reports whether a constant cannot become the value of a column.
func (p *Plan) FailsToAssign() bool {
	set := func(a Assignment) bool { return fails(a.Value) }
	if c := p.Change; c != nil && slices.ContainsFunc(c.Set, set) {
		return true
	}
	i := p.Insert
	return i != nil && (i.Conflict != nil && slices.ContainsFunc(i.Conflict.Set, set) ||
		slices.ContainsFunc(i.Rows, func(row []Expr) bool { return slices.ContainsFunc(row, fails) }))
}
