package operation

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

// itemsKept bounds the items in the record: those in flight and those that are
// blocked. The rest is derived from descriptors.
const itemsKept = 64

// replanEvery is the least pause between two plans of the same decommission.
const replanEvery = 2 * time.Second

// reopenTries is how often a node is told to serve again after a cancellation.
const reopenTries = 5

// leadersFor bounds the phase leaders: what is not handed over by then is handed
// over by its move.
const leadersFor = 20 * time.Second

func (c *Controller) stepDecommission(r *run) {
	if r.command != 0 || c.in.Now.Before(r.retryAt) {
		return
	}
	if r.op.State == cluster.OpCancelling {
		c.cancelDecommission(r)
		return
	}
	switch r.op.Phase {
	case "", PhaseCheck:
		c.checkDecommission(r)
	case PhaseCordon:
		c.cordon(r)
	case PhaseLeaders:
		c.leaders(r)
	case PhaseMove:
		c.moveOff(r)
	case PhaseSQLDrain:
		c.sqlDrain(r)
	case PhaseVerify, PhaseTombstone:
		c.verify(r)
	}
}

// checkDecommission plans, and ends the operation if it cannot be carried out.
func (c *Controller) checkDecommission(r *run) {
	if len(r.op.Phases) == 0 {
		r.op.Phases = decommissionPhases()
	}
	r.phase(PhaseCheck, c.in.Now)
	plan, verdict := c.planDecommission(r)
	if !verdict.OK() {
		if c.collecting(r, verdict) {
			r.say(cluster.OpQueued, verdict.String())
			return
		}
		if r.op.Queue {
			_, free := placement.Make(c.snap.Settled(), placement.Intent{Goal: placement.GoalDecommission, Nodes: r.op.Spec.Nodes})
			if c.waits(r, verdict, free) {
				return
			}
		}
		r.op.Refusals = obstacles(verdict)
		r.fail(verdict.String())
		return
	}
	r.op.Total, r.op.Planned, r.op.PlanID = plan.Total, plan.Prediction.P50, planID(&plan, c.in.View, r.op.Spec)
	r.op.Total.Replicas = c.remaining(r).Replicas
	r.say(cluster.OpRunning, "")
	r.phase(PhaseCordon, c.in.Now)
}

func (c *Controller) planDecommission(r *run) (placement.Plan, placement.Verdict) {
	s := *c.snap
	s.Busy = busy(c.in.View, r.op.ID)
	// Decommissions that were admitted count as under way even if the view does
	// not show it yet: two that exclude each other must not both begin.
	s.Nodes = slices.Clone(s.Nodes)
	for _, id := range c.admitted(r.op.ID, cluster.OpDecommission) {
		if n := s.Node(id); n != nil && n.Membership == cluster.Active {
			n.Membership = cluster.Decommissioning
		}
	}
	if r.op.Spec.MaxDisk > 0 {
		s.MaxDisk = r.op.Spec.MaxDisk
	}
	if rate := r.op.Rate(); rate > 0 {
		s.Rate = rate
	}
	in := placement.Intent{Goal: placement.GoalDecommission, Nodes: r.op.Spec.Nodes}
	if other := c.without(&s); other != nil {
		if plan, verdict := placement.Make(other, in); verdict.OK() {
			return plan, verdict
		}
	}
	return placement.Make(&s, in)
}

// cordon makes the nodes decommissioning: nothing is placed on them any more.
func (c *Controller) cordon(r *run) {
	for _, id := range r.op.Spec.Nodes {
		if n := c.in.View.Nodes[id]; n == nil || n.Membership != cluster.Decommissioning {
			r.command = c.command(r.op.ID, metastate.Command{SetMembership: &metastate.SetMembership{
				Nodes: r.op.Spec.Nodes, To: cluster.Decommissioning, Operation: r.op.ID, Reason: r.op.Reason,
			}})
			return
		}
	}
	r.phase(PhaseLeaders, c.in.Now)
	r.leadersA = c.in.Now
}

