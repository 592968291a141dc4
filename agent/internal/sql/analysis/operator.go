package analysis

import (
	"fmt"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// signature is an operator with its operands as messages name them.
func (a *analysis) signature(op string, left, right *expr) string {
	s := op + " " + a.sqlName(right.typ)
	if left != nil {
		s = a.sqlName(left.typ) + " " + s
	}
	return s
}

// operator finds the one for operands; nil: it is not known, or there is none.
func (a *analysis) operator(op string, left, right *expr, at int32) *operator {
	l, r := unsure, right.typ
	if left != nil {
		l = left.typ
	}
	const ranges = 'R' // which NodeDB has not
	if r == unsure || left != nil && l == unsure || a.category(l) == ranges || a.category(r) == ranges {
		return nil
	}
	x, y := l, r
	if left != nil && x == unknown {
		x = y
	} else if left != nil && y == unknown {
		y = x
	}
	var all []*candidate
	for _, o := range known().operators[op] {
		if o.left == x && o.right == y && (left == nil) == (o.left == unsure) {
			return o
		}
		switch {
		case left == nil && o.left == unsure:
			all = append(all, &candidate{args: []oid{o.right}, operator: o})
		case left != nil && o.left != unsure:
			all = append(all, &candidate{args: []oid{o.left, o.right}, operator: o})
		}
	}
	input := []oid{r}
	if left != nil {
		input = []oid{l, r}
	}
	c, how := a.choose(input, all)
	switch {
	case how == foundMany:
		a.hinted("42725", at, "Could not choose a best candidate operator. You might need to add explicit type casts.", "operator is not unique: %s", a.signature(op, left, right))
	case how == foundNone && left == nil:
		a.hinted("42883", at, "No operator matches the given name and argument type. You might need to add an explicit type cast.", "operator does not exist: %s", a.signature(op, left, right))
	case how == foundNone:
		a.hinted("42883", at, "No operator matches the given name and argument types. You might need to add explicit type casts.", "operator does not exist: %s", a.signature(op, left, right))
	default:
		return c.operator
	}
	return nil
}

// apply is make_op.
func (a *analysis) apply(op string, left, right *expr, at int32) *expr {
	o := a.operator(op, left, right, at)
	if o == nil {
		kids := []*expr{right}
		if left != nil {
			kids = []*expr{left, right}
		}
		return of(unsure, leftmost(at, kids...), "unsure "+op, kids...)
	}
	input, declared, kids := []oid{right.typ}, []oid{o.right}, []*expr{right}
	if left != nil {
		input, declared, kids = []oid{left.typ, right.typ}, []oid{o.left, o.right}, []*expr{left, right}
	}
	to, result := a.resolve(input, declared, o.result, at)
	for i := range kids {
		kids[i] = a.coerce(kids[i], to[i])
	}
	return of(result, leftmost(at, kids...), "operator "+op+" "+o.function, kids...)
}

// applyToArray is make_scalar_array_op.
func (a *analysis) applyToArray(op string, left, array *expr, at int32) *expr {
	elem := array.typ
	if array.typ != unknown && array.typ != unsure {
		if elem = a.elem(array.typ); elem == unsure {
			a.refuse("42809", at, "op ANY/ALL (array) requires array on right side")
		}
	}
	o := a.operator(op, left, &expr{typ: elem, at: array.at}, at)
	if o == nil {
		return of(boolean, leftmost(at, left, array), "any "+op, left, array)
	}
	if o.result != boolean {
		a.refuse("42809", at, "op ANY/ALL (array) requires operator to yield boolean")
	}
	to, _ := a.resolve([]oid{left.typ, elem}, []oid{o.left, o.right}, o.result, at)
	if list := a.arrayOf(to[1]); list != unsure {
		array = a.coerce(array, list)
	}
	return of(boolean, leftmost(at, left, array), "any "+op+" "+o.function, a.coerce(left, to[0]), array)
}

// operation is an A_Expr.
func (a *analysis) operation(e *pg.A_Expr) *expr {
	op := lastText(e.Name)
	switch e.Kind {
	case pg.A_Expr_Kind_AEXPR_OP_ANY, pg.A_Expr_Kind_AEXPR_OP_ALL:
		left := a.expr(e.Lexpr)
		return a.applyToArray(op, left, a.expr(e.Rexpr), e.Location)
	case pg.A_Expr_Kind_AEXPR_DISTINCT, pg.A_Expr_Kind_AEXPR_NOT_DISTINCT:
		left, right := a.expr(e.Lexpr), a.expr(e.Rexpr)
		switch {
		case right.null && right.typ == unknown, left.null && left.typ == unknown:
			return of(boolean, leftmost(e.Location, left, right), "distinct", left, right)
		case left.row != nil && right.row != nil:
			return a.compareRows("=", left.row, right.row, e.Location)
		}
		equal := a.apply("=", left, right, e.Location)
		return of(boolean, equal.at, "distinct", equal)
	case pg.A_Expr_Kind_AEXPR_NULLIF:
		left, right := a.expr(e.Lexpr), a.expr(e.Rexpr)
		equal := a.apply("=", left, right, e.Location)
		return of(equal.kids[0].typ, equal.at, "nullif", equal).with(equal.kids[0].mod)
	case pg.A_Expr_Kind_AEXPR_IN:
		return a.in_(e, op)
	case pg.A_Expr_Kind_AEXPR_BETWEEN, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN, pg.A_Expr_Kind_AEXPR_BETWEEN_SYM, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM:
		return a.between(e)
	case pg.A_Expr_Kind_AEXPR_OP, pg.A_Expr_Kind_AEXPR_LIKE, pg.A_Expr_Kind_AEXPR_ILIKE, pg.A_Expr_Kind_AEXPR_SIMILAR:
	default:
		return of(unsure, e.Location, "")
	}
	if e.Lexpr == nil {
		return a.apply(op, nil, a.expr(e.Rexpr), e.Location)
	}
	if l, r := e.Lexpr.GetRowExpr(), e.Rexpr.GetSubLink(); l != nil && r.GetSubLinkType() == pg.SubLinkType_EXPR_SUBLINK {
		return a.sublink(&pg.SubLink{SubLinkType: pg.SubLinkType_ANY_SUBLINK, Testexpr: e.Lexpr, OperName: e.Name, Subselect: r.Subselect, Location: r.Location})
	}
	left, right := a.expr(e.Lexpr), a.expr(e.Rexpr)
	if left.row != nil && right.row != nil && e.Kind == pg.A_Expr_Kind_AEXPR_OP {
		return a.compareRows(op, left.row, right.row, e.Location)
	}
	return a.apply(op, left, right, e.Location)
}

// compareRows is make_row_comparison_op.
func (a *analysis) compareRows(op string, left, right []*expr, at int32) *expr {
	if len(left) != len(right) {
		a.refuse("42601", at, "unequal number of entries in row expressions")
		return of(boolean, at, "")
	}
	var kids []*expr
	for i := range left {
		c := a.apply(op, left[i], right[i], at)
		if c.typ != boolean && c.typ != unsure {
			a.refuse("42804", at, "row comparison operator must yield type boolean, not type %s", a.sqlName(c.typ))
		}
		kids = append(kids, c)
	}
	return of(boolean, at, "rows "+op, kids...)
}

// in_ is transformAExprIn.
func (a *analysis) in_(e *pg.A_Expr, op string) *expr {
	left := a.expr(e.Lexpr)
	var plain, rest []*expr
	all := []*expr{left}
	for _, n := range e.Rexpr.GetList().GetItems() {
		r := a.expr(n)
		if a.hasVariable(r) {
			rest = append(rest, r)
			continue
		}
		plain = append(plain, r)
		all = append(all, r)
	}
	out := of(boolean, e.Location, "in "+op)
	if len(plain) > 1 {
		if t, ok := a.common(all, ""); ok && left.row == nil && t != record && a.arrayOf(t) != unsure {
			list := of(a.arrayOf(t), e.Location, "list", a.bring(plain, t, "IN")...)
			out.kids = append(out.kids, a.applyToArray(op, left, list, e.Location))
			plain = nil
		}
	}
	for _, r := range append(plain, rest...) {
		if left.row != nil && r.row != nil {
			out.kids = append(out.kids, a.compareRows(op, left.row, r.row, e.Location))
			continue
		}
		out.kids = append(out.kids, a.truth(a.apply(op, left, r, e.Location), "IN"))
	}
	out.at = leftmost(out.at, out.kids...)
	return out
}

// hasVariable reports whether an expression names a column of its own query.
func (a *analysis) hasVariable(e *expr) bool {
	has := false
	e.each(func(e *expr) bool {
		has = has || e.variable && e.scope == a.scope
		return !has
	})
	return has
}

// between is transformAExprBetween: two or four comparisons.
func (a *analysis) between(e *pg.A_Expr) *expr {
	bounds := e.Rexpr.GetList().GetItems()
	if len(bounds) != 2 {
		return of(unsure, e.Location, "")
	}
	first, second := ">=", "<="
	symmetric := e.Kind == pg.A_Expr_Kind_AEXPR_BETWEEN_SYM || e.Kind == pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM
	if e.Kind == pg.A_Expr_Kind_AEXPR_NOT_BETWEEN || e.Kind == pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM {
		first, second = "<", ">"
	}
	compare := func(op string, n *pg.Node) *expr {
		left := a.expr(e.Lexpr)
		return a.apply(op, left, a.expr(n), e.Location)
	}
	kids := []*expr{compare(first, bounds[0]), compare(second, bounds[1])}
	if symmetric {
		kids = append(kids, compare(first, bounds[1]), compare(second, bounds[0]))
	}
	for _, k := range kids {
		a.truth(k, "AND")
	}
	return of(boolean, leftmost(e.Location, kids...), fmt.Sprint("between ", e.Kind), kids...)
}
