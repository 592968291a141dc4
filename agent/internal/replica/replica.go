package replica

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/lease"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/raftlog"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// Replica is one copy of one range.
type Replica struct {
	cfg     Config
	rangeID cluster.RangeID
	id      cluster.ReplicaID
	out     Output
	machine StateMachine
	// One of the two is the machine.
	applier   Applier
	evaluator Evaluator
	rn        *raft.RawNode
	log       *raftlog.Log

	desc     *cluster.RangeDescriptor // without replicas until a snapshot brought state
	made     *cluster.RangeDescriptor // that the replica was made with
	decoded  appliedState             // what the rounds under way will leave
	applied  appliedState             // what is committed to the engine
	ids      appliedIDs               // of commands that were applied
	failed   error
	damaged  error // see Damaged
	handOver int   // ticks: see handOverTicks
	removed  bool  // applied its own removal; it does nothing more

	// What raft said last.
	term     uint64
	lead     uint64 // raft id; 0: unknown
	vote     uint64 // of this term, raft id; 0: none
	leading  bool
	hardTerm uint64 // handed out to be written
	hardVote uint64

	// A leadership: leaderTerm is its term; ready says that an entry of that term
	// is applied here, so that everything before it is too.
	leaderTerm uint64
	ready      bool
	lastTS     hlc.Timestamp // of the newest command proposed or applied
	lastIndex  uint64        // of the log, durable or not
	given      uint64        // entries given to raft that lastIndex does not count yet

	evals       evaluations
	inherited   *LeaseMessage // locks of the leader before this one; nil: none
	kept        keptLocks
	queue       []*Proposal // for raft
	queued      int         // requests and commands that raft has not seen
	queueBytes  int
	taken       []*Proposal // scratch of stepSome
	refusing    bool        // raft refused a proposal; asked again at the next tick or apply
	unslotted   []*Proposal // in raft, slot not seen yet
	slotted     proposals   // of this leadership
	orphans     map[uint64][]*Proposal
	outcomes    []settled
	reads       readQueue
	readContext uint64
	transfers   []*transfer

	lease  leasing
	leased *LeaseReads
	past   *Past
	said   struct { // by the last Status
		served, applied   uint64
		closed, collected hlc.Timestamp
	}

	todo       []*pb.Message // with entries to apply
	decodedOf  int           // of the entries of the first
	collecting *part         // of the round that is being collected
	committing *part         // of the round that is being committed

	appends  int // outstanding
	incoming *Incoming
	holds    []uint64 // indexes that snapshots being sent need in the log
	sending  map[cluster.ReplicaID]*SnapshotReader
	children []*cluster.RangeDescriptor // split off by the apply under way
	nodes    map[cluster.ReplicaID]cluster.NodeID
	joint    int // ticks in a joint configuration while leading
	activity activity
	news     commitNews

	garbage    collecting
	counting   *CountJob // under way; nil: none
	countPause int       // ticks until the next one may be asked for
	installing bool      // a snapshot that raft accepted is being written

	summing   *ChecksumJob       // asked for by the log; nil: none
	checksums []cluster.Checksum // told, the newest first

	counts struct{ reads, writes uint64 } // reads: by a quorum's word
}

// Config says how a replica runs; package store fills it.
type Config struct {
	Node    cluster.NodeID
	Range   cluster.RangeID
	Engine  *storage.Engine
	Clock   *hlc.Clock
	Machine func(cluster.RangeDescriptor) StateMachine
	Output  Output
	Logger  *slog.Logger

	ElectionTicks, HeartbeatTicks int
	LogBytes                      int64
	LogEntries                    uint64
	MaxCommandBytes               int
	KnownRows                     int // that a leader remembers; 0: none, and it evaluates nothing in the loop

	// Observe moves the node's clock past what a request names, if that is not too far.
	Observe func(ts hlc.Timestamp) error

	// Pairs are the promises between this node and others; Ceiling is what of this
	// node's clock is durable, for any goroutine; Jitter draws a duration below a limit.
	Pairs   *lease.Pairs
	Ceiling func() hlc.Timestamp
	Jitter  func(limit time.Duration) time.Duration

	Planted Planted
}

