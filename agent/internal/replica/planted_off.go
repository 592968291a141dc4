//go:build !planted

package replica

// Planted are faults that the tag "planted" lets tests plant, to prove that the
// simulation finds them. Here it is empty: none can be planted.
type Planted struct{}

func (Planted) dupApply() bool  { return false }
func (Planted) localRead() bool { return false }
func (Planted) sendFirst() bool { return false }

// NoSync reports whether log appends skip the sync.
func (Planted) NoSync() bool { return false }
