package rewrite

import (
	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// maxChain bounds how many comparisons are chained: DuckDB nests each under the next.
const maxChain = 64

// expandRows makes comparisons of rows, which to DuckDB are structs that equal each
// other where both have a NULL, comparisons of their fields, which are unknown there.
func expandRows(m protoreflect.Message) {
	visit(m, func(n *pg.Node) {
		if t := n.GetNullTest(); len(t.GetArg().GetRowExpr().GetArgs()) > 0 {
			n.Node = rowNull(t).Node
			return
		}
		e := n.GetAExpr()
		left := e.GetLexpr().GetRowExpr().GetArgs()
		if len(left) == 0 {
			return
		}
		op := lastName(e.GetName())
		switch e.GetKind() {
		case pg.A_Expr_Kind_AEXPR_OP:
			if c := compareRows(op, left, e.GetRexpr().GetRowExpr().GetArgs()); c != nil {
				n.Node = c.Node
			}
		case pg.A_Expr_Kind_AEXPR_IN:
			if c := rowIn(left, e.GetRexpr().GetList().GetItems(), op == "<>"); c != nil {
				n.Node = c.Node
			}
		default:
		}
	})
}

// rowNull is (a, b) IS [NOT] NULL: of all fields.
func rowNull(t *pg.NullTest) *pg.Node {
	var all []*pg.Node
	for _, f := range t.GetArg().GetRowExpr().GetArgs() {
		all = append(all, &pg.Node{Node: &pg.Node_NullTest{NullTest: &pg.NullTest{Arg: f, Nulltesttype: t.GetNulltesttype(), Location: -1}}})
	}
	return chain(pg.BoolExprType_AND_EXPR, all)
}

// rowIn is (a, b) IN ((1, 2), ...); nil if an item is no row of as many fields.
func rowIn(left, items []*pg.Node, negated bool) *pg.Node {
	var any []*pg.Node
	for _, item := range items {
		c := compareRows("=", left, item.GetRowExpr().GetArgs())
		if c == nil {
			return nil
		}
		any = append(any, c)
	}
	in := chain(pg.BoolExprType_OR_EXPR, any)
	if !negated {
		return in
	}
	return not(in)
}

// compareRows compares two rows field by field; nil if they are not of the same
// length, or the operator is none that compares.
func compareRows(op string, left, right []*pg.Node) *pg.Node {
	if len(left) == 0 || len(left) != len(right) {
		return nil
	}
	field := func(op string, i int) *pg.Node {
		return pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str(op)}, clone(left[i]), clone(right[i]), -1)
	}
	switch op {
	case "=", "<>", "!=":
		kind := pg.BoolExprType_AND_EXPR
		if op != "=" {
			kind = pg.BoolExprType_OR_EXPR
		}
		fields := make([]*pg.Node, len(left))
		for i := range fields {
			fields[i] = field(op, i)
		}
		return chain(kind, fields)
	case "<", "<=", ">", ">=":
		last := len(left) - 1
		out := field(op, last)
		for i := last - 1; i >= 0; i-- { // a < b OR a = b AND (the rest)
			out = boolExpr(pg.BoolExprType_OR_EXPR, field(op[:1], i), boolExpr(pg.BoolExprType_AND_EXPR, field("=", i), out))
		}
		return out
	default:
		return nil
	}
}

// chain joins conditions by AND or OR, as a tree that is not deep.
func chain(kind pg.BoolExprType, conditions []*pg.Node) *pg.Node {
	for len(conditions) > maxChain {
		var groups []*pg.Node
		for len(conditions) > 0 {
			n := min(len(conditions), maxChain)
			groups = append(groups, chain(kind, conditions[:n]))
			conditions = conditions[n:]
		}
		conditions = groups
	}
	if len(conditions) == 1 {
		return conditions[0]
	}
	return boolExpr(kind, conditions...)
}

func boolExpr(kind pg.BoolExprType, args ...*pg.Node) *pg.Node {
	return &pg.Node{Node: &pg.Node_BoolExpr{BoolExpr: &pg.BoolExpr{Boolop: kind, Args: args, Location: -1}}}
}

func clone(n *pg.Node) *pg.Node { return proto.Clone(n).(*pg.Node) }
