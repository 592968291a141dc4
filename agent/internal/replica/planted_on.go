//go:build planted

package replica

import (
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/lease"
)

// Planted are faults that tests plant, to prove that the simulation finds them.
type Planted struct {
	// DupApply applies a retried command again.
	DupApply bool
	// LocalRead serves reads without asking a quorum.
	LocalRead bool
	// SendFirst sends messages before the append they depend on is durable.
	SendFirst bool
	// HoldCommits never sends what a leader holds back of its commit index.
	HoldCommits bool
	// SkipSync appends to the log without a sync.
	SkipSync bool

	// ApplyEarly takes a round for committed when it is sealed.
	ApplyEarly bool
	// SplitAtOnce has an entry that stands alone not wait for the round before it.
	SplitAtOnce bool
	// StateAhead writes the applied state of a round ahead of the round.
	StateAhead bool
	// TruncateUntold drops applied log of which raft was not told yet that it is applied.
	TruncateUntold bool

	// OpenBlank opens a replica without the ids of the commands that it applied.
	OpenBlank bool
	// SnapshotBlank takes them from no snapshot.
	SnapshotBlank bool
	// ChildBlank gives them to no range that is split off.
	ChildBlank bool
	// ForgetEarly forgets ids while commands of their age are still taken.
	ForgetEarly bool

	// CountFirst stores what a range holds before what it counts, and syncs it: a
	// replay counts again.
	CountFirst bool
	// RecountFromView forgets what was written while a range was counted.
	RecountFromView bool
	// GuessCounts takes half of a range that was split for what each half holds.
	GuessCounts bool

	// ShowEarly has reads miss an intent as soon as the round that resolves it is sealed.
	ShowEarly bool
	// SplitUnlocks forgets what transactions have left in a range that is split.
	SplitUnlocks bool
	// SumLate has a checksum take in what came after its entry.
	SumLate bool

	// WideChild has a range that is split off begin with the vshard of its first row.
	WideChild bool
	// WideDestroy deletes the rows of a replica that is removed by whole vshards.
	WideDestroy bool

	// OneLane has everything wait for the core in one line.
	OneLane bool

	// KeepHung keeps the leaderships of a node whose disk hangs.
	KeepHung bool
	// AckHung takes a write that hangs for done.
	AckHung bool

	// TickAsleep has a node tick while all of its ranges sleep.
	TickAsleep bool

	// NoLatch evaluates requests on one row at once.
	NoLatch bool
	// FreeLatchEarly evaluates the next request on a row without what is decided and not applied.
	FreeLatchEarly bool
	// EvaluateUnready evaluates before the leader has applied an entry of its term.
	EvaluateUnready bool
	// Remember has a leader go by what it knew of rows when it led before, or before a split.
	Remember bool
	// ProposeVoid proposes what was evaluated in an earlier leadership.
	ProposeVoid bool
	// RefuseUnconfirmed answers refusals without asking whether somebody else leads.
	RefuseUnconfirmed bool
	// JoinUnrecorded has a request be refused without an entry although a retry has
	// joined it.
	JoinUnrecorded bool
	// NoPlace keeps nobody's place.
	NoPlace bool
	// EndlessPlace keeps places for ever.
	EndlessPlace bool
	// TakeEnded has a request take over a place that has ended, without a latch.
	TakeEnded bool

	// MakeAgain makes a range of a new pool behind a tombstone.
	MakeAgain bool

	// CeilingFirst makes the clock's ceiling durable ahead of the wall clock, whether
	// or not others agree with that.
	CeilingFirst bool

	// ProveWithoutLog has the proof that a store holds nothing above a time pass over
	// the logs.
	ProveWithoutLog bool

	// AskNobody has a node that returns ask no peer about its store.
	AskNobody bool
	// TrustSelf has it ask, and not wait for answers.
	TrustSelf bool
	// PresentRaised has it present the boot that it has just begun.
	PresentRaised bool
	// PeersForget keeps what peers told in memory only.
	PeersForget bool
	// TellEarly tells the number of a round before it is synced.
	TellEarly bool
	// CampaignHung calls elections and takes leaderships while the disk hangs.
	CampaignHung bool
	// LeadDamaged keeps the leaderships of damaged replicas.
	LeadDamaged bool
	// IgnoreSpent takes entries although the disk has no room for them.
	IgnoreSpent bool
	// IgnoreRoom proposes what the nodes with room are no quorum for.
	IgnoreRoom bool
	// AckFull takes a write that found no room for done.
	AckFull bool
	// FreshCounts counts the answer of a peer whose store is new.
	FreshCounts bool
	// FreeMade has a replica that is made take part while those found still wait.
	FreeMade bool
	// DropLate calls a command that was not decided in time lost, although raft has it.
	DropLate bool
	// CountLate counts no commit while a replica is held.
	CountLate bool

	// CloseAhead serves up to a leader's word before what belongs to it is applied.
	CloseAhead bool
	// CloseApplied has a leader's word leave out what is proposed and not applied.
	CloseApplied bool
	// CloseUnleased closes time without a lease: the next leader does not know of it.
	CloseUnleased bool

	// LocksDie has a leader that ceases to lead tell nobody of the locks it held.
	LocksDie bool
	// KeepNoLocks has a leader that leads again in a new term know nothing of its locks.
	KeepNoLocks bool
	// ChildUnlocked has a range that is split off know nothing of its parent's locks.
	ChildUnlocked bool
	// LeaveLine keeps no place in the line of a lock for who was told for whom it waits.
	LeaveLine bool
	// BehindLine has who comes in a place wait behind those who wait for a lock.
	BehindLine bool
	// KeepPlaces keeps the places of who waits in other lines, for as long as it comes back.
	KeepPlaces bool
	// PassIntents has followers pass over intents.
	PassIntents bool

	// Lease are faults of leases.
	Lease lease.Planted
}

