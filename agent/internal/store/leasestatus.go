package store

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/lease"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// fallbacks count the reads for which a leader here asked a quorum, by what their
// lease lacked.
type fallbacks [len(cluster.LeaseLacks)]atomic.Uint64

func (f *fallbacks) add(lack cluster.LeaseLack) {
	if i := slices.Index(cluster.LeaseLacks[:], lack); i >= 0 {
		f[i].Add(1)
	}
}

// fallback is why a read at ts does not go by the lease.
func (c *Core) fallback(r *replica.Replica, ts hlc.Timestamp) cluster.LeaseLack {
	if c.leases.off.Load() {
		return cluster.LeaseOff
	}
	return r.Fallback(ts)
}

// unused has a lease that is held and not used say so.
func (l *leases) unused(s *cluster.LeaseStatus) {
	if s != nil && s.Held() && l.off.Load() {
		s.Lack = cluster.LeaseOff
	}
}

// status is what a replica says.
func (l *leases) status(r *replica.Replica) *cluster.RangeStatus {
	st := r.Status()
	l.unused(st.Lease)
	return &st
}

// SetLeaseReads says whether reads are served under leases; else each asks a quorum.
func (s *Store) SetLeaseReads(on bool) {
	if s.core.leases.off.Swap(!on) == !on {
		return
	}
	_ = s.inbox.complete(func(c *Core) { // a stopped store has no statuses
		for _, slot := range c.order {
			c.publish(slot.r)
		}
	})
}

// leave keeps what a replica that goes has counted.
func (l *leases) leave(r *replica.LeaseReads) {
	l.gone.reads.Add(r.Served())
	l.gone.refused.Add(r.Refused())
	n, took := r.Wakes()
	l.gone.wakes.Add(n)
	l.gone.waking.Add(uint64(took)) //nolint:gosec // not negative
}

// ReadCounts say what went by leases since the store was opened.
type ReadCounts struct {
	Leased  uint64 // reads
	Refused uint64 // reads for which no quorum confirmed the leader, or that came to no leader
	// Fallbacks are reads for which a leader asked a quorum, by what its lease lacked.
	Fallbacks map[cluster.LeaseLack]uint64
	// Wakes are commands that woke a range, Waking how long they took in all, until
	// they were applied.
	Wakes  uint64
	Waking time.Duration
}

// ReadCounts returns what went by leases. It asks nobody.
func (s *Store) ReadCounts() ReadCounts {
	l := &s.core.leases
	out := ReadCounts{Fallbacks: map[cluster.LeaseLack]uint64{}, Leased: l.gone.reads.Load(), Refused: l.gone.refused.Load(), Wakes: l.gone.wakes.Load(), Waking: time.Duration(l.gone.waking.Load())} //nolint:gosec // years
	l.reads.Range(func(_, v any) bool {
		if r, ok := v.(*replica.LeaseReads); ok {
			n, took := r.Wakes()
			out.Leased, out.Refused = out.Leased+r.Served(), out.Refused+r.Refused()
			out.Wakes, out.Waking = out.Wakes+n, out.Waking+took
		}
		return true
	})
	for i, lack := range cluster.LeaseLacks {
		out.Fallbacks[lack] = l.rounds[i].Load()
	}
	return out
}

// Support is how support between this node and its peers stands: what they give it,
// and what it gives them, by node. It asks nobody.
func (s *Store) Support() (received, given []lease.Standing) {
	l := &s.core.leases
	now := s.cfg.Boottime()
	if peers := l.peers.Load(); peers != nil {
		for _, p := range *peers {
			received = append(received, p.Standing(now))
		}
	}
	return received, l.pairs.Given()
}
