//go:build planted

package operation

import (
	"testing"

	"github.com/nodedb/nodedb/agent/agenttest/seed"
)

// TestPlantedDeafSources: a source whose changes do not reach the snapshot is found.
func TestPlantedDeafSources(t *testing.T) {
	first := seed.Of(t)
	for _, source := range []string{"view", "reports", "age", "liveness", "extra", "newer", "passing"} {
		found := ""
		for seed := first; seed < first+20 && found == ""; seed++ {
			found = watchOutlook(seed, Planted{Deaf: source}, 300)
		}
		if found == "" {
			t.Errorf("deaf to %s: not found in 20 seeds from %d on", source, first)
		}
		t.Logf("deaf to %s: %s", source, found)
	}
}
