//go:build planted

package datastate

// Planted are faults that tests plant, to prove that the simulation finds them.
type Planted struct {
	// CountsLeftOut leaves out of a command what it adds to the range's counts.
	CountsLeftOut bool
	// NewestGoes has garbage collection take the newest version at the threshold, too.
	NewestGoes bool
	// ThresholdKept keeps the threshold of collected garbage out of the range's state.
	ThresholdKept bool
	// CommitBlind commits a transaction without a look at its record.
	CommitBlind bool
	// PushForgotten answers a push and does not write it down.
	PushForgotten bool
	// SpanCutShort has a range resolve one row of a span, and say that it was all.
	SpanCutShort bool
}

func (p Planted) countsLeftOut() bool { return p.CountsLeftOut }
func (p Planted) newestGoes() bool    { return p.NewestGoes }
func (p Planted) thresholdKept() bool { return p.ThresholdKept }
func (p Planted) commitBlind() bool   { return p.CommitBlind }
func (p Planted) spanCutShort() bool  { return p.SpanCutShort }
func (p Planted) pushForgotten() bool { return p.PushForgotten }
