package rewrite

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// paramIs says that n, if it is a parameter without a type, has type t.
func (r *rewriter) paramIs(n *pg.Node, t datum.Type) {
	p := n.GetParamRef()
	if p == nil || t == datum.Unknown {
		return
	}
	if t == datum.Varchar || t == datum.Name { // their operators are text's
		t = datum.Text
	}
	r.setParam(p, t)
}

// setParam gives a parameter its type unless it has one.
func (r *rewriter) setParam(p *pg.ParamRef, t datum.Type) {
	r.growParams(int(p.Number))
	if i := p.Number - 1; i >= 0 && int(i) < len(r.params) && r.params[i] == datum.Unknown {
		r.params[i] = t
	}
}

// maxParams is PostgreSQL's limit.
const maxParams = 65535

func (r *rewriter) growParams(n int) {
	for len(r.params) < n && n <= maxParams {
		r.params = append(r.params, datum.Unknown)
	}
}

// infer takes the types of parameters from what they meet in n.
func (r *rewriter) infer(n *pg.Node) {
	switch x := n.Node.(type) {
	case *pg.Node_AExpr:
		r.inferExpr(x.AExpr)
	case *pg.Node_TypeCast:
		if p := x.TypeCast.Arg.GetParamRef(); p != nil {
			t, _ := castType(x.TypeCast.TypeName)
			r.setParam(p, t)
		}
		if elements := x.TypeCast.Arg.GetAArrayExpr().GetElements(); len(elements) > 0 {
			if t, _ := castType(x.TypeCast.TypeName); t.IsArray() {
				for _, e := range elements {
					r.paramIs(e, t.Elem())
				}
			}
		}
	case *pg.Node_AArrayExpr:
		r.inferAlike(x.AArrayExpr.Elements)
	case *pg.Node_CoalesceExpr:
		r.inferAlike(x.CoalesceExpr.Args)
	case *pg.Node_MinMaxExpr:
		r.inferAlike(x.MinMaxExpr.Args)
	case *pg.Node_CaseExpr:
		r.inferAlike(caseResults(x.CaseExpr))
	case *pg.Node_FuncCall:
		f := x.FuncCall
		switch lastName(f.Funcname) {
		case "generate_series", "mod", "gcd", "lcm":
			r.inferAlike(f.Args)
		}
		for i, t := range argTypes[lastName(f.Funcname)] {
			if i < len(f.Args) {
				r.paramIs(f.Args[i], t)
			}
		}
	}
}

func caseResults(c *pg.CaseExpr) []*pg.Node {
	var out []*pg.Node
	if c.Defresult != nil { // whose type counts first
		out = append(out, c.Defresult)
	}
	for _, w := range c.Args {
		out = append(out, w.GetCaseWhen().GetResult())
	}
	return out
}

func (r *rewriter) inferAlike(l []*pg.Node) {
	t := r.common(l)
	for _, n := range l {
		r.paramIs(n, t)
	}
}

func (r *rewriter) inferExpr(e *pg.A_Expr) {
	op := lastName(e.Name)
	switch e.Kind {
	case pg.A_Expr_Kind_AEXPR_OP:
		r.inferOperator(op, e.Lexpr, e.Rexpr)
	case pg.A_Expr_Kind_AEXPR_DISTINCT, pg.A_Expr_Kind_AEXPR_NOT_DISTINCT, pg.A_Expr_Kind_AEXPR_NULLIF:
		r.inferAlike([]*pg.Node{e.Lexpr, e.Rexpr})
	case pg.A_Expr_Kind_AEXPR_OP_ANY, pg.A_Expr_Kind_AEXPR_OP_ALL:
		if t := r.typeOf(e.Lexpr); t != datum.Unknown && !t.IsArray() {
			r.paramIs(e.Rexpr, t|datum.Array)
		}
	case pg.A_Expr_Kind_AEXPR_LIKE, pg.A_Expr_Kind_AEXPR_ILIKE, pg.A_Expr_Kind_AEXPR_SIMILAR:
		r.paramIs(e.Lexpr, datum.Text)
		r.paramIs(e.Rexpr, datum.Text)
	case pg.A_Expr_Kind_AEXPR_IN, pg.A_Expr_Kind_AEXPR_BETWEEN, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN,
		pg.A_Expr_Kind_AEXPR_BETWEEN_SYM, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM:
		r.inferAlike(append([]*pg.Node{e.Lexpr}, e.Rexpr.GetList().GetItems()...))
	default:
	}
}

