package exec

import (
	"context"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// deferredKey is what COMMIT, or SET CONSTRAINTS, is to look at of a constraint: rows that
// were written, or keys that are gone.
type deferredKey struct {
	child   cluster.CollectionID
	key     cluster.ObjectID // of a foreign key, or a unique index
	changes []rowChange
	gone    []*goneKey
}

func (r *Run) defers(l *link) bool { return r.Deferred != nil && r.Deferred(l.key.Deferral()) }

// Defers reports whether foreign keys have left something to COMMIT.
func (t *Tx) Defers() bool { return len(t.deferred) > 0 }

// SettleDeferred looks at what was deferred of the constraints that now accepts, as they
// and the rows are by now. One that was dropped meanwhile asks for nothing.
func (r *Run) SettleDeferred(ctx context.Context, now func(cluster.Deferral) bool) error {
	var rest []deferredKey
	for _, d := range r.Tx.deferred {
		child, ok := r.Tables(d.child)
		if !ok {
			continue
		}
		if x := uniqueOf(child, d.key); x != nil {
			if !now(x.Desc.Deferral()) {
				rest = append(rest, d)
			} else if err := r.distinct(ctx, x, d.changes); err != nil {
				return err
			}
			continue
		}
		l, err := r.keyOf(child, d.key)
		if err != nil {
			return err
		}
		switch {
		case l == nil:
			continue
		case !now(l.key.Deferral()):
			rest = append(rest, d)
			continue
		}
		if err := r.arrive(ctx, l, d.changes); err != nil {
			return err
		}
		if err := r.refuseReferring(ctx, l, d.gone); err != nil {
			return err
		}
	}
	r.Tx.deferred = slices.Clip(rest)
	return nil
}
