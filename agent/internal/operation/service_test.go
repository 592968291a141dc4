package operation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

func TestServiceDecommission(t *testing.T) {
	inShell(t, 4, func(t *testing.T, s *shell) {
		ctx := context.Background()
		svc := s.nodes[3].service
		p, err := svc.DryRun(ctx, decommission(4))
		if err != nil || !p.Verdict.OK() || len(p.Plan.Moves) == 0 {
			t.Fatalf("dry run: %v %v", err, p.Verdict)
		}
		req := StartRequest{Spec: decommission(4), By: "test", Confirm: p.Plan.ID, Reason: "disk swap"}
		unknown := req
		unknown.Confirm = "pl-000000"
		wantRefusal(t, NotFound)(svc.Start(ctx, unknown))
		op, existed, err := svc.Start(ctx, req)
		if err != nil || existed {
			t.Fatalf("start: %v, existed %v", err, existed)
		}
		again, existed, err := s.nodes[2].service.Start(ctx, StartRequest{Spec: decommission(4), By: "other"})
		if err != nil || !existed || again.ID != op.ID {
			t.Errorf("the same request: %v, existed %v, %s, want %s", err, existed, again.ID, op.ID)
		}
		other := decommission(4)
		other.Rate = 1 << 20
		wantRefusal(t, Conflict)(svc.Start(ctx, StartRequest{Spec: other, By: "other"}))
		wantRefusal(t, Conflict)(svc.Start(ctx, StartRequest{Spec: drain(4), By: "other"}))
		done := s.wait(op.ID, 2*time.Minute)
		s.mu.Lock()
		s.r.gone(op.ID, 4)
		s.mu.Unlock()
		if done.RequestedBy != "test" || done.Reason != "disk swap" || done.PlanID == "" || done.Planned == 0 {
			t.Errorf("record: %+v", done)
		}
		s.eventually("n4 stops", 10*time.Second, func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return len(s.nodes[4].stopped) > 0
		})
		if again, existed, err = svc.Start(ctx, StartRequest{Spec: decommission(4), By: "test"}); err != nil || !existed || again.State != cluster.OpSucceeded {
			t.Errorf("asked again when it has ended: %v, existed %v, %s", err, existed, again.State)
		}
		if _, err := svc.Recommission(ctx, []cluster.NodeID{4}, "test", ""); !isRefused(err, Unsafe) {
			t.Errorf("recommission of a tombstone: %v", err)
		}
	})
}

// TestConsentIsToOnePlan: the id of a plan confirms that plan and no other, on
// whichever node it is used, and the refusal says in what they differ.
func TestConsentIsToOnePlan(t *testing.T) {
	inShell(t, 4, func(t *testing.T, s *shell) {
		ctx := context.Background()
		seen := drain(4)
		p, err := s.nodes[3].service.DryRun(ctx, seen)
		if err != nil || !p.Verdict.OK() {
			t.Fatalf("dry run: %v %v", err, p.Verdict)
		}
		forced := seen
		forced.Shutdown, forced.OnDeadline = true, "force"
		elsewhere := cluster.NewPlanID("another", seen, p.Plan.Steps())
		changed := cluster.NewPlanID(s.nodes[3].service.cfg.Meta.View().ClusterID, seen, "other moves")
		for _, x := range []struct {
			name    string
			node    cluster.NodeID
			spec    cluster.OperationSpec
			confirm string
			kind    RefusedKind
			says    string
		}{
			{"other options", 3, forced, p.Plan.ID, StalePlan, "was made for something else (onDeadline: unset, asked \"force\"; shutdown: unset, asked true)"},
			{"other options, on another node", 2, forced, p.Plan.ID, StalePlan, "other options than these: drain, nodes [4], onDeadline \"force\", shutdown true"},
			{"another node to drain", 3, drain(1), p.Plan.ID, StalePlan, "nodes: [4], asked [1]"},
			{"another cluster", 3, seen, elsewhere, StalePlan, "is of another cluster"},
			{"the cluster has changed", 3, seen, changed, StalePlan, "the cluster has changed"},
			{"no plan", 3, seen, "pl-00000000000000", NotFound, "there is no plan"},
		} {
			_, _, err := s.nodes[x.node].service.Start(ctx, StartRequest{Spec: x.spec, By: "test", Confirm: x.confirm})
			if !isRefused(err, x.kind) || !strings.Contains(err.Error(), x.says) {
				t.Errorf("%s: got %v, want %s: %s", x.name, err, x.kind, x.says)
			}
		}
		if _, _, err := s.nodes[2].service.Start(ctx, StartRequest{Spec: seen, By: "test", Confirm: p.Plan.ID}); err != nil {
			t.Errorf("the plan that was seen: %v", err)
		}
	})
}

