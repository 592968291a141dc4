//go:build planted

package admission

import "testing"

// TestPlantedBugsAreFound proves that the model sees what it is for.
func TestPlantedBugsAreFound(t *testing.T) {
	for name, planted := range map[string]Planted{
		"any number waits":                   {NoBound: true},
		"a cancelled statement keeps places": {KeepsPlace: true},
		"the last overtakes":                 {Overtakes: true},
	} {
		found := false
		for seed := uint64(1); seed <= 300 && !found; seed++ {
			if bad := runModel(t, seed, planted); bad != "" {
				t.Logf("%s: found by seed %d: %s", name, seed, bad)
				found = true
			}
		}
		if !found {
			t.Errorf("%s: not found", name)
		}
	}
}
