//go:build planted

package sql

import "testing"

// TestPlantedGuessOfABlock proves that the model sees a number that is given twice.
func TestPlantedGuessOfABlock(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		if bad, _ := runSequences(t, seed, Planted{GuessBlock: true}); bad != "" {
			t.Logf("found by seed %d: %s", seed, bad)
			return
		}
	}
	t.Error("not found")
}
