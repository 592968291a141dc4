package rewrite

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
)

// Ident is the spelling of an identifier for DuckDB. It is spelled once.
func ident(name string) string { return frame.Spelled(name) }

func quoteNames(l []*pg.Node) {
	for _, n := range l {
		if s := n.GetString_(); s != nil {
			s.Sval = ident(s.Sval)
		}
	}
}

// FigureName is the name that PostgreSQL gives a column without AS.
func FigureName(n *pg.Node) string {
	if name, _ := figure(n); name != "" {
		return name
	}
	return "?column?"
}

// figure returns the name and how much it is worth: a cast's type is used only if
// its argument has none.
func figure(n *pg.Node) (name string, strength int) {
	switch x := n.GetNode().(type) {
	case *pg.Node_ColumnRef:
		if names, _ := fieldNames(x.ColumnRef); len(names) > 0 {
			return names[len(names)-1], 2
		}
	case *pg.Node_AIndirection:
		for i := len(x.AIndirection.Indirection) - 1; i >= 0; i-- {
			if s := x.AIndirection.Indirection[i].GetString_(); s != nil {
				return s.Sval, 2
			}
		}
		return figure(x.AIndirection.Arg)
	case *pg.Node_FuncCall:
		return lastName(x.FuncCall.Funcname), 2
	case *pg.Node_AExpr:
		if x.AExpr.Kind == pg.A_Expr_Kind_AEXPR_NULLIF {
			return "nullif", 2
		}
	case *pg.Node_TypeCast:
		if name, strength = figure(x.TypeCast.Arg); strength > 1 {
			return name, strength
		}
		if t, _ := castType(x.TypeCast.TypeName); t.Elem().IsEnum() || t.Elem().IsComposite() {
			return t.Elem().SQLName(), 1
		}
		return lastName(x.TypeCast.TypeName.Names), 1
	case *pg.Node_CollateClause:
		return figure(x.CollateClause.Arg)
	case *pg.Node_GroupingFunc:
		return "grouping", 2
	case *pg.Node_SubLink:
		return figureSubLink(x.SubLink)
	case *pg.Node_CaseExpr:
		if name, strength = figure(x.CaseExpr.Defresult); strength <= 1 {
			return "case", 1
		}
		return name, strength
	case *pg.Node_AArrayExpr:
		return "array", 2
	case *pg.Node_RowExpr:
		return "row", 2
	case *pg.Node_CoalesceExpr:
		return "coalesce", 2
	case *pg.Node_MinMaxExpr:
		if x.MinMaxExpr.Op == pg.MinMaxOp_IS_LEAST {
			return "least", 2
		}
		return "greatest", 2
	case *pg.Node_SqlvalueFunction:
		return valueFunctionName(x.SqlvalueFunction.Op), 2
	}
	return "", 0
}

func figureSubLink(s *pg.SubLink) (string, int) {
	switch s.SubLinkType {
	case pg.SubLinkType_EXISTS_SUBLINK:
		return "exists", 2
	case pg.SubLinkType_ARRAY_SUBLINK:
		return "array", 2
	case pg.SubLinkType_EXPR_SUBLINK:
		sub := s.Subselect.GetSelectStmt()
		if sub != nil && len(sub.TargetList) > 0 {
			t := sub.TargetList[0].GetResTarget()
			if t.GetName() != "" {
				return frame.Unspelled(t.Name), 2
			}
			return figure(t.GetVal())
		}
	default:
	}
	return "", 0
}

func valueFunctionName(op pg.SQLValueFunctionOp) string {
	name := strings.ToLower(strings.TrimPrefix(op.String(), "SVFOP_"))
	name = strings.TrimSuffix(name, "_n")
	return name
}

// characterOf makes name[n] a function: PostgreSQL counts the characters of a name, which
// is an array there, from 0. nil: it is another subscript.
func (r *rewriter) characterOf(a *pg.A_Indirection) finish {
	if len(a.Indirection) != 1 {
		return nil
	}
	t := r.typeOf(a.Arg)
	if at := a.Indirection[0].GetAIndices(); at == nil || at.IsSlice || t != datum.Name && !t.IsVector() {
		return nil
	}
	return func(n *pg.Node) (*pg.Node, error) {
		a := n.GetAIndirection()
		at := a.Indirection[0].GetAIndices()
		next := pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str("+")}, at.Uidx, integer(1), -1)
		if t.IsVector() {
			at.Uidx = next
			return n, nil
		}
		return call("substring", a.Arg, next, integer(1)), nil
	}
}
