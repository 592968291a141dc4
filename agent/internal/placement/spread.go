package placement

import (
	"encoding/binary"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// crowding says how close together the replicas of one range are: how many pairs
// of them share the widest tier of their localities, how many the two widest, and
// so on. Less is better, the widest tier before the narrower ones, and it is least
// when each tier is shared out as evenly as can be.
type crowding [cluster.MaxTiers]int

func (c crowding) compare(o crowding) int { return slices.Compare(c[:], o[:]) }

// crowd is the crowding of replicas on nodes.
func (s *Snapshot) crowd(nodes []cluster.NodeID) crowding {
	var c crowding
	for i, a := range nodes {
		x := s.Node(a)
		if x == nil {
			continue
		}
		for _, b := range nodes[i+1:] {
			if y := s.Node(b); y != nil {
				for tier := range x.Locality.Shared(y.Locality) {
					c[tier]++
				}
			}
		}
	}
	return c
}

// located reports whether localities tell nodes apart at all.
func (s *Snapshot) located() bool {
	for i := range s.Nodes {
		if s.Nodes[i].Locality.Shared(s.Nodes[0].Locality) < cluster.MaxTiers {
			return true
		}
	}
	return false
}

// with is nodes and one more, without one; either may be 0.
func with(nodes []cluster.NodeID, more, without cluster.NodeID) []cluster.NodeID {
	out := make([]cluster.NodeID, 0, len(nodes)+1)
	for _, n := range nodes {
		if n != without {
			out = append(out, n)
		}
	}
	if more != 0 && !slices.Contains(out, more) {
		out = append(out, more)
	}
	return out
}

// sites groups the nodes that may carry replicas by their locality: how crowded
// replicas are depends on nothing else, so what was found of one range holds for
// all that are spread alike.
type sites struct {
	s     *Snapshot
	site  map[cluster.NodeID]int
	nodes [][]cluster.NodeID // by site
	// better remembers whether a move would spread replicas at some sites further.
	better map[string]bool
}

func newSites(s *Snapshot, carriers []cluster.NodeID) *sites {
	out := &sites{s: s, site: map[cluster.NodeID]int{}, better: map[string]bool{}}
	at := map[string]int{}
	for i := range s.Nodes {
		n := &s.Nodes[i]
		name := n.Locality.String()
		k, ok := at[name]
		if !ok {
			k = len(out.nodes)
			at[name] = k
			out.nodes = append(out.nodes, nil)
		}
		out.site[n.ID] = k
		if slices.Contains(carriers, n.ID) {
			out.nodes[k] = append(out.nodes[k], n.ID)
		}
	}
	return out
}

// improvable reports whether some move would spread r's replicas further.
func (t *sites) improvable(r *Range) bool {
	voters := r.Descriptor.Voters()
	key := make([]byte, 0, 2*len(voters)+1)
	where := make([]int, 0, len(voters))
	for _, id := range voters {
		where = append(where, t.site[id])
	}
	slices.Sort(where)
	key = append(key, byte(r.Descriptor.Pool))
	for _, k := range where {
		key = binary.AppendUvarint(key, uint64(k)) //nolint:gosec // an index
	}
	known, ok := t.better[string(key)]
	if !ok {
		known = t.search(r, voters)
		t.better[string(key)] = known
	}
	return known
}

func (t *sites) search(r *Range, voters []cluster.NodeID) bool {
	now := t.s.crowd(voters)
	for _, nodes := range t.nodes {
		free := slices.IndexFunc(nodes, func(id cluster.NodeID) bool { return !slices.Contains(voters, id) })
		if free < 0 || !t.s.admits(r, nodes[free]) {
			continue
		}
		for _, out := range voters {
			if t.s.crowd(with(voters, nodes[free], out)).compare(now) < 0 {
				return true
			}
		}
	}
	return false
}

// spreadOut plans moves of replicas that lie closer together than they need,
// whatever the load: each brings its range's crowding down, and no step for the
// load brings it up again.
func (r *rebalancing) spreadOut() {
	if !r.s.located() {
		return
	}
	places := newSites(r.s, r.board.nodes)
	for i := range r.s.Ranges {
		x := &r.s.Ranges[i]
		if r.full() {
			return
		}
		if !r.rearrangeable(x) || !places.improvable(x) {
			continue
		}
		if from, to := r.furthest(x, r.s.crowd(x.Descriptor.Voters())); to != 0 {
			r.used[x.Descriptor.ID] = true
			if at, carries := r.board.at[from]; carries {
				r.board.shift(at, r.board.at[to], r.board.carrying(x, at, false))
			}
			r.move(x, Move{From: from, To: to, Why: "spreads its replicas: " + r.s.together(x, from)})
		}
	}
}

// furthest returns the move of a replica of x that spreads its replicas most, to
// the node that carries least; none if no move does.
func (r *rebalancing) furthest(x *Range, now crowding) (from, to cluster.NodeID) {
	voters, least := x.Descriptor.Voters(), now
	for _, out := range voters {
		if out == x.Leader && len(voters) > 1 {
			continue // as in movable; one that it shares its locality with can go instead
		}
		for _, in := range r.board.nodes {
			if slices.Contains(voters, in) {
				continue
			}
			c := r.s.crowd(with(voters, in, out))
			order := c.compare(least)
			if order > 0 || order == 0 && (to == 0 || r.load.emptiest(in, to) >= 0) {
				continue
			}
			if r.takes(x, out, in) {
				from, to, least = out, in, c
			}
		}
	}
	return from, to
}

// together says with whom of its range's replicas the one on node shares most.
func (s *Snapshot) together(r *Range, node cluster.NodeID) string {
	n := s.Node(node)
	shared, other := 0, cluster.NodeID(0)
	for _, id := range r.Descriptor.Voters() {
		if m := s.Node(id); id != node && m != nil {
			if k := n.Locality.Shared(m.Locality); other == 0 || k > shared {
				shared, other = k, id
			}
		}
	}
	where := "no locality"
	if l := n.Locality[:min(shared, len(n.Locality))]; len(l) > 0 {
		where = l.String()
	}
	return node.String() + " and " + other.String() + " are both in " + where
}

// preferLeaders plans transfers to where the pools prefer leaders.
func (r *rebalancing) preferLeaders() {
	for _, x := range r.led {
		if r.full() {
			return
		}
		if r.s.likes(x, x.Leader) {
			continue
		}
		best := cluster.NodeID(0)
		for _, rep := range x.Descriptor.Replicas {
			if _, carries := r.board.at[rep.Node]; !carries || rep.Role != cluster.Voter || !r.s.likes(x, rep.Node) {
				continue
			}
			if SafeTransfer(r.s, x, rep.Node) != "" || r.s.Node(rep.Node).Hot() {
				continue
			}
			if best == 0 || r.load.at(rep.Node).leaders < r.load.at(best).leaders {
				best = rep.Node
			}
		}
		if best != 0 {
			from := r.board.at[x.Leader]
			r.used[x.Descriptor.ID] = true
			r.board.shift(from, r.board.at[best], r.board.leading(x, from))
			r.transfer(x, best)
		}
	}
}
