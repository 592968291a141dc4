package sim

import (
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// verify has the replicas of a range compared now and then, as the coordinator does.
func (w *World) verify() {
	if !w.faults {
		return
	}
	w.After(w.ms(500, 2500), w.verify)
	if n, st, ok := w.Leader(w.anyRange()); ok {
		n.do(func() { n.core.Verify(st.Descriptor.ID, func(replica.Outcome) {}) })
	}
}

// checksum carries out one job of the node's core: its view is read at once, and the
// result comes later.
func (n *Node) checksum(j *replica.ChecksumJob) {
	n.sums = slices.DeleteFunc(n.sums, func(o *replica.ChecksumJob) bool { return o == j })
	sum, err := j.Sum(nil)
	n.w.Stats.Checksums++
	n.later(n.w.ms(1, 1000), func() {
		n.core.Checksummed(j, sum, err)
		n.w.compare(j.Range)
	})
}

// compare puts beside each other what the replicas of a range tell. None differs,
// unless somebody flipped a bit.
func (w *World) compare(id cluster.RangeID) {
	told := map[cluster.NodeID][]cluster.Checksum{}
	var newest *cluster.RangeDescriptor
	for _, n := range w.nodes {
		if !n.up {
			continue
		}
		st, ok := n.core.RangeStatus(id)
		if !ok || len(st.Checksums) == 0 {
			continue
		}
		told[n.id] = st.Checksums
		if newest == nil || st.Descriptor.Generation > newest.Generation {
			newest = &st.Descriptor
		}
	}
	if newest == nil {
		return
	}
	c := cluster.Compare(newest, func(r cluster.ReplicaDescriptor) []cluster.Checksum { return told[r.Node] })
	if len(c.Differ) > 0 {
		w.fail("%s has diverged: %v differ from %v at entry %d", id, c.Differ, c.Same, c.Index)
	}
	if len(c.Same) > 1 {
		w.Stats.Compared++
	}
}
