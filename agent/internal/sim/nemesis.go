package sim

import (
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// nemesis brings one misfortune after another.
func (w *World) nemesis() {
	if !w.faults {
		return
	}
	n := w.victim()
	heal := w.ms(500, 5000)
	switch what := w.rng.IntN(17); {
	case w.mostWrong() && what != 4 && what != 7: // see jumpAll
	default:
		w.misfortune(what, n, heal)
	}
	w.After(w.ms(800, 3500), w.nemesis)
}

func (w *World) misfortune(what int, n *Node, heal time.Duration) {
	switch what {
	case 0:
		n.crash()
	case 1:
		if n.up {
			n.crashIn = 1 + w.rng.IntN(30)
		}
	case 2, 3:
		w.partition(n, heal)
	case 4:
		w.loss = w.rng.IntN(40)
		w.After(heal, func() { w.loss = 0 })
	case 5:
		if n.up && w.chance(50) {
			w.Stats.Pauses++
			n.paused = true
			w.After(heal, func() { n.paused = false })
		} else if n.up {
			w.sleep(n, heal)
		}
	case 6:
		w.jumpClock(n, heal)
	case 7:
		w.transfer()
	case 8, 9:
		if w.chance(40) {
			n.hangFor(heal)
			if w.chance(50) {
				w.After(w.ms(1200, 3000), n.crash) // with what hung never written
			}
			break
		}
		w.Stats.SlowDisks++
		n.slow = true
		w.After(heal, func() { n.slow = false })
		if w.chance(50) {
			w.After(w.ms(100, 500), n.crash) // with much on its way to the disk
		}
	case 10:
		w.blackout()
	case 11, 12, 13:
		w.goBack(w.nodes[w.rng.IntN(len(w.nodes))])
	case 14, 15:
		if w.othersSure(n) && n.Up() {
			w.jumpAll()
		}
	case 16:
		w.lowerAll()
	}
}

// victim prefers a leader: faults there hurt most.
func (w *World) victim() *Node {
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	if w.chance(50) {
		id := w.anyRange()
		if l, _, ok := w.Leader(id); ok {
			return l
		}
	}
	return n
}

// partition cuts a node off, in one direction or both.
func (w *World) partition(n *Node, heal time.Duration) {
	w.Stats.Partitions++
	dir := w.rng.IntN(3)
	for _, o := range w.nodes {
		if o == n {
			continue
		}
		if dir != 1 {
			w.cut[[2]cluster.NodeID{n.id, o.id}] = true
		}
		if dir != 2 {
			w.cut[[2]cluster.NodeID{o.id, n.id}] = true
		}
	}
	w.After(heal, func() { clear(w.cut) })
}

// blackout cuts the power of most nodes at once.
func (w *World) blackout() {
	w.Stats.Blackouts++
	for _, n := range w.nodes {
		if w.chance(75) {
			n.crash()
		}
	}
}

func (w *World) transfer() {
	id := w.anyRange()
	n, st, ok := w.Leader(id)
	if !ok {
		return
	}
	voters := st.Descriptor.Voters()
	to := voters[w.rng.IntN(len(voters))]
	w.Stats.Transfers++
	n.do(func() { n.core.Transfer(id, to, func(error) {}) })
}

// calm ends all faults.
func (w *World) calm() {
	w.faults = false
	w.loss = 0
	clear(w.cut)
	for _, n := range w.nodes {
		n.paused, n.slow, n.crashIn, n.full.next = false, false, 0, false
		n.answerAgain()
		n.offset, n.honest = 50*time.Millisecond, 50*time.Millisecond
	}
}

// mover changes the replicas of one range all the time: it grows it to three
// voters by one change and then moves them around, as a controller without memory would.
type mover struct {
	w  *World
	id cluster.RangeID
}

func (w *World) beginMoves(id cluster.RangeID) {
	m := &mover{w: w, id: id}
	w.moves[id] = m
	w.After(w.ms(50, 100), m.step)
}

func (m *mover) step() {
	w := m.w
	pause := w.ms(20, 300)
	if n, st, ok := w.Leader(m.id); ok {
		d := &st.Descriptor
		if !w.faults || len(d.Voters()) >= 3 {
			pause = w.ms(100, 1500)
		}
		if c, ok := m.choose(d, n.id); ok {
			w.Stats.Changes++
			w.changed = w.now
			n.do(func() { m.carryOut(n, d, c) })
			m.endanger(n, c)
		} else if r, ok := d.On(n.id); ok && d.Joint() && r.Role == cluster.VoterOutgoing {
			m.handOver(n, d)
		}
	}
	w.After(pause, m.step)
}

// handOver transfers leadership away from a replica that is on its way out.
func (m *mover) handOver(n *Node, d *cluster.RangeDescriptor) {
	for _, r := range d.Replicas {
		if r.Role == cluster.VoterIncoming || r.Role == cluster.Voter && m.w.chance(50) {
			n.do(func() { n.core.Transfer(m.id, r.Node, func(error) {}) })
			return
		}
	}
}

// choose picks the next change of a range, from its descriptor alone.
func (m *mover) choose(d *cluster.RangeDescriptor, leader cluster.NodeID) (cluster.ReplicaChange, bool) {
	w := m.w
	c := cluster.ReplicaChange{Expect: d.Generation}
	voters, learners := d.Voters(), d.Learners()
	lostVoter, lost := m.lost(d, cluster.Voter)
	lostLearner, gone := m.lost(d, cluster.Learner)
	switch {
	case d.Joint():
		r, _ := d.On(leader)
		c.Kind = cluster.LeaveJoint
		// Now and then nobody leaves the joint state: the leader must by itself.
		return c, r.Role != cluster.VoterOutgoing && w.chance(90)
	case gone:
		c.Kind, c.Remove = cluster.RemoveLearner, lostLearner
		return c, true
	case w.cfg.Five && len(voters) >= 3:
		return m.five(c, d)
	case len(learners) == 2 && len(voters) < 3:
		c.Kind, c.Promote = cluster.ChangeVoters, learners
		return c, true
	case len(learners) > 0 && len(voters) == 3:
		return m.use(c, d, lostVoter), true
	case w.cfg.Leases && len(voters) >= 3 && !lost && w.chance(70):
		return c, false
	case len(voters) < 3 || lost || w.faults && w.chance(60):
		c.Kind = cluster.AddLearner
		for _, i := range w.rng.Perm(len(w.nodes)) {
			if _, ok := d.On(w.nodes[i].id); !ok {
				c.Add = w.nodes[i].id
				return c, true
			}
		}
	}
	return c, false
}

// use swaps a voter for the youngest replica if that is a learner; others are to go.
func (m *mover) use(c cluster.ReplicaChange, d *cluster.RangeDescriptor, lost cluster.NodeID) cluster.ReplicaChange {
	w, voters, l := m.w, d.Voters(), d.Learners()[0]
	if d.Replicas[len(d.Replicas)-1].Node != l || (w.faults && w.chance(5)) {
		c.Kind, c.Remove = cluster.RemoveLearner, l
		return c
	}
	out := voters[w.rng.IntN(len(voters))]
	if lost != 0 {
		out = lost
	}
	c.Kind, c.Promote, c.Demote = cluster.ChangeVoters, []cluster.NodeID{l}, []cluster.NodeID{out}
	w.Stats.Moves++
	return c
}

func (m *mover) carryOut(n *Node, d *cluster.RangeDescriptor, c cluster.ReplicaChange) {
	if c.Kind != cluster.AddLearner {
		n.core.ChangeReplicas(m.id, c, func(replica.Outcome) {})
		return
	}
	target := m.w.nodes[c.Add-1]
	target.do(func() {
		target.core.PrepareReplica(*d.Clone(), d.NextReplica, func(err error) {
			if err != nil {
				m.collect(target, d)
				return
			}
			n.later(m.w.ms(1, 5), func() { n.core.ChangeReplicas(m.id, c, func(replica.Outcome) {}) })
		})
	})
}

// collect destroys a replica that the range's descriptor does not name.
func (m *mover) collect(n *Node, d *cluster.RangeDescriptor) {
	if _, ok := d.On(n.id); ok {
		return
	}
	n.later(m.w.ms(1, 5), func() { n.core.DestroyReplica(m.id, d.NextReplica, func(error) {}) })
}
