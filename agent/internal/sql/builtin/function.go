package builtin

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// Env is what functions know beside their arguments.
type Env struct {
	Location *time.Location  // the session's time zone
	Order    datum.DateOrder // the session's; the engine's worker and data nodes are not told
	Now      time.Time       // when the transaction began
}

// now is when the transaction began; the engine's worker is not told.
func (e *Env) now() time.Time {
	if e.Now.IsZero() {
		return time.Now()
	}
	return e.Now
}

// Reading is how texts are read.
func (e *Env) Reading() *datum.Reading {
	return &datum.Reading{Location: e.Location, Order: e.Order, Now: e.Now}
}

// text is what a value is as text, in the session's time zone and PostgreSQL's default
// styles.
func (e *Env) text(d datum.Datum) string {
	if d.Type == datum.Bool { // which is t or f elsewhere
		return strconv.FormatBool(d.Bool())
	}
	if d.Type == datum.Bpchar { // which has no blanks at its end as text
		return d.Unpadded()
	}
	return string(datum.AppendStyled(nil, d, &datum.Style{Location: e.Location}))
}

// MaxArgs is how many arguments a call can have.
const MaxArgs = 16

// Function is one of the functions of a name.
type Function struct {
	Name string
	// Args are the types of the arguments; AnyArray and AnyElement have one type for all.
	Args []datum.Type
	// Optional is how many may be left out at the end; Eval gets so many fewer.
	Optional int
	// Variadic says that the last one may be there any number of times, but once at least.
	Variadic bool
	Result   datum.Type
	// Nulls says that Eval sees nulls; else one gives null.
	Nulls bool
	// Zoned says that the value depends on the session's time zone.
	Zoned bool
	Eval  func(env *Env, a []datum.Datum) (datum.Datum, error)
}

// Types that stand for one that the arguments decide.
const (
	AnyElement datum.Type = 1 << 30
	AnyArray              = AnyElement | datum.Array
	Any        datum.Type = 1 << 29 // each argument's own; text for a literal
)

func polymorphic(t datum.Type) bool { return t == AnyElement || t == AnyArray }

// Call is a function with the types that it is called with.
type Call struct {
	Function *Function
	Args     []datum.Type // one for each argument that is given
	Result   datum.Type
}

// Eval calls the function.
func (c *Call) Eval(env *Env, a []datum.Datum) (datum.Datum, error) {
	if !c.Function.Nulls {
		for i := range a {
			if a[i].Null {
				return datum.MakeNull(c.Result), nil
			}
		}
	}
	return c.Function.Eval(env, a)
}

// takes reports whether the function can have so many arguments.
func (f *Function) takes(n int) bool {
	if f.Variadic {
		return n >= len(f.Args)
	}
	return n <= len(f.Args) && n >= len(f.Args)-f.Optional
}

// arg is the type of the i-th argument as it was declared.
func (f *Function) arg(i int) datum.Type { return f.Args[min(i, len(f.Args)-1)] }

// bind finds what the types that are given make of the declared ones; exact is how many
// need no conversion.
func (f *Function) bind(types []datum.Type) (c *Call, exact int, ok bool) {
	if !f.takes(len(types)) {
		return nil, 0, false
	}
	elem := datum.Unknown
	ofArrays := slices.Contains(f.Args, AnyArray) // else AnyElement may be an array, too
	for i, t := range types {
		want := f.arg(i)
		if !polymorphic(want) || t == datum.Unknown {
			continue
		}
		if ofArrays {
			if t.IsArray() != (want == AnyArray) {
				return nil, 0, false
			}
			t = t.Elem()
		}
		if elem == datum.Unknown {
			elem = t
		} else if elem, ok = datum.CommonType(elem, t); !ok {
			return nil, 0, false
		}
	}
	concrete := func(t datum.Type) datum.Type {
		if !polymorphic(t) {
			return t
		}
		if t == AnyArray {
			return elem | datum.Array
		}
		return elem
	}
	c = &Call{Function: f, Result: concrete(f.Result)}
	for i, t := range types {
		want := f.arg(i)
		if want == Any {
			if want = t; t == datum.Unknown {
				want = datum.Text
			}
		}
		if polymorphic(want) && elem == datum.Unknown {
			return nil, 0, false
		}
		want = concrete(want)
		switch {
		case t == want:
			exact++
		case !datum.Allowed(t, want, datum.Implicit):
			return nil, 0, false
		}
		c.Args = append(c.Args, want)
	}
	return c, exact, true
}

