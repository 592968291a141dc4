package rewrite

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// writtenAggregate computes an aggregate of the texts of all its numbers; nil: it is none
// such.
func (r *rewriter) writtenAggregate(n *pg.Node, f *pg.FuncCall, name string) finish {
	accepted := r.textual[n] && r.writes(n)
	if accepted && f.Over != nil && givesRow(name) {
		return r.writtenRow(f)
	}
	if givesRow(name) && len(f.Args) == 3 && r.typeOf(f.Args[0]) == datum.Numeric && r.writesOneOf([]*pg.Node{f.Args[0], f.Args[2]}) {
		row := r.writtenRow(f) // or the third had the scale of the first
		return func(n *pg.Node) (*pg.Node, error) {
			out, err := row(n)
			return r.asDecimal(out), err
		}
	}
	if after := r.listAggregate(f, name); after != nil {
		return after
	}
	deviation := strings.HasPrefix(name, "stddev") || strings.HasPrefix(name, "var")
	if len(f.Args) != 1 || f.Over != nil && !accepted && !deviation {
		return nil
	}
	t := r.typeOf(f.Args[0])
	if f.AggDistinct {
		return r.writtenDistinct(f, name, accepted)
	}
	switch {
	case !t.IsInt() && t != datum.Numeric:
		return nil
	case name == "any_value" && r.writes(f.Args[0]):
		form := r.writtenText(f.Args[0])
		return func(n *pg.Node) (*pg.Node, error) {
			n.GetFuncCall().Args[0] = form(n.GetFuncCall().Args[0])
			if !accepted {
				return r.asDecimal(n), nil
			}
			return n, nil
		}
	case name == "avg" && accepted:
		return r.average(f)
	case deviation && f.Over != nil:
		return r.spread(f, name, accepted)
	case deviation:
	case (name == "sum" || name == "min" || name == "max") && accepted:
	default:
		return nil
	}
	form := r.writtenText(f.Args[0])
	return func(n *pg.Node) (*pg.Node, error) {
		out := r.ofTexts(n, name, form(n.GetFuncCall().Args[0]))
		if !accepted {
			return r.asDecimal(out), nil
		}
		return out, nil
	}
}

// writtenDistinct is an aggregate of the distinct ones of numbers; nil: it is the engine's.
func (r *rewriter) writtenDistinct(f *pg.FuncCall, name string, accepted bool) finish {
	if !r.writes(f.Args[0]) {
		if name == "avg" && accepted {
			return r.average(f)
		}
		return nil
	}
	of := name
	switch name {
	case "sum", "avg":
		of = builtin.Distinct(name)
	case "min", "max":
	default:
		return nil
	}
	form := r.writtenText(f.Args[0])
	return func(n *pg.Node) (*pg.Node, error) {
		out := r.ofTexts(n, of, form(n.GetFuncCall().Args[0]))
		if !accepted {
			return r.asDecimal(out), nil
		}
		return out, nil
	}
}

// ofTexts is an aggregate of numbers that are texts: of a list of all of them, or, where that
// would be one for each row of a window, of decimals with the largest scale among them.
func (r *rewriter) ofTexts(n *pg.Node, name string, texts *pg.Node) *pg.Node {
	if f := n.GetFuncCall(); f.Over != nil && (name == "sum" || name == "min" || name == "max") {
		of := func(name string, args ...*pg.Node) *pg.Node {
			call := &pg.FuncCall{Funcname: []*pg.Node{str(name)}, Args: args, AggFilter: f.AggFilter, Over: f.Over, Funcformat: pg.CoercionForm_COERCE_EXPLICIT_CALL, Location: -1}
			return &pg.Node{Node: &pg.Node_FuncCall{FuncCall: call}}
		}
		if name != "sum" {
			return of("arg_"+name, texts, r.asDecimal(clone(texts)))
		}
		scale := r.computed("scale", []datum.Type{datum.Numeric}, "INTEGER", clone(texts))
		total, digits := of("sum", r.asDecimal(texts)), of("max", scale)
		return r.computed("round", []datum.Type{datum.Numeric, datum.Int4}, "", cast(total, "VARCHAR"), cast(digits, "VARCHAR"))
	}
	return r.computed(builtin.NumericAggregate(name), numerics, "", arrayOf(n, texts))
}

// arrayOf is an aggregate that gives the text of an array of texts.
func arrayOf(n, texts *pg.Node) *pg.Node {
	list := renamed(n, "string_agg", texts, text(","))
	join := func(a, b *pg.Node) *pg.Node {
		return pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str("||")}, a, b, -1)
	}
	return join(join(text("{"), list), text("}"))
}

