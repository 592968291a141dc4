package queryplan

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/cockroachdb/apd/v3"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// coerce converts e implicitly to t: unknown literals and parameters become a t.
func coerce(e Expr, t datum.Type) (Expr, error) { return convert(e, t, -1, datum.Implicit) }

// convert converts e to t and its modifier. errSlow: Go does not know how.
func convert(e Expr, t datum.Type, modifier int32, how datum.CastContext) (Expr, error) {
	from := e.Type()
	if p, ok := e.(*Param); ok && from == datum.Unknown {
		p.params.Types[p.Index] = t
		from = t
	}
	if from == t && modifier < 0 {
		return e, nil
	}
	if how == datum.Explicit && !datum.Allowed(from, t, how) {
		return nil, fail("42846", 0, "cannot cast type %s to %s", from.SQLName(), t.SQLName())
	}
	if k, ok := e.(*Const); ok && k.Value.Null {
		return &Const{Value: datum.MakeNull(t), position: k.position}, nil
	}
	if !datum.Allowed(from, t, how) {
		return nil, errSlow
	}
	f, ok := conversion(from, t)
	if !ok {
		return nil, errSlow
	}
	if t == datum.Interval && from == datum.Unknown && modifier >= 0 { // '2' of INTERVAL '2' HOUR are hours
		f = func(_ *Env, v datum.Datum) (datum.Datum, error) { return datum.ParseIntervalFields(v.S, modifier>>16) }
	}
	if c, ok := e.(*ColumnRef); ok && from == t && modifier == c.modifier {
		return e, nil
	}
	position := 0
	if k, ok := e.(*Const); ok {
		position = k.position
	}
	widening := modifier < 0 && (datum.SameValue(from, t) || from.IsInt() && t.IsInt() || from.IsString() && t.IsString() || from.IsFloat() && t.IsFloat())
	out := &fn{name: "cast " + strconv.Itoa(int(modifier)), typ: t, args: []Expr{e}, strict: true, widening: widening, stable: styled(from, t), eval: func(env *Env, a []datum.Datum) (datum.Datum, error) {
		v, err := f(env, a[0])
		if err != nil {
			return v, at(err, position)
		}
		return datum.ApplyModifier(v, modifier, how == datum.Explicit)
	}}
	if zoned(from, t) {
		return out, nil // depends on the session's time zone
	}
	folded, err := fold(out)
	if k, ok := folded.(*Const); ok {
		k.position = position
	}
	return folded, at(err, position)
}

// styled reports whether a conversion asks settings of the session, such as its time zone.
func styled(from, to datum.Type) bool {
	clock := func(t datum.Type) bool {
		return t.Elem().IsDateTime() || t.Elem() == datum.Timetz || t.Elem() == datum.Time || t.Elem() == datum.Interval
	}
	return zoned(from, to) || clock(from) != clock(to)
}

// zoned reports whether a conversion asks the session's time zone.
func zoned(from, to datum.Type) bool {
	if to.Elem() == datum.Timetz && from.Elem() != datum.Timetz {
		return true
	}
	return (from.Elem() == datum.Timestamptz) != (to.Elem() == datum.Timestamptz)
}

type conversionFunc func(env *Env, v datum.Datum) (datum.Datum, error)

// location is the session's time zone.
func (env *Env) location() *time.Location {
	if env.Session == nil || env.Session.Location == nil {
		return time.UTC
	}
	return env.Session.Location
}

