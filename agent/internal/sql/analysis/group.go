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
	g := &grouping{analysis: a, by: by, sets: sets, seen: map[seenGrouped]bool{}}
	for _, t := range list {
		g.grouped(t.expr, false)
	}
	g.grouped(having, false)
}

// grouping looks for what is not grouped by.
type grouping struct {
	*analysis
	by   []*expr
	sets bool
	seen map[seenGrouped]bool // as each: by several ways
}

type seenGrouped struct {
	e     *expr
	inner bool
}

// grouped looks at one expression.
func (a *grouping) grouped(e *expr, inner bool) {
	if e == nil || a.err != nil || a.seen[seenGrouped{e, inner}] {
		return
	}
	a.seen[seenGrouped{e, inner}] = true
	if e.agg && (e.scope == a.scope || a.outside(e.scope)) || e.grouping {
		for _, d := range e.direct {
			if a.grouped(d, inner); a.err != nil {
				a.detail("Direct arguments of an ordered-set aggregate must use only grouped columns.")
			}
		}
		return
	}
	for _, g := range a.by {
		if same(e, g) && (!inner || e.variable) || e.sub && g.subqueries() {
			return
		}
	}
	if e.variable {
		if e.scope == a.scope && !(!a.sets && keyed(e.of, a.by)) {
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
		a.grouped(k, inner || e.sub)
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
