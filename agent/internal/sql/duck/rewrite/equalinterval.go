package rewrite

import (
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// To the engine constants that are equal are one: of 1 month and 30 days it computes t + interval
// '1 month' once for both. Where intervals are equal and not the same each but one becomes what
// the engine does not know beforehand.

// apart keeps intervals apart that are equal and not the same.
func (r *rewriter) apart(tree *pg.SelectStmt) {
	first := map[int64]datum.Datum{} // by their lengths
	visit(tree.ProtoReflect(), func(n *pg.Node) {
		v, days, ok := intervalConstant(n)
		if !ok {
			return
		}
		length := v.I + (int64(v.Days)+int64(v.Months)*30)*24*3600*1e6
		switch was, found := first[length]; {
		case !found:
			first[length] = v
		case was != v:
			days.Args[0] = pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str("+")}, days.Args[0], unforeseen(), -1)
		}
	})
	some := len(first) > 0
	for i, n := range r.paramRefs {
		number := int(n.GetParamRef().GetNumber())
		if number == 0 || number > len(r.params) || r.params[number-1] != datum.Interval {
			continue
		}
		if some {
			inner := &pg.Node{Node: n.Node}
			n.Node = pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str("+")}, inner, call("to_days", unforeseen()), -1).Node
			r.paramRefs[i] = inner
		}
		some = true
	}
}

// intervalConstant is the value of a constant that constantOf has made, and the call that is its days.
func intervalConstant(n *pg.Node) (v datum.Datum, days *pg.FuncCall, ok bool) {
	micros := n.GetAExpr().GetRexpr().GetFuncCall()
	sum := n.GetAExpr().GetLexpr().GetAExpr()
	months, days := sum.GetLexpr().GetFuncCall(), sum.GetRexpr().GetFuncCall()
	if lastName(micros.GetFuncname()) != "to_microseconds" || lastName(months.GetFuncname()) != "to_months" || lastName(days.GetFuncname()) != "to_days" {
		return v, nil, false
	}
	v = datum.Datum{Type: datum.Interval}
	m, known := smallInteger(months.Args[0])
	d, also := smallInteger(days.Args[0])
	text, is := literal(micros.Args[0].GetTypeCast().GetArg())
	i, err := strconv.ParseInt(text, 10, 64)
	v.Months, v.Days, v.I = m, d, i
	return v, days, known && also && is && err == nil
}

// unforeseen is zero, which the engine does not know before it has computed it.
func unforeseen() *pg.Node {
	return pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str("*")}, cast(call("random"), "INTEGER"), integer(0), -1)
}
