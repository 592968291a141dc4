package agent

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/store"
	"github.com/nodedb/nodedb/agent/internal/transport"
)

// method answers one kind of call of a peer.
type method = func(ctx context.Context, from cluster.NodeID, payload []byte) ([]byte, error)

// handler gives what peers send to the parts that it is for. The transport is
// made before them, so they are filled in while the node starts; until then
// calls are answered with "overloaded": surely not begun, so a retry is safe.
type handler struct {
	logger  *slog.Logger
	started chan struct{} // closed when the fields below are set
	store   *store.Store
	awake   <-chan struct{} // of the store
	scan    func(ctx context.Context, from cluster.NodeID, request []byte, send func([]byte) error) error
	methods map[string]method
	// begins are those of methods that need no goroutine.
	begins map[string]begin
}

// begin takes a call and answers it by reply; see transport.Handler.
type begin = func(from cluster.NodeID, payload []byte, within time.Duration, reply func([]byte, error)) (cancel func())

func newHandler(logger *slog.Logger) *handler {
	return &handler{logger: logger, started: make(chan struct{}), methods: map[string]method{}}
}

// clocked are methods that give or take timestamps: after a restart they wait
// for the clock, and callers try another node.
func (h *handler) clocked(ms map[string]method) map[string]method {
	out := make(map[string]method, len(ms))
	for name, m := range ms {
		out[name] = func(ctx context.Context, from cluster.NodeID, payload []byte) ([]byte, error) {
			if !closed(h.awake) {
				return nil, errStarting()
			}
			return m(ctx, from, payload)
		}
	}
	return out
}

// register adds the methods of one package. A name that is there already is a
// programmer's error.
func (h *handler) register(ms map[string]method) {
	for name, m := range ms {
		if _, ok := h.methods[name]; ok {
			panic("method registered twice: " + name)
		}
		h.methods[name] = m
	}
}

// HandleRaft implements transport.Handler.
func (h *handler) HandleRaft(from cluster.NodeID, batch []byte) {
	if !closed(h.started) {
		return
	}
	if err := h.store.HandleRaft(from, batch); err != nil {
		h.logger.Debug("raft batch refused", logattr.Peer(from), logattr.Err(err))
	}
}

// BeginCall implements transport.Handler.
func (h *handler) BeginCall(from cluster.NodeID, name string, payload []byte, within time.Duration, reply func([]byte, error)) (cancel func(), ok bool) {
	if !closed(h.started) {
		return nil, false // HandleCall says so
	}
	b, ok := h.begins[name]
	if !ok {
		return nil, false
	}
	if !closed(h.awake) {
		reply(nil, errStarting())
		return func() {}, true
	}
	return b(from, payload, within, reply), true
}

// HandleCall implements transport.Handler.
func (h *handler) HandleCall(ctx context.Context, from cluster.NodeID, name string, payload []byte) ([]byte, error) {
	if !closed(h.started) {
		return nil, errStarting()
	}
	m, ok := h.methods[name]
	if !ok {
		return nil, &transport.CallError{Code: "unknown-method", Message: "this node does not know the call " + name}
	}
	return m(ctx, from, payload)
}

// HandleSnapshot implements transport.Handler.
func (h *handler) HandleSnapshot(ctx context.Context, from cluster.NodeID, header []byte, recv func() ([]byte, error)) ([]byte, error) {
	if !closed(h.started) {
		return nil, errStarting()
	}
	reply, err := h.store.HandleSnapshot(ctx, from, header, recv)
	var later *store.LaterError
	if errors.As(err, &later) {
		err = &transport.CallError{Code: transport.CodeOverloaded, Message: later.Error()}
	}
	return reply, err
}

// HandleScan implements transport.Handler.
func (h *handler) HandleScan(ctx context.Context, from cluster.NodeID, request []byte, send func([]byte) error) error {
	if !closed(h.started) || !closed(h.awake) {
		return errStarting()
	}
	return h.scan(ctx, from, request, send)
}

func errStarting() error {
	return &transport.CallError{Code: transport.CodeOverloaded, Message: "node is starting"}
}

func closed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
