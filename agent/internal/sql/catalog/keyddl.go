package catalog

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// uniques makes the indexes of the UNIQUE constraints of a new table, in next.
func (c *Catalog) uniques(ctx context.Context, in Scope, next *Draft, table *cluster.Object, constraints []syntax.Constraint) error {
	in.Draft = next
	seen := [][]string{keyNames(table.Collection)}
	for i := range constraints {
		k := &constraints[i]
		if k.Kind != syntax.Unique {
			continue
		}
		same := func(columns []string) bool { return slices.Equal(columns, k.Columns) }
		if k.Name == "" && len(k.Include) == 0 && slices.ContainsFunc(seen, same) {
			continue // as PostgreSQL has it: one is enough
		}
		seen = append(seen, k.Columns)
		x, err := in.uniqueIndex(table, k)
		if err != nil {
			return err
		}
		if x.ID, err = c.NewID(ctx); err != nil {
			return err
		}
		table.Collection.Indexes = append(table.Collection.Indexes, *x)
		next.add(table) // with the name of the index
	}
	return nil
}

// likeUniques are the UNIQUE constraints that LIKE ... INCLUDING INDEXES copies.
func (s Scope) likeUniques(likes []syntax.Like) ([]syntax.Constraint, error) {
	var out []syntax.Constraint
	for _, like := range likes {
		if !slices.Contains(like.Including, "INDEXES") {
			continue
		}
		source, ok := s.Relation(like.Table)
		if !ok || source.Kind != cluster.KindTable {
			continue
		}
		for _, x := range source.Collection.Indexes {
			if x.Dropped {
				continue
			}
			if x.Constraint == "" {
				return nil, unsupportedAt(fmt.Sprintf("LIKE ... INCLUDING INDEXES of a table with index %s", x.Name),
					"It copies primary keys and UNIQUE constraints: use EXCLUDING INDEXES, and CREATE INDEX in the transaction that makes the table.", like.Table.Position)
			}
			k := syntax.Constraint{Kind: syntax.Unique, NullsNotDistinct: x.NullsNotDistinct, Position: like.Table.Position}
			for _, c := range x.Columns {
				k.Columns = append(k.Columns, columnName(source.Collection, c.Column))
			}
			for _, id := range x.Include {
				k.Include = append(k.Include, columnName(source.Collection, id))
			}
			out = append(out, k)
		}
	}
	return out, nil
}

func columnName(rows *cluster.Collection, id cluster.ColumnID) string {
	column, _ := rows.ColumnByID(id)
	return column.Name
}

func keyNames(rows *cluster.Collection) []string {
	var out []string
	for _, id := range rows.PrimaryKey {
		if column, ok := rows.ColumnByID(id); ok {
			out = append(out, column.Name)
		}
	}
	return out
}

// uniqueIndex makes the index of a UNIQUE constraint.
func (s Scope) uniqueIndex(table *cluster.Object, k *syntax.Constraint) (*cluster.Index, error) {
	if k.Deferrable {
		return nil, &syntax.Error{Code: "0A000", Message: "a DEFERRABLE UNIQUE constraint is not supported", Position: k.Position,
			Hint: "Unique constraints are checked at the end of each statement."}
	}
	x := &cluster.Index{Name: k.Name, Unique: true, NullsNotDistinct: k.NullsNotDistinct, Constraint: cluster.UniqueConstraint}
	for _, name := range k.Columns {
		column, err := s.keyColumn(table.Collection, name, k.Position)
		if err != nil {
			return nil, err
		}
		if x.Names(column.ID) {
			return nil, &syntax.Error{Code: "42701", Message: fmt.Sprintf("column %q appears twice in unique constraint", name), Position: k.Position}
		}
		x.Columns = append(x.Columns, cluster.IndexColumn{Column: column.ID})
	}
	if err := include(table.Collection, x, k.Include); err != nil {
		return nil, err
	}
	return x, s.nameIndex(table, x, strings.Join(slices.Concat(k.Columns, k.Include), "_"), "key")
}

// addUnique adds a UNIQUE constraint.
func (a *alteration) addUnique(k *syntax.Constraint) error {
	in := a.scope
	if k.Index != "" {
		return a.usingIndex(k)
	}
	if k.Name != "" && takenConstraint(a.object, k.Name) {
		return &syntax.Error{Code: "42P07", Message: fmt.Sprintf("relation %q already exists", k.Name)}
	}
	d := in.Draft.clone()
	d.place(a.object) // with the names of the statement's other indexes
	in.Draft = d
	x, err := in.uniqueIndex(a.object, k)
	if err != nil {
		return err
	}
	if x.ID, err = a.catalog.NewID(a.ctx); err != nil {
		return err
	}
	if !a.ask.Own(a.object.ID) {
		x.State = cluster.ElementDeleteOnly
		a.carriedOn().Indexes = append(a.carriedOn().Indexes, x.ID)
	} else if !a.empty {
		a.ask.Fill(x.ID)
	}
	a.rows.Indexes, a.changed = append(a.rows.Indexes, *x), true
	return nil
}

