package transport

import (
	"encoding/binary"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// protocol is the version of the frames. A node speaks one.
const protocol = 1

// hello is the first frame of each stream, from either end.
type hello struct {
	version  uint64
	cluster  string
	from, to cluster.NodeID
	nonce    string
	standing cluster.Standing
}

func (h *hello) encode() []byte {
	b := binary.AppendUvarint(nil, h.version)
	b = appendBytes(b, h.cluster)
	b = binary.AppendUvarint(b, uint64(h.from))
	b = binary.AppendUvarint(b, uint64(h.to))
	return h.standing.Append(appendBytes(b, h.nonce))
}

// decodeHello ignores what a later version adds at the end.
func decodeHello(b []byte) (hello, error) {
	r := reader{b: b}
	h := hello{version: r.uvarint(), cluster: string(r.bytes())}
	from, to := r.uvarint(), r.uvarint()
	h.nonce = string(r.bytes())
	var ok bool
	if h.standing, _, ok = cluster.DecodeStanding(r.b); !ok {
		r.fail()
	}
	if r.err != nil || from > 1<<32-1 || to > 1<<32-1 {
		return hello{}, fmt.Errorf("hello: %w", errFrame)
	}
	h.from, h.to = cluster.NodeID(from), cluster.NodeID(to)
	return h, nil
}

// hello is what this node says to a peer.
func (t *Transport) hello(to cluster.NodeID) frame {
	h := hello{version: protocol, cluster: t.cfg.ClusterID, from: t.cfg.Self, to: to, nonce: t.cfg.Nonce, standing: t.cfg.Standing()}
	return frame{kind: kindHello, payload: h.encode()}
}

// check compares what a peer says of itself with its certificate and with what
// this node is, and asks Admit and Compare.
func (t *Transport) check(h hello, id auth.Identity) (Peer, *RefusedError) {
	refuse := func(code, format string, args ...any) (Peer, *RefusedError) {
		return Peer{}, &RefusedError{Code: code, Reason: fmt.Sprintf(format, args...)}
	}
	switch {
	case h.version != protocol:
		return refuse(RefusedVersion, "it speaks transport version %d, this is %d", h.version, protocol)
	case h.cluster != t.cfg.ClusterID || id.Cluster != t.cfg.ClusterID:
		return refuse(RefusedCluster, "it belongs to cluster %s, this is %s", h.cluster, t.cfg.ClusterID)
	case h.from == 0 || h.from != id.Node:
		return refuse(RefusedNode, "it says %s, its certificate %s", h.from, id.Node)
	case h.to != t.cfg.Self:
		return refuse(RefusedNode, "%s was expected here, this is %s", h.to, t.cfg.Self)
	case h.from == t.cfg.Self:
		return refuse(RefusedNode, "another process has the identity of %s", h.from)
	}
	p := Peer{Node: h.from, Serial: id.Serial, Nonce: h.nonce, Standing: h.standing}
	for _, ask := range []func(Peer) error{t.cfg.Admit, t.cfg.Compare} {
		if err := ask(p); err != nil {
			return Peer{}, asRefused(err)
		}
	}
	return p, nil
}