// listAggregate is an aggregate of float8 or of intervals that package builtin computes of all
// values at once, as the engine's has other digits or is none; nil: it is the engine's.
func (r *rewriter) listAggregate(f *pg.FuncCall, name string) finish {
	if f.AggDistinct || f.Over != nil {
		return nil
	}
	pairs := builtin.Known(builtin.FloatAggregate(name)) && len(f.Args) == 2
	t := datum.Unknown
	if len(f.Args) > 0 {
		t = r.typeOf(f.Args[0])
	}
	if after := r.percentile(f, name); after != nil {
		return after
	}
	switch {
	case pairs && !slices.ContainsFunc(f.Args, func(n *pg.Node) bool { return !r.typeOf(n).IsNumber() }):
		return func(n *pg.Node) (*pg.Node, error) {
			y, x := cast(n.GetFuncCall().Args[0], "DOUBLE"), cast(n.GetFuncCall().Args[1], "DOUBLE")
			comma := pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str("||")}, cast(y, "VARCHAR"), text(","), -1)
			pair := pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, []*pg.Node{str("||")}, comma, cast(x, "VARCHAR"), -1) // null if one of them is
			return r.computed(builtin.FloatAggregate(name), []datum.Type{datum.Float8 | datum.Array}, "DOUBLE", arrayOf(n, pair)), nil
		}
	case len(f.Args) == 1 && t.IsFloat() && builtin.Known(builtin.FloatAggregate(name)):
		return func(n *pg.Node) (*pg.Node, error) {
			value := cast(cast(n.GetFuncCall().Args[0], "DOUBLE"), "VARCHAR")
			return r.computed(builtin.FloatAggregate(name), []datum.Type{datum.Float8 | datum.Array}, "DOUBLE", arrayOf(n, value)), nil
		}
	case len(f.Args) == 1 && t == datum.Interval && (name == "sum" || name == "avg"):
		form := r.textOf(f.Args[0], false)
		return func(n *pg.Node) (*pg.Node, error) {
			return r.computed(builtin.IntervalAggregate(name), []datum.Type{datum.Interval | datum.Array}, "INTERVAL", arrayOf(n, form(n.GetFuncCall().Args[0]))), nil
		}
	}
	return nil
}

// percentile is percentile_cont of numbers, which differs from the engine's where some are infinite;
// nil: it is another, or of several fractions.
func (r *rewriter) percentile(f *pg.FuncCall, name string) finish {
	if name != "percentile_cont" || len(f.Args) != 1 || len(f.AggOrder) != 1 {
		return nil
	}
	by := f.AggOrder[0].GetSortBy()
	if !r.typeOf(by.GetNode()).IsNumber() || !r.typeOf(f.Args[0]).IsNumber() && !f.Args[0].GetAConst().GetIsnull() {
		return nil
	}
	descending := by.SortbyDir == pg.SortByDir_SORTBY_DESC
	return func(n *pg.Node) (*pg.Node, error) {
		f := n.GetFuncCall()
		fraction, value := cast(f.Args[0], "DOUBLE"), cast(f.AggOrder[0].GetSortBy().Node, "DOUBLE")
		f.AggOrder, f.AggWithinGroup = nil, false
		return r.computed(builtin.Percentile, []datum.Type{datum.Float8 | datum.Array, datum.Float8, datum.Bool}, "DOUBLE",
			arrayOf(n, cast(value, "VARCHAR")), cast(fraction, "VARCHAR"), text(map[bool]string{true: "t", false: "f"}[descending])), nil
	}
}

// average is the quotient of a sum and a number of values.
func (r *rewriter) average(f *pg.FuncCall) finish {
	again := &pg.FuncCall{Funcname: []*pg.Node{str("sum")}, Args: f.Args, AggOrder: f.AggOrder, AggFilter: f.AggFilter, Over: f.Over, Funcformat: f.Funcformat, Location: -1}
	sum := &pg.Node{Node: &pg.Node_FuncCall{FuncCall: again}}
	form := r.writtenText(sum)
	written := r.writes(sum)
	var of func(*pg.Node) *pg.Node
	if written {
		of = r.writtenText(f.Args[0])
	}
	return func(n *pg.Node) (*pg.Node, error) {
		arg := n.GetFuncCall().Args[0]
		count := &pg.FuncCall{Funcname: []*pg.Node{str("count")}, Args: []*pg.Node{arg}, AggFilter: f.AggFilter, AggDistinct: f.AggDistinct, Over: f.Over, Funcformat: f.Funcformat, Location: -1}
		var total *pg.Node
		if written {
			total = r.ofTexts(n, "sum", of(arg))
		} else {
			total = form(renamed(n, "sum", arg))
		}
		number := call("nullif", &pg.Node{Node: &pg.Node_FuncCall{FuncCall: count}}, integer(0))
		return r.computed(builtin.NumericOperator("/"), twoNumerics, "", total, cast(number, "VARCHAR")), nil
	}
}

