package datastate

import (
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// maxAnswer bounds the values of an answer to a Lock, but for its last row, as that of
// a read.
const maxAnswer = 1 << 20

// Touches satisfies evaluation.Request.
func (l *Lock) Touches() [][]byte {
	if l.touches != nil {
		return l.touches
	}
	if l.Durable {
		return withLocks(append(make([][]byte, 0, 2*len(l.Rows)), l.Rows...))
	}
	return l.Rows
}

// Locks satisfies evaluation.Request.
func (l *Lock) Locks() evaluation.Locks {
	return evaluation.Locks{Txn: l.Txn, Record: l.Record, N: len(l.Rows), Strength: l.Strength, Take: true, Wait: l.Wait}
}

// Blocked satisfies evaluation.Request.
func (l *Lock) Blocked(by []Blocker) []byte { return blocked(by) }

// Evaluate satisfies evaluation.Request. Who evaluates holds the locks already, in
// memory: all that is left is to read the rows, and to write down what is durable.
func (l *Lock) Evaluate(rows *storage.Rows, desc *cluster.RangeDescriptor, pending []evaluation.Pending) (d evaluation.Decision, err error) {
	e := evaluating{machine: l.machine, rows: rows, desc: desc, pending: pending}
	if txnOf(l.Record) != l.Txn {
		return refuse(0, &Result{Outcome: Malformed}), nil
	}
	c, res, size := &command{}, &Result{Outcome: Applied}, 0
	d.Leaves, d.Found = make([]any, len(pending)), make([]any, len(l.Rows))
	for i, row := range l.Rows {
		if refusal := e.unlockable(row); refusal != nil {
			return refuse(i, refusal), nil
		}
		if by := pending[i].Skip; len(by) > 0 {
			by = by[:min(len(by), maxSkippedBy)]
			res.Rows = append(res.Rows, LockedRow{Skipped: true, By: by})
			if size += len(by) * len(row); size > maxAnswer {
				break
			}
			continue
		}
		found, err := e.newest(i, row)
		if err != nil {
			return d, fmt.Errorf("read row %d: %w", i, err)
		}
		if pending[i].Version == nil {
			d.Found[i] = &found
		}
		if l.NotNewerThan != 0 && (found.TS > l.NotNewerThan || e.forgotten(l.NotNewerThan)) {
			return refuse(i, &Result{Outcome: ConditionFailed, Existing: found.Value, ExistingTS: found.TS}), nil
		}
		res.Rows = append(res.Rows, LockedRow{Value: found.Value, TS: found.TS, Contended: pending[i].Contended})
		if err := l.keep(&e, c, &d, i); err != nil {
			return d, fmt.Errorf("lock row %d: %w", i, err)
		}
		if size += len(found.Value); size > maxAnswer {
			break
		}
	}
	d.Repeats, d.Answer = true, func(times evaluation.Times) []byte {
		for i := range res.Rows {
			if res.Rows[i].TS == hlc.Max {
				res.Rows[i].TS = times(i)
			}
		}
		return EncodeResult(res)
	}
	if c.effects {
		d.Command = c.encode()
	}
	return d, nil
}

// keep has a command write down a durable lock, if it is not.
func (l *Lock) keep(e *evaluating, c *command, d *evaluation.Decision, i int) error {
	if !l.Durable {
		return nil
	}
	row, at := l.Rows[i], len(l.Rows)+i
	r, err := e.lockOf(at, row)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(r.Holders, func(h Holder) bool { return h.Txn() == l.Txn && h.Strength >= l.Strength }) {
		e.leaveLock(c, d, row, at, r.with(l.Record, l.Strength))
	}
	return nil
}
