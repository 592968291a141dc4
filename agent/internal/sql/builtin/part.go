package builtin

import (
	"math"
	"strconv"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

const (
	second = int64(1_000_000)
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
)

// parts are extract and date_part.
var parts = func() []Function {
	var out []Function
	for _, t := range []datum.Type{datum.Date, datum.Timestamp, datum.Timestamptz, datum.Interval, datum.Time, datum.Timetz} {
		f := func(env *Env, a []datum.Datum) (datum.Datum, error) { return extract(env, a[0].S, a[1]) }
		out = append(out, Function{Name: "extract", Args: []datum.Type{datum.Text, t}, Result: datum.Numeric, Zoned: t == datum.Timestamptz, Eval: f},
			Function{Name: "date_part", Args: []datum.Type{datum.Text, t}, Result: datum.Float8, Zoned: t == datum.Timestamptz, Eval: datePart})
	}
	return out
}()

// datePart is extract as a float8; of dates it has the clock, too.
func datePart(env *Env, a []datum.Datum) (datum.Datum, error) {
	v := a[1]
	if v.Type == datum.Date {
		at, err := onDate(v, 0, datum.Timestamp)
		if err != nil {
			return datum.Datum{}, err
		}
		v = at
	}
	out, err := extract(env, a[0].S, v)
	if err != nil || out.Null {
		return datum.MakeNull(datum.Float8), err
	}
	if unitOf(a[0].S) == "julian" && out.D.Form == apd.Finite {
		days, micros := datum.SplitDay(wall(env, v))
		return datum.MakeFloat(datum.Float8, float64(julian(days))+float64(micros)/float64(second)/(24*3600)), nil
	}
	f, err := strconv.ParseFloat(out.Text(), 64)
	if err != nil {
		return datum.Datum{}, errNumericOverflow()
	}
	return datum.MakeFloat(datum.Float8, f), nil
}

// midnight is a date as a timestamp.
func midnight(d datum.Datum) datum.Datum {
	switch d.I {
	case datum.DateInfinity:
		return datum.MakeInt(datum.Timestamp, datum.TimestampInfinity)
	case datum.DateMinusInfinity:
		return datum.MakeInt(datum.Timestamp, datum.TimestampMinusInfinty)
	}
	return datum.MakeInt(datum.Timestamp, d.I*day)
}

// units are the names of fields by what they are short for.
var units = func() map[string]string { //nolint:gochecknoglobals // never changed
	out := map[string]string{}
	for unit, names := range map[string]string{
		"millennium": "mil mils millennia millennium", "century": "c cent centuries century", "decade": "dec decs decade decades",
		"year": "y yr yrs year years", "quarter": "qtr quarter", "month": "mon mons month months", "week": "w week weeks", "day": "d day days",
		"hour": "h hr hrs hour hours", "minute": "m min mins minute minutes", "second": "s sec secs second seconds",
		"milliseconds": "ms msec msecs msecond mseconds millisecon", "microseconds": "us usec usecs usecond useconds microsecon",
		"timezone": "timezone", "timezone_hour": "timezone_h", "timezone_minute": "timezone_m",
		"dow": "dow", "doy": "doy", "isodow": "isodow", "isoyear": "isoyear", "julian": "j jd julian", "epoch": "epoch",
	} {
		for _, name := range strings.Fields(names) {
			out[name] = unit
		}
	}
	return out
}()

// unitOf is the field of a name, of which ten letters count; "" is none.
func unitOf(name string) string {
	const counted = 10
	name = strings.ToLower(name)
	return units[name[:min(len(name), counted)]]
}

func errUnit(name string, t datum.Type) error {
	name = strings.ToLower(name)
	if unitOf(name) == "" {
		return fail("22023", "unit %q not recognized for type %s", name, t.SQLName())
	}
	return fail("0A000", "unit %q not supported for type %s", name, t.SQLName())
}

func whole64(n int64) datum.Datum { return datum.MakeNumeric(apd.New(n, 0)) }

func scaled(n int64, scale int32) datum.Datum { return datum.MakeNumeric(apd.New(n, -scale)) }

func extract(env *Env, name string, v datum.Datum) (datum.Datum, error) {
	unit := unitOf(name)
	switch v.Type {
	case datum.Interval:
		return intervalPart(name, unit, v)
	case datum.Time, datum.Timetz:
		return clockPart(name, unit, v)
	case datum.Date:
		out := datePartOf(unit, v.I)
		if out == nil {
			return datum.Datum{}, errUnit(name, v.Type)
		}
		if v.I == datum.DateInfinity || v.I == datum.DateMinusInfinity {
			return infinitePart(unit, v.I > 0)
		}
		if unit == "epoch" {
			return whole64((v.I + datum.EpochDays) * 24 * 3600), nil
		}
		return *out, nil
	}
	return timestampPart(env, name, unit, v)
}

// infinitePart is a field of infinity: only those that grow for ever have a value.
func infinitePart(unit string, positive bool) (datum.Datum, error) {
	switch unit {
	case "year", "decade", "century", "millennium", "julian", "isoyear", "epoch":
		return infinite(!positive)
	}
	return datum.MakeNull(datum.Numeric), nil
}

// julian is the number of a day as astronomers count.
func julian(days int64) int64 { return days + 2451545 }

// wall is what the clock shows at a timestamp, in the session's zone if it has one.
func wall(env *Env, v datum.Datum) int64 {
	if v.Type == datum.Timestamptz && !datum.InfiniteTime(v.I) {
		return datum.FromZone(v.I, env.Location)
	}
	return v.I
}

func timestampPart(env *Env, name, unit string, v datum.Datum) (datum.Datum, error) {
	local := wall(env, v)
	days, micros := datum.SplitDay(local)
	infinity := datum.InfiniteTime(v.I)
	var out datum.Datum
	switch unit {
	case "timezone", "timezone_hour", "timezone_minute":
		if v.Type != datum.Timestamptz {
			return datum.Datum{}, errUnit(name, v.Type)
		}
		out = zonePart(unit, (local-v.I)/second)
	case "microseconds", "milliseconds", "second", "minute", "hour":
		out, _ = ofClock(unit, micros)
	case "epoch":
		if !infinity {
			out = scaled(v.I+datum.EpochMicros, 6)
		}
	case "julian":
		if !infinity {
			part, err := datum.NumericArithmetic("/", apd.New(micros, 0), apd.New(day, 0))
			if err != nil {
				return datum.Datum{}, err
			}
			return datum.NumericArithmetic("+", apd.New(julian(days), 0), part.D)
		}
	default:
		part := datePartOf(unit, days)
		if part == nil {
			return datum.Datum{}, errUnit(name, v.Type)
		}
		out = *part
	}
	if infinity {
		return infinitePart(unit, v.I > 0)
	}
	return out, nil
}

func zonePart(unit string, east int64) datum.Datum {
	switch unit {
	case "timezone_hour":
		return whole64(east / 3600)
	case "timezone_minute":
		return whole64(east / 60 % 60)
	}
	return whole64(east)
}

// ofClock are the fields of a time of day, or of the time in an interval.
func ofClock(unit string, micros int64) (datum.Datum, bool) {
	switch unit {
	case "microseconds":
		return whole64(micros % minute), true
	case "milliseconds":
		return scaled(micros%minute, 3), true
	case "second":
		return scaled(micros%minute, 6), true
	case "minute":
		return whole64(micros / minute % 60), true
	case "hour":
		return whole64(micros / hour), true
	}
	return datum.Datum{}, false
}

func clockPart(name, unit string, v datum.Datum) (datum.Datum, error) {
	out, ok := ofClock(unit, v.I)
	switch {
	case ok:
		return out, nil
	case unit == "epoch" && v.Type == datum.Timetz:
		return scaled(v.I+int64(v.Days)*second, 6), nil
	case unit == "epoch":
		return scaled(v.I, 6), nil
	case v.Type == datum.Timetz && strings.HasPrefix(unit, "timezone"):
		return zonePart(unit, -int64(v.Days)), nil
	}
	return datum.Datum{}, errUnit(name, v.Type)
}

func intervalPart(name, unit string, v datum.Datum) (datum.Datum, error) {
	if out, ok := ofClock(unit, v.I); ok {
		return out, nil
	}
	years, months := int64(v.Months/12), int64(v.Months%12)
	switch unit {
	case "day":
		return whole64(int64(v.Days)), nil
	case "month":
		return whole64(months), nil
	case "quarter":
		return whole64(months/3 + 1), nil
	case "year":
		return whole64(years), nil
	case "decade":
		return whole64(years / 10), nil
	case "century":
		return whole64(years / 100), nil
	case "millennium":
		return whole64(years / 1000), nil
	case "epoch": // a year has 365.25 days
		seconds := (1461*years + 4*30*months + 4*int64(v.Days)) * (24 * 3600 / 4)
		return datum.NumericArithmetic("+", apd.New(seconds, 0), apd.New(v.I, -6))
	}
	return datum.Datum{}, errUnit(name, datum.Interval)
}

// isoDay is 1 for Monday to 7 for Sunday.
func isoDay(days int64) int64 { return ((days+5)%7+7)%7 + 1 }

// isoWeek is the year and the number of a week: that of its Thursday.
func isoWeek(days int64) (year, week int64) {
	thursday := days - isoDay(days) + 4
	year, _, _ = datum.Civil(thursday)
	first, _ := datum.Days(year, 1, 1)
	return year, (thursday-first)/7 + 1
}

// historic is a year as people count: there is none between 1 BC and 1 AD.
func historic(y int64) int64 {
	if y > 0 {
		return y
	}
	return y - 1
}

// ages is how many spans of n years a year ends or is in, counted from 1.
func ages(y, n int64) int64 {
	if y > 0 {
		return (y + n - 1) / n
	}
	return -((n - 1 - (y - 1)) / n)
}

func decade(y int64) int64 {
	if y >= 0 {
		return y / 10
	}
	return -((8 - (y - 1)) / 10)
}

// datePartOf are the fields of a date; nil: it has none such.
func datePartOf(unit string, days int64) *datum.Datum {
	y, m, d := datum.Civil(min(max(days, -math.MaxInt32), math.MaxInt32))
	var n int64
	switch unit {
	case "day":
		n = int64(d)
	case "month":
		n = int64(m)
	case "quarter":
		n = int64(m-1)/3 + 1
	case "week":
		_, n = isoWeek(days)
	case "year":
		n = historic(y)
	case "decade":
		n = decade(y)
	case "century":
		n = ages(y, 100)
	case "millennium":
		n = ages(y, 1000)
	case "julian":
		n = julian(days)
	case "isoyear":
		n, _ = isoWeek(days)
		n = historic(n)
	case "dow":
		n = isoDay(days) % 7
	case "isodow":
		n = isoDay(days)
	case "doy":
		first, _ := datum.Days(y, 1, 1)
		n = days - first + 1
	case "epoch":
	default:
		return nil
	}
	out := whole64(n)
	return &out
}
