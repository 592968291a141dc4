package store

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/lease"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// leases are the core's part in leases: the promises between nodes, and what is
// said until it is heard.
type leases struct {
	pairs    *lease.Pairs
	version  uint64           // of pairs, as replicas were last told
	asked    uint64           // tick of the last questions
	ask      uint64           // tick of the next
	near     []cluster.NodeID // whom they go to, as of when a replica was awake last
	hushed   bool             // the silence after the start lasts
	releases []*release

	// What other goroutines read.
	reads   sync.Map    // cluster.RangeID -> *replica.LeaseReads
	off     atomic.Bool // reads ask a quorum always
	rounds  fallbacks
	durable atomic.Uint64 // the clock's ceiling
	peers   atomic.Pointer[[]*lease.Peer]
	gone    struct{ reads, refused, wakes, waking atomic.Uint64 } // of replicas that are not here any more
}

// release is what a leader that stepped down still has to say (rule 20).
type release struct {
	replica.ReleaseJob
	ticks int
}

const (
	// releaseTicks is how long a release is repeated, in ticks: whoever has not heard
	// it after a minute has heard no question for support either, and is free.
	releaseTicks = 600
)

func (c *Core) openLeases() {
	l := &c.leases
	l.pairs = lease.NewPairs(c.cfg.Boottime, c.marks.heardAny(), c.cfg.Planted.Leases())
	l.hushed = l.pairs.Silent()
	l.durable.Store(uint64(c.clock.ceiling))
}

// ceilingStored tells that the clock's ceiling is durable.
func (c *Core) ceilingStored() { c.leases.durable.Store(uint64(c.clock.ceiling)) }

// StopClock is called last, at a clean stop: the next start need not wait for more than what
// was given, taken and promised.
func (c *Core) StopClock() error { return c.clock.rest(c.leases.pairs.Ceiling()) }

func (c *Core) ceiling() hlc.Timestamp { return hlc.Timestamp(c.leases.durable.Load()) }

// tickLeases is called at each tick, ahead of the replicas'.
func (c *Core) tickLeases() {
	l := &c.leases
	c.withdraw()
	l.pairs.Begin(c.marks.Ping().Boot) // none until replicas of this start take part
	if l.hushed && !l.pairs.Silent() {
		l.hushed = false
		c.campaignAlone()
	}
	l.pairs.Review()
	if v := l.pairs.Version(); v != l.version {
		l.version = v
		for _, s := range c.order {
			if s.takesPart() {
				s.r.SupportChanged()
				c.mark(s)
			}
		}
	}
	if c.ticks >= l.ask {
		l.asked, l.ask = c.ticks, c.ticks+c.askTicks()
		c.askSupport()
	}
	c.releaseAgain()
}

// askTicks is how many ticks pass between two questions.
func (c *Core) askTicks() uint64 { return max(uint64(lease.AskEvery/c.cfg.Tick), 1) }

// campaignAlone starts the elections of ranges whose only voter is here.
func (c *Core) campaignAlone() {
	for _, s := range c.order {
		if s.r.Initialised() && s.r.OnlyVoter() && !s.held && !s.destroying {
			s.r.Campaign()
			c.mark(s)
		}
	}
}

// withdraw withdraws support that ran out, ahead of everything else that happens: the
// clock moves above what was read under it, and what was bound is free (rule 5).
func (c *Core) withdraw() {
	for _, e := range c.leases.pairs.Expire() {
		c.cfg.Clock.Forward(e.Ceiling)
		for _, s := range c.order {
			if s.takesPart() {
				s.r.SupportEnded(e.Node)
				c.mark(s)
			}
		}
	}
}

// askSupport asks every node that shares a range with this one (rule 1).
func (c *Core) askSupport() {
	q, ok := c.leases.pairs.Question(c.cfg.Clock.Now())
	if !ok {
		return
	}
	var peers []*lease.Peer
	if c.stirred || c.leases.near == nil {
		c.leases.near = c.neighbours()
	}
	for _, n := range c.leases.near {
		peers = append(peers, c.leases.pairs.Peer(n))
		o := c.outbox(n)
		o.urgent.begin()
		o.urgent.buf = appendAsk(o.urgent.buf, &q, c.rooms.own)
		o.urgent.end()
	}
	c.leases.peers.Store(&peers)
}

