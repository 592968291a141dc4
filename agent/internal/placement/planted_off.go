//go:build !planted

package placement

// Planted are faults that the tag "planted" lets tests plant, to prove that the
// simulation finds them. Here it is empty: none can be planted.
type Planted struct{}

func (Planted) evenVoters() bool { return false }
