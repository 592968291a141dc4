package datum

import (
	"encoding/binary"
	"math"

	"github.com/cockroachdb/apd/v3"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// RowVersion is the first byte of every encoded row.
const RowVersion = 1

// Tags say how a column's value is kept, so that a reader can skip columns it
// does not know.
const (
	tagNull     = 0
	tagFalse    = 1
	tagTrue     = 2
	tagInt      = 3  // zigzag varint: integers, dates, timestamps, ids of labels
	tagFloat4   = 4  // 4 bytes, big endian
	tagFloat8   = 5  // 8 bytes, big endian
	tagBytes    = 6  // uvarint length, bytes: strings, bytea, jsonb
	tagUUID     = 7  // 16 bytes
	tagDecimal  = 8  // uvarint length, then form byte, zigzag varint exponent, coefficient
	tagArray    = 9  // uvarint length, then the elements, each a tag and a value
	tagInterval = 10 // 16 bytes, PostgreSQL's binary form
	tagTimetz   = 11 // 12 bytes, PostgreSQL's binary form
	tagDims     = 12 // as tagArray, with the dimensions before the elements
	tagRow      = 13 // uvarint length, then a row: the fields of a composite type
)

// RowColumn says which column of a row is wanted, as what, and where it goes.
type RowColumn struct {
	ID   cluster.ColumnID
	Type Type
	// Index is the place in the slice that DecodeRow fills.
	Index int
}

// AppendRow appends the encoding of a row. ids ascend and are as many as values.
// Columns that are part of the key and KeyExact may be left out by the caller.
//
// A row is RowVersion, then for each column the difference to the previous
// column id (uvarint), a tag and the value.
func AppendRow(dst []byte, ids []cluster.ColumnID, values []Datum) []byte {
	dst = append(dst, RowVersion)
	last := cluster.ColumnID(0)
	for i, id := range ids {
		dst = binary.AppendUvarint(dst, uint64(id-last))
		last = id
		dst = appendValue(dst, values[i])
	}
	return dst
}

func appendValue(dst []byte, d Datum) []byte {
	if d.Null {
		return append(dst, tagNull)
	}
	if d.Type.IsArray() {
		var elements []byte
		tag := byte(tagArray)
		if len(d.A.Dims) > 0 {
			tag, elements = tagDims, appendDimensions(nil, d.A.Dims)
		}
		for _, v := range d.A.Values {
			elements = appendValue(elements, v)
		}
		dst = binary.AppendUvarint(append(dst, tag), uint64(len(elements)))
		return append(dst, elements...)
	}
	if d.Type.IsComposite() {
		return appendComposite(dst, d)
	}
	switch d.Type {
	case Bool:
		return append(dst, tagFalse+byte(d.I))
	case Float4:
		return binary.BigEndian.AppendUint32(append(dst, tagFloat4), math.Float32bits(float32(d.F)))
	case Float8:
		return binary.BigEndian.AppendUint64(append(dst, tagFloat8), math.Float64bits(d.F))
	case Numeric:
		return appendDecimal(append(dst, tagDecimal), d.D)
	case UUID:
		return append(append(dst, tagUUID), d.S...)
	case Interval:
		return AppendBinary(append(dst, tagInterval), d)
	case Timetz:
		return AppendBinary(append(dst, tagTimetz), d)
	case Text, Varchar, Bpchar, Char, Inet, Cidr, Bit, Varbit, Bytea, JSONB, JSON, Name, Unknown:
		dst = binary.AppendUvarint(append(dst, tagBytes), uint64(len(d.S)))
		return append(dst, d.S...)
	default:
		return binary.AppendVarint(append(dst, tagInt), d.I)
	}
}

// The forms of a stored numeric.
const (
	formPositive = 0
	formNegative = 1
	formInf      = 2
	formMinusInf = 3
	formNaN      = 4
)

func appendDecimal(dst []byte, d *apd.Decimal) []byte {
	form := byte(formPositive)
	switch {
	case d.Form == apd.Infinite && d.Negative:
		form = formMinusInf
	case d.Form == apd.Infinite:
		form = formInf
	case d.Form != apd.Finite:
		form = formNaN
	case d.Negative:
		form = formNegative
	}
	if form >= formInf {
		return append(dst, 1, form)
	}
	var scratch [binary.MaxVarintLen64]byte
	exponent := binary.AppendVarint(scratch[:0], int64(d.Exponent))
	coefficient := d.Coeff.Bytes()
	dst = binary.AppendUvarint(dst, uint64(1+len(exponent)+len(coefficient)))
	dst = append(append(dst, form), exponent...)
	return append(dst, coefficient...)
}

// DecodeRow reads the wanted columns, ascending by id, from an encoded row and
// stores them in out. Columns that the row does not hold leave out unchanged,
// so the caller fills in what an absent column means before.
func DecodeRow(row []byte, want []RowColumn, out []Datum) error {
	if len(row) == 0 || row[0] != RowVersion {
		return errorf(codeCorrupt, "row has an unknown format")
	}
	b, id := row[1:], uint64(0)
	for len(b) > 0 && len(want) > 0 {
		delta, n := binary.Uvarint(b)
		if n <= 0 || delta > math.MaxUint32 {
			return errRow()
		}
		id += delta
		value, rest, err := splitValue(b[n:])
		if err != nil {
			return err
		}
		for len(want) > 0 && uint64(want[0].ID) < id {
			want = want[1:]
		}
		if len(want) > 0 && uint64(want[0].ID) == id {
			if out[want[0].Index], err = decodeValue(want[0].Type, value); err != nil {
				return err
			}
			want = want[1:]
		}
		b = rest
	}
	return nil
}

func errRow() error { return errorf(codeCorrupt, "row is malformed") }

// splitValue returns the tag and bytes of the first value of b, and the rest.
func splitValue(b []byte) (value, rest []byte, err error) {
	if len(b) == 0 {
		return nil, nil, errRow()
	}
	n := 1
	switch b[0] {
	case tagNull, tagFalse, tagTrue:
	case tagInt:
		_, w := binary.Uvarint(b[1:])
		if w <= 0 {
			return nil, nil, errRow()
		}
		n += w
	case tagFloat4:
		n += 4
	case tagFloat8:
		n += 8
	case tagUUID, tagInterval:
		n += 16
	case tagTimetz:
		n += 12
	case tagBytes, tagDecimal, tagArray, tagDims, tagRow:
		size, w := binary.Uvarint(b[1:])
		if w <= 0 || size > uint64(len(b)) {
			return nil, nil, errRow()
		}
		n += w + int(size)
	default:
		return nil, nil, errRow()
	}
	if n > len(b) {
		return nil, nil, errRow()
	}
	return b[:n], b[n:], nil
}

// decodeValue reads a tagged value as a t.
func decodeValue(t Type, b []byte) (Datum, error) {
	switch tag := b[0]; {
	case tag == tagNull:
		return MakeNull(t), nil
	case tag == tagArray && t.IsArray():
		_, n := binary.Uvarint(b[1:])
		return decodeElements(t.Elem(), b[1+n:], nil)
	case tag == tagDims && t.IsArray():
		_, n := binary.Uvarint(b[1:])
		dims, elements, ok := takeDimensions(b[1+n:])
		if !ok {
			return Datum{}, errRow()
		}
		return decodeElements(t.Elem(), elements, dims)
	case (tag == tagFalse || tag == tagTrue) && t == Bool:
		return MakeBool(tag == tagTrue), nil
	case tag == tagInterval && t == Interval, tag == tagTimetz && t == Timetz:
		return ParseBinary(t, b[1:])
	case tag == tagRow && t.IsComposite():
		_, n := binary.Uvarint(b[1:])
		return decodeComposite(t, b[1+n:])
	case tag == tagInt && t.IsEnum():
		id, _ := binary.Varint(b[1:])
		return enumOf(t, id)
	case tag == tagInt && (t.IsInt() || t.IsDateTime() || t == Time || t == OID):
		i, _ := binary.Varint(b[1:])
		if !holds(t, i) {
			return Datum{}, wider(t, i)
		}
		return MakeInt(t, i), nil
	case tag == tagFloat4 && t.IsFloat():
		return MakeFloat(t, float64(math.Float32frombits(binary.BigEndian.Uint32(b[1:])))), nil
	case tag == tagFloat8 && t.IsFloat():
		f := math.Float64frombits(binary.BigEndian.Uint64(b[1:]))
		if t == Float4 {
			return Datum{}, wider(t, f)
		}
		return MakeFloat(t, f), nil
	case tag == tagUUID && t == UUID:
		return MakeString(t, string(b[1:])), nil
	case tag == tagBytes && t.IsInet():
		_, n := binary.Uvarint(b[1:])
		d := MakeString(t, string(b[1+n:]))
		if _, _, ok := inetOf(t, d.S); !ok {
			return Datum{}, errRow()
		}
		return d, nil
	case tag == tagBytes && (t.IsString() || t.IsBits() || t == Bytea || t == JSONB || t == JSON):
		_, n := binary.Uvarint(b[1:])
		return MakeString(t, string(b[1+n:])), nil
	case tag == tagDecimal && t == Numeric:
		_, n := binary.Uvarint(b[1:])
		return decodeDecimal(b[1+n:])
	default:
		return Datum{}, errorf(codeCorrupt, "row holds a value that is no %s", t)
	}
}

// decodeElements reads what an array holds.
func decodeElements(elem Type, b []byte, dims []Dimension) (Datum, error) {
	values := []Datum{}
	for len(b) > 0 {
		value, rest, err := splitValue(b)
		if err != nil {
			return Datum{}, err
		}
		v, err := decodeValue(elem, value)
		if err != nil {
			return Datum{}, err
		}
		values, b = append(values, v), rest
	}
	if n, err := checkDimensions(dims); len(dims) > 0 && (err != nil || n != int64(len(values))) {
		return Datum{}, errRow()
	}
	return MakeArrayOf(elem, values, dims), nil
}

// holds reports whether i is among the values of t.
func holds(t Type, i int64) bool {
	switch t {
	case Int2:
		return i == int64(int16(i))
	case Int4:
		return i == int64(int32(i))
	default:
		return true
	}
}

func decodeDecimal(b []byte) (Datum, error) {
	if len(b) == 0 {
		return Datum{}, errRow()
	}
	form, b := b[0], b[1:]
	switch form {
	case formInf, formMinusInf:
		return MakeNumeric(&apd.Decimal{Form: apd.Infinite, Negative: form == formMinusInf}), nil
	case formNaN:
		return MakeNumeric(&apd.Decimal{Form: apd.NaN}), nil
	case formPositive, formNegative:
	default:
		return Datum{}, errRow()
	}
	exponent, n := binary.Varint(b)
	if n <= 0 || exponent > 0 || exponent < -maxNumericScale {
		return Datum{}, errRow()
	}
	d := &apd.Decimal{Negative: form == formNegative, Exponent: int32(exponent)}
	d.Coeff.SetBytes(b[n:])
	return MakeNumeric(d), nil
}
