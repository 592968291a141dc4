package placement

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// moreDisk is what would clear a refusal for want of room: by how much which
// disks would have to grow to take the ranges that found none. Nothing: more
// disk would not help.
func (p *planner) moreDisk(ranges []cluster.RangeID, leaving []cluster.NodeID) []Fix {
	extra := map[cluster.NodeID]uint64{}
	for _, id := range ranges {
		best := p.cheapestGrowth(p.s.Range(id), leaving, extra)
		if best == nil {
			return nil
		}
		extra[best.ID] += p.s.Range(id).Bytes
	}
	var grow []string
	for i := range p.s.Nodes {
		n := &p.s.Nodes[i]
		if by := p.growth(n, extra[n.ID]); extra[n.ID] > 0 && by > 0 {
			grow = append(grow, fmt.Sprintf("%s +%s", n.ID, gibibytes(by)))
		}
	}
	if len(grow) == 0 {
		return nil
	}
	return []Fix{{Does: "give more disk: " + strings.Join(grow, ", ")}}
}

// cheapestGrowth returns the node whose disk would have to grow least to take r
// too; nil: none may hold it.
func (p *planner) cheapestGrowth(r *Range, leaving []cluster.NodeID, extra map[cluster.NodeID]uint64) *Node {
	var best *Node
	least := uint64(0)
	for i := range p.s.Nodes {
		n := &p.s.Nodes[i]
		if _, held := r.Descriptor.On(n.ID); held || n.refuses() != "" || !p.s.admits(r, n.ID) || slices.Contains(leaving, n.ID) || p.planned(r, n.ID) {
			continue
		}
		if by := p.growth(n, extra[n.ID]+r.Bytes); best == nil || by < least {
			best, least = n, by
		}
	}
	return best
}

// growth is how much larger the disk of n must be to take more bytes, besides
// those of the plan, and stay below the limit.
func (p *planner) growth(n *Node, more uint64) uint64 {
	want := uint64(float64(n.DiskUsed+p.load.at(n.ID).in+more)/p.s.MaxDisk) + 1
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
