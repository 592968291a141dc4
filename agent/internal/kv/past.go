package kv

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// Consistency is how new that has to be what a read finds.
type Consistency int

// The consistencies.
const (
	Strong   Consistency = iota // everything acknowledged before the statement
	Bounded                     // at most some time old
	Eventual                    // whatever the replica here has
	AsOf                        // at a time that the statement names
)

// Reading is how a statement reads. The zero value reads what is acknowledged, at the
// leaders.
type Reading struct {
	Consistency Consistency
	Within      time.Duration // of Bounded
	// InTransaction says that the statement is in a transaction that may write, Writes
	// that it writes itself, Locks that it locks rows.
	InTransaction, Writes, Locks bool
	// Trace, if set, learns where what was read.
	Trace *Trace
}

// Past reports whether replicas that do not lead may answer.
func (r *Reading) Past() bool {
	c := GateCase{Reading: *r}
	here, _ := c.Decide()
	return here
}

// Reason is why a range is read where it is.
type Reason string

// The reasons. Those of what a replica lacks are cluster.PastLack's names.
const (
	// Read here:
	ReasonClosed   Reason = "closed"   // the time is closed at the replica here
	ReasonEventual Reason = "eventual" // what it has is asked for
	// Read at the leader:
	ReasonStrong      Reason = "strong"      // what is acknowledged is asked for
	ReasonWrites      Reason = "writes"      // the statement writes
	ReasonLocks       Reason = "locks"       // it locks rows
	ReasonTransaction Reason = "transaction" // it is in a transaction that may write
	ReasonLeads       Reason = "leads"       // the replica here leads, with a lease
	ReasonIntents     Reason = "intents"     // a transaction that may commit below the time has written there
)

// Reasons are all of them, for counters.
func Reasons() []Reason {
	out := []Reason{ReasonClosed, ReasonEventual, ReasonStrong, ReasonWrites, ReasonLocks, ReasonTransaction, ReasonLeads, ReasonIntents}
	for _, l := range cluster.PastLacks {
		out = append(out, Reason(l))
	}
	return out
}

// GateCase is what decides where a range is read.
type GateCase struct {
	Reading
	// Lack is what the replica here lacks to serve the time of the read.
	Lack cluster.PastLack
	// Leads says that the replica here leads its range and holds a lease.
	Leads bool
	// Intents says that the replica here has met intents at or below the time.
	Intents bool
}

// Decide says whether a range is read at the replica here as it is, or at the leader
// (which may be here too), and why. It is the gate of follower reads.
func (c *GateCase) Decide() (here bool, why Reason) {
	switch {
	case c.Consistency == Strong:
		return false, ReasonStrong
	case c.Writes:
		return false, ReasonWrites
	case c.Locks:
		return false, ReasonLocks
	case c.InTransaction && c.Consistency != AsOf:
		return false, ReasonTransaction
	case c.Leads:
		return false, ReasonLeads
	case c.Lack != cluster.PastServes && !(c.Lack == cluster.PastBehind && c.Consistency == Eventual):
		return false, Reason(c.Lack)
	case c.Consistency == Eventual:
		return true, ReasonEventual
	case c.Intents:
		return false, ReasonIntents
	}
	return true, ReasonClosed
}

// gate decides for one range, and has time closed at the replica here if that is
// likely to be read again.
func (d *DB) gate(id cluster.RangeID, ts hlc.Timestamp, r *Reading) (here bool, why Reason) {
	c := GateCase{Reading: *r}
	if !r.Past() {
		return c.Decide()
	}
	l := d.cfg.Store.Local(id)
	if c.Lack, c.Leads = l.Lack, l.Leads; l.Lack == cluster.PastServes && ts > l.Closed {
		c.Lack = cluster.PastBehind
	}
	here, why = c.Decide()
	if l.Lack != cluster.PastServes {
		return here, why
	}
	// Who leads closes time for itself, without a word to anybody: for when it has lost
	// its lease.
	switch age := d.cfg.ClosedLag() / renewals; {
	case r.Consistency == Bounded:
		d.cfg.Store.CloseSoon(id, min(age, r.Within/renewals))
	case why == Reason(cluster.PastBehind):
		d.cfg.Store.CloseSoon(id, age)
	}
	return here, why
}

// renewals is how often within the lag that is allowed a leader is asked to close time,
// while its followers are read: so that one that answers late makes none fall behind.
const renewals = 3

