//go:build planted

package budget

import "testing"

// TestPlantedBugsAreFound proves that the model sees what it is for.
func TestPlantedBugsAreFound(t *testing.T) {
	for name, planted := range map[string]Planted{
		"an account is not given back":       {Leak: true},
		"a part may have more than there is": {OwnBoundOnly: true},
		"what was refused above stays taken": {KeepRefused: true},
	} {
		found := false
		for seed := uint64(1); seed <= 200 && !found; seed++ {
			if bad := runModel(seed, planted); bad != "" {
				t.Logf("%s: found by seed %d: %s", name, seed, bad)
				found = true
			}
		}
		if !found {
			t.Errorf("%s: not found", name)
		}
	}
}
