package sim

import (
	"bytes"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
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

// checksum carries out one job of the node's core: the view is read at once, and the
// result comes later.
func (n *Node) checksum(j *replica.ChecksumJob) {
	err := j.Open()
	var sum cluster.Checksum
	if err == nil {
		sum, err = j.Sum(nil)
	}
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

// flipBit changes one bit of the newest version of a row that one replica stores,
// behind its back; Extra calls it. Nobody but a comparison would find it before that
// replica leads.
func (w *World) flipBit() {
	w.After(w.ms(4000, 12000), func() {
		for _, n := range w.nodes {
			for _, st := range n.statuses() {
				if d := &st.Descriptor; !d.IsMeta() && st.Leader != n.id && w.flip(n, d) {
					w.insist(d.ID)
					return
				}
			}
		}
		w.flipBit()
	})
}

// insist has a range compared until the end: its leader may be gone, and what is read
// may be void.
func (w *World) insist(id cluster.RangeID) {
	if n, st, ok := w.Leader(id); ok {
		n.do(func() { n.core.Verify(st.Descriptor.ID, func(replica.Outcome) {}) })
	}
	w.After(w.ms(500, 1500), func() { w.insist(id) })
}

func (w *World) flip(n *Node, d *cluster.RangeDescriptor) bool {
	span := keys.DataSpan(d.Pool, d.Start, d.End)
	it, err := n.engine.NewIter(span.Start, span.End)
	if err != nil {
		w.fail("read %s on %s: %v", d.ID, n.id, err)
		return true
	}
	defer it.Close()
	var value []byte
	const tombstone = 1 // of the flags; FORMATS.md, section 6
	for ok := it.First(); ok; ok = it.Next() {
		if v := it.Value(); v[1]&tombstone == 0 {
			value = bytes.Clone(v)
			break
		}
	}
	if value == nil {
		return false
	}
	value[len(value)-1] ^= 1
	b := n.engine.NewBatch()
	defer b.Close()
	if err := b.Set(it.Key(), value); err != nil {
		w.fail("flip a bit of %s on %s: %v", d.ID, n.id, err)
	}
	if err := b.Commit(true); err != nil {
		w.fail("flip a bit of %s on %s: %v", d.ID, n.id, err)
	}
	return true
}

func (n *Node) statuses() []cluster.RangeStatus {
	if !n.up {
		return nil
	}
	return n.core.Status()
}
