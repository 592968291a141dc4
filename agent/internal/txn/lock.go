package txn

import (
	"context"
	"fmt"
	"time"

	"github.com/nodedb/nodedb/agent/internal/budget"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/lock"
)

// LockRequest asks for locks of rows of a collection.
type LockRequest struct {
	Pool       cluster.PoolID
	Collection cluster.CollectionID
	Keys       [][]byte // encoded primary keys
	Strength   lock.Strength
	Wait       evaluation.Wait // Block, NoWait or SkipLocked
	// Try, with NoWait, asks for what is to be had without a look at who is in the way, and
	// not for rows that others have waited for lately.
	Try bool
	// Durable has the locks survive the leader: they are replicated.
	Durable bool
	// Firm says that no condition of COMMIT finds out that the lock was lost: the transaction
	// ends by its record, where others abort it who take the lock from it.
	Firm bool
	// Timeout is how long to wait for others; 0: as long as it takes.
	Timeout time.Duration
	// Memory grows by what the transaction remembers of the rows, and the Size of each
	// that was found; nil: nothing is counted.
	Memory *budget.Account
}

// Lock locks rows and returns them as they are now, the newest committed version of each,
// in the order of the keys: Value is nil where there is none. With SkipLocked those that
// others have locked are skipped. A row that has changed since the transaction locked it
// before is a *ConflictError, and above read committed one that is newer than the snapshot.
func (t *Txn) Lock(ctx context.Context, req LockRequest) (found []kv.Row, skipped []bool, err error) {
	if len(req.Keys) == 0 {
		return nil, nil, nil
	}
	l := &locking{t: t, m: t.m, req: &req, found: make([]kv.Row, len(req.Keys)), skipped: make([]bool, len(req.Keys)), rows: make([][]byte, len(req.Keys))}
	l.wait = &contention{m: t.m, t: t, since: t.m.cfg.Now()}
	size := 0
	for i, k := range req.Keys {
		l.found[i].Key = k
		l.rows[i] = keys.Row(req.Pool, keys.VShardOf(req.Collection, k), req.Collection, k)
		size += 2*len(l.rows[i]) + 64
	}
	if req.Try && t.m.hottest(l.rows) >= 0 {
		return nil, nil, ErrLockNotAvailable
	}
	if err := req.Memory.Grow(int64(size)); err != nil {
		return nil, nil, fmt.Errorf("lock rows: %w", err)
	}
	t.mu.Lock()
	ended, doubtful := t.state != Open, req.Durable && t.doubts(l.rows)
	if t.iso != ReadCommitted {
		l.newest = t.snapshot
	}
	t.mu.Unlock()
	if ended {
		return nil, nil, ErrEnded
	}
	if doubtful {
		return nil, nil, &ConflictError{Reason: reasonDoubtful}
	}
	l.record = t.recordAt(l.rows[0])
	t.noteLocked(l.rows, req.Durable)
	if req.Firm {
		t.beFirm()
	}
	if req.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, req.Timeout, ErrLockTimeout)
		defer cancel()
	}
	defer t.setWaits(nil)
	if err := l.run(ctx); err != nil {
		return nil, nil, err
	}
	return l.found, l.skipped, nil
}

// locking is one Lock under way.
type locking struct {
	t       *Txn
	m       *Manager
	req     *LockRequest
	rows    [][]byte
	record  []byte
	newest  hlc.Timestamp
	found   []kv.Row
	skipped []bool
	wait    *contention
	late    lateness
}

