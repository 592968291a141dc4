package catalog

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// foreignKeys gives a new table the foreign keys of a statement, in next. Whoever writes to
// what they reference has to know of them before the table is seen.
func (c *Catalog) foreignKeys(ctx context.Context, in Scope, next *Draft, table *cluster.Object, written []syntax.Constraint) error {
	in.Draft = next
	for i := range written {
		if written[i].Kind != syntax.ForeignKey {
			continue
		}
		k, err := c.addForeignKey(ctx, in, table, &written[i])
		if err != nil {
			return err
		}
		in.refer(next, table, k, true)
	}
	return in.need(next, table)
}

// addForeignKey adds one foreign key to a table.
func (c *Catalog) addForeignKey(ctx context.Context, in Scope, table *cluster.Object, written *syntax.Constraint) (*cluster.ForeignKey, error) {
	k, err := in.foreignKey(table, written)
	if err != nil {
		return nil, err
	}
	if k.ID, err = c.NewID(ctx); err != nil {
		return nil, err
	}
	rows := table.Collection
	rows.ForeignKeys = append(rows.ForeignKeys, *k)
	sortForeignKeys(rows)
	return k, nil
}

func sortForeignKeys(rows *cluster.Collection) {
	slices.SortFunc(rows.ForeignKeys, func(a, b cluster.ForeignKey) int { return cmp.Compare(a.Name, b.Name) })
}

// refer has the table that a foreign key of table references know of it. before says that
// ranges have to know that, too, before anybody sees it: nobody could prove later that no
// row has gone meanwhile.
func (s Scope) refer(next *Draft, table *cluster.Object, k *cluster.ForeignKey, before bool) {
	by := cluster.Referrer{Table: table.ID, Key: k.ID}
	if k.Table == table.ID {
		table.Collection.ReferencedBy = append(slices.Clone(table.Collection.ReferencedBy), by)
		return
	}
	s.Draft = next
	parent, _ := s.Object(k.Table)
	a := newAlteration(parent)
	a.rows.ReferencedBy = append(slices.Clone(a.rows.ReferencedBy), by)
	next.alter(s, parent, a.object)
	if before {
		next.bind(parent.ID)
	}
}

// foreignKey makes the descriptor of a foreign key of a table.
func (s Scope) foreignKey(table *cluster.Object, written *syntax.Constraint) (*cluster.ForeignKey, error) {
	r := written.References
	parent, ok := s.Relation(r.Table)
	switch {
	case !ok:
		if _, index := s.Indexed(r.Table); index {
			return nil, &syntax.Error{Code: "42809", Message: fmt.Sprintf("%q is an index", r.Table.Name)}
		}
		return nil, &syntax.Error{Code: "42P01", Message: noTable(r.Table, "").Message}
	case parent.ID == table.ID:
		parent = table
	case parent.Kind != cluster.KindTable:
		return nil, &syntax.Error{Code: "42809", Message: fmt.Sprintf("referenced relation %q is not a table", parent.Name)}
	}
	if err := s.keepsApart(table, parent); err != nil {
		return nil, err
	}
	k := &cluster.ForeignKey{Name: written.Name, Table: parent.ID, OnDelete: r.OnDelete, OnUpdate: r.OnUpdate, Full: r.Match == "FULL",
		Deferrable: written.Deferrable, Deferred: written.Deferred, NotValid: written.NotValid}
	var err error
	if k.Columns, err = keyColumns(table.Collection, written.Columns); err != nil {
		return nil, err
	}
	if len(r.Columns) == 0 {
		if k.Referenced, err = primaryKey(parent); err != nil {
			return nil, err
		}
	} else if k.Referenced, err = keyColumns(parent.Collection, r.Columns); err != nil {
		return nil, err
	}
	if err := s.mayReference(parent, k.Referenced); err != nil {
		return nil, err
	}
	if x, ok := referencedKey(parent.Collection, k.Referenced); !ok {
		return nil, s.noKey(parent, k.Referenced)
	} else if x != nil && x.Deferrable {
		what := "unique constraint"
		if len(r.Columns) == 0 {
			what = "primary key"
		}
		return nil, &syntax.Error{Code: "55000", Message: fmt.Sprintf("cannot use a deferrable %s for referenced table %q", what, parent.Name)}
	}
	if len(k.Referenced) != len(k.Columns) {
		return nil, &syntax.Error{Code: "42830", Message: "number of referencing and referenced columns for foreign key disagree"}
	}
	if err := s.nameForeignKey(table, k, written); err != nil {
		return nil, err
	}
	if err := s.comparable(table, parent, k); err != nil {
		return nil, err
	}
	return k, setColumns(table.Collection, k, r)
}

