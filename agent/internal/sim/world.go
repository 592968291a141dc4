package sim

import (
	"container/heap"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/garbage"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/kv"
	ops "github.com/nodedb/nodedb/agent/internal/operation" // here an operation is a client's
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/store"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

// Config says what a run is made of.
type Config struct {
	Seed     uint64
	Duration time.Duration // simulated
	Nodes    int
	Ranges   int
	Clients  int
	Keys     int // of each range
	// Planted holds faults that tests plant.
	Planted replica.Planted
	// Operate runs the meta range and the coordinators of package operation, and
	// people who ask for drains and decommissions, instead of one mover per range.
	Operate bool
	// Grow has the nodes join one after the other, with Operate, and the disk of the
	// newest be lost now and then.
	Grow bool
	// Pools, with Operate, has people make a pool, alter and drop it.
	Pools bool
	// PlantedOps holds faults that tests plant in the coordinators.
	PlantedOps ops.Planted
	// Upgrade, with Operate, has every node begin with a binary of the first version,
	// and people roll the nodes to what this one supports, back and forth, and
	// finalize.
	Upgrade bool
	// PlantedVersions holds faults that tests plant in what nodes keep of versions.
	PlantedVersions gate.Planted
	// PlantedData holds faults that tests plant in the state machines of data ranges.
	PlantedData datastate.Planted
	// PlantedGarbage holds faults that tests plant in what is taken for garbage.
	PlantedGarbage garbage.Planted
	// PlantedScan holds faults that tests plant in the leader's part of a scan.
	PlantedScan kv.Planted
	// PlantedClock holds faults that tests plant in what nodes take for the time.
	PlantedClock hlc.Planted

	// Idle has nobody want anything once the ranges have three voters; nothing goes wrong.
	Idle bool

	// Crowded has cores take time: what they have no time for waits in their lanes.
	Crowded bool
	// Steady has nothing go wrong but what Extra brings.
	Steady bool

	// Leases makes a run of what endangers leases: many short reads, clocks that are as
	// wrong as may be, and sequences of faults around leaders.
	Leases bool
	// Echoes has requests arrive late, and twice, far more often.
	Echoes bool
	// Hot has gateways add to one row, and nobody else write.
	Hot bool
	// Five, with Leases, has ranges go from three voters to five and back.
	Five bool
	// Forgetful has leaders remember no rows: all they decide takes its time.
	Forgetful bool
	// GCTTL is how long old versions are kept; 0: for ever.
	GCTTL time.Duration
	// Drops has collections made and dropped; with Operate.
	Drops bool
	// Bank has transactions move money between accounts, and others add it up.
	Bank bool
	// Indexes has transactions change rows and their entries in indexes.
	Indexes bool
	// Lockers has transactions lock rows while leaderships move and ranges are split.
	Lockers bool
	// PlantedTxn holds faults that tests plant in those who coordinate transactions.
	PlantedTxn txn.Planted
	// Extra, if set, is called once when the cluster is up: it may schedule events
	// of its own, such as drains and decommissions, with World.After. With Leases it comes
	// in place of the other faults.
	Extra func(*World)
}

// DefaultConfig is a run of the ordinary suite.
func DefaultConfig(seed uint64) Config {
	c := Config{Seed: seed, Duration: 30 * time.Second, Nodes: 4, Ranges: 3, Clients: 6, Keys: 4}
	if seed%3 != 0 { // the others look at all that ever was, at the end
		c.GCTTL = time.Duration(1+seed%5) * time.Second
	}
	return c
}

// lastMoment is the end of quiet, in which nothing is to be said any more: several
// times as long as a range is awake by itself between two messages.
const lastMoment = 500 * time.Millisecond

// quiet is the end of a run: no faults and no clients, so that everything settles.
const quiet = 12 * time.Second

// epoch is when every run begins.
var epoch = time.UnixMilli(1_800_000_000_000)

// World is one run.
type World struct {
	t   *testing.T
	cfg Config
	rng *rand.Rand

	now    time.Duration
	events events
	seq    int
	hash   uint64

	nodes   []*Node // nodes[0] is n1
	clients []*client
	adders  []*adder
	kept    hlc.Timestamp // the latest time from which on everything was to be kept
	unfair  string        // what an adder met that is not fair; "": nothing
	age     int           // rises when all disks go back: messages of before are void
	cut     map[[2]cluster.NodeID]bool
	served  map[cluster.RangeID]hlc.Timestamp // the latest read under a lease
	over    map[cluster.RangeID]hlc.Timestamp // up to where some replica took time for closed
	damaged map[cluster.RangeID]*damagedReplica
	led     map[cluster.RangeID]uint64          // the latest term in which anybody could write
	cutEnds map[[2]cluster.NodeID]time.Duration // of cuts by cutFor
	odd     int                                 // with Leases: the node whose clocks are unlike the others'; -1: none
	loss    int                                 // percent
	still   time.Duration                       // until then nobody writes
	faults  bool
	// wrongUntil is how long most clocks may be wrong; tainted says that a node took a
	// time from them: then all that is said of clocks is void.
	wrongUntil time.Duration
	tainted    bool

	history   history
	moves     map[cluster.RangeID]*mover
	changed   time.Duration     // when a mover last asked for a change, or garbage was found
	children  []cluster.RangeID // asked for: some splits come to nothing
	scanner   *scanner
	operators *operators // nil without Operate
	resting   *resting   // nil before the end of a run with Idle
	bank      *bank      // nil without Bank
	indexed   *indexed   // nil without Indexes
	dropper   *dropper   // nil without Drops
	lockers   *lockers   // nil without Lockers
	tasks     []*task    // all that began
	running   *task      // nil: the world itself
	errors    []string
	Stats     Stats
}

// Stats count what happened in a run.
type Stats struct {
	Ops, Unknown, Failed              int
	Messages, Snapshots, Changes      int
	Crashes, TornCrashes, Pauses      int
	Partitions, ClockJumps, Transfers int
	MassJumps, Sleeps                 int
	Lowered, NotLowered               int
	Moves, Rereads                    int
	SlowDisks, Blackouts, Damaged     int
	Operations, Drains, Succeeded     int
	Splits, Missed, Rerouted, Strayed int
	Late                              int // commands taken back
	Divided                           int // splits inside a vshard
	Echoes                            int // of commands that were answered before a split
	Scans                             int // over several ranges, that came to their end
	WentBack, Refused, Resets         int
	Restores, Counts, Evaluations     int
	Collections, Collected            int // looks for garbage, and versions found
	Tables, Freed, Barred             int // collections dropped, and cleared; writes to them that were refused
	TooOld                            int // reads refused: what they might see is collected
	Checksums, Compared               int // replicas that were read, and found alike
	Rounds                            int // of apply
	Joined, Lost, Even                int
	Pools, Altered, Dropped           int
	LeaseReads, LeasesLost            int
	PastReads, Words                  int // of followers; words of leaders that closed time for one of them, at most
	Added, Unsure, Turns              int // to a hot row; Turns: refusals that kept a place
	Fives                             int // changes from three voters to five
	Noisy                             int // messages of replicas in the last moment
	Wakes                             int // of nodes by time alone: ticks, or rests of several
	IdleBatches                       int // sent in the end of a run with Idle
	Rolled, Unfit, Raised, NewWrites  int
	Flooded, Commands                 int // requests of floods that were answered, commands of the meta range beside them
	Hangs, Served                     int // disks that hung, ranges then found served elsewhere
	Found                             int // damaged replicas
	Filled, Spent                     int // disks without room, and without a reserve
	Transferred, TransfersUnsure      int // transactions of the bank
	JobsTaken                         int
	PastIntents                       int // intents that followers met
	Conflicts, Deadlocks              int // how others of them ended
	TransfersFailed, GatewaysDied     int // gateways that died between two steps
	Audits, IntentsMet, GuardsChanged int
	Left                              int // of transactions, at the end of a run
	Probes                            int // of rows whose holders have ended
}

type event struct {
	at  time.Duration
	seq int
	fn  func()
}

// events is a heap by time, then by the order in which they were made.
type events []event

func (q events) Len() int { return len(q) }
func (q events) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q events) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *events) Push(x any)   { *q = append(*q, x.(event)) }
func (q *events) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}

