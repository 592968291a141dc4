package rewrite

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// expanded makes BETWEEN, and ANY and ALL of an array whose elements are written out, the
// comparisons that PostgreSQL makes of them, where the engine compares values of the type by
// another rule than this package's operators; nil: it has its own.
func (r *rewriter) expanded(e *pg.A_Expr) (*pg.Node, error) {
	switch e.Kind {
	case pg.A_Expr_Kind_AEXPR_BETWEEN, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN, pg.A_Expr_Kind_AEXPR_BETWEEN_SYM, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM:
		bounds := e.Rexpr.GetList().GetItems()
		_, isText := literal(e.Lexpr) // of the type of each bound
		if len(bounds) == 2 && (isText || r.comparedElsewhere(append([]*pg.Node{e.Lexpr}, bounds...))) {
			return r.between(e, bounds[0], bounds[1])
		}
	case pg.A_Expr_Kind_AEXPR_OP_ANY, pg.A_Expr_Kind_AEXPR_OP_ALL:
		elements, ok := r.elements(e.Rexpr)
		if !ok || len(elements) == 0 || len(elements) > maxChain || !compares(lastName(e.Name)) ||
			!hasWindow(e.Rexpr) && !r.comparedElsewhere(append([]*pg.Node{e.Lexpr}, elements...)) && !r.ofOneRow(e.Lexpr, elements) { // an array of windows the engine cannot look into
			return nil, nil
		}
		kind, each := pg.BoolExprType_OR_EXPR, make([]*pg.Node, len(elements))
		if e.Kind == pg.A_Expr_Kind_AEXPR_OP_ALL {
			kind = pg.BoolExprType_AND_EXPR
		}
		of := r.oneOf(elements)
		for i, element := range elements {
			if _, isText := literal(element); isText && !of.IsEnum() && of != datum.Unknown {
				element = castTo(element, of.String())
			}
			each[i] = comparison(lastName(e.Name), e.Lexpr, element)
		}
		return chain(kind, each), nil
	default:
	}
	return nil, nil
}

// ofOneRow reports whether elements of one type are computed of columns: the engine would have
// a subquery of them, which it has not in each place where a comparison may stand.
func (r *rewriter) ofOneRow(x *pg.Node, elements []*pg.Node) bool {
	t := r.typeOf(x)
	for _, e := range elements {
		if _, isText := literal(e); isText || e.GetAConst().GetIsnull() {
			continue
		}
		if r.typeOf(e) != t && !(r.typeOf(e).IsInt() && t.IsInt()) || hasSubquery(e) {
			return false
		}
	}
	return t != datum.Unknown && !hasSubquery(x) && slices.ContainsFunc(elements, func(e *pg.Node) bool { return !constantExpression(e) })
}

// comparedElsewhere reports whether some of what is compared with each other is of a type whose
// values the engine has in another form.
func (r *rewriter) comparedElsewhere(l []*pg.Node) bool {
	for _, n := range l {
		if t := r.typeOf(n); t.IsArray() || t == datum.JSONB || t == datum.JSON || t == datum.Interval || r.writes(n) {
			return true
		}
	}
	return false
}

// elements are those of an array that is written out.
func (r *rewriter) elements(n *pg.Node) (list []*pg.Node, ok bool) {
	if a := n.GetAArrayExpr(); a != nil { // of one dimension
		return a.Elements, !slices.ContainsFunc(a.Elements, func(e *pg.Node) bool { return e.GetAArrayExpr() != nil || r.typeOf(e).IsArray() })
	}
	t := n.GetTypeCast()
	of, _ := castType(t.GetTypeName())
	s, isText := literal(t.GetArg())
	if !of.IsArray() || !isText {
		return nil, false
	}
	d, err := datum.ParseText(of, s, r.location())
	if err != nil || d.A == nil {
		return nil, false
	}
	for _, v := range d.A.Values {
		arg := null()
		if !v.Null {
			arg = text(v.Text())
		}
		typ := &pg.TypeName{Names: t.TypeName.Names, Typmods: t.TypeName.Typmods, Typemod: -1, Location: -1}
		list = append(list, &pg.Node{Node: &pg.Node_TypeCast{TypeCast: &pg.TypeCast{Arg: arg, TypeName: typ, Location: -1}}})
	}
	return list, true
}

// comparison compares copies of two expressions.
func comparison(op string, a, b *pg.Node) *pg.Node {
	return pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str(op)}, clone(a), clone(b), -1)
}

// between is BETWEEN of two bounds by comparisons.
func (r *rewriter) between(e *pg.A_Expr, low, high *pg.Node) (*pg.Node, error) {
	if r.copied += proto.Size(e); r.copied > rowsLeast {
		return nil, tooNested("BETWEEN")
	}
	in := func(low, high *pg.Node) *pg.Node {
		return boolExpr(pg.BoolExprType_AND_EXPR, comparison(">=", e.Lexpr, low), comparison("<=", e.Lexpr, high))
	}
	out := in(low, high)
	if e.Kind == pg.A_Expr_Kind_AEXPR_BETWEEN_SYM || e.Kind == pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM {
		out = boolExpr(pg.BoolExprType_OR_EXPR, out, in(high, low))
	}
	if e.Kind == pg.A_Expr_Kind_AEXPR_NOT_BETWEEN || e.Kind == pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM {
		out = not(out)
	}
	return out, nil
}