// neighbours are the nodes that share a range with this one, in order.
func (c *Core) neighbours() []cluster.NodeID {
	var out []cluster.NodeID
	for _, s := range c.order {
		for _, r := range s.r.Members().Replicas {
			if i, ok := slices.BinarySearch(out, r.Node); !ok && r.Node != c.cfg.Node {
				out = slices.Insert(out, i, r.Node)
			}
		}
	}
	return out
}

// giveSupport answers a question. Whose store this one has not durably heard of gets
// no promise: the next start would not know that it may have promised something.
func (c *Core) giveSupport(from cluster.NodeID, q lease.Ask) {
	if !c.marks.knows(from) {
		return
	}
	c.leases.pairs.Begin(c.marks.Ping().Boot)
	a, ok := c.leases.pairs.Promise(from, q, c.ceiling())
	if !ok {
		return
	}
	o := c.outbox(from)
	o.urgent.begin()
	o.urgent.buf = appendPromise(o.urgent.buf, &a)
	o.urgent.end()
	c.askAlong(from)
}

// askAlong asks for support, too, when a peer has asked and it is nearly time: the
// question goes with the promise, and idle nodes wake up together instead of each at a
// moment of its own. The lower node sets the pace, so that the two do not drift apart
// by less than what counts as nearly. The next question is due after whole ticks: the
// one that runs has begun.
func (c *Core) askAlong(from cluster.NodeID) {
	l := &c.leases
	since := c.ticks - l.asked
	if since == 0 || since+1 < c.askTicks() && from > c.cfg.Node {
		return
	}
	l.asked, l.ask = c.ticks, c.ticks+c.askTicks()+1
	c.askSupport()
}

// stepLease takes a word about a range's lease. A release is answered whether there
// is a replica or not: what is not here is not bound. A store that may be an older
// copy says nothing about any range; the release is repeated.
func (c *Core) stepLease(from cluster.NodeID, id cluster.RangeID, m *replica.LeaseMessage) {
	if m.Kind == replica.Released {
		c.released(from, id, m)
		return
	}
	s, here := c.slots[id]
	if here && s.takesPart() {
		s.r.StepLease(from, m)
		c.mark(s)
	}
	if m.Kind == replica.Release && !(here && s.held || !here && c.holds()) {
		c.SendLease(id, from, &replica.LeaseMessage{Kind: replica.Released, From: m.To, To: m.From, Term: m.Term})
	}
}

// SendLease satisfies replica.Output.
func (c *Core) SendLease(id cluster.RangeID, to cluster.NodeID, m *replica.LeaseMessage) {
	if to == c.cfg.Node || to == 0 {
		return
	}
	o := c.outbox(to)
	o.urgent.begin()
	o.urgent.buf = replica.EncodeLease(append(o.urgent.buf, leaseType), id, m)
	o.urgent.end()
}

// Release satisfies replica.Output.
func (c *Core) Release(j replica.ReleaseJob) {
	r := &release{ReleaseJob: j}
	c.leases.releases = append(c.leases.releases, r)
	c.sayRelease(r)
}

func (c *Core) sayRelease(r *release) {
	for _, id := range sortedKeys(r.To) {
		c.SendLease(r.Range, r.To[id], &replica.LeaseMessage{Kind: replica.Release, From: r.From, To: id, Term: r.Term})
	}
}

