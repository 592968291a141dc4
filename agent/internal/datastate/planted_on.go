//go:build planted

package datastate

import "github.com/nodedb/nodedb/agent/internal/cluster"

// Planted are faults that tests plant, to prove that the simulation finds them.
type Planted struct {
	// CountsLeftOut leaves out of a command what it adds to the range's counts.
	CountsLeftOut bool
	// NewestGoes has garbage collection take the newest version at the threshold, too.
	NewestGoes bool
	// ThresholdKept keeps the threshold of collected garbage out of the range's state.
	ThresholdKept bool
	// FenceOpen writes to collections that are no more.
	FenceOpen bool
	// FenceKept keeps the fence from a range that is split off.
	FenceKept bool
	// StaleTaken writes what rests on a version of a descriptor that is not taken any more.
	StaleTaken bool
	// OldLeft says of a fence that nothing is left from before while intents are.
	OldLeft bool
	// ClearOther clears the collection beside the one that was dropped.
	ClearOther bool
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
func (p Planted) fenceOpen() bool     { return p.FenceOpen }
func (p Planted) fenceKept() bool     { return p.FenceKept }
func (p Planted) staleTaken() bool    { return p.StaleTaken }
func (p Planted) oldLeft() bool       { return p.OldLeft }

func (p Planted) clearsOther() cluster.CollectionID {
	if p.ClearOther {
		return 1
	}
	return 0
}

func (p Planted) commitBlind() bool   { return p.CommitBlind }
func (p Planted) spanCutShort() bool  { return p.SpanCutShort }
func (p Planted) pushForgotten() bool { return p.PushForgotten }
