package rewrite

import (
	"math"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// maxNesting bounds macros that name an argument more than once, within each other:
// each doubles the expression below it.
const maxNesting = 6

// beforeFunction checks that a function may be called and finds what it becomes.
func (r *rewriter) beforeFunction(f *pg.FuncCall) (finish, error) {
	name := lastName(f.Funcname)
	if len(f.Funcname) > 1 {
		if schema := f.Funcname[0].GetString_().GetSval(); schema != "pg_catalog" && schema != "information_schema" {
			return nil, errorf("42883", f.Location, "function %s.%s does not exist", schema, name)
		}
	}
	if f.FuncVariadic {
		return nil, unsupported(f.Location, "VARIADIC")
	}
	if slices.ContainsFunc(f.Args, func(n *pg.Node) bool { return n.GetNamedArgExpr() != nil }) {
		return nil, r.misnamed(f, name)
	}
	if err := undecided(f, name); err != nil {
		return nil, err
	}
	if name == "pg_size_pretty" && len(f.Args) == 1 {
		_, isText := literal(f.Args[0])
		if t := r.typeOf(f.Args[0]); t == datum.Int4 || t == datum.Int2 || isText {
			return nil, notUniqueFunction(f, "pg_size_pretty("+r.signature(f)+")")
		}
	}
	if err := r.keepsDigits(f, name); err != nil {
		return nil, err
	}
	if name == "age" && len(f.Args) == 1 && r.typeOf(f.Args[0]) == datum.Xid { // what is there is as new as the schema
		return func(n *pg.Node) (*pg.Node, error) {
			old := &pg.Node{Node: &pg.Node_NullTest{NullTest: &pg.NullTest{Arg: n.GetFuncCall().Args[0], Nulltesttype: pg.NullTestType_IS_NOT_NULL, Location: -1}}}
			return &pg.Node{Node: &pg.Node_CaseExpr{CaseExpr: &pg.CaseExpr{Args: []*pg.Node{caseWhen(old, cast(integer(0), "INTEGER"))}, Location: -1}}}, nil
		}, nil
	}
	if name == "age" && len(f.Args) == 1 {
		r.sinceMidnight(f)
	}
	if after, err := r.jsonFunction(f); after != nil || err != nil {
		return after, err
	}
	if array, ok := setsOf[name]; ok {
		after, err := r.builtinFunction(f, array)
		return func(n *pg.Node) (*pg.Node, error) {
			out, err := after(n)
			return elementsOf(name, out), err
		}, err
	}
	if after, err := r.builtinFunction(f, name); after != nil || err != nil {
		return after, err
	}
	if after, err := r.extremeElsewhere(f, name); after != nil || err != nil {
		return after, err
	}
	sortDistinct(f, name)
	if err := r.decidedArgument(f, name); err != nil {
		return nil, err
	}
	if special, ok := specials[name]; ok {
		return special(r, f)
	}
	if o, ok := objectFunctions[name]; ok {
		return o.tells(r, f)
	}
	if make := r.setOf(f, name); make != nil {
		r.unnestInTargets(f)
		return r.setInTargets(f, name, make)
	}
	return r.ownFunction(f, name)
}

// sinceMidnight makes age(moment) the age at the beginning of the day.
func (r *rewriter) sinceMidnight(f *pg.FuncCall) {
	t := "timestamptz"
	if r.typeOf(f.Args[0]) == datum.Timestamp {
		t = "timestamp"
	}
	today := &pg.Node{Node: &pg.Node_SqlvalueFunction{SqlvalueFunction: &pg.SQLValueFunction{Op: pg.SQLValueFunctionOp_SVFOP_CURRENT_DATE, Typmod: -1, Location: -1}}}
	f.Args = []*pg.Node{castTo(today, t), f.Args[0]}
}

// extremeElsewhere is min or max of what the engine orders otherwise, or PostgreSQL has none of.
func (r *rewriter) extremeElsewhere(f *pg.FuncCall, name string) (finish, error) {
	if name != "min" && name != "max" || len(f.Args) != 1 {
		return nil, nil
	}
	t := r.typeOf(f.Args[0])
	if t == datum.JSONB && lastName(f.Args[0].GetFuncCall().GetFuncname()) == "document_field" {
		return func(n *pg.Node) (*pg.Node, error) {
			arg := n.GetFuncCall().Args[0]
			return renamed(n, "arg_"+name, arg, ordered(clone(arg))), nil
		}, nil
	}
	if t == datum.Timetz { // the engine's order is that of the time in its zone
		return nil, unsupported(f.Location, "%s of time with time zone", name)
	}
	if slices.Contains(withoutExtremes, t) {
		return nil, noFunction(f, name+"("+r.signature(f)+")")
	}
	return nil, nil
}

// setInTargets is a function of several rows outside of FROM.
func (r *rewriter) setInTargets(f *pg.FuncCall, name string, make func(*pg.FuncCall) (*pg.Node, []string, error)) (finish, error) {
	if err := r.series(f); err != nil {
		return nil, err
	}
	narrow := name == "generate_series" && r.functionType(f) == datum.Int4
	return func(n *pg.Node) (*pg.Node, error) {
		out, cols, err := make(n.GetFuncCall())
		if err == nil && len(cols) > 1 {
			return nil, unsupported(f.Location, "%s outside of FROM", name)
		}
		if inner := out.GetFuncCall(); err == nil && lastName(inner.Funcname) != "unnest" {
			if narrow {
				out = cast(out, "INTEGER[]")
			}
			out = call("unnest", out)
		}
		return out, err
	}, nil
}

// plainLiteral is a literal as the text that it is to an aggregate of texts, or n.
func plainLiteral(n *pg.Node) *pg.Node {
	if t, modified := castType(n.GetTypeCast().GetTypeName()); !modified && t == datum.Text && n.GetTypeCast().GetArg().GetAConst() != nil {
		return n.GetTypeCast().Arg
	}
	return n
}

// soundAggregate refuses an order of an aggregate's distinct values by others, and takes
// collations, of which there is one, off arguments.
func soundAggregate(f *pg.FuncCall) error {
	for i, a := range f.Args {
		if c := a.GetCollateClause(); c != nil && c.Arg.GetParamRef() == nil {
			f.Args[i] = c.Arg
		}
	}
	if !f.AggDistinct || f.AggWithinGroup {
		return nil
	}
	for _, n := range f.AggOrder {
		by := n.GetSortBy()
		if !slices.ContainsFunc(f.Args, func(a *pg.Node) bool { return alike(plainLiteral(a), plainLiteral(by.GetNode())) }) {
			return errorf("42P10", by.GetLocation(), "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list")
		}
	}
	return nil
}

// undecided refuses calls of literals that several functions of a name take.
func undecided(f *pg.FuncCall, name string) error {
	isText := func(i int) bool {
		if len(f.Args) <= i {
			return false
		}
		_, ok := literal(f.Args[i])
		return ok
	}
	signature := ""
	switch name {
	case "unnest":
		if isText(0) {
			return notUniqueFunction(f, "unnest(unknown)")
		}
		return nil
	case "extract":
		signature = "pg_catalog.extract(unknown, unknown)"
	case "date_part", "date_trunc":
		signature = name + "(unknown, unknown)"
	case "isfinite", "bit_count":
		if isText(0) {
			return notUniqueFunction(f, name+"(unknown)")
		}
	case "to_hex":
		if isText(0) {
			return notUniqueFunction(f, "to_hex(unknown)")
		}
		return nil
	case "array_to_json", "array_to_string", "array_dims", "array_ndims", "cardinality", "array_length", "array_upper", "array_lower":
		if isText(0) {
			return errorf("42804", f.Location, "could not determine polymorphic type because input has type unknown")
		}
		return nil
	}
	if signature != "" && len(f.Args) == 2 && isText(1) {
		return notUniqueFunction(f, signature)
	}
	return nil
}

func notUniqueFunction(f *pg.FuncCall, signature string) *Error {
	err := errorf("42725", f.Location, "function %s is not unique", signature)
	err.Hint = "Could not choose a best candidate function. You might need to add explicit type casts."
	return err
}

// withoutExtremes are the types of which PostgreSQL has no min and max.
var withoutExtremes = []datum.Type{datum.Bool, datum.JSON, datum.JSONB, datum.UUID, datum.Bytea, datum.Bit, datum.Varbit}

// decidedArgument refuses a literal where its type would be that of the result, and what
// the engine has not of some types.
func (r *rewriter) decidedArgument(f *pg.FuncCall, name string) error {
	if len(f.Args) == 0 {
		return nil
	}
	_, isText := literal(f.Args[0])
	t := r.typeOf(f.Args[0])
	switch name {
	case "lag", "lead":
		switch {
		case isText && len(f.Args) == 3 && r.typeOf(f.Args[2]) != datum.Unknown:
			return r.typeLiteral(&f.Args[0], r.typeOf(f.Args[2]))
		case isText && len(f.Args) == 3: // of texts
		case len(f.Args) == 3:
			if to := r.common([]*pg.Node{f.Args[0], f.Args[2]}); to.IsNumber() && !r.textual[f.Args[0]] {
				for _, a := range []**pg.Node{&f.Args[0], &f.Args[2]} {
					if r.typeOf(*a) != to && (*a).GetAConst().GetVal() == nil || (*a).GetAConst() != nil && r.typeOf(*a) != to && r.typeOf(*a) != datum.Unknown {
						*a = castTo(*a, to.String())
					}
				}
			}
		case isText:
			return errorf("42804", f.Location, "could not determine polymorphic type because input has type unknown")
		}
	case "array_agg", "bit_and", "bit_or", "bit_xor":
		if isText {
			return notUniqueFunction(f, name+"(unknown)")
		}
	case "to_json", "to_jsonb", "json_agg", "jsonb_agg", "first_value", "last_value", "nth_value", "mode":
		if isText {
			return errorf("42804", f.Location, "could not determine polymorphic type because input has type unknown")
		}
	case "sum", "avg":
		if isText {
			return notUniqueFunction(f, name+"(unknown)")
		}
	case "string_agg":
		if last := &f.Args[len(f.Args)-1]; len(f.Args) == 2 && r.knownNull(*last) {
			*last = text("")
		}
		if t == datum.Bytea {
			return unsupported(f.Location, "string_agg of bytea")
		}
	case "array_remove", "array_append":
		if len(f.Args) == 2 && r.typeOf(f.Args[1]) != datum.Unknown && !r.typeOf(f.Args[1]).IsArray() {
			return r.typeLiteral(&f.Args[0], r.typeOf(f.Args[1])|datum.Array)
		}
	case "array_cat":
		if len(f.Args) == 2 {
			if err := r.typeLiteral(&f.Args[0], r.typeOf(f.Args[1])); err != nil {
				return err
			}
			return r.typeLiteral(&f.Args[1], r.typeOf(f.Args[0]))
		}
	case "percentile_cont":
		if len(f.AggOrder) == 1 && r.typeOf(f.AggOrder[0].GetSortBy().GetNode()) == datum.Interval {
			return unsupported(f.Location, "percentile_cont of intervals")
		}
	}
	return nil
}

// ownFunction is a function that the engine has by this name, or another.
func (r *rewriter) ownFunction(f *pg.FuncCall, name string) (finish, error) {
	to, ok := functions[name]
	if !ok {
		return nil, r.missing(f, name)
	}
	if to == "" {
		to = name
	}
	if has(doubling, to) {
		if r.nesting++; r.nesting > maxNesting {
			return nil, tooNested(name)
		}
	}
	result := resultCasts[name]
	undefined := name == "corr" || name == "regr_slope" || name == "regr_intercept" || name == "regr_r2"
	return func(n *pg.Node) (*pg.Node, error) {
		if has(doubling, to) {
			r.nesting--
		}
		out := n.GetFuncCall()
		out.Funcname, out.Funcformat = []*pg.Node{str(to)}, pg.CoercionForm_COERCE_EXPLICIT_CALL
		switch {
		case result != "":
			return cast(n, result), nil
		case undefined: // of values that are all alike
			return call("nullif", n, cast(text("nan"), "DOUBLE")), nil
		}
		return n, nil
	}, nil
}

// noFunction is PostgreSQL's error for a function that there is not.
func noFunction(f *pg.FuncCall, signature string) *Error {
	err := errorf("42883", f.Location, "function %s does not exist", signature)
	err.Hint = "No function matches the given name and argument types. You might need to add explicit type casts."
	return err
}

// signature is what an error message says of the arguments.
func (r *rewriter) signature(f *pg.FuncCall) string {
	types := make([]string, len(f.Args))
	for i, a := range f.Args {
		types[i] = r.typeOf(a).SQLName()
	}
	return strings.Join(types, ", ")
}

// functionType is the type of a function's result, where the rewriter needs it.
func (r *rewriter) functionType(f *pg.FuncCall) datum.Type {
	name := lastName(f.Funcname)
	if r.somebodys(f) {
		if in, err := r.in.Inline(f, r.typeOf); err == nil && in != nil {
			return in.Type
		}
	}
	if c := r.builtinCall(f, name); c != nil {
		return c.Result
	}
	if t, ok := resultTypes[name]; ok {
		return t
	}
	if o, ok := objectFunctions[name]; ok {
		return o.result
	}
	if t, ok := jsonType(name); ok {
		return t
	}
	if len(f.Args) == 0 {
		return datum.Unknown
	}
	t := r.typeOf(f.Args[0])
	switch name {
	case "min", "max":
		if t == datum.Cidr { // PostgreSQL has them for inet only
			return datum.Inet
		}
		if _, isText := literal(f.Args[0]); t == datum.Varchar || t == datum.Name || isText {
			return datum.Text
		}
		return t
	case "lag", "lead":
		if _, isText := literal(f.Args[0]); isText && len(f.Args) == 3 {
			if t = r.typeOf(f.Args[2]); t == datum.Unknown {
				t = datum.Text
			}
		} else if len(f.Args) == 3 && t.IsNumber() {
			t = r.common([]*pg.Node{f.Args[0], f.Args[2]})
		}
		return t
	case "abs", "first_value", "last_value", "nth_value", "any_value", "bit_and", "bit_or", "bit_xor":
		return t
	case "sum":
		return sumType(t)
	case "avg":
		return averageType(t)
	case "stddev", "stddev_pop", "stddev_samp", "variance", "var_pop", "var_samp":
		if t == datum.Unknown || t.IsFloat() {
			return datum.Float8
		}
		return datum.Numeric
	case "gcd", "lcm", "mod", "generate_series":
		return r.common(f.Args)
	case "unnest":
		if t.IsArray() {
			return t.Elem()
		}
	case "round", "ceil", "ceiling", "floor", "trunc", "sign":
		if t.IsInt() {
			return datum.Float8
		}
		return t
	case "array_agg":
		if t != datum.Unknown && !t.IsArray() {
			return t | datum.Array
		}
	}
	return datum.Unknown
}

// sumType is PostgreSQL's rule.
func sumType(t datum.Type) datum.Type {
	switch t {
	case datum.Int2, datum.Int4:
		return datum.Int8
	case datum.Int8:
		return datum.Numeric
	default:
	}
	return t
}

// averageType is PostgreSQL's rule.
func averageType(t datum.Type) datum.Type {
	switch {
	case t.IsFloat():
		return datum.Float8
	case t.IsInt():
		return datum.Numeric
	}
	return t
}

// special is a function that needs more than another name.
type special func(r *rewriter, f *pg.FuncCall) (finish, error)

func renamed(n *pg.Node, name string, args ...*pg.Node) *pg.Node {
	f := n.GetFuncCall()
	f.Funcname, f.Args, f.Funcformat = []*pg.Node{str(name)}, args, pg.CoercionForm_COERCE_EXPLICIT_CALL
	return n
}

// specialSum gives sums of integers PostgreSQL's type.
func specialSum(r *rewriter, f *pg.FuncCall) (finish, error) {
	if len(f.Args) != 1 {
		return nil, errorf("42883", f.Location, "function sum(%s) does not exist", r.signature(f))
	}
	t := r.typeOf(f.Args[0])
	if t == datum.Interval && f.Over != nil {
		return nil, unsupported(f.Location, "sum of intervals over a window: sum extract(epoch from ...), that")
	}
	if v, ok := r.constantValue(f.Args[0]); ok && t.IsFloat() && v.Type.IsFloat() && !v.Null && v.F == 0 && math.Signbit(v.F) {
		// All are -0, and so is their sum, which the engine begins with 0.
		return func(n *pg.Node) (*pg.Node, error) { return renamed(n, "min", n.GetFuncCall().Args...), nil }, nil
	}
	if t.IsFloat() {
		inOrder(f)
	}
	if t == datum.Float8 {
		return r.bounded(f, "sum"), nil
	}
	return func(n *pg.Node) (*pg.Node, error) {
		switch n = renamed(n, "sum", n.GetFuncCall().Args...); t {
		case datum.Int2, datum.Int4:
			return cast(n, "BIGINT"), nil
		case datum.Float4:
			return cast(n, "FLOAT"), nil
		default:
		}
		return n, nil
	}, nil
}

// specialAvg divides the sum by the count, exactly; DuckDB's avg is a double.
func specialAvg(r *rewriter, f *pg.FuncCall) (finish, error) {
	if len(f.Args) != 1 {
		return nil, errorf("42883", f.Location, "function avg(%s) does not exist", r.signature(f))
	}
	t := r.typeOf(f.Args[0])
	if t.IsFloat() {
		inOrder(f)
	}
	if r.nesting++; r.nesting > maxNesting {
		return nil, tooNested("avg")
	}
	return func(n *pg.Node) (*pg.Node, error) {
		r.nesting--
		if t.IsFloat() {
			return r.bounded(n.GetFuncCall(), "avg")(n)
		}
		if t == datum.Interval {
			return renamed(n, "avg", n.GetFuncCall().Args...), nil
		}
		sum := renamed(n, "sum", n.GetFuncCall().Args...)
		f := n.GetFuncCall()
		count := &pg.FuncCall{ // shares what is below
			Funcname: []*pg.Node{str("count")}, Args: f.Args, AggOrder: f.AggOrder, AggFilter: f.AggFilter, Over: f.Over,
			AggDistinct: f.AggDistinct, Funcformat: f.Funcformat, Location: -1,
		}
		return call("nd_avg", sum, &pg.Node{Node: &pg.Node_FuncCall{FuncCall: count}}), nil
	}, nil
}

func tooNested(name string) *Error {
	return &Error{Code: "54001", Message: "statement is too complex", Hint: "Too many calls of " + name + " within each other."}
}

// specialCount makes count(t.*) and count(t) count rows that an outer join did not
// make up.
func specialCount(r *rewriter, f *pg.FuncCall) (finish, error) {
	if !f.AggDistinct {
		r.takesText(f.Args...)
	}
	if len(f.Args) == 1 {
		if ref := f.Args[0].GetColumnRef(); ref != nil {
			names, star := fieldNames(ref)
			rel := (*relation)(nil)
			if _, isColumn := r.scope.find(ref); len(names) > 0 && !isColumn && (star || len(names) == 1) {
				rel = r.scope.relation(names[len(names)-1])
			}
			if rel != nil {
				i := slices.IndexFunc(rel.columns, func(c column) bool { return c.notNull })
				filled, here := r.scope.filled[rel.name]
				switch {
				case i < 0 && here && !filled && !f.AggDistinct: // a row of an item of FROM is none that is null
					return func(n *pg.Node) (*pg.Node, error) {
						n = renamed(n, "count")
						n.GetFuncCall().AggStar = true
						return n, nil
					}, nil
				case i < 0:
					return nil, unsupported(f.Location, "count of a whole row")
				}
				f.Args[0] = pg.MakeColumnRefNode([]*pg.Node{str(rel.name), str(rel.columns[i].name)}, -1)
			}
		}
	}
	return func(n *pg.Node) (*pg.Node, error) { return renamed(n, "count", n.GetFuncCall().Args...), nil }, nil
}

// specialSubstring distinguishes positions from a pattern.
func specialSubstring(r *rewriter, f *pg.FuncCall) (finish, error) {
	pattern := false
	if len(f.Args) == 2 {
		_, isText := literal(f.Args[1])
		pattern = isText || r.typeOf(f.Args[1]).IsString()
	}
	var start, count datum.Datum
	fixed := false
	if len(f.Args) == 3 {
		start, fixed = r.constantValue(f.Args[1])
		var ok bool
		count, ok = r.constantValue(f.Args[2])
		fixed = fixed && ok && start.Type == datum.Int4 && count.Type == datum.Int4 && count.I >= 0
	}
	return func(n *pg.Node) (*pg.Node, error) {
		a := n.GetFuncCall().Args
		switch {
		case pattern:
			return nil, unsupported(f.Location, "substring with a pattern of a value whose type is not known before the statement runs")
		case len(a) == 3 && fixed:
			// The macro's lambda cannot take an argument that is a subquery.
			from := max(start.I, 1)
			return call("substring", a[0], integer(from), integer(max(start.I+count.I-from, 0))), nil
		case len(a) == 3:
			return call("nd_substring", a...), nil
		}
		return call("nd_substring_from", a...), nil
	}, nil
}

// specialRound: PostgreSQL rounds float8 half to even.
func specialRound(r *rewriter, f *pg.FuncCall) (finish, error) {
	float := len(f.Args) == 1 && (r.typeOf(f.Args[0]).IsFloat() || r.typeOf(f.Args[0]).IsInt())
	return func(n *pg.Node) (*pg.Node, error) {
		if float {
			return cast(renamed(n, "round_even", n.GetFuncCall().Args[0], integer(0)), "DOUBLE"), nil
		}
		return renamed(n, "round", n.GetFuncCall().Args...), nil
	}, nil
}
