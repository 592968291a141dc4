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

// TestPlantedBlindBackfill proves that an entry that takes the place of a newer one is found.
func TestPlantedBlindBackfill(t *testing.T) {
	set := func(f *fixture) { f.server.cfg.Planted.Exec.BlindBackfill = true }
	if err := buildModel(t, 100, set); err == nil {
		t.Error("not found")
	} else {
		t.Log(err)
	}
}