// Output takes what a replica wants done. The store's core is one.
type Output interface {
	// Send sends m to the replica of the range on a node; it may get lost.
	Send(id cluster.RangeID, to cluster.NodeID, m *pb.Message)
	// Round is the round that is being collected.
	Round() *Round
	// Append has a written, in order, and calls Appended when it is durable.
	Append(a *Append)
	// SendSnapshot asks for a snapshot to be sent; SnapshotDone ends it.
	SendSnapshot(j *SnapshotJob)
	// Changed tells that the replica's leader, term or descriptor changed, before
	// anybody is answered who waited for it; announce says that this replica leads
	// and that its descriptor is news to others.
	Changed(r *Replica, announce bool)
	// Gone tells a node that its replica of the range is removed, for ids below next.
	Gone(id cluster.RangeID, node cluster.NodeID, next cluster.ReplicaID)
	// Count asks for a job to be carried out; Counted ends it.
	Count(j *CountJob)
	// Garbage asks for a job to be carried out; Collected ends it.
	Garbage(j *GarbageJob)
	// Freed tells that commands have made the range so many bytes smaller.
	Freed(bytes int64)
	// Evaluate asks for a request to be evaluated; Evaluated ends it.
	Evaluate(j *Evaluation)
	// Checksum asks for a job to be carried out, which has its view; Checksummed ends it.
	Checksum(j *ChecksumJob)
	// Born tells that r was split and that this node's replica of the child is
	// written, in the batch that was just committed.
	Born(r *Replica, child *cluster.RangeDescriptor)
	// Prepare asks a node to make its replica of a range that was split off, which
	// it may have missed; it may get lost.
	Prepare(d *cluster.RangeDescriptor, to cluster.ReplicaDescriptor)
	// SendLease sends a word about the range's lease to a node; it may get lost.
	SendLease(id cluster.RangeID, to cluster.NodeID, m *LeaseMessage)
	// Release has everybody who was bound to this leader hear that it leads no more,
	// whatever becomes of the replica.
	Release(j ReleaseJob)
}

// Open loads the replica of a range that this node holds.
func Open(cfg Config) (*Replica, error) {
	r := &Replica{cfg: cfg, rangeID: cfg.Range, out: cfg.Output, nodes: map[cluster.ReplicaID]cluster.NodeID{}, evals: newEvaluations(cfg.KnownRows)}
	r.leased = &LeaseReads{now: cfg.Pairs.Now, own: cfg.Ceiling, planted: cfg.Planted.Leases()}
	r.past = &Past{planted: cfg.Planted, leased: r.leased}
	if err := r.load(); err != nil {
		return nil, fmt.Errorf("open replica of %s: %w", cfg.Range, err)
	}
	rn, err := r.newRawNode()
	if err != nil {
		return nil, fmt.Errorf("open replica of %s: %w", cfg.Range, err)
	}
	r.rn = rn
	if err := errors.Join(r.loadLost(), r.loadChecksums()); err != nil {
		return nil, fmt.Errorf("open replica of %s: %w", cfg.Range, err)
	}
	r.followPast()
	return r, nil
}

func (r *Replica) load() error {
	ident, err := LoadIdentity(r.cfg.Engine, r.rangeID)
	if err != nil {
		return err
	}
	r.id, r.made = ident.ID, &ident.Descriptor
	for _, d := range ident.Descriptor.Replicas {
		r.nodes[d.Replica] = d.Node
	}
	r.machine = r.cfg.Machine(ident.Descriptor)
	r.applier, _ = r.machine.(Applier)
	r.leased.shown = noMirror
	if r.evaluator, _ = r.machine.(Evaluator); r.evaluator != nil {
		r.leased.shown = r.evaluator.Shown
	}
	if (r.applier == nil) == (r.evaluator == nil) {
		return fmt.Errorf("state machine %T evaluates requests or applies commands, one of the two", r.machine)
	}
	r.desc = ident.Descriptor.Clone()
	r.desc.Replicas, r.desc.Generation = nil, 0
	if err := r.loadState(); err != nil {
		return err
	}
	src := raftlog.Source{
		ConfState: func() *pb.ConfState { return confState(r.desc) },
		Snapshot:  r.snapshotMetadata,
	}
	if r.log, err = raftlog.Load(r.cfg.Engine, r.rangeID, r.applied.Index, src); err != nil {
		return err
	}
	r.lastIndex, _ = r.log.LastIndex()
	hs, _, _ := r.log.InitialState()
	r.term, r.hardTerm, r.hardVote = hs.GetTerm(), hs.GetTerm(), hs.GetVote()
	return nil
}

