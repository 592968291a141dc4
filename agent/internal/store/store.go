package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/statusboard"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// warnEvery spares the log when a peer's messages are refused one after another.
const warnEvery = 5 * time.Second

// Store runs the replicas of one node: the goroutines around a Core.
type Store struct {
	cfg    Config
	core   *Core                        // of the loop
	warned map[cluster.NodeID]time.Time // of the loop
	inbox  *inbox
	rate   *rateLimit    // of snapshots sent
	intake *rateLimit    // of snapshots received
	slots  chan struct{} // one token for each snapshot being sent
	places *places       // of snapshots being received
	// counting has one token: ranges are counted one after another, at scanRate.
	counting chan struct{}
	scanRate *rateLimit
	// summing and sumRate are the same for checksums.
	summing chan struct{}
	sumRate *rateLimit
	// collecting and garbageRate are the same for garbage.
	collecting  chan struct{}
	garbageRate *rateLimit
	suspects    chan storage.Damage // tables: see Examine
	batch       chan *LogBatch
	synced      chan logResult
	rounds      chan *replica.Round
	applied     chan roundResult
	stop        chan struct{} // closed by Close
	dead        chan struct{} // closed when the loop has ended
	awake       chan struct{} // closed when the core speaks
	wakes       time.Time     // what has to be passed for that, as of Open
	wg          sync.WaitGroup
	once        sync.Once
	// cancel ends the streams of snapshots.
	cancel context.CancelFunc
	// statuses is the core's board, passed when the loop last went round.
	statuses *statusboard.Board[cluster.RangeID, cluster.RangeStatus]
	passed   atomic.Int64 // nanoseconds after opened
	writing  atomic.Int64 // when the batch that is written was begun, likewise; 0: none
	opened   time.Time
}

// Command is one command for a range's state machine.
type Command struct {
	// ID names the command through all of its retries: eight bytes of the
	// gateway's timestamp, big-endian, then eight random ones.
	ID [16]byte
	// Retry says that an earlier attempt may still arrive: a refusal of this one must
	// refuse that one too.
	Retry   bool
	Payload []byte
	// Keep asks a range of data that the request, if it is refused because a condition
	// does not hold, keeps its place in line for a while. InPlaceOf is the id of the
	// request whose place this one takes; without a payload it gives that up.
	Keep      bool
	InPlaceOf [16]byte
}

func (s *Store) proposal(id cluster.RangeID, c *Command, done func(replica.Outcome)) *replica.Proposal {
	grows := id != cluster.MetaRangeID && s.core.short.Load() && s.cfg.Grows != nil && s.cfg.Grows(c.Payload)
	return &replica.Proposal{ID: c.ID, Retry: c.Retry, Payload: c.Payload, Grows: grows, Keep: c.Keep, InPlaceOf: c.InPlaceOf, Done: done}
}

// Open starts the store.
func Open(cfg Config) (*Store, error) {
	if cfg.Sender == nil {
		return nil, errors.New("open store: sender must be set")
	}
	core, err := OpenCore(cfg)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Store{
		cfg: cfg, core: core, cancel: cancel, warned: map[cluster.NodeID]time.Time{},
		inbox:  newInbox(cfg.lanes(), cfg.Messages, cfg.Planted),
		rate:   newRateLimit(cfg.SnapshotRate),
		intake: newRateLimit(cfg.SnapshotRate),
		slots:  make(chan struct{}, cfg.SnapshotSends),
		places: newPlaces(&cfg),

		counting:    make(chan struct{}, 1),
		scanRate:    newRateLimit(cfg.CountRate),
		summing:     make(chan struct{}, 1),
		sumRate:     newRateLimit(cfg.ChecksumRate),
		collecting:  make(chan struct{}, 1),
		garbageRate: newRateLimit(cfg.GarbageRate),
		suspects:    make(chan storage.Damage, examineQueue),

		batch:  make(chan *LogBatch, 1),
		synced: make(chan logResult, 1),

		rounds:  make(chan *replica.Round, 1),
		applied: make(chan roundResult, 1),

		stop:   make(chan struct{}),
		dead:   make(chan struct{}),
		awake:  make(chan struct{}),
		opened: time.Now(), statuses: statusboard.New[cluster.RangeID](statusboard.Ranges()),
		wakes: core.Wakes(),
	}
	if core.Awake() {
		close(s.awake)
	}
	core.PublishTo(s.statuses)
	s.wg.Go(s.writeLog)
	s.wg.Go(s.commitRounds)
	s.wg.Go(func() { s.loop(ctx) })
	s.wg.Go(func() { s.examine(ctx) })
	return s, nil
}

