package placement

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// Explanation says where a replica of a range may be, and why it is where it is.
type Explanation struct {
	Nodes []NodeVerdict
	// Why is what would be done about the range now, or why nothing.
	Why string
}

// NodeVerdict is whether a replica of the range may be on a node.
type NodeVerdict struct {
	Node        cluster.NodeID
	Holds       bool
	May         bool
	Code        Code // of a no that is the pool's; "" otherwise
	Why         string
	WouldChange string // what would make a no a yes
	// Gain is what the best move of a replica there would bring, in percent points.
	Gain float64
}

// Explain looks at every node that is no member of the past.
func Explain(s *Snapshot, id cluster.RangeID, in Intent) Explanation {
	var out Explanation
	r := s.Range(id)
	if r == nil {
		return out
	}
	in.Goal = GoalRebalance
	b := newBoard(s, &in)
	for i := range s.Nodes {
		if n := &s.Nodes[i]; n.Membership != cluster.Decommissioned {
			out.Nodes = append(out.Nodes, s.explainNode(r, n, b))
		}
	}
	out.Why = s.explainRange(r, in)
	return out
}

func (s *Snapshot) explainNode(r *Range, n *Node, b *board) NodeVerdict {
	v := NodeVerdict{Node: n.ID}
	rep, holds := r.Descriptor.On(n.ID)
	v.Holds = holds
	switch {
	case holds:
		v.May, v.Why = true, "holds a "+string(rep.Role)
		if r.Leader == n.ID {
			v.Why += " and leads"
		}
		if why := n.refuses(); why != "" {
			v.May, v.Why = false, v.Why+", but "+why
		} else if why := s.misplaced(r, n); why != "" {
			v.May, v.Code, v.Why = false, Constraint, v.Why+", but "+why
		}
	case r.Descriptor.IsMeta():
		v.May, v.Why = n.refuses() == "", "every node has a replica of the meta range"
	case n.refuses() != "":
		v.Why = n.refuses()
	case s.misplaced(r, n) != "":
		v.Code, v.Why = Constraint, s.misplaced(r, n)
	case s.overfull(n, r.Bytes):
		v.Why = fmt.Sprintf("its disk would be over %.0f %% full with %s more", s.MaxDisk*100, weight(r.Bytes, r.Dead))
	case n.Hot():
		v.May, v.Why = true, fmt.Sprintf("may receive one, but not from the rebalancer while it uses %.0f %% of its CPU", n.CPU*100)
	default:
		v.May, v.Why = true, "may receive one"
	}
	if !v.May {
		if fixes := s.nodeFixes(n.ID, r); len(fixes) > 0 {
			v.WouldChange = fixes[0].Does
			if fixes[0].Command != "" {
				v.WouldChange += ": " + fixes[0].Command
			}
		}
	}
	if !holds && v.May && !r.Descriptor.IsMeta() {
		v.Gain = b.bestGain(r, n.ID)
		if len(r.Descriptor.Voters()) >= s.wanted(r) {
			v.Why += ", in the place of " + s.replaceable(r, n.ID)
		}
	}
	return v
}

// replaceable says whose place a replica on node may take without bringing the
// others closer together.
func (s *Snapshot) replaceable(r *Range, node cluster.NodeID) string {
	voters := r.Descriptor.Voters()
	now := s.crowd(voters)
	var able []cluster.NodeID
	for _, id := range voters {
		if s.crowd(with(voters, node, id)).compare(now) <= 0 {
			able = append(able, id)
		}
	}
	switch len(able) {
	case len(voters):
		return fmt.Sprintf("one of its %s", count(len(voters), "voter"))
	case 0:
		return "none by the rebalancer: its replicas would lie closer together"
	}
	slices.Sort(able)
	return "that on " + strings.Join(strings.Split(names(able), ", "), " or ") + ": else they would lie closer together"
}

// bestGain tries a move to node from each that holds a replica.
func (b *board) bestGain(r *Range, node cluster.NodeID) float64 {
	to, ok := b.at[node]
	if !ok {
		return 0
	}
	before, best := b.spread(), 0.0
	for _, rep := range r.Descriptor.Replicas {
		from, carries := b.at[rep.Node]
		if !carries {
			continue
		}
		load := b.carrying(r, from, r.Leader == rep.Node)
		b.shift(from, to, load)
		best = max(best, before-b.spread())
		b.shift(to, from, load)
	}
	return best
}

