package placement

import "github.com/nodedb/nodedb/agent/internal/cluster"

// handOff plans transfers away from nodes that must not lead.
func (p *planner) handOff() {
	for i := range p.s.Ranges {
		r := &p.s.Ranges[i]
		if p.in.MaxTransfers > 0 && len(p.plan.Transfers) >= p.in.MaxTransfers {
			return
		}
		n := p.s.Node(r.Leader)
		if n == nil || !n.HandsOver() || p.skips(r.Descriptor.ID) {
			continue // a cordoned node receives nothing, and keeps what it has
		}
		if to := p.successor(r, nil); to != 0 {
			p.transfer(r, to)
		}
	}
}

// held lists the ranges of each node, in the order of their ids.
func (s *Snapshot) held() map[cluster.NodeID][]*Range {
	held := make(map[cluster.NodeID][]*Range, len(s.Nodes))
	for i := range s.Ranges {
		for _, rep := range s.Ranges[i].Descriptor.Replicas {
			held[rep.Node] = append(held[rep.Node], &s.Ranges[i])
		}
	}
	return held
}

// well reports whether every voter of r counts and a leader is known: ranges
// that are not well are for repair.
func (p *planner) well(r *Range) bool {
	if r.Leader == 0 {
		return false
	}
	for _, rep := range r.Descriptor.Replicas {
		if n := p.s.Node(rep.Node); n == nil || n.Leaving() || !p.s.live(r, rep.Node) || !r.CaughtUp(rep.Node) {
			return false
		}
	}
	return true
}
