package rewrite

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// before looks at a node while its children are still PostgreSQL's, where types can
// be told. after, if not nil, finishes the node in place of rule.
func (r *rewriter) before(n *pg.Node) (after func(*pg.Node) (*pg.Node, error), err error) {
	if err := r.conditions(n); err != nil {
		return nil, err
	}
	if after := r.ofNull(n); after != nil {
		return after, nil
	}
	switch x := n.Node.(type) {
	case *pg.Node_AExpr:
		return r.beforeExpression(n, x.AExpr)
	case *pg.Node_CaseExpr:
		if err := r.typeResults(x.CaseExpr); err != nil {
			return nil, err
		}
		r.caseOfSpans(x.CaseExpr)
		r.caseOfSingle(x.CaseExpr)
		return r.writtenAlternatives(n), nil
	case *pg.Node_AArrayExpr:
		if untyped(x.AArrayExpr) && !r.made[n] {
			for i, e := range x.AArrayExpr.Elements {
				if e.GetAConst().GetIsnull() {
					x.AArrayExpr.Elements[i] = sqlNull()
				}
			}
		}
		if !r.made[n] {
			if err := r.typeAlike(x.AArrayExpr.Elements); err != nil {
				return nil, err
			}
		}
		for _, e := range x.AArrayExpr.Elements {
			if r.typeOf(e).IsArray() { // they become one of more dimensions, which the engine has not
				return nil, unsupported(x.AArrayExpr.Location, "an array of arrays in this statement")
			}
		}
		return r.textList(n), oneDimension(x.AArrayExpr)
	case *pg.Node_AIndirection:
		return r.beforeSubscript(n, x.AIndirection)
	case *pg.Node_CoalesceExpr:
		if err := r.typeAlike(x.CoalesceExpr.Args); err != nil {
			return nil, err
		}
		return r.writtenAlternatives(n), nil
	case *pg.Node_MinMaxExpr:
		if err := r.typeAlike(x.MinMaxExpr.Args); err != nil {
			return nil, err
		}
		return r.writtenAlternatives(n), nil
	case *pg.Node_NullTest:
		return r.beforeNull(n, x.NullTest)
	case *pg.Node_FuncCall:
		return r.beforeCall(n, x.FuncCall)
	case *pg.Node_TypeCast:
		r.accepts = r.textual[n]
		return r.beforeCast(n, x.TypeCast)
	case *pg.Node_SortBy:
		return r.beforeSort(x.SortBy)
	case *pg.Node_WindowDef:
		r.partitions(x.WindowDef)
	case *pg.Node_SubLink:
		r.blanksOfSubquery(x.SubLink)
		r.timesOfSubquery(x.SubLink)
		r.singleOfSubquery(x.SubLink)
		return r.inLengths(x.SubLink), nil
	}
	return nil, nil
}

// beforeExpression is before of an operator.
func (r *rewriter) beforeExpression(n *pg.Node, e *pg.A_Expr) (after func(*pg.Node) (*pg.Node, error), err error) {
	if err := r.unordered(e); err != nil {
		return nil, err
	}
	r.blanksDoNotCount(e)
	r.singlePrecision(e)
	r.timesOfArray(e)
	if err := r.comparable(e); err != nil {
		return nil, err
	}
	if out, err := r.expanded(e); out != nil || err != nil {
		n.Node = out.GetNode()
		return nil, err
	}
	if t := r.typeOf(e.Lexpr); e.Kind == pg.A_Expr_Kind_AEXPR_NULLIF && t.IsNumber() {
		if to := comparedAs(t, r.typeOf(e.Rexpr)); to != t {
			e.Lexpr = castTo(e.Lexpr, baseName(to))
		}
	}
	if after := r.textualOperator(n, e); after != nil {
		return after, nil
	}
	if folded, err := r.timeOperator(e); folded != nil || err != nil {
		return func(*pg.Node) (*pg.Node, error) { return folded, nil }, err
	}
	if folded, err := r.foldable(e); folded != nil || err != nil {
		return func(*pg.Node) (*pg.Node, error) { return folded, nil }, err
	}
	if op := lastName(e.Name); e.Kind == pg.A_Expr_Kind_AEXPR_OP && (op == "<<" || op == ">>") && r.typeOf(e.Rexpr).IsInt() {
		if _, isText := literal(e.Lexpr); isText {
			e.Lexpr = castTo(e.Lexpr, "int4")
		}
	}
	if f := r.operatorCall(e); f != nil {
		n.Node = &pg.Node_FuncCall{FuncCall: f}
		r.accepts = r.textual[n]
		return r.beforeFunction(f)
	}
	if err := r.opaqueOperator(e); err != nil {
		return nil, err
	}
	if err := r.typeLiterals(e); err != nil {
		return nil, err
	}
	if after, err := r.spans(e); after != nil || err != nil {
		return after, err
	}
	if after, err := r.jsonOperator(e); after != nil || err != nil {
		return after, err
	}
	if after := r.jsonComparison(e); after != nil {
		return after, nil
	}
	return r.beforeOperator(e), nil
}

