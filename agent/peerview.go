package agent

import (
	"context"
	"errors"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/lease"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/transport"
)

// showPeers brings the board of peers up to date.
func (n *Node) showPeers() {
	now := n.peerStatus()
	for id, p := range now {
		n.source.Peers.Put(id, &p)
	}
	for _, p := range n.source.Peers.Since(0, false).Changed {
		if _, ok := now[p.Key]; !ok {
			n.source.Peers.Drop(p.Key)
		}
	}
}

// peerStatus says how this node finds each of its peers.
func (n *Node) peerStatus() map[cluster.NodeID]cluster.PeerStatus {
	out := map[cluster.NodeID]cluster.PeerStatus{}
	if n.gossip != nil {
		for id, s := range n.gossip.Standings() {
			if id != n.id.Node {
				out[id] = cluster.PeerStatus{Liveness: s.Liveness, Since: s.Since, Cause: s.Cause}
			}
		}
	}
	n.supportStatus(out)
	if n.peers == nil {
		return out
	}
	for _, s := range n.peers.Status() {
		p := out[s.Node]
		p.Breaker, p.BreakerSince, p.Failures = string(s.Breaker), s.Since.UTC().Round(0), s.Failures
		p.RTT, p.ClockOffset, p.LastPing = s.RTT.Seconds(), s.Offset.Seconds(), s.LastOK.UTC().Round(0)
		if s.Err != nil {
			p.LastError = s.Err.Error()
		}
		out[s.Node] = p
	}
	return out
}

// supportStatus adds how support stands between this node and its peers.
func (n *Node) supportStatus(out map[cluster.NodeID]cluster.PeerStatus) {
	if n.store == nil {
		return
	}
	received, given := n.store.Support()
	for _, s := range received {
		p := out[s.Node]
		p.Received = n.support(&s)
		out[s.Node] = p
	}
	for _, s := range given {
		p := out[s.Node]
		p.Given = n.support(&s)
		out[s.Node] = p
	}
}

func (n *Node) support(s *lease.Standing) cluster.Support {
	out := cluster.Support{Epoch: cluster.SupportEpoch(s.Epoch), Live: s.Live, Left: s.Left.Seconds(), Ended: s.Ended, Cause: s.Cause}
	if s.Since != 0 { // by the wall clock of the start, so that the same moment stays the same
		out.Since = n.bootedAt.Add(s.Since).UTC().Round(time.Millisecond)
	}
	if s.Ceiling != 0 {
		out.Ceiling = s.Ceiling.Time()
	}
	return out
}

// suspects reports whether a node is not to be relied on: gossip doubts it, or
// calls to it only wait for their timeout.
func (n *Node) suspects(id cluster.NodeID) bool {
	if l, ok := n.liveness()[id]; ok && l != cluster.Alive {
		return true
	}
	return n.peers != nil && n.peers.Allow(id) != nil
}

// doubted drops what clients of this node would wait for: leader hints that name
// the node, and requests that are with it.
func (n *Node) doubted(id cluster.NodeID) {
	if n.db != nil {
		n.db.Suspected(id)
	}
}

// watched is the transport with the breakers told of calls that do not get through.
type watched struct {
	*transport.Transport
	n *Node
}

var _ kv.Caller = (*watched)(nil)

// Call implements kv.Caller.
func (w *watched) Call(ctx context.Context, to cluster.NodeID, method string, payload []byte) ([]byte, error) {
	b, err := w.Transport.Call(ctx, to, method, payload)
	var unreachable *transport.UnreachableError
	if w.n.peers != nil && errors.As(err, &unreachable) {
		w.n.peers.Report(to, err)
	}
	return b, err
}

// applySettings has the store keep what the meta range asks for.
func (n *Node) applySettings(v *metastate.View) {
	if !v.Initialized() {
		return
	}
	n.store.SetLeaseReads(v.Settings.LeaseReads())
	rate := v.SnapshotRate()
	if n.rate.Swap(rate) != rate {
		n.store.SetSnapshotRate(int64(min(rate, 1<<62))) //nolint:gosec // bounded
	}
}
