package sim

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// settle is the end of a run with operators: no faults, so that what was begun
// can end.
const settle = 30 * time.Second

// operators are the people and programs that operate the cluster: the meta range
// and the coordinators on the nodes are real, what is asked of them is drawn.
type operators struct {
	w       *World
	asked   []string // operations, in the order of their creation
	retired map[cluster.NodeID]bool
	pools   *pooler
	joined  int // nodes that were asked to join, the first included
}

// beginOperators forms the cluster and lets people ask for things.
func (w *World) beginOperators() {
	o := &operators{w: w, retired: map[cluster.NodeID]bool{}}
	w.operators = o
	init := &metastate.InitCluster{
		ClusterID: "sim", Name: "sim", CACert: "PEM", Node: cluster.Node{ID: 1, UUID: "uuid-1", Locality: w.locality(1)},
		Settings: metastate.Settings{metastate.SettingDeadAfter: "8s"}, Ranges: w.bootstrapped(),
	}
	cmds := []metastate.Command{{InitCluster: init}}
	o.joined = 1
	if w.cfg.Grow {
		w.After(w.ms(1000, 5000), o.grow)
	} else {
		for o.joined < w.cfg.Nodes {
			cmds = append(cmds, o.join()...)
		}
	}
	o.inOrder(append(cmds, o.beginDrops()...))
	if !w.cfg.Crowded {
		w.After(w.ms(5000, 9000), o.ask)
	}
	o.beginPools()
	if w.cfg.Upgrade {
		w.After(w.ms(9000, 15000), o.roll)
	}
}

// join returns the commands by which one more node becomes a member.
func (o *operators) join() []metastate.Command {
	o.joined++
	o.w.Stats.Joined++
	token := fmt.Sprintf("t%d", o.joined)
	return []metastate.Command{
		{CreateJoinToken: &metastate.CreateJoinToken{ID: token, Hash: []byte{1}, Uses: 1, ExpiresAt: epoch.Add(time.Hour)}},
		{AddNode: &metastate.AddNode{UUID: "uuid-" + token, Version: "v1", TokenID: token, TokenHash: []byte{1}, KeyHash: []byte{byte(o.joined)}, Locality: o.w.locality(cluster.NodeID(o.joined))}},
	}
}

// inOrder gets one command after the other through to the meta range.
func (o *operators) inOrder(cmds []metastate.Command) {
	if len(cmds) == 0 {
		return
	}
	o.propose(cmds[0], func(r metastate.Result, err error) {
		rest := cmds
		if err == nil { // a refusal says that an attempt of unknown fate went through
			rest = cmds[1:]
		}
		if r.Refusal != nil && r.Refusal.Code == metastate.CodeInvalid {
			o.w.fail("forming the cluster: %s", r.Refusal.Message)
		}
		o.w.After(50*time.Millisecond, func() { o.inOrder(rest) })
	})
}

// propose sends a command to the node that leads the meta range.
func (o *operators) propose(cmd metastate.Command, done func(metastate.Result, error)) {
	n, _, ok := o.w.Leader(cluster.MetaRangeID)
	if !ok {
		done(metastate.Result{}, errLost)
		return
	}
	n.do(func() { n.propose(cmd, done) })
}

// ask is what people do: one thing or another, now and then.
func (o *operators) ask() {
	w := o.w
	if !w.faults {
		return
	}
	kind := cluster.OpDecommission
	if w.cfg.Pools || w.chance(50) || o.joined < w.cfg.Nodes || o.mourning() {
		kind = cluster.OpDrain
	}
	node := cluster.NodeID(1 + w.rng.IntN(o.joined))
	switch {
	case len(o.asked) > 0 && w.chance(15):
		o.propose(metastate.Command{RequestCancel: &metastate.RequestCancel{ID: o.asked[w.rng.IntN(len(o.asked))]}}, func(metastate.Result, error) {})
	case w.chance(40):
		o.askSplit()
	case w.nodes[node-1].lost: // people know
	default:
		o.create(cluster.OperationSpec{Kind: kind, Nodes: []cluster.NodeID{node}, TTL: 5})
	}
	w.After(w.ms(2000, 8000), o.ask)
}

func (o *operators) create(spec cluster.OperationSpec) {
	o.propose(metastate.Command{CreateOperation: &metastate.CreateOperation{Operation: cluster.Operation{Spec: spec, State: cluster.OpQueued}}},
		func(r metastate.Result, err error) {
			if err == nil && r.Refusal == nil && !slices.Contains(o.asked, r.Operation.ID) {
				o.asked = append(o.asked, r.Operation.ID)
				o.w.Stats.Operations++
			}
		})
}

