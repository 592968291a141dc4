package rewrite

import (
	"slices"
	"strconv"

	"github.com/cockroachdb/apd/v3"
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
)

// A numeric of PostgreSQL has a scale of its own, one of the engine that of its column.
// Where each value has another, as quotients do, it is a text to the engine, a written one,
// and what computes with it is package builtin's. Whoever uses an expression says first that
// a text will do (takesText); what nobody has said so of is a decimal.

// takesText notes that the places of some expressions take numerics that are written.
func (r *rewriter) takesText(l ...*pg.Node) {
	for _, n := range l {
		if n != nil {
			r.textual[n] = true
		}
	}
}

// writes reports whether n is a numeric that becomes a text where one will do.
func (r *rewriter) writes(n *pg.Node) bool {
	if r.typeOf(n) != datum.Numeric {
		return false
	}
	if v, ok := r.constantValue(n); ok {
		return !v.Null && v.Type == datum.Numeric && (beyondDecimal(v.D) || int(-v.D.Exponent) >= frame.NumericScale)
	}
	switch x := n.GetNode().(type) {
	case *pg.Node_ColumnRef:
		c, ok := r.scope.find(x.ColumnRef)
		return ok && c.text
	case *pg.Node_TypeCast:
		if m := typmod(datum.Numeric, x.TypeCast.TypeName); len(x.TypeCast.TypeName.Typmods) > 0 {
			return m >= 4 && int(m-4)&0x7ff >= frame.NumericScale
		}
		from := r.typeOf(x.TypeCast.Arg)
		if from == datum.Numeric {
			return r.writes(x.TypeCast.Arg)
		}
		return from != datum.Numeric && r.castElsewhere(from, datum.Numeric, x.TypeCast)
	case *pg.Node_FuncCall:
		return r.writesCall(x.FuncCall)
	case *pg.Node_AExpr:
		return r.writesOperator(x.AExpr)
	case *pg.Node_CaseExpr:
		return r.writesOneOf(caseResults(x.CaseExpr))
	case *pg.Node_CoalesceExpr:
		return r.writesOneOf(x.CoalesceExpr.Args)
	case *pg.Node_MinMaxExpr:
		return r.writesOneOf(x.MinMaxExpr.Args)
	case *pg.Node_SubLink:
		c, ok := r.gives(x.SubLink.Subselect.GetSelectStmt())
		return ok && x.SubLink.SubLinkType == pg.SubLinkType_EXPR_SUBLINK && c.text
	}
	return false
}

// beyondDecimal reports whether a number is none of the engine's decimals, whatever their scale.
func beyondDecimal(d *apd.Decimal) bool {
	if d.Form != apd.Finite {
		return true
	}
	whole := max(int(d.NumDigits())+int(d.Exponent), 0)
	return whole+max(int(-d.Exponent), 0) > frame.MaxDecimalWidth
}

func (r *rewriter) writesCall(f *pg.FuncCall) bool {
	name := lastName(f.Funcname)
	if givesRow(name) && f.Over != nil && len(f.Args) > 0 {
		if len(f.Args) == 3 { // what there is instead of a row
			return r.writesOneOf([]*pg.Node{f.Args[0], f.Args[2]})
		}
		return r.writes(f.Args[0])
	}
	if r.unnestedTexts(f) != nil {
		return true
	}
	if name == "avg" && len(f.Args) == 1 && (f.Over != nil || f.AggDistinct) {
		t := r.typeOf(f.Args[0])
		return t.IsInt() || t == datum.Numeric
	}
	if len(f.Args) == 1 && (!f.AggDistinct || f.Over == nil) {
		switch name {
		case "sum", "min", "max", "any_value":
			return r.writes(f.Args[0])
		}
	}
	if len(f.Args) == 1 && !f.AggDistinct {
		switch name {
		case "avg", "stddev", "stddev_pop", "stddev_samp", "variance", "var_pop", "var_samp":
			return r.typeOf(f.Args[0]).IsInt() || r.typeOf(f.Args[0]) == datum.Numeric
		}
	}
	c := r.builtinCall(f, name)
	if c == nil || len(f.Args) > builtin.MaxArgs {
		return false
	}
	v, err := r.constantCall(c, f.Args)
	return err == nil && v.Type == datum.Unknown && !r.native(f, c)
}

