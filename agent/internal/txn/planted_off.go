//go:build !planted

package txn

// Planted are faults that tests plant; without the tag there are none.
type Planted struct{}

func (Planted) skipsPrewrite() bool  { return false }
func (Planted) commitsEarly() bool   { return false }
func (Planted) resolvesEarly() bool  { return false }
func (Planted) abortsOpen() bool     { return false }
func (Planted) ignoresIntents() bool { return false }
func (Planted) skipsRefresh() bool   { return false }
func (Planted) forgetsPoison() bool  { return false }
func (Planted) forgetsIntents() bool { return false }
func (Planted) refusesUnasked() bool { return false }
func (Planted) forgetsObjects() bool { return false }
func (Planted) forgetsSeen() bool    { return false }
func (Planted) movesRecord() bool    { return false }
func (Planted) blindAside() bool     { return false }
func (Planted) spansAlone() bool     { return false }
func (Planted) keepsRefused() bool   { return false }
