package datum

import (
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

// appendInterval writes PostgreSQL's default interval style.
func appendInterval(dst []byte, d Datum) []byte {
	start := len(dst)
	negative := false
	part := func(n int64, one, many string) {
		if n == 0 {
			return
		}
		if len(dst) > start {
			dst = append(dst, ' ')
			if negative && n > 0 {
				dst = append(dst, '+')
			}
		}
		negative = n < 0
		dst = strconv.AppendInt(dst, n, 10)
		if n == 1 {
			dst = append(append(dst, ' '), one...)
		} else {
			dst = append(append(dst, ' '), many...)
		}
	}
	part(int64(d.Months/12), "year", "years")
	part(int64(d.Months%12), "mon", "mons")
	part(int64(d.Days), "day", "days")
	if d.I == 0 && len(dst) > start {
		return dst
	}
	if len(dst) > start {
		dst = append(dst, ' ')
		if negative && d.I > 0 {
			dst = append(dst, '+')
		}
	}
	micros := d.I
	if micros < 0 {
		dst = append(dst, '-')
		micros = -micros
	}
	return appendClock(dst, max(micros, 0))
}

// intervalUnits maps unit names to months, days or microseconds.
func intervalUnit(name string) (months, days, micros float64, ok bool) {
	switch strings.TrimSuffix(name, "s") {
	case "microsecond", "usec", "u":
		return 0, 0, 1, true
	case "millisecond", "msec", "m":
		if name == "m" {
			return 0, 0, microsPerMinute, true
		}
		return 0, 0, 1000, true
	case "second", "sec", "":
		return 0, 0, microsPerSecond, true
	case "minute", "min":
		return 0, 0, microsPerMinute, true
	case "hour", "hr", "h":
		return 0, 0, microsPerHour, true
	case "day", "d":
		return 0, 1, 0, true
	case "week", "w":
		return 0, 7, 0, true
	case "month", "mon":
		return 1, 0, 0, true
	case "year", "yr", "y":
		return 12, 0, 0, true
	case "decade":
		return 120, 0, 0, true
	case "century", "centurie":
		return 1200, 0, 0, true
	case "millennium", "millennia":
		return 12000, 0, 0, true
	default:
		return 0, 0, 0, false
	}
}

// parseInterval reads PostgreSQL's verbose forms: "1 year 2 mons -3 days
// 04:05:06.7", with an optional "ago".
func parseInterval(s string) (Datum, error) {
	bad := errorf(codeBadDatetime, "invalid input syntax for type interval: %q", clip(s))
	text := strings.ToLower(strings.TrimPrefix(strings.TrimSpace(s), "@"))
	fields := intervalFields(text)
	if strings.HasPrefix(text, "p") {
		var ok bool
		if fields, ok = isoInterval(text); !ok {
			return Datum{}, bad
		}
	}
	ago := false
	if n := len(fields); n > 0 && fields[n-1] == "ago" {
		fields, ago = fields[:n-1], true
	}
	if len(fields) == 0 {
		return Datum{}, bad
	}
	var months, days, micros, largest float64
	var clock int64
	var late *Error
	seen := map[[3]float64]bool{} // units, each of which may be there once
	for i := 0; i < len(fields); i++ {
		if strings.Contains(fields[i], ":") {
			c, ok, outside := intervalClock(fields[i])
			if outside {
				return Datum{}, errorf(codeIntervalRange, "interval field value out of range: %q", clip(s))
			}
			if !ok {
				return Datum{}, bad
			}
			clock += c
			continue
		}
		if y, m, ok := yearMonth(fields[i]); ok {
			months += y*12 + m
			continue
		}
		if manyMonths.MatchString(fields[i]) { // what stands behind is looked at first
			late = errorf(codeIntervalRange, "interval field value out of range: %q", clip(s))
			continue
		}
		n, err := strconv.ParseFloat(fields[i], 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			return Datum{}, bad
		}
		largest = max(largest, math.Abs(n))
		unit := ""
		if i+1 < len(fields) && !strings.Contains(fields[i+1], ":") {
			unit = fields[i+1]
			i++
		} else if i+1 < len(fields) {
			unit = "day" // "3 04:05:06"
		}
		m, d, u, ok := intervalUnit(unit)
		if !ok || seen[[3]float64{m, d, u}] {
			return Datum{}, bad
		}
		seen[[3]float64{m, d, u}] = true
		wholeMonths := math.Trunc(n * m)
		months += wholeMonths
		d = n*d + (n*m-wholeMonths)*30
		wholeDays := math.Trunc(d)
		days += wholeDays
		micros += math.RoundToEven(n*u + (d-wholeDays)*microsecondsPerDay)
	}
	if late != nil {
		return Datum{}, late
	}
	if ago {
		months, days, micros, clock = -months, -days, -micros, -clock
	}
	return sumInterval([4]float64{months, days, micros, largest}, clock, s)
}

// manyMonths is a year-month literal, or what begins as one, of more months than a year has.
var manyMonths = regexp.MustCompile(`^[+-]?\d+-(1[2-9]|[2-9]\d|\d{3,})`)

// sumInterval makes an interval of months, days, microseconds and the largest number that
// was given, and of a clock.
func sumInterval(given [4]float64, clock int64, s string) (Datum, error) {
	months, days, micros, largest := given[0], given[1], given[2], given[3]
	if math.Abs(months) > math.MaxInt32 && largest <= math.MaxInt32 {
		return Datum{}, errorf(codeDatetimeRange, "interval out of range")
	}
	total := int64(micros) + clock
	if math.Abs(months) > math.MaxInt32 || math.Abs(days) > math.MaxInt32 || math.Abs(micros) >= math.MaxInt64 || (total < clock) != (micros < 0) && micros != 0 {
		return Datum{}, errorf(codeIntervalRange, "interval field value out of range: %q", clip(s))
	}
	return MakeInterval(int32(months), int32(days), total), nil
}

// yearMonth reads the 1-2 of SQL's year-month literals.
func yearMonth(s string) (years, months float64, ok bool) {
	sign, digits := 1.0, s
	if s[0] == '-' || s[0] == '+' {
		if digits = s[1:]; s[0] == '-' {
			sign = -1
		}
	}
	y, m, two := strings.Cut(digits, "-")
	yn, err := strconv.ParseUint(y, 10, 31)
	mn, err2 := strconv.ParseUint(m, 10, 31)
	return sign * float64(yn), sign * float64(mn), two && err == nil && err2 == nil && mn < 12
}

// The fields of INTERVAL 'text' HOUR TO MINUTE, as PostgreSQL numbers them in the
// modifier of the type.
const (
	fieldMonth     = 1 << 1
	fieldYear      = 1 << 2
	fieldDay       = 1 << 3
	fieldHour      = 1 << 10
	fieldMinute    = 1 << 11
	fieldSecond    = 1 << 12
	fieldsOfAnyone = 0x7fff // only a precision was given
)

// exactSeconds is the precision of a modifier that names none.
const exactSeconds = 0xffff

// IntervalModifier makes the modifier of the fields, and the digits of a second, that
// the type of an interval names; m is as the parser has it.
func IntervalModifier(m []int32) (modifier int32, ok bool) {
	precision := int32(exactSeconds)
	if len(m) == 2 {
		precision = min(m[1], 6)
	}
	if len(m) < 1 || len(m) > 2 || m[0] < 0 || m[0] > fieldsOfAnyone || precision < 0 {
		return -1, false
	}
	if _, ok := IntervalFields()[m[0]]; !ok {
		return -1, false
	}
	if m[0] == fieldsOfAnyone && precision == exactSeconds {
		return -1, true
	}
	return m[0]<<16 | precision, true
}

// IntervalFields are the names of fields, by their number in a modifier.
func IntervalFields() map[int32]string {
	return map[int32]string{
		fieldsOfAnyone: "", fieldYear: " year", fieldMonth: " month", fieldDay: " day", fieldHour: " hour", fieldMinute: " minute", fieldSecond: " second",
		fieldYear | fieldMonth: " year to month", fieldDay | fieldHour: " day to hour", fieldDay | fieldHour | fieldMinute: " day to minute",
		fieldDay | fieldHour | fieldMinute | fieldSecond: " day to second", fieldHour | fieldMinute: " hour to minute",
		fieldHour | fieldMinute | fieldSecond: " hour to second", fieldMinute | fieldSecond: " minute to second",
	}
}

// intervalModifier writes what stands behind the name of the type.
func intervalModifier(modifier int32) string {
	out := IntervalFields()[modifier>>16]
	if precision := modifier & exactSeconds; precision != exactSeconds {
		out += "(" + strconv.Itoa(int(precision)) + ")"
	}
	return out
}

// smallestField is the unit of the last field, and how many microseconds it has:
// 1 for seconds, none for those of a day and more.
func smallestField(fields int32) (unit string, micros int64) {
	switch {
	case fields == fieldsOfAnyone, fields&fieldSecond != 0:
		return "second", 1
	case fields&fieldMinute != 0:
		return "minute", microsPerMinute
	case fields&fieldHour != 0:
		return "hour", microsPerHour
	case fields&fieldDay != 0:
		return "day", 0
	case fields&fieldMonth != 0:
		return "month", 0
	default:
		return "year", 0
	}
}

// cutInterval cuts off what is smaller than the fields of a modifier, and rounds to its
// digits of a second.
func cutInterval(d Datum, modifier int32) Datum {
	unit, micros := smallestField(modifier >> 16)
	if micros == 0 {
		d.I = 0
	} else {
		d.I -= d.I % micros
	}
	if unit == "month" || unit == "year" {
		d.Days = 0
	}
	if unit == "year" {
		d.Months -= d.Months % 12
	}
	return RoundTime(d, modifier&exactSeconds)
}

// ParseIntervalFields reads the text of an interval whose type names fields: a bare
// number counts the last of them, and what is smaller is cut off.
func ParseIntervalFields(s string, fields int32) (Datum, error) {
	if fields == fieldsOfAnyone {
		return parseInterval(s)
	}
	unit, _ := smallestField(fields)
	if fields&fieldHour == 0 && fields&fieldMinute != 0 && fields&fieldSecond != 0 && strings.Count(s, ":") == 1 {
		s = "0:" + strings.TrimSpace(s) // minutes and seconds
	}
	if _, err := strconv.ParseFloat(strings.TrimSpace(s), 64); err == nil {
		s += " " + unit
	} else if parts := strings.Fields(s); unit == "hour" && len(parts) == 2 && strings.Trim(s, " 0123456789+-") == "" {
		s = parts[0] + " day " + parts[1] + " hour"
	}
	d, err := parseInterval(s)
	if err != nil {
		return d, err
	}
	return cutInterval(d, fields<<16|exactSeconds), nil
}

// RoundTime rounds a timestamp, or a time of day, to digits of a second.
func RoundTime(d Datum, digits int32) Datum {
	if d.Null || digits < 0 || digits >= 6 || d.I == TimestampInfinity || d.I == TimestampMinusInfinty {
		return d
	}
	unit := int64(microsPerSecond)
	for range digits {
		unit /= 10
	}
	n := max(d.I, -d.I)
	n = (n + unit/2) / unit * unit
	if d.I < 0 {
		n = -n
	}
	d.I = n
	return d
}

// intervalFields splits at spaces and between a number and its unit.
func intervalFields(s string) []string {
	var out []string
	for _, f := range strings.Fields(s) {
		i := strings.IndexFunc(f, func(r rune) bool { return r >= 'a' && r <= 'z' })
		if i > 0 {
			out = append(out, f[:i], f[i:])
		} else {
			out = append(out, f)
		}
	}
	return out
}

// intervalClock reads [-]HH:MM[:SS.ffffff], exactly; outside says that it is too long.
func intervalClock(s string) (micros int64, ok, outside bool) {
	negative := s[0] == '-'
	s = strings.TrimLeft(s[:1], "+-") + s[1:]
	parts := strings.Split(s, ":")
	if len(parts) > 3 {
		return 0, false, false
	}
	total := new(big.Int)
	for i, unit := range []int64{microsPerHour, microsPerMinute, microsPerSecond}[:len(parts)] {
		whole, fraction, _ := strings.Cut(parts[i], ".")
		n, err := strconv.ParseUint(whole, 10, 63)
		if err != nil {
			return 0, false, errIsRange(err)
		}
		total.Add(total, new(big.Int).Mul(new(big.Int).SetUint64(n), big.NewInt(unit)))
		if fraction == "" {
			continue
		}
		f, err := strconv.ParseFloat("0."+fraction, 64)
		if err != nil || i < len(parts)-1 {
			return 0, false, false
		}
		total.Add(total, big.NewInt(int64(math.RoundToEven(f*float64(unit)))))
	}
	if negative {
		total.Neg(total)
	}
	return total.Int64(), total.IsInt64(), !total.IsInt64()
}

// isoInterval makes the fields of P1Y2M3DT4H5M6.7S, and of P1W; ok is false if s is
// none.
func isoInterval(s string) (fields []string, ok bool) {
	date, clock := "ymwd", false
	units := map[byte]string{'y': "year", 'm': "month", 'w': "week", 'd': "day"}
	for s = s[1:]; s != ""; {
		if s[0] == 't' && !clock {
			date, clock, s = "hms", true, s[1:]
			units = map[byte]string{'h': "hour", 'm': "minute", 's': "second"}
			continue
		}
		i := strings.IndexAny(s, date)
		if i < 1 {
			return nil, false
		}
		fields = append(fields, s[:i], units[s[i]])
		s = s[i+1:]
	}
	return fields, len(fields) > 0
}
