package builtin

import (
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

const ints = datum.Int4 | datum.Array

// Names of functions that have none in SQL, or another one in the engine.
const (
	ElementAt      = "array at"      // a[i][j]
	PartOf         = "array part"    // a[i:j][k:l]
	ArrayOfArrays  = "array nested"  // ARRAY[a, b] of arrays
	AssignElement  = "array element" // a with a[i][j] = v
	AssignSlice    = "array slice"   // a with a[i:j][k:l] = v
	AppendElement  = "array append"
	PrependElement = "array prepend"
	CatArrays      = "array cat"
	RemoveElement  = "array remove"
	ArrayContains  = "array contains"
	ArraysOverlap  = "array overlap"
	ArrayText      = "array text"
)

// ArrayFunctions are names of SQL that the engine has functions of its own for.
var ArrayFunctions = map[string]string{ //nolint:gochecknoglobals // never changed
	"array_append": AppendElement, "array_prepend": PrependElement, "array_cat": CatArrays, "array_remove": RemoveElement, "array_to_string": ArrayText,
}

var arrays = []Function{
	{Name: "array_ndims", Args: []datum.Type{AnyArray}, Result: datum.Int4, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		if n := len(a[0].A.Dimensions()); n > 0 {
			return datum.MakeInt(datum.Int4, int64(n)), nil
		}
		return datum.MakeNull(datum.Int4), nil
	}},
	{Name: "array_length", Args: []datum.Type{AnyArray, datum.Int4}, Result: datum.Int4, Eval: ofDimension(func(d datum.Dimension) int32 { return d.Size })},
	{Name: "array_upper", Args: []datum.Type{AnyArray, datum.Int4}, Result: datum.Int4, Eval: ofDimension(datum.Dimension.Upper)},
	{Name: "array_lower", Args: []datum.Type{AnyArray, datum.Int4}, Result: datum.Int4, Eval: ofDimension(func(d datum.Dimension) int32 { return d.Lower })},
	{Name: "cardinality", Args: []datum.Type{AnyArray}, Result: datum.Int4, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return datum.MakeInt(datum.Int4, int64(len(a[0].A.Values))), nil
	}},
	{Name: "array_dims", Args: []datum.Type{AnyArray}, Result: datum.Text, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		dims := a[0].A.Dimensions()
		if dims == nil {
			return datum.MakeNull(datum.Text), nil
		}
		return datum.MakeText(string(datum.AppendDims(nil, dims))), nil
	}},
	{Name: "array_replace", Args: []datum.Type{AnyArray, AnyElement, AnyElement}, Result: AnyArray, Nulls: true, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		if a[0].Null {
			return a[0], nil
		}
		out := slices.Clone(a[0].A.Values)
		for i := range out {
			if same(out[i], a[1]) {
				out[i] = a[2]
			}
		}
		return datum.MakeArrayOf(a[0].Type.Elem(), out, a[0].A.Dims), nil
	}},
	{Name: RemoveElement, Args: []datum.Type{AnyArray, AnyElement}, Result: AnyArray, Nulls: true, Eval: remove},
	{Name: "array_positions", Args: []datum.Type{AnyArray, AnyElement}, Result: ints, Nulls: true, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		if a[0].Null {
			return datum.MakeNull(ints), nil
		}
		lower, err := searchable(a[0])
		var out []datum.Datum
		for i, v := range a[0].A.Values {
			if same(v, a[1]) {
				out = append(out, datum.MakeInt(datum.Int4, lower+int64(i)))
			}
		}
		return datum.MakeArray(datum.Int4, out), err
	}},
	{Name: "array_position", Args: []datum.Type{AnyArray, AnyElement, datum.Int4}, Optional: 1, Result: datum.Int4, Nulls: true, Eval: position},
	{Name: "array_fill", Args: []datum.Type{AnyElement, ints, ints}, Optional: 1, Result: AnyArray, Nulls: true, Eval: fill},
	{Name: ElementAt, Args: []datum.Type{AnyArray, datum.Int4}, Variadic: true, Result: AnyElement, Eval: elementAt},
	{Name: PartOf, Args: []datum.Type{AnyArray, datum.Text, datum.Int4}, Variadic: true, Result: AnyArray, Eval: partOf},
	{Name: ArrayOfArrays, Args: []datum.Type{AnyArray}, Variadic: true, Result: AnyArray, Nulls: true, Eval: arrayOfArrays},
	{Name: AssignElement, Args: []datum.Type{AnyArray, AnyElement, datum.Int4}, Variadic: true, Result: AnyArray, Nulls: true, Eval: assignElement},
	{Name: AssignSlice, Args: []datum.Type{AnyArray, AnyArray, datum.Text, datum.Int4}, Variadic: true, Result: AnyArray, Nulls: true, Eval: assignSlice},
	{Name: AppendElement, Args: []datum.Type{AnyArray, AnyElement}, Result: AnyArray, Nulls: true, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return extended(a[0], a[1], false)
	}},
	{Name: PrependElement, Args: []datum.Type{AnyElement, AnyArray}, Result: AnyArray, Nulls: true, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return extended(a[1], a[0], true)
	}},
	{Name: CatArrays, Args: []datum.Type{AnyArray, AnyArray}, Result: AnyArray, Nulls: true, Eval: cat},
	{Name: ArrayContains, Args: []datum.Type{AnyArray, AnyArray}, Result: datum.Bool, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		has := func(v datum.Datum) bool { return among(v, a[0].A.Values) }
		return datum.MakeBool(!slices.ContainsFunc(a[1].A.Values, func(v datum.Datum) bool { return !has(v) })), nil
	}},
	{Name: ArraysOverlap, Args: []datum.Type{AnyArray, AnyArray}, Result: datum.Bool, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return datum.MakeBool(slices.ContainsFunc(a[0].A.Values, func(v datum.Datum) bool { return among(v, a[1].A.Values) })), nil
	}},
	{Name: ArrayText, Args: []datum.Type{AnyArray, datum.Text, datum.Text}, Optional: 1, Result: datum.Text, Nulls: true, Eval: arrayText},
	{Name: "num_nulls", Args: []datum.Type{Any}, Variadic: true, Result: datum.Int4, Nulls: true, Eval: countNulls(true)},
	{Name: "num_nonnulls", Args: []datum.Type{Any}, Variadic: true, Result: datum.Int4, Nulls: true, Eval: countNulls(false)},
	{Name: "trim_array", Args: []datum.Type{AnyArray, datum.Int4}, Result: AnyArray, Eval: trim},
}

