package rewrite

import (
	"maps"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/datum"
)

// maxTrials bounds how deep subqueries are within each other of which it is found out
// beforehand what they give: each doubles the work.
const maxTrials = 3

// allTrials bounds how many subqueries of a statement are rewritten beforehand: each is a
// walk of all below it, and sixty within each other came to a minute.
const allTrials = 300

// gives is the one column that a subquery gives, found by rewriting a copy of it; ok is false
// if it has several, or it cannot be told.
func (r *rewriter) gives(s *pg.SelectStmt) (c column, ok bool) {
	list := r.givesAll(s)
	if len(list) != 1 {
		return column{}, false
	}
	return list[0], true
}

// givesAll are all columns that a subquery gives; nil: it cannot be told.
func (r *rewriter) givesAll(s *pg.SelectStmt) []column {
	if list, ok := r.results[s]; ok {
		return list
	}
	if s == nil || r.trial >= maxTrials || *r.trials >= allTrials {
		return nil
	}
	*r.trials++
	t := *r
	t.trial++
	t.mayWrite = true
	t.scans, t.params, t.records = slices.Clone(r.scans), slices.Clone(r.params), nil
	t.paramRefs, t.nowRefs = slices.Clone(r.paramRefs), slices.Clone(r.nowRefs)
	t.members, t.seeds = maps.Clone(r.members), maps.Clone(r.seeds)
	cols, err := t.tries(&t, clone(selectNode(s)).GetSelectStmt(), r.scope)
	var list []column
	if err == nil && t.refused == nil && cols.known {
		list = cols.list
	}
	if r.results == nil {
		r.results = map[*pg.SelectStmt][]column{}
	}
	r.results[s] = list
	return list
}

// subqueryType is the type of a subquery in an expression.
func (r *rewriter) subqueryType(l *pg.SubLink) datum.Type {
	switch l.SubLinkType {
	case pg.SubLinkType_EXISTS_SUBLINK, pg.SubLinkType_ANY_SUBLINK, pg.SubLinkType_ALL_SUBLINK:
		return datum.Bool
	case pg.SubLinkType_EXPR_SUBLINK:
		if c, ok := r.gives(l.Subselect.GetSelectStmt()); ok {
			return c.typ
		}
		return r.opaqueResult(l.Subselect.GetSelectStmt())
	case pg.SubLinkType_ARRAY_SUBLINK:
		if c, ok := r.gives(l.Subselect.GetSelectStmt()); ok && c.typ != datum.Unknown && !c.typ.IsArray() {
			return c.typ | datum.Array
		}
	default:
	}
	return datum.Unknown
}
