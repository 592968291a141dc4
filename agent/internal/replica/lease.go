package replica

import (
	"maps"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/lease"
	"github.com/nodedb/nodedb/agent/internal/logattr"
)

// How soon a follower that was released calls an election (rule 13).
const (
	firstTry = 250 * time.Millisecond // at most
	nextTry  = 200 * time.Millisecond // at least, and up to tryJitter more
	jitter   = 500 * time.Millisecond
	// reelect is how soon a leader that gave its lease up in vain leads again.
	reelect = 10 * time.Millisecond
)

// leasing is a replica's part in leases: the binding of a follower, the bindings
// that a leader has, and whether the replica is asleep.
type leasing struct {
	binding lease.Binding
	again   time.Duration // when a follower that was released campaigns; 0: raft decides

	term   uint64 // in which followers were asked to bind themselves; 0: none was
	asked  map[cluster.ReplicaID]cluster.NodeID
	bound  map[cluster.ReplicaID]lease.Epoch
	gaveUp uint64 // a term whose lease never comes back (rule 19)
	stale  bool   // the grant may not be what it should be

	rest resting
}

// kindOf says what a message is to a follower that is bound.
func kindOf(m *pb.Message) lease.Kind {
	switch m.GetType() {
	case pb.MsgVote, pb.MsgPreVote:
		if string(m.GetContext()) == campaignTransfer {
			return lease.HandOver
		}
		return lease.Vote
	case pb.MsgTimeoutNow:
		return lease.TimeoutNow
	case pb.MsgApp, pb.MsgHeartbeat, pb.MsgSnap:
		return lease.Append
	default:
		return lease.Other
	}
}

// hears reports whether raft may see a message: a start that may have promised
// something before takes no part in elections (rule 7), and a follower that is bound
// neither, until it is proven that its leader is gone or gave up (rules 11 and 12).
func (r *Replica) hears(m *pb.Message) bool {
	k := kindOf(m)
	if r.cfg.Pairs.Silent() && k != lease.Append && k != lease.Other {
		return false
	}
	if rouses(m) {
		r.Wake()
	}
	b := &r.lease.binding
	switch b.Judge(k, cluster.ReplicaID(m.GetFrom()), m.GetTerm()) {
	case lease.Drop:
		return false
	case lease.Free:
		// raft would ignore the leader's own vote until it has ticked for a while.
		r.unbind(k == lease.Vote, false)
	case lease.Pass:
	}
	return true
}

// unbind ends the binding. After the end of support, or a release, the follower
// campaigns by itself: raft alone would take longer (rule 13).
func (r *Replica) unbind(forget, campaign bool) {
	l := &r.lease
	if !l.binding.Bound() {
		return
	}
	leader := uint64(l.binding.Leader)
	l.binding = lease.Binding{}
	r.Wake()
	if st := r.rn.BasicStatus(); forget && st.RaftState == raft.StateFollower && st.Lead == leader {
		if err := r.rn.ForgetLeader(); err != nil {
			r.cfg.Logger.Debug("leader not forgotten", logattr.Range(r.rangeID), logattr.Err(err))
		}
	}
	if campaign {
		l.again = r.cfg.Pairs.Now() + r.cfg.Jitter(firstTry)
	}
}

// SupportEnded tells that this node has withdrawn its support of another (rule 12a).
func (r *Replica) SupportEnded(n cluster.NodeID) {
	if r.stopped() || r.lease.binding.Node != n {
		return
	}
	defer r.guard()
	r.unbind(true, true)
}

// SupportChanged tells that a peer's support of this node began, ended or has
// another epoch (rules 8 and 21).
func (r *Replica) SupportChanged() {
	if r.stopped() || !r.leading {
		return
	}
	defer r.guard()
	if g := r.leased.granted.Load(); g == nil || !g.grant.All(r.cfg.Pairs.Now()) {
		r.Wake()
	}
	r.askBindings()
}

// ticks reports whether raft's time goes on: not for a follower that is bound, nor
// for one of a start that is silent (rules 7 and 10).
func (r *Replica) ticks() bool {
	if r.leading {
		return true
	}
	return (!r.lease.binding.Bound() || r.cfg.Planted.Leases().TicksWhileBound()) && !r.cfg.Pairs.Silent()
}

