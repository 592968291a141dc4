package queryplan

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// ofNulls puts null in the place of a comparison with a null: PostgreSQL leaves the other side out,
// but for its constants, which have their values by then.
func (k *folding) ofNulls(n *pg.Node) {
	x := n.GetAExpr()
	if x.GetKind() == pg.A_Expr_Kind_AEXPR_IN && x.GetLexpr().GetRowExpr() == nil && k.knownNull(x.GetLexpr()) {
		for _, item := range x.GetRexpr().GetList().GetItems() {
			if k.bindsStatement(item) {
				return
			}
		}
		n.Node = castOf(datum.MakeNull(datum.Bool)).Node
		return
	}
	if x.GetKind() != pg.A_Expr_Kind_AEXPR_OP || x.GetLexpr() == nil || !orders(operatorName(x)) {
		return
	}
	for i, side := range []*pg.Node{x.GetLexpr(), x.GetRexpr()} {
		v, ok := k.valueOf(side)
		other := []*pg.Node{x.GetRexpr(), x.GetLexpr()}[i]
		if !ok || !v.Null || !removable(other) {
			continue
		}
		if k.bindsStatement(other) {
			return
		}
		n.Node = castOf(datum.MakeNull(datum.Bool)).Node
		return
	}
}

// bindsStatement reports whether a statement without the expression is another: see removable, or
// it is made of constants and fails.
func (k *folding) bindsStatement(n *pg.Node) bool {
	if !removable(n) {
		return true
	}
	later := k.later
	k.node(n)
	k.later = later
	_, computes := k.value(n)
	return !computes && k.constant(n) && n.GetAConst() == nil
}

// apartInList compares the values of IN that name columns by themselves, as PostgreSQL does: they
// are not computed if one of the others decides.
func (k *folding) apartInList(n *pg.Node) {
	x := n.GetAExpr()
	value, items := x.GetLexpr(), x.GetRexpr().GetList().GetItems()
	if k.only || x.GetKind() != pg.A_Expr_Kind_AEXPR_IN || value.GetRowExpr() != nil || !repeats(value) {
		return
	}
	var alone, apart []*pg.Node
	fails := false
	for _, item := range items {
		if !repeats(item) {
			return
		}
		if namesColumn(item) {
			apart = append(apart, item)
			fails = fails || item.GetColumnRef() == nil
		} else {
			alone = append(alone, item)
		}
	}
	if !fails || len(items) == 1 {
		return
	}
	var list []*pg.Node
	if len(alone) > 1 {
		in := proto.CloneOf(x)
		in.Rexpr.GetList().Items = alone
		list = append(list, &pg.Node{Node: &pg.Node_AExpr{AExpr: in}})
	} else {
		apart = items
	}
	negated := operatorName(x) == "<>"
	for _, item := range apart {
		list = append(list, pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{stringNode(operatorName(x))}, proto.CloneOf(value), item, -1))
	}
	kind := pg.BoolExprType_OR_EXPR
	if negated {
		kind = pg.BoolExprType_AND_EXPR
	}
	n.Node = boolOf(kind, list).Node
}

// repeats reports whether an expression may be there twice: that is no query, and calls nothing
// that is not a function of package builtin.
func repeats(n *pg.Node) bool {
	can := true
	syntax.EachMessage(n.ProtoReflect(), func(m protoreflect.Message) bool {
		switch x := m.Interface().(type) {
		case *pg.SubLink, *pg.RowExpr:
			can = false
		case *pg.FuncCall:
			can = can && onlyComputes(x)
		}
		return can
	})
	return can
}

// onlyComputes reports whether a call is of a function of package builtin, and does no more.
func onlyComputes(f *pg.FuncCall) bool {
	name, ok := functionName(f)
	return ok && f.GetOver() == nil && computes(name.Name)
}

// namesColumn reports whether there is a column in an expression.
func namesColumn(n *pg.Node) bool {
	found := false
	syntax.EachMessage(n.ProtoReflect(), func(m protoreflect.Message) bool {
		_, ok := m.Interface().(*pg.ColumnRef)
		found = found || ok
		return !found
	})
	return found
}

// knownNull reports whether PostgreSQL knows beforehand that an expression is null: of a strict
// function or operator one constant that is null is enough.
func (k *folding) knownNull(n *pg.Node) bool {
	if v, ok := k.valueOf(n); ok {
		return v.Null
	}
	switch x := n.GetNode().(type) {
	case *pg.Node_AExpr:
		left, right := x.AExpr.GetLexpr(), x.AExpr.GetRexpr()
		if x.AExpr.GetKind() != pg.A_Expr_Kind_AEXPR_OP || operatorName(x.AExpr) == "||" || left == nil || left.GetRowExpr() != nil || right.GetRowExpr() != nil {
			return false // of arrays || is not strict
		}
		return k.knownNull(left) || k.knownNull(right)
	case *pg.Node_FuncCall:
		name, ok := functionName(x.FuncCall)
		return ok && builtin.Strict(name.Name) && (k.functions == nil || len(k.functions(name)) == 0) && slices.ContainsFunc(x.FuncCall.GetArgs(), k.knownNull)
	}
	return false
}

