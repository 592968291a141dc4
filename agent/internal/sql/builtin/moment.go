package builtin

import (
	"math"
	"time"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// moments are functions of dates and timestamps.
var moments = append(append([]Function{
	{Name: "date_trunc", Args: []datum.Type{datum.Text, datum.Timestamptz}, Result: datum.Timestamptz, Zoned: true, Eval: func(env *Env, a []datum.Datum) (datum.Datum, error) {
		return truncate(a[0].S, a[1], env.Location)
	}},
	{Name: "date_trunc", Args: []datum.Type{datum.Text, datum.Timestamp}, Result: datum.Timestamp, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return truncate(a[0].S, a[1], nil)
	}},
	{Name: "date_trunc", Args: []datum.Type{datum.Text, datum.Timestamptz, datum.Text}, Result: datum.Timestamptz, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		loc, err := datum.LoadZone(a[2].S)
		if err != nil {
			return datum.Datum{}, err
		}
		return truncate(a[0].S, a[1], loc)
	}},
	{Name: "date_bin", Args: []datum.Type{datum.Interval, datum.Timestamptz, datum.Timestamptz}, Result: datum.Timestamptz, Eval: bin},
	{Name: "date_bin", Args: []datum.Type{datum.Interval, datum.Timestamp, datum.Timestamp}, Result: datum.Timestamp, Eval: bin},
	{Name: "age", Args: []datum.Type{datum.Timestamptz, datum.Timestamptz}, Result: datum.Interval, Zoned: true, Eval: age},
	{Name: "age", Args: []datum.Type{datum.Timestamp, datum.Timestamp}, Result: datum.Interval, Eval: age},
	{Name: "make_date", Args: []datum.Type{datum.Int4, datum.Int4, datum.Int4}, Result: datum.Date, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		days, err := makeDate(a)
		return datum.MakeInt(datum.Date, days), err
	}},
	{Name: "make_time", Args: []datum.Type{datum.Int4, datum.Int4, datum.Float8}, Result: datum.Time, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		micros, err := makeClock(a)
		return datum.MakeInt(datum.Time, micros), err
	}},
	{Name: "make_timestamp", Args: sixFields(), Result: datum.Timestamp, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) { return makeMoment(a, datum.Timestamp, nil) }},
	{Name: "make_timestamptz", Args: sixFields(), Result: datum.Timestamptz, Zoned: true, Eval: func(env *Env, a []datum.Datum) (datum.Datum, error) {
		return makeMoment(a, datum.Timestamptz, env.Location)
	}},
	{Name: "make_timestamptz", Args: append(sixFields(), datum.Text), Result: datum.Timestamptz, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		loc, err := saneZone(a[6].S)
		if err != nil {
			return datum.Datum{}, err
		}
		return makeMoment(a, datum.Timestamptz, loc)
	}},
	{Name: "to_timestamp", Args: []datum.Type{datum.Float8}, Result: datum.Timestamptz, Eval: fromEpoch},
}, ofFinite()...), ofZone()...)

func sixFields() []datum.Type {
	return []datum.Type{datum.Int4, datum.Int4, datum.Int4, datum.Int4, datum.Int4, datum.Float8}
}

func ofFinite() []Function {
	var out []Function
	for _, t := range []datum.Type{datum.Date, datum.Timestamp, datum.Timestamptz, datum.Interval} {
		out = append(out, Function{Name: "isfinite", Args: []datum.Type{t}, Result: datum.Bool, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
			switch t {
			case datum.Date:
				return datum.MakeBool(a[0].I != datum.DateInfinity && a[0].I != datum.DateMinusInfinity), nil
			case datum.Interval:
				return datum.MakeBool(true), nil
			}
			return datum.MakeBool(!datum.InfiniteTime(a[0].I)), nil
		}})
	}
	return out
}

