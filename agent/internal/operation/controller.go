package operation

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

// clockSlack is how far time may go back between two steps without anything being
// begun anew: shorter pauses end by themselves.
const clockSlack = time.Second

// Controller decides what is done next for every operation and for upkeep. It
// is a step function: no clock, no goroutine, no I/O.
type Controller struct {
	cfg Config

	// Of the term; a new one begins with none of it.
	term       uint64
	began      time.Time // when this term began here
	lastID     uint64
	inflight   map[uint64]Action
	moves      map[cluster.RangeID]*moving
	transfers  map[cluster.RangeID]*handing
	runs       map[string]*run
	destroyed  map[cluster.RangeID]time.Time
	told       map[cluster.NodeID]time.Time // when a node was last asked to stop or undrain
	extra      map[cluster.RangeID][]seen
	newer      map[cluster.RangeID]*cluster.RangeDescriptor
	hot        map[cluster.RangeID]time.Time // since when a range's load is above the threshold
	large      largeRange
	verifying  verifying
	forgotAt   time.Time // when records of dropped collections were forgotten last
	prunedAt   time.Time // when it was looked for what ended long ago
	splitAsked time.Time // when a split of a hot range was asked for last
	sweptAt    time.Time
	avoided    map[cluster.NodeID]time.Time  // nodes that moves failed on: until when none is planned there
	sourced    map[cluster.RangeID]int       // how often a range's copy has stalled
	lifted     map[cluster.NodeID]time.Time  // when a cordon's end was last asked for
	seeding    map[cluster.RangeID]uint64    // ranges of new pools that are being made, by which action
	seeded     map[cluster.RangeID]time.Time // when each was last asked for
	clearing   map[replicaAt]time.Time       // when the removal of a dropped pool's replica was last asked for

	observing  uint64 // the action that records events
	observedAt time.Time
	observed   observed // outlives terms

	sweep    sweeping
	repairAt time.Time
	repaired rest   // what the last plan of repairs rested on
	ended    uint64 // moves and transfers that have ended
	hotAt    time.Time

	// downSince outlives terms: a new leader that watched all along need not wait
	// for dead_after again.
	downSince map[cluster.NodeID]time.Time
	lookout   *lookout // outlives terms, too

	latest time.Time // of the last step

	// Of the step.
	in    Input
	src   sources
	snap  *placement.Snapshot // the lookout's
	out   []Action
	begun []Begun
}

// NewController returns a Controller that has seen nothing.
func NewController(cfg Config) *Controller {
	c := &Controller{cfg: cfg, downSince: map[cluster.NodeID]time.Time{}, observed: newObserved(), lookout: newLookout(cfg.Planted)}
	c.reset(0, time.Time{})
	return c
}

func (c *Controller) reset(term uint64, now time.Time) {
	c.term, c.began = term, now
	c.inflight = map[uint64]Action{}
	c.moves = map[cluster.RangeID]*moving{}
	c.transfers = map[cluster.RangeID]*handing{}
	c.runs = map[string]*run{}
	c.destroyed = map[cluster.RangeID]time.Time{}
	c.told = map[cluster.NodeID]time.Time{}
	c.extra = map[cluster.RangeID][]seen{}
	c.newer = map[cluster.RangeID]*cluster.RangeDescriptor{}
	c.hot, c.splitAsked, c.large = map[cluster.RangeID]time.Time{}, time.Time{}, largeRange{}
	c.verifying = verifying{asked: map[cluster.RangeID]time.Time{}}
	c.sweptAt, c.repairAt, c.hotAt = time.Time{}, time.Time{}, time.Time{}
	c.repaired, c.ended = rest{}, 0
	c.avoided, c.lifted = map[cluster.NodeID]time.Time{}, map[cluster.NodeID]time.Time{}
	c.sourced = map[cluster.RangeID]int{}
	c.seeding, c.seeded = map[cluster.RangeID]uint64{}, map[cluster.RangeID]time.Time{}
	c.clearing = map[replicaAt]time.Time{}
	c.observing, c.observedAt = 0, time.Time{}
	c.sweep = sweeping{}
}

// Step takes in what was learnt and returns what to do. A Controller whose node
// does not lead the meta range does nothing.
func (c *Controller) Step(in Input) []Action {
	c.in, c.out, c.begun = in, nil, nil
	if in.View == nil {
		return nil
	}
	c.watchLiveness()
	if in.Term != c.term || in.Now.Before(c.latest.Add(-clockSlack)) {
		// What is in flight belongs to the term before, or what was put off to a time
		// that will not come for long: the clock was ahead and was put right.
		c.reset(in.Term, in.Now)
		c.in.Done = nil
	}
	c.latest = in.Now
	if in.Term == 0 || !in.View.Initialized() {
		return nil
	}
	c.absorb()
	c.look()
	c.endRemoved()
	c.observe()
	c.stepOperations()
	c.stepTransfers()
	c.stepMoves()
	c.upkeep()
	c.save()
	return c.out
}

