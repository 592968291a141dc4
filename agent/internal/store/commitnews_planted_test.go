//go:build planted

package store

import "testing"

// TestPlantedHeldCommitIsFound: a commit that is held back for ever is seen after a
// tick without a heartbeat. The simulation does not see it: the next heartbeat tells
// followers all the same, and a range does not sleep while they wait.
func TestPlantedHeldCommitIsFound(t *testing.T) {
	for _, hold := range []bool{false, true} {
		x := newTrio(t, func(cfg *Config) { cfg.HeartbeatTicks, cfg.Planted.HoldCommits = 8, hold })
		late := 0
		for range 6 { // a heartbeat is due at one of these ticks at most
			x.propose()
			x.deliver()
			x.tick()
			if x.behind() > 0 {
				late++
			}
		}
		if hold != (late >= 5) || !hold && late > 0 {
			t.Errorf("planted: %t; after %d of 6 ticks followers were behind", hold, late)
		}
	}
}
