package store

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// past is what other goroutines read of replicas as they were: ADR 0033.
type past struct {
	replicas sync.Map      // cluster.RangeID -> *replica.Past
	gone     atomic.Uint64 // reads served by replicas that are not here any more
	asked    atomic.Uint64 // questions to leaders
}

// PastError says that this node's replica cannot serve a read of the past: its leader
// can.
type PastError struct {
	Range cluster.RangeID
	Lack  cluster.PastLack
}

func (e *PastError) Error() string {
	return fmt.Sprintf("%s cannot be read here: %s", e.Range, e.Lack)
}

// LocalReplica is what this node's replica of a range can serve of the past.
type LocalReplica struct {
	// Lack is what it lacks to serve anything.
	Lack cluster.PastLack
	// Closed is up to where it can serve all.
	Closed hlc.Timestamp
	// Leads says that it leads and holds a lease now.
	Leads bool
}

// Past is what a replica here shares with those who read the past from it.
func (c *Core) Past(id cluster.RangeID) (*replica.Past, bool) {
	v, ok := c.past.replicas.Load(id)
	if !ok {
		return nil, false
	}
	p, ok := v.(*replica.Past)
	return p, ok
}

func (c *Core) leavePast(id cluster.RangeID, p *replica.Past) {
	c.past.replicas.Delete(id)
	c.past.gone.Add(p.Served())
}

// AskClosed has the leader of a range asked to close time for the replica here. With
// leases not used, nobody closes time but by entries.
func (c *Core) AskClosed(id cluster.RangeID) {
	s, ok := c.slots[id]
	if !ok || !s.takesPart() || c.leases.off.Load() || c.clock.waking || c.clock.dry() {
		return
	}
	c.past.asked.Add(1)
	s.r.AskClosed()
}

// Local is what this node's replica of a range can serve. It asks nobody.
func (s *Store) Local(id cluster.RangeID) LocalReplica {
	p, ok := s.core.Past(id)
	if !ok {
		return LocalReplica{Lack: cluster.PastAbsent}
	}
	var l LocalReplica
	l.Closed, l.Lack = p.Closed()
	if v, ok := s.core.leases.reads.Load(id); ok && !s.core.leases.off.Load() {
		reads, _ := v.(*replica.LeaseReads)
		l.Leads = reads.Held()
	}
	return l
}

// LocalRanges are the ranges of data that have a replica here, in no order.
func (s *Store) LocalRanges() (ids []cluster.RangeID) {
	s.core.past.replicas.Range(func(k, _ any) bool {
		if id, ok := k.(cluster.RangeID); ok && id != cluster.MetaRangeID {
			ids = append(ids, id)
		}
		return true
	})
	return ids
}

// CloseSoon has the leader of a range asked to close time, if what is closed at the
// replica here is older than age. It does not wait: reads that come later find it.
func (s *Store) CloseSoon(id cluster.RangeID, age time.Duration) {
	p, ok := s.core.Past(id)
	if ok && p.Due(hlc.New(s.cfg.Clock.Physical()), s.cfg.Boottime(), age) {
		_ = s.inbox.complete(func(c *Core) { c.AskClosed(id) }) // a stopped store asks nobody
	}
}

// ReadPast has fn read rows at ts from this node's replica of a range, whether it leads
// or not. newest takes what it has applied, whatever is closed. It returns a *PastError
// if the replica cannot serve the read; what fn read counts for nothing then.
func (s *Store) ReadPast(id cluster.RangeID, ts hlc.Timestamp, newest bool, fn RowReader) error {
	q, err := s.beginPast(id, ts, newest)
	if err != nil {
		return err
	}
	if newest { // of all rows at one moment
		h, err := s.pastView(id, &q, newest)
		if err != nil {
			return err
		}
		defer h.Close()
		return s.Unreadable(id, fn(h.Reader, &h.Descriptor, h.Mirror))
	}
	// The engine holds of these rows for ts all that it will ever hold.
	if err = fn(s.cfg.Engine, q.Descriptor, q.Mirror()); !q.Check() {
		return &PastError{Range: id, Lack: cluster.PastInstalling}
	}
	if old := q.Refuses(); old != nil {
		return old
	}
	return s.Unreadable(id, err)
}

// PastView returns a view for reads at ts of this node's replica of a range, or a
// *PastError, or a *TooOldError if versions of that time may have been collected.
func (s *Store) PastView(id cluster.RangeID, ts hlc.Timestamp, newest bool) (*ReadHandle, error) {
	q, err := s.beginPast(id, ts, newest)
	if err != nil {
		return nil, err
	}
	return s.pastView(id, &q, newest)
}

func (s *Store) beginPast(id cluster.RangeID, ts hlc.Timestamp, newest bool) (q replica.PastRead, err error) {
	select {
	case <-s.dead:
		return q, ErrStopped
	default:
	}
	p, ok := s.core.Past(id)
	if !ok {
		return q, &PastError{Range: id, Lack: cluster.PastAbsent}
	}
	q, lack := p.Begin(ts, newest)
	if lack != cluster.PastServes {
		return q, &PastError{Range: id, Lack: lack}
	}
	return q, nil
}

func (s *Store) pastView(id cluster.RangeID, q *replica.PastRead, newest bool) (*ReadHandle, error) {
	var mirror evaluation.Mirror
	if !newest { // else what is not decided yet is of no concern
		mirror = q.Mirror() // before the view
	}
	v := &view{snap: s.cfg.Engine.NewSnapshot()}
	v.refs.Store(1)
	h := &ReadHandle{Reader: v.snap, Descriptor: *q.Descriptor, Mirror: mirror, view: v}
	if !q.Check() { // what is read later is in the view already
		h.Close()
		return nil, &PastError{Range: id, Lack: cluster.PastInstalling}
	}
	if err := q.Refuses(); err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

// PastCounts say what was served of the past since the store was opened.
type PastCounts struct {
	Served uint64 // reads by replicas here, whether they led or not
	Asked  uint64 // questions to leaders to close time
}

// PastCounts returns them. It asks nobody.
func (s *Store) PastCounts() PastCounts {
	out := PastCounts{Served: s.core.past.gone.Load(), Asked: s.core.past.asked.Load()}
	s.core.past.replicas.Range(func(_, v any) bool {
		if p, ok := v.(*replica.Past); ok {
			out.Served += p.Served()
		}
		return true
	})
	return out
}
