package builtin

import (
	"slices"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// assignElement is the array after SET a[i][j] = v: (a, v, i, j).
func assignElement(_ *Env, a []datum.Datum) (datum.Datum, error) {
	of := make([]limits, len(a)-2)
	for i, n := range a[2:] {
		if n.Null {
			return datum.Datum{}, errNullSubscript()
		}
		of[i] = limits{lower: n.I, upper: n.I, hasLower: true, hasUpper: true}
	}
	if len(of) > 6 {
		return datum.Datum{}, fail("54000", "number of array dimensions (%d) exceeds the maximum allowed (%d)", len(of), 6)
	}
	if !a[0].Null && len(a[0].A.Values) > 0 && len(a[0].A.Dimensions()) != len(of) {
		return datum.Datum{}, errSubscripts()
	}
	return assigned(a[0], of, []datum.Datum{a[1]})
}

// WithElement is an array with another element.
func WithElement(array, v datum.Datum, at ...datum.Datum) (datum.Datum, error) {
	return assignElement(nil, append([]datum.Datum{array, v}, at...))
}

// assignSlice is the array after SET a[i:j][k:l] = v: (a, v, form, i, j, k, l).
func assignSlice(_ *Env, a []datum.Datum) (datum.Datum, error) {
	of, err := limitsOf(a[2].S, a[3:])
	if err != nil {
		return datum.Datum{}, err
	}
	for i, b := range of {
		if b.hasLower && a[3+2*i].Null || b.hasUpper && a[4+2*i].Null {
			return datum.Datum{}, errNullSubscript()
		}
	}
	if a[1].Null {
		return a[0], nil // as in PostgreSQL
	}
	return assigned(a[0], of, a[1].A.Values)
}

func errNullSubscript() error {
	return fail("22004", "array subscript in assignment must not be null")
}

func errSubscripts() error { return fail("2202E", "wrong number of array subscripts") }

// assigned is an array with values in the place of a part of it.
func assigned(array datum.Datum, of []limits, values []datum.Datum) (datum.Datum, error) {
	if array.Null || len(array.A.Values) == 0 {
		return filled(array.Type.Elem(), of, values)
	}
	dims := slices.Clone(array.A.Dimensions())
	if len(of) > len(dims) {
		return datum.Datum{}, errSubscripts()
	}
	old := array.A.Values
	from, size := make([]int64, len(dims)), make([]datum.Dimension, len(dims))
	for i, d := range dims {
		b := limits{}
		if i < len(of) {
			b = of[i]
		}
		if !b.hasLower {
			b.lower = int64(d.Lower)
		}
		if !b.hasUpper {
			b.upper = int64(d.Upper())
		}
		if b.lower > b.upper {
			return datum.Datum{}, fail("2202E", "upper bound cannot be less than lower bound")
		}
		if b.lower < int64(d.Lower) || b.upper > int64(d.Upper()) {
			if len(dims) > 1 {
				return datum.Datum{}, fail("2202E", "array subscript out of range")
			}
			var err error
			if old, dims[0], err = stretched(array, d, b); err != nil {
				return datum.Datum{}, err
			}
		}
		from[i], size[i] = b.lower-int64(dims[i].Lower), datum.Dimension{Size: int32(b.upper - b.lower + 1)}
	}
	need, err := datum.CheckDimensions(size)
	if err != nil {
		return datum.Datum{}, err
	}
	if need > len(values) {
		return datum.Datum{}, fail("2202E", "source array too small")
	}
	out := slices.Clone(old)
	next := 0
	each(dims, from, size, func(at int) {
		out[at] = values[next]
		next++
	})
	return datum.MakeArrayOf(array.Type.Elem(), out, dims), nil
}

// stretched are the elements of an array of one dimension, with nulls where a part of it is
// to be that it does not have yet.
func stretched(array datum.Datum, d datum.Dimension, b limits) ([]datum.Datum, datum.Dimension, error) {
	lower, upper := min(b.lower, int64(d.Lower)), max(b.upper, int64(d.Upper()))
	switch n := upper - lower + 1; {
	case n >= 1<<27:
		return nil, d, fail("54000", "array size exceeds the maximum allowed (%d)", 1<<27-1)
	case n > maxFill:
		return nil, d, fail("0A000", "assignment to elements over %d away is not supported", maxFill)
	}
	out := make([]datum.Datum, upper-lower+1)
	for i := range out {
		out[i] = datum.MakeNull(array.Type.Elem())
	}
	copy(out[int64(d.Lower)-lower:], array.A.Values)
	return out, datum.Dimension{Size: int32(len(out)), Lower: int32(lower)}, nil
}

// filled is an array of a part that is all there is.
func filled(elem datum.Type, of []limits, values []datum.Datum) (datum.Datum, error) {
	dims := make([]datum.Dimension, len(of))
	for i, b := range of {
		if !b.hasLower || !b.hasUpper {
			return datum.Datum{}, &datum.Error{Code: "2202E", Message: "array slice subscript must provide both boundaries",
				Detail: "When assigning to a slice of an empty array value, slice boundaries must be fully specified."}
		}
		size := b.upper - b.lower + 1
		if size < 0 || size >= 1<<27 {
			return datum.Datum{}, fail("54000", "array size exceeds the maximum allowed (%d)", 1<<27-1)
		}
		dims[i] = datum.Dimension{Size: int32(size), Lower: int32(b.lower)}
	}
	n, err := datum.CheckDimensions(dims)
	switch {
	case err != nil:
		return datum.Datum{}, err
	case n > len(values):
		return datum.Datum{}, fail("2202E", "source array too small")
	}
	return datum.MakeArrayOf(elem, slices.Clone(values[:n]), dims), nil
}
