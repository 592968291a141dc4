package operation

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

// The verdicts on how even the load is.
const (
	Balanced = "balanced"
	WouldAct = "would-act"
	NoData   = "no-data"
	Blocked  = "blocked"
)

// The states of a stored plan.
const (
	PlanValid   = "valid"
	PlanStale   = "stale" // a step of it cannot be made any more
	PlanApplied = "applied"
	PlanExpired = "expired"
)

// Rebalance is how even the load is and what would be done about it.
type Rebalance struct {
	Observation Observation
	Policy      string
	Verdict     string // balanced | would-act | no-data | blocked
	Why         string
	Dimensions  []placement.Dimension
	Gates       []placement.Gate
	Loads       []placement.NodeLoad
	Plan        placement.Plan
	Sweeps      Sweeps
	Operation   string // the rebalance that runs
	History     []cluster.Sweep
}

// Rebalance asks every node, and the coordinator when it looked.
func (s *Service) Rebalance(ctx context.Context, perNode time.Duration) Rebalance {
	o := s.ClusterStatus(ctx, perNode)
	out := Rebalance{Observation: o, Policy: o.View.Settings.Rebalance(), Loads: placement.Loads(o.Snapshot), Sweeps: s.sweeps(ctx)}
	in := placement.Intent{Goal: placement.GoalRebalance, Threshold: o.View.Settings.RebalanceSpread()}
	in.Cooling, in.CoolingLeaders = cooling(o.View, o.At, DefaultConfig().Cooldown)
	out.Gates = placement.Gates(o.Snapshot, in.Cooling)
	var verdict placement.Verdict
	out.Plan, verdict = placement.Make(o.Snapshot, in)
	out.Dimensions = out.Plan.Before
	busy := placement.Gate{Name: "operation", Open: true, Why: "no operation is under way"}
	for _, id := range o.View.OperationIDs() {
		op := o.View.Operations[id]
		if op.State.Final() {
			continue
		}
		if op.Spec.Kind == cluster.OpRebalance {
			out.Operation = id
		}
		busy.Open, busy.Why = false, fmt.Sprintf("%s, a %s, is %s: the rebalancer waits for it", id, op.Spec.Kind, op.State)
		busy.Nodes = op.Spec.Nodes
	}
	out.Gates = append(out.Gates, busy)
	out.Verdict, out.Why = judge(&out, &verdict)
	for _, id := range o.View.SweepIDs() {
		out.History = append(out.History, *o.View.Sweeps[id])
	}
	return out
}

// judge says in a word and a sentence what the rebalancer would do.
func judge(r *Rebalance, v *placement.Verdict) (verdict, why string) {
	uneven := unevenness(r.Dimensions)
	var shut []string
	for _, g := range r.Gates {
		if !g.Open {
			shut = append(shut, g.Why)
		}
	}
	switch {
	case !v.OK():
		return NoData, v.Refusals[0].Why
	case uneven == "":
		return Balanced, "every dimension is within the threshold"
	case !r.Plan.Empty() && r.Operation == "" && !r.Gates[len(r.Gates)-1].Open:
		return Blocked, r.Gates[len(r.Gates)-1].Why
	case !r.Plan.Empty():
		return WouldAct, uneven
	case len(shut) > 0:
		return Blocked, strings.Join(shut, "; ")
	}
	return Balanced, "no single step would make it more even; " + uneven
}

// MethodSweeps asks the coordinator when it looked.
const MethodSweeps = "rebalance.sweeps"

// sweeps asks the coordinator when it looked; zero if it does not answer.
func (s *Service) sweeps(ctx context.Context) Sweeps {
	leader, _, self := s.cfg.Meta.Leader()
	if self && s.cfg.Sweeps != nil {
		return s.cfg.Sweeps()
	}
	var out Sweeps
	if leader == 0 || self {
		return out
	}
	b, err := s.cfg.Caller.Call(ctx, leader, MethodSweeps, nil)
	if err != nil || json.Unmarshal(b, &out) != nil {
		return Sweeps{}
	}
	return out
}

