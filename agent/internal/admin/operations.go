package admin

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/client/adminpb"
)

const (
	heartbeat    = 5 * time.Second
	watchesMost  = 64 // open at once on a node
	deadlineMost = 24 * time.Hour
)

// spec checks what a caller wants done.
func (s *service) spec(p *adminpb.OperationSpec) (cluster.OperationSpec, error) {
	if p == nil {
		return cluster.OperationSpec{}, &Error{Kind: KindInvalid, Message: "spec is missing"}
	}
	var nodes []cluster.NodeID
	if kind := cluster.OperationKind(p.GetKind()); !kind.MovesOnly() && kind.NamesNodes() || len(p.GetNodes()) > 0 {
		var err error
		if nodes, err = s.known(p.GetNodes()); err != nil {
			return cluster.OperationSpec{}, err
		}
	}
	spec := cluster.OperationSpec{
		Kind: cluster.OperationKind(p.GetKind()), Nodes: nodes, Shutdown: p.GetShutdown(), LBWait: p.GetLbWait(),
		TxnTimeout: p.GetTxnTimeout(), Deadline: p.GetDeadline(), OnDeadline: p.GetOnDeadline(), TTL: p.GetTtl(),
		Rate: p.GetRate(), MaxDisk: p.GetMaxDisk(), Keep: p.GetKeepRunning(),
		Range: cluster.RangeID(p.GetRange()), From: cluster.NodeID(p.GetFrom()), To: cluster.NodeID(p.GetTo()),
		Goal: p.GetGoal(), MaxMoves: int(p.GetMaxMoves()), Plan: p.GetPlan(), Strict: p.GetStrict(), Version: gate.Version(p.GetVersion()),
	}
	var err error
	if spec.At, err = boundary(p); err != nil {
		return spec, err
	}
	if spec.Kind.OfPool() {
		spec.Pool, spec.Ranges = p.GetPool(), int(p.GetPoolRanges())
		if spec.Wanted, err = wish(s.backend.View(), &spec, p.GetWanted()); err != nil {
			return spec, err
		}
	}
	return spec, checkSpec(&spec)
}

// boundary returns where a caller wants a range split; empty: anywhere.
func boundary(p *adminpb.OperationSpec) (cluster.Key, error) {
	if p.GetAtKey() == "" {
		if p.GetAt() == 0 {
			return "", nil
		}
		return cluster.VShard(min(p.GetAt(), cluster.VShards)).Key(), nil
	}
	k, err := cluster.KeyOfHex(p.GetAtKey())
	if err != nil {
		return "", &Error{Kind: KindInvalid, Message: "at_key: " + err.Error(), Err: err}
	}
	return k, nil
}

func checkSpec(s *cluster.OperationSpec) error {
	invalid := func(format string, args ...any) error {
		return &Error{Kind: KindInvalid, Message: fmt.Sprintf(format, args...)}
	}
	if s.Kind != cluster.OpDrain && s.Kind != cluster.OpDecommission && s.Kind != cluster.OpSplit && s.Kind != cluster.OpUpgrade && !s.Kind.MovesOnly() && !s.Kind.OfPool() {
		return invalid("unknown kind of operation %q: drain, decommission, rebalance, move, transfer, split, upgrade, pool-create, pool-alter or pool-drop", s.Kind)
	}
	for name, v := range map[string]float64{"lb_wait": s.LBWait, "txn_timeout": s.TxnTimeout, "deadline": s.Deadline, "ttl": s.TTL} {
		if !(v >= 0 && v <= deadlineMost.Seconds()) { // also refuses NaN
			return invalid("%s must be between 0 and %.0f seconds", name, deadlineMost.Seconds())
		}
	}
	if !(s.MaxDisk >= 0 && s.MaxDisk <= 1) {
		return invalid("max_disk must be a share between 0 and 1")
	}
	if s.OnDeadline != "" && s.OnDeadline != "stop" && s.OnDeadline != "force" {
		return invalid("on_deadline must be stop or force")
	}
	return nil
}

// PlanOperation implements adminpb.AdminHandler.
func (s *service) PlanOperation(ctx context.Context, r *adminpb.PlanOperationRequest) (*adminpb.PlanOperationResponse, error) {
	spec, err := s.spec(r.GetSpec())
	if err != nil {
		return nil, err
	}
	pv, err := s.backend.Plan(ctx, spec)
	if err != nil {
		return nil, err
	}
	if spec.Kind == cluster.OpSplit {
		spec.At = pv.At
	}
	p := planProto(spec, &pv, s.backend.View().Epoch())
	p.ModelError = modelError(s.backend.View(), spec.Kind)
	return &adminpb.PlanOperationResponse{AsOf: s.asOf(), Plan: p}, nil
}

