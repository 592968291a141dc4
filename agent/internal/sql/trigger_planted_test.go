//go:build planted

package sql

import "testing"

// TestPlantedMissedTrigger proves that it is found if a change of triggers is answered while
// others may write by the old ones.
func TestPlantedMissedTrigger(t *testing.T) {
	err := triggersHeard(t, Planted{MissTrigger: true})
	if err == nil {
		t.Error("not found")
	}
	t.Log(err)
}

// TestPlantedMissedBody proves that it is found if a change of a trigger's function is answered
// while others may write by the old one.
func TestPlantedMissedBody(t *testing.T) {
	err := triggersHeard(t, Planted{MissBody: true})
	if err == nil {
		t.Error("not found")
	}
	t.Log(err)
}

// TestPlantedMissedCall proves that it is found if a change of a function that expressions of a
// table call is answered while others may write by the old one.
func TestPlantedMissedCall(t *testing.T) {
	err := callsHeard(t, Planted{MissCall: true})
	if err == nil {
		t.Error("not found")
	}
	t.Log(err)
}