// mayCampaign reports whether an election may be called from here.
func (r *Replica) mayCampaign() bool {
	return !r.lease.binding.Bound() && !r.cfg.Pairs.Silent()
}

// tickLease does what leases want done from time to time.
func (r *Replica) tickLease() {
	if r.leading {
		r.askBindings()
		r.tickGivenUp()
		if g := r.leased.granted.Load(); g != nil {
			g.before.Store(r.leased.holds(g, 0))
		}
		return
	}
	l := &r.lease
	if l.again == 0 || !r.mayCampaign() {
		return
	}
	if r.rn.BasicStatus().Lead != raft.None {
		l.again = 0
		return
	}
	if now := r.cfg.Pairs.Now(); now >= l.again {
		l.again = now + nextTry + r.cfg.Jitter(jitter)
		r.campaign()
	}
}

// askBindings asks the replicas that have not bound themselves in the epoch in which
// their nodes support this one, once an entry of the term is applied (rule 8).
func (r *Replica) askBindings() {
	l := &r.lease
	if !r.leading || !r.ready || l.gaveUp == r.leaderTerm {
		return
	}
	now := r.cfg.Pairs.Now()
	for _, d := range r.desc.Replicas {
		if d.Replica == r.id {
			continue
		}
		e, ok := r.cfg.Pairs.Peer(d.Node).Epoch(now)
		if !ok || l.bound[d.Replica] == e {
			continue
		}
		if l.term != r.leaderTerm {
			l.term, l.asked, l.bound = r.leaderTerm, map[cluster.ReplicaID]cluster.NodeID{}, map[cluster.ReplicaID]lease.Epoch{}
		}
		l.asked[d.Replica] = d.Node
		r.out.SendLease(r.rangeID, d.Node, &LeaseMessage{
			Kind: Bind, From: r.id, To: d.Replica, Term: r.leaderTerm, Epoch: e, Boot: r.cfg.Pairs.Boot(),
		})
	}
}

// StepLease takes what a replica on another node says about leases.
func (r *Replica) StepLease(from cluster.NodeID, m *LeaseMessage) {
	if r.stopped() || m.To != r.id || !r.Initialised() {
		return
	}
	defer r.guard()
	st := r.rn.BasicStatus()
	leads := st.RaftState == raft.StateLeader && st.GetTerm() == m.Term
	follows := st.RaftState == raft.StateFollower && st.GetTerm() == m.Term && st.Lead == uint64(m.From)
	l := &r.lease
	switch m.Kind {
	case Bind: // rule 9
		if !follows || r.nodeOf(m.From) != from || !r.cfg.Pairs.Supports(from, m.Boot, m.Epoch) {
			return
		}
		l.binding, l.again = lease.Bind(m.From, from, m.Term, r.cfg.Planted.Leases()), 0
		r.answerLease(from, m, Bound)
	case Bound:
		if leads && l.term == m.Term && m.Boot == r.cfg.Pairs.Boot() && l.bound[m.From] != m.Epoch {
			l.bound[m.From], l.stale = m.Epoch, true
		}
	case Release: // rule 12b; the core answers, whether there is a replica or not
		if b := &l.binding; b.Leader == m.From && b.Term <= m.Term {
			r.unbind(true, true)
		}
	case Rest:
		if follows && l.binding.Bound() && l.binding.Term == m.Term && r.hasAll(m.Index, st.GetCommit()) {
			r.answerLease(from, m, Rested)
		}
	case Rested:
		if leads && l.rest.index == m.Index {
			l.rest.agree(m.From)
		}
	case Close:
		if leads && r.nodeOf(m.From) == from {
			r.answerClose(from, m)
		}
	case Closed:
		r.past.take(closedWord{index: m.Index, ts: m.TS})
	case Locks:
		r.inherit(m, leads)
	case Released:
	}
}

func (r *Replica) answerLease(to cluster.NodeID, m *LeaseMessage, kind LeaseKind) {
	a := *m
	a.Kind, a.From, a.To = kind, m.To, m.From
	r.out.SendLease(r.rangeID, to, &a)
}

// giveUp ends the lease of this term for good, before leadership may go elsewhere
// (rule 19).
func (r *Replica) giveUp() {
	if !r.cfg.Planted.Leases().KeepsInTransfer() {
		r.lease.gaveUp = r.leaderTerm
		r.leased.grant(nil, r.last())
	}
}