// countNulls counts the arguments that are null, or those that are not.
func countNulls(null bool) func(*Env, []datum.Datum) (datum.Datum, error) {
	return func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		n := int64(0)
		for i := range a {
			if a[i].Null == null {
				n++
			}
		}
		return datum.MakeInt(datum.Int4, n), nil
	}
}

// same reports whether two elements are not distinct.
func same(a, b datum.Datum) bool {
	if a.Null || b.Null {
		return a.Null && b.Null
	}
	return datum.Compare(a, b) == 0
}

// among reports whether a value, which is in no array if it is null, is one of some.
func among(v datum.Datum, values []datum.Datum) bool {
	return !v.Null && slices.ContainsFunc(values, func(o datum.Datum) bool { return !o.Null && datum.Compare(v, o) == 0 })
}

func ofDimension(f func(datum.Dimension) int32) func(*Env, []datum.Datum) (datum.Datum, error) {
	return func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		dims := a[0].A.Dimensions()
		if n := a[1].I; n >= 1 && n <= int64(len(dims)) {
			return datum.MakeInt(datum.Int4, int64(f(dims[n-1]))), nil
		}
		return datum.MakeNull(datum.Int4), nil
	}
}

func fail(code, format string, args ...any) error {
	return &datum.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// searchable is the first subscript of an array in which an element can be looked for.
func searchable(array datum.Datum) (lower int64, err error) {
	dims := array.A.Dimensions()
	switch {
	case len(dims) > 1:
		return 0, fail("0A000", "searching for elements in multidimensional arrays is not supported")
	case len(dims) == 0:
		return 1, nil
	}
	return int64(dims[0].Lower), nil
}

// position is where an element is, from a subscript on.
func position(_ *Env, a []datum.Datum) (datum.Datum, error) {
	if a[0].Null {
		return datum.MakeNull(datum.Int4), nil
	}
	lower, err := searchable(a[0])
	if err != nil {
		return datum.Datum{}, err
	}
	from := lower
	if len(a) > 2 {
		if a[2].Null {
			return datum.Datum{}, fail("22004", "initial position must not be null")
		}
		from = a[2].I
	}
	for i, v := range a[0].A.Values {
		if at := lower + int64(i); at >= from && same(v, a[1]) {
			return datum.MakeInt(datum.Int4, at), nil
		}
	}
	return datum.MakeNull(datum.Int4), nil
}

// remove is array_remove.
func remove(_ *Env, a []datum.Datum) (datum.Datum, error) {
	if a[0].Null {
		return a[0], nil
	}
	dims := a[0].A.Dimensions()
	if len(dims) > 1 {
		return datum.Datum{}, fail("0A000", "removing elements from multidimensional arrays is not supported")
	}
	out := slices.DeleteFunc(slices.Clone(a[0].A.Values), func(v datum.Datum) bool { return same(v, a[1]) })
	return ofOne(a[0].Type.Elem(), out, dims), nil
}

// ofOne is an array of one dimension that begins where dims do.
func ofOne(elem datum.Type, values []datum.Datum, dims []datum.Dimension) datum.Datum {
	lower := int32(1)
	if len(dims) > 0 {
		lower = dims[0].Lower
	}
	return datum.MakeArrayOf(elem, values, []datum.Dimension{{Size: int32(len(values)), Lower: lower}})
}

// arrayText is array_to_string.
func arrayText(env *Env, a []datum.Datum) (datum.Datum, error) {
	if a[0].Null || a[1].Null {
		return datum.MakeNull(datum.Text), nil
	}
	var out []byte
	some := false
	for _, v := range a[0].A.Values {
		if v.Null && (len(a) < 3 || a[2].Null) {
			continue
		}
		if some {
			out = append(out, a[1].S...)
		}
		if some = true; v.Null {
			out = append(out, a[2].S...)
		} else {
			out = datum.AppendText(out, v, env.Location)
		}
	}
	return datum.MakeText(string(out)), nil
}

// trim is trim_array.
func trim(_ *Env, a []datum.Datum) (datum.Datum, error) {
	dims := a[0].A.Dimensions()
	n := int64(0)
	if len(dims) > 0 {
		n = int64(dims[0].Size)
	}
	switch {
	case a[1].I < 0 || a[1].I > n:
		return datum.Datum{}, fail("2202E", "number of elements to trim must be between 0 and %d", n)
	case n == 0:
		return a[0], nil
	}
	return slice(a[0], []limits{{upper: int64(dims[0].Lower) + n - a[1].I - 1, hasUpper: true}}), nil
}

// maxFill bounds what a short statement makes.
const maxFill = 1 << 20

// fill makes an array of one value.
func fill(_ *Env, a []datum.Datum) (datum.Datum, error) {
	for _, of := range a[1:] {
		if of.Null {
			return datum.Datum{}, fail("22004", "dimension array or low bound array cannot be null")
		}
	}
	for _, of := range a[1:] {
		if len(of.A.Dimensions()) > 1 {
			return datum.Datum{}, &datum.Error{Code: "2202E", Message: "wrong number of array subscripts", Detail: "Dimension array must be one dimensional."}
		}
		if slices.ContainsFunc(of.A.Values, func(v datum.Datum) bool { return v.Null }) {
			return datum.Datum{}, fail("22004", "dimension values cannot be null")
		}
	}
	dims := make([]datum.Dimension, len(a[1].A.Values))
	if len(dims) > 6 {
		return datum.Datum{}, fail("54000", "number of array dimensions (%d) exceeds the maximum allowed (%d)", len(dims), 6)
	}
	if len(a) > 2 && len(a[2].A.Values) != len(dims) {
		return datum.Datum{}, &datum.Error{Code: "2202E", Message: "wrong number of array subscripts", Detail: "Low bound array has different size than dimensions array."}
	}
	for i := range dims {
		dims[i] = datum.Dimension{Size: int32(a[1].A.Values[i].I), Lower: 1}
		if len(a) > 2 {
			dims[i].Lower = int32(a[2].A.Values[i].I)
		}
	}
	n, err := datum.CheckDimensions(dims)
	switch {
	case err != nil:
		return datum.Datum{}, err
	case n > maxFill:
		return datum.Datum{}, fail("0A000", "array_fill of over %d elements is not supported", maxFill)
	}
	out := make([]datum.Datum, n)
	for i := range out {
		out[i] = a[0]
	}
	return datum.MakeArrayOf(a[0].Type, out, dims), nil
}
