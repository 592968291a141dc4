package analysis

import (
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"
)

func itoa(n int) string { return strconv.Itoa(n) }

// names of the clauses whose items may be positions.
var clauses = map[place]string{inOrder: "ORDER BY", inGroup: "GROUP BY", inDistinctOn: "DISTINCT ON"}

// listed finds what an item of ORDER BY, GROUP BY or DISTINCT ON means (SQL92), and adds it to
// the targets if it is none.
func (a *analysis) listed(n *pg.Node, list []*target, open bool, in place) ([]*target, *target) {
	if name := onlyName(n); name != "" {
		if in != inGroup || a.plainColumn(name, n.GetColumnRef().Location, true) == nil {
			var hit *target
			for _, t := range list {
				if t.junk || t.name != name {
					continue
				}
				if hit != nil && !same(hit.expr, t.expr) {
					a.refuse("42702", n.GetColumnRef().Location, "%s \"%s\" is ambiguous", clauses[in], name)
					break
				}
				if hit == nil {
					hit = t
				}
			}
			if hit != nil {
				a.groupable(hit, in)
				return list, hit
			}
		}
	}
	if c := n.GetAConst(); c != nil {
		at, ok := c.Val.(*pg.A_Const_Ival)
		if !ok || c.Isnull {
			a.refuse("42601", c.Location, "non-integer constant in %s", clauses[in])
			return list, &target{expr: of(unsure, c.Location, "")}
		}
		if shown := visible(list); !open {
			if i := int(at.Ival.Ival); i >= 1 && i <= len(shown) {
				a.groupable(shown[i-1], in)
				return list, shown[i-1]
			}
			a.refuse("42P10", c.Location, "%s position %d is not in select list", clauses[in], at.Ival.Ival)
		}
		return list, &target{expr: of(unsure, c.Location, "")}
	}
	return a.computed(n, list, in)
}

// computed is an item that is an expression (SQL99).
func (a *analysis) computed(n *pg.Node, list []*target, in place) ([]*target, *target) {
	var e *expr
	a.at(in, func() { e = a.expr(n) })
	for _, t := range list {
		if same(t.expr, e) {
			return list, t
		}
	}
	t := &target{expr: e, junk: true}
	return append(list, t), t
}

// groupable refuses to group by a column that has an aggregate or a window function.
func (a *analysis) groupable(t *target, in place) {
	if in != inGroup {
		return
	}
	t.each(func(e *expr) bool {
		switch {
		case e.agg && e.scope == a.scope:
			a.refuse("42803", e.at, "aggregate functions are not allowed in GROUP BY")
		case e.window:
			a.refuse("42P20", e.at, "window functions are not allowed in GROUP BY")
		}
		return a.err == nil
	})
}

func onlyName(n *pg.Node) string {
	if f := n.GetColumnRef().GetFields(); len(f) == 1 {
		return text(f[0])
	}
	return ""
}

// order is ORDER BY: the targets, with those that it adds, and what rows are ordered by.
func (a *analysis) order(l []*pg.Node, list []*target, open, plain bool) ([]*target, []*target) {
	var by []*target
	for _, n := range l {
		var t *target
		if s := n.GetSortBy(); plain {
			list, t = a.computed(s.Node, list, a.scope.place)
		} else {
			list, t = a.listed(s.Node, list, open, inOrder)
		}
		t.expr = a.sorted(t.expr)
		by = append(by, t)
	}
	return list, by
}

func (a *analysis) coerceText(e *expr) *expr {
	if e.typ == unknown {
		return a.coerce(e, textType)
	}
	return e
}

// sorted refuses types without an order.
func (a *analysis) sorted(e *expr) *expr {
	e = a.coerceText(e)
	if !a.ordered(e.typ) {
		a.hinted("42883", e.at, "Use an explicit ordering operator or modify the query.", "could not identify an ordering operator for type %s", a.sqlName(e.typ))
	}
	return e
}

// equality refuses types without one.
func (a *analysis) equality(t oid, at int32) {
	if !a.ordered(t) && t != 28 && t != 29 && t != 1033 {
		a.refuse("42883", at, "could not identify an equality operator for type %s", a.sqlName(t))
	}
}

// ordered reports whether a type has an order, as far as NodeDB has it.
func (a *analysis) ordered(t oid) bool {
	if e := a.elem(t); e != unsure {
		t = e
	}
	switch t {
	case 114, 142, 600, 601, 602, 603, 604, 628, 718: // json, xml, of geometry
		return false
	}
	return true
}

// orderOfSet is ORDER BY of a set operation, and of VALUES.
func (a *analysis) orderOfSet(s *pg.SelectStmt, list []*target, open bool) {
	for _, n := range s.SortClause {
		by := n.GetSortBy().GetNode()
		if by.GetAConst() == nil && onlyName(by) == "" {
			continue
		}
		if by.GetAConst() != nil {
			_, t := a.listed(by, list, open && len(s.ValuesLists) == 0, inOrder)
			a.sorted(t.expr)
		}
	}
}

// groups is GROUP BY: what it groups by.
func (a *analysis) groups(s *pg.SelectStmt, list []*target, open bool) ([]*target, []*target) {
	var out []*target
	var look func(l []*pg.Node)
	look = func(l []*pg.Node) {
		for _, n := range l {
			if set := n.GetGroupingSet(); set != nil {
				look(set.Content)
				continue
			}
			if row := n.GetRowExpr(); row != nil && row.RowFormat == pg.CoercionForm_COERCE_IMPLICIT_CAST {
				look(row.Args)
				continue
			}
			var t *target
			list, t = a.listed(n, list, open, inGroup)
			t.expr = a.coerceText(t.expr)
			a.equality(t.typ, t.at)
			out = append(out, t)
		}
	}
	look(s.GroupClause)
	return list, out
}

// distinctness is DISTINCT.
func (a *analysis) distinctness(s *pg.SelectStmt, list, order []*target, open bool) {
	switch {
	case len(s.DistinctClause) == 0:
	case s.DistinctClause[0].GetNode() == nil:
		for _, t := range order {
			if t.junk && !open {
				a.refuse("42P10", t.at, "for SELECT DISTINCT, ORDER BY expressions must appear in select list")
			}
		}
		for _, t := range list {
			if !t.junk {
				t.expr = a.coerceText(t.expr)
				a.equality(t.typ, t.at)
			}
		}
	default:
		on := map[*target]bool{}
		for _, n := range s.DistinctClause {
			var t *target
			list, t = a.listed(n, list, open, inDistinctOn)
			t.expr = a.coerceText(t.expr)
			on[t] = true
		}
		for i, t := range order {
			if i < len(on) && !on[t] && !open {
				a.refuse("42P10", t.at, "SELECT DISTINCT ON expressions must match initial ORDER BY expressions")
			}
		}
	}
}
