package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/invariant"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// The first election of a range that was split off: followers may apply the split
// a little later than the leader, and know nothing of the range until then.
const (
	electionEvery = 3 // ticks
	electionTries = 5
)

// election is one that this node calls, unless a leader is known.
type election struct {
	id    cluster.RangeID
	at    uint64 // tick
	tries int
}

// Split proposes to split a range; done gets its outcome.
func (c *Core) Split(id cluster.RangeID, split cluster.RangeSplit, done func(replica.Outcome)) {
	s, err := c.slot(id)
	if err == nil {
		err = c.roomFor(s, false)
	}
	if err != nil {
		done(replica.Outcome{Err: err})
		return
	}
	s.r.Split(split, done)
}

// Born satisfies replica.Output: it opens the replica that a split has written.
// Nothing can come between the two: the spans of replicas never overlap.
func (c *Core) Born(parent *replica.Replica, child *cluster.RangeDescriptor) {
	_, exists := c.slots[child.ID]
	invariant.Check(!exists, "%s: split off from %s, and here already", child.ID, parent.Range())
	held := c.holds()
	if p := c.slots[parent.Range()]; p != nil {
		held = p.held // the same peers have answered for both
	}
	if err := c.load(child.ID, held); err != nil {
		c.fatal(fmt.Errorf("open a replica just split off: %w", err))
		return
	}
	s := c.slots[child.ID]
	s.r.Inherit(parent)
	c.log.Info("replica split off", logattr.Range(child.ID), logattr.Replica(s.r.ID()))
	if !parent.Leading() {
		return
	}
	c.elections = append(c.elections, election{id: child.ID, at: c.ticks + 1})
	if c.onDescriptor != nil {
		// With the parent's, which follows: nobody should see one without the other.
		c.onDescriptor(*child.Clone())
	}
}

// callElections has the ranges that were split off here elect a leader.
func (c *Core) callElections() {
	rest := c.elections[:0]
	for _, e := range c.elections {
		if e.at > c.ticks || c.hangs() {
			rest = append(rest, e)
			continue
		}
		s, ok := c.slots[e.id]
		if !ok || s.destroying || s.r.Failed() != nil || s.r.Status().Leader != 0 {
			continue
		}
		s.r.Campaign()
		if e.tries++; e.tries < electionTries {
			e.at = c.ticks + electionEvery
			rest = append(rest, e)
		}
	}
	c.elections = rest
}

// Prepare satisfies replica.Output.
func (c *Core) Prepare(d *cluster.RangeDescriptor, to cluster.ReplicaDescriptor) {
	if to.Node == c.cfg.Node {
		return
	}
	b, err := json.Marshal(d)
	if err != nil {
		c.log.Error("descriptor not encoded", logattr.Range(d.ID), logattr.Err(err))
		return
	}
	o := c.outbox(to.Node)
	o.urgent.begin()
	o.urgent.buf = append(o.urgent.buf, prepareType)
	o.urgent.buf = binary.AppendUvarint(o.urgent.buf, uint64(to.Replica))
	o.urgent.buf = append(binary.AppendUvarint(o.urgent.buf, uint64(len(b))), b...)
	o.urgent.end()
}

func decodePrepare(b []byte) (d cluster.RangeDescriptor, id cluster.ReplicaID, rest []byte, err error) {
	malformed := fmt.Errorf("%w: request to prepare a replica", replica.ErrMalformedMessage)
	r, n := binary.Uvarint(b[1:])
	if n <= 0 {
		return d, 0, nil, malformed
	}
	size, m := binary.Uvarint(b[1+n:])
	if m <= 0 || size > uint64(len(b)-1-n-m) {
		return d, 0, nil, malformed
	}
	body := b[1+n+m:]
	strict := json.NewDecoder(bytes.NewReader(body[:size]))
	strict.DisallowUnknownFields() // they would be lost in this node's replica
	if err := strict.Decode(&d); err != nil {
		return d, 0, nil, fmt.Errorf("%w: %w", malformed, err)
	}
	return d, cluster.ReplicaID(r), body[size:], nil
}

// prepareMissed makes the replica of a range that was split off while this node
// looked away. What forbids it is no error: the split may still arrive with the
// log, or the replica was here and is gone.
func (c *Core) prepareMissed(d cluster.RangeDescriptor, id cluster.ReplicaID, from cluster.NodeID) {
	if r, ok := d.ByReplica(id); !ok || r.Node != c.cfg.Node {
		return
	}
	c.PrepareReplica(d, id, func(err error) {
		if err != nil {
			c.probeOverlaps(&d)
			c.log.Debug("replica not prepared", logattr.Range(d.ID), logattr.Peer(from), logattr.Err(err))
		}
	})
}

// probeOverlaps has the replicas that are in the way of d ask whether they are
// still wanted: one that was removed while it could not hear of it, and that
// never campaigns, would be in the way for ever.
func (c *Core) probeOverlaps(d *cluster.RangeDescriptor) {
	for _, s := range c.order {
		if s.id != d.ID && s.takesPart() && overlap(s.r.Descriptor(), d) {
			s.r.Probe()
			c.mark(s)
		}
	}
}

// Split splits a range at the leader and waits until that is applied. It returns
// both halves. When ctx ends first the split may still happen.
func (s *Store) Split(ctx context.Context, id cluster.RangeID, split cluster.RangeSplit) (parent, child *cluster.RangeDescriptor, err error) {
	o, err := request(ctx, s, func(c *Core, done func(replica.Outcome, error)) {
		c.Split(id, split, func(o replica.Outcome) { done(o, o.Err) })
	})
	return o.Descriptor, o.Child, err
}
