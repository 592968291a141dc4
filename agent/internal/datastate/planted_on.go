//go:build planted

package datastate

// Planted are faults that tests plant, to prove that the simulation finds them.
type Planted struct {
	// CountsLeftOut leaves out of a command what it adds to the range's counts.
	CountsLeftOut bool
}

func (p Planted) countsLeftOut() bool { return p.CountsLeftOut }
