package gate

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// Stored is what a node keeps of versions, durably and beside its store: it is
// read before anything else is, by any binary.
type Stored struct {
	// Active is the newest version that the node may act upon.
	Active Version `json:"active"`
	// Promised, if it is above Active, is the version without which no binary may
	// run here, and Index the raising that it was promised to.
	Promised Version `json:"promised,omitempty"`
	Index    uint64  `json:"index,omitempty"`
}

// Check refuses a binary that supports what b says and is too old or too new for
// what is stored.
func (s Stored) Check(b Support) error {
	switch {
	case s.Active > b.Max:
		return &UnfitError{fmt.Sprintf("this nodedb-agent runs %s and is too old for its cluster, which is at version %d: start it with the newer nodedb-agent", b, s.Active)}
	case s.Promised > b.Max:
		return &UnfitError{fmt.Sprintf("this nodedb-agent runs %s, and an upgrade to version %d is under way, which this node has agreed to: start it with the newer nodedb-agent; to go back, run nodedbctl upgrade abort while that one runs", b, s.Promised)}
	case s.Active < b.Min:
		return &UnfitError{fmt.Sprintf("this nodedb-agent runs %s and is too new for its cluster, which is at version %d: start it with a nodedb-agent in between, run nodedbctl upgrade finalize, then start this one", b, s.Active)}
	}
	return nil
}

// UnfitError says why a binary cannot run here, and what to do.
type UnfitError struct{ Reason string }

func (e *UnfitError) Error() string { return e.Reason }

// Record is what the meta range says of versions, as of Index.
type Record struct {
	Index  uint64
	Active Version // 0: nothing is known yet
	// Raising is the version to come, 0: none; RaisingIndex names the raising.
	Raising      Version
	RaisingIndex uint64
}

// Keeper keeps what a node knows of the active version.
type Keeper struct {
	support Support
	save    func(Stored) error
	raise   func(Version) error
	planted Planted
	active  atomic.Uint32

	mu struct {
		sync.Mutex
		stored Stored
	}
}

// KeeperConfig says what a Keeper needs.
type KeeperConfig struct {
	Support Support // of this binary
	Stored  Stored  // as it was found
	// Save stores durably.
	Save func(Stored) error
	// Raise makes the store ready for what a version allows, once it is stored that
	// it is active; again after a start. May be nil.
	Raise func(Version) error
	// Planted holds faults that tests plant; it is empty but with the tag "planted".
	Planted Planted
}

// NewKeeper returns a Keeper that acts upon what was stored.
func NewKeeper(c KeeperConfig) *Keeper {
	k := &Keeper{support: c.Support, save: c.Save, raise: c.Raise, planted: c.Planted}
	k.mu.stored = c.Stored
	k.active.Store(uint32(c.Stored.Active))
	return k
}

// Active returns the version that decides what this node may write.
func (k *Keeper) Active() Version {
	if k.planted.writesAhead() {
		return k.support.Max
	}
	return Version(k.active.Load())
}

// Support returns what this binary supports.
func (k *Keeper) Support() Support { return k.support }

// Stored returns what is stored.
func (k *Keeper) Stored() Stored {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.mu.stored
}

// Follow stores what the meta range says, and then acts upon it. It returns the
// raising that this node has promised, as often as it is called while that lasts:
// the meta range is to be told.
func (k *Keeper) Follow(r Record) (promised uint64, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r.Active > k.support.Max {
		return 0, Stored{Active: r.Active}.Check(k.support)
	}
	next := k.mu.stored.after(r, k.support)
	if next != k.mu.stored {
		if !k.planted.forgets() {
			if err := k.save(next); err != nil {
				return 0, fmt.Errorf("store the cluster's version: %w", err)
			}
		}
		k.mu.stored = next
	}
	if Version(k.active.Load()) < next.Active {
		if k.raise != nil {
			if err := k.raise(next.Active); err != nil {
				return 0, fmt.Errorf("raise the store to version %d: %w", next.Active, err)
			}
		}
		k.active.Store(uint32(next.Active))
	}
	if next.Promised > next.Active {
		return next.Index, nil
	}
	return 0, nil
}

// after returns what is to be stored when r is known. What was read before the
// promise, by a view that a crash has set back, takes nothing back.
func (s Stored) after(r Record, b Support) Stored {
	if r.Active > s.Active && b.Has(r.Active) {
		s.Active = r.Active
	}
	if s.Promised <= s.Active {
		s.Promised, s.Index = 0, 0
	}
	switch {
	case r.Raising > s.Active && b.Has(r.Raising) && r.RaisingIndex > s.Index:
		s.Promised, s.Index = r.Raising, r.RaisingIndex
	case s.Promised != 0 && r.Index >= s.Index && r.RaisingIndex != s.Index:
		s.Promised, s.Index = 0, 0
	}
	return s
}
