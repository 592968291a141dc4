package duck

import (
	"fmt"
	"math"
	"math/big"

	"github.com/cockroachdb/apd/v3"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/duck/columnar"
	"github.com/nodedb/nodedb/agent/internal/sql/duck/frame"
)

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
		if d.Type.IsComposite() {
			b.String(i, datum.CompositeKey(*d))
			return nil
		}
		if d.Type.IsEnum() {
			b.String(i, datum.EnumKey(*d))
			return nil
		}
		if d.Type == datum.Numeric {
			b.String(i, d.Text())
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

func appendList(b *frame.Batch, i int, d *datum.Datum) error {
	if err := d.A.Plain(); err != nil {
		return err
	}
	one := columnar.ElementBatch(b.Columns[i].Type)
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

func timestampToFrame(micros int64) int64 {
	switch micros {
	case datum.TimestampInfinity:
		return math.MaxInt64
	case datum.TimestampMinusInfinty:
		return -math.MaxInt64
	}
	return micros + datum.EpochMicros
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
