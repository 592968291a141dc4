package replica

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/lease"
)

// LeaseReads is what a replica shares with those who read under its lease outside
// of the core loop. Any goroutine may use it.
type LeaseReads struct {
	now     func() time.Duration // boot-time clock
	own     func() hlc.Timestamp // the ceiling of this node's clock that is durable
	planted lease.Planted
	shown   func() evaluation.Mirror

	granted atomic.Pointer[granted]
	served  atomic.Uint64
	refused atomic.Uint64 // reads that the replica did not serve
	wakes   atomic.Uint64 // times that a command woke the range
	waking  atomic.Uint64 // nanoseconds that all of them together took
	passed  atomic.Uint64 // the time below which nothing is read: garbage is collected

	mu struct {
		sync.Mutex
		woken   time.Duration // when a range that slept was woken; 0: that is over
		mark    hlc.Timestamp // of the latest read: no later command is at or below it
		barrier uint64        // index up to which every read waits
		under   underWay      // commands behind it, until they are applied
		applied uint64        // index up to which the engine holds everything
		waiting []waiter
	}
}

// granted is a lease and the descriptor that it was made for. A new one is made
// whenever anything in it changes, so that one that is still there has never ended.
type granted struct {
	grant  *lease.Grant
	desc   *cluster.RangeDescriptor
	before atomic.Bool // a planted fault: a verdict of some time ago
}

type waiter struct {
	index uint64
	done  chan struct{}
}

// LeaseRead is one read under a lease.
type LeaseRead struct {
	// Descriptor is the range's. It must not be changed.
	Descriptor *cluster.RangeDescriptor

	l    *LeaseReads
	g    *granted
	ts   hlc.Timestamp
	need uint64
}

func (l *LeaseReads) holds(g *granted, ts hlc.Timestamp) bool {
	return g != nil && g.grant.Holds(l.now(), ts, l.own())
}

