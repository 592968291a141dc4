package rewrite

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// maxChain bounds how many comparisons are chained: DuckDB nests each under the next.
const maxChain = 64

// rowsLeast is what comparisons of rows may copy in any case, in bytes of the tree,
// and rowsFactor how many times the statement's own size beside it. Nested in each
// other they double at each level.
const (
	rowsLeast  = 1 << 20
	rowsFactor = 4
)

// expandRows makes comparisons of rows, which to DuckDB are structs that equal each
// other where both have a NULL, comparisons of their fields, which are unknown there.
func expandRows(tree *pg.SelectStmt) error {
	most := rowsLeast + rowsFactor*proto.Size(tree)
	x := rowExpander{left: most, filter: map[*pg.SubLink]bool{}}
	x.noteFilters(tree.ProtoReflect())
	x.expand(tree.ProtoReflect())
	if err := x.failure(); err != nil || x.left == most {
		return err
	}
	return checkDepth(tree) // in order, each field is below the one before
}

// expandIn is expandRows of an expression.
func expandIn(n *pg.Node) error {
	most := rowsLeast + rowsFactor*proto.Size(n)
	x := rowExpander{left: most}
	x.expand(pg.MakeListNode([]*pg.Node{n}).ProtoReflect())
	if err := x.failure(); err != nil || x.left == most {
		return err
	}
	return deepAt(n.ProtoReflect())
}

// failure is why comparisons could not be expanded.
func (x *rowExpander) failure() error {
	switch {
	case x.subquery:
		err := unsupported(-1, "a comparison of a row with that of a subquery")
		err.Hint = "Use (a, b) IN (SELECT ...)."
		return err
	case x.uneven:
		return errorf("42601", -1, "unequal number of entries in row expressions")
	case x.left < 0:
		return errorf("54001", -1, "the comparisons of rows in this statement are too complex")
	}
	return nil
}

type rowExpander struct {
	left     int  // bytes that may be copied
	uneven   bool // rows of different lengths are compared
	subquery bool // a row is compared with what a subquery gives
	// filter are the subqueries whose answer is as good false as unknown.
	filter map[*pg.SubLink]bool
}

func (x *rowExpander) expand(m protoreflect.Message) {
	visit(m, func(n *pg.Node) {
		if x.left < 0 {
			return
		}
		if t := n.GetNullTest(); len(t.GetArg().GetRowExpr().GetArgs()) > 0 && !hasStar(t.Arg) {
			n.Node = rowNull(t).Node
			return
		}
		if l := n.GetSubLink(); l.GetTestexpr().GetRowExpr() != nil && x.filter != nil {
			x.any(n, l)
			return
		}
		e := n.GetAExpr()
		left := e.GetLexpr().GetRowExpr().GetArgs()
		if len(left) == 0 || hasStar(e.Lexpr) || hasStar(e.Rexpr) {
			return
		}
		op := lastName(e.GetName())
		switch e.GetKind() {
		case pg.A_Expr_Kind_AEXPR_OP:
			if l := e.GetRexpr().GetSubLink(); l.GetSubLinkType() == pg.SubLinkType_EXPR_SUBLINK && l != nil && compares(op) {
				x.subquery = x.subquery || !x.one(n, op, left, l)
				return
			}
			right := e.GetRexpr().GetRowExpr()
			x.uneven = x.uneven || right != nil && len(right.Args) != len(left)
			if c := x.compare(op, left, e.GetRexpr().GetRowExpr().GetArgs()); c != nil {
				n.Node = c.Node
			}
		case pg.A_Expr_Kind_AEXPR_IN:
			if c := x.in(left, e.GetRexpr().GetList().GetItems(), op == "<>"); c != nil {
				n.Node = c.Node
			}
		case pg.A_Expr_Kind_AEXPR_BETWEEN, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN, pg.A_Expr_Kind_AEXPR_BETWEEN_SYM, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM:
			if c := x.between(e, left); c != nil {
				n.Node = c.Node
			}
		case pg.A_Expr_Kind_AEXPR_DISTINCT, pg.A_Expr_Kind_AEXPR_NOT_DISTINCT:
			right := e.GetRexpr().GetRowExpr().GetArgs()
			if x.uneven = x.uneven || len(right) > 0 && len(right) != len(left); len(right) != len(left) {
				return
			}
			kind, fields := pg.BoolExprType_OR_EXPR, make([]*pg.Node, len(left))
			if e.GetKind() == pg.A_Expr_Kind_AEXPR_NOT_DISTINCT {
				kind = pg.BoolExprType_AND_EXPR
			}
			for i := range fields {
				fields[i] = pg.MakeAExprNode(e.GetKind(), []*pg.Node{str("=")}, left[i], right[i], -1)
			}
			n.Node = chain(kind, fields).Node
		default:
		}
	})
}