// StoredPlan is a stored plan and what has become of it.
type StoredPlan struct {
	cluster.StoredPlan
	Plan  placement.Plan
	State string
	// Stale says of each step that cannot be made any more why.
	Stale []string
}

// CreatePlan plans and keeps the plan. One that would be refused is an error; an
// empty one is not kept.
func (s *Service) CreatePlan(ctx context.Context, spec cluster.OperationSpec, by string) (StoredPlan, Observation, error) {
	spec, err := s.validate(spec, "")
	if err != nil {
		return StoredPlan{}, Observation{}, err
	}
	o := s.ClusterStatus(ctx, 0)
	p := s.plan(spec, o.Snapshot)
	if err := s.accept(StartRequest{}, spec, &p); err != nil {
		return StoredPlan{}, o, err
	}
	if spec.Kind == cluster.OpRebalance {
		spec.Nodes = touched(&p.Plan)
	}
	stored, err := storedPlan(&p.Plan, o.View.Epoch(), spec)
	if err != nil {
		return StoredPlan{}, o, err
	}
	out := StoredPlan{StoredPlan: *stored, Plan: p.Plan, State: PlanValid}
	if p.Plan.Empty() {
		return out, o, nil
	}
	res, err := s.cfg.Meta.Propose(ctx, metastate.Command{By: by, Via: "admin", PutPlan: &metastate.PutPlan{Plan: *stored}})
	if err != nil {
		return out, o, fmt.Errorf("store the plan: %w", err)
	}
	if res.Refusal != nil {
		return out, o, ofMeta(res.Refusal)
	}
	out.StoredPlan = *res.Plan
	return out, o, nil
}

// Plans returns the plan with the id, or all, the newest first.
func (s *Service) Plans(ctx context.Context, id string) ([]StoredPlan, Observation, error) {
	o := s.ClusterStatus(ctx, 0)
	var out []StoredPlan
	for _, pid := range o.View.PlanIDs() {
		if id != "" && pid != id {
			continue
		}
		plan, err := decodePlan(o.View, pid)
		if err != nil {
			return nil, o, err
		}
		p := StoredPlan{StoredPlan: *o.View.Plans[pid], Plan: plan, State: PlanValid}
		for _, st := range stepsOf(&plan) {
			if why := st.stale(o.Snapshot); why != "" {
				p.State = PlanStale
				p.Stale = append(p.Stale, ofRange(st.id(), why))
			}
		}
		switch {
		case p.Operation != "":
			p.State = PlanApplied
		case p.Expired(o.At):
			p.State = PlanExpired
		}
		out = append(out, p)
	}
	if id != "" && len(out) == 0 {
		return nil, o, refused(NotFound, "there is no plan %q", id)
	}
	return out, o, nil
}

// SetPolicy sets what the rebalancer does by itself, and returns what it did
// before.
func (s *Service) SetPolicy(ctx context.Context, policy, by string) (before string, err error) {
	if err := metastate.ValidateSetting(metastate.SettingRebalance, policy); err != nil {
		return "", refused(Invalid, "%v", err)
	}
	before = s.cfg.Meta.View().Settings.Rebalance()
	res, err := s.cfg.Meta.Propose(ctx, metastate.Command{By: by, Via: "admin", SetSetting: &metastate.SetSetting{Name: metastate.SettingRebalance, Value: policy}})
	if err != nil {
		return before, fmt.Errorf("set the policy: %w", err)
	}
	if res.Refusal != nil {
		return before, ofMeta(res.Refusal)
	}
	return before, nil
}

// ExplainRange says for every node whether a replica of the range may be there.
func (s *Service) ExplainRange(ctx context.Context, id cluster.RangeID, perNode time.Duration) (placement.Explanation, Observation, error) {
	o := s.ClusterStatus(ctx, perNode)
	if o.Snapshot.Range(id) == nil {
		return placement.Explanation{}, o, refused(NotFound, "there is no range %s", id)
	}
	in := placement.Intent{Threshold: o.View.Settings.RebalanceSpread()}
	in.Cooling, in.CoolingLeaders = cooling(o.View, o.At, DefaultConfig().Cooldown)
	return placement.Explain(o.Snapshot, id, in), o, nil
}

