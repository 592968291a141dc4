package queryplan

import (
	"errors"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/datum/jsonb"
)

func operatorName(n *pg.A_Expr) string {
	names := n.GetName()
	if len(names) == 0 {
		return ""
	}
	return names[len(names)-1].GetString_().GetSval()
}

// operator compiles what the grammar calls an A_Expr.
func (c *compiler) operator(n *pg.A_Expr) (Expr, error) {
	name := operatorName(n)
	switch n.GetKind() {
	case pg.A_Expr_Kind_AEXPR_OP:
		if n.GetLexpr() == nil {
			return c.prefix(name, n)
		}
		return c.binary(name, n)
	case pg.A_Expr_Kind_AEXPR_IN:
		list := n.GetRexpr().GetList().GetItems()
		return c.in(n, list, name == "<>")
	case pg.A_Expr_Kind_AEXPR_OP_ANY, pg.A_Expr_Kind_AEXPR_OP_ALL:
		if name != "=" || n.GetKind() == pg.A_Expr_Kind_AEXPR_OP_ALL {
			return c.quantified(n, name)
		}
		return c.anyOf(n)
	case pg.A_Expr_Kind_AEXPR_BETWEEN, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN, pg.A_Expr_Kind_AEXPR_BETWEEN_SYM, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM:
		return c.between(n)
	case pg.A_Expr_Kind_AEXPR_LIKE, pg.A_Expr_Kind_AEXPR_ILIKE:
		return c.like(n, name)
	case pg.A_Expr_Kind_AEXPR_SIMILAR:
		return c.matchConstants(n, name)
	case pg.A_Expr_Kind_AEXPR_DISTINCT, pg.A_Expr_Kind_AEXPR_NOT_DISTINCT:
		return c.distinct(n)
	case pg.A_Expr_Kind_AEXPR_NULLIF:
		return c.nullIf(n)
	default:
		return nil, errSlow
	}
}

func (c *compiler) pair(l, r *pg.Node) (Expr, Expr, error) {
	a, err := c.expr(l)
	if err != nil {
		return nil, nil, err
	}
	b, err := c.expr(r)
	return a, b, err
}

func (c *compiler) binary(name string, n *pg.A_Expr) (Expr, error) {
	switch name {
	case "~", "~*", "!~", "!~*":
		return c.matchConstants(n, name)
	}
	if e, err := c.compareRows(name, n); e != nil || err != nil {
		return e, err
	}
	switch name {
	case "=", "<>", "!=", "<", "<=", ">", ">=":
		if e, err := c.rowPair(name, n.GetLexpr(), n.GetRexpr()); e != nil || err != nil {
			return e, err
		}
	}
	a, b, err := c.pair(n.GetLexpr(), n.GetRexpr())
	if err != nil {
		return nil, err
	}
	position := c.position(n.GetLocation())
	if f := jsonb.Operator(name, b.Type()); f != "" && (a.Type() == datum.JSONB || b.Type() == datum.JSONB) {
		e, err := jsonCall(f, []Expr{a, b})
		return e, at(err, position)
	}
	if e, ok, err := arrayOperator(name, a, b); ok {
		return e, at(err, position)
	}
	switch name {
	case "=", "<>", "!=", "<", "<=", ">", ">=":
		if err := anonymous(a, b); err != nil {
			return nil, err
		}
		return ordered(compare(name, a, b))
	case "+", "-", "*", "/", "%":
		e, err := arithmetic(name, a, b)
		return e, at(err, position)
	case "||":
		return concat(a, b)
	case "&", "|", "#":
		return bitwise(name, a, b)
	case "<<", ">>":
		if !a.Type().IsInt() {
			return nil, errSlow
		}
		e, ok, err := builtinFunction(map[string]string{"<<": builtin.ShiftLeft, ">>": builtin.ShiftRight}[name], []Expr{a, b})
		if !ok {
			return nil, errSlow
		}
		return e, at(err, position)
	case "^":
		e, ok, err := builtinFunction("power", []Expr{a, b})
		if !ok {
			return nil, errSlow
		}
		return e, at(err, position)
	default:
		return nil, errSlow
	}
}

// compare compiles a comparison after bringing both sides to one type.
func compare(name string, a, b Expr) (Expr, error) {
	args, err := blanksDoNotCount([]Expr{a, b})
	if err != nil {
		return nil, err
	}
	args, t, err := sides(args)
	if err != nil {
		return nil, err
	}
	if t.Elem() == datum.JSON {
		return nil, errSlow
	}
	if nullConst(a) && !fails(b) || nullConst(b) && !fails(a) { // what they are compared as is not computed
		return &Const{Value: datum.MakeNull(datum.Bool)}, nil
	}
	return &compareExpr{op: name, left: args[0], right: args[1], typ: t}, nil
}