// StartOperation implements adminpb.AdminHandler.
func (s *service) StartOperation(ctx context.Context, r *adminpb.StartOperationRequest) (*adminpb.StartOperationResponse, error) {
	spec, err := s.spec(r.GetSpec())
	if err != nil {
		return nil, err
	}
	op, existed, err := s.backend.Start(ctx, StartRequest{
		Spec: spec, Confirm: r.GetConfirm(), By: caller(ctx).Name, Reason: r.GetReason(), Key: r.GetIdempotencyKey(), Queue: r.GetQueue(),
	})
	if err != nil {
		return nil, err
	}
	return &adminpb.StartOperationResponse{Operation: s.operation(&op), Attached: existed}, nil
}

func (s *service) operation(o *cluster.Operation) *adminpb.Operation {
	return operationProto(o, s.backend.View().Index)
}

func (s *service) operations(os []cluster.Operation) []*adminpb.Operation {
	out := make([]*adminpb.Operation, len(os))
	for i := range os {
		out[i] = s.operation(&os[i])
	}
	return out
}

// find returns the operation with the id.
func (s *service) find(id string) (*metastate.View, *cluster.Operation, error) {
	view := s.backend.View()
	o := view.Operations[id]
	if o == nil {
		return nil, nil, &Error{Kind: KindNotFound, Message: fmt.Sprintf("there is no operation %q", id)}
	}
	return view, o, nil
}

// GetOperation implements adminpb.AdminHandler.
func (s *service) GetOperation(ctx context.Context, r *adminpb.GetOperationRequest) (*adminpb.GetOperationResponse, error) {
	view, o, err := s.find(r.GetId())
	if err != nil {
		return nil, err
	}
	p := operationProto(o, view.Index)
	conceal(ctx, p)
	return &adminpb.GetOperationResponse{AsOf: s.asOf(), Operation: p}, nil
}

// ListOperations implements adminpb.AdminHandler. The newest comes first.
func (s *service) ListOperations(ctx context.Context, r *adminpb.ListOperationsRequest) (*adminpb.ListOperationsResponse, error) {
	view := s.backend.View()
	out := &adminpb.ListOperationsResponse{AsOf: s.asOf()}
	ids := view.OperationIDs()
	slices.Reverse(ids)
	for _, id := range ids {
		if o := view.Operations[id]; r.GetAll() || !o.State.Final() {
			out.Operations = append(out.Operations, operationProto(o, view.Index))
		}
	}
	conceal(ctx, out.Operations...)
	return out, nil
}

// WatchOperation implements adminpb.AdminHandler. A caller that reads slowly
// gets the newest state, not every one. The watch ends when the caller's
// credential does.
func (s *service) WatchOperation(ctx context.Context, r *adminpb.WatchOperationRequest, out adminpb.AdminWatchOperationServerStream) error {
	free, err := s.takeSlot()
	if err != nil {
		return err
	}
	defer free()
	changed := make(chan struct{}, 1)
	defer s.backend.Subscribe(func(*metastate.View) {
		select {
		case changed <- struct{}{}:
		default:
		}
	})()
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	var last *cluster.Operation
	for {
		if err := stillAllowed(ctx); err != nil {
			return err
		}
		view, o, err := s.find(r.GetId())
		if err != nil {
			return err
		}
		// Records are immutable: another pointer is another state.
		if o != last {
			last = o
			p := operationProto(o, view.Index)
			conceal(ctx, p)
			if err := out.Send(&adminpb.WatchOperationResponse{Operation: p}); err != nil {
				return err
			}
			if o.State.Final() {
				return nil
			}
		}
		select {
		case <-changed:
		case <-beat.C:
			if err := out.Send(&adminpb.WatchOperationResponse{}); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// CancelOperation implements adminpb.AdminHandler.
func (s *service) CancelOperation(ctx context.Context, r *adminpb.CancelOperationRequest) (*adminpb.CancelOperationResponse, error) {
	if _, _, err := s.find(r.GetId()); err != nil {
		return nil, err
	}
	o, err := s.backend.Cancel(ctx, CancelRequest{ID: r.GetId(), By: caller(ctx).Name, Reason: r.GetReason()})
	if err != nil {
		return nil, err
	}
	return &adminpb.CancelOperationResponse{Operation: s.operation(&o)}, nil
}

// Undrain implements adminpb.AdminHandler.
func (s *service) Undrain(ctx context.Context, r *adminpb.UndrainRequest) (*adminpb.UndrainResponse, error) {
	nodes, err := s.known(r.GetNodes())
	if err != nil {
		return nil, err
	}
	os, err := s.backend.Undrain(ctx, NodesRequest{Nodes: nodes, By: caller(ctx).Name, Reason: r.GetReason()})
	if err != nil {
		return nil, err
	}
	return &adminpb.UndrainResponse{Operations: s.operations(os)}, nil
}

// Recommission implements adminpb.AdminHandler.
func (s *service) Recommission(ctx context.Context, r *adminpb.RecommissionRequest) (*adminpb.RecommissionResponse, error) {
	nodes, err := s.known(r.GetNodes())
	if err != nil {
		return nil, err
	}
	os, err := s.backend.Recommission(ctx, NodesRequest{Nodes: nodes, By: caller(ctx).Name, Reason: r.GetReason()})
	if err != nil {
		return nil, err
	}
	return &adminpb.RecommissionResponse{Operations: s.operations(os)}, nil
}
