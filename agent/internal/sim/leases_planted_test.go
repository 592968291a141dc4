//go:build planted

package sim

import (
	"slices"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/lease"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// Errors that find bugs of leases.
const (
	overtaken = "a command came below a read"
	noisy     = "in the last moment"
)

// leaseBug is a fault of leases, and what the error says that finds it; empty: any.
type leaseBug struct {
	lease.Planted
	says []string
}

// TestPlantedBugsOfLeasesAreFound plants what leases could do wrong: each must be
// found within some seeds of runs that are made to find it. Those that take hundreds
// of seeds are found with the tag "long".
func TestPlantedBugsOfLeasesAreFound(t *testing.T) {
	findBugs(t, 60, map[string]leaseBug{
		"rule 3: support comes back in the same epoch":   {Planted: lease.Planted{SameEpoch: true}},
		"rule 3: epochs survive a restart":               {Planted: lease.Planted{BootOutsideEpoch: true}},
		"rules 10 and 11: bound followers tick and vote": {Planted: lease.Planted{Ticks: true}},
		"rule 14: one voter less":                        {Planted: lease.Planted{OneShort: true}},
		"rule 15: the read mark stays":                   {Planted: lease.Planted{NoMark: true}, says: []string{overtaken, "and is now"}},
		"rule 16: what was proposed is not waited for":   {Planted: lease.Planted{NoWait: true}},
		"rule 17: the verdict is older than the request": {Planted: lease.Planted{CheckBefore: true}},
	})
}

func findBugs(t *testing.T, seeds uint64, bugs map[string]leaseBug) {
	for name, bug := range bugs {
		t.Run(name, func(t *testing.T) { findBug(t, seeds, &bug) })
	}
}

func findBug(t *testing.T, seeds uint64, bug *leaseBug) {
	if *seedCount > 0 {
		seeds = *seedCount
	}
	for seed := *firstSeed; seed < *firstSeed+seeds; seed++ {
		cfg := LeaseConfig(seed)
		cfg.Planted = replica.Planted{Lease: bug.Planted}
		_, errs := Run(t, cfg)
		if len(errs) == 0 || len(bug.says) == 0 && strings.Contains(errs[0], noisy) {
			continue // a range that falls asleep a little late proves nothing
		}
		t.Logf("found by seed %d: %s", seed, errs[0])
		if len(bug.says) > 0 && !slices.ContainsFunc(bug.says, func(s string) bool { return strings.Contains(errs[0], s) }) {
			t.Errorf("found by another check than %q", bug.says)
		}
		return
	}
	t.Errorf("not found in %d seeds", seeds)
}
