//go:build planted

package sql

import (
	"testing"

	"github.com/nodedb/nodedb/agent/internal/sql/exec"
)

// TestPlantedUnlockedParent proves that it is found if who refers to a row does not lock it.
func TestPlantedUnlockedParent(t *testing.T) {
	for seed := uint64(1); seed <= 50; seed++ {
		if err := referringRows(t, seed, Planted{Exec: exec.Planted{ParentUnlocked: true}}); err != nil {
			t.Logf("found by seed %d: %v", seed, err)
			return
		}
	}
	t.Error("not found")
}
