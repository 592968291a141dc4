package admin

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/client/adminpb"
)

// ListRanges implements adminpb.AdminHandler.
func (s *service) ListRanges(ctx context.Context, r *adminpb.ListRangesRequest) (*adminpb.ListRangesResponse, error) {
	pools, err := poolsAsked(s.backend.View(), r.GetPool(), r.GetCollection())
	if err != nil {
		return nil, err
	}
	if n := cluster.NodeID(r.GetNode()); n != 0 && s.backend.View().Nodes[n] == nil {
		return nil, &Error{Kind: KindNotFound, Message: fmt.Sprintf("there is no node %s", n)}
	}
	look, err := s.look(ctx, r.GetNodeTimeout())
	if err != nil {
		return nil, err
	}
	out := &adminpb.ListRangesResponse{AsOf: look.asOf()}
	from, found := look.at(cluster.RangeID(r.GetAfter()))
	if found {
		from++
	}
	for _, f := range look.ranges[from:] {
		if !wantsRange(r, f) || !pools.hold(f.descriptor) {
			continue
		}
		if n := len(out.Ranges); n > 0 && n == int(r.GetLimit()) {
			out.Next = out.Ranges[n-1].GetId()
			break
		}
		out.Ranges = append(out.Ranges, f.show())
	}
	if len(r.GetIds()) > 0 && len(out.Ranges) == 0 {
		return nil, &Error{Kind: KindNotFound, Message: fmt.Sprintf("there is no range %s", cluster.RangeID(r.GetIds()[0]))}
	}
	return out, nil
}

// askedPools are those whose ranges are asked for; nil: all, and the meta range.
type askedPools map[cluster.PoolID]bool

// poolsAsked are the pools that a name and a collection leave. Rows of a collection
// are spread over all ranges of its pool by hash.
func poolsAsked(v *metastate.View, pool, collection string) (askedPools, error) {
	var out askedPools
	if pool != "" {
		p, ok := v.Pool(pool)
		if !ok {
			return nil, noPool(v, pool)
		}
		out = askedPools{p.ID: true}
	}
	if collection == "" {
		return out, nil
	}
	c, ok := v.Collection(collection)
	switch {
	case !ok:
		return nil, &Error{Kind: KindNotFound, Message: fmt.Sprintf("there is no collection %q", collection)}
	case out != nil && !out[c.Collection.Pool]:
		return askedPools{}, nil // in another pool: no range is of both
	}
	return askedPools{c.Collection.Pool: true}, nil
}

func (p askedPools) hold(d *cluster.RangeDescriptor) bool {
	return p == nil || !d.IsMeta() && p[d.Pool]
}

func wantsRange(r *adminpb.ListRangesRequest, f *rangeSight) bool {
	d := f.descriptor
	if len(r.GetIds()) > 0 && !slices.Contains(r.GetIds(), uint32(d.ID)) {
		return false
	}
	if len(r.GetStates()) > 0 && !slices.Contains(r.GetStates(), f.state) {
		return false
	}
	if n := cluster.NodeID(r.GetNode()); n != 0 {
		_, ok := d.On(n)
		return ok
	}
	return true
}

// show is the range as the protocol tells it. It is made once, and shared.
func (f *rangeSight) show() *adminpb.Range {
	f.shown.Do(func() { f.proto = f.message() })
	return f.proto
}