// conversion finds the function from one type to another.
func conversion(from, to datum.Type) (conversionFunc, bool) {
	switch {
	case from == to:
		return func(_ *Env, v datum.Datum) (datum.Datum, error) { return v, nil }, true
	case from == datum.Unknown || from.IsString():
		return func(env *Env, v datum.Datum) (datum.Datum, error) {
			if from == datum.Bpchar {
				v.S = v.Unpadded()
			}
			return datum.ParseText(to, v.S, env.location())
		}, true
	case from.IsInet() && to.IsInet():
		return func(_ *Env, v datum.Datum) (datum.Datum, error) { return datum.InetAs(v, to), nil }, true
	case from.IsInet() && to.IsString():
		return func(_ *Env, v datum.Datum) (datum.Datum, error) { return datum.ParseText(to, datum.InetText(v), nil) }, true
	case from.IsBits() && to.IsBits():
		return func(_ *Env, v datum.Datum) (datum.Datum, error) { return datum.MakeString(to, v.S), nil }, true
	case to.IsString():
		return func(env *Env, v datum.Datum) (datum.Datum, error) {
			if v.Type == datum.Bool { // the cast's words are longer than the output's
				return datum.ParseText(to, strconv.FormatBool(v.Bool()), nil)
			}
			return datum.ParseText(to, string(datum.AppendText(nil, v, env.location())), nil)
		}, true
	case from.IsNumber() && to.IsNumber():
		return func(_ *Env, v datum.Datum) (datum.Datum, error) { return convertNumber(v, to) }, true
	case from.IsDateTime() && to.IsDateTime():
		return func(env *Env, v datum.Datum) (datum.Datum, error) { return convertTime(v, to, env.location()) }, true
	case from.IsInt() && to == datum.OID, from == datum.OID && to.IsInt():
		return func(_ *Env, v datum.Datum) (datum.Datum, error) { return datum.CheckInt(to, v.I, "") }, true
	case datum.OfDay(from, to):
		return func(env *Env, v datum.Datum) (datum.Datum, error) { return timeOfDay(v, to, env) }, true
	case from == datum.Bool && to == datum.Int4:
		return func(_ *Env, v datum.Datum) (datum.Datum, error) { return datum.MakeInt(to, v.I), nil }, true
	case from == datum.Int4 && to == datum.Bool:
		return func(_ *Env, v datum.Datum) (datum.Datum, error) { return datum.MakeBool(v.I != 0), nil }, true
	case from == datum.JSON && to == datum.JSONB, from == datum.JSONB && to == datum.JSON:
		return func(_ *Env, v datum.Datum) (datum.Datum, error) { return datum.ParseText(to, v.S, nil) }, true
	case from.IsArray() && to.IsArray():
		return arrayConversion(from, to)
	default:
		return nil, false
	}
}

func arrayConversion(from, to datum.Type) (conversionFunc, bool) {
	f, ok := conversion(from.Elem(), to.Elem())
	return func(env *Env, v datum.Datum) (datum.Datum, error) {
		out := make([]datum.Datum, len(v.A.Values))
		for i, e := range v.A.Values {
			if e.Null {
				out[i] = datum.MakeNull(to.Elem())
				continue
			}
			var err error
			if out[i], err = f(env, e); err != nil {
				return datum.Datum{}, err
			}
		}
		return datum.MakeArray(to.Elem(), out), nil
	}, ok
}

// convertNumber rounds as PostgreSQL does: floats to even, numerics away from zero.
func convertNumber(v datum.Datum, to datum.Type) (datum.Datum, error) {
	switch {
	case to.IsInt() && v.Type.IsInt():
		return datum.CheckInt(to, v.I, "")
	case to.IsInt() && v.Type.IsFloat():
		f := math.RoundToEven(v.F)
		if math.IsNaN(f) || f < -9223372036854775808 || f >= 9223372036854775808 {
			return datum.CheckInt(datum.Int2, math.MaxInt64, to.SQLName())
		}
		return datum.CheckInt(to, int64(f), "")
	case to.IsInt():
		return numericToInt(v, to)
	case to == datum.Numeric && v.Type.IsInt():
		return datum.MakeNumeric(apd.New(v.I, 0)), nil
	case to == datum.Numeric:
		return floatToNumeric(v)
	case v.Type.IsInt():
		return datum.MakeFloat(to, float64(v.I)), nil
	case v.Type == datum.Numeric:
		return datum.ParseText(to, v.Text(), nil)
	default:
		if to == datum.Float4 && math.IsInf(float64(float32(v.F)), 0) && !math.IsInf(v.F, 0) {
			return datum.Datum{}, &datum.Error{Code: "22003", Message: "value out of range: overflow"}
		}
		return datum.MakeFloat(to, v.F), nil
	}
}

func numericToInt(v datum.Datum, to datum.Type) (datum.Datum, error) {
	if v.D.Form != apd.Finite {
		word := "infinity"
		if v.D.Form != apd.Infinite {
			word = "NaN"
		}
		return datum.Datum{}, &datum.Error{Code: "0A000", Message: "cannot convert " + word + " to " + to.SQLName()}
	}
	d, err := datum.RoundNumeric(v.D, 0)
	if err != nil {
		return datum.Datum{}, err
	}
	i, err := d.Int64()
	if err != nil {
		return datum.Datum{}, &datum.Error{Code: "22003", Message: to.SQLName() + " out of range"}
	}
	return datum.CheckInt(to, i, "")
}

