package lease

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
)

const (
	// Duration is how long a promise lasts after the supporter gave it. Shorter: a
	// late answer ends the lease. Longer: the ranges of a dead node wait longer.
	Duration = time.Second
	// AskEvery is how often a promise is asked for: two answers in a row may be lost.
	AskEvery = 300 * time.Millisecond
	// Slack is how far the ceiling that is asked for lies beyond the promise's end.
	Slack = 200 * time.Millisecond
	// Rate is how wrong the rate of a boot-time clock may be, in percent: far more
	// than any quartz, and what the host of a virtual machine may add.
	Rate = 1
	// Counted is how long after asking a requester counts the promise: both clocks
	// may be wrong (rule 4).
	Counted = Duration * (100 - Rate) / (100 + Rate)
	// Silence is how long a node that starts again takes no part in elections: what
	// it promised before must have run out (rule 7).
	Silence = Duration * (100 + Rate) / 100
)

// Epoch names a stretch of support. The supporter chooses it: its boot, and how
// often it has withdrawn support in that boot (rule 3).
type Epoch struct {
	Boot  cluster.Boot
	Count uint64
}

// IsZero reports whether e names nothing.
func (e Epoch) IsZero() bool { return e == Epoch{} }

// before reports whether e is older than o.
func (e Epoch) before(o Epoch) bool {
	return e.Boot < o.Boot || e.Boot == o.Boot && e.Count < o.Count
}

// Ask asks a node for its support (rule 1).
type Ask struct {
	Boot    cluster.Boot  // of the requester
	Sent    time.Duration // by the requester's boot-time clock, before it was sent
	Ceiling hlc.Timestamp // up to which the requester wants to serve reads
}

// Answer is a promise (rule 2).
type Answer struct {
	Epoch   Epoch
	Boot    cluster.Boot // of the requester, as it asked
	Sent    time.Duration
	Ceiling hlc.Timestamp // of what was asked for, as much as is durable
}

// Ended is support that was withdrawn.
type Ended struct {
	Node    cluster.NodeID
	Ceiling hlc.Timestamp
}

// Pairs are one node's promises to its peers, and theirs to it.
type Pairs struct {
	now     func() time.Duration
	planted Planted
	boot    cluster.Boot // of this start; 0: not begun
	silent  time.Duration

	mu       sync.Mutex // boot and given are changed under mu, for others who read them
	given    []*promise // by node
	received map[cluster.NodeID]*Peer
	peers    []*Peer // by node
	version  uint64
}

// promise is the support that this node gives to one peer.
type promise struct {
	node    cluster.NodeID
	live    bool
	boot    cluster.Boot // of the peer
	count   uint64
	until   time.Duration
	ceiling hlc.Timestamp

	// For people.
	since     time.Duration // when it began, or was withdrawn
	restarted bool          // the peer has asked under another boot
	cause     cluster.SupportCause
}

// Peer is the support that one peer gives. Any goroutine may read it.
type Peer struct {
	node cluster.NodeID
	now  atomic.Pointer[support]
	live bool // as of the last Review
	lost atomic.Uint64
}

// support never changes once it is published.
type support struct {
	epoch   Epoch
	until   time.Duration
	ceiling hlc.Timestamp
	since   time.Duration // when the stretch began to count
}

// NewPairs begins without any promise. now is the boot-time clock. A start that
// may have promised something before is silent for a while (rule 7).
func NewPairs(now func() time.Duration, mayHavePromised bool, planted Planted) *Pairs {
	p := &Pairs{now: now, planted: planted, received: map[cluster.NodeID]*Peer{}}
	if mayHavePromised && !planted.votesAtOnce() {
		p.silent = now() + Silence
	}
	return p
}

// Begin sets the boot of this start; before it nothing is asked or promised.
func (p *Pairs) Begin(boot cluster.Boot) {
	if p.boot != boot {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.boot = boot
	}
}

// Boot returns the boot of this start.
func (p *Pairs) Boot() cluster.Boot { return p.boot }

// Now reads the boot-time clock.
func (p *Pairs) Now() time.Duration { return p.now() }

// Silent reports whether this start takes no part in elections yet (rule 7).
func (p *Pairs) Silent() bool { return p.silent != 0 && p.now() < p.silent }

// Question makes what a peer is asked (rule 1); ok is false before Begin. clock is
// this node's hybrid clock, by now.
func (p *Pairs) Question(clock hlc.Timestamp) (Ask, bool) {
	return Ask{Boot: p.boot, Sent: p.now(), Ceiling: clock.Add(Duration + Slack)}, p.boot != 0
}

// Promise answers a peer's question. Expire was called before it (rule 5). durable
// is the ceiling below which this node's clock never starts again: what a promise
// names is at most that (rule 6).
func (p *Pairs) Promise(from cluster.NodeID, a Ask, durable hlc.Timestamp) (Answer, bool) {
	if p.boot == 0 || a.Boot == 0 {
		return Answer{}, false
	}
	now := p.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.promise(from)
	if g.live && g.boot != a.Boot {
		g.restarted = true
		return Answer{}, false // the peer started again: the old promise runs out first (rule 5)
	}
	if !g.live {
		g.since, g.restarted = now, false
	}
	ceiling := min(a.Ceiling, durable)
	if p.planted.volatileCeiling() {
		ceiling = a.Ceiling
	}
	g.live, g.boot = true, a.Boot
	g.until, g.ceiling = max(g.until, now+Duration), max(g.ceiling, ceiling)
	return Answer{Epoch: p.epoch(g), Boot: a.Boot, Sent: a.Sent, Ceiling: ceiling}, true
}

