package datum

import (
	"math"
	"strconv"
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
		if micros == math.MinInt64 { // which has no opposite
			return append(dst, "2562047788:00:54.775808"...)
		}
		micros = -micros
	}
	return appendClock(dst, micros)
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