// Close stops everything that Open started. Requests that wait get ErrStopped,
// or an *AmbiguousError if they were proposed.
func (s *Store) Close() error {
	s.once.Do(func() {
		close(s.stop)
		s.cancel()
	})
	s.wg.Wait()
	if s.core.Dead() != nil {
		return fmt.Errorf("close store: %w", s.core.Dead())
	}
	return s.core.StopClock()
}

// loop is the core loop.
func (s *Store) loop(ctx context.Context) {
	defer close(s.dead)
	defer close(s.batch)
	defer close(s.rounds)
	pace := pacer{tick: s.cfg.Tick, last: time.Now(), rest: 1}
	pace.timer = time.NewTimer(s.cfg.Tick)
	defer pace.timer.Stop()
	waking := !s.core.Awake()
	var work Share
	for {
		var written *logResult
		var applied *roundResult
		select {
		case <-s.stop:
			s.end(ErrStopped)
			return
		case <-s.inbox.signal:
		case <-pace.timer.C:
			pace.armed = time.Time{}
		case r := <-s.synced:
			written = &r
		case r := <-s.applied:
			applied = &r
		}
		s.inbox.take(&work)
		pace.catchUp(s.core)
		s.finish(written, applied)
		s.events(&work)
		pace.ticks(s.core)
		s.core.Process()
		if s.core.Dead() != nil {
			s.end(s.core.Dead())
			return
		}
		if waking && s.core.Awake() {
			waking = false
			close(s.awake)
		}
		s.effects(ctx)
		pace.arm(s.core.Rest())
		s.passed.Store(int64(time.Since(s.opened)))
	}
}

// Awake returns a channel that is closed when the node gives timestamps: when it
// is settled what the time is and, after a restart, the clock has passed what it
// used before. Until then nobody on this node may use the clock. wakes is the time
// that has to be passed; zero: none.
func (s *Store) Awake() (awake <-chan struct{}, wakes time.Time) { return s.awake, s.wakes }

// finish tells the core which of its effects have ended.
func (s *Store) finish(written *logResult, applied *roundResult) {
	select {
	case r := <-s.synced:
		written = &r
	default:
	}
	select {
	case r := <-s.applied:
		applied = &r
	default:
	}
	switch {
	case written == nil:
	case written.err != nil:
		s.core.BatchFailed(written.err)
	default:
		s.core.BatchDone(written.batch)
	}
	switch {
	case applied == nil:
	case applied.err != nil:
		s.core.RoundFailed(applied.err)
	default:
		s.core.RoundDone(applied.round)
	}
}

// events gives the core what came from outside.
func (s *Store) events(work *Share) {
	for _, b := range work.Batches {
		err := s.core.HandleRaft(b.From, b.Bytes)
		if err != nil && !errors.Is(err, errWaking) && !errors.Is(err, errDry) && time.Since(s.warned[b.From]) > warnEvery {
			s.warned[b.From] = time.Now()
			s.cfg.Logger.Warn("messages dropped", logattr.Peer(b.From), logattr.Err(err))
		}
	}
	for _, fn := range work.Requests {
		fn(s.core)
	}
}

// effects carries out what the core wants done.
func (s *Store) effects(ctx context.Context) {
	if rd := s.core.TakeRound(); rd != nil {
		s.rounds <- rd // never blocks: one round is out at a time
	}
	if b := s.core.TakeBatch(); b != nil {
		s.batch <- b // never blocks: one batch is out at a time
	}
	s.core.Flush(s.cfg.Sender.SendRaft)
	for _, j := range s.core.TakeSnapshots() {
		s.wg.Go(func() { s.sendSnapshot(ctx, j) })
	}
	for js := range slices.Chunk(s.core.TakeEvaluations(), evaluationsAtOnce) {
		s.wg.Go(func() { s.evaluate(js) })
	}
	for _, j := range s.core.TakeCounts() {
		s.wg.Go(func() { s.count(ctx, j) })
	}
	for _, j := range s.core.TakeChecksums() {
		s.wg.Go(func() { s.checksum(ctx, j) })
	}
	for _, j := range s.core.TakeGarbage() {
		s.wg.Go(func() { s.collect(ctx, j) })
	}
	if s.core.TakeFlush() {
		s.wg.Go(s.flush)
	}
}

