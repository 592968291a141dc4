package analysis

import (
	"cmp"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"

	"github.com/nodedb/nodedb/agent/internal/sql/duck/rewrite"
)

// from is FROM: items that commas part.
func (a *analysis) from(l []*pg.Node) {
	for _, n := range l {
		names := a.fromItem(n)
		a.distinct(a.scope.names, names)
		for _, i := range names {
			i.lateral, i.sideways = true, false
		}
		a.scope.names = append(a.scope.names, names...)
	}
	for _, i := range a.scope.names {
		i.lateral, i.sideways = false, false
	}
}

// distinct refuses two items of one name.
func (a *analysis) distinct(l, r []*item) {
	for _, x := range r {
		for _, y := range l {
			if x.named && y.named && x.name == y.name && x.name != "" && !(x.plain && y.plain) {
				a.refuse("42712", -1, "table name \"%s\" specified more than once", x.name)
			}
		}
	}
}

// fromItem is one item; names are those that it makes known.
func (a *analysis) fromItem(n *pg.Node) (names []*item) {
	var i *item
	switch x := n.Node.(type) {
	case *pg.Node_RangeVar:
		i = a.rangeVar(x.RangeVar)
	case *pg.Node_RangeSubselect:
		i = a.rangeSubselect(x.RangeSubselect)
	case *pg.Node_RangeFunction:
		i = a.rangeFunction(x.RangeFunction)
	case *pg.Node_JoinExpr:
		return a.join(x.JoinExpr)
	default:
		i = &item{open: true}
	}
	i.named, i.seen = i.name != "", true
	a.scope.all = append(a.scope.all, i)
	return []*item{i}
}

func (a *analysis) rangeVar(v *pg.RangeVar) *item {
	if i := a.scope.cte(v.Relname); i != nil && v.Schemaname == "" {
		out := &item{name: v.Relname, columns: slices.Clone(i.columns), open: i.open}
		a.aliased(out, v)
		return out
	}
	return a.stored(v)
}

// stored is a table or a view.
func (a *analysis) stored(v *pg.RangeVar) *item {
	out := &item{name: v.Relname}
	r, ok := a.in.Resolve(v.Schemaname, v.Relname)
	if !ok {
		name := v.Relname
		if v.Schemaname != "" {
			name = v.Schemaname + "." + name
		}
		a.refuse("42P01", v.Location, "relation \"%s\" does not exist", name)
		return &item{name: v.Relname, open: true}
	}
	out.table, out.plain, out.schema, out.key = true, true, r.Schema, r.Key
	for _, c := range r.Columns {
		out.columns = append(out.columns, itemColumn{name: c.Name, typ: a.typeOf(c.Type), mod: c.Modifier + 1, hidden: c.Hidden})
	}
	a.aliased(out, v)
	return out
}

func (a *analysis) aliased(out *item, v *pg.RangeVar) {
	if v.Alias != nil {
		out.name, out.of, out.plain = v.Alias.Aliasname, v.Relname, false
		a.alias(out, v.Alias, v.Relname)
	}
}

// alias gives columns the names of an alias.
func (a *analysis) alias(i *item, alias *pg.Alias, what string) {
	names := texts(alias.GetColnames())
	if len(names) > len(i.columns) && !i.open {
		a.refuse("42P10", -1, "table \"%s\" has %d columns available but %d columns specified", what, len(i.columns), len(names))
	}
	for n, name := range names {
		if n < len(i.columns) {
			i.columns[n].name = name
		} else if i.open {
			i.columns = append(i.columns, itemColumn{name: name})
		}
	}
}

func (a *analysis) rangeSubselect(s *pg.RangeSubselect) *item {
	out := &item{name: s.Alias.GetAliasname()}
	if s.Alias == nil {
		what, such := "subquery", "SELECT"
		if len(s.Subquery.GetSelectStmt().GetValuesLists()) > 0 {
			what, such = "VALUES", "VALUES"
		}
		a.hinted("42601", -1, "For example, FROM ("+such+" ...) [AS] foo.", "%s in FROM must have an alias", what)
	}
	was := a.scope.lateral
	a.scope.lateral = s.Lateral
	a.at(inFrom, func() { out.columns, out.open = a.query(s.Subquery.GetSelectStmt(), a.scope) })
	a.scope.lateral = was
	a.alias(out, s.Alias, out.name)
	return out
}

func (a *analysis) rangeFunction(f *pg.RangeFunction) *item {
	out := &item{name: f.Alias.GetAliasname()}
	was := a.scope.lateral
	a.scope.lateral = true
	a.at(inFunction, func() {
		for _, n := range f.Functions {
			parts := n.GetList().GetItems()
			if len(parts) == 0 {
				out.open = true
				continue
			}
			call := parts[0].GetFuncCall()
			if len(parts) > 1 && parts[1].GetList() != nil || len(f.Coldeflist) > 0 {
				out.open = true
			}
			if call != nil && lastText(call.Funcname) == "unnest" && len(call.Args) > 1 {
				for _, arg := range call.Args {
					e := a.call(&pg.FuncCall{Funcname: call.Funcname, Args: []*pg.Node{arg}, Location: call.Location})
					out.columns = append(out.columns, itemColumn{name: "unnest", typ: e.typ})
				}
				out.name = cmp.Or(out.name, "unnest")
				continue
			}
			a.functionColumns(out, parts[0], len(f.Functions) == 1 && f.Alias != nil)
		}
	})
	a.scope.lateral = was
	if f.Ordinality {
		out.columns = append(out.columns, itemColumn{name: "ordinality", typ: int8Type})
	}
	a.alias(out, f.Alias, out.name)
	return out
}

