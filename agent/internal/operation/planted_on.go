//go:build planted

package operation

import "github.com/nodedb/nodedb/agent/internal/placement"

// Planted are faults that tests plant, to prove that they are found.
type Planted struct {
	// Deaf names a source whose changes do not reach the coordinator's snapshot: view,
	// reports, age, liveness, extra, newer or passing.
	Deaf string
	// SeedAgain has a range of a new pool made on another node under the same id when
	// the node where it is to be made is away.
	SeedAgain bool
	// ForgetEarly has the record of a dropped collection go when one range has cleared it.
	ForgetEarly bool
	// Plan are faults of the planner.
	Plan placement.Planted
}

func (p Planted) seedsAgain() bool { return p.SeedAgain }

func (p Planted) forgetsEarly() bool { return p.ForgetEarly }

func (p Planted) plan() placement.Planted { return p.Plan }

func (p Planted) deaf(source string) bool { return p.Deaf == source }
