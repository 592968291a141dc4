package builtin

import (
	"math"
	"strconv"

	"github.com/cockroachdb/apd/v3"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// PostgreSQL's limits of the scales that functions choose.
const (
	minSignificant = 16
	maxShownScale  = 1000
	maxResult      = 2000
	digitsOfGroup  = 4
	guardDigits    = 12
)

// numerics are the functions of numeric whose results have a scale of their own.
var numerics = []Function{
	ofNumeric("sqrt", numericRoot), ofNumeric("exp", numericExp), ofNumeric("ln", numericLn),
	ofNumeric("log", numericLog10), ofNumeric("log10", numericLog10),
	ofNumerics("log", numericLog), ofNumerics("power", numericPower), ofNumerics("pow", numericPower),
	ofNumerics("div", numericDiv),
	ofNumerics("mod", func(a, b *apd.Decimal) (datum.Datum, error) { return datum.NumericArithmetic("%", a, b) }),
	ofNumeric("abs", func(d *apd.Decimal) (datum.Datum, error) { return datum.MakeNumeric(datum.WholeNumeric("abs", d)), nil }),
	ofNumeric("ceil", whole("ceil")), ofNumeric("ceiling", whole("ceil")), ofNumeric("floor", whole("floor")),
	ofNumeric("sign", func(d *apd.Decimal) (datum.Datum, error) {
		if notNumber(d) {
			return datum.MakeNumeric(d), nil
		}
		return datum.MakeNumeric(apd.New(int64(d.Sign()), 0)), nil
	}),
	ofNumeric("round", func(d *apd.Decimal) (datum.Datum, error) { return roundAt(d, 0) }),
	ofNumeric("trunc", func(d *apd.Decimal) (datum.Datum, error) { return truncAt(d, 0) }),
	{Name: "round", Args: []datum.Type{datum.Numeric, datum.Int4}, Result: datum.Numeric, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return roundAt(a[0].D, a[1].I)
	}},
	{Name: "trunc", Args: []datum.Type{datum.Numeric, datum.Int4}, Result: datum.Numeric, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return truncAt(a[0].D, a[1].I)
	}},
	scaleOf("scale", func(d *apd.Decimal) int64 { return -int64(d.Exponent) }),
	scaleOf("min_scale", func(d *apd.Decimal) int64 { return -int64(trimmed(d).Exponent) }),
	ofNumeric("trim_scale", func(d *apd.Decimal) (datum.Datum, error) { return datum.MakeNumeric(trimmed(d)), nil }),
}

func ofNumeric(name string, f func(*apd.Decimal) (datum.Datum, error)) Function {
	return Function{Name: name, Args: []datum.Type{datum.Numeric}, Result: datum.Numeric,
		Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) { return f(a[0].D) }}
}

func ofNumerics(name string, f func(a, b *apd.Decimal) (datum.Datum, error)) Function {
	return Function{Name: name, Args: []datum.Type{datum.Numeric, datum.Numeric}, Result: datum.Numeric,
		Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) { return f(a[0].D, a[1].D) }}
}

// scaleOf is a function of finite numbers only.
func scaleOf(name string, f func(*apd.Decimal) int64) Function {
	return Function{Name: name, Args: []datum.Type{datum.Numeric}, Result: datum.Int4, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		if a[0].D.Form != apd.Finite {
			return datum.MakeNull(datum.Int4), nil
		}
		return datum.MakeInt(datum.Int4, f(a[0].D)), nil
	}}
}

// trimmed is a number without the zeros behind its last digit after the point.
func trimmed(d *apd.Decimal) *apd.Decimal {
	if d.Form != apd.Finite || d.Exponent >= 0 {
		return d
	}
	if d.IsZero() {
		return new(apd.Decimal)
	}
	out, _ := new(apd.Decimal).Reduce(d)
	if out.Exponent > 0 {
		_, _ = apd.BaseContext.WithPrecision(uint32(out.NumDigits()+int64(out.Exponent))).Quantize(out, out, 0)
	}
	return out
}

func whole(name string) func(*apd.Decimal) (datum.Datum, error) {
	return func(d *apd.Decimal) (datum.Datum, error) {
		if d.Form != apd.Finite {
			return datum.MakeNumeric(d), nil
		}
		return datum.FinishNumeric(datum.WholeNumeric(name, d))
	}
}

