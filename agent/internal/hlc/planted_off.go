//go:build !planted

package hlc

// Planted are faults that tests plant; without the tag there are none.
type Planted struct{}

func (Planted) stepAtOnce() bool  { return false }
func (Planted) sleepIsStep() bool { return false }
func (Planted) trustStart() bool  { return false }
