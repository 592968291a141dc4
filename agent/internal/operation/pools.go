package operation

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

// The phases of operations on pools, besides move, leaders and verify.
const (
	PhaseSeed   = "seed"   // each range is made on one node
	PhaseRemove = "remove" // the replicas of a dropped pool go
)

func poolPhases(kind cluster.OperationKind) []cluster.Phase {
	switch kind {
	case cluster.OpPoolCreate:
		return phases(PhaseSeed, PhaseMove, PhaseLeaders, PhaseVerify)
	case cluster.OpPoolDrop:
		return phases(PhaseRemove)
	}
	return phases(PhaseCheck, PhaseMove, PhaseLeaders, PhaseVerify)
}

// validatePool says what is wrong with a request about a pool, and fills in how
// many ranges a new one begins with. What is recorded under the key may be asked for
// again: the meta range says which operation it is.
func validatePool(v *metastate.View, spec *cluster.OperationSpec, key string) error {
	if len(spec.Nodes) > 0 {
		return refused(Invalid, "a %s is of a pool: it names no nodes", spec.Kind)
	}
	spec.Nodes = nil
	pool, exists := v.Pool(spec.Pool)
	recorded := repeatsPool(v, spec, key)
	if spec.Kind != cluster.OpPoolDrop {
		if spec.Wanted == nil {
			return refused(Invalid, "a %s says what the pool wants", spec.Kind)
		}
		if err := spec.Wanted.Validate(); err != nil {
			return refused(Invalid, "pool %q: %v", spec.Pool, err)
		}
	}
	if spec.Kind == cluster.OpPoolCreate {
		if spec.Ranges == 0 {
			spec.Ranges = cluster.DefaultPoolRanges
		}
		if err := cluster.CheckPoolRanges(spec.Ranges); err != nil {
			return refused(Invalid, "pool %q: %v", spec.Pool, err)
		}
		if err := cluster.CheckPoolName(spec.Pool); err != nil {
			return refused(Invalid, "%v", err)
		}
		if exists && !recorded {
			return refused(Exists, "pool %q already exists", spec.Pool)
		}
		return nil
	}
	switch {
	case recorded:
	case !exists:
		return refused(NotFound, "there is no pool %q: %s", spec.Pool, strings.Join(v.PoolNames(), ", "))
	case spec.Kind == cluster.OpPoolDrop && pool.ID == cluster.DefaultPool:
		return refused(Invalid, "pool %q cannot be dropped: it is everybody's", spec.Pool)
	case spec.Kind == cluster.OpPoolDrop:
		if used := v.CollectionsIn(pool.ID); len(used) > 0 {
			return refused(InUse, "pool %q cannot be dropped: it has the collections %s", spec.Pool, strings.Join(used, ", "))
		}
	case pool.State != cluster.PoolReady:
		return refused(Conflict, "pool %q is %s: it can be changed when it is ready", spec.Pool, pool.State)
	}
	return nil
}

// underWay reports whether an operation of the kind works on the pool.
func underWay(v *metastate.View, spec *cluster.OperationSpec) bool {
	return poolOperation(v, spec) != nil
}

func poolOperation(v *metastate.View, spec *cluster.OperationSpec) *cluster.Operation {
	for _, id := range v.OperationIDs() {
		if op := v.Operations[id]; op.Spec.Kind == spec.Kind && op.Spec.Pool == spec.Pool && !op.State.Final() {
			return op
		}
	}
	return nil
}

