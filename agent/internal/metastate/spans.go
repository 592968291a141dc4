package metastate

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

func (c *change) updateRanges(in *UpdateRanges) Result {
	changed := false
	for i := range in.Descriptors {
		d := &in.Descriptors[i]
		if err := d.Validate(); err != nil {
			return refused(CodeInvalid, "the descriptor of %s is wrong: %v", d.ID, err)
		}
		old := c.view.Ranges[d.ID]
		if c.view.Removed[d.ID] != nil {
			continue // said by a replica that has not heard of it
		}
		if old != nil && old.Generation >= d.Generation {
			continue
		}
		for _, r := range d.Replicas {
			if n, ok := c.view.Nodes[r.Node]; ok && n.Membership == cluster.Decommissioned {
				return refused(CodeTombstoned, "%s names %s, which was decommissioned", d.ID, r.Node)
			}
		}
		c.putRange(*d)
		c.planted(d)
		c.rangeEvent(old, d)
		changed = true
	}
	if !changed {
		return Result{Existed: true}
	}
	if r := c.clipOverlaps(); r != nil {
		return Result{Refusal: r}
	}
	spans, err := indexSpans(c.view.Ranges)
	if err != nil {
		return refused(CodeConflict, "%v", err)
	}
	c.view.spans = spans
	return Result{}
}

// clipOverlaps settles which of two ranges owns a vshard that both claim: a split
// is reported by both halves, in any order. The half that was split off was born
// with a generation above every one in which an ancestor owned its vshards, so
// that the older descriptor is the one that has not heard of the split.
func (c *change) clipOverlaps() *Refusal {
	ds := dataRanges(c.view.Ranges)
	for i, d := range ds[:max(len(ds)-1, 0)] {
		next := ds[i+1]
		if next.Start >= d.End {
			continue
		}
		if next.Parent == 0 || next.Start == d.Start || next.Generation <= d.Generation {
			return refuse(CodeConflict, "%s: %s and %s both own vshard %d", errOverlap, d.ID, next.ID, next.Start)
		}
		clipped := *d
		clipped.End = next.Start
		c.putRange(clipped)
		c.rangeEvent(d, &clipped)
	}
	return nil
}

// dataRanges returns the ranges of a view that own vshards, in their order.
func dataRanges(ranges map[cluster.RangeID]*cluster.RangeDescriptor) []*cluster.RangeDescriptor {
	ds := make([]*cluster.RangeDescriptor, 0, len(ranges))
	for _, d := range ranges {
		if !d.IsMeta() {
			ds = append(ds, d)
		}
	}
	slices.SortFunc(ds, func(a, b *cluster.RangeDescriptor) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.ID, b.ID))
	})
	return ds
}

var errOverlap = errors.New("ranges overlap")

// indexSpans maps every vshard to the range that owns it; those of a range that
// is not known yet to their left neighbour.
func indexSpans(ranges map[cluster.RangeID]*cluster.RangeDescriptor) (*spanIndex, error) {
	var idx spanIndex
	var left *cluster.RangeDescriptor
	at := cluster.VShard(0)
	fill := func(to cluster.VShard) {
		for ; at < to; at++ {
			if left != nil {
				idx[at] = left.ID
			}
		}
	}
	for _, d := range dataRanges(ranges) {
		if d.Start < at {
			return nil, fmt.Errorf("%w: %s and %s both own vshard %d", errOverlap, left.ID, d.ID, d.Start)
		}
		fill(d.Start)
		left = d
		fill(d.End)
	}
	fill(cluster.VShards)
	return &idx, nil
}

// orphan returns a vshard that no known range owns, if there is one.
func (v *View) orphan() (cluster.VShard, bool) {
	for s, id := range v.spans {
		if d, ok := v.Ranges[id]; !ok || !d.Contains(cluster.VShard(s)) {
			return cluster.VShard(s), true
		}
	}
	return 0, false
}

// newRangeID gives out the id of a range that is to be split off. Ids never
// return: not even those of splits that came to nothing.
func (c *change) newRangeID() cluster.RangeID {
	next := max(c.view.next.Range, cluster.MetaRangeID+1)
	for id := range c.view.Ranges {
		next = max(next, id+1)
	}
	c.view.next.Range = next + 1
	c.heads = true
	return next
}

// prepareSplit checks the request for a split and names the new range.
func (c *change) prepareSplit(op *cluster.Operation) *Refusal {
	if len(op.Spec.Nodes) > 0 {
		return refuse(CodeInvalid, "a split is of a range, not of nodes")
	}
	d, ok := c.view.Ranges[op.Spec.Range]
	switch {
	case !ok:
		return refuse(CodeNotFound, "there is no range %s", op.Spec.Range)
	case d.IsMeta():
		return refuse(CodeInvalid, "the meta range cannot be split")
	case op.Spec.At <= d.Start || op.Spec.At >= d.End:
		return refuse(CodeInvalid, "vshard %d is no boundary inside %s, which owns [%d,%d)", op.Spec.At, d.ID, d.Start, d.End)
	}
	op.Child = c.newRangeID()
	return nil
}
