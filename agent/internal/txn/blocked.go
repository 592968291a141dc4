package txn

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
)

const (
	// silence is for how long a gateway may not answer before its transactions are
	// aborted by those that they block: longer than a node is away that is slow or
	// paused for a moment.
	silence = 5 * time.Second
	// shortest is how long a request waits at least before it comes again, should the
	// leader have answered at once that it is blocked.
	shortest = 20 * time.Millisecond
	// maxChase bounds the transactions that one search for a deadlock asks about.
	maxChase = 200
)

// contention is the wait of one request for others. t is nil for a statement outside of
// a transaction, for which nobody waits: it holds nothing.
type contention struct {
	m     *Manager
	t     *Txn
	since time.Duration // when the request began
	limit time.Duration // how long it waits for others, as far as leaders answer; 0: as long as it takes
	asked time.Duration // when blocked last returned
	grace time.Duration // how long those that are open are waited for, before they are aborted; 0: as long as it takes
	met   bool          // it was blocked at least once
	// gone are those of whom a gateway that answered knew nothing.
	gone map[cluster.TxnID]bool
	// suspect is a circle that was seen, and may be of what has passed; nil: none.
	suspect []member
}

// member is a session of what looks like a deadlock.
type member struct {
	held  cluster.TxnID // that the one before waits for
	waits cluster.TxnID // the same, or another of its session
	told  uint64        // how often that was told for whom it waits when the circle was seen
}

