package operation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

// ServiceConfig is what a Service needs of the node.
type ServiceConfig struct {
	Self     cluster.NodeID
	Meta     Meta
	Caller   Caller
	Server   *Server
	Liveness func() map[cluster.NodeID]cluster.Liveness
	// Sweeps is when the rebalancer looked, if this node coordinates.
	Sweeps func() Sweeps
	// Now is what this node takes for the time: wall clocks jump; nil: time.Now.
	Now func() time.Time
}

// Service is how operations are asked for, on any node.
type Service struct {
	cfg    ServiceConfig
	recent recentPlans
	heard  intake // what dashboards and plans look at, without how long pings take
	pings  intake // with it: of a thousand nodes a million figures, which few ask for
	mu     struct {
		sync.Mutex
		lookout *lookout // of the last question to all nodes; nil: none lately
	}
}

// NewService returns a Service.
func NewService(cfg ServiceConfig) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Service{cfg: cfg, heard: intake{brief: true}}
}

// keepStatuses is how long the answers of all nodes are kept for the next question:
// a dashboard asks each second, and of many ranges they are much memory.
const keepStatuses = time.Minute

// Observation is the cluster as one fan-out found it.
type Observation struct {
	At       time.Time
	View     *metastate.View
	Statuses map[cluster.NodeID]*cluster.NodeStatus
	Missing  []cluster.NodeID // sorted: those that did not answer in time
	Liveness map[cluster.NodeID]cluster.Liveness
	Snapshot *placement.Snapshot
}

// ClusterStatus asks every node at once, and waits for each no longer than
// perNode (0: 3 s).
func (s *Service) ClusterStatus(ctx context.Context, perNode time.Duration) Observation {
	if perNode <= 0 {
		perNode = pollTimeout
	}
	o := Observation{View: s.cfg.Meta.View(), Statuses: map[cluster.NodeID]*cluster.NodeStatus{}, Liveness: map[cluster.NodeID]cluster.Liveness{}}
	for id, l := range s.cfg.Liveness() {
		o.Liveness[id] = l
	}
	o.Liveness[s.cfg.Self] = cluster.Alive
	answers := s.askAll(ctx, o.View, perNode, &s.heard)
	s.heard.keepFor(keepStatuses, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.mu.lookout = nil
	})
	o.At = s.cfg.Now().UTC().Round(0)
	reports := map[cluster.NodeID]Report{}
	for node, st := range answers {
		if st == nil {
			o.Missing = append(o.Missing, node)
			continue
		}
		o.Statuses[node] = st
		reports[node] = Report{Status: st, At: o.At}
	}
	slices.Sort(o.Missing)
	o.Snapshot = s.snapshot(&sources{now: o.At, self: s.cfg.Self, view: o.View, reports: reports, liveness: o.Liveness, fresh: DefaultConfig().Fresh})
	return o
}

// snapshot returns a snapshot that stays as it is. What it has in common with the
// last one is not made anew.
func (s *Service) snapshot(src *sources) *placement.Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.lookout == nil {
		s.mu.lookout = newLookout(Planted{})
	}
	s.mu.lookout.update(src)
	out := *s.mu.lookout.snap
	out.Ranges = slices.Clone(out.Ranges)
	out.Busy = busy(src.view, "")
	return &out
}

// Pings asks every node at once how long its pings take, with the rest of its status.
// Who does not answer within perNode (0: 3 s) is not in the result.
func (s *Service) Pings(ctx context.Context, perNode time.Duration) map[cluster.NodeID]*cluster.NodeStatus {
	if perNode <= 0 {
		perNode = pollTimeout
	}
	out := s.askAll(ctx, s.cfg.Meta.View(), perNode, &s.pings)
	s.pings.keepFor(keepStatuses, func() {})
	maps.DeleteFunc(out, func(_ cluster.NodeID, st *cluster.NodeStatus) bool { return st == nil })
	return out
}

// askAll asks every node of a view at once; nil is the status of one that does not
// answer in time.
func (s *Service) askAll(ctx context.Context, v *metastate.View, perNode time.Duration, in *intake) map[cluster.NodeID]*cluster.NodeStatus {
	type answer struct {
		node   cluster.NodeID
		status *cluster.NodeStatus
	}
	var wg sync.WaitGroup
	answers := make(chan answer, len(v.Nodes))
	for _, id := range v.NodeIDs() {
		if v.Nodes[id].Membership == cluster.Decommissioned {
			continue
		}
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, perNode)
			defer cancel()
			st, err := s.ask(ctx, id, in)
			if err != nil {
				st = nil
			}
			answers <- answer{id, st}
		})
	}
	wg.Wait()
	close(answers)
	out := make(map[cluster.NodeID]*cluster.NodeStatus, len(v.Nodes))
	for a := range answers {
		out[a.node] = a.status
	}
	return out
}