// usingIndex has a unique index become that of a constraint.
func (a *alteration) usingIndex(k *syntax.Constraint) error {
	x, ok := a.rows.Index(k.Index)
	switch {
	case !ok:
		return &syntax.Error{Code: "42704", Message: fmt.Sprintf("index %q does not exist", k.Index), Position: k.Position}
	case x.Constraint != "":
		return &syntax.Error{Code: "55000", Message: fmt.Sprintf("index %q is already associated with a constraint", k.Index), Position: k.Position}
	case x.State != "":
		return &syntax.Error{Code: "55000", Message: fmt.Sprintf("index %q is not valid", k.Index), Position: k.Position}
	case !x.Unique:
		return &syntax.Error{Code: "42809", Message: fmt.Sprintf("%q is not a unique index", k.Index), Detail: "Cannot create a primary key or unique constraint using such an index.", Position: k.Position}
	case x.Where != "":
		return &syntax.Error{Code: "42809", Message: fmt.Sprintf("%q is a partial index", k.Index), Detail: "Cannot create a primary key or unique constraint using such an index.", Position: k.Position}
	}
	for _, c := range x.Columns {
		if c.Expression != "" {
			return &syntax.Error{Code: "42809", Message: fmt.Sprintf("index %q contains expressions", k.Index), Detail: "Cannot create a primary key or unique constraint using such an index.", Position: k.Position}
		}
		if c.Descending || c.NullsFirst {
			return &syntax.Error{Code: "42809", Message: fmt.Sprintf("index %q column number %d does not have default sorting behavior", k.Index, 1+slices.Index(x.Columns, c)),
				Detail: "Cannot create a primary key or unique constraint using such an index.", Position: k.Position}
		}
	}
	if k.Name != "" && k.Name != x.Name {
		if takenConstraint(a.object, k.Name) {
			return &syntax.Error{Code: "42710", Message: fmt.Sprintf("constraint %q for relation %q already exists", k.Name, a.object.Name)}
		}
		if a.scope.taken(a.object.Parent, k.Name) {
			return &syntax.Error{Code: "42P07", Message: fmt.Sprintf("relation %q already exists", k.Name)}
		}
		a.notice("00000", "ALTER TABLE / ADD CONSTRAINT USING INDEX will rename index %q to %q", x.Name, k.Name)
		x.Name = k.Name
	}
	x.Constraint, a.changed = cluster.UniqueConstraint, true
	return nil
}

// dropUnique drops a UNIQUE constraint with its index.
func (a *alteration) dropUnique(x *cluster.Index, cascade bool) error {
	if err := a.scope.unreferenced(a.object, x, fmt.Sprintf("constraint %s on table %s", x.Name, a.object.Name), cascade); err != nil {
		return err
	}
	a.changed = true
	if a.ask.Own(a.object.ID) {
		a.forget(x.ID)
		return nil
	}
	a.leaveIndex(x.ID)
	return nil
}

// nameKey names the primary key of a new table.
func (s Scope) nameKey(table *cluster.Object, name string) error {
	rows := table.Collection
	if column, _ := rows.ColumnByID(rows.PrimaryKey[0]); column.Hidden {
		return nil
	}
	if name == "" {
		rows.KeyName = madeName(table.Name, "", "pkey", func(name string) bool { return name == table.Name || s.taken(table.Parent, name) })
		return nil
	}
	if err := checkName(name, 0); err != nil {
		return err
	}
	if name == table.Name || s.taken(table.Parent, name) {
		return &syntax.Error{Code: "42P07", Message: fmt.Sprintf("relation %q already exists", name)}
	}
	rows.KeyName = name
	return nil
}

// renameKey gives the primary key of a table another name.
func (s Scope) renameKey(o *cluster.Object, to string) (*Draft, []Notice, error) {
	if err := s.freeToRename(o, to, true); err != nil {
		return nil, nil, err
	}
	a := newAlteration(o)
	a.rows.KeyName = to
	return s.change(o, a.object), nil, nil
}

// freeToRename refuses a name that an index of a table, of a constraint maybe, cannot get.
func (s Scope) freeToRename(o *cluster.Object, to string, constraint bool) error {
	if err := checkName(to, 0); err != nil {
		return err
	}
	if s.taken(o.Parent, to) {
		return &syntax.Error{Code: "42P07", Message: fmt.Sprintf("relation %q already exists", to)}
	}
	if constraint && takenConstraint(o, to) {
		return &syntax.Error{Code: "42710", Message: fmt.Sprintf("constraint %q for relation %q already exists", to, o.Name)}
	}
	return nil
}
