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
	args, t, err := c.unified(n.GetElements())
	if err != nil {
		return nil, err
	}
	switch {
	case t == datum.Unknown || t.IsVector():
		return nil, errSlow
	case t.IsArray():
		return arrayCall(builtin.ArrayOfArrays, args...)
	}
	return &fn{typ: t | datum.Array, args: args, eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return datum.MakeArray(t, append([]datum.Datum(nil), a...)), nil
	}}, nil
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