// validateSteps brings the spec of an operation that moves only into its form.
func (s *Service) validateSteps(spec cluster.OperationSpec) (cluster.OperationSpec, error) {
	v := s.cfg.Meta.View()
	spec.Nodes = nil
	if spec.Kind == cluster.OpRebalance {
		if _, err := placement.ParseBalance(spec.Goal); err != nil {
			return spec, refused(Invalid, "%v", err)
		}
		if spec.Goal == "all" {
			spec.Goal = ""
		}
		if spec.MaxMoves < 0 || spec.MaxMoves > 1000 {
			return spec, refused(Invalid, "a plan has from 1 to 1000 steps, not %d", spec.MaxMoves)
		}
		if spec.Plan != "" && v.Plans[spec.Plan] == nil {
			return spec, refused(NotFound, "there is no plan %q", spec.Plan)
		}
		return spec, nil
	}
	r := v.Ranges.Get(spec.Range)
	if r == nil {
		return spec, refused(NotFound, "there is no range %s", spec.Range)
	}
	for _, id := range []cluster.NodeID{spec.From, spec.To} {
		if id == 0 {
			continue
		}
		if v.Nodes[id] == nil {
			return spec, refused(NotFound, "there is no node %s", id)
		}
		spec.Nodes = append(spec.Nodes, id)
	}
	if spec.To == 0 || spec.Kind == cluster.OpMove && spec.From == 0 {
		return spec, refused(Invalid, "a move needs the node that it goes from and the node that it goes to, a transfer the latter")
	}
	slices.Sort(spec.Nodes)
	spec.Nodes = slices.Compact(spec.Nodes)
	return spec, nil
}

// planSteps plans an operation that moves only.
func (s *Service) planSteps(spec cluster.OperationSpec, snap *placement.Snapshot) Preview {
	if spec.Plan != "" {
		return s.planStored(spec, snap)
	}
	in := placement.Intent{Goal: placement.GoalTransfer, Range: spec.Range, From: spec.From, To: spec.To}
	switch spec.Kind {
	case cluster.OpMove:
		in.Goal = placement.GoalMove
	case cluster.OpRebalance:
		// A person who asks is not held up by the cooldown.
		in = placement.Intent{
			Goal: placement.GoalRebalance, Balance: placement.Balance(spec.Goal), MaxMoves: spec.MaxMoves,
			Threshold: s.cfg.Meta.View().Settings.RebalanceSpread(),
		}
	}
	plan, verdict := placement.Make(snap, in)
	plan.ID = planID(&plan, s.cfg.Meta.View(), spec)
	return Preview{Plan: plan, Verdict: verdict, Snapshot: snap}
}

// planStored looks at a stored plan as it stands now: what is stale is a warning,
// and refuses if the spec is strict, or if nothing is left.
func (s *Service) planStored(spec cluster.OperationSpec, snap *placement.Snapshot) Preview {
	plan, err := decodePlan(s.cfg.Meta.View(), spec.Plan)
	p := Preview{Plan: plan, Snapshot: snap}
	if err != nil {
		p.Verdict.Refuse("plan", placement.Refusal{Code: placement.Constraint, Why: err.Error()})
		return p
	}
	steps, stale := stepsOf(&plan), 0
	var ranges []cluster.RangeID
	for i := range steps {
		if why := steps[i].stale(snap); why != "" {
			stale++
			ranges = append(ranges, steps[i].id())
			if !spec.Strict {
				p.Verdict.Warn("plan", placement.Conflict, "stale, will be dropped: "+ofRange(steps[i].id(), why))
			}
		}
	}
	switch {
	case stale == 0:
		p.Verdict.Pass("plan", "every step of it can still be made")
	case spec.Strict || stale == len(steps):
		p.Verdict.Refuse("plan", placement.Refusal{
			Code: placement.Conflict, Ranges: ranges,
			Why:   fmt.Sprintf("%d of %d steps of %s are stale; %s", stale, len(steps), plan.ID, firstStale(steps, snap)),
			Fixes: []placement.Fix{{Does: "make a new plan", Command: "nodedbctl rebalance plan"}},
		})
	}
	return p
}

