package exec

import (
	"context"
	"errors"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

// lockFirst locks the row of a change that names one by its key and says nothing else of
// it, without having read it: the lock tells what it is, and that is what it was at the
// statement's snapshot, unless it is newer. ok is false where the row has to be looked for
// as always: it is locked by another, and who waits for a row that its snapshot does not
// have would wait for nothing; it is not there, and what is not there is not locked; or it
// is newer.
func (r *Run) lockFirst(ctx context.Context, ch *queryplan.Change) (rows []found, ok bool, err error) {
	if r.Tx.level != txn.ReadCommitted || ch.Slow != nil || ch.Keys != nil || ch.Filter != nil || !ch.Access.ByKey() {
		return nil, false, nil
	}
	keys, err := ch.Access.Keys(r.Env)
	if err != nil || len(keys) != 1 {
		return nil, false, err
	}
	if _, own := r.Tx.find(ch.Table, keys[0]); own {
		return nil, false, nil
	}
	ts, err := r.snapshot(ctx)
	if err != nil {
		return nil, false, err
	}
	mark := r.Tx.Transaction().Mark()
	now, _, err := r.lockAs(ctx, ch.Table, txn.LockRequest{Keys: keys, Strength: strengthOf(ch), Wait: evaluation.NoWait, Try: true})
	if errors.Is(err, txn.ErrLockNotAvailable) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	if now[0].Value == nil || now[0].Version > ts {
		if err := r.Tx.Transaction().BackTo(ctx, mark); err != nil {
			return nil, false, fmt.Errorf("unlock a row of %q: %w", ch.Table.Name(), err)
		}
		return nil, false, nil
	}
	f := found{key: keys[0], version: now[0].Version, locked: true}
	_, err = r.again(ch, &f, &now[0])
	return []found{f}, true, err
}
