package main

import (
	"context"
	"fmt"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nodedb/nodedb/client/adminpb"
)

// The rebalancer of the fake cluster:
//
//	plan                  two steps, pl-77aa11      plan --goal bytes    nothing to do
//	pl-stale              one of its steps is stale
//	ranges move r2        to n5: succeeds; to n4, which is dead: refused
//	ranges transfer r2    succeeds

func movesOnly(s *adminpb.OperationSpec) bool {
	switch s.GetKind() {
	case "rebalance", "move", "transfer":
		return true
	}
	return false
}

func dimensions(max float64) []*adminpb.Dimension {
	return []*adminpb.Dimension{
		{Name: "bytes", Min: 1 << 30, Mean: 1 << 30, Max: 1 << 30, MinNode: 1, MaxNode: 1, Why: "0 % of the mean apart, 20 % are allowed"},
		{Name: "leaders", Min: 1, Mean: 3, Max: max, MinNode: 5, MaxNode: 1, WouldAct: max > 4, Why: "n1 and n5 are 133 % of the mean apart, 20 % are allowed"},
	}
}

func (f *fakeCluster) GetRebalance(context.Context, *adminpb.GetRebalanceRequest) (*adminpb.GetRebalanceResponse, error) {
	return &adminpb.GetRebalanceResponse{
		AsOf: asOf(), Policy: "auto", Verdict: "would-act", Why: "leaders: n1 and n5 are 133 % of the mean apart, 20 % are allowed",
		Dimensions: dimensions(5),
		Gates: []*adminpb.Gate{
			{Name: "election", Open: true}, {Name: "backpressure", Why: "over 80 % of the CPU: n2 receive nothing and send no snapshots", Nodes: []uint32{2}},
		},
		Nodes: []*adminpb.NodeLoad{
			{Node: 1, Carries: true, Replicas: 12, Leaders: 5, Bytes: 1 << 30, ReadsPerSecond: 120, WritesPerSecond: 88, Cpu: 0.25, DiskUsed: 26, DiskTotal: 100},
			{Node: 4, Why: "is dead", Replicas: 12},
		},
		History: []*adminpb.Sweep{
			{At: timestamppb.New(now.Add(-time.Hour)), Cause: "membership", Outcome: "applied", Moves: 3, Transfers: 1, GainPredicted: 40, GainAchieved: 38.5, OperationId: "op-7f3a"},
		},
	}, nil
}

func steps(id string) *adminpb.Plan {
	p := &adminpb.Plan{
		Id: id, Spec: &adminpb.OperationSpec{Kind: "rebalance"}, TopologyEpoch: 57, Feasible: true, ChecksOk: 2, Replicas: 1, Leaders: 1, Bytes: 25270682,
		SecondsP50: 4, SecondsP90: 9, SurvivesBefore: "any 1 node", SurvivesDuring: "any 1 node", SurvivesAfter: "any 1 node", ComputedIn: 0.002,
		Dimensions: dimensions(5), DimensionsAfter: dimensions(3), Gain: 66.7,
		Moves: []*adminpb.PlannedMove{{Kind: "transfer", Range: 3, From: 1, To: 5}, {Kind: "move", Range: 2, From: 1, To: 5, Bytes: 25270682}},
	}
	if id == "pl-stale" {
		p.Findings = []*adminpb.Finding{{Code: "CONFLICT", Severity: "warn", Text: "r3 is led by n2, no longer by n1"}}
	}
	return p
}

func stored(id, state string) *adminpb.StoredPlan {
	return &adminpb.StoredPlan{Plan: steps(id), CreatedAt: timestamppb.New(now), ExpiresAt: timestamppb.New(time.Now().Add(3*time.Hour + 30*time.Second)), CreatedBy: "root", State: state}
}

func (f *fakeCluster) CreatePlan(_ context.Context, r *adminpb.CreatePlanRequest) (*adminpb.CreatePlanResponse, error) {
	s := stored("pl-77aa11", "valid")
	if r.GetSpec().GetGoal() == "bytes" {
		s.Plan.Moves = nil
	}
	return &adminpb.CreatePlanResponse{AsOf: asOf(), Stored: s}, nil
}

func (f *fakeCluster) ListPlans(_ context.Context, r *adminpb.ListPlansRequest) (*adminpb.ListPlansResponse, error) {
	all := []*adminpb.StoredPlan{stored("pl-77aa11", "valid"), stored("pl-stale", "stale")}
	if r.GetId() == "" {
		return &adminpb.ListPlansResponse{AsOf: asOf(), Plans: all}, nil
	}
	for _, p := range all {
		if p.GetPlan().GetId() == r.GetId() {
			return &adminpb.ListPlansResponse{AsOf: asOf(), Plans: []*adminpb.StoredPlan{p}}, nil
		}
	}
	return nil, refuse(connect.CodeNotFound, fmt.Sprintf("there is no plan %q", r.GetId()), &adminpb.ErrorDetail{Kind: adminpb.ErrorKind_ERROR_KIND_NOT_FOUND})
}