func (r *rewriter) writesOperator(e *pg.A_Expr) bool {
	if e.Kind == pg.A_Expr_Kind_AEXPR_NULLIF {
		return r.writes(e.Lexpr) && (r.typeOf(e.Rexpr) == datum.Numeric || r.typeOf(e.Rexpr).IsInt())
	}
	if e.Kind != pg.A_Expr_Kind_AEXPR_OP {
		return false
	}
	if _, ok := r.constantOperator(e); ok {
		return false
	}
	if name, _ := operatorFunction(e, r.typeOf(e.Lexpr), r.typeOf(e.Rexpr)); name != "" {
		return r.writesCall(&pg.FuncCall{Funcname: []*pg.Node{str(name)}, Args: slices.DeleteFunc([]*pg.Node{e.Lexpr, e.Rexpr}, func(n *pg.Node) bool { return n == nil })})
	}
	switch op := lastName(e.Name); {
	case !arithmetic(op):
		return false
	case e.Lexpr == nil:
		return r.writes(e.Rexpr)
	case op == "/" || op == "%":
		return true
	case op == "*":
		left, right := r.scaleOf(e.Lexpr), r.scaleOf(e.Rexpr)
		return r.writes(e.Lexpr) || r.writes(e.Rexpr) || left >= 0 && right >= 0 && left+right >= frame.NumericScale ||
			r.digitsOf(e.Lexpr)+r.digitsOf(e.Rexpr) > frame.MaxDecimalWidth
	}
	return r.writes(e.Lexpr) || r.writes(e.Rexpr)
}

// manyDigits is the text of a constant in whose place one will do and that has more digits
// than mean a scale to the engine; castText says that n is a cast to a numeric of so many.
func (r *rewriter) manyDigits(n *pg.Node) (constant *pg.Node, castText bool) {
	if !r.textual[n] || !r.writes(n) {
		return nil, false
	}
	if v, ok := r.constantValue(n); ok {
		return sqlText(v.Text()), false
	}
	return nil, n.GetTypeCast() != nil && len(n.GetTypeCast().TypeName.Typmods) > 0
}

// writesOneOf reports whether alternatives have scales of their own.
func (r *rewriter) writesOneOf(l []*pg.Node) bool {
	scale, first := 0, true
	for _, n := range l {
		if n.GetAConst().GetIsnull() {
			continue
		}
		if _, ok := literal(n); ok { // a number by what stands beside it
			n = castTo(n, "numeric")
		}
		if r.writes(n) {
			return true
		}
		s := r.scaleOf(n)
		if !first && s != scale {
			return true
		}
		scale, first = s, false
	}
	return false
}

// nullNumber reports whether a column is NULL, of no scale.
func nullNumber(n *pg.Node, t datum.Type) bool {
	if c := n.GetTypeCast(); c != nil && t == datum.Numeric && len(c.TypeName.Typmods) == 0 {
		n = c.Arg
	}
	return n.GetAConst().GetIsnull()
}

// writtenText is the text of a number whose place took a written one.
func (r *rewriter) writtenText(n *pg.Node) func(*pg.Node) *pg.Node {
	r.takesText(n)
	if r.writes(n) || r.typeOf(n).IsInt() || n.GetAConst().GetIsnull() {
		return func(n *pg.Node) *pg.Node { return cast(n, "VARCHAR") }
	}
	return r.textOf(n, false)
}

// computed is a call of a function of package builtin with numbers that may be written.
func (r *rewriter) computed(name string, types []datum.Type, result string, args ...*pg.Node) *pg.Node {
	out := call("nd_call_"+strconv.Itoa(len(args)), append([]*pg.Node{text(builtin.Resolve(name, types).Signature(r.zone()))}, args...)...)
	if result == "" {
		return out
	}
	return cast(out, result)
}

