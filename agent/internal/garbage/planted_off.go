//go:build !planted

package garbage

// Planted are faults that the tag "planted" lets tests plant. Here it is empty.
type Planted struct{}

func (Planted) ignoresReaders() bool { return false }
