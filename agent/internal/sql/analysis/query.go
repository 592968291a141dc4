package analysis

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/duck/rewrite"
)

// target is a column of a result.
type target struct {
	*expr
	name string
	junk bool // of ORDER BY or GROUP BY alone
}

// query looks at a SELECT, VALUES or set operation: its columns, and whether there may be
// more of them.
func (a *analysis) query(s *pg.SelectStmt, parent *scope) ([]itemColumn, bool) {
	list, open := a.targets(s, parent)
	return columnsOfTargets(list), open
}

func columnsOfTargets(list []*target) []itemColumn {
	var out []itemColumn
	for _, t := range list {
		if t.junk {
			continue
		}
		c := itemColumn{name: t.name, typ: t.typ, mod: t.mod}
		if t.typ == unknown {
			c.typ = textType
		}
		out = append(out, c)
	}
	return out
}

// targets is query with what the columns are: literals have no type yet.
func (a *analysis) targets(s *pg.SelectStmt, parent *scope) (list []*target, open bool) {
	if s == nil {
		return nil, true
	}
	was := a.scope
	a.scope = &scope{parent: parent, ctes: map[string]*item{}, windows: map[string]bool{}}
	defer func() {
		if parent != nil {
			parent.roots = append(parent.roots, &expr{sub: true, kids: a.scope.roots})
		}
		a.scope = was
	}()
	a.with(s.WithClause)
	switch {
	case s.Op != pg.SetOperation_SETOP_NONE:
		list, open = a.setOperation(s)
		a.orderOfSet(s, list, open)
		a.limit(s)
	case len(s.ValuesLists) > 0:
		list = a.values(s)
		a.orderOfSet(s, list, true)
		a.limit(s)
	default:
		return a.block(s)
	}
	return list, open
}

// with is a WITH clause.
func (a *analysis) with(w *pg.WithClause) {
	for _, n := range w.GetCtes() {
		c := n.GetCommonTableExpr()
		sub := c.Ctequery.GetSelectStmt()
		i := &item{name: c.Ctename}
		switch {
		case sub == nil:
			i.open = true
		case w.Recursive && sub.Op != pg.SetOperation_SETOP_NONE && sub.WithClause == nil && names(sub.Rarg, c.Ctename):
			a.recursive(i, c, sub)
		default:
			if i.columns, i.open = a.query(sub, a.scope); w.Recursive && names(sub, c.Ctename) {
				i.open = true
			}
		}
		if given := texts(c.Aliascolnames); len(given) > len(i.columns) && !i.open {
			a.refuse("42P10", c.Location, "WITH query \"%s\" has %d columns available but %d columns specified", c.Ctename, len(i.columns), len(given))
		}
		rename(i, c)
		i.open = i.open || c.SearchClause != nil || c.CycleClause != nil // which have columns of their own
		a.scope.ctes[c.Ctename] = i
	}
}

func rename(i *item, c *pg.CommonTableExpr) {
	for n, name := range texts(c.Aliascolnames) {
		if n < len(i.columns) {
			i.columns[n].name = name
		} else if i.open {
			i.columns = append(i.columns, itemColumn{name: name})
		}
	}
}

// recursive is a query that may name itself on its right side.
func (a *analysis) recursive(i *item, c *pg.CommonTableExpr, s *pg.SelectStmt) {
	was := a.scope
	a.scope = &scope{parent: was, ctes: map[string]*item{}, windows: map[string]bool{}}
	defer func() { a.scope = was }()
	left, open := a.targets(s.Larg, a.scope)
	i.columns, i.open = columnsOfTargets(left), open
	rename(i, c)
	a.scope.ctes[c.Ctename] = i
	right, more := a.targets(s.Rarg, a.scope)
	a.agree(c, left, a.match(s, left, right, open || more))
}

// agree refuses a recursive query whose first part has other types than the whole.
func (a *analysis) agree(c *pg.CommonTableExpr, first, whole []*target) {
	first = visible(first)
	for i := range min(len(first), len(whole)) {
		x, y := *first[i].expr, whole[i].expr
		if x.typ == unknown {
			x.typ = textType
		}
		if x.typ == unsure || y.typ == unsure || x.typ == y.typ && x.mod == y.mod {
			continue
		}
		a.hinted("42804", first[i].at, "Cast the output of the non-recursive term to the correct type.", "recursive query \"%s\" column %d has type %s in non-recursive term but type %s overall",
			c.Ctename, i+1, a.fullName(x.typ, x.mod), a.fullName(y.typ, y.mod))
	}
}

// names reports whether a query names a relation.
func names(s *pg.SelectStmt, name string) bool {
	return s != nil && strings.Contains(s.String(), "\""+name+"\"")
}

// setOperation is UNION and the like.
func (a *analysis) setOperation(s *pg.SelectStmt) ([]*target, bool) {
	left, open := a.targets(s.Larg, a.scope)
	right, more := a.targets(s.Rarg, a.scope)
	return a.match(s, left, right, open || more), open || more
}

// match brings the columns of two sides to one type each.
func (a *analysis) match(s *pg.SelectStmt, left, right []*target, open bool) []*target {
	op := strings.TrimPrefix(s.Op.String(), "SETOP_")
	left, right = visible(left), visible(right)
	if open {
		return nil
	}
	if len(left) != len(right) {
		at := int32(-1)
		if len(right) > 0 {
			at = right[0].at
		}
		a.refuse("42601", at, "each %s query must have the same number of columns", op)
		return nil
	}
	out := make([]*target, len(left))
	for i := range left {
		both := []*expr{left[i].expr, right[i].expr}
		t, _ := a.common(both, op)
		mod := modifier(both, t)
		a.bring(both, t, op)
		out[i] = &target{expr: of(t, left[i].at, "").with(mod), name: left[i].name}
		if !s.All || op != "UNION" {
			a.equality(t, left[i].at)
		}
	}
	return out
}

