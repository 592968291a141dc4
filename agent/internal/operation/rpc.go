package operation

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/statusboard"
)

// The methods that every node serves for the coordinator. Payloads are JSON: they
// are rare, and readable in a trace. Only the answer to MethodStatus is packed.
const (
	MethodPrepare  = "replica.prepare"
	MethodChange   = "replica.change"
	MethodTransfer = "replica.transfer"
	MethodDestroy  = "replica.destroy"
	MethodStatuses = "replica.status"
	MethodProof    = "replica.proof"
	MethodStatus   = "node.status"
	MethodDrain    = "node.drain"
	MethodUndrain  = "node.undrain"
	MethodStop     = "node.stop"
	MethodInspect  = "replica.inspect"
)

// Caller reaches other nodes; transport satisfies it.
type Caller interface {
	Call(ctx context.Context, to cluster.NodeID, method string, payload []byte) ([]byte, error)
}

// Store is what the coordinator's calls need of the node's store.
type Store interface {
	CreateRange(ctx context.Context, desc cluster.RangeDescriptor) error
	PrepareReplica(ctx context.Context, desc cluster.RangeDescriptor, replica cluster.ReplicaID) error
	ChangeReplicas(ctx context.Context, id cluster.RangeID, change cluster.ReplicaChange) (*cluster.RangeDescriptor, error)
	Transfer(ctx context.Context, id cluster.RangeID, to cluster.NodeID) error
	Split(ctx context.Context, id cluster.RangeID, split cluster.RangeSplit) (parent, child *cluster.RangeDescriptor, err error)
	Verify(ctx context.Context, id cluster.RangeID) (index uint64, err error)
	DestroyReplica(ctx context.Context, id cluster.RangeID, minNext cluster.ReplicaID) error
	RangeStatus(id cluster.RangeID) (cluster.RangeStatus, bool)
	Status() []*cluster.RangeStatus
}

// request is the payload of every replica.* call; each uses what it needs.
type request struct {
	Range      cluster.RangeID          `json:"range,omitempty"`
	Ranges     []cluster.RangeID        `json:"ranges,omitempty"`
	Node       cluster.NodeID           `json:"node,omitempty"`
	Replica    cluster.ReplicaID        `json:"replica,omitempty"`
	Change     *cluster.ReplicaChange   `json:"change,omitempty"`
	Split      *cluster.RangeSplit      `json:"split,omitempty"`
	Descriptor *cluster.RangeDescriptor `json:"descriptor,omitempty"`
	Spec       *cluster.OperationSpec   `json:"spec,omitempty"`
	Reason     string                   `json:"reason,omitempty"`
}

// reply is the answer of every replica.* call.
type reply struct {
	Descriptors []cluster.RangeDescriptor `json:"descriptors,omitempty"`
	Statuses    []cluster.RangeStatus     `json:"statuses,omitempty"`
	At          cluster.Key               `json:"at,omitempty"`
	Index       uint64                    `json:"index,omitempty"`
}

// Server answers the coordinator's calls on this node.
type Server struct {
	// Store runs this node's replicas.
	Store Store
	// Descriptor reads a range's descriptor linearizably at its leader, which this
	// node must be.
	Descriptor func(ctx context.Context, id cluster.RangeID) (*cluster.RangeDescriptor, error)
	// Middle returns where a split would halve the bytes of a range that this node
	// leads, or an error until it knows.
	Middle func(ctx context.Context, id cluster.RangeID) (cluster.Key, error)
	// Inspect returns the raft state of this node's replica of a range; nil: this
	// node does not tell.
	Inspect func(ctx context.Context, id cluster.RangeID) (cluster.RaftState, error)
	// Status is what this node is and does.
	Status *statusboard.Source
	// Drainer drains this node.
	Drainer *Drainer
	// Stop ends the process, with exit code 0; it does not wait for the end.
	Stop func(reason string)
}

// Methods returns the handlers to register with the transport.
func (s *Server) Methods() map[string]func(ctx context.Context, from cluster.NodeID, payload []byte) ([]byte, error) {
	return map[string]func(ctx context.Context, from cluster.NodeID, payload []byte) ([]byte, error){
		MethodPrepare:  s.handle(s.prepare),
		MethodCreate:   s.handle(s.create),
		MethodChange:   s.handle(s.change),
		MethodSplit:    s.handle(s.split),
		MethodMiddle:   s.handle(s.middle),
		MethodVerify:   s.handle(s.verify),
		MethodTransfer: s.handle(s.transfer),
		MethodDestroy:  s.handle(s.destroy),
		MethodStatuses: s.handle(s.statuses),
		MethodProof:    s.handle(s.proof),
		MethodDrain:    s.handle(s.drain),
		MethodUndrain:  s.handle(s.undrain),
		MethodStop:     s.handle(s.stop),
		MethodInspect:  s.inspect,
		MethodStatus:   s.status,
	}
}

