//go:build planted

package sql

import (
	"testing"

	"github.com/nodedb/nodedb/agent/internal/sql/exec"
)

// TestPlantedMove proves that a move is found that is not made as it has to be.
func TestPlantedMove(t *testing.T) {
	for name, plant := range map[string]exec.Planted{
		"a writer misses the new place": {MissNewPlace: true}, "a writer writes there before all know of it": {MoveAtOnce: true},
	} {
		t.Run(name, func(t *testing.T) {
			err := moveModel(t, 200, func(f *fixture) { f.server.cfg.Planted.Exec = plant })
			if err == nil {
				t.Fatal("not found")
			}
			t.Log(err)
		})
	}
}
