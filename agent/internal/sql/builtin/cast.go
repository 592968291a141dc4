package builtin

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cockroachdb/apd/v3"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// Converter converts a value that is not null.
type Converter func(env *Env, v datum.Datum) (datum.Datum, error)

const castPrefix = "cast "

// CastName is the name of the function that casts to a type and a modifier.
func CastName(to datum.Type, modifier int32) string {
	return castPrefix + strconv.FormatUint(uint64(to), 10) + " " + strconv.Itoa(int(modifier))
}

// castCall is the call of a name that CastName made; nil: it is none, or there is no cast.
func castCall(name string, types []datum.Type) *Call {
	words := strings.Split(name, " ")
	if len(words) != 3 || words[0]+" " != castPrefix || len(types) != 1 {
		return nil
	}
	number, err := strconv.ParseUint(words[1], 10, 32)
	if err != nil {
		return nil
	}
	modifier, err := strconv.Atoi(words[2])
	if err != nil {
		return nil
	}
	to := datum.Type(number)
	convert, ok := Conversion(types[0], to)
	if !ok || !datum.Castable(types[0], to) {
		return nil
	}
	return &Call{Args: types, Result: to, Function: &Function{Name: name, Args: types, Result: to, Eval: func(env *Env, a []datum.Datum) (datum.Datum, error) {
		v, err := convert(env, a[0])
		if err != nil || v.Null {
			return v, err
		}
		return datum.ApplyModifier(v, int32(modifier), true)
	}}}
}

// scalarOfJSON is a cast of jsonb to a truth value or a number.
func scalarOfJSON(j string, to datum.Type) (datum.Datum, error) {
	is := map[byte]string{'{': "object", '[': "array", '"': "string", 't': "boolean", 'f': "boolean", 'n': "null"}[kind(j)]
	switch {
	case is == "boolean" && to == datum.Bool:
		return datum.MakeBool(j == "true"), nil
	case is != "" || to == datum.Bool:
		if is == "" {
			is = "numeric"
		}
		return datum.Datum{}, fail("22023", "cannot cast jsonb %s to type %s", is, to.SQLName())
	}
	v, err := datum.ParseText(datum.Numeric, j, nil)
	if err != nil || to == datum.Numeric {
		return v, err
	}
	return convertNumber(v, to)
}

