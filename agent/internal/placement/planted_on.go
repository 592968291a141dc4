//go:build planted

package placement

// Planted are faults that tests plant, to prove that the simulation finds them.
type Planted struct {
	// EvenVoters has a range grow by one voter at a time, through two.
	EvenVoters bool
}

func (p Planted) evenVoters() bool { return p.EvenVoters }
