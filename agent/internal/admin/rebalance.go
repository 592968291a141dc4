package admin

import (
	"context"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/placement"
	"github.com/nodedb/nodedb/client/adminpb"
)

// nodeWait is how long to wait for each node, as a caller asked.
func nodeWait(perNode float64) time.Duration {
	if perNode > 0 {
		return min(seconds(perNode), nodeTimeoutMost)
	}
	return nodeTimeoutDefault
}

// asOfObservation is for answers that come from asking the nodes.
func (s *service) asOfObservation(o *Observation) *adminpb.AsOf {
	return (&sight{Observation: o, source: s.backend.Self()}).asOf()
}

// GetRebalance implements adminpb.AdminHandler.
func (s *service) GetRebalance(ctx context.Context, r *adminpb.GetRebalanceRequest) (*adminpb.GetRebalanceResponse, error) {
	b, err := s.backend.Rebalance(ctx, nodeWait(r.GetNodeTimeout()))
	if err != nil {
		return nil, err
	}
	out := &adminpb.GetRebalanceResponse{
		AsOf: s.asOfObservation(&b.Observation), Policy: b.Policy, Verdict: b.Verdict, Why: b.Why, Dimensions: dimensionsProto(b.Dimensions),
		LastSweep: timestamp(b.Last), NextSweep: timestamp(b.Next), OperationId: b.Operation,
	}
	for _, g := range b.Gates {
		out.Gates = append(out.Gates, &adminpb.Gate{Name: g.Name, Open: g.Open, Why: g.Why, Nodes: nodeIDs(g.Nodes), Ranges: rangeIDs(g.Ranges)})
	}
	for i := range b.History {
		h := &b.History[i]
		out.History = append(out.History, &adminpb.Sweep{
			At: timestamp(h.At), Cause: h.Cause, Outcome: h.Outcome, Why: h.Why, Moves: uint32(h.Moves), Transfers: uint32(h.Transfers),
			GainPredicted: h.Predicted, GainAchieved: h.Achieved, OperationId: h.Operation,
		})
	}
	for _, l := range b.Loads {
		out.Nodes = append(out.Nodes, &adminpb.NodeLoad{
			Node: uint32(l.Node), Carries: l.Carries, Why: l.Why, Replicas: uint32(l.Replicas), Leaders: uint32(l.Leaders), Bytes: l.Bytes,
			ReadsPerSecond: l.Reads, WritesPerSecond: l.Writes, Cpu: l.CPU, DiskUsed: l.DiskUsed, DiskTotal: l.DiskTotal,
		})
	}
	return out, nil
}

func dimensionsProto(ds []placement.Dimension) []*adminpb.Dimension {
	var out []*adminpb.Dimension
	for _, d := range ds {
		out = append(out, &adminpb.Dimension{
			Name: d.Name, Min: d.Min, Mean: d.Mean, Max: d.Max, MinNode: uint32(d.MinNode), MaxNode: uint32(d.MaxNode), WouldAct: d.WouldAct, Why: d.Why,
		})
	}
	return out
}

// CreatePlan implements adminpb.AdminHandler.
func (s *service) CreatePlan(ctx context.Context, r *adminpb.CreatePlanRequest) (*adminpb.CreatePlanResponse, error) {
	spec, err := s.spec(r.GetSpec())
	if err != nil {
		return nil, err
	}
	p, o, err := s.backend.CreatePlan(ctx, spec, caller(ctx).Name)
	if err != nil {
		return nil, err
	}
	return &adminpb.CreatePlanResponse{AsOf: s.asOfObservation(&o), Stored: s.storedProto(&p)}, nil
}

func (s *service) storedProto(p *StoredPlan) *adminpb.StoredPlan {
	pv := Preview{Plan: p.Plan}
	out := &adminpb.StoredPlan{
		Plan: planProto(p.Spec, &pv, p.Epoch), CreatedAt: timestamp(p.CreatedAt), ExpiresAt: timestamp(p.ExpiresAt),
		CreatedBy: p.CreatedBy, State: p.State, OperationId: p.Operation,
	}
	for _, why := range p.Stale {
		out.Plan.Findings = append(out.Plan.Findings, &adminpb.Finding{Code: string(placement.Conflict), Severity: severityWarn, Text: why})
	}
	return out
}

// ListPlans implements adminpb.AdminHandler. The newest comes first.
func (s *service) ListPlans(ctx context.Context, r *adminpb.ListPlansRequest) (*adminpb.ListPlansResponse, error) {
	plans, o, err := s.backend.Plans(ctx, r.GetId())
	if err != nil {
		return nil, err
	}
	out := &adminpb.ListPlansResponse{AsOf: s.asOfObservation(&o)}
	for i := range plans {
		out.Plans = append(out.Plans, s.storedProto(&plans[i]))
	}
	return out, nil
}

// SetRebalancePolicy implements adminpb.AdminHandler.
func (s *service) SetRebalancePolicy(ctx context.Context, r *adminpb.SetRebalancePolicyRequest) (*adminpb.SetRebalancePolicyResponse, error) {
	before, err := s.backend.SetRebalancePolicy(ctx, r.GetPolicy(), caller(ctx).Name, r.GetReason())
	if err != nil {
		return nil, err
	}
	return &adminpb.SetRebalancePolicyResponse{Before: before, Policy: s.backend.View().Settings.Rebalance()}, nil
}

// ExplainRange implements adminpb.AdminHandler.
func (s *service) ExplainRange(ctx context.Context, r *adminpb.ExplainRangeRequest) (*adminpb.ExplainRangeResponse, error) {
	id := cluster.RangeID(r.GetRange())
	e, o, err := s.backend.ExplainRange(ctx, id, nodeWait(r.GetNodeTimeout()))
	if err != nil {
		return nil, err
	}
	look := s.memory.see(&o, s.backend.Self())
	out := &adminpb.ExplainRangeResponse{AsOf: look.asOf(), Why: e.Why}
	if f := look.find(id); f != nil {
		out.Range = f.show()
	}
	for _, n := range e.Nodes {
		may := "no"
		if n.May {
			may = "yes"
		}
		out.Nodes = append(out.Nodes, &adminpb.PlacementVerdict{
			Node: uint32(n.Node), Holds: n.Holds, May: may, Why: n.Why, WouldChange: n.WouldChange, Gain: n.Gain, Code: string(n.Code),
		})
	}
	return out, nil
}
