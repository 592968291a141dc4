package replica

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/lock"
)

const (
	// lockTicks is how long, in whole ticks, a request waits for a lock until it is told
	// for whom it waits: with ticks of 100 ms a third of a second, which leaves most of
	// what a gateway gives an attempt for the way. A deadlock is one that was told twice
	// after it was seen: three times fit in deadlock_timeout.
	lockTicks = 3
	// keptTicks is how long its place is kept then. The gateway asks others whether whoever
	// is in the way is alive; a place that nobody comes back to holds up those behind it.
	keptTicks = 5
)

// lockWaits are the requests that wait for locks, and the places of those that were told
// so and will ask again.
type lockWaits struct {
	waiting map[*Proposal]struct{}
	kept    map[keptLock]*keptWait
	seq     uint64
}

// keptLock names the place of a transaction in the line of a row.
type keptLock struct {
	txn lock.ID
	row string
}

type keptWait struct {
	waiter *lock.Waiter
	seq    uint64
	ticks  int       // that it is still kept
	by     *Proposal // who has come back and is in line for its latches; nil: nobody
}

// lockWait is the part of a Proposal that locks add.
type lockWait struct {
	waiter  *lock.Waiter // its place in a line; nil: it waits for no lock
	waited  string       // the row for whose lock it has waited last
	patient int          // ticks until it is told for whom it waits
	skip    map[int][]evaluation.Blocker
	ends    [][]byte // rows on which its transaction's locks end with the answer
	endsAll bool     // all of them do
}

func newLockWaits() lockWaits {
	return lockWaits{waiting: map[*Proposal]struct{}{}, kept: map[keptLock]*keptWait{}}
}

// lockID is on whose behalf a request wants locks: that of a statement outside of a
// transaction is its own, or of the one in whose place it comes.
func (p *Proposal) lockID(want *evaluation.Locks) lock.ID {
	switch {
	case want.Txn != cluster.TxnID{}:
		return lock.ID(want.Txn)
	case p.InPlaceOf != CommandID{}:
		return lock.ID(p.InPlaceOf)
	}
	return lock.ID(p.ID)
}

// passLocks takes the locks that a request takes, now that it has its latches, and
// reports whether it may be evaluated. If locks of others are in its way it leaves the
// latches, and stands in line for the first such row; what it has taken it keeps.
func (r *Replica) passLocks(p *Proposal) bool {
	want := p.request.Locks()
	t := r.evals.locks
	if want.N == 0 || !want.Take && t.Len() == 0 {
		return true
	}
	id, rows := p.lockID(&want), p.request.Touches()[:want.N]
	p.skip = nil
	for i, row := range rows {
		if !keys.Owns(r.desc, row) {
			continue // its evaluation will say so
		}
		r.comeBack(p, id, row)
		w := p.waiter
		if w != nil && w.Row() != string(row) {
			w = nil
		}
		by := r.inTheWay(p, id, row, want.Strength, w)
		switch {
		case len(by) == 0:
			if want.Take {
				t.Acquire(id, want.Record, row, want.Strength, w)
			}
			continue
		case want.Wait == evaluation.SkipLocked:
			if p.skip == nil {
				p.skip = map[int][]evaluation.Blocker{}
			}
			p.skip[i] = blockersOf(row, by)
			continue
		case want.Wait == evaluation.NoWait:
			r.tellBlocked(p, row, by)
		case w == nil:
			r.waitForLock(p, id, &want, row)
		default: // it was free for a moment, or it has come back
			r.leaveLatch(p)
			r.wait(p)
		}
		return false
	}
	r.leaveLocks(p)
	return true
}

// inTheWay returns who keeps a request from the lock of a row. One that comes in a place
// goes before all who wait for the row, as who held its lock would: the request whose
// place it is was ahead of them, and they would have it lose as often as they come back.
func (r *Replica) inTheWay(p *Proposal, id lock.ID, row []byte, s lock.Strength, w *lock.Waiter) []lock.Blocker {
	if p.placed && !r.cfg.Planted.behindLine() {
		return r.evals.locks.Holders(id, row, s)
	}
	return r.evals.locks.Blockers(id, row, s, w)
}

func (r *Replica) leaveLatch(p *Proposal) {
	p.latch.Release()
	p.latch = nil
}

// comeBack has a request go on in the place in the line of a row that was kept for it.
func (r *Replica) comeBack(p *Proposal, id lock.ID, row []byte) {
	s := &r.evals.waits
	if len(s.kept) == 0 {
		return
	}
	key := keptLock{id, string(row)}
	k := s.kept[key]
	if k == nil {
		return
	}
	delete(s.kept, key)
	if p.waiter != nil {
		r.evals.locks.Leave(k.waiter)
		return
	}
	p.waiter, k.waiter.Owner = k.waiter, p
	p.waited = string(row)
}

