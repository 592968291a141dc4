package admin

import (
	"context"
	"log/slog"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/client/adminpb"
)

// Limits of what a caller may ask for.
const (
	nodeTimeoutDefault = 3 * time.Second
	nodeTimeoutMost    = time.Minute
)

// service answers the calls of the protocol; each file holds those of one noun.
type service struct {
	backend Backend
	watches chan struct{} // one slot per open watch
	hub     *hub
	memory  memory
}

func newService(b Backend, logger *slog.Logger) *service {
	s := &service{backend: b, watches: make(chan struct{}, watchesMost)}
	s.hub = newHub(s, logger)
	return s
}

var _ adminpb.AdminHandler = (*service)(nil)

// look asks every node what it knows, unless that was just done for ctx.
func (s *service) look(ctx context.Context, timeout float64) (*sight, error) {
	if seen, ok := ctx.Value(sightKey{}).(*sight); ok {
		return seen, nil
	}
	o, err := s.backend.Observe(ctx, perNode(timeout))
	if err != nil {
		return nil, err
	}
	s.nameHolders(ctx, &o, perNode(timeout))
	return s.memory.see(&o, s.backend.Self()), nil
}

// nameHolders asks all nodes whose the locks are that are waited for long, where the node
// of who waits does not know: they are held by a session of another.
func (s *service) nameHolders(ctx context.Context, o *Observation, perNode time.Duration) {
	var unknown []*cluster.TransactionRef
	for id, st := range o.Statuses {
		if t := &st.Transactions; t.WaitSeconds >= cluster.LongLockWait.Seconds() && t.WaitsFor.PID == 0 {
			own := *st // what was told may be somebody else's, too
			o.Statuses[id], unknown = &own, append(unknown, &own.Transactions.WaitsFor)
		}
	}
	if len(unknown) == 0 {
		return
	}
	holders := map[string]cluster.TransactionRef{}
	found, _ := s.backend.Transactions(ctx, perNode)
	for i := range found {
		holders[found[i].ID] = found[i].Ref()
	}
	for _, w := range unknown {
		if h, ok := holders[w.ID]; ok {
			*w = h
		}
	}
}

// perNode is how long to wait for each node, of what the caller asks for in seconds.
func perNode(timeout float64) time.Duration {
	if timeout > 0 {
		return min(seconds(timeout), nodeTimeoutMost)
	}
	return nodeTimeoutDefault
}

// propose carries out a command in the caller's name. A refusal is an error.
func (s *service) propose(ctx context.Context, cmd metastate.Command) (metastate.Result, error) {
	cmd.By, cmd.Via = caller(ctx).Name, metastate.ViaAdmin
	r, err := s.backend.Propose(ctx, cmd)
	if err != nil {
		return r, err
	}
	return r, r.Err()
}

// asOf is for answers that come from this node's copy of the metadata alone.
func (s *service) asOf() *adminpb.AsOf {
	view := s.backend.View()
	return (&sight{Observation: &Observation{At: time.Now(), View: view}, source: s.backend.Self()}).asOf()
}

// WhoAmI implements adminpb.AdminHandler.
func (s *service) WhoAmI(ctx context.Context, _ *adminpb.WhoAmIRequest) (*adminpb.WhoAmIResponse, error) {
	p, view := caller(ctx), s.backend.View()
	return &adminpb.WhoAmIResponse{
		Name: p.Name, Role: roleProto(p.Role), Via: p.Via,
		ClusterId: view.ClusterID, ClusterName: view.ClusterName, Node: uint32(s.backend.Self()),
	}, nil
}

// GetVersion implements adminpb.AdminHandler.
func (s *service) GetVersion(context.Context, *adminpb.GetVersionRequest) (*adminpb.GetVersionResponse, error) {
	return &adminpb.GetVersionResponse{Version: s.backend.Version(), Node: uint32(s.backend.Self()), Api: "nodedb.admin/v1"}, nil
}