// Run simulates one seed and returns what is wrong.
func Run(t *testing.T, cfg Config) (*World, []string) {
	cryptotest.SetGlobalRandom(t, cfg.Seed) // raft draws its election timeouts there
	w := &World{
		t: t, cfg: cfg, rng: rand.New(rand.NewPCG(cfg.Seed, 42)), faults: true,
		cut: map[[2]cluster.NodeID]bool{}, cutEnds: map[[2]cluster.NodeID]time.Duration{},
		served: map[cluster.RangeID]hlc.Timestamp{}, over: map[cluster.RangeID]hlc.Timestamp{}, led: map[cluster.RangeID]uint64{}, damaged: map[cluster.RangeID]*damagedReplica{}, moves: map[cluster.RangeID]*mover{},
	}
	w.odd = -1
	if cfg.Leases && (cfg.Extra != nil || w.chance(60)) {
		w.odd = w.rng.IntN(cfg.Nodes)
	}
	for i := range cfg.Nodes {
		n := newNode(w, cluster.NodeID(i+1))
		w.nodes = append(w.nodes, n)
		n.open()
	}
	w.begin()
	w.runUntil(cfg.Duration)
	for range 20 { // what was asked of the meta range just now is on its way
		if !w.metaLags() {
			break
		}
		w.runUntil(w.now + 100*time.Millisecond)
	}
	w.check()
	w.checkLeft()
	w.endTasks()
	for _, n := range w.nodes {
		n.close()
	}
	return w, w.errors
}

