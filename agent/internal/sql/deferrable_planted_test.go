//go:build planted

package sql

import (
	"testing"

	"github.com/nodedb/nodedb/agent/internal/sql/exec"
)

// TestPlantedValuesUnlocked: writers that do not lock the values of a deferrable constraint
// are found.
func TestPlantedValuesUnlocked(t *testing.T) {
	for seed := range uint64(40) {
		if err := deferrableRaces(t, seed, Planted{Exec: exec.Planted{ValuesUnlocked: true}}); err != nil {
			t.Logf("seed %d: %v", seed, err)
			return
		}
	}
	t.Error("not found")
}
