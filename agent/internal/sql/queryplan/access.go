package queryplan

import (
	"bytes"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// maxPoints bounds the keys that one statement looks up; more are scanned.
const maxPoints = 50_000

// Access says which rows of a table to read.
type Access struct {
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
}

func (k *keyValues) single() bool { return k.array == nil && len(k.values) == 1 }

type bound struct {
	value     Expr
	inclusive bool
}

// ByKey reports whether rows are looked up by their whole key.
func (a *Access) ByKey() bool { return len(a.Points) > 0 }

// Bounded reports whether less than the whole table is read.
func (a *Access) Bounded() bool {
	return a.ByKey() || len(a.Prefix) > 0 || a.Lower != nil || a.Upper != nil
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

// chooseAccess finds the access path for a condition and returns what is left
// to filter, nil for nothing.
func chooseAccess(table *catalog.Table, condition Expr) (Access, Expr) {
	if condition == nil {
		return Access{}, nil
	}
	parts := conjuncts(condition)
	equal := make([]*keyValues, len(table.Key))
	used := map[int]bool{} // conjuncts that equal takes in wholly
	for i, part := range parts {
		column, values := equality(part)
		n := slices.Index(table.Key, column)
		if column < 0 || n < 0 || equal[n] != nil {
			continue
		}
		equal[n] = values
		used[i] = true
	}
	if !slices.Contains(equal, nil) {
		points := make([]keyValues, len(equal))
		for i, e := range equal {
			points[i] = *e
		}
		return Access{Points: points}, remaining(parts, used)
	}
	var a Access
	for n, e := range equal {
		if e == nil || !e.single() {
			a.Lower, a.Upper = bounds(parts, table.Key[n])
			break
		}
		a.Prefix = append(a.Prefix, e.values[0])
	}
	return a, condition
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

// plainColumn returns the column that e is, through conversions that keep the
// key encoding; -1 if it is none.
func plainColumn(e Expr) int {
	for {
		switch x := e.(type) {
		case *ColumnRef:
			return x.Index
		case *fn:
			if !x.widening {
				return -1
			}
			e = x.args[0]
		default:
			return -1
		}
	}
}

// equality recognises column = value, column IN (values), column = ANY (array);
// column is -1 for anything else.
func equality(e Expr) (column int, values *keyValues) {
	switch e := e.(type) {
	case *compareExpr:
		if e.op != "=" {
			return -1, nil
		}
		if c := plainColumn(e.left); c >= 0 && rowFree(e.right) {
			return c, &keyValues{values: []Expr{e.right}}
		}
		if c := plainColumn(e.right); c >= 0 && rowFree(e.left) {
			return c, &keyValues{values: []Expr{e.left}}
		}
	case *inExpr:
		c := plainColumn(e.value)
		if e.not || c < 0 || len(e.list) > maxPoints {
			return -1, nil
		}
		for _, x := range children(e)[1:] {
			if !rowFree(x) {
				return -1, nil
			}
		}
		return c, &keyValues{values: e.list, array: e.array}
	}
	return -1, nil
}

// bounds finds comparisons of a column with values: one lower and one upper.
func bounds(parts []Expr, column int) (lower, upper *bound) {
	for _, part := range parts {
		e, ok := part.(*compareExpr)
		if !ok {
			continue
		}
		op, value := e.op, e.right
		switch {
		case plainColumn(e.left) == column && rowFree(e.right):
		case plainColumn(e.right) == column && rowFree(e.left):
			op, value = flip(op), e.left
		default:
			continue
		}
		switch op {
		case ">", ">=":
			if lower == nil {
				lower = &bound{value: value, inclusive: op == ">="}
			}
		case "<", "<=":
			if upper == nil {
				upper = &bound{value: value, inclusive: op == "<="}
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

// Keys returns the encoded keys of the points, each once. Nulls match nothing.
func (a *Access) Keys(env *Env) ([][]byte, error) {
	out := [][]byte{nil}
	for i := range a.Points {
		values, err := a.Points[i].eval(env)
		if err != nil {
			return nil, err
		}
		if out, err = extendKeys(out, values); err != nil {
			return nil, err
		}
	}
	if len(out) > 1 {
		slices.SortFunc(out, bytes.Compare)
		out = slices.CompactFunc(out, bytes.Equal)
	}
	return out, nil
}

// extendKeys appends every value to every key.
func extendKeys(prefixes [][]byte, values []datum.Datum) ([][]byte, error) {
	if len(prefixes)*len(values) > maxPoints {
		return nil, fail("54000", 0, "statement looks up more than %d keys", maxPoints)
	}
	if len(values) == 1 && !values[0].Null {
		for i := range prefixes {
			var err error
			if prefixes[i], err = datum.AppendKey(prefixes[i], values[0]); err != nil {
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
			key, err := datum.AppendKey(bytes.Clone(prefix), v)
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
	for _, e := range a.Prefix {
		v, err := e.Eval(env)
		if err != nil || v.Null {
			return nil, nil, true, err
		}
		if prefix, err = datum.AppendKey(prefix, v); err != nil {
			return nil, nil, false, err
		}
	}
	if prefix != nil {
		start, end = prefix, keys.PrefixEnd(prefix)
	}
	if a.Lower != nil {
		key, null, err := a.Lower.key(env, prefix)
		if err != nil || null {
			return nil, nil, true, err
		}
		start = key
		if !a.Lower.inclusive {
			start = keys.PrefixEnd(key)
		}
	}
	if a.Upper != nil {
		key, null, err := a.Upper.key(env, prefix)
		if err != nil || null {
			return nil, nil, true, err
		}
		end = key
		if a.Upper.inclusive {
			end = keys.PrefixEnd(key)
		}
	}
	return start, end, start != nil && end != nil && bytes.Compare(start, end) >= 0, nil
}

func (b *bound) key(env *Env, prefix []byte) (key []byte, null bool, err error) {
	v, err := b.value.Eval(env)
	if err != nil || v.Null {
		return nil, true, err
	}
	key, err = datum.AppendKey(bytes.Clone(prefix), v)
	return key, false, err
}

// Constraint is a condition on a column that the slow path found: Op with any of
// Values, which are of the column's type.
type Constraint struct {
	Column int
	Op     string
	Values []datum.Datum
}

// ConstrainedAccess finds the access path for constraints that all hold.
func ConstrainedAccess(table *catalog.Table, constraints []Constraint) Access {
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
	if len(parts) == 0 {
		return Access{}
	}
	a, _ := chooseAccess(table, &andExpr{args: parts})
	return a
}
