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
		if k.Kind != syntax.Unique && (k.Kind != syntax.PrimaryKey || !byIndex(k)) {
			continue
		}
		same := func(columns []string) bool { return slices.Equal(columns, k.Columns) }
		if k.Name == "" && len(k.Include) == 0 && k.Kind == syntax.Unique && !k.Deferrable && slices.ContainsFunc(seen, same) {
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
		for _, c := range x.Columns {
			if column, _ := table.Collection.ColumnByID(c.Column); k.Kind == syntax.PrimaryKey {
				column.NotNull = true
			}
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
			primary := x.Constraint == cluster.PrimaryConstraint
			if x.Dropped || primary && !x.Deferrable {
				continue // addLike has it
			}
			if x.Constraint == "" {
				return nil, unsupportedAt(fmt.Sprintf("LIKE ... INCLUDING INDEXES of a table with index %s", x.Name),
					"It copies primary keys and UNIQUE constraints: use EXCLUDING INDEXES, and CREATE INDEX in the transaction that makes the table.", like.Table.Position)
			}
			k := syntax.Constraint{Kind: syntax.Unique, Deferrable: x.Deferrable, Deferred: x.Deferred, NullsNotDistinct: x.NullsNotDistinct, Position: like.Table.Position}
			if primary {
				k.Kind = syntax.PrimaryKey
			}
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

// uniqueIndex makes the index of a UNIQUE constraint or of a primary key.
func (s Scope) uniqueIndex(table *cluster.Object, k *syntax.Constraint) (*cluster.Index, error) {
	x := &cluster.Index{Name: k.Name, Unique: true, Deferrable: k.Deferrable, Deferred: k.Deferred, NullsNotDistinct: k.NullsNotDistinct, Constraint: cluster.UniqueConstraint}
	word, parts, label := "unique", strings.Join(slices.Concat(k.Columns, k.Include), "_"), "key"
	if k.Kind == syntax.PrimaryKey {
		x.Constraint, word, parts, label = cluster.PrimaryConstraint, "primary key", "", "pkey"
	}
	for _, name := range k.Columns {
		column, err := s.keyColumn(table.Collection, name, k.Position)
		if err != nil {
			return nil, err
		}
		if x.Names(column.ID) {
			return nil, &syntax.Error{Code: "42701", Message: fmt.Sprintf("column %q appears twice in %s constraint", name, word), Position: k.Position}
		}
		x.Columns = append(x.Columns, cluster.IndexColumn{Column: column.ID})
	}
	if err := include(table.Collection, x, k.Include); err != nil {
		return nil, err
	}
	return x, s.nameIndex(table, x, parts, label)
}

// addUnique adds a UNIQUE constraint.
func (a *alteration) addUnique(k *syntax.Constraint) error {
	if k.Index != "" {
		_, err := a.usingIndex(k)
		return err
	}
	return a.addKey(k)
}

// addKey adds an index with a constraint.
func (a *alteration) addKey(k *syntax.Constraint) error {
	if k.Name != "" && takenConstraint(a.object, k.Name) {
		return &syntax.Error{Code: "42P07", Message: fmt.Sprintf("relation %q already exists", k.Name)}
	}
	x, err := a.soFar().uniqueIndex(a.object, k)
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

// soFar is the scope with the names that the statement has taken and freed.
func (a *alteration) soFar() Scope {
	in := a.scope
	d := in.Draft.clone()
	if was := d.put[a.object.ID]; was != nil {
		d.free(was)
	}
	d.place(a.object)
	in.Draft = d
	return in
}

// addPrimary adds a primary key. Rows stay where they are: it is an index, unless nobody has
// written any.
func (a *alteration) addPrimary(k *syntax.Constraint) error {
	if len(a.rows.PrimaryColumns()) > 0 {
		return &syntax.Error{Code: "42P16", Message: fmt.Sprintf("multiple primary keys for table %q are not allowed", a.object.Name), Position: k.Position}
	}
	if k.Index != "" {
		x, err := a.usingIndex(k)
		if err != nil {
			return err
		}
		x.Constraint = cluster.PrimaryConstraint
		return a.notNullKey(x)
	}
	for _, name := range k.Columns {
		if _, err := a.column(name); err != nil {
			return err
		}
	}
	if hidden, _ := a.rows.ColumnByID(a.rows.PrimaryKey[0]); a.empty && hidden.Hidden && !byIndex(k) {
		return a.rowKey(k)
	}
	if err := a.addKey(k); err != nil {
		return err
	}
	return a.notNullKey(&a.rows.Indexes[len(a.rows.Indexes)-1])
}

// notNullKey has the columns of a primary key be NOT NULL.
func (a *alteration) notNullKey(x *cluster.Index) error {
	for _, c := range x.Columns {
		column, _ := a.rows.ColumnByID(c.Column)
		switch {
		case column.NotNullState != "":
			if id := a.ask.UnderWay(a.object.ID, column.ID); id != "" {
				return &syntax.Error{Code: "55006", Message: fmt.Sprintf("column %q is becoming NOT NULL by operation %s", column.Name, id), Hint: "Wait for it: SHOW OPERATIONS says how far it is."}
			}
		case column.NotNull:
			continue
		case a.empty:
			column.NotNull = true
			continue
		}
		if err := a.provesNotNull(column); err != nil {
			return err
		}
	}
	return nil
}

// rowKey has the primary key of a table that nobody has written to say where rows are.
func (a *alteration) rowKey(k *syntax.Constraint) error {
	hidden := a.rows.PrimaryKey
	a.rows.PrimaryKey = nil
	for _, name := range k.Columns {
		if _, err := a.scope.keyColumn(a.rows, name, k.Position); err != nil {
			return err
		}
		if err := a.scope.addKey(a.rows, name); err != nil {
			return err
		}
	}
	a.rows.Columns = slices.DeleteFunc(a.rows.Columns, func(c cluster.Column) bool { return slices.Contains(hidden, c.ID) })
	a.changed = true
	return a.soFar().nameKey(a.object, k.Name)
}

// dropPrimary drops the primary key that says where rows are.
func (a *alteration) dropPrimary() error {
	if !a.empty {
		return syntax.Unsupported("dropping the primary key that a table was made with", "Create a collection with another key and copy the rows with INSERT INTO ... SELECT.")
	}
	a.goneKeys = append(a.goneKeys, goneKey{table: a.object.ID, of: a.was, name: a.rows.KeyName})
	a.rows.KeyName, a.rows.KeyComment, a.rows.PrimaryKey, a.changed = "", "", nil, true
	hiddenKey(a.rows)
	return nil
}

// usingIndex has a unique index become that of a constraint.
func (a *alteration) usingIndex(k *syntax.Constraint) (*cluster.Index, error) {
	x, ok := a.rows.Index(k.Index)
	switch {
	case !ok:
		return nil, &syntax.Error{Code: "42704", Message: fmt.Sprintf("index %q does not exist", k.Index), Position: k.Position}
	case x.Constraint != "":
		return nil, &syntax.Error{Code: "55000", Message: fmt.Sprintf("index %q is already associated with a constraint", k.Index), Position: k.Position}
	case x.State != "":
		return nil, &syntax.Error{Code: "55000", Message: fmt.Sprintf("index %q is not valid", k.Index), Position: k.Position}
	case !x.Unique:
		return nil, &syntax.Error{Code: "42809", Message: fmt.Sprintf("%q is not a unique index", k.Index), Detail: "Cannot create a primary key or unique constraint using such an index.", Position: k.Position}
	case k.Deferrable:
		return nil, unsupportedAt("a DEFERRABLE constraint by an index that is there", "ADD CONSTRAINT without USING INDEX.", k.Position)
	case x.Where != "":
		return nil, &syntax.Error{Code: "42809", Message: fmt.Sprintf("%q is a partial index", k.Index), Detail: "Cannot create a primary key or unique constraint using such an index.", Position: k.Position}
	}
	for _, c := range x.Columns {
		if c.Expression != "" {
			return nil, &syntax.Error{Code: "42809", Message: fmt.Sprintf("index %q contains expressions", k.Index), Detail: "Cannot create a primary key or unique constraint using such an index.", Position: k.Position}
		}
		if c.Descending || c.NullsFirst {
			return nil, &syntax.Error{Code: "42809", Message: fmt.Sprintf("index %q column number %d does not have default sorting behavior", k.Index, 1+slices.Index(x.Columns, c)),
				Detail: "Cannot create a primary key or unique constraint using such an index.", Position: k.Position}
		}
	}
	if k.Name != "" && k.Name != x.Name {
		if takenConstraint(a.object, k.Name) {
			return nil, &syntax.Error{Code: "42710", Message: fmt.Sprintf("constraint %q for relation %q already exists", k.Name, a.object.Name)}
		}
		if a.scope.taken(a.object.Parent, k.Name) {
			return nil, &syntax.Error{Code: "42P07", Message: fmt.Sprintf("relation %q already exists", k.Name)}
		}
		a.notice("00000", "ALTER TABLE / ADD CONSTRAINT USING INDEX will rename index %q to %q", x.Name, k.Name)
		x.Name = k.Name
	}
	x.Constraint, a.changed = cluster.UniqueConstraint, true
	return x, nil
}

// dropUnique drops a UNIQUE constraint, or a primary key, with its index.
func (a *alteration) dropUnique(x *cluster.Index) {
	id := x.ID
	a.goneKeys = append(a.goneKeys, goneKey{table: a.object.ID, index: id, of: a.was, name: x.Name})
	a.changed = true
	if a.ask.Own(a.object.ID) {
		a.forget(id)
		return
	}
	if x.State == "" {
		a.left.indexes = append(a.left.indexes, id)
	}
	a.leaveIndex(id)
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
