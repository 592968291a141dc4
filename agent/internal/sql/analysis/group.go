package analysis

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// checkGroups is parseCheckAggregates: what is neither grouped by nor in an aggregate.
func (a *analysis) checkGroups(s *pg.SelectStmt, list []*target, having *expr, groups []*target) {
	sets := false
	for _, n := range s.GroupClause {
		sets = sets || n.GetGroupingSet() != nil
	}
	by := make([]*expr, 0, len(groups))
	for _, g := range groups {
		if g.typ == unsure { // it may be anything
			return
		}
		by = append(by, g.expr)
	}
	for _, t := range list {
		a.grouped(t.expr, by, sets, false)
	}
	a.grouped(having, by, sets, false)
}

// grouped looks at one expression.
func (a *analysis) grouped(e *expr, by []*expr, sets, inner bool) {
	if e == nil || a.err != nil {
		return
	}
	if e.agg && (e.scope == a.scope || a.outside(e.scope)) || e.grouping {
		for _, d := range e.direct {
			if a.grouped(d, by, sets, inner); a.err != nil {
				a.detail("Direct arguments of an ordered-set aggregate must use only grouped columns.")
			}
		}
		return
	}
	for _, g := range by {
		if same(e, g) && (!inner || e.variable) || e.sub && g.subqueries() {
			return
		}
	}
	if e.variable {
		if e.scope == a.scope && !(!sets && keyed(e.of, by)) {
			name := e.of.name
			if e.column < len(e.of.columns) {
				name += "." + e.of.columns[e.column].name
			}
			if inner {
				a.refuse("42803", e.at, "subquery uses ungrouped column \"%s\" from outer query", name)
			} else {
				a.refuse("42803", e.at, "column \"%s\" must appear in the GROUP BY clause or be used in an aggregate function", name)
			}
		}
		return
	}
	for _, k := range e.kids {
		a.grouped(k, by, sets, inner || e.sub)
	}
}

// subqueries reports whether there are some in e: whether two are equal is not known.
func (e *expr) subqueries() bool {
	has := false
	e.each(func(e *expr) bool {
		has = has || e.sub
		return !has
	})
	return has
}

// outside reports whether a scope is around the one that is looked at.
func (a *analysis) outside(s *scope) bool {
	for p := a.scope.parent; p != nil; p = p.parent {
		if p == s {
			return true
		}
	}
	return false
}

// keyed reports whether a table's primary key is grouped by.
func keyed(i *item, by []*expr) bool {
	for _, k := range i.key {
		has := false
		for _, g := range by {
			has = has || g.variable && g.of == i && g.column == k
		}
		if !has {
			return false
		}
	}
	return len(i.key) > 0
}
