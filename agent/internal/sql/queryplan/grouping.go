package queryplan

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/aggregate"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Grouping says how the rows of a Select are added up. Its Output and its Sort are over
// rows of a group: the values that it is of, then what the functions say.
type Grouping struct {
	// By are the values that the rows of a group have in common; none: all rows are one
	// group, which is there without rows, too.
	By []Expr
	Aggregates
	Having Expr // over rows of a group; nil: all
	// Ends are Selects of one row each, by which what the functions say is found without
	// looking at all rows; nil: there are none.
	Ends []*Select
	// by and calls are what the statement says of By and Functions.
	by, calls []*pg.Node
}

// Aggregates are functions over rows. What is asked for twice is computed once.
type Aggregates struct {
	Functions []aggregate.Function
	Args      []Expr // of each function; nil: none
	Filters   []Expr // of each function; nil: all rows count
}

// Types are those of By.
func (g *Grouping) Types() []datum.Type {
	out := make([]datum.Type, len(g.By))
	for i, e := range g.By {
		out[i] = e.Type()
	}
	return out
}

// groups reports whether a SELECT adds rows up.
func groups(s *pg.SelectStmt) bool {
	if len(s.GetGroupClause()) > 0 || s.GetHavingClause() != nil {
		return true
	}
	found := false
	for _, n := range s.GetTargetList() {
		_ = syntax.Walk(n, func(n *pg.Node) (below bool, err error) { // fn does not fail
			if f := n.GetFuncCall(); f != nil && f.GetOver() == nil {
				name, ok := functionName(f)
				found = found || ok && aggregate.Named(name.Name)
			}
			return n.GetSubLink() == nil, nil
		})
	}
	return found
}

// grouped compiles what a SELECT says of groups into out.
func (c *compiler) grouped(s *pg.SelectStmt, out *Select) ([]Column, error) {
	g := &Grouping{}
	out.Group = g
	if s.GetGroupDistinct() {
		return nil, errSlow
	}
	for _, n := range s.GetGroupClause() {
		n, err := c.groupNode(n, s.GetTargetList())
		if err != nil {
			return nil, err
		}
		e, err := c.expr(n)
		if err != nil {
			return nil, err
		}
		if !aggregate.Groupable(e.Type(), exact(e)) || volatile(e) {
			return nil, errSlow
		}
		if slices.ContainsFunc(g.By, func(o Expr) bool { return same(o, e) }) {
			continue
		}
		g.By, g.by = append(g.By, e), append(g.by, n)
	}
	over := *c
	over.grouping = &grouping{rows: c, out: g}
	columns, err := over.outputs(s.GetTargetList(), out)
	if err != nil {
		return nil, err
	}
	if h := s.GetHavingClause(); h != nil {
		if g.Having, err = over.truth(h); err != nil {
			return nil, err
		}
	}
	return columns, over.sortKeys(s, out, columns)
}

// exact reports whether equal values of e are shown alike: numerics of a column whose scale
// is declared.
func exact(e Expr) bool {
	c, ok := e.(*ColumnRef)
	return ok && c.modifier >= 0
}

// groupNode is the expression that an item of GROUP BY means: a column's name, else an
// output's name or number.
func (c *compiler) groupNode(n *pg.Node, targets []*pg.Node) (*pg.Node, error) {
	if n.GetGroupingSet() != nil || n.GetRowExpr() != nil {
		return nil, errSlow
	}
	if k := n.GetAConst(); k != nil {
		i := k.GetIval().GetIval()
		if k.GetIval() == nil || i < 1 || int(i) > len(targets) {
			return nil, errSlow
		}
		return outputNode(targets[i-1])
	}
	fields := n.GetColumnRef().GetFields()
	if len(fields) != 1 || fields[0].GetString_() == nil {
		return n, nil
	}
	name := fields[0].GetString_().GetSval()
	if _, err := c.scope.column("", name, 0); err == nil {
		return n, nil
	}
	for _, t := range targets {
		if t.GetResTarget().GetName() == name {
			return outputNode(t)
		}
	}
	return nil, errSlow
}

func outputNode(target *pg.Node) (*pg.Node, error) {
	n := target.GetResTarget().GetVal()
	if _, ok := star(n); ok || n.GetAConst() != nil {
		return nil, errSlow
	}
	return n, nil
}

