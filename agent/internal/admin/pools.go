package admin

import (
	"context"
	"fmt"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/placement"
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
	for _, p := range look.pools() {
		if r.GetName() == "" || p.GetName() == r.GetName() {
			out.Pools = append(out.Pools, p)
		}
	}
	if len(out.Pools) == 0 {
		return nil, noPool(look.View, r.GetName())
	}
	if r.GetQueue() {
		look.queue(out.Pools)
	}
	return out, nil
}

// pools describes each pool and how its ranges stand, by id, in one pass over them all.
func (s *sight) pools() []*adminpb.Pool {
	ids := s.View.PoolIDs()
	out := make([]*adminpb.Pool, 0, len(ids))
	by, specs := map[cluster.PoolID]*adminpb.Pool{}, map[string]*adminpb.Pool{}
	for _, id := range ids {
		p := s.View.Pools[id]
		x := poolProto(p)
		x.Collections = s.View.CollectionsIn(id)
		if s.Snapshot != nil {
			x.Nodes = nodeIDs(s.Snapshot.Able(&p.PoolSpec))
		} else {
			x.Ranges = uint32(len(s.View.RangesIn(id)))
		}
		by[id], specs[p.Name] = x, x
		out = append(out, x)
	}
	for _, id := range s.View.OperationIDs() {
		if op := s.View.Operations[id]; specs[op.Spec.Pool] != nil && !op.State.Final() {
			specs[op.Spec.Pool].Operation = id
		}
	}
	if s.Snapshot == nil {
		return out
	}
	for i := range s.Snapshot.Ranges {
		r := &s.Snapshot.Ranges[i]
		if x := by[r.Descriptor.Pool]; x != nil && !r.Descriptor.IsMeta() {
			s.addRange(x, r)
		}
	}
	return out
}

// addRange counts a range of a pool.
func (s *sight) addRange(out *adminpb.Pool, r *placement.Range) {
	out.Ranges++
	out.Bytes += r.Bytes
	if r.Leader != 0 && !s.Snapshot.Likes(r, r.Leader) {
		out.LeadersElsewhere++
	}
	why := s.Snapshot.Misfit(r)
	if why == "" {
		return
	}
	out.RangesMisfit++
	if len(out.Misfits) < misfitsShown {
		out.Misfits = append(out.Misfits, r.Descriptor.ID.String()+" "+why)
	}
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