// evaluationsAtOnce is how many requests one goroutine evaluates: a goroutine for each
// costs as much as an evaluation that reads memory, and behind one that reads a slow
// disk the others wait.
const evaluationsAtOnce = 8

// evaluate carries out evaluations.
func (s *Store) evaluate(js []*replica.Evaluation) {
	rows := storage.NewRows(s.cfg.Engine)
	for _, j := range js {
		j.Run(rows)
	}
	_ = rows.Close()                                        // who met an error has it
	_ = s.inbox.complete(func(c *Core) { c.Evaluated(js) }) // a stopped store has answered
}

// end answers everyone. The queue is closed first, so that nobody comes after.
func (s *Store) end(why error) {
	for _, fn := range s.inbox.close() {
		fn(s.core)
	}
	s.core.Close(why)
}

// request runs fn in the core and waits for its answer.
func request[T any](ctx context.Context, s *Store, fn func(c *Core, done func(T, error))) (T, error) {
	type answer struct {
		v   T
		err error
	}
	ch := make(chan answer, 1)
	err := s.inbox.ask(Urgent, func(c *Core) {
		fn(c, func(v T, err error) {
			select {
			case ch <- answer{v, err}:
			default:
			}
		})
	})
	var zero T
	if err != nil {
		return zero, err
	}
	select {
	case a := <-ch:
		return a.v, a.err
	case <-ctx.Done():
		return zero, context.Cause(ctx)
	case <-s.dead:
	}
	select { // answered while the loop ended
	case a := <-ch:
		return a.v, a.err
	default:
		return zero, ErrStopped
	}
}

// Propose replicates cmd and returns its result once it is applied here.
func (s *Store) Propose(ctx context.Context, id cluster.RangeID, cmd Command) (result []byte, ts hlc.Timestamp, err error) {
	if s.cfg.Check != nil {
		if err := s.cfg.Check(id, cmd.Payload); err != nil {
			return nil, 0, fmt.Errorf("%s: the command is not proposed: %w", id, err)
		}
	}
	ch := make(chan replica.Outcome, 1)
	p := s.proposal(id, &cmd, func(o replica.Outcome) { ch <- o })
	if err := s.inbox.ask(laneOf(id), func(c *Core) { c.Propose(id, p) }); err != nil {
		return nil, 0, err
	}
	select {
	case o := <-ch:
		return o.Result, o.TS, o.Err
	case <-ctx.Done():
		if p.Cancel() {
			s.cancelled(id, p)
			return nil, 0, fmt.Errorf("%w: %w", ErrProposalLost, context.Cause(ctx))
		}
		return nil, 0, &AmbiguousError{Cause: context.Cause(ctx)}
	}
}

// cancelled has a proposal that was taken back leave its place in line.
func (s *Store) cancelled(id cluster.RangeID, p *replica.Proposal) {
	// Behind the proposal itself. A stopped store has no lines.
	_ = s.inbox.queue(laneOf(id), true, func(c *Core) { c.Cancelled(id, p) })
}

// Begin is Propose for who does not wait: done is called once, by the core or before
// Begin returns, and must not block. A command that is not given to raft within that
// time (0: there is no limit), or when cancel is called, is taken back.
func (s *Store) Begin(id cluster.RangeID, cmd Command, within time.Duration, done func([]byte, hlc.Timestamp, error)) (cancel func()) {
	if s.cfg.Check != nil {
		if err := s.cfg.Check(id, cmd.Payload); err != nil {
			done(nil, 0, fmt.Errorf("%s: the command is not proposed: %w", id, err))
			return func() {}
		}
	}
	p := s.proposal(id, &cmd, func(o replica.Outcome) { done(o.Result, o.TS, o.Err) })
	if within > 0 {
		p.Ticks = uint64((within + s.cfg.Tick - 1) / s.cfg.Tick) //nolint:gosec // positive
	}
	if err := s.inbox.ask(laneOf(id), func(c *Core) { c.Propose(id, p) }); err != nil {
		done(nil, 0, err)
		return func() {}
	}
	return func() {
		if p.Cancel() {
			s.cancelled(id, p)
			done(nil, 0, fmt.Errorf("%w: %w", ErrProposalLost, context.Canceled))
		}
	}
}

