package queryplan

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/datum/jsonb"
)

// inverted is what an inverted index has entries of: the items of a jsonb.
type inverted struct {
	over Expr
	// keys says that there are entries of keys, too, and ? can be answered.
	keys bool
}

// invertedOf prepares the entries of an inverted index.
func invertedOf(x *catalog.Index, uses *Uses) (*Entries, error) {
	c := x.Columns[0]
	var over Expr
	if c.Column >= 0 {
		over = (&relation{table: x.Table}).ref(c.Column)
	} else {
		var err error
		if over, err = indexExpr(x.Table, c.Expression, uses); err != nil {
			return nil, err
		}
	}
	if t := over.Type(); t != datum.JSONB {
		err := fail("42704", 0, "data type %s has no default operator class for access method \"gin\"", t.SQLName())
		err.Hint = "You must specify an operator class for the index or define a default operator class for the data type."
		return nil, err
	}
	return &Entries{Index: x, exprs: []Expr{over}, inverted: &inverted{over: over, keys: x.Desc.Columns[0].OpClass == ""}}, nil
}

// All computes the values of each entry of a row: there are several in an inverted index.
func (e *Entries) All(env *Env, row []datum.Datum) ([][]datum.Datum, error) {
	values, ok, err := e.Of(env, row)
	switch {
	case err != nil || !ok || e.inverted != nil && values[0].Null:
		return nil, err
	case e.inverted == nil:
		return [][]datum.Datum{values}, nil
	}
	items := jsonb.Items(values[0].S, e.inverted.keys)
	out := make([][]datum.Datum, len(items))
	for i, item := range items {
		out[i] = []datum.Datum{datum.MakeInt(datum.Int8, item)}
	}
	return out, nil
}

// chosenInverted is the access path by an inverted index: rows that may satisfy one part of
// the condition, all of which is looked at again.
func (e *Entries) chosenInverted(condition Expr, ask asked) chosen {
	c := chosen{Filter: condition, cost: 2 * costOfAll}
	if condition == nil {
		return c
	}
	for _, part := range conjuncts(condition) {
		items, recheck := e.inverted.items(part)
		if len(items) == 0 {
			continue
		}
		c.Access = Access{Index: e, Points: []keyValues{{values: items}}, Recheck: recheck}
		c.weigh(ask, costOfAll*keptByEqual*costOfLookup)
		if e.where != nil {
			c.cost *= keptByWhere
		}
		return c
	}
	return c
}

// items are those of which the rows have one that satisfy a part of a condition; none: the
// index does not know.
func (x *inverted) items(part Expr) (items []Expr, recheck string) {
	switch part := part.(type) {
	case *fn:
		return x.functionItems(part)
	case *compareExpr:
		if part.op != "=" {
			return nil, ""
		}
		field, value := part.left, part.right
		if rowFree(field) {
			field, value = value, field
		}
		path, ok := x.path(field)
		if !ok || len(path) == 0 || !rowFree(value) {
			return nil, ""
		}
		return x.fieldItems(path, []Expr{value}), fmt.Sprintf("(%s = %s)", x.text(path), valueText(value))
	case *inExpr:
		path, ok := x.path(part.value)
		if !ok || len(path) == 0 || part.not || part.array != nil || slices.ContainsFunc(part.list, func(e Expr) bool { return !rowFree(e) }) {
			return nil, ""
		}
		return x.fieldItems(path, part.list), fmt.Sprintf("(%s = ANY (%s))", x.text(path), valueTexts(part.list))
	}
	return nil, ""
}

func (x *inverted) functionItems(f *fn) ([]Expr, string) {
	if len(f.args) != 2 {
		return nil, ""
	}
	over, value, sign := f.args[0], f.args[1], "@>"
	switch f.name {
	case "jsonb_contains":
	case "jsonb_contained":
		over, value = value, over
	case "jsonb_exists":
		if path, ok := x.path(over); !x.keys || !ok || len(path) > 0 || !rowFree(value) {
			return nil, ""
		}
		item := itemOf(value, func(v datum.Datum) (int64, bool) { return jsonb.KeyItem(v.S), true })
		return some(item), fmt.Sprintf("(%s ? %s)", x.text(nil), valueText(value))
	default:
		return nil, ""
	}
	path, ok := x.path(over)
	if !ok || !rowFree(value) {
		return nil, ""
	}
	item := itemOf(value, func(v datum.Datum) (int64, bool) { return jsonb.ContainedItem(path, v.S) })
	return some(item), fmt.Sprintf("(%s %s %s)", x.text(path), sign, valueText(value))
}

func (x *inverted) fieldItems(path []string, values []Expr) []Expr {
	var out []Expr
	for _, v := range values {
		item := itemOf(v, func(v datum.Datum) (int64, bool) { return jsonb.FieldItem(path, v.S) })
		if item == nil {
			return nil
		}
		out = append(out, item)
	}
	return out
}

func some(e Expr) []Expr {
	if e == nil {
		return nil
	}
	return []Expr{e}
}

// itemOf computes an item of a value: null if it has none. nil: that is known already.
func itemOf(value Expr, item func(datum.Datum) (int64, bool)) Expr {
	e := &fn{typ: datum.Int8, args: []Expr{value}, strict: true, eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		n, ok := item(a[0])
		if !ok {
			return datum.MakeNull(datum.Int8), nil
		}
		return datum.MakeInt(datum.Int8, n), nil
	}}
	folded, err := fold(e)
	if k, ok := folded.(*Const); err != nil || ok && k.Value.Null {
		return nil
	}
	return folded
}

// path are the keys by which an expression goes into what the index is over; ok is false
// if it does not. A number may be that of an element, which no item knows.
func (x *inverted) path(e Expr) (path []string, ok bool) {
	if same(e, x.over) {
		return nil, true
	}
	f, ok := e.(*fn)
	if !ok || len(f.args) != 2 {
		return nil, false
	}
	switch f.name {
	case "document_field", "jsonb_extract_path", "jsonb_object_field":
	default:
		return nil, false
	}
	k, constant := f.args[1].(*Const)
	outer, ok := x.path(f.args[0])
	if !ok || !constant || k.Value.Null {
		return nil, false
	}
	steps := []datum.Datum{k.Value}
	if k.Value.Type.IsArray() {
		steps = k.Value.A.Values
	}
	path = slices.Clone(outer)
	for _, s := range steps {
		if _, err := strconv.Atoi(s.S); s.Null || err == nil && f.name != "jsonb_object_field" {
			return nil, false
		}
		path = append(path, s.S)
	}
	return path, true
}

// text shows what is at the end of keys.
func (x *inverted) text(path []string) string {
	out := "an expression"
	if c, ok := x.over.(*ColumnRef); ok {
		out = c.name
	}
	for _, key := range path {
		out += " -> '" + key + "'"
	}
	return out
}

// Whole reports whether all rows have to be read, because an inverted index does not know
// of what is asked for: that is seen when parameters are.
func (a *Access) Whole(env *Env) (bool, error) {
	if a.Index == nil || a.Index.inverted == nil {
		return false, nil
	}
	for i := range a.Points {
		values, err := a.Points[i].eval(env)
		if err != nil || slices.ContainsFunc(values, func(v datum.Datum) bool { return v.Null }) {
			return true, err
		}
	}
	return false, nil
}
