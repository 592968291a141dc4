package frame

import "fmt"

// Kind is how values of a column are laid out.
type Kind uint8

// The kinds. Unknown is a parameter whose type is not known yet.
const (
	Unknown Kind = iota
	Bool
	Int16
	Int32
	Int64
	Float32
	Float64
	Decimal // Width and Scale say more
	Text
	Bytes
	JSON
	UUID
	Date        // days since 1970-01-01
	Timestamp   // microseconds since 1970-01-01
	TimestampTZ // microseconds since 1970-01-01 UTC
	Time        // microseconds since midnight
	Interval    // months and days (4 bytes each), microseconds (8)
	TimeTZ      // as TimeTZBits has it
	kinds
)

// MaxDecimalWidth is the number of digits of the widest Decimal.
const MaxDecimalWidth = 38

// NumericScale is the number of fractional digits that a numeric without a
// declared scale has in DuckDB, whose decimals have one scale per column. A value
// with more is refused, never rounded. 9 leaves 29 digits before the point, and lets
// two such columns be multiplied (scale 18) with 20 digits before it.
const NumericScale = 9

// The scales of what division and avg of numerics give.
const (
	QuotientScale = 20
	AverageScale  = 16
)

// Type is the type of a column or a parameter.
type Type struct {
	Kind         Kind
	Width, Scale uint8
	// List makes it a list of Kind, each value encoded by EncodeList.
	List bool
}

// Valid says whether the type can be laid out.
func (t Type) Valid() bool {
	if t.Kind == Decimal {
		return t.Width >= 1 && t.Width <= MaxDecimalWidth && t.Scale <= t.Width
	}
	return t.Kind < kinds
}

// Variable says that values have a length of their own.
func (t Type) Variable() bool {
	return t.List || t.Kind == Text || t.Kind == Bytes || t.Kind == JSON
}

// Size is the number of bytes of a value that is not Variable.
func (t Type) Size() int {
	switch t.Kind {
	case Bool:
		return 1
	case Int16:
		return 2
	case Int32, Float32, Date:
		return 4
	case Int64, Float64, Timestamp, TimestampTZ, Time, TimeTZ:
		return 8
	case UUID, Interval:
		return 16
	case Decimal:
		switch {
		case t.Width <= 4:
			return 2
		case t.Width <= 9:
			return 4
		case t.Width <= 18:
			return 8
		}
		return 16
	default:
	}
	return 0
}

// SQL is DuckDB's spelling of the type.
func (t Type) SQL() string {
	if t.List {
		t.List = false
		return t.SQL() + "[]"
	}
	switch t.Kind {
	case Bool:
		return "BOOLEAN"
	case Int16:
		return "SMALLINT"
	case Int32:
		return "INTEGER"
	case Int64:
		return "BIGINT"
	case Float32:
		return "FLOAT"
	case Float64:
		return "DOUBLE"
	case Decimal:
		return fmt.Sprintf("DECIMAL(%d,%d)", t.Width, t.Scale)
	case Text:
		return "VARCHAR"
	case Bytes:
		return "BLOB"
	case JSON:
		return "JSON"
	case UUID:
		return "UUID"
	case Date:
		return "DATE"
	case Timestamp:
		return "TIMESTAMP"
	case TimestampTZ:
		return "TIMESTAMPTZ"
	case Time:
		return "TIME"
	case TimeTZ:
		return "TIMETZ"
	case Interval:
		return "INTERVAL"
	default:
	}
	return "UNKNOWN"
}

// A time with a zone is a number in DuckDB: the microseconds, and in the low bits how
// far its offset is below the greatest.
const (
	offsetBits     = 24
	greatestOffset = 16*3600 - 1 // seconds
)

// TimeTZBits makes the number of a time of day in a zone so many seconds west of UTC.
func TimeTZBits(micros int64, west int32) int64 {
	return micros<<offsetBits | int64(greatestOffset+west)
}

// TimeTZOf is what TimeTZBits made a number of.
func TimeTZOf(bits int64) (micros int64, west int32) {
	return bits >> offsetBits, int32(bits&(1<<offsetBits-1)) - greatestOffset
}
