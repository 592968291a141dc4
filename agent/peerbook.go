package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/transport"
)

// peerBook is what a node knows of the others' addresses beside its copy of the
// meta range: D/peers.json, for a start without one, and what nodes that
// start --peer named have said of themselves.
type peerBook struct {
	dir string
	mu  struct {
		sync.Mutex
		stored []PeerAddress
		told   map[cluster.NodeID]toldPeer
	}
}

// toldPeer is what a node said of itself. It holds until the meta range has
// another record of that node than it had then.
type toldPeer struct {
	addr PeerAddress
	was  cluster.Addresses
}

func peersPath(dir string) string { return filepath.Join(dir, "peers.json") }

func openPeerBook(dir string) (*peerBook, error) {
	b := &peerBook{dir: dir}
	b.mu.told = map[cluster.NodeID]toldPeer{}
	text, err := os.ReadFile(peersPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &b.mu.stored)
	}
	if err != nil {
		return nil, &ExitError{Code: ExitDataDir, Message: "read " + peersPath(dir) + " (it may be removed: start --peer HOST:ADMINPORT then says where the others are)", Err: err}
	}
	return b, nil
}

func savePeers(dir string, peers []PeerAddress) error {
	text, err := json.MarshalIndent(peers, "", "  ")
	if err != nil {
		return err
	}
	return writeFileSync(peersPath(dir), append(text, '\n'))
}

// keep stores the members' addresses, if they have changed.
func (b *peerBook) keep(peers []PeerAddress) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if slices.Equal(peers, b.mu.stored) {
		return nil
	}
	if err := savePeers(b.dir, peers); err != nil {
		return err
	}
	b.mu.stored = peers
	return nil
}

func (b *peerBook) tell(p PeerAddress, was cluster.Addresses) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.told[p.Node] = toldPeer{p, was}
}

// find returns where a node is; record is the meta range's, nil if there is none.
func (b *peerBook) find(id cluster.NodeID, record *cluster.Node) (PeerAddress, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t, ok := b.mu.told[id]; ok && (record == nil || record.Addresses == t.was) {
		return t.addr, true
	}
	if record != nil {
		return peerAddress(record), true
	}
	i := slices.IndexFunc(b.mu.stored, func(p PeerAddress) bool { return p.Node == id })
	if i < 0 {
		return PeerAddress{}, false
	}
	return b.mu.stored[i], true
}

// members are the nodes of a view, or, without one, those that were stored; and
// those that were heard of.
func (b *peerBook) members(v *metastate.View) []cluster.NodeID {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ids []cluster.NodeID
	for id, node := range v.Nodes {
		if node.Membership != cluster.Decommissioned {
			ids = append(ids, id)
		}
	}
	if len(v.Nodes) == 0 {
		for _, p := range b.mu.stored {
			ids = append(ids, p.Node)
		}
	}
	for id := range b.mu.told {
		if v.Nodes[id] == nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func peerAddress(n *cluster.Node) PeerAddress {
	return PeerAddress{Node: n.ID, UUID: n.UUID, RPC: n.Addresses.RPC, Gossip: n.Addresses.Gossip, Admin: n.Addresses.Admin}
}

// memberAddresses are those of all members but one.
func memberAddresses(v *metastate.View, except cluster.NodeID) []PeerAddress {
	var out []PeerAddress
	for _, id := range v.NodeIDs() {
		if m := v.Nodes[id]; id != except && m.Membership != cluster.Decommissioned {
			out = append(out, peerAddress(m))
		}
	}
	return out
}

// keepPeers stores the members' addresses whenever the meta range changes them:
// a node whose copy of it is gone must still find somebody, if only to hear that
// it was decommissioned.
func (n *Node) keepPeers(ctx context.Context, ready func()) error {
	changed := n.machine.Watch(ctx)
	for {
		if v := n.machine.View(); v.Initialized() {
			if err := n.book.keep(memberAddresses(v, n.id.Node)); err != nil {
				n.logger.Warn("addresses of the other nodes are not stored, will try again", logattr.Err(err))
			}
		}
		if ready != nil {
			ready()
			ready = nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// peersAnswer is what a node says to another one that asks where the others are.
type peersAnswer struct {
	Self           PeerAddress   `json:"self"`
	Peers          []PeerAddress `json:"peers"`
	Decommissioned bool          `json:"decommissioned,omitempty"` // who asks
}

// servePeers answers GET /peers, to nodes of this cluster only.
func (n *Node) servePeers(w http.ResponseWriter, r *http.Request) {
	if r.TLS == nil {
		http.Error(w, "this call needs a node's certificate", http.StatusUnauthorized)
		return
	}
	who, err := auth.PeerNode(r.TLS, n.id.ClusterID)
	if err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	at := n.cfg.Advertised()
	a := peersAnswer{Self: PeerAddress{Node: n.id.Node, UUID: n.id.UUID, RPC: at.RPC, Gossip: at.Gossip, Admin: at.Admin}}
	if n.decommissioned(who.Node) {
		a.Decommissioned = true
	} else {
		a.Peers = memberAddresses(n.machine.View(), who.Node)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(a) // a caller that went away asks again
}

// askPeriod is how long start --peer waits before it asks again who did not answer.
const askPeriod = 2 * time.Second

// askPeers asks the nodes that start --peer names where they and the others are,
// until each has answered once.
func (n *Node) askPeers(ctx context.Context, ready func()) error {
	ready()
	left := slices.Clone(n.cfg.AskPeers)
	said := map[string]bool{}
	for len(left) > 0 {
		left = slices.DeleteFunc(left, func(addr string) bool {
			err := n.askPeer(ctx, addr)
			if err != nil && !said[addr] && ctx.Err() == nil {
				said[addr] = true
				n.logger.Warn("a node that --peer names does not answer, will ask again", logattr.Address(addr), logattr.Err(err))
			}
			return err == nil
		})
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(askPeriod):
		}
	}
	<-ctx.Done()
	return nil
}

func (n *Node) askPeer(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, askPeriod)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+addr+"/peers", nil)
	if err != nil {
		return err
	}
	hc := &http.Client{Transport: &http.Transport{TLSClientConfig: n.certs.AnyNodeConfig(), DisableKeepAlives: true}}
	resp, err := hc.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	var a peersAnswer
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", resp.Status)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&a); err != nil {
		return fmt.Errorf("read its answer: %w", err)
	}
	if a.Decommissioned {
		n.refused(&transport.RefusedError{Node: a.Self.Node, Code: refusedDecommissioned})
		return nil
	}
	if a.Self.Node == n.id.Node {
		return nil // this node itself: one list may serve all nodes
	}
	v := n.machine.View()
	for _, p := range append(a.Peers, a.Self) {
		record := v.Nodes[p.Node]
		switch {
		case p.Node == n.id.Node:
		case p.Node == a.Self.Node || record == nil:
			var was cluster.Addresses
			if record != nil {
				was = record.Addresses
			}
			n.book.tell(p, was)
		}
	}
	n.logger.Info("a node that --peer names has answered", logattr.Peer(a.Self.Node), logattr.Address(addr))
	return nil
}

// checkPeers refuses addresses of start --peer that are none.
func checkPeers(addrs []string) error {
	var errs []error
	for _, addr := range addrs {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			errs = append(errs, fmt.Errorf("--peer %q is not host:port of a node's admin address", addr))
		}
	}
	return errors.Join(errs...)
}
