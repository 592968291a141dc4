//go:build !planted

package exec

// Planted are faults that the tag "planted" lets tests plant. Here it is empty.
type Planted struct{}

func (Planted) oldEntryStays() bool    { return false }
func (Planted) parentUnlocked() bool   { return false }
func (Planted) missesDeleteOnly() bool { return false }
func (Planted) readsAnyVersion() bool  { return false }
func (Planted) blindBackfill() bool    { return false }
func (Planted) passesWritten() bool    { return false }
func (Planted) takesEntry() bool       { return false }
func (Planted) keyShareBlind() bool    { return false }
func (Planted) valuesUnlocked() bool   { return false }
func (Planted) itemLost() bool         { return false }
func (Planted) missesNewPlace() bool   { return false }
func (Planted) movesAtOnce() bool      { return false }

func (Planted) copiesOldTypes() bool { return false }