// leaders hands over every leadership of the nodes.
func (c *Controller) leaders(r *run) {
	if r.leadersA.IsZero() {
		r.leadersA = c.in.Now
	}
	alive := slices.ContainsFunc(r.op.Spec.Nodes, func(id cluster.NodeID) bool { return c.snap.Node(id).Live() })
	if !alive {
		endPhase(&r.op, PhaseLeaders, phaseSkipped, "not alive", c.in.Now)
		r.phase(PhaseMove, c.in.Now)
		return
	}
	plan, _ := placement.Make(c.snap, placement.Intent{Goal: placement.GoalDrain, Nodes: r.op.Spec.Nodes})
	for _, t := range plan.Transfers {
		c.hand(r.op.ID, t)
	}
	c.count(r)
	if len(plan.Transfers) == 0 && !c.handing(r.op.ID) || c.in.Now.Sub(r.leadersA) > leadersFor {
		r.phase(PhaseMove, c.in.Now)
	}
}

func (c *Controller) handing(op string) bool {
	for _, h := range c.transfers {
		if h.op == op {
			return true
		}
	}
	return false
}

// moveOff keeps as many moves going as there is room for, until no descriptor
// names the nodes but for the meta range's learners, which go last: through
// them the nodes know what happens to them.
func (c *Controller) moveOff(r *run) {
	left := c.remaining(r)
	c.count(r)
	if left.Replicas == 0 {
		if !c.movingFor(r.op.ID) {
			r.work, r.op.Items, r.op.ItemsTotal, r.op.Pace, r.op.Stalled, r.op.Refusals = nil, nil, 0, cluster.Pace{}, false, nil
			r.say(cluster.OpRunning, "")
			r.phase(PhaseSQLDrain, c.in.Now)
		}
		return
	}
	if len(r.work) == 0 && c.in.Now.Sub(r.plannedA) >= replanEvery {
		c.replan(r)
	}
	c.begin(r)
}

// begin starts what of an operation's work there is room for, and says how it stands.
func (c *Controller) begin(r *run) {
	rest := r.work[:0]
	for _, m := range r.work {
		if c.moves[m.Range] != nil || c.start(r.op.ID, m) {
			delete(r.gave, m.Range)
			continue
		}
		rest = append(rest, m)
	}
	r.work = rest
	c.standing(r)
}

func (c *Controller) replan(r *run) {
	r.plannedA = c.in.Now
	plan, verdict := c.planDecommission(r)
	r.work = r.work[:0]
	for _, m := range plan.Moves {
		if metaLearner(c.snap, m) || c.moves[m.Range] != nil {
			continue
		}
		r.work = append(r.work, m)
	}
	r.op.Refusals = obstacles(verdict)
	if !verdict.OK() {
		r.op.Why = verdict.String()
	} else if r.op.State == cluster.OpRunning {
		r.op.Why = ""
	}
}

// metaLearner reports whether m only removes a learner of the meta range.
func metaLearner(s *placement.Snapshot, m placement.Move) bool {
	if m.Range != cluster.MetaRangeID || m.To != 0 {
		return false
	}
	rep, ok := s.Range(m.Range).Descriptor.On(m.From)
	return ok && rep.Role == cluster.Learner
}

func (c *Controller) movingFor(op string) bool {
	for _, m := range c.moves {
		if m.op == op {
			return true
		}
	}
	return false
}

// remaining counts what the nodes still hold and lead, learners of the meta
// range aside.
func (c *Controller) remaining(r *run) cluster.Progress {
	var left cluster.Progress
	for i := range c.snap.Ranges {
		x := &c.snap.Ranges[i]
		held := 0
		for _, rep := range x.Descriptor.Replicas {
			if !goes(x, rep, r.op.Spec.Nodes) {
				continue
			}
			held++
			left.Bytes += x.Bytes
		}
		if held > 0 {
			left.Ranges++
			left.Replicas += held
		}
		if slices.Contains(r.op.Spec.Nodes, x.Leader) {
			left.Leaders++
		}
	}
	return left
}