// runUntil has happen what happens until a time, or until something is wrong.
func (w *World) runUntil(end time.Duration) {
	for len(w.events) > 0 && w.now < end && len(w.errors) == 0 {
		e := heap.Pop(&w.events).(event)
		w.now = e.at
		e.fn()
	}
}

// begin schedules everybody's first event.
func (w *World) begin() {
	w.bootstrap()
	for i := range w.cfg.Clients {
		c := &client{w: w, id: i}
		w.clients = append(w.clients, c)
		w.After(w.ms(100, 300), c.next)
	}
	if w.cfg.Hot {
		w.beginAdders()
	}
	if w.cfg.Operate {
		w.beginOperators()
	} else {
		for _, id := range w.ranges() {
			w.beginMoves(id)
		}
		if w.cfg.Idle {
			w.beginIdle()
			return
		}
		if !w.cfg.Leases || w.chance(30) {
			w.After(w.ms(2000, 5000), w.split)
		}
	}
	w.After(w.ms(3500, 5000), w.verify)
	w.beginScans()
	w.beginPast()
	if w.cfg.Leases {
		if w.cfg.Extra == nil {
			w.After(leasesBegin, w.leaseFaults)
		} else {
			w.After(leasesBegin, func() { w.cfg.Extra(w) })
		}
		w.After(w.cfg.Duration-w.quiet(), w.calm)
		return
	}
	if !w.cfg.Steady {
		w.After(3*time.Second, w.nemesis)
	}
	if w.cfg.Lockers {
		w.beginLockers()
	}
	switch {
	case w.cfg.Bank:
		w.beginBank()
	case w.cfg.Indexes:
		w.beginIndexed()
	case !w.cfg.Lockers:
		w.After(6*time.Second, w.copyDisks) // which takes back what was acknowledged
	}
	w.After(w.cfg.Duration-w.quiet(), w.calm)
	if w.cfg.Extra != nil {
		w.After(6*time.Second, func() { w.cfg.Extra(w) })
	}
}

// ranges returns the data ranges that were bootstrapped, and those that were to
// be split off.
func (w *World) ranges() []cluster.RangeID {
	if w.operators != nil {
		return w.recorded()
	}
	return append(w.first(), w.children...)
}

// first returns the data ranges that were bootstrapped.
func (w *World) first() []cluster.RangeID {
	var ids []cluster.RangeID
	for i := range w.cfg.Ranges {
		ids = append(ids, cluster.RangeID(2+i))
	}
	return ids
}

