package trial

import (
	"flag"
	"testing"
	"time"
)

var (
	workloads = flag.String("workload", "all", "which workloads run, separated by commas; all: all")
	tormented = flag.String("fault", "all", "which faults come, separated by commas; none: none")
	level     = flag.String("level", "", "isolation level of explicit transactions; empty: chosen by the seed")
	seed      = flag.Uint64("seed", 101, "of clients and faults; 0: another one each time")
	lasting   = flag.Duration("for", time.Minute, "how long faults come")
	ranges    = flag.Int("ranges", 8, "at the start")
	clients   = flag.Int("clients", 4, "of each workload")
	every     = flag.Duration("pause", 60*time.Millisecond, "of a client between two operations")
	keep      = flag.String("keep", "", "directory for the histories of all workloads; empty: those that are wrong, in the temporary directory")
)

// TestTrial runs workloads from every node while faults and operations come, and
// judges their histories.
func TestTrial(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano()) % 1_000_000 //nolint:gosec // after 1970
	}
	Run(t, Options{
		Workloads: *workloads, Faults: *tormented, Level: *level, Seed: *seed, For: *lasting,
		Ranges: *ranges, Clients: *clients, Pause: *every, Keep: *keep, All: *keep != "",
	})
}
