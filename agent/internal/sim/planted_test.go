//go:build planted

package sim

import (
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/replica"
)

// TestPlantedBugsAreFound proves that the simulation is worth its time: each
// fault, planted in the code under test, must be found within some seeds.
func TestPlantedBugsAreFound(t *testing.T) {
	const seeds = 60
	const votes, condemned = "takes part with a disk that went back", "has an honest disk and is refused"
	for name, bug := range map[string]struct {
		replica.Planted
		says  string // of the error that finds it
		extra func(*World)
	}{
		"log without sync":               {Planted: replica.Planted{SkipSync: true}},
		"read without quorum":            {Planted: replica.Planted{LocalRead: true}},
		"messages sent before the write": {Planted: replica.Planted{SendFirst: true}},
		"retry applied twice":            {Planted: replica.Planted{DupApply: true}},
		"a return asks nobody":           {Planted: replica.Planted{AskNobody: true}, says: votes},
		"a return trusts itself":         {Planted: replica.Planted{TrustSelf: true}, says: votes},
		"the raised boot is presented":   {Planted: replica.Planted{PresentRaised: true}, says: votes},
		"peers forget":                   {Planted: replica.Planted{PeersForget: true}, says: votes},
		"a number told before its sync":  {Planted: replica.Planted{TellEarly: true}, says: condemned},
		"a new peer's ignorance counts":  {Planted: replica.Planted{FreshCounts: true}, says: votes, extra: (*World).wipeBeside},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := uint64(1); seed <= seeds; seed++ {
				cfg := DefaultConfig(seed)
				cfg.Planted, cfg.Extra = bug.Planted, bug.extra
				_, errs := Run(t, cfg)
				if len(errs) == 0 {
					continue
				}
				t.Logf("found by seed %d: %s", seed, errs[0])
				if !strings.Contains(errs[0], bug.says) {
					t.Errorf("found by another check than %q", bug.says)
				}
				return
			}
			t.Errorf("not found in %d seeds", seeds)
		})
	}
}