// items lists the moves of the operation as they stand, and returns how many go on.
func (c *Controller) items(r *run) (going int) {
	r.op.Items = r.op.Items[:0:0]
	for _, id := range sorted(c.moves) {
		m := c.moves[id]
		if m.op != r.op.ID {
			continue
		}
		item := cluster.Item{
			Range: id, From: m.move.From, To: m.move.To, Step: m.step, Attempts: m.attempts,
			Error: m.failed, Why: m.why, Bytes: m.move.Bytes, BytesDone: c.copiedBy(m.move),
		}
		if m.blocked() {
			item.Step = "blocked"
			item.Why = string(m.code) + " " + m.why
		} else {
			going++
		}
		c.explain(&item, m)
		r.op.Items = append(r.op.Items, item)
	}
	for _, id := range sorted(r.gave) {
		if c.moves[id] == nil {
			r.op.Items = append(r.op.Items, r.gave[id])
		}
	}
	r.op.ItemsTotal = len(r.op.Items) + len(r.work)
	if len(r.op.Items) > itemsKept {
		r.op.Items = r.op.Items[:itemsKept]
	}
	return going
}

// standing fills in the items, and says blocked when nothing goes on.
func (c *Controller) standing(r *run) {
	going := c.items(r)
	defer c.pace(r)
	if going > 0 || len(r.op.Items) == 0 && len(r.work) > 0 {
		r.movedAt = c.in.Now
		r.say(cluster.OpRunning, "")
		return
	}
	if c.in.Now.Sub(r.movedAt) > c.cfg.Fresh {
		why := r.op.Why
		for _, it := range r.op.Items {
			if it.Step == "blocked" {
				why = fmt.Sprintf("%d ranges cannot go on; %s: %s", len(r.op.Items), it.Range, it.Why)
				break
			}
		}
		r.say(cluster.OpBlocked, why)
	}
}

// sqlDrain empties the nodes of sessions. A node that is not alive has none; one
// that takes too long is left to its sessions, which its end will close.
func (c *Controller) sqlDrain(r *run) {
	if r.sqlDrainAt.IsZero() {
		r.sqlDrainAt = c.in.Now
	}
	limit := c.cfg.SQLDrain
	if r.op.Spec.TxnTimeout > 0 {
		limit = time.Duration(r.op.Spec.TxnTimeout * float64(time.Second))
	}
	var waiting []string
	sessions, alive := 0, false
	for _, id := range r.op.Spec.Nodes {
		n := c.snap.Node(id)
		if !n.Live() || r.op.Spec.Keep && !n.Reported {
			continue
		}
		alive = true
		if n.Service == cluster.Drained || n.Service == cluster.Stopping {
			continue
		}
		if st := c.in.Reports[id].Status; st != nil {
			sessions += st.Sessions
		}
		waiting = append(waiting, id.String())
		if c.in.Now.Sub(c.told[id]) > replanEvery {
			c.told[id] = c.in.Now
			spec := cluster.OperationSpec{Kind: cluster.OpDrain, Nodes: []cluster.NodeID{id}, TxnTimeout: limit.Seconds(), OnDeadline: "force"}
			c.do(Action{Kind: ActDrain, Operation: r.op.ID, To: id, Spec: spec})
		}
	}
	if len(waiting) > 0 && c.in.Now.Sub(r.sqlDrainAt) < limit+c.cfg.Fresh {
		r.op.Done.Sessions = sessions
		notePhase(&r.op, PhaseSQLDrain, fmt.Sprintf("%d sessions left on %s", sessions, strings.Join(waiting, ", ")))
		return
	}
	state, note := phaseDone, ""
	if !alive {
		state, note = phaseSkipped, "not alive"
	} else if len(waiting) > 0 {
		note = fmt.Sprintf("%d sessions were left after %s", sessions, limit)
	}
	endPhase(&r.op, PhaseSQLDrain, state, note, c.in.Now)
	r.phase(PhaseVerify, c.in.Now)
}

