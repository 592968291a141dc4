package queryplan

import (
	"cmp"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// rowPair compiles a comparison of (a, b) with (c, d) as PostgreSQL reads it: value by
// value. nil: it is none.
func (c *compiler) rowPair(name string, l, r *pg.Node) (Expr, error) {
	left, right := l.GetRowExpr().GetArgs(), r.GetRowExpr().GetArgs()
	if len(left) == 0 || len(right) == 0 {
		return nil, nil
	}
	if len(left) != len(right) {
		return nil, errSlow // PostgreSQL's error comes from there
	}
	out := &rowCompare{op: name}
	var each []Expr
	for i := range left {
		a, b, err := c.pair(left[i], right[i])
		if err != nil {
			return nil, err
		}
		e, err := compare(name, a, b)
		if err != nil {
			return nil, err
		}
		one, ok := e.(*compareExpr)
		if !ok || one.typ.Elem() == datum.JSON || one.typ.IsArray() || one.typ.IsComposite() {
			return nil, errSlow
		}
		each = append(each, e)
		out.left, out.right = append(out.left, one.left), append(out.right, one.right)
	}
	switch {
	case len(each) == 1:
		return each[0], nil
	case name == "=":
		return &andExpr{args: each}, nil
	case name == "<>", name == "!=":
		return &andExpr{args: each, or: true}, nil
	default:
		return out, nil
	}
}

// rowCompare is (a, b) < (c, d): the first values that differ decide.
type rowCompare struct {
	op          string
	left, right []Expr
}

func (e *rowCompare) Type() datum.Type { return datum.Bool }

func (e *rowCompare) Eval(env *Env) (datum.Datum, error) {
	for i := range e.left {
		l, err := e.left[i].Eval(env)
		if err != nil {
			return l, err
		}
		r, err := e.right[i].Eval(env)
		if err != nil {
			return r, err
		}
		if l.Null || r.Null {
			return datum.MakeNull(datum.Bool), nil
		}
		if order := datum.Compare(l, r); order != 0 {
			return datum.MakeBool(satisfies(e.op, order)), nil
		}
	}
	return datum.MakeBool(satisfies(e.op, 0)), nil
}

// first is what the comparison says of the first values; it holds for more than the whole.
func (e *rowCompare) first() *compareExpr {
	op := map[string]string{"<": "<=", ">": ">="}[e.op]
	return &compareExpr{op: cmp.Or(op, e.op), left: e.left[0], right: e.right[0], typ: e.left[0].Type()}
}

// tupleExpr is (a, b) IN ((c, d), ...) of columns, constants and parameters, which never fail.
type tupleExpr struct {
	row  []Expr
	list [][]Expr
	not  bool
}

// tuples compiles (a, b) IN ((c, d), ...); nil: it is something else.
func (c *compiler) tuples(n *pg.A_Expr, list []*pg.Node, not bool) (Expr, error) {
	row := n.GetLexpr().GetRowExpr().GetArgs()
	if len(row) == 0 {
		return nil, nil
	}
	out := &tupleExpr{row: make([]Expr, len(row)), list: make([][]Expr, len(list)), not: not}
	plainly := true
	for k := range row {
		column := make([]*pg.Node, len(list))
		for i, item := range list {
			values := item.GetRowExpr().GetArgs()
			if len(values) != len(row) {
				return nil, errSlow // PostgreSQL's error comes from there
			}
			column[i] = values[k]
		}
		args, t, err := c.among(row[k], column)
		if err != nil {
			return nil, err
		}
		if t == datum.JSON || t.IsArray() || t.IsComposite() {
			return nil, errSlow
		}
		_, isColumn := plain(args[0]).(*ColumnRef)
		plainly = plainly && (isColumn || stands(args[0])) && !slices.ContainsFunc(args[1:], func(e Expr) bool { return !stands(e) })
		out.row[k] = args[0]
		for i, e := range args[1:] {
			out.list[i] = append(out.list[i], e)
		}
	}
	if plainly {
		return out, nil
	}
	return out.apart(), nil
}

// apart is e as PostgreSQL reads it: behind the first values that differ, none is computed.
func (e *tupleExpr) apart() Expr {
	one := &andExpr{or: true}
	for _, tuple := range e.list {
		all := &andExpr{}
		for k, v := range tuple {
			all.args = append(all.args, equal(e.row[k], v))
		}
		one.args = append(one.args, all)
	}
	if e.not {
		return not(one)
	}
	return one
}

func (e *tupleExpr) Type() datum.Type { return datum.Bool }

func (e *tupleExpr) Eval(env *Env) (datum.Datum, error) {
	row, err := evalAll(env, e.row)
	if err != nil {
		return datum.MakeNull(datum.Bool), err
	}
	var found, null bool
	if l := e.ordered(env); l == nil {
		found, null, err = e.among(env, row)
	} else {
		if l.tuples == nil {
			err = l.fillTuples(env, e.list)
		}
		found, null = l.tuple(row)
	}
	switch {
	case err != nil:
		return datum.MakeNull(datum.Bool), err
	case found:
		return datum.MakeBool(!e.not), nil
	case null:
		return datum.MakeNull(datum.Bool), nil
	}
	return datum.MakeBool(e.not), nil
}

// among looks at one tuple after the other.
func (e *tupleExpr) among(env *Env, row []datum.Datum) (found, null bool, err error) {
	for _, tuple := range e.list {
		values, err := evalAll(env, tuple)
		if err != nil {
			return false, false, err
		}
		switch equal, unknown := equalRows(row, values); {
		case unknown:
			null = true
		case equal:
			return true, false, nil
		}
	}
	return false, null, nil
}

// equalRows compares rows as = does; unknown: only nulls keep them apart.
func equalRows(a, b []datum.Datum) (equal, unknown bool) {
	for i := range a {
		switch {
		case a[i].Null || b[i].Null:
			unknown = true
		case datum.Compare(a[i], b[i]) != 0:
			return false, false
		}
	}
	return !unknown, unknown
}

// ordered is where the tuples are kept while env lasts; nil if they depend on the row, or
// are few.
func (e *tupleExpr) ordered(env *Env) *orderedList {
	if len(e.list) < orderedLength {
		return nil
	}
	return env.list(e, func(each func(Expr) bool) bool {
		return !slices.ContainsFunc(e.list, func(tuple []Expr) bool { return slices.ContainsFunc(tuple, each) })
	})
}

// fillTuples puts them in order.
func (l *orderedList) fillTuples(env *Env, list [][]Expr) error {
	l.tuples = make([][]datum.Datum, 0, len(list))
	for _, tuple := range list {
		values, err := evalAll(env, tuple)
		if err != nil {
			l.tuples, l.partial = nil, nil
			return err
		}
		if hasNull(values) {
			l.partial = append(l.partial, values)
		} else {
			l.tuples = append(l.tuples, values)
		}
	}
	slices.SortFunc(l.tuples, compareRows)
	return nil
}

// tuple looks for a row.
func (l *orderedList) tuple(row []datum.Datum) (found, null bool) {
	rest := l.partial
	if hasNull(row) {
		rest = slices.Concat(l.tuples, l.partial)
	} else if _, found = slices.BinarySearchFunc(l.tuples, row, compareRows); found {
		return true, false
	}
	return false, slices.ContainsFunc(rest, func(values []datum.Datum) bool {
		_, unknown := equalRows(row, values)
		return unknown
	})
}

func hasNull(row []datum.Datum) bool {
	return slices.ContainsFunc(row, func(d datum.Datum) bool { return d.Null })
}

func compareRows(a, b []datum.Datum) int { return slices.CompareFunc(a, b, datum.Compare) }

// tuplesOf are what all of over is equal to, one of them, wherever part holds, which says it
// of several at once, by tuples or by OR; equal is what others say of single ones. nil: it
// does not say.
func tuplesOf(part Expr, over []Expr, equal []*keyValues) [][]Expr {
	var branches [][]Expr // by branch, then by what over is
	switch e := part.(type) {
	case *tupleExpr:
		for _, tuple := range e.list {
			branches = append(branches, said(over, func(x Expr) Expr {
				if k := slices.IndexFunc(e.row, func(v Expr) bool { return same(plain(v), x) }); k >= 0 && !e.not {
					return tuple[k]
				}
				return nil
			}))
		}
	case *andExpr:
		if !e.or {
			return nil
		}
		for _, branch := range e.args {
			branches = append(branches, said(over, func(x Expr) Expr { return alternative(branch, x) }))
		}
	default:
		return nil
	}
	for _, values := range branches {
		for n := range values {
			if values[n] == nil && equal[n] != nil && equal[n].single() {
				values[n] = equal[n].values[0]
			}
			if values[n] == nil {
				return nil
			}
		}
	}
	return branches
}

func said(over []Expr, value func(x Expr) Expr) []Expr {
	out := make([]Expr, len(over))
	for n, x := range over {
		out[n] = value(x)
	}
	return out
}

// alternative is what x is equal to where a branch of OR holds; nil: it does not say.
func alternative(branch, x Expr) Expr {
	for _, part := range conjuncts(branch) {
		if of, values := equality(part); of != nil && same(of, x) && values.single() {
			return values.values[0]
		}
	}
	return nil
}

// extremes are the bounds of x by what it may be equal to: a list, if it is one that equal
// holds, or what tuples and branches of OR say.
func extremes(parts []Expr, x Expr, equal *keyValues) (lower, upper *bound) {
	for _, part := range parts {
		if equal != nil {
			break
		}
		if tuples := tuplesOf(part, []Expr{x}, []*keyValues{nil}); tuples != nil {
			equal = &keyValues{values: slices.Concat(tuples...)}
		}
	}
	if equal == nil {
		return nil, nil
	}
	return &bound{&extreme{equal, x.Type(), false}, true}, &bound{&extreme{equal, x.Type(), true}, true}
}

// extreme is the least of values, or the greatest.
type extreme struct {
	of       *keyValues
	typ      datum.Type
	greatest bool
}

func (e *extreme) Type() datum.Type { return e.typ }

func (e *extreme) Eval(env *Env) (datum.Datum, error) {
	values, err := e.of.eval(env)
	if err != nil {
		return datum.MakeNull(e.typ), err
	}
	out := datum.MakeNull(e.typ)
	for _, v := range values {
		if !v.Null && (out.Null || (datum.Compare(v, out) > 0) == e.greatest) {
			out = v
		}
	}
	return out, nil
}
