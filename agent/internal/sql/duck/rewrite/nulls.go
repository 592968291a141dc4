package rewrite

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// knownNull reports whether PostgreSQL knows that an expression is null before there are rows:
// of a strict function or operator one constant argument that is null is enough.
func (r *rewriter) knownNull(n *pg.Node) bool {
	if v, ok := r.constantValue(n); ok {
		return v.Null
	}
	switch x := n.GetNode().(type) {
	case *pg.Node_FuncCall:
		c := r.builtinCall(x.FuncCall, lastName(x.FuncCall.Funcname))
		return c != nil && !c.Function.Nulls && slices.ContainsFunc(x.FuncCall.Args, r.knownNull)
	case *pg.Node_AExpr:
		return r.strict(n, x.AExpr) && (r.knownNull(x.AExpr.Lexpr) || r.knownNull(x.AExpr.Rexpr))
	case *pg.Node_TypeCast:
		return len(x.TypeCast.TypeName.Typmods) == 0 && r.knownNull(x.TypeCast.Arg)
	}
	return false
}

// strict reports whether an operator gives null if one of its sides is null.
func (r *rewriter) strict(n *pg.Node, e *pg.A_Expr) bool {
	if e.Lexpr == nil || e.Rexpr == nil || e.Lexpr.GetRowExpr() != nil || e.Rexpr.GetRowExpr() != nil {
		return false
	}
	switch e.Kind {
	case pg.A_Expr_Kind_AEXPR_LIKE, pg.A_Expr_Kind_AEXPR_ILIKE:
		return true
	case pg.A_Expr_Kind_AEXPR_OP:
	default:
		return false
	}
	switch lastName(e.Name) {
	case "+", "-", "*", "/", "%", "^", "&", "|", "#", "<<", ">>", "=", "<>", "!=", "<", "<=", ">", ">=", "~", "~*", "!~", "!~*", "->", "->>", "#>", "#>>", "@>", "<@", "&&", "?", "?|", "?&":
		return true
	case "||": // of arrays a null is no element, or one
		t := r.typeOf(n)
		return t == datum.Text || t == datum.JSONB || t == datum.Bytea
	}
	return false
}

// ofNull is the null that a strict function or operator gives, without what stands beside its
// null argument: PostgreSQL does not compute that. nil: it is none such.
func (r *rewriter) ofNull(n *pg.Node) finish {
	if n.GetFuncCall() == nil && n.GetAExpr() == nil {
		return nil
	}
	t := r.typeOf(n)
	if t == datum.Unknown || opaque(t) || t.IsArray() || !r.knownNull(n) || !leavable(n) {
		return nil
	}
	if _, ok := FrameType(t, -1); !ok {
		return nil
	}
	return func(*pg.Node) (*pg.Node, error) { return r.constantNode(datum.MakeNull(t), nil, 0) }
}

// leavable reports whether a statement without the expression is of the same kind: it names no
// parameter, whose type it may tell, and calls nothing that may be an aggregate or give rows.
func leavable(n *pg.Node) bool {
	can := true
	look := func(n *pg.Node) {
		switch x := n.GetNode().(type) {
		case *pg.Node_ParamRef, *pg.Node_SubLink, *pg.Node_RowExpr:
			can = false
		case *pg.Node_FuncCall:
			can = can && x.FuncCall.Over == nil && builtin.Known(lastName(x.FuncCall.Funcname))
		}
	}
	look(n)
	visit(n.ProtoReflect(), look)
	return can
}
