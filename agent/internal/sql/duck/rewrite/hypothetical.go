package rewrite

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// hypothetical is the rank that values would have among those of a group: how many stand before
// them. nil: it is a window function's, or of distinct rows of several columns.
func hypothetical(name string, f *pg.FuncCall) *pg.Node {
	if !f.AggWithinGroup || len(f.Args) != len(f.AggOrder) || f.Over != nil || len(f.Args) == 0 {
		return nil
	}
	count := func(when *pg.Node) *pg.Node {
		out := &pg.FuncCall{Funcname: []*pg.Node{str("count")}, AggStar: true, AggFilter: f.AggFilter, Funcformat: pg.CoercionForm_COERCE_EXPLICIT_CALL, Location: -1}
		if out.AggFilter = clone(out.AggFilter); when != nil && f.AggFilter != nil {
			out.AggFilter = boolExpr(pg.BoolExprType_AND_EXPR, out.AggFilter, when)
		} else if when != nil {
			out.AggFilter = when
		}
		return &pg.Node{Node: &pg.Node_FuncCall{FuncCall: out}}
	}
	op := func(op string, a, b *pg.Node) *pg.Node {
		return pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str(op)}, a, b, -1)
	}
	float := func(n *pg.Node) *pg.Node { return castTo(n, "float8") }
	switch name {
	case "rank":
		return op("+", count(standsBefore(f, false)), integer(1))
	case "dense_rank":
		if len(f.Args) > 1 {
			return nil
		}
		by := f.AggOrder[0].GetSortBy()
		different := count(standsBefore(f, false))
		different.GetFuncCall().AggStar, different.GetFuncCall().AggDistinct = false, true
		different.GetFuncCall().Args = []*pg.Node{clone(by.Node)}
		nulls := count(boolExpr(pg.BoolExprType_AND_EXPR, isNull(by.Node, true), standsBefore(f, false)))
		least := &pg.Node{Node: &pg.Node_MinMaxExpr{MinMaxExpr: &pg.MinMaxExpr{Op: pg.MinMaxOp_IS_LEAST, Args: []*pg.Node{nulls, integer(1)}, Location: -1}}}
		return op("+", op("+", different, least), integer(1))
	case "percent_rank":
		some := pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_NULLIF, []*pg.Node{str("=")}, float(count(nil)), float(integer(0)), -1)
		rank := op("/", float(count(standsBefore(f, false))), some)
		return &pg.Node{Node: &pg.Node_CoalesceExpr{CoalesceExpr: &pg.CoalesceExpr{Args: []*pg.Node{rank, float(integer(0))}, Location: -1}}}
	}
	return op("/", float(op("+", count(standsBefore(f, true)), integer(1))), float(op("+", count(nil), integer(1))))
}

// ofAround reports whether an aggregate names columns in its direct arguments alone, some of
// queries around: those do not say of which query it is, but as conditions would.
func (r *rewriter) ofAround(f *pg.FuncCall) bool {
	own, around := false, false
	look := func(l []*pg.Node, see func(own bool)) {
		visit(pg.MakeListNode(l).ProtoReflect(), func(n *pg.Node) {
			if ref := n.GetColumnRef(); ref != nil {
				_, _, ok := r.scope.own(ref)
				see(ok)
			}
		})
	}
	look(f.AggOrder, func(is bool) { own = own || is })
	look(f.Args, func(is bool) { around = around || !is })
	return around && !own
}

// standsBefore says of a row that it is ordered before one of the direct arguments, or as it.
func standsBefore(f *pg.FuncCall, orAs bool) *pg.Node {
	var out *pg.Node
	for i, n := range slices.Backward(f.AggOrder) {
		before := oneBefore(n.GetSortBy(), f.Args[i])
		if out == nil && !orAs {
			out = before
			continue
		}
		as := pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_NOT_DISTINCT, []*pg.Node{str("=")}, clone(n.GetSortBy().Node), clone(f.Args[i]), -1)
		if out != nil {
			as = boolExpr(pg.BoolExprType_AND_EXPR, as, out)
		}
		out = boolExpr(pg.BoolExprType_OR_EXPR, before, as)
	}
	return out
}

// oneBefore says of one value that it is ordered before another.
func oneBefore(by *pg.SortBy, value *pg.Node) *pg.Node {
	op := "<"
	descending := by.SortbyDir == pg.SortByDir_SORTBY_DESC
	if descending {
		op = ">"
	}
	nullsFirst := by.SortbyNulls == pg.SortByNulls_SORTBY_NULLS_FIRST || descending && by.SortbyNulls == pg.SortByNulls_SORTBY_NULLS_DEFAULT
	return boolExpr(pg.BoolExprType_OR_EXPR,
		pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str(op)}, clone(by.Node), clone(value), -1),
		boolExpr(pg.BoolExprType_AND_EXPR, isNull(by.Node, nullsFirst), isNull(value, !nullsFirst)))
}

// isNull says of a value that it is null, or that it is none.
func isNull(n *pg.Node, null bool) *pg.Node {
	kind := pg.NullTestType_IS_NOT_NULL
	if null {
		kind = pg.NullTestType_IS_NULL
	}
	return &pg.Node{Node: &pg.Node_NullTest{NullTest: &pg.NullTest{Arg: clone(n), Nulltesttype: kind, Location: -1}}}
}
