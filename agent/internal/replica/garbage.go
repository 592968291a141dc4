package replica

import (
	"errors"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// Collector is satisfied by a StateMachine whose old versions can be collected.
type Collector interface {
	// TakeGarbage returns the threshold, and up to where all is collected, that commands
	// have said since it was called last, and the earliest time of the versions that they
	// wrote at times of before; 0: nothing.
	TakeGarbage() (threshold, collected, late hlc.Timestamp)
	// Passed tells what the range's threshold is: reads below it are refused.
	Passed(threshold hlc.Timestamp)
	// Collect looks for garbage. It depends on its arguments alone, and any goroutine may
	// call it. pace is told of the bytes that were read, and ends it by its error.
	Collect(r storage.SpanReader, d *cluster.RangeDescriptor, s evaluation.Search, last bool, pace func(bytes int64) error) (evaluation.Found, error)

	// Fence says which collections are no more in the range. It is not to be changed.
	Fence() *cluster.Fence
	// SetFence makes the command that sets another one: versions from before the threshold
	// may be gone after it.
	SetFence(f *cluster.Fence, threshold hlc.Timestamp) (command []byte)
	// Clear is Collect of what is left of the collections that a fence dooms, from the
	// place after on; limit bounds the spans of one command.
	Clear(r storage.SpanReader, d *cluster.RangeDescriptor, f *cluster.Fence, after []byte, limit int, pace func(bytes int64) error) (evaluation.Found, error)
	// Bequeath writes the fence for a range that is split off.
	Bequeath(w storage.Writer, child cluster.RangeID) error
}

// GarbagePolicy says what garbage is.
type GarbagePolicy struct {
	// Keep is the time from which on reads must find what was there; 0: all is kept.
	Keep hlc.Timestamp
	// Every is how long garbage may wait for others, to be collected with them.
	Every time.Duration
	// Ask, if it is set, says that Keep is not certain, and is called for it to become so.
	Ask func()
	// Fence is the fence that ranges of a pool are to have in place of old, and the time
	// before which versions of what it dooms may be read; nil: they have it. Nil: nothing
	// is ever dropped.
	Fence func(pool cluster.PoolID, old *cluster.Fence, keep hlc.Timestamp) (*cluster.Fence, hlc.Timestamp)
}

const (
	// garbageBatch is the most versions that a command takes away: it is applied in
	// about a millisecond, in which the range does nothing else.
	garbageBatch = 1024
	// clearBatch is the most spans that a command deletes of dropped collections: a
	// deletion of a span costs the engine more than one of a key, whatever is in it.
	clearBatch = 256
	// garbageSlack is how much further back a pass looks than the one before has come: a
	// transaction may have written at an older time while that was under way.
	garbageSlack = 5 * time.Minute
	// garbagePatience is how long a range in which little is dead waits, in
	// GarbagePolicy.Every.
	garbagePatience = 10
	// garbageBusy is how many requests may wait at the range that collects: it yields to
	// more, for garbageYields seconds at most.
	garbageBusy, garbageYields = 256, 30
	// garbageRetry is how long a pass that failed rests, in looks.
	garbageRetry = 10
)

// collecting is what a leader knows of its garbage.
type collecting struct {
	job     *GarbageJob
	search  evaluation.Search // of the pass under way; Threshold 0: none is
	fence   *cluster.Fence    // of the pass under way, if it clears what was dropped
	found   bool              // the pass has
	scanned hlc.Timestamp     // up to which there is no garbage, as a pass has seen
	epoch   uint64            // of evaluations, of which this is
	rests   int               // looks until the next
	yields  int               // looks for which it has made way
	urgent  bool              // collections were dropped: the pass under way makes way for that
}

// GarbageJob looks for garbage of a range, from a view that it takes: whoever carries it
// out gives the result back with Collected, which has what was found taken away.
type GarbageJob struct {
	Range cluster.RangeID

	replica *Replica
	desc    *cluster.RangeDescriptor
	search  evaluation.Search
	last    bool
	fence   *cluster.Fence // not nil: what it dooms is looked for

	jobView
}

// Replica returns whose range it is.
func (j *GarbageJob) Replica() *Replica { return j.replica }

// Open takes the view; it belongs to the goroutine of the replica. Collect or Drop
// releases it.
func (j *GarbageJob) Open() error {
	r := j.replica
	if !r.current(j) || !j.open(r.cfg.Engine) {
		return errVoid
	}
	return nil
}

// Collect reads the view. Any goroutine may call it, once.
func (j *GarbageJob) Collect(pace func(bytes int64) error) (f evaluation.Found, err error) {
	view := j.take()
	c, ok := j.replica.machine.(Collector)
	if view == nil || !ok {
		return f, errVoid
	}
	if j.fence != nil {
		f, err = c.Clear(view, j.desc, j.fence, j.search.After, clearBatch, pace)
	} else {
		f, err = c.Collect(view, j.desc, j.search, j.last, pace)
	}
	return f, errors.Join(err, view.Close())
}

// current reports whether a job is still wanted.
func (r *Replica) current(j *GarbageJob) bool {
	return r.garbage.job == j && r.garbage.epoch == r.evals.epoch && !r.stopped() && r.leading && r.ready
}

// CollectGarbage is called about once a second, whether the range sleeps or not. It
// begins a pass when there is something to collect, and goes on with one that made way.
func (r *Replica) CollectGarbage(p GarbagePolicy) {
	g := &r.garbage
	c, ok := r.machine.(Collector)
	if !ok || r.stopped() || !r.leading || !r.ready {
		return
	}
	if g.epoch != r.evals.epoch { // what an earlier leadership, or wider range, knew
		*g = collecting{epoch: r.evals.epoch}
	}
	if g.rests > 0 {
		g.rests--
		return
	}
	g.urgent = g.urgent || g.search.Threshold != 0 && r.fenceDue(c, p)
	if g.job != nil || r.damaged != nil || r.makesWay() {
		return
	}
	if g.urgent {
		r.endPass(false)
		g.rests = 0
	}
	if g.search.Threshold == 0 && g.fence == nil {
		if r.fenceOff(c, p) || !r.garbageDue(p) {
			return
		}
		if p.Ask != nil {
			p.Ask()
			return
		}
		r.Wake()
		from := r.garbageBound()
		g.search = evaluation.Search{From: from.Add(-garbageSlack), Threshold: p.Keep, Limit: garbageBatch}
		if from == 0 || g.search.From > from { // of the begin of time
			g.search.From = 0
		}
		g.found = false
	}
	r.lookForGarbage()
}

// makesWay reports whether the range has more urgent things to do.
func (r *Replica) makesWay() bool {
	g := &r.garbage
	if r.queued < garbageBusy || g.yields >= garbageYields {
		g.yields = 0
		return false
	}
	g.yields++
	return true
}

// garbageBound is the time at or below which nothing of the range is garbage: what is,
// was hidden later.
func (r *Replica) garbageBound() hlc.Timestamp {
	return max(r.decoded.Collected, r.garbage.scanned)
}

// garbageDue reports whether it is worth a pass: something is dead, and the oldest of it
// may have been for longer the less it is.
func (r *Replica) garbageDue(p GarbagePolicy) bool {
	n := r.decoded.Counts
	if !r.decoded.Counted || n.Dead <= 0 || p.Keep <= r.garbageBound() {
		return false
	}
	shares := min(1+n.Live/(64*n.Dead), garbagePatience)
	return p.Keep >= r.garbageBound().Add(time.Duration(shares)*p.Every)
}

func (r *Replica) lookForGarbage() {
	g := &r.garbage
	g.job = &GarbageJob{Range: r.rangeID, replica: r, desc: r.desc, search: g.search, last: g.found, fence: g.fence}
	r.out.Garbage(g.job)
}

// Collected ends a job: what it found is proposed, and when that is applied, the next
// follows.
func (r *Replica) Collected(j *GarbageJob, f evaluation.Found, err error) {
	if !r.current(j) {
		return
	}
	defer r.guard()
	g := &r.garbage
	switch {
	case err != nil:
		_ = r.unreadable(err) // nobody waits for it
		r.cfg.Logger.Warn("garbage not collected, trying again", logattr.Range(r.rangeID), logattr.Err(err))
		r.endPass(false)
	case f.Command == nil:
		r.nextGarbage(f.Next)
	default:
		g.found = true
		r.Wake()
		p := &Proposal{collects: true, Done: func(o Outcome) { r.tookAway(j, f.Next, o) }}
		p.command = f.Command
		r.admit(p)
		r.queue = append(r.queue, p)
	}
}

// tookAway follows a command of garbage.
func (r *Replica) tookAway(j *GarbageJob, next []byte, o Outcome) {
	if !r.current(j) {
		return
	}
	if o.Err != nil || o.rejected {
		r.endPass(false)
		return
	}
	r.nextGarbage(next)
}

// nextGarbage goes on with the pass at row, or ends it.
func (r *Replica) nextGarbage(row []byte) {
	g := &r.garbage
	if row == nil {
		r.endPass(true)
		return
	}
	g.search.After, g.job = row, nil
	if !g.urgent && !r.makesWay() {
		r.lookForGarbage()
	}
}

func (r *Replica) endPass(whole bool) {
	g := &r.garbage
	if whole {
		g.scanned = max(g.scanned, g.search.Threshold)
	} else {
		g.rests = garbageRetry
	}
	g.job, g.search, g.fence, g.yields, g.urgent = nil, evaluation.Search{}, nil, 0, false
}

// takeGarbage takes into the applied state what a command has said of garbage.
func (r *Replica) takeGarbage() {
	c, ok := r.machine.(Collector)
	if !ok {
		return
	}
	threshold, collected, late := c.TakeGarbage()
	r.decoded.Collected = max(r.decoded.Collected, collected)
	if late != 0 { // what it hides a pass would leave out, that begins where the last has come
		r.decoded.Collected = min(r.decoded.Collected, late-1)
		r.garbage.scanned = min(r.garbage.scanned, late-1)
	}
	if threshold > r.decoded.Threshold {
		r.decoded.Threshold = threshold
		r.leased.pass(threshold)
	}
}

// loadGarbage has what refuses reads know the threshold of a state that was loaded.
func (r *Replica) loadGarbage() {
	r.leased.pass(r.applied.Threshold)
	if c, ok := r.machine.(Collector); ok {
		c.Passed(r.applied.Threshold)
	}
}
