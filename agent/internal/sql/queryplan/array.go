package queryplan

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// array compiles ARRAY[...].
func (c *compiler) array(n *pg.A_ArrayExpr) (Expr, error) {
	if len(n.GetElements()) == 0 {
		return nil, errSlow
	}
	args, err := c.exprs(n.GetElements())
	if err != nil {
		return nil, err
	}
	if nested(args) {
		return arrayCall(builtin.ArrayOfArrays, args...) // of elements of several types, too
	}
	args, t, err := alternatives(args)
	if err != nil {
		return nil, err
	}
	if t == datum.Unknown || t.IsArray() {
		return nil, errSlow
	}
	return &fn{typ: t | datum.Array, args: args, eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return datum.MakeArray(t, append([]datum.Datum(nil), a...)), nil
	}}, nil
}

// nested reports whether all of some are arrays.
func nested(args []Expr) bool {
	return !slices.ContainsFunc(args, func(e Expr) bool { return !e.Type().IsArray() || e.Type().IsVector() })
}

// arrayCall calls a function of arrays. errSlow: it does not take the arguments.
func arrayCall(name string, args ...Expr) (Expr, error) {
	e, ok, err := builtinFunction(name, args)
	if !ok && err == nil {
		return nil, errSlow
	}
	return e, err
}

// subscripts takes [1][2] apart: at are the subscripts. Of a slice as [1:2][3:4] form says
// which bounds are given, and at has two for each; a subscript among slices is the end of one
// from 1. ok is false for anything else.
func subscripts(indirection []*pg.Node) (form string, at []*pg.Node, ok bool) {
	sliced := false
	for _, n := range indirection {
		i := n.GetAIndices()
		if i == nil {
			return "", nil, false
		}
		sliced = sliced || i.GetIsSlice()
	}
	one := func() *pg.Node { return pg.MakeAConstIntNode(1, -1) }
	for _, n := range indirection {
		i := n.GetAIndices()
		lower, upper := i.GetLidx(), i.GetUidx()
		if !sliced {
			at = append(at, upper)
			continue
		}
		if !i.GetIsSlice() {
			lower = one()
		}
		form += string(builtin.SliceForm(lower != nil, upper != nil))
		for _, b := range []*pg.Node{lower, upper} {
			if b == nil {
				b = one()
			}
			at = append(at, b)
		}
	}
	return form, at, true
}

// indirection compiles a[1][2] and a[1:2][2:2] of arrays, and fields.
func (c *compiler) indirection(n *pg.A_Indirection) (Expr, error) {
	if first := slices.IndexFunc(n.GetIndirection(), func(s *pg.Node) bool { return s.GetString_() != nil }); first >= 0 {
		return c.fieldsOf(n, first)
	}
	form, at, ok := subscripts(n.GetIndirection())
	if !ok {
		return nil, errSlow
	}
	array, err := c.expr(n.GetArg())
	if err != nil {
		return nil, err
	}
	if t := array.Type(); !t.IsArray() || t.IsVector() {
		return nil, errSlow
	}
	args := []Expr{array}
	if form != "" {
		args = append(args, &Const{Value: datum.MakeText(form)})
	}
	for _, s := range at {
		e, err := c.expr(s)
		if err == nil && e.Type() != datum.Int4 {
			e, err = convert(e, datum.Int4, -1, datum.Assignment)
		}
		if err != nil {
			return nil, err
		}
		args = append(args, e)
	}
	if form != "" {
		return arrayCall(builtin.PartOf, args...)
	}
	return arrayCall(builtin.ElementAt, args...)
}

// arrayOperator compiles ||, @>, <@ and && of arrays; ok is false if neither side is one.
func arrayOperator(name string, a, b Expr) (e Expr, ok bool, err error) {
	ta, tb := a.Type(), b.Type()
	if !ta.IsArray() && !tb.IsArray() {
		return nil, false, nil
	}
	if ta.IsVector() || tb.IsVector() {
		return nil, true, errSlow
	}
	call := arrayCall
	switch {
	case name == "||" && (ta.IsArray() || ta == datum.Unknown) && (tb.IsArray() || tb == datum.Unknown):
		e, err = call(builtin.CatArrays, a, b)
	case name == "||" && ta.IsArray():
		e, err = call(builtin.AppendElement, a, b)
	case name == "||":
		e, err = call(builtin.PrependElement, a, b)
	case ta != tb && ta != datum.Unknown && tb != datum.Unknown || ta.Elem() == datum.JSON || tb.Elem() == datum.JSON:
		err = errSlow
	case name == "@>":
		e, err = call(builtin.ArrayContains, a, b)
	case name == "<@":
		e, err = call(builtin.ArrayContains, b, a)
	case name == "&&":
		e, err = call(builtin.ArraysOverlap, a, b)
	default:
		return nil, false, nil
	}
	return e, true, err
}

