//go:build planted

package sql

import (
	"testing"

	"github.com/nodedb/nodedb/agent/internal/sql/exec"
)

// TestPlantedMove proves that a move is found that is not made as it has to be.
func TestPlantedMove(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps []string
		plant exec.Planted
	}{
		{"a writer misses the new place", toPools, exec.Planted{MissNewPlace: true}},
		{"a writer writes there before all know of it", toPools, exec.Planted{MoveAtOnce: true}},
		{"a writer misses the rows of other types", toTypes, exec.Planted{MissNewPlace: true}},
		{"a writer writes rows of the old types there", toTypes, exec.Planted{CopyOldTypes: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := moveModel(t, 200, c.steps, func(f *fixture) { f.server.cfg.Planted.Exec = c.plant })
			if err == nil {
				t.Fatal("not found")
			}
			t.Log(err)
		})
	}
}