// check looks at the operations when the run ends: each has ended, and what it
// says is true of the ranges.
func (o *operators) check() {
	w := o.w
	n, st, ok := w.Leader(cluster.MetaRangeID)
	if !ok {
		w.fail("the meta range has no leader at the end")
		return
	}
	v := n.machine.View()
	for _, id := range v.OperationIDs() {
		op := v.Operations[id]
		// The rebalancer may have begun something just now.
		if !op.State.Final() && !(op.Spec.Kind == cluster.OpRebalance && w.now-op.CreatedAt.Sub(epoch) < 5*time.Second) {
			w.fail("%s %s of %v, asked for at %s, is left %s in %s: %q %+v", id, op.Spec.Kind, op.Spec.Nodes, op.CreatedAt.Sub(epoch), op.State, op.Phase, op.Why, op.Items)
		}
		if op.State == cluster.OpSucceeded {
			w.Stats.Succeeded++
		}
		if op.Spec.Kind == cluster.OpDecommission && op.State == cluster.OpSucceeded && (op.Proof == nil || op.Proof.References != 0 || op.Proof.Descriptors < w.cfg.Ranges+1) {
			w.fail("%s succeeded with the proof %+v", id, op.Proof)
		}
	}
	o.checkVersions(v)
	if w.cfg.Pools {
		o.checkPools(v)
	}
	for _, id := range v.NodeIDs() {
		o.checkNode(v, v.Nodes[id], st)
	}
}

func (o *operators) checkNode(v *metastate.View, node *cluster.Node, meta cluster.RangeStatus) {
	w := o.w
	_, holds := meta.Descriptor.On(node.ID)
	switch {
	case node.Membership == cluster.Decommissioned:
		for _, id := range append(w.ranges(), cluster.MetaRangeID) {
			if _, st, ok := w.Leader(id); ok {
				if _, named := st.Descriptor.On(node.ID); named {
					w.fail("%s was decommissioned and still holds %s", node.ID, id)
				}
			}
		}
	case node.Membership != cluster.Active:
		w.fail("%s is left %s", node.ID, node.Membership)
	case !holds:
		w.fail("%s has no copy of the meta range", node.ID)
	default:
		if local := w.nodes[node.ID-1].machine.View(); w.nodes[node.ID-1].up && local.Index != v.Index {
			w.fail("%s has the meta range as of %d, its leader as of %d", node.ID, local.Index, v.Index)
		}
	}
}

// bootstrapped lists the ranges as Bootstrap makes them.
func (w *World) bootstrapped() []cluster.RangeDescriptor {
	var ds []cluster.RangeDescriptor
	ids := w.first()
	if w.cfg.Operate {
		ids = append([]cluster.RangeID{cluster.MetaRangeID}, ids...)
	}
	for _, id := range ids {
		d := cluster.RangeDescriptor{
			ID: id, Generation: 1, NextReplica: 2,
			Replicas: []cluster.ReplicaDescriptor{{Node: 1, Replica: 1, Role: cluster.Voter}},
		}
		if !d.IsMeta() {
			d.Start, d.End = cluster.VShard(homeWidth*id).Key(), cluster.VShard(homeWidth*id+homeWidth).Key()
		}
		ds = append(ds, d)
	}
	if w.cfg.Operate { // a cluster's ranges own every key
		ds[1].Start, ds[len(ds)-1].End = cluster.VShard(0).Key(), cluster.VShard(cluster.VShards).Key()
	}
	return ds
}

// propose gives a command to this node's replica of the meta range. done is
// called once, unless the node crashes.
func (n *Node) propose(cmd metastate.Command, done func(metastate.Result, error)) {
	cmd.For(n.versions.Active(), n.id)
	b, err := metastate.EncodeCommand(cmd)
	if err != nil {
		n.w.fail("encode a command: %v", err)
		return
	}
	if err := metastate.CheckCommand(b, n.binary, n.versions.Active()); err != nil {
		n.w.fail("%s proposes what its cluster does not allow: %v", n.id, err)
		return
	}
	if !n.awake() {
		done(metastate.Result{}, &store.NotLeaderError{Range: cluster.MetaRangeID})
		return
	}
	p := &replica.Proposal{Payload: b}
	binary.BigEndian.PutUint64(p.ID[:], uint64(n.clock.Now()))
	binary.BigEndian.PutUint64(p.ID[8:], n.w.rng.Uint64())
	p.Done = func(o replica.Outcome) {
		if o.Err != nil {
			done(metastate.Result{}, o.Err)
			return
		}
		done(metastate.DecodeResult(o.Result))
	}
	n.core.Propose(cluster.MetaRangeID, p)
}

// readDescriptor reads the descriptor of a range that this node leads,
// linearizably.
func (n *Node) readDescriptor(id cluster.RangeID, done func(*cluster.RangeDescriptor, error)) {
	if !n.awake() {
		done(nil, &store.NotLeaderError{Range: id})
		return
	}
	n.core.Read(id, n.clock.Now(), func(h *store.ReadHandle, err error) {
		if err != nil {
			done(nil, err)
			return
		}
		defer h.Close()
		done(h.Descriptor.Clone(), nil)
	})
}

// metaLags reports whether a node that is up has not applied what another has.
func (w *World) metaLags() bool {
	if w.operators == nil {
		return false
	}
	newest := w.newest().Index
	for _, n := range w.nodes {
		if n.up && n.machine.View().Index != newest {
			return true
		}
	}
	return false
}
