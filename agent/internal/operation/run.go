package operation

import (
	"fmt"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

// The phases of a decommission, in order.
const (
	PhaseCheck     = "check"
	PhaseCordon    = "cordon"
	PhaseLeaders   = "leaders"
	PhaseMove      = "move"
	PhaseSQLDrain  = "sql-drain"
	PhaseVerify    = "verify"
	PhaseTombstone = "tombstone"
	PhaseStop      = "stop"
)

// The phases of a drain, besides check, leaders and stop.
const (
	PhaseUnready      = "unready"
	PhaseRefuse       = "refuse"
	PhaseIdle         = "idle"
	PhaseTransactions = "transactions"
	PhaseFlush        = "flush"
	PhaseDrained      = "drained"
)

// The states of a phase.
const (
	phasePending = "pending"
	phaseRunning = "running"
	phaseDone    = "done"
	phaseSkipped = "skipped"
)

func decommissionPhases() []cluster.Phase {
	return phases(PhaseCheck, PhaseCordon, PhaseLeaders, PhaseMove, PhaseSQLDrain, PhaseVerify, PhaseTombstone, PhaseStop)
}

func drainPhases(shutdown bool) []cluster.Phase {
	p := phases(PhaseCheck, PhaseUnready, PhaseLeaders, PhaseRefuse, PhaseIdle, PhaseTransactions, PhaseFlush, PhaseDrained)
	if shutdown {
		p = append(p, cluster.Phase{Name: PhaseStop, State: phasePending})
	}
	return p
}

func phases(names ...string) []cluster.Phase {
	out := make([]cluster.Phase, len(names))
	for i, n := range names {
		out[i] = cluster.Phase{Name: n, State: phasePending}
	}
	return out
}

// beginPhase marks a phase as running, those before it as ended.
func beginPhase(op *cluster.Operation, name string, now time.Time) {
	at := slices.IndexFunc(op.Phases, func(p cluster.Phase) bool { return p.Name == name })
	for i := range op.Phases {
		p := &op.Phases[i]
		switch {
		case i < at && (p.State == phaseRunning || p.State == phasePending):
			p.State, p.Ended = phaseDone, now
		case i == at && p.State != phaseRunning:
			p.State, p.Began, p.Ended = phaseRunning, now, time.Time{}
		case i > at:
			p.State, p.Began, p.Ended = phasePending, time.Time{}, time.Time{}
		}
	}
	op.Phase = name
}

// besidePhase marks a phase as running beside the one that runs.
func besidePhase(op *cluster.Operation, name string, now time.Time) {
	for i := range op.Phases {
		if p := &op.Phases[i]; p.Name == name && p.State != phaseRunning {
			p.State, p.Began, p.Ended = phaseRunning, now, time.Time{}
		}
	}
}

// endPhase marks a phase as done or skipped.
func endPhase(op *cluster.Operation, name, state, note string, now time.Time) {
	for i := range op.Phases {
		if p := &op.Phases[i]; p.Name == name {
			if p.Began.IsZero() && state == phaseDone {
				p.Began = now
			}
			p.State, p.Note, p.Ended = state, note, now
		}
	}
}

func notePhase(op *cluster.Operation, name, note string) {
	for i := range op.Phases {
		if op.Phases[i].Name == name {
			op.Phases[i].Note = note
		}
	}
}

// run is an operation that this coordinator carries on.
type run struct {
	op      cluster.Operation // as it is to be recorded
	stored  *cluster.Operation
	dirty   bool // differs from what is stored in more than progress
	savedAt time.Time
	saving  uint64 // the action that records it
	command uint64 // the action that the phase waits for
	retryAt time.Time
	stopped bool // the process of a drain whose disk hangs was told to end

	work     []placement.Move // planned, not begun
	plannedA time.Time        // when
	gave     map[cluster.RangeID]cluster.Item
	movedAt  time.Time // when something last went on
	leadersA time.Time // when the phase leaders began

	marks      []mark    // of the last seconds
	paced      time.Time // since when this coordinator measures
	pacedRate  uint64    // the limit while it does
	endsAt     time.Time // when it will be over, smoothed
	smoothedAt time.Time
	left       uint64  // bytes that the nodes held when they were last counted
	counted    bool    // they were
	partly     float64 // how many replicas' worth of copies is on its way
	progress   progressSum
	progressAt time.Time

	sqlDrainAt time.Time
	reopening  map[cluster.NodeID]int // how often each node was told to serve again
	proof      *proofing
	unmade     string    // why a range of a new pool is not made yet
	steps      []step    // of an operation that moves only
	checkedAt  time.Time // since when its steps are checked
}

// proofing collects the descriptors of all ranges from their leaders.
type proofing struct {
	waiting map[uint64]bool // actions
	found   map[cluster.RangeID]cluster.RangeDescriptor
	failed  string
}

// stepOperations carries on every operation of the view that has not ended.
func (c *Controller) stepOperations() {
	v := c.in.View
	for _, id := range sorted(c.runs) {
		if op := v.Operations[id]; op == nil || op.State.Final() {
			c.drop(id)
		}
	}
	for _, id := range v.OperationIDs() {
		op := v.Operations[id]
		if op.State.Final() {
			continue
		}
		r := c.runs[id]
		if r == nil {
			r = &run{op: *op, gave: map[cluster.RangeID]cluster.Item{}, movedAt: c.in.Now}
			r.op.Phases = slices.Clone(op.Phases)
			c.runs[id] = r
		}
		r.stored = op
		c.stepOperation(r)
	}
}

// drop forgets an operation and the moves that it wanted.
func (c *Controller) drop(id string) {
	delete(c.runs, id)
	for _, rid := range sorted(c.moves) {
		if m := c.moves[rid]; m.op == id {
			m.op = "" // upkeep finishes or tidies it
		}
	}
}

func (c *Controller) stepOperation(r *run) {
	if r.stored.State == cluster.OpCancelling && r.op.State != cluster.OpCancelling {
		r.op.State, r.op.Why = cluster.OpCancelling, r.stored.Why
		r.dirty = false
	}
	r.op.Limit = r.stored.Limit
	if c.overdue(r) || c.held(r) {
		return
	}
	switch r.op.Spec.Kind {
	case cluster.OpDecommission:
		c.stepDecommission(r)
	case cluster.OpDrain:
		c.watchDrain(r)
	case cluster.OpSplit:
		c.stepSplit(r)
	case cluster.OpUpgrade:
		c.stepUpgrade(r)
	case cluster.OpSchemaChange:
		c.stepSchema(r)
	case cluster.OpRebalance, cluster.OpMove, cluster.OpTransfer:
		c.stepSteps(r)
	case cluster.OpPoolCreate, cluster.OpPoolAlter, cluster.OpPoolDrop:
		c.stepPool(r)
	default:
		r.fail("this version cannot carry out " + string(r.op.Spec.Kind))
	}
}

// fail ends an operation that has changed nothing.
func (r *run) fail(why string) {
	r.op.State, r.op.Why, r.dirty = cluster.OpFailed, why, true
}

// say sets why the operation is where it is.
func (r *run) say(state cluster.OperationState, why string) {
	if r.op.State != state {
		r.op.State, r.dirty = state, true
	}
	r.op.Why = why
}

func (r *run) phase(name string, now time.Time) {
	if r.op.Phase != name {
		beginPhase(&r.op, name, now)
		r.dirty = true
	}
}

func (r *run) commandFailed(now time.Time, err error) {
	r.retryAt = now.Add(time.Second)
	r.op.Why = err.Error()
}

// gaveUp remembers why a move was given up, for the record.
func (r *run) gaveUp(m *moving, code placement.Code, why string) {
	r.gave[m.move.Range] = cluster.Item{
		Range: m.move.Range, From: m.move.From, To: m.move.To, Step: "blocked", Attempts: m.attempts + 1,
		Error: m.failed, Why: fmt.Sprintf("%s %s: looking for another target", code, why), Bytes: m.move.Bytes,
		Needs: needs(code, m.move),
	}
	r.plannedA = time.Time{} // plan anew at once
}

// save records the operations that changed: phases and states at once, mere
// progress now and then.
func (c *Controller) save() {
	for _, id := range c.in.View.OperationIDs() {
		r := c.runs[id]
		if r == nil || r.saving != 0 || r.command != 0 || c.in.Now.Before(r.retryAt) {
			continue
		}
		progress := (r.op.Spec.Kind == cluster.OpDecommission || r.op.Spec.Kind.MovesOnly() || r.op.Spec.Kind.OfPool()) && progressed(&r.op, r.stored) && c.in.Now.Sub(r.savedAt) >= c.cfg.Save
		if !r.dirty && !progress {
			continue
		}
		r.savedAt = c.in.Now
		r.dirty = false
		r.saving = c.command(id, metastate.Command{UpdateOperation: c.update(r)})
	}
}

func (c *Controller) update(r *run) *metastate.UpdateOperation {
	op := r.op
	op.Phases, op.Items = slices.Clone(op.Phases), slices.Clone(op.Items)
	return &metastate.UpdateOperation{Operation: op, Term: c.term}
}

// saved takes in that a record was written, or not.
func (c *Controller) saved(done Completion) bool {
	r := c.runs[done.Action.Operation]
	if r == nil || r.saving != done.Action.ID {
		return false
	}
	r.saving = 0
	if done.Err != nil {
		r.dirty, r.retryAt = true, c.in.Now.Add(c.cfg.Retry)
	}
	// A refusal means that the operation has ended, or that another coordinator
	// is newer: the view will show it.
	return true
}

func progressed(a, b *cluster.Operation) bool {
	return a.Done != b.Done || a.Why != b.Why || a.Pace.Rate != b.Pace.Rate || a.State != b.State || !slices.Equal(a.Items, b.Items) || !slices.EqualFunc(a.Phases, b.Phases, samePhase)
}

func samePhase(a, b cluster.Phase) bool {
	return a.Name == b.Name && a.State == b.State && a.Note == b.Note && a.Began.Equal(b.Began) && a.Ended.Equal(b.Ended)
}
