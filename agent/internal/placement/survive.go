package placement

import (
	"cmp"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// Survival says how many more nodes a cluster may lose.
type Survival struct {
	// Any is the largest k up to 2 such that no loss of any k nodes takes the
	// quorum of a range; -1 if a range has none now.
	Any int `json:"any"`
	// Singles are the nodes whose loss alone takes a quorum; WorstSingle is the one
	// that takes most, SingleRanges how many.
	Singles      []cluster.NodeID `json:"singles,omitempty"`
	WorstSingle  cluster.NodeID   `json:"worstSingle,omitempty"`
	SingleRanges int              `json:"singleRanges,omitempty"`
	// Pairs counts the pairs of nodes whose loss takes a quorum; Worst is the pair
	// that takes most, WorstRanges how many.
	Pairs       int              `json:"pairs"`
	Worst       []cluster.NodeID `json:"worst,omitempty"`
	WorstRanges int              `json:"worstRanges,omitempty"`
	// Localities say what the loss of each would cost, if nodes have any that tell
	// them apart.
	Localities []LocalityLoss `json:"localities,omitempty"`
	// Copies are the nodes whose replicas do not vote anywhere: no loss of one of
	// them takes a quorum, and none of them can take the place of a voter by itself.
	Copies []cluster.NodeID `json:"copies,omitempty"`
	// Lost are the ranges without a quorum now.
	Lost []cluster.RangeID `json:"lost,omitempty"`
}

type pair struct{ a, b cluster.NodeID }

// Survive looks at every range: which nodes, alone or in pairs, and which
// localities may be lost.
func Survive(s *Snapshot) Survival {
	t := survey{s: s, singles: map[cluster.NodeID]int{}, pairs: map[pair]int{}}
	var out Survival
	places := s.localities()
	for i := range s.Ranges {
		if !t.add(&s.Ranges[i]) {
			out.Lost = append(out.Lost, s.Ranges[i].Descriptor.ID)
			continue
		}
		places.add(s, &s.Ranges[i])
	}
	out.Localities = places.result()
	for n := range t.singles {
		out.Singles = append(out.Singles, n)
	}
	slices.Sort(out.Singles)
	for _, n := range out.Singles {
		if t.singles[n] > out.SingleRanges {
			out.WorstSingle, out.SingleRanges = n, t.singles[n]
		}
	}
	out.Copies = s.copies()
	out.Pairs, out.Worst, out.WorstRanges = t.worst()
	switch {
	case len(out.Lost) > 0:
		out.Any = -1
	case len(out.Singles) > 0:
		out.Any = 0
	case out.Pairs > 0:
		out.Any = 1
	default:
		out.Any = 2
	}
	return out
}

// copies lists the nodes that hold copies of data and no vote.
func (s *Snapshot) copies() []cluster.NodeID {
	votes, holds := map[cluster.NodeID]bool{}, map[cluster.NodeID]bool{}
	for i := range s.Ranges {
		d := &s.Ranges[i].Descriptor
		for _, rep := range d.Replicas {
			if rep.Role != cluster.Learner {
				votes[rep.Node] = true
			} else if !d.IsMeta() {
				holds[rep.Node] = true
			}
		}
	}
	var out []cluster.NodeID
	for n := range holds {
		if !votes[n] {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

type survey struct {
	s       *Snapshot
	singles map[cluster.NodeID]int // ranges that the node's loss alone would stop
	pairs   map[pair]int           // ranges that only the loss of both would stop
}

// add counts one range; false if it has no quorum as it is.
func (t *survey) add(r *Range) bool {
	s := t.s
	if !s.HasQuorum(r) {
		return false
	}
	voters := slices.DeleteFunc(r.Descriptor.Voters(), func(n cluster.NodeID) bool { return !s.live(r, n) })
	slices.Sort(voters)
	for i, a := range voters {
		if !s.quorate(r, func(n cluster.NodeID) bool { return n != a && s.live(r, n) }) {
			t.singles[a]++
			continue
		}
		for _, b := range voters[i+1:] {
			without := func(out ...cluster.NodeID) bool {
				return s.quorate(r, func(n cluster.NodeID) bool { return !slices.Contains(out, n) && s.live(r, n) })
			}
			if without(b) && !without(a, b) {
				t.pairs[pair{a, b}]++
			}
		}
	}
	return true
}

// worst returns how many pairs stop a range, and the pair that stops most.
func (t *survey) worst() (int, []cluster.NodeID, int) {
	live := make([]cluster.NodeID, 0, len(t.s.Nodes))
	for i := range t.s.Nodes {
		if t.s.Nodes[i].Live() {
			live = append(live, t.s.Nodes[i].ID)
		}
	}
	all := make([]pair, 0, len(t.pairs))
	for p := range t.pairs {
		all = append(all, p)
	}
	for i, a := range live {
		for _, b := range live[i+1:] {
			if _, ok := t.pairs[pair{a, b}]; !ok && t.singles[a]+t.singles[b] > 0 {
				all = append(all, pair{a, b})
			}
		}
	}
	if len(all) == 0 {
		return 0, nil, 0
	}
	// The ranges that a pair stops: by both together, plus by either alone. A
	// range of one voter pair that either stops is counted for both; fair enough
	// for a ranking, and exact when no single loss stops anything.
	harm := func(p pair) int { return t.pairs[p] + t.singles[p.a] + t.singles[p.b] }
	slices.SortFunc(all, func(x, y pair) int {
		return cmp.Or(cmp.Compare(harm(y), harm(x)), cmp.Compare(x.a, y.a), cmp.Compare(x.b, y.b))
	})
	return len(all), []cluster.NodeID{all[0].a, all[0].b}, min(harm(all[0]), len(t.s.Ranges))
}