// Scope is which rows a read is of; the zero value is all of them.
type Scope = replica.Scope

// Read returns a linearizable view of some rows at the leader: no later write to them
// commits at or below ts, and every earlier one is applied. Leadership is confirmed by
// the lease, without the core loop, or else by a quorum.
func (s *Store) Read(ctx context.Context, id cluster.RangeID, ts hlc.Timestamp, rows Scope) (*ReadHandle, error) {
	if q, ok := s.beginRead(ctx, id, ts, rows); ok {
		mirror := q.Mirror() // before the view
		v := &view{snap: s.cfg.Engine.NewSnapshot()}
		v.refs.Store(1)
		h := &ReadHandle{Reader: v.snap, Descriptor: *q.Descriptor, Mirror: mirror, view: v}
		if q.Check() { // what is read later is in the view already
			return h, nil
		}
		h.Close()
	}
	return s.readRound(ctx, id, ts)
}

// RowReader reads rows of a range that d describes. It looks into m, which is what
// transactions have left there, before it looks into r; m is nil in the meta range.
type RowReader func(r storage.Reader, d *cluster.RangeDescriptor, m evaluation.Mirror) error

// ReadRows has fn read a few rows at ts, as from the view that Read returns. fn may
// be called twice: what it read first counts for nothing then. Under a lease it reads
// the engine as it is, which holds of these rows for ts all that it will ever hold.
func (s *Store) ReadRows(ctx context.Context, id cluster.RangeID, ts hlc.Timestamp, rows [][]byte, fn RowReader) error {
	if q, ok := s.beginRead(ctx, id, ts, Scope{Rows: rows}); ok {
		if err := fn(s.cfg.Engine, q.Descriptor, q.Mirror()); q.Check() {
			return s.Unreadable(id, err)
		}
	}
	h, err := s.readRound(ctx, id, ts)
	if err != nil {
		return err
	}
	defer h.Close()
	return s.Unreadable(id, fn(h.Reader, &h.Descriptor, h.Mirror))
}

// beginRead begins a read under a lease and waits for what was proposed before it.
func (s *Store) beginRead(ctx context.Context, id cluster.RangeID, ts hlc.Timestamp, rows Scope) (q replica.LeaseRead, ok bool) {
	select {
	case <-s.dead:
		return q, false
	default:
	}
	q, ok = s.core.BeginRead(id, ts, rows)
	return q, ok && q.Wait(ctx.Done())
}

// readRound has a quorum confirm leadership.
func (s *Store) readRound(ctx context.Context, id cluster.RangeID, ts hlc.Timestamp) (*ReadHandle, error) {
	return s.read(ctx, id, func(c *Core, done func(*ReadHandle, error)) { c.Read(id, ts, done) })
}

// read asks the core for a view. Nobody's view outlives the wait for it.
func (s *Store) read(ctx context.Context, id cluster.RangeID, ask func(c *Core, done func(*ReadHandle, error))) (*ReadHandle, error) {
	w := &readWaiter{ch: make(chan readAnswer, 1)}
	if err := s.inbox.ask(laneOf(id), func(c *Core) { ask(c, w.done) }); err != nil {
		return nil, err
	}
	select {
	case a := <-w.ch:
		return a.handle, a.err
	case <-ctx.Done():
		w.abandon()
		return nil, context.Cause(ctx)
	}
}

// readWaiter is a caller of read. One that left must not leak its view.
type readWaiter struct {
	ch chan readAnswer
	mu sync.Mutex
	// left is guarded by mu.
	left bool
}

type readAnswer struct {
	handle *ReadHandle
	err    error
}

func (w *readWaiter) done(h *ReadHandle, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.left {
		if h != nil {
			h.Close()
		}
		return
	}
	w.ch <- readAnswer{h, err}
}

func (w *readWaiter) abandon() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left = true
	select {
	case a := <-w.ch:
		if a.handle != nil {
			a.handle.Close()
		}
	default:
	}
}

// ReadLocal returns what this node's replica has applied.
func (s *Store) ReadLocal(ctx context.Context, id cluster.RangeID) (*ReadHandle, error) {
	return s.read(ctx, id, func(c *Core, done func(*ReadHandle, error)) { done(c.ReadLocal(id)) })
}

