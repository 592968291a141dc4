package builtin

import (
	"math"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// floats are the functions of double precision.
var floats = append(append(
	ofFloat(map[string]func(float64) (float64, error){
		"abs": exactly(math.Abs), "sign": exactly(signum), "ceil": exactly(math.Ceil), "ceiling": exactly(math.Ceil), "floor": exactly(math.Floor),
		"round": exactly(math.RoundToEven), "trunc": exactly(math.Trunc), "sqrt": squareRoot, "cbrt": exactly(cCbrt),
		"exp": exponential, "ln": logarithm(cLog), "log": logarithm(cLog10), "log10": logarithm(cLog10),
		"degrees": func(x float64) (float64, error) { return inRange(x/radian, x) },
		"radians": exactly(func(x float64) float64 { return x * radian }),
	}),
	ofFloat(map[string]func(float64) (float64, error){
		"sin": periodic(cSin), "cos": periodic(cCos), "tan": periodic(cTan), "cot": periodic(func(x float64) float64 { return 1 / cTan(x) }),
		"sind": periodic(sind), "cosd": periodic(cosd), "tand": periodic(tand), "cotd": periodic(cotd),
		"asin": within(-1, 1, cAsin), "acos": within(-1, 1, cAcos), "asind": within(-1, 1, asind), "acosd": within(-1, 1, acosd),
		"atan": exactly(cAtan), "atand": exactly(func(x float64) float64 { return cAtan(x) / cAtan(1) * 45 }),
		"sinh": exactly(cSinh), "cosh": exactly(cCosh), "tanh": exactly(cTanh),
		"asinh": exactly(cAsinh), "acosh": within(1, math.Inf(1), cAcosh), "atanh": within(-1, 1, cAtanh),
	})...),
	ofFloats("atan2", func(y, x float64) (float64, error) { return cAtan2(y, x), nil }),
	ofFloats("atan2d", func(y, x float64) (float64, error) { return cAtan2(y, x) / cAtan(1) * 45, nil }),
	ofFloats("power", powerOf), ofFloats("pow", powerOf),
	Function{Name: "pi", Result: datum.Float8, Eval: func(*Env, []datum.Datum) (datum.Datum, error) {
		return datum.MakeFloat(datum.Float8, math.Pi), nil
	}},
	Function{Name: "abs", Args: []datum.Type{datum.Float4}, Result: datum.Float4, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		return datum.MakeFloat(datum.Float4, math.Abs(a[0].F)), nil
	}},
)

// radian is how many there are of a degree.
const radian float64 = 0.0174532925199432957692

func ofFloat(functions map[string]func(float64) (float64, error)) []Function {
	var out []Function
	for name, f := range functions {
		out = append(out, Function{Name: name, Args: []datum.Type{datum.Float8}, Result: datum.Float8, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
			v, err := f(a[0].F)
			return datum.MakeFloat(datum.Float8, v), err
		}})
	}
	return out
}

func ofFloats(name string, f func(x, y float64) (float64, error)) Function {
	return Function{Name: name, Args: []datum.Type{datum.Float8, datum.Float8}, Result: datum.Float8, Eval: func(_ *Env, a []datum.Datum) (datum.Datum, error) {
		v, err := f(a[0].F, a[1].F)
		return datum.MakeFloat(datum.Float8, v), err
	}}
}

func exactly(f func(float64) float64) func(float64) (float64, error) {
	return func(x float64) (float64, error) { return f(x), nil }
}

// periodic functions have no value at infinity.
func periodic(f func(float64) float64) func(float64) (float64, error) {
	return func(x float64) (float64, error) {
		if math.IsInf(x, 0) {
			return 0, fail("22003", "input is out of range")
		}
		return f(x), nil
	}
}

func within(low, high float64, f func(float64) float64) func(float64) (float64, error) {
	return func(x float64) (float64, error) {
		if x < low || x > high {
			return 0, fail("22003", "input is out of range")
		}
		return f(x), nil
	}
}

// inRange refuses a result that is infinite though the arguments are not.
func inRange(out float64, args ...float64) (float64, error) {
	if math.IsInf(out, 0) {
		for _, x := range args {
			if math.IsInf(x, 0) {
				return out, nil
			}
		}
		return 0, fail("22003", "value out of range: overflow")
	}
	return out, nil
}