// arithmetic reports whether an operator is one of numbers.
func arithmetic(op string) bool {
	switch op {
	case "+", "-", "*", "/", "%":
		return true
	}
	return false
}

// compares reports whether an operator is one of an order.
func compares(op string) bool {
	switch op {
	case "=", "<>", "!=", "<", "<=", ">", ">=":
		return true
	}
	return false
}

// unordered refuses comparisons of json, which PostgreSQL has not.
func (r *rewriter) unordered(e *pg.A_Expr) error {
	op := lastName(e.Name)
	if e.Kind != pg.A_Expr_Kind_AEXPR_OP || e.Lexpr == nil || !compares(op) {
		return nil
	}
	left, right := r.typeOf(e.Lexpr), r.typeOf(e.Rexpr)
	if left == datum.JSON || right == datum.JSON {
		return errorf("42883", e.Location, "operator does not exist: %s %s %s", left.SQLName(), op, right.SQLName())
	}
	return nil
}

// typeLiterals gives string literals the type of what they are compared with, so
// that they mean what PostgreSQL reads in them, and fail as there.
func (r *rewriter) typeLiterals(e *pg.A_Expr) error {
	switch e.Kind {
	case pg.A_Expr_Kind_AEXPR_OP:
		switch lastName(e.Name) {
		case "=", "<>", "!=", "<", "<=", ">", ">=":
		case "+", "-", "*", "/", "%", "&", "|", "#":
			if e.Lexpr == nil {
				return nil
			}
			if err := r.typeLiteral(&e.Lexpr, arithmeticLiteral(lastName(e.Name), r.typeOf(e.Rexpr))); err != nil {
				return err
			}
			return r.typeLiteral(&e.Rexpr, arithmeticLiteral(lastName(e.Name), r.typeOf(e.Lexpr)))
		case "||":
			t := r.exprType(e)
			for _, n := range []**pg.Node{&e.Lexpr, &e.Rexpr} {
				if t == datum.Text && (*n).GetAConst().GetIsnull() {
					*n = sqlNull()
				}
				if _, isText := literal(*n); isText && t == datum.JSONB {
					*n = castTo(*n, "jsonb")
				}
			}
			if t != datum.Bytea && !t.IsArray() {
				return nil
			}
		case "<<", ">>":
			return r.typeLiteral(&e.Lexpr, datum.Int4)
		case "@>", "<@", "&&":
			if r.typeOf(e.Lexpr).IsArray() || r.typeOf(e.Rexpr).IsArray() {
				break
			}
			return nil
		default:
			return nil
		}
	case pg.A_Expr_Kind_AEXPR_DISTINCT, pg.A_Expr_Kind_AEXPR_NOT_DISTINCT, pg.A_Expr_Kind_AEXPR_NULLIF:
	case pg.A_Expr_Kind_AEXPR_IN, pg.A_Expr_Kind_AEXPR_BETWEEN, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN,
		pg.A_Expr_Kind_AEXPR_BETWEEN_SYM, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM:
		t := r.typeOf(e.Lexpr)
		items := e.Rexpr.GetList().GetItems()
		if _, ok := literal(e.Lexpr); ok && t == datum.Unknown {
			t = r.common(items)
			if err := r.typeLiteral(&e.Lexpr, t); err != nil {
				return err
			}
		}
		for i := range items {
			if err := r.typeLiteral(&items[i], t); err != nil {
				return err
			}
		}
		return nil
	case pg.A_Expr_Kind_AEXPR_OP_ANY, pg.A_Expr_Kind_AEXPR_OP_ALL:
		if t := r.typeOf(e.Rexpr); t.IsArray() {
			if err := r.typeLiteral(&e.Lexpr, t.Elem()); err != nil {
				return err
			}
		}
		if t := r.typeOf(e.Lexpr); t != datum.Unknown && !t.IsArray() {
			return r.typeLiteral(&e.Rexpr, t|datum.Array)
		}
		return r.typeLiteral(&e.Rexpr, datum.Text|datum.Array)
	default:
		return nil
	}
	if err := r.typeLiteral(&e.Lexpr, r.typeOf(e.Rexpr)); err != nil {
		return err
	}
	return r.typeLiteral(&e.Rexpr, r.typeOf(e.Lexpr))
}

