//go:build planted

package agent

import "testing"

func TestPlantedByName(t *testing.T) {
	t.Setenv(plantedVariable, "FreeLatchEarly,Lease.OneShort,Txn.SkipRefresh,Data.CommitBlind")
	if p := planted(); !p.FreeLatchEarly || !p.Lease.OneShort || !p.Txn.SkipRefresh || !p.Data.CommitBlind || p.NoLatch {
		t.Errorf("planted %+v", p)
	}
	t.Setenv(plantedVariable, "")
	if p := planted(); p.FreeLatchEarly || p.Lease.OneShort {
		t.Errorf("planted %+v, nothing was asked for", p)
	}
	t.Setenv(plantedVariable, "Nobody")
	defer func() {
		if recover() == nil {
			t.Error("a fault that there is not was planted")
		}
	}()
	planted()
}

// TestPlantedStaleRules proves that a node is found that goes on with old host rules.
func TestPlantedStaleRules(t *testing.T) {
	for seed := range uint64(10) {
		if wrong := followedRules(t, seed, plantedFaults{StaleRules: true}); wrong != "" {
			t.Logf("found by seed %d: %s", seed, wrong)
			return
		}
	}
	t.Error("not found")
}