// keyColumns are the ids of the columns that a foreign key names.
func keyColumns(rows *cluster.Collection, names []string) ([]cluster.ColumnID, error) {
	var out []cluster.ColumnID
	for _, name := range names {
		column, ok := rows.Column(name)
		if !ok || column.Hidden {
			return nil, &syntax.Error{Code: "42703", Message: fmt.Sprintf("column %q referenced in foreign key constraint does not exist", name)}
		}
		out = append(out, column.ID)
	}
	return out, nil
}

// primaryKey are the columns that are referenced if none are named.
func primaryKey(parent *cluster.Object) ([]cluster.ColumnID, error) {
	if key := parent.Collection.PrimaryColumns(); len(key) > 0 {
		return key, nil
	}
	return nil, &syntax.Error{Code: "42704", Message: fmt.Sprintf("there is no primary key for referenced table %q", parent.Name)}
}

// mayReference refuses what the role may not reference.
func (s Scope) mayReference(parent *cluster.Object, columns []cluster.ColumnID) error {
	if s.Rights == nil || s.Rights.May(parent, cluster.References) {
		return nil
	}
	for _, id := range columns {
		if !s.Rights.MayColumn(parent, id, cluster.References) {
			return Denied(parent)
		}
	}
	return nil
}

// noKey is what is wrong with columns by which no row of a table is found for sure.
func (s Scope) noKey(parent *cluster.Object, columns []cluster.ColumnID) error {
	form := *parent.Collection
	form.Indexes = slices.Clone(form.Indexes)
	for i := range form.Indexes {
		if x := &form.Indexes[i]; !x.Dropped {
			x.State = ""
		}
	}
	if x, ok := referencedKey(&form, columns); ok {
		return &syntax.Error{Code: "0A000", Message: fmt.Sprintf("a foreign key that references unique index %q of table %q before that is whole is not supported", x.Name, parent.Name),
			Hint: "COMMIT first, and add the foreign key in another transaction."}
	}
	return &syntax.Error{Code: "42830", Message: fmt.Sprintf("there is no unique constraint matching given keys for referenced table %q", parent.Name)}
}

// referencedKey finds the unique index by which rows of the columns are found; nil: it is
// the primary key. All who write take the same one: what they lock is there.
func referencedKey(rows *cluster.Collection, columns []cluster.ColumnID) (x *cluster.Index, ok bool) {
	same := func(other []cluster.ColumnID) bool {
		a, b := slices.Sorted(slices.Values(columns)), slices.Sorted(slices.Values(other))
		return slices.Equal(a, b)
	}
	if rows.KeyName != "" && same(rows.PrimaryKey) {
		return nil, true
	}
	for i := range rows.Indexes {
		x := &rows.Indexes[i]
		var over []cluster.ColumnID
		for _, c := range x.Columns {
			over = append(over, c.Column)
		}
		if x.Unique && x.Where == "" && x.State == "" && same(over) {
			return x, true
		}
	}
	return nil, false
}

// nameForeignKey checks the name of a foreign key, or makes one up.
func (s Scope) nameForeignKey(table *cluster.Object, k *cluster.ForeignKey, written *syntax.Constraint) error {
	if k.Name == "" {
		k.Name = constraintName(table, strings.Join(written.Columns, "_"), "fkey")
		return nil
	}
	if takenConstraint(table, k.Name) {
		return &syntax.Error{Code: "42710", Message: fmt.Sprintf("constraint %q for relation %q already exists", k.Name, table.Name)}
	}
	return checkName(k.Name, 0)
}

// comparable refuses columns whose values cannot be looked for among those that they
// reference.
func (s Scope) comparable(table, parent *cluster.Object, k *cluster.ForeignKey) error {
	for i := range k.Columns {
		from, _ := table.Collection.ColumnByID(k.Columns[i])
		to, _ := parent.Collection.ColumnByID(k.Referenced[i])
		a, _ := s.typeOf(from)
		b, _ := s.typeOf(to)
		if !References(a, b) {
			return &syntax.Error{Code: "42804", Message: fmt.Sprintf("foreign key constraint %q cannot be implemented", k.Name),
				Detail: fmt.Sprintf("Key columns %q and %q are of incompatible types: %s and %s.", from.Name, to.Name, a.SQLName(), b.SQLName())}
		}
	}
	return nil
}

// References reports whether a column of type from may reference one of type to.
func References(from, to datum.Type) bool {
	text := func(t datum.Type) bool { return t == datum.Text || t == datum.Varchar }
	switch {
	case from == to, from.IsInt() && to.IsInt(), text(from) && text(to):
		return true
	case from.IsInt():
		return to == datum.Numeric
	}
	return from.IsFloat() && to.IsFloat()
}