func (s *Service) ask(ctx context.Context, id cluster.NodeID, in *intake) (*cluster.NodeStatus, error) {
	if id == s.cfg.Self {
		st := s.cfg.Server.Status.Whole()
		return &st, nil
	}
	st, _, err := in.ask(ctx, id, s.cfg.Caller.Call)
	return st, err
}

// Preview is what an operation would do.
type Preview struct {
	Plan     placement.Plan
	Verdict  placement.Verdict
	Took     time.Duration
	Snapshot *placement.Snapshot
	At       cluster.Key // of a split
}

// DryRun plans without changing anything. A refusal is in the verdict.
func (s *Service) DryRun(ctx context.Context, spec cluster.OperationSpec) (Preview, error) {
	spec, err := s.validate(spec, "")
	if err != nil {
		return Preview{}, err
	}
	if spec.Kind == cluster.OpUpgrade {
		p := s.previewUpgrade(ctx, spec)
		s.recent.add(p.Plan.ID, spec)
		return p, nil
	}
	if spec.Kind == cluster.OpSplit {
		p := s.previewSplit(ctx, spec)
		spec.At = p.At
		s.recent.add(p.Plan.ID, spec)
		return p, nil
	}
	p := s.settled(ctx, spec)
	s.recent.add(p.Plan.ID, spec)
	return p, nil
}

// A refusal that passes by itself is looked at again for settleFor before it is
// the answer: a follower that has missed a heartbeat, or a leader that was elected
// just now, must not make a script give up.
const (
	settleFor   = 3 * time.Second
	settleEvery = 200 * time.Millisecond
)

// settled plans, again while what refuses may pass.
func (s *Service) settled(ctx context.Context, spec cluster.OperationSpec) Preview {
	until := time.Now().Add(settleFor)
	for {
		o := s.ClusterStatus(ctx, 0)
		began := time.Now()
		p := s.plan(spec, o.Snapshot)
		p.Took = time.Since(began)
		if !p.Verdict.Passes() || time.Now().After(until) || sleep(ctx, settleEvery) != nil {
			return p
		}
	}
}

func (s *Service) plan(spec cluster.OperationSpec, snap *placement.Snapshot) Preview {
	if spec.MaxDisk > 0 {
		snap.MaxDisk = spec.MaxDisk
	}
	if spec.Rate > 0 {
		snap.Rate = spec.Rate
	}
	if spec.Kind.MovesOnly() {
		return s.planSteps(spec, snap)
	}
	if spec.Kind.OfPool() {
		return s.previewPool(spec, snap)
	}
	goal := placement.GoalDrain
	if spec.Kind == cluster.OpDecommission {
		goal = placement.GoalDecommission
	}
	plan, verdict := placement.Make(snap, placement.Intent{Goal: goal, Nodes: spec.Nodes})
	plan.ID = planID(&plan, s.cfg.Meta.View(), spec)
	return Preview{Plan: plan, Verdict: verdict, Snapshot: snap}
}

// validate brings a spec into its form, or says what is wrong with it.
func (s *Service) validate(spec cluster.OperationSpec, key string) (cluster.OperationSpec, error) {
	if spec.Kind.MovesOnly() {
		return s.validateSteps(spec)
	}
	spec.Nodes = slices.Clone(spec.Nodes)
	slices.Sort(spec.Nodes)
	spec.Nodes = slices.Compact(spec.Nodes)
	v := s.cfg.Meta.View()
	if spec.Kind == cluster.OpSplit {
		return spec, validateSplit(v, &spec)
	}
	if spec.Kind.OfPool() {
		return spec, validatePool(v, &spec, key)
	}
	if spec.Kind == cluster.OpUpgrade {
		return spec, validateUpgrade(v, &spec)
	}
	switch {
	case spec.Kind != cluster.OpDrain && spec.Kind != cluster.OpDecommission:
		return spec, refused(Invalid, "there is no operation called %q", spec.Kind)
	case len(spec.Nodes) == 0:
		return spec, refused(Invalid, "no node was named")
	case spec.Kind == cluster.OpDrain && len(spec.Nodes) > 1:
		return spec, refused(Invalid, "a drain is of one node: ask for one after the other")
	case spec.MaxDisk < 0 || spec.MaxDisk > 1:
		return spec, refused(Invalid, "the share of a disk must be between 0 and 1, not %v", spec.MaxDisk)
	case min(spec.LBWait, spec.TxnTimeout, spec.Deadline, spec.TTL) < 0:
		return spec, refused(Invalid, "a duration cannot be negative")
	case spec.OnDeadline != "" && spec.OnDeadline != "stop" && spec.OnDeadline != "force":
		return spec, refused(Invalid, "on deadline: stop or force, not %q", spec.OnDeadline)
	}
	for _, id := range spec.Nodes {
		if v.Nodes[id] == nil {
			return spec, refused(NotFound, "there is no node %s", id)
		}
	}
	return spec, nil
}

