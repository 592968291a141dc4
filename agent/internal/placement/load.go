package placement

import (
	"cmp"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// load counts what each node carries while a plan is being made.
type load struct {
	nodes map[cluster.NodeID]*carried
}

// carried is what one node carries. Replicas counts data ranges and voters of
// the meta range: the meta learner that every node has says nothing of balance.
type carried struct {
	replicas, leaders int
	bytes             uint64
	in, out           uint64 // to be copied
	moves             int
}

func newLoad(s *Snapshot) *load {
	l := &load{nodes: make(map[cluster.NodeID]*carried, len(s.Nodes))}
	for i := range s.Nodes {
		l.nodes[s.Nodes[i].ID] = &carried{}
	}
	for i := range s.Ranges {
		r := &s.Ranges[i]
		for _, rep := range r.Descriptor.Replicas {
			if r.Descriptor.IsMeta() && rep.Role == cluster.Learner {
				continue
			}
			c := l.at(rep.Node)
			c.replicas++
			c.bytes += r.Bytes
		}
		if r.Leader != 0 {
			l.at(r.Leader).leaders++
		}
	}
	return l
}

func (l *load) at(n cluster.NodeID) *carried {
	c := l.nodes[n]
	if c == nil {
		c = &carried{}
		l.nodes[n] = c
	}
	return c
}

func (l *load) move(m Move, r *Range) {
	meta, size := r.Descriptor.IsMeta(), r.Bytes
	for _, to := range m.comes() {
		if meta && m.Learner {
			continue // not counted
		}
		c := l.at(to)
		c.moves++
		if _, there := r.Descriptor.On(to); !meta && there {
			continue // counted already
		}
		c.replicas++
		c.bytes += size
		c.in += m.Bytes
	}
	for _, from := range m.goes() {
		if meta && m.To == 0 && !m.Demote || !meta && m.Demote {
			continue // a learner of the meta range is not counted, and one that is kept is
		}
		c := l.at(from)
		c.replicas--
		c.bytes -= min(size, c.bytes)
	}
}

func (l *load) lead(from, to cluster.NodeID) {
	if from != 0 {
		l.at(from).leaders--
	}
	l.at(to).leaders++
}

// emptiest orders candidates for one more replica: fewest replicas, then the
// least data (to a coarse measure, so that plans are stable), then the id.
func (l *load) emptiest(a, b cluster.NodeID) int {
	x, y := l.at(a), l.at(b)
	return cmp.Or(
		cmp.Compare(x.replicas, y.replicas),
		cmp.Compare(x.bytes/bytesBucket, y.bytes/bytesBucket),
		cmp.Compare(a, b))
}

// target returns the best node for one more voter of r, or 0 and the code that
// keeps the candidates out. Nodes in not are no candidates, and leave.
func (p *planner) target(r *Range, not []cluster.NodeID) (cluster.NodeID, Code) {
	return p.targetBeside(r, p.staying(r, not), not)
}

// targetBeside returns the best node for one more voter beside those on nodes.
func (p *planner) targetBeside(r *Range, nodes, not []cluster.NodeID) (cluster.NodeID, Code) {
	best, why := candidate{}, NoTarget
	for i := range p.s.Nodes {
		n := &p.s.Nodes[i]
		if slices.Contains(not, n.ID) {
			continue
		}
		switch code := p.barred(r, n); {
		case code == Disk || code == Constraint && why == NoTarget:
			why = code
		case code == "":
			if x := p.candidate(r, n.ID, nodes); best.node == 0 || p.prefers(x, best) {
				best = x
			}
		}
	}
	return best.node, why
}

// barred returns what keeps n from being given a voter of r; "" if nothing does.
// A replica that is on its way out does not: a copy may come back when that has
// gone.
func (p *planner) barred(r *Range, n *Node) Code {
	if n.refuses() != "" {
		return NoTarget
	}
	rep, there := r.Descriptor.On(n.ID)
	votes := there && (rep.Role == cluster.Voter || rep.Role == cluster.VoterIncoming)
	switch {
	case votes || there && r.failed(n.ID) || p.planned(r, n.ID):
		return NoTarget
	case !p.s.admits(r, n.ID):
		return Constraint
	case !there && p.s.overfull(n, p.load.at(n.ID).in+r.Bytes):
		return Disk
	}
	return ""
}

// candidate is a node that could take a replica.
type candidate struct {
	node   cluster.NodeID
	learns bool     // it holds a learner of the range already
	crowd  crowding // of the range's replicas, this one among them
}

func (p *planner) candidate(r *Range, id cluster.NodeID, beside []cluster.NodeID) candidate {
	rep, there := r.Descriptor.On(id)
	return candidate{node: id, learns: there && rep.Role == cluster.Learner, crowd: p.s.crowd(with(beside, id, 0))}
}

// prefers reports whether a is a better target than b: the replicas are spread
// over localities as far as they can be, a learner that is there already costs no
// copy, and then the load decides.
func (p *planner) prefers(a, b candidate) bool {
	return cmp.Or(a.crowd.compare(b.crowd), -compareBool(a.learns, b.learns), p.load.emptiest(a.node, b.node)) < 0
}

// staying lists the nodes where voters of r are and stay, and those where this
// plan puts one, but for those in not.
func (p *planner) staying(r *Range, not []cluster.NodeID) []cluster.NodeID {
	_, nodes := halves(&r.Descriptor)
	nodes = slices.DeleteFunc(nodes, func(id cluster.NodeID) bool { return slices.Contains(not, id) })
	for i := len(p.plan.Moves) - 1; i >= 0 && p.plan.Moves[i].Range == r.Descriptor.ID; i-- {
		m := p.plan.Moves[i]
		for _, id := range m.goes() {
			nodes = with(nodes, 0, id)
		}
		for _, id := range m.comes() {
			nodes = with(nodes, id, 0)
		}
	}
	return nodes
}

// planned reports whether a move of this plan gives r a replica on n.
func (p *planner) planned(r *Range, n cluster.NodeID) bool {
	for i := len(p.plan.Moves) - 1; i >= 0 && p.plan.Moves[i].Range == r.Descriptor.ID; i-- {
		if slices.Contains(p.plan.Moves[i].comes(), n) {
			return true
		}
	}
	return false
}

// successor returns the voter of r that should lead instead of its leader: live,
// caught up, not in not, where its pool prefers leaders, with the fewest
// leaderships; 0 if there is none.
func (p *planner) successor(r *Range, not []cluster.NodeID) cluster.NodeID {
	best := cluster.NodeID(0)
	for _, rep := range r.Descriptor.Replicas {
		if rep.Node == r.Leader || slices.Contains(not, rep.Node) || SafeTransfer(p.s, r, rep.Node) != "" {
			continue
		}
		if best == 0 || cmp.Or(compareBool(p.s.Node(rep.Node).SlowDisk, p.s.Node(best).SlowDisk), -compareBool(p.s.likes(r, rep.Node), p.s.likes(r, best)), cmp.Compare(p.load.at(rep.Node).leaders, p.load.at(best).leaders), cmp.Compare(rep.Node, best)) < 0 {
			best = rep.Node
		}
	}
	return best
}

// SafeTransfer returns why node must not be handed the leadership of r; "" if it
// may.
func SafeTransfer(s *Snapshot, r *Range, node cluster.NodeID) string {
	rep, ok := r.Descriptor.On(node)
	n := s.Node(node)
	switch {
	case !ok || rep.Role == cluster.Learner || rep.Role == cluster.VoterOutgoing:
		return "holds no voter that stays"
	case n == nil || !s.live(r, node):
		return "is not alive"
	case !n.leads():
		return "is leaving, cordoned or draining"
	case n.SlowDisk && s.Node(r.Leader) != nil && !s.Node(r.Leader).mustGo():
		return "has a slow disk"
	case !r.CaughtUp(node):
		return "has not caught up"
	}
	return ""
}
