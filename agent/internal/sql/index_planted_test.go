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

// TestPlantedBuilds proves that an index is found that was not made, or dropped, as it has
// to be.
func TestPlantedBuilds(t *testing.T) {
	for name, plant := range map[string]exec.Planted{
		"an entry takes the place of a newer one": {BlindBackfill: true}, "a writer does not know of delete-only": {MissDeleteOnly: true},
		"a row that was written meanwhile is passed over": {PassWritten: true}, "an entry takes another row's place": {TakeEntry: true},
		"a reader has an old plan": {ReadAnyVersion: true},
	} {
		t.Run(name, func(t *testing.T) {
			if err := buildModel(t, 400, func(f *fixture) { f.server.cfg.Planted.Exec = plant }); err == nil {
				t.Error("not found")
			} else {
				t.Log(err)
			}
		})
	}
}

// TestPlantedOldPlan proves that a reader with an old plan is found after the drop.
func TestPlantedOldPlan(t *testing.T) {
	err := oldPlan(t, func(f *fixture) { f.server.cfg.Planted.Exec = exec.Planted{ReadAnyVersion: true} })
	if err == nil {
		t.Error("not found")
	}
	t.Log(err)
}

// TestPlantedLostItem proves that an entry that a document lacks is found.
func TestPlantedLostItem(t *testing.T) {
	for seed := uint64(1); seed <= 10; seed++ {
		if err := invertedRows(t, seed, Planted{Exec: exec.Planted{ItemLost: true}}); err != nil {
			t.Logf("found by seed %d: %v", seed, err)
			return
		}
	}
	t.Error("not found")
}
