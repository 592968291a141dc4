package analysis

// generic is what the arguments of a polymorphic function say.
type generic struct {
	elem, array, compatible        oid
	nonArray, enum, compatNonArray bool
	compatTypes                    []oid
	unsure, hasCompat              bool
}

// gather reads what the arguments say; false: they do not agree. wrong, if not nil, is told
// why.
func (a *analysis) gather(input, declared []oid, wrong func(format string, args ...any)) (g generic, ok bool) {
	if wrong == nil {
		wrong = func(string, ...any) {}
	}
	for i, d := range declared {
		t := input[i]
		g.nonArray = g.nonArray || d == anyNonArray
		g.enum = g.enum || d == anyEnum
		g.compatNonArray = g.compatNonArray || d == anyCompatNonArray
		g.hasCompat = g.hasCompat || family2(d)
		if polymorphic(d) && t == unsure {
			g.unsure = true
		}
		if t == unknown || t == unsure {
			continue
		}
		switch d {
		case anyElement, anyNonArray, anyEnum:
			if g.elem != unsure && g.elem != t {
				wrong("arguments declared \"anyelement\" are not all alike")
				return g, false
			}
			g.elem = t
		case anyArray:
			if g.array != unsure && g.array != t {
				wrong("arguments declared \"anyarray\" are not all alike")
				return g, false
			}
			if a.elem(t) == unsure {
				wrong("argument declared %s is not an array but type %s", "anyarray", a.sqlName(t))
				return g, false
			}
			g.array = t
		case anyCompatible, anyCompatNonArray:
			g.compatTypes = append(g.compatTypes, t)
		case anyCompatArray:
			e := a.elem(t)
			if e == unsure {
				wrong("argument declared %s is not an array but type %s", "anycompatiblearray", a.sqlName(t))
				return g, false
			}
			g.compatTypes = append(g.compatTypes, e)
		case anyRange, anyMultirange, anyCompatRange, anyCompatMulti:
			if a.category(t) != 'R' {
				return g, false
			}
			g.unsure = true
		}
	}
	return g, true
}

// consistent is check_generic_type_consistency.
func (a *analysis) consistent(input, declared []oid) bool {
	g, ok := a.gather(input, declared, nil)
	if !ok || g.unsure {
		return ok
	}
	return a.settle(&g, nil)
}

// settle finds the element types.
func (a *analysis) settle(g *generic, wrong func(format string, args ...any)) bool {
	if wrong == nil {
		wrong = func(string, ...any) {}
	}
	if g.array != unsure {
		e := a.elem(g.array)
		if g.elem != unsure && g.elem != e {
			wrong("argument declared %s is not consistent with argument declared %s", "anyarray", "anyelement")
			return false
		}
		g.elem = e
	}
	if g.elem != unsure && g.nonArray && a.elem(g.elem) != unsure {
		wrong("type matched to anynonarray is an array type: %s", a.sqlName(g.elem))
		return false
	}
	if f := a.fact(g.elem); g.enum && (f == nil || !f.enum) {
		wrong("type matched to anyenum is not an enum type: %s", a.sqlName(g.elem))
		return false
	}
	if len(g.compatTypes) > 0 {
		l := make([]*expr, len(g.compatTypes))
		for i, t := range g.compatTypes {
			l[i] = &expr{typ: t}
		}
		t, ok := a.common(l, "")
		if !ok {
			wrong("arguments of anycompatible family cannot be cast to a common type")
			return false
		}
		for _, e := range l {
			if !a.converts(e.typ, t, implicit) {
				return false
			}
		}
		if g.compatible = t; g.compatNonArray && a.elem(t) != unsure {
			wrong("type matched to anycompatiblenonarray is an array type: %s", a.sqlName(t))
			return false
		}
	}
	return true
}

// resolve is enforce_generic_type_consistency: the types that arguments are brought to, and
// that of the result.
func (a *analysis) resolve(input, declared []oid, result oid, at int32) ([]oid, oid) {
	has := polymorphic(result)
	for _, d := range declared {
		has = has || polymorphic(d)
	}
	if !has {
		return declared, result
	}
	wrong := func(format string, args ...any) { a.refuse("42804", at, format, args...) }
	g, ok := a.gather(input, declared, wrong)
	if !ok || g.unsure || !a.settle(&g, wrong) {
		return make([]oid, len(declared)), sureOnly(result)
	}
	if g.hasCompat && len(g.compatTypes) == 0 {
		g.compatible = textType
	}
	out := make([]oid, len(declared))
	for i, d := range declared {
		out[i] = a.put(&g, d)
		if family1(d) && g.elem == unsure {
			a.refuse("42804", at, "could not determine polymorphic type because input has type unknown")
		}
	}
	t := a.put(&g, result)
	if elem := max(g.elem, g.compatible); t == unsure && elem != unsure && polymorphic(result) {
		a.refuse("42704", at, "could not find array type for data type %s", a.sqlName(elem))
	}
	return out, t
}

func sureOnly(t oid) oid {
	if polymorphic(t) {
		return unsure
	}
	return t
}

// put is what a declared type is in this call.
func (a *analysis) put(g *generic, d oid) oid {
	switch d {
	case anyElement, anyNonArray, anyEnum:
		return g.elem
	case anyArray:
		if g.array != unsure {
			return g.array
		}
		return a.arrayOf(g.elem)
	case anyCompatible, anyCompatNonArray:
		return g.compatible
	case anyCompatArray:
		return a.arrayOf(g.compatible)
	}
	return sureOnly(d)
}