// blanksDoNotCount makes a varchar that is compared with a char(n) one, as PostgreSQL does: its
// own blanks at the end do not count then. Beside a text they do.
func blanksDoNotCount(pair []Expr) ([]Expr, error) {
	for i, other := range []int{1, 0} {
		if pair[i].Type() == datum.Varchar && pair[other].Type() == datum.Bpchar {
			e, err := coerce(pair[i], datum.Bpchar)
			if err != nil {
				return nil, err
			}
			out := []Expr{pair[other], pair[other]}
			out[i] = e
			return out, nil
		}
	}
	return pair, nil
}

// sides gives values that are compared one type. A date that no timestamp is equal to lies before
// or behind all of them: PostgreSQL compares them as they are.
func sides(args []Expr) ([]Expr, datum.Type, error) {
	t := datum.Date
	for _, a := range args {
		if of := a.Type(); of == datum.Timestamptz || of == datum.Timestamp && t == datum.Date {
			t = of
		}
	}
	args = slices.Clone(args)
	for i, a := range args {
		if a.Type() == datum.Date && t != datum.Date {
			args[i] = clamped(a, t)
		}
	}
	return unify(args)
}

// clamped is a date as a timestamp to be compared.
func clamped(e Expr, t datum.Type) Expr {
	beyond := func(d datum.Datum) datum.Datum {
		if d.I < 0 {
			return datum.MakeInt(t, datum.TimestampMinusInfinty+1)
		}
		return datum.MakeInt(t, datum.TimestampInfinity-1)
	}
	out, err := coerce(e, t)
	if err != nil {
		return e
	}
	switch out := out.(type) {
	case *failing:
		if k, ok := e.(*Const); ok {
			return &Const{Value: beyond(k.Value), position: k.position}
		}
	case *fn:
		compared := *out
		compared.eval = func(env *Env, a []datum.Datum) (datum.Datum, error) {
			v, err := out.eval(env, a)
			if wrong := (*datum.Error)(nil); errors.As(err, &wrong) && wrong.Code == "22008" {
				return beyond(a[0]), nil
			}
			return v, err
		}
		return &compared
	}
	return out
}

// compareExpr is a comparison of two values of one type. It is a type of its own
// because access paths are found by it.
type compareExpr struct {
	op          string
	left, right Expr
	typ         datum.Type // of the sides
}

func (e *compareExpr) Type() datum.Type { return datum.Bool }

func (e *compareExpr) Eval(env *Env) (datum.Datum, error) {
	l, err := e.left.Eval(env)
	if err != nil {
		return l, err
	}
	r, err := e.right.Eval(env)
	if err != nil {
		return r, err
	}
	if l.Null || r.Null {
		return datum.MakeNull(datum.Bool), nil
	}
	return datum.MakeBool(satisfies(e.op, datum.Compare(l, r))), nil
}

func satisfies(op string, order int) bool {
	switch op {
	case "=":
		return order == 0
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	case ">=":
		return order >= 0
	default:
		return order != 0
	}
}

func (c *compiler) in(n *pg.A_Expr, list []*pg.Node, negated bool) (Expr, error) {
	if e, err := c.tuples(n, list, negated); e != nil || err != nil {
		return e, err
	}
	one, err := c.oneOf(n.GetLexpr(), list)
	if err != nil {
		return nil, err
	}
	if e, ok := one.(*inExpr); ok {
		e.not = negated
		return e, nil
	}
	if negated {
		one = not(one)
	}
	return one, nil
}

// isOneOf is IN as PostgreSQL reads it: values that name no column are a list, which is looked
// through first, and each of the others is compared by itself, if it has to be. Arrays are in no
// list.
func isOneOf(value Expr, list []Expr) Expr {
	var alone, apart []Expr
	fails := func(e Expr) bool {
		_, column := plain(e).(*ColumnRef)
		return !column && !stands(e) || e.Type().IsArray()
	}
	for _, e := range list {
		if !ofRow(e) && !e.Type().IsArray() {
			alone = append(alone, e)
		} else {
			apart = append(apart, e)
		}
	}
	if !slices.ContainsFunc(apart, fails) {
		return &inExpr{value: value, list: list}
	}
	out := &andExpr{or: true}
	if len(alone) > 1 {
		out.args = append(out.args, &inExpr{value: value, list: alone})
	} else {
		apart = list
	}
	for _, e := range apart {
		out.args = append(out.args, equal(value, e))
	}
	return out
}

