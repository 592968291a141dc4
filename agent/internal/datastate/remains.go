package datastate

import (
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// Remains asks what a transaction that has committed has left in a part of the rows,
// from its beginning on: as far as the range goes, and as one answer holds.
type Remains struct {
	machine *Machine

	Txn    cluster.TxnID
	Record []byte // key of the transaction's record, wherever that is
	Span   TxnSpan
}

// maxRemains bounds the rows of one answer.
const maxRemains = 256

// Touches satisfies evaluation.Request. All prewrites of a transaction that has committed
// are applied: there is nobody to wait for.
func (q *Remains) Touches() [][]byte { return nil }

// Locks satisfies evaluation.Request.
func (q *Remains) Locks() evaluation.Locks { return evaluation.Locks{} }

// Blocked satisfies evaluation.Request. Nothing blocks a Remains.
func (q *Remains) Blocked(by []Blocker) []byte { return blocked(by) }

// Evaluate satisfies evaluation.Request.
func (q *Remains) Evaluate(_ *storage.Rows, desc *cluster.RangeDescriptor, _ []evaluation.Pending) (d evaluation.Decision, err error) {
	s := &q.Span
	if desc.IsMeta() || s.Pool != desc.Pool || s.From < desc.Start || s.From >= desc.End {
		return refuse(0, &Result{Outcome: WrongRange}), nil
	}
	res, to := &Result{Outcome: Applied}, s.To
	if desc.End < to {
		to, res.Until = desc.End, desc.End
	}
	for row := range q.machine.shown.Load().rowsOf(q.Txn, &TxnSpan{Pool: s.Pool, From: s.From, To: to}) {
		if len(res.Rows) == maxRemains {
			break
		}
		res.Rows = append(res.Rows, LockedRow{Value: row})
	}
	return say(res), nil
}

// Encode is the request as a gateway proposes it.
func (q *Remains) Encode() []byte {
	return appendSpans(appendRequest(64, kindRemains, q.Txn, q.Record), []TxnSpan{q.Span})
}

func (q *Remains) of(m *Machine) { q.machine = m }