// typeAlike gives the literals of a list of alternatives the type of the others.
func (r *rewriter) typeAlike(l []*pg.Node) error {
	t := r.common(l)
	for i := range l {
		if err := r.typeLiteral(&l[i], t); err != nil {
			return err
		}
		r.timeAs(&l[i], t)
	}
	return nil
}

// timeAs makes a date or a timestamp the other type that all alternatives have: what is none of it
// fails as a cast.
func (r *rewriter) timeAs(n **pg.Node, t datum.Type) {
	if of := r.typeOf(*n); t.IsDateTime() && of.IsDateTime() && of != t {
		*n = castTo(*n, t.String())
	}
}

func (r *rewriter) typeResults(c *pg.CaseExpr) error {
	t := r.common(caseResults(c))
	for _, w := range c.Args {
		if when := w.GetCaseWhen(); when != nil {
			if err := r.typeLiteral(&when.Result, t); err != nil {
				return err
			}
			r.timeAs(&when.Result, t)
		}
	}
	if c.Defresult != nil {
		r.timeAs(&c.Defresult, t)
	}
	return r.typeLiteral(&c.Defresult, t)
}

// arithmeticLiteral is the type of a literal beside a value of type t.
func arithmeticLiteral(op string, t datum.Type) datum.Type {
	switch {
	case t.IsNumber():
		return t
	case (t.IsDateTime() || t == datum.Time || t == datum.Timetz) && op == "+", t == datum.Interval && (op == "+" || op == "-"):
		return datum.Interval
	case (t.IsDateTime() || t == datum.Time) && op == "-":
		return t
	}
	return datum.Unknown
}

func (r *rewriter) typeLiteral(n **pg.Node, t datum.Type) error {
	s, ok := literal(*n)
	if !ok || t == datum.Unknown || t.IsString() && t != datum.Bpchar && t != datum.Char {
		return nil
	}
	typed, err := r.typedLiteral(t, s, (*n).GetAConst().Location)
	if err == nil {
		*n = typed
	}
	return err
}

