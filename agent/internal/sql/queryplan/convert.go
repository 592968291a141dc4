package queryplan

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/sql/builtin"
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
		return &Const{Value: datum.MakeNull(t), position: k.position, late: k.late}, nil
	}
	if !datum.Allowed(from, t, how) {
		return nil, errSlow
	}
	f, ok := builtin.Conversion(from, t)
	if !ok {
		return nil, errSlow
	}
	if t == datum.Interval && from == datum.Unknown && modifier >= 0 { // '2' of INTERVAL '2' HOUR are hours
		f = func(_ *builtin.Env, v datum.Datum) (datum.Datum, error) {
			return datum.ParseIntervalFields(v.S, modifier>>16)
		}
	}
	if c, ok := e.(*ColumnRef); ok && from == t && modifier == c.modifier {
		return e, nil
	}
	position := 0
	if k, ok := e.(*Const); ok && from == datum.Unknown {
		position = k.position
	}
	widening := modifier < 0 && (datum.SameValue(from, t) || from.IsInt() && t.IsInt() || from.IsString() && t.IsString() || from.IsFloat() && t.IsFloat())
	out := &fn{name: "cast " + strconv.Itoa(int(modifier)), typ: t, args: []Expr{e}, strict: true, widening: widening, stable: styled(from, t), late: spelledLate(from, t), eval: func(env *Env, a []datum.Datum) (datum.Datum, error) {
		v, err := f(env.asBuiltin(), a[0])
		if err != nil {
			return v, at(err, position)
		}
		return datum.ApplyModifier(v, modifier, how == datum.Explicit)
	}}
	if zoned(from, t) {
		if k, err := zonedLiteral(e, t, modifier); k != nil || err != nil {
			return k, err
		}
		return out, nil // depends on the session's time zone
	}
	folded, err := fold(out)
	if from == datum.Unknown && t.Elem().IsDateTime() && err != nil && asksSession(t, out.args[0]) {
		return out, nil
	}
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

// spelledLate reports whether PostgreSQL reads or writes such values when rows are there: the
// texts of arrays and of enums.
func spelledLate(from, to datum.Type) bool {
	spelled := func(t datum.Type) bool { return t.IsArray() || t.IsEnum() }
	return from.IsArray() != to.IsArray() || spelled(from) != spelled(to)
}

// asksSession reports whether a literal cannot be read without the session: 'today', or what its
// order of dates decides.
func asksSession(t datum.Type, literal Expr) bool {
	k, ok := literal.(*Const)
	if !ok {
		return false
	}
	_, err := datum.ParseText(t, k.Value.S, nil)
	var d *datum.Error
	return errors.As(err, &d) && d.Code == "0A000"
}

// zoned reports whether a conversion asks the session's time zone.
func zoned(from, to datum.Type) bool {
	if to.Elem() == datum.Timetz && from.Elem() != datum.Timetz {
		return true
	}
	return (from.Elem() == datum.Timestamptz) != (to.Elem() == datum.Timestamptz)
}

// zonedLiteral is what a literal is that names its zone, or a time of all zones; nil: it is none.
func zonedLiteral(e Expr, t datum.Type, modifier int32) (Expr, error) {
	k, ok := e.(*Const)
	if !ok || k.Value.Type != datum.Unknown || t.IsArray() {
		return nil, nil
	}
	here, err := datum.ParseText(t, k.Value.S, time.UTC)
	var wrong *datum.Error
	if errors.As(err, &wrong) && wrong.Code == "22007" { // whatever the zone is
		return nil, at(err, k.position)
	}
	there, elsewhere := datum.ParseText(t, k.Value.S, time.FixedZone("", int(5*time.Hour/time.Second)))
	if err != nil || elsewhere != nil || datum.Compare(here, there) != 0 {
		return nil, nil //nolint:nilerr // who reads it in the session's zone tells
	}
	if here, err = datum.ApplyModifier(here, modifier, true); err != nil {
		return nil, nil //nolint:nilerr // as above
	}
	return &Const{Value: here, position: k.position}, nil
}

// asBuiltin is what functions of package builtin know.
func (env *Env) asBuiltin() *builtin.Env {
	return &builtin.Env{Location: env.location(), Order: env.order(), Now: env.Now}
}

// order is that of the session's dates.
func (env *Env) order() datum.DateOrder {
	if env.Session == nil {
		return datum.OrderUnknown
	}
	return env.Session.DateOrder
}

// location is the session's time zone.
func (env *Env) location() *time.Location {
	if env.Session == nil || env.Session.Location == nil {
		return time.UTC
	}
	return env.Session.Location
}

// Assign converts a value that was computed elsewhere into a column's type, as
// an INSERT does.
func Assign(env *Env, v datum.Datum, t datum.Type, modifier int32) (datum.Datum, error) {
	if v.Null {
		return datum.MakeNull(t), nil
	}
	if v.Type != t {
		f, ok := builtin.Conversion(v.Type, t)
		if !ok || !datum.Allowed(v.Type, t, datum.Assignment) {
			return datum.Datum{}, &datum.Error{Code: "42804", Message: "a value of type " + v.Type.SQLName() + " cannot be assigned to type " + t.SQLName()}
		}
		var err error
		if v, err = f(env.asBuiltin(), v); err != nil {
			return datum.Datum{}, err
		}
	}
	return datum.ApplyModifier(v, modifier, false)
}

// Assignable reports whether a value of type from can be stored as a to.
func Assignable(from, to datum.Type) bool {
	_, ok := builtin.Conversion(from, to)
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