// hasStar reports whether a row, or one of a list of them, has t.* in it: it is compared when
// the columns of t are known.
func hasStar(n *pg.Node) bool {
	for _, row := range append([]*pg.Node{n}, n.GetList().GetItems()...) {
		if slices.ContainsFunc(row.GetRowExpr().GetArgs(), func(a *pg.Node) bool {
			_, star := fieldNames(&pg.ColumnRef{Fields: a.GetColumnRef().GetFields()})
			return star
		}) {
			return true
		}
	}
	return false
}

// rowNull is (a, b) IS [NOT] NULL: of all fields.
func rowNull(t *pg.NullTest) *pg.Node {
	var all []*pg.Node
	for _, f := range t.GetArg().GetRowExpr().GetArgs() {
		all = append(all, &pg.Node{Node: &pg.Node_NullTest{NullTest: &pg.NullTest{Arg: f, Nulltesttype: t.GetNulltesttype(), Location: -1}}})
	}
	return chain(pg.BoolExprType_AND_EXPR, all)
}

// in is (a, b) IN ((1, 2), ...); nil if an item is no row of as many fields.
func (x *rowExpander) in(left, items []*pg.Node, negated bool) *pg.Node {
	var any []*pg.Node
	for _, item := range items {
		c := x.compare("=", left, item.GetRowExpr().GetArgs())
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

// between is (a, b) BETWEEN (1, 2) AND (3, 4); nil if these are no rows of as many fields.
func (x *rowExpander) between(e *pg.A_Expr, left []*pg.Node) *pg.Node {
	bounds := e.Rexpr.GetList().GetItems()
	if len(bounds) != 2 || hasStar(e.Rexpr) {
		return nil
	}
	in := func(low, high *pg.Node) *pg.Node {
		from, to := x.compare(">=", left, low.GetRowExpr().GetArgs()), x.compare("<=", left, high.GetRowExpr().GetArgs())
		if from == nil || to == nil {
			return nil
		}
		return boolExpr(pg.BoolExprType_AND_EXPR, from, to)
	}
	out := in(bounds[0], bounds[1])
	if out == nil {
		return nil
	}
	if e.Kind == pg.A_Expr_Kind_AEXPR_BETWEEN_SYM || e.Kind == pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM {
		other := in(bounds[1], bounds[0])
		if other == nil {
			return nil
		}
		out = boolExpr(pg.BoolExprType_OR_EXPR, out, other)
	}
	if e.Kind == pg.A_Expr_Kind_AEXPR_NOT_BETWEEN || e.Kind == pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM {
		out = not(out)
	}
	return out
}

// compare compares two rows field by field; nil if they are not of the same length,
// the operator is none that compares, or too much would be copied.
func (x *rowExpander) compare(op string, left, right []*pg.Node) *pg.Node {
	if len(left) == 0 || len(left) != len(right) {
		return nil
	}
	field := func(op string, i int) *pg.Node {
		return pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str(op)}, clone(left[i]), clone(right[i]), -1)
	}
	for i := range left {
		x.left -= 2 * (proto.Size(left[i]) + proto.Size(right[i])) // twice where order matters
	}
	if x.left < 0 {
		return nil
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
