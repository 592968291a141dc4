package admin

import (
	"context"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/placement"
	"github.com/nodedb/nodedb/client/adminpb"
)

// Rebalance implements Backend, from what the planner says of the snapshot.
func (b *fakeBackend) Rebalance(ctx context.Context, perNode time.Duration) (Rebalance, error) {
	o, err := b.Observe(ctx, perNode)
	return Rebalance{
		Observation: o, Policy: o.View.Settings.Rebalance(), Verdict: "balanced", Loads: placement.Loads(o.Snapshot),
		Dimensions: placement.Measure(o.Snapshot, placement.Intent{}), Gates: placement.Gates(o.Snapshot, nil),
		History: []cluster.Sweep{{ID: "op-1", Cause: cluster.CauseInterval, Outcome: "applied", Moves: 3, Predicted: 40, Achieved: 38.5, Operation: "op-1"}},
	}, err
}

// CreatePlan implements Backend.
func (b *fakeBackend) CreatePlan(ctx context.Context, spec cluster.OperationSpec, by string) (StoredPlan, Observation, error) {
	o, err := b.Observe(ctx, 0)
	plan, v := placement.Make(o.Snapshot, placement.Intent{Goal: placement.GoalTransfer, Range: spec.Range, To: spec.To})
	if !v.OK() {
		return StoredPlan{}, o, Refused(v.String(), v)
	}
	p := StoredPlan{Plan: plan, State: "valid"}
	p.ID, p.Spec, p.CreatedBy = plan.ID, spec, by
	return p, o, err
}

// Plans implements Backend.
func (b *fakeBackend) Plans(ctx context.Context, id string) ([]StoredPlan, Observation, error) {
	o, err := b.Observe(ctx, 0)
	if id != "" {
		return nil, o, &Error{Kind: KindNotFound, Message: "there is no plan " + id}
	}
	return nil, o, err
}

// SetRebalancePolicy implements Backend.
func (b *fakeBackend) SetRebalancePolicy(_ context.Context, policy, _, _ string) (string, error) {
	if err := metastate.ValidateSetting(metastate.SettingRebalance, policy); err != nil {
		return "", &Error{Kind: KindInvalid, Message: err.Error()}
	}
	return metastate.RebalanceAuto, nil
}

// ExplainRange implements Backend.
func (b *fakeBackend) ExplainRange(ctx context.Context, id cluster.RangeID, perNode time.Duration) (placement.Explanation, Observation, error) {
	o, err := b.Observe(ctx, perNode)
	return placement.Explain(o.Snapshot, id, placement.Intent{}), o, err
}

func TestRebalanceIsShown(t *testing.T) {
	r := newRig(t)
	c := r.client("viewer")
	got, err := c.GetRebalance(t.Context(), &adminpb.GetRebalanceRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got.GetPolicy() != "auto" || len(got.GetDimensions()) != 6 || len(got.GetNodes()) != 3 || got.GetNodes()[0].GetReplicas() == 0 || len(got.GetGates()) < 3 {
		t.Errorf("got %v", got)
	}
	if h := got.GetHistory(); len(h) != 1 || h[0].GetGainAchieved() != 38.5 || h[0].GetOperationId() != "op-1" {
		t.Errorf("history: got %v", h)
	}
	e, err := c.ExplainRange(t.Context(), &adminpb.ExplainRangeRequest{Range: 2})
	if err != nil {
		t.Fatal(err)
	}
	if len(e.GetNodes()) != 3 || !e.GetNodes()[0].GetHolds() || e.GetNodes()[0].GetMay() != "yes" || e.GetRange().GetId() != 2 || e.GetWhy() == "" {
		t.Errorf("explain: got %v", e)
	}
}

func TestPlansAreForOperators(t *testing.T) {
	r := newRig(t)
	spec := &adminpb.OperationSpec{Kind: "transfer", Range: 2, To: 2}
	if _, err := r.client("viewer").CreatePlan(t.Context(), &adminpb.CreatePlanRequest{Spec: spec}); connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("a viewer creates a plan: %v", err)
	}
	if _, err := r.client("viewer").SetRebalancePolicy(t.Context(), &adminpb.SetRebalancePolicyRequest{Policy: "off"}); connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("a viewer sets the policy: %v", err)
	}
	c := r.client("operator")
	got, err := c.CreatePlan(t.Context(), &adminpb.CreatePlanRequest{Spec: spec})
	if err != nil {
		t.Fatal(err)
	}
	if p := got.GetStored(); p.GetState() != "valid" || p.GetPlan().GetSpec().GetRange() != 2 || p.GetPlan().GetSpec().GetTo() != 2 {
		t.Errorf("got %v", p)
	}
	for name, call := range map[string]func() error{
		"an unknown policy": func() error {
			_, err := c.SetRebalancePolicy(t.Context(), &adminpb.SetRebalancePolicyRequest{Policy: "sometimes"})
			return err
		},
		"no spec": func() error {
			_, err := c.CreatePlan(t.Context(), &adminpb.CreatePlanRequest{})
			return err
		},
		"an unknown kind": func() error {
			_, err := c.CreatePlan(t.Context(), &adminpb.CreatePlanRequest{Spec: &adminpb.OperationSpec{Kind: "shuffle"}})
			return err
		},
	} {
		if err := call(); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := c.ListPlans(t.Context(), &adminpb.ListPlansRequest{Id: "pl-none"}); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("an unknown plan: got %v", err)
	}
	if _, err := c.ListPlans(t.Context(), &adminpb.ListPlansRequest{}); err != nil {
		t.Errorf("list: %v", err)
	}
}
