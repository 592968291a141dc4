package builtin

import (
	"math"

	"github.com/cockroachdb/apd/v3"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

func numericPower(x, y *apd.Decimal) (datum.Datum, error) {
	if x.Form != apd.Finite || y.Form != apd.Finite {
		return powerOfSpecial(x, y)
	}
	exponent, integral := trimmedInt(y)
	switch {
	case x.IsZero() && y.Sign() < 0:
		return datum.Datum{}, errZeroToNegative()
	case x.Sign() < 0 && !integral:
		return datum.Datum{}, errComplexPower()
	case integral && exponent >= math.MinInt32 && exponent <= math.MaxInt32:
		return wholePower(x, exponent)
	case x.IsZero():
		return roundAt(x, minSignificant)
	}
	base, negative := x, false
	if x.Sign() < 0 { // to a whole number that is very large
		base = new(apd.Decimal).Abs(x)
		negative = exponent%2 != 0
	}
	val := logFloat(base) * toFloat(y)
	if math.Abs(val) > maxResult*3.01 {
		if val > 0 {
			return datum.Datum{}, errNumericOverflow()
		}
		return roundAt(new(apd.Decimal), maxShownScale)
	}
	before := int64(val * log10OfE)
	scale := shown(before, x, y)
	return precise(max(before, 0), scale, func(ctx *apd.Context, out *apd.Decimal) error {
		wide := ctx.WithPrecision(ctx.Precision + uint32(y.NumDigits()) + guardDigits)
		if _, err := wide.Ln(out, base); err != nil {
			return err
		}
		if _, err := wide.Mul(out, out, y); err != nil {
			return err
		}
		_, err := wide.Exp(out, out)
		out.Negative = negative
		return err
	})
}

// trimmedInt is a number as an integer, if it is one; what does not fit is the largest.
func trimmedInt(d *apd.Decimal) (int64, bool) {
	t := trimmed(d)
	if t.Exponent < 0 {
		return 0, false
	}
	i, err := t.Int64()
	if err != nil {
		i = math.MaxInt64
		var two, rem apd.Decimal
		two.SetInt64(2)
		if _, err := apd.BaseContext.WithPrecision(uint32(t.NumDigits()+1)).Rem(&rem, t, &two); err == nil && rem.IsZero() {
			i-- // as even as it is
		}
	}
	return i, true
}

func logFloat(d *apd.Decimal) float64 {
	out := new(apd.Decimal)
	if _, err := apd.BaseContext.WithPrecision(minSignificant).Ln(out, d); err != nil {
		return 0
	}
	return toFloat(out)
}

// wholePower is x to a whole number, with at least 16 digits behind the point.
func wholePower(x *apd.Decimal, n int64) (datum.Datum, error) {
	scale := min(max(minSignificant, -int64(x.Exponent)), maxShownScale)
	switch {
	case n == 0:
		return roundAt(apd.New(1, 0), scale)
	case x.IsZero():
		return roundAt(new(apd.Decimal), scale)
	}
	before := logFloat(new(apd.Decimal).Abs(x)) * log10OfE * float64(n)
	const mostDigits = 131072
	if before > mostDigits {
		return datum.Datum{}, errNumericOverflow()
	}
	if before+1 < float64(-scale) {
		return roundAt(new(apd.Decimal), scale)
	}
	return precise(int64(max(before, 0))+2*guardDigits, scale, func(ctx *apd.Context, out *apd.Decimal) error {
		out.SetInt64(1)
		square := new(apd.Decimal).Set(x)
		for i := max(n, -n); i > 0; i >>= 1 {
			if i&1 != 0 {
				if _, err := ctx.Mul(out, out, square); err != nil {
					return err
				}
			}
			if i > 1 {
				if _, err := ctx.Mul(square, square, square); err != nil {
					return err
				}
			}
		}
		if n < 0 {
			_, err := ctx.Quo(out, apd.New(1, 0), out)
			return err
		}
		return nil
	})
}

// powerOfSpecial is a power of which a side is infinite or no number.
func powerOfSpecial(x, y *apd.Decimal) (datum.Datum, error) {
	one := apd.New(1, 0)
	exponent, integral := int64(0), true
	if y.Form == apd.Finite {
		exponent, integral = trimmedInt(y)
	}
	size := func() int { return new(apd.Decimal).Abs(x).Cmp(one) }
	switch {
	case y.Form == apd.Finite && y.IsZero(), x.Form == apd.Finite && x.Cmp(one) == 0:
		return datum.MakeNumeric(one), nil
	case notNumber(x) || notNumber(y):
		return datum.MakeNumeric(&apd.Decimal{Form: apd.NaN}), nil
	case x.IsZero() && x.Form == apd.Finite && y.Negative:
		return datum.Datum{}, errZeroToNegative()
	case x.Form == apd.Finite && x.IsZero():
		return datum.MakeNumeric(new(apd.Decimal)), nil
	case x.Negative && !integral:
		return datum.Datum{}, errComplexPower()
	case y.Form == apd.Infinite && x.Form == apd.Finite && size() == 0:
		return datum.MakeNumeric(one), nil
	case y.Form == apd.Infinite:
		if (x.Form == apd.Infinite || size() > 0) == !y.Negative {
			return infinite(false)
		}
		return datum.MakeNumeric(new(apd.Decimal)), nil
	case y.Negative:
		return datum.MakeNumeric(new(apd.Decimal)), nil
	}
	return infinite(x.Negative && exponent%2 != 0)
}
