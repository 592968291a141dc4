//go:build planted

package sim

import (
	"slices"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/replica"
)

// TestPlantedBugsOfClosedTimeAreFound plants what may go wrong where time is closed and
// where the past is read.
func TestPlantedBugsOfClosedTimeAreFound(t *testing.T) {
	const seeds = 40
	// What a follower found is not what the leader finds.
	const changed = "and is now"
	for name, bug := range map[string]struct {
		replica.Planted
		extra func(*World)
		says  []string
	}{
		"a follower serves above what it applied":    {Planted: replica.Planted{CloseAhead: true}, says: []string{changed, overtaken}},
		"time is closed ahead of a pending command":  {Planted: replica.Planted{CloseApplied: true}, says: []string{changed, overtaken}},
		"a new leader does not know what was closed": {Planted: replica.Planted{CloseUnleased: true}, extra: (*World).closeAlone, says: []string{"time was closed up to", changed, overtaken}},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := *firstSeed; seed < *firstSeed+seeds; seed++ {
				cfg := LeaseConfig(seed)
				cfg.Planted, cfg.Extra = bug.Planted, bug.extra
				_, errs := Run(t, cfg)
				if len(errs) == 0 || strings.Contains(errs[0], noisy) {
					continue // a range that falls asleep a little late proves nothing
				}
				t.Logf("found by seed %d: %s", seed, errs[0])
				if !slices.ContainsFunc(bug.says, func(s string) bool { return strings.Contains(errs[0], s) }) {
					t.Errorf("found by another check than %q", bug.says)
				}
				return
			}
			t.Errorf("not found in %d seeds", seeds)
		})
	}
}
