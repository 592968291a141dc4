package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nodedb/nodedb/agent/internal/admin"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/operation"
	"github.com/nodedb/nodedb/agent/internal/placement"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/store"
	"github.com/nodedb/nodedb/agent/internal/transport"
)

// backend is the node as the admin API sees it.
type backend struct{ n *Node }

var _ admin.Backend = (*backend)(nil)

// Self implements admin.Local.
func (b *backend) Self() cluster.NodeID { return b.n.id.Node }

// Version implements admin.Local.
func (b *backend) Version() string { return b.n.cfg.Version }

// Service implements admin.Local.
func (b *backend) Service() cluster.Service { return b.n.serviceState() }

// DrainSelf implements admin.Local.
func (b *backend) DrainSelf(ctx context.Context, spec cluster.OperationSpec, by string) (cluster.Operation, error) {
	op, err := b.n.service.DrainSelf(ctx, spec, by)
	return op, adminError(err)
}

// View implements admin.MetaRange.
func (b *backend) View() *metastate.View { return b.n.machine.View() }

// Propose implements admin.MetaRange.
func (b *backend) Propose(ctx context.Context, cmd metastate.Command) (metastate.Result, error) {
	res, err := b.n.meta.Propose(ctx, cmd)
	return res, adminError(err)
}

// Subscribe implements admin.MetaRange.
func (b *backend) Subscribe(fn func(*metastate.View)) (cancel func()) { return b.n.meta.Subscribe(fn) }

// MetaLeader implements admin.MetaRange.
func (b *backend) MetaLeader() (cluster.NodeID, uint64) {
	leader, term, _ := b.n.meta.Leader()
	return leader, term
}

// Observe implements admin.Observer.
func (b *backend) Observe(ctx context.Context, perNode time.Duration) (admin.Observation, error) {
	o := b.n.service.ClusterStatus(ctx, perNode)
	return observation(&o), nil
}

// Pings implements admin.Observer.
func (b *backend) Pings(ctx context.Context, perNode time.Duration) map[cluster.NodeID]*cluster.NodeStatus {
	return b.n.service.Pings(ctx, perNode)
}

// InspectRaft implements admin.Observer.
func (b *backend) InspectRaft(ctx context.Context, id cluster.RangeID, nodes []cluster.NodeID, perNode time.Duration) map[cluster.NodeID]*cluster.RaftState {
	return b.n.service.InspectRaft(ctx, id, nodes, perNode)
}

// VerifyRange implements admin.Observer.
func (b *backend) VerifyRange(ctx context.Context, id cluster.RangeID) (cluster.Comparison, error) {
	c, err := b.n.service.Verify(ctx, id)
	return c, adminError(err)
}

// Row implements admin.Observer.
func (b *backend) Row(collection string, key []string) ([]byte, error) {
	view := b.n.machine.View()
	c, ok := view.Collection(collection)
	if !ok {
		return nil, &admin.Error{Kind: admin.KindNotFound, Message: fmt.Sprintf("there is no collection %q: nodedbctl sql -e 'SHOW COLLECTIONS' lists them", collection)}
	}
	encoded, err := catalog.KeyFromText(view, c, key)
	if err != nil {
		return nil, &admin.Error{Kind: admin.KindInvalid, Message: err.Error(), Err: err}
	}
	return keys.Row(c.Collection.Pool, keys.VShardOf(c.RowsID(), encoded), c.RowsID(), encoded), nil
}

// Plan implements admin.Operator.
func (b *backend) Plan(ctx context.Context, spec cluster.OperationSpec) (admin.Preview, error) {
	p, err := b.n.service.DryRun(ctx, spec)
	return admin.Preview{Plan: p.Plan, Verdict: p.Verdict, Took: p.Took, At: p.At}, adminError(err)
}

// Start implements admin.Operator.
func (b *backend) Start(ctx context.Context, r admin.StartRequest) (cluster.Operation, bool, error) {
	op, existed, err := b.n.service.Start(ctx, operation.StartRequest{Spec: r.Spec, Confirm: r.Confirm, By: r.By, Reason: r.Reason, Key: r.Key, Queue: r.Queue})
	return op, existed, adminError(err)
}

// Cancel implements admin.Operator.
func (b *backend) Cancel(ctx context.Context, r admin.CancelRequest) (cluster.Operation, error) {
	op, err := b.n.service.Cancel(ctx, r.ID, r.By, r.Reason)
	return op, adminError(err)
}

