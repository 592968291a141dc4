package replica

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
)

// Past is what a replica shares with those who read the past from it, whether it leads
// or not (ADR 0033). Time is closed at a replica up to a timestamp when it has applied
// all that will ever commit at or below it. Any goroutine may use it.
//
// Two things close time. Each entry closes all up to its own timestamp, because those
// of a log rise. And a leader closes it by its word: that is a read of the whole range
// at that timestamp, whose answer is left to others. What makes a read final under a
// change of leaders makes the word final: the leader has raised its read mark, and it
// held a lease for the timestamp, so that whoever leads next begins above it (rules 14
// and 15 of ADR 0023). It counts for who has applied all that the leader had given to
// raft. An entry of those that a later leader overwrote has a timestamp above it.
type Past struct {
	planted Planted
	leased  *LeaseReads // of the same replica: it knows up to where garbage is collected
	served  atomic.Uint64

	mu struct {
		sync.Mutex
		lack cluster.PastLack // but for PastReturning and PastBehind
		held bool             // PastReturning
		desc *cluster.RangeDescriptor
		// era rises whenever what is stored may go: a read that began in another one is void.
		era     uint64
		applied uint64
		closed  hlc.Timestamp
		word    closedWord    // of a leader, that does not count yet
		words   uint64        // that counted
		asked   time.Duration // by the boot-time clock; when the leader was asked last
	}
}

// closedWord closes time up to ts for who has applied index.
type closedWord struct {
	index uint64
	ts    hlc.Timestamp
}

// PastRead is one read of the past.
type PastRead struct {
	// Descriptor is the range's. It must not be changed.
	Descriptor *cluster.RangeDescriptor

	p   *Past
	era uint64
	ts  hlc.Timestamp
}

// Lack is what the replica lacks to serve a read at ts; newest asks for what it has,
// whatever is closed.
func (p *Past) Lack(ts hlc.Timestamp, newest bool) cluster.PastLack {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lackAt(ts, newest)
}

func (p *Past) lackAt(ts hlc.Timestamp, newest bool) cluster.PastLack {
	switch {
	case p.mu.held:
		return cluster.PastReturning
	case p.mu.lack != cluster.PastServes:
		return p.mu.lack
	case !newest && ts > p.mu.closed:
		return cluster.PastBehind
	}
	return cluster.PastServes
}

// Closed is up to where time is closed here, and what the replica lacks to serve it.
func (p *Past) Closed() (hlc.Timestamp, cluster.PastLack) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.closed, p.lackAt(0, true)
}

// Begin begins a read at ts.
func (p *Past) Begin(ts hlc.Timestamp, newest bool) (q PastRead, lack cluster.PastLack) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if lack = p.lackAt(ts, newest); lack == cluster.PastServes {
		q = PastRead{Descriptor: p.mu.desc, p: p, era: p.mu.era, ts: ts}
	}
	return q, lack
}

// Check reports, after the state was read or a view of it taken, whether it was there
// all the time. If not, what was read is worth nothing.
func (q *PastRead) Check() bool {
	q.p.mu.Lock()
	defer q.p.mu.Unlock()
	ok := q.era == q.p.mu.era && !q.p.mu.held
	if ok {
		q.p.served.Add(1)
	}
	return ok
}

// Mirror is what transactions have left in the range. As with LeaseRead, who reads asks
// before it takes its view of the engine: an intent at or below a closed time was shown
// before that was known to be closed.
func (q *PastRead) Mirror() evaluation.Mirror {
	if q.p.planted.passesIntents() {
		return nil
	}
	return q.p.leased.shown()
}

// Refuses returns why what was read at its time is worth nothing anywhere: versions of
// it may have been collected. It is asked after Check.
func (q *PastRead) Refuses() error { return q.p.leased.Refuses(q.ts) }

// Served is how many reads were served.
func (p *Past) Served() uint64 { return p.served.Load() }

// Words is how many words of leaders have closed time here.
func (p *Past) Words() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.words
}

// Hold says whether the replica's node does not know yet whether its store is an older
// copy.
func (p *Past) Hold(held bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.held = held
}

// Due reports whether the leader is to be asked to close time: what is closed is older
// than age, and the last question is at least as long ago.
func (p *Past) Due(clock hlc.Timestamp, now, age time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if clock.Add(-age) <= p.mu.closed || p.mu.asked != 0 && now < p.mu.asked+age {
		return false
	}
	p.mu.asked = now
	return true
}

// follow has readers see the replica as it is now.
func (p *Past) follow(lack cluster.PastLack, d *cluster.RangeDescriptor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.lack != lack || p.mu.desc != d {
		p.mu.era++
		p.mu.lack, p.mu.desc = lack, d
	}
}

// reached tells up to where the engine holds everything, and the timestamp of the
// newest command in that.
func (p *Past) reached(applied uint64, ts hlc.Timestamp) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.applied = applied
	p.mu.closed = max(p.mu.closed, ts)
	p.keep(p.mu.word)
}

// take takes a leader's word.
func (p *Past) take(w closedWord) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keep(w)
}

func (p *Past) keep(w closedWord) {
	switch {
	case w.ts <= p.mu.closed:
	case p.mu.applied >= w.index || p.planted.closesAhead():
		p.mu.closed = w.ts
		p.mu.words++
	default:
		p.mu.word = w
	}
}

// Past is for reads of the past, in any goroutine.
func (r *Replica) Past() *Past { return r.past }

// followPast has readers of the past see the replica as it is now. It is called before
// anything that they might read is deleted or replaced, and after.
func (r *Replica) followPast() {
	lack := cluster.PastServes
	switch {
	case r.failed != nil || r.removed:
		lack = cluster.PastFailed
	case r.installing:
		lack = cluster.PastInstalling
	case !r.Initialised():
		lack = cluster.PastEmpty
	case r.damaged != nil:
		lack = cluster.PastDamaged
	}
	r.past.follow(lack, r.desc)
}

// AskClosed asks the leader to close time. The answer may get lost, as the question
// may: whoever reads asks again. Nobody is woken.
func (r *Replica) AskClosed() {
	if r.stopped() || r.lead == 0 {
		return
	}
	if r.leading {
		if w, ok := r.closeTime(); ok {
			r.past.take(w)
		}
		return
	}
	if to := r.nodeOf(cluster.ReplicaID(r.lead)); to != 0 {
		r.out.SendLease(r.rangeID, to, &LeaseMessage{Kind: Close, From: r.id, To: cluster.ReplicaID(r.lead), Term: r.term})
	}
}

// closeTime closes time up to now, if a lease holds for it.
func (r *Replica) closeTime() (w closedWord, ok bool) {
	w = closedWord{index: r.last(), ts: r.cfg.Clock.Now()}
	if r.cfg.Planted.closesApplied() {
		w.index = r.applied.Index
	}
	if w.ts > r.cfg.Ceiling() {
		return w, false
	}
	r.leased.raise(w.ts)
	return w, r.leased.holds(r.leased.granted.Load(), w.ts) || r.cfg.Planted.closesUnleased()
}

// answerClose answers a follower.
func (r *Replica) answerClose(from cluster.NodeID, m *LeaseMessage) {
	w, ok := r.closeTime()
	if !ok {
		return
	}
	r.past.take(w)
	r.out.SendLease(r.rangeID, from, &LeaseMessage{Kind: Closed, From: r.id, To: m.From, Term: m.Term, Index: w.index, TS: w.ts})
}