func firstStale(steps []step, snap *placement.Snapshot) string {
	for i := range steps {
		if why := steps[i].stale(snap); why != "" {
			return ofRange(steps[i].id(), why)
		}
	}
	return ""
}

// startSteps checks and records an operation that moves only.
func (s *Service) startSteps(ctx context.Context, r StartRequest, spec cluster.OperationSpec) (op cluster.Operation, existed bool, err error) {
	record := cluster.Operation{
		Spec: spec, RequestedBy: r.By, Reason: r.Reason, IdempotencyKey: r.Key, State: cluster.OpQueued, Queue: r.Queue,
		Cause:  cluster.CauseRequest,
		Phases: stepPhases(spec.Kind),
	}
	var batch []metastate.Command
	var plan *placement.Plan
	if !s.known(&record) {
		o := s.ClusterStatus(ctx, 0)
		if stored := o.View.Plans[spec.Plan]; stored != nil && stored.Expired(o.At) {
			return op, false, refused(StalePlan, "plan %s has expired: make a new one", spec.Plan)
		}
		p := s.plan(spec, o.Snapshot)
		if err := s.accept(r, spec, &p); err != nil {
			return op, false, err
		}
		plan = &p.Plan
		record.PlanID, record.Total, record.Planned, record.GainPredicted = plan.ID, plan.Total, plan.Prediction.P50, plan.Gain
	}
	if spec.Kind == cluster.OpRebalance && plan != nil {
		if err := s.claim(&record, plan, &batch); err != nil {
			return op, false, err
		}
	}
	batch = append(batch, metastate.Command{CreateOperation: &metastate.CreateOperation{Operation: record}})
	return s.record(ctx, r, metastate.Command{Batch: batch})
}

// known finds what the request repeats: an operation that it attaches to, whose
// plan was checked then.
func (s *Service) known(record *cluster.Operation) bool {
	v := s.cfg.Meta.View()
	for _, id := range v.OperationIDs() {
		op := v.Operations[id]
		if key := record.IdempotencyKey; key != "" && op.IdempotencyKey == key {
			record.Spec.Nodes, record.Spec.Plan = op.Spec.Nodes, op.Spec.Plan
			return true
		}
		if !op.State.Final() && sameRequest(&op.Spec, &record.Spec) {
			return true
		}
	}
	stored := v.Plans[record.Spec.Plan]
	if stored == nil || stored.Operation == "" {
		return false
	}
	op := v.Operations[stored.Operation]
	if op == nil || op.State.Final() && op.State != cluster.OpSucceeded {
		return false
	}
	record.Spec.Nodes = op.Spec.Nodes
	return true
}

// sameRequest reports whether two specs ask for the same move or transfer.
func sameRequest(a, b *cluster.OperationSpec) bool {
	return a.Kind == b.Kind && a.Kind != cluster.OpRebalance && a.Range == b.Range && a.From == b.From && a.To == b.To
}

// claim gives a rebalance its stored plan, and stores it first if it is new.
func (s *Service) claim(record *cluster.Operation, plan *placement.Plan, batch *[]metastate.Command) error {
	record.Spec.Nodes = touched(plan)
	if len(record.Spec.Nodes) == 0 { // nothing to do: it ends at once
		v := s.cfg.Meta.View()
		record.Spec.Nodes = slices.DeleteFunc(v.NodeIDs(), func(id cluster.NodeID) bool { return v.Nodes[id].Membership != cluster.Active })
	}
	if record.Spec.Plan != "" {
		return nil
	}
	stored, err := storedPlan(plan, s.cfg.Meta.View().Epoch(), record.Spec)
	if err != nil {
		return err
	}
	*batch = append(*batch, metastate.Command{PutPlan: &metastate.PutPlan{Plan: *stored}})
	record.Spec.Plan = plan.ID
	return nil
}
