package metastate

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sort"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

func (c *change) updateRanges(in *UpdateRanges) Result {
	var news []*cluster.RangeDescriptor
	removed := false
	for i := range in.Descriptors {
		d := &in.Descriptors[i]
		if err := d.Validate(); err != nil {
			return refused(CodeInvalid, "the descriptor of %s is wrong: %v", d.ID, err)
		}
		old := c.view.Ranges.Get(d.ID)
		if c.view.Removed[d.ID] != nil {
			continue // said by a replica that has not heard of it
		}
		if d.Pool != cluster.DefaultPool && c.view.Pools[d.Pool] == nil {
			if r := c.removeLate(d); r != nil {
				return Result{Refusal: r}
			}
			removed = true
			continue
		}
		if old != nil && old.Generation >= d.Generation {
			continue
		}
		if old != nil && (old.Pool != d.Pool || old.Start != d.Start) {
			return refused(CodeConflict, "%s begins with %s and cannot begin elsewhere", d.ID, Place{old.Pool, old.Start})
		}
		for _, r := range d.Replicas {
			if n, ok := c.view.Nodes[r.Node]; ok && n.Membership == cluster.Decommissioned {
				return refused(CodeTombstoned, "%s names %s, which was decommissioned", d.ID, r.Node)
			}
		}
		c.putRange(*d)
		c.planted(d)
		c.rangeEvent(old, d)
		news = append(news, d)
	}
	if len(news) == 0 {
		return Result{Existed: !removed}
	}
	if r := c.placeSpans(news); r != nil {
		return Result{Refusal: r}
	}
	return Result{}
}

// placeSpans puts the ranges that changed into their places among the others, and
// settles what two of them claim.
func (c *change) placeSpans(news []*cluster.RangeDescriptor) *Refusal {
	spans := make([]*cluster.RangeDescriptor, len(c.view.spans), len(c.view.spans)+len(news))
	copy(spans, c.view.spans)
	for _, d := range news {
		if d.IsMeta() {
			continue
		}
		at, known := slices.BinarySearchFunc(spans, d, bySpan)
		if known {
			spans[at] = c.view.Ranges.Get(d.ID)
		} else {
			spans = slices.Insert(spans, at, c.view.Ranges.Get(d.ID))
		}
	}
	c.view.spans = spans
	for _, d := range news {
		if d.IsMeta() {
			continue
		}
		at, _ := slices.BinarySearchFunc(spans, d, bySpan)
		for i := max(at, 1); i <= min(at+1, len(spans)-1); i++ {
			if r := c.clipOverlap(i - 1); r != nil {
				return r
			}
		}
	}
	return nil
}

// clipOverlap settles which of two neighbours, at i and after it, owns a key that
// both claim: a split is reported by both halves, in any order. The half that was
// split off was born with a generation above every one in which an ancestor owned
// its keys, so that the older descriptor is the one that has not heard of the split.
func (c *change) clipOverlap(i int) *Refusal {
	d, next := c.view.spans[i], c.view.spans[i+1]
	if !d.Overlaps(next) {
		return nil
	}
	if next.Parent == 0 || next.Start == d.Start || next.Generation <= d.Generation {
		return refuse(CodeConflict, "%v: %s and %s both own %s", errOverlap, d.ID, next.ID, Place{next.Pool, next.Start})
	}
	clipped := *d
	clipped.End = next.Start
	c.putRange(clipped)
	c.rangeEvent(d, &clipped)
	c.view.spans[i] = c.view.Ranges.Get(d.ID)
	return nil
}

// bySpan orders data ranges by their first keys.
func bySpan(a, b *cluster.RangeDescriptor) int {
	return cmp.Or(cmp.Compare(a.Pool, b.Pool), cmp.Compare(a.Start, b.Start), cmp.Compare(a.ID, b.ID))
}

// dataRanges returns the ranges of a view that own keys, in their order.
func dataRanges(ranges RangeMap) []*cluster.RangeDescriptor {
	ds := make([]*cluster.RangeDescriptor, 0, ranges.Len())
	for _, d := range ranges.All() {
		if !d.IsMeta() {
			ds = append(ds, d)
		}
	}
	slices.SortFunc(ds, bySpan)
	return ds
}

var errOverlap = errors.New("ranges overlap")

// disjoint refuses spans of which two own one key.
func disjoint(spans []*cluster.RangeDescriptor) error {
	for i, d := range spans[:max(len(spans)-1, 0)] {
		if next := spans[i+1]; d.Overlaps(next) {
			return fmt.Errorf("%w: %s and %s both own %s", errOverlap, d.ID, next.ID, Place{next.Pool, next.Start})
		}
	}
	return nil
}

// after returns how many of the spans begin at or before the key k of pool p.
func after(spans []*cluster.RangeDescriptor, p cluster.PoolID, k cluster.Key) int {
	return sort.Search(len(spans), func(i int) bool {
		d := spans[i]
		return d.Pool > p || d.Pool == p && d.Start > k
	})
}

// The bounds of every pool.
var (
	firstBound = cluster.VShard(0).Key()
	lastBound  = cluster.VShard(cluster.VShards).Key()
)

// Place is a key of a pool.
type Place struct {
	Pool cluster.PoolID
	Key  cluster.Key
}

func (p Place) String() string {
	if p.Pool == cluster.DefaultPool {
		return p.Key.Text()
	}
	return p.Key.Text() + " of " + p.Pool.String()
}

// Uncovered returns a key that none of the ranges owns, if there is one, of a pool
// that is ready: one that is being created has no rows yet.
func (v *View) Uncovered(ranges iter.Seq[cluster.RangeDescriptor]) (Place, bool) {
	var ds []*cluster.RangeDescriptor
	for d := range ranges {
		if !d.IsMeta() {
			ds = append(ds, &d)
		}
	}
	slices.SortFunc(ds, bySpan)
	return v.uncovered(ds)
}

// uncovered is Uncovered of ranges in the order of their keys.
func (v *View) uncovered(spans []*cluster.RangeDescriptor) (Place, bool) {
	pools := v.PoolIDs()
	if len(pools) == 0 { // no cluster yet
		pools = []cluster.PoolID{cluster.DefaultPool}
	}
	for _, p := range pools {
		if record := v.Pools[p]; record != nil && record.State != cluster.PoolReady {
			continue
		}
		at := firstBound
		for i := after(spans, p, ""); i < len(spans) && spans[i].Pool == p && spans[i].Start <= at; i++ {
			at = max(at, spans[i].End)
		}
		if at != lastBound {
			return Place{p, at}, true
		}
	}
	return Place{}, false
}

// orphan returns a key that no known range owns, if there is one.
func (v *View) orphan() (Place, bool) { return v.uncovered(v.spans) }

// newRangeID gives out the id of a range that is to be split off. Ids never
// return: not even those of splits that came to nothing.
func (c *change) newRangeID() cluster.RangeID {
	next := max(c.view.next.Range, cluster.MetaRangeID+1)
	for id := range c.view.Ranges.All() {
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
	d, ok := c.view.Range(op.Spec.Range)
	switch {
	case !ok:
		return refuse(CodeNotFound, "there is no range %s", op.Spec.Range)
	case d.IsMeta():
		return refuse(CodeInvalid, "the meta range cannot be split")
	case op.Spec.At.Validate() != nil || !d.Inside(op.Spec.At):
		return refuse(CodeInvalid, "%s is no boundary inside %s, which owns %s", op.Spec.At.Text(), d.ID, c.view.Span(d))
	}
	op.Child = c.newRangeID()
	return nil
}
