//go:build planted && long

package sim

import (
	"testing"

	"github.com/nodedb/nodedb/agent/internal/lease"
)

// TestRareBugsOfLeasesAreFound plants those that need a rare order of events.
func TestRareBugsOfLeasesAreFound(t *testing.T) {
	findBugs(t, 4000, map[string]leaseBug{
		"rule 3: epochs survive a restart":              {Planted: lease.Planted{BootOutsideEpoch: true}},
		"rule 4: a promise counts for its whole length": {Planted: lease.Planted{FullDuration: true}},
		"rule 6: ceilings are not durable":              {Planted: lease.Planted{VolatileCeiling: true}, tune: forgetful},
		"rule 6: a clean stop forgets ceilings":         {Planted: lease.Planted{ForgetfulStop: true}, tune: forgetful},
		"rule 7: a restarted node votes at once":        {Planted: lease.Planted{VoteAtOnce: true}, tune: forgetful},
		"rule 14: ceilings are ignored":                 {Planted: lease.Planted{NoCeiling: true}},
		"rule 14: an unbound voter counts":              {Planted: lease.Planted{UnboundCounts: true}},
		"rule 19: a transfer keeps the lease":           {Planted: lease.Planted{TransferKeeps: true}},
		"rule 19: a term without lease goes on":         {Planted: lease.Planted{NoReelect: true}, says: []string{noisy}},
		"rule 20: a leader that steps down is silent":   {Planted: lease.Planted{NoRelease: true}},
	})
}
