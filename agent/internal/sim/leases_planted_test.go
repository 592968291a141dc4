//go:build planted

package sim

import (
	"slices"
	"strings"
	"testing"
	"time"

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
	tune func(*Config)
	says []string
}

// TestPlantedBugsOfLeasesAreFound plants what leases could do wrong: each must be
// found within some seeds of runs that are made to find it. Those that take hundreds
// of seeds are found with the tag "long".
func TestPlantedBugsOfLeasesAreFound(t *testing.T) {
	findBugs(t, 60, map[string]leaseBug{
		"rule 3: support comes back in the same epoch":   {Planted: lease.Planted{SameEpoch: true}},
		"rules 10 and 11: bound followers tick and vote": {Planted: lease.Planted{Ticks: true}},
		"rule 14: one voter less":                        {Planted: lease.Planted{OneShort: true}},
		"rule 14: a joint configuration counts once":     {Planted: lease.Planted{JointOnce: true}, tune: five},
		"rule 15: the read mark stays":                   {Planted: lease.Planted{NoMark: true}, says: []string{overtaken, "and is now", "a scan of ["}},
		"rule 16: what was proposed is not waited for":   {Planted: lease.Planted{NoWait: true}},
		"rule 16: the first on its rows is waited for":   {Planted: lease.Planted{FirstOnly: true}},
		"rule 17: the verdict is older than the request": {Planted: lease.Planted{CheckBefore: true}},
	})
}

// leasedWide is a run of leases with keys in two vshards.
func leasedWide(c *Config) {
	leased(c)
	c.Keys = 4
}

// forgetful is a run in which those on whom a lease rests restart, again and again.
func forgetful(c *Config) { c.Nodes, c.Five, c.Extra = 3, false, (*World).amnesiaOften }

// amnesiaOften brings nothing else, to leaders whose clocks lead, if any do.
func (w *World) amnesiaOften() {
	id := w.anyRange()
	l, _, ok := w.Leader(id)
	switch {
	case !ok:
		w.faultAfter(300*time.Millisecond, w.amnesiaOften)
	case w.odd >= 0 && l != w.nodes[w.odd]:
		w.handOverFrom(l, id, w.nodes[w.odd], false)
		w.faultAfter(800*time.Millisecond, w.amnesiaOften)
	default:
		w.amnesia(l, id)
		w.faultAfter(4500*time.Millisecond, w.amnesiaOften)
	}
}

// five is a run in which joint changes are all that goes wrong.
func five(c *Config) { c.Nodes, c.Five, c.Extra = 5, true, func(*World) {} }

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
		if bug.tune != nil {
			bug.tune(&cfg)
		}
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
