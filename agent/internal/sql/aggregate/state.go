package aggregate

import (
	"encoding/binary"
	"errors"
	"math/big"
	"math/bits"

	"github.com/cockroachdb/apd/v3"

	"github.com/nodedb/nodedb/agent/internal/codec"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// State is how far a function has come with the values of a group. The zero State has
// seen none.
type State struct {
	count int64 // of values, nulls apart
	// high and low are the sum of integers, and of numerics that fit, times ten to the
	// power of scale.
	high  int64
	low   uint64
	scale int32
	// value is the sum of other numerics, if there were any, or the least or the greatest,
	// or the conjunction or disjunction.
	value datum.Datum
}

var errMalformed = errors.New("malformed state of an aggregate")

// Add takes a value; v is not kept.
func (f Function) Add(s *State, v *datum.Datum) error {
	if f.Kind == Rows {
		s.count++
		return nil
	}
	if v.Null {
		return nil
	}
	s.count++
	switch f.Kind {
	case Sum, Avg:
		if f.Arg != datum.Numeric {
			s.plus(v.I>>63, uint64(v.I))
			return nil
		}
		return s.addNumeric(v.D)
	case Min, Max, And, Or:
		f.choose(s, v)
	default:
	}
	return nil
}

// plus adds to the sum of integers. It has room for more of them than there can be rows.
func (s *State) plus(high int64, low uint64) {
	var carry uint64
	s.low, carry = bits.Add64(s.low, low, 0)
	s.high += high + int64(carry)
}

// addNumeric adds to the sum: as an integer if it is of the scale of those before it.
func (s *State) addNumeric(d *apd.Decimal) error {
	if d.Form == apd.Finite && d.Coeff.IsInt64() && (s.count == 1 || s.scale == -d.Exponent) {
		s.scale = -d.Exponent
		i := d.Coeff.Int64()
		if d.Negative {
			i = -i
		}
		s.plus(i>>63, uint64(i))
		return nil
	}
	return s.addOther(d)
}

func (s *State) addOther(d *apd.Decimal) error {
	if s.value.D == nil {
		s.value = datum.MakeNumeric(d)
		return nil
	}
	var err error
	s.value, err = plus(s.value.D, d)
	return err
}

// plus is a + b. Infinities that differ give NaN.
func plus(a, b *apd.Decimal) (datum.Datum, error) {
	for _, side := range [2][2]*apd.Decimal{{a, b}, {b, a}} {
		switch one, other := side[0], side[1]; {
		case one.Form == apd.Finite:
		case one.Form == apd.Infinite && (other.Form == apd.Finite || other.Form == apd.Infinite && other.Negative == one.Negative):
			return datum.MakeNumeric(one), nil
		default:
			return datum.MakeNumeric(&apd.Decimal{Form: apd.NaN}), nil
		}
	}
	return datum.NumericArithmetic("+", a, b)
}

// choose keeps the less or the greater, or what is true of all or of any.
func (f Function) choose(s *State, v *datum.Datum) {
	keep := s.count > 1
	if keep {
		switch order := datum.Compare(*v, s.value); f.Kind {
		case Min, And:
			keep = order >= 0
		default:
			keep = order <= 0
		}
	}
	if !keep {
		s.value = *v
		s.value.Type = f.Arg
	}
}

// Merge takes what o has seen.
func (f Function) Merge(s, o *State) error {
	if o.count == 0 {
		return nil
	}
	switch f.Kind {
	case Min, Max, And, Or:
		s.count++
		f.choose(s, &o.value)
		s.count += o.count - 1
		return nil
	case Sum, Avg:
		if f.Arg == datum.Numeric {
			return s.mergeNumeric(o)
		}
		s.plus(o.high, o.low)
	default:
	}
	s.count += o.count
	return nil
}

func (s *State) mergeNumeric(o *State) error {
	if s.count == 0 {
		*s = *o
		return nil
	}
	s.count += o.count
	if s.scale == o.scale {
		s.plus(o.high, o.low)
	} else if err := s.addOther(o.integer()); err != nil {
		return err
	}
	if o.value.D == nil {
		return nil
	}
	return s.addOther(o.value.D)
}

// integer is the sum of integers as a numeric.
func (s *State) integer() *apd.Decimal {
	high := new(big.Int).Lsh(big.NewInt(s.high), 64)
	sum := high.Add(high, new(big.Int).SetUint64(s.low))
	d := &apd.Decimal{Negative: sum.Sign() < 0, Exponent: -s.scale}
	d.Coeff.SetMathBigInt(sum.Abs(sum))
	return d
}

// Final is what the function says of all values.
func (f Function) Final(s *State) (datum.Datum, error) {
	switch f.Kind {
	case Rows, Count:
		return datum.MakeInt(datum.Int8, s.count), nil
	case Sum, Avg:
		if s.count == 0 {
			return datum.MakeNull(f.Result()), nil
		}
		return f.sum(s)
	default:
		if s.count == 0 {
			return datum.MakeNull(f.Arg), nil
		}
		return s.value, nil
	}
}

func (f Function) sum(s *State) (datum.Datum, error) {
	if f.Result() == datum.Int8 {
		if s.high != int64(s.low)>>63 {
			return datum.Datum{}, &datum.Error{Code: "22003", Message: "bigint out of range"}
		}
		return datum.MakeInt(datum.Int8, int64(s.low)), nil
	}
	sum := s.integer()
	if s.value.D != nil {
		v, err := plus(sum, s.value.D)
		if err != nil {
			return v, err
		}
		sum = v.D
	}
	if f.Kind == Avg {
		return datum.NumericArithmetic("/", sum, apd.New(s.count, 0))
	}
	return datum.FinishNumeric(sum)
}

// Append encodes a state.
func (f Function) Append(dst []byte, s *State) []byte {
	dst = binary.AppendUvarint(dst, uint64(s.count))
	if s.count == 0 {
		return dst
	}
	switch f.Kind {
	case Sum, Avg:
		dst = binary.AppendVarint(dst, s.high)
		dst = binary.AppendUvarint(dst, s.low)
		if f.Arg == datum.Numeric {
			dst = binary.AppendUvarint(dst, uint64(s.scale))
			dst = appendOptional(dst, &s.value)
		}
	case Min, Max, And, Or:
		dst = appendBytes(dst, datum.EncodeStored(s.value))
	default:
	}
	return dst
}

func appendOptional(dst []byte, v *datum.Datum) []byte {
	if v.D == nil {
		return binary.AppendUvarint(dst, 0)
	}
	return appendBytes(dst, datum.EncodeStored(*v))
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

// take decodes what Append has encoded.
func (f Function) take(r *codec.Reader, s *State) {
	*s = State{count: int64(r.Uvarint())}
	if s.count == 0 {
		return
	}
	switch f.Kind {
	case Sum, Avg:
		s.high, s.low = r.Varint(), r.Uvarint()
		if f.Arg == datum.Numeric {
			s.scale = int32(r.Uvarint())
			s.value = takeValue(r, datum.Numeric, true)
		}
	case Min, Max, And, Or:
		s.value = takeValue(r, f.Arg, false)
	default:
	}
}

// takeValue takes a value of type t; with optional there may be none.
func takeValue(r *codec.Reader, t datum.Type, optional bool) datum.Datum {
	b := r.Bytes()
	if optional && len(b) == 0 || r.Err() != nil {
		return datum.Datum{}
	}
	v, err := datum.DecodeStored(t, b)
	if err != nil || v.Null {
		r.Fail("no value of type %s", t)
	}
	return v
}
