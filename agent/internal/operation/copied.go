package operation

import (
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

// heard returns what nodes have said of a range.
func (c *Controller) heard(id cluster.RangeID) []seen { return c.lookout.heard(&c.src, id) }

// copied returns how many bytes of a range the replica on a node holds, as far as
// the range's leader knows: all of them, or what was sent of a snapshot. It
// depends on reports alone, so that a new coordinator says the same.
func (c *Controller) copied(x *placement.Range, node cluster.NodeID) uint64 {
	for _, told := range c.heard(x.Descriptor.ID) {
		st := told.status
		if told.node != x.Leader || !st.IsLeader() {
			continue
		}
		for _, p := range st.Progress {
			switch {
			case p.Node != node:
			case p.Snapshot || p.Match == 0:
				return min(p.Sent, x.Bytes)
			default:
				return x.Bytes
			}
		}
	}
	return 0
}

// copiedBy returns how many bytes a move has copied.
func (c *Controller) copiedBy(m placement.Move) uint64 {
	x := c.snap.Range(m.Range)
	if x == nil || m.To == 0 {
		return 0
	}
	if _, ok := x.Descriptor.On(m.To); !ok {
		return 0
	}
	return min(c.copied(x, m.To), m.Bytes)
}

// arriving returns what the learner holds that takes the place of a replica on a
// leaving node: in bytes, and as a share of a replica. It is the target of the
// move; learners of moves that were given up are in nobody's place.
func (c *Controller) arriving(r *run, x *placement.Range) (bytes uint64, replica float64) {
	if x.Descriptor.IsMeta() {
		return 0, 0 // every node has its learner there: none of them is on its way
	}
	m := c.moves[x.Descriptor.ID]
	for _, rep := range x.Descriptor.Replicas {
		moved := m == nil || m.op != r.op.ID || m.move.To == rep.Node
		if !moved || rep.Role == cluster.Voter || rep.Role == cluster.VoterOutgoing || slices.Contains(r.op.Spec.Nodes, rep.Node) {
			continue
		}
		bytes = max(bytes, c.copied(x, rep.Node))
	}
	if x.Bytes > 0 {
		replica = float64(bytes) / float64(x.Bytes)
	}
	return bytes, replica
}

// count sets what is done. Replicas follow from the descriptors; bytes and
// leaders only once all ranges concerned have been heard of: until then a new
// coordinator keeps what the one before has said.
func (c *Controller) count(r *run) {
	left := c.remaining(r)
	done := cluster.Progress{
		Ranges:   max(0, r.op.Total.Ranges-left.Ranges),
		Replicas: max(0, r.op.Total.Replicas-left.Replicas),
		Leaders:  r.op.Done.Leaders, Bytes: r.op.Done.Bytes, Sessions: r.op.Done.Sessions,
	}
	defer func() { r.op.Done = done }()
	arrived, partly := uint64(0), 0.0
	for i := range c.snap.Ranges {
		x := &c.snap.Ranges[i]
		if !holds(x, r.op.Spec.Nodes) {
			continue
		}
		if x.Leader == 0 || len(c.heard(x.Descriptor.ID)) == 0 {
			return
		}
		n, of := c.arriving(r, x)
		arrived, partly = arrived+n, partly+of
	}
	r.grown(left.Bytes)
	r.partly = partly
	done.Leaders = max(0, r.op.Total.Leaders-left.Leaders)
	done.Bytes = min(r.op.Total.Bytes-min(left.Bytes, r.op.Total.Bytes)+arrived, r.op.Total.Bytes)
}

// holds reports whether the range has a replica on one of nodes that has to go.
func holds(x *placement.Range, nodes []cluster.NodeID) bool {
	return slices.ContainsFunc(x.Descriptor.Replicas, func(rep cluster.ReplicaDescriptor) bool { return goes(x, rep, nodes) })
}

// goes reports whether a replica has to go with nodes. Learners of the meta range
// go last: through them the nodes know what happens to them.
func goes(x *placement.Range, rep cluster.ReplicaDescriptor, nodes []cluster.NodeID) bool {
	return slices.Contains(nodes, rep.Node) && !(x.Descriptor.IsMeta() && rep.Role == cluster.Learner)
}

// grown adds what clients have written meanwhile to the total: it has to be
// copied too, and must not look as if copies were undone.
func (r *run) grown(left uint64) {
	if r.counted && left > r.left {
		r.op.Total.Bytes += left - r.left
	}
	r.left, r.counted = left, true
}
