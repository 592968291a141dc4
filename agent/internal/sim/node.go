package sim

import (
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/lease"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/statusboard"
	"github.com/nodedb/nodedb/agent/internal/storage"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// Node is one simulated node: a core, an engine, a disk.
type Node struct {
	w      *World
	id     cluster.NodeID
	fs     *storage.MemFS
	engine *storage.Engine
	core   *store.Core
	lanes  *lanes                                                   // in a crowded run; of this life
	board  *statusboard.Board[cluster.RangeID, cluster.RangeStatus] // of this life
	clock  *hlc.Clock
	steady *hlc.Steady                // what the clock follows; of this life
	clocks map[cluster.NodeID]reading // of peers
	offset time.Duration              // of its wall clock
	asleep time.Duration              // what its monotonic clock has missed
	honest time.Duration              // what offset is when nobody has moved the clock
	found  hlc.Timestamp              // what the clock held when the node was opened
	rate   float64                    // of its boot-time clock
	booted time.Duration              // what that clock would have shown at the begin of the run

	ticked time.Duration // when its core's last tick was due
	rest   int           // ticks from there until the next one that has something to do
	alarm  int           // rises whenever that is another one: earlier alarms are void

	up     bool
	paused bool
	slow   bool // its disk
	hang   hang // of its disk
	full   full // its disk
	broken bool // its engine: nobody may use it any more, not even to close it
	life   int  // rises with each start and crash: events of an earlier life are void

	// A crash inside a write: when crashIn syncs have been seen, torn is what the
	// disk holds at that moment.
	crashIn int
	torn    *storage.MemFS

	marks  *store.Marks // of this life
	ledger ledger
	resets uint64         // of its store
	old    *oldDisk       // a copy that was taken
	disk   *storage.MemFS // the right one, while another is in its place
	wiped  bool           // its store was emptied once
	lost   bool           // its disk is gone for good, and the node with it

	binary   gate.Support // what the node is started with
	stored   gate.Stored  // beside its store
	versions *gate.Keeper // of this life

	machine *metastate.Machine // of the meta range; of this life
	coord   *coordinator       // of this life; nil without operators

	gateway  *gateway // that runs now; nil without Bank
	gateways int      // that were started

	refused int
	sums    []*replica.ChecksumJob // that wait for their turn
}

func newNode(w *World, id cluster.NodeID) *Node {
	skew := w.ms(0, 100)
	n := &Node{w: w, id: id, fs: storage.NewCrashableFS(), offset: skew, honest: skew, ledger: newLedger(), binary: gate.Binary()}
	n.rate, n.booted = 1+float64(w.rng.IntN(3)-1)*lease.Rate/100, w.ms(0, 1<<20)
	if w.cfg.Leases {
		n.wrongClocks()
	}
	if w.cfg.Upgrade {
		n.binary.Max = gate.First
	}
	n.stored.Active = n.binary.Max
	return n
}

// ID returns the node's id.
func (n *Node) ID() cluster.NodeID { return n.id }

// remember says what leaders of the node remember of rows, and what goes as garbage.
func (n *Node) remember(cfg *store.Config) {
	// Leaders that remember all, little and nothing: more is under way where they read.
	cfg.KnownRows = []int{0, 2, cfg.KnownRows, 0}[(n.w.cfg.Seed+uint64(n.id))%4]
	if n.w.cfg.Forgetful {
		cfg.KnownRows = 0
	}
	if n.w.cfg.GCTTL == 0 {
		return
	}
	cfg.Garbage = n.w.garbage
	if n.w.cfg.Drops {
		cfg.Garbage = func() replica.GarbagePolicy {
			p := n.w.garbage()
			p.Fence = n.fence
			return p
		}
	}
}

// Core returns the node's core; it changes with each start.
func (n *Node) Core() *store.Core { return n.core }

// Up reports whether the node runs and is not paused.
func (n *Node) Up() bool { return n.up && !n.paused }

func (n *Node) open() {
	n.life++
	n.torn, n.crashIn, n.paused, n.hang, n.full, n.broken = nil, 0, false, hang{}, full{}, false
	n.openVersions()
	e, err := storage.Open(storage.Options{
		Dir: "store", Version: n.stored.Active, FS: storage.LogFaultFS(storage.SyncHookFS(n.fs, n.syncing), n.room), Deterministic: true, CacheBytes: 1 << 20, MemTableBytes: 16 << 20,
	})
	if err != nil {
		n.w.fail("open engine of %s: %v", n.id, err)
		return
	}
	n.engine = e
	if n.marks, err = store.OpenMarks(e); err != nil {
		n.w.fail("open marks of %s: %v", n.id, err)
		return
	}
	n.steady, n.clocks = n.newSteady(), map[cluster.NodeID]reading{}
	n.clock = hlc.NewSteadyClock(n.steady)
	cfg := store.DefaultConfig()
	cfg.Node, cfg.Engine, cfg.Clock, cfg.Marks, cfg.BootNonce = n.id, e, n.clock, n.marks, n.w.rng.Uint32()
	cfg.Boottime, cfg.Jitter = n.boottime, n.jitter
	n.machine = metastate.NewFor(n.binary)
	cfg.Machine = func(d cluster.RangeDescriptor) replica.StateMachine {
		if d.IsMeta() {
			return n.machine
		}
		return datastate.NewPlanted(n.binary, n.w.cfg.PlantedData)
	}
	cfg.LogEntries = 64
	n.remember(&cfg)
	if n.w.cfg.Leases && n.w.cfg.Seed%2 == 0 {
		cfg.ElectionTicks = 4 // nothing may rest on raft's own check
	}
	cfg.Planted = n.w.cfg.Planted
	cfg.Logger = slog.New(slog.DiscardHandler)
	cfg.OnFatal = n.ended
	if n.core, err = store.OpenCore(cfg); err != nil {
		n.w.fail("open core of %s: %v", n.id, err)
		return
	}
	if n.w.cfg.Crowded {
		n.lanes = newLanes(n.w.cfg.Planted)
	}
	n.board = statusboard.New[cluster.RangeID](statusboard.Ranges())
	n.core.PublishTo(n.board)
	n.up, n.found = true, n.clock.Last()
	n.checkCeiling()
	if n.w.cfg.Operate {
		n.operate()
		n.register()
		n.followVersion()
	}
	if n.w.cfg.Bank || n.w.cfg.Lockers || n.w.cfg.Indexes {
		n.startGateway()
	}
	n.w.trace(uint64(n.id), uint64(n.life))
	n.ticked, n.rest = n.w.now, 1
	n.wakeAfter(n.w.ms(1, 100))
	n.later(n.w.ms(500, 1500), n.flush)
	n.later(n.w.ms(0, 1000), n.ping)
	n.later(n.w.ms(1, 50), n.askClocks)
	n.pump()
}

// boottime is the node's boot-time clock, whose rate is as wrong as leases allow.
func (n *Node) boottime() time.Duration {
	return n.booted + time.Duration(float64(n.w.now)*n.rate)
}

// jitter is short now and then: elections right after the end of support are the
// ones that find mistakes.
func (n *Node) jitter(limit time.Duration) time.Duration {
	if n.w.chance(30) {
		return 0
	}
	return time.Duration(n.w.rng.Int64N(int64(limit)))
}

// awake reports whether the node may use its clock.
func (n *Node) awake() bool { return n.core.Awake() }

// longestWait is how long a restarted node may be silent: the lead of a ceiling.
const longestWait = ceilingSlack

// checkCeiling holds that restarts do not push the clock's ceiling.
func (n *Node) checkCeiling() {
	if wakes := n.core.Wakes(); !wakes.IsZero() && wakes.Sub(n.w.truth()) > longestWait && !n.w.tainted {
		n.w.fail("%s stays silent for %s after a restart", n.id, wakes.Sub(n.w.truth()))
	}
}

// syncing is called ahead of each sync of the node's disk.
func (n *Node) syncing() {
	if n.crashIn == 0 {
		return
	}
	if n.crashIn--; n.crashIn == 0 {
		n.torn = n.cutPower()
	}
}

func (n *Node) cutPower() *storage.MemFS {
	percent, seed := n.w.rng.IntN(101), n.w.rng.Uint64()
	return storage.CrashClone(n.fs, percent, rand.New(rand.NewPCG(seed, 7)))
}

// later runs fn after d if the node is still in the same life; a paused node
// gets to it when it goes on.
func (n *Node) later(d time.Duration, fn func()) {
	life := n.life
	n.w.After(d, func() {
		if n.life == life {
			n.do(fn)
		}
	})
}

// do runs fn on the node, and all that follows from it.
func (n *Node) do(fn func()) {
	if !n.up {
		return
	}
	if n.paused {
		life := n.life
		n.w.After(50*time.Millisecond, func() {
			if n.life == life {
				n.do(fn)
			}
		})
		return
	}
	n.catchUp()
	fn()
	n.pump()
}

// wakeAfter has the node tick after d, and no other alarm do so.
func (n *Node) wakeAfter(d time.Duration) {
	n.alarm++
	alarm := n.alarm
	n.later(d, func() {
		if n.alarm == alarm {
			n.tick()
		}
	})
}

// tick makes the ticks of the rest that has ended.
func (n *Node) tick() {
	for range n.rest {
		n.core.Tick()
		n.checkHang()
		n.checkSpent()
	}
	n.w.Stats.Wakes++
	n.ticked, n.rest = n.w.now, 0 // pump says how long the next rest is
}

// catchUp makes the ticks of a rest that something ends, as store's shell does.
func (n *Node) catchUp() {
	if since := n.w.now - n.ticked; n.rest > 1 && since < time.Duration(n.rest)*tickLength {
		for ; since >= tickLength; since -= tickLength {
			n.core.Tick()
			n.ticked += tickLength
			n.rest--
		}
	}
}

// settle sets the alarm if the next tick with something to do is another one now.
func (n *Node) settle() {
	if n.rest != 0 && n.core.Rest() >= n.rest {
		return
	}
	n.rest = n.core.Rest()
	// Ticks come a little late, never early.
	n.wakeAfter(max(n.ticked+time.Duration(n.rest)*tickLength-n.w.now, 0) + time.Duration(n.w.rng.IntN(4000))*time.Microsecond)
}

// tickLength is the default of package store.
const tickLength = 100 * time.Millisecond

// flush writes the memtable out at a moment that the seed decides, before the
// engine would do so by itself in the background.
func (n *Node) flush() {
	if !n.hang.on {
		if err := n.engine.Flush(); err != nil {
			n.w.fail("flush of %s: %v", n.id, err)
		}
	}
	n.later(n.w.ms(500, 1500), n.flush)
}

// pump lets the core work and carries out its effects. Nothing leaves a node that
// crashed on the way.
func (n *Node) pump() {
	if !n.up || n.crashed() || n.core.Dead() != nil {
		return
	}
	n.core.Process()
	if n.crashed() || n.core.Dead() != nil {
		return
	}
	if rd := n.core.TakeRound(); rd != nil {
		n.later(n.applyDelay(), func() { n.commit(rd) })
	}
	if b := n.core.TakeBatch(); b != nil {
		n.later(n.diskDelay(), func() { n.write(b) })
	}
	n.core.Flush(func(to cluster.NodeID, batch []byte) bool { return n.w.send(n, to, batch) })
	for _, j := range n.core.TakeSnapshots() {
		n.later(n.w.ms(1, 30), func() { n.sendSnapshot(j) })
	}
	for _, j := range n.core.TakeEvaluations() {
		n.later(n.evaluationDelay(), func() { n.evaluate(j) })
	}
	for _, j := range n.core.TakeCounts() {
		n.later(n.w.ms(1, 300), func() { n.count(j) })
	}
	for _, j := range n.core.TakeGarbage() {
		n.later(n.w.ms(1, 300), func() { n.collect(j) })
	}
	if n.core.TakeFlush() {
		n.later(n.w.ms(1, 300), func() { n.core.Flushed(n.engine.Flush()) })
	}
	for _, j := range n.core.TakeChecksums() {
		wait := n.w.ms(1, 1000)
		if n.w.chance(20) {
			wait = n.w.ms(2000, 9000) // others have their turn first
		}
		n.sums = append(n.sums, j)
		n.later(wait, func() { n.checksum(j) })
	}
	n.w.watchLeases(n)
	if !n.awake() && n.clock.Last() != n.found {
		n.w.fail("%s used its clock before it had passed %s", n.id, n.found)
	}
	for _, st := range n.core.Status() {
		if st.Failed != "" && !n.w.found(n, &st) {
			n.w.fail("%s: %s: %s", n.id, st.Descriptor.ID, st.Failed)
		}
	}
	n.settle()
}

func (n *Node) diskDelay() time.Duration {
	if n.slow {
		return n.w.ms(20, 200)
	}
	if n.w.chance(2) {
		return n.w.ms(5, 60)
	}
	return 200*time.Microsecond + time.Duration(n.w.rng.IntN(1500))*time.Microsecond
}

// evaluate carries out one evaluation of the node's core: what it reads it reads at
// once, and the result comes later.
func (n *Node) evaluate(j *replica.Evaluation) {
	rows := storage.NewRows(n.engine)
	j.Run(rows)
	_ = rows.Close() // who met an error has it
	n.w.Stats.Evaluations++
	n.later(n.evaluationDelay(), func() { n.core.Evaluated([]*replica.Evaluation{j}) })
}

// evaluationDelay is short for what is in memory; a row may have to come from a slow
// disk, while the world goes on.
func (n *Node) evaluationDelay() time.Duration {
	switch {
	case n.slow:
		return n.w.ms(1, 200)
	case n.w.cfg.Echoes && n.w.chance(30):
		return n.w.ms(5, 400) // while retries come
	case n.w.chance(2) && !((n.w.cfg.Hot || n.w.cfg.Lockers) && n.w.settled()):
		return n.w.ms(5, 2500)
	}
	return time.Duration(n.w.rng.IntN(500)) * time.Microsecond
}

// applyDelay is what a commit without a sync takes, which may wait for a memtable.
func (n *Node) applyDelay() time.Duration {
	if n.slow || n.w.chance(2) {
		return n.w.ms(1, 200)
	}
	return time.Duration(n.w.rng.IntN(1500)) * time.Microsecond
}

func (n *Node) commit(rd *replica.Round) {
	if err := rd.Commit(); err != nil {
		n.w.fail("commit of %s: %v", n.id, err)
		return
	}
	n.w.Stats.Rounds++
	n.core.RoundDone(rd)
}

func (n *Node) write(b *store.LogBatch) {
	if n.hang.on {
		n.hang.stuck = b
		return
	}
	if n.full.next {
		n.writeFull(b)
		return
	}
	err := b.Write(n.engine)
	if n.torn != nil {
		return // pump sees the crash
	}
	if err != nil {
		n.w.fail("log writer of %s: %v", n.id, err)
		return
	}
	if b.Synced() {
		n.ledger.synced()
	}
	n.core.BatchDone(b)
}

func (n *Node) crashed() bool {
	if n.torn == nil {
		return false
	}
	n.w.Stats.TornCrashes++
	n.crash()
	return true
}

// crash cuts the power: what was not synced may be lost.
func (n *Node) crash() { n.crashFor(n.w.ms(200, 4000)) }

// crashFor cuts it for a while.
// stopClock is what a clean stop adds to a crash.
func (n *Node) stopClock() {
	if err := n.core.StopClock(); err != nil && n.torn == nil {
		n.w.fail("%s at its stop: %v", n.id, err)
	}
}

func (n *Node) crashFor(d time.Duration) {
	if !n.up {
		return
	}
	n.w.Stats.Crashes++
	n.life++
	clone := n.torn
	if clone == nil {
		clone = n.cutPower()
	}
	n.crashIn = 0
	n.close()
	n.fs = clone
	n.ledger.crashed()
	n.w.trace(uint64(n.id), uint64(n.life))
	life := n.life
	n.w.After(d, func() {
		if n.life == life && !n.w.gone(n.id) {
			n.tryDamaged()
			n.open()
		}
	})
}

func (n *Node) close() {
	if !n.up {
		return
	}
	n.up = false
	for _, j := range n.sums {
		j.Drop()
	}
	n.sums = nil
	if n.broken {
		return
	}
	if err := n.engine.Close(); err != nil {
		n.w.fail("close engine of %s: %v", n.id, err)
	}
}

// count carries out one job of the node's core: the view is read at once, and the
// result comes later.
func (n *Node) count(j *replica.CountJob) {
	if j.Open() != nil {
		return // void: the replica asks again if it has to
	}
	counted, err := j.Count(nil)
	n.w.Stats.Counts++
	n.later(n.w.ms(1, 2000), func() { n.core.Counted(j, counted, err) })
}

// sendSnapshot carries out one job of the node's core.
func (n *Node) sendSnapshot(j *replica.SnapshotJob) {
	header, chunks, err := n.readSnapshot(j)
	if err != nil {
		n.core.SnapshotDone(j, nil, err)
		return
	}
	n.w.Stats.Snapshots++
	answered := false
	finish := func(reply []byte, err error) {
		if !answered {
			answered = true
			n.core.SnapshotDone(j, reply, err)
		}
	}
	n.later(5*time.Second, func() { finish(nil, errors.New("no answer")) })
	dst, age := n.w.nodes[j.Node-1], n.w.age
	n.w.After(n.w.ms(1, 50), func() {
		if n.w.age != age || n.w.cut[[2]cluster.NodeID{n.id, j.Node}] {
			return
		}
		dst.do(func() {
			dst.receiveSnapshot(header, chunks, func(reply []byte, err error) {
				if !n.w.cut[[2]cluster.NodeID{j.Node, n.id}] {
					n.later(n.w.ms(1, 5), func() { finish(reply, err) })
				}
			})
		})
	})
}

func (n *Node) readSnapshot(j *replica.SnapshotJob) (header []byte, chunks [][]byte, err error) {
	header, reader, err := j.Open()
	if err != nil {
		return nil, nil, err
	}
	for {
		chunk, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return header, chunks, reader.Close()
		}
		if err != nil {
			return nil, nil, errors.Join(err, reader.Close())
		}
		chunks = append(chunks, chunk)
	}
}

func (n *Node) receiveSnapshot(header []byte, chunks [][]byte, done func([]byte, error)) {
	h, err := replica.DecodeSnapshotHeader(header)
	if err == nil {
		err = n.core.ExpectSnapshot(h)
	}
	if err != nil {
		done(nil, err)
		return
	}
	if st, ok := n.core.RangeStatus(h.Range); ok && st.Applied > 0 && h.Descriptor.End < st.Descriptor.End {
		n.w.Stats.Missed++ // it jumps over a split
	}
	w := replica.NewSnapshotWriter(n.engine, h)
	for _, c := range chunks {
		if err := w.Add(c); err != nil {
			done(nil, errors.Join(err, w.Abort()))
			return
		}
	}
	in, err := w.Finish()
	if err != nil {
		done(nil, err)
		return
	}
	n.core.Install(in, done)
}
