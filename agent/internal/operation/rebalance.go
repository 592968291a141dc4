package operation

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

// The steps of an item that has ended.
const (
	itemPending = "pending"
	itemDone    = "done"
	itemDropped = "dropped"
)

// step is a move or a transfer of a plan that is carried out step by step:
// exactly those that were planned, each dropped if it cannot be made any more.
// Where it stands is in the item of the same index in the record.
type step struct {
	move     placement.Move
	transfer placement.Transfer // set if move.Range is 0
}

func (s *step) transfers() bool { return s.move.Range == 0 }

func (s *step) id() cluster.RangeID {
	if s.transfers() {
		return s.transfer.Range
	}
	return s.move.Range
}

// stepPhases are the phases of an operation that moves only.
func stepPhases(kind cluster.OperationKind) []cluster.Phase {
	switch kind {
	case cluster.OpMove:
		return phases(PhaseCheck, PhaseMove, PhaseVerify)
	case cluster.OpTransfer:
		return phases(PhaseCheck, PhaseLeaders, PhaseVerify)
	}
	return phases(PhaseCheck, PhaseLeaders, PhaseMove, PhaseVerify)
}

// stepSteps carries on an operation of kind rebalance, move or transfer.
func (c *Controller) stepSteps(r *run) {
	if r.command != 0 || c.in.Now.Before(r.retryAt) {
		return
	}
	r.op.PreemptedBy = r.stored.PreemptedBy
	if r.steps == nil && !c.loadSteps(r) {
		return
	}
	if r.op.State == cluster.OpCancelling {
		c.cancelSteps(r)
		return
	}
	switch r.op.Phase {
	case "", PhaseCheck:
		c.checkSteps(r)
	case PhaseLeaders:
		c.transferSteps(r)
	case PhaseMove:
		c.moveSteps(r)
	case PhaseVerify:
		c.verifySteps(r)
	}
}

// giveWay lets go, in a pause, what another operation was given the place of;
// what a person has paused ends what it has in flight.
func (c *Controller) giveWay(r *run) {
	r.op.PreemptedBy = r.stored.PreemptedBy
	if r.op.PreemptedBy != "" {
		c.letGo(r)
	}
}

// letGo ends what the operation has in flight where its range may stay as it is:
// a learner left behind is removed by repair.
func (c *Controller) letGo(r *run) {
	for _, id := range sorted(c.moves) {
		m := c.moves[id]
		if m.op == r.op.ID && m.inflight == 0 && !c.snap.Range(id).Descriptor.Joint() {
			delete(c.moves, id)
		}
	}
}

// loadSteps reads the steps from the plan or the spec; the items in the record
// say which of them have ended.
func (c *Controller) loadSteps(r *run) bool {
	spec := &r.op.Spec
	switch spec.Kind {
	case cluster.OpMove:
		r.steps = []step{{move: placement.Move{Range: spec.Range, From: spec.From, To: spec.To, Why: "asked for"}}}
	case cluster.OpTransfer:
		r.steps = []step{{transfer: placement.Transfer{Range: spec.Range, From: spec.From, To: spec.To}}}
	default:
		plan, err := c.storedPlan(spec.Plan)
		if err != nil {
			r.fail(err.Error())
			return false
		}
		r.steps = stepsOf(&plan)
	}
	if len(r.op.Items) != len(r.steps) {
		r.op.Items = make([]cluster.Item, len(r.steps))
		for i := range r.steps {
			r.op.Items[i] = itemOf(&r.steps[i])
		}
	}
	r.op.Items, r.op.ItemsTotal = slices.Clone(r.op.Items), len(r.op.Items)
	if len(r.op.Phases) == 0 {
		r.op.Phases = stepPhases(spec.Kind)
	}
	return true
}

// storedPlan reads a plan from the meta range.
func (c *Controller) storedPlan(id string) (placement.Plan, error) {
	return decodePlan(c.in.View, id)
}

func decodePlan(v *metastate.View, id string) (placement.Plan, error) {
	var plan placement.Plan
	stored := v.Plans[id]
	if stored == nil {
		return plan, fmt.Errorf("there is no plan %q any more", id)
	}
	if err := json.Unmarshal(stored.Body, &plan); err != nil {
		return plan, fmt.Errorf("read the plan %s: %w", id, err)
	}
	return plan, nil
}

