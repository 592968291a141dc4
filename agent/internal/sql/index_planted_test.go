//go:build planted

package sql

import (
	"testing"

	"github.com/nodedb/nodedb/agent/internal/sql/exec"
)

// TestPlantedOldEntry proves that an entry that an UPDATE leaves is found.
func TestPlantedOldEntry(t *testing.T) {
	for seed := uint64(1); seed <= 10; seed++ {
		if err := indexedRows(t, seed, Planted{Exec: exec.Planted{OldEntryStays: true}}); err != nil {
			t.Logf("found by seed %d: %v", seed, err)
			return
		}
	}
	t.Error("not found")
}
