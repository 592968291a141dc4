package queryplan

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// inExpr is value IN (list) or = ANY (array).
type inExpr struct {
	value Expr
	list  []Expr
	array Expr // instead of list
	not   bool
	// gathered says that it was written as comparisons.
	gathered bool
}

func (e *inExpr) Type() datum.Type { return datum.Bool }

func (e *inExpr) Eval(env *Env) (datum.Datum, error) {
	v, err := e.value.Eval(env)
	if err != nil {
		return v, err
	}
	found, null, empty, err := e.find(env, v)
	switch {
	case err != nil:
		return datum.MakeNull(datum.Bool), err
	case empty:
		return datum.MakeBool(e.not), nil
	case found && !v.Null:
		return datum.MakeBool(!e.not), nil
	case null || v.Null:
		return datum.MakeNull(datum.Bool), nil
	}
	return datum.MakeBool(e.not), nil
}

// oneOf compiles a value and a list in which it may be.
func (c *compiler) oneOf(value *pg.Node, list []*pg.Node) (Expr, error) {
	args, err := c.valueAndList(value, list)
	if err != nil {
		return nil, err
	}
	if single(args) {
		return singleOneOf(args[0], args[1:])
	}
	args, t, err := sides(args)
	if err != nil {
		return nil, err
	}
	if t == datum.JSON {
		return nil, errSlow
	}
	return isOneOf(args[0], args[1:]), nil
}

// single reports whether there are floats of single precision beside other numbers.
func single(args []Expr) bool {
	is := func(t datum.Type) func(Expr) bool { return func(e Expr) bool { return e.Type() == t } }
	return slices.ContainsFunc(args, is(datum.Float4)) &&
		slices.ContainsFunc(args, func(e Expr) bool { return e.Type() != datum.Float4 && e.Type().IsNumber() })
}

// singleOneOf is IN with floats of single precision: a list of values has one type with what it
// is compared with, which is real then, while an operator takes real and another number for
// double precision.
func singleOneOf(value Expr, list []Expr) (Expr, error) {
	var alone, apart []Expr
	for _, e := range list {
		if !ofRow(e) {
			alone = append(alone, e)
		} else {
			apart = append(apart, e)
		}
	}
	out := &andExpr{or: true}
	if len(alone) > 1 {
		args, _, err := alternatives(append([]Expr{value}, alone...))
		if err != nil {
			return nil, err
		}
		out.args = append(out.args, &inExpr{value: args[0], list: args[1:]})
	} else {
		apart = list
	}
	for _, e := range apart {
		one, err := compare("=", value, e)
		if err != nil {
			return nil, err
		}
		out.args = append(out.args, one)
	}
	if len(out.args) == 1 {
		return out.args[0], nil
	}
	return out, nil
}

// find looks for a value among those of the list: null says that one of them is, or the
// array itself.
func (e *inExpr) find(env *Env, v datum.Datum) (found, null, empty bool, err error) {
	l := e.ordered(env)
	if l != nil && l.values != nil {
		_, found = slices.BinarySearchFunc(l.values, v, datum.Compare)
		return found, l.null, false, nil
	}
	items, null, err := e.items(env)
	if err != nil || null {
		return false, null, false, err
	}
	if l != nil && len(items) >= orderedLength {
		l.fill(items)
		return e.find(env, v)
	}
	for _, x := range items {
		if x.Null {
			null = true
		} else if !v.Null && datum.Compare(v, x) == 0 {
			return true, null, false, nil
		}
	}
	return false, null, len(items) == 0, nil
}

// items computes the list; null says that the array itself is.
func (e *inExpr) items(env *Env) (items []datum.Datum, null bool, err error) {
	if e.array != nil {
		a, err := e.array.Eval(env)
		if err != nil || a.Null {
			return nil, true, err
		}
		return a.A.Values, false, nil
	}
	items = make([]datum.Datum, len(e.list))
	for i, x := range e.list {
		if items[i], err = x.Eval(env); err != nil {
			return nil, false, err
		}
	}
	return items, false, nil
}

// orderedLength is how many values a list has for which it is put in order, to be looked
// through by halves: as many as PostgreSQL makes a table of hashes for.
const orderedLength = 9