// preferred are the types that literals and values of others become first.
func preferred(t datum.Type) bool {
	switch t {
	case datum.Text, datum.Float8, datum.Timestamptz, datum.Bool, datum.Interval, datum.Inet, datum.Varbit, datum.OID:
		return true
	}
	return false
}

// Known reports whether there are functions of a name.
func Known(name string) bool { return len(functions[name]) > 0 || strings.HasPrefix(name, castPrefix) }

// ambiguous reports whether a literal stands where functions of a name take several kinds of
// values, of which none is a text.
func ambiguous(name string, types []datum.Type) bool {
	at := 1
	if name == "overlaps" && slices.Contains(types, datum.Unknown) && (slices.Contains(types, datum.Time) || slices.Contains(types, datum.Interval)) {
		return true // a time is an interval by itself, and beside one a literal may be an end or a length
	}
	switch name {
	case "pg_size_pretty": // of int8 or of numeric
		return len(types) == 1 && types[0] != datum.Int8 && types[0] != datum.Numeric
	case "gcd", "lcm", "get_bit", "mod", "set_bit", "to_hex", "trunc", "overlaps": // of literals alone
		return !slices.ContainsFunc(types, func(t datum.Type) bool { return t != datum.Unknown })
	case "to_char", "isfinite", "bit_count":
		at = 0
	case "date_trunc", "date_part", "extract":
	default:
		return false
	}
	return len(types) > at && len(types) <= 2 && types[at] == datum.Unknown
}

// Resolve chooses the function that is called with arguments of these types as PostgreSQL
// does: with as few conversions as can be, to preferred types. datum.Unknown is a literal
// or a parameter without a type. nil: there is none.
func Resolve(name string, types []datum.Type) *Call {
	if c := castCall(name, types); c != nil {
		return c
	}
	if ambiguous(name, types) {
		return nil
	}
	var best *Call
	rank := [2]int{-1, -1}
	if c, decided := ofOneType(name, types); decided {
		return c
	}
	for _, f := range functions[name] {
		c, exact, ok := f.bind(types)
		if !ok {
			continue
		}
		liked := 0
		for i, t := range types {
			if t != c.Args[i] && preferred(c.Args[i]) {
				liked++
			}
		}
		if now := [2]int{exact, liked}; now[0] > rank[0] || now[0] == rank[0] && now[1] > rank[1] {
			best, rank = c, now
		}
	}
	return best
}

// ofOneType is the one function that takes arguments of the type that all of those are of which have
// one, where a literal may be an interval or something else, but no text, and nothing else decides;
// nil: there are several.
func ofOneType(name string, types []datum.Type) (c *Call, decided bool) {
	one := datum.Unknown
	for _, t := range types {
		if t != datum.Unknown && one != datum.Unknown && t != one {
			return nil, false
		}
		one = max(one, t)
	}
	if one == datum.Unknown || !slices.Contains(types, datum.Unknown) {
		return nil, false
	}
	all := make([]datum.Type, len(types))
	for i := range all {
		all[i] = one
	}
	most, takes := -1, 0
	var spans, others bool
	for _, f := range functions[name] {
		call, exact, ok := f.bind(types)
		switch {
		case !ok || exact < most:
			continue
		case exact > most:
			most, takes, spans, others, c = exact, 0, false, false, nil
		}
		for i, t := range types {
			if t == datum.Unknown && call.Args[i].IsString() {
				return nil, false
			}
			spans = spans || t == datum.Unknown && call.Args[i] == datum.Interval
			others = others || t == datum.Unknown && call.Args[i] != datum.Interval
		}
		if _, _, ok := f.bind(all); ok {
			takes++
			c = call
		}
	}
	if takes > 1 {
		c = nil
	}
	return c, spans && others
}

// Strict reports whether all functions of a name give null for a null.
func Strict(name string) bool {
	return len(functions[name]) > 0 && !slices.ContainsFunc(functions[name], func(f *Function) bool { return f.Nulls })
}