// Ceiling is the highest that a promise names which has not run out: a clean stop must
// not let the next start begin below it (rule 6).
func (p *Pairs) Ceiling() (c hlc.Timestamp) {
	if p.planted.stopsForgetful() {
		return 0
	}
	for _, g := range p.given {
		if g.live {
			c = max(c, g.ceiling)
		}
	}
	return c
}

func (p *Pairs) epoch(g *promise) Epoch {
	if p.planted.bootOutsideEpoch() {
		return Epoch{Boot: 1, Count: g.count + 1}
	}
	return Epoch{Boot: p.boot, Count: g.count + 1}
}

func (p *Pairs) promise(n cluster.NodeID) *promise {
	i, ok := slices.BinarySearchFunc(p.given, n, func(g *promise, n cluster.NodeID) int { return cmp.Compare(g.node, n) })
	if !ok {
		p.given = slices.Insert(p.given, i, &promise{node: n})
	}
	return p.given[i]
}

// Expire withdraws the promises that have run out, each under a new epoch. The
// caller moves its clock to their ceilings and releases what was bound (rule 5).
func (p *Pairs) Expire() []Ended {
	var out []Ended
	now := p.now()
	for _, g := range p.given {
		if !g.live || now <= g.until {
			continue
		}
		p.mu.Lock()
		g.end(now)
		if !p.planted.sameEpoch() {
			g.count++
		}
		if p.planted.noCeiling() {
			g.ceiling = 0
		}
		p.mu.Unlock()
		out = append(out, Ended{Node: g.node, Ceiling: g.ceiling})
	}
	return out
}

// Supports reports whether this node supports the peer's boot in exactly that epoch
// now (rule 9).
func (p *Pairs) Supports(n cluster.NodeID, boot cluster.Boot, e Epoch) bool {
	i, ok := slices.BinarySearchFunc(p.given, n, func(g *promise, n cluster.NodeID) int { return cmp.Compare(g.node, n) })
	if !ok {
		return false
	}
	g := p.given[i]
	return g.live && g.boot == boot && p.epoch(g) == e && p.now() <= g.until
}

// Take takes a peer's answer; what belongs to another boot of this node, or to an
// epoch that is over, is ignored (rule 4).
func (p *Pairs) Take(from cluster.NodeID, a Answer) {
	if a.Boot != p.boot || p.boot == 0 || a.Epoch.IsZero() {
		return
	}
	peer := p.Peer(from)
	old := peer.now.Load()
	if old != nil && a.Epoch.before(old.epoch) {
		return
	}
	counted := Counted
	if p.planted.fullDuration() {
		counted = Duration
	}
	s := &support{epoch: a.Epoch, until: a.Sent + counted, ceiling: a.Ceiling, since: p.now()}
	if old != nil && old.epoch == a.Epoch {
		if peer.live {
			s.since = old.since
		}
		s.until, s.ceiling = max(s.until, old.until), max(s.ceiling, old.ceiling)
	} else {
		p.version++
	}
	peer.now.Store(s)
	if !peer.live && p.now() < s.until {
		peer.live = true
		p.version++
	}
}

// Peer returns what a peer promises, from now on.
func (p *Pairs) Peer(n cluster.NodeID) *Peer {
	if peer, ok := p.received[n]; ok {
		return peer
	}
	peer := &Peer{node: n}
	p.received[n] = peer
	i, _ := slices.BinarySearchFunc(p.peers, n, func(o *Peer, n cluster.NodeID) int { return cmp.Compare(o.node, n) })
	p.peers = slices.Insert(p.peers, i, peer)
	return peer
}

// Version changes whenever support of a peer begins, ends or changes its epoch, as
// Review has seen it: who sleeps looks again then.
func (p *Pairs) Version() uint64 { return p.version }

// Review looks whether promises of peers have run out.
func (p *Pairs) Review() {
	now := p.now()
	for _, peer := range p.peers {
		s := peer.now.Load()
		if live := s != nil && now < s.until; live != peer.live {
			peer.live = live
			p.version++
			if !live {
				peer.lost.Add(1)
			}
		}
	}
}

// Next returns when the first of the promises that count, given or received, runs out
// unless it is renewed: Expire and Review find nothing before. ok is false if there is
// none.
func (p *Pairs) Next() (at time.Duration, ok bool) {
	for _, g := range p.given {
		if g.live && (!ok || g.until < at) {
			at, ok = g.until, true
		}
	}
	for _, peer := range p.peers {
		if s := peer.now.Load(); peer.live && s != nil && (!ok || s.until < at) {
			at, ok = s.until, true
		}
	}
	return at, ok
}

// Node returns the peer's node.
func (p *Peer) Node() cluster.NodeID { return p.node }

// Epoch returns the epoch in which the peer supports this node at a moment; ok is
// false if it does not.
func (p *Peer) Epoch(now time.Duration) (e Epoch, ok bool) {
	s := p.now.Load()
	if s == nil || now >= s.until {
		return Epoch{}, false
	}
	return s.epoch, true
}
