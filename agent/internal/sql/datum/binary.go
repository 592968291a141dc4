package datum

import (
	"encoding/binary"
	"math"
	"strings"
)

// The format codes of the wire.
const (
	FormatText   int16 = 0
	FormatBinary int16 = 1
)

// Append appends d, which must not be null, in the wire format.
func Append(dst []byte, d Datum, format int16, style *Style) []byte {
	if format == FormatBinary {
		return AppendBinary(dst, d)
	}
	return AppendStyled(dst, d, style)
}

// Decode reads a value of type t in the wire format. A nil raw is null.
func Decode(t Type, raw []byte, format int16, by *Reading) (Datum, error) {
	switch {
	case raw == nil:
		return MakeNull(t), nil
	case format == FormatBinary:
		return ParseBinary(t, raw)
	case format == FormatText:
		return by.Parse(t, string(raw))
	default:
		return Datum{}, errorf("08P01", "unsupported format code: %d", format)
	}
}

// AppendBinary appends PostgreSQL's binary form of d, which must not be null.
func AppendBinary(dst []byte, d Datum) []byte {
	if d.Type.IsArray() {
		return appendArrayBinary(dst, d)
	}
	if d.IsRow() {
		return appendRecordBinary(dst, d)
	}
	switch d.Type {
	case Bool:
		return append(dst, byte(d.I))
	case Int2:
		return binary.BigEndian.AppendUint16(dst, uint16(d.I))
	case Int4, OID, Date, Regproc, Regprocedure, Regoper, Regoperator, Regclass, Regtype, Regrole, Regnamespace, Regcollation, Regconfig, Regdictionary, Xid, Cid:
		return binary.BigEndian.AppendUint32(dst, uint32(d.I))
	case Int8, Xid8, Timestamp, Timestamptz, Time:
		return binary.BigEndian.AppendUint64(dst, uint64(d.I))
	case Float4:
		return binary.BigEndian.AppendUint32(dst, math.Float32bits(float32(d.F)))
	case Float8:
		if math.IsNaN(d.F) { // Go's own has another payload
			return binary.BigEndian.AppendUint64(dst, 0x7ff8<<48)
		}
		return binary.BigEndian.AppendUint64(dst, math.Float64bits(d.F))
	case Numeric:
		return appendNumericBinary(dst, d.D)
	case JSONB:
		return append(append(dst, 1), d.S...)
	case Inet, Cidr:
		return appendInetBinary(dst, d)
	case Bit, Varbit:
		return appendBitsBinary(dst, d.S)
	case Char:
		return append(dst, (d.S + "\x00")[0])
	case Tid:
		return appendTidBinary(dst, d.S)
	case Timetz:
		return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(dst, uint64(d.I)), uint32(d.Days))
	case Interval:
		dst = binary.BigEndian.AppendUint64(dst, uint64(d.I))
		dst = binary.BigEndian.AppendUint32(dst, uint32(d.Days))
		return binary.BigEndian.AppendUint32(dst, uint32(d.Months))
	default:
		return append(dst, d.S...)
	}
}

// ParseBinary reads PostgreSQL's binary form of a value of type t.
func ParseBinary(t Type, b []byte) (Datum, error) {
	if t.IsArray() {
		return parseArrayBinary(t, b)
	}
	if t.IsComposite() {
		return parseCompositeBinary(t, b)
	}
	switch want := fixedSize(t); {
	case want < 0 || len(b) == want:
	case len(b) > want:
		return Datum{}, ErrSurplus
	case t == Bool || t == Char:
		return Datum{}, noByte()
	default:
		return Datum{}, tooShort()
	}
	if t.IsNumbered() && t != Xid8 {
		return MakeInt(t, int64(binary.BigEndian.Uint32(b))), nil
	}
	switch t {
	case Bool:
		return MakeBool(b[0] != 0), nil
	case Int2:
		return MakeInt(t, int64(int16(binary.BigEndian.Uint16(b)))), nil
	case Int4:
		return MakeInt(t, int64(int32(binary.BigEndian.Uint32(b)))), nil
	case Int8, Xid8:
		return MakeInt(t, int64(binary.BigEndian.Uint64(b))), nil
	case Float4:
		return MakeFloat(t, float64(math.Float32frombits(binary.BigEndian.Uint32(b)))), nil
	case Float8:
		return MakeFloat(t, math.Float64frombits(binary.BigEndian.Uint64(b))), nil
	case Numeric:
		return parseNumericBinary(b)
	case Bytea, UUID:
		return MakeString(t, string(b)), nil
	case Inet, Cidr:
		return parseInetBinary(t, b)
	case Bit, Varbit:
		return parseBitsBinary(t, b)
	case Tid:
		return parseTidBinary(b)
	case Char:
		return ParseText(t, strings.TrimSuffix(string(b), "\x00"), nil)
	case Date, Timestamp, Timestamptz, Time, Timetz:
		return parseTimeBinary(t, b)
	case Interval:
		return MakeInterval(int32(binary.BigEndian.Uint32(b[12:])), int32(binary.BigEndian.Uint32(b[8:])),
			int64(binary.BigEndian.Uint64(b))), nil
	case JSONB:
		if len(b) < 1 {
			return Datum{}, tooShort()
		}
		if b[0] != 1 {
			return Datum{}, errorf(codeInvalidBinary, "unsupported jsonb version number %d", b[0])
		}
		return parseJSON(t, string(b[1:]))
	default:
		return ParseText(t, string(b), nil)
	}
}

// fixedSize is the length of the binary form, -1 if it varies.
func fixedSize(t Type) int {
	if t.IsEnum() {
		return -1
	}
	switch t {
	case Name, Unknown, ACLItem, LSN:
		return -1
	default:
		return int(t.Size())
	}
}

func parseTimeBinary(t Type, b []byte) (Datum, error) {
	var i, lo, hi int64
	switch t {
	case Date:
		i, lo, hi = int64(int32(binary.BigEndian.Uint32(b))), minDay, maxDay
		if i == DateInfinity || i == DateMinusInfinity {
			return MakeInt(t, i), nil
		}
	case Timetz:
		const most = 16*3600 - 1 // seconds
		west := int32(binary.BigEndian.Uint32(b[8:]))
		i = int64(binary.BigEndian.Uint64(b))
		if i < 0 || i > microsecondsPerDay || west < -most || west > most {
			return Datum{}, errorf(codeDatetimeRange, "%s out of range", t)
		}
		return MakeTimetz(i, west), nil
	case Time:
		i, lo, hi = int64(binary.BigEndian.Uint64(b)), 0, microsecondsPerDay
	default:
		i, lo, hi = int64(binary.BigEndian.Uint64(b)), minTimestamp, endTimestamp-1
		if i == TimestampInfinity || i == TimestampMinusInfinty {
			return MakeInt(t, i), nil
		}
	}
	if i < lo || i > hi {
		return Datum{}, errorf(codeDatetimeRange, "%s out of range", t)
	}
	return MakeInt(t, i), nil
}
