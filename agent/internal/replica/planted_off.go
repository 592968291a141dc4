//go:build !planted

package replica

import (
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/lease"
)

// Planted are faults that the tag "planted" lets tests plant, to prove that the
// simulation finds them. Here it is empty: none can be planted.
type Planted struct{}

// Leases returns no faults of leases.
func (Planted) Leases() lease.Planted { return lease.Planted{} }

func (Planted) dupApply() bool  { return false }
func (Planted) localRead() bool { return false }
func (Planted) sendFirst() bool { return false }

func (Planted) holdCommits() bool { return false }
func (Planted) applyEarly() bool  { return false }
func (Planted) splitAtOnce() bool { return false }
func (Planted) stateAhead() bool  { return false }

func (Planted) truncatesUntold() bool { return false }

func (Planted) openBlank() bool     { return false }
func (Planted) snapshotBlank() bool { return false }
func (Planted) childBlank() bool    { return false }

func (Planted) forgetEarly(horizon hlc.Timestamp) hlc.Timestamp { return horizon }

func (Planted) countFirst() bool      { return false }
func (Planted) recountFromView() bool { return false }
func (Planted) guessCounts() bool     { return false }

func (Planted) showEarly() bool { return false }

func (Planted) remembers() bool { return false }

func (Planted) splitUnlocks(d *cluster.RangeDescriptor) *cluster.RangeDescriptor { return d }

func (Planted) noLatch() bool           { return false }
func (Planted) freeLatchEarly() bool    { return false }
func (Planted) evaluateUnready() bool   { return false }
func (Planted) proposeVoid() bool       { return false }
func (Planted) refuseUnconfirmed() bool { return false }
func (Planted) joinUnrecorded() bool    { return false }
func (Planted) noPlace() bool           { return false }
func (Planted) endlessPlace() bool      { return false }
func (Planted) takeEnded() bool         { return false }
func (Planted) sumLate() bool           { return false }
func (Planted) leadsDamaged() bool      { return false }

func (Planted) wideChild() bool { return false }

func (Planted) locksDie() bool      { return false }
func (Planted) keepsNoLocks() bool  { return false }
func (Planted) childUnlocked() bool { return false }
func (Planted) leavesLine() bool    { return false }
func (Planted) behindLine() bool    { return false }
func (Planted) keepsPlaces() bool   { return false }
func (Planted) passesIntents() bool { return false }

func (Planted) closesAhead() bool    { return false }
func (Planted) closesApplied() bool  { return false }
func (Planted) closesUnleased() bool { return false }

// ProvesWithoutLog is false.
func (Planted) ProvesWithoutLog() bool { return false }

// The rest is for package store.

// AsksNobody is false here, as all others are.
func (Planted) AsksNobody() bool { return false }

// WritesCeilingFirst is false.
func (Planted) WritesCeilingFirst() bool { return false }

// TrustsSelf is false.
func (Planted) TrustsSelf() bool { return false }

// PresentsRaised is false.
func (Planted) PresentsRaised() bool { return false }

// Forgets is false.
func (Planted) Forgets() bool { return false }

// TellsEarly is false.
func (Planted) TellsEarly() bool { return false }

// CountsFresh is false.
func (Planted) CountsFresh() bool { return false }

// FreesMade is false.
func (Planted) FreesMade() bool { return false }

// CountsLate is false.
func (Planted) CountsLate() bool { return false }

// DestroysWide is false.
func (Planted) DestroysWide() bool { return false }

// MakesAgain is false.
func (Planted) MakesAgain() bool { return false }

// DropsLate is false.
func (Planted) DropsLate() bool { return false }

// KeepsHung is false.
func (Planted) KeepsHung() bool { return false }

// CampaignsHung is false.
func (Planted) CampaignsHung() bool { return false }

// IgnoresSpent is false.
func (Planted) IgnoresSpent() bool { return false }

// IgnoresRoom is false.
func (Planted) IgnoresRoom() bool { return false }

// AcksFull is false.
func (Planted) AcksFull() bool { return false }

// AcksHung is false.
func (Planted) AcksHung() bool { return false }

// TicksAsleep is false.
func (Planted) TicksAsleep() bool { return false }

// NoSync reports whether log appends skip the sync.
func (Planted) NoSync() bool { return false }

// HasOneLane is false here.
func (Planted) HasOneLane() bool { return false }
