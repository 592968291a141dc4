package datum

import (
	"math"
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
	default:
		return 0, 0, 0, false
	}
}

// parseInterval reads PostgreSQL's verbose forms: "1 year 2 mons -3 days
// 04:05:06.7", with an optional "ago".
func parseInterval(s string) (Datum, error) {
	bad := errorf(codeBadDatetime, "invalid input syntax for type interval: %q", clip(s))
	fields := intervalFields(strings.ToLower(strings.TrimPrefix(strings.TrimSpace(s), "@")))
	ago := false
	if n := len(fields); n > 0 && fields[n-1] == "ago" {
		fields, ago = fields[:n-1], true
	}
	if len(fields) == 0 {
		return Datum{}, bad
	}
	var months, days, micros float64
	for i := 0; i < len(fields); i++ {
		if strings.Contains(fields[i], ":") {
			c, ok := intervalClock(fields[i])
			if !ok {
				return Datum{}, bad
			}
			micros += c
			continue
		}
		n, err := strconv.ParseFloat(fields[i], 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			return Datum{}, bad
		}
		unit := ""
		if i+1 < len(fields) && !strings.Contains(fields[i+1], ":") {
			unit = fields[i+1]
			i++
		} else if i+1 < len(fields) {
			unit = "day" // "3 04:05:06"
		}
		m, d, u, ok := intervalUnit(unit)
		if !ok {
			return Datum{}, bad
		}
		wholeMonths := math.Trunc(n * m)
		months += wholeMonths
		d = n*d + (n*m-wholeMonths)*30
		wholeDays := math.Trunc(d)
		days += wholeDays
		micros += math.RoundToEven(n*u + (d-wholeDays)*microsecondsPerDay)
	}
	if ago {
		months, days, micros = -months, -days, -micros
	}
	if math.Abs(months) > math.MaxInt32 || math.Abs(days) > math.MaxInt32 || math.Abs(micros) >= math.MaxInt64 {
		return Datum{}, errorf(codeDatetimeRange, "interval field value out of range: %q", clip(s))
	}
	return MakeInterval(int32(months), int32(days), int64(micros)), nil
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

// ParseIntervalFields reads the text of an interval whose type names fields: a bare
// number counts the last of them, and what is smaller is cut off.
func ParseIntervalFields(s string, fields int32) (Datum, error) {
	if fields == fieldsOfAnyone {
		return parseInterval(s)
	}
	unit, cut := "second", int64(1)
	switch {
	case fields&fieldSecond != 0:
		if fields&fieldHour == 0 && fields&fieldMinute != 0 && strings.Count(s, ":") == 1 {
			s = "0:" + strings.TrimSpace(s) // minutes and seconds
		}
	case fields&fieldMinute != 0:
		unit, cut = "minute", microsPerMinute
	case fields&fieldHour != 0:
		unit, cut = "hour", microsPerHour
	case fields&fieldDay != 0:
		unit, cut = "day", math.MaxInt64
	case fields&fieldMonth != 0:
		unit, cut = "month", math.MaxInt64
	case fields&fieldYear != 0:
		unit, cut = "year", math.MaxInt64
	}
	if _, err := strconv.ParseFloat(strings.TrimSpace(s), 64); err == nil {
		s += " " + unit
	}
	d, err := parseInterval(s)
	if err != nil {
		return d, err
	}
	d.I -= d.I % cut
	if unit == "month" || unit == "year" {
		d.Days = 0
	}
	if unit == "year" {
		d.Months -= d.Months % 12
	}
	return d, nil
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
	return MakeInt(d.Type, n)
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

func intervalClock(s string) (float64, bool) {
	sign := 1.0
	if s[0] == '-' || s[0] == '+' {
		if s[0] == '-' {
			sign = -1
		}
		s = s[1:]
	}
	total, unit := 0.0, float64(microsPerHour)
	parts := strings.Split(s, ":")
	if len(parts) > 3 {
		return 0, false
	}
	for _, p := range parts {
		n, err := strconv.ParseFloat(p, 64)
		if err != nil || n < 0 || math.IsInf(n, 0) || math.IsNaN(n) {
			return 0, false
		}
		total += n * unit
		unit /= 60
	}
	return sign * math.RoundToEven(total), true
}