func signum(x float64) float64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0 // of NaN, too
}

func squareRoot(x float64) (float64, error) {
	if x < 0 {
		return 0, errNegativeRoot()
	}
	return math.Sqrt(x), nil
}

func exponential(x float64) (float64, error) {
	out := cExp(x)
	if out == 0 && !math.IsInf(x, 0) {
		return 0, fail("22003", "value out of range: underflow")
	}
	return inRange(out, x)
}

func logarithm(f func(float64) float64) func(float64) (float64, error) {
	return func(x float64) (float64, error) {
		if x == 0 {
			return 0, errLogarithmOfZero()
		}
		if x < 0 {
			return 0, errLogarithmOfNegative()
		}
		return f(x), nil
	}
}

func errNegativeRoot() error { return fail("2201F", "cannot take square root of a negative number") }
func errLogarithmOfZero() error {
	return fail("2201E", "cannot take logarithm of zero")
}
func errLogarithmOfNegative() error {
	return fail("2201E", "cannot take logarithm of a negative number")
}
func errZeroToNegative() error {
	return fail("2201F", "zero raised to a negative power is undefined")
}
func errComplexPower() error {
	return fail("2201F", "a negative number raised to a non-integer power yields a complex result")
}

func powerOf(x, y float64) (float64, error) {
	switch {
	case math.IsNaN(x) || math.IsNaN(y):
		return cPow(x, y), nil // 1 ^ NaN and NaN ^ 0 are 1
	case x == 0 && y < 0:
		return 0, errZeroToNegative()
	case x < 0 && math.Floor(y) != y:
		return 0, errComplexPower()
	case math.IsInf(x, 0) || math.IsInf(y, 0):
		return cPow(x, y), nil
	}
	out := cPow(x, y)
	if out == 0 && x != 0 {
		return 0, fail("22003", "value out of range: underflow")
	}
	return inRange(out, x, y)
}

// Functions of degrees, which are exact where one expects it, in PostgreSQL's way.

func sind0to30(x float64) float64 { return cSin(x*radian) / cSin(30*radian) / 2 }
func cosd0to60(x float64) float64 { return 1 - (1-cCos(x*radian))/(1-cCos(60*radian))/2 }

func sindQuadrant(x float64) float64 {
	if x <= 30 {
		return sind0to30(x)
	}
	return cosd0to60(90 - x)
}

func cosdQuadrant(x float64) float64 {
	if x <= 60 {
		return cosd0to60(x)
	}
	return sind0to30(90 - x)
}

// quadrant brings an angle to the first, with the signs that its sine and cosine have.
func quadrant(x float64) (angle, sine, cosine float64) {
	angle, sine, cosine = math.Mod(x, 360), 1, 1
	if angle < 0 {
		angle, sine = -angle, -1
	}
	if angle > 180 {
		angle, sine = 360-angle, -sine
	}
	if angle > 90 {
		angle, cosine = 180-angle, -1
	}
	return angle, sine, cosine
}

func sind(x float64) float64 {
	angle, sign, _ := quadrant(x)
	return sign * sindQuadrant(angle)
}

func cosd(x float64) float64 {
	angle, _, sign := quadrant(x)
	return sign * cosdQuadrant(angle)
}

func tand(x float64) float64 {
	angle, s, c := quadrant(x)
	out := s * c * (sindQuadrant(angle) / cosdQuadrant(angle) / (sindQuadrant(45) / cosdQuadrant(45)))
	if out == 0 {
		return 0
	}
	return out
}

func cotd(x float64) float64 {
	angle, s, c := quadrant(x)
	out := s * c * (cosdQuadrant(angle) / sindQuadrant(angle) / (cosdQuadrant(45) / sindQuadrant(45)))
	if out == 0 {
		return 0
	}
	return out
}

func asind(x float64) float64 {
	if x < 0 {
		return -asind(-x)
	}
	if x <= 0.5 {
		return cAsin(x) / cAsin(0.5) * 30
	}
	return 90 - cAcos(x)/cAcos(0.5)*60
}

func acosd(x float64) float64 {
	switch {
	case x < 0:
		return 90 + asind(-x)
	case x <= 0.5:
		return 90 - cAsin(x)/cAsin(0.5)*30
	}
	return cAcos(x) / cAcos(0.5) * 60
}
