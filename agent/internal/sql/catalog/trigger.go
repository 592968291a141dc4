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
	t, err := in.newTrigger(stmt)
	if err != nil {
		return nil, err
	}
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
	needTriggers(a.object, o.Collection.Triggers)
	return in.calling(in.change(o, a.object), &t), nil
}

// newTrigger is what a statement says of a trigger.
func (s Scope) newTrigger(stmt *syntax.CreateTrigger) (cluster.TableTrigger, error) {
	t := cluster.TableTrigger{Name: stmt.Name, Timing: stmt.Timing, Events: stmt.Events, Row: stmt.ForEach == "ROW", When: stmt.When,
		OldTable: stmt.OldTable, NewTable: stmt.NewTable, Constraint: stmt.Constraint, Deferrable: stmt.Deferrable, Deferred: stmt.Deferred}
	if stmt.Body != nil {
		t.Body = stmt.Body.Text
		return t, nil
	}
	f, err := s.TriggerFunction(*stmt.Function)
	if err != nil {
		return t, err
	}
	t.Function, t.Args = f.ID, stmt.Args
	return t, nil
}

// TriggerFunction finds the function that CREATE TRIGGER names.
func (s Scope) TriggerFunction(name syntax.Name) (*cluster.Object, error) {
	for _, o := range s.Functions(name) {
		if len(o.Function.Inputs()) > 0 || o.Function.Procedure {
			continue
		}
		if o.Function.Returns.Type != cluster.TriggerType {
			return nil, &syntax.Error{Code: "42P17", Message: fmt.Sprintf("function %s must return type trigger", written(name))}
		}
		return o, nil
	}
	if gone := s.noSchema(name); gone != nil {
		return nil, gone
	}
	return nil, &syntax.Error{Code: "42883", Message: fmt.Sprintf("function %s() does not exist", written(name))}
}

// triggerFunctions are those that triggers call.
func triggerFunctions(list []cluster.TableTrigger) (out []cluster.ObjectID) {
	for i := range list {
		if list[i].Function != 0 {
			out = append(out, list[i].Function)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// needTriggers has an object that was copied need the functions of its triggers, which were
// others before.
func needTriggers(o *cluster.Object, was []cluster.TableTrigger) {
	before := triggerFunctions(was)
	needs := slices.DeleteFunc(slices.Clone(o.Needs), func(id cluster.ObjectID) bool { return slices.Contains(before, id) })
	needs = append(needs, triggerFunctions(triggersOf(o))...)
	slices.Sort(needs)
	o.Needs = slices.Compact(needs)
}

// calling has a trigger that was made call its function. The function gets a new version by
// that: who changes it meanwhile, and has not seen the trigger, has to look again.
func (s Scope) calling(d *Draft, t *cluster.TableTrigger) *Draft {
	if t.Function == 0 {
		return d
	}
	s.Draft = d
	f, ok := s.Object(t.Function)
	if !ok {
		return d
	}
	same := *f
	return s.change(f, &same)
}

// settleTriggers takes triggers away whose functions are gone.
func (s Scope) settleTriggers(next *Draft, gone *going) (lines, cascades []string) {
	s.Draft = next
	for _, o := range s.objects(func(o *cluster.Object) bool { return len(triggersOf(o)) > 0 }) {
		was := triggersOf(o)
		if !slices.ContainsFunc(was, func(t cluster.TableTrigger) bool { return gone.objects[t.Function] != nil }) {
			continue
		}
		changed, list := withTriggers(o)
		*list = nil
		for _, t := range was {
			f := gone.objects[t.Function]
			if f == nil {
				*list = append(*list, t)
				continue
			}
			what := fmt.Sprintf("trigger %s on %s %s", t.Name, o.Kind, s.pathName(o))
			lines, cascades = append(lines, fmt.Sprintf("%s depends on function %s", what, s.described(f))), append(cascades, what)
		}
		needTriggers(changed, was)
		next.alter(s, o, changed)
	}
	return lines, cascades
}

// refire has tables and views whose triggers call a function, and tables whose expressions
// do, be other ones: who writes by what it was before is refused.
func (s Scope) refire(next *Draft, function cluster.ObjectID) *Draft {
	s.Draft = next
	calls := func(t cluster.TableTrigger) bool { return t.Function == function }
	all := s.through(function)
	for _, o := range s.objects(func(o *cluster.Object) bool { return o.Collection != nil || o.View != nil }) {
		fires := slices.ContainsFunc(triggersOf(o), calls)
		computes := o.Collection != nil && callsAny(all, callTexts(o.Collection)...)
		if !fires && !computes {
			continue
		}
		changed, list := withTriggers(o)
		for i := range *list {
			if calls((*list)[i]) {
				(*list)[i].Revision++
			}
		}
		if computes {
			changed.Collection.CallsRevision++
		}
		s.Draft = s.change(o, changed)
	}
	return s.Draft
}

// offeredTrigger refuses what triggers do not do.
func offeredTrigger(stmt *syntax.CreateTrigger) *syntax.Error {
	switch {
	case stmt.Constraint && stmt.Replace:
		return &syntax.Error{Code: "0A000", Message: "CREATE OR REPLACE CONSTRAINT TRIGGER is not supported"}
	case stmt.From != nil:
		return syntax.Unsupported("FROM in CREATE CONSTRAINT TRIGGER", "It changes nothing of what the trigger does: leave it out.")
	case stmt.OldTable != "" || stmt.NewTable != "":
		return offeredTransition(stmt)
	case stmt.ForEach == "ROW" && slices.Contains(stmt.Events, cluster.OnTruncate):
		return &syntax.Error{Code: "0A000", Message: "TRUNCATE FOR EACH ROW triggers are not supported"}
	}
	return nil
}

// offeredTransition refuses the names for rows of a statement that a trigger cannot have.
func offeredTransition(stmt *syntax.CreateTrigger) *syntax.Error {
	on := func(event string) bool { return slices.Contains(stmt.Events, event) }
	refuse := func(code, message string) *syntax.Error { return &syntax.Error{Code: code, Message: message} }
	switch {
	case stmt.Timing != cluster.AfterRows:
		return refuse("42P17", "transition table name can only be specified for an AFTER trigger")
	case on(cluster.OnTruncate):
		return refuse("42P17", "TRUNCATE triggers with transition tables are not supported")
	case len(stmt.Events) > 1:
		return refuse("0A000", "transition tables cannot be specified for triggers with more than one event")
	case len(stmt.Columns) > 0:
		return refuse("0A000", "transition tables cannot be specified for triggers with column lists")
	case stmt.NewTable != "" && on(cluster.OnDelete):
		return refuse("42P17", "NEW TABLE can only be specified for an INSERT or UPDATE trigger")
	case stmt.OldTable != "" && on(cluster.OnInsert):
		return refuse("42P17", "OLD TABLE can only be specified for a DELETE or UPDATE trigger")
	case stmt.OldTable == stmt.NewTable:
		return refuse("42P17", "OLD TABLE name and NEW TABLE name cannot be the same")
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
	needTriggers(next, triggersOf(o))
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

// triggersOf are those of a table or a view.
func triggersOf(o *cluster.Object) []cluster.TableTrigger {
	switch {
	case o.Kind == cluster.KindView:
		return o.View.Triggers
	case o.Collection != nil:
		return o.Collection.Triggers
	}
	return nil
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
	was := a.rows.Triggers
	a.rows.Triggers = kept
	needTriggers(a.object, was)
	return nil
}
