//go:build planted

package operation

import "github.com/nodedb/nodedb/agent/internal/placement"

// Planted are faults that tests plant, to prove that they are found.
type Planted struct {
	// Deaf names a source whose changes do not reach the coordinator's snapshot: view,
	// reports, age, liveness, extra, newer or passing.
	Deaf string
	// Plan are faults of the planner.
	Plan placement.Planted
}

func (p Planted) plan() placement.Planted { return p.Plan }

func (p Planted) deaf(source string) bool { return p.Deaf == source }