var (
	twoNumerics = []datum.Type{datum.Numeric, datum.Numeric}
	numerics    = []datum.Type{datum.Numeric | datum.Array}
)

// textualOperator is an operator of numbers that gives a written numeric, or compares one;
// nil: it is none.
func (r *rewriter) textualOperator(n *pg.Node, e *pg.A_Expr) finish {
	if e.Kind == pg.A_Expr_Kind_AEXPR_NULLIF && r.textual[n] && r.writes(n) {
		return r.writtenNullif(e)
	}
	if e.Kind == pg.A_Expr_Kind_AEXPR_DISTINCT || e.Kind == pg.A_Expr_Kind_AEXPR_NOT_DISTINCT {
		return r.writtenDistinctFrom(e)
	}
	if e.Kind != pg.A_Expr_Kind_AEXPR_OP || e.Rexpr == nil {
		return nil
	}
	op := lastName(e.Name)
	if compares(op) && e.Lexpr != nil {
		left, right := r.typeOf(e.Lexpr), r.typeOf(e.Rexpr)
		exact := func(t datum.Type) bool { return t.IsInt() || t == datum.Numeric }
		if !exact(left) || !exact(right) || !r.writes(e.Lexpr) && !r.writes(e.Rexpr) {
			return nil
		}
		a, b := r.writtenText(e.Lexpr), r.writtenText(e.Rexpr)
		return func(n *pg.Node) (*pg.Node, error) {
			e := n.GetAExpr()
			e.Lexpr, e.Rexpr = r.computed(builtin.NumericCompare, twoNumerics, "INTEGER", a(e.Lexpr), b(e.Rexpr)), integer(0)
			return r.operator(n, e)
		}
	}
	if !arithmetic(op) || !r.textual[n] || !r.writes(n) {
		return nil
	}
	if name, _ := operatorFunction(e, r.typeOf(e.Lexpr), r.typeOf(e.Rexpr)); name != "" {
		return nil
	}
	if e.Lexpr == nil {
		a := r.writtenText(e.Rexpr)
		return func(n *pg.Node) (*pg.Node, error) {
			if op == "+" {
				return a(n.GetAExpr().Rexpr), nil
			}
			return r.computed(builtin.NumericOperator("-"), twoNumerics, "", text("0"), a(n.GetAExpr().Rexpr)), nil
		}
	}
	a, b := r.writtenText(e.Lexpr), r.writtenText(e.Rexpr)
	return func(n *pg.Node) (*pg.Node, error) {
		e := n.GetAExpr()
		return r.computed(builtin.NumericOperator(op), twoNumerics, "", a(e.Lexpr), b(e.Rexpr)), nil
	}
}

// writtenDistinctFrom is IS DISTINCT FROM of numbers of which one is written; nil: none is.
func (r *rewriter) writtenDistinctFrom(e *pg.A_Expr) finish {
	exact := func(n *pg.Node) bool { return r.typeOf(n).IsInt() || r.typeOf(n) == datum.Numeric }
	if !exact(e.Lexpr) || !exact(e.Rexpr) || !r.writes(e.Lexpr) && !r.writes(e.Rexpr) {
		return nil
	}
	a, b := r.writtenText(e.Lexpr), r.writtenText(e.Rexpr)
	return func(n *pg.Node) (*pg.Node, error) {
		e := n.GetAExpr()
		e.Lexpr, e.Rexpr = r.orderKey(a(e.Lexpr)), r.orderKey(b(e.Rexpr))
		return r.operator(n, e)
	}
}

// writtenNullif is NULLIF of a number that is a text.
func (r *rewriter) writtenNullif(e *pg.A_Expr) finish {
	a, b := r.writtenText(e.Lexpr), r.writtenText(e.Rexpr)
	return func(n *pg.Node) (*pg.Node, error) {
		value := a(n.GetAExpr().Lexpr)
		equal := r.computed(builtin.NumericCompare, twoNumerics, "INTEGER", clone(value), b(n.GetAExpr().Rexpr))
		when := &pg.CaseWhen{Expr: pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str("=")}, equal, integer(0), -1), Result: sqlNull()}
		return &pg.Node{Node: &pg.Node_CaseExpr{CaseExpr: &pg.CaseExpr{Args: []*pg.Node{{Node: &pg.Node_CaseWhen{CaseWhen: when}}}, Defresult: value}}}, nil
	}
}

