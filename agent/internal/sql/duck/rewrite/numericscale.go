package rewrite

import (
	"slices"

	"github.com/cockroachdb/apd/v3"
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// scaleOf is how many digits after the point all values of a number have; -1: it is not
// known, or they have several.
func (r *rewriter) scaleOf(n *pg.Node) int {
	if r.typeOf(n).IsInt() {
		return 0
	}
	if v, ok := r.constantValue(n); ok && v.Type == datum.Numeric && !v.Null && v.D != nil && v.D.Form == apd.Finite {
		return max(int(-v.D.Exponent), 0)
	}
	switch x := n.GetNode().(type) {
	case *pg.Node_ColumnRef:
		c, ok := r.scope.find(x.ColumnRef)
		if ok && c.typ == datum.Numeric && c.scan != nil && c.modifier >= 4 {
			return int(c.modifier-4) & 0x7ff
		}
		if ok && c.typ == datum.Numeric && c.grown { // or grows refuses the query
			return c.scale
		}
	case *pg.Node_TypeCast:
		if m := typmod(datum.Numeric, x.TypeCast.TypeName); m >= 4 {
			return int(m-4) & 0x7ff
		}
		if r.typeOf(n) == datum.Numeric && len(x.TypeCast.TypeName.Typmods) == 0 {
			return r.scaleOf(x.TypeCast.Arg)
		}
	case *pg.Node_FuncCall:
		switch lastName(x.FuncCall.Funcname) {
		case "sum", "min", "max", "abs", "first_value", "last_value", "any_value":
			if len(x.FuncCall.Args) == 1 {
				return r.scaleOf(x.FuncCall.Args[0])
			}
		case "lag", "lead", "nth_value":
			if len(x.FuncCall.Args) == 1 || len(x.FuncCall.Args) == 2 {
				return r.scaleOf(x.FuncCall.Args[0])
			}
		case "ceil", "ceiling", "floor":
			return 0
		case "round", "trunc":
			if len(x.FuncCall.Args) == 1 {
				return 0
			}
			if len(x.FuncCall.Args) == 2 {
				if s, ok := smallInteger(x.FuncCall.Args[1]); ok && s >= 0 {
					return int(s)
				}
			}
		}
	case *pg.Node_AExpr:
		return r.scaleOfOperator(x.AExpr)
	case *pg.Node_CaseExpr:
		return r.scaleOfEach(caseResults(x.CaseExpr))
	case *pg.Node_CoalesceExpr:
		return r.scaleOfEach(x.CoalesceExpr.Args)
	case *pg.Node_MinMaxExpr:
		return r.scaleOfEach(x.MinMaxExpr.Args)
	}
	return -1
}

// bareNulls has the nulls among alternatives that are numerics be of no scale: the others decide.
func (r *rewriter) bareNulls(n *pg.Node) {
	l := slices.Concat(n.GetCoalesceExpr().GetArgs(), n.GetMinMaxExpr().GetArgs())
	if c := n.GetCaseExpr(); c != nil {
		l = caseResults(c)
	}
	isNull := func(n *pg.Node) bool { return nullNumber(n, datum.Numeric) }
	if r.typeOf(n) != datum.Numeric || !slices.ContainsFunc(l, func(n *pg.Node) bool { return !isNull(n) }) {
		return
	}
	for _, n := range l {
		if isNull(n) {
			n.Node = null().Node
		}
	}
}

// scaleOfEach is the one scale of alternatives that are not null; -1: they have several.
func (r *rewriter) scaleOfEach(l []*pg.Node) int {
	scale, first := -1, true
	for _, n := range l {
		if nullNumber(n, datum.Numeric) {
			continue
		}
		s := r.scaleOf(n)
		if !first && s != scale {
			return -1
		}
		scale, first = s, false
	}
	return scale
}

// digitsOf is how many digits a number that is no text has at most, if all of its scale count.
func (r *rewriter) digitsOf(n *pg.Node) int {
	if v, ok := r.constantValue(n); ok && v.Type == datum.Numeric && !v.Null && v.D != nil && v.D.Form == apd.Finite {
		return int(v.D.NumDigits()) + max(int(v.D.Exponent), 0)
	}
	switch r.typeOf(n) {
	case datum.Int2:
		return smallintDigits
	case datum.Int4:
		return integerDigits
	case datum.Int8:
		return bigintDigits
	}
	switch x := n.GetNode().(type) {
	case *pg.Node_ColumnRef:
		if c, ok := r.scope.find(x.ColumnRef); ok && c.typ == datum.Numeric && c.scan != nil && c.modifier >= 4 {
			return int(c.modifier-4) >> 16
		}
	case *pg.Node_TypeCast:
		if m := typmod(datum.Numeric, x.TypeCast.TypeName); m >= 4 {
			return int(m-4) >> 16
		}
		if r.typeOf(n) == datum.Numeric && r.typeOf(x.TypeCast.Arg).IsInt() {
			return r.digitsOf(x.TypeCast.Arg)
		}
	case *pg.Node_AExpr:
		if e := x.AExpr; e.Kind == pg.A_Expr_Kind_AEXPR_OP && lastName(e.Name) == "*" && e.Lexpr != nil {
			return r.digitsOf(e.Lexpr) + r.digitsOf(e.Rexpr)
		}
	}
	return 0 // not known: the engine says if they are too many
}

func (r *rewriter) scaleOfOperator(e *pg.A_Expr) int {
	if e.Kind != pg.A_Expr_Kind_AEXPR_OP {
		return -1
	}
	right := r.scaleOf(e.Rexpr)
	if e.Lexpr == nil || right < 0 {
		return right
	}
	left := r.scaleOf(e.Lexpr)
	switch op := lastName(e.Name); {
	case left < 0:
		return -1
	case op == "+" || op == "-":
		return max(left, right)
	case op == "*":
		return left + right
	}
	return -1
}
