package catalog

import (
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// MovesTo is the place that the rows, or the entries, are on their way to.
func (t *Table) MovesTo() (to cluster.Place, moves bool) {
	m := t.Owner().Desc.Collection.Move
	switch {
	case m == nil:
		return to, false
	case t.Of == nil:
		return cluster.Place{Pool: m.Pool, ID: m.Rows}, true
	}
	return m.IndexTo(t.Desc.ID)
}

// setPool has the table go to another pool: at once if it has no rows, else by an operation
// that copies them.
func (a *alteration) setPool(action *syntax.SetPool) error {
	view := a.scope.View
	to, err := poolOf(view, action.Pool, action.Position)
	if err == nil {
		err = unmoved(a.object)
	}
	switch {
	case err != nil:
		return err
	case a.rows.Pool == to:
		return nil
	case a.empty:
		a.rows.Pool, a.changed = to, true
		return nil
	case a.ask.Own(a.object.ID):
		return syntax.Unsupported("ALTER TABLE ... SET POOL of a table that this transaction has made and written to", "Set the pool before, or create the table WITH (pool = ...).")
	case a.ask.Block:
		return &syntax.Error{Code: "25001", Message: "ALTER TABLE ... SET POOL cannot run inside a transaction block", Hint: "Run it on its own."}
	case underWay(a.rows):
		return &syntax.Error{Code: "55006", Message: fmt.Sprintf("table %q is being changed by another operation", a.object.Name), Hint: "Try again when it has ended: SHOW OPERATIONS says how far it is."}
	}
	if a.rows.Move, err = a.moveTo(to); err != nil {
		return err
	}
	a.changed = true
	what := a.carriedOn()
	what.Move, what.From, what.To = true, view.PoolName(a.rows.Pool), view.PoolName(to)
	return nil
}

// underWay reports whether an operation looks at the rows of a table, or writes what follows
// from them: it would have to begin anew where they go.
func underWay(rows *cluster.Collection) bool {
	return slices.ContainsFunc(rows.Indexes, func(x cluster.Index) bool { return x.State != "" || x.Dropped }) ||
		slices.ContainsFunc(rows.Columns, func(c cluster.Column) bool { return c.NotNullState != "" }) ||
		slices.ContainsFunc(rows.Checks, func(k cluster.Check) bool { return k.State != "" || k.Leaving }) ||
		slices.ContainsFunc(rows.ForeignKeys, func(k cluster.ForeignKey) bool { return k.State != "" || k.Leaving })
}

// unmoved refuses to change what a table keeps while it is moved.
func unmoved(o *cluster.Object) error {
	if o.Collection == nil || o.Collection.Move == nil {
		return nil
	}
	if err := unconverted(o); err != nil {
		return err
	}
	return &syntax.Error{Code: "55006", Message: fmt.Sprintf("table %q is being moved to another pool", o.Name), Hint: "Try again when that has ended: SHOW OPERATIONS says how far it is."}
}

// unmovedBy refuses a change of what the table keeps while it is moved.
func (a *alteration) unmovedBy(o *cluster.Object) error {
	same := slices.EqualFunc(a.rows.Indexes, o.Collection.Indexes, func(x, y cluster.Index) bool { return x.ID == y.ID && x.State == y.State && x.Dropped == y.Dropped })
	if same && a.later == nil {
		return nil
	}
	return unmoved(o)
}
