//go:build planted

package store

import (
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// TestPlantedBugsOfTransactionsAreFound: each makes or loses money, or shows a part of
// a transfer to somebody, within some seeds.
func TestPlantedBugsOfTransactionsAreFound(t *testing.T) {
	const seeds = 200
	for name, bug := range map[string]struct {
		replica.Planted
		data datastate.Planted
	}{
		"an intent is in neither mirror nor view":     {Planted: replica.Planted{ShowEarly: true}},
		"a split forgets what transactions have left": {Planted: replica.Planted{SplitUnlocks: true}},
		"a commit does not look at the record":        {data: datastate.Planted{CommitBlind: true}},
		"a push is not remembered":                    {data: datastate.Planted{PushForgotten: true}},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(seeds) {
				b := newBank(t, seed, func(cfg *Config) {
					cfg.Planted = bug.Planted
					cfg.Machine = func(cluster.RangeDescriptor) replica.StateMachine {
						return datastate.NewPlanted(gate.Binary(), bug.data)
					}
				})
				if found := b.open(bankSteps); found != "" {
					t.Logf("found by seed %d: %s", seed, found)
					return
				}
			}
			t.Errorf("not found in %d seeds", seeds)
		})
	}
}
