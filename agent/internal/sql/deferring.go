package sql

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/exec"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// deferring is what SET CONSTRAINTS has said in a transaction: of all that can be deferred,
// and after that of some. It is immutable; nil: nothing was said.
type deferring struct {
	all  *bool
	keys map[cluster.ObjectID]bool
}

// with is what was said with one statement more; no keys: all are meant.
func (d *deferring) with(keys []cluster.ObjectID, deferred bool) *deferring {
	if len(keys) == 0 {
		return &deferring{all: &deferred}
	}
	out := &deferring{keys: map[cluster.ObjectID]bool{}}
	if d != nil {
		out.all = d.all
		for k, v := range d.keys {
			out.keys[k] = v
		}
	}
	for _, k := range keys {
		out.keys[k] = deferred
	}
	return out
}

// defers reports whether COMMIT looks at a constraint.
func (d *deferring) defers(k cluster.Deferral) bool {
	if d == nil || !k.Deferrable {
		return k.Deferrable && k.Deferred
	}
	if said, ok := d.keys[k.ID]; ok {
		return said
	}
	if d.all != nil {
		return *d.all
	}
	return k.Deferred
}

// setConstraints runs SET CONSTRAINTS. What is not deferred any more is looked at.
func (s *Session) setConstraints(ctx context.Context, node *syntax.SetConstraints, at time.Time) (string, error) {
	const tag = "SET CONSTRAINTS"
	if !s.block {
		s.notice("WARNING", "25P01", "SET CONSTRAINTS can only be used in transaction blocks")
		return tag, nil
	}
	var keys []cluster.ObjectID
	for _, name := range node.Names {
		found, err := s.deferrable(name)
		if err != nil {
			return "", err
		}
		keys = append(keys, found...)
	}
	s.deferring = s.deferring.with(keys, node.Deferred)
	now := func(k cluster.Deferral) bool { return !s.deferring.defers(k) }
	if err := s.fireDeferred(ctx, now); err != nil {
		return "", err
	}
	return tag, s.settleDeferred(ctx, at, now)
}

// deferralOf is when the constraint of a table with the name is looked at.
func deferralOf(rows *cluster.Collection, name string) (d cluster.Deferral, ok bool) {
	if k, ok := rows.ForeignKey(name); ok {
		return k.Deferral(), true
	}
	if x, ok := rows.Index(name); ok && x.Constraint != "" {
		return x.Deferral(), true
	}
	if t, ok := rows.Trigger(name); ok && t.Constraint {
		return t.Deferral(), true
	}
	_, check := rows.Check(name)
	return d, check || name == rows.KeyName
}

// deferrable are the constraints of the name, in the first schema of the path that has one.
func (s *Session) deferrable(name syntax.Name) ([]cluster.ObjectID, error) {
	scope := s.scope()
	path := scope.SearchPath()
	if name.Schema != "" {
		path = []string{name.Schema}
	}
	for _, schema := range path {
		var keys []cluster.ObjectID
		for _, t := range scope.Tables() {
			k, ok := deferralOf(t.Desc.Collection, name.Name)
			switch {
			case !ok || t.Schema().Name != schema:
			case !k.Deferrable:
				return nil, &Error{Code: "42809", Message: fmt.Sprintf("constraint %q is not deferrable", name.Name)}
			default:
				keys = append(keys, k.ID)
			}
		}
		if len(keys) > 0 {
			return slices.Clip(keys), nil
		}
	}
	return nil, &Error{Code: "42704", Message: fmt.Sprintf("constraint %q does not exist", name.Name)}
}

// settleDeferred looks at what was deferred of some constraints.
func (s *Session) settleDeferred(ctx context.Context, at time.Time, now func(cluster.Deferral) bool) error {
	if !s.tx.Defers() {
		return nil
	}
	run := s.server.internalRun(&queryplan.Env{Now: s.began, Statement: at, Session: s.environment(ctx)})
	run.Tx, run.Memory = s.tx, s.memory
	run.Waiting = exec.Waiting{Lock: s.settings.Duration("lock_timeout"), Deadlock: s.settings.Duration("deadlock_timeout")}
	run.Tables = func(id cluster.ObjectID) (*catalog.Table, bool) { return s.scope().TableByID(id) }
	return run.SettleDeferred(ctx, now)
}
