package builtin

import (
	"math"
	"math/big"
	"strconv"

	"github.com/cockroachdb/apd/v3"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// integers are functions of whole numbers.
var integers = append(append(append(append(
	ofInts("mod", 2, func(t datum.Type, a, b int64) (int64, error) {
		switch b {
		case 0:
			return 0, fail("22012", "division by zero")
		case -1: // the quotient of the smallest integer overflows
			return 0, nil
		}
		return a % b, nil
	}, datum.Int2, datum.Int4, datum.Int8),
	ofInts("abs", 1, func(t datum.Type, a, _ int64) (int64, error) {
		if a == math.MinInt64 {
			return 0, errOutOfRange(t)
		}
		return max(a, -a), nil
	}, datum.Int2, datum.Int4, datum.Int8)...),
	ofInts("gcd", 2, func(t datum.Type, a, b int64) (int64, error) { return inInt64(t, gcd(big.NewInt(a), big.NewInt(b))) }, datum.Int4, datum.Int8)...),
	ofInts("lcm", 2, func(t datum.Type, a, b int64) (int64, error) { return inInt64(t, lcm(big.NewInt(a), big.NewInt(b))) }, datum.Int4, datum.Int8)...),
	ofNumerics("gcd", ofDigits(gcd)), ofNumerics("lcm", ofDigits(lcm)),
	Function{Name: "factorial", Args: []datum.Type{datum.Int8}, Result: datum.Numeric, Eval: factorial},
	bitLength(datum.Text), bitLength(datum.Bytea),
	toHex(datum.Int4, 32), toHex(datum.Int8, 64),
	shifted(ShiftLeft, datum.Int2), shifted(ShiftLeft, datum.Int4), shifted(ShiftLeft, datum.Int8),
	shifted(ShiftRight, datum.Int2), shifted(ShiftRight, datum.Int4), shifted(ShiftRight, datum.Int8),
)

// What << and >> are.
const (
	ShiftLeft  = "operator <<"
	ShiftRight = "operator >>"
)

// shifted moves the bits of an integer as processors do: by the number modulo the width.
func shifted(name string, t datum.Type) Function {
	return Function{Name: name, Args: []datum.Type{t, datum.Int4}, Result: t, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		v, by := a[0].I, uint(a[1].I)
		switch t { // an int2 is shifted as an int4
		case datum.Int8:
			by &= 63
		default:
			by &= 31
		}
		if name == ShiftRight {
			return datum.MakeInt(t, v>>by), nil
		}
		switch v <<= by; t {
		case datum.Int2:
			v = int64(int16(v))
		case datum.Int4:
			v = int64(int32(v))
		}
		return datum.MakeInt(t, v), nil
	}}
}

func errOutOfRange(t datum.Type) error { return fail("22003", "%s out of range", t.SQLName()) }

// ofInts makes a function for each type of integers.
func ofInts(name string, args int, f func(t datum.Type, a, b int64) (int64, error), types ...datum.Type) []Function {
	var out []Function
	for _, t := range types {
		out = append(out, Function{Name: name, Args: []datum.Type{t, t}[:args], Result: t, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
			b := int64(0)
			if args > 1 {
				b = a[1].I
			}
			v, err := f(t, a[0].I, b)
			if err != nil {
				return datum.Datum{}, err
			}
			return datum.CheckInt(t, v, "")
		}})
	}
	return out
}

func inInt64(t datum.Type, b *big.Int) (int64, error) {
	if !b.IsInt64() {
		return 0, errOutOfRange(t)
	}
	return b.Int64(), nil
}

func gcd(a, b *big.Int) *big.Int {
	return new(big.Int).GCD(nil, nil, new(big.Int).Abs(a), new(big.Int).Abs(b))
}

func lcm(a, b *big.Int) *big.Int {
	if a.Sign() == 0 || b.Sign() == 0 {
		return new(big.Int)
	}
	out := new(big.Int).Mul(a, b)
	return out.Abs(out.Quo(out, gcd(a, b)))
}

// ofDigits computes with the digits of two numbers, which are brought to one scale.
func ofDigits(f func(a, b *big.Int) *big.Int) func(a, b *apd.Decimal) (datum.Datum, error) {
	return func(a, b *apd.Decimal) (datum.Datum, error) {
		if a.Form != apd.Finite || b.Form != apd.Finite {
			return datum.MakeNumeric(&apd.Decimal{Form: apd.NaN}), nil
		}
		scale := max(-a.Exponent, -b.Exponent)
		digits := func(d *apd.Decimal) *big.Int {
			out := d.Coeff.MathBigInt()
			out.Mul(out, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale+d.Exponent)), nil))
			return out
		}
		out := new(apd.Decimal)
		out.Coeff.SetMathBigInt(f(digits(a), digits(b)))
		out.Exponent = -scale
		return datum.FinishNumeric(out)
	}
}

func factorial(_ *Env, a []datum.Datum) (datum.Datum, error) {
	const most = 32177
	n := a[0].I
	if n < 0 {
		return datum.Datum{}, fail("22003", "factorial of a negative number is undefined")
	}
	if n > most {
		return datum.Datum{}, errNumericOverflow()
	}
	out := new(apd.Decimal)
	out.Coeff.SetMathBigInt(new(big.Int).MulRange(1, n))
	return datum.FinishNumeric(out)
}

func toHex(t datum.Type, bits int) Function {
	return Function{Name: "to_hex", Args: []datum.Type{t}, Result: datum.Text, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		n := uint64(a[0].I)
		if bits == 32 {
			n = uint64(uint32(a[0].I))
		}
		return datum.MakeText(strconv.FormatUint(n, 16)), nil
	}}
}

func bitLength(of datum.Type) Function {
	return Function{Name: "bit_length", Args: []datum.Type{of}, Result: datum.Int4, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return datum.MakeInt(datum.Int4, int64(len(a[0].S))*8), nil
	}}
}
