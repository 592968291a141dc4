package replica

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/codec"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/lock"
)

// A leader that ceases to lead tells its successor which locks it held in memory. That is
// a hint: it may get lost, come late, or name a transaction that has ended since. What is
// missing is found by the conditions of a commit, as after a crash; what is too much by
// whoever it is in the way of, who asks the transaction's gateway.

// HeldLock is a lock of a row in a leader's memory.
type HeldLock struct {
	Record   []byte // key of the transaction's record, which ends with its id
	Row      []byte
	Strength lock.Strength
}

// What one word about locks holds at most: one message among those that keep a cluster
// alive. Transactions that hold more are those that a change of leaders may well fail.
const (
	maxHandedOver      = 1024
	maxHandedOverBytes = 128 << 10
)

// bequeath tells whoever leads or is about to, as far as this replica knows, which locks
// it held. The vote for a candidate leaves after this word, by the same way.
func (r *Replica) bequeath(lead uint64) {
	r.tellHeld(cluster.ReplicaID(cmp.Or(lead, r.vote)), r.term)
}

// bequeathAhead tells whom this leader asks to lead. What it says when it has ceased to
// lead may come after the votes of others, and after somebody who was quicker; but it has
// what was locked since.
func (r *Replica) bequeathAhead(to cluster.ReplicaID) {
	if r.leading {
		r.tellHeld(to, r.term+1)
	}
}

// tellHeld tells a replica what this one holds, for when it leads in a term.
func (r *Replica) tellHeld(to cluster.ReplicaID, term uint64) {
	if r.evaluator == nil || to == 0 || to == r.id || r.cfg.Planted.locksDie() {
		return
	}
	node := r.nodeOf(to)
	held := r.held(r.desc)
	if node == 0 || len(held) == 0 {
		return
	}
	r.out.SendLease(r.rangeID, node, &LeaseMessage{Kind: Locks, From: r.id, To: to, Term: term, Held: held})
}

// held are the locks of desc's rows that transactions hold in this leader's memory.
func (r *Replica) held(desc *cluster.RangeDescriptor) []HeldLock {
	var out []HeldLock
	size := 0
	for _, l := range r.evals.locks.All(4 * maxHandedOver) {
		if !l.Granted || !bytes.HasSuffix(l.Record, l.ID[:]) || !keys.Owns(desc, l.Row) {
			continue // also what a statement outside of transactions holds: it asks again
		}
		if size += len(l.Record) + len(l.Row) + 8; len(out) >= maxHandedOver || size > maxHandedOverBytes {
			break
		}
		out = append(out, HeldLock{l.Record, l.Row, l.Strength})
	}
	return out
}

// inherit takes the locks of a leader before this one, now or when this one is ready.
func (r *Replica) inherit(m *LeaseMessage, leads bool) {
	if r.evaluator == nil || m.Term < r.term {
		return
	}
	if was := r.inherited; was != nil && was.Term == m.Term {
		both := *m
		both.Held = slices.Concat(was.Held, m.Held)
		m = &both
	}
	r.inherited = m
	if leads && r.ready {
		r.takeInherited()
	}
}

// takeInherited gives transactions the locks that they had, unless somebody has been
// quicker.
func (r *Replica) takeInherited() {
	m := r.inherited
	r.inherited = nil
	if m == nil || m.Term != r.leaderTerm {
		return
	}
	for _, h := range m.Held {
		if id, err := keys.DecodeTxnRecord(h.Record); err == nil && keys.Owns(r.desc, h.Row) {
			r.evals.locks.Acquire(lock.ID(id), h.Record, h.Row, h.Strength, nil)
		}
	}
}

func appendHeld(buf []byte, held []HeldLock) []byte {
	buf = binary.AppendUvarint(buf, uint64(len(held)))
	for i := range held {
		buf = codec.AppendBytes(codec.AppendBytes(buf, held[i].Record), held[i].Row)
		buf = append(buf, byte(held[i].Strength))
	}
	return buf
}

// minHeld is the shortest encoding of a HeldLock; it bounds what a count may claim.
const minHeld = 3

func (d *decoder) held() []HeldLock {
	held := make([]HeldLock, d.Count(minHeld))
	for i := range held {
		h := &held[i]
		h.Record, h.Row, h.Strength = bytes.Clone(d.Bytes()), bytes.Clone(d.Bytes()), lock.Strength(d.Byte())
		if d.Err() == nil && (h.Strength < lock.KeyShare || h.Strength > lock.Update) {
			d.Fail("a lock of strength %d", h.Strength)
		}
	}
	return held
}
