//go:build planted

package budget

// Planted are faults that tests plant, to prove that the model finds them.
type Planted struct {
	// Leak has an account that is closed give nothing back (invariant 3).
	Leak bool
	// OwnBoundOnly has a part ask nobody above it (invariant 1).
	OwnBoundOnly bool
	// KeepRefused leaves taken what a budget above refused (invariant 2).
	KeepRefused bool
}

func (p Planted) leaks() bool      { return p.Leak }
func (p Planted) ownBound() bool   { return p.OwnBoundOnly }
func (p Planted) keepsTaken() bool { return p.KeepRefused }
