//go:build planted && nextversion

package sim

import (
	"testing"

	"github.com/nodedb/nodedb/agent/internal/gate"
)

// TestPlantedVersionBugsAreFound: what nodes keep of versions is worth its promise.
func TestPlantedVersionBugsAreFound(t *testing.T) {
	const seeds = 40
	for name, bug := range map[string]gate.Planted{
		"writes above the gate before finalize":     {WriteAhead: true},
		"a node forgets what it stored of versions": {Forget: true},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := uint64(1); seed <= seeds; seed++ {
				cfg := DefaultConfig(seed)
				upgraded(&cfg)
				cfg.PlantedVersions = bug
				if _, errs := Run(t, cfg); len(errs) > 0 {
					t.Logf("found by seed %d: %s", seed, errs[0])
					return
				}
			}
			t.Errorf("not found in %d seeds", seeds)
		})
	}
}