// equal compares two values of one type, of which none is computed beside a null.
func equal(a, b Expr) Expr {
	if nullConst(a) && !fails(b) || nullConst(b) && !fails(a) {
		return &Const{Value: datum.MakeNull(datum.Bool)}
	}
	return &compareExpr{op: "=", left: a, right: b, typ: b.Type()}
}

// among compiles a value and those that it is compared with, in this order, as one type.
func (c *compiler) among(value *pg.Node, list []*pg.Node) ([]Expr, datum.Type, error) {
	args, err := c.valueAndList(value, list)
	if err != nil {
		return nil, datum.Unknown, err
	}
	return sides(args)
}

func (c *compiler) valueAndList(value *pg.Node, list []*pg.Node) ([]Expr, error) {
	first, err := c.expr(value)
	if err != nil {
		return nil, err
	}
	items, err := c.exprs(list)
	return append([]Expr{first}, items...), err
}

func (c *compiler) anyOf(n *pg.A_Expr) (Expr, error) {
	if n.GetRexpr().GetSubLink() != nil {
		return nil, errSlow
	}
	value, array, err := c.pair(n.GetLexpr(), n.GetRexpr())
	if err != nil {
		return nil, err
	}
	t := value.Type()
	switch {
	case array.Type() == datum.Unknown && t == datum.Unknown:
		t = datum.Text
	case array.Type() == datum.Unknown:
	case !array.Type().IsArray():
		return nil, errSlow
	case t == datum.Unknown:
		t = array.Type().Elem()
	default:
		var ok bool
		if t, ok = datum.CommonType(t, array.Type().Elem()); !ok {
			return nil, errSlow
		}
	}
	if t.IsArray() || t == datum.JSON {
		return nil, errSlow
	}
	sided, _, err := sides([]Expr{value, &Const{Value: datum.MakeNull(t)}})
	if err != nil {
		return nil, err
	}
	value = sided[0]
	if array, err = convert(array, t|datum.Array, -1, datum.Explicit); err != nil {
		return nil, err
	}
	return &inExpr{value: value, array: array}, nil
}

// quantified is ANY and ALL of an array, of constants: others are the engine's.
func (c *compiler) quantified(n *pg.A_Expr, op string) (Expr, error) {
	switch op {
	case "=", "<>", "!=", "<", "<=", ">", ">=":
	case "~~", "!~~", "~~*", "!~~*":
		return c.likeEach(n, op)
	default:
		return nil, errSlow
	}
	list := n.GetRexpr().GetAArrayExpr().GetElements()
	if len(list) == 0 {
		return nil, errSlow
	}
	value, err := c.expr(n.GetLexpr())
	if err != nil {
		return nil, err
	}
	items, err := c.exprs(list)
	if err == nil { // the array has a type of its own
		items, _, err = alternatives(items)
	}
	if err != nil {
		return nil, err
	}
	args, t, err := sides(append([]Expr{value}, items...))
	if err != nil {
		return nil, err
	}
	if t.Elem() == datum.JSON || t.IsArray() || slices.ContainsFunc(args, func(e Expr) bool { return !isConst(e) }) {
		return nil, errSlow
	}
	each := make([]Expr, len(list))
	for i := range each {
		each[i] = &compareExpr{op: op, left: args[0], right: args[i+1], typ: t}
	}
	return &andExpr{args: each, or: n.GetKind() == pg.A_Expr_Kind_AEXPR_OP_ANY}, nil
}

func (c *compiler) between(n *pg.A_Expr) (Expr, error) {
	bounds := n.GetRexpr().GetList().GetItems()
	if len(bounds) != 2 {
		return nil, errSlow
	}
	both, err := c.within(n.GetLexpr(), bounds[0], bounds[1])
	if err != nil {
		return nil, err
	}
	kind := n.GetKind()
	if kind == pg.A_Expr_Kind_AEXPR_BETWEEN_SYM || kind == pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM {
		turned, err := c.within(n.GetLexpr(), bounds[1], bounds[0])
		if err != nil {
			return nil, err
		}
		both = &andExpr{args: []Expr{both, turned}, or: true}
	}
	if kind == pg.A_Expr_Kind_AEXPR_BETWEEN || kind == pg.A_Expr_Kind_AEXPR_BETWEEN_SYM {
		return both, nil
	}
	return not(both), nil
}