// grouping has a compiler compile expressions over rows of a group.
type grouping struct {
	rows *compiler // over the rows that are added up
	out  *Grouping
}

// resolve compiles n if it is what the rows of a group have in common, or an aggregate of
// them; !ok: neither, but what is below it may be.
func (g *grouping) resolve(n *pg.Node) (e Expr, ok bool, err error) {
	if f := n.GetFuncCall(); f != nil {
		if name, named := functionName(f); named && (name.Schema == "" || name.Schema == "pg_catalog") && aggregate.Named(name.Name) {
			e, err := g.call(n, name.Name)
			return e, true, err
		}
	}
	if e, err := g.rows.expr(n); err == nil {
		for i, by := range g.out.By {
			if same(by, e) {
				return g.value(i), true, nil
			}
		}
	}
	if n.GetColumnRef() != nil {
		return nil, true, errSlow // which knows what depends on the key, and the error
	}
	return nil, false, nil
}

// value is a column of the row of a group: values first.
func (g *grouping) value(i int) Expr {
	out := &ColumnRef{Index: i, typ: g.out.By[i].Type(), modifier: -1}
	if c, ok := g.out.By[i].(*ColumnRef); ok {
		out.modifier, out.name = c.modifier, c.name
	}
	return out
}

// column is the column of the rows that a column of the row of a group is; nil: it is none.
func (g *grouping) column(ref *ColumnRef) *ColumnRef {
	if ref.Index >= len(g.out.By) {
		return nil
	}
	c, _ := g.out.By[ref.Index].(*ColumnRef)
	return c
}

// call compiles the call of an aggregate function.
func (g *grouping) call(n *pg.Node, name string) (Expr, error) {
	i, err := g.rows.aggregate(n.GetFuncCall(), name, &g.out.Aggregates)
	if err != nil {
		return nil, err
	}
	if i == len(g.out.calls) {
		g.out.calls = append(g.out.calls, n)
	}
	return &ColumnRef{Index: len(g.out.By) + i, typ: g.out.Functions[i].Result(), modifier: -1}, nil
}

// aggregate compiles the call of an aggregate function of the rows, and returns its place
// among all.
func (c *compiler) aggregate(f *pg.FuncCall, name string, all *Aggregates) (int, error) {
	args := f.GetArgs()
	if f.GetOver() != nil || f.GetAggDistinct() || f.GetAggWithinGroup() || f.GetFuncVariadic() || len(f.GetAggOrder()) > 0 ||
		f.GetAggStar() != (len(args) == 0) || f.GetAggStar() && name != "count" || len(args) > 1 {
		return 0, errSlow
	}
	function := aggregate.Function{Kind: aggregate.Rows}
	var arg, filter Expr
	var err error
	if len(args) == 1 {
		if args[0].GetNamedArgExpr() != nil {
			return 0, errSlow
		}
		if arg, err = c.expr(args[0]); err != nil {
			return 0, err
		}
		var ok bool
		if function, ok = aggregate.Resolve(name, arg.Type(), exact(arg)); !ok || volatile(arg) {
			return 0, errSlow
		}
	}
	if f.GetAggFilter() != nil {
		if filter, err = c.truth(f.GetAggFilter()); err != nil {
			return 0, err
		}
		if volatile(filter) {
			return 0, errSlow
		}
	}
	for i := range all.Functions {
		if all.Functions[i] == function && sameOrNone(all.Args[i], arg) && sameOrNone(all.Filters[i], filter) {
			return i, nil
		}
	}
	all.Functions, all.Args, all.Filters = append(all.Functions, function), append(all.Args, arg), append(all.Filters, filter)
	return len(all.Functions) - 1, nil
}

// truth compiles a condition of which the slow path says what is wrong with it.
func (c *compiler) truth(n *pg.Node) (Expr, error) {
	e, err := c.expr(n)
	if err == nil && e.Type() != datum.Bool {
		err = errSlow
	}
	return e, err
}

func sameOrNone(a, b Expr) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return same(a, b)
}

// mark marks the columns of the rows that are needed.
func (g *Grouping) mark(wanted []bool) {
	for _, list := range [][]Expr{g.By, g.Args, g.Filters} {
		for _, e := range list {
			if e != nil {
				markColumns(e, wanted)
			}
		}
	}
}
