//go:build planted

package store

import "testing"

// TestPlantedPlaceBehindTheLine: a statement whose place is behind those who wait for a lock
// is seen to lose to all of them.
func TestPlantedPlaceBehindTheLine(t *testing.T) {
	wrong := placeBeforeLocks(t, func(cfg *Config) { cfg.Planted.BehindLine = true })
	if wrong == "" {
		t.Error("not found")
	}
	t.Log(wrong)
}

// TestPlantedPlaceKept: a place that is kept in one line for who waits in another is seen to
// be in the way.
func TestPlantedPlaceKept(t *testing.T) {
	wrong := waitsElsewhere(t, func(cfg *Config) { cfg.Planted.KeepPlaces = true })
	if wrong == "" {
		t.Error("not found")
	}
	t.Log(wrong)
}
