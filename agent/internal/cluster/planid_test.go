package cluster

import (
	"regexp"
	"testing"
)

// TestPlanIDIsConsentToAllOfIt: no option, node, step or cluster may be another
// under the same id.
func TestPlanIDIsConsentToAllOfIt(t *testing.T) {
	spec := OperationSpec{Kind: OpDrain, Nodes: []NodeID{3}, LBWait: 10, TTL: 3600}
	id := NewPlanID("alpha", spec, []string{"r1"})
	if !regexp.MustCompile(`^pl-[0-9a-f]{10,}$`).MatchString(id) {
		t.Errorf("got %q", id)
	}
	if again := NewPlanID("alpha", spec, []string{"r1"}); again != id {
		t.Errorf("the same plan: got %s and %s", id, again)
	}
	for name, change := range map[string]func(*OperationSpec){
		"kind":       func(s *OperationSpec) { s.Kind = OpDecommission },
		"nodes":      func(s *OperationSpec) { s.Nodes = []NodeID{4} },
		"shutdown":   func(s *OperationSpec) { s.Shutdown = true },
		"lbWait":     func(s *OperationSpec) { s.LBWait = 0 },
		"txnTimeout": func(s *OperationSpec) { s.TxnTimeout = 1 },
		"deadline":   func(s *OperationSpec) { s.Deadline = 1 },
		"onDeadline": func(s *OperationSpec) { s.OnDeadline = "force" },
		"ttl":        func(s *OperationSpec) { s.TTL = 0 },
		"rate":       func(s *OperationSpec) { s.Rate = 1 << 20 },
		"maxDisk":    func(s *OperationSpec) { s.MaxDisk = 0.9 },
		"keep":       func(s *OperationSpec) { s.Keep = true },
	} {
		other := spec
		change(&other)
		if got := NewPlanID("alpha", other, []string{"r1"}); ComparePlanIDs(got, id) != PlanOtherRequest {
			t.Errorf("another %s: %s against %s: difference %d", name, got, id, ComparePlanIDs(got, id))
		}
	}
	for got, want := range map[string]PlanDifference{
		id:                                      PlanSame,
		NewPlanID("beta", spec, []string{"r1"}): PlanOtherCluster, NewPlanID("alpha", spec, []string{"r2"}): PlanOtherSteps,
		"pl-000000": PlanUnknown, "pl-00000000000000": PlanUnknown, "": PlanUnknown, "n3": PlanUnknown, id + "0": PlanUnknown,
	} {
		if d := ComparePlanIDs(got, id); d != want {
			t.Errorf("%q against %s: difference %d, want %d", got, id, d, want)
		}
	}
}

func TestSpecDifference(t *testing.T) {
	a := OperationSpec{Kind: OpDecommission, Nodes: []NodeID{3}, Rate: 64 << 10, Deadline: 60}
	b := OperationSpec{Kind: OpDecommission, Nodes: []NodeID{3}, Rate: 1 << 20, Keep: true}
	want := "deadline: 60, asked unset; keep: unset, asked true; rate: 64KiB/s, asked 1MiB/s"
	if got := a.Difference(&b); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	five, three := OperationSpec{Kind: OpPoolAlter, Pool: "p", Wanted: &PoolSpec{Replicas: 5}}, OperationSpec{Kind: OpPoolAlter, Pool: "p", Wanted: &PoolSpec{Replicas: 3}}
	if got, want := five.Difference(&three), "wanted: replicas 5, asked replicas 3"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := a.Difference(&a); got != "" {
		t.Errorf("of the same: %q", got)
	}
}
