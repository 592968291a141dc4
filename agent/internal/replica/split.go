package replica

import (
	"encoding/json"
	"fmt"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

const splitFormat byte = 1

// splitCommand is the payload of a split.
type splitCommand struct {
	Format byte               `json:"format"`
	Split  cluster.RangeSplit `json:"split"`
}

func decodeSplit(b []byte) (cluster.RangeSplit, error) {
	var c splitCommand
	err := readJSON(b, &c, "split")
	if err == nil && c.Format != splitFormat {
		err = gate.Newer("split of format %d", c.Format)
	}
	return c.Split, err
}

// planSplit computes the two descriptors that a split makes of one. It is a pure
// function: the leader asks before it proposes, every replica again when it
// applies.
func planSplit(d *cluster.RangeDescriptor, s cluster.RangeSplit) (parent, child *cluster.RangeDescriptor, err error) {
	switch {
	case s.Expect != d.Generation:
		return nil, nil, &StaleDescriptorError{Current: *d.Clone()}
	case d.IsMeta():
		return nil, nil, invalid(d, "the meta range cannot be split")
	case d.Joint():
		return nil, nil, invalid(d, "a range between two configurations cannot be split")
	case s.At.Validate() != nil || !d.Inside(s.At):
		return nil, nil, invalid(d, fmt.Sprintf("%s is no boundary inside %s", s.At.Text(), d.Span()))
	case s.Child <= cluster.MetaRangeID || s.Child == d.ID:
		return nil, nil, invalid(d, fmt.Sprintf("%s cannot be the id of the new range", s.Child))
	}
	parent = d.Clone()
	parent.End = s.At
	parent.Generation++
	child = &cluster.RangeDescriptor{
		ID: s.Child, Parent: d.ID, Pool: d.Pool, Start: s.At, End: d.End, Generation: parent.Generation, NextReplica: 1,
	}
	for _, r := range d.Replicas {
		child.Replicas = append(child.Replicas, cluster.ReplicaDescriptor{Node: r.Node, Replica: child.NextReplica, Role: r.Role})
		child.NextReplica++
	}
	return parent, child, nil
}

// Split proposes to split the range. done is called once it is applied here, or
// refused.
func (r *Replica) Split(s cluster.RangeSplit, done func(Outcome)) {
	p := &Proposal{split: true, Done: done}
	err := r.checkSplit(s)
	if err == nil {
		p.Payload, err = json.Marshal(splitCommand{Format: splitFormat, Split: s})
	}
	if err != nil {
		p.refuse(err)
		return
	}
	r.Propose(p)
}

func (r *Replica) checkSplit(s cluster.RangeSplit) error {
	switch {
	case r.failed != nil:
		return r.failedError()
	case !r.leading:
		return r.notLeader()
	case !r.ready:
		return ErrChangePending // a moment's wait: earlier changes are not applied yet
	}
	_, _, err := planSplit(r.desc, s)
	return err
}

// applySplit gives the right-hand part of the range to a new one, of which this
// node's replica is written in the same batch.
func (r *Replica) applySplit(b *storage.Batch, e *pb.Entry, env *envelope) error {
	s, err := decodeSplit(env.payload)
	if err != nil {
		return err
	}
	parent, child, err := planSplit(r.desc, s)
	if err != nil {
		r.fate(e, Outcome{Err: err})
		return nil //nolint:nilerr // a refusal is an outcome
	}
	if r.cfg.Planted.wideChild() {
		child.Start = child.Start.VShard().Key()
	}
	value, err := encodeDescriptor(parent)
	if err != nil {
		return err
	}
	if err := b.Set(keys.RangeDescriptor(r.rangeID), value); err != nil {
		return err
	}
	var state appliedState
	state.Counts, state.Counted = r.divideCounts()
	if err := r.writeChild(b, child, env, state); err != nil {
		return fmt.Errorf("split off %s: %w", child.ID, err)
	}
	r.setDescriptor(parent)
	r.cfg.Logger.Info("range split", logattr.Range(r.rangeID), logattr.Reason(fmt.Sprintf("keys from %s on are %s now", s.At, child.ID)))
	r.fate(e, Outcome{TS: env.ts, Descriptor: parent.Clone(), Child: child.Clone()})
	return nil
}

// writeChild writes this node's replica of the child: alike on every node but
// for its id. It knows the commands that the parent has applied: a retry may come
// to either half.
func (r *Replica) writeChild(b *storage.Batch, child *cluster.RangeDescriptor, env *envelope, applied appliedState) error {
	d, ok := child.On(r.cfg.Node)
	if !ok {
		return fmt.Errorf("%w: this node is not in the descriptor", storage.ErrCorruption)
	}
	next, err := Tombstone(r.cfg.Engine, child.ID)
	if err != nil {
		return err
	}
	if d.Replica < next {
		// It was here and was removed: a replica that jumps back in time cannot be,
		// but its rows would be nobody's.
		for _, span := range rowSpans(child.Pool, child.Start, child.End) {
			if err := b.DeleteRange(span.Start, span.End); err != nil {
				return err
			}
		}
		return nil
	}
	if _, found, err := r.cfg.Engine.Get(keys.RaftReplica(child.ID)); err != nil {
		return err
	} else if found {
		return fmt.Errorf("%w: a replica of it is here", storage.ErrCorruption)
	}
	applied.LastTS, applied.Forgotten = env.ts, r.decoded.Forgotten
	applied.Threshold, applied.Collected = r.decoded.Threshold, r.decoded.Collected
	if !r.cfg.Planted.childBlank() {
		if err := r.ids.copyTo(b, child.ID, applied.Forgotten); err != nil {
			return err
		}
	}
	if c, ok := r.machine.(Collector); ok {
		if err := c.Bequeath(b, child.ID); err != nil {
			return err
		}
	}
	r.children = append(r.children, child)
	return writeInitial(b, d.Replica, child, applied)
}

// Inherit has a replica that was just split off begin where its parent stands: no
// command may commit at or below a timestamp at which the parent was read, and locks
// that a leader holds in memory go with their rows.
func (r *Replica) Inherit(parent *Replica) {
	r.lastTS = max(r.lastTS, parent.lastTS)
	r.leased.raise(parent.leased.readMark())
	if parent.leading && parent.evaluator != nil && !r.cfg.Planted.childUnlocked() { // the child's first election is this node's
		r.inherited = &LeaseMessage{Kind: Locks, Term: initial.Term + 1, Held: parent.held(r.desc)}
	}
}

// tickAbsent has the leader of a range that was split off prepare the replicas
// that it never heard of: their nodes may have jumped over the split.
func (r *Replica) tickAbsent() {
	if !r.leading || !r.ready || r.desc.Parent == 0 || r.activity.ticks%r.cfg.ElectionTicks != 0 {
		return
	}
	for _, d := range r.desc.Replicas {
		if d.Replica == r.id {
			continue
		}
		if pr, ok := r.progress(uint64(d.Replica)); ok && pr.Match == 0 && !pr.RecentActive {
			r.out.Prepare(r.desc, d)
		}
	}
}

// Probe has the peers of this replica answer if it was removed: they tell so
// whoever sends as a replica that they know to be gone. To them it is a sign of
// life and nothing else.
func (r *Replica) Probe() {
	if r.stopped() || !r.Initialised() || r.leading {
		return
	}
	for _, d := range r.desc.Replicas {
		if d.Replica != r.id {
			r.send(&pb.Message{Type: pb.MsgHeartbeatResp.Enum(), From: new(uint64(r.id)), To: new(uint64(d.Replica)), Term: new(r.term)})
		}
	}
}
