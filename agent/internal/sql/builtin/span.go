package builtin

import (
	"math"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// spans are functions of intervals, and of pairs of moments.
var spans = append([]Function{
	{Name: "date_trunc", Args: []datum.Type{datum.Text, datum.Interval}, Result: datum.Interval, Eval: truncateInterval},
	{Name: "justify_hours", Args: []datum.Type{datum.Interval}, Result: datum.Interval, Eval: justify(justifyHours)},
	{Name: "justify_days", Args: []datum.Type{datum.Interval}, Result: datum.Interval, Eval: justify(justifyDays)},
	{Name: "justify_interval", Args: []datum.Type{datum.Interval}, Result: datum.Interval, Eval: justify(justifyAll)},
	{Name: "make_interval", Args: []datum.Type{datum.Int4, datum.Int4, datum.Int4, datum.Int4, datum.Int4, datum.Int4, datum.Float8}, Optional: 7,
		Result: datum.Interval, Eval: makeInterval},
	{Name: "interval", Args: []datum.Type{datum.Time}, Result: datum.Interval, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return datum.MakeInterval(0, 0, a[0].I), nil
	}},
	{Name: "time", Args: []datum.Type{datum.Interval}, Result: datum.Time, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return datum.MakeInt(datum.Time, timeOfSpan(a[0].I)), nil
	}},
	{Name: "interval_mul", Args: []datum.Type{datum.Interval, datum.Float8}, Result: datum.Interval, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		f := a[1].F
		return scaleInterval(a[0], func(x float64) float64 { return x * f })
	}},
	{Name: "interval_div", Args: []datum.Type{datum.Interval, datum.Float8}, Result: datum.Interval, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		f := a[1].F
		if f == 0 {
			return datum.Datum{}, fail("22012", "division by zero")
		}
		return scaleInterval(a[0], func(x float64) float64 { return x / f })
	}},
}, ofOverlap()...)

// timeOfSpan is the time of day that so many microseconds behind, or before, a midnight are. What is
// too much wraps around, as in PostgreSQL.
func timeOfSpan(micros int64) int64 {
	const day = 24 * hour
	if micros < 0 {
		return micros + (-micros+day-1)/day*day
	}
	return micros % day
}

func errInterval() error { return fail("22008", "interval out of range") }

func interval(months, days, micros int64) (datum.Datum, error) {
	if months != int64(int32(months)) || days != int64(int32(days)) {
		return datum.Datum{}, errInterval()
	}
	return datum.MakeInterval(int32(months), int32(days), micros), nil
}

func truncateInterval(_ *Env, a []datum.Datum) (datum.Datum, error) {
	v := a[1]
	months := func(n int32) (datum.Datum, error) { return datum.MakeInterval(v.Months-v.Months%n, 0, 0), nil }
	clock := func(n int64) (datum.Datum, error) { return datum.MakeInterval(v.Months, v.Days, v.I-v.I%n), nil }
	switch unitOf(a[0].S) {
	case "millennium":
		return months(12000)
	case "century":
		return months(1200)
	case "decade":
		return months(120)
	case "year":
		return months(12)
	case "quarter":
		return months(3)
	case "month":
		return months(1)
	case "day":
		return datum.MakeInterval(v.Months, v.Days, 0), nil
	case "hour":
		return clock(hour)
	case "minute":
		return clock(minute)
	case "second":
		return clock(second)
	case "milliseconds":
		return clock(second / 1000)
	case "microseconds":
		return v, nil
	}
	return datum.Datum{}, errUnit(a[0].S, datum.Interval)
}

func justify(f func(months, days, micros int64) (int64, int64, int64)) func(*Env, []datum.Datum) (datum.Datum, error) {
	return func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return interval(f(int64(a[0].Months), int64(a[0].Days), a[0].I))
	}
}

const daysOfMonth = 30

func justifyHours(months, days, micros int64) (int64, int64, int64) {
	days, micros = days+micros/day, micros%day
	if days > 0 && micros < 0 {
		days, micros = days-1, micros+day
	} else if days < 0 && micros > 0 {
		days, micros = days+1, micros-day
	}
	return months, days, micros
}

func justifyDays(months, days, micros int64) (int64, int64, int64) {
	months, days = months+days/daysOfMonth, days%daysOfMonth
	if months > 0 && days < 0 {
		months, days = months-1, days+daysOfMonth
	} else if months < 0 && days > 0 {
		months, days = months+1, days-daysOfMonth
	}
	return months, days, micros
}

func justifyAll(months, days, micros int64) (int64, int64, int64) {
	days, micros = days+micros/day, micros%day
	months, days = months+days/daysOfMonth, days%daysOfMonth
	if months > 0 && (days < 0 || days == 0 && micros < 0) {
		months, days = months-1, days+daysOfMonth
	} else if months < 0 && (days > 0 || days == 0 && micros > 0) {
		months, days = months+1, days-daysOfMonth
	}
	if days > 0 && micros < 0 {
		days, micros = days-1, micros+day
	} else if days < 0 && micros > 0 {
		days, micros = days+1, micros-day
	}
	return months, days, micros
}