// beforeOperator finds what an operator becomes where that depends on types.
func (r *rewriter) beforeOperator(e *pg.A_Expr) func(*pg.Node) (*pg.Node, error) {
	if after := r.patternOperator(e); after != nil {
		return after
	}
	switch e.Kind {
	case pg.A_Expr_Kind_AEXPR_LIKE, pg.A_Expr_Kind_AEXPR_ILIKE:
		if pad := r.padded(e.Lexpr); pad != nil {
			return func(n *pg.Node) (*pg.Node, error) {
				n.GetAExpr().Lexpr = pad(n.GetAExpr().Lexpr)
				return r.operator(n, n.GetAExpr())
			}
		}
	default:
	}
	if e.Kind != pg.A_Expr_Kind_AEXPR_OP || e.Lexpr == nil {
		return nil
	}
	left, right := r.typeOf(e.Lexpr), r.typeOf(e.Rexpr)
	name := ""
	list := left.IsArray() || right.IsArray() || e.Lexpr.GetAArrayExpr() != nil || e.Rexpr.GetAArrayExpr() != nil
	if after := r.ownOperator(lastName(e.Name), list, left, right); after != nil {
		return after
	}
	switch op := lastName(e.Name); {
	case op == "@>" && list:
		name = "nd_list_contains"
	case op == "<@" && list:
		return func(n *pg.Node) (*pg.Node, error) {
			return call("nd_list_contains", n.GetAExpr().Rexpr, n.GetAExpr().Lexpr), nil
		}
	case compares(op) && (left == datum.Interval || right == datum.Interval):
		return func(n *pg.Node) (*pg.Node, error) {
			e := n.GetAExpr()
			e.Lexpr, e.Rexpr = call("nd_span", e.Lexpr), call("nd_span", e.Rexpr)
			return r.operator(n, e)
		}
	case op == "||" && list:
		name = concatenation(e, left, right)
	case op == "||" && !list && plain(left) && plain(right):
		return func(*pg.Node) (*pg.Node, error) {
			err := errorf("42883", e.Location, "operator does not exist: %s || %s", left.SQLName(), right.SQLName())
			err.Hint = "No operator matches the given name and argument types. You might need to add explicit type casts."
			return nil, err
		}
	case op == "||" && !list && r.exprType(e) == datum.Text:
		forms := r.textsOf([]*pg.Node{e.Lexpr, e.Rexpr}, false)
		return func(n *pg.Node) (*pg.Node, error) {
			e := n.GetAExpr()
			if !left.IsString() {
				e.Lexpr = forms[0](e.Lexpr)
			}
			if !right.IsString() {
				e.Rexpr = forms[1](e.Rexpr)
			}
			return r.operator(n, e)
		}
	default:
		return r.numbersOperator(e, op, left, right)
	}
	if name == "" {
		return nil
	}
	return func(n *pg.Node) (*pg.Node, error) {
		if name == listConcat {
			return r.concatenated(n.GetAExpr().Lexpr, n.GetAExpr().Rexpr), nil
		}
		return call(name, n.GetAExpr().Lexpr, n.GetAExpr().Rexpr), nil
	}
}

// listConcat puts two lists together.
const listConcat = "nd_list_concat"

// concatenated puts two lists together, without a macro where that cannot take its arguments.
func (r *rewriter) concatenated(a, b *pg.Node) *pg.Node {
	if !hasSubquery(a) && !hasSubquery(b) {
		return call(listConcat, a, b)
	}
	isNull := &pg.Node{Node: &pg.Node_NullTest{NullTest: &pg.NullTest{Arg: r.again(a), Nulltesttype: pg.NullTestType_IS_NULL, Location: -1}}}
	whenNull := &pg.Node{Node: &pg.Node_CaseWhen{CaseWhen: &pg.CaseWhen{Expr: isNull, Result: r.again(b), Location: -1}}}
	return &pg.Node{Node: &pg.Node_CaseExpr{CaseExpr: &pg.CaseExpr{Args: []*pg.Node{whenNull}, Defresult: call("list_concat", a, b), Location: -1}}}
}

// concatenation is what || is of a list and another, or an element.
func concatenation(e *pg.A_Expr, left, right datum.Type) string {
	switch {
	case !isList(e.Lexpr, left) && left != datum.Unknown:
		return "list_prepend"
	case !isList(e.Rexpr, right) && right != datum.Unknown:
		return "list_append"
	}
	return listConcat
}

// plain reports whether values of the type are neither texts nor what is put together of parts.
func plain(t datum.Type) bool {
	return t != datum.Unknown && !t.IsString() && !t.IsArray() && !t.IsBits() && t != datum.Bytea && t != datum.JSONB
}

// sqlNull is a NULL of text, in PostgreSQL's own form.
func sqlNull() *pg.Node {
	return &pg.Node{Node: &pg.Node_TypeCast{TypeCast: &pg.TypeCast{Arg: null(), TypeName: duckType("text"), Location: -1}}}
}

func isList(n *pg.Node, t datum.Type) bool { return t.IsArray() || n.GetAArrayExpr() != nil }

