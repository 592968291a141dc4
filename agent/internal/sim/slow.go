package sim

import (
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// slowDisk makes one disk slow for good, each write of its log taking up to 200 ms, and
// keeps leaderships off it, as the coordinator does.
func (w *World) slowDisk() {
	n := w.nodes[len(w.nodes)-1]
	n.slow = w.faults
	for _, id := range w.ranges() {
		l, st, ok := w.Leader(id)
		if !ok || l != n {
			continue
		}
		for _, v := range st.Descriptor.Voters() {
			if v != n.id {
				n.do(func() { n.core.Transfer(id, v, func(error) {}) })
				break
			}
		}
	}
	w.After(200*time.Millisecond, w.slowDisk)
}

// writesTook returns the median of what writes took that began after a moment, whose
// fate is known, of ranges that have a replica on a node.
func (w *World) writesTook(after time.Duration, on cluster.NodeID) (median time.Duration, count int) {
	var took []time.Duration
	for _, o := range w.history.ops {
		if o.kind == read || o.certainty != known || o.call < after || o.ret > w.cfg.Duration-w.quiet() {
			continue
		}
		if st, ok := w.nodes[on-1].core.RangeStatus(o.at.id); ok && len(st.Descriptor.Voters()) == 3 {
			took = append(took, o.ret-o.call)
		}
	}
	if len(took) == 0 {
		return 0, 0
	}
	slices.Sort(took)
	return took[len(took)/2], len(took)
}
