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

// keptLocks are those that a leader held when it ceased to lead. It keeps them until it
// knows who leads: that may be itself, as after a transfer that came to nothing.
type keptLocks struct {
	held []HeldLock
	to   cluster.ReplicaID // who was told of them last, for when it leads in a term; 0: nobody
	term uint64
}

// bequeath keeps the locks of a leader that ceases to lead, and tells of them.
func (r *Replica) bequeath() {
	r.kept = keptLocks{held: r.held(r.desc)}
	r.tellKept()
}

// tellKept tells whoever leads or is about to, as far as this replica knows, which locks
// it held. The vote for a candidate leaves after this word, by the same way.
func (r *Replica) tellKept() {
	k := &r.kept
	to := cluster.ReplicaID(cmp.Or(r.lead, r.vote))
	if k.held == nil || r.leading || to == 0 || to == r.id {
		return
	}
	if k.to != to || k.term != r.term {
		k.to, k.term = to, r.term
		r.tellHeld(to, r.term, k.held)
	}
	if r.lead != 0 {
		*k = keptLocks{}
	}
}

// bequeathAhead tells whom this leader asks to lead. What it says when it has ceased to
// lead may come after the votes of others, and after somebody who was quicker; but it has
// what was locked since.
func (r *Replica) bequeathAhead(to cluster.ReplicaID) {
	if r.leading {
		r.tellHeld(to, r.term+1, r.held(r.desc))
	}
}

// tellHeld tells a replica what this one holds, for when it leads in a term.
func (r *Replica) tellHeld(to cluster.ReplicaID, term uint64, held []HeldLock) {
	if to == 0 || to == r.id || r.cfg.Planted.locksDie() {
		return
	}
	node := r.nodeOf(to)
	if node == 0 || len(held) == 0 {
		return
	}
	r.out.SendLease(r.rangeID, node, &LeaseMessage{Kind: Locks, From: r.id, To: to, Term: term, Held: held})
}

// held are the locks of desc's rows that transactions hold in this leader's memory.
func (r *Replica) held(desc *cluster.RangeDescriptor) []HeldLock {
	if r.evaluator == nil {
		return nil
	}
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
// quicker: those that the leader before this one told of, and those that this one kept.
func (r *Replica) takeInherited() {
	m, kept := r.inherited, r.kept.held
	r.inherited, r.kept = nil, keptLocks{}
	if m != nil && m.Term == r.leaderTerm {
		r.takeHeld(m.Held)
	}
	if !r.cfg.Planted.keepsNoLocks() {
		r.takeHeld(kept)
	}
}

func (r *Replica) takeHeld(held []HeldLock) {
	for _, h := range held {
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
