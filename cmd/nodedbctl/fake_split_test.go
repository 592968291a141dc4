package main

import (
	"cmp"
	"fmt"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nodedb/nodedb/client/adminpb"
)

// Splits of the fake cluster: r27 owns [416,432), r2 owns [0,16); both are split
// where they are asked to be, if that is inside.

// splitKey is the key of a split, in hex.
func splitKey(s *adminpb.OperationSpec) string {
	return cmp.Or(s.GetAtKey(), fmt.Sprintf("%04x", s.GetAt()))
}

// outside refuses what the cluster would refuse.
func outside(s *adminpb.OperationSpec) error {
	bounds := map[uint32][2]string{2: {"0000", "0010"}, 27: {"01a0", "01b0"}}
	b, ok := bounds[s.GetRange()]
	if !ok {
		return refuse(connect.CodeNotFound, fmt.Sprintf("there is no range r%d", s.GetRange()), &adminpb.ErrorDetail{Kind: adminpb.ErrorKind_ERROR_KIND_NOT_FOUND})
	}
	at := splitKey(s)
	if b[0] < at && at < b[1] {
		return nil
	}
	where := ""
	for id, b := range bounds {
		if b[0] < at && at < b[1] {
			where = fmt.Sprintf("; it is inside r%d", id)
		}
	}
	return refuse(connect.CodeInvalidArgument, fmt.Sprintf("0x%s is no boundary inside r%d, which owns [0x%s,0x%s) of pool default%s", at, s.GetRange(), b[0], b[1], where),
		&adminpb.ErrorDetail{Kind: adminpb.ErrorKind_ERROR_KIND_INVALID})
}

func planSplit(r *adminpb.PlanOperationRequest) (*adminpb.PlanOperationResponse, error) {
	if err := outside(r.GetSpec()); err != nil {
		return nil, err
	}
	return &adminpb.PlanOperationResponse{AsOf: asOf(), Plan: &adminpb.Plan{
		Id: "pl-5b17", Spec: r.GetSpec(), TopologyEpoch: 57, Feasible: true, ChecksOk: 1,
		SurvivesBefore: "any 1 node", SurvivesDuring: "any 1 node", SurvivesAfter: "any 1 node",
	}}, nil
}

func (f *fakeCluster) startSplit(r *adminpb.StartOperationRequest) (*adminpb.StartOperationResponse, error) {
	if err := outside(r.GetSpec()); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	o := &adminpb.Operation{
		Id: "op-split", Spec: r.GetSpec(), State: "running", Phase: "check", RequestedBy: "root", Reason: r.GetReason(), PlanId: "pl-5b17",
		CreatedAt: timestamppb.New(now), StartedAt: timestamppb.New(now), MetaIndex: 1, Total: &adminpb.Progress{Ranges: 1}, Done: &adminpb.Progress{},
	}
	f.ops[o.GetId()] = o
	return &adminpb.StartOperationResponse{Operation: o}, nil
}
