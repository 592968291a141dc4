package sim

import (
	"cmp"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/routing"
)

// maxChildren bounds the ranges that a run splits off.
const maxChildren = 6

// split splits a range now and then, as a controller without memory would: it may
// ask a node that leads no more, and may not learn what came of it.
func (w *World) split() {
	if !w.faults || len(w.children) >= maxChildren {
		return
	}
	w.After(w.ms(1000, 4000), w.split)
	n, st, ok := w.Leader(w.anyRange())
	if !ok {
		return
	}
	d := &st.Descriptor
	at, ok := w.boundary(d)
	if !ok {
		return
	}
	child := w.newRange()
	s := cluster.RangeSplit{At: at, Child: child, Expect: d.Generation}
	n.do(func() { n.core.Split(d.ID, s, func(o replica.Outcome) { w.noteSplit(o) }) })
	w.beginMoves(child)
}

// boundary draws a key at which d can be split: half of the time the beginning of
// a vshard, among those that hold keys, else the row of a key.
func (w *World) boundary(d *cluster.RangeDescriptor) (cluster.Key, bool) {
	home := homeOf(d.Start.VShard(), w.cfg.Ranges)
	for range boundaryTries {
		at := (home + cluster.VShard(w.rng.IntN(homeWidth))).Key()
		if w.chance(50) {
			at = place{id: cluster.RangeID(home / homeWidth), key: w.rng.IntN(w.cfg.Keys)}.bound()
		}
		if d.Inside(at) {
			return at, true
		}
	}
	return "", false
}

// boundaryTries is how often a boundary is drawn: a small range has few.
const boundaryTries = 8

func (w *World) noteSplit(o replica.Outcome) {
	if o.Err == nil {
		w.Stats.Splits++
		w.trace(uint64(o.Child.ID), uint64(o.Child.Start.VShard()))
		if !o.Child.Start.Whole() {
			w.Stats.Divided++
		}
		w.echo(o.Child)
	}
}

// echo has commands that were applied before a split, and answered, come once more
// to the child that owns their rows now: late copies of retries that went there. It
// must know that they are done with.
func (w *World) echo(child *cluster.RangeDescriptor) {
	for _, c := range w.clients {
		k := c.wrote
		if k == nil || !keys.Owns(child, k.op.at.row()) {
			continue
		}
		w.After(w.ms(200, 3000), func() {
			n, _, ok := w.Leader(child.ID)
			if !ok {
				return
			}
			w.Stats.Echoes++
			n.do(func() {
				n.core.Propose(child.ID, &replica.Proposal{ID: k.cmd, Retry: true, Payload: k.data, Done: func(replica.Outcome) {}})
			})
		})
	}
}

// newRange names a range that may be split off.
func (w *World) newRange() cluster.RangeID {
	id := cluster.RangeID(2 + w.cfg.Ranges + len(w.children))
	w.children = append(w.children, id)
	return id
}

// The keys of a bootstrapped range lie in homeWidth vshards.
const homeWidth = 16

// homeOf returns the first of the vshards that hold the keys of the bootstrapped
// range to which v belonged.
func homeOf(v cluster.VShard, ranges int) cluster.VShard {
	first, last := cluster.VShard(2*homeWidth), cluster.VShard((1+ranges)*homeWidth)
	return min(max(v/homeWidth*homeWidth, first), last)
}

// vshard returns where a key lies: the keys of a range are spread over its home,
// two to a vshard, so that a boundary can come between them.
func (p place) vshard() cluster.VShard {
	at := cluster.VShard(homeWidth*int(p.id) + 5*(p.key/2)%homeWidth)
	if p.pool != cluster.DefaultPool && p.key%2 == 1 {
		at += cluster.VShards / 2 // a pool begins with two ranges
	}
	return at
}

// row is the stored row of a key.
func (p place) row() []byte {
	return keys.Row(p.pool, p.vshard(), 1, []byte{byte(p.key), 0})
}

