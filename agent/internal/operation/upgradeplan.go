package operation

import (
	"context"
	"fmt"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

// ToRaise returns the version that an upgrade of the cluster would raise it to: the
// newest that any node supports; the active one if there is no newer.
func ToRaise(v *metastate.View) gate.Version {
	to := v.Active
	for _, id := range v.Members() {
		to = max(to, v.Nodes[id].Supports.Max)
	}
	if v.Raising != nil {
		to = v.Raising.To
	}
	return to
}

// validateUpgrade fills in the version, or says what is wrong with the request.
func validateUpgrade(v *metastate.View, spec *cluster.OperationSpec) error {
	if spec.Version == 0 {
		spec.Version = ToRaise(v)
	}
	switch {
	case len(spec.Nodes) > 0:
		return refused(Invalid, "an upgrade is of the cluster: it names no nodes")
	case spec.Version <= v.Active:
		return refused(Invalid, "the cluster is at version %d, the newest that its nodes support: there is nothing to finalize", v.Active)
	}
	return nil
}

// upgradeSteps is what the consent to an upgrade is for.
type upgradeSteps struct {
	From    gate.Version
	Members []cluster.NodeID
}

// previewUpgrade says whether the cluster's version can be raised, and what that
// will allow.
func (s *Service) previewUpgrade(ctx context.Context, spec cluster.OperationSpec) Preview {
	o := s.ClusterStatus(ctx, 0)
	began := time.Now()
	v := o.View
	p := Preview{Snapshot: o.Snapshot}
	p.Plan.ID = cluster.NewPlanID(v.ClusterID, spec, upgradeSteps{v.Active, v.Members()})
	p.Plan.MetaIndex = o.Snapshot.MetaIndex
	if without := unsupporting(v, spec.Version); without != "" {
		p.Verdict.Refusals = append(p.Verdict.Refusals, placement.Refusal{
			Code: placement.VersionMix, Why: fmt.Sprintf("version %d is not supported by every node: %s", spec.Version, without),
			Fixes: []placement.Fix{{Does: fmt.Sprintf("start them with a nodedb-agent that runs version %d, then", spec.Version), Command: "nodedbctl upgrade status"}},
		})
	}
	for _, id := range v.Members() {
		if o.Liveness[id] == cluster.Alive || o.Statuses[id] != nil {
			continue
		}
		p.Verdict.Refusals = append(p.Verdict.Refusals, placement.Refusal{
			Code: placement.VersionMix, Why: fmt.Sprintf("%s is down, and every node has to promise version %d: start it, or decommission it", id, spec.Version),
			Fixes: []placement.Fix{{Does: "remove it for good", Command: "nodedbctl decommission " + id.String()}},
		})
	}
	for _, what := range gate.Allows(v.Active, spec.Version) {
		p.Verdict.Checks = append(p.Verdict.Checks, placement.Check{Name: "allows", State: placement.CheckOK, Detail: what})
	}
	survival := placement.Survive(o.Snapshot).Any // no replica moves
	p.Plan.Prediction.Before, p.Plan.Prediction.During, p.Plan.Prediction.After = survival, survival, survival
	p.Took = time.Since(began)
	return p
}

// startUpgrade records an upgrade; the coordinator begins it.
func (s *Service) startUpgrade(ctx context.Context, r StartRequest, spec cluster.OperationSpec) (op cluster.Operation, existed bool, err error) {
	record := cluster.Operation{Spec: spec, RequestedBy: r.By, Reason: r.Reason, IdempotencyKey: r.Key, State: cluster.OpQueued, Queue: r.Queue, Phases: upgradePhases()}
	if s.cfg.Meta.View().Raising == nil {
		p := s.previewUpgrade(ctx, spec)
		if err := s.accept(r, spec, &p); err != nil {
			return op, false, err
		}
		record.PlanID = p.Plan.ID
	}
	return s.record(ctx, r, metastate.Command{CreateOperation: &metastate.CreateOperation{Operation: record}})
}