// verify takes the last learners of the meta range away, asks every range's
// leader what it has applied, and ends the operation with the proof.
func (c *Controller) verify(r *run) {
	if c.remaining(r).Replicas > 0 {
		r.proof = nil
		r.phase(PhaseMove, c.in.Now) // something came back: once more
		return
	}
	if c.dropMetaLearners(r) {
		return
	}
	if r.proof == nil {
		c.beginProof(r)
		return
	}
	if len(r.proof.waiting) > 0 {
		return
	}
	if at, missing := c.in.View.Uncovered(maps.Values(r.proof.found)); missing && r.proof.failed == "" {
		r.proof.failed = fmt.Sprintf("%s belongs to a range that was split off just now", at)
	}
	if r.proof.failed != "" || len(r.proof.found) < len(c.snap.Ranges) {
		r.op.Why = "the proof waits: " + r.proof.failed
		r.proof, r.retryAt = nil, c.in.Now.Add(c.cfg.Retry)
		return
	}
	c.finish(r)
}

// dropMetaLearners starts or awaits the removal of the nodes' copies of the meta
// range; false once there are none.
func (c *Controller) dropMetaLearners(r *run) bool {
	d := &c.snap.Range(cluster.MetaRangeID).Descriptor
	held := slices.ContainsFunc(d.Replicas, func(rep cluster.ReplicaDescriptor) bool { return slices.Contains(r.op.Spec.Nodes, rep.Node) })
	if m := c.moves[d.ID]; m != nil {
		return held || m.op == r.op.ID
	}
	if !held {
		return false
	}
	for _, id := range r.op.Spec.Nodes {
		if _, ok := d.On(id); ok {
			c.start(r.op.ID, placement.Move{Range: d.ID, From: id, Why: "the node is leaving"})
			break
		}
	}
	return true
}

// beginProof asks each leader for the descriptors of the ranges that it leads.
func (c *Controller) beginProof(r *run) {
	r.proof = &proofing{waiting: map[uint64]bool{}, found: map[cluster.RangeID]cluster.RangeDescriptor{}}
	led := map[cluster.NodeID][]cluster.RangeID{}
	for i := range c.snap.Ranges {
		x := &c.snap.Ranges[i]
		if x.Leader == 0 {
			r.proof.failed = x.Descriptor.ID.String() + " has no leader that is known"
			continue
		}
		led[x.Leader] = append(led[x.Leader], x.Descriptor.ID)
	}
	for _, n := range sorted(led) {
		r.proof.waiting[c.do(Action{Kind: ActProof, Operation: r.op.ID, To: n, Ranges: led[n]})] = true
	}
}

func (c *Controller) proofDone(done Completion) {
	r := c.runs[done.Action.Operation]
	if r == nil || r.proof == nil || !r.proof.waiting[done.Action.ID] {
		return
	}
	delete(r.proof.waiting, done.Action.ID)
	if done.Err != nil {
		r.proof.failed = done.Err.Error()
		return
	}
	for _, d := range done.Descriptors {
		r.proof.found[d.ID] = d
	}
}

