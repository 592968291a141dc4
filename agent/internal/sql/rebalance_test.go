package sql

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/operation"
	"github.com/nodedb/nodedb/agent/internal/placement"
)

// fakeRebalancer knows one plan, pl-1, and remembers what was asked of it.
type fakeRebalancer struct{ asked []operation.StartRequest }

func (f *fakeRebalancer) Rebalance(context.Context, time.Duration) operation.Rebalance {
	return operation.Rebalance{Policy: "auto", Verdict: "would-act", Dimensions: []placement.Dimension{
		{Name: "leaders", Min: 1, Mean: 3, Max: 5, MinNode: 2, MaxNode: 1, WouldAct: true, Why: "n1 and n2 are 133 % of the mean apart"},
	}}
}

func (f *fakeRebalancer) Start(_ context.Context, r operation.StartRequest) (cluster.Operation, bool, error) {
	f.asked = append(f.asked, r)
	switch {
	case r.Spec.Plan != "" && r.Spec.Plan != "pl-1":
		return cluster.Operation{}, false, &operation.RefusedError{Kind: operation.NotFound, Message: "there is no plan " + r.Spec.Plan}
	case r.Spec.Strict:
		v := placement.Verdict{Refusals: []placement.Refusal{{Code: placement.Conflict, Why: "stale", Fixes: []placement.Fix{{Does: "make a new plan", Command: "nodedbctl rebalance plan"}}}}}
		return cluster.Operation{}, false, &operation.RefusedError{Kind: operation.Conflict, Message: "1 of 2 steps are stale", Verdict: v}
	}
	return cluster.Operation{ID: "op-1", State: cluster.OpQueued, Spec: cluster.OperationSpec{Plan: "pl-1"}, Total: cluster.Progress{Replicas: 1, Leaders: 2}, GainPredicted: 40}, false, nil
}

func TestRebalance(t *testing.T) {
	f := newFixture(t, nil)
	if _, err := f.meta.Propose(t.Context(), metastate.Command{PutUser: &metastate.PutUser{Name: "alice", AdminRole: "viewer"}}); err != nil {
		t.Fatal(err)
	}
	c := f.open()
	c.want("0A000 this server cannot rebalance", "show rebalance")
	fake := &fakeRebalancer{}
	f.server.cfg.Rebalancer = fake
	c.want("leaders|1|3|5|n2|n1|t|n1 and n2 are 133 % of the mean apart|auto|would-act\nSHOW", "SHOW REBALANCE")
	f.open(func(o *SessionOptions) { o.User = "eve" }).want("42501 permission denied for REBALANCE / REBALANCE needs the role operator; \"eve\" has none.", "rebalance")
	if _, err := f.meta.Propose(t.Context(), metastate.Command{PutUser: &metastate.PutUser{Name: c.session.options.User, AdminRole: "operator"}}); err != nil {
		t.Fatal(err)
	}
	c.want("op-1|queued|pl-1|1|2|40\nREBALANCE", "REBALANCE LEADERS")
	c.want("op-1|queued|pl-1|1|2|40\nREBALANCE", "rebalance plan 'pl-1';")
	c.want("42704 there is no plan pl-9", "rebalance plan 'pl-9'")
	if got := c.run("rebalance plan 'pl-1' strict"); !strings.HasPrefix(got, "55006 1 of 2 steps are stale") {
		t.Errorf("strict: %s", got)
	}
	c.run("begin")
	c.want("25001 REBALANCE cannot run inside a transaction block", "rebalance")
	c.run("rollback")
	for _, bad := range []string{"rebalance bytes load", "rebalance plan", "rebalance plan pl", "rebalance strict"} {
		if got := c.run(bad); !strings.HasPrefix(got, "42601") {
			t.Errorf("%s: %s", bad, got)
		}
	}
	if len(fake.asked) != 4 || fake.asked[0].Spec.Goal != "leaders" || fake.asked[1].Spec.Plan != "pl-1" || !fake.asked[3].Spec.Strict {
		t.Errorf("asked %+v", fake.asked)
	}
}
