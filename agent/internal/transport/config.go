package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"time"

	"github.com/nodedb/nodedb/agent/internal/budget"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gate"
)

// Handler is what a node does with what its peers send. Slices that it gets are
// its own.
type Handler interface {
	// HandleRaft takes a batch of raft messages. It must not block.
	HandleRaft(from cluster.NodeID, batch []byte)
	// BeginCall is offered each call of a peer first, by the stream's reader: it must
	// not block. If it takes the call it answers by reply, once, from any goroutine;
	// within is how long the caller waits, 0 says for ever, and cancel is called when
	// the caller has gone. Calls that it does not take go to HandleCall.
	BeginCall(from cluster.NodeID, method string, payload []byte, within time.Duration, reply func([]byte, error)) (cancel func(), ok bool)
	// HandleCall answers a call. ctx ends with the caller's. An error that is, or
	// wraps, a *CallError reaches the caller as it is; others as CodeInternal.
	HandleCall(ctx context.Context, from cluster.NodeID, method string, payload []byte) ([]byte, error)
	// HandleSnapshot receives a snapshot: recv returns io.EOF after the last chunk.
	HandleSnapshot(ctx context.Context, from cluster.NodeID, header []byte, recv func() ([]byte, error)) ([]byte, error)
	// HandleScan answers a scan with any number of chunks. send blocks while the
	// caller is slow.
	HandleScan(ctx context.Context, from cluster.NodeID, request []byte, send func([]byte) error) error
}

// TLS is where a transport gets its certificates: *auth.Source.
type TLS interface {
	ServerConfig() *tls.Config
	ClientConfig(expect cluster.NodeID) *tls.Config
}

// Peer is the other end of a stream, as proven by its certificate and hello.
type Peer struct {
	Node   cluster.NodeID
	Serial string // of its certificate, hexadecimal
	Nonce  string // of its incarnation
	// Supports is what its binary supports.
	Supports gate.Support
	// Standing is what its store said of itself in the hello.
	Standing cluster.Standing
}

// Fault is what a test does to a link.
type Fault struct {
	Cut   bool          // nothing passes, and dialling fails
	Delay time.Duration // before each batch of frames
}

// Config is what a transport needs.
type Config struct {
	Self      cluster.NodeID
	ClusterID string
	Nonce     string // of this incarnation, told to peers
	// Supports is what this binary supports; zero: what it is built for.
	Supports gate.Support
	// OnUnfit is told, outside any lock, of a peer that this node refuses for its
	// versions; with an empty reason, of one that it takes. May be nil.
	OnUnfit func(peer cluster.NodeID, reason string)
	// Standing is what this node's store says of itself; nil: nothing.
	Standing func() cluster.Standing
	TLS      TLS
	Handler  Handler
	// Resolve returns the RPC address of a node; !ok: no longer, or not yet, known.
	Resolve func(cluster.NodeID) (addr string, ok bool)
	// Admit refuses peers that are no members, with a *RefusedError if the reason
	// has a code. Both ends of a stream ask it. nil: all are admitted.
	Admit func(Peer) error
	// Compare refuses, after Admit and at the hello only, peers for what their
	// stores say of themselves. Both ends of a stream ask it. nil: none is refused.
	Compare func(Peer) error
	// OnRefused is told, outside any lock, when a peer refuses this node: a node
	// that was decommissioned while it was down learns it here. May be nil.
	OnRefused func(*RefusedError)
	// Fault is for tests: what happens to what is sent to a node. May be nil.
	Fault  func(to cluster.NodeID) Fault
	Logger *slog.Logger

	HandshakeTimeout time.Duration // dial, TLS and hello together; default 5 s
	BackoffMin       time.Duration // between attempts to connect; default 50 ms
	BackoffMax       time.Duration // default 1 s: longer delays failover after a restart
	RaftQueueBytes   int           // waiting per peer, then dropped; default 16 MiB
	CallQueueBytes   int           // waiting per peer and direction, then refused; default 64 MiB
	// Memory bounds the raft batches that wait for all peers together; nil: there is
	// no bound.
	Memory          *budget.Budget
	MaxInboundCalls int // running per peer, then refused; default 8192
}

func (c *Config) setDefaults() {
	setDefault(&c.HandshakeTimeout, 5*time.Second)
	setDefault(&c.BackoffMin, 50*time.Millisecond)
	setDefault(&c.BackoffMax, time.Second)
	setDefault(&c.RaftQueueBytes, 16<<20)
	setDefault(&c.CallQueueBytes, 64<<20)
	setDefault(&c.MaxInboundCalls, 8192)
	if c.Admit == nil {
		c.Admit = func(Peer) error { return nil }
	}
	if c.Compare == nil {
		c.Compare = func(Peer) error { return nil }
	}
	if c.Supports == (gate.Support{}) {
		c.Supports = gate.Binary()
	}
	if c.OnUnfit == nil {
		c.OnUnfit = func(cluster.NodeID, string) {}
	}
	if c.Standing == nil {
		c.Standing = func() cluster.Standing { return cluster.Standing{} }
	}
	if c.OnRefused == nil {
		c.OnRefused = func(*RefusedError) {}
	}
	if c.Fault == nil {
		c.Fault = func(cluster.NodeID) Fault { return Fault{} }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

func setDefault[T int | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// Validate reports everything that is missing.
func (c *Config) Validate() error {
	var errs []error
	miss := func(bad bool, what string) {
		if bad {
			errs = append(errs, errors.New("transport: "+what+" is not set"))
		}
	}
	miss(c.Self == 0, "node id")
	miss(c.ClusterID == "", "cluster id")
	miss(c.TLS == nil, "TLS source")
	miss(c.Handler == nil, "handler")
	miss(c.Resolve == nil, "resolver")
	return errors.Join(errs...)
}
