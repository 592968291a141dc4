//go:build planted

package lease

// Planted are faults that tests plant, to prove that the simulation finds them.
type Planted struct {
	// VoteAtOnce has a node vote and campaign right after a restart (rule 7).
	VoteAtOnce bool
	// VolatileCeiling promises ceilings that a restart forgets (rule 6).
	VolatileCeiling bool
	// ForgetfulStop has a clean stop leave a durable ceiling below what was promised (rule 6).
	ForgetfulStop bool
	// BootOutsideEpoch has epochs survive a restart of the supporter (rule 3).
	BootOutsideEpoch bool
	// SameEpoch gives support back in the epoch in which it was withdrawn (rule 3).
	SameEpoch bool
	// NoCeiling ignores ceilings (rules 5 and 14).
	NoCeiling bool
	// FullDuration counts a promise for as long as it lasts (rule 4).
	FullDuration bool
	// OneShort takes one voter less for a majority (rule 14).
	OneShort bool
	// JointOnce asks a majority of the new half of a joint configuration only (rule 14).
	JointOnce bool
	// UnboundCounts counts support of nodes that are not bound (rule 14).
	UnboundCounts bool
	// Ticks ticks bound followers, and lets raft alone judge votes (rules 10 and 11).
	Ticks bool
	// NoRelease has a leader that stepped down say nothing (rules 12d and 20).
	NoRelease bool
	// TransferKeeps keeps the lease of a term that was given up (rule 19).
	TransferKeeps bool
	// CheckBefore takes a verdict from before the request (rule 17).
	CheckBefore bool
	// NoWait reads what is applied at once (rule 16).
	NoWait bool
	// FirstOnly has them wait for the first command on their rows, not the last (rule 16).
	FirstOnly bool
	// NoMark serves reads without raising the clock and the read mark (rule 15).
	NoMark bool
	// NoReelect stays in a term that was given up (rule 19).
	NoReelect bool
}

func (p Planted) votesAtOnce() bool      { return p.VoteAtOnce }
func (p Planted) volatileCeiling() bool  { return p.VolatileCeiling }
func (p Planted) stopsForgetful() bool   { return p.ForgetfulStop }
func (p Planted) bootOutsideEpoch() bool { return p.BootOutsideEpoch }
func (p Planted) sameEpoch() bool        { return p.SameEpoch }
func (p Planted) noCeiling() bool        { return p.NoCeiling }
func (p Planted) fullDuration() bool     { return p.FullDuration }
func (p Planted) oneShort() bool         { return p.OneShort }
func (p Planted) jointOnce() bool        { return p.JointOnce }
func (p Planted) unboundCounts() bool    { return p.UnboundCounts }
func (p Planted) filtersNothing() bool   { return p.Ticks }
func (p Planted) noRelease() bool        { return p.NoRelease }

// The rest is for packages replica and store.

// KeepsInTransfer reports TransferKeeps.
func (p Planted) KeepsInTransfer() bool { return p.TransferKeeps }

// ChecksBefore reports CheckBefore.
func (p Planted) ChecksBefore() bool { return p.CheckBefore }

// WaitsForNothing reports NoWait.
func (p Planted) WaitsForNothing() bool { return p.NoWait }

// TicksWhileBound reports Ticks.
func (p Planted) TicksWhileBound() bool { return p.Ticks }

// ReleasesNobody reports NoRelease.
func (p Planted) ReleasesNobody() bool { return p.NoRelease }

// RaisesNoMark reports NoMark.
func (p Planted) RaisesNoMark() bool { return p.NoMark }

// Volatile reports VolatileCeiling.
func (p Planted) Volatile() bool { return p.VolatileCeiling }

// WaitsForFirst reports FirstOnly.
func (p Planted) WaitsForFirst() bool { return p.FirstOnly }

// StaysWithout reports NoReelect.
func (p Planted) StaysWithout() bool { return p.NoReelect }
