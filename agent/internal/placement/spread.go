package placement

import (
	"cmp"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// spreadSlack is how uneven replicas may be before copying data is worth it: a
// share of the mean, and at least two.
const (
	spreadSlack    = 0.05
	spreadSlackMin = 2
)

// spread plans what evens out leaders, which costs nothing, and replicas, which
// costs copies. Each of its moves takes from a node that has at least two more
// than the one it gives to, so no later plan can want it undone.
func (p *planner) spread() {
	p.evict()
	p.spreadLeaders()
	p.spreadReplicas()
}

// evict plans transfers away from nodes that must not lead.
func (p *planner) evict() {
	for i := range p.s.Ranges {
		r := &p.s.Ranges[i]
		if p.transferBound() {
			return
		}
		n := p.s.Node(r.Leader)
		if n == nil || !n.Live() || !n.stops() && !n.Leaving() || p.skips(r.Descriptor.ID) {
			continue // a cordoned node receives nothing, and keeps what it has
		}
		if to := p.successor(r, nil); to != 0 {
			p.transfer(r, to)
		}
	}
}

// spreadLeaders moves leaderships of data ranges from nodes that have more to
// voters that have at least two less.
func (p *planner) spreadLeaders() {
	led := make(map[cluster.NodeID][]*Range, len(p.s.Nodes))
	for i := range p.s.Ranges {
		r := &p.s.Ranges[i]
		if r.Leader != 0 && !r.Descriptor.IsMeta() && !r.Descriptor.Joint() && !p.skips(r.Descriptor.ID) && !p.transferred(r) {
			led[r.Leader] = append(led[r.Leader], r)
		}
	}
	for !p.transferBound() && p.spreadOneLeader(led) {
	}
}

func (p *planner) transferred(r *Range) bool {
	return slices.ContainsFunc(p.plan.Transfers, func(t Transfer) bool { return t.Range == r.Descriptor.ID })
}

// spreadOneLeader plans the one transfer that evens out most, if any does.
func (p *planner) spreadOneLeader(led map[cluster.NodeID][]*Range) bool {
	order := make([]cluster.NodeID, 0, len(p.s.Nodes))
	for i := range p.s.Nodes {
		if len(led[p.s.Nodes[i].ID]) > 0 {
			order = append(order, p.s.Nodes[i].ID)
		}
	}
	slices.SortFunc(order, func(a, b cluster.NodeID) int {
		return cmp.Or(cmp.Compare(p.load.at(b).leaders, p.load.at(a).leaders), cmp.Compare(a, b))
	})
	for _, from := range order {
		best, least := -1, 0
		for i, r := range led[from] {
			to := p.successor(r, nil)
			if to == 0 {
				continue
			}
			if n := p.load.at(to).leaders; best < 0 || n < least {
				best, least = i, n
			}
		}
		if best < 0 || p.load.at(from).leaders-least < 2 {
			continue
		}
		r := led[from][best]
		led[from] = slices.Delete(led[from], best, best+1)
		p.transfer(r, p.successor(r, nil))
		return true
	}
	return false
}

// spreadReplicas moves replicas of data ranges from the fullest nodes to the
// emptiest while they are further apart than the slack.
func (p *planner) spreadReplicas() {
	nodes := p.carriers()
	if len(nodes) < 2 {
		return
	}
	total := 0
	for _, id := range nodes {
		total += p.load.at(id).replicas
	}
	slack := max(spreadSlackMin, int(spreadSlack*float64(total)/float64(len(nodes))))
	p.held = p.s.held()
	used := map[cluster.RangeID]bool{}
	for !p.moveBound() {
		slices.SortFunc(nodes, p.load.emptiest)
		if !p.spreadOneReplica(nodes, slack, used) {
			return
		}
	}
}

// carriers are the nodes between which replicas are evened out.
func (p *planner) carriers() []cluster.NodeID {
	var nodes []cluster.NodeID
	for i := range p.s.Nodes {
		if p.s.Nodes[i].refuses() == "" {
			nodes = append(nodes, p.s.Nodes[i].ID)
		}
	}
	return nodes
}

// spreadOneReplica plans one move from a full node to an empty one. nodes are in
// the order of emptiest.
func (p *planner) spreadOneReplica(nodes []cluster.NodeID, slack int, used map[cluster.RangeID]bool) bool {
	for i := len(nodes) - 1; i > 0; i-- {
		from := nodes[i]
		for _, to := range nodes[:i] {
			if p.load.at(from).replicas-p.load.at(to).replicas < slack {
				break // the others are fuller
			}
			if r := p.movable(from, to, used); r != nil {
				used[r.Descriptor.ID] = true
				p.move(r, Move{From: from, To: to, Why: "evens out the replicas"})
				return true
			}
		}
	}
	return false
}

// movable returns the range whose replica may best go from one node to the
// other: one that is not led there.
func (p *planner) movable(from, to cluster.NodeID, used map[cluster.RangeID]bool) *Range {
	var best *Range
	for _, r := range p.held[from] {
		d := &r.Descriptor
		if d.IsMeta() || d.Joint() || used[d.ID] || p.skips(d.ID) || p.transferred(r) || len(d.Learners()) > 0 || len(d.Voters()) != p.s.wanted(r) {
			continue
		}
		rep, there := d.On(from)
		if _, taken := d.On(to); !there || rep.Role != cluster.Voter || taken || !p.well(r) {
			continue
		}
		if n := p.s.Node(to); p.s.overfull(n, p.load.at(to).in+r.Bytes) {
			continue
		}
		if best == nil || compareBool(r.Leader == from, best.Leader == from) < 0 {
			best = r
		}
	}
	return best
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