// tickGivenUp leads again, in a new term, when a transfer came to nothing: what was
// sent for it may still arrive, so that this term has no lease any more (rule 19).
func (r *Replica) tickGivenUp() {
	st := r.rn.BasicStatus()
	if r.lease.gaveUp != st.GetTerm() || st.RaftState != raft.StateLeader || st.LeadTransferee != raft.None || r.cfg.Planted.Leases().StaysWithout() {
		return
	}
	for _, d := range r.desc.Replicas {
		if d.Replica == r.id {
			continue
		}
		// An answer of a later term makes a leader step down.
		m := &pb.Message{Type: pb.MsgHeartbeatResp.Enum(), From: new(uint64(d.Replica)), To: new(uint64(r.id)), Term: new(st.GetTerm() + 1)}
		if err := r.rn.Step(m); err == nil {
			r.lease.again = r.cfg.Pairs.Now() + reelect
			r.cfg.Logger.Debug("leading again in a new term after a transfer that came to nothing", logattr.Range(r.rangeID))
			return
		}
	}
}

// followLease holds the lease to what raft says now: it is called after all that
// raft did is handled, and before anything of it leaves.
func (r *Replica) followLease() {
	l := &r.lease
	if l.term != 0 && (!r.leading || r.term != l.term || r.stopped()) {
		if !r.cfg.Planted.Leases().ReleasesNobody() {
			r.out.Release(ReleaseJob{Range: r.rangeID, From: r.id, Term: l.term, To: maps.Clone(l.asked)})
		}
		l.term, l.asked, l.bound, l.stale = 0, nil, nil, true
	}
	if r.leading != (r.leased.granted.Load() != nil) {
		l.stale = true
	}
	if l.stale {
		l.stale = false
		r.regrant()
	}
}

// ReleaseJob is what the node of a leader that stepped down says until everybody who
// was asked to bind itself has heard it (rule 20).
type ReleaseJob struct {
	Range cluster.RangeID
	From  cluster.ReplicaID
	Term  uint64
	To    map[cluster.ReplicaID]cluster.NodeID
}

// regrant makes the lease what raft's state, the applied descriptor and the bindings
// say (rule 14).
func (r *Replica) regrant() {
	l := &r.lease
	if !r.leading || !r.ready || r.stopped() || l.gaveUp == r.leaderTerm {
		if r.leased.granted.Load() != nil {
			r.leased.grant(nil, r.last())
		}
		return
	}
	var voters []lease.Voter
	for _, d := range r.desc.Replicas {
		v := lease.Voter{Half: halves(d.Role)}
		if d.Replica != r.id {
			v.Peer, v.Bound = r.cfg.Pairs.Peer(d.Node), l.bound[d.Replica]
		}
		voters = append(voters, v)
	}
	r.leased.grant(&granted{grant: lease.NewGrant(voters, r.cfg.Planted.Leases()), desc: r.desc}, r.last())
}

// halves says in which majorities of a configuration a role counts.
func halves(role cluster.ReplicaRole) [2]bool {
	switch role {
	case cluster.Voter:
		return [2]bool{true, true}
	case cluster.VoterOutgoing:
		return [2]bool{true, false}
	case cluster.VoterIncoming:
		return [2]bool{false, true}
	case cluster.Learner:
	}
	return [2]bool{}
}

// LeaseState is what a replica says of its lease.
type LeaseState struct {
	// Term is that of the leadership, 0 if the replica does not lead, or has not yet
	// applied an entry of its term.
	Term uint64
	// Held says that the lease holds now.
	Held bool
	// Floor is below every command that the leader will propose.
	Floor hlc.Timestamp
}

// LeaseState returns what the replica says of its lease.
func (r *Replica) LeaseState() (s LeaseState) {
	if r.leading && r.ready && !r.stopped() {
		s = LeaseState{Term: r.leaderTerm, Floor: max(r.lastTS, r.leased.readMark()), Held: r.leased.holds(r.leased.granted.Load(), 0)}
	}
	return s
}

// last is the index of the last entry of the log, with what raft was just given.
func (r *Replica) last() uint64 { return r.lastIndex + r.given }