func sortedKeys(m map[cluster.ReplicaID]cluster.NodeID) []cluster.ReplicaID {
	ids := make([]cluster.ReplicaID, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (c *Core) releaseAgain() {
	rest := c.leases.releases[:0]
	for _, r := range c.leases.releases {
		if r.ticks++; len(r.To) == 0 || r.ticks > releaseTicks {
			continue
		}
		if r.ticks > 1 {
			c.sayRelease(r)
		}
		rest = append(rest, r)
	}
	clear(c.leases.releases[len(rest):])
	c.leases.releases = rest
}

func (c *Core) released(from cluster.NodeID, id cluster.RangeID, m *replica.LeaseMessage) {
	for _, r := range c.leases.releases {
		if r.Range == id && r.Term == m.Term && r.From == m.To && r.To[m.From] == from {
			delete(r.To, m.From)
		}
	}
}

// BeginRead begins a read of some rows under the lease of a range, if this node holds
// one. Any goroutine may call it: see replica.LeaseRead for how it goes on. Otherwise
// Read asks a quorum.
func (c *Core) BeginRead(id cluster.RangeID, ts hlc.Timestamp, rows Scope) (q replica.LeaseRead, ok bool) {
	l := &c.leases
	v, found := l.reads.Load(id)
	if !found || l.off.Load() {
		return q, false
	}
	// The clock must not pass what is durable of it, nor a wrong timestamp.
	if ts > c.ceiling() || !c.cfg.Planted.Leases().RaisesNoMark() && c.cfg.Clock.Update(ts) != nil {
		return q, false
	}
	reads, _ := v.(*replica.LeaseReads)
	return reads.Begin(ts, rows)
}

// Lease is what this node's replica of a range says of its lease.
func (c *Core) Lease(id cluster.RangeID) (s replica.LeaseState) {
	if slot, ok := c.slots[id]; ok && slot.takesPart() {
		s = slot.r.LeaseState()
	}
	return s
}

// WhyAwake says which ranges led here are not to sleep, and why.
func (c *Core) WhyAwake() (out []string) {
	for _, s := range c.order {
		if s.takesPart() && s.r.Failed() == nil && s.r.Leading() && !s.r.Asleep() {
			out = append(out, fmt.Sprintf("%s on %s: %s", s.id, c.cfg.Node, s.r.Awake()))
		}
	}
	return out
}

// Words between nodes: a question for support, which tells what room is left of the
// asker's disk, and a promise.
func appendAsk(buf []byte, q *lease.Ask, room Room) []byte {
	buf = append(buf, askSupportType)
	buf = binary.BigEndian.AppendUint64(buf, uint64(q.Boot))
	buf = binary.BigEndian.AppendUint64(buf, uint64(q.Sent))
	buf = binary.BigEndian.AppendUint64(buf, uint64(q.Ceiling))
	return append(buf, byte(room))
}

func appendPromise(buf []byte, a *lease.Answer) []byte {
	buf = append(buf, promiseType)
	buf = binary.BigEndian.AppendUint64(buf, uint64(a.Epoch.Boot))
	buf = binary.BigEndian.AppendUint64(buf, a.Epoch.Count)
	buf = binary.BigEndian.AppendUint64(buf, uint64(a.Boot))
	buf = binary.BigEndian.AppendUint64(buf, uint64(a.Sent))
	return binary.BigEndian.AppendUint64(buf, uint64(a.Ceiling))
}

const (
	askLen     = 1 + 3*8 + 1
	promiseLen = 1 + 5*8
)

// handleSupport takes a question or a promise and returns what follows it.
func (c *Core) handleSupport(from cluster.NodeID, b []byte) (rest []byte, err error) {
	word := func(i int) uint64 { return binary.BigEndian.Uint64(b[1+8*i:]) }
	switch {
	case b[0] == askSupportType && len(b) >= askLen && Room(b[askLen-1]) <= RoomNone:
		c.heardRoom(from, Room(b[askLen-1]))
		c.giveSupport(from, lease.Ask{Boot: cluster.Boot(word(0)), Sent: time.Duration(word(1)), Ceiling: hlc.Timestamp(word(2))})
		return b[askLen:], nil
	case b[0] == promiseType && len(b) >= promiseLen:
		c.leases.pairs.Take(from, lease.Answer{
			Epoch: lease.Epoch{Boot: cluster.Boot(word(0)), Count: word(1)},
			Boot:  cluster.Boot(word(2)), Sent: time.Duration(word(3)), Ceiling: hlc.Timestamp(word(4)),
		})
		return b[promiseLen:], nil
	}
	return nil, fmt.Errorf("%w: about support", replica.ErrMalformedMessage)
}
