package transport

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/logsample"
	"google.golang.org/grpc"
)

const (
	maxMessage   = 2*maxPayload + 1<<20
	streamWindow = 4 << 20
	connWindow   = 16 << 20
	// A peer that vanished without a word is noticed after keepaliveTime +
	// keepaliveTimeout, or keepaliveTimeout after something was sent to it.
	keepaliveTime    = 10 * time.Second
	keepaliveTimeout = 3 * time.Second
)

// Transport connects a node with its peers.
type Transport struct {
	cfg     Config
	refused *logsample.Sampler // a node that was removed comes again each second
	pool    *bufferPool
	server  *grpc.Server
	ctx     context.Context //nolint:containedctx // ends with Close
	cancel  context.CancelCauseFunc
	wg      sync.WaitGroup

	mu struct {
		sync.Mutex
		peers   map[cluster.NodeID]*peer
		inbound map[*inbound]struct{}
		closed  bool
	}
}

// New returns a transport that can dial. It answers once Serve runs.
func New(cfg Config) (*Transport, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	t := &Transport{cfg: cfg, refused: logsample.New(cfg.Logger), pool: &bufferPool{}}
	t.ctx, t.cancel = context.WithCancelCause(context.Background())
	t.mu.peers = map[cluster.NodeID]*peer{}
	t.mu.inbound = map[*inbound]struct{}{}
	t.server = t.newServer()
	return t, nil
}

// Serve answers peers on ln until Close, which closes ln.
func (t *Transport) Serve(ln net.Listener) error {
	if err := t.server.Serve(ln); err != nil && t.ctx.Err() == nil {
		return fmt.Errorf("serve peers: %w", err)
	}
	return nil
}

// Close ends all connections and waits for everything that runs.
func (t *Transport) Close() error {
	t.mu.Lock()
	t.mu.closed = true
	t.mu.Unlock()
	t.cancel(ErrClosed)
	t.server.Stop()
	t.wg.Wait()
	t.refused.Close()
	return nil
}

// peer returns the peer for node id and begins to dial it if it is new.
func (t *Transport) peer(id cluster.NodeID) (*peer, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p, ok := t.mu.peers[id]; ok {
		return p, nil
	}
	if t.mu.closed {
		return nil, ErrClosed
	}
	if _, ok := t.cfg.Resolve(id); !ok {
		return nil, errNoAddress
	}
	p := newPeer(t, id)
	t.mu.peers[id] = p
	t.wg.Go(func() { p.run(t.ctx) })
	return p, nil
}

func (t *Transport) drop(p *peer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.peers[p.id] == p {
		delete(t.mu.peers, p.id)
	}
}

// SendRaft queues a batch of raft messages for a node. It never blocks; false
// means that the batch was dropped: no connection yet, or the queue is full.
// The batch may be reused after it returns.
func (t *Transport) SendRaft(to cluster.NodeID, batch []byte) bool {
	p, err := t.peer(to)
	if err != nil || len(batch) > maxPayload {
		return false
	}
	s := p.current()
	if s == nil {
		return false
	}
	_, ok := s.raft.push(&frame{kind: kindRaft, payload: batch})
	return ok
}

// Call asks a node and waits for its answer. Errors are *CallError (the node
// answered so) or *UnreachableError (it did not answer). A call to this node
// itself runs its handler here.
func (t *Transport) Call(ctx context.Context, to cluster.NodeID, method string, payload []byte) ([]byte, error) {
	if to == t.cfg.Self {
		reply, err := t.cfg.Handler.HandleCall(ctx, to, method, payload)
		if err != nil {
			return nil, asCallError(err)
		}
		return reply, nil
	}
	if len(payload)+len(method) > maxPayload {
		return nil, &CallError{Code: CodeOverloaded, Message: fmt.Sprintf("request of %d bytes is over the limit of %d", len(payload), maxPayload)}
	}
	p, err := t.peer(to)
	if err != nil {
		return nil, &UnreachableError{Node: to, Cause: err}
	}
	s, err := p.wait(ctx)
	if err != nil {
		return nil, err
	}
	return s.call(ctx, method, payload)
}

// PeerStatus is what a transport knows of a connection that it dialled.
type PeerStatus struct {
	Node      cluster.NodeID
	Connected bool
	Since     time.Time // of Connected's last change
	Nonce     string    // of the peer's incarnation, if connected
	Err       error     // of the last attempt, if not connected
}

// Status returns the peers that this node dials, by id.
func (t *Transport) Status() []PeerStatus {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]PeerStatus, 0, len(t.mu.peers))
	for id, p := range t.mu.peers {
		p.mu.Lock()
		st := PeerStatus{Node: id, Connected: p.mu.session != nil, Since: p.mu.since, Err: p.mu.err}
		if p.mu.session != nil {
			st.Nonce = p.mu.session.peer.Nonce
		}
		p.mu.Unlock()
		out = append(out, st)
	}
	slices.SortFunc(out, func(a, b PeerStatus) int { return int(a.Node) - int(b.Node) })
	return out
}

// Reset ends the session with a node and dials anew at once: for a connection
// that seems dead although TCP has not noticed.
func (t *Transport) Reset(node cluster.NodeID) {
	t.mu.Lock()
	p := t.mu.peers[node]
	t.mu.Unlock()
	if p != nil {
		p.interrupt(errReset)
	}
}

// Recheck asks Admit again for every connection and ends those that it now
// refuses: called when membership or certificates change.
func (t *Transport) Recheck() {
	t.mu.Lock()
	var ps []*peer
	for _, p := range t.mu.peers {
		ps = append(ps, p)
	}
	var ins []*inbound
	for in := range t.mu.inbound {
		ins = append(ins, in)
	}
	t.mu.Unlock()
	for _, p := range ps {
		if s := p.current(); s != nil {
			if err := t.cfg.Admit(s.peer); err != nil {
				p.interrupt(asRefused(err))
			}
		}
	}
	for _, in := range ins {
		if err := t.cfg.Admit(in.peer); err != nil {
			in.end(asRefused(err))
		}
	}
}

// errEOF is what gRPC's SendMsg returns when the other end has ended the
// stream; the reason comes from RecvMsg.
var errEOF = io.EOF
