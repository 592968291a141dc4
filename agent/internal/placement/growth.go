package placement

import (
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// goal is how many voters r should have as the nodes are now: as many as are
// wanted, but an odd number, and no more than there are nodes for. For want of
// nodes alone those that vote are not made fewer, unless they are an even number,
// which outlives no more losses than the odd one below it. room is how many nodes
// could vote, as far as they are needed.
func (p *planner) goal(r *Range) (goal, room int) {
	voters, want := len(r.Descriptor.Voters()), p.s.wanted(r)
	if p.s.Planted.evenVoters() {
		return want, p.room(r, want)
	}
	if voters >= want {
		return odd(want), voters
	}
	room = p.room(r, want)
	return max(odd(min(want, room)), odd(voters)), room
}

// room counts the nodes that vote for r, or could, up to most: that is asked of
// ranges that lack voters, on clusters of any size.
func (p *planner) room(r *Range, most int) int {
	room := len(r.Descriptor.Voters())
	for i := 0; i < len(p.s.Nodes) && room < most; i++ {
		if p.barred(r, &p.s.Nodes[i]) == "" {
			room++
		}
	}
	return room
}

// learner is one of a range, and what it is good for.
type learner struct {
	node  cluster.NodeID
	ready bool // its node could take a vote
	gone  bool // its node has been down too long, or is where the pool does not want it
}

// learners lists those of r, by the emptiest node.
func (p *planner) learners(r *Range) []learner {
	var out []learner
	for _, rep := range r.Descriptor.Replicas {
		if rep.Role != cluster.Learner {
			continue
		}
		n := p.s.Node(rep.Node)
		fits := p.s.admits(r, rep.Node)
		x := learner{node: rep.Node, ready: n != nil && n.refuses() == "" && fits && !r.failed(rep.Node)}
		x.gone = n == nil || !fits || n.Down() && n.DownFor >= p.s.DeadAfter
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b learner) int { return p.load.emptiest(a.node, b.node) })
	return out
}

// more plans what brings r nearer to goal voters: first the learners, one after
// the other, then one joint change that promotes as many at once as keep the
// number of voters odd. Until then the range is as it was.
func (p *planner) more(r *Range, goal int) (Move, bool) {
	voters := len(r.Descriptor.Voters())
	if voters >= goal {
		return Move{}, false
	}
	step := 1 + voters%2
	if p.s.Planted.evenVoters() {
		step = 1
	}
	var ready, caught []cluster.NodeID
	for _, x := range p.learners(r) {
		if x.ready {
			ready = append(ready, x.node)
		}
		if x.ready && r.CaughtUp(x.node) {
			caught = append(caught, x.node)
		}
	}
	switch {
	case len(caught) >= step:
		m := Move{To: p.furthest(r, caught, p.staying(r, nil)), Why: "too few voters"}
		if step == 2 {
			m.Also = p.furthest(r, with(caught, 0, m.To), append(p.staying(r, nil), m.To))
		}
		return m, true
	case len(ready) < step:
		if to, _ := p.targetBeside(r, append(p.staying(r, nil), ready...), ready); to != 0 {
			return Move{To: to, Learner: true, Why: fmt.Sprintf("too few voters: %d more at once when copies of all have caught up", step)}, true
		}
	}
	return Move{}, false
}

// furthest returns the best node for one more voter beside those on nodes.
func (p *planner) furthest(r *Range, among, nodes []cluster.NodeID) cluster.NodeID {
	best := p.candidate(r, among[0], nodes)
	for _, id := range among[1:] {
		if x := p.candidate(r, id, nodes); p.prefers(x, best) {
			best = x
		}
	}
	return best.node
}

// fewer plans to take votes away: two at once, or one if they are an even number.
// Such a number that is no more than wanted is left alone while a node that may
// be back soon could make it the odd one above.
func (p *planner) fewer(r *Range, goal, room int) (Move, bool) {
	voters, want := len(r.Descriptor.Voters()), p.s.wanted(r)
	if voters <= goal || voters < want && p.awaited(r, room) {
		return Move{}, false
	}
	spares := p.spares(r)
	m := Move{From: spares[0], Demote: r.Descriptor.IsMeta() && !r.failed(spares[0]), Why: "one voter too many"}
	if voters%2 == 1 {
		m.Also, m.Why = spares[1], "two voters too many"
	}
	if voters <= want {
		m.Demote, m.Why = !r.failed(m.From), fmt.Sprintf("%d voters outlive no more losses than %d", voters, voters-1)
	}
	return m, true
}

// awaited reports whether a node that can take no vote now, but belongs to the
// cluster and has not been down for long, would make r's voters an odd number.
func (p *planner) awaited(r *Range, room int) bool {
	return slices.ContainsFunc(p.s.Nodes, func(n Node) bool {
		rep, there := r.Descriptor.On(n.ID)
		if there && rep.Role != cluster.Learner || n.Leaving() || n.Cordon {
			return false
		}
		return n.refuses() != "" && !(n.Down() && n.DownFor >= p.s.DeadAfter) && room < p.s.wanted(r)
	})
}

// copies sees to it that r has keep learners. One whose node is away is waited
// for as a voter is; it goes when another has taken its place.
func (p *planner) copies(r *Range, learners []learner, keep int) (Move, bool) {
	ready, there := 0, 0
	for _, x := range learners {
		if x.ready {
			ready++
		}
		if !x.gone {
			there++
		}
	}
	if there < keep {
		var on []cluster.NodeID
		for _, x := range learners {
			on = append(on, x.node)
		}
		if to, _ := p.targetBeside(r, append(p.staying(r, nil), on...), on); to != 0 {
			return Move{To: to, Learner: true, Why: "one more copy, which does not vote: an even number of voters outlives no more losses"}, true
		}
	}
	for i := len(learners) - 1; i >= 0; i-- { // those on the fullest nodes first
		x := learners[i]
		full := len(r.Descriptor.Voters()) >= p.s.wanted(r)
		if full || x.ready && ready > keep || x.gone && ready >= max(keep, 1) {
			return Move{From: x.node, Why: "a learner left behind"}, true
		}
	}
	return Move{}, false
}

// short says why r has fewer voters than are wanted though nothing is done about
// it; "" if it has them.
func (p *planner) short(r *Range) string {
	voters, want := len(r.Descriptor.Voters()), p.s.wanted(r)
	if voters >= want {
		return ""
	}
	goal, room := p.goal(r)
	if goal > voters {
		return fmt.Sprintf("nothing yet: it has %s of %d, and becomes %d when copies of it have caught up", count(voters, "voter"), want, goal)
	}
	return fmt.Sprintf("nothing: it has %s of %d wanted, for %s could vote, and an even number outlives no more losses", count(voters, "voter"), want, count(room, "node"))
}