// loadState reads descriptor, applied state and the state machine.
func (r *Replica) loadState() error {
	v, ok, err := r.cfg.Engine.Get(keys.RangeDescriptor(r.rangeID))
	if err != nil {
		return err
	}
	if ok {
		d, err := decodeDescriptor(v)
		if err != nil {
			return err
		}
		r.setDescriptor(d)
	}
	if r.applied, err = storedState(r.cfg.Engine, r.rangeID); err != nil {
		return err
	}
	r.decoded = r.applied
	r.lastTS = max(r.lastTS, r.applied.LastTS)
	r.leased.reached(r.applied.Index)
	r.loadGarbage()
	r.past.reached(r.applied.Index, r.applied.LastTS)
	// A snapshot comes without the clock that messages carry.
	r.cfg.Clock.Forward(r.applied.LastTS)
	if err := r.loadIDs(); err != nil {
		return err
	}
	return r.machine.Reload(r.cfg.Engine, r.desc)
}

// storedState reads an applied state; the zero value, if there is none.
func storedState(from storage.Reader, id cluster.RangeID) (a appliedState, err error) {
	v, ok, err := from.Get(keys.RangeApplied(id))
	if err != nil || !ok {
		return a, err
	}
	return decodeApplied(v)
}

func (r *Replica) loadIDs() error {
	r.ids = appliedIDs{}
	if opening := r.rn == nil; opening && r.cfg.Planted.openBlank() || !opening && r.cfg.Planted.snapshotBlank() {
		return nil
	}
	return r.ids.load(r.cfg.Engine, r.rangeID, r.applied.Forgotten)
}

func (r *Replica) setDescriptor(d *cluster.RangeDescriptor) {
	r.desc, r.lease.stale = d, true
	for _, x := range d.Replicas {
		r.nodes[x.Replica] = x.Node
	}
}

func (r *Replica) newRawNode() (*raft.RawNode, error) {
	return raft.NewRawNode(&raft.Config{
		ID:                        uint64(r.id),
		ElectionTick:              r.cfg.ElectionTicks,
		HeartbeatTick:             r.cfg.HeartbeatTicks,
		Storage:                   r.log,
		Applied:                   r.applied.Index,
		AsyncStorageWrites:        true,
		MaxSizePerMsg:             1 << 20,
		MaxCommittedSizePerReady:  8 << 20,
		MaxUncommittedEntriesSize: 64 << 20,
		MaxInflightMsgs:           256,
		MaxInflightBytes:          16 << 20,
		CheckQuorum:               true,
		PreVote:                   true,
		ReadOnlyOption:            raft.ReadOnlySafe,
		DisableProposalForwarding: true,
		StepDownOnRemoval:         true,
		Logger:                    raftLog{r.cfg.Logger},
	})
}

// ID returns the replica's raft id.
func (r *Replica) ID() cluster.ReplicaID { return r.id }

// Range returns the id of the range.
func (r *Replica) Range() cluster.RangeID { return r.rangeID }

// Descriptor returns the range's descriptor as applied here. It must not be changed.
func (r *Replica) Descriptor() *cluster.RangeDescriptor { return r.desc }

// Members returns the newest descriptor that is known here: the range's, or,
// until a snapshot has come, the one that the replica was made with.
func (r *Replica) Members() *cluster.RangeDescriptor {
	if r.Initialised() {
		return r.desc
	}
	return r.made
}

// Initialised reports whether the replica has state: a snapshot, or bootstrap.
func (r *Replica) Initialised() bool { return r.applied.Index > 0 }

// Removed reports whether the replica has applied its own removal.
func (r *Replica) Removed() bool { return r.removed }

// Leading reports whether the replica leads its range.
func (r *Replica) Leading() bool { return r.leading }

// Failed returns why the replica has stopped, if it has.
func (r *Replica) Failed() error { return r.failed }

// LeaseReads is for reads under the replica's lease, in any goroutine.
func (r *Replica) LeaseReads() *LeaseReads { return r.leased }

// Campaign starts an election at once, for the only voter of a range, unless the
// replica or its node may take part in none.
func (r *Replica) Campaign() {
	if r.stopped() || !r.mayCampaign() {
		return
	}
	defer r.guard()
	r.campaign()
}

func (r *Replica) campaign() {
	if err := r.rn.Campaign(); err != nil {
		r.cfg.Logger.Debug("campaign refused", logattr.Range(r.rangeID), logattr.Err(err))
	}
}

// OnlyVoter reports whether no other replica votes.
func (r *Replica) OnlyVoter() bool {
	v := r.desc.Voters()
	return len(v) == 1 && v[0] == r.cfg.Node
}