// Leases returns Lease.
func (p Planted) Leases() lease.Planted { return p.Lease }

func (p Planted) dupApply() bool  { return p.DupApply }
func (p Planted) localRead() bool { return p.LocalRead }
func (p Planted) sendFirst() bool { return p.SendFirst }

func (p Planted) holdCommits() bool { return p.HoldCommits }
func (p Planted) applyEarly() bool  { return p.ApplyEarly }
func (p Planted) splitAtOnce() bool { return p.SplitAtOnce }
func (p Planted) stateAhead() bool  { return p.StateAhead }

func (p Planted) truncatesUntold() bool { return p.TruncateUntold }

func (p Planted) openBlank() bool     { return p.OpenBlank }
func (p Planted) snapshotBlank() bool { return p.SnapshotBlank }
func (p Planted) childBlank() bool    { return p.ChildBlank }

func (p Planted) forgetEarly(horizon hlc.Timestamp) hlc.Timestamp {
	if p.ForgetEarly {
		return horizon.Add(IDAge)
	}
	return horizon
}

func (p Planted) countFirst() bool      { return p.CountFirst }
func (p Planted) recountFromView() bool { return p.RecountFromView }
func (p Planted) guessCounts() bool     { return p.GuessCounts }

func (p Planted) noLatch() bool           { return p.NoLatch }
func (p Planted) freeLatchEarly() bool    { return p.FreeLatchEarly }
func (p Planted) evaluateUnready() bool   { return p.EvaluateUnready }
func (p Planted) remembers() bool         { return p.Remember }
func (p Planted) proposeVoid() bool       { return p.ProposeVoid }
func (p Planted) refuseUnconfirmed() bool { return p.RefuseUnconfirmed }
func (p Planted) joinUnrecorded() bool    { return p.JoinUnrecorded }
func (p Planted) noPlace() bool           { return p.NoPlace }
func (p Planted) endlessPlace() bool      { return p.EndlessPlace }
func (p Planted) takeEnded() bool         { return p.TakeEnded }
func (p Planted) showEarly() bool         { return p.ShowEarly }

