package exec

import (
	"context"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
)

// cascade is what becomes of rows that referred to keys which are gone.
type cascade struct {
	link   *link
	action string
	rows   []found
	gone   []*goneKey // that each of rows referred to
	change *queryplan.Change
}

// begin prepares the change of the child.
func (c *cascade) begin() error {
	rules, err := queryplan.RulesOf(c.link.child)
	if err != nil {
		return err
	}
	c.change = &queryplan.Change{Table: c.link.child, Rules: rules, Entries: rules.Entries}
	for _, i := range c.link.columns {
		c.change.SetColumns = append(c.change.SetColumns, i)
		c.change.KeyChange = c.change.KeyChange || c.link.child.IsKey(i)
	}
	return nil
}

// run locks the rows and changes those that refer to the keys still.
func (c *cascade) run(ctx context.Context, r *Run) error {
	if len(c.rows) == 0 {
		return nil
	}
	c.change.Delete = c.action == cluster.Cascade && c.gone[0].next == nil
	rows, gone, err := c.lock(ctx, r)
	if err != nil {
		return err
	}
	in := *r
	if in.Triggers, err = r.Fire(ctx, r, c.change); err != nil {
		return err
	}
	for i := range rows {
		f := &rows[i]
		if f.fired = true; c.change.Delete {
			continue
		}
		if f.next, err = c.next(r, f, gone[i]); err != nil {
			return err
		}
		if in.Triggers != nil { // they see it first
			continue
		}
		if err := r.complete(c.link.child, c.change.Rules, f.next); err != nil {
			return err
		}
	}
	if in.Triggers == nil {
		_, err = in.bufferChanges(ctx, c.change, rows)
		return err
	}
	// A trigger can have a row stay as it is. It must not refer to what is gone.
	r.work.late = append(r.work.late, lateKeys{c.link, gone})
	c.change.KeyChange = c.change.KeyChange || in.Triggers.Keys
	_, err = in.changeFired(ctx, c.change, rows)
	return err
}

// lock locks the rows, and leaves out those that do not refer to the keys any more.
func (c *cascade) lock(ctx context.Context, r *Run) (rows []found, gone []*goneKey, err error) {
	var keys [][]byte
	for i := range c.rows {
		if !c.rows[i].own {
			keys = append(keys, c.rows[i].key)
		}
	}
	locked, err := r.lock(ctx, c.link.child, keys, strengthOf(c.change))
	if err != nil {
		return nil, nil, err
	}
	byKey := map[string]*goneKey{}
	for _, g := range c.gone {
		byKey[string(g.key)] = g
	}
	for i := range c.rows {
		f, g := &c.rows[i], c.gone[i]
		if !f.own {
			var now kv.Row
			now, locked = locked[0], locked[1:]
			if now.Value == nil {
				continue
			}
			if f, g, err = r.refersTo(c.link, byKey, &now); err != nil {
				return nil, nil, err
			}
			if g == nil {
				continue
			}
		}
		rows, gone = append(rows, *f), append(gone, g)
	}
	return rows, gone, nil
}

// next is a row after ON UPDATE CASCADE, or SET NULL or DEFAULT.
func (c *cascade) next(r *Run, f *found, g *goneKey) ([]datum.Datum, error) {
	child := c.link.child
	next := slices.Clone(f.row)
	for i, column := range c.link.columns {
		d := &child.Columns[column]
		only := c.link.key.SetColumns
		if g.next == nil && len(only) > 0 && !slices.Contains(only, d.ID) {
			continue
		}
		var err error
		switch c.action {
		case cluster.Cascade:
			next[column], err = queryplan.Assign(r.Env, g.next[i], d.Type, d.Modifier)
		case cluster.SetNull:
			next[column] = datum.MakeNull(d.Type)
		default:
			var e queryplan.Expr
			if e, err = queryplan.CompileDefault(*d, &queryplan.Uses{}); err == nil {
				next[column], err = e.Eval(r.Env)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return next, nil
}
