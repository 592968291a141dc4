package replica

import (
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// restTicks is how many ticks a range has been idle when it goes to sleep: less
// would ask everybody between any two commands of a range that is used.
const restTicks = 5

// resting is how a range falls silent: its leader and its followers sleep, neither
// ticks and nothing is sent. Anything that concerns the range wakes it.
type resting struct {
	asleep bool
	woken  bool   // and not idle since
	idle   int    // ticks
	index  uint64 // that the followers were asked about
	agreed map[cluster.ReplicaID]bool
}

func (s *resting) agree(id cluster.ReplicaID) {
	if s.agreed == nil {
		s.agreed = map[cluster.ReplicaID]bool{}
	}
	s.agreed[id] = true
}

// Asleep reports whether the replica needs no ticks.
func (r *Replica) Asleep() bool { return r.lease.rest.asleep }

// Wake has the replica tick again (rule 21).
func (r *Replica) Wake() {
	s := &r.lease.rest
	if s.asleep && r.leading {
		s.woken = true
		r.leased.wake()
	}
	s.asleep, s.idle, s.index = false, 0, 0
}

// rouses reports whether a message wakes: not what a last heartbeat brings about.
func rouses(m *pb.Message) bool {
	switch m.GetType() {
	case pb.MsgHeartbeat, pb.MsgHeartbeatResp:
		return false
	case pb.MsgAppResp:
		return m.GetReject()
	default:
		return true
	}
}

// hasAll reports whether a follower holds, and knows as committed, everything up to
// the last entry (rule 22), and has nothing to do by itself.
func (r *Replica) hasAll(last, commit uint64) bool {
	return commit >= last && r.applied.Index >= last && r.appends == 0 && r.busy() == ""
}

// busy says what work of its own the replica has under way; "": none.
func (r *Replica) busy() string {
	switch {
	case r.incoming != nil || r.installing:
		return "a snapshot is being installed"
	case !r.applied.Counted || r.counting != nil:
		return "its rows are to be counted"
	case len(r.transfers) > 0:
		return "leadership is being transferred"
	}
	return ""
}

// tickRest puts an idle range to sleep, once all followers have said that they have
// all (rule 22). A follower that is bound and hears nothing sleeps by itself: it has
// nothing to tick for.
func (r *Replica) tickRest() {
	s := &r.lease.rest
	if !r.leading {
		if !r.lease.binding.Bound() || r.busy() != "" || r.appends > 0 {
			s.idle = 0
		} else if s.idle++; s.idle >= restTicks {
			s.asleep = true
		}
		return
	}
	if r.Awake() != "" {
		s.idle, s.index = 0, 0
		return
	}
	if s.woken {
		s.woken = false
		r.leased.calm()
	}
	if s.idle++; s.idle < restTicks {
		return
	}
	if s.index != r.lastIndex {
		s.index = r.lastIndex
		clear(s.agreed)
	}
	all := true
	for _, d := range r.desc.Replicas {
		if d.Replica != r.id && !s.agreed[d.Replica] {
			all = false
			r.out.SendLease(r.rangeID, d.Node, &LeaseMessage{Kind: Rest, From: r.id, To: d.Replica, Term: r.leaderTerm, Index: s.index})
		}
	}
	if all && r.followed(true) {
		s.asleep = true
		r.out.Changed(r, false)
	}
}

// Awake says why the range is not to sleep; "": nothing is outstanding. It matters
// that nothing is: raft sends again by heartbeats only.
func (r *Replica) Awake() string {
	if why := r.busy(); why != "" {
		return why
	}
	g := r.leased.granted.Load()
	st := r.rn.BasicStatus()
	switch {
	case r.damaged != nil:
		return "its disk does not give back what was stored: another is to lead"
	case st.RaftState != raft.StateLeader || g == nil:
		return "there is no lease"
	case !g.grant.All(r.cfg.Pairs.Now()):
		return "a replica is not bound to the leader: its node is away, or not yet asked"
	case r.desc.Joint():
		return "its voters are being changed"
	case len(r.evals.open)+len(r.evals.places.by)+len(r.evals.waits.kept)+len(r.queue)+len(r.unslotted)+r.appends+r.reads.len() > 0 || r.slotted.front() != nil || r.news.waiting():
		return "it is used"
	case len(r.sending)+len(r.holds) > 0:
		return "a snapshot is being sent"
	case st.LeadTransferee != raft.None:
		return "leadership is being transferred"
	case st.GetCommit() != r.lastIndex || r.applied.Index != r.lastIndex:
		return "it is used"
	case !r.followed(false):
		return "a replica is behind"
	}
	return ""
}

// followed reports whether all followers have all, and, if it matters, were heard of
// since raft last forgot who was: a leader that sleeps without could step down at its
// first look after it wakes.
func (r *Replica) followed(lately bool) bool {
	all := true
	r.rn.WithProgress(func(id uint64, _ raft.ProgressType, pr tracker.Progress) {
		if id != uint64(r.id) && (pr.Match != r.lastIndex || pr.State != tracker.StateReplicate || lately && !pr.RecentActive) {
			all = false
		}
	})
	return all
}
