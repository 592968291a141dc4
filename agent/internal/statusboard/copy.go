package statusboard

import (
	"errors"
	"maps"
	"sync"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// ErrBase says that an answer does not lead on from what the Copy has: ask for
// everything.
var ErrBase = errors.New("the answer leads on from a status that is not here")

// Copy is what an asker has of one node. It is safe for use by several goroutines;
// of answers that overtake each other the later one counts.
type Copy struct {
	mu     sync.Mutex
	have   Base
	status *cluster.NodeStatus // as of the last answer
}

// Have names what the Copy has.
func (c *Copy) Have() Base {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.have
}

// Forget has the next question ask for everything.
func (c *Copy) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.have = Base{}
}

// Apply takes an answer in and returns the node's status: what did not change is
// shared with the one before. News says that ranges or peers did.
func (c *Copy) Apply(a Answer) (st *cluster.NodeStatus, news bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.status
	if old == nil {
		old = &cluster.NodeStatus{}
	}
	same := c.have.Incarnation == a.Head.BootNonce
	switch {
	case same && (a.Ranges.To < c.have.Ranges || a.Peers.To < c.have.Peers):
		return old, false, nil // overtaken by a later one
	case !same && a.Ranges.From+a.Peers.From > 0, a.Ranges.From > c.have.Ranges, a.Peers.From > c.have.Peers:
		return nil, false, ErrBase
	}
	next := a.Head
	if next.Ranges, err = mergeRanges(old.Ranges, &a.Ranges); err != nil {
		return nil, false, err
	}
	next.Peers = mergePeers(old.Peers, &a.Peers)
	news = !same || len(a.Ranges.Changed)+len(a.Ranges.Gone)+len(a.Peers.Changed)+len(a.Peers.Gone) > 0
	c.have = Base{Incarnation: a.Head.BootNonce, Ranges: a.Ranges.To, Peers: a.Peers.To}
	c.status = &next
	return &next, news, nil
}

// mergeRanges makes the list of pointers anew, and no status that did not change.
func mergeRanges(old []*cluster.RangeStatus, c *Changes[cluster.RangeID, cluster.RangeStatus]) ([]*cluster.RangeStatus, error) {
	if c.From > 0 && len(c.Changed)+len(c.Gone) == 0 {
		return old, nil
	}
	out := make([]*cluster.RangeStatus, 0, len(old)+len(c.Changed))
	gone, at := c.Gone, 0
	for i := range c.Changed {
		x := &c.Changed[i]
		for ; at < len(old) && old[at].Descriptor.ID < x.Key; at++ {
			if c.From > 0 {
				out, gone = keep(out, old[at], gone)
			}
		}
		var was *cluster.RangeStatus
		if at < len(old) && old[at].Descriptor.ID == x.Key {
			was = old[at]
			at++
		}
		if !x.Root {
			if was == nil {
				return nil, ErrBase
			}
			x.Value.Descriptor = was.Descriptor
		} else if was != nil && c.From == 0 && sameRange(was, x.Value) {
			x.Value = was // all was sent again: what is the same stays the same pointer
		}
		out = append(out, x.Value)
	}
	for ; at < len(old) && c.From > 0; at++ {
		out, gone = keep(out, old[at], gone)
	}
	return out, nil
}

// keep adds a status unless it is of a range that is gone.
func keep(out []*cluster.RangeStatus, st *cluster.RangeStatus, gone []cluster.RangeID) ([]*cluster.RangeStatus, []cluster.RangeID) {
	for len(gone) > 0 && gone[0] < st.Descriptor.ID {
		gone = gone[1:]
	}
	if len(gone) > 0 && gone[0] == st.Descriptor.ID {
		return out, gone[1:]
	}
	return append(out, st), gone
}

func mergePeers(old map[cluster.NodeID]cluster.PeerStatus, c *Changes[cluster.NodeID, cluster.PeerStatus]) map[cluster.NodeID]cluster.PeerStatus {
	if c.From > 0 && len(c.Changed)+len(c.Gone) == 0 {
		return old
	}
	next := map[cluster.NodeID]cluster.PeerStatus{}
	if c.From > 0 {
		next = maps.Clone(old)
	}
	for _, id := range c.Gone {
		delete(next, id)
	}
	for _, p := range c.Changed {
		next[p.Key] = *p.Value
	}
	return next
}
