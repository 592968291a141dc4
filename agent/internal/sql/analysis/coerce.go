package analysis

import (
	"errors"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// askedFor says how much a conversion is asked for.
type askedFor int

const (
	implicit askedFor = iota
	assignment
	explicit
)

// pathway reports whether PostgreSQL converts one type to another.
func (a *analysis) pathway(from, to oid, by askedFor) bool {
	if from == to {
		return true
	}
	if c, ok := known().casts[castPair{from, to}]; ok && (c == 'i' || c == 'a' && by >= assignment || by == explicit) {
		return true
	}
	if x, y := a.elem(from), a.elem(to); x != unsure && y != unsure && to != 22 && to != 30 && a.pathway(x, y, by) {
		return true
	}
	return by >= assignment && a.category(to) == 'S' || by == explicit && a.category(from) == 'S'
}

// coercible is can_coerce_type.
func (a *analysis) coercible(from, to []oid, by askedFor) bool {
	generics := false
	for i, t := range to {
		switch f := from[i]; {
		case f == t, t == anyType, f == unsure:
		case polymorphic(t):
			generics = true
		case f == unknown, a.pathway(f, t, by):
		case f == record && (t == record || a.category(t) == composite), t == record && a.category(f) == composite:
		default:
			return false
		}
	}
	return !generics || a.consistent(from, to)
}

func (a *analysis) converts(from, to oid, by askedFor) bool {
	return a.coercible([]oid{from}, []oid{to}, by)
}

// coerce gives an expression a type that it can be brought to: a literal is read.
func (a *analysis) coerce(e *expr, to oid) *expr { return a.coerceBy(e, to, implicit) }

// coerceBy is coerce by what was asked for.
func (a *analysis) coerceBy(e *expr, to oid, by askedFor) *expr {
	if e.typ == to || e.typ == unsure || to == unsure || to == anyType {
		return e
	}
	if e.typ == unknown {
		switch {
		case polymorphic(to):
			return e
		case e.arg > 0:
			a.params[e.arg-1] = to
			e.typ = to
			return e
		case e.lit != nil && to == record:
			a.refuse("0A000", e.at, "input of anonymous composite types is not implemented")
			return e
		case e.lit != nil:
			a.read(*e.lit, to, e.at)
			if was, ok := a.literals[e.at]; ok && was != to { // it stands for several
				a.literals[e.at] = unsure
			} else {
				a.literals[e.at] = to
			}
			return of(to, e.at, "literal "+*e.lit)
		case e.null:
			return &expr{typ: to, at: e.at, null: true, is: "null"}
		}
	}
	if e.row != nil && a.category(to) == composite {
		return a.asComposite(e, to, by, e.at)
	}
	return of(to, e.at, fmt.Sprint("as ", to), e)
}

// read reads a literal's text as a value of a type.
func (a *analysis) read(text string, t oid, at int32) {
	v, ok := a.valueType(t)
	if !ok || v.IsVector() || v.IsRegistry() || v.IsArray() && v.Elem().IsRegistry() || v == datum.AnyArray || v == datum.ACLItem {
		a.vague = true
		return
	}
	var wrong *datum.Error
	if datum.AtHand(v, text) {
		return
	}
	_, err := a.in.Reading.Parse(v, text)
	if err != nil && (!errors.As(err, &wrong) || wrong.Code == "0A000") {
		a.lost = true
		return
	}
	if err != nil {
		if a.refuse(wrong.Code, at, "%s", wrong.Message); a.err != nil && a.err.Message == wrong.Message {
			a.err.Detail = wrong.Detail
		}
	}
}

// common is select_common_type: that of alternatives; false: there is none, which is an error
// if of has a name for them.
func (a *analysis) common(l []*expr, of string) (oid, bool) {
	t := unknown
	for i, e := range l {
		n := e.typ
		if n == unsure {
			return unsure, true
		}
		if i == 0 || n == unknown || n == t {
			if i == 0 {
				t = n
			}
			continue
		}
		switch {
		case t == unknown:
			t = n
		case a.category(n) != a.category(t):
			if of != "" {
				a.refuse("42804", e.at, "%s types %s and %s cannot be matched", of, a.sqlName(t), a.sqlName(n))
			}
			return unsure, false
		case !a.preferred(t) && a.converts(t, n, implicit) && !a.converts(n, t, implicit):
			t = n
		}
	}
	if t == unknown {
		t = textType
	}
	return t, true
}

// bring brings alternatives to their common type.
func (a *analysis) bring(l []*expr, to oid, what string) []*expr {
	out := make([]*expr, len(l))
	for i, e := range l {
		if to != unsure && e.typ != unsure && !a.converts(e.typ, to, implicit) {
			a.refuse("42846", e.at, "%s could not convert type %s to %s", what, a.sqlName(e.typ), a.sqlName(to))
		}
		out[i] = a.coerce(e, to)
	}
	return out
}

// truth demands a truth value.
func (a *analysis) truth(e *expr, what string) *expr {
	if e.typ != boolean && e.typ != unsure && e.typ != unknown {
		a.refuse("42804", e.at, "argument of %s must be type boolean, not type %s", what, a.sqlName(e.typ))
		return e
	}
	return a.coerce(e, boolean)
}
