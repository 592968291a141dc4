package builtin

import (
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// Functions of composite types, whose values the engine has as bytes (datum.CompositeKey). The
// first argument of each is the form of the type (datum.WriteForm).
const (
	CompositeField = "composite field" // (form, value, place): its text
	CompositeRow   = "composite row"   // (form, texts of the fields): the value
	CompositeRead  = "composite read"  // (form, text): the value
	CompositeText  = "composite text"  // (form, value)
	CompositeJSON  = "composite json"  // (form, value)
	CompositeIs    = "composite is"    // (form, value, null): IS NULL and IS NOT NULL
	CompositeOf    = "composite of"    // (form, json): the value
)

// IsComposite reports whether a function is one of these.
func IsComposite(name string) bool {
	switch name {
	case CompositeField, CompositeRow, CompositeRead, CompositeText, CompositeJSON, CompositeIs, CompositeOf:
		return true
	}
	return false
}

// GivesComposite reports whether a function gives the bytes of a value.
func GivesComposite(name string) bool {
	return name == CompositeRow || name == CompositeRead || name == CompositeOf
}

var composites = []Function{
	{Name: CompositeField, Args: []datum.Type{datum.Text, datum.Bytea, datum.Int4}, Result: datum.Text, Zoned: true, Eval: func(env *Env, a []datum.Datum) (datum.Datum, error) {
		v, err := compositeValue(a)
		if err != nil {
			return v, err
		}
		if a[2].I < 0 || a[2].I >= int64(len(v.A.Values)) {
			return v, fail("22023", "a composite type has no such field")
		}
		f := v.A.Values[a[2].I]
		if f.Null {
			return datum.MakeNull(datum.Text), nil
		}
		return datum.MakeText(string(datum.AppendText(nil, f, env.Location))), nil
	}},
	{Name: CompositeRow, Args: []datum.Type{datum.Text, texts1}, Result: datum.Bytea, Zoned: true, Eval: func(env *Env, a []datum.Datum) (datum.Datum, error) {
		t, err := datum.ReadForm(a[0].S)
		if err != nil {
			return a[0], err
		}
		fields := t.CompositeType().Fields
		values := make([]datum.Datum, len(fields))
		for i, f := range fields {
			if values[i] = datum.MakeNull(f.Type); i >= len(a[1].A.Values) || a[1].A.Values[i].Null {
				continue
			}
			if values[i], err = env.Reading().Parse(f.Type, a[1].A.Values[i].S); err != nil {
				return a[0], err
			}
			if values[i], err = datum.ApplyModifier(values[i], f.Modifier, true); err != nil {
				return a[0], err
			}
		}
		return compositeBytes(datum.MakeComposite(t, values)), nil
	}},
	{Name: CompositeRead, Args: []datum.Type{datum.Text, datum.Text}, Result: datum.Bytea, Zoned: true, Eval: func(env *Env, a []datum.Datum) (datum.Datum, error) {
		t, err := datum.ReadForm(a[0].S)
		if err != nil {
			return a[0], err
		}
		v, err := env.Reading().Parse(t, a[1].S)
		if err != nil {
			return a[0], err
		}
		return compositeBytes(v), nil
	}},
	{Name: CompositeText, Args: []datum.Type{datum.Text, datum.Bytea}, Result: datum.Text, Zoned: true, Eval: func(env *Env, a []datum.Datum) (datum.Datum, error) {
		v, err := compositeValue(a)
		if err != nil {
			return v, err
		}
		return datum.MakeText(string(datum.AppendText(nil, v, env.Location))), nil
	}},
	{Name: CompositeJSON, Args: []datum.Type{datum.Text, datum.Bytea}, Result: datum.JSON, Zoned: true, Eval: func(env *Env, a []datum.Datum) (datum.Datum, error) {
		v, err := compositeValue(a)
		if err != nil {
			return v, err
		}
		return datum.MakeString(datum.JSON, string(datum.AppendAsJSON(nil, v, env.Location))), nil
	}},
	{Name: CompositeIs, Args: []datum.Type{datum.Text, datum.Bytea, datum.Bool}, Result: datum.Bool, Nulls: true, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		if a[1].Null {
			return a[2], nil
		}
		v, err := compositeValue(a)
		if err != nil {
			return v, err
		}
		return datum.MakeBool(datum.RowIs(v, a[2].Bool())), nil
	}},
	{Name: CompositeOf, Args: []datum.Type{datum.Text, datum.JSON}, Result: datum.Bytea, Zoned: true, Eval: func(env *Env, a []datum.Datum) (datum.Datum, error) {
		t, err := datum.ReadForm(a[0].S)
		if err != nil {
			return a[0], err
		}
		v, err := populated(env, t, a[1].S)
		if err != nil || v.Null {
			return datum.MakeNull(datum.Bytea), err
		}
		return compositeBytes(v), nil
	}},
}

