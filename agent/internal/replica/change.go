package replica

import (
	"fmt"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/logattr"
)

// jointTicks is how long a leader tolerates a joint configuration that nobody
// leaves before it leaves it by itself.
const jointTicks = 100

// maxLag is how many entries a learner may be behind the commit index when it is
// promoted: in a busy range it is always a few behind.
const maxLag = 64

// Change proposes one change of replicas. done is called once it is applied here,
// or refused.
func (r *Replica) Change(c cluster.ReplicaChange, done func(Outcome)) *Proposal {
	p := &Proposal{change: &c, Done: done}
	err := r.checkChange(c)
	if err != nil {
		p.refuse(err)
		return p
	}
	defer r.guard()
	_, cc, err := planChange(r.desc, c)
	if err == nil {
		err = r.proposeChange(p, cc)
	}
	if err != nil {
		p.refuse(err)
	}
	return p
}

func (r *Replica) checkChange(c cluster.ReplicaChange) error {
	switch {
	case r.failed != nil:
		return r.failedError()
	case !r.leading:
		return r.notLeader()
	case !r.ready:
		return ErrChangePending // a moment's wait: earlier changes are not applied yet
	case c.Expect != r.desc.Generation:
		return &StaleDescriptorError{Current: *r.desc.Clone()}
	}
	switch c.Kind {
	case cluster.ChangeVoters:
		// This replica may be one that goes: leadership moves in the joint configuration.
		for _, n := range c.Promote {
			if err := r.checkCaughtUp(n); err != nil {
				return err
			}
		}
	case cluster.LeaveJoint:
		if d, ok := r.desc.ByReplica(r.id); !ok || d.Role == cluster.VoterOutgoing {
			return ErrLeaderLeaves
		}
	case cluster.AddLearner, cluster.RemoveLearner:
	}
	return nil
}

// checkCaughtUp is the only guard there is: raft would promote a learner that is
// far behind, or unreachable.
func (r *Replica) checkCaughtUp(n cluster.NodeID) error {
	d, ok := r.desc.On(n)
	if !ok {
		return nil // planChange says why
	}
	pr, ok := r.progress(uint64(d.Replica))
	if !ok || !pr.RecentActive || pr.State != tracker.StateReplicate || pr.Match+maxLag < r.rn.BasicStatus().GetCommit() {
		return fmt.Errorf("%s: replica on %s: %w", r.rangeID, n, ErrNotCaughtUp)
	}
	return nil
}

func (r *Replica) progress(id uint64) (found tracker.Progress, ok bool) {
	r.rn.WithProgress(func(i uint64, _ raft.ProgressType, pr tracker.Progress) {
		if i == id {
			pr.RecentActive = r.active(i, &pr)
			found, ok = pr, true
		}
	})
	return found, ok
}

// slowest returns the smallest match of the followers that are alive and follow
// by log: those that wait for a snapshot need no log before it.
func (r *Replica) slowest() uint64 {
	index := r.applied.Index
	r.rn.WithProgress(func(id uint64, _ raft.ProgressType, pr tracker.Progress) {
		if r.active(id, &pr) && pr.State != tracker.StateSnapshot {
			index = min(index, pr.Match)
		}
	})
	return index
}

// tickJoint leaves a joint configuration that nobody else leaves, as after the
// death of the coordinator: a range is fragile while it needs two majorities.
func (r *Replica) tickJoint() {
	if !r.leading || !r.ready || !r.desc.Joint() {
		r.joint = 0
		return
	}
	if r.joint++; r.joint < jointTicks || r.joint%r.cfg.ElectionTicks != 0 {
		return
	}
	if d, _ := r.desc.ByReplica(r.id); d.Role == cluster.VoterOutgoing {
		if to, ok := r.successor(); ok {
			r.cfg.Logger.Warn("leaving a stray joint configuration: transferring leadership first", logattr.Range(r.rangeID), logattr.Peer(to))
			r.Transfer(to, func(error) {})
		}
		return
	}
	r.cfg.Logger.Warn("leaving a stray joint configuration", logattr.Range(r.rangeID))
	r.Change(cluster.ReplicaChange{Kind: cluster.LeaveJoint, Expect: r.desc.Generation}, func(Outcome) {})
}

// successor picks who should lead instead of this replica: of those that stay,
// the one with the longest log; of several, another one for each range.
func (r *Replica) successor() (node cluster.NodeID, ok bool) {
	return r.heir(func(cluster.NodeID) bool { return true })
}

