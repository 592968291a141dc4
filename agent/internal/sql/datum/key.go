package datum

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
)

// The first byte of each encoded value. Null sorts last, as in an ascending
// PostgreSQL index; primary keys have none.
const (
	keyValue = 0x02
	keyNull  = 0xfe
)

// Escapes inside strings: 0x00 is written 0x00 0xff, the end 0x00 0x01. Elements of arrays
// end with keyEnd: no element begins with less.
const (
	keyEscaped = 0xff
	keyEnd     = 0x01
)

var (
	errKeyTruncated = errorf(codeCorrupt, "encoded key ends too early")       //nolint:gochecknoglobals // an error value
	errKeyMalformed = errorf(codeCorrupt, "encoded key holds no known value") //nolint:gochecknoglobals // an error value
)

// AppendKey appends the order-preserving, prefix-free encoding of d. Integers of
// all widths, dates, times and timestamps are encoded alike, so that a column can be
// widened; so are both floats, and all strings. Types without an order
// have no key encoding.
func AppendKey(dst []byte, d Datum) ([]byte, error) {
	if d.Null {
		return append(dst, keyNull), nil
	}
	if !d.Type.Ordered() {
		return nil, errorf(codeNotSupported, "type %s cannot be part of a key", d.Type.SQLName())
	}
	dst = append(dst, keyValue)
	if d.Type.IsArray() {
		return appendArrayKey(dst, d.A)
	}
	if d.Type.IsEnum() {
		return binary.BigEndian.AppendUint64(dst, orderedFloat(d.F)), nil
	}
	switch d.Type {
	case Bool:
		return append(dst, byte(d.I)), nil
	case Float4, Float8:
		return binary.BigEndian.AppendUint64(dst, orderedFloat(d.F)), nil
	case Numeric:
		return appendNumericKey(dst, d.D), nil
	case UUID:
		return append(dst, d.S...), nil
	case Interval:
		days, micros := d.span()
		return binary.BigEndian.AppendUint64(appendKeyInt(dst, days), uint64(micros)), nil
	case Timetz:
		return binary.BigEndian.AppendUint32(appendKeyInt(dst, d.utc()), uint32(d.Days)^(1<<31)), nil
	case Inet, Cidr:
		return append(dst, d.S...), nil
	case JSONB:
		return appendJSONKey(dst, d.S), nil
	case Text, Varchar, Name, Char, Bytea, Bit, Varbit:
		return appendKeyString(dst, d.S), nil
	case Bpchar:
		return appendKeyString(dst, d.Unpadded()), nil
	default:
		return appendKeyInt(dst, d.I), nil
	}
}

func appendKeyInt(dst []byte, i int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(i)^(1<<63))
}

func keyInt(b []byte) int64 { return int64(binary.BigEndian.Uint64(b) ^ (1 << 63)) }

func appendKeyString(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		dst = append(dst, s[i])
		if s[i] == 0 {
			dst = append(dst, keyEscaped)
		}
	}
	return append(dst, 0, keyEnd)
}

// orderedFloat maps floats to integers of the same order: -0 is 0, NaN last.
func orderedFloat(f float64) uint64 {
	if math.IsNaN(f) {
		return math.MaxUint64
	}
	if f == 0 {
		f = 0
	}
	bits := math.Float64bits(f)
	if bits>>63 != 0 {
		return ^bits
	}
	return bits | 1<<63
}

func floatFromOrdered(u uint64) float64 {
	if u == math.MaxUint64 {
		return math.NaN()
	}
	if u>>63 != 0 {
		return math.Float64frombits(u &^ (1 << 63))
	}
	return math.Float64frombits(^u)
}

