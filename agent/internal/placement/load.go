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

func (l *load) move(m Move, size uint64) {
	meta := m.Range == cluster.MetaRangeID
	if m.To != 0 && !(meta && m.Learner) {
		c := l.at(m.To)
		c.replicas++
		c.bytes += size
		c.in += m.Bytes
		c.moves++
	}
	if m.From != 0 && !(meta && m.To == 0 && !m.Demote) {
		c := l.at(m.From)
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

// target returns the best node for one more replica of r, or 0 and the codes
// that keep the candidates out. Nodes in not are no candidates. One whose replica
// is on its way out is: a copy may come back when that has gone.
func (p *planner) target(r *Range, not []cluster.NodeID) (cluster.NodeID, Code) {
	best, why := candidate{}, NoTarget
	staying := p.staying(r, not)
	for i := range p.s.Nodes {
		n := &p.s.Nodes[i]
		if n.refuses() != "" || slices.Contains(not, n.ID) {
			continue
		}
		rep, there := r.Descriptor.On(n.ID)
		votes := there && (rep.Role == cluster.Voter || rep.Role == cluster.VoterIncoming)
		if votes || there && r.failed(n.ID) || p.planned(r, n.ID) {
			continue
		}
		if !p.s.admits(r, n.ID) {
			if why == NoTarget {
				why = Constraint
			}
			continue
		}
		if !there && p.s.overfull(n, p.load.at(n.ID).in+r.Bytes) {
			why = Disk
			continue
		}
		x := candidate{node: n.ID, learns: there && rep.Role == cluster.Learner, crowd: p.s.crowd(with(staying, n.ID, 0))}
		if best.node == 0 || p.prefers(x, best) {
			best = x
		}
	}
	return best.node, why
}

// candidate is a node that could take a replica.
type candidate struct {
	node   cluster.NodeID
	learns bool     // it holds a learner of the range already
	crowd  crowding // of the range's replicas, this one among them
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
		nodes = with(nodes, p.plan.Moves[i].To, p.plan.Moves[i].From)
	}
	return nodes
}

// planned reports whether a move of this plan gives r a replica on n.
func (p *planner) planned(r *Range, n cluster.NodeID) bool {
	for i := len(p.plan.Moves) - 1; i >= 0 && p.plan.Moves[i].Range == r.Descriptor.ID; i-- {
		if p.plan.Moves[i].To == n {
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
		if best == 0 || cmp.Or(-compareBool(p.s.likes(r, rep.Node), p.s.likes(r, best)), cmp.Compare(p.load.at(rep.Node).leaders, p.load.at(best).leaders), cmp.Compare(rep.Node, best)) < 0 {
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
	case !r.CaughtUp(node):
		return "has not caught up"
	}
	return ""
}
