package builtin

import (
	"encoding/hex"
	"slices"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// What the rewriter calls where numerics are written: their operators, order and aggregates.
const (
	NumericCompare = "numeric_cmp"
	NumericOrder   = "numeric order"
	NumericDecimal = "numeric decimal"
	Greatest       = "greatest"
	Least          = "least"
)

// NumericOperator is the name of what computes an operator of two numerics.
func NumericOperator(op string) string { return "numeric " + op }

// NumericAggregate is the name of what computes an aggregate of an array of numerics.
func NumericAggregate(name string) string { return "numerics " + name }

// NumericSpread is the name of what computes a variance, or its root, from the number of values,
// their sum, and that of their squares.
func NumericSpread(name string) string { return "numerics' sums " + name }

// Distinct is the name of an aggregate of values of which none is equal to another.
func Distinct(name string) string { return name + " distinct" }

// decimalScale is how many digits behind the point the engine's decimals have.
const decimalScale, decimalWhole = 9, 29

// writtens are what is computed with numerics that are texts to the engine.
var writtens = append(append(append([]Function{
	{Name: NumericCompare, Args: []datum.Type{datum.Numeric, datum.Numeric}, Result: datum.Int4, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return datum.MakeInt(datum.Int4, int64(datum.Compare(a[0], a[1]))), nil
	}},
	{Name: NumericOrder, Args: []datum.Type{datum.Numeric}, Result: datum.Text, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		key, err := datum.AppendKey(nil, a[0])
		return datum.MakeText(hex.EncodeToString(key)), err
	}},
	{Name: NumericDecimal, Args: []datum.Type{datum.Numeric}, Result: datum.Numeric, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		d := a[0].D
		if d.Form == apd.Finite {
			d = trimmed(d)
		}
		if d.Form != apd.Finite || d.Exponent < -decimalScale || d.NumDigits()+int64(d.Exponent) > decimalWhole {
			return datum.Datum{}, fail("0A000", "numeric %s is not supported in this query: it has more digits than can be grouped or compared here", a[0].Text())
		}
		return a[0], nil
	}},
	extreme(Greatest, 1), extreme(Least, -1),
}, numericOperators()...), numericAggregates()...), deviations()...)

// extreme is the greatest or least of values, of which nulls are none.
func extreme(name string, sign int) Function {
	return Function{Name: name, Args: []datum.Type{AnyElement}, Variadic: true, Nulls: true, Result: AnyElement, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		best := -1
		for i, v := range a {
			if !v.Null && (best < 0 || datum.Compare(v, a[best])*sign > 0) {
				best = i
			}
		}
		return a[max(best, 0)], nil
	}}
}

func numericOperators() []Function {
	var out []Function
	for op := range strings.SplitSeq("+ - * / %", " ") {
		out = append(out, ofNumerics(NumericOperator(op), func(a, b *apd.Decimal) (datum.Datum, error) { return datum.NumericArithmetic(op, a, b) }))
	}
	return out
}

// ofList makes an aggregate of the numerics of an array, which has one at least.
func ofList(name string, f func(list []datum.Datum) (datum.Datum, error)) Function {
	return Function{Name: NumericAggregate(name), Args: []datum.Type{datum.Numeric | datum.Array}, Result: datum.Numeric, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return f(a[0].A.Values)
	}}
}

func numericAggregates() []Function {
	best := func(sign int) func(list []datum.Datum) (datum.Datum, error) {
		return func(list []datum.Datum) (datum.Datum, error) {
			best := list[0]
			for _, v := range list {
				if datum.Compare(v, best)*sign > 0 {
					best = v
				}
			}
			return best, nil
		}
	}
	return []Function{
		ofList("sum", sumOf), ofList("max", best(1)), ofList("min", best(-1)),
		ofList(Distinct("sum"), func(list []datum.Datum) (datum.Datum, error) { return sumOf(distinct(list)) }),
		ofList(Distinct("avg"), func(list []datum.Datum) (datum.Datum, error) {
			list = distinct(list)
			sum, err := sumOf(list)
			if err != nil {
				return sum, err
			}
			return datum.NumericArithmetic("/", sum.D, apd.New(int64(len(list)), 0))
		}),
	}
}

