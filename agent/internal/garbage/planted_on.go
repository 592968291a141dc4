//go:build planted

package garbage

// Planted are faults that tests plant, to prove that the simulation finds them.
type Planted struct {
	// IgnoreReaders collects what open snapshots need.
	IgnoreReaders bool
}

func (p Planted) ignoresReaders() bool { return p.IgnoreReaders }
