package placement

import (
	"cmp"
	"math"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// repair plans what makes each range whole: it leaves stray joint
// configurations, adds missing voters, replaces those on nodes that have been
// dead too long, and removes what is one too many. One move per range at a time,
// the ranges in most danger first.
func (p *planner) repair() {
	type ill struct {
		r       *Range
		missing int // voters that do not count
	}
	var ills []ill
	for i := range p.s.Ranges {
		r := &p.s.Ranges[i]
		if p.skips(r.Descriptor.ID) || r.Leader == 0 || !p.s.HasQuorum(r) {
			continue
		}
		voters := r.Descriptor.Voters()
		live := tally(voters, func(n cluster.NodeID) bool { return p.s.live(r, n) })
		ills = append(ills, ill{r: r, missing: max(p.s.wanted(r), len(voters)) - live})
	}
	slices.SortStableFunc(ills, func(a, b ill) int { return cmp.Compare(b.missing, a.missing) })
	for _, x := range ills {
		if p.moveBound() {
			break
		}
		if m, ok := p.cure(x.r); ok {
			p.move(x.r, m)
		}
	}
}

// cure returns the one move that r needs most.
func (p *planner) cure(r *Range) (Move, bool) {
	d := &r.Descriptor
	if d.Joint() {
		return stray(d), true
	}
	goal, room := p.goal(r)
	if m, ok := p.more(r, goal); ok {
		return m, true
	}
	if m, ok := p.fewer(r, goal, room); ok {
		return m, true
	}
	if gone := p.worstVoter(r); gone != 0 {
		if why := p.beyond(r, gone); why != "" {
			if to, _ := p.target(r, []cluster.NodeID{gone}); to != 0 {
				return Move{From: gone, To: to, Demote: d.IsMeta() && !r.failed(gone), Why: why}, true
			}
			if r.failed(gone) && p.s.Node(gone).refuses() == "" {
				return Move{From: gone, Why: why + ", and there is no other place: it is made anew there"}, true
			}
		}
	}
	if m, ok := p.tidy(r, goal, room); ok {
		return m, true
	}
	return p.replace(r, goal)
}

// replace takes a replica off a node that the constraints of its pool exclude, as
// they are or as the node's locality is since it was started anew.
func (p *planner) replace(r *Range, goal int) (Move, bool) {
	if r.Descriptor.IsMeta() || len(r.Descriptor.Voters()) != goal || !p.well(r) {
		return Move{}, false
	}
	for _, id := range r.Descriptor.Voters() {
		if p.s.admits(r, id) {
			continue
		}
		if to, _ := p.target(r, []cluster.NodeID{id}); to != 0 {
			return Move{From: id, To: to, Why: id.String() + " " + p.s.misplaced(r, p.s.Node(id))}, true
		}
	}
	return Move{}, false
}

// beyond returns why a voter that does not count is not waited for; "" if it is.
func (p *planner) beyond(r *Range, id cluster.NodeID) string {
	n := p.s.Node(id)
	switch {
	case r.failed(id):
		return "its replica has stopped with an error"
	case n != nil && n.Down() && n.DownFor >= p.s.DeadAfter:
		return "its node has been down too long"
	}
	return ""
}

// stray finishes a joint configuration that nobody claims. The outgoing replica
// is left a learner, which the next round removes if it is not wanted.
func stray(d *cluster.RangeDescriptor) Move {
	m := Move{Demote: true, Why: "left in a joint configuration"}
	for _, rep := range d.Replicas {
		if rep.Role == cluster.VoterOutgoing {
			m.From = rep.Node
		}
	}
	return m
}

// worstVoter returns a voter that does not count towards the quorum: one whose
// replica has stopped, else the one that has been down longest; 0 if all are well.
func (p *planner) worstVoter(r *Range) cluster.NodeID {
	worst, longest := cluster.NodeID(0), -1.0
	for _, id := range r.Descriptor.Voters() {
		n := p.s.Node(id)
		if p.s.live(r, id) {
			continue
		}
		down := 0.0
		switch {
		case r.failed(id):
			down = math.Inf(1)
		case n != nil:
			down = n.DownFor
		}
		if down > longest {
			worst, longest = id, down
		}
	}
	return worst
}

// spares lists the voters of r in the order in which they can be spared: those
// that do not count first, the worst of them at once, then those on nodes that are
// leaving, else on nodes that the constraints of the pool exclude, else the one
// without which the others are spread furthest, not the leader, on the fullest
// node.
func (p *planner) spares(r *Range) []cluster.NodeID {
	voters, worst := r.Descriptor.Voters(), p.worstVoter(r)
	all := slices.Clone(voters)
	slices.SortFunc(voters, func(a, b cluster.NodeID) int {
		return cmp.Or(
			-compareBool(a == worst, b == worst),
			-compareBool(!p.s.live(r, a), !p.s.live(r, b)),
			-compareBool(p.goes(a), p.goes(b)),
			compareBool(p.s.admits(r, a), p.s.admits(r, b)),
			p.s.crowd(with(all, 0, a)).compare(p.s.crowd(with(all, 0, b))),
			compareBool(a == r.Leader, b == r.Leader),
			-p.load.emptiest(a, b))
	})
	return voters
}

func (p *planner) goes(id cluster.NodeID) bool {
	n := p.s.Node(id)
	return n == nil || n.Leaving()
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// tidy adds or removes learners: the meta range has one on every node that does
// not vote; a data range has those that it is to grow by, and one more copy where
// an even number of nodes can hold it. Moves are skipped.
func (p *planner) tidy(r *Range, goal, room int) (Move, bool) {
	d := &r.Descriptor
	if d.IsMeta() {
		for i := range p.s.Nodes {
			n := &p.s.Nodes[i]
			if _, there := d.On(n.ID); !there && !n.Leaving() && n.Liveness == cluster.Alive {
				return Move{To: n.ID, Learner: true, Why: "every node needs a copy of the meta range"}, true
			}
		}
	}
	learners := p.learners(r)
	for _, x := range learners {
		n := p.s.Node(x.node)
		switch {
		case r.failed(x.node):
			return Move{From: x.node, Why: "its replica has stopped with an error"}, true
		case n == nil || n.Membership == cluster.Decommissioned:
			return Move{From: x.node, Why: "a learner left behind"}, true
		}
	}
	if d.IsMeta() {
		return Move{}, false
	}
	return p.copies(r, learners, max(goal, min(p.s.wanted(r), room))-len(d.Voters()))
}
