package queryplan

import (
	"errors"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// unreached takes out of CASE, COALESCE, AND and OR what is never reached because of constants
// before it: PostgreSQL does not compute it, so that it cannot fail.
func (k *folding) unreached(n *pg.Node) {
	switch x := n.GetNode().(type) {
	case *pg.Node_AExpr:
		k.rows(n)
		k.ofNulls(n)
		k.apartInList(n)
	case *pg.Node_CaseExpr:
		if k.ofNull(x.CaseExpr) {
			return
		}
		decided := false
		for _, w := range x.CaseExpr.GetArgs() {
			when := w.GetCaseWhen()
			if decided {
				k.neutral(when.GetExpr())
				k.neutral(when.GetResult())
				continue
			}
			if x.CaseExpr.GetArg() == nil {
				k.node(when.GetExpr())
			}
			v, ok := k.holds(x.CaseExpr.GetArg(), when.GetExpr())
			if decided = ok && isTrue(v); ok && !decided {
				k.neutral(when.GetResult())
			}
		}
		if decided {
			k.neutral(x.CaseExpr.GetDefresult())
		}
	case *pg.Node_CoalesceExpr:
		decided := false
		for _, a := range x.CoalesceExpr.GetArgs() {
			if decided {
				k.neutral(a)
				continue
			}
			k.node(a)
			v, ok := k.valueOf(a)
			decided = ok && !v.Null
		}
	case *pg.Node_BoolExpr:
		or := x.BoolExpr.GetBoolop() == pg.BoolExprType_OR_EXPR
		if x.BoolExpr.GetBoolop() == pg.BoolExprType_NOT_EXPR {
			return
		}
		for _, a := range x.BoolExpr.GetArgs() {
			k.node(a)
			if v, ok := k.valueOf(a); ok && v.Type == datum.Bool && !v.Null && v.Bool() == or {
				n.Node = castOf(v).Node
				return
			}
		}
	}
}

// ofNull takes out what CASE of null compares with, and all its results but the last one: null
// is equal to nothing.
func (k *folding) ofNull(c *pg.CaseExpr) bool {
	if c.GetArg() == nil {
		return false
	}
	k.node(c.GetArg())
	if !k.knownNull(c.GetArg()) {
		return false
	}
	for _, w := range c.GetArgs() {
		when := w.GetCaseWhen()
		k.node(when.GetExpr())
		k.neutral(when.GetResult())
		if when.GetExpr().GetAConst() == nil && removable(when.GetExpr()) {
			when.Expr = castOf(datum.MakeNull(datum.Unknown)).GetTypeCast().GetArg()
		}
	}
	return true
}

// rows puts the value of a comparison of rows of constants in its place, which is told from
// their first fields.
func (k *folding) rows(n *pg.Node) {
	x := n.GetAExpr()
	op := operatorName(x)
	left := x.GetLexpr().GetRowExpr().GetArgs()
	others := []*pg.Node{x.GetRexpr()}
	if x.GetKind() == pg.A_Expr_Kind_AEXPR_IN {
		others = x.GetRexpr().GetList().GetItems()
	}
	kind := pg.A_Expr_Kind_AEXPR_OP
	switch x.GetKind() {
	case pg.A_Expr_Kind_AEXPR_IN, pg.A_Expr_Kind_AEXPR_OP:
	case pg.A_Expr_Kind_AEXPR_DISTINCT:
		op, kind = "<>", x.GetKind()
	case pg.A_Expr_Kind_AEXPR_NOT_DISTINCT:
		op, kind = "=", x.GetKind()
	default:
		return
	}
	if op != "=" && op != "<>" || len(left) == 0 {
		return
	}
	within, around := pg.BoolExprType_AND_EXPR, pg.BoolExprType_OR_EXPR
	if op == "<>" {
		within, around = around, within
	}
	fieldOp := operatorName(x)
	var list []*pg.Node
	for _, o := range others {
		right := o.GetRowExpr().GetArgs()
		if len(right) != len(left) {
			return
		}
		var fields []*pg.Node
		for i := range left {
			fields = append(fields, pg.MakeAExprNode(kind, []*pg.Node{stringNode(fieldOp)}, proto.CloneOf(left[i]), proto.CloneOf(right[i]), -1))
		}
		list = append(list, boolOf(within, fields))
	}
	tree := boolOf(around, list)
	was := proto.Size(tree)
	if k.node(tree); k.only || proto.Size(tree) < was {
		n.Node = tree.Node
	}
}

func boolOf(kind pg.BoolExprType, l []*pg.Node) *pg.Node {
	if len(l) == 1 {
		return l[0]
	}
	return pg.MakeBoolExprNode(kind, l, -1)
}

// holds is whether the condition of a WHEN, or what CASE compares with it, is a constant, and
// which.
func (k *folding) holds(of, condition *pg.Node) (datum.Datum, bool) {
	if of != nil {
		if v, ok := k.valueOf(condition); ok && v.Null {
			return datum.MakeNull(datum.Bool), true
		}
		condition = pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{stringNode("=")}, of, condition, -1)
	}
	return k.valueOf(condition)
}