// heir is successor among the nodes for which fits holds.
func (r *Replica) heir(fits func(cluster.NodeID) bool) (node cluster.NodeID, ok bool) {
	var best uint64
	var heirs []cluster.NodeID
	for _, d := range r.desc.Replicas {
		if d.Role != cluster.Voter && d.Role != cluster.VoterIncoming || d.Replica == r.id || !fits(d.Node) {
			continue
		}
		pr, known := r.progress(uint64(d.Replica))
		if !known || !pr.RecentActive || pr.Match < best {
			continue
		}
		if pr.Match > best {
			best, heirs = pr.Match, nil
		}
		heirs = append(heirs, d.Node)
	}
	if best == 0 {
		return 0, false
	}
	return heirs[uint64(r.rangeID)%uint64(len(heirs))], true
}

// GiveUp hands the leadership to the voter whose log is longest, and without
// patience left steps down, if there is anybody else who could lead. Neither writes:
// it is for a node whose disk hangs.
func (r *Replica) GiveUp(now bool) {
	if r.stopped() || !r.leading || r.OnlyVoter() {
		return
	}
	if to, ok := r.successor(); ok && !now {
		if len(r.transfers) == 0 {
			r.Transfer(to, func(error) {})
		}
		return
	}
	defer r.guard()
	// raft steps down when it has heard of no quorum since it asked last: the first
	// of the two makes it forget what it has heard.
	for range 2 {
		check := &pb.Message{Type: pb.MsgCheckQuorum.Enum(), From: new(raft.LocalAppendThread)}
		if err := r.rn.Step(check); err != nil {
			r.cfg.Logger.Warn("raft does not step down", logattr.Range(r.rangeID), logattr.Err(err))
		}
	}
}

// HandTo hands the leadership to the voter whose log is longest of those on nodes for
// which fits holds.
func (r *Replica) HandTo(fits func(cluster.NodeID) bool) {
	if r.stopped() || !r.leading || len(r.transfers) > 0 {
		return
	}
	if to, ok := r.heir(fits); ok {
		r.Transfer(to, func(error) {})
	}
}

// transfer is a hand-over of leadership under way.
type transfer struct {
	to    cluster.NodeID
	done  func(error)
	ticks int
}

// Transfer hands leadership to a node. done is called when it leads, or when it
// is known that it will not.
func (r *Replica) Transfer(to cluster.NodeID, done func(error)) {
	refuse := func(reason string) { done(&TransferError{Range: r.rangeID, To: to, Reason: reason}) }
	switch d, ok := r.desc.On(to); {
	case r.failed != nil:
		done(r.failedError())
	case r.nodeOf(cluster.ReplicaID(r.lead)) == to && r.lead != 0:
		done(nil)
	case !r.leading:
		done(r.notLeader())
	case !ok || d.Role == cluster.Learner:
		refuse("it holds no voter")
	case d.Role == cluster.VoterOutgoing:
		refuse("its replica is outgoing")
	default:
		pr, known := r.progress(uint64(d.Replica))
		if !known || !pr.RecentActive || pr.State != tracker.StateReplicate {
			refuse("its replica does not follow the log")
			return
		}
		defer r.guard()
		r.giveUp()
		r.Wake() // rule 19: a node whose disk hangs gives up what sleeps, too
		r.rn.TransferLeader(uint64(d.Replica))
		r.transfers = append(r.transfers, &transfer{to: to, done: done})
	}
}

// leaderKnown ends transfers when somebody else leads.
func (r *Replica) leaderKnown() {
	if r.lead == 0 || r.leading {
		return
	}
	node := r.nodeOf(cluster.ReplicaID(r.lead))
	r.endTransfers(func(t *transfer) error {
		if node == t.to {
			return nil
		}
		return &TransferError{Range: r.rangeID, To: t.to, Reason: "leadership went to " + node.String()}
	})
}

func (r *Replica) endTransfers(why func(*transfer) error) {
	ts := r.transfers
	r.transfers = nil
	for _, t := range ts {
		t.done(why(t))
	}
}

// tickTransfers ends transfers that raft has given up without a word.
func (r *Replica) tickTransfers() {
	rest := r.transfers[:0]
	for _, t := range r.transfers {
		t.ticks++
		switch {
		case r.leading && t.ticks > r.cfg.ElectionTicks:
			t.done(&TransferError{Range: r.rangeID, To: t.to, Reason: "its replica did not take over"})
		case t.ticks > 4*r.cfg.ElectionTicks:
			t.done(&TransferError{Range: r.rangeID, To: t.to, Reason: "no new leader is known"})
		default:
			rest = append(rest, t)
		}
	}
	r.transfers = rest
}