// contendedRows bounds the rows of a request that are looked at for others who wait: who
// locks more is slow for other reasons.
const contendedRows = 64

// contended marks the rows whose locks the request has waited for, or others do.
func (r *Replica) contended(p *Proposal, pending []evaluation.Pending) {
	want := p.request.Locks()
	if !want.Take || want.N > contendedRows {
		return
	}
	for i, row := range p.request.Touches()[:want.N] {
		pending[i].Contended = p.waited == string(row) || r.evals.locks.Waited(row)
	}
}

// comesBack has the places that are kept for a request's transaction last while it stands
// in line for its latches: a range whose log stands still would take them from all who wait.
func (r *Replica) comesBack(p *Proposal) {
	if len(r.evals.waits.kept) == 0 {
		return
	}
	want := p.request.Locks()
	id := p.lockID(&want)
	for _, row := range p.request.Touches()[:want.N] {
		if k := r.evals.waits.kept[keptLock{id, string(row)}]; k != nil {
			k.by = p
		}
	}
}

// waitForLock has a request stand in line for a lock.
func (r *Replica) waitForLock(p *Proposal, id lock.ID, want *evaluation.Locks, row []byte) {
	r.leaveLocks(p)
	w, err := r.evals.locks.Enqueue(id, want.Record, row, want.Strength, p)
	if err != nil {
		r.answer(p, Outcome{Err: errors.Join(ErrOverloaded, err)})
		return
	}
	p.waiter, p.waited = w, string(row)
	r.leaveLatch(p)
	r.wait(p)
}

// wait begins to count how long a request waits, unless it is counted.
func (r *Replica) wait(p *Proposal) {
	if _, ok := r.evals.waits.waiting[p]; !ok {
		// The tick that has begun is not a whole one.
		p.patient = lockTicks + 1
		r.evals.waits.waiting[p] = struct{}{}
		r.leaveOtherPlaces(p)
	}
}

// leaveOtherPlaces ends the places that are kept for a request's transaction in the lines
// of the other rows that it asks for: who waits waits in one line. In another it would be
// in the way of those that it waits for, for as long as it comes back.
func (r *Replica) leaveOtherPlaces(p *Proposal) {
	s := &r.evals.waits
	if len(s.kept) == 0 || r.cfg.Planted.keepsPlaces() {
		return
	}
	want := p.request.Locks()
	id := p.lockID(&want)
	for _, row := range p.request.Touches()[:want.N] {
		key := keptLock{id, string(row)}
		if k := s.kept[key]; k != nil {
			delete(s.kept, key)
			r.evals.locks.Leave(k.waiter)
		}
	}
}

// leaveLocks has a request wait for no lock.
func (r *Replica) leaveLocks(p *Proposal) {
	if p.waiter != nil {
		r.evals.locks.Leave(p.waiter)
		p.waiter = nil
	}
	delete(r.evals.waits.waiting, p)
}

// goOn has requests that nobody is in the way of any more stand in line for their
// latches again.
func (r *Replica) goOn() {
	for _, w := range r.evals.locks.Ready() {
		p, ok := w.Owner.(*Proposal)
		if !ok || p == nil || p.waiter != w || p.answered || p.latch != nil {
			continue
		}
		l, err := r.evals.latches.Acquire(p.request.Touches(), p)
		if err != nil {
			r.answer(p, Outcome{Err: ErrOverloaded})
			continue
		}
		p.latch = l
	}
}

// blockersOf are those who are in the way at a row, as a request is told of them.
func blockersOf(row []byte, by []lock.Blocker) []evaluation.Blocker {
	told := make([]evaluation.Blocker, len(by))
	for i, b := range by {
		told[i] = evaluation.Blocker{Txn: cluster.TxnID(b.ID), Record: b.Record, Row: row}
	}
	return told
}

// tellBlocked answers a request with those that are in its way.
func (r *Replica) tellBlocked(p *Proposal, row []byte, by []lock.Blocker) {
	told := blockersOf(row, by)
	if p.latch != nil {
		r.leaveLatch(p)
	}
	p.stage = refused
	r.confirm(p, p.request.Blocked(told))
}

// tickLocks tells those that have waited for long for whom, and ends the places that
// were kept for too long.
func (r *Replica) tickLocks() {
	s := &r.evals.waits
	if len(s.waiting)+len(s.kept) == 0 {
		return
	}
	var told []*Proposal
	for p := range s.waiting {
		if p.patient--; p.patient <= 0 && p.latch == nil {
			told = append(told, p)
		}
	}
	slices.SortFunc(told, func(a, b *Proposal) int { return cmp.Compare(a.seq, b.seq) })
	r.endKept(func(_ keptLock, k *keptWait) bool {
		if k.by == nil || k.by.answered {
			k.ticks--
		}
		return k.ticks <= 0
	})
	for _, p := range told {
		r.tellWaiting(p)
	}
	r.evaluateGranted()
}