// defaultClosedLag is Config.ClosedLag's default.
const defaultClosedLag = 3 * time.Second

// PastTime is the time for all of a statement that reads the past, by what the
// replicas here have closed: the latest at which all that are new enough can serve.
// Without keys the statement may read any range.
func (d *DB) PastTime(r *Reading, p cluster.PoolID, c cluster.CollectionID, keys [][]byte) hlc.Timestamp {
	now := d.cfg.Clock.Now()
	if r.Consistency != Bounded {
		return now
	}
	ts, floor := now, hlc.New(d.cfg.Clock.Physical().Add(-min(r.Within, d.cfg.Kept()/2)))
	note := func(id cluster.RangeID) {
		if l := d.cfg.Store.Local(id); l.Lack == cluster.PastServes && !l.Leads && l.Closed >= floor {
			ts = min(ts, l.Closed)
		}
	}
	if keys == nil {
		for _, id := range d.cfg.Store.LocalRanges() {
			note(id)
		}
		return ts
	}
	var last cluster.RangeID
	for _, k := range keys {
		if route, ok := d.cfg.Table.Key(p, c, k); ok && route.Descriptor.ID != last {
			last = route.Descriptor.ID
			note(last)
		}
	}
	return ts
}

// pastFailed says how to go on after a read at the replica here failed: at the leader,
// for that reason. !ok: the leader would say the same.
func pastFailed(err error) (why Reason, ok bool) {
	var lack *store.PastError
	var mismatch *store.RangeMismatchError
	var damaged *store.DamagedError
	var intents *store.IntentsError
	switch {
	case errors.As(err, &lack):
		return Reason(lack.Lack), true
	case errors.As(err, &mismatch):
		return "", false
	case errors.As(err, &intents):
		return ReasonIntents, true
	case errors.As(err, &damaged):
		return Reason(cluster.PastDamaged), true
	}
	return "", false
}

// reasonCounts count the parts of statements by where ranges were read, and why.
type reasonCounts struct{ counts sync.Map } // Reason -> *atomic.Uint64

func (c *reasonCounts) add(why Reason) {
	v, ok := c.counts.Load(why)
	if !ok {
		v, _ = c.counts.LoadOrStore(why, new(atomic.Uint64))
	}
	if n, ok := v.(*atomic.Uint64); ok {
		n.Add(1)
	}
}

// ReadCounts says how many parts of statements that may read the past were read for
// which reason: closed and eventual at the replica here, all others at the leader.
func (d *DB) ReadCounts() map[Reason]uint64 {
	out := map[Reason]uint64{}
	for _, why := range Reasons() {
		if v, ok := d.reasons.counts.Load(why); ok {
			if n, ok := v.(*atomic.Uint64); ok {
				out[why] = n.Load()
			}
		}
	}
	return out
}

// RangeRead is what a statement has read of one range at one node.
type RangeRead struct {
	Range    cluster.RangeID
	Node     cluster.NodeID
	Follower bool // as the replica there had it; else under the leader's lease
	Why      Reason
	Rows     int // that were read there
	Bytes    int // that came from there
	Took     time.Duration
	TS       hlc.Timestamp // 0: the leader's now
}

// Trace collects where a statement has read. The zero value is ready.
type Trace struct {
	mu    sync.Mutex
	reads []RangeRead
}

// Reads returns what was read, in the order in which it began.
func (t *Trace) Reads() []RangeRead {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]RangeRead(nil), t.reads...)
}

// note adds a read to what the statement has read there already.
func (t *Trace) note(r RangeRead) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.reads {
		if o := &t.reads[i]; o.Range == r.Range && o.Node == r.Node && o.Follower == r.Follower && o.Why == r.Why && o.TS == r.TS {
			o.Rows += r.Rows
			o.Bytes += r.Bytes
			o.Took += r.Took
			return
		}
	}
	t.reads = append(t.reads, r)
}

// noteRead counts a part of a statement that may read the past, and tells its trace.
func (d *DB) noteRead(r *Reading, part RangeRead) {
	if r.Consistency != Strong {
		d.reasons.add(part.Why)
	}
	r.Trace.note(part)
}

// learn takes what a replica here says of the bounds of its range.
func (d *DB) learn(err error) {
	var mismatch *store.RangeMismatchError
	if errors.As(err, &mismatch) {
		d.cfg.Table.Learn(mismatch.Descriptor)
		for _, o := range mismatch.Others {
			d.cfg.Table.Learn(o)
		}
	}
}
