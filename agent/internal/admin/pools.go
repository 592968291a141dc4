package admin

import (
	"context"
	"fmt"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/client/adminpb"
)

// wish is what a pool is to want: what is not asked for stays, or is what a new
// pool begins with, the replicas of pool default.
func wish(v *metastate.View, spec *cluster.OperationSpec, w *adminpb.PoolWish) (*cluster.PoolSpec, error) {
	invalid := func(err error) error {
		return &Error{Kind: KindInvalid, Message: fmt.Sprintf("pool %q: %v", spec.Pool, err)}
	}
	var out cluster.PoolSpec
	pool, exists := v.Pool(spec.Pool)
	switch {
	case spec.Kind == cluster.OpPoolDrop:
		return nil, nil
	case spec.Kind == cluster.OpPoolCreate:
		out.Replicas = v.DefaultPool().Replicas
	case !exists:
		return nil, noPool(v, spec.Pool)
	default:
		out = pool.PoolSpec
	}
	if w != nil && w.Replicas != nil {
		out.Replicas = int(w.GetReplicas())
	}
	var err error
	if w != nil && w.Constraints != nil {
		if out.Constraints, err = cluster.ParseConstraints(w.GetConstraints()); err != nil {
			return nil, invalid(err)
		}
	}
	if w != nil && w.PreferLeader != nil {
		if out.PreferLeader, err = cluster.ParsePreference(w.GetPreferLeader()); err != nil {
			return nil, invalid(err)
		}
	}
	return &out, nil
}

func noPool(v *metastate.View, name string) error {
	return &Error{Kind: KindNotFound, Message: fmt.Sprintf("there is no pool %q: %s", name, strings.Join(v.PoolNames(), ", "))}
}

// misfitsShown bounds what is said of a pool's ranges that are not as it wants.
const misfitsShown = 8

// ListPools implements adminpb.AdminHandler.
func (s *service) ListPools(ctx context.Context, r *adminpb.ListPoolsRequest) (*adminpb.ListPoolsResponse, error) {
	look, err := s.look(ctx, r.GetNodeTimeout())
	if err != nil {
		return nil, err
	}
	out := &adminpb.ListPoolsResponse{AsOf: look.asOf()}
	for _, id := range look.View.PoolIDs() {
		if p := look.View.Pools[id]; r.GetName() == "" || p.Name == r.GetName() {
			out.Pools = append(out.Pools, look.pool(p))
		}
	}
	if len(out.Pools) == 0 {
		return nil, noPool(look.View, r.GetName())
	}
	return out, nil
}

// pool describes a pool and how its ranges stand.
func (s *sight) pool(p *cluster.Pool) *adminpb.Pool {
	out := poolProto(p)
	out.Collections = s.View.CollectionsIn(p.ID)
	for _, id := range s.View.OperationIDs() {
		if op := s.View.Operations[id]; op.Spec.Pool == p.Name && !op.State.Final() {
			out.Operation = id
		}
	}
	if s.Snapshot == nil {
		out.Ranges = uint32(len(s.View.RangesIn(p.ID)))
		return out
	}
	out.Nodes = nodeIDs(s.Snapshot.Able(&p.PoolSpec))
	for i := range s.Snapshot.Ranges {
		x := &s.Snapshot.Ranges[i]
		if x.Descriptor.IsMeta() || x.Descriptor.Pool != p.ID {
			continue
		}
		out.Ranges++
		out.Bytes += x.Bytes
		if x.Leader != 0 && !s.Snapshot.Likes(x, x.Leader) {
			out.LeadersElsewhere++
		}
		why := s.Snapshot.Misfit(x)
		if why == "" {
			continue
		}
		out.RangesMisfit++
		if len(out.Misfits) < misfitsShown {
			out.Misfits = append(out.Misfits, x.Descriptor.ID.String()+" "+why)
		}
	}
	return out
}

func poolProto(p *cluster.Pool) *adminpb.Pool {
	return &adminpb.Pool{
		Id: uint32(p.ID), Name: p.Name, State: string(p.State), Replicas: uint32(p.Replicas), Constraints: p.Constraints.String(),
		PreferLeader: p.PreferLeader.String(), RangesMissing: uint32(len(p.Seeds)), Version: p.Version,
	}
}

// RenamePool implements adminpb.AdminHandler.
func (s *service) RenamePool(ctx context.Context, r *adminpb.RenamePoolRequest) (*adminpb.RenamePoolResponse, error) {
	res, err := s.backend.Propose(ctx, metastate.Command{
		By: caller(ctx).Name, Via: metastate.ViaAdmin, RenamePool: &metastate.RenamePool{Name: r.GetName(), To: r.GetTo()},
	})
	if err != nil {
		return nil, err
	}
	if res.Refusal != nil {
		return nil, res.Refusal
	}
	return &adminpb.RenamePoolResponse{Pool: poolProto(res.Pool)}, nil
}