func (r *rewriter) inferOperator(op string, left, right *pg.Node) {
	if left == nil {
		return
	}
	l, rt := r.typeOf(left), r.typeOf(right)
	switch op {
	case "=", "<>", "!=", "<", "<=", ">", ">=":
		r.paramIs(left, rt)
		r.paramIs(right, l)
		a, b := left.GetRowExpr().GetArgs(), right.GetRowExpr().GetArgs()
		for i := range min(len(a), len(b)) {
			r.inferOperator(op, a[i], b[i])
		}
	case "+", "-", "*", "/", "%", "^":
		if l.IsNumber() {
			r.paramIs(right, l)
		}
		if rt.IsNumber() {
			r.paramIs(left, rt)
		}
	case "||":
		if !l.IsArray() && l != datum.JSONB {
			r.paramIs(right, datum.Text)
		}
		if !rt.IsArray() && rt != datum.JSONB {
			r.paramIs(left, datum.Text)
		}
	case "~", "~*", "!~", "!~*", "->", "->>", "?":
		r.paramIs(right, datum.Text)
	case "@>", "<@":
		r.paramIs(right, l)
		r.paramIs(left, rt)
	case "#>", "#>>", "?|", "?&":
		r.paramIs(right, datum.Text|datum.Array)
	}
}

// common is the type that a list of alternatives has.
func (r *rewriter) common(l []*pg.Node) datum.Type {
	t := datum.Unknown
	for _, n := range l {
		x := r.typeOf(n)
		switch {
		case x == datum.Unknown:
			_, isText := literal(n)
			if !isText && !n.GetAConst().GetIsnull() && n.GetParamRef() == nil {
				return datum.Unknown
			}
		case t == datum.Unknown || t == x:
			t = x
		case t.IsNumber() && x.IsNumber():
			if t == datum.Float4 && x != datum.Float8 || x == datum.Float4 && t != datum.Float8 {
				t = datum.Float4
			} else {
				t = wider(t, x)
			}
		case t.IsString() && x.IsString(): // each becomes the first by itself
			if t == datum.Char {
				t = x
			}
		case mixed(t, x) != datum.Unknown:
			t = mixed(t, x)
		case t.IsDateTime() && x.IsDateTime():
			t = laterTime(t, x)
		default:
			return datum.Unknown
		}
	}
	return t
}

// laterTime is the type that a date or a timestamp and another become by themselves.
func laterTime(a, b datum.Type) datum.Type {
	switch {
	case a == datum.Timestamptz || b == datum.Timestamptz:
		return datum.Timestamptz
	case a == datum.Timestamp || b == datum.Timestamp:
		return datum.Timestamp
	}
	return datum.Date
}

// oneOf is the type of one of a list of alternatives: literals alone are texts.
func (r *rewriter) oneOf(l []*pg.Node) datum.Type {
	if untyped(&pg.A_ArrayExpr{Elements: l}) {
		return datum.Text
	}
	return r.common(l)
}

// untyped reports whether nothing but literals and nulls are in an array: they are texts.
func untyped(a *pg.A_ArrayExpr) bool {
	return len(a.Elements) > 0 && !slices.ContainsFunc(a.Elements, func(n *pg.Node) bool {
		_, isText := literal(n)
		return !isText && !n.GetAConst().GetIsnull()
	})
}

// wider is the type of a number operator's result.
func wider(a, b datum.Type) datum.Type {
	switch {
	case a == datum.Float8 || b == datum.Float8, a.IsFloat() != b.IsFloat():
		return datum.Float8
	default: // the types are declared in this order
		return max(a, b)
	}
}

// told is what Input.Types says of an expression.
func (r *rewriter) told(n *pg.Node) (t datum.Type, ok bool) {
	if r.in.Types == nil || r.inView > 0 || r.inlined > 0 { // other texts have places of their own
		return datum.Unknown, false
	}
	switch x := n.GetNode().(type) {
	case *pg.Node_AExpr:
		t, ok = r.in.Types[x.AExpr.Location]
	case *pg.Node_FuncCall:
		t, ok = r.in.Types[x.FuncCall.Location]
	}
	return t, ok
}

