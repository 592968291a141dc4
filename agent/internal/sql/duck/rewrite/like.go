package rewrite

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// likeElsewhere is LIKE of bytea, and LIKE with ANY or ALL, which package builtin has; nil: it is
// another.
func (r *rewriter) likeElsewhere(e *pg.A_Expr, op string) finish {
	switch e.Kind {
	case pg.A_Expr_Kind_AEXPR_OP_ANY, pg.A_Expr_Kind_AEXPR_OP_ALL:
		return r.likeEach(e, op)
	case pg.A_Expr_Kind_AEXPR_LIKE, pg.A_Expr_Kind_AEXPR_OP:
	default:
		return nil
	}
	left, right := r.typeOf(e.Lexpr), r.typeOf(e.Rexpr)
	if e.Lexpr == nil || left != datum.Bytea && right != datum.Bytea {
		return nil
	}
	if e.Rexpr.GetFuncCall() != nil && lastName(e.Rexpr.GetFuncCall().Funcname) == "like_escape" {
		return func(*pg.Node) (*pg.Node, error) { return nil, unsupported(e.Location, "LIKE of bytea with ESCAPE") }
	}
	types := []datum.Type{datum.Bytea, datum.Bytea}
	c := builtin.Resolve(builtin.LikeBytea, types)
	for _, side := range []**pg.Node{&e.Lexpr, &e.Rexpr} {
		if t := r.typeOf(*side); t != datum.Bytea && t != datum.Unknown {
			return func(*pg.Node) (*pg.Node, error) { return nil, noOperator(e.Location, op, left, right) }
		}
		if _, isText := literal(*side); isText {
			*side = castTo(*side, "bytea")
		}
	}
	a, b := r.textOf(e.Lexpr, false), r.textOf(e.Rexpr, false)
	return func(n *pg.Node) (*pg.Node, error) {
		e := n.GetAExpr()
		out := cast(call("nd_call_2", text(c.Signature(r.zone())), a(e.Lexpr), b(e.Rexpr)), "BOOLEAN")
		if strings.HasPrefix(op, "!") {
			return not(out), nil
		}
		return out, nil
	}
}

// likeEach is text LIKE ANY (array of texts), or ALL.
func (r *rewriter) likeEach(e *pg.A_Expr, op string) finish {
	left, right := r.typeOf(e.Lexpr), r.typeOf(e.Rexpr)
	if left != datum.Unknown && !left.IsString() || right != datum.Unknown && !(right.IsArray() && right.Elem().IsString()) || e.Rexpr.GetSubLink() != nil {
		return nil
	}
	name := builtin.LikeAny
	if e.Kind == pg.A_Expr_Kind_AEXPR_OP_ALL {
		name = builtin.LikeAll
	}
	if _, isText := literal(e.Rexpr); isText {
		e.Rexpr = castTo(e.Rexpr, "text[]")
	}
	c := builtin.Resolve(name, []datum.Type{datum.Text, datum.Text | datum.Array, datum.Text})
	subject, patterns := r.textOf(e.Lexpr, true), r.textOf(e.Rexpr, false)
	return func(n *pg.Node) (*pg.Node, error) {
		e := n.GetAExpr()
		return cast(call("nd_call_3", text(c.Signature(r.zone())), subject(e.Lexpr), patterns(e.Rexpr), text(op)), "BOOLEAN"), nil
	}
}
