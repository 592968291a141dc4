package placement

import (
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// moreDisk is what would clear a refusal for want of room: the one node whose
// disk would have to grow least to take the ranges that found none, and by how
// much. Nothing: no single node could take them all.
func (p *planner) moreDisk(ranges []cluster.RangeID, leaving []cluster.NodeID) []Fix {
	var best *Node
	least := uint64(0)
	for i := range p.s.Nodes {
		n := &p.s.Nodes[i]
		if n.refuses() != "" || slices.Contains(leaving, n.ID) || n.DiskTotal == 0 {
			continue
		}
		need, fits := p.load.at(n.ID).in, true
		for _, id := range ranges {
			r := p.s.Range(id)
			if _, held := r.Descriptor.On(n.ID); held || p.planned(r, n.ID) {
				fits = false
				break
			}
			need += r.Bytes
		}
		grow := p.growth(n, need)
		if fits && grow > 0 && (best == nil || grow < least) {
			best, least = n, grow
		}
	}
	if best == nil {
		return nil
	}
	return []Fix{{Does: fmt.Sprintf("grow the disk of %s by %s (%s +%s)", best.ID, gibibytes(least), best.ID, gibibytes(least))}}
}

// growth is how much larger the disk of n must be to take need more bytes and
// stay below the limit.
func (p *planner) growth(n *Node, need uint64) uint64 {
	want := uint64(float64(n.DiskUsed+need)/p.s.MaxDisk) + 1
	if want <= n.DiskTotal {
		return 0
	}
	return want - n.DiskTotal
}

// gibibytes rounds up, to a tenth of a GiB.
func gibibytes(bytes uint64) string {
	const tenth = (1 << 30) / 10
	tenths := (bytes + tenth - 1) / tenth
	return fmt.Sprintf("%d.%d GiB", tenths/10, tenths%10)
}
