// Package columnar makes datums of what columns of the engine hold.
package columnar

import (
	"errors"
	"math"
	"math/big"

	"github.com/cockroachdb/apd/v3"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
)

var errElement = errors.New("malformed element of a list")

// ElementBatch is for single elements of lists of type t.
func ElementBatch(t frame.Type) *frame.Batch {
	t.List = false
	return frame.NewBatch([]frame.Type{t})
}

// TypeOf is PostgreSQL's type of what travels as f.
func TypeOf(f frame.Type) datum.Type {
	types := [...]datum.Type{
		frame.Bool: datum.Bool, frame.Int16: datum.Int2, frame.Int32: datum.Int4, frame.Int64: datum.Int8,
		frame.Float32: datum.Float4, frame.Float64: datum.Float8, frame.Decimal: datum.Numeric, frame.Text: datum.Text,
		frame.Bytes: datum.Bytea, frame.JSON: datum.JSONB, frame.UUID: datum.UUID, frame.Date: datum.Date,
		frame.Timestamp: datum.Timestamp, frame.TimestampTZ: datum.Timestamptz, frame.Time: datum.Time, frame.Interval: datum.Interval,
		frame.TimeTZ: datum.Timetz,
	}
	if int(f.Kind) >= len(types) {
		return datum.Unknown
	}
	t := types[f.Kind]
	if f.List {
		t |= datum.Array
	}
	return t
}

func dateFromFrame(days int64) int64 {
	switch days {
	case math.MaxInt32:
		return datum.DateInfinity
	case -math.MaxInt32:
		return datum.DateMinusInfinity
	}
	return days - datum.EpochDays
}

func timestampFromFrame(micros int64) int64 {
	switch micros {
	case math.MaxInt64:
		return datum.TimestampInfinity
	case -math.MaxInt64:
		return datum.TimestampMinusInfinty
	}
	return micros - datum.EpochMicros
}

// Decoder makes the datums of one result column.
type Decoder struct {
	Type datum.Type
	// Declared says that numerics have the scale of their column.
	Declared bool
	// To is the type that the value is given; Unknown: Type.
	To datum.Type
	// Normal says that json text is in PostgreSQL's form already.
	Normal bool
	// Width is the modifier of a char(n), to which its values are filled up; 0: none.
	Width int32
}

// Datum makes the value of a row.
func (d Decoder) Datum(c *frame.Column, row int) (datum.Datum, error) {
	if d.Width > 0 {
		v, err := Decoder{Type: d.Type, To: d.To}.Datum(c, row)
		if err != nil {
			return v, err
		}
		return datum.ApplyModifier(v, d.Width, true)
	}
	if d.To == datum.Unknown {
		return d.native(c, row)
	}
	if c.IsNull(row) {
		return datum.MakeNull(d.To), nil
	}
	v, err := d.native(c, row)
	if err != nil {
		return v, err
	}
	return convert(v, d.To)
}

// Convertible says whether a value of DuckDB's type from can be given as PostgreSQL's
// type to, because it is the same value.
func Convertible(from, to datum.Type) bool {
	switch {
	case to == datum.Unknown || from == to:
		return false
	case to == datum.Int2Vector:
		return from == datum.Int2|datum.Array
	case to == datum.OIDVector:
		return from == datum.Int8|datum.Array
	case from.IsArray() && to.IsArray():
		return Convertible(from.Elem(), to.Elem()) && !to.Elem().IsFloat() && to.Elem() != datum.Numeric
	case from.IsInt():
		return to.IsNumber() || to.IsNumbered() || to == datum.Text // the last: DuckDB's NULLs without a type are integers
	}
	if from == datum.Text && to >= datum.Tid && to <= datum.AnyArray {
		return true
	}
	if from == datum.Bytea && (to.IsInet() || to.IsEnum() || to.IsComposite()) || from == datum.Text && to.IsBits() {
		return true
	}
	return from.IsFloat() && to.IsFloat() || from.IsString() && to.IsString() || from == datum.JSONB && to == datum.JSON
}

func convert(d datum.Datum, to datum.Type) (datum.Datum, error) {
	switch {
	case to.IsEnum():
		return datum.EnumOfKey(to, d.S)
	case to.IsComposite():
		return datum.CompositeOfKey(to, d.S)
	case to.Elem().IsEnum(), to.Elem().IsComposite():
		for i, v := range d.A.Values {
			if v.Null {
				d.A.Values[i].Type = to.Elem()
				continue
			}
			var err error
			if d.A.Values[i], err = convert(v, to.Elem()); err != nil {
				return d, err
			}
		}
	case to == datum.Numeric|datum.Array && d.Type == datum.Text|datum.Array:
		for i, v := range d.A.Values {
			if v.Null {
				d.A.Values[i] = datum.MakeNull(datum.Numeric)
				continue
			}
			var err error
			if d.A.Values[i], err = datum.ParseText(datum.Numeric, v.S, nil); err != nil {
				return d, err
			}
		}
	case to.IsArray():
		for i := range d.A.Values {
			d.A.Values[i].Type = to.Elem()
		}
	case d.Type == datum.Text && to == datum.Numeric:
		return datum.ParseText(to, d.S, nil)
	case d.Type.IsInt() && to == datum.Numeric:
		return datum.MakeNumeric(apd.New(d.I, 0)), nil
	case d.Type.IsInt() && to == datum.Text:
		return datum.MakeText(d.Text()), nil
	case d.Type.IsInt() && to.IsFloat():
		return datum.MakeFloat(to, float64(d.I)), nil
	case to == datum.Int4 && d.I != int64(int32(d.I)), to == datum.Int2 && d.I != int64(int16(d.I)):
		return d, &datum.Error{Code: "22003", Message: to.SQLName() + " out of range"}
	}
	d.Type = to
	return d, nil
}