func (f *rangeSight) message() *adminpb.Range {
	d := f.descriptor
	p := &adminpb.Range{
		Id: uint32(d.ID), Meta: d.IsMeta(), StartKey: d.Start.Hex(), EndKey: d.End.Hex(), Generation: d.Generation,
		Leader: uint32(f.leaderNode()), State: f.state, Pool: f.pool,
	}
	p.Start, p.End = vshards(d)
	p.SizeUnknown, p.LoadUnknown = true, f.leader == nil
	if st := f.size(); st.Counted {
		p.SizeUnknown, p.Bytes, p.Keys, p.LiveBytes, p.DeadBytes = false, st.Bytes, st.Keys, st.LiveBytes, st.DeadBytes
	}
	var progress []cluster.ReplicaProgress
	if l := f.leader; l != nil {
		p.Term, p.Commit, p.Applied, progress = l.Term, l.Commit, l.Applied, l.Progress
		p.ReadsPerSecond, p.WritesPerSecond = l.ReadsPerSecond, l.WritesPerSecond
		if !l.Collected.IsZero() {
			p.Collected = timestamppb.New(l.Collected)
		}
	}
	if c := f.comparison(); c.Index > 0 {
		p.Comparison = comparisonProto(&c)
	}
	if f.leader != nil {
		p.Lease = leaseProto(f.leader)
	}
	p.Replicas = make([]*adminpb.Replica, 0, len(d.Replicas))
	for _, rep := range d.Replicas {
		var pr cluster.ReplicaProgress
		if i := slices.IndexFunc(progress, func(x cluster.ReplicaProgress) bool { return x.Node == rep.Node }); i >= 0 {
			pr = progress[i]
		}
		out := &adminpb.Replica{
			Node: uint32(rep.Node), Replica: uint64(rep.Replica), Role: string(rep.Role),
			Match: pr.Match, Active: pr.Active || rep.Node == f.leaderNode(), Snapshot: pr.Snapshot,
		}
		if st := f.on(rep.Node); st != nil {
			out.Applied, out.Failed = st.Applied, st.Failed
			if !st.Closed.IsZero() {
				out.Closed = timestamppb.New(st.Closed)
			}
		}
		p.Replicas = append(p.Replicas, out)
	}
	return p
}

// vshards returns the vshards of which d owns a part.
func vshards(d *cluster.RangeDescriptor) (start, end uint32) {
	first, last := d.VShards()
	return uint32(first), uint32(last)
}

// GetRouting implements adminpb.AdminHandler.
func (s *service) GetRouting(ctx context.Context, r *adminpb.GetRoutingRequest) (*adminpb.GetRoutingResponse, error) {
	pools, err := poolsAsked(s.backend.View(), r.GetPool(), "")
	if err != nil {
		return nil, err
	}
	look, err := s.look(ctx, r.GetNodeTimeout())
	if err != nil {
		return nil, err
	}
	out := &adminpb.GetRoutingResponse{AsOf: look.asOf()}
	for _, f := range look.ranges {
		if !f.descriptor.IsMeta() && pools.hold(f.descriptor) {
			out.Routes = append(out.Routes, look.route(f))
		}
	}
	return out, nil
}

func (s *sight) route(f *rangeSight) *adminpb.Route {
	d := f.descriptor
	p := &adminpb.Route{
		Range: uint32(d.ID), Pool: s.View.PoolName(d.Pool), StartKey: d.Start.Hex(), EndKey: d.End.Hex(), Generation: d.Generation,
		Leader: uint32(f.leaderNode()),
	}
	p.Start, p.End = vshards(d)
	if n := s.View.Nodes[f.leaderNode()]; n != nil {
		p.LeaderAddress = n.Addresses.SQL
	}
	for _, rep := range d.Replicas {
		p.Replicas = append(p.Replicas, uint32(rep.Node))
	}
	slices.Sort(p.Replicas)
	return p
}

// LookupRoute implements adminpb.AdminHandler.
func (s *service) LookupRoute(ctx context.Context, r *adminpb.LookupRouteRequest) (*adminpb.LookupRouteResponse, error) {
	if r.GetCollection() == "" || len(r.GetKey()) == 0 {
		return nil, &Error{Kind: KindInvalid, Message: "a collection and the value of each column of its primary key are needed"}
	}
	row, err := s.backend.Row(r.GetCollection(), r.GetKey())
	if err != nil {
		return nil, err
	}
	look, err := s.look(ctx, 0)
	if err != nil {
		return nil, err
	}
	at := keys.Bound(row)
	for _, f := range look.ranges {
		if keys.Owns(f.descriptor, row) {
			return &adminpb.LookupRouteResponse{AsOf: look.asOf(), Vshard: uint32(at.VShard()), RowKey: at.Hex(), Route: look.route(f)}, nil
		}
	}
	return nil, &Error{Kind: KindUnavailable, Elsewhere: true, Message: fmt.Sprintf("no range owns %s: this node's metadata is incomplete", at.Text())}
}
