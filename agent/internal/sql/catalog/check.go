package catalog

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// adoptChecks makes the constraints that LIKE has copied the table's own.
func (c *Catalog) adoptChecks(ctx context.Context, table *cluster.Object) error {
	copied := table.Collection.Checks
	table.Collection.Checks = nil
	for _, k := range copied {
		if err := c.addCheck(ctx, table, k); err != nil {
			return err
		}
	}
	return nil
}

// addChecks gives a table the CHECK constraints of a statement.
func (c *Catalog) addChecks(ctx context.Context, in Scope, table *cluster.Object, written []syntax.Constraint) error {
	for i := range written {
		k := &written[i]
		if k.Kind != syntax.Check {
			continue
		}
		text, err := syntax.BareColumns(k.Expr, table.Name)
		if err == nil {
			text, err = syntax.BareEnums(text, in.isEnum)
		}
		if err != nil {
			return err
		}
		if err := c.addCheck(ctx, table, cluster.Check{Name: k.Name, Expression: text, NoInherit: k.NoInherit}); err != nil {
			return err
		}
	}
	return nil
}

// addCheck adds one constraint, under a name that is made up if it has none.
func (c *Catalog) addCheck(ctx context.Context, table *cluster.Object, k cluster.Check) error {
	rows := table.Collection
	names, err := syntax.ExpressionColumns(k.Expression)
	if err != nil {
		return err
	}
	column := ""
	for _, name := range names {
		if f, ok := rows.Column(name); ok { // who computes the expression tells of others
			column = name
			k.Columns = append(k.Columns, f.ID)
		}
	}
	switch {
	case k.Name == "" && len(k.Columns) == 1:
		k.Name = constraintName(table, column, "check")
	case k.Name == "":
		k.Name = constraintName(table, "", "check")
	case takenConstraint(table, k.Name):
		return &syntax.Error{Code: "42710", Message: fmt.Sprintf("check constraint %q already exists", k.Name)}
	default:
		if err := checkName(k.Name, 0); err != nil {
			return err
		}
	}
	if k.ID, err = c.NewID(ctx); err != nil {
		return err
	}
	rows.Checks = append(rows.Checks, k)
	sortChecks(rows)
	return nil
}

// sortChecks puts the constraints in the order in which rows are checked.
func sortChecks(rows *cluster.Collection) {
	slices.SortFunc(rows.Checks, func(a, b cluster.Check) int { return cmp.Compare(a.Name, b.Name) })
}

// takenConstraint reports whether a table has a constraint of the name.
func takenConstraint(table *cluster.Object, name string) bool {
	_, ok := table.Collection.Check(name)
	x, index := table.Collection.Index(name)
	_, foreign := table.Collection.ForeignKey(name)
	return ok || foreign || index && x.Constraint != "" || name != "" && name == table.Collection.KeyName
}

// constraintName makes a name as PostgreSQL does.
func constraintName(table *cluster.Object, column, label string) string {
	return madeName(table.Name, column, label, func(name string) bool { return takenConstraint(table, name) })
}

// addConstraint is ADD CONSTRAINT.
func (a *alteration) addConstraint(k *syntax.Constraint) error {
	switch k.Kind {
	case syntax.ForeignKey:
		return a.addForeignKey(k)
	case syntax.Unique:
		return a.addUnique(k)
	case syntax.PrimaryKey:
		return a.addPrimary(k)
	case syntax.Check:
	default:
		return unsupportedAt("a "+string(k.Kind)+" constraint", "", k.Position)
	}
	if takenConstraint(a.object, k.Name) {
		return &syntax.Error{Code: "42710", Message: fmt.Sprintf("constraint %q for relation %q already exists", k.Name, a.object.Name)}
	}
	return a.addCheck(k)
}

// addCheck adds a constraint that rows which are there have to satisfy, too.
func (a *alteration) addCheck(k *syntax.Constraint) error {
	known := make(map[cluster.ObjectID]bool, len(a.rows.Checks))
	for i := range a.rows.Checks {
		known[a.rows.Checks[i].ID] = true
	}
	a.changed, a.written = true, append(a.written, *k)
	if err := a.catalog.addChecks(a.ctx, a.scope, a.object, []syntax.Constraint{*k}); err != nil || a.empty {
		return err
	}
	for i := range a.rows.Checks {
		if added := &a.rows.Checks[i]; !known[added.ID] {
			added.State = cluster.ElementWriteOnly
			a.carriedOn().Checks = append(a.carriedOn().Checks, added.ID)
		}
	}
	return nil
}

// leaving is what DROP CONSTRAINT takes away, as it was.
type leaving struct {
	checks  []cluster.Check
	keys    []cluster.ForeignKey
	indexes []cluster.ObjectID
}

// dropConstraint is DROP CONSTRAINT.
func (a *alteration) dropConstraint(action *syntax.DropConstraint) error {
	k, ok := a.rows.Check(action.Name)
	x, unique := a.rows.Index(action.Name)
	foreign, isForeign := a.rows.ForeignKey(action.Name)
	a.cascade = a.cascade || action.Cascade
	switch {
	case isForeign:
		a.left.keys, a.changed = append(a.left.keys, *foreign), true
		a.rows.ForeignKeys = slices.DeleteFunc(a.rows.ForeignKeys, func(k cluster.ForeignKey) bool { return k.ID == foreign.ID })
	case ok:
		a.left.checks, a.changed = append(a.left.checks, *k), true
		a.rows.Checks = slices.DeleteFunc(a.rows.Checks, func(k cluster.Check) bool { return k.Name == action.Name && !k.Leaving })
	case unique && x.Constraint != "":
		a.dropUnique(x)
	case action.Name == a.rows.KeyName && action.Name != "":
		return a.dropPrimary()
	case action.IfExists:
		a.notice("00000", "constraint %q of relation %q does not exist, skipping", action.Name, a.object.Name)
	default:
		return &syntax.Error{Code: "42704", Message: fmt.Sprintf("constraint %q of relation %q does not exist", action.Name, a.object.Name)}
	}
	return nil
}