// typeOf is the type of an expression as PostgreSQL sees it, datum.Unknown if this
// does not need to know.
func (r *rewriter) typeOf(n *pg.Node) datum.Type {
	if t, ok := r.told(n); ok {
		return t
	}
	switch x := n.GetNode().(type) {
	case *pg.Node_ColumnRef:
		if c, ok := r.scope.find(x.ColumnRef); ok {
			return c.typ
		}
	case *pg.Node_AConst:
		return constType(x.AConst)
	case *pg.Node_ParamRef:
		if i := int(x.ParamRef.Number) - 1; i >= 0 && i < len(r.params) {
			return r.params[i]
		}
	case *pg.Node_TypeCast:
		t, _ := castType(x.TypeCast.TypeName)
		return t
	case *pg.Node_BoolExpr, *pg.Node_NullTest, *pg.Node_BooleanTest:
		return datum.Bool
	case *pg.Node_SubLink:
		return r.subqueryType(x.SubLink)
	case *pg.Node_AIndirection:
		if r.typeOf(x.AIndirection.Arg) == datum.JSONB && !slices.ContainsFunc(x.AIndirection.Indirection, func(n *pg.Node) bool { return n.GetAIndices() == nil || n.GetAIndices().IsSlice }) {
			return datum.JSONB
		}
		if t := r.stepType(x.AIndirection); t != datum.Unknown {
			return t
		}
		if i := x.AIndirection.Indirection; len(i) == 1 && i[0].GetAIndices() != nil {
			if t := r.typeOf(x.AIndirection.Arg); t.IsArray() {
				if i[0].GetAIndices().IsSlice {
					return t
				}
				return t.Elem()
			}
		}
	case *pg.Node_CaseExpr:
		return r.oneOf(caseResults(x.CaseExpr))
	case *pg.Node_CoalesceExpr:
		return r.oneOf(x.CoalesceExpr.Args)
	case *pg.Node_MinMaxExpr:
		return r.oneOf(x.MinMaxExpr.Args)
	case *pg.Node_CollateClause:
		return r.typeOf(x.CollateClause.Arg)
	case *pg.Node_FuncCall:
		if t, ok := r.populating(x.FuncCall); ok {
			return t
		}
		return r.functionType(x.FuncCall)
	case *pg.Node_GroupingFunc:
		return datum.Int4
	case *pg.Node_AArrayExpr:
		if t := r.common(x.AArrayExpr.Elements); t != datum.Unknown && !t.IsArray() {
			return t | datum.Array
		}
		if untyped(x.AArrayExpr) {
			return datum.Text | datum.Array
		}
	case *pg.Node_SqlvalueFunction:
		return valueFunctionType(x.SqlvalueFunction.Op)
	case *pg.Node_AExpr:
		return r.exprType(x.AExpr)
	}
	return datum.Unknown
}

func constType(c *pg.A_Const) datum.Type {
	switch v := c.Val.(type) {
	case *pg.A_Const_Ival:
		return datum.Int4
	case *pg.A_Const_Fval:
		if _, err := datum.ParseText(datum.Int4, v.Fval.Fval, nil); err == nil && !strings.ContainsAny(v.Fval.Fval, ".eE") {
			return datum.Int4 // the least, whose digits alone are an int8
		}
		if _, err := datum.ParseText(datum.Int8, v.Fval.Fval, nil); err == nil && !strings.ContainsAny(v.Fval.Fval, ".eE") {
			return datum.Int8
		}
		return datum.Numeric
	case *pg.A_Const_Boolval:
		return datum.Bool
	case *pg.A_Const_Bsval:
		return datum.Bit
	}
	return datum.Unknown
}