// Begin begins a read of some rows at ts, which the node's clock has reached: from here
// on no command of this leader gets a timestamp at or below it (rule 15). ok is false
// if there is no lease for it.
func (l *LeaseReads) Begin(ts hlc.Timestamp, rows Scope) (q LeaseRead, ok bool) {
	g := l.granted.Load()
	if g == nil || !l.holds(g, ts) && !l.planted.ChecksBefore() {
		return q, false // a hint that spares the wait; what counts is Check
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.planted.RaisesNoMark() {
		l.mu.mark = max(l.mu.mark, ts)
	}
	need := max(l.mu.barrier, l.mu.under.last(ts, &rows, l.planted.WaitsForFirst()))
	return LeaseRead{Descriptor: g.desc, l: l, g: g, ts: ts, need: need}, true
}

// Ready reports whether the engine holds all that the read has to see (rule 16): what
// was proposed when it began and may commit at or below its time in its rows. What an
// earlier leader left was applied before there was a lease, and what this one has
// answered is applied.
func (q *LeaseRead) Ready() bool {
	q.l.mu.Lock()
	defer q.l.mu.Unlock()
	return q.l.mu.applied >= q.need || q.l.planted.WaitsForNothing()
}

// Wait waits until the read is Ready. It returns false if the lease went meanwhile,
// or done was closed.
func (q *LeaseRead) Wait(done <-chan struct{}) bool {
	for {
		q.l.mu.Lock()
		if q.l.mu.applied >= q.need {
			q.l.mu.Unlock()
			return true
		}
		if q.l.granted.Load() != q.g {
			q.l.mu.Unlock()
			return false
		}
		w := waiter{q.need, make(chan struct{})}
		q.l.mu.waiting = append(q.l.mu.waiting, w)
		q.l.mu.Unlock()
		select {
		case <-w.done:
		case <-done:
			return false
		}
	}
}

// Mirror is what transactions have left in the range. Who reads asks when it is Ready,
// and before it takes its view of the engine. An intent at or below the read's time was
// proposed when the read began, because the read mark keeps later commands above: now
// that the read is ready the intent was applied, and is in the mirror, unless a command
// has made a version of it, or taken it away, and was committed to the engine before it
// left the mirror: then the view, which is newer, shows what became of it. A mirror of
// after the view could have lost an intent of which the view knows no end.
func (q *LeaseRead) Mirror() evaluation.Mirror { return q.l.shown() }

// noMirror is the mirror of ranges whose machine keeps none.
func noMirror() evaluation.Mirror { return nil }

// Shown is Mirror of a read that was confirmed by a quorum, at that moment.
func (r *Replica) Shown() evaluation.Mirror { return r.leased.shown() }

// Check reports, after the state was read, whether the lease held all the time
// (rule 17), and what was there at its time was not collected meanwhile. If not, what
// was read is worth nothing.
func (q *LeaseRead) Check() bool {
	ok := q.l.holds(q.g, q.ts) && q.l.granted.Load() == q.g && q.l.Refuses(q.ts) == nil
	if q.l.planted.ChecksBefore() {
		ok = q.g.before.Load()
	}
	if ok {
		q.l.served.Add(1)
	}
	return ok
}

// Threshold is the time below which the range is not read any more.
func (l *LeaseReads) Threshold() hlc.Timestamp { return hlc.Timestamp(l.passed.Load()) }

// Refuses returns why a read at ts is refused: versions that it might see may be
// collected. Who reads asks after he has his view, or after he has read: whatever is
// missing there was told before. A read without a time is of what is newest.
func (l *LeaseReads) Refuses(ts hlc.Timestamp) error {
	if t := l.Threshold(); ts < t && ts != 0 {
		return &TooOldError{TS: ts, Threshold: t}
	}
	return nil
}

// pass raises the threshold. It is called in the loop alone.
func (l *LeaseReads) pass(threshold hlc.Timestamp) {
	if threshold > l.Threshold() {
		l.passed.Store(uint64(threshold))
	}
}

// Served is how many reads were served.
func (l *LeaseReads) Served() uint64 { return l.served.Load() }

// raise raises the read mark.
func (l *LeaseReads) raise(ts hlc.Timestamp) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.mark = max(l.mu.mark, ts)
}

// readMark is the timestamp of the latest read.
func (l *LeaseReads) readMark() hlc.Timestamp {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.mark
}

// propose has fn give commands to raft while no read begins. fn gets the read mark, and
// tells what raft took by sent.
func (l *LeaseReads) propose(fn func(mark hlc.Timestamp)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fn(l.mu.mark)
}

// sent tells that raft took a command: reads that begin from here on wait for it, if it
// is of concern to them. Whose rows are not known, or change hands, concerns all. mu is
// held.
func (l *LeaseReads) sent(index uint64, p *Proposal) {
	switch {
	case p.verify, p.collects: // what a read may see does not change
	case p.request != nil:
		l.mu.under.push(underCommand{index: index, ts: p.ts, rows: p.request.Touches()})
	default:
		l.mu.barrier = index
	}
}

// reached tells up to where the engine holds everything.
func (l *LeaseReads) reached(applied uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.woke(applied)
	l.mu.applied = applied
	l.mu.under.pop(applied)
	rest := l.mu.waiting[:0]
	for _, w := range l.mu.waiting {
		if w.index > applied {
			rest = append(rest, w)
			continue
		}
		close(w.done)
	}
	clear(l.mu.waiting[len(rest):])
	l.mu.waiting = rest
}

// grant puts a lease in the place of another, or of none; nil withdraws it. last is
// the index of the last entry of the log: whoever reads under the lease waits for it.
func (l *LeaseReads) grant(g *granted, last uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.barrier, l.mu.under = last, underWay{}
	l.granted.Store(g)
	for _, w := range l.mu.waiting { // whoever waits under another one looks again
		close(w.done)
	}
	l.mu.waiting = nil
}

// Held reports whether the lease holds now.
func (l *LeaseReads) Held() bool { return l.holds(l.granted.Load(), 0) }
