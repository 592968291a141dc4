package catalog

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// CreateTrigger makes a trigger of a table in the draft of scope. check refuses what
// cannot be done.
func (c *Catalog) CreateTrigger(ctx context.Context, in Scope, stmt *syntax.CreateTrigger, check func(*Table, *cluster.TableTrigger) error) (*Draft, error) {
	if err := offeredTrigger(stmt); err != nil {
		return nil, err
	}
	o, ok := in.Relation(stmt.Table)
	switch {
	case !ok:
		return nil, noTable(stmt.Table, "")
	case o.Kind == cluster.KindView:
		return c.createViewTrigger(ctx, in, o, stmt, check)
	case o.Kind != cluster.KindTable:
		return nil, &syntax.Error{Code: "42809", Message: fmt.Sprintf("relation %q cannot have triggers", o.Name), Detail: "This operation is not supported for " + string(o.Kind) + "s."}
	case stmt.Timing == "INSTEAD OF":
		return nil, &syntax.Error{Code: "42809", Message: fmt.Sprintf("%q is a table", o.Name), Detail: "Tables cannot have INSTEAD OF triggers."}
	}
	if err := checkName(stmt.Name, 0); err != nil {
		return nil, err
	}
	t := cluster.TableTrigger{Name: stmt.Name, Timing: stmt.Timing, Events: stmt.Events, Row: stmt.ForEach == "ROW", When: stmt.When, Body: stmt.Body.Text}
	for _, name := range stmt.Columns {
		column, ok := o.Collection.Column(name)
		switch {
		case !ok || column.Hidden:
			return nil, &syntax.Error{Code: "42703", Message: fmt.Sprintf("column %q of relation %q does not exist", name, o.Name)}
		case slices.Contains(t.Columns, column.ID):
			return nil, &syntax.Error{Code: "42701", Message: fmt.Sprintf("column %q specified more than once", name)}
		}
		t.Columns = append(t.Columns, column.ID)
	}
	table, err := in.table(o)
	if err != nil {
		return nil, err
	}
	a := newAlteration(o)
	a.rows.Triggers = slices.Clone(a.rows.Triggers)
	if was, ok := a.rows.Trigger(t.Name); ok {
		if !stmt.Replace {
			return nil, &syntax.Error{Code: "42710", Message: fmt.Sprintf("trigger %q for relation %q already exists", t.Name, o.Name)}
		}
		t.ID, t.Comment = was.ID, was.Comment
		a.rows.Triggers = slices.DeleteFunc(a.rows.Triggers, func(other cluster.TableTrigger) bool { return other.Name == t.Name })
	} else if t.ID, err = c.NewID(ctx); err != nil {
		return nil, err
	}
	if err := check(table, &t); err != nil {
		return nil, err
	}
	a.rows.Triggers = append(a.rows.Triggers, t)
	sortTriggers(a.rows.Triggers)
	return in.change(o, a.object), nil
}

// offeredTrigger refuses what triggers do not do.
func offeredTrigger(stmt *syntax.CreateTrigger) *syntax.Error {
	switch {
	case stmt.Constraint:
		return syntax.Unsupported("CREATE CONSTRAINT TRIGGER", "Use CREATE TRIGGER ... AFTER ..., whose errors undo the statement.")
	case stmt.Body == nil:
		return syntax.Unsupported("EXECUTE FUNCTION of a trigger", "Write what it does in its place: BEGIN statement; ... END, or AS 'statement; ...'.")
	case stmt.OldTable != "" || stmt.NewTable != "":
		return syntax.Unsupported("REFERENCING in CREATE TRIGGER", "Use FOR EACH ROW.")
	case stmt.ForEach == "ROW" && slices.Contains(stmt.Events, cluster.OnTruncate):
		return &syntax.Error{Code: "0A000", Message: "TRUNCATE FOR EACH ROW triggers are not supported"}
	}
	return nil
}

// DropTrigger drops a trigger in the draft of scope; the notice says that IF EXISTS did
// not find it.
func (c *Catalog) DropTrigger(in Scope, stmt *syntax.DropTrigger) (*Draft, []Notice, error) {
	o, ok := in.Relation(stmt.Table)
	switch {
	case !ok && stmt.IfExists:
		return in.Draft, []Notice{{Code: "00000", Message: noTable(stmt.Table, ", skipping").Message}}, nil
	case !ok:
		return nil, nil, noTable(stmt.Table, "")
	}
	there := false
	switch {
	case o.Kind == cluster.KindView:
		_, there = o.View.Trigger(stmt.Name)
	case o.Collection != nil:
		_, there = o.Collection.Trigger(stmt.Name)
	}
	switch {
	case !there && stmt.IfExists:
		return in.Draft, []Notice{{Code: "00000", Message: fmt.Sprintf("trigger %q for relation %q does not exist, skipping", stmt.Name, o.Name)}}, nil
	case !there:
		return nil, nil, noTrigger(o, stmt.Name)
	}
	next, list := withTriggers(o)
	*list = slices.DeleteFunc(*list, func(t cluster.TableTrigger) bool { return t.Name == stmt.Name })
	return in.change(o, next), nil, nil
}