func (f *fakeCluster) SetRebalancePolicy(_ context.Context, r *adminpb.SetRebalancePolicyRequest) (*adminpb.SetRebalancePolicyResponse, error) {
	return &adminpb.SetRebalancePolicyResponse{Before: "auto", Policy: r.GetPolicy()}, nil
}

func (f *fakeCluster) ExplainRange(ctx context.Context, r *adminpb.ExplainRangeRequest) (*adminpb.ExplainRangeResponse, error) {
	rs, err := f.ListRanges(ctx, &adminpb.ListRangesRequest{Ids: []uint32{r.GetRange()}})
	if err != nil {
		return nil, err
	}
	return &adminpb.ExplainRangeResponse{
		AsOf: asOf(), Range: rs.GetRanges()[0], Why: "nothing: it is whole",
		Nodes: []*adminpb.PlacementVerdict{
			{Node: 1, Holds: true, May: "yes", Why: "holds a voter"},
			{Node: 4, May: "no", Why: "is dead", WouldChange: "start n4 again"},
			{Node: 5, May: "yes", Why: "may receive one", Gain: 12.5},
		},
	}, nil
}

func (f *fakeCluster) planSteps(r *adminpb.PlanOperationRequest) (*adminpb.PlanOperationResponse, error) {
	p := steps("pl-77aa11")
	p.Spec = r.GetSpec()
	if r.GetSpec().GetKind() != "rebalance" {
		p.Dimensions, p.DimensionsAfter, p.Gain = nil, nil, 0
		p.Moves = []*adminpb.PlannedMove{{Kind: r.GetSpec().GetKind(), Range: r.GetSpec().GetRange(), From: 1, To: r.GetSpec().GetTo(), Bytes: 25270682}}
	}
	return &adminpb.PlanOperationResponse{AsOf: asOf(), Plan: p}, nil
}

func (f *fakeCluster) startSteps(r *adminpb.StartOperationRequest) (*adminpb.StartOperationResponse, error) {
	s := r.GetSpec()
	switch {
	case s.GetPlan() == "pl-stale" && s.GetStrict():
		return nil, refuse(connect.CodeAborted, "CONFLICT: 1 of 2 steps of pl-stale are stale", &adminpb.ErrorDetail{
			Kind:     adminpb.ErrorKind_ERROR_KIND_CONFLICT,
			Findings: []*adminpb.Finding{{Code: "CONFLICT", Severity: "refuse", Text: "1 of 2 steps of pl-stale are stale; r3 is led by n2", Ranges: []uint32{3}}},
			Fixes:    []*adminpb.Fix{{Text: "make a new plan", Command: "nodedbctl rebalance plan"}},
		})
	case s.GetTo() == 4:
		return nil, refuse(connect.CodeFailedPrecondition, "NO_TARGET: n4 is dead", &adminpb.ErrorDetail{
			Kind:     adminpb.ErrorKind_ERROR_KIND_UNSAFE,
			Findings: []*adminpb.Finding{{Code: "NO_TARGET", Severity: "refuse", Text: "n4 is dead"}},
			Fixes:    []*adminpb.Fix{{Text: "start n4 again"}, {Text: "see where it may go", Command: "nodedbctl ranges explain r2"}},
		})
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	id := "op-" + s.GetKind()
	if o := f.ops[id]; o != nil {
		return &adminpb.StartOperationResponse{Operation: o, Attached: true}, nil
	}
	o := &adminpb.Operation{
		Id: id, Spec: s, State: "running", Phase: "move", RequestedBy: "root", Reason: r.GetReason(), PlanId: s.GetPlan(),
		CreatedAt: timestamppb.New(now), StartedAt: timestamppb.New(now), MetaIndex: 1, Total: &adminpb.Progress{Ranges: 2, Replicas: 1, Leaders: 1, Bytes: 25270682},
		Done: &adminpb.Progress{},
	}
	f.ops[id] = o
	return &adminpb.StartOperationResponse{Operation: o}, nil
}

// endSteps is the end of an operation that moves only.
func endSteps(o *adminpb.Operation) {
	o.EndedAt = timestamppb.New(now.Add(4 * time.Second))
	o.Done = o.GetTotal()
	o.Proof = &adminpb.Proof{MetaIndex: 81300, Descriptors: 2, Leaders: 2}
	o.GainPredicted, o.GainAchieved = 66.7, 60
	if o.GetSpec().GetPlan() == "pl-stale" {
		o.Items = []*adminpb.Item{{Range: 3, From: 1, To: 5, Step: "dropped", Why: "r3 is led by n2, no longer by n1"}}
	}
}
