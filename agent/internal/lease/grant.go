package lease

import (
	"time"

	"github.com/nodedb/nodedb/agent/internal/hlc"
)

// Voter is one voter of a range, as its leader sees it.
type Voter struct {
	// Peer is nil for the leader itself.
	Peer *Peer
	// Bound is the epoch in which the voter has bound itself; zero: it has not.
	Bound Epoch
	// Half says in which majorities the voter counts: the first, the second, or both.
	// Both are the same but in a joint configuration.
	Half [2]bool
}

// Grant is what a leader's lease rests on: the voters of the applied configuration,
// and their bindings. It never changes. Whoever holds it for its leadership must
// drop it when that ends or is given up, and when anything in it changes.
type Grant struct {
	voters  []Voter
	need    [2]int
	planted Planted
}

// NewGrant makes a grant from all voters.
func NewGrant(voters []Voter, planted Planted) *Grant {
	g := &Grant{voters: voters, planted: planted}
	for i := range voters {
		for h := range g.need {
			if voters[i].Half[h] {
				g.need[h]++
			}
		}
	}
	for h := range g.need {
		g.need[h] = g.need[h]/2 + 1
		if planted.oneShort() {
			g.need[h]--
		}
	}
	return g
}

// Holds reports whether the lease holds at a moment for reads at ts (rule 14): in
// each half of the configuration a majority is the leader itself, as far as its own
// clock's ceiling is durable, or bound to it and still counted, with a ceiling of at
// least ts. own is that ceiling of the leader: it votes too, and may start again.
func (g *Grant) Holds(now time.Duration, ts, own hlc.Timestamp) bool {
	var count [2]int
	for i := range g.voters {
		v := &g.voters[i]
		if !g.counts(v, now, ts, own) {
			continue
		}
		for h := range count {
			if v.Half[h] {
				count[h]++
			}
		}
	}
	return (count[0] >= g.need[0] || g.planted.jointOnce()) && count[1] >= g.need[1]
}

func (g *Grant) counts(v *Voter, now time.Duration, ts, own hlc.Timestamp) bool {
	if v.Peer == nil {
		return ts <= own
	}
	s := v.Peer.now.Load()
	switch {
	case s == nil || now >= s.until:
		return false
	case s.epoch != v.Bound && !g.planted.unboundCounts():
		return false
	}
	return ts <= s.ceiling || g.planted.noCeiling()
}

// All reports whether every voter but the leader is bound and counted now.
func (g *Grant) All(now time.Duration) bool {
	for i := range g.voters {
		if v := &g.voters[i]; v.Peer != nil {
			if e, ok := v.Peer.Epoch(now); !ok || e != v.Bound {
				return false
			}
		}
	}
	return true
}
