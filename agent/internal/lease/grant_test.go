package lease

import (
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
)

// peerWith is a peer that supports this node.
func peerWith(n cluster.NodeID, e Epoch, until time.Duration, ceiling hlc.Timestamp) *Peer {
	p := &Peer{node: n}
	p.now.Store(&support{epoch: e, until: until, ceiling: ceiling})
	return p
}

// TestRule14 counts majorities in each half of the configuration.
func TestRule14(t *testing.T) {
	e, old := Epoch{Boot: 5, Count: 2}, Epoch{Boot: 5, Count: 1}
	both, first, second := [2]bool{true, true}, [2]bool{true, false}, [2]bool{false, true}
	const now, at = time.Second, hlc.Timestamp(100)
	self := Voter{Half: both}
	good := func(half [2]bool) Voter {
		return Voter{Peer: peerWith(2, e, now+1, at), Bound: e, Half: half}
	}
	over := func(half [2]bool) Voter { return Voter{Peer: peerWith(3, e, now, at), Bound: e, Half: half} }
	elsewhere := func(half [2]bool) Voter {
		return Voter{Peer: peerWith(4, e, now+1, at), Bound: old, Half: half}
	}
	low := func(half [2]bool) Voter { return Voter{Peer: peerWith(5, e, now+1, at-1), Bound: e, Half: half} }
	for name, c := range map[string]struct {
		voters []Voter
		own    hlc.Timestamp
		holds  bool
	}{
		"the only voter":                          {[]Voter{self}, at, true},
		"the only voter above its own ceiling":    {[]Voter{self}, at - 1, false},
		"two of three":                            {[]Voter{self, good(both), over(both)}, at, true},
		"two of three, one is over":               {[]Voter{self, over(both), over(both)}, at, false},
		"bound in another epoch":                  {[]Voter{self, elsewhere(both), over(both)}, at, false},
		"a ceiling too low":                       {[]Voter{self, low(both), over(both)}, at, false},
		"own ceiling too low, two others":         {[]Voter{self, good(both), good(both)}, at - 1, true},
		"own ceiling too low, one other":          {[]Voter{self, good(both), over(both)}, at - 1, false},
		"two of four":                             {[]Voter{self, good(both), over(both), over(both)}, at, false},
		"three of five":                           {[]Voter{self, good(both), good(both), over(both), over(both)}, at, true},
		"two of five":                             {[]Voter{self, good(both), over(both), over(both), over(both)}, at, false},
		"joint: both halves":                      {[]Voter{self, good(both), over(first), over(second)}, at, true},
		"joint: first half only":                  {[]Voter{self, good(first), over(second), over(second)}, at, false},
		"joint: second half only":                 {[]Voter{self, good(second), over(first), over(first)}, at, false},
		"joint: the leader goes":                  {[]Voter{{Half: first}, good(both), good(both), over(second)}, at, true},
		"joint: the leader goes, and is needed":   {[]Voter{{Half: first}, good(both), over(both), over(second)}, at, false},
		"a leader that is no voter, two of three": {[]Voter{good(both), good(both), over(both)}, at, true},
		"a leader that is no voter, one of three": {[]Voter{good(both), over(both), over(both)}, at, false},
	} {
		if got := NewGrant(c.voters, Planted{}).Holds(now, at, c.own); got != c.holds {
			t.Errorf("%s: holds %v", name, got)
		}
	}
	if !NewGrant([]Voter{self, good(both), good(both)}, Planted{}).All(now) {
		t.Error("all are bound")
	}
	for _, v := range []Voter{over(both), elsewhere(both)} {
		if NewGrant([]Voter{self, good(both), v}, Planted{}).All(now) {
			t.Error("one is not bound")
		}
	}
}

// TestRule11And12 judges what a bound follower hears.
func TestRule11And12(t *testing.T) {
	const l, o cluster.ReplicaID = 1, 3
	for name, c := range map[string]struct {
		kind Kind
		from cluster.ReplicaID
		term uint64
		want Verdict
	}{
		"a vote for another":                     {Vote, o, 8, Drop},
		"a vote for another, much later":         {Vote, o, 80, Drop},
		"a vote for the leader, its own term":    {Vote, l, 7, Drop},
		"d: the leader campaigns":                {Vote, l, 8, Free},
		"d: the leader campaigns, handed over":   {HandOver, l, 9, Free},
		"e: handed over":                         {HandOver, o, 8, Free},
		"handed over by an older leader":         {HandOver, o, 7, Drop},
		"handed over by a later leader":          {HandOver, o, 9, Drop},
		"e: the leader wants an election":        {TimeoutNow, l, 7, Free},
		"another wants an election":              {TimeoutNow, o, 7, Drop},
		"the leader of another term wants one":   {TimeoutNow, l, 6, Drop},
		"entries of this term":                   {Append, l, 7, Pass},
		"c: entries of a later term":             {Append, o, 8, Free},
		"entries of an older term":               {Append, o, 6, Pass},
		"an answer of a later term is no leader": {Other, o, 9, Pass},
	} {
		b := Bind(l, 1, 7, Planted{})
		if got := b.Judge(c.kind, c.from, c.term); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	var none Binding
	if none.Bound() || none.Judge(Vote, o, 8) != Pass {
		t.Error("who is not bound hears all")
	}
}

// TestGrantLeft: a lease lasts as long as the promise with which it loses its majority,
// in the half that loses it first.
func TestGrantLeft(t *testing.T) {
	peer := func(until time.Duration) *Peer {
		p := &Peer{}
		p.now.Store(&support{epoch: Epoch{Boot: 1, Count: 1}, until: until, ceiling: hlc.Max})
		return p
	}
	voter := func(until time.Duration, half [2]bool) Voter {
		return Voter{Peer: peer(until), Bound: Epoch{Boot: 1, Count: 1}, Half: half}
	}
	both, first, second := [2]bool{true, true}, [2]bool{true, false}, [2]bool{false, true}
	unbound := Voter{Peer: peer(900), Half: both}
	for name, c := range map[string]struct {
		voters []Voter
		want   time.Duration
	}{
		"the leader alone":             {[]Voter{{Half: both}}, Counted},
		"one of two others is enough":  {[]Voter{{Half: both}, voter(300, both), voter(500, both)}, 500},
		"unbound does not count":       {[]Voter{{Half: both}, voter(300, both), unbound}, 300},
		"no majority":                  {[]Voter{{Half: both}, unbound, unbound}, 0},
		"the half that ends first":     {[]Voter{{Half: both}, voter(500, first), voter(200, second)}, 200},
		"five voters, the second best": {[]Voter{{Half: both}, voter(1, both), voter(2, both), voter(3, both), voter(4, both)}, 3},
	} {
		if got := NewGrant(c.voters, Planted{}).Left(0); got != c.want {
			t.Errorf("%s: %s left, want %s", name, got, c.want)
		}
	}
}
