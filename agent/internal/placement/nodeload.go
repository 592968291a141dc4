package placement

import "github.com/nodedb/nodedb/agent/internal/cluster"

// NodeLoad is what a node carries.
type NodeLoad struct {
	Node          cluster.NodeID
	Carries       bool   // it may carry replicas of data ranges
	Why           string // why it may not
	Replicas      int    // of data ranges, as are the leaders
	Leaders       int
	Bytes         uint64
	Reads, Writes float64 // per second
	CPU           float64
	DiskUsed      uint64
	DiskTotal     uint64
}

// Loads says what every member carries, by id.
func Loads(s *Snapshot) []NodeLoad {
	var out []NodeLoad
	at := map[cluster.NodeID]int{}
	for i := range s.Nodes {
		n := &s.Nodes[i]
		if n.Membership == cluster.Decommissioned {
			continue
		}
		why := n.refuses()
		at[n.ID] = len(out)
		out = append(out, NodeLoad{Node: n.ID, Carries: why == "", Why: why, CPU: n.CPU, DiskUsed: n.DiskUsed, DiskTotal: n.DiskTotal})
	}
	for i := range s.Ranges {
		r := &s.Ranges[i]
		if r.Descriptor.IsMeta() {
			continue
		}
		for _, rep := range r.Descriptor.Replicas {
			x, ok := at[rep.Node]
			if !ok {
				continue
			}
			l := &out[x]
			l.Replicas++
			l.Bytes += r.Bytes
			l.Writes += r.Writes
			if r.Leader == rep.Node {
				l.Leaders++
				l.Reads += r.Reads
			}
		}
	}
	return out
}
