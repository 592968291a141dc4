package sim

import (
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// hang is a disk that answers nothing: what is handed to it comes back when it does.
type hang struct {
	on    bool
	stuck *store.LogBatch // the batch that was being written
	ticks int             // since it was
}

// hangTicks is how long a node whose batch hangs may lead: the age at which it takes
// the disk for hung, what it gives its heirs, and a tick on either side.
const hangTicks = 10 + 5 + 2

// hangFor makes the node's disk hang for a while.
func (n *Node) hangFor(d time.Duration) {
	if !n.up || n.hang.on {
		return
	}
	n.w.Stats.Hangs++
	n.hang = hang{on: true}
	life := n.life
	n.w.After(d, func() {
		if n.life == life {
			n.answerAgain()
		}
	})
}

// answerAgain ends the hang of the node's disk.
func (n *Node) answerAgain() {
	b := n.hang.stuck
	n.hang = hang{}
	if b != nil {
		n.do(func() { n.write(b) })
	}
}

// checkHang holds that a node whose disk hangs leads nothing that others can lead.
func (n *Node) checkHang() {
	if n.hang.stuck == nil {
		return
	}
	if n.hang.ticks++; n.hang.ticks <= hangTicks {
		return
	}
	for _, st := range n.core.Status() {
		if st.IsLeader() && len(st.Descriptor.Voters()) > 1 {
			n.w.fail("%s leads %s, and its disk hangs for %d ticks", n.id, st.Descriptor.ID, n.hang.ticks)
		}
	}
}

// checkCampaign holds that it calls no election either.
func (n *Node) checkCampaign(batch []byte) {
	if n.hang.on && n.core.HandsOver() && store.AsksForVotes(batch) {
		n.w.fail("%s asks for votes, and knows that its disk hangs", n.id)
	}
}

// servedAfter is when a range that was led by a node whose disk hangs is served by
// another: the disk counts as hung after a second and half a second later nobody
// waits for an heir; an election takes two seconds at most, and a few messages.
const servedAfter = 4 * time.Second

// hangDisks makes one disk after another hang, and nothing else go wrong: the ranges
// that have a quorum without it are served elsewhere in time.
func (w *World) hangDisks() {
	hangs := w.ms(5000, 12000)
	w.After(hangs+w.ms(3000, 6000), w.hangDisks) // the node has caught up by then
	n := w.victim()
	if !w.faults || !n.up {
		return
	}
	var served []cluster.RangeID
	for _, id := range w.ranges() {
		if _, _, ok := w.Leader(id); ok {
			served = append(served, id)
		}
	}
	if w.chance(50) && !n.leadsAny() {
		w.hangAlone(n, hangs)
		return
	}
	n.hangFor(hangs)
	life := n.life
	w.After(servedAfter, func() {
		if n.life != life || n.hang.stuck == nil {
			return
		}
		for _, id := range served {
			w.checkServed(id)
		}
	})
}

// hangAlone makes the disk of a node hang that hears of no leader, and would like to
// lead, before its clock runs dry and makes it silent.
func (w *World) hangAlone(n *Node, d time.Duration) {
	cut := w.ms(1500, 3500)
	w.partition(n, cut+d/2)
	w.After(cut, func() { n.hangFor(d - cut) })
}

func (n *Node) leadsAny() bool {
	return slices.ContainsFunc(n.core.Status(), func(st cluster.RangeStatus) bool { return st.IsLeader() })
}

// checkServed wants a range to be served by a node whose disk works, if it can be.
func (w *World) checkServed(id cluster.RangeID) {
	leader, st, ok := w.Leader(id)
	if ok && leader.hang.on && len(st.Descriptor.Voters()) == 1 || !w.quorate(id) {
		return
	}
	if !ok || leader.hang.on {
		w.fail("%s is served by nobody %s after a disk hung", id, servedAfter)
		return
	}
	served := false
	leader.do(func() {
		leader.core.Read(id, leader.clock.Now(), func(h *store.ReadHandle, err error) {
			if served = err == nil; served {
				h.Close()
			}
		})
	})
	life, term := leader.life, st.Term
	w.After(time.Second, func() {
		now, ok := leader.core.RangeStatus(id)
		if !served && leader.life == life && ok && now.IsLeader() && now.Term == term {
			w.fail("%s does not serve %s after a disk hung", leader.id, id)
		}
	})
	w.Stats.Served++
}

// quorate reports whether the nodes whose disks work are a quorum of a range, its
// members as the replica that knows most of them. One that missed its latest changes
// does not count: its own disk may have hung until now.
func (w *World) quorate(id cluster.RangeID) bool {
	var newest cluster.RangeDescriptor
	generation := map[cluster.NodeID]uint64{}
	for _, n := range w.nodes {
		if st, ok := n.core.RangeStatus(id); n.up && ok {
			generation[n.id] = st.Descriptor.Generation
			if st.Descriptor.Generation > newest.Generation {
				newest = st.Descriptor
			}
		}
	}
	sound := 0
	for _, v := range newest.Voters() {
		if w.nodes[v-1].up && !w.nodes[v-1].hang.on && generation[v]+1 >= newest.Generation {
			sound++
		}
	}
	return !newest.Joint() && 2*sound > len(newest.Voters())
}
