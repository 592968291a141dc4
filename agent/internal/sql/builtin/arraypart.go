package builtin

import (
	"slices"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// limits are those of a slice in one dimension.
type limits struct {
	lower, upper       int64
	hasLower, hasUpper bool
}

// SliceForm says of each dimension which bounds are given: l, u, b for both or n for none.
func SliceForm(lower, upper bool) byte {
	switch {
	case lower && upper:
		return 'b'
	case lower:
		return 'l'
	case upper:
		return 'u'
	}
	return 'n'
}

// limitsOf are the bounds that a form and the subscripts, two for each dimension, say.
func limitsOf(form string, at []datum.Datum) ([]limits, error) {
	out := make([]limits, len(form))
	if len(at) < 2*len(form) {
		return nil, fail("42804", "malformed form of a slice: %s", form)
	}
	for i := range out {
		out[i] = limits{lower: at[2*i].I, upper: at[2*i+1].I, hasLower: form[i] == 'b' || form[i] == 'l', hasUpper: form[i] == 'b' || form[i] == 'u'}
	}
	return out, nil
}

// elementAt is a[i][j]: null if there is no such element.
func elementAt(_ *Env, a []datum.Datum) (datum.Datum, error) {
	dims := a[0].A.Dimensions()
	if len(dims) != len(a)-1 {
		return datum.MakeNull(a[0].Type.Elem()), nil
	}
	at := int64(0)
	for i, d := range dims {
		n := a[1+i].I - int64(d.Lower)
		if n < 0 || n >= int64(d.Size) {
			return datum.MakeNull(a[0].Type.Elem()), nil
		}
		at = at*int64(d.Size) + n
	}
	return a[0].A.Values[at], nil
}

// partOf is a[i:j][k:l].
func partOf(_ *Env, a []datum.Datum) (datum.Datum, error) {
	of, err := limitsOf(a[1].S, a[2:])
	if err != nil {
		return datum.Datum{}, err
	}
	return slice(a[0], of), nil
}

// slice is a part: what is within both it and the array, from 1 on.
func slice(array datum.Datum, of []limits) datum.Datum {
	elem := array.Type.Elem()
	dims := array.A.Dimensions()
	if len(dims) < len(of) || len(dims) == 0 {
		return datum.MakeArray(elem, nil)
	}
	out := make([]datum.Dimension, len(dims))
	from := make([]int64, len(dims)) // from 0
	for i, d := range dims {
		b := limits{}
		if i < len(of) {
			b = of[i]
		}
		lower, upper := int64(d.Lower), int64(d.Upper())
		if b.hasLower {
			lower = max(lower, b.lower)
		}
		if b.hasUpper {
			upper = min(upper, b.upper)
		}
		if lower > upper {
			return datum.MakeArray(elem, nil)
		}
		from[i] = lower - int64(d.Lower)
		out[i] = datum.Dimension{Size: int32(upper - lower + 1), Lower: 1}
	}
	var values []datum.Datum
	each(dims, from, out, func(at int) { values = append(values, array.A.Values[at]) })
	return datum.MakeArrayOf(elem, values, out)
}

// each calls f for the places of the elements of a part that begins at from, in their order.
func each(dims []datum.Dimension, from []int64, part []datum.Dimension, f func(at int)) {
	var level func(i int, base int64)
	level = func(i int, base int64) {
		if i == len(dims) {
			f(int(base))
			return
		}
		for k := range int64(part[i].Size) {
			level(i+1, base*int64(dims[i].Size)+from[i]+k)
		}
	}
	level(0, 0)
}

// rows are the elements of an array, or of one of several dimensions the arrays in it.
func rows(array datum.Datum) []datum.Datum {
	dims := array.A.Dimensions()
	if len(dims) < 2 {
		return array.A.Values
	}
	var out []datum.Datum
	for row := range slices.Chunk(array.A.Values, len(array.A.Values)/int(dims[0].Size)) {
		out = append(out, datum.MakeArrayOf(array.Type.Elem(), row, dims[1:]))
	}
	return out
}

// arrayOfArrays is ARRAY[a, b] of arrays.
func arrayOfArrays(_ *Env, a []datum.Datum) (datum.Datum, error) {
	var dims []datum.Dimension
	var values []datum.Datum
	empty := false
	for _, v := range a {
		if v.Null || len(v.A.Values) == 0 {
			empty = true
			continue
		}
		of := v.A.Dimensions()
		if dims == nil {
			dims = append([]datum.Dimension{{Size: int32(len(a)), Lower: 1}}, of...)
		} else if !slices.Equal(dims[1:], of) {
			return datum.Datum{}, errRagged()
		}
		values = append(values, v.A.Values...)
	}
	switch {
	case dims == nil:
		return datum.MakeArray(a[0].Type.Elem(), nil), nil
	case len(dims) > 6:
		return datum.Datum{}, fail("54000", "number of array dimensions (%d) exceeds the maximum allowed (%d)", len(dims), 6)
	case empty:
		return datum.Datum{}, errRagged()
	}
	return datum.MakeArrayOf(a[0].Type.Elem(), values, dims), nil
}

func errRagged() error {
	return fail("2202E", "multidimensional arrays must have array expressions with matching dimensions")
}

// extended is an array of at most one dimension with one more element before or behind it.
func extended(array, v datum.Datum, before bool) (datum.Datum, error) {
	var values []datum.Datum
	var dims []datum.Dimension
	if !array.Null {
		values, dims = array.A.Values, array.A.Dimensions()
	}
	if len(dims) > 1 {
		return datum.Datum{}, fail("22000", "argument must be empty or one-dimensional array")
	}
	if before {
		values = append([]datum.Datum{v}, values...)
	} else {
		values = append(slices.Clone(values), v)
	}
	if len(dims) > 0 && int64(dims[0].Lower)+int64(len(values)) > maxSubscript {
		return datum.Datum{}, fail("22003", "integer out of range")
	}
	return ofOne(array.Type.Elem(), values, dims), nil
}

const maxSubscript = 1<<31 - 1

// cat is array_cat.
func cat(_ *Env, a []datum.Datum) (datum.Datum, error) {
	switch {
	case a[0].Null:
		return a[1], nil
	case a[1].Null || len(a[1].A.Values) == 0:
		return a[0], nil
	case len(a[0].A.Values) == 0:
		return a[1], nil
	}
	x, y := a[0].A.Dimensions(), a[1].A.Dimensions()
	dims := slices.Clone(x)
	switch {
	case len(x) == len(y):
		if dims[0].Size += y[0].Size; !slices.Equal(x[1:], y[1:]) {
			return datum.Datum{}, errCat("Arrays with differing element dimensions are not compatible for concatenation.")
		}
	case len(x)+1 == len(y):
		dims = slices.Clone(y)
		if dims[0].Size++; !slices.Equal(x, y[1:]) {
			return datum.Datum{}, errCat("Arrays with differing dimensions are not compatible for concatenation.")
		}
	case len(x) == len(y)+1:
		if dims[0].Size++; !slices.Equal(x[1:], y) {
			return datum.Datum{}, errCat("Arrays with differing dimensions are not compatible for concatenation.")
		}
	default:
		err := fail("", "Arrays of %d and %d dimensions are not compatible for concatenation.", len(x), len(y))
		return datum.Datum{}, errCat(err.Error())
	}
	if _, err := datum.CheckDimensions(dims); err != nil {
		return datum.Datum{}, err
	}
	return datum.MakeArrayOf(a[0].Type.Elem(), slices.Concat(a[0].A.Values, a[1].A.Values), dims), nil
}

func errCat(detail string) error {
	return &datum.Error{Code: "2202E", Message: "cannot concatenate incompatible arrays", Detail: detail}
}
