package builtin

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

const ints = datum.Int4 | datum.Array

// arrays are of one dimension.
var arrays = []Function{
	{Name: "array_ndims", Args: []datum.Type{AnyArray}, Result: datum.Int4, Eval: ofElements(func(n int) (int, bool) { return 1, n > 0 })},
	{Name: "array_length", Args: []datum.Type{AnyArray, datum.Int4}, Result: datum.Int4, Eval: ofDimension(func(n int) int { return n })},
	{Name: "array_upper", Args: []datum.Type{AnyArray, datum.Int4}, Result: datum.Int4, Eval: ofDimension(func(n int) int { return n })},
	{Name: "array_lower", Args: []datum.Type{AnyArray, datum.Int4}, Result: datum.Int4, Eval: ofDimension(func(int) int { return 1 })},
	{Name: "cardinality", Args: []datum.Type{AnyArray}, Result: datum.Int4, Eval: ofElements(func(n int) (int, bool) { return n, true })},
	{Name: "array_dims", Args: []datum.Type{AnyArray}, Result: datum.Text, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		n := len(a[0].A.Values)
		if n == 0 {
			return datum.MakeNull(datum.Text), nil
		}
		return datum.MakeText("[1:" + strconv.Itoa(n) + "]"), nil
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
		return datum.MakeArray(a[0].Type.Elem(), out), nil
	}},
	{Name: "array_positions", Args: []datum.Type{AnyArray, AnyElement}, Result: ints, Nulls: true, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		if a[0].Null {
			return datum.MakeNull(ints), nil
		}
		var out []datum.Datum
		for i, v := range a[0].A.Values {
			if same(v, a[1]) {
				out = append(out, datum.MakeInt(datum.Int4, int64(i+1)))
			}
		}
		return datum.MakeArray(datum.Int4, out), nil
	}},
	{Name: "array_position", Args: []datum.Type{AnyArray, AnyElement, datum.Int4}, Optional: 1, Result: datum.Int4, Nulls: true, Eval: position},
	{Name: "array_fill", Args: []datum.Type{AnyElement, ints, ints}, Optional: 1, Result: AnyArray, Nulls: true, Eval: fill},
	{Name: AssignElement, Args: []datum.Type{AnyArray, datum.Int4, AnyElement}, Result: AnyArray, Nulls: true, Eval: assignElement},
	{Name: AssignSlice, Args: []datum.Type{AnyArray, datum.Int4, datum.Int4, AnyArray}, Result: AnyArray, Nulls: true, Eval: assignSlice},
	{Name: "num_nulls", Args: []datum.Type{Any}, Variadic: true, Result: datum.Int4, Nulls: true, Eval: countNulls(true)},
	{Name: "num_nonnulls", Args: []datum.Type{Any}, Variadic: true, Result: datum.Int4, Nulls: true, Eval: countNulls(false)},
	{Name: "trim_array", Args: []datum.Type{AnyArray, datum.Int4}, Result: AnyArray, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		n := int64(len(a[0].A.Values))
		if a[1].I < 0 || a[1].I > n {
			return datum.Datum{}, fail("2202E", "number of elements to trim must be between 0 and %d", n)
		}
		return datum.MakeArray(a[0].Type.Elem(), slices.Clone(a[0].A.Values[:n-a[1].I])), nil
	}},
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

// AssignElement and AssignSlice are the names of what computes SET a[i] = v and
// SET a[i:j] = v: the array with an element, or some, replaced or behind its end.
const AssignElement, AssignSlice = "array element", "array slice"

func assignElement(_ *Env, a []datum.Datum) (datum.Datum, error) {
	return assigned(a[0], a[1], a[1], []datum.Datum{a[2]})
}

func assignSlice(_ *Env, a []datum.Datum) (datum.Datum, error) {
	if a[3].Null {
		return a[0], nil // as in PostgreSQL
	}
	return assigned(a[0], a[1], a[2], a[3].A.Values)
}

