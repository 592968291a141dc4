package operation

import (
	"fmt"
	"sync"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

// planID names a plan for what was asked for.
func planID(p *placement.Plan, v *metastate.View, spec cluster.OperationSpec) string {
	return cluster.NewPlanID(v.ClusterID, spec, p.Steps())
}

// accept refuses a plan that is unsafe, or not the one that was consented to.
func (s *Service) accept(r StartRequest, spec cluster.OperationSpec, p *Preview) error {
	if !p.Verdict.OK() {
		kind := Unsafe
		if p.Verdict.Refusals[0].Code == placement.Conflict {
			kind = Conflict
		}
		return &RefusedError{Kind: kind, Message: p.Verdict.String(), Verdict: p.Verdict, Plan: p.Plan}
	}
	if r.Confirm == "" {
		return nil
	}
	return s.consented(r.Confirm, spec, p)
}

// consented refuses what is not the plan that the caller has seen, and says in
// what it differs.
func (s *Service) consented(seen string, spec cluster.OperationSpec, p *Preview) error {
	other := func(format string, args ...any) error {
		return &RefusedError{Kind: StalePlan, Plan: p.Plan, Verdict: p.Verdict, Message: fmt.Sprintf("plan %s ", seen) + fmt.Sprintf(format, args...)}
	}
	switch cluster.ComparePlanIDs(seen, p.Plan.ID) {
	case cluster.PlanSame:
		return nil
	case cluster.PlanOtherCluster:
		return other("is of another cluster, not of %s", s.cfg.Meta.View().ClusterName)
	case cluster.PlanOtherRequest:
		if had, ok := s.recent.find(seen); ok {
			return other("was made for something else (%s)", had.Difference(&spec))
		}
		return other("was made for another operation, other nodes or other options than these: %s", spec.Text())
	case cluster.PlanOtherSteps:
		return other("is out of date: the cluster has changed, the plan would now be %s", p.Plan.ID)
	default:
		return refused(NotFound, "there is no plan %q: what would be done now is %s", seen, p.Plan.ID)
	}
}

// recentPlansMost bounds what is kept of plans that were shown.
const recentPlansMost = 256

// recentPlans are what the plans that this node made were asked for with.
type recentPlans struct {
	mu    sync.Mutex
	specs map[string]cluster.OperationSpec
	order []string // the oldest first
}

func (p *recentPlans) add(id string, spec cluster.OperationSpec) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.specs[id]; ok {
		return
	}
	if len(p.order) == recentPlansMost {
		delete(p.specs, p.order[0])
		p.order = p.order[1:]
	}
	if p.specs == nil {
		p.specs = map[string]cluster.OperationSpec{}
	}
	p.specs[id] = spec
	p.order = append(p.order, id)
}

func (p *recentPlans) find(id string) (cluster.OperationSpec, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	spec, ok := p.specs[id]
	return spec, ok
}
