package exec

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/lock"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

// Waiting is how a statement waits for the locks of others.
type Waiting struct {
	Lock     time.Duration // at most; 0: as long as it takes
	Deadlock time.Duration // before it looks for a deadlock
	// Durable has the locks of SELECT FOR UPDATE and the like outlive the leaders of
	// their ranges.
	Durable bool
}

// lock waits for locks of rows and returns them as they are now.
func (r *Run) lock(ctx context.Context, table *catalog.Table, keys [][]byte, s lock.Strength) ([]kv.Row, error) {
	rows, _, err := r.lockAs(ctx, table, txn.LockRequest{Keys: keys, Strength: s, Wait: evaluation.Block})
	return rows, err
}

func (r *Run) lockAs(ctx context.Context, table *catalog.Table, req txn.LockRequest) ([]kv.Row, []bool, error) {
	if len(req.Keys) == 0 {
		return nil, nil, nil
	}
	t := r.Tx.Transaction()
	t.SetDeadlockTimeout(r.Waiting.Deadlock)
	t.SetLockTimeout(r.Waiting.Lock)
	req.Pool, req.Collection, req.Timeout, req.Memory = table.Pool(), table.ID(), r.Waiting.Lock, r.Memory
	rows, skipped, err := t.Lock(ctx, req)
	switch {
	case errors.Is(err, txn.ErrLockTimeout):
		return nil, nil, &syntax.Error{Code: "55P03", Message: "canceling statement due to lock timeout", Table: table.Name()}
	case req.Try && errors.Is(err, txn.ErrLockNotAvailable):
		return nil, nil, txn.ErrLockNotAvailable
	case errors.Is(err, txn.ErrLockNotAvailable):
		return nil, nil, &syntax.Error{Code: "55P03", Message: fmt.Sprintf("could not obtain lock on row in relation %q", table.Name()), Table: table.Name()}
	case err != nil:
		return nil, nil, fmt.Errorf("lock rows of %q: %w", table.Name(), err)
	}
	return rows, skipped, nil
}

// lockAbsent locks keys that the transaction is about to insert. One that is there is
// what violation says; what the transaction itself has written is not looked at.
func (r *Run) lockAbsent(ctx context.Context, table *catalog.Table, keys [][]byte, violation func(key []byte) error) error {
	keys = slices.DeleteFunc(keys, func(k []byte) bool {
		_, own := r.Tx.find(table, k)
		return own
	})
	rows, err := r.lock(ctx, table, keys, lock.Update)
	var conflict *txn.ConflictError
	if errors.As(err, &conflict) && r.Tx.level == txn.RepeatableRead {
		return r.appeared(ctx, table, keys, violation, err)
	}
	if err != nil {
		return err
	}
	for i := range rows {
		if rows[i].Value != nil {
			return violation(rows[i].Key)
		}
	}
	return nil
}

// appeared says why keys could not be locked that have changed since the snapshot: one
// that is there now is a violation, as in PostgreSQL, where a unique index is looked at as
// it is.
func (r *Run) appeared(ctx context.Context, table *catalog.Table, keys [][]byte, violation func(key []byte) error, conflict error) error {
	for part := range slices.Chunk(keys, keyBatch) {
		rows, err := r.DB.Get(ctx, kv.GetRequest{Pool: table.Pool(), Collection: table.ID(), Keys: part, Schema: table.ReadVersion()})
		if err != nil {
			return fmt.Errorf("look for the keys that are there: %w", err)
		}
		for i := range rows {
			if rows[i].Value != nil {
				return violation(rows[i].Key)
			}
		}
	}
	return conflict
}

// lockBatch is how many rows a SELECT FOR UPDATE locks at once, if it takes so many.
const lockBatch = 256

// locker locks the rows of a SELECT FOR UPDATE or the like before they are given out, in
// their order, and no more of them than the statement gives out.
type locker struct {
	p    *projector
	rows []kv.Row // to be locked
	row  []datum.Datum
}

func (l *locker) add(ctx context.Context, row kv.Row) (more bool, err error) {
	if err := l.p.run.Memory.Grow(row.Size()); err != nil {
		return false, err
	}
	if l.rows = append(l.rows, row); len(l.rows) < l.want() {
		return true, nil
	}
	return l.flush(ctx)
}

// want is how many rows to lock together.
func (l *locker) want() int {
	if l.p.limit < 0 {
		return lockBatch
	}
	return int(max(1, min(lockBatch, l.p.limit-l.p.emitted+l.p.offset)))
}

// flush locks the rows that were added and gives them out as they are now, unless they
// do not match any more.
func (l *locker) flush(ctx context.Context) (more bool, err error) {
	p, r, table := l.p, l.p.run, l.p.plan.Table
	rows := l.rows
	l.rows = nil
	var keys [][]byte
	for i := range rows {
		if _, own := r.Tx.find(table, rows[i].Key); !own {
			keys = append(keys, rows[i].Key)
		}
	}
	now, skipped, err := r.lockAs(ctx, table, txn.LockRequest{Keys: keys, Strength: p.plan.Lock.Strength, Wait: p.plan.Lock.Wait, Durable: r.Waiting.Durable})
	if err == nil && p.plan.Lock.Strength == lock.KeyShare && !r.Planted.keyShareBlind() {
		err = r.readAgain(ctx, table, now)
	}
	if err != nil {
		return false, err
	}
	for i := range rows {
		kr := &rows[i]
		r.Memory.Shrink(kr.Size())
		if _, own := r.Tx.find(table, kr.Key); !own {
			locked, skip := now[0], skipped[0]
			now, skipped = now[1:], skipped[1:]
			if skip || locked.Value == nil {
				continue
			}
			kr = &locked
		}
		if err := p.plan.Decoder.Decode(kr.Key, kr.Value, l.row); err != nil {
			return false, err
		}
		if ok, err := r.accepts(p.plan.Filter, l.row); err != nil {
			return false, err
		} else if !ok {
			continue
		}
		if more, err := p.row(l.row); err != nil || !more {
			return false, err
		}
	}
	return true, nil
}

// readAgain reads rows that were locked FOR KEY SHARE as they are now. One that was just
// committed may be an intent still, which is not in the way of such a lock, and which the lock
// does not see; whoever reads does.
func (r *Run) readAgain(ctx context.Context, table *catalog.Table, rows []kv.Row) error {
	for part := range slices.Chunk(rows, keyBatch) {
		keys := make([][]byte, len(part))
		for i := range part {
			keys[i] = part[i].Key
		}
		now, err := r.DB.Get(ctx, kv.GetRequest{Pool: table.Pool(), Collection: table.ID(), Keys: keys})
		if err != nil {
			return fmt.Errorf("read rows of %q that were locked: %w", table.Name(), err)
		}
		for i := range now {
			if r.Tx.level != txn.ReadCommitted && now[i].Version > r.TS {
				return &txn.ConflictError{Reason: "a row changed since it was read"}
			}
		}
		copy(part, now)
	}
	return nil
}

// selectLocked runs a SELECT FOR UPDATE or the like that is in no transaction: its locks
// last as long as it does.
func (r *Run) selectLocked(ctx context.Context, s *queryplan.Select) (int64, error) {
	in := *r
	in.TS = 0
	in.Tx = NewTx(r.DB, TxOptions{Writer: r.Writer, Info: r.Info, Memory: r.Memory, Planted: r.Planted})
	in.Tx.Begin(r.Level)
	defer in.Tx.Close()
	return in.Select(ctx, s)
}
