package exec

import (
	"context"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// deferredKey is what COMMIT, or SET CONSTRAINTS, is to look at of a foreign key: rows that
// were written, or keys that are gone.
type deferredKey struct {
	child   cluster.CollectionID
	key     cluster.ObjectID
	changes []rowChange
	gone    []*goneKey
}

func (r *Run) defers(l *link) bool { return r.Deferred != nil && r.Deferred(l.key) }

// Defers reports whether foreign keys have left something to COMMIT.
func (t *Tx) Defers() bool { return len(t.deferred) > 0 }

// SettleDeferred looks at what was deferred of the foreign keys that now accepts, as they
// and the rows are by now. A key that was dropped meanwhile asks for nothing.
func (r *Run) SettleDeferred(ctx context.Context, now func(*cluster.ForeignKey) bool) error {
	var rest []deferredKey
	for _, d := range r.Tx.deferred {
		child, ok := r.Tables(d.child)
		if !ok {
			continue
		}
		l, err := r.keyOf(child, d.key)
		if err != nil {
			return err
		}
		switch {
		case l == nil:
			continue
		case !now(l.key):
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