func (p place) bound() cluster.Key { return keys.Bound(p.row()) }

// bootstrappedView is what a gateway knows of ranges before it heard of splits.
type bootstrappedView map[cluster.RangeID]*cluster.RangeDescriptor

func (v bootstrappedView) Range(id cluster.RangeID) (*cluster.RangeDescriptor, bool) {
	d, ok := v[id]
	return d, ok
}

func (v bootstrappedView) RangeOf(p cluster.PoolID, k cluster.Key) (*cluster.RangeDescriptor, bool) {
	var found *cluster.RangeDescriptor
	for _, d := range v {
		if !d.IsMeta() && d.Contains(p, k) {
			found = d // exactly one does
		}
	}
	return found, found != nil
}

func (w *World) newTable() *routing.Table {
	view := bootstrappedView{}
	for _, d := range w.bootstrapped() {
		view[d.ID] = d.Clone()
	}
	if w.cfg.Pools {
		return routing.New(func() routing.View { return pooledView{view, w} })
	}
	return routing.New(func() routing.View { return view })
}

// owner returns the range that owns a row, and its leader, as far as leaders know.
func (w *World) owner(at place) (*Node, cluster.RangeStatus, bool) {
	var best *Node
	var found cluster.RangeStatus
	for _, id := range w.ranges() {
		n, st, ok := w.Leader(id)
		if ok && keys.Owns(&st.Descriptor, at.row()) && (best == nil || st.Descriptor.Generation > found.Descriptor.Generation) {
			best, found = n, st
		}
	}
	return best, found, best != nil
}

// recorded lists the data ranges that the meta range knows of, and those that its
// operations are to split off, by the newest view of any node.
func (w *World) recorded() []cluster.RangeID {
	ids := w.first()
	v := w.newest()
	for _, id := range v.RangeIDs() {
		if id != cluster.MetaRangeID && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	for _, id := range v.OperationIDs() {
		if child := v.Operations[id].Child; child != 0 && !slices.Contains(ids, child) {
			ids = append(ids, child)
		}
	}
	return ids
}

// askSplit asks for a split as a person would.
func (o *operators) askSplit() {
	w := o.w
	_, st, ok := w.Leader(w.anyRange())
	if !ok {
		return
	}
	at, ok := w.boundary(&st.Descriptor)
	if !ok {
		return
	}
	o.create(cluster.OperationSpec{Kind: cluster.OpSplit, Range: st.Descriptor.ID, At: at})
}

// checkOwners wants every key to have exactly one range at the end.
func (w *World) checkOwners() {
	var found []*cluster.RangeDescriptor
	for _, id := range w.ranges() {
		_, st, ok := w.Leader(id)
		if !ok || w.removed(id) {
			continue
		}
		found = append(found, st.Descriptor.Clone())
	}
	slices.SortFunc(found, func(a, b *cluster.RangeDescriptor) int {
		return cmp.Or(cmp.Compare(a.Pool, b.Pool), cmp.Compare(a.Start, b.Start))
	})
	for i, d := range found[:max(len(found)-1, 0)] {
		if next := found[i+1]; d.Overlaps(next) {
			w.fail("%s %s and %s %s both own a key at the end", d.ID, d.Span(), next.ID, next.Span())
			return
		}
	}
	for _, d := range append(w.bootstrapped(), w.pooled()...) {
		at := d.Start
		for _, f := range found {
			if f.Pool == d.Pool && f.Start <= at && f.End > at {
				at = f.End
			}
		}
		if at < d.End {
			w.fail("%s of %s has no range with a leader at the end", at.Text(), d.ID)
			return
		}
	}
}

// born reports whether a range came to be: a bootstrapped one, or one of which
// some node holds a replica.
func (w *World) born(id cluster.RangeID) bool {
	if int(id) < 2+w.cfg.Ranges {
		return true
	}
	for _, n := range w.nodes {
		if n.up {
			if _, ok := n.core.RangeStatus(id); ok {
				return true
			}
		}
	}
	return false
}