// anyRange draws one of them.
func (w *World) anyRange() cluster.RangeID {
	ids := w.ranges()
	return ids[w.rng.IntN(len(ids))]
}

// quiet is how long the end of the run is.
func (w *World) quiet() time.Duration {
	if w.cfg.Operate {
		return settle
	}
	if w.cfg.Leases {
		return leasesQuiet
	}
	return quiet
}

// gone reports whether a node was decommissioned and has stopped, or is lost.
func (w *World) gone(id cluster.NodeID) bool {
	return w.operators != nil && (w.operators.retired[id] || w.nodes[id-1].lost)
}

func (w *World) bootstrap() {
	ds := w.bootstrapped()
	n := w.nodes[0]
	n.core.Bootstrap(ds, func(err error) {
		if err != nil {
			w.fail("bootstrap: %v", err)
		}
	})
	n.pump()
}

// After runs fn when d has passed.
func (w *World) After(d time.Duration, fn func()) {
	w.seq++
	heap.Push(&w.events, event{w.now + d, w.seq, fn})
}

// Now is the simulated time.
func (w *World) Now() time.Duration { return w.now }

// Nodes returns the nodes in the order of their ids.
func (w *World) Nodes() []*Node { return w.nodes }

// Fail records that the run went wrong.
func (w *World) fail(format string, args ...any) {
	w.errors = append(w.errors, fmt.Sprintf("at %s: ", w.now)+fmt.Sprintf(format, args...))
}

// ms draws a duration between two numbers of milliseconds.
func (w *World) ms(from, to int) time.Duration {
	return time.Duration(from)*time.Millisecond + time.Duration(w.rng.Int64N(int64(to-from)*int64(time.Millisecond)))
}

func (w *World) chance(percent int) bool { return w.rng.IntN(100) < percent }

// trace adds to the hash of the run.
func (w *World) trace(what ...uint64) {
	h := fnv.New64a()
	var b [8]byte
	for _, x := range append(what, w.hash, uint64(w.now)) {
		binary.LittleEndian.PutUint64(b[:], x)
		_, _ = h.Write(b[:]) // never fails
	}
	w.hash = h.Sum64()
}

// Hash is the hash of everything that happened.
func (w *World) Hash() uint64 { return w.hash }

// send carries a batch between nodes, or not.
func (w *World) send(from *Node, to cluster.NodeID, batch []byte) bool {
	w.Stats.Messages++
	if w.now > w.cfg.Duration-lastMoment {
		w.Stats.Noisy += store.Messages(batch)
	}
	from.speaks(batch)
	h := fnv.New64a()
	_, _ = h.Write(batch) // never fails
	w.trace(uint64(from.id), uint64(to), h.Sum64())
	if w.cut[[2]cluster.NodeID{from.id, to}] || w.chance(w.loss) {
		return w.chance(50) // the sender does not always notice
	}
	copies := 1
	if w.chance(2) {
		copies = 2
	}
	dst := w.nodes[to-1]
	mark, count, age := from.marks.Now(), from.ledger.own, w.age
	for range copies {
		d := 300*time.Microsecond + time.Duration(w.rng.IntN(2000))*time.Microsecond
		if w.chance(2) {
			d += w.ms(1, 400)
		}
		w.After(d, func() {
			if w.cut[[2]cluster.NodeID{from.id, to}] || w.age != age {
				return
			}
			dst.do(func() {
				switch err := dst.hear(from.id, batch); {
				case err != nil:
					dst.refused++
				case store.Speaks(batch) && !mark.IsZero():
					dst.ledger.hear(from.id, count)
				}
			})
		})
	}
	return true
}

// Leader returns the node that leads a range now, as far as nodes know; the one
// with the highest term if several think so.
func (w *World) Leader(id cluster.RangeID) (*Node, cluster.RangeStatus, bool) {
	var best *Node
	var status cluster.RangeStatus
	for _, n := range w.nodes {
		if !n.up || n.paused {
			continue
		}
		if st, ok := n.core.RangeStatus(id); ok && st.IsLeader() && (best == nil || st.Term > status.Term) {
			best, status = n, st
		}
	}
	return best, status, best != nil
}