// ofZone is AT TIME ZONE.
func ofZone() []Function {
	var out []Function
	for _, by := range []datum.Type{datum.Text, datum.Interval} {
		zone := func(a datum.Datum) (*time.Location, error) {
			if by == datum.Text {
				return datum.LoadZone(a.S)
			}
			if a.Months != 0 || a.Days != 0 {
				return nil, fail("22023", "interval time zone %q must not include months or days", a.Text())
			}
			return time.FixedZone("", int(a.I/second)), nil
		}
		for _, t := range []datum.Type{datum.Timetz, datum.Time} {
			out = append(out, Function{Name: "timezone", Args: []datum.Type{by, t}, Result: datum.Timetz, Zoned: true, Eval: func(env *Env, a []datum.Datum) (datum.Datum, error) {
				loc, err := zone(a[0])
				if err != nil {
					return datum.Datum{}, err
				}
				from, to := a[1], datum.WestOf(loc, env.now())
				if t == datum.Time {
					from = datum.MakeTimetz(a[1].I, datum.WestOf(env.Location, env.now()))
				}
				_, micros := datum.SplitDay(from.I + int64(from.Days-to)*second)
				return datum.MakeTimetz(micros, to), nil
			}})
		}
		for _, t := range []datum.Type{datum.Timestamptz, datum.Timestamp} {
			to := datum.Timestamp
			if t == datum.Timestamp {
				to = datum.Timestamptz
			}
			out = append(out, Function{Name: "timezone", Args: []datum.Type{by, t}, Result: to, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
				loc, err := zone(a[0])
				switch {
				case err != nil:
					return datum.Datum{}, err
				case datum.InfiniteTime(a[1].I):
					return datum.MakeInt(to, a[1].I), nil
				case t == datum.Timestamp:
					return inTimestamp(to, datum.ToZone(a[1].I, loc))
				}
				return inTimestamp(to, datum.FromZone(a[1].I, loc))
			}})
		}
	}
	return out
}

func inTimestamp(t datum.Type, micros int64) (datum.Datum, error) {
	if !datum.InTimestamp(micros) {
		return datum.Datum{}, fail("22008", "timestamp out of range")
	}
	return datum.MakeInt(t, micros), nil
}

// truncate is date_trunc of a timestamp, whose clock is that of loc (nil: it has none).
func truncate(name string, v datum.Datum, loc *time.Location) (datum.Datum, error) {
	if datum.InfiniteTime(v.I) {
		return v, nil
	}
	local := v.I
	if loc != nil {
		local = datum.FromZone(v.I, loc)
	}
	days, micros := datum.SplitDay(local)
	y, m, _ := datum.Civil(days)
	var ok bool
	switch unit := unitOf(name); unit {
	case "microseconds":
		return v, nil
	case "milliseconds", "second", "minute", "hour": // the offset stays
		rest := micros % map[string]int64{"milliseconds": second / 1000, "second": second, "minute": minute, "hour": hour}[unit]
		return datum.MakeInt(v.Type, v.I-rest), nil
	case "day":
		ok = true
	case "week":
		days, ok = days-isoDay(days)+1, true
	case "month":
		days, ok = datum.Days(y, m, 1)
	case "quarter":
		days, ok = datum.Days(y, (m-1)/3*3+1, 1)
	case "year":
		days, ok = datum.Days(y, 1, 1)
	case "decade":
		if y > 0 {
			y = y / 10 * 10
		} else {
			y = -((8 - (y - 1)) / 10) * 10
		}
		days, ok = datum.Days(y, 1, 1)
	case "century":
		days, ok = datum.Days(firstOf(y, 100), 1, 1)
	case "millennium":
		days, ok = datum.Days(firstOf(y, 1000), 1, 1)
	default:
		return datum.Datum{}, errUnit(name, v.Type)
	}
	if ok {
		local, ok = datum.JoinDay(days, 0)
	}
	if !ok {
		return datum.Datum{}, fail("22008", "timestamp out of range")
	}
	if loc != nil {
		local = datum.ToZone(local, loc)
	}
	return inTimestamp(v.Type, local)
}

// firstOf is the first year of the n years that a year is in.
func firstOf(y, n int64) int64 {
	if y > 0 {
		return (y+n-1)/n*n - n + 1
	}
	return -((n-1-(y-1))/n)*n + 1
}

func bin(_ *Env, a []datum.Datum) (datum.Datum, error) {
	stride, v, origin := a[0], a[1], a[2]
	if datum.InfiniteTime(v.I) {
		return v, nil
	}
	if datum.InfiniteTime(origin.I) {
		return datum.Datum{}, fail("22008", "origin out of range")
	}
	if stride.Months != 0 {
		return datum.Datum{}, fail("0A000", "timestamps cannot be binned into intervals containing months or years")
	}
	const mostDays = math.MaxInt64/day - 1
	if int64(stride.Days) > mostDays {
		return datum.Datum{}, fail("22008", "interval out of range")
	}
	width := int64(stride.Days)*day + stride.I
	if width <= 0 {
		return datum.Datum{}, fail("22008", "stride must be greater than zero")
	}
	rest := (v.I - origin.I) % width
	if rest < 0 {
		rest += width
	}
	return inTimestamp(v.Type, v.I-rest)
}

