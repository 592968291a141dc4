//go:build planted

package hlc

// Planted are faults that tests plant, to prove that the simulation finds them.
type Planted struct {
	// StepAtOnce follows the wall clock wherever it goes.
	StepAtOnce bool
	// SleepIsStep does not count the time for which the machine was suspended.
	SleepIsStep bool
	// TrustStart believes the wall clock of a start, whatever peers say.
	TrustStart bool
}

func (p Planted) stepAtOnce() bool  { return p.StepAtOnce }
func (p Planted) sleepIsStep() bool { return p.SleepIsStep }
func (p Planted) trustStart() bool  { return p.TrustStart }