// Conversion finds the function from one type to another.
func Conversion(from, to datum.Type) (Converter, bool) {
	switch {
	case from == datum.Char && to == datum.Int4, from == datum.Int4 && to == datum.Char:
		return func(_ *Env, v datum.Datum) (datum.Datum, error) { return castChar(v, to) }, true
	case from == to:
		return func(_ *Env, v datum.Datum) (datum.Datum, error) { return v, nil }, true
	case from == datum.Unknown || from.IsString():
		return func(env *Env, v datum.Datum) (datum.Datum, error) {
			if from == datum.Bpchar && to.IsString() {
				v.S = v.Unpadded()
			}
			return env.Reading().Parse(to, v.S)
		}, true
	case from.IsInet() && to.IsInet():
		return func(_ *Env, v datum.Datum) (datum.Datum, error) { return datum.InetAs(v, to), nil }, true
	case from.IsInet() && to.IsString():
		return func(_ *Env, v datum.Datum) (datum.Datum, error) { return datum.ParseText(to, datum.InetText(v), nil) }, true
	case from.IsBits() && to.IsBits():
		return func(_ *Env, v datum.Datum) (datum.Datum, error) { return datum.MakeString(to, v.S), nil }, true
	case to.IsString():
		return func(env *Env, v datum.Datum) (datum.Datum, error) {
			if v.Type == datum.Bool && to != datum.Name { // the cast's words are longer than the output's
				return datum.ParseText(to, strconv.FormatBool(v.Bool()), nil)
			}
			return datum.ParseText(to, string(datum.AppendText(nil, v, env.Location)), nil)
		}, true
	case from.IsNumber() && to.IsNumber():
		return func(_ *Env, v datum.Datum) (datum.Datum, error) { return convertNumber(v, to) }, true
	case from.IsDateTime() && to.IsDateTime():
		return func(env *Env, v datum.Datum) (datum.Datum, error) { return convertTime(v, to, env.Location) }, true
	case from.IsInt() && from != datum.Int8 && to == datum.OID: // by its bits: -1 is the greatest
		return func(_ *Env, v datum.Datum) (datum.Datum, error) { return datum.MakeInt(to, int64(uint32(v.I))), nil }, true //nolint:gosec // as above
	case from == datum.OID && to == datum.Int4:
		return func(_ *Env, v datum.Datum) (datum.Datum, error) { return datum.MakeInt(to, int64(int32(v.I))), nil }, true //nolint:gosec // as above
	case from.IsInt() && to == datum.OID, from == datum.OID && to.IsInt(), from.IsRegistry() && !from.IsArray() && to == datum.OID:
		return func(_ *Env, v datum.Datum) (datum.Datum, error) { return datum.CheckInt(to, v.I, "") }, true
	case datum.OfDay(from, to):
		return func(env *Env, v datum.Datum) (datum.Datum, error) { return timeOfDay(v, to, env) }, true
	case from == datum.Bool && to == datum.Int4:
		return func(_ *Env, v datum.Datum) (datum.Datum, error) { return datum.MakeInt(to, v.I), nil }, true
	case from == datum.Int4 && to == datum.Bool:
		return func(_ *Env, v datum.Datum) (datum.Datum, error) { return datum.MakeBool(v.I != 0), nil }, true
	case from == datum.JSONB && (to == datum.Bool || to.IsNumber()):
		return func(_ *Env, v datum.Datum) (datum.Datum, error) { return scalarOfJSON(v.S, to) }, true
	case from == datum.Interval && to == datum.Time:
		return func(_ *Env, v datum.Datum) (datum.Datum, error) {
			return datum.MakeInt(datum.Time, timeOfSpan(v.I)), nil
		}, true
	case from == datum.JSON && to == datum.JSONB, from == datum.JSONB && to == datum.JSON:
		return func(_ *Env, v datum.Datum) (datum.Datum, error) { return datum.ParseText(to, v.S, nil) }, true
	case from.IsArray() && to.IsArray():
		return arrayConversion(from, to)
	default:
		return nil, false
	}
}

// castChar makes a "char" the number of its byte, and a number one; none is that of 0.
func castChar(v datum.Datum, to datum.Type) (datum.Datum, error) {
	switch {
	case to == datum.Int4 && (v.S == "" || v.S[0] >= utf8.RuneSelf || len(v.S) > 1):
		if v.S == "" {
			return datum.MakeInt(to, 0), nil
		}
		return datum.Datum{}, fail("0A000", `a "char" that is not of ASCII is not supported`)
	case to == datum.Int4:
		return datum.MakeInt(to, int64(v.S[0])), nil
	case v.I < math.MinInt8 || v.I > math.MaxInt8:
		return datum.Datum{}, fail("22003", `"char" out of range`)
	case v.I < 0:
		return datum.Datum{}, fail("0A000", `a "char" that is not of ASCII is not supported`)
	case v.I == 0:
		return datum.MakeString(to, ""), nil
	}
	return datum.MakeString(to, string(rune(v.I))), nil
}

func arrayConversion(from, to datum.Type) (Converter, bool) {
	f, ok := Conversion(from.Elem(), to.Elem())
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
		return datum.MakeArrayOf(to.Elem(), out, v.A.Dims), nil
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
			return datum.Datum{}, errOutOfRange(to)
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
		if _, ok := datum.JoinDay(v.I, 0); !ok {
			return datum.Datum{}, &datum.Error{Code: "22008", Message: "date out of range for timestamp"}
		}
		v.I *= day
		if to == datum.Timestamptz {
			v.I = datum.ToZone(v.I, loc)
		}
		if !datum.InTimestamp(v.I) {
			return datum.Datum{}, &datum.Error{Code: "22008", Message: "date out of range for timestamp"}
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
	loc := env.Location
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
	return datum.MakeInt(datum.Time, timeOfSpan(v.I)), nil
}
