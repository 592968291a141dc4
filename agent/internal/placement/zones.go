package placement

import (
	"cmp"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// LocalityLoss is what the loss of all nodes of one locality would cost.
type LocalityLoss struct {
	Locality string           `json:"locality"` // "region=eu,zone=a"
	Nodes    []cluster.NodeID `json:"nodes"`
	// Ranges counts those that would lose their quorum, First are the first of them.
	Ranges int               `json:"ranges"`
	First  []cluster.RangeID `json:"first,omitempty"`
}

// firstLost bounds LocalityLoss.First.
const firstLost = 8

// localities are the groups of live nodes that share a locality, wide or narrow.
// One that all live nodes are in is none: without it nothing would be left.
type localities struct {
	losses []LocalityLoss
	of     map[cluster.NodeID][]int // which of losses a node is in
}

func (s *Snapshot) localities() *localities {
	g := &localities{of: map[cluster.NodeID][]int{}}
	at := map[string]int{}
	live := 0
	for i := range s.Nodes {
		n := &s.Nodes[i]
		if !n.Live() {
			continue
		}
		live++
		for depth := range n.Locality {
			name := n.Locality[:depth+1].String()
			k, ok := at[name]
			if !ok {
				k = len(g.losses)
				at[name] = k
				g.losses = append(g.losses, LocalityLoss{Locality: name})
			}
			g.losses[k].Nodes = append(g.losses[k].Nodes, n.ID)
			g.of[n.ID] = append(g.of[n.ID], k)
		}
	}
	for k := range g.losses {
		if len(g.losses[k].Nodes) == live {
			for id := range g.of {
				g.of[id] = slices.DeleteFunc(g.of[id], func(x int) bool { return x == k })
			}
		}
	}
	return g
}

// add counts what r would lose with each locality that its voters are in.
func (g *localities) add(s *Snapshot, r *Range) {
	var seen []int
	for _, rep := range r.Descriptor.Replicas {
		if rep.Role == cluster.Learner {
			continue
		}
		for _, k := range g.of[rep.Node] {
			if slices.Contains(seen, k) {
				continue
			}
			seen = append(seen, k)
			loss := &g.losses[k]
			if s.quorate(r, func(n cluster.NodeID) bool { return s.live(r, n) && !slices.Contains(g.of[n], k) }) {
				continue
			}
			loss.Ranges++
			if len(loss.First) < firstLost {
				loss.First = append(loss.First, r.Descriptor.ID)
			}
		}
	}
}

// result lists the localities by name, without those that all nodes are in.
func (g *localities) result() []LocalityLoss {
	var out []LocalityLoss
	for k := range g.losses {
		if id := g.losses[k].Nodes[0]; slices.Contains(g.of[id], k) {
			out = append(out, g.losses[k])
		}
	}
	slices.SortFunc(out, func(a, b LocalityLoss) int { return cmp.Compare(a.Locality, b.Locality) })
	return out
}

// AnyLocality reports whether every range outlives the loss of any one of the
// localities; known is false if nodes have none that tells them apart.
func (v *Survival) AnyLocality() (yes, known bool) {
	for i := range v.Localities {
		if v.Localities[i].Ranges > 0 {
			return false, true
		}
	}
	return len(v.Localities) > 0, len(v.Localities) > 0
}

// WorstLocality is the locality whose loss stops most ranges; nil: none does.
func (v *Survival) WorstLocality() *LocalityLoss {
	var worst *LocalityLoss
	for i := range v.Localities {
		if l := &v.Localities[i]; l.Ranges > 0 && (worst == nil || l.Ranges > worst.Ranges) {
			worst = l
		}
	}
	return worst
}
