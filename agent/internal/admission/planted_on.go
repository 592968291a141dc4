//go:build planted

package admission

// Planted are faults that tests plant, to prove that the model finds them.
type Planted struct {
	// NoBound lets any number wait (invariant 1).
	NoBound bool
	// KeepsPlace has a statement that was cancelled as its turn came keep its place
	// (invariant 4).
	KeepsPlace bool
	// Overtakes gives places to those that came last (invariant 3).
	Overtakes bool
}

func (p Planted) noBound() bool    { return p.NoBound }
func (p Planted) keepsPlace() bool { return p.KeepsPlace }
func (p Planted) overtakes() bool  { return p.Overtakes }
