package sim

import (
	"fmt"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

// openVersions is what a start does first. A binary that does not fit what is
// stored does not run: whoever started it takes the newer one.
func (n *Node) openVersions() {
	if err := n.stored.Check(n.binary); err != nil {
		n.w.Stats.Unfit++
		n.binary = gate.Binary()
	}
	n.versions = gate.NewKeeper(gate.KeeperConfig{
		Support: n.binary, Stored: n.stored, Planted: n.w.cfg.PlantedVersions,
		Save:  func(s gate.Stored) error { n.stored = s; return nil },
		Raise: func(v gate.Version) error { return n.engine.Raise(v) },
	})
}

// register tells the meta range what this node's binary supports, until it knows.
func (n *Node) register() {
	if !n.w.cfg.Upgrade {
		return
	}
	v := n.machine.View()
	node := v.Nodes[n.id]
	if node != nil && (node.Membership == cluster.Decommissioned || node.Supports == n.binary) {
		n.later(time.Second, n.register)
		return
	}
	if node != nil {
		n.tell(metastate.Command{UpdateNode: &metastate.UpdateNode{
			Node: n.id, UUID: node.UUID, Version: fmt.Sprintf("v%d", n.binary.Max), Supports: n.binary, BootNonce: fmt.Sprint(n.life),
		}})
	}
	n.later(n.w.ms(200, 600), n.register)
}

// tell has the leader of the meta range, as far as this node knows, propose a
// command of this node. What becomes of it shows in the view.
func (n *Node) tell(cmd metastate.Command) {
	if leader := n.coord.metaLeader(); leader != 0 {
		to := n.w.nodes[leader-1]
		n.w.After(n.w.ms(1, 20), func() {
			if !n.w.cut[[2]cluster.NodeID{n.id, to.id}] {
				to.do(func() { to.propose(cmd, func(metastate.Result, error) {}) })
			}
		})
	}
}

// followVersion stores what the meta range says of versions, acts upon it, and
// promises.
func (n *Node) followVersion() {
	v := n.machine.View()
	was := n.versions.Active()
	promised, err := n.versions.Follow(v.VersionRecord())
	if err != nil {
		n.w.fail("%s: %v", n.id, err)
		return
	}
	if n.versions.Active() != was {
		n.w.Stats.Raised++
	}
	if node := v.Nodes[n.id]; promised != 0 && node != nil && v.Raising != nil && v.Raising.Index == promised {
		n.tell(metastate.Command{PromiseVersion: &metastate.PromiseVersion{Node: n.id, UUID: node.UUID, Index: promised}})
	}
	n.later(n.w.ms(50, 400), n.followVersion)
}

// roll is what people do who upgrade: they start one node or another with the newer
// binary, or with the older one again, and ask to finalize now and then; near the
// end they make it good.
func (o *operators) roll() {
	w := o.w
	newer := gate.Binary()
	late := w.now > w.cfg.Duration-w.quiet()-8*time.Second
	n := w.nodes[w.rng.IntN(len(w.nodes))]
	switch {
	case late:
		for _, n := range w.nodes {
			if n.binary != newer && !w.gone(n.id) {
				o.restart(n, newer)
			}
		}
		o.finalize()
		if w.now > w.cfg.Duration-5*time.Second {
			return
		}
	case w.chance(25) && newer.Has(newer.Max):
		o.finalize()
	case w.chance(70):
		o.restart(n, newer)
	default:
		o.restart(n, gate.Support{Min: gate.First, Max: gate.First})
	}
	w.After(w.ms(500, 1500), o.roll)
}

// restart has a node that runs start again with another binary.
func (o *operators) restart(n *Node, binary gate.Support) {
	if !n.Up() || n.binary == binary || o.w.gone(n.id) {
		return
	}
	o.w.Stats.Rolled++
	n.binary = binary
	n.crash()
}

func (o *operators) finalize() {
	n, _, ok := o.w.Leader(cluster.MetaRangeID)
	if !ok {
		return
	}
	v := n.machine.View()
	if to := gate.Binary().Max; v.Initialized() && v.Active < to && v.Raising == nil {
		o.create(cluster.OperationSpec{Kind: cluster.OpUpgrade, Version: to})
	}
}

// checkVersions holds that an upgrade ends, and that every node acts upon it.
func (o *operators) checkVersions(v *metastate.View) {
	w := o.w
	if !w.cfg.Upgrade {
		return
	}
	if v.Active != gate.Binary().Max || v.Raising != nil {
		w.fail("the cluster is left at version %d, raising %+v, without: %v", v.Active, v.Raising, v.Without(gate.Binary().Max))
	}
	for _, id := range v.Members() {
		if n := w.nodes[id-1]; n.up && n.versions.Active() != v.Active {
			w.fail("%s acts upon version %d, the cluster is at %d", id, n.versions.Active(), v.Active)
		}
	}
}