func stepsOf(p *placement.Plan) []step {
	steps := make([]step, 0, len(p.Transfers)+len(p.Moves))
	for _, t := range p.Transfers {
		steps = append(steps, step{transfer: t})
	}
	for _, m := range p.Moves {
		steps = append(steps, step{move: m})
	}
	return steps
}

func itemOf(s *step) cluster.Item {
	if s.transfers() {
		return cluster.Item{Range: s.transfer.Range, From: s.transfer.From, To: s.transfer.To, Step: itemPending, Leadership: true}
	}
	return cluster.Item{Range: s.move.Range, From: s.move.From, To: s.move.To, Step: itemPending, Bytes: s.move.Bytes}
}

// clearWait takes away what an item waited for: it is looked at anew, or is over.
func clearWait(it *cluster.Item) { it.Needs, it.RetryAt = "", time.Time{} }

func itemEnded(it *cluster.Item) bool { return it.Step == itemDone || it.Step == itemDropped }

// stale says why a step cannot be made any more; "" if it can be, or has been.
func (s *step) stale(snap *placement.Snapshot) string {
	if s.transfers() {
		return placement.StaleTransfer(snap, s.transfer)
	}
	return placement.StaleMove(snap, s.move)
}

func (s *step) done(snap *placement.Snapshot) bool {
	if s.transfers() {
		r := snap.Range(s.transfer.Range)
		return r != nil && r.Leader == s.transfer.To
	}
	return placement.Moved(snap, s.move)
}

// leftBehind reports whether From holds a replica that the move should have removed, not
// one that somebody brought there after To had its own: ids of replicas rise.
func (s *step) leftBehind(d *cluster.RangeDescriptor) bool {
	from, holds := d.On(s.move.From)
	to, arrived := d.On(s.move.To)
	return holds && arrived && from.Replica < to.Replica
}

// settled reports whether the step is past the point at which it could be taken
// back: at most a learner is left behind, which repair removes.
func (s *step) settled(snap *placement.Snapshot) bool {
	if s.transfers() || s.done(snap) {
		return s.done(snap)
	}
	r := snap.Range(s.move.Range)
	if r == nil || r.Descriptor.Joint() {
		return false
	}
	to, arrived := r.Descriptor.On(s.move.To)
	from, holds := r.Descriptor.On(s.move.From)
	return arrived && to.Role == cluster.Voter && holds && from.Role == cluster.Learner
}

// checkSteps drops what is stale, and with strict fails if anything is.
func (c *Controller) checkSteps(r *run) {
	r.phase(PhaseCheck, c.in.Now)
	if r.checkedAt.IsZero() {
		r.checkedAt = c.in.Now
	}
	if !c.collected() {
		r.say(cluster.OpQueued, string(placement.Collecting)+": not every node has reported yet")
		return
	}
	if why := c.unsettled(r); why != "" {
		r.say(cluster.OpQueued, string(placement.Collecting)+": "+why)
		return
	}
	total := cluster.Progress{}
	for i := range r.steps {
		s, it := &r.steps[i], &r.op.Items[i]
		if s.transfers() {
			if x := c.snap.Range(s.transfer.Range); s.transfer.From == 0 && x != nil {
				s.transfer.From, it.From = x.Leader, x.Leader // a transfer is asked for by its target
			}
			total.Leaders++
		} else {
			if x := c.snap.Range(s.move.Range); x != nil && s.move.Bytes == 0 {
				s.move.Bytes, it.Bytes = x.Bytes, x.Bytes
			}
			total.Replicas++
			total.Bytes += s.move.Bytes
		}
		total.Ranges++
		if why := s.stale(c.snap); why != "" && !itemEnded(it) {
			if r.op.Spec.Strict {
				r.fail(fmt.Sprintf("%s: %s", placement.Conflict, ofRange(s.id(), why)))
				return
			}
			it.Step, it.Why = itemDropped, why
		}
	}
	r.op.Total = total
	r.op.State, r.op.Why = cluster.OpRunning, ""
	r.phase(c.firstPhase(r), c.in.Now)
}