// Undrain implements admin.Operator.
func (b *backend) Undrain(ctx context.Context, r admin.NodesRequest) ([]cluster.Operation, error) {
	ops, err := b.n.service.Undrain(ctx, r.Nodes, r.By, r.Reason)
	return ops, adminError(err)
}

// Recommission implements admin.Operator.
func (b *backend) Recommission(ctx context.Context, r admin.NodesRequest) ([]cluster.Operation, error) {
	ops, err := b.n.service.Recommission(ctx, r.Nodes, r.By, r.Reason)
	return ops, adminError(err)
}

// observation is o as the admin API knows it.
func observation(o *operation.Observation) admin.Observation {
	return admin.Observation{At: o.At, View: o.View, Statuses: o.Statuses, Missing: o.Missing, Liveness: o.Liveness, Snapshot: o.Snapshot}
}

// Rebalance implements admin.Rebalancer.
func (b *backend) Rebalance(ctx context.Context, perNode time.Duration) (admin.Rebalance, error) {
	r := b.n.service.Rebalance(ctx, perNode)
	return admin.Rebalance{
		Observation: observation(&r.Observation), Policy: r.Policy, Verdict: r.Verdict, Why: r.Why, Dimensions: r.Dimensions, Gates: r.Gates,
		Loads: r.Loads, Last: r.Sweeps.Last, Next: r.Sweeps.Next, Operation: r.Operation, History: r.History,
	}, ctx.Err()
}

// CreatePlan implements admin.Rebalancer.
func (b *backend) CreatePlan(ctx context.Context, spec cluster.OperationSpec, by string) (admin.StoredPlan, admin.Observation, error) {
	p, o, err := b.n.service.CreatePlan(ctx, spec, by)
	return admin.StoredPlan(p), observation(&o), adminError(err)
}

// Plans implements admin.Rebalancer.
func (b *backend) Plans(ctx context.Context, id string) ([]admin.StoredPlan, admin.Observation, error) {
	plans, o, err := b.n.service.Plans(ctx, id)
	out := make([]admin.StoredPlan, len(plans))
	for i := range plans {
		out[i] = admin.StoredPlan(plans[i])
	}
	return out, observation(&o), adminError(err)
}

// SetRebalancePolicy implements admin.Rebalancer.
func (b *backend) SetRebalancePolicy(ctx context.Context, policy, by, _ string) (string, error) {
	before, err := b.n.service.SetPolicy(ctx, policy, by)
	return before, adminError(err)
}

// ExplainRange implements admin.Rebalancer.
func (b *backend) ExplainRange(ctx context.Context, id cluster.RangeID, perNode time.Duration) (placement.Explanation, admin.Observation, error) {
	e, o, err := b.n.service.ExplainRange(ctx, id, perNode)
	return e, observation(&o), adminError(err)
}

// adminError says to the admin API what an error of the packages below means.
func adminError(err error) error {
	if err == nil {
		return nil
	}
	var refused *operation.RefusedError
	var unavailable *kv.UnavailableError
	var ambiguous *store.AmbiguousError
	var clock *kv.ClockError
	var unreachable *transport.UnreachableError
	switch {
	case errors.As(err, &refused):
		return refusedError(refused)
	case errors.As(err, &ambiguous):
		return &admin.Error{Kind: admin.KindUnavailable, Message: "it is not known whether the request was carried out: ask again, the same request attaches to what it started", Err: err}
	case errors.As(err, &unreachable):
		return &admin.Error{Kind: admin.KindUnavailable, Message: err.Error(), Err: err}
	case errors.As(err, &clock):
		return &admin.Error{Kind: admin.KindUnavailable, Message: clock.Error(), Err: err}
	case errors.As(err, &unavailable):
		return &admin.Error{Kind: admin.KindUnavailable, Message: "the meta range has no quorum that answers: " + unavailable.Error(), Err: err}
	}
	return err
}

func refusedError(r *operation.RefusedError) error {
	kinds := map[operation.RefusedKind]admin.Kind{
		operation.Invalid: admin.KindInvalid, operation.NotFound: admin.KindNotFound, operation.Unsafe: admin.KindUnsafe,
		operation.Exists: admin.KindConflict, operation.InUse: admin.KindUnsafe,
		operation.Conflict: admin.KindConflict, operation.StalePlan: admin.KindStalePlan, operation.Denied: admin.KindDenied,
		operation.NoLeader: admin.KindUnavailable,
	}
	e := admin.Refused(r.Message, r.Verdict)
	e.Kind, e.Err, e.Operation = kinds[r.Kind], r, r.Operation
	return e
}