// StartRequest asks for an operation.
type StartRequest struct {
	Spec    cluster.OperationSpec
	Confirm string // the plan that was consented to; empty: none was shown
	By      string
	Reason  string
	Key     string // idempotency key; empty: kind and nodes
	// Queue has the operation wait for those in its way, instead of being refused.
	Queue bool
}

// Start checks and records an operation; the coordinator begins it. The same
// request again finds the operation of the first. A refusal is a *RefusedError.
func (s *Service) Start(ctx context.Context, r StartRequest) (op cluster.Operation, existed bool, err error) {
	spec, err := s.validate(r.Spec, r.Key)
	if err != nil {
		return op, false, err
	}
	if spec.Kind == cluster.OpSplit {
		return s.startSplit(ctx, r, spec)
	}
	if spec.Kind == cluster.OpUpgrade {
		return s.startUpgrade(ctx, r, spec)
	}
	if spec.Kind.MovesOnly() {
		return s.startSteps(ctx, r, spec)
	}
	if spec.Kind.OfPool() {
		return s.startPool(ctx, r, spec)
	}
	record := cluster.Operation{Spec: spec, RequestedBy: r.By, Reason: r.Reason, IdempotencyKey: r.Key, State: cluster.OpQueued, Queue: r.Queue}
	if !s.repeats(spec, r.Key) {
		p, err := s.judge(ctx, r, spec)
		if err != nil {
			return op, false, err
		}
		record.PlanID, record.Total, record.Planned = p.Plan.ID, p.Plan.Total, p.Plan.Prediction.P50
		record.Phases = decommissionPhases()
		if spec.Kind == cluster.OpDrain {
			record.Phases = drainPhases(spec.Shutdown)
		}
	}
	return s.record(ctx, r, metastate.Command{CreateOperation: &metastate.CreateOperation{Operation: record}})
}

// record proposes what creates an operation, alone or as the last of a batch.
func (s *Service) record(ctx context.Context, r StartRequest, cmd metastate.Command) (op cluster.Operation, existed bool, err error) {
	cmd.By, cmd.Via = r.By, "admin"
	res, err := s.cfg.Meta.Propose(ctx, cmd)
	if err != nil {
		return op, false, fmt.Errorf("record the operation: %w", err)
	}
	if res.Refusal != nil {
		return op, false, ofMeta(res.Refusal)
	}
	if n := len(res.Batch); n > 0 {
		res = res.Batch[n-1]
	}
	return *res.Operation, res.Existed, nil
}

// judge plans what is asked for, and refuses what must not begin. What waits its
// turn behind an operation on the same nodes is judged when that comes.
func (s *Service) judge(ctx context.Context, r StartRequest, spec cluster.OperationSpec) (Preview, error) {
	front := s.inTheWay(spec)
	if front != nil && !r.Queue {
		return Preview{}, &RefusedError{
			Kind: Conflict, Operation: front.ID,
			Message: fmt.Sprintf("%s, a %s of %s, is %s", front.ID, front.Spec.Kind, nodeNames(front.Spec.Nodes), front.State),
		}
	}
	p := s.settled(ctx, spec)
	if !p.Verdict.OK() && r.Queue {
		p = s.plan(spec, p.Snapshot.Settled()) // what waits for the others need not be safe beside them
	}
	if front != nil && r.Confirm == "" {
		return p, nil
	}
	return p, s.accept(r, spec, &p)
}