// floatToNumeric keeps 15 digits of a float8 and 6 of a float4.
func floatToNumeric(v datum.Datum) (datum.Datum, error) {
	digits := 15
	if v.Type == datum.Float4 {
		digits = 6
	}
	return datum.ParseText(datum.Numeric, strconv.FormatFloat(v.F, 'g', digits, 64), nil)
}

func convertTime(v datum.Datum, to datum.Type, loc *time.Location) (datum.Datum, error) {
	const day = 86_400_000_000
	if v.Type == datum.Date {
		switch v.I {
		case datum.DateInfinity:
			return datum.MakeInt(to, datum.TimestampInfinity), nil
		case datum.DateMinusInfinity:
			return datum.MakeInt(to, datum.TimestampMinusInfinty), nil
		}
		if v.I > math.MaxInt64/day {
			return datum.Datum{}, &datum.Error{Code: "22008", Message: "date out of range for timestamp"}
		}
		v.I *= day
		if to == datum.Timestamptz {
			v.I = datum.ToZone(v.I, loc)
		}
		return datum.MakeInt(to, v.I), nil
	}
	infinite := v.I == datum.TimestampInfinity || v.I == datum.TimestampMinusInfinty
	if infinite && to == datum.Date {
		if v.I > 0 {
			return datum.MakeInt(to, datum.DateInfinity), nil
		}
		return datum.MakeInt(to, datum.DateMinusInfinity), nil
	}
	if !infinite && v.Type == datum.Timestamptz {
		v.I = datum.FromZone(v.I, loc)
	} else if !infinite && to == datum.Timestamptz {
		v.I = datum.ToZone(v.I, loc)
	}
	if to == datum.Date {
		days := v.I / day
		if v.I%day < 0 {
			days--
		}
		v.I = days
	}
	return datum.MakeInt(to, v.I), nil
}

// timeOfDay carries out what ofDay accepts.
func timeOfDay(v datum.Datum, to datum.Type, env *Env) (datum.Datum, error) {
	const day = 86_400_000_000
	loc := env.location()
	switch v.Type {
	case datum.Time:
		if to == datum.Interval {
			return datum.MakeInterval(0, 0, v.I), nil
		}
		return datum.MakeTimetz(v.I, datum.WestOf(loc, env.Now)), nil
	case datum.Timestamp, datum.Timestamptz:
		if v.I == datum.TimestampInfinity || v.I == datum.TimestampMinusInfinty {
			return datum.MakeNull(to), nil // as PostgreSQL has it
		}
		west := int32(0)
		if v.Type == datum.Timestamptz {
			west = datum.WestOf(loc, v.Time())
			v.I = datum.FromZone(v.I, loc)
		}
		if to == datum.Timetz {
			return datum.MakeTimetz((v.I%day+day)%day, west), nil
		}
	}
	return datum.MakeInt(datum.Time, (v.I%day+day)%day), nil
}

// Assign converts a value that was computed elsewhere into a column's type, as
// an INSERT does.
func Assign(env *Env, v datum.Datum, t datum.Type, modifier int32) (datum.Datum, error) {
	if v.Null {
		return datum.MakeNull(t), nil
	}
	if v.Type != t {
		f, ok := conversion(v.Type, t)
		if !ok || !datum.Allowed(v.Type, t, datum.Assignment) {
			return datum.Datum{}, &datum.Error{Code: "42804", Message: "a value of type " + v.Type.SQLName() + " cannot be assigned to type " + t.SQLName()}
		}
		var err error
		if v, err = f(env, v); err != nil {
			return datum.Datum{}, err
		}
	}
	return datum.ApplyModifier(v, modifier, false)
}

// Assignable reports whether a value of type from can be stored as a to.
func Assignable(from, to datum.Type) bool {
	_, ok := conversion(from, to)
	return ok && datum.Allowed(from, to, datum.Assignment)
}

// ParseLiteral reads a literal of SHOW ROUTING as a value of type t.
func ParseLiteral(t datum.Type, text string, loc *time.Location) (datum.Datum, error) {
	v, err := datum.ParseText(t, text, loc)
	var d *datum.Error
	if errors.As(err, &d) && strings.EqualFold(text, "null") {
		return datum.MakeNull(t), nil
	}
	return v, err
}