func (r *rewriter) exprType(e *pg.A_Expr) datum.Type {
	switch e.Kind {
	case pg.A_Expr_Kind_AEXPR_NULLIF: // the type that = takes
		t := r.typeOf(e.Lexpr)
		if _, ok := literal(e.Lexpr); ok && t == datum.Unknown {
			t = r.typeOf(e.Rexpr)
		}
		if t == datum.Varchar {
			t = datum.Text
		}
		return comparedAs(t, r.typeOf(e.Rexpr))
	case pg.A_Expr_Kind_AEXPR_OP:
	default:
		return datum.Bool
	}
	right := r.typeOf(e.Rexpr)
	op := lastName(e.Name)
	if e.Lexpr == nil {
		if name, t := operatorFunction(e, datum.Unknown, right); name != "" {
			return t
		}
		if _, isText := literal(e.Rexpr); isText && (op == "+" || op == "@") {
			return datum.Float8 // which is preferred
		}
		if op == "-" || op == "+" || op == "@" || op == "~" {
			return right
		}
		return datum.Unknown
	}
	left := r.typeOf(e.Lexpr)
	if name, t := operatorFunction(e, left, right); name != "" {
		return t
	}
	if c, err := builtin.ResolveTime(op, left, right); c != nil && err == nil {
		return c.Result
	}
	switch op {
	case "+", "-", "*", "/", "%":
		return arithmeticType(left, right)
	case "&", "|", "#":
		return bitsType(e, left, right)
	case "||":
		_, l := literal(e.Lexpr)
		_, rt := literal(e.Rexpr)
		if t := listType(e, left, right); t != datum.Unknown {
			return t
		}
		for _, both := range [][2]datum.Type{{left, right}, {right, left}} {
			if t, other := both[0], both[1]; (t == datum.Bytea || t == datum.JSONB || t.IsArray()) && (other == t || other == datum.Unknown && (l || rt)) {
				return t
			}
		}
		if left.IsString() && right == datum.JSONB || left == datum.JSONB && right.IsString() {
			return datum.Text
		}
		if (left.IsString() || l) && !right.IsArray() && right != datum.JSONB || (right.IsString() || rt) && !left.IsArray() && left != datum.JSONB {
			return datum.Text
		}
	case "->", "#>":
		if left == datum.JSON {
			return datum.JSON
		}
		return datum.JSONB
	case "->>", "#>>":
		return datum.Text
	case "=", "<>", "!=", "<", "<=", ">", ">=", "~", "~*", "!~", "!~*", "@>", "<@", "?", "?|", "?&", "&&":
		return datum.Bool
	}
	return datum.Unknown
}

// bitsType is the type of an operator of the bits of two integers.
func bitsType(e *pg.A_Expr, left, right datum.Type) datum.Type {
	_, l := literal(e.Lexpr)
	_, rt := literal(e.Rexpr)
	switch {
	case left.IsInt() && right.IsInt():
		return wider(left, right)
	case left.IsInt() && rt:
		return left
	case right.IsInt() && l:
		return right
	}
	return datum.Unknown
}

// comparedAs is the type that the operator = takes a number of a type as, beside another.
func comparedAs(t, other datum.Type) datum.Type {
	switch {
	case t.IsInt() && other == datum.Numeric:
		return datum.Numeric
	case t.IsNumber() && other.IsNumber() && t.IsFloat() != other.IsFloat():
		return datum.Float8
	}
	return t
}

// listType is what an array becomes by || with another, with an element, or with a null.
func listType(e *pg.A_Expr, left, right datum.Type) datum.Type {
	if !left.IsArray() && !right.IsArray() {
		return datum.Unknown
	}
	switch {
	case left == datum.Unknown && e.Lexpr.GetAConst().GetIsnull():
		return right
	case right == datum.Unknown && e.Rexpr.GetAConst().GetIsnull():
		return left
	case left == datum.Unknown || right == datum.Unknown:
		return datum.Unknown
	}
	if t, ok := datum.CommonType(left.Elem(), right.Elem()); ok {
		return t | datum.Array
	}
	return datum.Unknown
}

func arithmeticType(left, right datum.Type) datum.Type {
	switch {
	case left.IsNumber() && right.IsNumber():
		return wider(left, right)
	case left == datum.Interval && right.IsNumber():
		return datum.Interval
	}
	return datum.Unknown
}

func valueFunctionType(op pg.SQLValueFunctionOp) datum.Type {
	switch op {
	case pg.SQLValueFunctionOp_SVFOP_CURRENT_DATE:
		return datum.Date
	case pg.SQLValueFunctionOp_SVFOP_CURRENT_TIMESTAMP, pg.SQLValueFunctionOp_SVFOP_CURRENT_TIMESTAMP_N:
		return datum.Timestamptz
	case pg.SQLValueFunctionOp_SVFOP_LOCALTIMESTAMP, pg.SQLValueFunctionOp_SVFOP_LOCALTIMESTAMP_N:
		return datum.Timestamp
	case pg.SQLValueFunctionOp_SVFOP_CURRENT_TIME, pg.SQLValueFunctionOp_SVFOP_CURRENT_TIME_N:
		return datum.Timetz
	case pg.SQLValueFunctionOp_SVFOP_LOCALTIME, pg.SQLValueFunctionOp_SVFOP_LOCALTIME_N:
		return datum.Time
	default:
	}
	return datum.Name
}