// look brings the snapshot up to this step.
func (c *Controller) look() {
	c.src = sources{
		now: c.in.Now, self: c.in.Self, view: c.in.View, reports: c.in.Reports, liveness: c.in.Liveness,
		fresh: c.cfg.Fresh, extra: c.extra, newer: c.newer, downSince: c.downSince,
	}
	c.lookout.update(&c.src)
	c.snap = c.lookout.snap
	c.snap.Planted = c.cfg.Planted.plan()
}

// Busy reports whether time alone may bring something to do soon: an operation is
// under way, replicas or leaderships move, reports are awaited.
func (c *Controller) Busy() bool {
	return c.term != 0 && (len(c.moves)+len(c.transfers) > 0 || c.operating() || c.snap != nil && !c.collected())
}

// Snapshot returns what the last step planned on; nil before the first. The next
// step changes it.
func (c *Controller) Snapshot() *placement.Snapshot { return c.snap }

// watchLiveness keeps since when each node is down.
func (c *Controller) watchLiveness() {
	src := sources{now: c.in.Now, self: c.in.Self, reports: c.in.Reports, liveness: c.in.Liveness, fresh: c.cfg.Fresh}
	for id := range c.in.View.Nodes {
		if src.alive(id) == cluster.Alive {
			delete(c.downSince, id)
		} else if _, ok := c.downSince[id]; !ok {
			c.downSince[id] = c.in.Now
		}
	}
}

// do sends an action and returns its id.
func (c *Controller) do(a Action) uint64 {
	c.lastID++
	a.ID = c.lastID
	c.inflight[a.ID] = a
	c.out = append(c.out, a)
	return a.ID
}

// collected reports whether every node that is alive has reported, or has had
// the time to.
func (c *Controller) collected() bool {
	if c.in.Now.Sub(c.began) >= c.cfg.Collect {
		return true
	}
	for i := range c.snap.Nodes {
		n := &c.snap.Nodes[i]
		if n.Live() && n.Membership == cluster.Active && !n.Reported {
			return false
		}
	}
	return true
}

// absorb takes in the outcomes of actions.
func (c *Controller) absorb() {
	for _, done := range c.in.Done {
		if _, ok := c.inflight[done.Action.ID]; !ok {
			continue // of another term
		}
		delete(c.inflight, done.Action.ID)
		c.learn(done)
		switch done.Action.Kind {
		case ActPrepare, ActChange, ActStatus, ActDestroy:
			c.moveDone(done)
			c.removedDone(done)
		case ActCreate:
			c.seedDone(done)
		case ActSplit:
			c.splitDone(done)
		case ActMiddle:
			c.middleDone(done)
		case ActTransfer:
			c.moveDone(done)
			c.transferDone(done)
		case ActCommand:
			if !c.observedDone(done) && !c.saved(done) {
				c.commandDone(done)
			}
		case ActProof:
			c.proofDone(done)
		case ActSchema:
			c.schemaDone(done)
		case ActUndrain:
			if r := c.runs[done.Action.Operation]; r != nil && done.Err == nil && r.reopening != nil {
				r.reopening[done.Action.To] = reopenTries
			}
		case ActStop:
			// The node's next report shows what came of it; of a hung one there may be none.
			if r := c.runs[done.Action.Operation]; r != nil && done.Err == nil {
				r.stopped = true
			}
		case ActDrain, ActVerify:
			// The nodes' next reports show what came of it.
		}
	}
	c.forget()
}

// learn keeps what a completion says of ranges until a report is newer.
func (c *Controller) learn(done Completion) {
	if done.Err != nil {
		return
	}
	for i := range done.Statuses {
		st := &done.Statuses[i]
		id := st.Descriptor.ID
		c.extra[id] = newest(c.extra[id], seen{node: done.Action.To, at: done.At, status: st})
	}
	for i := range done.Descriptors {
		d := &done.Descriptors[i]
		if old := c.newer[d.ID]; old == nil || d.Generation > old.Generation {
			c.newer[d.ID] = d
		}
	}
}

// forget drops what reports and the view have caught up with.
func (c *Controller) forget() {
	for id, list := range c.extra {
		list = slices.DeleteFunc(list, func(x seen) bool {
			r, ok := c.in.Reports[x.node]
			return ok && r.At.After(x.at) || c.in.Now.Sub(x.at) > c.cfg.Fresh
		})
		if len(list) == 0 {
			delete(c.extra, id)
		} else {
			c.extra[id] = list
		}
	}
	for id, d := range c.newer {
		if v := c.in.View.Ranges.Get(id); v != nil && v.Generation >= d.Generation {
			delete(c.newer, id)
		}
	}
}

// command proposes to the meta range.
func (c *Controller) command(op string, cmd metastate.Command) uint64 {
	cmd.By, cmd.Via = "coordinator", "operation"
	return c.do(Action{Kind: ActCommand, Operation: op, Command: cmd})
}

func (c *Controller) commandDone(done Completion) {
	r := c.runs[done.Action.Operation]
	if r == nil || r.command != done.Action.ID {
		return
	}
	r.command = 0
	if err := errors.Join(done.Err, done.Result.Err()); err != nil {
		r.commandFailed(c.in.Now, err)
	}
}

// sorted returns the keys of a map in order: nothing may depend on map order.
func sorted[K interface{ ~uint64 | ~uint32 | ~string }, V any](m map[K]V) []K {
	return slices.Sorted(maps.Keys(m))
}
