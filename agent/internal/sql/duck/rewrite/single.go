package rewrite

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// singlePrecision compares a real with another number as PostgreSQL does, which takes both for
// double precision; the engine takes both for real. What a list of IN becomes is real in both.
func (r *rewriter) singlePrecision(e *pg.A_Expr) {
	switch e.Kind {
	case pg.A_Expr_Kind_AEXPR_OP:
		if e.Lexpr != nil && compares(lastName(e.Name)) && r.mixesSingle(e.Lexpr, e.Rexpr) {
			e.Lexpr, e.Rexpr = castTo(e.Lexpr, "float8"), castTo(e.Rexpr, "float8")
		}
	case pg.A_Expr_Kind_AEXPR_DISTINCT, pg.A_Expr_Kind_AEXPR_NOT_DISTINCT:
		if r.mixesSingle(e.Lexpr, e.Rexpr) {
			e.Lexpr, e.Rexpr = castTo(e.Lexpr, "float8"), castTo(e.Rexpr, "float8")
		}
	case pg.A_Expr_Kind_AEXPR_BETWEEN, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN, pg.A_Expr_Kind_AEXPR_BETWEEN_SYM, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM:
		r.listOfDoubles(e)
	case pg.A_Expr_Kind_AEXPR_IN:
		alone := 0
		for _, item := range e.Rexpr.GetList().GetItems() {
			if !namesColumn(item) {
				alone++
			}
		}
		if alone <= 1 {
			r.listOfDoubles(e)
		}
	case pg.A_Expr_Kind_AEXPR_OP_ANY, pg.A_Expr_Kind_AEXPR_OP_ALL:
		if t := r.typeOf(e.Rexpr); r.typeOf(e.Lexpr) == datum.Float4 && t.IsArray() && t.Elem().IsNumber() && t.Elem() != datum.Float4 && compares(lastName(e.Name)) {
			e.Lexpr = castTo(e.Lexpr, "float8")
			e.Rexpr = castTo(e.Rexpr, "float8")
			e.Rexpr.GetTypeCast().TypeName.ArrayBounds = []*pg.Node{integer(-1)}
		}
	}
}

// listOfDoubles has a real be compared with what is in a list as double precision.
func (r *rewriter) listOfDoubles(e *pg.A_Expr) {
	items := e.Rexpr.GetList().GetItems()
	mixes := func(item *pg.Node) bool { return r.mixesSingle(e.Lexpr, item) }
	if !slices.ContainsFunc(items, mixes) || r.typeOf(e.Lexpr) != datum.Float4 && len(items) > 1 {
		return
	}
	for i := range items {
		if r.typeOf(items[i]).IsNumber() {
			items[i] = castTo(items[i], "float8")
		}
	}
	e.Lexpr = castTo(e.Lexpr, "float8")
}

// caseOfSingle does as much for CASE real WHEN number.
func (r *rewriter) caseOfSingle(c *pg.CaseExpr) {
	if c.Arg == nil || r.typeOf(c.Arg) != datum.Float4 {
		return
	}
	if !slices.ContainsFunc(c.Args, func(w *pg.Node) bool { return r.mixesSingle(c.Arg, w.GetCaseWhen().GetExpr()) }) {
		return
	}
	for _, w := range c.Args {
		if when := w.GetCaseWhen(); r.typeOf(when.Expr).IsNumber() {
			when.Expr = castTo(when.Expr, "float8")
		}
	}
	c.Arg = castTo(c.Arg, "float8")
}

// mixesSingle reports whether one of two numbers is real, and the other another number that may
// not be one.
func (r *rewriter) mixesSingle(a, b *pg.Node) bool {
	of, other := r.typeOf(a), r.typeOf(b)
	if other == datum.Float4 {
		b, of, other = a, other, of
	}
	const exact = 1 << 24 // integers up to this are reals
	if of != datum.Float4 || !other.IsNumber() || other == datum.Float4 {
		return false
	}
	i := b.GetAConst()
	return i.GetIval() == nil || i.GetIval().GetIval() > exact
}

// singleOfSubquery does as much for a comparison with what a subquery gives.
func (r *rewriter) singleOfSubquery(l *pg.SubLink) {
	if l.SubLinkType != pg.SubLinkType_ANY_SUBLINK && l.SubLinkType != pg.SubLinkType_ALL_SUBLINK {
		return
	}
	left := r.typeOf(l.Testexpr)
	if !left.IsNumber() {
		return
	}
	c, ok := r.gives(l.Subselect.GetSelectStmt())
	if ok && c.typ.IsNumber() && (left == datum.Float4) != (c.typ == datum.Float4) {
		l.Testexpr = castTo(l.Testexpr, "float8")
		castMembers(l, "float8", []bool{true})
	}
}

// namesColumn reports whether there is a column in an expression.
func namesColumn(n *pg.Node) bool {
	found := n.GetColumnRef() != nil
	visit(n.ProtoReflect(), func(n *pg.Node) { found = found || n.GetColumnRef() != nil })
	return found
}
