package analysis

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// changed is the table that a statement changes.
func (a *analysis) changed(r *pg.RangeVar) *item {
	i := a.stored(r)
	i.named, i.seen = true, true
	a.scope.all = append(a.scope.all, i)
	return i
}

func (a *analysis) begin(with *pg.WithClause) {
	a.scope = &scope{ctes: map[string]*item{}, windows: map[string]bool{}}
	a.with(with)
}

// assigned checks a value for a column, as transformAssignedExpr does.
func (a *analysis) assigned(e *expr, c itemColumn) {
	if e.typ == unsure || c.typ == unsure {
		return
	}
	if !a.converts(e.typ, c.typ, assignment) {
		a.hinted("42804", e.at, "You will need to rewrite or cast the expression.", "column \"%s\" is of type %s but expression is of type %s", c.name, a.sqlName(c.typ), a.sqlName(e.typ))
		return
	}
	a.coerceBy(e, c.typ, assignment)
}

func shown(i *item) []itemColumn {
	var out []itemColumn
	for _, c := range i.columns {
		if !c.hidden {
			out = append(out, c)
		}
	}
	return out
}

// insert is INSERT.
func (a *analysis) insert(s *pg.InsertStmt) {
	a.begin(s.WithClause)
	table := a.changed(s.Relation)
	columns := shown(table)
	if len(s.Cols) > 0 {
		columns = nil
		for _, n := range s.Cols {
			columns = append(columns, a.assignable(table, n.GetResTarget(), s.Relation.Relname))
		}
	}
	if q := s.SelectStmt.GetSelectStmt(); q != nil {
		a.rows(q, table, columns, len(s.Cols) > 0)
	}
	table.seen, table.named = true, true
	a.scope.names = []*item{table}
	if c := s.OnConflictClause; c != nil {
		excluded := &item{name: "excluded", columns: table.columns, open: table.open, named: true, seen: true}
		if c.Infer != nil {
			a.at(inWhere, func() {
				for _, n := range c.Infer.IndexElems {
					if e := n.GetIndexElem(); e.GetExpr() != nil {
						a.expr(e.Expr)
					} else if e.GetName() != "" {
						a.plainColumn(e.Name, c.Infer.Location, false)
					}
				}
			})
		}
		a.scope.names = append(a.scope.names, excluded)
		a.sets(c.TargetList, table, s.Relation.Relname)
		if c.WhereClause != nil {
			a.at(inWhere, func() { a.truth(a.expr(c.WhereClause), "WHERE") })
		}
		a.scope.names = a.scope.names[:1]
	}
	a.returning(s.ReturningList)
}

// assignable is a column by its name in the list of an INSERT or UPDATE.
func (a *analysis) assignable(table *item, t *pg.ResTarget, relation string) itemColumn {
	if len(t.Indirection) > 0 {
		return itemColumn{name: t.Name}
	}
	for _, c := range table.columns {
		if c.name == t.Name {
			return c
		}
	}
	if !table.open && !systemColumns[t.Name] {
		a.refuse("42703", t.Location, "column \"%s\" of relation \"%s\" does not exist", t.Name, relation)
	}
	return itemColumn{name: t.Name}
}

// rows are what is inserted.
func (a *analysis) rows(q *pg.SelectStmt, table *item, columns []itemColumn, listed bool) {
	fits := func(n int, at int32) {
		switch {
		case table.open:
		case n > len(columns):
			a.refuse("42601", at, "INSERT has more expressions than target columns")
		case listed && n < len(columns):
			a.refuse("42601", at, "INSERT has more target columns than expressions")
		}
	}
	if len(q.ValuesLists) == 0 || q.WithClause != nil || len(q.SortClause) > 0 || q.LimitCount != nil {
		list, open := a.targets(q, a.scope)
		if list = visible(list); open {
			return
		}
		fits(len(list), -1)
		for i, t := range list {
			if i < len(columns) {
				a.assigned(t.expr, columns[i])
			}
		}
		return
	}
	a.at(inValues, func() {
		for _, n := range q.ValuesLists {
			items := n.GetList().GetItems()
			row := make([]*expr, len(items))
			for i, v := range items {
				if v.GetSetToDefault() == nil {
					row[i] = a.expr(v)
				}
			}
			fits(len(items), -1)
			for i, e := range row {
				if e != nil && i < len(columns) {
					a.assigned(e, columns[i])
				}
			}
		}
	})
}

// sets is the list of SET.
func (a *analysis) sets(l []*pg.Node, table *item, relation string) {
	a.at(inUpdate, func() {
		values := make([]*expr, len(l))
		for i, n := range l {
			if t := n.GetResTarget(); t.Val.GetSetToDefault() == nil && t.Val.GetMultiAssignRef() == nil {
				values[i] = a.expr(t.Val)
			}
		}
		for i, n := range l {
			c := a.assignable(table, n.GetResTarget(), relation)
			if values[i] != nil {
				a.assigned(values[i], c)
			}
		}
	})
}

func (a *analysis) returning(l []*pg.Node) {
	if len(l) == 0 {
		return
	}
	a.at(inReturning, func() {
		if list, open := a.selects(l); !open {
			a.result = list
		}
	})
}

// update is UPDATE.
func (a *analysis) update(s *pg.UpdateStmt) {
	table := a.source(s.WithClause, s.Relation, s.FromClause, s.WhereClause)
	a.returning(s.ReturningList)
	a.sets(s.TargetList, table, s.Relation.Relname)
}

// source is what UPDATE and DELETE have in common, and returns the table that is changed.
func (a *analysis) source(with *pg.WithClause, relation *pg.RangeVar, others []*pg.Node, where *pg.Node) *item {
	a.begin(with)
	table := a.changed(relation)
	a.scope.names = []*item{table}
	a.sideItems(table, others)
	if where != nil {
		a.at(inWhere, func() { a.truth(a.expr(where), "WHERE") })
	}
	return table
}

// sideItems are those of UPDATE ... FROM and DELETE ... USING.
func (a *analysis) sideItems(table *item, l []*pg.Node) {
	table.lateral, table.sideways = true, true
	a.from(l)
	table.lateral, table.sideways = false, false
}

// delete is DELETE.
func (a *analysis) delete(s *pg.DeleteStmt) {
	a.source(s.WithClause, s.Relation, s.UsingClause, s.WhereClause)
	a.returning(s.ReturningList)
}