// inTheWay returns the oldest drain or decommission that has not ended and shares
// a node with spec; nil: there is none.
func (s *Service) inTheWay(spec cluster.OperationSpec) *cluster.Operation {
	v := s.cfg.Meta.View()
	for _, id := range v.OperationIDs() {
		op := v.Operations[id]
		if op.State.Final() || op.Spec.Kind != cluster.OpDrain && op.Spec.Kind != cluster.OpDecommission {
			continue
		}
		if slices.ContainsFunc(op.Spec.Nodes, func(n cluster.NodeID) bool { return slices.Contains(spec.Nodes, n) }) {
			return op
		}
	}
	return nil
}

// repeats reports whether the request is one that is recorded: then what it asks
// for was checked, and the meta range says which operation it is.
func (s *Service) repeats(spec cluster.OperationSpec, key string) bool {
	v := s.cfg.Meta.View()
	for _, op := range v.Operations {
		if key != "" && op.IdempotencyKey == key {
			return true
		}
		same := op.Spec.Kind == spec.Kind && slices.Equal(op.Spec.Nodes, spec.Nodes)
		if same && (!op.State.Final() || spec.Kind == cluster.OpDecommission && op.State == cluster.OpSucceeded) {
			return true
		}
	}
	return false
}

func ofMeta(r *metastate.Refusal) error {
	kind := Conflict
	switch r.Code {
	case metastate.CodeNotFound:
		kind = NotFound
	case metastate.CodeInvalid, metastate.CodeMalformed:
		kind = Invalid
	case metastate.CodeTombstoned, metastate.CodeNoReturn, metastate.CodeVersion:
		kind = Unsafe
	case metastate.CodeDenied:
		kind = Denied
	case metastate.CodeExists:
		kind = Exists
	case metastate.CodeReferenced:
		kind = InUse
	}
	return &RefusedError{Kind: kind, Message: r.Message, Operation: r.Operation}
}

// Cancel asks a running operation to end. Asked again, it says the same.
func (s *Service) Cancel(ctx context.Context, id, by, reason string) (cluster.Operation, error) {
	res, err := s.cfg.Meta.Propose(ctx, metastate.Command{By: by, Via: "admin", RequestCancel: &metastate.RequestCancel{ID: id, Reason: reason}})
	if err != nil {
		return cluster.Operation{}, fmt.Errorf("cancel %s: %w", id, err)
	}
	if res.Refusal == nil {
		return *res.Operation, nil
	}
	if op := s.cfg.Meta.View().Operations[id]; res.Refusal.Code == metastate.CodeFinal && op != nil && op.State == cluster.OpCancelled {
		return *op, nil
	}
	return cluster.Operation{}, ofMeta(res.Refusal)
}

// Undrain ends the drains of nodes, those that have ended as drained too, and
// returns the operations that it cancelled. A node that does not answer is an
// error unless its drain was cancelled: its restart undrains it as well.
func (s *Service) Undrain(ctx context.Context, nodes []cluster.NodeID, by, reason string) ([]cluster.Operation, error) {
	ended, err := s.cancelAll(ctx, cluster.OpDrain, nodes, by, reason)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, id := range nodes {
		if s.cfg.Meta.View().Nodes[id] == nil {
			return ended, refused(NotFound, "there is no node %s", id)
		}
		if err := s.undrain(ctx, id); err != nil && !slices.ContainsFunc(ended, func(op cluster.Operation) bool { return slices.Contains(op.Spec.Nodes, id) }) {
			errs = append(errs, fmt.Errorf("undrain %s: %w", id, err))
		}
	}
	return ended, errors.Join(errs...)
}

func (s *Service) undrain(ctx context.Context, id cluster.NodeID) error {
	ctx, cancel := context.WithTimeout(ctx, actionTimeout)
	defer cancel()
	if id == s.cfg.Self {
		s.cfg.Server.Drainer.Undrain()
		return nil
	}
	_, err := s.cfg.Caller.Call(ctx, id, MethodUndrain, nil)
	return err
}

