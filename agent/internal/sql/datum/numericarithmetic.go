package datum

import "github.com/cockroachdb/apd/v3"

var errDivisionByZero = errorf("22012", "division by zero") //nolint:gochecknoglobals // an error value

// NumericArithmetic computes + - * / and % as PostgreSQL does.
func NumericArithmetic(op string, a, b *apd.Decimal) (Datum, error) {
	ctx := apd.BaseContext.WithPrecision(0) // exact
	out := new(apd.Decimal)
	var err error
	switch op {
	case "+":
		_, err = ctx.Add(out, a, b)
	case "-":
		_, err = ctx.Sub(out, a, b)
	case "*":
		_, err = ctx.Mul(out, a, b)
	default:
		if b.IsZero() && a.Form == apd.Finite {
			return Datum{}, errDivisionByZero
		}
		if a.Form != apd.Finite || b.Form != apd.Finite {
			return divideInfinite(op, a, b)
		}
		if op == "%" {
			ctx = ctx.WithPrecision(uint32(a.NumDigits() + b.NumDigits() + abs(a.Exponent) + abs(b.Exponent) + 1))
			_, err = ctx.Rem(out, a, b)
			break
		}
		return divideNumeric(a, b)
	}
	if err != nil && (a.Form != apd.Finite || b.Form != apd.Finite) { // Infinity - Infinity, Infinity * 0
		return MakeNumeric(&apd.Decimal{Form: apd.NaN}), nil
	}
	if err != nil {
		return Datum{}, &Error{Code: "22003", Message: "value overflows numeric format"}
	}
	return FinishNumeric(out)
}

// divideInfinite divides when a side is infinite or NaN.
func divideInfinite(op string, a, b *apd.Decimal) (Datum, error) {
	nan := func(d *apd.Decimal) bool { return d.Form != apd.Finite && d.Form != apd.Infinite }
	switch {
	case nan(a) || nan(b) || a.Form == apd.Infinite && b.Form == apd.Infinite:
		return MakeNumeric(&apd.Decimal{Form: apd.NaN}), nil
	case b.Form == apd.Infinite && op == "%":
		return MakeNumeric(a), nil
	case b.Form == apd.Infinite:
		return MakeNumeric(new(apd.Decimal)), nil
	case b.IsZero():
		return Datum{}, errDivisionByZero
	case op == "%":
		return MakeNumeric(&apd.Decimal{Form: apd.NaN}), nil
	default:
		return MakeNumeric(&apd.Decimal{Form: apd.Infinite, Negative: a.Negative != b.Negative}), nil
	}
}

func abs(e int32) int64 {
	if e < 0 {
		return -int64(e)
	}
	return int64(e)
}

// divideNumeric gives the scale that PostgreSQL chooses: at least 16
// significant digits, counted in groups of four.
func divideNumeric(a, b *apd.Decimal) (Datum, error) {
	const minSignificant, group, maxScale = 16, 4, 1000
	wa, fa := NumericWeight(a)
	wb, fb := NumericWeight(b)
	weight := wa - wb
	if fa <= fb {
		weight--
	}
	scale := int32(max(minSignificant-weight*group, int(-a.Exponent), int(-b.Exponent), 0))
	scale = min(scale, maxScale)
	digits := a.NumDigits() + b.NumDigits() + abs(a.Exponent) + abs(b.Exponent) + int64(scale) + group
	ctx := apd.BaseContext.WithPrecision(uint32(digits))
	ctx.Rounding = apd.RoundDown
	q := new(apd.Decimal)
	if _, err := ctx.Quo(q, a, b); err != nil {
		return Datum{}, &Error{Code: "22003", Message: "value overflows numeric format"}
	}
	q, err := RoundNumeric(q, scale)
	if err != nil {
		return Datum{}, err
	}
	return FinishNumeric(q)
}

// WholeNumeric is abs, floor or ceiling of a number.
func WholeNumeric(function string, d *apd.Decimal) *apd.Decimal {
	out := new(apd.Decimal)
	if function == "abs" {
		return out.Abs(d)
	}
	ctx := apd.BaseContext.WithPrecision(uint32(d.NumDigits() + abs(d.Exponent) + 1))
	if function == "floor" {
		_, _ = ctx.Floor(out, d) // of a finite number it cannot fail
	} else {
		_, _ = ctx.Ceil(out, d)
	}
	if out.IsZero() {
		out.Negative = false
	}
	return out
}