// stay has constraints that the statement drops be obeyed until what it adds has been
// proved: they stay if that turns out to be wrong.
func (a *alteration) stay() {
	for _, k := range a.left.checks {
		if k.State != "" {
			continue // its own operation takes care of it
		}
		k.Leaving = true
		a.rows.Checks, a.later.Leaves = append(a.rows.Checks, k), append(a.later.Leaves, k.ID)
	}
	for _, k := range a.left.keys {
		if k.State != "" {
			continue
		}
		k.Leaving = true
		a.rows.ForeignKeys, a.later.Leaves = append(a.rows.ForeignKeys, k), append(a.later.Leaves, k.ID)
	}
	sortChecks(a.rows)
	sortForeignKeys(a.rows)
	a.later.Leaves = append(a.later.Leaves, a.left.indexes...)
}

// RenameConstraint gives a constraint of a table another name.
func (c *Catalog) RenameConstraint(in Scope, stmt *syntax.Rename) (*Draft, []Notice, error) {
	o, notices, err := in.toAlter(stmt.Target.Name, stmt.IfExists)
	if o == nil {
		return in.Draft, notices, err
	}
	if x, ok := o.Collection.Index(stmt.Target.Part); ok && x.Constraint != "" {
		return in.renameIndex(o, x, stmt.To)
	}
	if stmt.Target.Part == o.Collection.KeyName {
		return in.renameKey(o, stmt.To)
	}
	a := newAlteration(o)
	k, ok := a.rows.Check(stmt.Target.Part)
	foreign, isForeign := a.rows.ForeignKey(stmt.Target.Part)
	switch {
	case !ok && !isForeign:
		return nil, nil, &syntax.Error{Code: "42704", Message: fmt.Sprintf("constraint %q for table %q does not exist", stmt.Target.Part, o.Name)}
	case takenConstraint(o, stmt.To):
		return nil, nil, &syntax.Error{Code: "42710", Message: fmt.Sprintf("constraint %q for relation %q already exists", stmt.To, o.Name)}
	}
	if err := checkName(stmt.To, 0); err != nil {
		return nil, nil, err
	}
	if isForeign {
		foreign.Name = stmt.To
		sortForeignKeys(a.rows)
	} else {
		k.Name = stmt.To
		sortChecks(a.rows)
	}
	return in.change(o, a.object), nil, nil
}

// renameInExpressions has the expressions of a table name a column by its new name.
func renameInExpressions(rows *cluster.Collection, from, to string) error {
	var err error
	rows.Policies, rows.Triggers = slices.Clone(rows.Policies), slices.Clone(rows.Triggers)
	for i := range rows.Triggers {
		t := &rows.Triggers[i]
		if t.When == "" {
			continue
		}
		if t.When, err = syntax.RenameInExpression(t.When, from, to); err != nil {
			return err
		}
	}
	for i := range rows.Policies {
		for _, text := range []*string{&rows.Policies[i].Using, &rows.Policies[i].Check} {
			if *text == "" {
				continue
			}
			if *text, err = syntax.RenameInExpression(*text, from, to); err != nil {
				return err
			}
		}
	}
	for i := range rows.Checks {
		k := &rows.Checks[i]
		if k.Expression, err = syntax.RenameInExpression(k.Expression, from, to); err != nil {
			return err
		}
	}
	for i := range rows.Indexes {
		for _, text := range rows.Indexes[i].Texts() {
			if *text, err = syntax.RenameInExpression(*text, from, to); err != nil {
				return err
			}
		}
	}
	for i := range rows.Columns {
		column := &rows.Columns[i]
		if column.Generated == "" {
			continue
		}
		if column.Generated, err = syntax.RenameInExpression(column.Generated, from, to); err != nil {
			return err
		}
	}
	return nil
}

// generatedFrom are the generated columns whose values are computed from the column.
func generatedFrom(rows *cluster.Collection, column string) []*cluster.Column {
	var out []*cluster.Column
	for i := range rows.Columns {
		if c := &rows.Columns[i]; c.Generated != "" {
			if names, err := syntax.ExpressionColumns(c.Generated); err == nil && slices.Contains(names, column) {
				out = append(out, c)
			}
		}
	}
	return out
}

// generatedColumn makes a column a generated one, if its definition says so.
func (s Scope) generatedColumn(table string, column *cluster.Column, def *syntax.ColumnDef) (err error) {
	what := ""
	switch {
	case def.Generated == "":
		return nil
	case def.Serial || def.Default != "":
		what = "default"
	case def.Identity != nil:
		what = "identity"
	}
	if what != "" {
		return &syntax.Error{Code: "42601", Message: fmt.Sprintf("both %s and generation expression specified for column %q of table %q", what, def.Name, table), Position: def.GeneratedPosition}
	}
	if column.Generated, err = syntax.BareColumns(def.Generated, table); err == nil {
		column.Generated, err = syntax.BareEnums(column.Generated, s.isEnum)
	}
	return err
}

func unsupportedAt(what, hint string, position int) *syntax.Error {
	err := syntax.Unsupported(what, hint)
	err.Position = position
	return err
}