func makeInterval(_ *Env, a []datum.Datum) (datum.Datum, error) {
	n := [6]int64{} // years, months, weeks, days, hours, minutes
	seconds := 0.0
	for i := range a {
		if i < len(n) {
			n[i] = a[i].I
		} else {
			seconds = a[i].F
		}
	}
	if math.IsNaN(seconds) || math.IsInf(seconds, 0) {
		return datum.Datum{}, errInterval()
	}
	micros := int64(math.MinInt64) // what PostgreSQL 15's conversion makes of too many
	if f := math.RoundToEven(seconds * float64(second)); f >= math.MinInt64 && f < math.MaxInt64 {
		micros = int64(f)
	}
	return interval(n[0]*12+n[1], n[2]*7+n[3], n[4]*hour+n[5]*minute+micros) // sums wrap around, as there
}

// scaleInterval multiplies, or divides: what is left of a month becomes days of which it
// has 30, and what is left of a day becomes time.
func scaleInterval(v datum.Datum, f func(float64) float64) (datum.Datum, error) {
	months, days := f(float64(v.Months)), f(float64(v.Days))
	fits := func(x float64) bool { return x >= math.MinInt32 && x <= math.MaxInt32 } // not of NaN
	if !fits(months) || !fits(days) {
		return datum.Datum{}, errInterval()
	}
	wholeMonths, wholeDays := math.Trunc(months), math.Trunc(days)
	toMicros := func(x float64) float64 { return math.RoundToEven(x*float64(second)) / float64(second) }
	fromMonths := toMicros((months - wholeMonths) * daysOfMonth)
	const secondsOfDay = 24 * 3600
	rest := toMicros((days - wholeDays + fromMonths - math.Trunc(fromMonths)) * secondsOfDay)
	if math.Abs(rest) >= secondsOfDay {
		n := math.Trunc(rest / secondsOfDay)
		wholeDays, rest = wholeDays+n, rest-n*secondsOfDay
	}
	wholeDays += math.Trunc(fromMonths)
	micros := math.RoundToEven(f(float64(v.I)) + rest*float64(second))
	if math.IsNaN(micros) || math.Abs(micros) >= math.MaxInt64 {
		return datum.Datum{}, errInterval()
	}
	return interval(int64(wholeMonths), int64(wholeDays), int64(micros))
}

// ofOverlap is (start, end) OVERLAPS (start, end), where an end may be a length.
func ofOverlap() []Function {
	var out []Function
	for _, t := range []datum.Type{datum.Timestamptz, datum.Timestamp, datum.Time, datum.Timetz} {
		out = append(out, Function{Name: "overlaps", Args: []datum.Type{t, t, t, t}, Result: datum.Bool, Nulls: true, Eval: overlaps})
		if t != datum.Timestamp { // of the others the sum is not as simple
			continue
		}
		for _, ends := range [][2]datum.Type{{datum.Interval, datum.Interval}, {t, datum.Interval}, {datum.Interval, t}} {
			out = append(out, Function{Name: "overlaps", Args: []datum.Type{t, ends[0], t, ends[1]}, Result: datum.Bool, Nulls: true, Eval: func(env *Env, a []datum.Datum) (datum.Datum, error) {
				b := [4]datum.Datum{a[0], a[1], a[2], a[3]}
				for i := 1; i < len(b); i += 2 {
					if b[i].Type != datum.Interval {
						continue
					}
					var err error
					if b[i-1].Null || b[i].Null {
						b[i] = datum.MakeNull(datum.Timestamp)
					} else if b[i], err = plusInterval(b[i-1], b[i], 1, nil); err != nil {
						return datum.Datum{}, err
					}
				}
				return overlaps(env, b[:])
			}})
		}
	}
	return out
}

func overlaps(_ *Env, a []datum.Datum) (datum.Datum, error) {
	null := datum.MakeNull(datum.Bool)
	s1, e1, s2, e2 := a[0], a[1], a[2], a[3]
	for _, p := range [][2]*datum.Datum{{&s1, &e1}, {&s2, &e2}} {
		s, e := p[0], p[1]
		if s.Null && e.Null {
			return null, nil
		}
		if s.Null || !e.Null && datum.Compare(*s, *e) > 0 {
			*s, *e = *e, *s
		}
	}
	order := datum.Compare(s1, s2)
	if order < 0 {
		s1, e1, s2, e2 = s2, e2, s1, e1
	}
	switch {
	case order == 0 && (e1.Null || e2.Null):
		return null, nil
	case order == 0:
		return datum.MakeBool(true), nil
	case e2.Null:
		return null, nil
	case datum.Compare(s1, e2) < 0:
		return datum.MakeBool(true), nil
	case e1.Null:
		return null, nil
	}
	return datum.MakeBool(false), nil
}
