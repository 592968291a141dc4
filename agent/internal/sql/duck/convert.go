package duck

import (
	"errors"
	"fmt"
	"math"
	"math/big"

	"github.com/cockroachdb/apd/v3"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
)

// datumType is PostgreSQL's type of what travels as f.
func datumType(f frame.Type) datum.Type {
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

// appendDatum appends d to column i.
func appendDatum(b *frame.Batch, i int, d *datum.Datum) error {
	t := b.Columns[i].Type
	if d.Null {
		b.Null(i)
		return nil
	}
	if t.List {
		return appendList(b, i, d)
	}
	switch t.Kind {
	case frame.Bool:
		b.Bool(i, d.I != 0)
	case frame.Int16, frame.Int32, frame.Int64, frame.Time:
		b.Int(i, d.I)
	case frame.Float32, frame.Float64:
		b.Float(i, d.F)
	case frame.Decimal:
		return appendNumeric(b, i, d.D)
	case frame.Text, frame.Bytes, frame.JSON:
		if d.Type.IsEnum() {
			b.String(i, datum.EnumKey(*d))
			return nil
		}
		if d.Type == datum.Bpchar { // DuckDB compares as text what PostgreSQL compares so
			b.String(i, d.Unpadded())
			return nil
		}
		b.String(i, d.S)
	case frame.UUID:
		var u [16]byte
		copy(u[:], d.S)
		b.UUID(i, u)
	case frame.Date:
		b.Int(i, dateToFrame(d.I))
	case frame.Timestamp, frame.TimestampTZ:
		b.Int(i, timestampToFrame(d.I))
	case frame.TimeTZ:
		b.Int(i, frame.TimeTZBits(d.I, d.Days))
	case frame.Interval:
		b.Interval(i, d.Months, d.Days, d.I)
	default:
		return fmt.Errorf("column %d has no type", i)
	}
	return nil
}

// elementBatch is for single elements of lists of type t.
func elementBatch(t frame.Type) *frame.Batch {
	t.List = false
	return frame.NewBatch([]frame.Type{t})
}

func appendList(b *frame.Batch, i int, d *datum.Datum) error {
	one := elementBatch(b.Columns[i].Type)
	elements := make([]*string, len(d.A.Values))
	for k := range elements {
		if d.A.Values[k].Null {
			continue
		}
		one.Reset()
		if err := appendDatum(one, 0, &d.A.Values[k]); err != nil {
			return err
		}
		s := string(one.Columns[0].Value(0))
		elements[k] = &s
	}
	b.Bytes(i, frame.EncodeList(nil, elements))
	return nil
}

// DuckDB's infinities are symmetric, PostgreSQL's are the ends of the integers.

func dateToFrame(days int64) int64 {
	switch days {
	case datum.DateInfinity:
		return math.MaxInt32
	case datum.DateMinusInfinity:
		return -math.MaxInt32
	}
	return days + datum.EpochDays
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

func timestampToFrame(micros int64) int64 {
	switch micros {
	case datum.TimestampInfinity:
		return math.MaxInt64
	case datum.TimestampMinusInfinty:
		return -math.MaxInt64
	}
	return micros + datum.EpochMicros
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

func appendNumeric(b *frame.Batch, i int, d *apd.Decimal) error {
	t := b.Columns[i].Type
	if d.Form != apd.Finite {
		return &Error{Code: "0A000", Message: "numeric " + d.String() + " is not supported in this query"}
	}
	shift := int(t.Scale) + int(d.Exponent) // digits to append to the coefficient
	if d.Coeff.IsInt64() && shift >= 0 && shift < len(powers) {
		v, p := d.Coeff.Int64(), powers[shift]
		if v <= math.MaxInt64/p && digits(v*p) <= int(t.Width) {
			if v *= p; d.Negative {
				v = -v
			}
			b.Int(i, v)
			return nil
		}
	}
	v := new(big.Int).Set(d.Coeff.MathBigInt())
	if shift >= 0 && shift <= frame.MaxDecimalWidth {
		v.Mul(v, pow10(shift))
	} else if shift < 0 {
		rest := new(big.Int)
		if v.QuoRem(v, pow10(min(-shift, 20000)), rest); rest.Sign() != 0 {
			return &Error{Code: "0A000", Message: fmt.Sprintf("numeric value has more than %d fractional digits", t.Scale),
				Hint: "Declare the column as numeric(precision, scale), with at most 38 digits."}
		}
	}
	if len(v.String()) > int(t.Width) || shift > frame.MaxDecimalWidth && v.Sign() != 0 {
		return &Error{Code: "22003", Message: fmt.Sprintf("numeric value has more than %d digits before the decimal point", t.Width-t.Scale)}
	}
	if d.Negative {
		v.Neg(v)
	}
	appendBig(b, i, v)
	return nil
}

func appendBig(b *frame.Batch, i int, v *big.Int) {
	if b.Columns[i].Type.Size() < 16 {
		b.Int(i, v.Int64())
		return
	}
	var high, low big.Int
	low.And(v, mask64) // of the two's complement, as And defines it for negative numbers
	high.Rsh(v, 64)
	b.Int128(i, high.Int64(), low.Uint64())
}

var (
	mask64 = new(big.Int).SetUint64(math.MaxUint64)
	powers = [...]int64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18}
)

func digits(v int64) int {
	for n, p := range powers {
		if v < p {
			return n
		}
	}
	return len(powers)
}

func pow10(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// decoder makes the datums of one result column.
type decoder struct {
	typ datum.Type
	// declared says that numerics have the scale of their column.
	declared bool
	// to is the type that the value is given; Unknown: typ.
	to datum.Type
	// normal says that json text is in PostgreSQL's form already.
	normal bool
	// width is the modifier of a char(n), to which its values are filled up; 0: none.
	width int32
}

func (d decoder) datum(c *frame.Column, row int) (datum.Datum, error) {
	if d.width > 0 {
		v, err := decoder{typ: d.typ, to: d.to}.datum(c, row)
		if err != nil {
			return v, err
		}
		return datum.ApplyModifier(v, d.width, true)
	}
	if d.to == datum.Unknown {
		return d.native(c, row)
	}
	if c.IsNull(row) {
		return datum.MakeNull(d.to), nil
	}
	v, err := d.native(c, row)
	if err != nil {
		return v, err
	}
	return convert(v, d.to)
}

// convertible says whether a value of DuckDB's type from can be given as PostgreSQL's
// type to, because it is the same value.
func convertible(from, to datum.Type) bool {
	switch {
	case to == datum.Unknown || from == to:
		return false
	case to == datum.Int2Vector:
		return from == datum.Int2|datum.Array
	case from.IsArray() && to.IsArray():
		return convertible(from.Elem(), to.Elem()) && !to.Elem().IsFloat() && to.Elem() != datum.Numeric
	case from.IsInt():
		return to.IsNumber() || to == datum.OID || to == datum.Text // the last: DuckDB's NULLs without a type are integers
	}
	if from == datum.Bytea && (to.IsInet() || to.IsEnum()) || from == datum.Text && to.IsBits() {
		return true
	}
	return from.IsFloat() && to.IsFloat() || from.IsString() && to.IsString() || from == datum.JSONB && to == datum.JSON
}

func convert(d datum.Datum, to datum.Type) (datum.Datum, error) {
	switch {
	case to.IsEnum():
		return datum.EnumOfKey(to, d.S)
	case to.Elem().IsEnum():
		for i, v := range d.A.Values {
			if v.Null {
				d.A.Values[i].Type = to.Elem()
				continue
			}
			var err error
			if d.A.Values[i], err = datum.EnumOfKey(to.Elem(), v.S); err != nil {
				return d, err
			}
		}
	case to.IsArray():
		for i := range d.A.Values {
			d.A.Values[i].Type = to.Elem()
		}
	case d.Type.IsInt() && to == datum.Numeric:
		return datum.MakeNumeric(apd.New(d.I, 0)), nil
	case d.Type.IsInt() && to == datum.Text:
		return datum.MakeText(d.Text()), nil
	case d.Type.IsInt() && to.IsFloat():
		return datum.MakeFloat(to, float64(d.I)), nil
	case to == datum.Int4 && d.I != int64(int32(d.I)), to == datum.Int2 && d.I != int64(int16(d.I)):
		return d, &Error{Code: "22003", Message: to.SQLName() + " out of range"}
	}
	d.Type = to
	return d, nil
}

func (d decoder) native(c *frame.Column, row int) (datum.Datum, error) {
	if c.IsNull(row) {
		return datum.MakeNull(d.typ), nil
	}
	if c.Type.List {
		return d.list(c, row)
	}
	switch c.Type.Kind {
	case frame.Float32, frame.Float64:
		return datum.MakeFloat(d.typ, c.Float(row)), nil
	case frame.Decimal:
		return d.numeric(c, row), nil
	case frame.Text, frame.Bytes:
		if d.typ.IsEnum() {
			return datum.EnumOfKey(d.typ, string(c.Bytes(row)))
		}
		return datum.MakeString(d.typ, string(c.Bytes(row))), nil
	case frame.JSON:
		if d.normal {
			return datum.MakeString(d.typ, string(c.Bytes(row))), nil
		}
		return datum.ParseText(d.typ, string(c.Bytes(row)), nil)
	case frame.UUID:
		u := c.UUID(row)
		return datum.MakeString(d.typ, string(u[:])), nil
	case frame.Date:
		return datum.MakeInt(d.typ, dateFromFrame(c.Int(row))), nil
	case frame.Timestamp, frame.TimestampTZ:
		return datum.MakeInt(d.typ, timestampFromFrame(c.Int(row))), nil
	case frame.TimeTZ:
		return datum.MakeTimetz(frame.TimeTZOf(c.Int(row))), nil
	case frame.Interval:
		return datum.MakeInterval(c.Interval(row)), nil
	default:
	}
	return datum.MakeInt(d.typ, c.Int(row)), nil
}

func (d decoder) list(c *frame.Column, row int) (datum.Datum, error) {
	elements, err := frame.DecodeList(c.Bytes(row))
	if err != nil {
		return datum.Datum{}, err
	}
	one := elementBatch(c.Type)
	element := decoder{typ: d.typ.Elem(), declared: d.declared, normal: d.normal}
	values := make([]datum.Datum, len(elements))
	for i, e := range elements {
		if e == nil {
			values[i] = datum.MakeNull(d.typ.Elem())
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
	out := datum.MakeArray(d.typ.Elem(), values)
	out.Type = d.typ
	return out, nil
}

func (d decoder) numeric(c *frame.Column, row int) datum.Datum {
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
	case d.declared:
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

// decimalFor is the type of a numeric argument: its own digits, if DuckDB has as
// many.
func decimalFor(d *apd.Decimal) frame.Type {
	scale := max(-int(d.Exponent), 0)
	width := max(int(d.NumDigits())+max(int(d.Exponent), 0), scale, 1)
	if width > frame.MaxDecimalWidth {
		return frame.Type{Kind: frame.Decimal, Width: frame.MaxDecimalWidth, Scale: frame.NumericScale}
	}
	return frame.Type{Kind: frame.Decimal, Width: uint8(width), Scale: uint8(scale)}
}

var errElement = errors.New("malformed element of a list")

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