// DecodeKey reads one value of type t from the front of b. A numeric, and one in a jsonb,
// comes back with the smallest scale that shows it, a float zero without its sign, a char(n)
// without the blanks at its end, an interval as another one that is as long; all
// other types come back as they were.
func DecodeKey(t Type, b []byte) (d Datum, rest []byte, err error) {
	if len(b) == 0 {
		return Datum{}, nil, errKeyTruncated
	}
	switch {
	case !t.Ordered():
		return Datum{}, nil, errKeyMalformed
	case b[0] == keyNull:
		return MakeNull(t), b[1:], nil
	case b[0] != keyValue:
		return Datum{}, nil, errKeyMalformed
	}
	b = b[1:]
	if t.IsArray() {
		return decodeArrayKey(t.Elem(), b)
	}
	switch t {
	case Numeric:
		return decodeNumericKey(b)
	case JSONB:
		return decodeJSONKey(b)
	case Text, Varchar, Bpchar, Name, Char, Bytea, Bit, Varbit:
		s, rest, err := decodeKeyString(b)
		if t == Bpchar && strings.HasSuffix(s, " ") || t.IsBits() && strings.Trim(s, "01") != "" {
			return Datum{}, nil, errKeyMalformed
		}
		return MakeString(t, s), rest, err
	}
	n := 8
	switch t {
	case Bool:
		n = 1
	case UUID, Interval:
		n = 16
	case Timetz:
		n = 12
	case Inet, Cidr:
		if len(b) == 0 {
			return Datum{}, nil, errKeyTruncated
		}
		if n = inetSize(b[0]); n == 0 {
			return Datum{}, nil, errKeyMalformed
		}
	}
	if len(b) < n {
		return Datum{}, nil, errKeyTruncated
	}
	d, err = decodeFixedKey(t, b[:n])
	return d, b[n:], err
}

func decodeFixedKey(t Type, b []byte) (Datum, error) {
	if t.IsEnum() {
		return enumAt(t, floatFromOrdered(binary.BigEndian.Uint64(b)))
	}
	switch t {
	case Bool:
		if b[0] > 1 {
			return Datum{}, errKeyMalformed
		}
		return MakeInt(Bool, int64(b[0])), nil
	case UUID:
		return MakeString(UUID, string(b)), nil
	case Inet, Cidr:
		if _, _, ok := inetOf(t, string(b)); !ok {
			return Datum{}, errKeyMalformed
		}
		return MakeString(t, string(b)), nil
	case Interval:
		return intervalOf(keyInt(b), binary.BigEndian.Uint64(b[8:]))
	case Timetz:
		west := int32(binary.BigEndian.Uint32(b[8:]) ^ (1 << 31))
		return parseTimeBinary(Timetz, AppendBinary(nil, MakeTimetz(keyInt(b)-int64(west)*microsPerSecond, west)))
	case Float4, Float8:
		f := floatFromOrdered(binary.BigEndian.Uint64(b))
		if f == 0 && math.Signbit(f) {
			return Datum{}, errKeyMalformed
		}
		if d := MakeFloat(t, f); math.IsNaN(f) || d.F == f {
			return d, nil
		}
		return Datum{}, wider(t, f)
	default:
		i := keyInt(b)
		if !holds(t, i) {
			return Datum{}, wider(t, i)
		}
		return MakeInt(t, i), nil
	}
}

// intervalOf returns an interval of a length, as months and days as far as these go.
func intervalOf(days int64, micros uint64) (Datum, error) {
	months := min(max(days/daysPerMonth, math.MinInt32), math.MaxInt32)
	rest := days - months*daysPerMonth
	whole := min(max(rest, math.MinInt32), math.MaxInt32)
	rest -= whole
	if micros >= microsecondsPerDay || rest > math.MaxInt64/microsecondsPerDay || rest < math.MinInt64/microsecondsPerDay-1 {
		return Datum{}, errKeyMalformed
	}
	d := MakeInterval(int32(months), int32(whole), rest*microsecondsPerDay+int64(micros))
	if back, left := d.span(); back != days || uint64(left) != micros {
		return Datum{}, errKeyMalformed
	}
	return d, nil
}

func decodeKeyString(b []byte) (string, []byte, error) {
	var out []byte
	for {
		i := bytes.IndexByte(b, 0)
		if i < 0 || i+1 >= len(b) {
			return "", nil, errKeyTruncated
		}
		switch b[i+1] {
		case keyEnd:
			if out == nil {
				return string(b[:i]), b[i+2:], nil
			}
			return string(append(out, b[:i]...)), b[i+2:], nil
		case keyEscaped:
			out = append(append(out, b[:i]...), 0)
			b = b[i+2:]
		default:
			return "", nil, errKeyMalformed
		}
	}
}

// KeyExact reports whether DecodeKey gives back every value of type t exactly,
// so that a row need not hold it again.
func KeyExact(t Type) bool {
	e := t.Elem()
	return t.Ordered() && e != Numeric && e != JSONB && e != Bpchar && e != Interval && !e.IsFloat()
}

// EncodeKey encodes the values of a key in order.
func EncodeKey(values ...Datum) ([]byte, error) {
	dst := make([]byte, 0, 16*len(values))
	var err error
	for i, v := range values {
		if dst, err = AppendKey(dst, v); err != nil {
			return nil, fmt.Errorf("encode key column %d: %w", i+1, err)
		}
	}
	return dst, nil
}
