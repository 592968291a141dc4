package rewrite

import (
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// beforeSubscript finds what a[n] becomes.
func (r *rewriter) beforeSubscript(n *pg.Node, a *pg.A_Indirection) (finish, error) {
	if ok, after, err := r.beforeField(n, a); ok || err != nil {
		return after, err
	}
	if r.manyScales(a.Arg) {
		return nil, manyScaled("an element")
	}
	if r.typeOf(n) == datum.JSONB && r.typeOf(a.Arg) == datum.JSONB {
		path := &pg.A_ArrayExpr{Location: -1}
		for _, i := range a.Indirection {
			path.Elements = append(path.Elements, castTo(i.GetAIndices().Uidx, "text"))
		}
		n.Node = pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str("#>")}, a.Arg, &pg.Node{Node: &pg.Node_AArrayExpr{AArrayExpr: path}}, -1).Node
		return r.beforeExpression(n, n.GetAExpr())
	}
	if after := r.characterOf(a); after != nil {
		return after, r.oneSubscript(a)
	}
	return r.fromFirst(a), r.oneSubscript(a)
}

// fromFirst has subscripts below the first element find none: to the engine they count from the
// end. nil: it is no subscript of an array, or one that is not below.
func (r *rewriter) fromFirst(a *pg.A_Indirection) finish {
	if len(a.Indirection) != 1 || !r.typeOf(a.Arg).IsArray() {
		return nil
	}
	at := a.Indirection[0].GetAIndices()
	if at == nil || !at.IsSlice && at.Uidx.GetAConst().GetIval().GetIval() > 0 {
		return nil
	}
	least := func(n *pg.Node, least int64) *pg.Node {
		if c := n.GetAConst().GetIval(); n == nil || c != nil && int64(c.Ival) >= least {
			return n
		} else if c != nil {
			return integer(least)
		}
		known := &pg.Node{Node: &pg.Node_NullTest{NullTest: &pg.NullTest{Arg: r.again(n), Nulltesttype: pg.NullTestType_IS_NOT_NULL, Location: -1}}}
		return &pg.Node{Node: &pg.Node_CaseExpr{CaseExpr: &pg.CaseExpr{Location: -1, Args: []*pg.Node{caseWhen(known, call("greatest", n, integer(least)))}}}}
	}
	return func(n *pg.Node) (*pg.Node, error) {
		at := n.GetAIndirection().Indirection[0].GetAIndices()
		if at.Uidx = least(at.Uidx, 0); at.IsSlice {
			at.Lidx = least(at.Lidx, 1)
		}
		return n, nil
	}
}
