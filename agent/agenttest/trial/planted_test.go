//go:build long

package trial

import (
	"cmp"
	"testing"
	"time"
)

// TestTrialsFindPlantedBugs plants faults in real processes, and wants the workload
// that is for them to find each within a few tries.
func TestTrialsFindPlantedBugs(t *testing.T) {
	for _, c := range []struct {
		bug, workload, fault, level string
		lasts                       time.Duration // 0: as long as most
	}{
		{"FreeLatchEarly", "numbers", "none", "", 0},
		{"Lease.OneShort", "registers", "cut,pause", "", 0},
		{"Txn.SkipPrewrite", "bank", "none", "read committed", 0},
		{"Txn.IgnoreIntents", "bank", "none", "repeatable read", 0},
		{"Txn.SkipRefresh", "writeskew", "none", "serializable", 0},
		{"Txn.SkipRefresh", "predicates", "none", "serializable", 0},
		{"Txn.SkipRefresh", "lists", "none", "serializable", 0},
		{"Txn.SkipPrewrite", "jobs", "none", "read committed", 0},
		{"Data.CommitBlind", "mutexes", "cut", "read committed", time.Minute},
		{"Txn.IgnoreIntents", "past", "none", "read committed", 0},
		{"Txn.IgnoreIntents", "bulk", "none", "read committed", 0},
	} {
		t.Run(c.bug+"/"+c.workload, func(t *testing.T) {
			t.Setenv("NODEDB_TEST_PLANT", c.bug)
			const tries = 4
			for seed := range uint64(tries) {
				wrong := Try(t, Options{Workloads: c.workload, Faults: c.fault, Level: c.level, Seed: seed, For: cmp.Or(c.lasts, 15*time.Second), Ranges: 8, Clients: 8, Pause: 4 * time.Millisecond})
				for name, found := range wrong {
					t.Logf("found by seed %d: %s: %s", seed, name, found[0])
					return
				}
			}
			t.Errorf("%s was not found by %s under %s in %d tries", c.bug, c.workload, c.fault, tries)
		})
	}
}