// blocked is called when a leader has answered that others are in the way. It returns
// when the request may be made again, or an error if it is to end.
func (w *contention) blocked(ctx context.Context, by []datastate.Blocker) error {
	if !w.met {
		w.met = true
		w.m.count(func(s *Stats) { s.LockWaits++ })
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	begun := max(w.asked, w.since)
	by, ids := w.others(by)
	if w.t != nil {
		w.t.setWaits(ids)
	}
	answers := map[cluster.TxnID]Answer{}
	for _, b := range by {
		a, ok := answers[b.Txn]
		if !ok {
			a = w.m.ask(ctx, b.Txn)
			answers[b.Txn] = a
		}
		if w.goes(b.Txn, &a) {
			continue
		}
		if a.State == Open && w.grace > 0 && w.m.cfg.Now()-w.since >= w.grace {
			a = Answer{State: Unknown}
		}
		if _, err := w.m.unblock(ctx, b, a); err != nil {
			return err
		}
	}
	if w.limit > 0 && w.m.cfg.Now()-w.since >= w.limit {
		return ErrLockTimeout
	}
	if cycle := w.deadlock(ctx, ids); cycle != nil {
		w.m.count(func(s *Stats) { s.Deadlocks++ })
		return &DeadlockError{Cycle: cycle}
	}
	if took := w.m.cfg.Now() - begun; took < shortest {
		if err := w.m.cfg.Sleep(ctx, shortest-took); err != nil {
			return err
		}
	}
	w.asked = w.m.cfg.Now()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// goes reports whether a transaction of which its gateway knows nothing has, it seems,
// been cleaned up since the leader named it: mostly one that has committed a moment ago.
// Only if it is named again is its record asked, which costs rounds, in which this wait
// may lose its place, and leaves a record that says aborted.
func (w *contention) goes(id cluster.TxnID, a *Answer) bool {
	if w.t == nil || a.State != Unknown || a.silent || w.gone[id] {
		return false // for who is not in a transaction each answer is the first one
	}
	if w.gone == nil {
		w.gone = map[cluster.TxnID]bool{}
	}
	w.gone[id] = true
	return true
}

// deadlock returns the circle that the transaction is in. What others know of their waits
// is as old as the last answer of a leader: one may have been answered since, or have lost
// its place to one that it is said to be before. So a circle counts only if each of it is
// told the same again after it was seen: a deadlock lasts. The first look is after a
// quarter of deadlock_timeout, as the first answer of a leader comes: two more follow in time.
func (w *contention) deadlock(ctx context.Context, ids []cluster.TxnID) []cluster.TxnID {
	if w.t == nil {
		return nil
	}
	w.t.mu.Lock()
	after := w.t.deadlockAfter
	w.t.mu.Unlock()
	waited := w.m.cfg.Now() - w.since
	if waited < after/4 {
		return nil
	}
	if w.suspect != nil {
		lasts, again := w.m.confirm(ctx, w.t, w.suspect, ids)
		switch {
		case !lasts:
			w.suspect = nil
		case again && waited >= after:
			cycle := make([]cluster.TxnID, len(w.suspect))
			for i := range cycle {
				cycle[i] = w.suspect[i].waits
			}
			return cycle
		}
	}
	if w.suspect == nil {
		w.suspect = w.m.chase(ctx, w.t, ids)
	}
	return nil
}

// others are the blockers of several ranges, one for each row and transaction, and
// the names of those.
func (w *contention) others(by []datastate.Blocker) (out []datastate.Blocker, ids []cluster.TxnID) {
	seen := map[string]bool{}
	for _, b := range by {
		name := string(b.Txn[:]) + string(b.Row)
		if len(b.Record) == 0 || w.t != nil && b.Txn == w.t.id || seen[name] {
			continue // a statement outside of a transaction ends by itself
		}
		seen[name] = true
		out = append(out, b)
		if !slices.Contains(ids, b.Txn) {
			ids = append(ids, b.Txn)
		}
	}
	return out, ids
}

// unblock ends what a transaction that has ended has left on a row, by what its gateway
// says of it. That of one that is open stays.
func (m *Manager) unblock(ctx context.Context, b datastate.Blocker, a Answer) (ended bool, err error) {
	switch a.State {
	case Committed, Aborted:
		return true, m.release(ctx, b, a.TS)
	case Open, Committing:
		return false, nil
	case Unknown:
	}
	if a.silent && a.silence < silence {
		return false, nil
	}
	r, err := m.push(ctx, b.Txn, b.Record, true, 0)
	if err != nil {
		return false, err
	}
	if r.Status == datastate.TxnCommitted {
		return true, m.release(ctx, b, r.TS)
	}
	return true, m.release(ctx, b, 0)
}

// release ends what a transaction that has ended has on a row.
func (m *Manager) release(ctx context.Context, b datastate.Blocker, commitTS hlc.Timestamp) error {
	if len(b.Row) == 0 {
		return nil
	}
	_, err := m.at(ctx, b.Row, &datastate.Resolve{Txn: b.Txn, Record: b.Record, CommitTS: commitTS, Rows: [][]byte{b.Row}})
	return err
}

// push has the record of a transaction say that it never commits, unless it has, or, if
// it is not to be aborted, that it commits after above. It returns what the record says
// then.
func (m *Manager) push(ctx context.Context, id cluster.TxnID, record []byte, abort bool, above hlc.Timestamp) (*datastate.TxnRecord, error) {
	m.count(func(s *Stats) { s.Pushes++ })
	var again replanning
	r, err := m.at(ctx, record, &datastate.Push{Txn: id, Record: record, Abort: abort, Above: above})
	for err == nil && r.Record == nil { // of a retry: what it did, the first attempt has done
		if err = again.pause(ctx, m); err == nil {
			r, err = m.at(ctx, record, &datastate.Push{Txn: id, Record: record, Abort: abort, Above: above})
		}
	}
	if err != nil {
		return nil, fmt.Errorf("ask the record of transaction %s: %w", id, err)
	}
	if abort && r.Record.Status == datastate.TxnAborted {
		m.count(func(s *Stats) { s.Pushed++ })
	}
	return r.Record, nil
}

// chase looks for a cycle of transactions that wait for each other, of which t is the
// youngest, and returns it, beginning with t.
func (m *Manager) chase(ctx context.Context, t *Txn, waits []cluster.TxnID) []member {
	from := map[cluster.TxnID]cluster.TxnID{} // who was followed there
	found := map[cluster.TxnID]member{}
	todo := []cluster.TxnID{}
	follow := func(at cluster.TxnID, waits []cluster.TxnID) {
		for _, next := range waits {
			if _, known := from[next]; !known && len(from) < maxChase {
				from[next] = at
				todo = append(todo, next)
			}
		}
	}
	follow(t.id, waits)
	for len(todo) > 0 {
		at := todo[0]
		todo = todo[1:]
		if m.beside(t, at) {
			if from[at] == t.id {
				continue // it does not wait for itself
			}
			cycle := []member{}
			for x := from[at]; x != t.id; x = from[x] {
				cycle = append(cycle, found[x])
			}
			slices.Reverse(cycle)
			return append([]member{{held: at, waits: t.id}}, cycle...)
		}
		a := m.ask(ctx, at)
		if a.State > Committing || len(a.Waits) == 0 || slices.Compare(a.Waiter[:], t.id[:]) > 0 {
			continue
		}
		found[at] = member{at, a.Waiter, a.Told}
		follow(at, a.Waits)
	}
	return nil
}

// confirm asks anew whether each of a cycle waits for the next, the first of which, t, has
// just been told that it waits for those of waits. again says that all were told so
// after the cycle was seen.
func (m *Manager) confirm(ctx context.Context, t *Txn, cycle []member, waits []cluster.TxnID) (lasts, again bool) {
	again = true
	for i, at := range cycle {
		if i > 0 {
			a := m.ask(ctx, at.held)
			if a.Waiter != at.waits {
				return false, false
			}
			waits, again = a.Waits, again && a.Told > at.told
		}
		if last := i == len(cycle)-1; last && !m.besideAny(t, waits) || !last && !slices.Contains(waits, cycle[i+1].held) {
			return false, false
		}
	}
	return true, again
}
