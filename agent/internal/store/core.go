package store

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/statusboard"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// Core is the scheduler of all replicas of a node: a step function. Events are
// method calls; Process then does all work that is possible, and the Take
// methods hand out what has to be written and sent.
type Core struct {
	cfg   Config
	log   *slog.Logger
	clock clock
	marks *Marks
	back  comeback

	leases leases
	past   past

	slots map[cluster.RangeID]*slot
	order []*slot // by range id: the meta range first
	dirty []*slot
	work  work
	// stirred says that some replica has not slept since the last tick.
	stirred bool

	writes   []write   // for the next batch of the log writer
	out      *LogBatch // that is being written; nil: none
	disk     diskWatch
	rooms    rooms
	short    atomic.Bool                // of room: some disk is, of this node or a peer; any goroutine may ask
	creating []*cluster.RangeDescriptor // being written

	round      *replica.Round // being collected; nil: nothing is
	committing bool           // a round is

	peers     map[cluster.NodeID]*outbox
	peerOrder []*outbox // by node

	elections []election // of ranges that were split off here
	snapshots []*replica.SnapshotJob
	countJobs []*replica.CountJob
	evals     []*replica.Evaluation
	sumJobs   []*replica.ChecksumJob
	garbage   []*replica.GarbageJob
	shrinking shrinking
	retries   []retry
	waiting   waiting
	finished  []*finishedRead
	ticks     uint64
	dead      error

	// statuses, if the shell set it, holds what each replica says: at once when
	// leader, term or descriptor change, each tick while a copy catches up, and
	// what else differs once in statusTicks.
	statuses *statusboard.Board[cluster.RangeID, cluster.RangeStatus]

	emptied map[cluster.RangeID]cluster.ReplicaID // gone with an emptied store

	onDescriptor func(cluster.RangeDescriptor)
}

// slot is the place of one replica.
type slot struct {
	r          *replica.Replica
	id         cluster.RangeID
	dirty      bool
	destroying bool
	destroyed  []func(error)
	noted      bool // its stop for good is written
	// held says that the replica takes no part yet: see comeback.
	held bool
}

// retry is the answer to a snapshot that failed, given after a pause: raft asks
// for the next one at once.
type retry struct {
	at  uint64 // tick
	job *replica.SnapshotJob
	err error
}

const (
	retryTicks = 10
	// statusTicks is how often, in ticks, each replica's figures are looked at:
	// once a second. More often costs a busy node of many ranges more than its raft.
	statusTicks = 10
	metaFirst   = cluster.MetaRangeID
)

