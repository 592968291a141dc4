package datastate

import (
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// Touches satisfies evaluation.Request.
func (p *Push) Touches() [][]byte { return [][]byte{p.Record} }

// Locks satisfies evaluation.Request.
func (p *Push) Locks() evaluation.Locks { return evaluation.Locks{} }

// Blocked satisfies evaluation.Request. Nothing blocks a Push.
func (p *Push) Blocked(by []Blocker) []byte { return blocked(by) }

// Evaluate satisfies evaluation.Request.
func (p *Push) Evaluate(rows *storage.Rows, desc *cluster.RangeDescriptor, pending []evaluation.Pending) (d evaluation.Decision, err error) {
	e := evaluating{machine: p.machine, rows: rows, desc: desc, pending: pending}
	switch {
	case txnOf(p.Record) != p.Txn || p.Above >= hlc.Max-1:
		return refuse(0, &Result{Outcome: Malformed}), nil
	case !keys.OwnsRecord(desc, p.Record):
		return refuse(0, &Result{Outcome: WrongRange}), nil
	}
	r, err := e.recordOf(0, p.Record)
	if err != nil {
		return d, fmt.Errorf("read the record of a transaction: %w", err)
	}
	over := r != nil && (r.Status != TxnOpen || !p.Abort && r.TS > p.Above)
	if over {
		return evaluation.Decision{Repeats: true, Answer: func(times evaluation.Times) []byte {
			if r.TS == hlc.Max {
				r.TS = times(0)
			}
			return EncodeResult(&Result{Outcome: Applied, Record: r})
		}}, nil
	}
	next := &TxnRecord{Status: TxnAborted}
	if !p.Abort {
		next = &TxnRecord{Status: TxnOpen, TS: p.Above + 1}
		d.Saw = p.Above
	}
	c := &command{effects: true}
	d.Leaves = make([]any, 1)
	leaveRecord(c, &d, p.Record, 0, next)
	if p.machine.plants().pushForgotten() {
		c.records = nil
	}
	return decided(c, d, &Result{Outcome: Applied, Record: next}), nil
}

// Touches satisfies evaluation.Request.
func (f *Forget) Touches() [][]byte { return f.Records }

// Locks satisfies evaluation.Request.
func (f *Forget) Locks() evaluation.Locks { return evaluation.Locks{} }

// Blocked satisfies evaluation.Request. Nothing blocks a Forget.
func (f *Forget) Blocked(by []Blocker) []byte { return blocked(by) }

// Evaluate satisfies evaluation.Request.
func (f *Forget) Evaluate(rows *storage.Rows, desc *cluster.RangeDescriptor, pending []evaluation.Pending) (d evaluation.Decision, err error) {
	e := evaluating{machine: f.machine, rows: rows, desc: desc, pending: pending}
	c := &command{}
	d.Leaves = make([]any, len(pending))
	for i, key := range f.Records {
		if !keys.OwnsRecord(desc, key) {
			return refuse(i, &Result{Outcome: WrongRange}), nil
		}
		r, err := e.recordOf(i, key)
		if err != nil {
			return d, fmt.Errorf("read the record of a transaction: %w", err)
		}
		if r != nil {
			leaveRecord(c, &d, key, i, nil)
		}
	}
	if !c.effects {
		return say(&Result{Outcome: Applied}), nil
	}
	return decided(c, d, &Result{Outcome: Applied}), nil
}
