package catalog

import (
	"fmt"
	"slices"
	"strings"

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
	if err := a.scope.addColumn(a.rows, def, a.object.Name); err != nil {
		return err
	}
	a.changed = true
	column := &a.rows.Columns[len(a.rows.Columns)-1]
	var err error
	if column.Default, err = a.scope.bindDefault(def.Default); err != nil {
		return err
	}
	for i := range action.Constraints {
		if err := a.checkOfNew(&action.Constraints[i]); err != nil {
			return err
		}
	}
	v, volatile, err := a.value(column)
	switch {
	case err != nil:
		return err
	case a.empty:
		return nil
	case def.Generated != "":
		return unsupportedAt("adding a generated column to a table that others may write to", "", def.GeneratedPosition)
	case volatile:
		return &syntax.Error{Code: "0A000", Message: fmt.Sprintf("adding column %q with a default that has another value for each row is not supported", def.Name),
			Hint: "Add it without a default, set it with UPDATE, then ALTER COLUMN ... SET DEFAULT.", Position: def.Position}
	case !v.Null:
		column.Missing = datum.EncodeStored(v)
		return nil
	case column.NotNull: // it can be if there are no rows
		return a.provesNotNull(column)
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
	default:
		for i := range action.Constraints {
			if k := &action.Constraints[i]; k.Kind != syntax.Check && k.Kind != syntax.ForeignKey && k.Kind != syntax.Unique && k.Kind != syntax.PrimaryKey {
				what, position = "adding a column with a "+string(k.Kind)+" constraint", k.Position
			}
		}
		if what == "" {
			return nil
		}
	}
	err := syntax.Unsupported(what, "")
	err.Position = position
	return err
}

// checkOfNew adds a constraint that stands at a new column.
func (a *alteration) checkOfNew(k *syntax.Constraint) error {
	switch k.Kind {
	case syntax.ForeignKey:
		return a.addForeignKey(k)
	case syntax.Unique:
		return a.addUnique(k)
	case syntax.PrimaryKey:
		return a.addPrimary(k)
	}
	return a.addCheck(k)
}

// value computes what rows get that say nothing of the column.
func (a *alteration) value(column *cluster.Column) (v datum.Datum, volatile bool, err error) {
	t, user, ok := typeOf(column, a.scope.Object, a.scope.madeType)
	if !ok {
		return v, false, unknownType(column.Type)
	}
	called, err := a.scope.callables(&cluster.Collection{Columns: []cluster.Column{*column}})
	if err != nil {
		return v, false, err
	}
	return a.ask.Value(Column{Functions: called, ID: column.ID, Name: column.Name, Type: t, Modifier: column.Modifier, NotNull: column.NotNull, Default: column.Default, User: user})
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
	gone, err := a.withGenerated(column, action.Cascade)
	if err != nil {
		return err
	}
	isGone := func(id cluster.ColumnID) bool { return slices.Contains(gone, id) }
	if err := a.inPolicies(isGone, action.Cascade); err != nil {
		return err
	}
	if err := a.inTriggers(isGone, action.Cascade); err != nil {
		return err
	}
	a.rows.Checks = slices.DeleteFunc(a.rows.Checks, func(k cluster.Check) bool { return slices.ContainsFunc(k.Columns, isGone) })
	a.rows.ForeignKeys = slices.DeleteFunc(a.rows.ForeignKeys, func(k cluster.ForeignKey) bool { return slices.ContainsFunc(k.Columns, isGone) })
	for _, c := range a.rows.Columns {
		if isGone(c.ID) {
			a.dropped = append(a.dropped, goingColumn{a.object, c.ID, c.Name})
		}
	}
	a.cascade = a.cascade || action.Cascade
	if err := a.dropIndexesOf(gone); err != nil {
		return err
	}
	a.rows.Columns = slices.DeleteFunc(a.rows.Columns, func(c cluster.Column) bool { return isGone(c.ID) && !a.stays(c.ID) })
	if !slices.ContainsFunc(a.rows.Columns, func(c cluster.Column) bool { return !c.Hidden }) {
		return &syntax.Error{Code: "42P16", Message: "a collection needs at least one column"}
	}
	a.changed = true
	return nil
}

