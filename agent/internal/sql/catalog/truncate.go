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
func (c *Catalog) Truncate(ctx context.Context, in Scope, stmt *syntax.Truncate) (*Draft, error) {
	for _, name := range stmt.Names {
		o, _, err := in.toAlter(name, false)
		if err != nil {
			return nil, err
		}
		if len(o.Collection.ForeignKeys)+len(o.Collection.ReferencedBy) > 0 {
			return nil, syntax.Unsupported("TRUNCATE of a table with foreign keys, or that is referenced by some", "Use DELETE.")
		}
		a := newAlteration(o)
		if a.object.ID, err = c.NewID(ctx); err != nil {
			return nil, err
		}
		a.rows.Indexes = slices.Clone(a.rows.Indexes)
		for i := range a.rows.Indexes {
			if a.rows.Indexes[i].ID, err = c.NewID(ctx); err != nil {
				return nil, err
			}
		}
		for i := range a.rows.Columns {
			a.rows.Columns[i].Missing = nil // of no row
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
		in.Draft = d
		in.renumber(d, o.ID, a.object.ID, stmt.RestartIdentity)
	}
	return in.Draft, nil
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
	desc := &cluster.Collection{NextColumn: 1}
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