// writtenAlternatives gives the results of CASE and the like as texts; nil: they are not
// written.
func (r *rewriter) writtenAlternatives(n *pg.Node) finish {
	if r.blanks[n] {
		return r.extremeBlanks(len(n.GetMinMaxExpr().Args))
	}
	r.bareNulls(n)
	if m := n.GetMinMaxExpr(); m != nil && r.typeOf(n) == datum.JSONB && len(m.Args) <= builtin.MaxArgs {
		return r.extreme(datum.JSONB, "JSON", r.textsOf(m.Args, false))
	}
	if m := n.GetMinMaxExpr(); m != nil && r.typeOf(n) == datum.Interval && len(m.Args) <= builtin.MaxArgs { // of equal ones the first
		return r.extreme(datum.Interval, "INTERVAL", r.textsOf(m.Args, false))
	}
	if t := r.typeOf(n); n.GetMinMaxExpr() != nil && t.IsFloat() && len(n.GetMinMaxExpr().Args) <= builtin.MaxArgs {
		return r.extremeFloat(t, len(n.GetMinMaxExpr().Args)) // the engine's lose the sign of zero
	}
	if !r.textual[n] || !r.writes(n) {
		return nil
	}
	switch x := n.Node.(type) {
	case *pg.Node_CaseExpr:
		whens, last := make([]func(*pg.Node) *pg.Node, len(x.CaseExpr.Args)), (func(*pg.Node) *pg.Node)(nil)
		for i, w := range x.CaseExpr.Args {
			whens[i] = r.writtenText(w.GetCaseWhen().Result)
		}
		if x.CaseExpr.Defresult != nil {
			last = r.writtenText(x.CaseExpr.Defresult)
		}
		return func(n *pg.Node) (*pg.Node, error) {
			c := n.GetCaseExpr()
			for i, w := range c.Args {
				w.GetCaseWhen().Result = whens[i](w.GetCaseWhen().Result)
			}
			if last != nil {
				c.Defresult = last(c.Defresult)
			}
			return n, nil
		}
	case *pg.Node_CoalesceExpr:
		forms := r.writtenTexts(x.CoalesceExpr.Args)
		return func(n *pg.Node) (*pg.Node, error) {
			for i, a := range n.GetCoalesceExpr().Args {
				n.GetCoalesceExpr().Args[i] = forms[i](a)
			}
			return n, nil
		}
	case *pg.Node_MinMaxExpr:
		if len(x.MinMaxExpr.Args) <= builtin.MaxArgs {
			return r.extreme(datum.Numeric, "", r.writtenTexts(x.MinMaxExpr.Args))
		}
	}
	return nil
}

// extremeFloat is GREATEST or LEAST of so many floats.
func (r *rewriter) extremeFloat(t datum.Type, n int) finish {
	of := "DOUBLE"
	if t == datum.Float4 {
		of = "FLOAT4"
	}
	return r.extreme(t, of, slices.Repeat([]func(*pg.Node) *pg.Node{func(n *pg.Node) *pg.Node { return cast(cast(n, of), "VARCHAR") }}, n))
}

// extreme is GREATEST or LEAST of texts of values of a type.
func (r *rewriter) extreme(t datum.Type, result string, forms []func(*pg.Node) *pg.Node) finish {
	return func(n *pg.Node) (*pg.Node, error) {
		name, args := builtin.Greatest, n.GetMinMaxExpr().Args
		if n.GetMinMaxExpr().Op == pg.MinMaxOp_IS_LEAST {
			name = builtin.Least
		}
		for i, a := range args {
			args[i] = forms[i](a)
		}
		return r.computed(name, slices.Repeat([]datum.Type{t}, len(args)), result, args...), nil
	}
}