// withGenerated are a column that is dropped, and with CASCADE those that are computed
// from it.
func (a *alteration) withGenerated(column *cluster.Column, cascade bool) ([]cluster.ColumnID, error) {
	var lines []string
	gone, from := []cluster.ColumnID{column.ID}, column.Name
	for _, g := range generatedFrom(a.rows, from) {
		gone = append(gone, g.ID)
		lines = append(lines, fmt.Sprintf("column %s of table %s depends on column %s of table %s", g.Name, a.object.Name, from, a.object.Name))
	}
	if len(lines) > 0 && !cascade {
		return nil, &syntax.Error{Code: "2BP01", Message: fmt.Sprintf("cannot drop column %s of table %s because other objects depend on it", from, a.object.Name),
			Detail: strings.Join(lines, "\n"), Hint: "Use DROP ... CASCADE to drop the dependent objects too."}
	}
	for _, g := range generatedFrom(a.rows, from) {
		a.notice("00000", "drop cascades to column %s of table %s", g.Name, a.object.Name)
	}
	return gone, nil
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
	if column.Generated != "" {
		e := &syntax.Error{Code: "42601", Message: fmt.Sprintf("column %q of relation %q is a generated column", column.Name, a.object.Name)}
		if action.Default == "" {
			e.Hint = "Use ALTER TABLE ... ALTER COLUMN ... DROP EXPRESSION instead."
		}
		return e
	}
	bound, err := a.scope.bindDefault(action.Default)
	if err != nil {
		return err
	}
	a.changed = true
	if k := a.conversion(column.ID); k != nil {
		k.Default = bound
		return nil
	}
	column.Default = bound
	_, _, err = a.value(column)
	return err
}

func (a *alteration) setNotNull(action *syntax.AlterNotNull) error {
	column, err := a.column(action.Name)
	if err != nil {
		return err
	}
	switch {
	case column.Identity != 0 && !action.NotNull:
		return a.isIdentity(column)
	case slices.Contains(a.rows.PrimaryColumns(), column.ID) && !action.NotNull:
		return &syntax.Error{Code: "42P16", Message: fmt.Sprintf("column %q is in a primary key", action.Name)}
	case action.NotNull && column.NotNullState != "":
		return a.isUnderWay(column)
	case action.NotNull && !column.NotNull && !a.empty:
		return a.provesNotNull(column)
	}
	if column.NotNull != action.NotNull {
		column.NotNull, column.NotNullState, a.changed = action.NotNull, "", true
	}
	return nil
}

// setType changes a type where all values stay as they are stored.
func (a *alteration) setType(action *syntax.AlterColumnType) error {
	column, err := a.column(action.Name)
	if err != nil {
		return err
	}
	if from := generatedFrom(a.rows, column.Name); len(from) > 0 {
		return &syntax.Error{Code: "0A000", Message: "cannot alter type of a column used by a generated column",
			Detail: fmt.Sprintf("Column %q is used by generated column %q.", column.Name, from[0].Name)}
	}
	was, ok := a.scope.typeOf(column)
	written := action.Type
	written.Position = 0 // PostgreSQL shows none
	next, err := a.scope.columnType(written)
	if err == nil {
		err = a.scope.shownBy(a.object, column)
	}
	if err != nil {
		return err
	}
	t, _ := a.scope.typeOf(&next)
	modifier, as := next.Modifier, action.Using != "" && !action.Casts
	switch {
	case column.UserType != next.UserType && !a.empty:
		return a.convertType(column, &next, action)
	case column.UserType != next.UserType:
	case was == t && column.Modifier == modifier && !as:
		return nil
	case !ok:
		return unknownType(column.Type)
	case !a.empty && (as || !widens(was, t, column.Modifier, modifier)):
		return a.convertType(column, &next, action)
	}
	a.widened = true
	if len(a.indexesOf(column)) > 0 {
		if err := orderedColumn(t); err != nil {
			return err
		}
	}
	column.Type, column.Modifier, column.UserType, a.changed = next.Type, modifier, next.UserType, true
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