// explainRange says what repair or the rebalancer would do about r.
func (s *Snapshot) explainRange(r *Range, in Intent) string {
	p := planner{s: s, load: newLoad(s)}
	id := r.Descriptor.ID
	switch {
	case slices.Contains(in.Skip, id):
		return "it is being moved now"
	case !s.HasQuorum(r):
		return "it has no quorum: nothing can be moved until a voter is back (" + s.shortfall(r, nil) + ")"
	case r.Leader == 0:
		return "it is electing"
	}
	if m, ok := p.cure(r); ok {
		m.Range = id
		return fmt.Sprintf("repair would make %s: %s", m, m.Why)
	}
	if why := p.short(r); why != "" {
		return why
	}
	if r.Descriptor.IsMeta() {
		return "every node has a replica of the meta range; its voters follow the number of nodes"
	}
	plan, v := Make(s, in)
	if !v.OK() {
		return "nothing: " + v.String()
	}
	for _, t := range plan.Transfers {
		if t.Range == id {
			return fmt.Sprintf("a rebalance would transfer its leadership from %s to %s", t.From, t.To)
		}
	}
	for _, m := range plan.Moves {
		if m.Range == id {
			return fmt.Sprintf("a rebalance would move it from %s to %s", m.From, m.To)
		}
	}
	if slices.Contains(in.Cooling, id) {
		return "nothing: it moved a short while ago and stays where it is"
	}
	if plan.Empty() {
		return "nothing: it is whole, and " + v.Checks[len(v.Checks)-1].Detail
	}
	return "nothing: it is whole, and moving others evens the load out more"
}

// nodeFixes says what would let node receive a replica of r.
func (s *Snapshot) nodeFixes(id cluster.NodeID, r *Range) []Fix {
	n := s.Node(id)
	if n == nil {
		return []Fix{{Does: "see the nodes", Command: "nodedbctl nodes"}}
	}
	switch {
	case n.Membership == cluster.Decommissioned:
		return nil
	case n.Leaving():
		return []Fix{{Does: "keep it in the cluster", Command: "nodedbctl recommission " + id.String()}}
	case n.Membership != cluster.Active:
		return []Fix{{Does: "wait until it is active", Command: "nodedbctl wait " + id.String() + " --for ready"}}
	case n.Liveness != cluster.Alive:
		return []Fix{{Does: "start " + id.String() + " again"}}
	case n.Cordon:
		return []Fix{{Does: "let it receive replicas", Command: "nodedbctl uncordon " + id.String()}}
	case n.stops():
		return []Fix{{Does: "make it ready again", Command: "nodedbctl undrain " + id.String()}}
	case !n.Reported:
		return []Fix{{Does: "see why it is silent", Command: "nodedbctl members why " + id.String()}}
	case s.misplaced(r, n) != "":
		return s.constraintFixes(r, n)
	case s.overfull(n, r.Bytes):
		return []Fix{{Does: fmt.Sprintf("%s more disk on %s", size(s.missingDisk(n, r.Bytes)), id)}}
	}
	return nil
}

// missingDisk is by how much n's disk is too small to take more bytes.
func (s *Snapshot) missingDisk(n *Node, more uint64) uint64 {
	need := uint64(float64(n.DiskUsed+more)/s.MaxDisk) + 1
	return need - min(need, n.DiskTotal)
}

// weight writes what a copy takes, and what of it will go when old versions are collected.
func weight(bytes, dead uint64) string {
	if dead == 0 {
		return size(bytes)
	}
	return fmt.Sprintf("%s, of which %s are dead until they are collected,", size(bytes), size(dead))
}

// size writes bytes as people do, rounded up.
func size(n uint64) string {
	for _, u := range []struct {
		bytes uint64
		name  string
	}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}} {
		if n >= u.bytes {
			return fmt.Sprintf("%d %s", (n+u.bytes-1)/u.bytes, u.name)
		}
	}
	return "1 MiB"
}
