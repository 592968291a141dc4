package replica

import (
	"errors"
	"fmt"

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
	since   cluster.Counts // the replica's: added after the view was taken

	jobView
}

// Replica returns whose range it is.
func (j *CountJob) Replica() *Replica { return j.replica }

// Open takes the view, between two applies: it belongs to the goroutine of the
// replica. Count or Drop releases it.
func (j *CountJob) Open() error {
	r := j.replica
	if r.counting != j || r.stopped() || !j.open(r.cfg.Engine) {
		return errVoid
	}
	j.since = cluster.Counts{}
	return nil
}

// Count reads the view. Any goroutine may call it, once.
func (j *CountJob) Count(pace func(bytes int64) error) (n cluster.Counts, err error) {
	view := j.take()
	c, ok := j.replica.machine.(Counter)
	if view == nil || !ok {
		return n, errVoid
	}
	n, err = c.Count(view, j.desc, pace)
	return n, errors.Join(err, view.Close())
}

// tickCount asks for a count, if there is none: after a split, and after a start
// or a snapshot whose state has none.
func (r *Replica) tickCount() {
	r.countPause = max(r.countPause-1, 0)
	if r.applied.Counted || r.counting != nil || r.installing || r.countPause > 0 || !r.Initialised() {
		return
	}
	r.counting = &CountJob{Range: r.rangeID, replica: r, desc: r.desc.Clone()}
	r.out.Count(r.counting)
}

// addCounts adds what the commands that were just applied have changed.
func (r *Replica) addCounts() {
	c, ok := r.machine.(Counter)
	if !ok {
		return
	}
	n := c.TakeCounts()
	r.applied.Counts = r.applied.Counts.Plus(n)
	if r.counting != nil {
		r.counting.since = r.counting.since.Plus(n)
	}
}

// divideCounts gives each half of a split its share: both have to be counted anew,
// unless there is nothing. Until then half of all is a guess for planners.
func (r *Replica) divideCounts() (right cluster.Counts, counted bool) {
	r.addCounts()
	r.counting = nil
	nothing := r.applied.Counts == cluster.Counts{}
	r.applied.Counts, right = r.applied.Counts.Halves()
	r.applied.Counted = r.applied.Counted && (nothing || r.cfg.Planted.guessCounts())
	return right, r.applied.Counted
}

// Counted ends a job. What was written since its view is added, and the sum is
// stored at once: a range that nobody writes to would be counted after each start.
func (r *Replica) Counted(j *CountJob, n cluster.Counts, err error) {
	if r.counting != j || r.stopped() {
		return
	}
	defer r.guard()
	r.counting = nil
	if err != nil {
		r.countPause = recountTicks
		r.cfg.Logger.Warn("range not counted, trying again", logattr.Range(r.rangeID), logattr.Err(err))
		return
	}
	if !r.cfg.Planted.recountFromView() {
		n = n.Plus(j.since)
	}
	r.applied.Counts, r.applied.Counted = n, true
	r.checkCounts()
	if err := r.storeApplied(); err != nil {
		r.fail(fmt.Errorf("store counts: %w", err))
		return
	}
	r.out.Changed(r, false)
}

func (r *Replica) checkCounts() {
	invariant.Check(!r.applied.Counted || !r.applied.Counts.Negative(), "%s: counted %+v", r.rangeID, r.applied.Counts)
}

// storeApplied writes the applied state alone. Nobody else writes it meanwhile: a
// snapshot on its way voids the count, and so does the replica's end.
func (r *Replica) storeApplied() error {
	b := r.cfg.Engine.NewWriteBatch()
	err := b.Set(keys.RangeApplied(r.rangeID), r.applied.encode())
	if err == nil {
		err = b.Commit(false)
	}
	return errors.Join(err, b.Close())
}

// countFirst is a planted fault: it makes counts durable ahead of what they count.
func (r *Replica) countFirst(before appliedState) error {
	if !r.cfg.Planted.countFirst() {
		return nil
	}
	before.Counts = r.applied.Counts
	b := r.cfg.Engine.NewWriteBatch()
	err := b.Set(keys.RangeApplied(r.rangeID), before.encode())
	if err == nil {
		err = b.Commit(true)
	}
	return errors.Join(err, b.Close())
}