// Tick advances the replica's time by one tick.
func (r *Replica) Tick() {
	if r.stopped() {
		return
	}
	defer r.guard()
	r.refusing = false
	r.reads.age++
	if r.ticks() {
		r.rn.Tick()
	}
	r.tickLease()
	r.tickPlaces()
	r.tickLocks()
	r.news.due = r.news.waiting()
	r.tickActivity()
	r.tickDamaged()
	r.tickTransfers()
	r.tickJoint()
	r.tickAbsent()
	r.tickCount()
	r.tickRest()
}

// Unreachable tells raft that messages to a node were lost, so that it probes
// instead of streaming into the void.
func (r *Replica) Unreachable(node cluster.NodeID) {
	if r.stopped() || !r.leading {
		return
	}
	if d, ok := r.desc.On(node); ok {
		r.rn.ReportUnreachable(uint64(d.Replica))
	}
}

// Step takes a message from the replica's peer on a node. The message was
// decoded by DecodeMessage, which lets no malformed one pass.
func (r *Replica) Step(from cluster.NodeID, m *pb.Message) {
	if r.stopped() {
		return
	}
	defer r.guard()
	sender := cluster.ReplicaID(m.GetFrom())
	if r.Initialised() && sender < r.desc.NextReplica {
		if _, ok := r.desc.ByReplica(sender); !ok {
			// Replica ids are never used again: this one was removed by a change that
			// is committed, whether it knows or not. It may know only replicas that are
			// gone themselves, so that it matters not to which one it speaks.
			r.out.Gone(r.rangeID, from, sender+1)
			return
		}
	}
	if m.GetTo() != uint64(r.id) {
		return
	}
	if t := m.GetType(); !r.Initialised() && (t == pb.MsgVote || t == pb.MsgPreVote || t == pb.MsgTimeoutNow) {
		return // a replica without a log has no opinion
	}
	r.nodes[sender] = from
	if err := r.lostLog(m); err != nil {
		r.fail(err)
		return
	}
	if !r.hears(m) {
		return
	}
	if err := r.rn.Step(m); err != nil && !errors.Is(err, raft.ErrStepPeerNotFound) {
		r.cfg.Logger.Debug("raft refused a message", logattr.Range(r.rangeID), logattr.Peer(from), logattr.Err(err))
	}
}

func (r *Replica) stopped() bool { return r.failed != nil || r.removed }

// guard stops this replica, and no other, when raft or an invariant panics.
func (r *Replica) guard() {
	p := recover()
	if p == nil {
		return
	}
	err, ok := p.(error)
	if !ok {
		err = fmt.Errorf("%v", p)
	}
	r.fail(err)
}

// fail stops the replica. What it was asked and cannot know is ambiguous.
func (r *Replica) fail(err error) {
	if r.failed != nil {
		return
	}
	r.failed = err
	r.cfg.Logger.Error("replica has stopped", logattr.Range(r.rangeID), logattr.Replica(r.id), logattr.Err(err))
	r.release(r.failedError())
	r.leading, r.lead = false, 0
	r.followLease()
	r.followPast()
	r.out.Changed(r, false)
}

// Close answers everyone who waits; the replica does nothing more.
func (r *Replica) Close(err error) {
	if r.failed == nil {
		r.failed = err
	}
	r.followLease()
	r.followPast()
	r.release(err)
}

func (r *Replica) release(err error) {
	r.voidChecksum()
	r.void(err)
	r.refuseQueued(err)
	r.refuseReads(err)
	os := r.outcomes
	r.outcomes = nil
	if r.committing != nil {
		os = append(r.committing.outcomes, os...)
		r.committing.outcomes = nil
	}
	for _, o := range os { // decided, but not committed here
		r.answer(o.p, Outcome{Err: &AmbiguousError{Cause: err}})
	}
	r.orphan()
	r.jump(math.MaxUint64, err)
	r.endTransfers(func(*transfer) error { return err })
	if in := r.incoming; in != nil {
		r.incoming = nil
		in.finish(nil, err)
	}
}

func (r *Replica) failedError() error { return &FailedError{Range: r.rangeID, Cause: r.failed} }

func (r *Replica) notLeader() error {
	e := &NotLeaderError{Range: r.rangeID, Generation: r.desc.Generation}
	if r.lead != uint64(r.id) {
		e.Leader = r.nodeOf(cluster.ReplicaID(r.lead))
	}
	return e
}

func (r *Replica) nodeOf(id cluster.ReplicaID) cluster.NodeID {
	if d, ok := r.desc.ByReplica(id); ok {
		return d.Node
	}
	return r.nodes[id]
}