// arrayFunction compiles calls of functions that the engine has its own of; ok is false if
// name is none of arrays.
func arrayFunction(name string, args []Expr) (e Expr, ok bool, err error) {
	switch name {
	case "to_json", "array_to_json":
		if len(args) == 1 && name == "to_json" && args[0].Type() == datum.Numeric { // the engine has fewer
			return &fn{name: name, typ: datum.JSON, args: args, strict: true, eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
				return datum.MakeString(datum.JSON, string(datum.AppendAsJSON(nil, a[0], nil))), nil
			}}, true, nil
		}
		if len(args) != 1 || !args[0].Type().IsArray() || args[0].Type().IsVector() {
			return nil, false, nil
		}
		return builtinFunction("array_to_json", []Expr{args[0], &Const{Value: datum.MakeBool(false)}})
	}
	own := builtin.ArrayFunctions[name]
	if own == "" {
		return nil, false, nil
	}
	for _, a := range args {
		if a.Type().IsVector() {
			return nil, true, errSlow
		}
	}
	if own == builtin.ArrayText && (len(args) == 0 || shownByStyle(args[0].Type().Elem())) {
		return nil, true, errSlow
	}
	e, err = arrayCall(own, args...)
	return e, true, err
}

// shownByStyle reports whether the text of values depends on the session.
func shownByStyle(t datum.Type) bool {
	return t.IsDateTime() || t.IsFloat() || t == datum.Timetz || t == datum.Interval || t == datum.Bytea || t.IsNumbered()
}

// dimensional is the constant that n is, if it is an array that the engine has not.
func (k *folding) dimensional(n *pg.Node) (v datum.Datum, ok bool) {
	if n == nil || !k.constant(n) {
		return v, false
	}
	v, ok = k.value(n)
	return v, ok && v.Type.IsArray() && !v.Null && v.A.Plain() != nil
}

// flatten makes an array of several dimensions one of all its elements.
func (k *folding) flatten(n *pg.Node) {
	if v, ok := k.dimensional(n); ok {
		n.Node = castOf(datum.MakeArray(v.Type.Elem(), v.A.Values)).Node
	}
}

// flatArguments gives functions that look at elements alone arrays of one dimension, and those
// that make json the json of arrays. Subscripts of constants become an array of them.
func (k *folding) flatArguments(f *pg.FuncCall) {
	called, ok := functionName(f)
	if !ok || k.functions != nil && len(k.functions(called)) > 0 {
		return
	}
	switch called.Name {
	case "unnest":
		for _, a := range f.GetArgs() {
			k.flatten(a)
		}
	case "generate_subscripts":
		k.subscripts(f)
	case "json_build_array", "json_build_object", "jsonb_build_array", "jsonb_build_object":
		for _, a := range f.GetArgs() {
			if v, ok := k.dimensional(a); ok && !shownByStyle(v.Type.Elem()) {
				a.Node = castOf(datum.MakeString(datum.JSON, string(datum.AppendAsJSON(nil, v, nil)))).Node
			}
		}
	}
}

// subscripts makes generate_subscripts of a constant array that the engine has not the elements
// of an array of them.
func (k *folding) subscripts(f *pg.FuncCall) {
	args := f.GetArgs()
	if len(args) < 2 || len(args) > 3 {
		return
	}
	array, ok := k.dimensional(args[0])
	dimension, known := k.constantOf(args[1], datum.Int4)
	reverse := datum.MakeBool(false)
	if len(args) == 3 && known {
		reverse, known = k.constantOf(args[2], datum.Bool)
	}
	if !ok || !known {
		return
	}
	var values []datum.Datum
	dims := array.A.Dimensions()
	if n := dimension.I; !dimension.Null && !reverse.Null && n >= 1 && n <= int64(len(dims)) {
		for i := range dims[n-1].Size {
			values = append(values, datum.MakeInt(datum.Int4, int64(dims[n-1].Lower+i)))
		}
	}
	if reverse.Bool() {
		slices.Reverse(values)
	}
	f.Funcname, f.Args = []*pg.Node{stringNode("unnest")}, []*pg.Node{castOf(datum.MakeArray(datum.Int4, values))}
}

// constantOf is the constant that n is, if it is one of a type.
func (k *folding) constantOf(n *pg.Node, t datum.Type) (v datum.Datum, ok bool) {
	if !k.constant(n) {
		return v, false
	}
	v, ok = k.value(n)
	return v, ok && v.Type == t
}
