//go:build long

package trial

import (
	"testing"
	"time"
)

// TestTrialsFindPlantedBugs plants faults in real processes, and wants the workload
// that is for them to find each within a few tries.
func TestTrialsFindPlantedBugs(t *testing.T) {
	for _, c := range []struct{ bug, workload, fault, level string }{
		{"FreeLatchEarly", "numbers", "none", ""},
		{"NoLatch", "registers", "none", ""},
		{"Lease.OneShort", "registers", "cut,pause", ""},
		{"Txn.SkipPrewrite", "bank", "none", "read committed"},
		{"Txn.IgnoreIntents", "bank", "none", "repeatable read"},
		{"Txn.SkipRefresh", "writeskew", "none", "serializable"},
		{"Txn.SkipRefresh", "predicates", "none", "serializable"},
		{"Txn.SkipRefresh", "lists", "none", "serializable"},
	} {
		t.Run(c.bug+"/"+c.workload, func(t *testing.T) {
			t.Setenv("NODEDB_TEST_PLANT", c.bug)
			const tries = 4
			for seed := range uint64(tries) {
				wrong := Try(t, Options{Workloads: c.workload, Faults: c.fault, Level: c.level, Seed: seed, For: 15 * time.Second, Ranges: 8, Clients: 8, Pause: 4 * time.Millisecond})
				for name, found := range wrong {
					t.Logf("found by seed %d: %s: %s", seed, name, found[0])
					return
				}
			}
			t.Errorf("%s was not found by %s under %s in %d tries", c.bug, c.workload, c.fault, tries)
		})
	}
}
