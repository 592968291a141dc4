package datastate

import (
	"bytes"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/invariant"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

const (
	// maxResolved bounds the bytes of the versions that one Resolve writes, but for its
	// last one.
	maxResolved = 1 << 20
	// maxSpanRows bounds the rows that one Resolve of a span takes: they are found in
	// order, which is some 5 us each, and all that waits for the range's loop meanwhile
	// waits for some ms.
	maxSpanRows = 2048
)

// of has a Resolve of a span take the rows that the transaction has left there. There may
// be more when it is evaluated: then it says so.
func (r *Resolve) of(m *Machine) {
	if r.spanned() {
		for row := range m.shown.Load().rowsOf(r.Txn, &r.Span) {
			if len(r.Rows) == maxSpanRows || len(r.Rows) == 1 && m.planted.spanCutShort() {
				break
			}
			r.Rows = append(r.Rows, row)
		}
	}
	r.touches, r.machine = r.Touches(), m
}

func (r *Resolve) spanned() bool { return r.Span.To != "" }

// Touches satisfies evaluation.Request.
func (r *Resolve) Touches() [][]byte {
	if r.touches != nil {
		return r.touches
	}
	if r.Record == nil {
		return nil // locks in memory need no latch
	}
	return withLocks(append(make([][]byte, 0, 2*len(r.Rows)), r.Rows...))
}

// Locks satisfies evaluation.Request.
func (r *Resolve) Locks() evaluation.Locks { return evaluation.Locks{Txn: r.Txn, Record: r.Record} }

// Blocked satisfies evaluation.Request. Nothing blocks a Resolve.
func (r *Resolve) Blocked(by []Blocker) []byte { return blocked(by) }

// Evaluate satisfies evaluation.Request.
func (r *Resolve) Evaluate(rows *storage.Rows, desc *cluster.RangeDescriptor, pending []evaluation.Pending) (d evaluation.Decision, err error) {
	e := evaluating{machine: r.machine, rows: rows, desc: desc, pending: pending}
	res := &Result{Outcome: Applied}
	if refusal := r.within(desc, res); refusal != nil {
		return *refusal, nil
	}
	if r.Record == nil {
		d = say(res)
		d.Ends = r.Rows
		return d, nil
	}
	c := &command{}
	d.Leaves, d.Saw = make([]any, len(pending)), r.CommitTS
	locks, more, err := r.locks(&e)
	if err != nil {
		return d, err
	}
	res.More = res.More || more
	for i, l := range locks { // apart from the look at locks: the engine finds what is asked for in order sooner
		if l == nil {
			continue
		}
		if err := r.row(&e, c, &d, i, l); err != nil {
			return d, fmt.Errorf("resolve row %d: %w", i, err)
		}
		d.Ends = append(d.Ends, r.Rows[i])
	}
	if !c.effects {
		ends := d.Ends
		d = say(res)
		d.Ends = ends
		return d, nil
	}
	return decided(c, d, res), nil
}

// within refuses rows that are not desc's or are named twice, and finds out whether there
// is more in a span.
func (r *Resolve) within(desc *cluster.RangeDescriptor, res *Result) *evaluation.Decision {
	if r.spanned() && (desc.IsMeta() || r.Span.Pool != desc.Pool || r.Span.From < desc.Start || r.Span.From >= desc.End) {
		d := refuse(0, &Result{Outcome: WrongRange})
		return &d
	}
	seen := make(map[string]struct{}, len(r.Rows))
	for i, row := range r.Rows {
		if !owns(desc, row) && !r.spanned() {
			d := refuse(i, &Result{Outcome: WrongRange})
			return &d
		}
		seen[string(row)] = struct{}{}
	}
	if len(seen) < len(r.Rows) {
		d := refuse(0, &Result{Outcome: Malformed})
		return &d
	}
	if !r.spanned() {
		return nil
	}
	s := r.Span
	if desc.End < s.To {
		s.To, res.Until = desc.End, desc.End
	}
	for row := range r.machine.shown.Load().rowsOf(r.Txn, &s) {
		if _, ok := seen[string(row)]; !ok && !r.machine.plants().spanCutShort() {
			res.More = true
			break
		}
	}
	return nil
}

// locks are the lock records of rows; nil: there is nothing to do. more: not of all rows,
// since that is as much as a command holds.
func (r *Resolve) locks(e *evaluating) (locks []*LockRecord, more bool, err error) {
	size := 0
	for i, row := range r.Rows {
		if size > maxResolved {
			return locks, true, nil
		}
		l := &LockRecord{}
		if owns(e.desc, row) {
			if l, err = e.lockOf(len(r.Rows)+i, row); err != nil {
				return nil, false, fmt.Errorf("read the locks of row %d: %w", i, err)
			}
		}
		if in := l.intentOf(r.Txn); in != nil {
			size += len(in.Stored)
		}
		if r.elsewhere(l) {
			l = nil
		}
		locks = append(locks, l)
	}
	return locks, false, nil
}

// elsewhere reports whether a row has an intent that a record decides about of which r
// knows nothing: a transaction may have chosen another record than the one that it told
// those who met its locks, and what they have written there says nothing of its intents.
// That it has committed is true wherever somebody knows it from.
func (r *Resolve) elsewhere(l *LockRecord) bool {
	in := l.intentOf(r.Txn)
	return in != nil && r.CommitTS == 0 && !bytes.Equal(in.Record, r.Record)
}

// row adds to a command what becomes of one row.
func (r *Resolve) row(e *evaluating, c *command, d *evaluation.Decision, i int, l *LockRecord) error {
	row, at := r.Rows[i], len(r.Rows)+i
	if !l.holds(r.Txn) {
		return nil
	}
	if in := l.intentOf(r.Txn); in != nil && r.CommitTS != 0 && !r.machine.gone(row) {
		invariant.Check(in.TS <= r.CommitTS || in.TS == asItWas, "an intent of %s at %s commits at %s", r.Txn, in.TS, r.CommitTS)
		found, err := e.newest(i, row)
		if err != nil {
			return err
		}
		leaves, err := decodeVersion(in.Stored)
		if err != nil {
			return err
		}
		leaves.TS, leaves.size = r.CommitTS, int64(len(row)+keys.SuffixLen+len(in.Stored))
		if !leaves.Live {
			leaves.Value = nil
		}
		c.at = append(c.at, writeAt{row, r.CommitTS, in.Stored})
		d.Leaves[i], c.adds = &leaves, c.adds.Plus(found.counted(&leaves))
	}
	e.leaveLock(c, d, row, at, l.without(r.Txn))
	return nil
}
