//go:build planted

package sim

import (
	"testing"

	"github.com/nodedb/nodedb/agent/internal/replica"
)

// TestPlantedBugsAreFound proves that the simulation is worth its time: each
// fault, planted in the code under test, must be found within some seeds.
func TestPlantedBugsAreFound(t *testing.T) {
	const seeds = 60
	for name, bug := range map[string]replica.Planted{
		"log without sync":               {SkipSync: true},
		"read without quorum":            {LocalRead: true},
		"messages sent before the write": {SendFirst: true},
		"retry applied twice":            {DupApply: true},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := uint64(1); seed <= seeds; seed++ {
				cfg := DefaultConfig(seed)
				cfg.Planted = bug
				if _, errs := Run(t, cfg); len(errs) > 0 {
					t.Logf("found by seed %d: %s", seed, errs[0])
					return
				}
			}
			t.Errorf("not found in %d seeds", seeds)
		})
	}
}
