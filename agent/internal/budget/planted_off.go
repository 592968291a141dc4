//go:build !planted

package budget

// Planted are faults that the tag "planted" lets tests plant. Here it is empty: none
// can be planted.
type Planted struct{}

func (Planted) leaks() bool      { return false }
func (Planted) ownBound() bool   { return false }
func (Planted) keepsTaken() bool { return false }
