//go:build planted

package lease

import "testing"

// TestPlantedBugsAreFound proves that the model sees what it is for.
func TestPlantedBugsAreFound(t *testing.T) {
	for name, planted := range map[string]Planted{
		"a promise counts for as long as it lasts": {FullDuration: true},
		"support comes back in the same epoch":     {SameEpoch: true},
		"epochs survive a restart":                 {BootOutsideEpoch: true},
		"ceilings are not durable":                 {VolatileCeiling: true},
		"ceilings are ignored":                     {NoCeiling: true},
	} {
		found := false
		for seed := uint64(1); seed <= 500 && !found; seed++ {
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