// within compiles value >= low AND value <= high.
func (c *compiler) within(value, low, high *pg.Node) (Expr, error) {
	var sides [2]Expr
	for i, op := range []string{">=", "<="} {
		v, bound, err := c.pair(value, []*pg.Node{low, high}[i])
		if err != nil {
			return nil, err
		}
		if sides[i], err = compare(op, v, bound); err != nil {
			return nil, err
		}
	}
	return &andExpr{args: sides[:]}, nil
}

func not(e Expr) Expr {
	return &fn{typ: datum.Bool, args: []Expr{e}, strict: true, eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return datum.MakeBool(!a[0].Bool()), nil
	}}
}

func (c *compiler) distinct(n *pg.A_Expr) (Expr, error) {
	a, b, err := c.pair(n.GetLexpr(), n.GetRexpr())
	if err != nil {
		return nil, err
	}
	args, err := blanksDoNotCount([]Expr{a, b})
	if err != nil {
		return nil, err
	}
	args, t, err := sides(args)
	if err != nil || t == datum.JSON {
		return nil, errSlow
	}
	want := n.GetKind() == pg.A_Expr_Kind_AEXPR_DISTINCT
	return &fn{typ: datum.Bool, args: args, eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		differ := a[0].Null != a[1].Null || !a[0].Null && datum.Compare(a[0], a[1]) != 0
		return datum.MakeBool(differ == want), nil
	}}, nil
}

func (c *compiler) nullIf(n *pg.A_Expr) (Expr, error) {
	a, b, err := c.pair(n.GetLexpr(), n.GetRexpr())
	if err != nil {
		return nil, err
	}
	of := a.Type()
	if of == datum.Varchar { // whose operators are those of text
		of = datum.Text
	}
	args, t, err := sides([]Expr{a, b})
	if err != nil || t == datum.JSON || t == datum.Varchar || of != datum.Unknown && of != t && !of.IsDateTime() {
		return nil, errSlow
	}
	if of.IsDateTime() && of != t { // which the result stays
		return &fn{typ: of, args: append(args, a), eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
			if !a[0].Null && !a[1].Null && datum.Compare(a[0], a[1]) == 0 {
				return datum.MakeNull(of), nil
			}
			return a[2], nil
		}}, nil
	}
	return &fn{typ: t, args: args, eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		if !a[0].Null && !a[1].Null && datum.Compare(a[0], a[1]) == 0 {
			return datum.MakeNull(t), nil
		}
		return a[0], nil
	}}, nil
}

// concat is || of texts; one side may be of any scalar type.
func concat(a, b Expr) (Expr, error) {
	ta, tb := a.Type(), b.Type()
	if ta == datum.Bytea && tb == datum.Bytea {
		return fold(&fn{typ: datum.Bytea, args: []Expr{a, b}, strict: true, eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
			return datum.MakeString(datum.Bytea, a[0].S+a[1].S), nil
		}})
	}
	text := func(t datum.Type) bool { return t.IsString() || t == datum.Unknown }
	if !text(ta) && !text(tb) || ta.IsArray() || tb.IsArray() || ta == datum.JSONB || tb == datum.JSONB || ta == datum.Bytea || tb == datum.Bytea {
		return nil, errSlow
	}
	if ta == datum.Char && text(tb) || tb == datum.Char && text(ta) {
		err := fail("42725", 0, "operator is not unique: %s || %s", ta.SQLName(), tb.SQLName())
		err.Hint = "Could not choose a best candidate operator. You might need to add explicit type casts."
		return nil, err
	}
	args := []Expr{a, b}
	for i := range args {
		var err error
		if args[i], err = convert(args[i], datum.Text, -1, datum.Explicit); err != nil {
			return nil, err
		}
	}
	return fold(&fn{typ: datum.Text, args: args, strict: true, eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return datum.MakeText(a[0].S + a[1].S), nil
	}})
}

// bitwise is an operator of the bits of two integers.
func bitwise(op string, a, b Expr) (Expr, error) {
	if !a.Type().IsInt() && !b.Type().IsInt() {
		return nil, errSlow
	}
	args, t, err := unify([]Expr{a, b})
	if err != nil || !t.IsInt() {
		return nil, errSlow
	}
	return fold(&fn{typ: t, args: args, strict: true, eval: func(_ *Env, v []datum.Datum) (datum.Datum, error) {
		switch op {
		case "&":
			return datum.MakeInt(t, v[0].I&v[1].I), nil
		case "|":
			return datum.MakeInt(t, v[0].I|v[1].I), nil
		}
		return datum.MakeInt(t, v[0].I^v[1].I), nil
	}})
}
