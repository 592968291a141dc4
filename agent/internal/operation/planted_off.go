//go:build !planted

package operation

// Planted are faults that the tag "planted" lets tests plant, to prove that they
// are found. Here it is empty: none can be planted.
type Planted struct{}

func (Planted) deaf(string) bool { return false }
