package store

import (
	"fmt"
	"slices"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// Bootstrap makes this node the single voter of each range; done is called once
// that is durable. Ranges that exist are left alone, so that it can be repeated.
func (c *Core) Bootstrap(descs []cluster.RangeDescriptor, done func(error)) {
	var fresh []*cluster.RangeDescriptor
	for i := range descs {
		d := &descs[i]
		r, ok := d.On(c.cfg.Node)
		if err := d.Validate(); err != nil || !ok || len(d.Replicas) != 1 || r.Role != cluster.Voter {
			done(&RefusedError{Range: d.ID, Reason: "bootstrap needs a descriptor whose only replica is a voter here"})
			return
		}
		if s, ok := c.slots[d.ID]; ok && s.r.ID() == r.Replica {
			continue
		}
		if err := c.mayCreate(d, r.Replica); err != nil {
			done(err)
			return
		}
		fresh = append(fresh, d.Clone())
	}
	// Who begins a cluster has nobody to learn from.
	switch {
	case c.marks.fresh():
		if err := c.beginAbove(0); err != nil {
			c.fatal(err)
			done(err)
			return
		}
	case c.back.empty && !c.back.settled:
		c.settle()
	}
	c.create(fresh, done, func(b *storage.Batch, d *cluster.RangeDescriptor) error {
		return replica.WriteBootstrap(b, d.Replicas[0].Replica, d)
	})
}

// CreateRange makes this node the single voter of a range of a new pool; done is
// called once that is durable. It is idempotent, and refused where the range had a
// replica before: its state begins once. Where the store may be an old copy nobody
// knows that it had none.
func (c *Core) CreateRange(d cluster.RangeDescriptor, done func(error)) {
	r, ok := d.On(c.cfg.Node)
	begins := d.Generation == 1 && d.NextReplica == 2 && d.Parent == 0 && !d.IsMeta()
	if err := d.Validate(); err != nil || !ok || !begins || len(d.Replicas) != 1 || r.Role != cluster.Voter || r.Replica != 1 {
		done(&RefusedError{Range: d.ID, Reason: "a range is made with a descriptor whose only replica is voter 1 here, as it begins"})
		return
	}
	if s, ok := c.slots[d.ID]; ok && !s.destroying && s.r.ID() == r.Replica {
		done(nil)
		return
	}
	if !c.back.settled {
		done(&RefusedError{Range: d.ID, Reason: "whether this store is the newest of its node is not known yet: ask again"})
		return
	}
	if err := c.mayCreate(&d, r.Replica); err != nil {
		done(err)
		return
	}
	c.create([]*cluster.RangeDescriptor{d.Clone()}, done, func(b *storage.Batch, d *cluster.RangeDescriptor) error {
		return replica.WriteBootstrap(b, r.Replica, d)
	})
}

// PrepareReplica makes an empty replica that waits for a snapshot; done is called
// once it is durable. It is idempotent.
func (c *Core) PrepareReplica(d cluster.RangeDescriptor, id cluster.ReplicaID, done func(error)) {
	if s, ok := c.slots[d.ID]; ok && !s.destroying && s.r.ID() == id {
		done(nil)
		return
	}
	if err := c.mayCreate(&d, id); err != nil {
		done(err)
		return
	}
	c.create([]*cluster.RangeDescriptor{d.Clone()}, done, func(b *storage.Batch, d *cluster.RangeDescriptor) error {
		return replica.WriteNew(b, id, d)
	})
}

// mayCreate refuses a replica id that may have been used here, and spans that
// another replica holds.
func (c *Core) mayCreate(d *cluster.RangeDescriptor, id cluster.ReplicaID) error {
	refuse := func(format string, args ...any) error {
		return &RefusedError{Range: d.ID, Reason: fmt.Sprintf(format, args...)}
	}
	if err := d.Validate(); err != nil {
		return refuse("descriptor: %v", err)
	}
	if id == 0 {
		return refuse("replica id is zero")
	}
	if s, ok := c.slots[d.ID]; ok {
		if s.destroying {
			return refuse("its last replica here is still being destroyed")
		}
		return refuse("replica %d of it is here", s.r.ID())
	}
	next, err := replica.Tombstone(c.cfg.Engine, d.ID)
	if err != nil {
		return err
	}
	if id < next && !(id == 1 && c.cfg.Planted.MakesAgain()) {
		return refuse("replica id %d was used here: the next one is %d", id, next)
	}
	for _, p := range c.creating {
		if p.ID == d.ID || overlap(p, d) {
			return refuse("%s is being created here", p.ID)
		}
	}
	for _, s := range c.order {
		if overlap(s.r.Descriptor(), d) {
			return refuse("%s here holds some of its keys", s.id)
		}
	}
	return nil
}

func (c *Core) create(ds []*cluster.RangeDescriptor, done func(error), put func(*storage.Batch, *cluster.RangeDescriptor) error) {
	if len(ds) == 0 {
		done(nil)
		return
	}
	c.creating = append(c.creating, ds...)
	finish := func() {
		for _, d := range ds {
			c.creating = slices.DeleteFunc(c.creating, func(o *cluster.RangeDescriptor) bool { return o == d })
			if err := c.load(d.ID, c.holds()); err != nil {
				c.fatal(fmt.Errorf("open a replica just written: %w", err))
				done(err)
				return
			}
			delete(c.emptied, d.ID)
			c.log.Debug("replica created", logattr.Range(d.ID), logattr.Replica(c.slots[d.ID].r.ID()))
		}
		done(nil)
	}
	c.writes = append(c.writes, write{
		apply: func(b *storage.Batch) error {
			for _, d := range ds {
				if err := put(b, d); err != nil {
					return err
				}
				if err := b.Delete(keys.EmptiedReplica(d.ID)); err != nil { // it is made anew
					return err
				}
			}
			return nil
		},
		done: finish, refused: done,
	})
}

// DestroyReplica removes this node's replica of a range if its id is below next,
// and sees to it that none below next comes here later.
func (c *Core) DestroyReplica(id cluster.RangeID, next cluster.ReplicaID, done func(error)) {
	s, ok := c.slots[id]
	switch {
	case !ok:
		c.bury(id, next, done)
	case s.r.ID() >= next:
		done(&RefusedError{Range: id, Reason: fmt.Sprintf("replica here is %d, not below %d", s.r.ID(), next)})
	default:
		c.destroy(s, next, done)
	}
}

// destroy removes a replica behind a tombstone. Its appends that are on their way
// are written before; its answers are not waited for.
func (c *Core) destroy(s *slot, next cluster.ReplicaID, done func(error)) {
	if done != nil {
		s.destroyed = append(s.destroyed, done)
	}
	if s.destroying {
		return
	}
	s.destroying = true
	c.leases.reads.Delete(s.id)
	c.leavePast(s.id, s.r.Past())
	c.leases.leave(s.r.LeaseReads())
	defer c.unpublish(s.id) // after Close, which publishes
	d := s.r.Descriptor().Clone()
	s.r.Close(&RangeNotFoundError{Range: s.id})
	c.log.Debug("replica destroyed", logattr.Range(s.id), logattr.Replica(s.r.ID()))
	c.writes = append(c.writes, write{
		apply: func(b *storage.Batch) error { return replica.WriteDestroyed(b, c.destroyed(d), next) },
		after: s.r,
		done: func() {
			delete(c.slots, s.id)
			c.order = slices.DeleteFunc(c.order, func(o *slot) bool { return o == s })
			for _, f := range s.destroyed {
				f(nil)
			}
		},
	})
}

// destroyed is what goes with a replica of the range d: what it owns, and no more.
func (c *Core) destroyed(d *cluster.RangeDescriptor) *cluster.RangeDescriptor {
	if c.cfg.Planted.DestroysWide() && !d.IsMeta() {
		wide := d.Clone()
		wide.Start, wide.End = d.Start.VShard().Key(), d.End.NextVShard().Key()
		return wide
	}
	return d
}

// Inspect returns the raft state of a replica.
func (c *Core) Inspect(id cluster.RangeID) (cluster.RaftState, error) {
	s, ok := c.slots[id]
	if !ok || s.destroying {
		return cluster.RaftState{}, &RangeNotFoundError{Range: id}
	}
	return s.r.Inspect(), nil // a range that sleeps is not woken by who looks at it
}
