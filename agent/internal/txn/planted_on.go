//go:build planted

package txn

// Planted are faults that tests plant, to prove that the simulation finds them.
type Planted struct {
	// SkipPrewrite commits without having asked one of the ranges.
	SkipPrewrite bool
	// CommitEarly commits whatever the ranges have answered.
	CommitEarly bool
	// ResolveEarly has intents become versions before the record says that they do.
	ResolveEarly bool
	// AbortOpen takes a transaction whose commit is under way for an aborted one.
	AbortOpen bool
	// IgnoreIntents has readers pass over intents without having pushed them.
	IgnoreIntents bool
	// SkipRefresh takes what a serializable transaction has read for unchanged.
	SkipRefresh bool
	// ForgetPoison deletes the record of an aborted transaction whose gateway may commit
	// yet.
	ForgetPoison bool
	// ForgetIntents deletes the record of a transaction without having looked for its
	// intents.
	ForgetIntents bool
	// RefuseUnasked refuses who does not wait without asking whether the holder is there.
	RefuseUnasked bool
	// ForgetObjects deletes the record of a transaction without having told the meta range
	// how it ended.
	ForgetObjects bool
	// ForgetSeen takes a row for what it was when it was locked before.
	ForgetSeen bool
	// MoveRecord has a commit choose another record than the one that those were told who
	// met its durable locks.
	MoveRecord bool
	// BlindAside has what is written without a condition be committed by a transaction of
	// its own, ahead of the rest.
	BlindAside bool
	// SpansAlone has what is left of a large transaction be asked for by span alone, also
	// what may be on its way to its range.
	SpansAlone bool
	// KeepRefused leaves the locks of rows whose intents were refused.
	KeepRefused bool
}

func (p Planted) skipsPrewrite() bool  { return p.SkipPrewrite }
func (p Planted) commitsEarly() bool   { return p.CommitEarly }
func (p Planted) resolvesEarly() bool  { return p.ResolveEarly }
func (p Planted) abortsOpen() bool     { return p.AbortOpen }
func (p Planted) ignoresIntents() bool { return p.IgnoreIntents }
func (p Planted) skipsRefresh() bool   { return p.SkipRefresh }
func (p Planted) forgetsPoison() bool  { return p.ForgetPoison }
func (p Planted) forgetsIntents() bool { return p.ForgetIntents }
func (p Planted) refusesUnasked() bool { return p.RefuseUnasked }
func (p Planted) forgetsObjects() bool { return p.ForgetObjects }
func (p Planted) forgetsSeen() bool    { return p.ForgetSeen }
func (p Planted) movesRecord() bool    { return p.MoveRecord }
func (p Planted) blindAside() bool     { return p.BlindAside }
func (p Planted) spansAlone() bool     { return p.SpansAlone }
func (p Planted) keepsRefused() bool   { return p.KeepRefused }
