package datastate

import (
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// lockOf is what transactions have left of a row; i is the number of its lock's key in
// the request. The engine is asked only where the mirror has something.
func (e *evaluating) lockOf(i int, row []byte) (*LockRecord, error) {
	if l, ok := e.pending[i].Version.(*LockRecord); ok {
		return l.stays(), nil
	}
	if e.machine != nil && e.machine.shown.Load().lockOf(row) == nil {
		return &LockRecord{}, nil
	}
	it, ok, err := e.rows.SeekGE(keys.Lock(row))
	if err != nil || !ok {
		return &LockRecord{}, err
	}
	return decodeLockRecord(append([]byte(nil), it.Value()...))
}

// recordOf is a transaction's record, nil if it has none; i is its number.
func (e *evaluating) recordOf(i int, key []byte) (*TxnRecord, error) {
	if r, ok := e.pending[i].Version.(*TxnRecord); ok {
		if r.Status == 0 {
			return nil, nil //nolint:nilnil // it is none
		}
		shown := *r
		if shown.TS == 0 {
			shown.TS = e.pending[i].TS
		}
		if shown.TS == 0 {
			shown.TS = hlc.Max
		}
		return &shown, nil
	}
	if e.machine != nil {
		return e.machine.shown.Load().recordOf(key), nil
	}
	it, ok, err := e.rows.SeekGE(key)
	if err != nil || !ok {
		return nil, err
	}
	return decodeTxnRecord(it.Value())
}

// leaveLock has a command leave a lock record.
func (e *evaluating) leaveLock(c *command, d *evaluation.Decision, row []byte, i int, l *LockRecord) {
	w := left{key: row}
	if !l.empty() {
		w.value = l.encode()
	}
	c.effects, c.locks = true, append(c.locks, w)
	d.Leaves[i] = l
}

// end has a command take away what txn has left of a row.
func (e *evaluating) end(c *command, d *evaluation.Decision, txn cluster.TxnID, row []byte, i int) error {
	l, err := e.lockOf(i, row)
	if err != nil {
		return fmt.Errorf("read the locks of a row: %w", err)
	}
	if l.holds(txn) {
		e.leaveLock(c, d, row, i, l.without(txn))
	}
	return nil
}

// leaveRecord has a command leave the record of a transaction; nil: none.
func leaveRecord(c *command, d *evaluation.Decision, key []byte, i int, r *TxnRecord) {
	w := left{key: key}
	if r == nil {
		r = &TxnRecord{}
	} else {
		w.value = r.encode()
	}
	c.effects, c.records = true, append(c.records, w)
	d.Leaves[i] = r
}

// decided ends an evaluation whose command is made.
func decided(c *command, d evaluation.Decision, res *Result) evaluation.Decision {
	d.Result = EncodeResult(res)
	c.answer = d.Result
	d.Command = c.encode()
	return d
}

// Touches satisfies evaluation.Request.
func (p *Prewrite) Touches() [][]byte {
	if p.touches != nil {
		return p.touches
	}
	return opRows(p.Ops, true)
}

// Locks satisfies evaluation.Request.
func (p *Prewrite) Locks() evaluation.Locks {
	return evaluation.Locks{Txn: p.Txn, Record: p.Record, N: len(p.Ops), Strength: strength(p.Ops), Take: true}
}

// Blocked satisfies evaluation.Request.
func (p *Prewrite) Blocked(by []Blocker) []byte { return blocked(by) }

// Evaluate satisfies evaluation.Request.
func (p *Prewrite) Evaluate(rows *storage.Rows, desc *cluster.RangeDescriptor, pending []evaluation.Pending) (d evaluation.Decision, err error) {
	e := evaluating{machine: p.machine, rows: rows, desc: desc, pending: pending, writer: p.Writer, schemas: p.Schemas}
	if hasDuplicates(p.Ops) || txnOf(p.Record) != p.Txn {
		return refuse(0, &Result{Outcome: Malformed}), nil
	}
	c := &command{effects: true}
	d.Leaves = make([]any, len(pending))
	for i := range p.Ops {
		op, at := &p.Ops[i], len(p.Ops)+i
		if refusal := e.unwritable(op.Row); refusal != nil {
			return refuse(i, refusal), nil
		}
		l, err := e.lockOf(at, op.Row)
		if err != nil {
			return d, fmt.Errorf("read the locks of a row: %w", err)
		}
		if l.Intent != nil && l.intentOf(p.Txn) == nil {
			return say(&Result{Outcome: Blocked, By: []Blocker{{Txn: l.Intent.Txn(), Record: l.Intent.Record, Row: op.Row}}}), nil
		}
		if l.Intent == nil {
			refusal, found, err := e.check(i, op)
			if err != nil {
				return d, fmt.Errorf("check op %d: %w", i, err)
			}
			if refusal != nil {
				return refuse(i, refusal), nil
			}
			d.Saw = max(d.Saw, e.saw(i, &found))
		}
		next := &LockRecord{Holders: l.Holders, Intent: &Intent{Record: p.Record, Stored: encodeVersion(op, p.Writer)}}
		e.leaveLock(c, &d, op.Row, at, next)
	}
	return decided(c, d, &Result{Outcome: Applied}), nil
}

// Touches satisfies evaluation.Request.
func (c *Commit) Touches() [][]byte {
	if c.touches != nil {
		return c.touches
	}
	return opRows(c.Ops, true, c.Record)
}

// Locks satisfies evaluation.Request.
func (c *Commit) Locks() evaluation.Locks {
	return evaluation.Locks{Txn: c.Txn, Record: c.Record, N: len(c.Ops), Strength: strength(c.Ops)}
}

// Blocked satisfies evaluation.Request.
func (c *Commit) Blocked(by []Blocker) []byte { return blocked(by) }

// Evaluate satisfies evaluation.Request.
func (c *Commit) Evaluate(rows *storage.Rows, desc *cluster.RangeDescriptor, pending []evaluation.Pending) (d evaluation.Decision, err error) {
	e := evaluating{machine: c.machine, rows: rows, desc: desc, pending: pending, writer: c.Writer, txn: c.Txn, schemas: c.Schemas}
	last := len(pending) - 1
	switch {
	case hasDuplicates(c.Ops) || txnOf(c.Record) != c.Txn:
		return refuse(0, &Result{Outcome: Malformed}), nil
	case !keys.OwnsRecord(desc, c.Record):
		return refuse(len(c.Ops), &Result{Outcome: WrongRange}), nil
	}
	r, err := e.recordOf(last, c.Record)
	if err != nil {
		return d, fmt.Errorf("read the record of a transaction: %w", err)
	}
	lowest := c.Min
	switch {
	case r == nil || e.machine.plants().commitBlind():
	case r.Status == TxnAborted:
		return say(&Result{Outcome: Aborted}), nil
	case r.Status == TxnCommitted:
		return c.again(r, last), nil
	case c.At != 0 && c.At < r.TS:
		return say(&Result{Outcome: TooEarly, Min: r.TS}), nil
	default:
		lowest = max(lowest, r.TS)
	}
	// Locks on rows that have intents keep others from them until Resolve.
	d.Leaves, d.Ends, d.Saw = make([]any, len(pending)), c.rows(), c.At
	if lowest > 0 {
		d.Saw = max(d.Saw, lowest-1)
	}
	cmd := &command{effects: true}
	for i := range c.Ops {
		refusal, err := c.op(&e, cmd, &d, i)
		if err != nil {
			return d, fmt.Errorf("check op %d: %w", i, err)
		}
		if refusal != nil {
			return refuse(i, refusal), nil
		}
	}
	leaveRecord(cmd, &d, c.Record, last, &TxnRecord{Status: TxnCommitted, TS: c.At, Ranges: c.Ranges, Objects: c.Objects})
	return decided(cmd, d, &Result{Outcome: Applied, TS: c.At}), nil
}

// rows are those that the commit writes itself.
func (c *Commit) rows() [][]byte { return opRows(c.Ops, false) }

// again answers a commit that has happened before, or is about to.
func (c *Commit) again(r *TxnRecord, last int) evaluation.Decision {
	return evaluation.Decision{Repeats: true, Ends: c.rows(), Answer: func(times evaluation.Times) []byte {
		res := &Result{Outcome: Applied, TS: r.TS}
		if res.TS == hlc.Max {
			res.TS = times(last)
		}
		return EncodeResult(res)
	}}
}

// op adds to a command what one op of a commit does.
func (c *Commit) op(e *evaluating, cmd *command, d *evaluation.Decision, i int) (*Result, error) {
	op, at := &c.Ops[i], len(c.Ops)+i
	if refusal := e.unwritable(op.Row); refusal != nil {
		return refusal, nil
	}
	l, err := e.lockOf(at, op.Row)
	if err != nil {
		return nil, err
	}
	var found Version
	switch written := l.intentOf(c.Txn) != nil; {
	case written:
		found, err = e.newest(i, op.Row)
	case c.At != 0:
		return &Result{Outcome: Malformed}, nil // somebody may have read the row at that time
	default:
		var refusal *Result
		if refusal, found, err = e.check(i, op); refusal != nil {
			return refusal, nil
		}
	}
	if err != nil {
		return nil, err
	}
	d.Saw = max(d.Saw, e.saw(i, &found))
	w, leaves, adds := e.write(op, &found, c.At)
	if c.At == 0 {
		cmd.writes = append(cmd.writes, w)
	} else {
		cmd.at = append(cmd.at, writeAt{w.row, c.At, w.stored})
	}
	d.Leaves[i], cmd.adds = leaves, cmd.adds.Plus(adds)
	if l.holds(c.Txn) {
		e.leaveLock(cmd, d, op.Row, at, l.without(c.Txn))
	}
	return nil, nil //nolint:nilnil // no refusal, no error
}
