package catalog

import (
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// A column becomes of a type for which its values have to be computed by a move of the table
// to other ids in the same pool: what is written there is what rows become.

// convertType has a column become of another type, by an operation.
func (a *alteration) convertType(column, next *cluster.Column, action *syntax.AlterColumnType) error {
	if err := a.convertible(column, next, action.Type.Position); err != nil {
		return err
	}
	if a.conversion(column.ID) != nil {
		return &syntax.Error{Code: "0A000", Message: fmt.Sprintf("cannot alter type of column %q twice", column.Name)}
	}
	k := cluster.Conversion{Column: column.ID, Type: next.Type, UserType: next.UserType, Modifier: next.Modifier, Default: column.Default, Explicit: action.Explicit, Zone: a.ask.Zone, Moment: a.ask.Moment.UnixMicro()}
	if action.Using != "" {
		var err error
		if k.Using, err = syntax.BareColumns(action.Using, a.object.Name); err == nil {
			k.Using, err = syntax.BareEnums(k.Using, a.scope.isEnum)
		}
		if err != nil {
			return err
		}
	}
	if a.rows.Move == nil {
		m, err := a.moveTo(a.rows.Pool)
		if err != nil {
			return err
		}
		a.rows.Move = m
	}
	a.rows.Move.Converts = append(a.rows.Move.Converts, k)
	a.changed = true
	what := a.carriedOn()
	what.Move, what.Converts = true, true
	what.From = a.scope.View.PoolName(a.rows.Pool)
	what.To = what.From
	return nil
}

// moveTo is the way of the table to a pool, under new ids.
func (a *alteration) moveTo(pool cluster.PoolID) (*cluster.Move, error) {
	m := &cluster.Move{Pool: pool, State: cluster.ElementDeleteOnly}
	var err error
	if m.Rows, err = a.catalog.NewID(a.ctx); err != nil {
		return nil, err
	}
	for i := range a.rows.Indexes {
		id, err := a.catalog.NewID(a.ctx)
		if err != nil {
			return nil, err
		}
		m.Indexes = append(m.Indexes, cluster.IndexMove{Index: a.rows.Indexes[i].ID, To: id})
	}
	return m, nil
}

// conversion is what the statement has a column become; nil: it stays as it is.
func (a *alteration) conversion(id cluster.ColumnID) *cluster.Conversion {
	converts := a.rows.Converts()
	for i := range converts {
		if converts[i].Column == id {
			return &converts[i]
		}
	}
	return nil
}

// convertible refuses to compute the values of a column that something else rests on.
func (a *alteration) convertible(column, next *cluster.Column, position int) error {
	name := column.Name
	refuse := func(what, hint string) error {
		return unsupportedAt(fmt.Sprintf("changing the type of column %q, %s,", name, what), hint, position)
	}
	const copyIt = "Add a column, copy with UPDATE, drop the old one and rename."
	switch {
	case a.ask.Own(a.object.ID):
		return refuse("of a table that this transaction has made and written to", "Change it before, or after COMMIT.")
	case column.Identity != 0:
		if t, ok := a.scope.typeOf(next); !ok || !t.IsInt() {
			return &syntax.Error{Code: "22023", Message: "identity column type must be smallint, integer, or bigint"}
		}
		return refuse("an identity", copyIt)
	case column.Generated != "":
		return refuse("which is generated", "Drop it and add it again.")
	case slices.Contains(a.rows.PrimaryKey, column.ID):
		return refuse("by whose values rows are stored, as of the primary key", "Create a table with another key and copy the rows with INSERT INTO ... SELECT.")
	case len(a.indexesOf(column)) > 0:
		return refuse(fmt.Sprintf("which index %q is over", a.indexesOf(column)[0].Name), "Drop the index before and create it again.")
	case slices.ContainsFunc(a.rows.ForeignKeys, func(k cluster.ForeignKey) bool { return slices.Contains(k.Columns, column.ID) }):
		return refuse("of a foreign key", "Drop the constraint before and add it again.")
	case underWay(a.rows) || a.was.Move != nil:
		return &syntax.Error{Code: "55006", Message: fmt.Sprintf("table %q is being changed by another operation", a.object.Name), Hint: "Try again when it has ended: SHOW OPERATIONS says how far it is."}
	case a.later != nil && !a.later.Converts:
		return togetherWith()
	}
	return a.namedByNone(column)
}

// namedByNone refuses to change the type of a column that policies or triggers name.
func (a *alteration) namedByNone(column *cluster.Column) error {
	names := func(text string) bool {
		list, err := syntax.ExpressionColumns(text)
		return text != "" && err == nil && slices.Contains(list, column.Name)
	}
	refuse := func(what, name string) error {
		return &syntax.Error{Code: "0A000", Message: fmt.Sprintf("cannot alter type of a column used in a %s definition", what),
			Detail: fmt.Sprintf("%s %s on table %s depends on column %q", what, name, a.object.Name, column.Name)}
	}
	for i := range a.rows.Policies {
		if p := &a.rows.Policies[i]; names(p.Using) || names(p.Check) {
			return refuse("policy", p.Name)
		}
	}
	for i := range a.rows.Triggers {
		if t := &a.rows.Triggers[i]; slices.Contains(t.Columns, column.ID) || names(t.When) {
			return refuse("trigger", t.Name)
		}
	}
	return nil
}

// unconverted refuses to change a table while its columns become of other types.
func unconverted(o *cluster.Object) error {
	if len(o.Collection.Converts()) == 0 {
		return nil
	}
	return &syntax.Error{Code: "55006", Message: fmt.Sprintf("columns of table %q are becoming of other types", o.Name),
		Hint: "Try again when that has ended: SHOW OPERATIONS says how far it is. In a transaction block that changes them, it is after COMMIT."}
}

// Settled refuses to read or write a table whose columns the transaction has become of other
// types: rows are so after COMMIT only.
func (s Scope) Settled(t *Table) error {
	if s.Draft == nil || s.Draft.put[t.Desc.ID] != t.Desc {
		return nil
	}
	return unconverted(t.Desc)
}

// Converting are the tables of a draft whose columns become of other types.
func (s Scope) Converting() (out []*Table, err error) {
	if s.Draft == nil {
		return nil, nil
	}
	for _, what := range s.Draft.later {
		o := s.Draft.put[what.Table]
		if !what.Converts || o == nil || len(o.Collection.Converts()) == 0 {
			continue
		}
		schema, _ := s.Object(o.Parent)
		t, err := s.NewTable(o, schema)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}
