//go:build !planted

package lease

// Planted are faults that the tag "planted" lets tests plant, to prove that the
// simulation finds them. Here it is empty: none can be planted.
type Planted struct{}

func (Planted) votesAtOnce() bool      { return false }
func (Planted) volatileCeiling() bool  { return false }
func (Planted) stopsForgetful() bool   { return false }
func (Planted) bootOutsideEpoch() bool { return false }
func (Planted) sameEpoch() bool        { return false }
func (Planted) noCeiling() bool        { return false }
func (Planted) fullDuration() bool     { return false }
func (Planted) oneShort() bool         { return false }
func (Planted) jointOnce() bool        { return false }
func (Planted) unboundCounts() bool    { return false }
func (Planted) filtersNothing() bool   { return false }
func (Planted) noRelease() bool        { return false }

// The rest is for packages replica and store.

// KeepsInTransfer is false here, as all others are.
func (Planted) KeepsInTransfer() bool { return false }

// ChecksBefore is false.
func (Planted) ChecksBefore() bool { return false }

// WaitsForNothing is false.
func (Planted) WaitsForNothing() bool { return false }

// TicksWhileBound is false.
func (Planted) TicksWhileBound() bool { return false }

// ReleasesNobody is false.
func (Planted) ReleasesNobody() bool { return false }

// RaisesNoMark is false.
func (Planted) RaisesNoMark() bool { return false }

// Volatile is false.
func (Planted) Volatile() bool { return false }

// WaitsForFirst is false.
func (Planted) WaitsForFirst() bool { return false }

// StaysWithout is false.
func (Planted) StaysWithout() bool { return false }