// assigned is array with values from place from to place to.
func assigned(array, from, to datum.Datum, values []datum.Datum) (datum.Datum, error) {
	var old []datum.Datum
	if !array.Null {
		old = array.A.Values
	}
	switch {
	case from.Null || to.Null:
		return datum.Datum{}, fail("22004", "array subscript in assignment must not be null")
	case from.I > to.I:
		return datum.Datum{}, fail("2202E", "upper bound cannot be less than lower bound")
	case from.I < 1 || len(old) == 0 && from.I != 1:
		return datum.Datum{}, fail("0A000", "arrays that do not begin at 1 are not supported")
	case to.I > maxFill:
		return datum.Datum{}, fail("54000", "array size exceeds the maximum allowed (%d)", maxFill)
	case to.I-from.I >= int64(len(values)):
		return datum.Datum{}, fail("2202E", "source array too small")
	}
	out := slices.Clone(old)
	for int64(len(out)) < to.I {
		out = append(out, datum.MakeNull(array.Type.Elem()))
	}
	copy(out[from.I-1:to.I], values)
	return datum.MakeArray(array.Type.Elem(), out), nil
}

func ofElements(f func(n int) (int, bool)) func(*Env, []datum.Datum) (datum.Datum, error) {
	return func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		out, ok := f(len(a[0].A.Values))
		if !ok {
			return datum.MakeNull(datum.Int4), nil
		}
		return datum.MakeInt(datum.Int4, int64(out)), nil
	}
}

func ofDimension(f func(n int) int) func(*Env, []datum.Datum) (datum.Datum, error) {
	return func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		if n := len(a[0].A.Values); n > 0 && a[1].I == 1 {
			return datum.MakeInt(datum.Int4, int64(f(n))), nil
		}
		return datum.MakeNull(datum.Int4), nil
	}
}

func fail(code, format string, args ...any) error {
	return &datum.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// position is where an element is, from a subscript on.
func position(_ *Env, a []datum.Datum) (datum.Datum, error) {
	if a[0].Null {
		return datum.MakeNull(datum.Int4), nil
	}
	from := int64(1)
	if len(a) > 2 {
		if a[2].Null {
			return datum.Datum{}, fail("22004", "initial position must not be null")
		}
		from = max(a[2].I, 1)
	}
	for i, v := range a[0].A.Values {
		if int64(i) >= from-1 && same(v, a[1]) {
			return datum.MakeInt(datum.Int4, int64(i+1)), nil
		}
	}
	return datum.MakeNull(datum.Int4), nil
}

// fill makes an array of one value; of one dimension, that begins at 1.
func fill(_ *Env, a []datum.Datum) (datum.Datum, error) {
	for _, of := range a[1:] {
		if of.Null {
			return datum.Datum{}, fail("22004", "dimension array or low bound array cannot be null")
		}
		for _, v := range of.A.Values {
			if v.Null {
				return datum.Datum{}, fail("22004", "dimension values cannot be null")
			}
		}
	}
	sizes := a[1].A.Values
	if len(a) > 2 && len(a[2].A.Values) != len(sizes) {
		return datum.Datum{}, fail("2202E", "wrong number of array subscripts")
	}
	switch {
	case len(sizes) == 0:
		return datum.MakeArray(a[0].Type, nil), nil
	case len(sizes) > 1:
		return datum.Datum{}, fail("0A000", "array_fill of arrays of arrays is not supported")
	case len(a) > 2 && a[2].A.Values[0].I != 1:
		return datum.Datum{}, fail("0A000", "arrays that do not begin at 1 are not supported")
	case sizes[0].I < 0 || sizes[0].I > maxFill:
		return datum.Datum{}, fail("54000", "array size exceeds the maximum allowed (%d)", maxFill)
	}
	out := make([]datum.Datum, sizes[0].I)
	for i := range out {
		out[i] = a[0]
	}
	return datum.MakeArray(a[0].Type, out), nil
}

// maxFill bounds what a short statement makes.
const maxFill = 1 << 20
