package datum

import (
	"cmp"
	"math"
	"strings"

	"github.com/cockroachdb/apd/v3"
)

// Datum is one value. Which fields hold it depends on Type:
//
//	Bool                         I (0, 1)
//	Int2 Int4 Int8 OID           I
//	Float4 Float8                F (a float4 is kept exactly)
//	Numeric                      D (Form, Coeff, Exponent; -Exponent is the display scale)
//	Text Varchar Name Unknown    S
//	Bpchar                       S, with the blanks at its end
//	Char                         S, empty for the byte 0
//	Bytea                        S (the bytes)
//	Inet Cidr                    S (as makeInet has it)
//	Bit Varbit                   S (the digits)
//	UUID                         S (16 bytes)
//	JSON JSONB                   S (text; for JSONB in PostgreSQL's output form)
//	Date                         I (days since 2000-01-01)
//	Timestamp Timestamptz        I (microseconds since 2000-01-01 00:00, UTC for timestamptz)
//	Time                         I (microseconds since midnight)
//	Timetz                       I (as Time, of its own zone), Days (the zone: seconds west of UTC)
//	Interval                     Months, Days, I (microseconds)
//	enums                        I (the label's id), F (its place in the order), S (its name)
//	arrays                       A
//	composite types, Record      A (the fields)
//
// A null has Null set and its Type, and nothing else.
type Datum struct {
	Type   Type
	Null   bool
	Months int32
	Days   int32
	I      int64
	F      float64
	S      string
	D      *apd.Decimal
	A      *Elements
}

// Elements are the values of an array, the last subscript running fastest.
type Elements struct {
	Values []Datum
	// Dims are the dimensions; nil: there is one, which begins at 1, or there are no elements.
	Dims []Dimension
}

// The epoch of Date and Timestamp against Unix's.
const (
	EpochDays   = 10957                          // 2000-01-01 in days since 1970-01-01
	EpochMicros = EpochDays * microsecondsPerDay // the same in microseconds
)

const (
	microsecondsPerDay = 86_400_000_000
	daysPerMonth       = 30 // where intervals are compared
)

// The dates and timestamps that are no point in time.
const (
	DateInfinity          = math.MaxInt32
	DateMinusInfinity     = math.MinInt32
	TimestampInfinity     = math.MaxInt64
	TimestampMinusInfinty = math.MinInt64
)

// MakeNull returns the null of type t.
func MakeNull(t Type) Datum { return Datum{Type: t, Null: true} }

// MakeBool returns a bool.
func MakeBool(b bool) Datum {
	d := Datum{Type: Bool}
	if b {
		d.I = 1
	}
	return d
}

// MakeInt returns an integer, date, timestamp, time or oid of type t.
func MakeInt(t Type, i int64) Datum { return Datum{Type: t, I: i} }

// MakeCount returns a number of something as int8.
func MakeCount[T ~uint64 | ~int | ~uint32 | ~uint16](n T) Datum { return MakeInt(Int8, int64(n)) }

// MakeFloat returns a float of type t.
func MakeFloat(t Type, f float64) Datum {
	if t == Float4 {
		f = float64(float32(f))
	}
	return Datum{Type: t, F: f}
}

// MakeText returns a text.
func MakeText(s string) Datum { return Datum{Type: Text, S: s} }

// MakeString returns a value of a type that is kept in S.
func MakeString(t Type, s string) Datum { return Datum{Type: t, S: s} }

// MakeNumeric returns a numeric; the caller gives d away.
func MakeNumeric(d *apd.Decimal) Datum { return Datum{Type: Numeric, D: d} }

// MakeInterval returns an interval.
func MakeInterval(months, days int32, micros int64) Datum {
	return Datum{Type: Interval, Months: months, Days: days, I: micros}
}

// MakeTimetz returns a time of day in a zone so many seconds west of UTC.
func MakeTimetz(micros int64, west int32) Datum { return Datum{Type: Timetz, I: micros, Days: west} }

// MakeArray returns an array of elem values; the caller gives values away.
func MakeArray(elem Type, values []Datum) Datum {
	return Datum{Type: elem | Array, A: &Elements{Values: values}}
}

// MakeArrayOf returns an array of some dimensions, of which values are all elements; the
// caller gives both away.
func MakeArrayOf(elem Type, values []Datum, dims []Dimension) Datum {
	if len(values) == 0 || len(dims) == 0 || len(dims) == 1 && dims[0].Lower == 1 {
		dims = nil
	}
	return Datum{Type: elem | Array, A: &Elements{Values: values, Dims: dims}}
}

// Unpadded returns the characters of a Bpchar that count: it is compared, and becomes
// text, without the blanks at its end.
func (d Datum) Unpadded() string { return strings.TrimRight(d.S, " ") }

// Bool reports whether d is true; null is not.
func (d Datum) Bool() bool { return !d.Null && d.I != 0 }

// Compare orders two values of the same type as PostgreSQL does in ascending
// order: null last, NaN above every number, strings by bytes.
func Compare(a, b Datum) int {
	if a.Null || b.Null {
		return cmp.Compare(btoi(a.Null), btoi(b.Null))
	}
	if a.Type.IsArray() {
		return compareArrays(a.A, b.A)
	}
	if a.IsRow() {
		return compareFields(a.A, b.A)
	}
	if a.Type.IsEnum() {
		return cmp.Compare(a.F, b.F)
	}
	switch a.Type {
	case Float4, Float8:
		return compareFloats(a.F, b.F)
	case Numeric:
		return compareNumerics(a.D, b.D)
	case Text, Varchar, Name, Char, Unknown, Bytea, UUID, JSON, Inet, Cidr, Bit, Varbit:
		return strings.Compare(a.S, b.S)
	case JSONB:
		return CompareJSON(a.S, b.S)
	case Bpchar:
		return strings.Compare(a.Unpadded(), b.Unpadded())
	case Interval:
		da, ma := a.span()
		db, mb := b.span()
		return cmp.Or(cmp.Compare(da, db), cmp.Compare(ma, mb))
	case Timetz:
		return cmp.Or(cmp.Compare(a.utc(), b.utc()), cmp.Compare(a.Days, b.Days))
	default:
		return cmp.Compare(a.I, b.I)
	}
}

// span is the length that PostgreSQL compares intervals by, as days and microseconds
// of a day.
func (d Datum) span() (days, micros int64) {
	days, micros = int64(d.Months)*daysPerMonth+int64(d.Days)+d.I/microsecondsPerDay, d.I%microsecondsPerDay
	if micros < 0 {
		return days - 1, micros + microsecondsPerDay
	}
	return days, micros
}

// utc is the time of a Timetz in UTC, which may be of the day before or after.
func (d Datum) utc() int64 { return d.I + int64(d.Days)*microsPerSecond }

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func compareFloats(a, b float64) int {
	if an, bn := math.IsNaN(a), math.IsNaN(b); an || bn {
		return btoi(an) - btoi(bn)
	}
	return cmp.Compare(a, b)
}

// numericRank orders the forms of a numeric: -Infinity, finite, Infinity, NaN.
func numericRank(d *apd.Decimal) int {
	switch d.Form {
	case apd.Infinite:
		if d.Negative {
			return -1
		}
		return 1
	case apd.Finite:
		return 0
	default:
		return 2
	}
}

func compareNumerics(a, b *apd.Decimal) int {
	ra, rb := numericRank(a), numericRank(b)
	if ra != 0 || rb != 0 {
		return cmp.Compare(ra, rb)
	}
	return a.Cmp(b)
}
