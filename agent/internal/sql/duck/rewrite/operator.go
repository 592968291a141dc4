package rewrite

import (
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// operators that become functions of two arguments.
var operatorFunctions = map[string]string{
	"/": "nd_div", "%": "nd_mod", "->": "json_extract", "->>": "json_extract_string",
	"@>": "json_contains", "&&": "list_has_any", "?": "nd_json_has", "?|": "nd_json_has_any", "?&": "nd_json_has_all",
	"#": "xor",
}

// operator rewrites an operator whose operands are done.
func (r *rewriter) operator(n *pg.Node, e *pg.A_Expr) (*pg.Node, error) {
	e.Name = bare(e.Name)
	op := lastName(e.Name)
	switch e.Kind {
	case pg.A_Expr_Kind_AEXPR_OP:
		if e.Lexpr == nil {
			return prefixOperator(n, op, e)
		}
		return binaryOperator(n, op, e)
	case pg.A_Expr_Kind_AEXPR_LIKE, pg.A_Expr_Kind_AEXPR_ILIKE:
		return likeOperator(n, op, e), nil
	case pg.A_Expr_Kind_AEXPR_BETWEEN_SYM, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM:
		return r.symmetric(e)
	case pg.A_Expr_Kind_AEXPR_OP_ANY, pg.A_Expr_Kind_AEXPR_OP_ALL:
		return r.quantified(n, op, e)
	default:
	}
	return n, nil
}

func prefixOperator(n *pg.Node, op string, e *pg.A_Expr) (*pg.Node, error) {
	switch op {
	case "-", "+", "~":
		return n, nil
	case "|/":
		return call("sqrt", e.Rexpr), nil
	case "||/":
		return call("cbrt", e.Rexpr), nil
	case "@":
		return call("abs", e.Rexpr), nil
	}
	return nil, errorf("42883", e.Location, "operator does not exist: %s", op)
}

func binaryOperator(n *pg.Node, op string, e *pg.A_Expr) (*pg.Node, error) {
	switch op {
	case "=", "<>", "!=", "<", "<=", ">", ">=", "+", "-", "*", "||", "&", "|", "<<", ">>":
		return n, nil
	case "~~", "~~*", "!~~", "!~~*":
		kind := pg.A_Expr_Kind_AEXPR_LIKE
		if strings.HasSuffix(op, "*") {
			kind = pg.A_Expr_Kind_AEXPR_ILIKE
		}
		e.Kind, e.Name = kind, []*pg.Node{str(op)}
		return likeOperator(n, op, e), nil
	case "<@":
		return call("json_contains", e.Rexpr, e.Lexpr), nil
	case "#>", "#>>":
		return jsonPath(op, e)
	}
	if f, ok := operatorFunctions[op]; ok {
		return call(f, e.Lexpr, e.Rexpr), nil
	}
	return nil, errorf("42883", e.Location, "operator does not exist: %s", op)
}

// jsonPath rewrites j #> '{a,0,b}': a chain of steps, since DuckDB's paths would not
// take every key.
func jsonPath(op string, e *pg.A_Expr) (*pg.Node, error) {
	keys, ok := textArray(e.Rexpr)
	if !ok {
		return nil, unsupported(e.Location, "the operator %s with a path that is not a constant", op)
	}
	n := e.Lexpr
	for i, k := range keys {
		f := "json_extract"
		if op == "#>>" && i == len(keys)-1 {
			f = "json_extract_string"
		}
		if v, err := strconv.Atoi(k); err == nil {
			n = call(f, n, integer(int64(v)))
		} else {
			n = call(f, n, text(k))
		}
	}
	return n, nil
}

// textArray returns the elements of '{a,b}' or ARRAY['a','b'].
func textArray(n *pg.Node) ([]string, bool) {
	if t := n.GetTypeCast(); t != nil {
		n = t.Arg
	}
	var out []string
	if s, ok := literal(n); ok {
		d, err := datum.ParseText(datum.Text|datum.Array, s, nil)
		if err != nil {
			return nil, false
		}
		for _, v := range d.A.Values {
			out = append(out, v.S)
		}
		return out, true
	}
	a := n.GetAArrayExpr()
	if a == nil {
		return nil, false
	}
	for _, x := range a.Elements {
		if t := x.GetTypeCast(); t != nil {
			x = t.Arg
		}
		s, ok := literal(x)
		if !ok {
			return nil, false
		}
		out = append(out, s)
	}
	return out, true
}

// likeOperator gives LIKE its escape character, \ unless the statement names one.
func likeOperator(n *pg.Node, op string, e *pg.A_Expr) *pg.Node {
	escape := text(`\`)
	pattern := e.Rexpr
	if f := pattern.GetFuncCall(); f != nil && lastName(f.Funcname) == "like_escape" && len(f.Args) == 2 {
		pattern, escape = f.Args[0], f.Args[1]
	} else if s, ok := literal(pattern); ok && !strings.Contains(s, `\`) {
		return n
	}
	name := "like_escape"
	if e.Kind == pg.A_Expr_Kind_AEXPR_ILIKE {
		name = "ilike_escape"
	}
	out := call(name, e.Lexpr, pattern, escape)
	if strings.HasPrefix(op, "!") {
		return not(out)
	}
	return out
}

// patternOperator finds what ~ and its kin become, and SIMILAR TO: functions of package
// builtin.
func (r *rewriter) patternOperator(e *pg.A_Expr) func(*pg.Node) (*pg.Node, error) {
	op := lastName(e.Name)
	if strings.Contains(op, "~~") {
		return r.likeElsewhere(e, op)
	}
	function, option := builtin.MatchesRegex, ""
	switch {
	case e.Kind == pg.A_Expr_Kind_AEXPR_SIMILAR:
		function, option = builtin.MatchesSimilar, `\`
	case e.Kind != pg.A_Expr_Kind_AEXPR_OP || e.Lexpr == nil:
		return nil
	case op == "~*" || op == "!~*":
		option = "i"
	case op != "~" && op != "!~":
		return nil
	}
	left, right := r.typeOf(e.Lexpr), r.typeOf(e.Rexpr)
	for _, t := range []datum.Type{left, right} {
		if t != datum.Unknown && !t.IsString() {
			return func(*pg.Node) (*pg.Node, error) {
				return nil, errorf("42883", e.Location, "operator does not exist: %s %s %s", left.SQLName(), op, right.SQLName())
			}
		}
	}
	signature := text(builtin.Resolve(function, []datum.Type{datum.Text, datum.Text, datum.Text}).Signature(r.zone()))
	pad := r.padded(e.Lexpr)
	return func(n *pg.Node) (*pg.Node, error) {
		e := n.GetAExpr()
		subject, pattern, options := e.Lexpr, e.Rexpr, text(option)
		if pad != nil {
			subject = pad(subject)
		}
		if f := pattern.GetFuncCall(); e.Kind == pg.A_Expr_Kind_AEXPR_SIMILAR && f != nil {
			if pattern = f.Args[0]; len(f.Args) > 1 {
				options = cast(f.Args[1], "VARCHAR")
			}
		}
		out := cast(call("nd_call_3", signature, cast(subject, "VARCHAR"), cast(pattern, "VARCHAR"), options), "BOOLEAN")
		if strings.HasPrefix(op, "!") {
			return not(out), nil
		}
		return out, nil
	}
}

// symmetric is BETWEEN with bounds of either order, of which none may be null.
func (r *rewriter) symmetric(e *pg.A_Expr) (*pg.Node, error) {
	if r.nesting++; r.nesting > maxNesting {
		return nil, tooNested("BETWEEN SYMMETRIC")
	}
	defer func() { r.nesting-- }()
	l := e.Rexpr.GetList().Items
	between := func(x, a, b *pg.Node) *pg.Node {
		return pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_BETWEEN, []*pg.Node{str("BETWEEN")}, x, pg.MakeListNode([]*pg.Node{a, b}), -1)
	}
	out := boolExpr(pg.BoolExprType_OR_EXPR, between(r.again(e.Lexpr), r.again(l[1]), r.again(l[0])), between(e.Lexpr, l[0], l[1]))
	if e.Kind == pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM {
		return not(out), nil
	}
	return out, nil
}

// contains is x = ANY (array) without the subquery that DuckDB makes of it, which it has
// not in the condition of an outer join.
func contains(array, x *pg.Node) *pg.Node {
	when := func(condition, result *pg.Node) *pg.Node {
		return &pg.Node{Node: &pg.Node_CaseWhen{CaseWhen: &pg.CaseWhen{Expr: condition, Result: result, Location: -1}}}
	}
	// As many elements that are not null, nor compared with null, as there are.
	known := pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str("=")},
		call("list_aggregate", clone(array), text("count")), call("len", clone(array)), -1)
	isNull := &pg.Node{Node: &pg.Node_NullTest{NullTest: &pg.NullTest{Arg: clone(x), Nulltesttype: pg.NullTestType_IS_NULL, Location: -1}}}
	empty := pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str("=")}, call("len", clone(array)), integer(0), -1)
	return &pg.Node{Node: &pg.Node_CaseExpr{CaseExpr: &pg.CaseExpr{Args: []*pg.Node{
		when(call("list_contains", array, x), boolean(true)), when(empty, boolean(false)),
		when(isNull, cast(null(), "BOOLEAN")), when(known, boolean(false)),
	}, Defresult: cast(null(), "BOOLEAN"), Location: -1}}}
}

// ofColumn reports whether n is a column, or a cast of one.
func ofColumn(n *pg.Node) bool {
	for n.GetTypeCast() != nil {
		n = n.GetTypeCast().GetArg()
	}
	return n.GetColumnRef() != nil
}

// searchable reports whether DuckDB finds a value among elements as PostgreSQL's = does.
func searchable(value, element datum.Type) bool {
	switch element {
	case datum.OID, datum.UUID, datum.Date, datum.Bool, datum.Timestamp, datum.Timestamptz:
		return value == element
	default:
		return value.IsInt() && element.IsInt() || value.IsString() && element.IsString() && value != datum.Bpchar && element != datum.Bpchar
	}
}

// maxArrayExpr bounds, in bytes of the tree, an array that is named twice.
const maxArrayExpr = 1 << 16

// again is a copy of what is rewritten; its parameters are parameters, too.
func (r *rewriter) again(n *pg.Node) *pg.Node {
	out := clone(n)
	texts := map[int32]bool{}
	visit(pg.MakeListNode([]*pg.Node{n}).ProtoReflect(), func(n *pg.Node) {
		if p := n.GetParamRef(); p != nil && r.textual[n] {
			texts[p.Number] = true
		}
	})
	visit(pg.MakeListNode([]*pg.Node{out}).ProtoReflect(), func(n *pg.Node) {
		if p := n.GetParamRef(); p != nil {
			r.textual[n] = texts[p.Number]
			r.paramRefs = append(r.paramRefs, n)
			if p.Number == 0 {
				r.nowRefs = append(r.nowRefs, p)
			}
		}
	})
	return out
}

// quantified handles x op ANY (array).
func (r *rewriter) quantified(n *pg.Node, op string, e *pg.A_Expr) (*pg.Node, error) {
	if ofColumn(e.Lexpr) && ofColumn(e.Rexpr) && searchable(r.typeOf(e.Lexpr), r.typeOf(e.Rexpr).Elem()) {
		switch {
		case op == "=" && e.Kind == pg.A_Expr_Kind_AEXPR_OP_ANY:
			return contains(e.Rexpr, e.Lexpr), nil
		case (op == "<>" || op == "!=") && e.Kind == pg.A_Expr_Kind_AEXPR_OP_ALL:
			return not(contains(e.Rexpr, e.Lexpr)), nil
		}
	}
	switch op {
	case "=", "<>", "!=", "<", "<=", ">", ">=":
		if e.Rexpr.GetAArrayExpr() != nil || e.Rexpr.GetTypeCast().GetArg().GetAArrayExpr() != nil || e.Rexpr.GetSubLink() != nil {
			return n, nil
		}
		if proto.Size(e.Rexpr) > maxArrayExpr {
			return nil, tooNested("ANY or ALL")
		}
		// A null array is no empty one, as it is for DuckDB.
		isNull := &pg.Node{Node: &pg.Node_NullTest{NullTest: &pg.NullTest{Arg: r.again(e.Rexpr), Nulltesttype: pg.NullTestType_IS_NULL, Location: -1}}}
		when := &pg.Node{Node: &pg.Node_CaseWhen{CaseWhen: &pg.CaseWhen{Expr: isNull, Result: cast(null(), "BOOLEAN"), Location: -1}}}
		return &pg.Node{Node: &pg.Node_CaseExpr{CaseExpr: &pg.CaseExpr{Args: []*pg.Node{when}, Defresult: n, Location: -1}}}, nil
	}
	return nil, unsupported(e.Location, "ANY or ALL with the operator %s", op)
}