// OpenCore loads every replica that the engine holds.
func OpenCore(cfg Config) (*Core, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	c := &Core{cfg: cfg, log: cfg.Logger, slots: map[cluster.RangeID]*slot{}, peers: map[cluster.NodeID]*outbox{}}
	c.rooms.others = map[cluster.NodeID]told{}
	c.back.loading = true
	if c.marks = cfg.Marks; c.marks == nil {
		m, err := OpenMarks(cfg.Engine)
		if err != nil {
			return nil, fmt.Errorf("open store: %w", err)
		}
		c.marks = m
	}
	c.marks.planted = cfg.Planted
	c.clock.planted = cfg.Planted
	if err := c.clock.open(cfg.Engine, cfg.Clock, c.marks); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	c.openLeases()
	ids, err := replica.List(cfg.Engine)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	for _, id := range ids {
		if err := c.load(id, c.holds()); err != nil {
			return nil, fmt.Errorf("open store: %w", err)
		}
	}
	if err := c.checkOverlaps(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := c.loadEmptied(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := c.comeBack(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	return c, nil
}

// load opens one replica and finishes what a crash interrupted.
func (c *Core) load(id cluster.RangeID, held bool) error {
	r, err := replica.Open(replica.Config{
		Node: c.cfg.Node, Range: id, Engine: c.cfg.Engine, Clock: c.cfg.Clock, Machine: c.cfg.Machine,
		Output: c, Logger: c.log, ElectionTicks: c.cfg.ElectionTicks, HeartbeatTicks: c.cfg.HeartbeatTicks,
		LogBytes: c.cfg.LogBytes, LogEntries: c.cfg.LogEntries, MaxCommandBytes: c.cfg.MaxCommandBytes, KnownRows: c.cfg.KnownRows,
		Pairs: c.leases.pairs, Ceiling: c.ceiling, Observe: c.observe, Jitter: c.cfg.Jitter, Planted: c.cfg.Planted,
	})
	if err != nil {
		return err
	}
	s := &slot{r: r, id: id, held: held}
	c.slots[id], c.stirred = s, true
	c.leases.reads.Store(id, r.LeaseReads())
	r.Past().Hold(held)
	c.past.replicas.Store(id, r.Past())
	i, _ := slices.BinarySearchFunc(c.order, id, func(s *slot, id cluster.RangeID) int { return cmp.Compare(s.id, id) })
	c.order = slices.Insert(c.order, i, s)
	c.publish(r)
	if s.held && !c.back.loading {
		c.back.ticks = 0
		c.askMembers(r.Members())
		c.ask()
	}
	if r.Initialised() {
		if d, ok := r.Descriptor().ByReplica(r.ID()); !ok {
			// Its removal was applied, and the crash came before its destruction.
			c.destroy(s, r.ID()+1, nil)
		} else if d.Role == cluster.Voter && r.OnlyVoter() && !c.clock.waking && !s.held {
			r.Campaign()
		}
	}
	c.mark(s)
	return nil
}

func (c *Core) checkOverlaps() error {
	for i, a := range c.order {
		for _, b := range c.order[i+1:] {
			if overlap(a.r.Descriptor(), b.r.Descriptor()) {
				return fmt.Errorf("replicas of %s and %s overlap", a.id, b.id)
			}
		}
	}
	return nil
}

func overlap(a, b *cluster.RangeDescriptor) bool {
	return !a.IsMeta() && !b.IsMeta() && a.Overlaps(b)
}

func (c *Core) mark(s *slot) {
	if !s.dirty {
		s.dirty = true
		c.dirty = append(c.dirty, s)
	}
}

// slot finds a replica that takes requests, and marks it for Process.
func (c *Core) slot(id cluster.RangeID) (*slot, error) {
	s, ok := c.slots[id]
	if !ok || s.destroying {
		return nil, &RangeNotFoundError{Range: id}
	}
	s.r.Wake()
	c.mark(s)
	return s, nil
}

// OnDescriptor sets who hears of descriptors of led ranges, beginning with those
// that are led now.
func (c *Core) OnDescriptor(fn func(cluster.RangeDescriptor)) {
	c.onDescriptor = fn
	for _, s := range c.order {
		if s.r.Leading() {
			fn(*s.r.Descriptor().Clone())
		}
	}
}

// Tick advances time by one tick. Messages that arrived must be handled before:
// a process that slept would call elections in spite of them.
func (c *Core) Tick() {
	c.ticks++
	c.expire()
	c.askAgain()
	if !c.awake() {
		return
	}
	c.tickDisk()
	c.tickRoom()
	c.tickLeases()
	if c.clock.dry() {
		return
	}
	c.tickReplicas()
	c.tickGarbage()
	c.tickShrinking()
	c.callElections()
	rest := c.retries[:0]
	for _, r := range c.retries {
		if r.at > c.ticks {
			rest = append(rest, r)
			continue
		}
		r.job.Replica().SnapshotDone(r.job, nil, r.err)
	}
	c.retries = rest
}

// Process does all work that is possible now. The meta range goes first.
func (c *Core) Process() {
	if c.dead != nil {
		return
	}
	if c.clock.dry() {
		return // until the batch that raises the ceiling is on disk
	}
	c.work.passes.Add(1)
	c.ceilingStored()
	if s, ok := c.slots[metaFirst]; ok && s.dirty {
		c.process(s)
	}
	for i := 0; i < len(c.dirty); i++ {
		s := c.dirty[i]
		c.process(s)
		s.dirty = false
		if c.dead != nil {
			return
		}
	}
	c.dirty = c.dirty[:0]
	c.handOut()
}

func (c *Core) process(s *slot) {
	if !s.takesPart() {
		return
	}
	s.r.Process()
	c.work.steps.Add(1)
	c.stirred = c.stirred || !s.r.Asleep()
	if err := s.r.Failed(); errors.Is(err, storage.ErrFatal) {
		c.fatal(err) // the engine failed, not this replica alone
		return
	}
	c.noteLost(s)
	if s.r.Removed() {
		c.destroy(s, s.r.ID()+1, nil)
	}
}

// noteLost makes the stop of a replica that lost its log outlive this process: a
// leader that comes later may not remember what the replica acknowledged.
func (c *Core) noteLost(s *slot) {
	if s.noted || s.r.Failed() == nil {
		return
	}
	var lost *replica.LostLogError
	if !errors.As(s.r.Failed(), &lost) {
		return
	}
	s.noted = true
	c.writes = append(c.writes, write{
		apply: func(b *storage.Batch) error { return replica.WriteLost(b, s.r, lost) },
		done:  func() {},
	})
}

// Propose queues a command; p.Done gets its outcome.
func (c *Core) Propose(id cluster.RangeID, p *replica.Proposal) {
	s, err := c.serving(id)
	if err == nil {
		// The timestamp of the command will be above that in its id: horizons of
		// command time bound the ids that they concern.
		err = c.observe(p.ID.Timestamp())
	}
	if err == nil {
		err = c.roomFor(s, p.Grows)
	}
	if err != nil {
		if p.Cancel() {
			p.Done(replica.Outcome{Err: err})
		}
		return
	}
	c.waiting.add(c.ticks, id, p)
	s.r.Propose(p)
}

// ChangeReplicas proposes one change; done gets its outcome.
func (c *Core) ChangeReplicas(id cluster.RangeID, change cluster.ReplicaChange, done func(replica.Outcome)) {
	s, err := c.slot(id)
	if err != nil {
		done(replica.Outcome{Err: err})
		return
	}
	s.r.Change(change, done)
}

// Transfer hands leadership of a range to a node.
func (c *Core) Transfer(id cluster.RangeID, to cluster.NodeID, done func(error)) {
	s, err := c.slot(id)
	if err != nil {
		done(err)
		return
	}
	s.r.Transfer(to, done)
}

// Status describes every replica, in the order of range ids.
func (c *Core) Status() []cluster.RangeStatus {
	out := make([]cluster.RangeStatus, 0, len(c.order))
	for _, s := range c.order {
		if !s.destroying {
			out = append(out, s.r.Status())
		}
	}
	return append(out, c.emptiedStatus()...)
}

// RangeStatus describes one replica.
func (c *Core) RangeStatus(id cluster.RangeID) (cluster.RangeStatus, bool) {
	s, ok := c.slots[id]
	if !ok || s.destroying {
		return cluster.RangeStatus{}, false
	}
	return s.r.Status(), true
}

// fatal reports that the engine's state is unknown. Nothing is sent any more.
func (c *Core) fatal(err error) {
	if c.dead != nil {
		return
	}
	c.dead = err
	c.Close(fmt.Errorf("%w: %w", ErrStopped, err)) // who waits asks another node
	if c.cfg.OnFatal != nil {
		c.cfg.OnFatal(err)
	}
}

// Dead returns why the core can do nothing more, if that is so.
func (c *Core) Dead() error { return c.dead }

// Close answers everyone who waits with err.
func (c *Core) Close(err error) {
	for _, s := range c.order {
		s.r.Close(err)
		for _, done := range s.destroyed {
			done(err)
		}
	}
	for _, f := range c.finished {
		f.done(nil, err)
	}
	for _, w := range c.writes {
		if w.refused != nil {
			w.refused(err)
		}
	}
	c.finished, c.writes = nil, nil
	if c.round != nil {
		c.round.Drop()
		c.round = nil
	}
}

// Send satisfies replica.Output.
func (c *Core) Send(id cluster.RangeID, to cluster.NodeID, m *pb.Message) {
	if to == c.cfg.Node {
		c.log.Warn("message to this node itself dropped", logattr.Range(id))
		return
	}
	o := c.outbox(to)
	g := o.lane(id, m.GetType())
	g.begin()
	g.buf = replica.EncodeMessage(g.buf, id, m)
	g.end()
}

// Append satisfies replica.Output.
func (c *Core) Append(a *replica.Append) { c.writes = append(c.writes, write{append: a}) }

// SendSnapshot satisfies replica.Output.
func (c *Core) SendSnapshot(j *replica.SnapshotJob) { c.snapshots = append(c.snapshots, j) }

// Changed satisfies replica.Output.
func (c *Core) Changed(r *replica.Replica, announce bool) {
	c.publish(r)
	if announce && c.onDescriptor != nil {
		c.onDescriptor(*r.Descriptor().Clone())
	}
}

// PublishTo has the core keep a board current, for those who must not wait for it.
func (c *Core) PublishTo(b *statusboard.Board[cluster.RangeID, cluster.RangeStatus]) {
	c.statuses = b
	for _, st := range c.emptiedStatus() {
		b.Put(st.Descriptor.ID, &st)
	}
	for _, s := range c.order {
		c.publish(s.r)
	}
}

func (c *Core) publish(r *replica.Replica) {
	if s, ok := c.slots[r.Range()]; ok && !s.destroying && c.statuses != nil {
		c.statuses.Put(r.Range(), c.leases.status(r))
	}
}

// unpublish takes what is there no more off the board.
func (c *Core) unpublish(id cluster.RangeID) {
	if c.statuses != nil {
		c.statuses.Drop(id)
	}
}

// Gone satisfies replica.Output.
func (c *Core) Gone(id cluster.RangeID, node cluster.NodeID, next cluster.ReplicaID) {
	if node == c.cfg.Node {
		return
	}
	o := c.outbox(node)
	o.urgent.begin()
	o.urgent.buf = appendGone(o.urgent.buf, id, next)
	o.urgent.end()
}

// TakeSnapshots hands out the snapshots that are to be sent.
func (c *Core) TakeSnapshots() []*replica.SnapshotJob {
	js := c.snapshots
	c.snapshots = nil
	return js
}

// Count satisfies replica.Output.
func (c *Core) Count(j *replica.CountJob) { c.countJobs = append(c.countJobs, j) }

// TakeCounts hands out the ranges that are to be counted.
func (c *Core) TakeCounts() []*replica.CountJob {
	js := c.countJobs
	c.countJobs = nil
	return js
}

// Counted ends a job that TakeCounts handed out.
func (c *Core) Counted(j *replica.CountJob, n cluster.Counts, err error) {
	j.Replica().Counted(j, n, err)
	if s, ok := c.slots[j.Range]; ok {
		c.mark(s)
	}
}

// Evaluate satisfies replica.Output.
func (c *Core) Evaluate(j *replica.Evaluation) { c.evals = append(c.evals, j) }

// TakeEvaluations hands out the requests that are to be evaluated.
func (c *Core) TakeEvaluations() []*replica.Evaluation {
	js := c.evals
	c.evals = nil
	return js
}

// Evaluated ends evaluations that TakeEvaluations handed out.
func (c *Core) Evaluated(js []*replica.Evaluation) {
	for _, j := range js {
		j.Replica().Evaluated(j)
		if s, ok := c.slots[j.Range]; ok {
			c.mark(s)
		}
	}
}

// Cancelled tells that the proposal of a request was taken back.
func (c *Core) Cancelled(id cluster.RangeID, p *replica.Proposal) {
	if s, ok := c.slots[id]; ok {
		s.r.Cancelled(p)
		c.mark(s)
	}
}

// SnapshotDone ends a job that TakeSnapshots handed out.
func (c *Core) SnapshotDone(j *replica.SnapshotJob, reply []byte, err error) {
	if err == nil {
		reply, err = c.openReply(j.Node, reply)
	}
	if err != nil {
		c.retries = append(c.retries, retry{at: c.ticks + retryTicks, job: j, err: err})
		return
	}
	j.Replica().SnapshotDone(j, reply, nil)
	if s, ok := c.slots[j.Range]; ok {
		c.mark(s)
	}
}

// ExpectSnapshot reports whether the snapshot that a header announces is wanted.
func (c *Core) ExpectSnapshot(h *replica.SnapshotHeader) error {
	s, err := c.slot(h.Range)
	if err != nil {
		return err
	}
	if s.held {
		return &RefusedError{Range: h.Range, Reason: "this node asks its peers first whether its store is as new as they know"}
	}
	if !c.takesEntries(h.Range) {
		return &RefusedError{Range: h.Range, Reason: "the disk has no room for it"}
	}
	if s.r.ID() != h.To {
		return &RefusedError{Range: h.Range, Reason: fmt.Sprintf("replica here is %d, the snapshot is for %d", s.r.ID(), h.To)}
	}
	for _, o := range c.order {
		if o != s && overlap(o.r.Descriptor(), &h.Descriptor) {
			return &RefusedError{Range: h.Range, Reason: "the snapshot overlaps " + o.id.String()}
		}
	}
	return nil
}

// Install gives a snapshot that arrived whole to its replica.
func (c *Core) Install(in *replica.Incoming, done func(reply []byte, err error)) {
	if err := c.ExpectSnapshot(in.Header); err != nil {
		in.Drop(err)
		done(nil, err)
		return
	}
	c.slots[in.Header.Range].r.Install(in, func(reply []byte, err error) { done(c.sealReply(reply), err) })
}

// serving is slot for requests of gateways, which a node refuses that wakes up, or
// whose clock has run dry: it gives no timestamps.
func (c *Core) serving(id cluster.RangeID) (*slot, error) {
	if c.clock.waking || c.clock.dry() {
		return nil, &NotLeaderError{Range: id}
	}
	return c.slot(id)
}
