package catalog

import (
	"context"
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// Truncate has each of the tables be a new one that is as the old one and has no rows, so
// that it takes as long whatever their number, and a row that somebody writes to the old
// one meanwhile is refused, as after a DROP.
func (c *Catalog) Truncate(ctx context.Context, in Scope, stmt *syntax.Truncate) (*Draft, []Notice, error) {
	tables, notices, err := in.toTruncate(stmt)
	if err != nil {
		return nil, nil, err
	}
	became := map[cluster.ObjectID]cluster.ObjectID{}
	for _, o := range tables {
		a := newAlteration(o)
		if a.object.ID, err = c.NewID(ctx); err != nil {
			return nil, nil, err
		}
		if err := c.emptied(ctx, a.rows); err != nil {
			return nil, nil, err
		}
		d := in.Draft.clone()
		if schema, ok := in.Object(o.Parent); ok {
			d.rest(schema)
		}
		if !d.Made(o.ID) {
			d.truncated = append(d.truncated, o)
		}
		d.drop(o)
		d.add(a.object)
		in.Draft, became[o.ID] = d, a.object.ID
		in.renumber(d, o.ID, a.object.ID, stmt.RestartIdentity)
	}
	return in.Draft, notices, in.redirect(in.Draft, became)
}

// toTruncate are the tables of a statement, and with CASCADE those that reference them.
func (s Scope) toTruncate(stmt *syntax.Truncate) (tables []*cluster.Object, notices []Notice, err error) {
	listed := map[cluster.ObjectID]bool{}
	for _, name := range stmt.Names {
		o, _, err := s.toAlter(name, false)
		if err != nil {
			return nil, nil, err
		}
		if !listed[o.ID] {
			tables, listed[o.ID] = append(tables, o), true
		}
	}
	for i := 0; i < len(tables); i++ {
		for _, by := range tables[i].Collection.ReferencedBy {
			child, ok := s.Object(by.Table)
			switch {
			case !ok || listed[child.ID]:
				continue
			case !stmt.Cascade:
				return nil, nil, &syntax.Error{Code: "0A000", Message: "cannot truncate a table referenced in a foreign key constraint",
					Detail: fmt.Sprintf("Table %q references %q.", child.Name, tables[i].Name), Hint: fmt.Sprintf("Truncate table %q at the same time, or use TRUNCATE ... CASCADE.", child.Name)}
			case s.Rights != nil && !s.Rights.May(child, cluster.Truncate):
				return nil, nil, Denied(child)
			}
			notices = append(notices, Notice{Code: "00000", Message: fmt.Sprintf("truncate cascades to table %q", child.Name)})
			tables, listed[child.ID] = append(tables, child), true
		}
	}
	return tables, notices, nil
}

// redirect has foreign keys be of, and reference, the tables that stand in the place of
// others, in next.
func (s Scope) redirect(next *Draft, became map[cluster.ObjectID]cluster.ObjectID) error {
	for _, o := range s.objects(func(o *cluster.Object) bool {
		return o.Collection != nil && len(o.Collection.ForeignKeys)+len(o.Collection.ReferencedBy) > 0
	}) {
		a, changed := newAlteration(o), false
		a.rows.ReferencedBy = slices.Clone(a.rows.ReferencedBy)
		for i := range a.rows.ForeignKeys {
			if to, ok := became[a.rows.ForeignKeys[i].Table]; ok {
				a.rows.ForeignKeys[i].Table, changed = to, true
			}
		}
		bound := false
		for i := range a.rows.ReferencedBy {
			if to, ok := became[a.rows.ReferencedBy[i].Table]; ok {
				a.rows.ReferencedBy[i].Table, changed, bound = to, true, true
			}
		}
		if !changed {
			continue
		}
		var err error
		if a.object.Needs, err = NeedsOf(a.object); err != nil {
			return err
		}
		next.alter(s, o, a.object)
		if bound {
			next.bind(o.ID)
		}
	}
	return nil
}

// emptied makes of a table one of its form without rows: what is on its way is there.
func (c *Catalog) emptied(ctx context.Context, rows *cluster.Collection) (err error) {
	if rows.Move != nil { // it has nothing to be moved, and is there
		rows.Pool = rows.Move.Pool
	}
	rows.Rows, rows.Since, rows.Left, rows.Move = 0, 0, nil, nil
	rows.Indexes = slices.DeleteFunc(rows.Indexes, func(x cluster.Index) bool { return x.Dropped })
	for i := range rows.Indexes {
		x := &rows.Indexes[i]
		if x.ID, err = c.NewID(ctx); err != nil {
			return err
		}
		x.State, x.Since = "", 0
	}
	rows.Columns = slices.DeleteFunc(rows.Columns, func(c cluster.Column) bool { return c.Hidden && !slices.Contains(rows.PrimaryKey, c.ID) })
	for i := range rows.Columns {
		rows.Columns[i].Missing, rows.Columns[i].NotNullState = nil, "" // of no row
	}
	for i := range rows.Checks {
		rows.Checks[i].State = ""
	}
	return nil
}

// CreateAs makes the collection of CREATE TABLE AS, for rows of the columns; existed says
// that IF NOT EXISTS found one.
func (c *Catalog) CreateAs(ctx context.Context, in Scope, stmt *syntax.CreateTableAs, by string, columns []Column) (next *Draft, existed bool, err error) {
	if err := checkName(stmt.Name.Name, stmt.Name.Position); err != nil {
		return nil, false, err
	}
	if len(stmt.Columns) > len(columns) {
		return nil, false, &syntax.Error{Code: "42601", Message: "too many column names were specified"}
	}
	desc := &cluster.Collection{NextColumn: 1, OnCommit: stmt.OnCommit}
	for i, column := range columns {
		name, t := column.Name, column.Type
		if i < len(stmt.Columns) {
			name = stmt.Columns[i]
		}
		if t == datum.Unknown {
			t = datum.Text
		}
		switch _, there := desc.Column(name); {
		case there || name == HiddenKey:
			return nil, false, &syntax.Error{Code: "42701", Message: fmt.Sprintf("column %q specified more than once", name)}
		case !t.Storable():
			return nil, false, &syntax.Error{Code: "0A000", Message: fmt.Sprintf("a column of type %s is not supported", t.SQLName()), Hint: "Cast it: its name is " + name + "."}
		}
		if err := checkName(name, 0); err != nil {
			return nil, false, err
		}
		appendColumn(desc, plainColumn(name, t, column.Modifier))
	}
	o, err := finished(desc, stmt.Name)
	if err != nil {
		return nil, false, err
	}
	next, existed, err = c.make(ctx, in, making{name: stmt.Name, ifNotExists: stmt.IfNotExists, pool: stmt.Pool, poolPosition: stmt.PoolPosition, by: by}, o)
	if err == nil && !existed {
		err = in.now(next).need(next, o)
	}
	return next, existed, err
}
