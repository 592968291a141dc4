//go:build planted

package gate

// Planted are faults that tests plant, to prove that the simulation finds them.
type Planted struct {
	// WriteAhead writes what the binary knows, whatever is active.
	WriteAhead bool
	// Forget acts upon a version, and promises it, without storing it.
	Forget bool
}

func (p Planted) writesAhead() bool { return p.WriteAhead }
func (p Planted) forgets() bool     { return p.Forget }
