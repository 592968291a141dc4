//go:build planted

package sql

import "testing"

// TestPlantedEndAfter proves that it is seen if the end of a run is no part of its
// transaction.
func TestPlantedEndAfter(t *testing.T) {
	wrong := commitLost(t, Planted{EndAfter: true})
	if wrong == "" {
		t.Error("not found")
	}
	t.Log(wrong)
}
