package datum

import (
	"encoding/hex"
	"math"
	"strconv"
	"time"
)

// IntervalStyle is how intervals are written, by PostgreSQL's name.
type IntervalStyle string

// The styles of intervals; "" is IntervalPostgres.
const (
	IntervalPostgres IntervalStyle = "postgres"
	IntervalVerbose  IntervalStyle = "postgres_verbose"
	IntervalSQL      IntervalStyle = "sql_standard"
	IntervalISO      IntervalStyle = "iso_8601"
)

// Style is what a session's settings say of the text of values. The zero Style is
// PostgreSQL's defaults, in UTC.
type Style struct {
	Location    *time.Location // nil: UTC
	Order       DateOrder      // of dates that are read
	ByteaEscape bool
	Interval    IntervalStyle
	// FloatDigits is how many digits a float8 has, and a float4 nine fewer, at
	// least one; 0: the fewest that read back as the same value.
	FloatDigits int
}

// AppendStyled appends the text form of d, which must not be null, in a style.
func AppendStyled(dst []byte, d Datum, s *Style) []byte {
	if d.Type.IsArray() {
		return appendArrayText(dst, d, s)
	}
	switch {
	case d.IsRow():
		return appendRecordText(dst, d, s)
	case d.Type == Bytea && s.ByteaEscape:
		return appendEscaped(dst, d.S)
	case d.Type == Interval && s.Interval == IntervalVerbose:
		return appendIntervalVerbose(dst, d)
	case d.Type == Interval && s.Interval == IntervalSQL:
		return appendIntervalSQL(dst, d)
	case d.Type == Interval && s.Interval == IntervalISO:
		return appendIntervalISO(dst, d)
	case d.Type.IsFloat() && s.FloatDigits > 0 && !math.IsInf(d.F, 0) && !math.IsNaN(d.F):
		digits := s.FloatDigits
		if d.Type == Float4 {
			digits = max(digits-9, 1)
		}
		return strconv.AppendFloat(dst, d.F, 'g', digits, 64)
	default:
		return AppendText(dst, d, s.Location)
	}
}

// appendEscaped writes bytea_output = escape.
func appendEscaped(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			dst = append(dst, '\\', '\\')
		case c < 0x20 || c > 0x7e:
			dst = append(dst, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// appendHex writes bytea_output = hex.
func appendHex(dst []byte, s string) []byte {
	return hex.AppendEncode(append(dst, '\\', 'x'), []byte(s))
}

// parts are the fields of an interval, each with its sign.
type parts struct{ year, month, day, hour, minute, micros int64 }

func partsOf(d Datum) parts {
	return parts{year: int64(d.Months / 12), month: int64(d.Months % 12), day: int64(d.Days),
		hour: d.I / microsPerHour, minute: d.I / microsPerMinute % 60, micros: d.I % microsPerMinute}
}

// appendSeconds writes micros without their sign; wide writes two digits before
// the point.
func appendSeconds(dst []byte, micros int64, wide bool) []byte {
	if micros < 0 {
		micros = -micros
	}
	if wide && micros < 10*microsPerSecond {
		dst = append(dst, '0')
	}
	dst = strconv.AppendInt(dst, micros/microsPerSecond, 10)
	return appendFraction(dst, micros%microsPerSecond)
}

func appendIntervalISO(dst []byte, d Datum) []byte {
	p := partsOf(d)
	if p == (parts{}) {
		return append(dst, "PT0S"...)
	}
	part := func(n int64, unit byte) {
		if n != 0 {
			dst = append(strconv.AppendInt(dst, n, 10), unit)
		}
	}
	dst = append(dst, 'P')
	part(p.year, 'Y')
	part(p.month, 'M')
	part(p.day, 'D')
	if d.I != 0 {
		dst = append(dst, 'T')
	}
	part(p.hour, 'H')
	part(p.minute, 'M')
	if p.micros != 0 {
		if p.micros < 0 {
			dst = append(dst, '-')
		}
		dst = append(appendSeconds(dst, p.micros, false), 'S')
	}
	return dst
}

// appendIntervalVerbose gives all fields the sign of the first, and "ago" at the
// end if that is negative.
func appendIntervalVerbose(dst []byte, d Datum) []byte {
	p := partsOf(d)
	if p == (parts{}) {
		return append(dst, "@ 0"...)
	}
	begun, ago := false, false
	sign := func(n int64) int64 {
		if !begun {
			begun, ago = true, n < 0
		}
		if ago {
			return -n
		}
		return n
	}
	dst = append(dst, '@')
	for _, f := range []struct {
		n    int64
		unit string
	}{{p.year, " year"}, {p.month, " mon"}, {p.day, " day"}, {p.hour, " hour"}, {p.minute, " min"}} {
		if f.n == 0 {
			continue
		}
		n := sign(f.n)
		dst = append(strconv.AppendInt(append(dst, ' '), n, 10), f.unit...)
		if n != 1 {
			dst = append(dst, 's')
		}
	}
	if p.micros != 0 {
		n := sign(p.micros)
		if dst = append(dst, ' '); n < 0 {
			dst = append(dst, '-')
		}
		dst = append(appendSeconds(dst, n, false), " sec"...)
		if n != microsPerSecond && n != -microsPerSecond {
			dst = append(dst, 's')
		}
	}
	if ago {
		dst = append(dst, " ago"...)
	}
	return dst
}

// appendIntervalSQL writes the SQL standard's forms, and signs for each field where
// an interval has none of them.
func appendIntervalSQL(dst []byte, d Datum) []byte {
	p := partsOf(d)
	yearMonth, dayTime := d.Months != 0, d.Days != 0 || d.I != 0
	negative := d.Months < 0 || d.Days < 0 || d.I < 0
	positive := d.Months > 0 || d.Days > 0 || d.I > 0
	field := func(n int64) { dst = strconv.AppendInt(dst, max(n, -n), 10) }
	clock := func() {
		field(p.hour)
		dst = append(appendTwo(append(dst, ':'), max(p.minute, -p.minute)), ':')
		dst = appendSeconds(dst, p.micros, true)
	}
	signed := func(negative bool) {
		if negative {
			dst = append(dst, '-')
		} else {
			dst = append(dst, '+')
		}
	}
	switch {
	case !negative && !positive:
		return append(dst, '0')
	case negative && positive || yearMonth && dayTime:
		signed(d.Months < 0)
		field(p.year)
		dst = append(dst, '-')
		field(p.month)
		dst = append(dst, ' ')
		signed(d.Days < 0)
		field(p.day)
		dst = append(dst, ' ')
		signed(d.I < 0)
		clock()
		return dst
	case negative:
		dst = append(dst, '-')
	}
	switch {
	case yearMonth:
		field(p.year)
		dst = append(dst, '-')
		field(p.month)
	case d.Days != 0:
		field(p.day)
		dst = append(dst, ' ')
		clock()
	default:
		clock()
	}
	return dst
}

// Reading is how texts are read in a style, in a transaction that began at now.
func (s *Style) Reading(now time.Time) *Reading {
	return &Reading{Location: s.Location, Order: s.Order, Now: now}
}
