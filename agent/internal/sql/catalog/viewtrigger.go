package catalog

import (
	"context"
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// createViewTrigger makes a trigger of a view.
func (c *Catalog) createViewTrigger(ctx context.Context, in Scope, o *cluster.Object, stmt *syntax.CreateTrigger, check func(*Table, *cluster.TableTrigger) error) (*Draft, error) {
	if err := offeredOfView(o, stmt); err != nil {
		return nil, err
	}
	if err := checkName(stmt.Name, 0); err != nil {
		return nil, err
	}
	v, err := in.view(o)
	if err != nil {
		return nil, err
	}
	t, err := in.newTrigger(stmt)
	if err != nil {
		return nil, err
	}
	next, list := withTriggers(o)
	if was, ok := o.View.Trigger(t.Name); ok {
		if !stmt.Replace {
			return nil, &syntax.Error{Code: "42710", Message: fmt.Sprintf("trigger %q for relation %q already exists", t.Name, o.Name)}
		}
		t.ID, t.Comment = was.ID, was.Comment
		*list = slices.DeleteFunc(*list, func(other cluster.TableTrigger) bool { return other.Name == t.Name })
	} else if t.ID, err = c.NewID(ctx); err != nil {
		return nil, err
	}
	if err := check(v.Rows(), &t); err != nil {
		return nil, err
	}
	*list = append(*list, t)
	sortTriggers(*list)
	needTriggers(next, o.View.Triggers)
	return in.calling(in.change(o, next), &t), nil
}

// offeredOfView refuses what triggers of views do not do.
func offeredOfView(o *cluster.Object, stmt *syntax.CreateTrigger) error {
	instead := stmt.Timing == cluster.InsteadOfRows
	wrong := func(detail string) error {
		return &syntax.Error{Code: "42809", Message: fmt.Sprintf("%q is a view", o.Name), Detail: detail}
	}
	refused := func(message string) error { return &syntax.Error{Code: "0A000", Message: message} }
	switch {
	case !instead && stmt.ForEach == "ROW":
		return wrong("Views cannot have row-level BEFORE or AFTER triggers.")
	case slices.Contains(stmt.Events, cluster.OnTruncate):
		return wrong("Views cannot have TRUNCATE triggers.")
	case instead && stmt.ForEach != "ROW":
		return refused("INSTEAD OF triggers must be FOR EACH ROW")
	case instead && stmt.When != "":
		return refused("INSTEAD OF triggers cannot have WHEN conditions")
	case instead && len(stmt.Columns) > 0:
		return refused("INSTEAD OF triggers cannot have column lists")
	case len(stmt.Columns) > 0:
		return syntax.Unsupported("UPDATE OF in a statement trigger of a view", "Without columns it fires for every UPDATE.")
	}
	return nil
}

// InsteadOf reports whether the view has a trigger that does what a statement would do.
func (v *View) InsteadOf(event string) bool {
	return slices.ContainsFunc(v.Desc.View.Triggers, func(t cluster.TableTrigger) bool { return t.Row && t.On(event) })
}

// Rows is the view as a table, without a key, that triggers fire for: it has its columns
// and its triggers.
func (v *View) Rows() *Table {
	v.rows.Do(func() {
		desc := *v.Desc
		desc.Collection = &cluster.Collection{Triggers: v.Desc.View.Triggers}
		v.table = &Table{Desc: &desc, Columns: v.Columns, schema: v.schema, byName: map[string]int{}}
		for i, c := range v.Columns {
			v.table.byName[c.Name] = i
			desc.Collection.Columns = append(desc.Collection.Columns, cluster.Column{ID: c.ID, Name: c.Name})
		}
	})
	return v.table
}
