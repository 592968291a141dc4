package rewrite

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// Two intervals are equal to PostgreSQL if they are of the same length, a month having 30 days and
// a day 24 hours; the engine does not carry between parts of several signs, so that 1 mon -1 day
// and 29 days are two values to it. Where it tells equal ones, their lengths stand in their place.

// spanOf is the length of an interval that is rewritten.
func spanOf(n *pg.Node) *pg.Node {
	if n.GetAConst().GetIsnull() {
		n = cast(n, "INTERVAL")
	}
	return call("nd_span", n)
}

// spans refuses what the engine compares as it does itself of arrays of intervals, and of others
// finishes IN, IS DISTINCT FROM and NULLIF; nil: it is none of them.
func (r *rewriter) spans(e *pg.A_Expr) (finish, error) {
	left, right := r.typeOf(e.Lexpr), r.typeOf(e.Rexpr)
	items := e.Rexpr.GetList().GetItems()
	is := func(t datum.Type) bool {
		return left == t || right == t || slices.ContainsFunc(items, func(n *pg.Node) bool { return r.typeOf(n) == t })
	}
	if is(datum.Interval | datum.Array) {
		switch op := lastName(e.Name); {
		case e.Kind == pg.A_Expr_Kind_AEXPR_OP && !compares(op) && op != "@>" && op != "<@" && op != "&&":
		default:
			err := unsupported(e.Location, "a comparison of arrays of intervals in this statement")
			err.Hint = "Compare their elements, by unnest."
			return nil, err
		}
		return nil, nil
	}
	if !is(datum.Interval) {
		return nil, nil
	}
	switch e.Kind {
	case pg.A_Expr_Kind_AEXPR_IN, pg.A_Expr_Kind_AEXPR_DISTINCT, pg.A_Expr_Kind_AEXPR_NOT_DISTINCT:
		return func(n *pg.Node) (*pg.Node, error) {
			eachOperand(n.GetAExpr(), spanOf)
			return r.operator(n, n.GetAExpr())
		}, nil
	case pg.A_Expr_Kind_AEXPR_NULLIF:
		return func(n *pg.Node) (*pg.Node, error) {
			e := n.GetAExpr()
			equal := pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str("=")}, spanOf(r.again(e.Lexpr)), spanOf(e.Rexpr), -1)
			when := &pg.Node{Node: &pg.Node_CaseWhen{CaseWhen: &pg.CaseWhen{Expr: equal, Result: cast(null(), "INTERVAL"), Location: -1}}}
			return &pg.Node{Node: &pg.Node_CaseExpr{CaseExpr: &pg.CaseExpr{Args: []*pg.Node{when}, Defresult: e.Lexpr, Location: -1}}}, nil
		}, nil
	default:
	}
	return nil, nil
}

// caseOfSpans has CASE of an interval compare lengths.
func (r *rewriter) caseOfSpans(c *pg.CaseExpr) {
	if r.typeOf(c.Arg) != datum.Interval {
		return
	}
	for _, w := range c.Args {
		when := w.GetCaseWhen()
		if _, ok := literal(when.Expr); ok {
			when.Expr = castTo(when.Expr, "interval")
		}
		r.byLength(when.Expr)
	}
	r.byLength(c.Arg)
}

// byLength has the length of an interval stand in its place.
func (r *rewriter) byLength(n *pg.Node) {
	if r.keyed == nil {
		r.keyed = map[*pg.Node]func(*pg.Node) *pg.Node{}
	}
	r.keyed[n] = spanOf
}

// partitions has windows tell intervals by their lengths.
func (r *rewriter) partitions(w *pg.WindowDef) {
	for _, n := range w.GetPartitionClause() {
		if r.typeOf(n) == datum.Interval {
			r.byLength(n)
		}
	}
}

// ofIntervals finishes an aggregate that compares intervals, or refuses it; nil: it is none.
func (r *rewriter) ofIntervals(f *pg.FuncCall, name string) (finish, error) {
	if f.Over != nil {
		r.partitions(f.Over)
	}
	if len(f.Args) == 0 || r.typeOf(f.Args[0]) != datum.Interval && r.typeOf(f.Args[0]) != datum.Interval|datum.Array {
		return nil, nil
	}
	of := r.typeOf(f.Args[0])
	switch {
	case name == "array_remove", of.IsArray() && (name == "min" || name == "max" || f.AggDistinct):
		err := unsupported(f.Location, "the function %s of arrays of intervals in this statement", name)
		err.Hint = "Compare their elements, by unnest."
		return nil, err
	case name == "min" || name == "max":
		return func(n *pg.Node) (*pg.Node, error) {
			n.GetFuncCall().AggDistinct = false
			arg := n.GetFuncCall().Args[0]
			return renamed(n, "arg_"+name, arg, spanOf(r.again(arg))), nil
		}, nil
	case f.AggDistinct && name == "count":
		r.byLength(f.Args[0])
	case f.AggDistinct:
		err := unsupported(f.Location, "DISTINCT of intervals in %s", name)
		err.Hint = "Select the distinct ones in a subquery."
		return nil, err
	}
	return nil, nil
}

// inLengths has x IN (SELECT ...), and a comparison with ANY or ALL of its rows, compare the lengths
// of intervals; nil: there are none.
func (r *rewriter) inLengths(s *pg.SubLink) finish {
	fields := func(s *pg.SubLink) []*pg.Node {
		if row := s.Testexpr.GetRowExpr().GetArgs(); len(row) > 0 {
			return row
		}
		return []*pg.Node{s.Testexpr}
	}
	if s.Testexpr == nil {
		return nil
	}
	is, some := make([]bool, len(fields(s))), false
	for i, n := range fields(s) {
		is[i] = r.typeOf(n) == datum.Interval
		some = some || is[i]
	}
	if !some {
		return nil
	}
	return func(n *pg.Node) (*pg.Node, error) {
		x := n.GetSubLink()
		out := &pg.SelectStmt{LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE}
		out.FromClause = []*pg.Node{around(x.Subselect.GetSelectStmt(), len(is))}
		list := fields(x)
		for i := range is {
			column := sideRef(i)
			if is[i] {
				column, list[i] = spanOf(column), spanOf(list[i])
			}
			out.TargetList = append(out.TargetList, pg.MakeResTargetNodeWithVal(column, -1))
		}
		if x.Testexpr.GetRowExpr() == nil {
			x.Testexpr = list[0]
		}
		x.Subselect = selectNode(out)
		return r.rule(n)
	}
}

// oneSigned has a column of intervals of which equal ones are told be refused where two that are
// equal may be two to the engine.
func oneSigned(n *pg.Node) *pg.Node { return call("nd_one_signed", n) }
