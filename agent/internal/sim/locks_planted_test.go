//go:build planted

package sim

import (
	"slices"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

// TestPlantedBugsOfLocksAreFound plants what may go wrong with row locks in the memory of
// leaders.
func TestPlantedBugsOfLocksAreFound(t *testing.T) {
	const seeds = 20
	const lost, late = "a lock was lost although", "that came much later had it first"
	for name, bug := range map[string]struct {
		replica.Planted
		txn  txn.Planted
		says []string
	}{
		"a leader that hands over tells no locks": {Planted: replica.Planted{LocksDie: true}, says: []string{lost}},
		"a leader that leads again has no locks":  {Planted: replica.Planted{KeepNoLocks: true}, says: []string{lost}},
		"a split gives no locks to the child":     {Planted: replica.Planted{ChildUnlocked: true}, says: []string{lost}},
		"who is told of others loses its place":   {Planted: replica.Planted{LeaveLine: true}, says: []string{late}},
		"nobody asks whether the holder is there": {txn: txn.Planted{RefuseUnasked: true}, says: []string{"although the transaction that had it has ended"}},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := *firstSeed; seed < *firstSeed+seeds; seed++ {
				cfg := DefaultConfig(seed)
				lockedRows(&cfg)
				cfg.Planted, cfg.PlantedTxn = bug.Planted, bug.txn
				_, errs := Run(t, cfg)
				if len(errs) == 0 {
					continue
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