// RenameTrigger gives a trigger another name.
func (c *Catalog) RenameTrigger(in Scope, stmt *syntax.Rename) (*Draft, error) {
	next, list, t, err := in.toTrigger(stmt.Target)
	if err != nil {
		return nil, err
	}
	if err := checkName(stmt.To, 0); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(*list, func(t cluster.TableTrigger) bool { return t.Name == stmt.To }) {
		return nil, &syntax.Error{Code: "42710", Message: fmt.Sprintf("trigger %q for relation %q already exists", stmt.To, next.Name)}
	}
	t.Name = stmt.To
	sortTriggers(*list)
	o, _ := in.Object(next.ID)
	return in.change(o, next), nil
}

func (s Scope) commentTrigger(o *cluster.Object, stmt *syntax.Comment) (*Draft, error) {
	next, _, t, err := s.toTrigger(stmt.Target)
	if err != nil {
		return nil, err
	}
	t.Comment = stmt.Text
	return s.change(o, next), nil
}

// toTrigger finds a trigger that a statement changes, in a copy of what it is of.
func (s Scope) toTrigger(target syntax.Target) (next *cluster.Object, list *[]cluster.TableTrigger, t *cluster.TableTrigger, err error) {
	o, ok := s.Relation(target.Name)
	switch {
	case !ok:
		return nil, nil, nil, noTable(target.Name, "")
	case o.Collection == nil && o.View == nil:
		return nil, nil, nil, noTrigger(o, target.Part)
	}
	next, list = withTriggers(o)
	for i := range *list {
		if (*list)[i].Name == target.Part {
			return next, list, &(*list)[i], nil
		}
	}
	return nil, nil, nil, noTrigger(o, target.Part)
}

// withTriggers copies a table or a view, with the list of its triggers.
func withTriggers(o *cluster.Object) (*cluster.Object, *[]cluster.TableTrigger) {
	if o.Kind == cluster.KindView {
		next, view := *o, *o.View
		view.Triggers = slices.Clone(view.Triggers)
		next.View = &view
		return &next, &view.Triggers
	}
	a := newAlteration(o)
	a.rows.Triggers = slices.Clone(a.rows.Triggers)
	return a.object, &a.rows.Triggers
}

func sortTriggers(list []cluster.TableTrigger) {
	slices.SortFunc(list, func(a, b cluster.TableTrigger) int { return cmp.Compare(a.Name, b.Name) })
}

func noTrigger(o *cluster.Object, name string) error {
	return &syntax.Error{Code: "42704", Message: fmt.Sprintf("trigger %q for table %q does not exist", name, o.Name)}
}

// enableTrigger is ENABLE and DISABLE TRIGGER.
func (a *alteration) enableTrigger(action *syntax.EnableTrigger) error {
	a.rows.Triggers = slices.Clone(a.rows.Triggers)
	found := action.Name == ""
	for i := range a.rows.Triggers {
		t := &a.rows.Triggers[i]
		if action.Name != "" && t.Name != action.Name {
			continue
		}
		if found = true; t.Disabled == action.Enable {
			t.Disabled, a.changed = !action.Enable, true
		}
	}
	if !found {
		return noTrigger(a.object, action.Name)
	}
	return nil
}

// inTriggers refuses to drop columns that triggers name in UPDATE OF or WHEN; with cascade
// the triggers go.
func (a *alteration) inTriggers(isGone func(cluster.ColumnID) bool, cascade bool) error {
	var kept []cluster.TableTrigger
	for i := range a.rows.Triggers {
		t := &a.rows.Triggers[i]
		named := ""
		for _, id := range t.Columns {
			if column, ok := a.rows.ColumnByID(id); ok && isGone(id) {
				named = column.Name
			}
		}
		if t.When != "" {
			names, err := syntax.ExpressionColumns(t.When)
			if err != nil {
				return err
			}
			for _, name := range names {
				if column, ok := a.rows.Column(name); ok && isGone(column.ID) {
					named = name
				}
			}
		}
		switch {
		case named == "":
			kept = append(kept, *t)
		case cascade:
			a.notice("00000", "drop cascades to trigger %s on table %s", t.Name, a.object.Name)
		default:
			return &syntax.Error{Code: "2BP01", Message: fmt.Sprintf("cannot drop column %s of table %s because other objects depend on it", named, a.object.Name),
				Detail: fmt.Sprintf("trigger %s on table %s depends on column %s of table %s", t.Name, a.object.Name, named, a.object.Name), Hint: "Use DROP ... CASCADE to drop the dependent objects too."}
		}
	}
	a.rows.Triggers = kept
	return nil
}
