//go:build planted && nextversion

package sim

import (
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/gate"
)

// TestPlantedVersionBugsAreFound: what nodes keep of versions is worth its promise.
func TestPlantedVersionBugsAreFound(t *testing.T) {
	const seeds = 40
	const newer = "written by a newer version of NodeDB than this binary knows"
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
					if !strings.Contains(errs[0], newer) {
						t.Errorf("found by another check than %q", newer)
					}
					return
				}
			}
			t.Errorf("not found in %d seeds", seeds)
		})
	}
}
