//go:build planted

package sql

import (
	"testing"

	"github.com/nodedb/nodedb/agent/internal/sql/exec"
)

// TestPlantedUnlockedParent proves that it is found if who refers to a row does not lock it.
func TestPlantedUnlockedParent(t *testing.T) {
	for seed := uint64(1); seed <= 500; seed++ {
		if err := referringRows(t, seed, Planted{Exec: exec.Planted{ParentUnlocked: true}}); err != nil {
			t.Logf("found by seed %d: %v", seed, err)
			return
		}
	}
	t.Error("not found")
}

// TestPlantedKeyShare proves that it is found if FOR KEY SHARE does not see what was committed
// in the moment before.
func TestPlantedKeyShare(t *testing.T) {
	wrong := sharedIntents(t, Planted{Exec: exec.Planted{KeyShareBlind: true}})
	if wrong == "" {
		t.Error("not found")
	}
	t.Log(wrong)
}