// setColumns notes the columns that ON DELETE SET names, and refuses actions that would set
// what is computed.
func setColumns(rows *cluster.Collection, k *cluster.ForeignKey, r *syntax.References) error {
	for _, name := range r.SetColumns {
		column, ok := rows.Column(name)
		if !ok || column.Hidden {
			return &syntax.Error{Code: "42703", Message: fmt.Sprintf("column %q referenced in foreign key constraint does not exist", name)}
		}
		if !k.Uses(column.ID) {
			return &syntax.Error{Code: "42P10", Message: fmt.Sprintf("column %q referenced in ON DELETE SET action must be part of foreign key", name)}
		}
		k.SetColumns = append(k.SetColumns, column.ID)
	}
	for _, id := range k.Columns {
		if column, _ := rows.ColumnByID(id); column.Generated == "" {
			continue
		}
		sets := func(action string) bool { return action == cluster.SetNull || action == cluster.SetDefault }
		switch {
		case sets(k.OnUpdate) || k.OnUpdate == cluster.Cascade:
			return &syntax.Error{Code: "42601", Message: "invalid ON UPDATE action for foreign key constraint containing generated column"}
		case sets(k.OnDelete):
			return &syntax.Error{Code: "42601", Message: "invalid ON DELETE action for foreign key constraint containing generated column"}
		}
	}
	return nil
}

// settleForeignKeys takes those away that reference what is gone, and has tables forget
// those that are no more.
func (s Scope) settleForeignKeys(next *Draft, gone *going) (lines, cascades []string, err error) {
	s.Draft = next
	for _, o := range s.objects(func(o *cluster.Object) bool { return o.Collection != nil && len(o.Collection.ForeignKeys) > 0 }) {
		a := newAlteration(o)
		for _, k := range o.Collection.ForeignKeys {
			if on := s.goneKey(&k, gone); on != "" {
				what := fmt.Sprintf("constraint %s on table %s", k.Name, s.pathName(o))
				lines, cascades = append(lines, what+" depends on "+on), append(cascades, what)
				a.rows.ForeignKeys = slices.DeleteFunc(a.rows.ForeignKeys, func(other cluster.ForeignKey) bool { return other.ID == k.ID })
			}
		}
		if len(a.rows.ForeignKeys) == len(o.Collection.ForeignKeys) {
			continue
		}
		if a.object.Needs, err = NeedsOf(a.object); err != nil {
			return nil, nil, err
		}
		next.alter(s, o, a.object)
	}
	for _, o := range s.objects(func(o *cluster.Object) bool { return o.Collection != nil && len(o.Collection.ReferencedBy) > 0 }) {
		a := newAlteration(o)
		a.rows.ReferencedBy = slices.DeleteFunc(slices.Clone(a.rows.ReferencedBy), func(r cluster.Referrer) bool { return !s.refers(r, o.ID) })
		if len(a.rows.ReferencedBy) < len(o.Collection.ReferencedBy) {
			next.alter(s, o, a.object)
		}
	}
	return lines, cascades, nil
}

// goneKey names what a foreign key references and is gone; "": nothing.
func (s Scope) goneKey(k *cluster.ForeignKey, gone *going) string {
	if old := gone.objects[k.Table]; old != nil {
		return "table " + s.pathName(old)
	}
	for i := range gone.keys {
		g := &gone.keys[i]
		if x, ok := referencedKey(g.of, k.Referenced); g.table == k.Table && ok && (x == nil && g.index == 0 || x != nil && x.ID == g.index) {
			return "index " + g.name
		}
	}
	for _, c := range gone.columns {
		if c.table.ID == k.Table && slices.Contains(k.Referenced, c.id) {
			return fmt.Sprintf("column %s of table %s", c.name, s.pathName(c.table))
		}
	}
	return ""
}

// refers reports whether there is a foreign key that references the table with the id.
func (s Scope) refers(r cluster.Referrer, id cluster.ObjectID) bool {
	o, ok := s.Object(r.Table)
	return ok && slices.ContainsFunc(o.Collection.ForeignKeys, func(k cluster.ForeignKey) bool { return k.ID == r.Key && k.Table == id })
}

// TableByID finds a collection by its id.
func (s Scope) TableByID(id cluster.ObjectID) (*Table, bool) {
	o, ok := s.Object(id)
	if !ok || o.Collection == nil {
		return nil, false
	}
	t, err := s.table(o)
	return t, err == nil
}

// ReferencedKey finds the index by which rows of a table are found whose columns have
// values; nil: it is the primary key.
func (t *Table) ReferencedKey(columns []cluster.ColumnID) (x *Index, ok bool) {
	desc, ok := referencedKey(t.Desc.Collection, columns)
	if !ok || desc == nil {
		return nil, ok
	}
	i := slices.IndexFunc(t.Indexes, func(x *Index) bool { return x.Desc.ID == desc.ID })
	return t.Indexes[i], true
}

// ColumnsByID are the indexes in Columns of columns.
func (t *Table) ColumnsByID(ids []cluster.ColumnID) []int {
	out := make([]int, len(ids))
	for i, id := range ids {
		out[i] = slices.IndexFunc(t.Columns, func(c Column) bool { return c.ID == id })
	}
	return out
}