// valueOf is the value of a constant that PostgreSQL knows when it plans the statement.
func (k *folding) valueOf(n *pg.Node) (datum.Datum, bool) {
	if c := n.GetAConst(); c != nil {
		e, err := k.compiler.constant(c)
		if err != nil {
			return datum.Datum{}, false
		}
		v, err := e.Eval(&Env{})
		return v, err == nil
	}
	if !k.constant(n) {
		return datum.Datum{}, false
	}
	v, late, ok := k.computed(n)
	return v, ok && !late && !k.holdsLate(n)
}

// neutral puts a null of its type in the place of what is never reached.
func (k *folding) neutral(n *pg.Node) {
	if n == nil {
		return
	}
	k.dead[n] = true
	emptied(n)
	if !worth(n) && n.GetTypeCast() == nil || !k.constant(n) {
		return
	}
	if k.unreadable(n) { // which PostgreSQL tells when it parses the statement
		return
	}
	if c := n.GetTypeCast(); c != nil {
		c.Arg = &pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{Isnull: true, Location: -1}}}
		return
	}
	if t, ok := k.typeOf(n); ok && !limited(n) {
		n.Node = castOf(datum.MakeNull(t)).Node
	}
}

// unreadable reports whether there is a literal in n that is none of its type.
func (k *folding) unreadable(n *pg.Node) bool {
	found := false
	syntax.EachMessage(n.ProtoReflect(), func(m protoreflect.Message) bool {
		if c, ok := m.Interface().(*pg.TypeCast); ok && c.GetArg().GetAConst().GetSval() != nil {
			_, err := k.compiler.cast(c)
			wrong := (*datum.Error)(nil)
			found = found || errors.As(err, &wrong)
		}
		return !found
	})
	return found
}

// typeOf is the type of an expression of constants, which may fail.
func (k *folding) typeOf(n *pg.Node) (datum.Type, bool) {
	was := k.compiler.fails
	k.compiler.fails = nil
	defer func() { k.compiler.fails = was }()
	e, err := k.compiler.expr(n)
	switch x := n.GetNode().(type) {
	case *pg.Node_TypeCast:
		if err != nil {
			e, err = k.compiler.cast(&pg.TypeCast{Arg: &pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{Isnull: true}}}, TypeName: x.TypeCast.GetTypeName()})
		}
	case *pg.Node_AExpr:
		if err != nil && x.AExpr.GetKind() == pg.A_Expr_Kind_AEXPR_OP {
			e, err = k.compiler.operator(&pg.A_Expr{Kind: x.AExpr.GetKind(), Name: x.AExpr.GetName(), Lexpr: k.nullOf(x.AExpr.GetLexpr()), Rexpr: k.nullOf(x.AExpr.GetRexpr())})
		}
	case *pg.Node_FuncCall:
		if err != nil {
			f := &pg.FuncCall{Funcname: x.FuncCall.GetFuncname()}
			for _, a := range x.FuncCall.GetArgs() {
				f.Args = append(f.Args, k.nullOf(a))
			}
			e, err = k.compiler.function(f)
		}
	}
	if err != nil || e.Type() == datum.Unknown || !e.Type().Storable() {
		return datum.Unknown, false
	}
	return e.Type(), true
}

// nullOf is a null of the type of an operand, which is none if that is a literal.
func (k *folding) nullOf(n *pg.Node) *pg.Node {
	if n == nil {
		return nil
	}
	if t, ok := k.typeOf(n); ok {
		return castOf(datum.MakeNull(t))
	}
	return &pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{Isnull: true}}}
}
