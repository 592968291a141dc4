package datum

import (
	"encoding/binary"
	"math"

	"github.com/cockroachdb/apd/v3"
)

// What stands in a value that AppendExact has written, beside its type.
const (
	exactNull = 1 << iota
	exactDecimal
	exactArray
)

// AppendExact appends a value with its type and all that it holds, for this process: the
// forms of enums have other numbers in another.
func AppendExact(dst []byte, d *Datum) []byte {
	var flags byte
	if d.Null {
		flags |= exactNull
	}
	if d.D != nil {
		flags |= exactDecimal
	}
	if d.A != nil {
		flags |= exactArray
	}
	dst = binary.AppendUvarint(append(dst, flags), uint64(d.Type))
	if d.Null {
		return dst
	}
	dst = binary.AppendVarint(dst, int64(d.Months))
	dst = binary.AppendVarint(dst, int64(d.Days))
	dst = binary.AppendVarint(dst, d.I)
	dst = binary.AppendUvarint(dst, math.Float64bits(d.F))
	dst = append(binary.AppendUvarint(dst, uint64(len(d.S))), d.S...)
	if d.D != nil {
		dst = appendExactDecimal(dst, d.D)
	}
	if d.A != nil {
		dst = binary.AppendUvarint(appendDimensions(dst, d.A.Dims), uint64(len(d.A.Values)))
		for i := range d.A.Values {
			dst = AppendExact(dst, &d.A.Values[i])
		}
	}
	return dst
}

// appendExactDecimal keeps exponents above zero, too, which rows do not have.
func appendExactDecimal(dst []byte, d *apd.Decimal) []byte {
	dst = append(dst, byte(d.Form))
	if d.Negative {
		dst[len(dst)-1] |= exactNegative
	}
	coefficient := d.Coeff.Bytes()
	dst = binary.AppendUvarint(binary.AppendVarint(dst, int64(d.Exponent)), uint64(len(coefficient)))
	return append(dst, coefficient...)
}

// exactNegative is beside the form of a numeric.
const exactNegative = 0x80

// exactReader takes apart what AppendExact has written.
type exactReader struct {
	b   []byte
	bad bool
}

// TakeExact reads a value that AppendExact has written, and returns what comes behind it.
func TakeExact(b []byte) (d Datum, rest []byte, err error) {
	r := exactReader{b: b}
	d = r.datum()
	if r.bad {
		return Datum{}, nil, errRow()
	}
	return d, r.b, nil
}

func (r *exactReader) datum() Datum {
	flags := r.bytes(1)
	if r.bad {
		return Datum{}
	}
	d := Datum{Type: Type(r.unsigned()), Null: flags[0]&exactNull != 0} //nolint:gosec // AppendExact has written it
	if d.Null {
		return d
	}
	d.Months, d.Days = int32(r.signed()), int32(r.signed()) //nolint:gosec // as above
	d.I, d.F = r.signed(), math.Float64frombits(r.unsigned())
	d.S = string(r.bytes(r.unsigned()))
	if flags[0]&exactDecimal != 0 {
		d.D = r.decimal()
	}
	if flags[0]&exactArray != 0 {
		d.A = &Elements{Dims: r.dimensions()}
		for n := r.unsigned(); n > 0 && !r.bad; n-- {
			d.A.Values = append(d.A.Values, r.datum())
		}
	}
	return d
}

func (r *exactReader) dimensions() []Dimension {
	dims, rest, ok := takeDimensions(r.b)
	if r.bad = r.bad || !ok; r.bad {
		return nil
	}
	r.b = rest
	return dims
}

func (r *exactReader) decimal() *apd.Decimal {
	form := r.bytes(1)
	if r.bad {
		return nil
	}
	d := &apd.Decimal{Form: apd.Form(form[0] &^ exactNegative), Negative: form[0]&exactNegative != 0, Exponent: int32(r.signed())} //nolint:gosec // AppendExact has written it
	d.Coeff.SetBytes(r.bytes(r.unsigned()))
	return d
}

func (r *exactReader) bytes(n uint64) []byte {
	if r.bad = r.bad || n > uint64(len(r.b)); r.bad {
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *exactReader) unsigned() uint64 {
	v, n := binary.Uvarint(r.b)
	if r.bad = r.bad || n <= 0; r.bad {
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *exactReader) signed() int64 {
	v, n := binary.Varint(r.b)
	if r.bad = r.bad || n <= 0; r.bad {
		return 0
	}
	r.b = r.b[n:]
	return v
}
