package sim

import (
	"errors"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// damagedReplica is a replica whose disk was found not to give back what it stored.
type damagedReplica struct {
	node    *Node
	replica cluster.ReplicaID
	led     time.Duration // for how long it has led since, though others could
}

// leadsDamaged is how long it may: its first attempt to have another lead comes at the
// next tick, a second one five seconds later.
const leadsDamaged = 8 * time.Second

var errBlock = errors.New("a block of a table has a wrong checksum")

// damageReplicas finds damage in replicas, leaders first: one of each range at a time,
// so that others can lead it.
func (w *World) damageReplicas() {
	id := w.anyRange()
	if n, st, ok := w.Leader(id); ok && w.faults && w.damaged[id] == nil && len(st.Descriptor.Voters()) > 1 {
		w.Stats.Found++
		w.damaged[id] = &damagedReplica{node: n, replica: st.Replica}
		n.do(func() { n.core.Damaged(id, errBlock) })
	}
	w.After(w.ms(2000, 6000), w.damageReplicas)
}

// watchDamaged holds that none of them leads for long, and forgets those that are gone.
func (w *World) watchDamaged() {
	const every = 500 * time.Millisecond
	for id, d := range w.damaged {
		st, ok := d.node.core.RangeStatus(id)
		switch {
		case !ok || st.Replica != d.replica || st.Failed == "":
			delete(w.damaged, id) // removed, or made anew by a snapshot
		case !st.IsLeader() || !w.quorate(id) || len(st.Descriptor.Voters()) < 2:
			d.led = 0
		default:
			if d.led += every; d.led > leadsDamaged {
				w.fail("%s leads %s, and its replica is damaged", d.node.id, id)
			}
		}
	}
	w.After(every, w.watchDamaged)
}

// found reports whether a replica says rightly that it is damaged.
func (w *World) found(n *Node, st *cluster.RangeStatus) bool {
	d := w.damaged[st.Descriptor.ID]
	return d != nil && d.node == n && d.replica == st.Replica
}