// status tells the asker what it does not have yet.
func (s *Server) status(_ context.Context, _ cluster.NodeID, payload []byte) ([]byte, error) {
	var r statusboard.Request
	if len(payload) > 0 {
		if err := json.Unmarshal(payload, &r); err != nil {
			return nil, fmt.Errorf("decode the request: %w", err)
		}
	}
	a := s.Status.Answer(r)
	return a.Encode()
}

func (s *Server) handle(serve func(context.Context, *request) (*reply, error)) func(context.Context, cluster.NodeID, []byte) ([]byte, error) {
	return func(ctx context.Context, _ cluster.NodeID, payload []byte) ([]byte, error) {
		req, err := decodeRequest(payload)
		if err != nil {
			return nil, err
		}
		rep, err := serve(ctx, req)
		if err != nil {
			return nil, err
		}
		return json.Marshal(rep)
	}
}

func decodeRequest(payload []byte) (*request, error) {
	req := &request{}
	if len(payload) == 0 {
		return req, nil
	}
	d := json.NewDecoder(bytes.NewReader(payload))
	d.DisallowUnknownFields() // a request is carried out whole, or not at all
	if err := d.Decode(req); err != nil {
		return nil, fmt.Errorf("decode the request: %w", err)
	}
	return req, nil
}

func (s *Server) prepare(ctx context.Context, r *request) (*reply, error) {
	if r.Descriptor == nil {
		return nil, fmt.Errorf("prepare a replica: no descriptor")
	}
	if err := r.Descriptor.Validate(); err != nil {
		return nil, fmt.Errorf("prepare a replica of %s: %w", r.Descriptor.ID, err)
	}
	return &reply{}, s.Store.PrepareReplica(ctx, *r.Descriptor, r.Replica)
}

func (s *Server) change(ctx context.Context, r *request) (*reply, error) {
	if r.Change == nil {
		return nil, fmt.Errorf("change the replicas of %s: no change", r.Range)
	}
	d, err := s.Store.ChangeReplicas(ctx, r.Range, *r.Change)
	if err != nil {
		return nil, err
	}
	rep := s.standing(r.Range)
	rep.Descriptors = []cluster.RangeDescriptor{*d}
	return rep, nil
}

func (s *Server) transfer(ctx context.Context, r *request) (*reply, error) {
	if err := s.Store.Transfer(ctx, r.Range, r.Node); err != nil {
		return nil, err
	}
	return s.standing(r.Range), nil
}

func (s *Server) destroy(ctx context.Context, r *request) (*reply, error) {
	return &reply{}, s.Store.DestroyReplica(ctx, r.Range, r.Replica)
}

func (s *Server) statuses(_ context.Context, r *request) (*reply, error) {
	return s.standing(r.Ranges...), nil
}

// standing returns how the replicas here of the ranges stand.
func (s *Server) standing(ids ...cluster.RangeID) *reply {
	rep := &reply{}
	for _, id := range ids {
		if st, ok := s.Store.RangeStatus(id); ok {
			rep.Statuses = append(rep.Statuses, st)
		}
	}
	return rep
}

func (s *Server) proof(ctx context.Context, r *request) (*reply, error) {
	rep := &reply{}
	for _, id := range r.Ranges {
		d, err := s.Descriptor(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("read the descriptor of %s: %w", id, err)
		}
		rep.Descriptors = append(rep.Descriptors, *d)
	}
	return rep, nil
}

func (s *Server) drain(_ context.Context, r *request) (*reply, error) {
	spec := cluster.OperationSpec{Kind: cluster.OpDrain}
	if r.Spec != nil {
		spec = *r.Spec
	}
	s.Drainer.Begin(spec)
	return &reply{}, nil
}

func (s *Server) undrain(context.Context, *request) (*reply, error) {
	s.Drainer.Undrain()
	return &reply{}, nil
}

func (s *Server) stop(_ context.Context, r *request) (*reply, error) {
	reason := r.Reason
	if reason == "" {
		reason = "decommissioned"
	}
	s.Stop(reason)
	return &reply{}, nil
}
