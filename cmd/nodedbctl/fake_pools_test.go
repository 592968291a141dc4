package main

import (
	"context"
	"fmt"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nodedb/nodedb/client/adminpb"
)

// ListPools has the pools default and crit.
func (f *fakeCluster) ListPools(_ context.Context, r *adminpb.ListPoolsRequest) (*adminpb.ListPoolsResponse, error) {
	out := &adminpb.ListPoolsResponse{AsOf: asOf()}
	for _, p := range []*adminpb.Pool{
		{Name: "default", State: "ready", Replicas: 3, Ranges: 64, Nodes: []uint32{1, 2, 3}, Version: 1},
		{Id: 1, Name: "crit", State: "ready", Replicas: 3, Constraints: "+zone=a", Ranges: 1, Nodes: []uint32{1, 2, 3}, Version: 2},
	} {
		if r.GetQueue() && p.GetName() == "crit" {
			p.QueueTotal, p.Queue = 3, []*adminpb.PoolWait{
				{What: "operation", Operation: "op-9", Kind: "decommission", State: "running", Since: timestamppb.New(asOf().GetTime().AsTime().Add(-90 * time.Second)), Count: 1},
				{What: "move", Operation: "op-9", Kind: "decommission", Range: 70, From: 2, State: "blocked", Why: "no node may take it"},
			}
		}
		if r.GetName() == "" || r.GetName() == p.GetName() {
			out.Pools = append(out.Pools, p)
		}
	}
	if len(out.Pools) == 0 {
		return nil, refuse(connect.CodeNotFound, fmt.Sprintf("there is no pool %q: default, crit", r.GetName()), &adminpb.ErrorDetail{Kind: adminpb.ErrorKind_ERROR_KIND_NOT_FOUND})
	}
	return out, nil
}