// orders reports whether an operator compares two values.
func orders(op string) bool {
	switch op {
	case "=", "<>", "!=", "<", "<=", ">", ">=":
		return true
	}
	return false
}

// removable reports whether a statement without the expression is of the same kind: that names no
// parameter, and calls nothing that may be an aggregate, or give rows, or do something.
func removable(n *pg.Node) bool {
	can := true
	syntax.EachMessage(n.ProtoReflect(), func(m protoreflect.Message) (below bool) {
		switch x := m.Interface().(type) {
		case *pg.ParamRef, *pg.RowExpr:
			can = false
		case *pg.SubLink:
			if x.GetTestexpr() == nil && closed(x) {
				return false
			}
			can = false
		case *pg.FuncCall:
			can = can && onlyComputes(x)
		}
		return can
	})
	return can
}

// closed reports whether a subquery names no parameter, and no aggregate in it is one of the query
// around it: it has an argument of a table of the subquery, or none that is of any.
func closed(x *pg.SubLink) bool {
	is, own := true, map[string]bool{}
	syntax.EachMessage(x.ProtoReflect(), func(m protoreflect.Message) bool {
		switch x := m.Interface().(type) {
		case *pg.ParamRef:
			is = false
		case *pg.RangeVar:
			own[x.GetRelname()] = x.GetAlias() == nil
		case *pg.Alias:
			own[x.GetAliasname()] = true
		}
		return is
	})
	syntax.EachMessage(x.GetSubselect().ProtoReflect(), func(m protoreflect.Message) bool {
		f, ok := m.Interface().(*pg.FuncCall)
		if !ok || f.GetOver() != nil {
			return is
		}
		if name, ok := functionName(f); ok && computes(name.Name) {
			return is
		}
		columns, within := false, false
		syntax.EachMessage(m, func(m protoreflect.Message) bool {
			if c, ok := m.Interface().(*pg.ColumnRef); ok {
				columns = true
				within = within || len(c.GetFields()) > 1 && own[c.GetFields()[0].GetString_().GetSval()]
			}
			return true
		})
		is = is && (!columns || within)
		return is
	})
	return is
}

// quals looks for expressions in what rows are chosen by. PostgreSQL takes a null among conditions
// there for false, and leaves out what does not matter beside it before it plans subqueries.
func (k *folding) quals(n *pg.Node) {
	if n == nil {
		return
	}
	k.message(n.ProtoReflect())
	k.chosen(n)
	left := map[*pg.SubLink]bool{}
	syntax.EachMessage(n.ProtoReflect(), func(m protoreflect.Message) bool {
		if x, ok := m.Interface().(*pg.SubLink); ok {
			left[x] = true
		}
		return true
	})
	k.later = slices.DeleteFunc(k.later, func(x *pg.SubLink) bool { return !left[x] })
	k.subqueries()
}

// chosen makes a condition false that is never true.
func (k *folding) chosen(n *pg.Node) {
	x := n.GetBoolExpr()
	if x == nil || x.GetBoolop() == pg.BoolExprType_NOT_EXPR {
		return
	}
	never := func(a *pg.Node) bool {
		v, ok := k.valueOf(a)
		return ok && v.Type == datum.Bool && !isTrue(v) || k.knownNull(a)
	}
	var left []*pg.Node
	for _, a := range x.GetArgs() {
		if k.chosen(a); !never(a) || !removable(a) {
			left = append(left, a)
		}
	}
	switch and := x.GetBoolop() == pg.BoolExprType_AND_EXPR; {
	case len(left) == 0, and && len(left) < len(x.GetArgs()) && removable(n):
		n.Node = castOf(datum.MakeBool(false)).Node
	case !and && len(left) == 1:
		n.Node = left[0].Node
	case !and:
		x.Args = left
	}
}

// emptied has subqueries that are never reached read nothing.
func emptied(n *pg.Node) {
	if n == nil {
		return
	}
	syntax.EachMessage(n.ProtoReflect(), func(m protoreflect.Message) bool {
		x, ok := m.Interface().(*pg.SubLink)
		s := x.GetSubselect().GetSelectStmt()
		if !ok || s == nil || s.GetOp() != pg.SetOperation_SETOP_NONE || len(s.GetValuesLists()) > 0 || !closed(x) {
			return true
		}
		never := &pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{Val: &pg.A_Const_Boolval{Boolval: &pg.Boolean{}}, Location: -1}}}
		if s.WhereClause != nil {
			never = pg.MakeBoolExprNode(pg.BoolExprType_AND_EXPR, []*pg.Node{never, s.WhereClause}, -1)
		}
		s.WhereClause = never
		return true
	})
}
