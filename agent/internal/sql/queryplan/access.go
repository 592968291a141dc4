package queryplan

import (
	"bytes"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// maxPoints bounds the keys that one statement looks up; more of a list are scanned.
const maxPoints = 1 << 20

// Access says which rows of a table to read.
type Access struct {
	// Index, if not nil, has the entries that lead to the rows; what follows is about what
	// it is over then, instead of the key columns.
	Index *Entries
	// Covering says that the entries are all that is needed of the rows.
	Covering bool
	// Recheck is what entries of an inverted index say that may be, in words.
	Recheck string
	// Points holds the values of each key column: the rows are read by key.
	Points []keyValues
	// Prefix, Lower and Upper bound a scan: the first key columns are equal to
	// Prefix, and the next one lies between the bounds. All nil: the whole table.
	Prefix       []Expr
	Lower, Upper *bound
}

// keyValues are what a key column may be equal to.
type keyValues struct {
	values []Expr
	array  Expr // instead of values
	// tuples are instead of values, those of all columns at once: nothing else is a point then.
	tuples [][]Expr
}

func (k *keyValues) single() bool { return k.array == nil && len(k.values) == 1 }

type bound struct {
	value     Expr
	inclusive bool
}

// ByKey reports whether rows are looked up by their whole key.
func (a *Access) ByKey() bool { return len(a.Points) > 0 && a.Index == nil }

// Bounded reports whether less than the whole table is read.
func (a *Access) Bounded() bool {
	return len(a.Points) > 0 || len(a.Prefix) > 0 || a.Lower != nil || a.Upper != nil
}

// conjuncts splits a condition at its ANDs.
func conjuncts(e Expr) []Expr {
	and, ok := e.(*andExpr)
	if !ok || and.or {
		return []Expr{e}
	}
	var out []Expr
	for _, a := range and.args {
		out = append(out, conjuncts(a)...)
	}
	return out
}

// keyAccess finds the access path by the primary key for a condition and returns what is
// left to filter, nil for nothing.
func keyAccess(table *catalog.Table, condition Expr) (Access, Expr) {
	if condition == nil {
		return Access{}, nil
	}
	var over []Expr
	for _, k := range table.Key {
		over = append(over, (&relation{table: table}).ref(k))
	}
	parts := conjuncts(condition)
	a, used := matched(parts, over)
	if len(a.Points) > 0 {
		return a, remaining(parts, used)
	}
	return a, condition
}

// matched finds what conjuncts say of what a key or an index is over; used are those that
// are said by the access alone.
func matched(parts, over []Expr) (a Access, used map[int]bool) {
	equal := make([]*keyValues, len(over))
	used = map[int]bool{}
	by := make([]int, len(over))
	for i, part := range parts {
		of, values := equality(part)
		n := slices.IndexFunc(over, func(e Expr) bool { return of != nil && same(e, of) })
		if n < 0 || equal[n] != nil {
			continue
		}
		equal[n], by[n] = values, i
	}
	if !slices.Contains(equal, nil) {
		for n, e := range equal {
			a.Points = append(a.Points, *e)
			used[by[n]] = true
		}
		return a, used
	}
	for _, part := range parts {
		if tuples := tuplesOf(part, over, equal); tuples != nil {
			a.Points = []keyValues{{tuples: tuples}}
			return a, used
		}
	}
	for n, e := range equal {
		if e == nil || !e.single() {
			if a.Lower, a.Upper = bounds(parts, over[n], used); a.Lower == nil && a.Upper == nil {
				a.Lower, a.Upper = extremes(parts, over[n], e)
			}
			break
		}
		a.Prefix = append(a.Prefix, e.values[0])
		used[by[n]] = true
	}
	return a, used
}

func remaining(parts []Expr, used map[int]bool) Expr {
	var rest []Expr
	for i, part := range parts {
		if !used[i] {
			rest = append(rest, part)
		}
	}
	switch len(rest) {
	case 0:
		return nil
	case 1:
		return rest[0]
	default:
		return &andExpr{args: rest}
	}
}

// plain strips conversions that keep the key encoding.
func plain(e Expr) Expr {
	for {
		f, ok := e.(*fn)
		if !ok || !f.widening {
			return e
		}
		e = f.args[0]
	}
}

// equality recognises x = value, x IN (values), x = ANY (array), where x depends on the
// row; of is nil for anything else.
func equality(e Expr) (of Expr, values *keyValues) {
	switch e := e.(type) {
	case *compareExpr:
		if e.op != "=" {
			return nil, nil
		}
		if rowFree(e.right) {
			return plain(e.left), &keyValues{values: []Expr{e.right}}
		}
		if rowFree(e.left) {
			return plain(e.right), &keyValues{values: []Expr{e.left}}
		}
	case *inExpr:
		if e.not || len(e.list) > maxPoints {
			return nil, nil
		}
		for _, x := range children(e)[1:] {
			if !rowFree(x) {
				return nil, nil
			}
		}
		return plain(e.value), &keyValues{values: e.list, array: e.array}
	}
	return nil, nil
}

// bounds finds comparisons of x with values: one lower and one upper. They are used.
func bounds(parts []Expr, x Expr, used map[int]bool) (lower, upper *bound) {
	for i, part := range parts {
		e, ok := part.(*compareExpr)
		row, isRow := part.(*rowCompare)
		switch {
		case isRow:
			e = row.first()
		case !ok:
			continue
		}
		op, value := e.op, e.right
		switch {
		case rowFree(e.right) && same(plain(e.left), x):
		case rowFree(e.left) && same(plain(e.right), x):
			op, value = flip(op), e.left
		default:
			continue
		}
		switch op {
		case ">", ">=":
			if lower == nil {
				lower, used[i] = &bound{value: value, inclusive: op == ">="}, !isRow
			}
		case "<", "<=":
			if upper == nil {
				upper, used[i] = &bound{value: value, inclusive: op == "<="}, !isRow
			}
		}
	}
	return lower, upper
}

func flip(op string) string {
	switch op {
	case "<":
		return ">"
	case "<=":
		return ">="
	case ">":
		return "<"
	case ">=":
		return "<="
	default:
		return op
	}
}

// direction is how what the rows are read by is ordered.
func (a *Access) direction(n int) datum.Direction {
	if a.Index == nil {
		return datum.Direction{}
	}
	return a.Index.Index.Columns[n].Direction
}

// Keys returns the encoded keys of the points, each once: of rows, or what entries are
// over. Nulls match nothing.
func (a *Access) Keys(env *Env) ([][]byte, error) {
	out := [][]byte{nil}
	if len(a.Points) > 0 && a.Points[0].tuples != nil {
		var err error
		if out, err = a.tupleKeys(env); err != nil {
			return nil, err
		}
	}
	for i := range a.Points {
		if a.Points[i].tuples != nil {
			break
		}
		values, err := a.Points[i].eval(env)
		if err != nil {
			return nil, err
		}
		if out, err = extendKeys(out, values, a.direction(i)); err != nil {
			return nil, err
		}
	}
	if len(out) > 1 {
		slices.SortFunc(out, bytes.Compare)
		out = slices.CompactFunc(out, bytes.Equal)
	}
	return out, nil
}

// tupleKeys are the encoded keys of tuples.
func (a *Access) tupleKeys(env *Env) ([][]byte, error) {
	var out [][]byte
	for _, tuple := range a.Points[0].tuples {
		values, err := evalAll(env, tuple)
		if err != nil {
			return nil, err
		}
		if hasNull(values) {
			continue
		}
		var key []byte
		for n, v := range values {
			if key, err = datum.AppendIndexKey(key, v, a.direction(n)); err != nil {
				return nil, err
			}
		}
		out = append(out, key)
	}
	return out, nil
}

// extendKeys appends every value to every key.
func extendKeys(prefixes [][]byte, values []datum.Datum, dir datum.Direction) ([][]byte, error) {
	if len(prefixes)*len(values) > maxPoints {
		return nil, fail("54000", 0, "statement looks up more than %d keys", maxPoints)
	}
	if len(values) == 1 && !values[0].Null {
		for i := range prefixes {
			var err error
			if prefixes[i], err = datum.AppendIndexKey(prefixes[i], values[0], dir); err != nil {
				return nil, err
			}
		}
		return prefixes, nil
	}
	var out [][]byte
	for _, prefix := range prefixes {
		for _, v := range values {
			if v.Null {
				continue
			}
			key, err := datum.AppendIndexKey(bytes.Clone(prefix), v, dir)
			if err != nil {
				return nil, err
			}
			out = append(out, key)
		}
	}
	return out, nil
}

func (k *keyValues) eval(env *Env) ([]datum.Datum, error) {
	if k.array != nil {
		a, err := k.array.Eval(env)
		if err != nil || a.Null {
			return nil, err
		}
		return a.A.Values, nil
	}
	out := make([]datum.Datum, len(k.values))
	for i, e := range k.values {
		var err error
		if out[i], err = e.Eval(env); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Span returns the bounds of the scan, nil where there is none; empty says that
// no row can match.
func (a *Access) Span(env *Env) (start, end []byte, empty bool, err error) {
	var prefix []byte
	if a.Index != nil {
		prefix = keys.EntryPrefix(nil)
	}
	for i, e := range a.Prefix {
		v, err := e.Eval(env)
		if err != nil || v.Null {
			return nil, nil, true, err
		}
		if prefix, err = datum.AppendIndexKey(prefix, v, a.direction(i)); err != nil {
			return nil, nil, false, err
		}
	}
	if prefix != nil {
		start, end = prefix, keys.PrefixEnd(prefix)
	}
	if a.Lower == nil && a.Upper == nil {
		return start, end, false, nil
	}
	dir := a.direction(len(a.Prefix))
	if a.Index != nil { // nulls are on neither side
		values := append(bytes.Clone(prefix), dir.ValueByte())
		start, end = values, keys.PrefixEnd(values)
	}
	lower, upper := a.Lower, a.Upper
	if dir.Descending {
		lower, upper = upper, lower
	}
	if lower != nil {
		key, null, err := lower.key(env, prefix, dir)
		if err != nil || null {
			return nil, nil, true, err
		}
		start = key
		if !lower.inclusive {
			start = keys.PrefixEnd(key)
		}
	}
	if upper != nil {
		key, null, err := upper.key(env, prefix, dir)
		if err != nil || null {
			return nil, nil, true, err
		}
		end = key
		if upper.inclusive {
			end = keys.PrefixEnd(key)
		}
	}
	return start, end, start != nil && end != nil && bytes.Compare(start, end) >= 0, nil
}

func (b *bound) key(env *Env, prefix []byte, dir datum.Direction) (key []byte, null bool, err error) {
	v, err := b.value.Eval(env)
	if err != nil || v.Null {
		return nil, true, err
	}
	key, err = datum.AppendIndexKey(bytes.Clone(prefix), v, dir)
	return key, false, err
}

// Constraint is a condition on a column that the slow path found: Op with any of
// Values, which are of the column's type.
type Constraint struct {
	Column int
	Op     string
	Values []datum.Datum
}

// ConstrainedAccess finds the access path for constraints that all hold, of who wants the
// columns of the rows.
func ConstrainedAccess(table *catalog.Table, constraints []Constraint, wanted []bool) (Access, error) {
	s := joinScan{table: table, conditions: Conditions(table, constraints), wanted: wanted}
	return s.way(nil)
}

// Conditions are what constraints of a table say.
func Conditions(table *catalog.Table, constraints []Constraint) []Expr {
	var parts []Expr
	for _, c := range constraints {
		column := &table.Columns[c.Column]
		ref := &ColumnRef{Index: c.Column, typ: column.Type, modifier: column.Modifier, name: column.Name}
		values := make([]Expr, len(c.Values))
		for i, v := range c.Values {
			values[i] = &Const{Value: v}
		}
		switch {
		case c.Op == "=" && len(values) != 1:
			parts = append(parts, &inExpr{value: ref, list: values})
		case len(values) == 1:
			parts = append(parts, &compareExpr{op: c.Op, left: ref, right: values[0], typ: column.Type})
		}
	}
	return parts
}