// Recommission cancels the decommissions of nodes. A node that is left
// decommissioning without an operation is made active again.
func (s *Service) Recommission(ctx context.Context, nodes []cluster.NodeID, by, reason string) ([]cluster.Operation, error) {
	v := s.cfg.Meta.View()
	for _, id := range nodes {
		n := v.Nodes[id]
		if n == nil {
			return nil, refused(NotFound, "there is no node %s", id)
		}
		if n.Membership == cluster.Decommissioned {
			return nil, refused(Unsafe, "%s is decommissioned for ever: wipe its data directory and let it join as a new node", id)
		}
	}
	ended, err := s.cancelAll(ctx, cluster.OpDecommission, nodes, by, reason)
	if err != nil {
		return nil, err
	}
	orphans := slices.DeleteFunc(slices.Clone(nodes), func(id cluster.NodeID) bool {
		claimed := slices.ContainsFunc(ended, func(op cluster.Operation) bool { return slices.Contains(op.Spec.Nodes, id) })
		return claimed || v.Nodes[id].Membership != cluster.Decommissioning
	})
	if len(orphans) == 0 {
		return ended, nil
	}
	res, err := s.cfg.Meta.Propose(ctx, metastate.Command{By: by, Via: "admin", SetMembership: &metastate.SetMembership{Nodes: orphans, To: cluster.Active, Reason: reason}})
	if err != nil {
		return ended, fmt.Errorf("recommission: %w", err)
	}
	if res.Refusal != nil {
		return ended, ofMeta(res.Refusal)
	}
	return ended, nil
}

// cancelAll asks every operation of a kind that has not ended and concerns one
// of the nodes to end.
func (s *Service) cancelAll(ctx context.Context, kind cluster.OperationKind, nodes []cluster.NodeID, by, reason string) ([]cluster.Operation, error) {
	v := s.cfg.Meta.View()
	var ended []cluster.Operation
	for _, id := range v.OperationIDs() {
		op := v.Operations[id]
		concerned := slices.ContainsFunc(op.Spec.Nodes, func(n cluster.NodeID) bool { return slices.Contains(nodes, n) })
		if op.Spec.Kind != kind || op.State.Final() || !concerned {
			continue
		}
		done, err := s.Cancel(ctx, id, by, reason)
		var no *RefusedError
		if errors.As(err, &no) && s.cfg.Meta.View().Operations[id].State.Final() {
			continue // it ended by itself meanwhile
		}
		if err != nil {
			return ended, err
		}
		ended = append(ended, done)
	}
	return ended, nil
}

// SetCordon says whether a node may receive replicas and leaderships.
func (s *Service) SetCordon(ctx context.Context, node cluster.NodeID, cordon bool, by string) error {
	res, err := s.cfg.Meta.Propose(ctx, metastate.Command{By: by, Via: "admin", SetCordon: &metastate.SetCordon{Node: node, Cordon: cordon}})
	if err != nil {
		return fmt.Errorf("cordon %s: %w", node, err)
	}
	if res.Refusal != nil {
		return ofMeta(res.Refusal)
	}
	return nil
}

// DrainSelf drains this node on behalf of its own machine: a preStop hook, an
// operator at its console. It asks for an operation as anyone would; if there is
// no quorum to record it, or if it is refused, the node drains by itself, and the
// returned operation has no id. Who may not ask is refused.
func (s *Service) DrainSelf(ctx context.Context, spec cluster.OperationSpec, by string) (cluster.Operation, error) {
	spec.Kind, spec.Nodes = cluster.OpDrain, []cluster.NodeID{s.cfg.Self}
	if _, err := s.validate(spec, ""); err != nil {
		return cluster.Operation{}, err
	}
	asking, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	op, _, err := s.Start(asking, StartRequest{Spec: spec, By: by})
	var no *RefusedError
	if err == nil || errors.As(err, &no) && no.Kind == Denied {
		return op, err
	}
	if spec.OnDeadline == "" {
		spec.OnDeadline = "force"
	}
	s.cfg.Server.Drainer.Begin(spec)
	return cluster.Operation{Spec: spec, RequestedBy: by, State: cluster.OpRunning, Why: "local: " + err.Error()}, nil
}

// Wait returns the operation once it has ended, or is as far as until says.
func (s *Service) Wait(ctx context.Context, id string, until func(*cluster.Operation) bool) (cluster.Operation, error) {
	seen := make(chan struct{}, 1)
	cancel := s.cfg.Meta.Subscribe(func(*metastate.View) {
		select {
		case seen <- struct{}{}:
		default:
		}
	})
	defer cancel()
	for {
		op := s.cfg.Meta.View().Operations[id]
		if op != nil && (op.State.Final() || until != nil && until(op)) {
			return *op, nil
		}
		select {
		case <-seen:
		case <-ctx.Done():
			if op == nil {
				return cluster.Operation{}, refused(NotFound, "there is no operation %s", id)
			}
			return *op, context.Cause(ctx)
		}
	}
}