// unsettled says which range of the steps has no leader for now, or one that has not heard
// from who is to lead: an election, or the end of a transfer, makes no step stale. "": there
// is none, or it has been waited for.
func (c *Controller) unsettled(r *run) string {
	if c.in.Now.Sub(r.checkedAt) >= c.cfg.Collect {
		return ""
	}
	for i := range r.steps {
		s := &r.steps[i]
		x := c.snap.Range(s.id())
		if x == nil || itemEnded(&r.op.Items[i]) {
			continue
		}
		if x.Leader == 0 {
			return fmt.Sprintf("%s is electing a leader", s.id())
		}
		if _, holds := x.Descriptor.On(s.transfer.To); s.transfers() && holds && !x.CaughtUp(s.transfer.To) {
			return fmt.Sprintf("%s of %s has not caught up", s.transfer.To, s.id())
		}
	}
	return ""
}

func (c *Controller) firstPhase(r *run) string {
	if r.op.Spec.Kind == cluster.OpMove {
		return PhaseMove
	}
	return PhaseLeaders
}

// transferSteps hands the leaderships of the plan over.
func (c *Controller) transferSteps(r *run) {
	left := 0
	for i := range r.steps {
		s, it := &r.steps[i], &r.op.Items[i]
		if !s.transfers() || itemEnded(it) {
			continue
		}
		c.transferStep(r, s, it)
		if !itemEnded(it) {
			left++
		}
	}
	c.countSteps(r)
	if left == 0 && !c.handing(r.op.ID) {
		next := PhaseMove
		if r.op.Spec.Kind == cluster.OpTransfer {
			next = PhaseVerify
		}
		r.phase(next, c.in.Now)
		return
	}
	c.standingSteps(r)
}

func (c *Controller) transferStep(r *run, s *step, it *cluster.Item) {
	x := c.snap.Range(s.transfer.Range)
	_, busy := c.transfers[s.transfer.Range]
	why := s.stale(c.snap)
	switch {
	case s.done(c.snap):
		it.Step, it.Why = itemDone, ""
	case busy, c.moves[s.transfer.Range] != nil:
		it.Step = "transfer"
	case why != "" && x != nil && x.Leader == 0:
		it.Step, it.Why = itemPending, why // an election ends
	case why != "":
		it.Step, it.Why = itemDropped, why
	case it.Attempts >= c.cfg.Attempts:
		it.Step, it.Why = itemDropped, fmt.Sprintf("%d transfers to %s did not succeed", it.Attempts, s.transfer.To)
	default:
		c.hand(r.op.ID, s.transfer)
		if _, begun := c.transfers[s.transfer.Range]; begun {
			it.Step, it.Why = "transfer", ""
			it.Attempts++
		}
	}
}

// moveSteps keeps as many moves of the plan going as there is room for.
func (c *Controller) moveSteps(r *run) {
	left := 0
	for i := range r.steps {
		s, it := &r.steps[i], &r.op.Items[i]
		if s.transfers() || itemEnded(it) {
			continue
		}
		c.moveStep(r, s, it)
		if !itemEnded(it) {
			left++
		}
	}
	c.countSteps(r)
	if left == 0 && !c.movingFor(r.op.ID) {
		r.phase(PhaseVerify, c.in.Now)
		return
	}
	c.standingSteps(r)
}

func (c *Controller) moveStep(r *run, s *step, it *cluster.Item) {
	m := c.moves[s.move.Range]
	gave, gaveUp := r.gave[s.move.Range]
	stale := s.stale(c.snap)
	clearWait(it)
	switch {
	case placement.Moved(c.snap, s.move):
		it.Step, it.Why, it.Error, it.BytesDone = itemDone, "", "", it.Bytes
	case m != nil && m.op == r.op.ID:
		it.Step, it.Why, it.Attempts, it.Error, it.BytesDone = m.step, m.why, m.attempts, m.failed, c.copiedBy(m.move)
		c.explain(it, m)
		if m.blocked() {
			it.Step, it.Why = "blocked", string(m.code)+" "+m.why
		}
	case m != nil:
		it.Step, it.Why = itemPending, "another move of the range is under way"
	case gaveUp:
		it.Step, it.Why, it.Error = itemDropped, strings.TrimSuffix(gave.Why, ": looking for another target"), gave.Error
	case stale != "" && c.snap.Range(s.move.Range) != nil && c.snap.Range(s.move.Range).Leader == 0:
		it.Step, it.Why = itemPending, stale
	case stale != "":
		it.Step, it.Why = itemDropped, stale
	case placement.UnderWay(c.snap, s.move):
		c.start(r.op.ID, s.move)
	default:
		if why := placement.Held(c.snap, s.move); why != "" {
			it.Step, it.Why = itemPending, why
		} else if c.start(r.op.ID, s.move) {
			it.Step, it.Why = "learner", ""
		} else {
			it.Step, it.Why = itemPending, "waits for its turn"
		}
	}
}

