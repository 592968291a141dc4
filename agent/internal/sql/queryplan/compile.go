package queryplan

import (
	"math"
	"slices"
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// compiler turns PostgreSQL's expressions into Exprs. Its errors are errSlow for
// what Go does not do, and *syntax.Error for what is wrong in any case.
type compiler struct {
	scope  *scope
	params *Params
	// sequence finds what nextval('name') names; nil: it is found when the call is made.
	sequence func(syntax.Name) (cluster.ObjectID, error)
	// view is the one by which the statement changes rows; nil: none.
	view *throughView
	// typ finds a written type; nil: only PostgreSQL's own are known.
	typ func(syntax.TypeName) (catalog.Resolved, error)
	// elsewhere says that the text is not the statement's, so that positions in it
	// mean nothing to its client.
	elsewhere bool
	// functions finds those that somebody has made; nil: there are none. called is told
	// which are called, and calls that the session carries one out.
	functions func(syntax.Name) []*Routine
	called    func(*Routine)
	calls     *bool
	// notifies is told that pg_notify is called; nil: nobody asks.
	notifies *bool
	// chosen, if not nil, is told what each call in the text means. kept says that the text
	// is of an object, where names of functions mean nothing: they stand by their ids.
	chosen func(*pg.FuncCall, *Routine)
	kept   bool
	// bound are what parameters stand for in the body of a function, depth how many bodies
	// this one stands in.
	bound []Expr
	depth int
	// calling says that the call of a procedure is compiled.
	calling bool
	// grouping says that expressions are over rows of a group; nil: of a table.
	grouping *grouping
	// fails is told of the first constants that cannot be computed; nil: nobody asks.
	fails *error
}

func (c *compiler) position(location int32) int {
	if c.elsewhere {
		return 0
	}
	return syntax.Position(location)
}

// expr compiles n.
func (c *compiler) expr(n *pg.Node) (Expr, error) {
	e, err := c.compile(n)
	if err == nil {
		e = settled(e)
	}
	switch f := e.(type) {
	case *fn:
		if f.name == "" {
			f.name = spelled(n)
		}
	case *failing:
		if c.fails != nil && *c.fails == nil {
			*c.fails = f.err
		}
	}
	return e, err
}

// unless compiles n; that its constants cannot be computed matters unless it is never reached.
func (c *compiler) unless(unreached bool, n *pg.Node) (Expr, error) {
	if !unreached || c.fails == nil {
		return c.expr(n)
	}
	was := *c.fails
	defer func() { *c.fails = was }()
	return c.expr(n)
}

// until compiles expressions of which those behind one that decides are never reached.
func (c *compiler) until(ns []*pg.Node, decides func(datum.Datum) bool) ([]Expr, error) {
	out := make([]Expr, len(ns))
	decided := false
	for i, n := range ns {
		var err error
		if out[i], err = c.unless(decided, n); err != nil {
			return nil, err
		}
		v, ok := knownAhead(out[i])
		decided = decided || ok && decides(v)
	}
	return out, nil
}

// isTrue reports whether a value is, and isFalse whether it is the other one.
func isTrue(v datum.Datum) bool  { return v.Type == datum.Bool && !v.Null && v.Bool() }
func isFalse(v datum.Datum) bool { return v.Type == datum.Bool && !v.Null && !v.Bool() }

func (c *compiler) compile(n *pg.Node) (Expr, error) {
	if c.grouping != nil {
		if e, ok, err := c.grouping.resolve(n); ok || err != nil {
			return e, err
		}
	}
	switch n := n.GetNode().(type) {
	case *pg.Node_AConst:
		return c.constant(n.AConst)
	case *pg.Node_ParamRef:
		return c.param(n.ParamRef)
	case *pg.Node_ColumnRef:
		return c.column(n.ColumnRef)
	case *pg.Node_TypeCast:
		return c.cast(n.TypeCast)
	case *pg.Node_BoolExpr:
		return c.boolean(n.BoolExpr)
	case *pg.Node_NullTest:
		return c.nullTest(n.NullTest)
	case *pg.Node_BooleanTest:
		return c.booleanTest(n.BooleanTest)
	case *pg.Node_AExpr:
		return c.operator(n.AExpr)
	case *pg.Node_CoalesceExpr:
		args, err := c.until(n.CoalesceExpr.GetArgs(), func(v datum.Datum) bool { return !v.Null })
		if err == nil {
			args, _, err = alternatives(args)
		}
		return &coalesceExpr{args: args}, err
	case *pg.Node_CaseExpr:
		return c.caseWhen(n.CaseExpr)
	case *pg.Node_MinMaxExpr:
		return c.minMax(n.MinMaxExpr)
	case *pg.Node_FuncCall:
		return c.function(n.FuncCall)
	case *pg.Node_SqlvalueFunction:
		return c.valueFunction(n.SqlvalueFunction)
	case *pg.Node_AArrayExpr:
		return c.array(n.AArrayExpr)
	case *pg.Node_AIndirection:
		return c.indirection(n.AIndirection)
	default:
		return nil, errSlow
	}
}

func (c *compiler) exprs(ns []*pg.Node) ([]Expr, error) {
	out := make([]Expr, len(ns))
	for i, n := range ns {
		var err error
		if out[i], err = c.expr(n); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (c *compiler) constant(k *pg.A_Const) (Expr, error) {
	position := c.position(k.GetLocation())
	switch {
	case k.GetIsnull():
		return &Const{Value: datum.MakeNull(datum.Unknown), position: position}, nil
	case k.GetSval() != nil:
		return &Const{Value: datum.MakeString(datum.Unknown, k.GetSval().GetSval()), position: position}, nil
	case k.GetBoolval() != nil:
		return &Const{Value: datum.MakeBool(k.GetBoolval().GetBoolval()), position: position}, nil
	case k.GetFval() != nil:
		v, err := numberLiteral(k.GetFval().GetFval())
		return &Const{Value: v, position: position}, at(err, position)
	case k.GetIval() != nil:
		return &Const{Value: datum.MakeInt(datum.Int4, int64(k.GetIval().GetIval())), position: position}, nil
	default:
		v, err := datum.ParseText(datum.Bit, k.GetBsval().GetBsval(), nil)
		return &Const{Value: v, position: position}, at(err, position)
	}
}

// numberLiteral is a number that the parser has as a text: an int8 if it fits, else numeric.
func numberLiteral(s string) (datum.Datum, error) {
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		if i == math.MinInt32 { // whose digits alone are an int8
			return datum.MakeInt(datum.Int4, i), nil
		}
		return datum.MakeInt(datum.Int8, i), nil
	}
	return datum.ParseText(datum.Numeric, s, nil)
}

func (c *compiler) param(p *pg.ParamRef) (Expr, error) {
	const maxParams = math.MaxUint16
	n := int(p.GetNumber())
	if c.bound != nil && n >= 1 && n <= len(c.bound) {
		return c.bound[n-1], nil
	}
	if n < 1 || n > maxParams {
		return nil, fail("42P02", c.position(p.GetLocation()), "there is no parameter $%d", n)
	}
	for len(c.params.Types) < n {
		c.params.Types = append(c.params.Types, datum.Unknown)
	}
	return &Param{Index: n - 1, params: c.params}, nil
}

func (c *compiler) column(r *pg.ColumnRef) (Expr, error) {
	var parts []string
	for _, f := range r.GetFields() {
		s := f.GetString_()
		if s == nil {
			return nil, errSlow // a star
		}
		parts = append(parts, s.GetSval())
	}
	position := c.position(r.GetLocation())
	if c.scope == nil {
		return nil, fail("42703", position, "column %q does not exist", parts[len(parts)-1])
	}
	switch len(parts) {
	case 1:
		e, err := c.scope.column("", parts[0], position)
		if err != nil && c.namesRelation(parts[0]) {
			return nil, errSlow // a whole row
		}
		if err != nil {
			return nil, err
		}
		return e, nil
	case 2:
		e, err := c.scope.column(parts[0], parts[1], position)
		if err != nil {
			return nil, err
		}
		return e, nil
	case 3:
		if !c.isOf(parts[1], parts[0]) {
			return nil, errSlow
		}
		e, err := c.scope.column(parts[1], parts[2], position)
		if err != nil {
			return nil, err
		}
		return e, nil
	default:
		return nil, errSlow
	}
}

// isOf reports whether a name is that of a table of a schema, and of no alias of another.
func (c *compiler) isOf(name, schema string) bool {
	for _, r := range c.scope.relations {
		if r.alias == name && r.table != nil && r.table.Name() == name && r.table.Schema() != nil && r.table.Schema().Name == schema {
			return true
		}
	}
	return false
}

func (c *compiler) namesRelation(name string) bool {
	for _, r := range c.scope.relations {
		if r.alias == name {
			return true
		}
	}
	return false
}

func (c *compiler) cast(n *pg.TypeCast) (Expr, error) {
	name, err := syntax.ConvertType(n.GetTypeName())
	if err != nil {
		return nil, err
	}
	if name.Name == "jsonpath" && name.Schema == "" {
		return c.pathCast(n)
	}
	r, err := c.resolveType(name)
	if err != nil {
		return nil, err
	}
	t, modifier := r.Type, r.Modifier
	if !t.Storable() {
		return nil, errSlow // those of catalogs
	}
	if a := n.GetArg().GetAArrayExpr(); a != nil && len(a.GetElements()) == 0 && t.IsArray() {
		return &Const{Value: datum.MakeArray(t.Elem(), nil)}, nil
	}
	if row := n.GetArg().GetRowExpr(); row != nil && t.IsComposite() {
		return c.row(row, t, datum.Explicit, n.GetLocation())
	}
	arg, err := c.castOperand(n.GetArg(), t)
	if err != nil {
		return nil, err
	}
	position := c.position(n.GetLocation())
	if k, ok := arg.(*Const); ok {
		position = k.position
	}
	out, err := convert(arg, t, modifier, datum.Explicit)
	if err == nil && r.User != nil && r.User.Domain != nil {
		return ofDomain(out, r)
	}
	return out, at(err, position)
}

// resolveType finds the type of a cast. errSlow: only the slow path may know it.
func (c *compiler) resolveType(name syntax.TypeName) (catalog.Resolved, error) {
	if r, ok := numbered(name); ok {
		return r, nil
	}
	if c.typ != nil {
		r, err := c.typ(name)
		if err != nil {
			return r, errSlow
		}
		return r, nil
	}
	t, modifier, err := catalog.ResolveType(name)
	if err != nil || name.Schema != "" {
		return catalog.Resolved{}, errSlow
	}
	return catalog.Resolved{Type: t, Modifier: modifier}, nil
}

func (c *compiler) boolean(n *pg.BoolExpr) (Expr, error) {
	decides := isFalse
	if n.GetBoolop() == pg.BoolExprType_OR_EXPR {
		decides = isTrue
	}
	args, err := c.until(n.GetArgs(), decides)
	if err != nil {
		return nil, err
	}
	for i := range args {
		if args[i], err = c.condition(args[i], n.GetArgs()[i]); err != nil {
			return nil, err
		}
	}
	if n.GetBoolop() != pg.BoolExprType_NOT_EXPR {
		if known := decidedBy(args, decides); known != nil {
			return known, nil
		}
		if n.GetBoolop() == pg.BoolExprType_OR_EXPR {
			args = lists(args)
		}
		if len(args) == 1 {
			return args[0], nil
		}
		return &andExpr{args: args, or: n.GetBoolop() == pg.BoolExprType_OR_EXPR}, nil
	}
	return &fn{typ: datum.Bool, args: args, strict: true, eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return datum.MakeBool(!a[0].Bool()), nil
	}}, nil
}

// condition makes e a boolean.
func (c *compiler) condition(e Expr, n *pg.Node) (Expr, error) {
	if e.Type() == datum.Bool {
		return e, nil
	}
	if e.Type() != datum.Unknown {
		return nil, fail("42804", 0, "argument must be type boolean, not type %s", e.Type().SQLName())
	}
	out, err := coerce(e, datum.Bool)
	return out, at(err, c.position(n.GetAConst().GetLocation()))
}

// decidedBy is the one of args that decides AND or OR before there are rows: PostgreSQL computes
// none of the others then, not even those that do something. nil: there is none.
func decidedBy(args []Expr, decides func(datum.Datum) bool) Expr {
	for _, a := range args {
		if v, ok := knownAhead(a); ok && decides(v) {
			return a
		}
		if holdsFailing(a) {
			return nil
		}
	}
	return nil
}

// holdsFailing reports whether there is in e what constants cannot make.
func holdsFailing(e Expr) bool {
	return fails(e) || slices.ContainsFunc(children(e), holdsFailing)
}

func (c *compiler) nullTest(n *pg.NullTest) (Expr, error) {
	arg, err := c.expr(n.GetArg())
	if err != nil {
		return nil, err
	}
	if arg.Type() == datum.Unknown {
		if arg, err = coerce(arg, datum.Text); err != nil {
			return nil, err
		}
	}
	if arg.Type().IsComposite() {
		null := n.GetNulltesttype() == pg.NullTestType_IS_NULL
		return &fn{name: "row is " + strconv.FormatBool(null), typ: datum.Bool, args: []Expr{arg}, eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
			return datum.MakeBool(datum.RowIs(a[0], null)), nil
		}}, nil
	}
	want := n.GetNulltesttype() == pg.NullTestType_IS_NULL
	return &fn{typ: datum.Bool, args: []Expr{arg}, eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return datum.MakeBool(a[0].Null == want), nil
	}}, nil
}