func (p Planted) splitUnlocks(d *cluster.RangeDescriptor) *cluster.RangeDescriptor {
	if !p.SplitUnlocks {
		return d
	}
	none := d.Clone()
	none.End = none.Start
	return none
}

func (p Planted) sumLate() bool      { return p.SumLate }
func (p Planted) leadsDamaged() bool { return p.LeadDamaged }

func (p Planted) wideChild() bool { return p.WideChild }

func (p Planted) locksDie() bool      { return p.LocksDie }
func (p Planted) keepsNoLocks() bool  { return p.KeepNoLocks }
func (p Planted) childUnlocked() bool { return p.ChildUnlocked }
func (p Planted) leavesLine() bool    { return p.LeaveLine }
func (p Planted) behindLine() bool    { return p.BehindLine }
func (p Planted) keepsPlaces() bool   { return p.KeepPlaces }
func (p Planted) passesIntents() bool { return p.PassIntents }

func (p Planted) closesAhead() bool    { return p.CloseAhead }
func (p Planted) closesApplied() bool  { return p.CloseApplied }
func (p Planted) closesUnleased() bool { return p.CloseUnleased }

// ProvesWithoutLog reports ProveWithoutLog.
func (p Planted) ProvesWithoutLog() bool { return p.ProveWithoutLog }

// The rest is for package store.

// WritesCeilingFirst reports CeilingFirst.
func (p Planted) WritesCeilingFirst() bool { return p.CeilingFirst }

// AsksNobody reports AskNobody.
func (p Planted) AsksNobody() bool { return p.AskNobody }

// TrustsSelf reports TrustSelf.
func (p Planted) TrustsSelf() bool { return p.TrustSelf }

// PresentsRaised reports PresentRaised.
func (p Planted) PresentsRaised() bool { return p.PresentRaised }

// Forgets reports PeersForget.
func (p Planted) Forgets() bool { return p.PeersForget }

// TellsEarly reports TellEarly.
func (p Planted) TellsEarly() bool { return p.TellEarly }

// CountsFresh reports FreshCounts.
func (p Planted) CountsFresh() bool { return p.FreshCounts }

// FreesMade reports FreeMade.
func (p Planted) FreesMade() bool { return p.FreeMade }

// CountsLate reports CountLate.
func (p Planted) CountsLate() bool { return p.CountLate }

// DestroysWide reports WideDestroy.
func (p Planted) DestroysWide() bool { return p.WideDestroy }

// MakesAgain reports MakeAgain.
func (p Planted) MakesAgain() bool { return p.MakeAgain }

// DropsLate reports DropLate.
func (p Planted) DropsLate() bool { return p.DropLate }

// KeepsHung reports KeepHung.
func (p Planted) KeepsHung() bool { return p.KeepHung }

// CampaignsHung reports CampaignHung.
func (p Planted) CampaignsHung() bool { return p.CampaignHung }

// IgnoresSpent reports IgnoreSpent.
func (p Planted) IgnoresSpent() bool { return p.IgnoreSpent }

// IgnoresRoom reports IgnoreRoom.
func (p Planted) IgnoresRoom() bool { return p.IgnoreRoom }

// AcksFull reports AckFull.
func (p Planted) AcksFull() bool { return p.AckFull }

// AcksHung reports AckHung.
func (p Planted) AcksHung() bool { return p.AckHung }

// TicksAsleep reports TickAsleep.
func (p Planted) TicksAsleep() bool { return p.TickAsleep }

// NoSync reports whether log appends skip the sync.
func (p Planted) NoSync() bool { return p.SkipSync }

// HasOneLane reports OneLane.
func (p Planted) HasOneLane() bool { return p.OneLane }
