package trial

import (
	"math/rand/v2"
	"testing"

	"github.com/nodedb/nodedb/agent/agenttest/checker"
	"github.com/nodedb/nodedb/agent/agenttest/history"
	"github.com/nodedb/nodedb/agent/agenttest/workload"
)

func TestFaultsHaveNames(t *testing.T) {
	for _, f := range faults {
		if got, err := choose(f.name, true); err != nil || len(got) != 1 || got[0].name != f.name {
			t.Errorf("%s: %v, %v", f.name, got, err)
		}
		if _, err := choose(f.name, false); (err != nil) != f.forTests {
			t.Errorf("%s in production binaries: %v", f.name, err)
		}
	}
	if got, err := choose("all", true); err != nil || len(got) != len(faults) {
		t.Errorf("all: %d, %v", len(got), err)
	}
	if got, err := choose("none", false); err != nil || len(got) != 0 {
		t.Errorf("none: %d, %v", len(got), err)
	}
	if _, err := choose("kill,weather", true); err == nil {
		t.Error("a fault that there is not was found")
	}
}

func TestLevels(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 0)) //nolint:gosec // a seed
	ws, err := workload.Named("writeskew,bank")
	if err != nil {
		t.Fatal(err)
	}
	if got := levelOf(ws[0], "", rng); got != checker.Serializable {
		t.Errorf("write skew is tried at %s", got)
	}
	if got := levelOf(ws[1], checker.ReadCommitted, rng); got != checker.ReadCommitted {
		t.Errorf("a level that was asked for became %s", got)
	}
	seen := map[string]bool{}
	for range 100 {
		seen[levelOf(ws[1], "", rng)] = true
	}
	if len(seen) != 3 {
		t.Errorf("seeds choose among %v", seen)
	}
}

func TestRefusalsAreFindings(t *testing.T) {
	ops := []history.Op{
		{ID: 1, Error: "ERROR: deadlock detected (SQLSTATE 40P01)"}, {ID: 2},
		{ID: 3, Error: `ERROR: relation "jobs" does not exist (SQLSTATE 42P01)`}, {ID: 4, Error: `ERROR: relation "jobs" does not exist (SQLSTATE 42P01)`},
		{ID: 5, Error: "ERROR: internal error (SQLSTATE XX000)"}, {ID: 6, Error: "unexpected EOF"},
	}
	if found := refusals(ops); len(found) != 2 || found[0].Ops[0].ID != 3 || found[1].Ops[0].ID != 5 {
		t.Errorf("%v", found)
	}
}