func (c *compiler) booleanTest(n *pg.BooleanTest) (Expr, error) {
	arg, err := c.expr(n.GetArg())
	if err != nil {
		return nil, err
	}
	if arg, err = c.condition(arg, n.GetArg()); err != nil {
		return nil, err
	}
	kind := n.GetBooltesttype()
	return &fn{typ: datum.Bool, args: []Expr{arg}, eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		var yes bool
		switch kind {
		case pg.BoolTestType_IS_TRUE:
			yes = a[0].Bool()
		case pg.BoolTestType_IS_NOT_TRUE:
			yes = !a[0].Bool()
		case pg.BoolTestType_IS_FALSE:
			yes = !a[0].Null && !a[0].Bool()
		case pg.BoolTestType_IS_NOT_FALSE:
			yes = a[0].Null || a[0].Bool()
		case pg.BoolTestType_IS_UNKNOWN:
			yes = a[0].Null
		default:
			yes = !a[0].Null
		}
		return datum.MakeBool(yes), nil
	}}, nil
}

// unified compiles expressions that must have one type, as in COALESCE.
func (c *compiler) unified(ns []*pg.Node) ([]Expr, datum.Type, error) {
	args, err := c.exprs(ns)
	if err != nil {
		return nil, 0, err
	}
	return alternatives(args)
}