func TestServiceRefusesAtOnce(t *testing.T) {
	inShell(t, 3, func(t *testing.T, s *shell) {
		ctx := context.Background()
		svc := s.nodes[2].service
		// Let upkeep come to rest, so that the view stands still.
		last, since := uint64(0), time.Now()
		s.eventually("rest", time.Minute, func() bool {
			if is := s.r.view().Index; is != last {
				last, since = is, time.Now()
			}
			return s.led(1) > 0 && time.Since(since) > 5*time.Second
		})
		before, began := s.r.view().Index, time.Now()
		err := wantRefusal(t, Unsafe)(svc.Start(ctx, StartRequest{Spec: decommission(3)}))
		if took := time.Since(began); took >= time.Second {
			t.Errorf("the refusal took %s", took)
		}
		if err != nil && (err.Verdict.Refusals[0].Code != placement.NoTarget || len(err.Verdict.Refusals[0].Fixes) < 2 || len(err.Verdict.Refusals[0].Ranges) != 4) {
			t.Errorf("refusal: %+v", err.Verdict.Refusals)
		}
		wantRefusal(t, NotFound)(svc.Start(ctx, StartRequest{Spec: decommission(9)}))
		wantRefusal(t, Invalid)(svc.Start(ctx, StartRequest{Spec: decommission()}))
		wantRefusal(t, Invalid)(svc.Start(ctx, StartRequest{Spec: cluster.OperationSpec{Kind: "dance", Nodes: []cluster.NodeID{1}}}))
		if after := s.r.view().Index; after != before {
			t.Errorf("a refusal changed the meta range: index %d, then %d", before, after)
		}
		s.mu.Lock()
		s.r.kill(3)
		s.mu.Unlock()
		s.eventually("n3 is dead", 10*time.Second, func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.r.liveness()[3] == cluster.Dead
		})
		wantRefusal(t, Unsafe)(svc.Start(ctx, StartRequest{Spec: drain(2)}))
		o := svc.ClusterStatus(ctx, 0)
		if !slices.Equal(o.Missing, []cluster.NodeID{3}) || len(o.Statuses) != 2 {
			t.Errorf("status: missing %v, %d answers", o.Missing, len(o.Statuses))
		}
		if sv := placement.Survive(o.Snapshot); sv.Any != 0 {
			t.Errorf("survives any %d", sv.Any)
		}
		if v := placement.SafeToStop(o.Snapshot, []cluster.NodeID{1}); v.OK() {
			t.Error("ok to stop n1 although n3 is dead")
		}
	})
}

// TestFollowerBehindForAMoment: a drain is not refused because a follower is behind
// while it is looked at.
func TestFollowerBehindForAMoment(t *testing.T) {
	inShell(t, 3, func(t *testing.T, s *shell) {
		behind := func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, x := range s.r.ranges {
				x.commit += 200
				x.match[x.leader] = x.commit
			}
		}
		svc, ctx := s.nodes[1].service, context.Background()
		s.eventually("a healthy cluster", time.Minute, func() bool {
			o := svc.ClusterStatus(ctx, 0)
			v := placement.SafeToStop(o.Snapshot, []cluster.NodeID{2})
			return v.OK()
		})
		behind()
		if p, err := svc.DryRun(ctx, drain(2)); err != nil || !p.Verdict.OK() {
			t.Errorf("dry run of a drain: %v %s", err, p.Verdict.String())
		}
		behind()
		if op := s.wait(s.start(drain(2)).ID, time.Minute); op.State != cluster.OpSucceeded {
			t.Errorf("drain: %s %s", op.State, op.Why)
		}
	})
}

func wantRefusal(t *testing.T, kind RefusedKind) func(cluster.Operation, bool, error) *RefusedError {
	return func(_ cluster.Operation, _ bool, err error) *RefusedError {
		t.Helper()
		var no *RefusedError
		if !errors.As(err, &no) || no.Kind != kind {
			t.Errorf("got %v, want a refusal of kind %s", err, kind)
			return nil
		}
		return no
	}
}

func isRefused(err error, kind RefusedKind) bool {
	var no *RefusedError
	return errors.As(err, &no) && no.Kind == kind
}

func TestRecommissionCancels(t *testing.T) {
	inShell(t, 4, func(t *testing.T, s *shell) {
		op := s.start(decommission(4))
		s.eventually("cordon", time.Minute, func() bool { return s.r.view().Nodes[4].Membership == cluster.Decommissioning })
		ops, err := s.nodes[1].service.Recommission(context.Background(), []cluster.NodeID{4}, "test", "changed my mind")
		if err != nil || len(ops) != 1 || ops[0].ID != op.ID {
			t.Fatalf("recommission: %v %v", ops, err)
		}
		if done := s.wait(op.ID, time.Minute); done.State != cluster.OpCancelled {
			t.Errorf("ended %s", done.State)
		}
		if m := s.r.view().Nodes[4].Membership; m != cluster.Active {
			t.Errorf("n4 is %s", m)
		}
		if again, err := s.nodes[1].service.Cancel(context.Background(), op.ID, "test", ""); err != nil || again.State != cluster.OpCancelled {
			t.Errorf("cancel again: %s, %v", again.State, err)
		}
	})
}

func TestRequestsThatAreNone(t *testing.T) {
	inShell(t, 1, func(t *testing.T, s *shell) {
		for _, method := range []string{MethodPrepare, MethodChange} {
			for _, payload := range []string{"", "{", `{"range":2}`, `{"descriptor":{"id":0}}`} {
				if _, err := s.nodes[1].server.Methods()[method](context.Background(), 1, []byte(payload)); err == nil {
					t.Errorf("%s took %q", method, payload)
				}
			}
		}
	})
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"range":2,"change":{"kind":"swap","add":1,"remove":2,"expect":3}}`))
	f.Add([]byte(`{"descriptor":{"id":7,"start":1,"end":2,"nextReplica":1}}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		if r, err := decodeRequest(payload); err == nil && r == nil {
			t.Error("neither a request nor an error")
		}
	})
}

func ExampleRefusedError() {
	fmt.Println(&RefusedError{Kind: Unsafe, Message: "NO_TARGET: 64 of 64 ranges need 3 voters; only n1, n2 would remain"})
	// Output: NO_TARGET: 64 of 64 ranges need 3 voters; only n1, n2 would remain
}
