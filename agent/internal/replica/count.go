package replica

import (
	"errors"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/invariant"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// Counter is satisfied by a StateMachine that counts what its range holds. The
// replica keeps the sums and stores them in the applied state.
type Counter interface {
	// TakeCounts returns what commands have added since it was called last.
	TakeCounts() cluster.Counts
	// Count counts what r holds of a range. It depends on r and d alone, and any
	// goroutine may call it. pace is told of the bytes that were read, and ends the
	// counting by its error; nil: nobody waits.
	Count(r storage.Reader, d *cluster.RangeDescriptor, pace func(bytes int64) error) (cluster.Counts, error)
}

// recountTicks is how long a replica waits before it counts again what could not
// be read: a disk that fails is not asked in a circle.
const recountTicks = 100

// CountJob counts a range anew, from a view that it takes: whoever carries it out
// gives the result back with Counted, which adds what was written since the view.
type CountJob struct {
	Range cluster.RangeID

	replica *Replica
	desc    *cluster.RangeDescriptor
	base    cluster.Counts // that the view holds: what was added since is not in it

	jobView
}

// Replica returns whose range it is.
func (j *CountJob) Replica() *Replica { return j.replica }

// Open takes the view; it belongs to the goroutine of the replica. Count or Drop
// releases it.
func (j *CountJob) Open() error {
	r := j.replica
	if r.counting != j || r.stopped() || !j.open(r.cfg.Engine) {
		return errVoid
	}
	return nil
}

// Count reads the view. Any goroutine may call it, once.
func (j *CountJob) Count(pace func(bytes int64) error) (n cluster.Counts, err error) {
	view := j.take()
	c, ok := j.replica.machine.(Counter)
	if view == nil || !ok {
		return n, errVoid
	}
	state, err := storedState(view, j.Range)
	if err == nil {
		j.base = state.Counts
		n, err = c.Count(view, j.desc, pace)
	}
	return n, errors.Join(err, view.Close())
}

// tickCount asks for a count, if there is none: after a split, and after a start
// or a snapshot whose state has none.
func (r *Replica) tickCount() {
	r.countPause = max(r.countPause-1, 0)
	if r.decoded.Counted || r.counting != nil || r.installing || r.countPause > 0 || !r.Initialised() {
		return
	}
	r.counting = &CountJob{Range: r.rangeID, replica: r, desc: r.desc.Clone()}
	r.out.Count(r.counting)
}

// addCounts adds what the commands that were decoded since have changed.
func (r *Replica) addCounts() {
	c, ok := r.machine.(Counter)
	if !ok {
		return
	}
	added := c.TakeCounts()
	r.decoded.Counts = r.decoded.Counts.Plus(added)
	if freed := -(added.Live + added.Dead); freed > 0 {
		r.out.Freed(freed)
	}
}

// divideCounts gives each half of a split its share: both have to be counted anew,
// unless there is nothing. Until then half of all is a guess for planners.
func (r *Replica) divideCounts() (right cluster.Counts, counted bool) {
	r.addCounts()
	r.counting = nil
	nothing := r.decoded.Counts == cluster.Counts{}
	r.decoded.Counts, right = r.decoded.Counts.Halves()
	r.decoded.Counted = r.decoded.Counted && (nothing || r.cfg.Planted.guessCounts())
	return right, r.decoded.Counted
}

// Counted ends a job. What was written since its view is added, and the sum is
// stored with the next round: a range that nobody writes to would be counted after
// each start.
func (r *Replica) Counted(j *CountJob, n cluster.Counts, err error) {
	if r.counting != j || r.stopped() {
		return
	}
	defer r.guard()
	r.counting = nil
	if err != nil {
		r.countPause = recountTicks
		_ = r.unreadable(err) // nobody waits for it
		r.cfg.Logger.Warn("range not counted, trying again", logattr.Range(r.rangeID), logattr.Err(err))
		return
	}
	r.addCounts()
	if !r.cfg.Planted.recountFromView() {
		n = n.Plus(r.decoded.Counts.Minus(j.base))
	}
	r.decoded.Counts, r.decoded.Counted = n, true
	r.collect()
}

func (r *Replica) checkCounts() {
	invariant.Check(!r.decoded.Counted || !r.decoded.Counts.Negative(), "%s: counted %+v", r.rangeID, r.decoded.Counts)
}

// storeState writes an applied state apart from any round, as planted faults do.
func (r *Replica) storeState(a appliedState, sync bool) error {
	b := r.cfg.Engine.NewWriteBatch()
	err := b.Set(keys.RangeApplied(r.rangeID), a.encode())
	if err == nil {
		err = b.Commit(sync)
	}
	return errors.Join(err, b.Close())
}

// countFirst is a planted fault: it makes counts durable ahead of what they count.
func (r *Replica) countFirst() error {
	if !r.cfg.Planted.countFirst() {
		return nil
	}
	r.addCounts()
	before := r.applied
	before.Counts = r.decoded.Counts
	return r.storeState(before, true)
}