// ChangeReplicas makes one change at the leader and waits until it is applied.
// When ctx ends first the change may still happen: its generation tells.
func (s *Store) ChangeReplicas(ctx context.Context, id cluster.RangeID, change cluster.ReplicaChange) (*cluster.RangeDescriptor, error) {
	return request(ctx, s, func(c *Core, done func(*cluster.RangeDescriptor, error)) {
		c.ChangeReplicas(id, change, func(o replica.Outcome) { done(o.Descriptor, o.Err) })
	})
}

// Transfer hands leadership to a node and waits until it leads.
func (s *Store) Transfer(ctx context.Context, id cluster.RangeID, to cluster.NodeID) error {
	return s.do(ctx, func(c *Core, done func(error)) { c.Transfer(id, to, done) })
}

// PrepareReplica makes an empty replica here that waits for a snapshot. It is
// durable and idempotent.
func (s *Store) PrepareReplica(ctx context.Context, desc cluster.RangeDescriptor, id cluster.ReplicaID) error {
	return s.do(ctx, func(c *Core, done func(error)) { c.PrepareReplica(desc, id, done) })
}

// DestroyReplica removes this node's replica of a range if its id is below minNext.
func (s *Store) DestroyReplica(ctx context.Context, id cluster.RangeID, minNext cluster.ReplicaID) error {
	return s.do(ctx, func(c *Core, done func(error)) { c.DestroyReplica(id, minNext, done) })
}

// Bootstrap makes this node the single voter of each range. Only init does so.
func (s *Store) Bootstrap(ctx context.Context, descs []cluster.RangeDescriptor) error {
	return s.do(ctx, func(c *Core, done func(error)) { c.Bootstrap(descs, done) })
}

// CreateRange makes this node the single voter of a range of a new pool.
func (s *Store) CreateRange(ctx context.Context, d cluster.RangeDescriptor) error {
	return s.do(ctx, func(c *Core, done func(error)) { c.CreateRange(d, done) })
}

func (s *Store) do(ctx context.Context, fn func(*Core, func(error))) error {
	_, err := request(ctx, s, func(c *Core, done func(struct{}, error)) {
		fn(c, func(err error) { done(struct{}{}, err) })
	})
	return err
}

// Status describes every replica on this node, by range, as published. It never
// waits for the loop: a node whose disk hangs must still say so. What it returns
// is shared: do not change it.
func (s *Store) Status() []*cluster.RangeStatus {
	select {
	case <-s.dead:
		return nil // a store that has stopped has no replicas
	default:
		return s.statuses.All()
	}
}

// RangeStatus describes one replica, as published: leader, term and descriptor as
// of now, the rest as of the last second.
func (s *Store) RangeStatus(id cluster.RangeID) (cluster.RangeStatus, bool) {
	st, ok := s.statuses.Get(id)
	if !ok {
		return cluster.RangeStatus{}, false
	}
	return *st, true
}

// Statuses returns the board that the statuses are published on. It is the store's
// to write.
func (s *Store) Statuses() *statusboard.Board[cluster.RangeID, cluster.RangeStatus] {
	return s.statuses
}

// StatusAge is how long ago the loop that publishes the statuses last went round.
// It does so each few ticks: more than a second is a loop that waits for something.
func (s *Store) StatusAge() time.Duration {
	return time.Since(s.opened) - time.Duration(s.passed.Load())
}

// Lanes says how much waits for the core loop, and for how long. It asks nobody.
func (s *Store) Lanes() []LaneUsage { return s.inbox.usage() }

// OnDescriptor sets what is called when the descriptor of a range that this node
// leads changed, or when it came to lead it; at once for every range that it leads
// already. fn runs in the core loop: it must not block, nor call the store.
func (s *Store) OnDescriptor(fn func(cluster.RangeDescriptor)) {
	_ = s.inbox.complete(func(c *Core) { c.OnDescriptor(fn) }) // a stopped store has no news
}

// SetSnapshotRate changes the limit of snapshot bytes per second that this node
// sends, and that it receives; it holds at once for those under way.
func (s *Store) SetSnapshotRate(bytesPerSecond int64) {
	s.rate.set(bytesPerSecond)
	s.intake.set(bytesPerSecond)
}

// HandleRaft takes a batch that a peer's Sender sent. It does not block, and
// keeps batch.
func (s *Store) HandleRaft(from cluster.NodeID, batch []byte) error {
	return s.inbox.message(RaftBatch{from, batch})
}
