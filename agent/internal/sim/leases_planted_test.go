//go:build planted

package sim

import (
	"slices"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/lease"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// TestPlantedBugsOfLeasesAreFound plants what leases could do wrong: each must be
// found within some seeds of runs that are made to find it.
func TestPlantedBugsOfLeasesAreFound(t *testing.T) {
	const stale, below, silence, leaderless = "not linearizable", "a command came below a read", "in the last second", "has no leader"
	for name, bug := range map[string]struct {
		lease.Planted
		says []string // of the error that finds it, one of them; empty: any
	}{
		"rule 3: support comes back in the same epoch":   {Planted: lease.Planted{SameEpoch: true}},
		"rule 3: epochs survive a restart":               {Planted: lease.Planted{BootOutsideEpoch: true}},
		"rule 4: a promise counts for its whole length":  {Planted: lease.Planted{FullDuration: true}},
		"rule 6: ceilings are not durable":               {Planted: lease.Planted{VolatileCeiling: true}},
		"rule 7: a restarted node votes at once":         {Planted: lease.Planted{VoteAtOnce: true}},
		"rules 10 and 11: bound followers tick and vote": {Planted: lease.Planted{Ticks: true}},
		"rule 14: ceilings are ignored":                  {Planted: lease.Planted{NoCeiling: true}},
		"rule 14: one voter less":                        {Planted: lease.Planted{OneShort: true}},
		"rule 14: a joint quorum is counted once":        {Planted: lease.Planted{OneHalf: true}},
		"rule 14: an unbound voter counts":               {Planted: lease.Planted{UnboundCounts: true}},
		"rule 15: the read mark stays":                   {Planted: lease.Planted{NoMark: true}, says: []string{below}},
		"rule 16: what was proposed is not waited for":   {Planted: lease.Planted{NoWait: true}},
		"rule 17: the verdict is older than the request": {Planted: lease.Planted{CheckBefore: true}},
		"rule 19: a transfer keeps the lease":            {Planted: lease.Planted{TransferKeeps: true}},
		"rule 19: a term without lease goes on":          {Planted: lease.Planted{NoReelect: true}, says: []string{silence}},
		"rule 20: a leader that steps down is silent":    {Planted: lease.Planted{NoRelease: true}},
	} {
		t.Run(name, func(t *testing.T) {
			findBug(t, bug.Planted, bug.says)
		})
	}
	_, _, _ = stale, leaderless, silence
}

func findBug(t *testing.T, planted lease.Planted, says []string) {
	seeds := uint64(400)
	if *seedCount > 0 {
		seeds = *seedCount
	}
	for seed := uint64(1); seed <= seeds; seed++ {
		cfg := LeaseConfig(seed)
		cfg.Planted = replica.Planted{Lease: planted}
		_, errs := Run(t, cfg)
		if len(errs) == 0 {
			continue
		}
		t.Logf("found by seed %d: %s", seed, errs[0])
		if len(says) > 0 && !slices.ContainsFunc(says, func(s string) bool { return strings.Contains(errs[0], s) }) {
			t.Errorf("found by another check than %q", says)
		}
		return
	}
	t.Errorf("not found in %d seeds", seeds)
}