func visible(l []*target) []*target {
	var out []*target
	for _, t := range l {
		if !t.junk {
			out = append(out, t)
		}
	}
	return out
}

// values is VALUES.
func (a *analysis) values(s *pg.SelectStmt) []*target {
	var columns [][]*expr
	a.at(inValues, func() {
		for r, n := range s.ValuesLists {
			items := n.GetList().GetItems()
			if r == 0 {
				columns = make([][]*expr, len(items))
			}
			row := a.list(items)
			if len(row) != len(columns) {
				at := int32(-1)
				if len(row) > 0 {
					at = row[0].at
				}
				a.refuse("42601", at, "VALUES lists must all be the same length")
				return
			}
			for i, e := range row {
				columns[i] = append(columns[i], e)
				a.root(e)
			}
		}
	})
	var out []*target
	for i, c := range columns {
		t, _ := a.common(c, "VALUES") // text of literals alone
		mod := modifier(a.bring(c, t, "VALUES"), t)
		e := of(t, c[0].at, "").with(mod)
		out = append(out, &target{expr: e, name: "column" + itoa(i+1)})
	}
	return out
}

// block is SELECT ... FROM ....
func (a *analysis) block(s *pg.SelectStmt) ([]*target, bool) {
	for _, n := range s.WindowClause {
		a.scope.windows[n.GetWindowDef().GetName()] = true
	}
	a.from(s.FromClause)
	list, open := a.selects(s.TargetList)
	if s.WhereClause != nil {
		a.at(inWhere, func() { a.root(a.truth(a.expr(s.WhereClause), "WHERE")) })
	}
	var having *expr
	if s.HavingClause != nil {
		a.at(inHaving, func() { having = a.truth(a.expr(s.HavingClause), "HAVING") })
		a.root(having)
	}
	var order []*target
	list, order = a.order(s.SortClause, list, open, false)
	list, groups := a.groups(s, list, open)
	a.distinctness(s, list, order, open)
	a.limit(s)
	list = a.windowDefinitions(s, list)
	for _, t := range list {
		a.root(t.expr)
	}
	if a.scope.grouped || len(s.GroupClause) > 0 || having != nil {
		a.checkGroups(s, list, having, groups)
	}
	return list, open
}

// root notes an expression of the query.
func (a *analysis) root(e *expr) { a.scope.roots = append(a.scope.roots, e) }

// selects is the list of what is selected.
func (a *analysis) selects(l []*pg.Node) (list []*target, open bool) {
	for _, n := range l {
		t := n.GetResTarget()
		if ref := t.Val.GetColumnRef(); ref != nil && ref.Fields[len(ref.Fields)-1].GetAStar() != nil {
			columns, names, known := a.expand(ref)
			open = open || !known
			for i, c := range columns {
				list = append(list, &target{expr: c, name: names[i]})
			}
			continue
		}
		if i := t.Val.GetAIndirection().GetIndirection(); len(i) > 0 && i[len(i)-1].GetAStar() != nil {
			a.expr(t.Val.GetAIndirection().Arg)
			open = true
			continue
		}
		name := t.Name
		if name == "" {
			name = rewrite.FigureName(t.Val)
		}
		list = append(list, &target{expr: a.expr(t.Val), name: name})
	}
	return list, open
}

// limit is OFFSET and LIMIT.
func (a *analysis) limit(s *pg.SelectStmt) {
	a.at(inLimit, func() {
		for _, l := range []struct {
			n    *pg.Node
			what string
		}{{s.LimitOffset, "OFFSET"}, {s.LimitCount, "LIMIT"}} {
			if l.n == nil || l.n.GetAConst().GetIsnull() {
				continue
			}
			e := a.expr(l.n)
			if e.typ != unsure && e.typ != unknown && !a.converts(e.typ, int8Type, assignment) {
				a.refuse("42804", e.at, "argument of %s must be type bigint, not type %s", l.what, a.sqlName(e.typ))
			}
			e = a.coerce(e, int8Type)
			if a.hasVariable(e) {
				a.refuse("42P10", e.at, "argument of %s must not contain variables", l.what)
			}
		}
	})
}

// windowDefinitions are those of WINDOW and OVER.
func (a *analysis) windowDefinitions(s *pg.SelectStmt, list []*target) []*target {
	all := a.scope.pending
	a.scope.pending = nil
	var defs []*pg.WindowDef
	for _, n := range s.WindowClause {
		defs = append(defs, n.GetWindowDef())
	}
	for _, d := range append(defs, all...) {
		if d.Refname != "" && !a.scope.windows[d.Refname] {
			a.refuse("42704", d.Location, "window \"%s\" does not exist", d.Refname)
		}
		a.at(inWindow, func() {
			for _, n := range d.OrderClause {
				var t *target
				list, t = a.computed(n.GetSortBy().GetNode(), list, inWindow)
				t.expr = a.sorted(t.expr)
			}
			for _, n := range d.PartitionClause {
				var t *target
				list, t = a.computed(n, list, inWindow)
				t.expr = a.coerceText(t.expr)
				a.equality(t.typ, t.at)
			}
		})
		a.at(inFrame, func() {
			for _, n := range []*pg.Node{d.StartOffset, d.EndOffset} {
				if n != nil {
					a.expr(n)
				}
			}
		})
	}
	return list
}