func (l *locking) run(ctx context.Context) error {
	todo := upTo(len(l.rows))
	var again replanning
	for {
		parts, err := l.m.parts(todo, func(i int) []byte { return l.rows[i] }, func(i int) int { return len(l.rows[i]) + 8 }, chunkBytes)
		if err != nil {
			return err
		}
		calls := make([]*kv.Call, len(parts))
		for i, p := range parts {
			l.t.noteRange(p.id)
			rows := make([][]byte, len(p.items))
			for j, n := range p.items {
				rows[j] = l.rows[n]
			}
			calls[i] = &kv.Call{Range: p.id, Bytes: p.bytes, Rows: len(p.items), Request: &datastate.Lock{
				Txn: l.t.id, Record: l.record, Rows: rows, Strength: l.req.Strength, Durable: l.req.Durable, Wait: l.req.Wait, NotNewerThan: l.newest,
			}}
		}
		l.m.ranges.Do(ctx, calls)
		var by []datastate.Blocker
		if todo, by, err = l.take(ctx, calls, parts); err != nil {
			return timedOut(ctx, err)
		}
		switch {
		case len(todo) == 0:
			return nil
		case l.req.Wait != evaluation.Block:
			// Who was in the way has ended, or the range has changed.
			l.late.round()
			err = again.pause(ctx, l.m)
		case len(by) > 0:
			err = l.wait.blocked(ctx, by)
		default:
			err = again.pause(ctx, l.m)
		}
		if err != nil {
			return timedOut(ctx, err)
		}
	}
}

// timedOut is why a wait ended: kv wraps that of the context, or has one of its own.
func timedOut(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// take takes the answers; left are the rows that are to be asked for again, and by who
// has them.
func (l *locking) take(ctx context.Context, calls []*kv.Call, parts []*part) (left []int, by []datastate.Blocker, err error) {
	for i, c := range calls {
		p := parts[i]
		if moved(c) {
			left = append(left, p.items...)
			continue
		}
		if c.Err != nil {
			return nil, nil, fmt.Errorf("lock rows: %w", notAmbiguous(c.Err))
		}
		switch c.Result.Outcome {
		case datastate.Applied:
			n := min(len(c.Result.Rows), len(p.items)) // more than one answer holds, or a retry's, which has none
			late, err := l.keep(ctx, c.Result.Rows, p.items[:n])
			if err != nil {
				return nil, nil, err
			}
			left = append(append(left, late...), p.items[n:]...)
		case datastate.Blocked:
			if l.req.Try {
				return nil, nil, ErrLockNotAvailable
			}
			if l.req.Wait == evaluation.NoWait {
				ended, err := l.late.ended(ctx, l.m, c.Result.By)
				if err != nil {
					return nil, nil, err
				}
				if !ended {
					return nil, nil, ErrLockNotAvailable
				}
			}
			left, by = append(left, p.items...), append(by, c.Result.By...)
		case datastate.ConditionFailed:
			return nil, nil, &ConflictError{Reason: reasonChanged}
		case datastate.Aborted:
			return nil, nil, &ConflictError{Reason: reasonPushed}
		case datastate.StaleSchema:
			return nil, nil, kv.Stale(c.Result)
		case datastate.Dropped:
			return nil, nil, fmt.Errorf("lock rows: %w", kv.ErrDropped)
		default:
			return nil, nil, fmt.Errorf("lock rows: the range could not read the request (outcome %d)", c.Result.Outcome)
		}
	}
	return left, by, nil
}

// keep takes rows that were locked, or skipped. late are those of them that were locked
// only by who has ended: they are to be asked for again.
func (l *locking) keep(ctx context.Context, rows []datastate.LockedRow, items []int) (late []int, err error) {
	for j, n := range items {
		r, row := &rows[j], &l.found[n]
		if r.Skipped {
			ended, err := l.late.ended(ctx, l.m, r.By)
			if err != nil {
				return nil, err
			}
			if ended {
				late = append(late, n)
				continue
			}
		}
		// FOR KEY SHARE lets others change all but the key.
		if !r.Skipped && l.req.Strength > lock.KeyShare && !l.t.holds(l.rows[n], r.Value != nil, r.TS) {
			return nil, &ConflictError{Reason: reasonLost}
		}
		row.Value, row.Version, l.skipped[n] = r.Value, r.TS, r.Skipped
		if r.Contended {
			l.m.contended(l.rows[n])
		}
		if r.Value == nil {
			continue
		}
		if err := l.req.Memory.Grow(row.Size()); err != nil {
			return nil, fmt.Errorf("lock rows: %w", err)
		}
	}
	return late, nil
}