func (r *rewriter) writtenTexts(l []*pg.Node) []func(*pg.Node) *pg.Node {
	out := make([]func(*pg.Node) *pg.Node, len(l))
	for i, n := range l {
		out[i] = r.writtenText(n)
	}
	return out
}

// standsForDecimal reports whether n is a column of texts in the place of a decimal.
func (r *rewriter) standsForDecimal(n *pg.Node) bool {
	ref := n.GetColumnRef()
	if ref == nil {
		return false
	}
	c, ok := r.scope.find(ref)
	return ok && c.text && !r.textual[n]
}

// writtenSubquery rewrites a subquery that gives one value, in whose place a text will do, and
// notes whether it is one. done=false: it is none such.
func (r *rewriter) writtenSubquery(n *pg.Node) (done bool, err error) {
	l := n.GetSubLink()
	if l.GetSubLinkType() != pg.SubLinkType_EXPR_SUBLINK || !r.textual[n] {
		return false, nil
	}
	s := l.Subselect.GetSelectStmt()
	mayWrite := r.mayWrite
	r.mayWrite = true
	cols, err := r.query(s, r.scope)
	r.mayWrite = mayWrite
	if err == nil && cols.known && len(cols.list) == 1 && cols.list[0].text {
		r.givesText[n] = true
	}
	return true, err
}

// asDecimal makes a written numeric a decimal of the engine, which fails if that has not
// as many digits.
func (r *rewriter) asDecimal(n *pg.Node) *pg.Node {
	return r.computed(builtin.NumericDecimal, []datum.Type{datum.Numeric}, numericType(-1).SQL(), n)
}

// orderKey is the text by which a written numeric is ordered, and that equal ones share.
func (r *rewriter) orderKey(n *pg.Node) *pg.Node {
	return r.computed(builtin.NumericOrder, []datum.Type{datum.Numeric}, "", n)
}

// sortsWritten orders by a numeric that is written; nil: it is none.
func (r *rewriter) sortsWritten(s *pg.SortBy) finish {
	if len(s.UseOp) > 0 || r.scope.distinct || !r.writes(s.Node) {
		return nil
	}
	form := r.writtenText(s.Node)
	return func(n *pg.Node) (*pg.Node, error) {
		n.GetSortBy().Node = r.orderKey(form(n.GetSortBy().Node))
		return n, nil
	}
}

// writesTargets says which columns of a SELECT become written numerics, and has ORDER BY
// say what it means by their numbers and names.
func (r *rewriter) writesTargets(s *pg.SelectStmt, cols columns) {
	if !r.mayWrite || !cols.known || len(cols.list) != len(s.TargetList) || r.groupsWritten(s, cols) {
		return
	}
	for i, n := range s.TargetList {
		t := n.GetResTarget()
		if t.GetVal().GetSubLink() != nil { // which says so once it is rewritten
			r.takesText(t.Val)
			continue
		}
		if r.listsTexts(s, t.GetVal()) {
			cols.list[i].text = true
			continue
		}
		if r.manyScales(t.GetVal()) {
			if cols.list[i].lossy = true; s == r.top {
				r.refuse(manyScaled("DISTINCT or ORDER BY beside array_agg"))
			}
		}
		if !r.writes(t.GetVal()) {
			continue
		}
		r.takesText(t.Val)
		cols.list[i].text = true
		if _, constant := r.constantValue(t.Val); constant { // a number in ORDER BY is a position
			continue
		}
		for _, by := range s.SortClause {
			by := by.GetSortBy()
			ref := by.Node.GetColumnRef()
			names, _ := fieldNames(&pg.ColumnRef{Fields: ref.GetFields()})
			position := by.Node.GetAConst().GetIval()
			if position != nil && int(position.Ival) == i+1 || len(names) == 1 && names[0] == cols.list[i].name {
				by.Node = clone(t.Val)
			}
		}
	}
	r.distinctWritten(s, cols)
}
