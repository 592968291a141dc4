package sim

import (
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// five picks the next change of a range that goes from three voters to five and back:
// two voters come or go by one joint change.
func (m *mover) five(c cluster.ReplicaChange, d *cluster.RangeDescriptor) (cluster.ReplicaChange, bool) {
	w, voters, learners := m.w, d.Voters(), d.Learners()
	switch {
	case !w.faults || w.chance(50):
		return c, false
	case len(voters) > 3:
		c.Kind = cluster.ChangeVoters
		for _, i := range w.rng.Perm(len(voters))[:2] {
			c.Demote = append(c.Demote, voters[i])
		}
		return c, true
	case len(learners) == 2 && w.chance(70):
		c.Kind, c.Promote = cluster.ChangeVoters, learners
		w.Stats.Fives++
		return c, true
	case len(learners) == 2:
		c.Kind, c.Remove = cluster.RemoveLearner, learners[w.rng.IntN(2)]
		return c, true
	}
	c.Kind = cluster.AddLearner
	for _, i := range w.rng.Perm(len(w.nodes)) {
		if _, ok := d.On(w.nodes[i].id); !ok {
			c.Add = w.nodes[i].id
			return c, true
		}
	}
	return c, false
}

// endanger parts a leader that has just applied a joint change from all but a majority
// of the new configuration: those do not know that it is committed, and elect as before.
func (m *mover) endanger(l *Node, c cluster.ReplicaChange) {
	w := m.w
	if !w.cfg.Five || c.Kind != cluster.ChangeVoters || !w.faults || w.cfg.Extra == nil && w.chance(50) {
		return
	}
	until := w.now + 100*time.Millisecond
	var look func()
	look = func() {
		if st, ok := l.core.RangeStatus(m.id); !l.up || !ok || !st.Descriptor.Joint() {
			if w.now < until {
				w.faultAfter(100*time.Microsecond, look)
			}
			return
		}
		near, far := m.newMajority(l, c)
		w.part(near, far, 2500*time.Millisecond)
	}
	look()
}

// newMajority parts the nodes: a majority of what the change leads to, with those who
// come, and the rest.
func (m *mover) newMajority(l *Node, c cluster.ReplicaChange) (near, far []*Node) {
	near = []*Node{l}
	need := (3+len(c.Promote))/2 + 1
	for _, o := range m.w.others(l) {
		if slices.Contains(c.Promote, o.id) {
			near = append(near, o)
		} else {
			far = append(far, o)
		}
	}
	for i := 0; len(near) < need && i < len(far); {
		if slices.Contains(c.Demote, far[i].id) {
			i++
			continue
		}
		near, far = append(near, far[i]), slices.Delete(far, i, i+1)
	}
	return near, far
}
