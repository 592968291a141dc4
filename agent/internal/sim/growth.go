package sim

import (
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// grow has one more node join, and perhaps its disk be lost at any moment after
// that. The cluster did without the newest node before, so it must go on without
// it: that is what is checked, by every check there is of the others.
func (o *operators) grow() {
	w := o.w
	if !w.faults || o.joined == w.cfg.Nodes {
		return
	}
	o.inOrder(o.join())
	if n := w.nodes[o.joined-1]; w.chance(60) {
		w.After(w.ms(0, 6000), func() { o.lose(n) })
	}
	w.After(w.ms(3000, 12_000), o.grow)
}

// mourning reports whether a node whose disk is lost is still a member.
func (o *operators) mourning() bool {
	return slices.ContainsFunc(o.w.nodes, func(n *Node) bool { return n.lost && !o.buried(n) })
}

// operating reports whether a node is being decommissioned, or n drained, as some
// node knows: what is left may not be enough for one more loss, and a drain is its
// node's own work.
func (o *operators) operating(n *Node) bool {
	return slices.ContainsFunc(o.w.nodes, func(x *Node) bool {
		if !x.up {
			return false
		}
		v := x.machine.View()
		return slices.ContainsFunc(v.OperationIDs(), func(id string) bool {
			op := v.Operations[id]
			return !op.State.Final() && (op.Spec.Kind == cluster.OpDecommission || op.Spec.Kind == cluster.OpDrain && slices.Contains(op.Spec.Nodes, n.id))
		})
	})
}

// lose takes the disk of a node away, for ever, unless another trick is being
// played on it. One loss at a time is what is outlived.
func (o *operators) lose(n *Node) {
	w := o.w
	if !w.faults || n.disk != nil || w.gone(n.id) || o.mourning() || o.operating(n) || n.id != cluster.NodeID(o.joined) {
		return
	}
	if o.joined == w.cfg.Nodes && w.left() < 4 {
		return // nobody would come for the replicas of three that are lost with it
	}
	w.Stats.Lost++
	n.crash()
	n.life++ // it does not start again
	n.lost, n.fs, n.old = true, storage.NewCrashableFS(), nil
	w.trace(uint64(n.id), uint64(n.life))
	w.After(w.ms(1000, 15_000), func() { o.bury(n) })
}

// bury has a person ask for the decommission of a lost node until it is done.
func (o *operators) bury(n *Node) {
	if o.buried(n) {
		return
	}
	if leader, _, ok := o.w.Leader(cluster.MetaRangeID); ok {
		v := leader.machine.View()
		member := slices.ContainsFunc(v.NodeIDs(), func(id cluster.NodeID) bool { return id == n.id })
		busy := slices.ContainsFunc(v.OperationIDs(), func(id string) bool {
			op := v.Operations[id]
			return op.Spec.Kind == cluster.OpDecommission && !op.State.Final() && slices.Contains(op.Spec.Nodes, n.id)
		})
		if member && !busy {
			o.create(cluster.OperationSpec{Kind: cluster.OpDecommission, Nodes: []cluster.NodeID{n.id}})
		}
	}
	o.w.After(o.w.ms(1000, 3000), func() { o.bury(n) })
}

// buried reports whether a node was decommissioned, as some node knows.
func (o *operators) buried(n *Node) bool {
	return slices.ContainsFunc(o.w.nodes, func(x *Node) bool {
		return x.up && decommissioned(x.machine.View(), n.id)
	})
}

func decommissioned(v *metastate.View, id cluster.NodeID) bool {
	n := v.Nodes[id]
	return n != nil && n.Membership == cluster.Decommissioned
}

// noteVoters counts changes that leave an even number of voters.
func (w *World) noteVoters(d *cluster.RangeDescriptor) {
	voters := 0
	for _, r := range d.Replicas {
		if r.Role == cluster.Voter || r.Role == cluster.VoterIncoming {
			voters++
		}
	}
	if voters%2 == 0 {
		w.Stats.Even++
	}
}

// votersAtEnd is how many voters a range must have when all is calm: three, if
// there are nodes for them.
func (w *World) votersAtEnd(d *cluster.RangeDescriptor) int {
	if d.Pool != cluster.DefaultPool {
		return w.newest().ReplicasWanted(d)
	}
	if w.cfg.Grow && w.left() < 3 {
		return 1
	}
	return 3
}

// left counts the nodes that joined and are not gone.
func (w *World) left() int {
	left := 0
	for i := range w.operators.joined {
		if !w.gone(w.nodes[i].id) {
			left++
		}
	}
	return left
}
