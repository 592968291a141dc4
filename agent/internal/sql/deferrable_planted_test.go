//go:build planted

package sql

import (
	"testing"

	"github.com/nodedb/nodedb/agent/internal/sql/exec"
)

// TestPlantedValuesUnlocked: writers that do not lock the values of a deferrable constraint
// are found.
func TestPlantedValuesUnlocked(t *testing.T) {
	err := deferrableTwo(t, Planted{Exec: exec.Planted{ValuesUnlocked: true}})
	if err == nil {
		t.Fatal("not found")
	}
	t.Log(err)
}