func compositeValue(a []datum.Datum) (datum.Datum, error) {
	t, err := datum.ReadForm(a[0].S)
	if err != nil {
		return datum.Datum{}, err
	}
	return datum.CompositeOfKey(t, a[1].S)
}

func compositeBytes(v datum.Datum) datum.Datum {
	return datum.MakeString(datum.Bytea, datum.CompositeKey(v))
}

// Populate is json_populate_record: base with the fields that an object has.
func Populate(env *Env, base datum.Datum, j string) (datum.Datum, error) {
	switch kind(j) {
	case '{':
	case '[':
		return datum.Datum{}, fail("22023", "cannot call populate_composite on an array")
	default:
		return datum.Datum{}, fail("22023", "cannot call populate_composite on a scalar")
	}
	members, err := fieldsOf(j)
	if err != nil {
		return datum.Datum{}, err
	}
	given := map[string]string{} // the last of a name counts
	for _, m := range members {
		given[m.key] = string(m.value)
	}
	fields := base.Type.CompositeType().Fields
	values := make([]datum.Datum, len(fields))
	for i, f := range fields {
		if values[i] = datum.MakeNull(f.Type); !base.Null {
			values[i] = base.A.Values[i]
		}
		text, there := given[f.Name]
		if !there {
			continue
		}
		if values[i], err = populated(env, f.Type, text); err == nil {
			values[i], err = datum.ApplyModifier(values[i], f.Modifier, false)
		}
		if err != nil {
			return datum.Datum{}, err
		}
	}
	return datum.MakeComposite(base.Type, values), nil
}

// populated is a value of a type that json stands for.
func populated(env *Env, t datum.Type, j string) (datum.Datum, error) {
	k := kind(j)
	switch {
	case k == 'n':
		return datum.MakeNull(t), nil
	case t == datum.JSON || t == datum.JSONB:
		return datum.ParseText(t, j, nil)
	case t.IsComposite() && k != '"':
		return Populate(env, datum.MakeNull(t), j)
	case t.IsArray() && k == '[':
		return populatedArray(env, t, j)
	case t.IsArray() && k != '"':
		return datum.Datum{}, &datum.Error{Code: "22P02", Message: "expected JSON array"}
	}
	text := j
	if k == '"' {
		v, err := one(j, datum.Text)
		if err != nil {
			return v, err
		}
		text = v.S
	}
	return env.Reading().Parse(t, text)
}

// populatedArray is an array that a json stands for: arrays within each other are its dimensions,
// as many as the first element has around it.
func populatedArray(env *Env, t datum.Type, j string) (datum.Datum, error) {
	p := &populating{env: env, elem: t.Elem()}
	if err := p.array(j, 1); err != nil {
		return datum.Datum{}, err
	}
	if len(p.values) == 0 {
		return datum.MakeArray(p.elem, nil), nil
	}
	const most = 6
	if p.depth > most {
		return datum.Datum{}, fail("54000", "number of array dimensions (%d) exceeds the maximum allowed (%d)", p.depth, most)
	}
	dims := make([]datum.Dimension, p.depth)
	for i := range dims {
		dims[i] = datum.Dimension{Size: p.sizes[i], Lower: 1}
	}
	return datum.MakeArrayOf(p.elem, p.values, dims), nil
}

// populating is the state of populatedArray.
type populating struct {
	env    *Env
	elem   datum.Type
	values []datum.Datum
	depth  int     // of the elements; 0: there was none yet
	sizes  []int32 // of the arrays at each depth
}

// array takes what is in an array at a depth, from 1.
func (p *populating) array(j string, depth int) error {
	list, ok := written(j)
	if !ok {
		return fail("22P02", "malformed JSON array")
	}
	for _, e := range list {
		switch nested := kind(string(e)) == '['; {
		case nested && (p.depth == 0 || depth < p.depth):
			if err := p.array(string(e), depth+1); err != nil {
				return err
			}
			continue
		case p.depth == 0:
			p.depth = depth
		case depth < p.depth:
			return &datum.Error{Code: "22P02", Message: "expected JSON array"}
		}
		v, err := populated(p.env, p.elem, string(e))
		if err != nil {
			return err
		}
		p.values = append(p.values, v)
	}
	if p.depth == 0 {
		p.depth = depth
	}
	for len(p.sizes) < depth {
		p.sizes = append(p.sizes, -1)
	}
	switch n := int32(len(list)); p.sizes[depth-1] { //nolint:gosec // a document's
	case -1:
		p.sizes[depth-1] = n
	case n:
	default:
		return &datum.Error{Code: "22P02", Message: "malformed JSON array", Detail: "Multidimensional arrays must have sub-arrays with matching dimensions."}
	}
	return nil
}