// countSteps sets what is done of the totals.
func (c *Controller) countSteps(r *run) {
	done := cluster.Progress{}
	r.partly = 0
	for i := range r.steps {
		it := &r.op.Items[i]
		if !itemEnded(it) && !r.steps[i].transfers() && it.Bytes > 0 {
			done.Bytes += it.BytesDone
			r.partly += float64(it.BytesDone) / float64(it.Bytes)
		}
		if it.Step != itemDone {
			continue
		}
		done.Ranges++
		if r.steps[i].transfers() {
			done.Leaders++
		} else {
			done.Replicas++
			done.Bytes += r.op.Items[i].Bytes
		}
	}
	if done != r.op.Done {
		r.op.Done, r.movedAt = done, c.in.Now
	}
	if r.op.Phase == PhaseMove {
		c.pace(r)
	}
}

// standingSteps says blocked when nothing has gone on for a while.
func (c *Controller) standingSteps(r *run) {
	going, why := false, ""
	for i := range r.op.Items {
		it := &r.op.Items[i]
		if itemEnded(it) {
			continue
		}
		if it.Step != itemPending && it.Step != "blocked" {
			going = true
		} else if why == "" && it.Why != "" {
			why = fmt.Sprintf("%s: %s", it.Range, it.Why)
		}
	}
	switch {
	case going:
		r.movedAt = c.in.Now
		r.say(cluster.OpRunning, "")
	case c.in.Now.Sub(r.movedAt) > c.cfg.Fresh:
		r.say(cluster.OpBlocked, why)
	}
}

// verifySteps asks the leaders of what was moved for the descriptors that they
// have applied, and ends the operation with the proof.
func (c *Controller) verifySteps(r *run) {
	r.phase(PhaseVerify, c.in.Now)
	if r.proof == nil {
		c.beginStepProof(r)
	}
	if len(r.proof.waiting) > 0 {
		return
	}
	if r.proof.failed != "" {
		r.op.Why = "the proof waits: " + r.proof.failed
		r.proof, r.retryAt = nil, c.in.Now.Add(c.cfg.Retry)
		return
	}
	c.finishSteps(r)
}

func (c *Controller) beginStepProof(r *run) {
	r.proof = &proofing{waiting: map[uint64]bool{}, found: map[cluster.RangeID]cluster.RangeDescriptor{}}
	led := map[cluster.NodeID][]cluster.RangeID{}
	for i := range r.steps {
		if r.op.Items[i].Step != itemDone {
			continue
		}
		id := r.steps[i].id()
		if c.in.View.Removed[id] != nil {
			continue // its pool was dropped: nobody leads it
		}
		x := c.snap.Range(id)
		if x == nil || x.Leader == 0 {
			r.proof.failed = id.String() + " has no leader that is known"
			return
		}
		led[x.Leader] = append(led[x.Leader], id)
	}
	for _, n := range sorted(led) {
		r.proof.waiting[c.do(Action{Kind: ActProof, Operation: r.op.ID, To: n, Ranges: led[n]})] = true
	}
}

