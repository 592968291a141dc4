package operation

import (
	"context"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

func TestServiceRebalance(t *testing.T) {
	inShell(t, 3, func(t *testing.T, s *shell) {
		ctx := context.Background()
		svc := s.nodes[2].service
		s.mu.Lock()
		s.r.policy(metastate.RebalanceOff)
		s.r.lead(1, 2, 3, 4, 5)
		s.mu.Unlock()
		s.eventually("the skew is seen", time.Minute, func() bool { return svc.Rebalance(ctx, 0).Verdict == WouldAct })

		spec := cluster.OperationSpec{Kind: cluster.OpRebalance, Goal: "leaders", MaxMoves: 1}
		first, _, err := svc.CreatePlan(ctx, spec, "test")
		if err != nil || len(first.Plan.Transfers) != 1 || first.State != PlanValid || first.ExpiresAt.IsZero() {
			t.Fatalf("plan: %v %+v", err, first)
		}
		again, _, err := s.nodes[3].service.CreatePlan(ctx, spec, "test")
		if err != nil || again.ID != first.ID {
			t.Errorf("the same question on another node: %v, %s, want %s", err, again.ID, first.ID)
		}
		apply := StartRequest{Spec: cluster.OperationSpec{Kind: cluster.OpRebalance, Plan: first.ID}, By: "test"}
		wrong := apply
		wrong.Confirm = "pl-000000"
		wantRefusal(t, NotFound)(svc.Start(ctx, wrong))
		op, existed, err := svc.Start(ctx, apply)
		if err != nil || existed {
			t.Fatalf("apply: %v, existed %v", err, existed)
		}
		if done := s.wait(op.ID, time.Minute); done.State != cluster.OpSucceeded || done.PlanID != first.ID || done.GainPredicted <= 0 || done.Done.Leaders != 1 {
			t.Errorf("record: %+v", done)
		}
		if got, existed, err := svc.Start(ctx, apply); err != nil || !existed || got.ID != op.ID {
			t.Errorf("applied again: %v, existed %v, %s", err, existed, got.ID)
		}
		plans, _, err := svc.Plans(ctx, first.ID)
		if err != nil || len(plans) != 1 || plans[0].State != PlanApplied || plans[0].Operation != op.ID {
			t.Errorf("plans: %v %+v", err, plans)
		}

		for what, want := range map[*cluster.OperationSpec]RefusedKind{
			{Kind: cluster.OpRebalance, Plan: "pl-none"}:               NotFound,
			{Kind: cluster.OpRebalance, Goal: "shape"}:                 Invalid,
			{Kind: cluster.OpMove, Range: 2, To: 3}:                    Invalid,
			{Kind: cluster.OpMove, Range: 99, From: 1, To: 3}:          NotFound,
			{Kind: cluster.OpMove, Range: 2, From: 1, To: 9}:           NotFound,
			{Kind: cluster.OpMove, Range: 2, From: 1, To: 3}:           Unsafe, // it holds a replica
			{Kind: cluster.OpTransfer, Range: 2}:                       Invalid,
			{Kind: cluster.OpMove, Range: 1, From: 1, To: 3}:           Unsafe, // the meta range chooses itself
			{Kind: cluster.OpRebalance, Goal: "bytes", MaxMoves: 5000}: Invalid,
		} {
			before := s.nodes[1].service.cfg.Meta.View().Index
			wantRefusal(t, want)(svc.Start(ctx, StartRequest{Spec: *what, By: "test"}))
			if after := s.nodes[1].service.cfg.Meta.View(); len(after.Operations) != 1 && after.Index != before {
				t.Errorf("%+v was refused, and changed something", *what)
			}
		}
		if _, err := svc.SetPolicy(ctx, "sometimes", "test"); !isRefused(err, Invalid) {
			t.Errorf("an unknown policy: %v", err)
		}
		if before, err := svc.SetPolicy(ctx, metastate.RebalanceObserve, "test"); err != nil || before != metastate.RebalanceOff {
			t.Errorf("policy: %v, before %s", err, before)
		}
		e, _, err := svc.ExplainRange(ctx, 2, 0)
		if err != nil || len(e.Nodes) != 3 || !e.Nodes[0].Holds || e.Why == "" {
			t.Errorf("explain: %v %+v", err, e)
		}
	})
}

// TestServiceQueuesMoves: a transfer asked for with a queue waits for another one
// of its range, and begins when that has ended.
func TestServiceQueuesMoves(t *testing.T) {
	inShell(t, 3, func(t *testing.T, s *shell) {
		ctx := context.Background()
		svc := s.nodes[2].service
		s.mu.Lock()
		s.r.policy(metastate.RebalanceOff)
		s.r.lead(1, 2)
		s.mu.Unlock()
		s.eventually("the leader is seen", time.Minute, func() bool {
			x := svc.ClusterStatus(ctx, 0).Snapshot.Range(2)
			return x.Leader == 1 && placement.SafeTransfer(svc.ClusterStatus(ctx, 0).Snapshot, x, 3) == ""
		})
		s.mu.Lock()
		first := s.r.must(metastate.Command{By: "test", CreateOperation: &metastate.CreateOperation{Operation: cluster.Operation{
			Spec: cluster.OperationSpec{Kind: cluster.OpTransfer, Range: 2, To: 2, Nodes: []cluster.NodeID{2, 3}}, State: cluster.OpQueued,
		}}}).Operation.ID
		s.r.must(metastate.Command{By: "test", PauseOperation: &metastate.PauseOperation{ID: first}})
		s.mu.Unlock()
		next := StartRequest{Spec: cluster.OperationSpec{Kind: cluster.OpTransfer, Range: 2, To: 3}, By: "test"}
		wantRefusal(t, Conflict)(svc.Start(ctx, next))
		next.Queue = true
		op, _, err := svc.Start(ctx, next)
		if err != nil || op.State != cluster.OpQueued {
			t.Fatalf("queued: %v, %s", err, op.State)
		}
		s.mu.Lock()
		s.r.must(metastate.Command{By: "test", ResumeOperation: &metastate.ResumeOperation{ID: first}})
		s.mu.Unlock()
		if done := s.wait(op.ID, time.Minute); done.State != cluster.OpSucceeded {
			t.Errorf("%s: %s", done.State, done.Why)
		}
	})
}