// rule rewrites a node whose children are done.
func (r *rewriter) rule(n *pg.Node) (*pg.Node, error) {
	switch x := n.Node.(type) {
	case *pg.Node_ColumnRef:
		names, _ := fieldNames(x.ColumnRef)
		if len(x.ColumnRef.Fields) > 4 {
			return nil, errorf("42601", x.ColumnRef.Location, "improper qualified name (too many dotted names): %s", strings.Join(names, "."))
		}
		r.shadowed(names)
		columnRef(x.ColumnRef)
		return n, nil
	case *pg.Node_ResTarget:
		return n, nil
	case *pg.Node_ParamRef:
		r.growParams(int(x.ParamRef.Number))
		if int(x.ParamRef.Number) > len(r.params) || x.ParamRef.Number < 1 {
			return nil, errorf("42P02", x.ParamRef.Location, "there is no parameter $%d", x.ParamRef.Number)
		}
		r.paramRefs = append(r.paramRefs, n)
		return n, nil
	case *pg.Node_AConst:
		return r.constant(n, x.AConst)
	case *pg.Node_AExpr:
		return r.operator(n, x.AExpr)
	case *pg.Node_CurrentOfExpr:
		err := unsupported(0, "WHERE CURRENT OF")
		err.Hint = "Name the row by its key."
		return nil, err
	case *pg.Node_CollateClause:
		return x.CollateClause.Arg, nil // everything is ordered by bytes, as in "C"
	case *pg.Node_SqlvalueFunction:
		return r.valueFunction(x.SqlvalueFunction)
	case *pg.Node_SubLink:
		x.SubLink.OperName = bare(x.SubLink.OperName)
		if s := x.SubLink.Subselect.GetSelectStmt(); x.SubLink.SubLinkType == pg.SubLinkType_EXISTS_SUBLINK && s.Op == pg.SetOperation_SETOP_NONE &&
			len(s.TargetList) == 0 && len(s.ValuesLists) == 0 { // EXISTS (SELECT FROM ...)
			s.TargetList = []*pg.Node{pg.MakeResTargetNodeWithVal(integer(1), -1)}
		}
		return n, nil
	case *pg.Node_WindowDef:
		return n, nil
	case *pg.Node_SortBy:
		if len(x.SortBy.UseOp) > 0 {
			return nil, unsupported(x.SortBy.Location, "ORDER BY USING")
		}
		return n, nil
	}
	if !plainNode(n) {
		return nil, unsupported(0, "this form of expression")
	}
	return n, nil
}

// plainNode lists the kinds of nodes that mean the same in both dialects.
func plainNode(n *pg.Node) bool {
	switch n.Node.(type) {
	case nil, *pg.Node_String_, *pg.Node_Integer, *pg.Node_Float, *pg.Node_Boolean, *pg.Node_List, *pg.Node_BoolExpr,
		*pg.Node_NullTest, *pg.Node_BooleanTest, *pg.Node_CaseExpr, *pg.Node_CaseWhen, *pg.Node_CoalesceExpr,
		*pg.Node_MinMaxExpr, *pg.Node_AArrayExpr, *pg.Node_AIndirection, *pg.Node_AIndices, *pg.Node_AStar,
		*pg.Node_RowExpr, *pg.Node_GroupingSet, *pg.Node_GroupingFunc, *pg.Node_TypeCast, *pg.Node_FuncCall:
		return true
	}
	return false
}

// columnRef drops schema names, which an alias has not, and spells reserved words.
func columnRef(ref *pg.ColumnRef) {
	if n := len(ref.Fields); n > 2 {
		ref.Fields = ref.Fields[n-2:]
	}
	quoteNames(ref.Fields)
}

// bare drops the schema of OPERATOR(pg_catalog.=).
func bare(name []*pg.Node) []*pg.Node {
	if len(name) > 1 {
		return name[len(name)-1:]
	}
	return name
}