// endKept ends some of the places that are kept, in the order in which they began.
func (r *Replica) endKept(which func(keptLock, *keptWait) bool) {
	var ended []*keptWait
	maps.DeleteFunc(r.evals.waits.kept, func(key keptLock, k *keptWait) bool {
		ends := which(key, k)
		if ends {
			ended = append(ended, k)
		}
		return ends
	})
	slices.SortFunc(ended, func(a, b *keptWait) int { return cmp.Compare(a.seq, b.seq) })
	for _, k := range ended {
		r.evals.locks.Leave(k.waiter)
	}
}

// giveUpLocks ends the places that are kept for one who has gone another way.
func (r *Replica) giveUpLocks(id lock.ID) {
	if len(r.evals.waits.kept) > 0 {
		r.endKept(func(key keptLock, _ *keptWait) bool { return key.txn == id })
	}
}

// endWaits ends the places of a transaction in the lines of rows that it has given up.
// Whoever asked there has gone away, and would get a lock that nobody ends.
func (r *Replica) endWaits(id lock.ID, rows [][]byte) {
	s := &r.evals.waits
	if len(s.waiting)+len(s.kept) == 0 {
		return
	}
	given := make(map[string]bool, len(rows))
	for _, row := range rows {
		given[string(row)] = true
	}
	r.endKept(func(key keptLock, _ *keptWait) bool { return key.txn == id && given[key.row] })
	var gone []*Proposal
	for p := range s.waiting {
		if want := p.request.Locks(); p.latch == nil && p.lockID(&want) == id && given[p.waiter.Row()] {
			gone = append(gone, p)
		}
	}
	slices.SortFunc(gone, func(a, b *Proposal) int { return cmp.Compare(a.seq, b.seq) })
	for _, p := range gone {
		row := []byte(p.waiter.Row())
		r.leaveLocks(p)
		r.tellBlocked(p, row, nil)
	}
}

// tellWaiting answers one that waits, and keeps its place.
func (r *Replica) tellWaiting(p *Proposal) {
	want, w := p.request.Locks(), p.waiter
	id, row := p.lockID(&want), []byte(w.Row())
	by := r.evals.locks.Behind(w)
	if len(by) == 0 {
		return // it goes on now
	}
	s, key := &r.evals.waits, keptLock{id, w.Row()}
	if s.kept[key] == nil && !r.cfg.Planted.leavesLine() {
		s.seq++
		w.Owner, p.waiter = nil, nil
		s.kept[key] = &keptWait{waiter: w, seq: s.seq, ticks: keptTicks + 1}
	}
	r.leaveLocks(p)
	r.tellBlocked(p, row, by)
}

// endLocks ends the locks of the transaction that a request was the last of.
func (r *Replica) endLocks(p *Proposal) {
	if p.request == nil || !p.endsAll && p.ends == nil {
		return
	}
	want := p.request.Locks()
	if !p.endsAll {
		r.endWaits(lock.ID(want.Txn), p.ends)
		r.evals.locks.ReleaseRows(lock.ID(want.Txn), p.ends)
		return
	}
	// What is written down ends when that goes: an intent may be resolved later.
	shown, ends := r.evaluator.Shown(), [][]byte(nil)
	for _, row := range r.evals.locks.Held(lock.ID(want.Txn)) {
		if row := []byte(row); !shown.Holds(row, want.Txn) {
			ends = append(ends, row)
		}
	}
	r.evals.locks.ReleaseRows(lock.ID(want.Txn), ends)
}

// findLocks fills the table of a new leader with the locks that are written down.
func (r *Replica) findLocks() {
	r.evals.locks.Reset()
	if r.evaluator == nil {
		return
	}
	r.evaluator.Shown().Locks(func(row []byte, txn cluster.TxnID, record []byte, s lock.Strength) {
		r.evals.locks.Put(lock.ID(txn), record, row, s)
	})
	r.takeInherited()
}

// forgetLocks ends all locks: this replica does not lead any more.
func (r *Replica) forgetLocks() {
	r.evals.locks.Reset()
	r.evals.waits = newLockWaits()
}

// narrowLocks ends the locks of rows that the range has given away.
func (r *Replica) narrowLocks() {
	r.evals.locks.Remove(func(row string) bool { return !keys.Owns(r.desc, []byte(row)) })
	r.endKept(func(key keptLock, _ *keptWait) bool { return !keys.Owns(r.desc, []byte(key.row)) })
}

// LockTable is what transactions hold, and wait for, while this replica leads. It may be
// read beside the loop.
func (r *Replica) LockTable() *lock.Table { return r.evals.locks }