// finish counts the references to the nodes in the proof, and if there are none
// writes tombstones and success in one command: the point of no return.
func (c *Controller) finish(r *run) {
	proof := &cluster.Proof{MetaIndex: c.in.View.Index, Descriptors: len(r.proof.found), Leaders: len(r.proof.found)}
	publish := &metastate.UpdateRanges{}
	for _, id := range sorted(r.proof.found) {
		d := r.proof.found[id]
		for _, rep := range d.Replicas {
			if slices.Contains(r.op.Spec.Nodes, rep.Node) {
				proof.References++
			}
		}
		if old := c.in.View.Ranges.Get(id); old == nil || old.Generation < d.Generation {
			publish.Descriptors = append(publish.Descriptors, d)
		}
	}
	r.proof = nil
	if proof.References > 0 {
		r.op.Why, r.retryAt = leftWhy(proof), c.in.Now.Add(c.cfg.Retry)
		return
	}
	var uuids []string
	for _, id := range r.op.Spec.Nodes {
		uuids = append(uuids, c.in.View.Nodes[id].UUID)
	}
	proof.Tombstone = strings.Join(uuids, ",")
	end := r.op
	end.Phases = slices.Clone(r.op.Phases)
	end.State, end.Why, end.Items, end.Proof = cluster.OpSucceeded, "", nil, proof
	end.ItemsTotal, end.Pace, end.Stalled, end.Refusals, end.ModelError = 0, cluster.Pace{}, false, nil, score(r.stored, end.Planned, c.in.Now)
	end.Done = end.Total
	beginPhase(&end, PhaseStop, c.in.Now)
	endPhase(&end, PhaseStop, phaseDone, "the process stops by itself", c.in.Now)
	if r.op.Spec.Keep {
		endPhase(&end, PhaseStop, phaseSkipped, "asked to keep running", c.in.Now)
	}
	batch := []metastate.Command{
		{SetMembership: &metastate.SetMembership{Nodes: r.op.Spec.Nodes, To: cluster.Decommissioned, Operation: r.op.ID, Reason: r.op.Reason}},
		{UpdateOperation: &metastate.UpdateOperation{Operation: end, Term: c.term}},
	}
	if len(publish.Descriptors) > 0 {
		batch = append([]metastate.Command{{UpdateRanges: publish}}, batch...)
	}
	r.phase(PhaseTombstone, c.in.Now)
	r.command = c.command(r.op.ID, metastate.Command{Batch: batch})
}

// cancelDecommission brings every range that is on its way to a configuration
// it may stay in, then makes the nodes active again. What has moved stays where
// it is; upkeep brings back a fair share.
func (c *Controller) cancelDecommission(r *run) {
	for _, id := range sorted(c.moves) {
		m := c.moves[id]
		if m.op != r.op.ID {
			continue
		}
		x := c.snap.Range(id)
		if m.inflight == 0 && !x.Descriptor.Joint() {
			delete(c.moves, id)
		}
	}
	if c.movingFor(r.op.ID) || c.handing(r.op.ID) || r.saving != 0 || c.reopen(r) {
		return
	}
	end := r.op
	end.State, end.Items, end.Phases = cluster.OpCancelled, nil, slices.Clone(r.op.Phases)
	end.ItemsTotal, end.Pace, end.Stalled, end.Refusals = 0, cluster.Pace{}, false, nil
	var batch []metastate.Command
	back := slices.DeleteFunc(slices.Clone(r.op.Spec.Nodes), func(id cluster.NodeID) bool {
		n := c.in.View.Nodes[id]
		return n == nil || n.Membership != cluster.Decommissioning
	})
	if len(back) > 0 {
		batch = append(batch, metastate.Command{SetMembership: &metastate.SetMembership{Nodes: back, To: cluster.Active, Operation: r.op.ID, Reason: "cancelled"}})
	}
	batch = append(batch, metastate.Command{UpdateOperation: &metastate.UpdateOperation{Operation: end, Term: c.term}})
	r.command = c.command(r.op.ID, metastate.Command{Batch: batch})
}

// reopen lets the nodes serve clients again; false once they were told to. The
// record may be behind the phase that was reached, and a report behind the
// node: so they are told in any case, after whatever was asked of them before.
func (c *Controller) reopen(r *run) bool {
	if r.op.Phase == "" || r.op.Phase == PhaseCheck {
		return false
	}
	if r.reopening == nil {
		r.reopening = map[cluster.NodeID]int{}
	}
	for _, id := range sorted(c.inflight) {
		if a := c.inflight[id]; a.Operation == r.op.ID && (a.Kind == ActDrain || a.Kind == ActUndrain) {
			return true
		}
	}
	waits := false
	for _, id := range r.op.Spec.Nodes {
		if n := c.snap.Node(id); n == nil || !n.Live() || r.reopening[id] >= reopenTries {
			continue
		}
		waits = true
		r.reopening[id]++
		c.do(Action{Kind: ActUndrain, Operation: r.op.ID, To: id})
	}
	return waits
}

// leftWhy says that the proof has found what should be gone.
func leftWhy(p *cluster.Proof) string {
	return fmt.Sprintf("the proof waits: %d replicas are left where none should be", p.References)
}