// orderedList is a list that does not depend on the row.
type orderedList struct {
	// args is the first of the arguments that it was made with, if it depends on them.
	args          *datum.Datum
	parameterised bool
	values        []datum.Datum // ascending, without nulls; nil: not made yet
	null          bool          // one was null
	// tuples are ascending, those of tupleExpr, and partial those with a null.
	tuples, partial [][]datum.Datum
}

// ordered is where the list of e is kept while env lasts; nil if it may be another one for
// each row, or is short.
func (e *inExpr) ordered(env *Env) *orderedList {
	if e.array == nil && len(e.list) < orderedLength {
		return nil
	}
	return env.list(e, func(each func(Expr) bool) bool {
		return (e.array == nil || !each(e.array)) && !slices.ContainsFunc(e.list, each)
	})
}

// list is where the list of e is kept; none reports whether something holds for none of
// what is in it.
func (env *Env) list(e Expr, none func(each func(Expr) bool) bool) *orderedList {
	var args *datum.Datum
	if len(env.Args) > 0 {
		args = &env.Args[0]
	}
	l, known := env.lists[e]
	switch {
	case !known:
		if none(func(x Expr) bool { return !rowFree(x) }) {
			l = &orderedList{args: args, parameterised: !none(parameterised)}
		}
		if env.lists == nil {
			env.lists = map[Expr]*orderedList{}
		}
		env.lists[e] = l
	case l != nil && l.parameterised && l.args != args:
		*l = orderedList{args: args, parameterised: true}
	}
	return l
}

// fill puts the values in order.
func (l *orderedList) fill(items []datum.Datum) {
	l.values = make([]datum.Datum, 0, len(items))
	for _, x := range items {
		if x.Null {
			l.null = true
		} else {
			l.values = append(l.values, x)
		}
	}
	slices.SortFunc(l.values, datum.Compare)
}

// parameterised reports whether e depends on a parameter.
func parameterised(e Expr) bool {
	if _, ok := e.(*Param); ok {
		return true
	}
	return slices.ContainsFunc(children(e), parameterised)
}

// lists has what OR compares with constants and parameters, x = 1 OR x = 2, be lists of
// them, x IN (1, 2), which are looked up by key, or by halves. What may be another value each
// time, or does something, is computed as often as it is written; and nothing that may fail, or
// does something, is left out because of what stands behind it.
func lists(args []Expr) []Expr {
	out := args[:0:0]
	since := 0 // the last of out that may fail
	for _, e := range args {
		one, ok := e.(*compareExpr)
		if !ok || one.op != "=" || !stands(one.right) || volatile(one.left) {
			if out = append(out, e); mayFail(e) {
				since = len(out) - 1
			}
			continue
		}
		at := since + slices.IndexFunc(out[since:], func(o Expr) bool {
			in, ok := o.(*inExpr)
			return ok && in.gathered && in.value.Type() == one.left.Type() && same(in.value, one.left)
		})
		if at < since {
			if at, out = len(out), append(out, &inExpr{value: one.left, gathered: true}); mayFail(one.left) {
				since = at
			}
		}
		in := out[at].(*inExpr) //nolint:forcetypeassert // as was just looked at
		in.list = append(in.list, one.right)
	}
	for i, e := range out {
		if in, ok := e.(*inExpr); ok && in.gathered && len(in.list) == 1 {
			out[i] = &compareExpr{op: "=", left: in.value, right: in.list[0], typ: in.value.Type()}
		}
	}
	return out
}

// ofRow reports whether there is a column in e.
func ofRow(e Expr) bool {
	_, is := e.(*ColumnRef)
	return is || slices.ContainsFunc(children(e), ofRow)
}

// mayFail reports whether e is more than comparisons of columns, constants and parameters.
func mayFail(e Expr) bool {
	switch e := plain(e).(type) {
	case *Const, *Param, *ColumnRef:
		return false
	case *compareExpr, *andExpr, *inExpr, *rowCompare, *tupleExpr:
		return slices.ContainsFunc(children(e), mayFail)
	case *fn:
		return e.name != isNull && e.name != isNotNull || slices.ContainsFunc(e.args, mayFail)
	}
	return true
}

// stands reports whether e is a constant or a parameter.
func stands(e Expr) bool {
	e = plain(e)
	_, param := e.(*Param)
	return param || isConst(e)
}