func (d Decoder) native(c *frame.Column, row int) (datum.Datum, error) {
	if c.IsNull(row) {
		return datum.MakeNull(d.Type), nil
	}
	if c.Type.List {
		return d.list(c, row)
	}
	switch c.Type.Kind {
	case frame.Float32, frame.Float64:
		return datum.MakeFloat(d.Type, c.Float(row)), nil
	case frame.Decimal:
		return d.numeric(c, row), nil
	case frame.Text, frame.Bytes:
		if d.Type.IsEnum() {
			return datum.EnumOfKey(d.Type, string(c.Bytes(row)))
		}
		if d.Type.IsComposite() {
			return datum.CompositeOfKey(d.Type, string(c.Bytes(row)))
		}
		return datum.MakeString(d.Type, string(c.Bytes(row))), nil
	case frame.JSON:
		if d.Normal {
			return datum.MakeString(d.Type, string(c.Bytes(row))), nil
		}
		return datum.ParseText(d.Type, string(c.Bytes(row)), nil)
	case frame.UUID:
		u := c.UUID(row)
		return datum.MakeString(d.Type, string(u[:])), nil
	case frame.Date:
		return datum.MakeInt(d.Type, dateFromFrame(c.Int(row))), nil
	case frame.Timestamp, frame.TimestampTZ:
		return datum.MakeInt(d.Type, timestampFromFrame(c.Int(row))), nil
	case frame.TimeTZ:
		return datum.MakeTimetz(frame.TimeTZOf(c.Int(row))), nil
	case frame.Interval:
		return datum.MakeInterval(c.Interval(row)), nil
	default:
	}
	return datum.MakeInt(d.Type, c.Int(row)), nil
}

func (d Decoder) list(c *frame.Column, row int) (datum.Datum, error) {
	elements, err := frame.DecodeList(c.Bytes(row))
	if err != nil {
		return datum.Datum{}, err
	}
	one := ElementBatch(c.Type)
	element := Decoder{Type: d.Type.Elem(), Declared: d.Declared, Normal: d.Normal}
	values := make([]datum.Datum, len(elements))
	for i, e := range elements {
		if e == nil {
			values[i] = datum.MakeNull(d.Type.Elem())
			continue
		}
		one.Reset()
		if !one.Value(0, *e) {
			return datum.Datum{}, errElement
		}
		if values[i], err = element.native(&one.Columns[0], 0); err != nil {
			return datum.Datum{}, err
		}
	}
	out := datum.MakeArray(d.Type.Elem(), values)
	out.Type = d.Type
	return out, nil
}

func (d Decoder) numeric(c *frame.Column, row int) datum.Datum {
	out := new(apd.Decimal)
	out.Exponent = -int32(c.Type.Scale)
	var high int64
	var low uint64
	if c.Type.Size() == 16 {
		high, low = c.Int128(row)
	} else {
		v := c.Int(row)
		high, low = v>>63, uint64(v)
	}
	if out.Negative = high < 0; out.Negative {
		low, high = -low, ^high
		if low == 0 {
			high++
		}
	}
	if high == 0 {
		out.Coeff.SetUint64(low)
	} else {
		v := new(big.Int).Lsh(new(big.Int).SetUint64(uint64(high)), 64)
		out.Coeff.SetMathBigInt(v.Or(v, new(big.Int).SetUint64(low)))
	}
	switch scale := c.Type.Scale; {
	case d.Declared:
	case scale == frame.QuotientScale || scale == frame.AverageScale:
		return datum.MakeNumeric(quotientScale(out))
	case scale >= frame.NumericScale: // a numeric without a scale took part
		trimZeros(out)
	}
	return datum.MakeNumeric(out)
}

// quotientScale rounds to at least 16 significant digits, in steps of four digits,
// as PostgreSQL's division does.
func quotientScale(d *apd.Decimal) *apd.Decimal {
	whole := d.NumDigits() + int64(d.Exponent) // digits before the point, 0 or less below 1
	if d.IsZero() {
		whole = 1
	}
	scale := int32(20)
	if whole > 0 {
		scale = max(16-int32((whole-1)/4*4), 0)
	}
	if scale >= -d.Exponent {
		return d
	}
	out, err := datum.RoundNumeric(d, scale)
	if err != nil {
		return d
	}
	return out
}

// trimZeros removes trailing zeros after the point.
func trimZeros(d *apd.Decimal) {
	if d.IsZero() {
		d.Exponent = 0
		return
	}
	var q, r, ten apd.BigInt
	ten.SetInt64(10)
	for d.Exponent < 0 {
		if q.QuoRem(&d.Coeff, &ten, &r); r.Sign() != 0 {
			return
		}
		d.Coeff.Set(&q)
		d.Exponent++
	}
}