func notNumber(d *apd.Decimal) bool { return d.Form != apd.Finite && d.Form != apd.Infinite }

func infinite(negative bool) (datum.Datum, error) {
	return datum.MakeNumeric(&apd.Decimal{Form: apd.Infinite, Negative: negative}), nil
}

func errNumericOverflow() error { return fail("22003", "value overflows numeric format") }

func roundAt(d *apd.Decimal, scale int64) (datum.Datum, error) {
	if d.Form != apd.Finite {
		return datum.MakeNumeric(d), nil
	}
	out, err := datum.RoundNumeric(d, int32(min(max(scale, -maxResult), maxResult)))
	if err != nil {
		return datum.Datum{}, err
	}
	return datum.FinishNumeric(out)
}

func truncAt(d *apd.Decimal, scale int64) (datum.Datum, error) {
	if d.Form != apd.Finite {
		return datum.MakeNumeric(d), nil
	}
	scale = min(max(scale, -maxResult), maxResult)
	ctx := apd.BaseContext.WithPrecision(uint32(d.NumDigits() + 2*maxResult + int64(max(d.Exponent, 0))))
	ctx.Rounding = apd.RoundDown
	out := new(apd.Decimal)
	if _, err := ctx.Quantize(out, d, int32(-scale)); err != nil {
		return datum.Datum{}, errNumericOverflow()
	}
	if out.IsZero() {
		out.Negative = false
	}
	return datum.FinishNumeric(out)
}

func numericDiv(a, b *apd.Decimal) (datum.Datum, error) {
	if a.Form == apd.Finite && b.Form == apd.Finite && !b.IsZero() {
		ctx := apd.BaseContext.WithPrecision(uint32(a.NumDigits() + b.NumDigits() + shift(a) + shift(b) + 1))
		out := new(apd.Decimal)
		if _, err := ctx.QuoInteger(out, a, b); err != nil {
			return datum.Datum{}, errNumericOverflow()
		}
		return datum.FinishNumeric(out)
	}
	out, err := datum.NumericArithmetic("/", a, b)
	if err != nil || out.D.Form != apd.Finite {
		return out, err
	}
	return truncAt(out.D, 0)
}

func shift(d *apd.Decimal) int64 { return max(int64(d.Exponent), -int64(d.Exponent)) }

// shown is the scale of a result with so many digits before the point: enough to show 16
// significant digits, and not less than those of the arguments.
func shown(before int64, args ...*apd.Decimal) int64 {
	scale := minSignificant - before
	for _, d := range args {
		scale = max(scale, -int64(d.Exponent))
	}
	return min(max(scale, 0), maxShownScale)
}

// precise computes f with enough digits and rounds to the scale.
func precise(before, scale int64, f func(ctx *apd.Context, out *apd.Decimal) error) (datum.Datum, error) {
	ctx := apd.BaseContext.WithPrecision(uint32(max(before, 1) + scale + guardDigits))
	out := new(apd.Decimal)
	if err := f(ctx, out); err != nil {
		return datum.Datum{}, errNumericOverflow()
	}
	return roundAt(out, scale)
}

func numericRoot(d *apd.Decimal) (datum.Datum, error) {
	switch {
	case notNumber(d), d.Form == apd.Infinite && !d.Negative:
		return datum.MakeNumeric(d), nil
	case d.Sign() < 0:
		return datum.Datum{}, errNegativeRoot()
	}
	weight, _ := datum.NumericWeight(d)
	scale := shown(int64(weight*digitsOfGroup/2+1), d)
	return precise(d.NumDigits()+shift(d), scale, func(ctx *apd.Context, out *apd.Decimal) error {
		_, err := ctx.Sqrt(out, d)
		return err
	})
}

func toFloat(d *apd.Decimal) float64 {
	f, err := d.Float64()
	if err != nil && d.Sign() != 0 {
		f, _ = strconv.ParseFloat(d.String(), 64) // infinite, if it is too large
	}
	return f
}

const log10OfE = 0.434294481903252

