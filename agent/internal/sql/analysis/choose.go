package analysis

import (
	"slices"
)

// candidate is an operator or a function whose arguments may fit.
type candidate struct {
	args     []oid
	function *function
	operator *operator
	variadic bool
}

// found says how a choice ended.
type found int

const (
	foundNone found = iota
	foundOne
	foundMany
)

// choose is func_match_argtypes and func_select_candidate.
func (a *analysis) choose(input []oid, all []*candidate) (*candidate, found) {
	var fit []*candidate
	for _, c := range all {
		if a.coercible(input, c.args, implicit) {
			fit = append(fit, c)
		}
	}
	switch len(fit) {
	case 0:
		return nil, foundNone
	case 1:
		return fit[0], foundOne
	}
	if c := a.best(input, fit); c != nil {
		return c, foundOne
	}
	return nil, foundMany
}

// best is func_select_candidate; nil: several are as good.
func (a *analysis) best(input []oid, all []*candidate) *candidate {
	all = most(all, func(c *candidate) (n int) {
		for i, t := range input {
			if t != unknown && c.args[i] == t {
				n++
			}
		}
		return n
	})
	if len(all) == 1 {
		return all[0]
	}
	all = most(all, func(c *candidate) (n int) {
		for i, t := range input {
			if t != unknown && (c.args[i] == t || a.category(t) == a.category(c.args[i]) && a.preferred(c.args[i])) {
				n++
			}
		}
		return n
	})
	if len(all) == 1 {
		return all[0]
	}
	if !slices.Contains(input, unknown) {
		return nil
	}
	if all = a.byCategory(input, all); len(all) == 1 {
		return all[0]
	}
	return a.asKnown(input, all)
}

// most keeps the candidates with the highest count.
func most(all []*candidate, count func(*candidate) int) []*candidate {
	best := 0
	var out []*candidate
	for _, c := range all {
		switch n := count(c); {
		case n > best || out == nil:
			best, out = n, []*candidate{c}
		case n == best:
			out = append(out, c)
		}
	}
	return out
}

// byCategory keeps the candidates that take literals as what most of them are.
func (a *analysis) byCategory(input []oid, all []*candidate) []*candidate {
	categories, prefers := make([]byte, len(input)), make([]bool, len(input))
	for i, t := range input {
		if t != unknown {
			continue
		}
		conflict := false
		for _, c := range all {
			switch cat, pref := a.category(c.args[i]), a.preferred(c.args[i]); {
			case categories[i] == 0:
				categories[i], prefers[i] = cat, pref
			case cat == categories[i]:
				prefers[i] = prefers[i] || pref
			case cat == 'S':
				categories[i], prefers[i] = cat, pref
			default:
				conflict = true
			}
		}
		if conflict && categories[i] != 'S' {
			return all
		}
	}
	var out []*candidate
	for _, c := range all {
		keep := true
		for i, t := range input {
			if t == unknown && (a.category(c.args[i]) != categories[i] || prefers[i] && !a.preferred(c.args[i])) {
				keep = false
			}
		}
		if keep {
			out = append(out, c)
		}
	}
	if out == nil {
		return all
	}
	return out
}

// asKnown takes literals as what all the other arguments are.
func (a *analysis) asKnown(input []oid, all []*candidate) *candidate {
	t := unknown
	for _, i := range input {
		if i == unknown {
			continue
		}
		if t != unknown && t != i {
			return nil
		}
		t = i
	}
	if t == unknown {
		return nil
	}
	same := make([]oid, len(input))
	for i := range same {
		same[i] = t
	}
	var one *candidate
	for _, c := range all {
		if !a.coercible(same, c.args, implicit) {
			continue
		}
		if one != nil {
			return nil
		}
		one = c
	}
	return one
}
