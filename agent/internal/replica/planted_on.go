//go:build planted

package replica

// Planted are faults that tests plant, to prove that the simulation finds them.
type Planted struct {
	// DupApply applies a retried command again.
	DupApply bool
	// LocalRead serves reads without asking a quorum.
	LocalRead bool
	// SendFirst sends messages before the append they depend on is durable.
	SendFirst bool
	// SkipSync appends to the log without a sync.
	SkipSync bool
}

func (p Planted) dupApply() bool  { return p.DupApply }
func (p Planted) localRead() bool { return p.LocalRead }
func (p Planted) sendFirst() bool { return p.SendFirst }

// NoSync reports whether log appends skip the sync.
func (p Planted) NoSync() bool { return p.SkipSync }
