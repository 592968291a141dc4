package replica

import (
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/raftlog"
)

// Append is what one replica wants durable before the messages that depend on it
// leave. The store's log writer writes many in one batch.
type Append struct {
	raftlog.Append
	// Snapshot, if there is one, is installed with the append.
	Snapshot *Incoming
	// Sync says that Appended must wait until the write is durable.
	Sync bool

	replica   *Replica
	responses []*pb.Message
}

// Replica returns whose append it is.
func (a *Append) Replica() *Replica { return a.replica }

// Process does all the work that is possible now.
func (r *Replica) Process() {
	if r.stopped() {
		return
	}
	defer r.guard()
	for !r.stopped() {
		r.evaluateGranted()
		r.stepQueued()
		r.issueReads()
		if !r.rn.HasReady() {
			break
		}
		r.handleReady(r.rn.Ready())
	}
	r.tickCommits()
	if in := r.incoming; in != nil {
		// raft has no use for it: the log is ahead of it already.
		r.incoming = nil
		in.finish(nil, nil)
	}
	r.followLease()
}

func (r *Replica) handleReady(rd raft.Ready) {
	if !raft.IsEmptyHardState(rd.HardState) {
		r.term, r.vote = rd.HardState.GetTerm(), rd.HardState.GetVote()
	}
	if rd.SoftState != nil {
		r.leadership(rd.SoftState)
	}
	r.tellKept()
	r.noteSlots(rd.Entries)
	r.confirmReads(rd.ReadStates)
	for _, m := range rd.Messages {
		switch m.GetTo() {
		case raft.LocalAppendThread:
			r.append(m)
		case raft.LocalApplyThread:
			r.apply(m)
		default:
			r.send(m)
		}
		if r.stopped() {
			return
		}
	}
	r.finishReads()
}

// leadership follows raft's idea of who leads.
func (r *Replica) leadership(ss *raft.SoftState) {
	led, before := r.leading, r.lead
	r.lead, r.leading = ss.Lead, ss.RaftState == raft.StateLeader
	r.out.Changed(r, false)
	if r.leading && !led {
		r.leaderTerm, r.ready, r.joint = r.term, false, 0
	}
	if r.leading != led {
		r.news.reset()
	}
	if led && !r.leading {
		r.ready = false
		r.bequeath()
		r.orphan()
		r.void(r.notLeader())
		r.refuseQueued(r.notLeader())
		r.refuseReads(r.notLeader())
	}
	if r.lead != before {
		r.leaderKnown()
	}
	if r.leading != led {
		r.cfg.Logger.Debug("leadership", logattr.Range(r.rangeID), logattr.From(role(led)), logattr.To(role(r.leading)))
	}
}

func role(leads bool) string {
	if leads {
		return "leader"
	}
	return "follower"
}

// becomeReady ends the wait of a new leader: it has applied an entry of its own
// term, and so every command that any earlier leader acknowledged. Commands get
// timestamps above all reads that an earlier leader served: such a read was
// confirmed by a quorum whose clocks had reached its timestamp, this leader was
// elected by a quorum that shares a node with it, and both messages carried the
// clock.
func (r *Replica) becomeReady() {
	r.ready = true
	r.findLocks()
	r.lastTS = max(r.lastTS, r.applied.LastTS, r.cfg.Clock.Now())
	r.askBindings()
	r.out.Changed(r, true)
}

func (r *Replica) send(m *pb.Message) {
	if m.GetType() == pb.MsgSnap {
		r.requestSnapshot(m)
		return
	}
	if !r.holdsCommit(m) {
		r.toPeer(m)
	}
}

func (r *Replica) toPeer(m *pb.Message) {
	if node := r.nodeOf(cluster.ReplicaID(m.GetTo())); node != 0 {
		if m.GetType() == pb.MsgTimeoutNow {
			r.bequeathAhead(cluster.ReplicaID(m.GetTo()))
		}
		r.out.Send(r.rangeID, node, m)
	}
}

// append hands on what raft wants written. A commit index alone is not worth a
// write: it is learnt again. Messages that depend on nothing that is still to
// become durable leave at once.
func (r *Replica) append(m *pb.Message) {
	hs := r.hardState(m)
	a := &Append{Append: r.log.NewAppend(m.GetEntries(), hs), replica: r, responses: m.GetResponses()}
	if m.GetSnapshot() != nil && !raft.IsEmptySnap(m.GetSnapshot()) {
		a.Snapshot = r.takeIncoming(m.GetSnapshot())
		if a.HardState == nil {
			a.HardState = &pb.HardState{Term: new(r.hardTerm), Vote: new(r.hardVote)}
		}
		a.HardState.Commit = new(m.GetSnapshot().GetMetadata().GetIndex())
	}
	if a.Empty() && a.Snapshot == nil && r.appends == 0 {
		r.respond(a)
		return
	}
	a.Sync = len(a.responses) > 0
	if r.cfg.Planted.sendFirst() {
		r.sendEarly(a)
	}
	r.appends++
	r.out.Append(a)
}

// hardState returns what must be written of the hard state: nil if neither term
// nor vote changed. The commit index goes along then, and is not needed.
func (r *Replica) hardState(m *pb.Message) *pb.HardState {
	if m.Term == nil || (m.GetTerm() == r.hardTerm && m.GetVote() == r.hardVote) {
		return nil
	}
	r.hardTerm, r.hardVote = m.GetTerm(), m.GetVote()
	return &pb.HardState{Term: m.Term, Vote: m.Vote, Commit: m.Commit}
}

// sendEarly is a planted fault: it lets messages leave before they may.
func (r *Replica) sendEarly(a *Append) {
	var own []*pb.Message
	for _, m := range a.responses {
		if m.GetTo() == uint64(r.id) {
			own = append(own, m)
		} else {
			r.send(m)
		}
	}
	a.responses = own
}

// Appended tells that a is written and, if it asked for it, durable.
func (r *Replica) Appended(a *Append) {
	r.appends--
	if r.stopped() {
		if a.Snapshot != nil {
			a.Snapshot.finish(nil, r.failedError())
		}
		return
	}
	defer r.guard()
	if a.Snapshot != nil {
		r.installed(a)
	}
	r.log.Appended(&a.Append)
	r.respond(a)
}

func (r *Replica) respond(a *Append) {
	for _, m := range a.responses {
		if m.GetTo() != uint64(r.id) {
			r.send(m)
			continue
		}
		if err := r.rn.Step(m); err != nil {
			r.cfg.Logger.Debug("raft refused its own message", logattr.Range(r.rangeID), logattr.Err(err))
		}
	}
}