// spread is a deviation of integers or numerics over a window: from sums, as the list of all
// values would be one for each row.
func (r *rewriter) spread(f *pg.FuncCall, name string, accepted bool) finish {
	form := r.writtenText(f.Args[0])
	return func(n *pg.Node) (*pg.Node, error) {
		arg := n.GetFuncCall().Args[0]
		value := form(arg)
		square := r.computed(builtin.NumericOperator("*"), twoNumerics, "", value, clone(value))
		count := &pg.FuncCall{Funcname: []*pg.Node{str("count")}, Args: []*pg.Node{clone(arg)}, AggFilter: f.AggFilter, Over: f.Over, Funcformat: f.Funcformat, Location: -1}
		number := cast(&pg.Node{Node: &pg.Node_FuncCall{FuncCall: count}}, "VARCHAR")
		types := []datum.Type{datum.Int8, datum.Numeric, datum.Numeric}
		out := r.computed(builtin.NumericSpread(name), types, "", number, r.ofTexts(n, "sum", value), r.ofTexts(n, "sum", square))
		if !accepted {
			out = r.asDecimal(out)
		}
		return out, nil
	}
}

// bounded is a sum or an average of float8, which is an error if it has become infinite of values
// that are not.
func (r *rewriter) bounded(f *pg.FuncCall, name string) finish {
	over := func(name string, arg *pg.Node) *pg.Node {
		return &pg.Node{Node: &pg.Node_FuncCall{FuncCall: &pg.FuncCall{
			Funcname: []*pg.Node{str(name)}, Args: []*pg.Node{arg}, AggFilter: f.AggFilter, Over: f.Over, AggDistinct: f.AggDistinct, Funcformat: pg.CoercionForm_COERCE_EXPLICIT_CALL, Location: -1,
		}}}
	}
	return func(n *pg.Node) (*pg.Node, error) {
		arg := n.GetFuncCall().Args[0]
		of := over(name, arg)
		if f.Over == nil {
			of = renamed(n, name, arg)
		}
		return call("nd_bounded", of, over("max", call("isinf", arg))), nil
	}
}

// givesRow reports whether a function of a window gives its argument of another row.
func givesRow(name string) bool {
	return slices.Contains([]string{"lag", "lead", "first_value", "last_value", "nth_value"}, name)
}

// writtenRow gives the number of another row as a text; a third argument is what there is
// instead of none.
func (r *rewriter) writtenRow(f *pg.FuncCall) finish {
	form, other := r.writtenText(f.Args[0]), (func(*pg.Node) *pg.Node)(nil)
	if len(f.Args) == 3 {
		other = r.writtenText(f.Args[2])
	}
	return func(n *pg.Node) (*pg.Node, error) {
		args := n.GetFuncCall().Args
		if args[0] = form(args[0]); other != nil {
			args[2] = other(args[2])
		}
		return n, nil
	}
}

// listsTexts says of a column of the result that is an array of written numerics that it
// becomes one of texts; elsewhere they are decimals.
func (r *rewriter) listsTexts(s *pg.SelectStmt, n *pg.Node) bool {
	elements := n.GetAArrayExpr().GetElements()
	if f := n.GetFuncCall(); lastName(f.GetFuncname()) == "array_agg" && len(f.GetArgs()) == 1 && !f.AggDistinct {
		elements = f.Args
	}
	ordered := slices.ContainsFunc(s.SortClause, func(n *pg.Node) bool { return n.GetSortBy().GetNode().GetColumnRef() == nil })
	if s != r.top || len(s.DistinctClause) > 0 || ordered || r.typeOf(n) != numericList || !r.writesOneOf(elements) && !r.losesDigits(n) {
		return false
	}
	r.takesText(n)
	return true
}

// keepsDigits refuses functions that show elements of arrays of numerics which the engine would
// have with other digits.
func (r *rewriter) keepsDigits(f *pg.FuncCall, name string) error {
	if slices.Contains(countsElements, name) {
		return nil
	}
	for _, a := range f.Args {
		if r.manyScales(a) && (name != "unnest" || !r.losesDigits(a)) {
			return manyScaled(name)
		}
	}
	return nil
}

// countsElements are functions of arrays that show none of their elements.
//
//nolint:gochecknoglobals // a constant table
var countsElements = []string{"count", "array_length", "cardinality", "array_ndims", "array_dims", "array_lower", "array_upper", "array_position", "array_positions", "pg_typeof"}

