package queryplan

import (
	"math"
	"math/bits"

	"github.com/cockroachdb/apd/v3"
	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// arithmetic compiles a op b for numbers, and dates with integers.
func arithmetic(op string, a, b Expr) (Expr, error) {
	ta, tb := a.Type(), b.Type()
	if e, ok, err := timeArithmetic(op, a, b); ok {
		return e, err
	}
	if e, ok, err := spanArithmetic(op, a, b); ok {
		return e, err
	}
	if ta == datum.Unknown && tb == datum.Unknown {
		return nil, errSlow
	}
	args, t, err := unify([]Expr{a, b})
	if err != nil {
		return nil, err
	}
	if !t.IsNumber() || op == "%" && t.IsFloat() {
		return nil, errSlow
	}
	return fold(&fn{typ: t, args: args, strict: true, eval: func(_ *Env, v []datum.Datum) (datum.Datum, error) {
		switch {
		case t.IsInt():
			return intArithmetic(op, t, v[0].I, v[1].I)
		case t == datum.Numeric:
			return datum.NumericArithmetic(op, v[0].D, v[1].D)
		default:
			return floatArithmetic(op, t, v[0].F, v[1].F)
		}
	}})
}

// timeArithmetic is + or - of dates, times and intervals; ok is false if it is none.
func timeArithmetic(op string, a, b Expr) (e Expr, ok bool, err error) {
	call, err := builtin.ResolveTime(op, a.Type(), b.Type())
	if call == nil || err != nil {
		return nil, err != nil, err
	}
	return builtinCall(builtin.TimeOperator(op), call.Args, []Expr{a, b})
}

// spanArithmetic is * and / of an interval and a number; ok is false if it is none.
func spanArithmetic(op string, a, b Expr) (e Expr, ok bool, err error) {
	if op == "*" && b.Type() == datum.Interval {
		a, b = b, a
	}
	if op != "*" && op != "/" || a.Type() != datum.Interval || !b.Type().IsNumber() {
		return nil, false, nil
	}
	if b, err = convert(b, datum.Float8, -1, datum.Explicit); err != nil {
		return nil, true, err
	}
	name := "interval_mul"
	if op == "/" {
		name = "interval_div"
	}
	return builtinFunction(name, []Expr{a, b})
}

func divisionByZero() error { return &datum.Error{Code: "22012", Message: "division by zero"} }

func intArithmetic(op string, t datum.Type, a, b int64) (datum.Datum, error) {
	overflow := &datum.Error{Code: "22003", Message: t.SQLName() + " out of range"}
	var out int64
	switch op {
	case "+":
		out = a + b
		if (out > a) != (b > 0) && b != 0 {
			return datum.Datum{}, overflow
		}
	case "-":
		out = a - b
		if (out < a) != (b > 0) && b != 0 {
			return datum.Datum{}, overflow
		}
	case "*":
		hi, lo := bits.Mul64(uint64(a), uint64(b))
		if a < 0 {
			hi -= uint64(b)
		}
		if b < 0 {
			hi -= uint64(a)
		}
		out = int64(lo)
		if int64(hi) != out>>63 {
			return datum.Datum{}, overflow
		}
	default:
		if b == 0 {
			return datum.Datum{}, divisionByZero()
		}
		if op == "%" {
			if b != -1 { // the quotient of the smallest integer overflows
				out = a % b
			}
			break
		}
		if a == math.MinInt64 && b == -1 {
			return datum.Datum{}, overflow
		}
		out = a / b
	}
	return datum.CheckInt(t, out, "")
}

func floatArithmetic(op string, t datum.Type, a, b float64) (datum.Datum, error) {
	var out float64
	switch op {
	case "+":
		out = a + b
	case "-":
		out = a - b
	case "*":
		out = a * b
	default:
		if b == 0 && !math.IsNaN(a) {
			return datum.Datum{}, divisionByZero()
		}
		out = a / b
	}
	if t == datum.Float4 { // as if it had been computed so: twice the digits are enough
		out = float64(float32(out))
	}
	switch {
	case math.IsInf(out, 0) && !math.IsInf(a, 0) && !math.IsInf(b, 0):
		return datum.Datum{}, &datum.Error{Code: "22003", Message: "value out of range: overflow"}
	case out == 0 && a != 0 && (op == "*" && b != 0 || op == "/" && !math.IsInf(b, 0)):
		return datum.Datum{}, &datum.Error{Code: "22003", Message: "value out of range: underflow"}
	}
	return datum.MakeFloat(t, out), nil
}

// prefix compiles -x and +x.
func (c *compiler) prefix(name string, n *pg.A_Expr) (Expr, error) {
	arg, err := c.expr(n.GetRexpr())
	if err != nil {
		return nil, err
	}
	t := arg.Type()
	switch {
	case name == "~" && t.IsInt():
		return fold(&fn{typ: t, args: []Expr{arg}, strict: true, eval: func(_ *Env, v []datum.Datum) (datum.Datum, error) {
			return datum.MakeInt(t, ^v[0].I), nil
		}})
	case name == "@" && t.IsNumber():
		e, err := unary("abs", arg)
		return e, at(err, c.position(n.GetLocation()))
	}
	if name != "-" && name != "+" || !t.IsNumber() {
		return nil, errSlow
	}
	if name == "+" {
		return arg, nil
	}
	e, err := fold(&fn{typ: t, args: []Expr{arg}, strict: true, eval: func(_ *Env, v []datum.Datum) (datum.Datum, error) {
		return negate(v[0])
	}})
	return e, at(err, c.position(n.GetLocation()))
}

func negate(v datum.Datum) (datum.Datum, error) {
	switch {
	case v.Type.IsInt():
		return intArithmetic("-", v.Type, 0, v.I)
	case v.Type.IsFloat():
		return datum.MakeFloat(v.Type, -v.F), nil
	default:
		if v.D.IsZero() {
			return v, nil
		}
		return datum.MakeNumeric(new(apd.Decimal).Neg(v.D)), nil
	}
}
