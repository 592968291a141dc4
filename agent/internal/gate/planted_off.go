//go:build !planted

package gate

// Planted are faults that tests plant; without the tag there are none.
type Planted struct{}

func (Planted) writesAhead() bool { return false }
func (Planted) forgets() bool     { return false }