// age is the difference in years, months and days of what the clock shows.
func age(env *Env, a []datum.Datum) (datum.Datum, error) {
	if a[0].I == datum.TimestampMinusInfinty || a[1].I == datum.TimestampMinusInfinty {
		return datum.Datum{}, fail("22008", "timestamp out of range") // the other one is the last moment that it can write
	}
	later, earlier, sign := wall(env, a[0]), wall(env, a[1]), int64(1)
	if a[0].I < a[1].I {
		later, earlier, sign = earlier, later, -1
	}
	d1, t1 := datum.SplitDay(later)
	d2, t2 := datum.SplitDay(earlier)
	y1, m1, dd1 := datum.Civil(d1)
	y2, m2, dd2 := datum.Civil(d2)
	micros, days, months := t1-t2, int64(dd1-dd2), int64(m1-m2)
	years := y1 - y2
	if micros < 0 {
		micros, days = micros+day, days-1
	}
	for days < 0 {
		days, months = days+int64(datum.DaysOfMonth(y2, m2)), months-1
	}
	months += years * 12
	return datum.MakeInterval(int32(sign*months), int32(sign*days), sign*micros), nil
}

func makeDate(a []datum.Datum) (int64, error) {
	y := a[0].I
	if y < 0 { // BC
		y++
	}
	days, ok := datum.Days(y, int(a[1].I), int(a[2].I))
	if !ok || a[0].I == 0 {
		return 0, fail("22008", "date field value out of range: %d-%02d-%02d", a[0].I, a[1].I, a[2].I)
	}
	return days, nil
}

func makeClock(a []datum.Datum) (int64, error) {
	h, m, s := a[0].I, a[1].I, a[2].F
	micros := math.RoundToEven(s * float64(second))
	if h < 0 || m < 0 || m > 59 || h > 24 || math.IsNaN(s) || micros < 0 || micros > float64(minute) || h*hour+m*minute+int64(micros) > day {
		return 0, fail("22008", "time field value out of range: %d:%02d:%02g", h, m, s)
	}
	return h*hour + m*minute + int64(micros), nil
}

func makeMoment(a []datum.Datum, t datum.Type, loc *time.Location) (datum.Datum, error) {
	days, err := makeDate(a)
	if err != nil {
		return datum.Datum{}, err
	}
	micros, err := makeClock(a[3:])
	if err != nil {
		return datum.Datum{}, err
	}
	local, ok := datum.JoinDay(days, micros)
	if !ok {
		return datum.Datum{}, fail("22008", "timestamp out of range")
	}
	if loc != nil {
		local = datum.ToZone(local, loc)
	}
	return inTimestamp(t, local)
}

// saneZone is a zone whose number, unlike that of AT TIME ZONE, counts to the east.
func saneZone(name string) (*time.Location, error) {
	if name != "" && name[0] >= '0' && name[0] <= '9' {
		return nil, fail("22023", "invalid input syntax for type numeric time zone: %q", name)
	}
	if name == "" || name[0] != '+' && name[0] != '-' {
		return datum.LoadZone(name)
	}
	v, err := datum.ParseText(datum.Timetz, "00:00"+name, time.UTC)
	if err != nil {
		return nil, fail("22023", "time zone %q not recognized", name)
	}
	return time.FixedZone(name, -int(v.Days)), nil
}

func fromEpoch(_ *Env, a []datum.Datum) (datum.Datum, error) {
	s := a[0].F
	switch {
	case math.IsNaN(s):
		return datum.Datum{}, fail("22008", "timestamp cannot be NaN")
	case math.IsInf(s, 1):
		return datum.MakeInt(datum.Timestamptz, datum.TimestampInfinity), nil
	case math.IsInf(s, -1):
		return datum.MakeInt(datum.Timestamptz, datum.TimestampMinusInfinty), nil
	}
	micros := math.RoundToEven((s - datum.EpochDays*24*3600) * float64(second))
	if math.Abs(micros) >= math.MaxInt64 || !datum.InTimestamp(int64(micros)) {
		return datum.Datum{}, fail("22008", "timestamp out of range: \"%g\"", s)
	}
	return datum.MakeInt(datum.Timestamptz, int64(micros)), nil
}