// alternatives is unify of values of which one is the result: of several types of texts, or of
// float4 and other numbers, it is not the type that they are compared as.
func alternatives(args []Expr) ([]Expr, datum.Type, error) {
	first := datum.Unknown
	for _, a := range args {
		switch t := a.Type(); {
		case t == datum.Unknown || t == first:
		case first == datum.Unknown:
			first = t
		case t == datum.Char || first == datum.Char:
			return nil, 0, errSlow
		case t.IsString() && first.IsString(): // each becomes the other by itself
		case t.IsNumber() && first.IsNumber():
			if first = chosenNumber(first, t); first == datum.Unknown {
				return nil, 0, errSlow
			}
		case t.IsString() || first.IsString():
			return nil, 0, errSlow
		}
	}
	if !first.IsString() && first != datum.Float4 {
		return unify(args)
	}
	args = slices.Clone(args)
	for i := range args {
		var err error
		if args[i], err = coerce(args[i], first); err != nil {
			return nil, 0, err
		}
	}
	return args, first, nil
}

// chosenNumber is the type of the one of two numbers that the other becomes by itself.
func chosenNumber(a, b datum.Type) datum.Type {
	switch {
	case a == datum.Float8 || b == datum.Float8:
		return datum.Float8
	case a == datum.Float4 || b == datum.Float4:
		return datum.Float4
	}
	t, _ := datum.CommonType(a, b)
	return t
}