func numericExp(d *apd.Decimal) (datum.Datum, error) {
	switch {
	case notNumber(d), d.Form == apd.Infinite && !d.Negative:
		return datum.MakeNumeric(d), nil
	case d.Form == apd.Infinite:
		return datum.MakeNumeric(new(apd.Decimal)), nil
	}
	val := toFloat(d)
	before := int64(min(max(val*log10OfE, -maxResult), maxResult))
	scale := shown(before, d)
	if math.Abs(val) >= 3*maxResult {
		if val > 0 {
			return datum.Datum{}, errNumericOverflow()
		}
		return roundAt(new(apd.Decimal), scale)
	}
	return precise(before, scale, func(ctx *apd.Context, out *apd.Decimal) error {
		_, err := ctx.Exp(out, d)
		return err
	})
}

// lnWeight estimates the decimal weight of a logarithm, as PostgreSQL does.
func lnWeight(d *apd.Decimal) int64 {
	if d.Sign() <= 0 {
		return 0
	}
	if d.Cmp(apd.New(9, -1)) >= 0 && d.Cmp(apd.New(11, -1)) <= 0 {
		x := new(apd.Decimal)
		_, _ = apd.BaseContext.WithPrecision(0).Sub(x, d, apd.New(1, 0))
		if x.IsZero() {
			return 0
		}
		weight, first := datum.NumericWeight(x)
		return int64(weight*digitsOfGroup) + int64(math.Log10(float64(first)))
	}
	digits := d.Coeff.String()
	exponent := int64(d.Exponent)
	if const17 := 17; len(digits) > const17 {
		exponent += int64(len(digits) - const17)
		digits = digits[:const17]
	}
	f, _ := strconv.ParseFloat(digits, 64)
	return int64(math.Log10(math.Abs(math.Log(f) + float64(exponent)*math.Ln10)))
}

// logarithmDomain answers logarithms of what has none, and of infinity.
func logarithmDomain(d *apd.Decimal) (out datum.Datum, done bool, err error) {
	switch {
	case notNumber(d):
		return datum.MakeNumeric(d), true, nil
	case d.Sign() < 0:
		return datum.Datum{}, true, errLogarithmOfNegative()
	case d.Form == apd.Infinite:
		return datum.MakeNumeric(d), true, nil
	case d.IsZero():
		return datum.Datum{}, true, errLogarithmOfZero()
	}
	return datum.Datum{}, false, nil
}

func numericLn(d *apd.Decimal) (datum.Datum, error) {
	if out, done, err := logarithmDomain(d); done {
		return out, err
	}
	before := lnWeight(d)
	return precise(max(before, 0)+digitsOfGroup+2, shown(before, d), func(ctx *apd.Context, out *apd.Decimal) error {
		_, err := ctx.Ln(out, d)
		return err
	})
}

func numericLog10(d *apd.Decimal) (datum.Datum, error) {
	if out, done, err := logarithmDomain(d); done {
		return out, err
	}
	return logOf(apd.New(10, 0), d)
}

func numericLog(base, d *apd.Decimal) (datum.Datum, error) {
	if notNumber(base) || notNumber(d) {
		return datum.MakeNumeric(&apd.Decimal{Form: apd.NaN}), nil
	}
	for _, x := range []*apd.Decimal{base, d} {
		if _, done, err := logarithmDomain(x); done && err != nil {
			return datum.Datum{}, err
		}
	}
	switch {
	case base.Form == apd.Infinite && d.Form == apd.Infinite:
		return datum.MakeNumeric(&apd.Decimal{Form: apd.NaN}), nil
	case base.Form == apd.Infinite:
		return datum.MakeNumeric(new(apd.Decimal)), nil
	case d.Form == apd.Infinite:
		return infinite(false)
	case base.Cmp(apd.New(1, 0)) == 0:
		return datum.Datum{}, fail("22012", "division by zero")
	}
	return logOf(base, d)
}

func logOf(base, d *apd.Decimal) (datum.Datum, error) {
	before := lnWeight(d) - lnWeight(base)
	scale := shown(before, base, d)
	return precise(max(before, 0)+guardDigits, scale, func(ctx *apd.Context, out *apd.Decimal) error {
		var b, n apd.Decimal
		if _, err := ctx.Ln(&b, base); err != nil {
			return err
		}
		if _, err := ctx.Ln(&n, d); err != nil {
			return err
		}
		_, err := ctx.Quo(out, &n, &b)
		return err
	})
}
