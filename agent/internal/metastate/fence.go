package metastate

import (
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// FreesAt is when the rows of a dropped collection may go, if nobody reads as of before
// then: a read at a time before it may see them. It is later than the drop by less than
// what a timestamp and the time in the record may differ.
func (d *DroppedCollection) FreesAt() time.Time { return d.DroppedAt.Add(time.Millisecond) }

// Fence is the fence that ranges of a pool are to have in place of old, once nobody reads
// as of before keep, and the time before which rows of what it dooms may be read; nil: there
// is nothing to add. What a View says of drops up to one it
// says of all before that, so that the newer of two fences never lets through what the
// older one bars, whatever Views they are of.
func (v *View) Fence(pool cluster.PoolID, old *cluster.Fence, keep time.Time) (next *cluster.Fence, threshold time.Time) {
	next = &cluster.Fence{Through: old.Through, UpTo: old.UpTo, Cleared: old.Cleared}
	for id, d := range v.Dropped {
		if d.Object.Collection.Pool != pool || d.Index <= old.Through || d.FreesAt().After(keep) {
			continue
		}
		next.Doomed = append(next.Doomed, id)
		next.Through, next.UpTo = max(next.Through, d.Index), max(next.UpTo, id)
		if d.FreesAt().After(threshold) {
			threshold = d.FreesAt()
		}
	}
	if len(next.Doomed) == 0 {
		return nil, threshold
	}
	for _, o := range v.Objects {
		for _, at := range o.Places() {
			if at.Pool == pool && at.ID <= next.UpTo {
				next.Alive = append(next.Alive, at.ID)
			}
		}
	}
	for _, id := range v.toBeMade() {
		if id <= next.UpTo {
			next.Alive = append(next.Alive, id)
		}
	}
	for id, d := range v.Dropped {
		if d.Object.Collection.Pool == pool && d.Index > next.Through && id <= next.UpTo {
			next.Alive = append(next.Alive, id)
		}
	}
	slices.Sort(next.Alive)
	next.Alive = slices.Compact(next.Alive)
	slices.Sort(next.Doomed)
	return next, threshold
}
