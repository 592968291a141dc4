package catalog

import (
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// addColumn adds a column. No row is written: those that are there have the default as
// it is now (Column.Missing).
func (a *alteration) addColumn(action *syntax.AddColumn) error {
	def := action.Column
	if _, there := a.rows.Column(def.Name); there && action.IfNotExists {
		a.notice("42701", "column %q of relation %q already exists, skipping", def.Name, a.object.Name)
		return nil
	}
	if err := addedParts(action); err != nil {
		return err
	}
	if err := a.checkNew(def.Name, def.Position); err != nil {
		return err
	}
	if len(a.rows.Columns) >= maxColumns {
		return &syntax.Error{Code: "54011", Message: fmt.Sprintf("tables can have at most %d columns", maxColumns)}
	}
	if err := addColumn(a.rows, def); err != nil {
		return err
	}
	a.changed = true
	column := &a.rows.Columns[len(a.rows.Columns)-1]
	var err error
	if column.Default, err = a.scope.bindDefault(def.Default); err != nil {
		return err
	}
	v, volatile, err := a.value(column)
	switch {
	case err != nil:
		return err
	case a.empty:
		return nil
	case volatile:
		return &syntax.Error{Code: "0A000", Message: fmt.Sprintf("adding column %q with a default that has another value for each row is not supported", def.Name),
			Hint: "Add it without a default, set it with UPDATE, then ALTER COLUMN ... SET DEFAULT.", Position: def.Position}
	case !v.Null:
		column.Missing = datum.EncodeStored(v)
		return nil
	case column.NotNull:
		return &syntax.Error{Code: "0A000", Message: fmt.Sprintf("adding column %q that is NOT NULL and has no default is not supported", def.Name),
			Hint: "Rows that are there, or that others write meanwhile, would have no value: give it a constant DEFAULT.", Position: def.Position}
	}
	return nil
}

// addedParts refuses what a column that is added cannot have yet.
func addedParts(action *syntax.AddColumn) error {
	var what string
	position := action.Column.Position
	switch d := action.Column; {
	case d.Serial:
		what = "adding a serial column"
	case d.Identity != nil:
		what = "adding an identity column"
	case d.Generated != "":
		what = "adding a generated column"
	case len(action.Constraints) > 0:
		what, position = "adding a column with a "+string(action.Constraints[0].Kind)+" constraint", action.Constraints[0].Position
	default:
		return nil
	}
	err := syntax.Unsupported(what, "")
	err.Position = position
	return err
}

// value computes what rows get that say nothing of the column.
func (a *alteration) value(column *cluster.Column) (v datum.Datum, volatile bool, err error) {
	t, ok := datum.TypeByName(column.Type)
	if !ok {
		return v, false, &syntax.Error{Code: "0A000", Message: fmt.Sprintf("column %q has the unknown type %q", column.Name, column.Type)}
	}
	return a.ask.Value(Column{ID: column.ID, Name: column.Name, Type: t, Modifier: column.Modifier, NotNull: column.NotNull, Default: column.Default})
}

// dropColumn drops a column. What rows hold of it is skipped from now on, and gone when
// they are written anew: its id never returns.
func (a *alteration) dropColumn(action *syntax.DropColumn) error {
	column, ok := a.rows.Column(action.Name)
	if (!ok || column.Hidden) && action.IfExists {
		a.notice("00000", "column %q of relation %q does not exist, skipping", action.Name, a.object.Name)
		return nil
	}
	if _, err := a.column(action.Name); err != nil {
		return err
	}
	if slices.Contains(a.rows.PrimaryKey, column.ID) {
		return &syntax.Error{Code: "0A000", Message: fmt.Sprintf("dropping column %q of the primary key is not supported", action.Name),
			Hint: "Create a collection with another key and copy the rows with INSERT INTO ... SELECT."}
	}
	id := column.ID
	a.dropped, a.cascade = append(a.dropped, id), a.cascade || action.Cascade
	a.rows.Columns = slices.DeleteFunc(a.rows.Columns, func(c cluster.Column) bool { return c.ID == id })
	if !slices.ContainsFunc(a.rows.Columns, func(c cluster.Column) bool { return !c.Hidden }) {
		return &syntax.Error{Code: "42P16", Message: "a collection needs at least one column"}
	}
	a.changed = true
	return nil
}

// setDefault changes what new rows get; those that are there keep what they have.
func (a *alteration) setDefault(action *syntax.AlterDefault) error {
	column, err := a.column(action.Name)
	if err != nil {
		return err
	}
	if column.Identity != 0 {
		return a.isIdentity(column)
	}
	if column.Default, err = a.scope.bindDefault(action.Default); err != nil {
		return err
	}
	a.changed = true
	_, _, err = a.value(column)
	return err
}

func (a *alteration) setNotNull(action *syntax.AlterNotNull) error {
	column, err := a.column(action.Name)
	if err != nil {
		return err
	}
	switch key := slices.Contains(a.rows.PrimaryKey, column.ID); {
	case column.Identity != 0 && !action.NotNull:
		return a.isIdentity(column)
	case key && !action.NotNull:
		return &syntax.Error{Code: "42P16", Message: fmt.Sprintf("column %q is in a primary key", action.Name)}
	case action.NotNull && !column.NotNull && !a.empty:
		return syntax.Unsupported("ALTER COLUMN ... SET NOT NULL of a table that others may write to", "")
	}
	if column.NotNull != action.NotNull {
		column.NotNull, a.changed = action.NotNull, true
	}
	return nil
}

// setType changes a type where all values stay as they are stored.
func (a *alteration) setType(action *syntax.AlterColumnType) error {
	column, err := a.column(action.Name)
	if err != nil {
		return err
	}
	was, ok := datum.TypeByName(column.Type)
	t, modifier, err := storableType(action.Type)
	switch {
	case err != nil:
		return err
	case was == t && column.Modifier == modifier && action.Using == "":
		return nil
	case !ok || !a.empty && (action.Using != "" || !widens(was, t, column.Modifier, modifier)):
		e := syntax.Unsupported(fmt.Sprintf("changing column %q from type %s to %s", action.Name, was.SQLName(), t.SQLName()),
			"Types may become wider: smallint to integer to bigint, real to double precision, varchar(n) to a longer one or text, numeric to more digits of the same scale. For others, add a column and copy with UPDATE.")
		e.Position = action.Type.Position
		return e
	}
	column.Type, column.Modifier, a.changed = t.String(), modifier, true
	_, _, err = a.value(column)
	return err
}

// widens reports whether each value of a type is stored, and stands in keys, as one of
// the other type is.
func widens(from, to datum.Type, was, is int32) bool {
	switch {
	case from.IsArray() || to.IsArray():
		return from == to && was == is
	case from.IsInt() && to.IsInt(), from.IsFloat() && to.IsFloat():
		return from <= to
	case from == datum.Numeric && to == datum.Numeric:
		return is < 0 || was >= 0 && is >= was && scale(is) == scale(was)
	case from == datum.Varchar && to == datum.Varchar:
		return is < 0 || was >= 0 && is >= was
	case from == datum.Varchar && to == datum.Text:
		return true
	case from == datum.Text && to == datum.Varchar:
		return is < 0
	}
	return false
}

// scale is that of a numeric's typmod.
func scale(modifier int32) int32 { return (modifier - header) & 0xffff }
