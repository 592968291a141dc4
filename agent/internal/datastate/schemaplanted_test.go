//go:build planted

package datastate

import (
	"errors"
	"testing"
)

// TestPlantedSchemaFaults: the model finds a range that takes what it must not, and one
// that answers while something from before is left.
func TestPlantedSchemaFaults(t *testing.T) {
	for name, p := range map[string]Planted{"an older version is taken": {StaleTaken: true}, "old intents are left": {OldLeft: true}} {
		found := error(nil)
		for seed := uint64(1); seed <= 20 && found == nil; seed++ {
			if err := runSchemaModel(t, seed, p); !errors.Is(err, errIdle) {
				found = err
			}
		}
		if found == nil {
			t.Errorf("%s: it was not found", name)
		} else {
			t.Logf("%s: %v", name, found)
		}
	}
}