// finishSteps counts the references that the moves should have removed, and ends
// the operation.
func (c *Controller) finishSteps(r *run) {
	proof := &cluster.Proof{MetaIndex: c.in.View.Index, Descriptors: len(r.proof.found), Leaders: len(r.proof.found)}
	dropped := 0
	for i := range r.steps {
		s, it := &r.steps[i], &r.op.Items[i]
		if it.Step == itemDropped {
			dropped++
		}
		d, found := r.proof.found[s.id()]
		if it.Step != itemDone || s.transfers() || !found {
			continue
		}
		if s.leftBehind(&d) {
			proof.References++
		}
	}
	r.proof = nil
	if proof.References > 0 {
		r.op.Why, r.retryAt = leftWhy(proof), c.in.Now.Add(c.cfg.Retry)
		return
	}
	end := r.op
	end.Phases, end.Items = slices.Clone(r.op.Phases), slices.Clone(r.op.Items)
	endPhase(&end, PhaseVerify, phaseDone, "", c.in.Now)
	end.State, end.Proof, end.Why, end.Phase = cluster.OpSucceeded, proof, "", PhaseVerify
	if dropped > 0 {
		end.Why = fmt.Sprintf("%d of %d steps were stale and dropped: %s", dropped, len(r.steps), firstDropped(end.Items))
	}
	end.Pace, end.Stalled, end.ModelError = cluster.Pace{}, false, score(&end, end.Planned, c.in.Now)
	if dropped == len(r.steps) && dropped > 0 {
		end.State, end.Proof = cluster.OpFailed, nil
	}
	r.command = c.command(r.op.ID, metastate.Command{Batch: c.endOf(r, &end)})
}

func firstDropped(items []cluster.Item) string {
	for i := range items {
		if items[i].Step == itemDropped {
			return ofRange(items[i].Range, items[i].Why)
		}
	}
	return ""
}

// ofRange puts the range before a reason that does not name it.
func ofRange(id cluster.RangeID, why string) string {
	if strings.HasPrefix(why, id.String()+" ") {
		return why
	}
	return id.String() + ": " + why
}

// endOf writes the end of the operation, and of a rebalance the sweep that it was.
func (c *Controller) endOf(r *run, end *cluster.Operation) []metastate.Command {
	batch := []metastate.Command{{UpdateOperation: &metastate.UpdateOperation{Operation: *end, Term: c.term}}}
	if end.Spec.Kind != cluster.OpRebalance {
		return batch
	}
	sweep := cluster.Sweep{
		ID: end.ID, At: end.CreatedAt, Cause: end.Cause, Outcome: "applied", Why: end.Why, Predicted: end.GainPredicted,
		Operation: end.ID, Plan: end.Spec.Plan,
	}
	for i := range r.steps {
		if r.steps[i].transfers() {
			sweep.Transfers++
		} else {
			sweep.Moves++
		}
	}
	if plan, err := c.storedPlan(end.Spec.Plan); err == nil {
		now := placement.Measure(c.snap, plan.Intent)
		sweep.Achieved = placement.Gain(plan.Intent.Balance, plan.Before, now)
		end.GainAchieved = sweep.Achieved
		batch[0].UpdateOperation.Operation = *end
	}
	if end.Cause != cluster.CauseRequest && end.State == cluster.OpSucceeded {
		c.sweep.again = end.Cause
	}
	return append(batch, metastate.Command{RecordSweep: &metastate.RecordSweep{Sweep: sweep}})
}

// cancelSteps brings every range that is on its way to a configuration it may
// stay in, then ends the operation. What has moved stays where it is.
func (c *Controller) cancelSteps(r *run) {
	c.letGo(r)
	if c.movingFor(r.op.ID) || c.handing(r.op.ID) || r.saving != 0 {
		return
	}
	for i := range r.op.Items {
		it := &r.op.Items[i]
		clearWait(it)
		if r.steps[i].settled(c.snap) {
			it.Step, it.Why = itemDone, ""
		} else if !itemEnded(it) {
			it.Step, it.Why = itemDropped, "the operation was cancelled"
		}
	}
	c.countSteps(r)
	end := r.op
	end.State, end.Items, end.Phases = cluster.OpCancelled, slices.Clone(r.op.Items), slices.Clone(r.op.Phases)
	r.command = c.command(r.op.ID, metastate.Command{Batch: c.endOf(r, &end)})
}

// claimed lists the ranges that operations are about to move: they are not for
// repair.
func (c *Controller) claimed() []cluster.RangeID {
	var ids []cluster.RangeID
	for _, op := range sorted(c.runs) {
		r := c.runs[op]
		if r.op.State == cluster.OpPaused || r.op.State.Final() {
			continue
		}
		for i := range r.steps {
			if !itemEnded(&r.op.Items[i]) {
				ids = append(ids, r.steps[i].id())
			}
		}
	}
	return ids
}