// distinct are values in their order, one of those that are equal.
func distinct(list []datum.Datum) []datum.Datum {
	list = slices.Clone(list)
	slices.SortStableFunc(list, datum.Compare)
	return slices.CompactFunc(list, func(a, b datum.Datum) bool { return datum.Compare(a, b) == 0 })
}

func sumOf(list []datum.Datum) (datum.Datum, error) {
	sum := list[0]
	for _, v := range list[1:] {
		var err error
		if sum, err = datum.NumericArithmetic("+", sum.D, v.D); err != nil {
			return sum, err
		}
	}
	return sum, nil
}

func deviations() []Function {
	var out []Function
	for _, name := range []string{"variance", "var_samp", "var_pop", "stddev", "stddev_samp", "stddev_pop"} {
		out = append(out, ofList(name, func(list []datum.Datum) (datum.Datum, error) {
			return deviation(list, strings.HasSuffix(name, "_pop"), strings.HasPrefix(name, "stddev"))
		}), Function{Name: NumericSpread(name), Args: []datum.Type{datum.Int8, datum.Numeric, datum.Numeric}, Result: datum.Numeric, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
			n, less := a[0].I, a[0].I
			if !strings.HasSuffix(name, "_pop") {
				less--
			}
			if less <= 0 {
				return datum.MakeNull(datum.Numeric), nil
			}
			return spreadOf(n, less, a[1], a[2], strings.HasPrefix(name, "stddev"))
		}})
	}
	return out
}

// deviation is the variance of numerics, or its root, from the sums of them and of their
// squares.
func deviation(list []datum.Datum, population, root bool) (datum.Datum, error) {
	n, less := int64(len(list)), int64(len(list))
	if !population {
		less--
	}
	var squares []datum.Datum
	for _, v := range list {
		if v.D.Form != apd.Finite {
			if less == 0 {
				return datum.MakeNull(datum.Numeric), nil
			}
			return datum.MakeNumeric(&apd.Decimal{Form: apd.NaN}), nil
		}
		square, err := datum.NumericArithmetic("*", v.D, v.D)
		if err != nil {
			return square, err
		}
		squares = append(squares, square)
	}
	if less == 0 {
		return datum.MakeNull(datum.Numeric), nil
	}
	sum, err := sumOf(list)
	if err != nil {
		return sum, err
	}
	ofSquares, err := sumOf(squares)
	if err != nil {
		return sum, err
	}
	return spreadOf(n, less, sum, ofSquares, root)
}

// spreadOf is the variance, or its root, of n numerics, from the sums of them and of their squares.
func spreadOf(n, less int64, sum, ofSquares datum.Datum, root bool) (datum.Datum, error) {
	var err error
	compute := func(op string, a, b datum.Datum) datum.Datum {
		if err != nil {
			return a
		}
		var out datum.Datum
		out, err = datum.NumericArithmetic(op, a.D, b.D)
		return out
	}
	number := datum.MakeNumeric(apd.New(n, 0))
	above := compute("-", compute("*", ofSquares, number), compute("*", sum, sum))
	if err != nil || above.D.Sign() <= 0 {
		return datum.MakeNumeric(new(apd.Decimal)), err
	}
	out := compute("/", above, compute("*", number, datum.MakeNumeric(apd.New(less, 0))))
	if err != nil || !root {
		return out, err
	}
	return rootAt(out.D, -int64(out.D.Exponent))
}

// rootAt is a square root with so many digits behind the point.
func rootAt(d *apd.Decimal, scale int64) (datum.Datum, error) {
	ctx := apd.BaseContext.WithPrecision(uint32(d.NumDigits() + shift(d) + scale + minSignificant))
	out := new(apd.Decimal)
	if _, err := ctx.Sqrt(out, d); err != nil {
		return datum.Datum{}, errNumericOverflow()
	}
	return roundAt(out, scale)
}
