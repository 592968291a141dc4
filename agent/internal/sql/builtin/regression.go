package builtin

import (
	"math"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// FloatAggregate is the name of what computes an aggregate of an array of float8, in which
// those of two arguments have each row's first and second beside each other.
func FloatAggregate(name string) string { return "floats " + name }

// sums are what PostgreSQL keeps of float8 that it has seen (Youngs and Cramer): their number,
// the sums of the first and the second, and of the squares of what they are off the mean.
type sums struct {
	n, y, x, yy, xx, xy float64
	single              bool // of one argument
}

func errFloatOverflow() error { return fail("22003", "value out of range: overflow") }

// add takes another pair.
func (s *sums) add(y, x float64) error {
	old := *s
	s.n, s.y, s.x = s.n+1, s.y+y, s.x+x
	nan := math.NaN()
	unbounded := func(f float64) bool { return math.IsInf(f, 0) }
	if old.n == 0 {
		if math.IsNaN(x) || unbounded(x) {
			s.xx, s.xy = nan, nan
		}
		if math.IsNaN(y) || unbounded(y) {
			s.yy, s.xy = nan, nan
		}
		return nil
	}
	offX, offY, scale := x*s.n-s.x, y*s.n-s.y, 1/(s.n*old.n)
	if s.single {
		s.xx += offX * offX / (s.n * old.n) // as rounded there
	} else {
		s.xx += offX * offX * scale
	}
	s.yy += offY * offY * scale
	s.xy += offX * offY * scale
	newX, newY := !unbounded(old.x) && !unbounded(x), !unbounded(old.y) && !unbounded(y)
	if (unbounded(s.x) || unbounded(s.xx)) && newX || (unbounded(s.y) || unbounded(s.yy)) && newY || unbounded(s.xy) && newX && newY {
		return errFloatOverflow()
	}
	for _, f := range []*float64{&s.xx, &s.yy, &s.xy} {
		if unbounded(*f) {
			*f = nan
		}
	}
	return nil
}

// regression is the result of an aggregate of pairs; ok is false if it is null.
func (s *sums) regression(name string) (out float64, ok bool) {
	switch name {
	case "covar_pop":
		return s.xy / s.n, s.n > 0
	case "covar_samp":
		return s.xy / (s.n - 1), s.n > 1
	case "regr_avgx":
		return s.x / s.n, s.n > 0
	case "regr_avgy":
		return s.y / s.n, s.n > 0
	case "regr_sxx":
		return s.xx, s.n > 0
	case "regr_syy":
		return s.yy, s.n > 0
	case "regr_sxy":
		return s.xy, s.n > 0
	case "corr":
		return s.xy / math.Sqrt(s.xx*s.yy), s.xx != 0 && s.yy != 0
	case "regr_r2":
		if s.yy == 0 {
			return 1, s.xx != 0
		}
		return s.xy * s.xy / (s.xx * s.yy), s.xx != 0
	case "regr_slope":
		return s.xy / s.xx, s.xx != 0
	default: // regr_intercept
		return (s.y - s.x*s.xy/s.xx) / s.n, s.xx != 0
	}
}

// spread is the result of a deviation.
func (s *sums) spread(name string) (out float64, ok bool) {
	n := s.n
	if !strings.HasSuffix(name, "_pop") {
		n--
	}
	out = s.xx / n
	if strings.HasPrefix(name, "stddev") {
		out = math.Sqrt(out)
	}
	return out, n > 0
}

// floatAggregates are those of which the engine's have other last digits.
var floatAggregates = func() []Function {
	var out []Function
	of := func(name string, width int, result func(s *sums, name string) (float64, bool)) {
		out = append(out, Function{Name: FloatAggregate(name), Args: []datum.Type{datum.Float8 | datum.Array}, Result: datum.Float8, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
			s := &sums{single: width == 1}
			list := a[0].A.Values
			for i := 0; i+width <= len(list); i += width {
				if err := s.add(list[i].F, list[i+width-1].F); err != nil {
					return datum.Datum{}, err
				}
			}
			f, ok := result(s, name)
			if !ok {
				return datum.MakeNull(datum.Float8), nil
			}
			return datum.MakeFloat(datum.Float8, f), nil
		}})
	}
	for name := range strings.FieldsSeq("corr covar_pop covar_samp regr_avgx regr_avgy regr_sxx regr_sxy regr_syy regr_r2 regr_slope regr_intercept") {
		of(name, 2, (*sums).regression)
	}
	for name := range strings.FieldsSeq("stddev stddev_pop stddev_samp variance var_pop var_samp") {
		of(name, 1, (*sums).spread)
	}
	out = append(out, Function{Name: Percentile, Args: []datum.Type{datum.Float8 | datum.Array, datum.Float8, datum.Bool}, Result: datum.Float8, Nulls: true, Eval: percentile})
	return out
}()

// IntervalAggregate is the name of what computes the sum or the average of an array of intervals.
func IntervalAggregate(name string) string { return "intervals " + name }

var intervalAggregates = []Function{
	{Name: IntervalAggregate("sum"), Args: []datum.Type{datum.Interval | datum.Array}, Result: datum.Interval, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return sumIntervals(a[0].A.Values)
	}},
	{Name: IntervalAggregate("avg"), Args: []datum.Type{datum.Interval | datum.Array}, Result: datum.Interval, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		sum, err := sumIntervals(a[0].A.Values)
		if err != nil {
			return sum, err
		}
		n := float64(len(a[0].A.Values))
		return scaleInterval(sum, func(x float64) float64 { return x / n })
	}},
}

func sumIntervals(list []datum.Datum) (datum.Datum, error) {
	sum := list[0]
	for _, v := range list[1:] {
		var err error
		if sum, err = intervalSum(sum, v, 1); err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// Percentile is the name of what computes percentile_cont of an array of float8, its fraction, and
// whether the order is descending.
const Percentile = "floats percentile_cont"

// percentile is between the two values that a fraction lies between.
func percentile(_ *Env, a []datum.Datum) (datum.Datum, error) {
	if a[1].Null {
		return datum.MakeNull(datum.Float8), nil
	}
	if a[1].F < 0 || a[1].F > 1 || math.IsNaN(a[1].F) {
		return datum.Datum{}, fail("22003", "percentile value %v is not between 0 and 1", a[1].F)
	}
	var list []float64
	if !a[0].Null {
		for _, v := range a[0].A.Values {
			if !v.Null {
				list = append(list, v.F)
			}
		}
	}
	if len(list) == 0 {
		return datum.MakeNull(datum.Float8), nil
	}
	slices.SortFunc(list, func(x, y float64) int {
		return datum.Compare(datum.MakeFloat(datum.Float8, x), datum.MakeFloat(datum.Float8, y))
	})
	if a[2].Bool() {
		slices.Reverse(list)
	}
	at := a[1].F * float64(len(list)-1)
	low, high := list[int(math.Floor(at))], list[int(math.Ceil(at))]
	if math.Floor(at) == math.Ceil(at) {
		return datum.MakeFloat(datum.Float8, low), nil
	}
	return datum.MakeFloat(datum.Float8, low+(at-math.Floor(at))*(high-low)), nil
}