// constant makes numbers with an exponent the numerics that they are in PostgreSQL.
func (r *rewriter) constant(n *pg.Node, c *pg.A_Const) (*pg.Node, error) {
	if f := c.GetFval(); f != nil && strings.ContainsAny(f.Fval, "eExXoObB_") {
		return r.typedLiteral(datum.Numeric, f.Fval, c.Location)
	}
	if f := c.GetFval(); f != nil && len(strings.Trim(f.Fval, ".")) > 38 {
		return numericConstant(f.Fval)
	}
	if b := c.GetBsval(); b != nil {
		return r.typedLiteral(datum.Bit, b.Bsval, c.Location)
	}
	return n, nil
}

func (r *rewriter) valueFunction(f *pg.SQLValueFunction) (*pg.Node, error) {
	if f.Typmod >= 0 && f.Typmod < 6 {
		return nil, unsupported(f.Location, "a precision of the current time in this statement")
	}
	switch f.Op {
	case pg.SQLValueFunctionOp_SVFOP_CURRENT_DATE:
		return cast(r.nowNode(), "DATE"), nil
	case pg.SQLValueFunctionOp_SVFOP_CURRENT_TIMESTAMP, pg.SQLValueFunctionOp_SVFOP_CURRENT_TIMESTAMP_N:
		return r.nowNode(), nil
	case pg.SQLValueFunctionOp_SVFOP_LOCALTIMESTAMP, pg.SQLValueFunctionOp_SVFOP_LOCALTIMESTAMP_N:
		return cast(r.nowNode(), "TIMESTAMP"), nil
	case pg.SQLValueFunctionOp_SVFOP_CURRENT_TIME, pg.SQLValueFunctionOp_SVFOP_CURRENT_TIME_N:
		return nil, unsupported(f.Location, "current_time: use localtime, or now()::timetz; this")
	case pg.SQLValueFunctionOp_SVFOP_LOCALTIME, pg.SQLValueFunctionOp_SVFOP_LOCALTIME_N:
		return cast(cast(r.nowNode(), "TIMESTAMP"), "TIME"), nil
	case pg.SQLValueFunctionOp_SVFOP_CURRENT_CATALOG:
		return sqlText(r.in.Session.Database), nil
	case pg.SQLValueFunctionOp_SVFOP_CURRENT_SCHEMA:
		return r.schema(), nil
	default:
	}
	return sqlText(r.in.Session.User), nil
}

// sqlText makes a text that has its type already.
func sqlText(s string) *pg.Node { return cast(text(s), "VARCHAR") }

// schema is current_schema(): null if the path has none.
func (r *rewriter) schema() *pg.Node {
	if len(r.in.Session.SearchPath) > 0 {
		return sqlText(r.in.Session.SearchPath[0])
	}
	return cast(null(), "VARCHAR")
}

// nowNode is the time of the transaction: a parameter behind the statement's own.
func (r *rewriter) nowNode() *pg.Node {
	n := pg.MakeParamRefNode(0, -1)
	r.usesNow = true
	r.nowRefs = append(r.nowRefs, n.GetParamRef())
	r.paramRefs = append(r.paramRefs, n)
	return n
}

func (r *rewriter) nowNumber() {
	r.now = len(r.params) + 1
	for _, p := range r.nowRefs {
		p.Number = int32(r.now)
	}
}

// oneDimension refuses an array of arrays: no type has them.
func oneDimension(a *pg.A_ArrayExpr) error {
	if len(a.Elements) == 0 {
		err := errorf("42P18", a.Location, "cannot determine type of empty array")
		err.Hint = "Explicitly cast to the desired type, for example ARRAY[]::integer[]."
		return err
	}
	for _, e := range a.Elements {
		if inner := e.GetAArrayExpr(); inner != nil {
			return unsupported(inner.Location, "an array of arrays")
		}
	}
	return nil
}

// oneSubscript refuses subscripts of arrays of arrays.
func (r *rewriter) oneSubscript(a *pg.A_Indirection) error {
	subscripts := 0
	for _, i := range a.Indirection {
		if i.GetAIndices() != nil {
			subscripts++
		}
	}
	if subscripts > 1 && r.typeOf(a.Arg) != datum.JSONB {
		return unsupported(0, "a subscript of an array of arrays")
	}
	return nil
}

// baseName is the name of float8 or numeric.
func baseName(t datum.Type) string {
	if t == datum.Float8 {
		return "float8"
	}
	return "numeric"
}
