package builtin

import (
	"math"
	"time"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// TimeOperator is the name of what computes + or - of dates, times and intervals.
func TimeOperator(op string) string { return "times " + op }

// temporal reports whether + and - of a type are of times.
func temporal(t datum.Type) bool {
	return t.IsDateTime() || t == datum.Time || t == datum.Timetz || t == datum.Interval
}

// ResolveTime chooses the function behind + or - of two types, of which datum.Unknown is a
// literal, as PostgreSQL does. nil: the operator is none of times.
func ResolveTime(op string, left, right datum.Type) (*Call, error) {
	if op != "+" && op != "-" || !temporal(left) && !temporal(right) {
		return nil, nil
	}
	name := TimeOperator(op)
	if left == datum.Time && right == datum.Time && op == "+" {
		return nil, notUniqueTimes(op, left, right)
	}
	if left != datum.Unknown && right != datum.Unknown {
		if c := Resolve(name, []datum.Type{left, right}); c != nil {
			return c, nil
		}
		return nil, fail("42883", "operator does not exist: %s %s %s", left.SQLName(), op, right.SQLName())
	}
	known, at := left, 0
	if left == datum.Unknown {
		known, at = right, 1
	}
	var found, alike []*Call
	for _, f := range functions[name] {
		if f.Args[at] != known {
			continue
		}
		c := &Call{Function: f, Args: f.Args, Result: f.Result}
		switch other := f.Args[1-at]; {
		case other == known:
			return c, nil
		case datum.Allowed(known, other, datum.Implicit):
			alike = append(alike, c)
		}
		found = append(found, c)
	}
	for _, l := range [][]*Call{found, alike} {
		if len(l) == 1 {
			return l[0], nil
		}
	}
	if len(found) == 0 {
		return nil, fail("42883", "operator does not exist: %s %s %s", left.SQLName(), op, right.SQLName())
	}
	return nil, notUniqueTimes(op, left, right)
}

func notUniqueTimes(op string, left, right datum.Type) error {
	return fail("42725", "operator is not unique: %s %s %s", left.SQLName(), op, right.SQLName())
}

// timeOperators are + and - of dates, times and intervals.
var timeOperators = func() []Function {
	var out []Function
	add := func(op string, left, right, result datum.Type, f func(env *Env, a, b datum.Datum) (datum.Datum, error)) {
		zoned := left == datum.Timestamptz && right == datum.Interval
		out = append(out, Function{Name: TimeOperator(op), Args: []datum.Type{left, right}, Result: result, Zoned: zoned, Eval: func(env *Env, a []datum.Datum) (datum.Datum, error) {
			return f(env, a[0], a[1])
		}})
		if op == "+" && left != right {
			out = append(out, Function{Name: TimeOperator(op), Args: []datum.Type{right, left}, Result: result, Zoned: zoned, Eval: func(env *Env, a []datum.Datum) (datum.Datum, error) {
				return f(env, a[1], a[0])
			}})
		}
	}
	add("-", datum.Date, datum.Date, datum.Int4, dateDifference)
	add("-", datum.Time, datum.Time, datum.Interval, func(_ *Env, a, b datum.Datum) (datum.Datum, error) {
		return datum.MakeInterval(0, 0, a.I-b.I), nil
	})
	for _, t := range []datum.Type{datum.Timestamp, datum.Timestamptz} {
		add("-", t, t, datum.Interval, timestampDifference)
	}
	add("+", datum.Date, datum.Time, datum.Timestamp, func(_ *Env, a, b datum.Datum) (datum.Datum, error) { return onDate(a, b.I, datum.Timestamp) })
	add("+", datum.Date, datum.Timetz, datum.Timestamptz, func(_ *Env, a, b datum.Datum) (datum.Datum, error) {
		return onDate(a, b.I+int64(b.Days)*second, datum.Timestamptz)
	})
	for op, sign := range map[string]int64{"+": 1, "-": -1} {
		add(op, datum.Date, datum.Int4, datum.Date, func(_ *Env, a, b datum.Datum) (datum.Datum, error) { return dateDays(a, sign*b.I) })
		add(op, datum.Date, datum.Interval, datum.Timestamp, func(_ *Env, a, b datum.Datum) (datum.Datum, error) {
			at, err := onDate(a, 0, datum.Timestamp)
			if err != nil {
				return at, err
			}
			return plusInterval(at, b, sign, nil)
		})
		add(op, datum.Timestamp, datum.Interval, datum.Timestamp, func(_ *Env, a, b datum.Datum) (datum.Datum, error) { return plusInterval(a, b, sign, nil) })
		add(op, datum.Timestamptz, datum.Interval, datum.Timestamptz, func(env *Env, a, b datum.Datum) (datum.Datum, error) {
			return plusInterval(a, b, sign, env.Location)
		})
		add(op, datum.Time, datum.Interval, datum.Time, func(_ *Env, a, b datum.Datum) (datum.Datum, error) {
			_, micros := datum.SplitDay(a.I + sign*(b.I%day))
			return datum.MakeInt(datum.Time, micros), nil
		})
		add(op, datum.Timetz, datum.Interval, datum.Timetz, func(_ *Env, a, b datum.Datum) (datum.Datum, error) {
			_, micros := datum.SplitDay(a.I + sign*(b.I%day))
			return datum.MakeTimetz(micros, a.Days), nil
		})
		add(op, datum.Interval, datum.Interval, datum.Interval, func(_ *Env, a, b datum.Datum) (datum.Datum, error) { return intervalSum(a, b, sign) })
	}
	return out
}()

func infiniteDay(d datum.Datum) bool {
	return d.I == datum.DateInfinity || d.I == datum.DateMinusInfinity
}

func dateDifference(_ *Env, a, b datum.Datum) (datum.Datum, error) {
	if infiniteDay(a) || infiniteDay(b) {
		return datum.Datum{}, fail("22008", "cannot subtract infinite dates")
	}
	return datum.CheckInt(datum.Int4, a.I-b.I, "")
}

func dateDays(a datum.Datum, by int64) (datum.Datum, error) {
	if infiniteDay(a) {
		return a, nil
	}
	if !datum.InDate(a.I + by) {
		return datum.Datum{}, fail("22008", "date out of range")
	}
	return datum.MakeInt(datum.Date, a.I+by), nil
}

// onDate is a time of a day.
func onDate(a datum.Datum, micros int64, t datum.Type) (datum.Datum, error) {
	if infiniteDay(a) {
		return datum.MakeInt(t, midnight(a).I), nil
	}
	if _, ok := datum.JoinDay(a.I, 0); !ok {
		return datum.Datum{}, fail("22008", "date out of range for timestamp")
	}
	at, ok := datum.JoinDay(a.I, micros)
	if !ok {
		return datum.Datum{}, fail("22008", "timestamp out of range")
	}
	return datum.MakeInt(t, at), nil
}

func timestampDifference(_ *Env, a, b datum.Datum) (datum.Datum, error) {
	if datum.InfiniteTime(a.I) || datum.InfiniteTime(b.I) {
		return datum.Datum{}, fail("22008", "cannot subtract infinite timestamps")
	}
	return interval(justifyHours(0, 0, a.I-b.I))
}

// plusInterval adds months, then days, both on the clock of loc (nil: none), then time.
func plusInterval(v, by datum.Datum, sign int64, loc *time.Location) (datum.Datum, error) {
	if datum.InfiniteTime(v.I) {
		return v, nil
	}
	out := fail("22008", "timestamp out of range")
	at, ok := v.I, true
	onClock := func(change func(days int64) int64) {
		local := at
		if loc != nil {
			local = datum.FromZone(at, loc)
		}
		days, micros := datum.SplitDay(local)
		if local, ok = datum.JoinDay(change(days), micros); ok && loc != nil {
			local = datum.ToZone(local, loc)
		}
		at = local
	}
	if by.Months != 0 {
		onClock(func(days int64) int64 { return addMonths(days, sign*int64(by.Months)) })
		if !ok {
			return datum.Datum{}, out
		}
	}
	if by.Days != 0 {
		onClock(func(days int64) int64 { return days + sign*int64(by.Days) })
		if !ok {
			return datum.Datum{}, out
		}
	}
	sum := at + sign*by.I
	if (sum > at) != (sign*by.I > 0) && by.I != 0 || !datum.InTimestamp(sum) {
		return datum.Datum{}, out
	}
	return datum.MakeInt(v.Type, sum), nil
}

// addMonths is a day some months later, or the last one of that month.
func addMonths(days, months int64) int64 {
	const ofYear = 12
	y, m, d := datum.Civil(days)
	n := y*ofYear + int64(m-1) + months
	y, m = n/ofYear, int(n%ofYear)
	if m < 0 {
		y, m = y-1, m+ofYear
	}
	days, ok := datum.Days(y, m+1, min(d, datum.DaysOfMonth(y, m+1)))
	if !ok {
		return math.MaxInt32
	}
	return days
}

func intervalSum(a, b datum.Datum, sign int64) (datum.Datum, error) {
	micros := a.I + sign*b.I
	if (micros > a.I) != (sign*b.I > 0) && b.I != 0 {
		return datum.Datum{}, errInterval()
	}
	return interval(int64(a.Months)+sign*int64(b.Months), int64(a.Days)+sign*int64(b.Days), micros)
}