func manyScaled(of string) error {
	err := unsupported(0, "%s of an array of numerics with scales of their own", of)
	err.Hint = "Cast the elements to numeric(precision, scale), or to text."
	return err
}

// manyScales reports whether an array has numerics of several scales.
func (r *rewriter) manyScales(n *pg.Node) bool {
	if r.typeOf(n) != numericList {
		return false
	}
	switch x := n.GetNode().(type) {
	case *pg.Node_AArrayExpr:
		return r.writesOneOf(x.AArrayExpr.Elements)
	case *pg.Node_FuncCall:
		return lastName(x.FuncCall.Funcname) == "array_agg" && len(x.FuncCall.Args) == 1 && r.writesOneOf(x.FuncCall.Args)
	}
	return r.losesDigits(n)
}

// textList is an array that listsTexts has said so of; nil: it is none.
func (r *rewriter) textList(n *pg.Node) finish {
	if !r.textual[n] || r.typeOf(n) != numericList {
		return nil
	}
	list := func(n *pg.Node) []*pg.Node {
		if a := n.GetAArrayExpr(); a != nil {
			return a.Elements
		}
		return n.GetFuncCall().GetArgs()
	}
	forms := r.writtenTexts(list(n))
	return func(n *pg.Node) (*pg.Node, error) {
		for i, e := range list(n) {
			list(n)[i] = forms[i](e)
		}
		return r.rule(n)
	}
}

// sortDistinct has the values of a DISTINCT come in their order, as PostgreSQL finds them.
func sortDistinct(f *pg.FuncCall, name string) {
	switch name {
	case "array_agg", "string_agg", "json_agg", "jsonb_agg":
		inOrder(f)
	}
}

// inOrder has the values of an aggregate with DISTINCT come in their order.
func inOrder(f *pg.FuncCall) {
	if f.AggDistinct && len(f.AggOrder) == 0 && len(f.Args) > 0 {
		by := &pg.SortBy{Node: clone(f.Args[0]), SortbyDir: pg.SortByDir_SORTBY_DEFAULT, SortbyNulls: pg.SortByNulls_SORTBY_NULLS_DEFAULT, Location: -1}
		f.AggOrder = []*pg.Node{{Node: &pg.Node_SortBy{SortBy: by}}}
	}
}

// losesScales reports whether a column is an array of numerics that the engine has with one
// scale, where PostgreSQL has several.
func (c *column) losesScales() bool {
	return c.typ == numericList && c.modifier < 0 && (c.scan != nil || c.lossy)
}

// listsKeepDigits refuses a column of numerics in arrays which have scales of their own where
// their digits would be seen: the engine has them with one scale, and shows none of the zeros
// at their ends.
func (r *rewriter) listsKeepDigits(n *pg.Node) error {
	switch x := n.GetNode().(type) {
	case *pg.Node_TypeCast, *pg.Node_ParamRef:
		return r.digitsSeen(n)
	case *pg.Node_ColumnRef:
		c, ok := r.scope.find(x.ColumnRef)
		if !ok || r.digitless[n] || x.ColumnRef.Location == syntax.AsStored || !c.losesScales() {
			return nil
		}
		err := unsupported(x.ColumnRef.Location, "a column of arrays of numerics with scales of their own in this statement")
		err.Hint = "Declare it numeric(precision, scale)[]."
		return err
	case *pg.Node_SubLink:
		if x.SubLink.SubLinkType != pg.SubLinkType_ARRAY_SUBLINK || r.digitless[n] {
			return nil
		}
		if c, ok := r.gives(x.SubLink.Subselect.GetSelectStmt()); ok && c.text {
			return manyScaled("ARRAY(SELECT ...)")
		}
	case *pg.Node_ResTarget:
		if r.scope.derived && (x.ResTarget.Val.GetColumnRef() != nil || r.losesDigits(x.ResTarget.Val)) {
			r.digitless[x.ResTarget.Val] = true // whoever names the column sees it
		}
	case *pg.Node_NullTest:
		r.digitless[x.NullTest.Arg] = true
	case *pg.Node_SortBy:
		r.digitless[x.SortBy.Node] = true
	case *pg.Node_AExpr:
		switch op := lastName(x.AExpr.Name); {
		case op == "||" || arithmetic(op):
		case x.AExpr.Kind == pg.A_Expr_Kind_AEXPR_NULLIF:
		default: // comparisons
			r.digitless[x.AExpr.Lexpr], r.digitless[x.AExpr.Rexpr] = true, true
		}
	case *pg.Node_FuncCall:
		if slices.Contains(countsElements, lastName(x.FuncCall.Funcname)) {
			for _, a := range x.FuncCall.Args {
				r.digitless[a] = true
			}
		}
	}
	return nil
}