// functionColumns are those of one function.
func (a *analysis) functionColumns(out *item, n *pg.Node, aliased bool) {
	e := a.expr(n)
	name := rewrite.FigureName(n)
	out.name = cmp.Or(out.name, name)
	var columns []outColumn
	if call := n.GetFuncCall(); call != nil {
		if l := known().functions[lastText(call.Funcname)]; len(l) > 0 && !a.in.Made(lastText(call.Funcname)) {
			columns = l[0].out
		}
	}
	switch {
	case len(columns) > 1:
		for _, c := range columns {
			t := c.typ
			if polymorphic(t) {
				t = unsure
			}
			out.columns = append(out.columns, itemColumn{name: c.name, typ: t})
		}
	case e.typ == unsure || e.typ == record:
		out.open = true
	case a.form(e.typ) != nil:
		for _, f := range a.form(e.typ).Fields {
			out.columns = append(out.columns, itemColumn{name: f.Name, typ: a.typeOf(f.Type), mod: f.Modifier + 1})
		}
	default:
		if len(columns) == 1 && columns[0].name != "" {
			name = columns[0].name
		} else if aliased {
			name = out.name
		}
		out.columns = append(out.columns, itemColumn{name: name, typ: e.typ})
	}
}

// join is a JOIN.
func (a *analysis) join(j *pg.JoinExpr) []*item {
	left := a.fromItem(j.Larg)
	n := len(a.scope.names)
	for _, i := range left {
		i.lateral, i.sideways = true, j.Jointype != pg.JoinType_JOIN_INNER && j.Jointype != pg.JoinType_JOIN_LEFT
	}
	a.scope.names = append(a.scope.names, left...)
	right := a.fromItem(j.Rarg)
	a.scope.names = a.scope.names[:n]
	a.distinct(left, right)
	both := append(slices.Clone(left), right...)
	for _, i := range both {
		i.lateral, i.sideways = false, false
	}
	joined := &item{name: j.Alias.GetAliasname()}
	a.merge(j, joined, left, right)
	if j.Quals != nil {
		was := a.scope.names
		a.scope.names = both
		a.at(inJoin, func() { a.root(a.truth(a.expr(j.Quals), "JOIN/ON")) })
		a.scope.names = was
	}
	joined.seen = true
	a.alias(joined, j.Alias, joined.name)
	for _, i := range both {
		i.seen = false
	}
	if j.Alias != nil {
		joined.named = true
		a.scope.all = append(a.scope.all, joined)
		return []*item{joined}
	}
	if j.JoinUsingAlias != nil { // which is refused later
		using := &item{name: j.JoinUsingAlias.Aliasname, named: true, seen: true, open: true}
		a.scope.all = append(a.scope.all, using)
		both = append(both, using)
	}
	return append(both, joined)
}

// merge gives a join its columns: those that USING makes of two come first.
func (a *analysis) merge(j *pg.JoinExpr, joined *item, left, right []*item) {
	l, r := columnsOf(left), columnsOf(right)
	using := texts(j.UsingClause)
	if j.IsNatural {
		for _, c := range l {
			if slices.ContainsFunc(r, func(o itemColumn) bool { return o.name == c.name }) {
				using = append(using, c.name)
			}
		}
	}
	open := slices.ContainsFunc(append(slices.Clone(left), right...), func(i *item) bool { return i.open })
	joined.open = open
	for _, name := range using {
		x, y := a.usingColumn(l, name, "left", open), a.usingColumn(r, name, "right", open)
		if x == nil || y == nil {
			continue
		}
		t, _ := a.common([]*expr{{typ: x.typ}, {typ: y.typ}}, "JOIN/USING")
		a.apply("=", &expr{typ: x.typ}, &expr{typ: y.typ}, -1)
		c := itemColumn{name: name, typ: t, of: x.of, at: x.at}
		if t == x.typ && x.typ == y.typ && x.mod == y.mod {
			c.mod = x.mod
		}
		switch {
		case j.Jointype == pg.JoinType_JOIN_RIGHT:
			c.of, c.at = y.of, y.at
		case j.Jointype == pg.JoinType_JOIN_FULL || t != x.typ:
			c.merged = true
		}
		joined.columns = append(joined.columns, c)
	}
	for _, c := range append(l, r...) {
		if !slices.Contains(using, c.name) {
			joined.columns = append(joined.columns, c)
		}
	}
}

func (a *analysis) usingColumn(l []itemColumn, name, side string, open bool) *itemColumn {
	var hit *itemColumn
	for i := range l {
		if l[i].name != name {
			continue
		}
		if hit != nil {
			a.refuse("42702", -1, "common column name \"%s\" appears more than once in %s table", name, side)
			return hit
		}
		hit = &l[i]
	}
	if hit == nil && !open {
		a.refuse("42703", -1, "column \"%s\" specified in USING clause does not exist in %s table", name, side)
	}
	return hit
}

// columnsOf are the columns that may be named alone, as those of a join.
func columnsOf(l []*item) []itemColumn {
	var out []itemColumn
	for _, i := range l {
		if !i.seen {
			continue
		}
		for n, c := range i.columns {
			if c.of == nil || c.merged {
				c.of, c.at, c.merged = i, n, false
			}
			out = append(out, c)
		}
	}
	return out
}
