package replica

import (
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// commitNews is what a leader's followers know of its commit index. When that moves,
// raft tells each of them at once, in an append without entries, which they
// acknowledge: half of all messages of a write. Followers need the index to apply,
// and nobody waits for that. So the news is held back until the next append or
// heartbeat to the follower says the same, or the next tick has come: then a
// follower applies many entries at once.
//
// Some cannot wait. Changes of replicas and splits, and a leader's first entry, before
// which those of earlier leaders may stand, are news to the node of a follower when it
// applies them. A follower that is to take over is told before it is asked to. And the
// meta range holds nothing back: all nodes read their own copy of it.
//
// An append without entries that is no news is a probe: it leaves at once. One that is
// both is late by less than a tick.
type commitNews struct {
	peers  []peerNews
	urgent uint64 // index whose commit is told at once
	due    bool   // a tick has come
}

type peerNews struct {
	id   uint64
	told uint64      // commit index that was last sent
	held *pb.Message // nil: none
}

// alert has followers learn at once that the entry at an index is committed.
func (c *commitNews) alert(index uint64) { c.urgent = max(c.urgent, index) }

func (c *commitNews) reset() { *c = commitNews{peers: c.peers[:0]} }

func (c *commitNews) peer(id uint64) *peerNews {
	i := slices.IndexFunc(c.peers, func(p peerNews) bool { return p.id == id })
	if i < 0 {
		i = len(c.peers)
		c.peers = append(c.peers, peerNews{id: id})
	}
	return &c.peers[i]
}

// waiting reports whether news is held back.
func (c *commitNews) waiting() bool {
	return slices.ContainsFunc(c.peers, func(p peerNews) bool { return p.held != nil })
}

// hold sees each message that leaves, and keeps it if it can wait.
func (c *commitNews) hold(m *pb.Message) bool {
	t := m.GetType()
	if t != pb.MsgApp && t != pb.MsgHeartbeat {
		return false
	}
	p, commit := c.peer(m.GetTo()), m.GetCommit()
	if t == pb.MsgApp && len(m.GetEntries()) == 0 && commit > p.told && (p.told >= c.urgent || commit < c.urgent) {
		p.held = m
		return true
	}
	p.told = max(p.told, commit)
	if p.held != nil && p.held.GetCommit() <= commit {
		p.held = nil
	}
	return false
}

// tellCommits sends what is held back for a follower; 0: for all.
func (r *Replica) tellCommits(id uint64) {
	for i := range r.news.peers {
		p := &r.news.peers[i]
		if p.held == nil || id != 0 && p.id != id || r.cfg.Planted.holdCommits() {
			continue
		}
		m := p.held
		p.held, p.told = nil, max(p.told, m.GetCommit())
		r.toPeer(m)
	}
}

// tickCommits sends, once the messages of a tick have left, what they did not say.
func (r *Replica) tickCommits() {
	if r.news.due {
		r.news.due = false
		r.tellCommits(0)
	}
}

// holdsCommit reports whether m waits: see commitNews.
func (r *Replica) holdsCommit(m *pb.Message) bool {
	if r.rangeID == cluster.MetaRangeID {
		return false
	}
	if m.GetType() == pb.MsgTimeoutNow {
		r.tellCommits(m.GetTo())
	}
	return r.news.hold(m)
}
