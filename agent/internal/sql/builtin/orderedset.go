package builtin

import (
	"math"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// OrderedSet is the function that computes an aggregate WITHIN GROUP: of its direct argument, of
// an array of all values, and of "desc" if they are ordered downwards.
func OrderedSet(name string) string { return "within " + name }

// orderedSets are mode, percentile_disc and percentile_cont.
var orderedSets = []Function{
	{Name: OrderedSet("mode"), Args: []datum.Type{datum.Float8, AnyArray, datum.Text}, Result: AnyElement, Nulls: true, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return mode(sortedValues(a)), nil
	}},
	{Name: OrderedSet("percentile_disc"), Args: []datum.Type{datum.Float8, AnyArray, datum.Text}, Result: AnyElement, Nulls: true, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		values := sortedValues(a)
		if ok, err := fraction(a[0]); !ok || err != nil || len(values) == 0 {
			return datum.MakeNull(a[1].Type.Elem()), err
		}
		return values[max(int(math.Ceil(a[0].F*float64(len(values)))), 1)-1], nil
	}},
	{Name: OrderedSet("percentile_cont"), Args: []datum.Type{datum.Float8, datum.Interval | datum.Array, datum.Text}, Result: datum.Interval, Nulls: true, Eval: continuous},
	{Name: OrderedSet("percentile_cont"), Args: []datum.Type{datum.Float8, datum.Float8 | datum.Array, datum.Text}, Result: datum.Float8, Nulls: true, Eval: continuous},
}

// fraction reports whether there is a fraction, and refuses one that is none.
func fraction(f datum.Datum) (bool, error) {
	if !f.Null && !(f.F >= 0 && f.F <= 1) {
		return false, fail("22003", "percentile value %g is not between 0 and 1", f.F)
	}
	return !f.Null, nil
}

// sortedValues are those of an array that are not null, in their order.
func sortedValues(a []datum.Datum) []datum.Datum {
	if a[1].Null {
		return nil
	}
	values := slices.DeleteFunc(slices.Clone(a[1].A.Values), func(v datum.Datum) bool { return v.Null })
	slices.SortStableFunc(values, func(x, y datum.Datum) int {
		if a[2].S == "desc" {
			return datum.Compare(y, x)
		}
		return datum.Compare(x, y)
	})
	return values
}

// mode is the first of the values of which there are most.
func mode(values []datum.Datum) datum.Datum {
	if len(values) == 0 {
		return datum.MakeNull(datum.Text)
	}
	best, most := values[0], 0
	for i := 0; i < len(values); {
		next := i + 1
		for next < len(values) && datum.Compare(values[i], values[next]) == 0 {
			next++
		}
		if next-i > most {
			best, most = values[i], next-i
		}
		i = next
	}
	return best
}

// continuous is the value at a fraction of the way, between two others.
func continuous(_ *Env, a []datum.Datum) (datum.Datum, error) {
	values := sortedValues(a)
	if ok, err := fraction(a[0]); !ok || err != nil || len(values) == 0 {
		return datum.MakeNull(a[1].Type.Elem()), err
	}
	at := a[0].F * float64(len(values)-1)
	first, second := values[int(math.Floor(at))], values[int(math.Ceil(at))]
	part := at - math.Floor(at)
	if part == 0 {
		return first, nil
	}
	if first.Type == datum.Float8 {
		return datum.MakeFloat(datum.Float8, first.F+part*(second.F-first.F)), nil
	}
	between, err := interval(int64(second.Months)-int64(first.Months), int64(second.Days)-int64(first.Days), second.I-first.I)
	if err != nil {
		return datum.Datum{}, err
	}
	if between, err = scaleInterval(between, func(x float64) float64 { return x * part }); err != nil {
		return datum.Datum{}, err
	}
	return interval(int64(first.Months)+int64(between.Months), int64(first.Days)+int64(between.Days), first.I+between.I)
}
