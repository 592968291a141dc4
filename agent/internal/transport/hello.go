package transport

import (
	"encoding/binary"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/codec"
	"github.com/nodedb/nodedb/agent/internal/gate"
)

// hello is the first frame of each stream, from either end. What the versions of
// both binaries are comes first: the rest is in the form of a version that both know.
type hello struct {
	supports gate.Support
	cluster  string
	from, to cluster.NodeID
	nonce    string
	standing cluster.Standing
}

func (h *hello) encode() []byte {
	b := binary.AppendUvarint(nil, uint64(h.supports.Min))
	b = binary.AppendUvarint(b, uint64(h.supports.Max))
	b = codec.AppendBytes(b, h.cluster)
	b = binary.AppendUvarint(b, uint64(h.from))
	b = binary.AppendUvarint(b, uint64(h.to))
	return h.standing.Append(codec.AppendBytes(b, h.nonce))
}

// decodeHello ignores what a later version adds at the end. Of a binary with which
// own shares no version it reads the versions alone.
func decodeHello(b []byte, own gate.Support) (hello, error) {
	r := read(b)
	low, high := r.Uvarint(), r.Uvarint()
	if r.Err() != nil || low > high || high > 1<<32-1 {
		return hello{}, fmt.Errorf("hello: %w", errFrame)
	}
	h := hello{supports: gate.Support{Min: gate.Version(low), Max: gate.Version(high)}}
	if !h.supports.Shares(own) {
		return h, nil
	}
	h.cluster = string(r.Bytes())
	from, to := r.Uvarint(), r.Uvarint()
	h.nonce = string(r.Bytes())
	var ok bool
	if h.standing, _, ok = cluster.DecodeStanding(r.Rest()); !ok {
		r.Fail("no standing")
	}
	if r.Err() != nil || from > 1<<32-1 || to > 1<<32-1 {
		return hello{}, fmt.Errorf("hello: %w", errFrame)
	}
	h.from, h.to = cluster.NodeID(from), cluster.NodeID(to)
	return h, nil
}

// hello is what this node says to a peer.
func (t *Transport) hello(to cluster.NodeID) frame {
	h := hello{supports: t.cfg.Supports, cluster: t.cfg.ClusterID, from: t.cfg.Self, to: to, nonce: t.cfg.Nonce, standing: t.cfg.Standing()}
	return frame{kind: kindHello, payload: h.encode()}
}

// check compares what a peer says of itself with its certificate and with what
// this node is, and asks Admit and Compare.
func (t *Transport) check(h hello, id auth.Identity) (Peer, *RefusedError) {
	p, refusal := t.compare(h, id)
	switch {
	case refusal == nil:
		t.cfg.OnUnfit(p.Node, "")
	case refusal.Code == RefusedVersion:
		t.cfg.OnUnfit(id.Node, refusal.Reason)
	}
	return p, refusal
}

func (t *Transport) compare(h hello, id auth.Identity) (Peer, *RefusedError) {
	refuse := func(code, format string, args ...any) (Peer, *RefusedError) {
		return Peer{}, &RefusedError{Code: code, Reason: fmt.Sprintf(format, args...)}
	}
	switch {
	case !h.supports.Shares(t.cfg.Supports):
		return refuse(RefusedVersion, "%s runs %s, this node %s: they have none in common", id.Node, h.supports, t.cfg.Supports)
	case h.cluster != t.cfg.ClusterID || id.Cluster != t.cfg.ClusterID:
		return refuse(RefusedCluster, "it belongs to cluster %s, this is %s", h.cluster, t.cfg.ClusterID)
	case h.from == 0 || h.from != id.Node:
		return refuse(RefusedNode, "it says %s, its certificate %s", h.from, id.Node)
	case h.to != t.cfg.Self:
		return refuse(RefusedNode, "%s was expected here, this is %s", h.to, t.cfg.Self)
	case h.from == t.cfg.Self:
		return refuse(RefusedNode, "another process has the identity of %s", h.from)
	}
	p := Peer{Node: h.from, Supports: h.supports, Serial: id.Serial, Nonce: h.nonce, Standing: h.standing}
	for _, ask := range []func(Peer) error{t.cfg.Admit, t.cfg.Compare} {
		if err := ask(p); err != nil {
			return Peer{}, asRefused(err)
		}
	}
	return p, nil
}
