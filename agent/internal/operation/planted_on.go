//go:build planted

package operation

// Planted are faults that tests plant, to prove that they are found.
type Planted struct {
	// Deaf names a source whose changes do not reach the coordinator's snapshot: view,
	// reports, age, liveness, extra, newer or passing.
	Deaf string
}

func (p Planted) deaf(source string) bool { return p.Deaf == source }
