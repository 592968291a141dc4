package replica

import (
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/lease"
)

// leaseStatus is what the leader of a range says of its lease.
func (r *Replica) leaseStatus() *cluster.LeaseStatus {
	s := &cluster.LeaseStatus{Confirmed: r.counts.reads, Refused: r.leased.refused.Load(), Voters: r.leaseVoters()}
	if s.Lack = r.leaseLack(); s.Held() && r.Asleep() {
		return s
	}
	if s.Awake = r.Awake(); s.Awake == "" {
		s.Awake = "it was used a moment ago"
	}
	return s
}

func (r *Replica) leaseVoters() []cluster.LeaseVoter {
	now := r.cfg.Pairs.Now()
	var out []cluster.LeaseVoter
	for _, d := range r.desc.Replicas {
		if d.Replica == r.id || d.Role == cluster.Learner {
			continue
		}
		v := cluster.LeaseVoter{Node: d.Node, Bound: cluster.SupportEpoch(r.lease.bound[d.Replica])}
		e, ok := r.cfg.Pairs.Peer(d.Node).Epoch(now)
		v.Supports = ok && (v.Bound == cluster.SupportEpoch{} || v.Bound == cluster.SupportEpoch(e))
		out = append(out, v)
	}
	return out
}

// leaseLack is what the lease lacks to be held now.
func (r *Replica) leaseLack() cluster.LeaseLack {
	switch g := r.leased.granted.Load(); {
	case !r.ready:
		return cluster.LeaseStarting
	case r.lease.gaveUp == r.leaderTerm:
		return cluster.LeaseHandingOver
	case g == nil:
		return cluster.LeaseUnbound // it is about to be granted
	case r.leased.holds(g, 0):
		return cluster.LeaseHeld
	}
	// Would it be held if every voter whose node supports this one were bound?
	now := r.cfg.Pairs.Now()
	var voters []lease.Voter
	for _, d := range r.desc.Replicas {
		v := lease.Voter{Half: halves(d.Role)}
		if d.Replica != r.id {
			v.Peer = r.cfg.Pairs.Peer(d.Node)
			v.Bound, _ = v.Peer.Epoch(now)
		}
		voters = append(voters, v)
	}
	if lease.NewGrant(voters, r.cfg.Planted.Leases()).Holds(now, 0, 0) {
		return cluster.LeaseUnbound
	}
	return cluster.LeaseUnsupported
}

// Fallback is why a quorum is asked for a read at ts, at the leader: it may have been
// otherwise a moment ago.
func (r *Replica) Fallback(ts hlc.Timestamp) cluster.LeaseLack {
	lack := r.leaseLack()
	switch {
	case lack != cluster.LeaseHeld:
		return lack
	case ts > r.cfg.Ceiling():
		return cluster.LeaseClock
	case !r.leased.holds(r.leased.granted.Load(), ts):
		return cluster.LeaseCeiling
	}
	return cluster.LeaseEnded
}

// Left is for how long the lease would last if nobody answered any more; 0: it is not
// held. Any goroutine may call it.
func (l *LeaseReads) Left() time.Duration {
	g := l.granted.Load()
	if !l.holds(g, 0) {
		return 0
	}
	return g.grant.Left(l.now())
}

// wake notes that the range was asleep, and is not any more.
func (l *LeaseReads) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.woken = l.now()
}

// calm tells that nothing is under way: unless a command was done meanwhile, it was
// something else that woke the range.
func (l *LeaseReads) calm() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.woken = 0
}

// woke notes that everything up to an index is applied: if that is more than before,
// what woke the range is done. l.mu is held.
func (l *LeaseReads) woke(applied uint64) {
	if l.mu.woken == 0 || applied <= l.mu.applied {
		return
	}
	if took := l.now() - l.mu.woken; l.granted.Load() != nil && took >= 0 {
		l.wakes.Add(1)
		l.waking.Add(uint64(took))
	}
	l.mu.woken = 0
}

// Refused is how many reads were refused: leadership was not confirmed.
func (l *LeaseReads) Refused() uint64 { return l.refused.Load() }

// Wakes is how often a command woke the range at this leader, and how long that took
// in all, until the command was applied here.
func (l *LeaseReads) Wakes() (n uint64, took time.Duration) {
	return l.wakes.Load(), time.Duration(l.waking.Load()) //nolint:gosec // years
}