// unify gives all of args the type of the strongest.
func unify(args []Expr) ([]Expr, datum.Type, error) {
	t := datum.Unknown
	for _, a := range args {
		switch at := a.Type(); {
		case at == datum.Unknown || at == t:
		case t == datum.Unknown:
			t = at
		default:
			var ok bool
			if t, ok = datum.CommonType(t, at); !ok {
				return nil, 0, errSlow // PostgreSQL's error comes from there
			}
		}
	}
	if t == datum.Unknown {
		t = datum.Text
	}
	for i := range args {
		var err error
		if args[i], err = coerce(args[i], t); err != nil {
			return nil, 0, err
		}
	}
	return args, t, nil
}

func (c *compiler) caseWhen(n *pg.CaseExpr) (Expr, error) {
	var of Expr
	if n.GetArg() != nil {
		var err error
		if of, err = c.expr(n.GetArg()); err == nil && of.Type() == datum.Unknown {
			of, err = coerce(of, datum.Text)
		}
		if err != nil {
			return nil, err
		}
	}
	e := &caseExpr{}
	if of != nil && !isConst(of) { // which is computed once
		e.operand, of = of, &heldExpr{of: of}
	}
	decided := false // a condition before is always true
	for _, w := range n.GetArgs() {
		when := w.GetCaseWhen()
		cond, err := c.unless(decided, when.GetExpr())
		if err != nil {
			return nil, err
		}
		if of != nil {
			if cond, err = compare("=", of, cond); err == nil {
				cond = settled(cond)
			}
		} else {
			cond, err = c.condition(cond, when.GetExpr())
		}
		if err != nil {
			return nil, err
		}
		v, known := knownAhead(cond)
		result, err := c.unless(decided || known && !isTrue(v), when.GetResult())
		if err != nil {
			return nil, err
		}
		decided = decided || known && isTrue(v)
		e.conditions, e.results = append(e.conditions, cond), append(e.results, result)
	}
	var last Expr = &Const{Value: datum.MakeNull(datum.Unknown)}
	var err error
	if n.GetDefresult() != nil {
		if last, err = c.unless(decided, n.GetDefresult()); err != nil {
			return nil, err
		}
	}
	// ELSE comes first where types are chosen.
	results, t, err := alternatives(append([]Expr{last}, e.results...))
	if err != nil {
		return nil, err
	}
	e.results, e.typ = append(results[1:], results[0]), t
	return e, nil
}

func (c *compiler) minMax(n *pg.MinMaxExpr) (Expr, error) {
	args, t, err := c.unified(n.GetArgs())
	if err != nil {
		return nil, err
	}
	want := 1
	if n.GetOp() == pg.MinMaxOp_IS_LEAST {
		want = -1
	}
	return &fn{typ: t, args: args, eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		best := datum.MakeNull(t)
		for _, v := range a {
			if !v.Null && (best.Null || datum.Compare(v, best) == want) {
				best = v
			}
		}
		return best, nil
	}}, nil
}