// previewPool plans a change of a pool.
func (s *Service) previewPool(spec cluster.OperationSpec, snap *placement.Snapshot) Preview {
	v := s.cfg.Meta.View()
	p := Preview{Snapshot: snap}
	pool, _ := v.Pool(spec.Pool)
	switch {
	case spec.Kind == cluster.OpPoolCreate:
		p.Verdict = placement.CheckPool(snap, spec.Pool, spec.Wanted)
		p.Plan.Total = cluster.Progress{Ranges: spec.Ranges, Replicas: spec.Ranges * spec.Wanted.Replicas}
	case pool == nil: // dropped a moment ago
		p.Verdict.Refuse("pool", placement.Refusal{Code: placement.Constraint, Why: fmt.Sprintf("there is no pool %q", spec.Pool)})
	case spec.Kind == cluster.OpPoolDrop:
		for _, id := range v.RangesIn(pool.ID) {
			p.Plan.Total.Ranges++
			p.Plan.Total.Replicas += len(v.Ranges.Get(id).Replicas)
		}
		p.Verdict.Pass("collections", "no collection is in it")
	default:
		p.Plan, p.Verdict = placement.Make(snap, placement.Intent{Goal: placement.GoalPool, Pool: pool.ID, Wanted: spec.Wanted})
	}
	if spec.Kind != cluster.OpPoolAlter {
		any := placement.Survive(snap).Any // nothing that is there moves
		p.Plan.Prediction.Before, p.Plan.Prediction.During, p.Plan.Prediction.After = any, any, any
	}
	p.Plan.MetaIndex = snap.MetaIndex
	p.Plan.ID = planID(&p.Plan, v, spec)
	return p
}

// startPool records a change of a pool and the operation that carries it out, both
// or neither.
func (s *Service) startPool(ctx context.Context, r StartRequest, spec cluster.OperationSpec) (op cluster.Operation, existed bool, err error) {
	record := cluster.Operation{
		Spec: spec, RequestedBy: r.By, Reason: r.Reason, IdempotencyKey: r.Key, State: cluster.OpQueued, Queue: r.Queue, Phases: poolPhases(spec.Kind),
	}
	batch := []metastate.Command{{CreateOperation: &metastate.CreateOperation{Operation: record}}}
	if !repeatsPool(s.cfg.Meta.View(), &spec, r.Key) {
		p := s.settled(ctx, spec)
		if err := s.accept(r, spec, &p); err != nil {
			return op, false, err
		}
		record.PlanID, record.Total, record.Planned = p.Plan.ID, p.Plan.Total, p.Plan.Prediction.P50
		batch = s.poolChange(&record, &p)
	}
	return s.record(ctx, r, metastate.Command{Batch: batch})
}

// repeatsPool reports whether an operation does what is asked for already.
func repeatsPool(v *metastate.View, spec *cluster.OperationSpec, key string) bool {
	if underWay(v, spec) {
		return true
	}
	return key != "" && slices.ContainsFunc(v.OperationIDs(), func(id string) bool { return v.Operations[id].IdempotencyKey == key })
}

// poolChange is the change of the pool's record with the operation's.
func (s *Service) poolChange(record *cluster.Operation, p *Preview) []metastate.Command {
	spec := &record.Spec
	pool, _ := s.cfg.Meta.View().Pool(spec.Pool)
	var change metastate.Command
	switch {
	case spec.Kind == cluster.OpPoolCreate:
		change.CreatePool = &metastate.CreatePool{Name: spec.Pool, Spec: *spec.Wanted, Nodes: placement.Seed(p.Snapshot, spec.Wanted, spec.Ranges)}
	case spec.Kind == cluster.OpPoolDrop:
		change.DropPool = &metastate.DropPool{Name: spec.Pool}
		record.PoolID = pool.ID
	default:
		change.AlterPool = &metastate.AlterPool{Name: spec.Pool, To: *spec.Wanted, Version: pool.Version}
		before := pool.PoolSpec
		record.PoolID, record.PoolBefore = pool.ID, &before
	}
	return []metastate.Command{change, {CreateOperation: &metastate.CreateOperation{Operation: *record}}}
}

// RenamePool gives a pool another name.
func (s *Service) RenamePool(ctx context.Context, name, to, by string) (cluster.Pool, error) {
	res, err := s.cfg.Meta.Propose(ctx, metastate.Command{By: by, Via: "admin", RenamePool: &metastate.RenamePool{Name: name, To: to}})
	if err != nil {
		return cluster.Pool{}, fmt.Errorf("rename pool %s: %w", name, err)
	}
	if res.Refusal != nil {
		return cluster.Pool{}, ofMeta(res.Refusal)
	}
	return *res.Pool, nil
}
