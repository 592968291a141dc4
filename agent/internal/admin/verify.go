package admin

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/client/adminpb"
)

const (
	// verifyWait is how long VerifyRange waits for the replicas, unless it is told: a
	// range of the default range_max_bytes is read in half a minute.
	verifyWait     = 2 * time.Minute
	verifyWaitMost = time.Hour
)

// VerifyRange implements adminpb.AdminHandler.
func (s *service) VerifyRange(ctx context.Context, r *adminpb.VerifyRangeRequest) (*adminpb.VerifyRangeResponse, error) {
	id := cluster.RangeID(r.GetRange())
	if s.backend.View().Ranges.Get(id) == nil {
		return nil, &Error{Kind: KindNotFound, Message: fmt.Sprintf("there is no range %s", id)}
	}
	wait := verifyWait
	if r.GetTimeout() > 0 {
		wait = min(seconds(r.GetTimeout()), verifyWaitMost)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	c, err := s.backend.VerifyRange(ctx, id)
	if err != nil {
		return nil, err
	}
	look, err := s.look(context.WithoutCancel(ctx), 0)
	if err != nil {
		return nil, err
	}
	return &adminpb.VerifyRangeResponse{AsOf: look.asOf(), Range: uint32(id), Comparison: comparisonProto(&c)}, nil
}

func comparisonProto(c *cluster.Comparison) *adminpb.Comparison {
	p := &adminpb.Comparison{Index: c.Index, Same: nodeIDs(c.Same), Differ: nodeIDs(c.Differ), Untold: nodeIDs(c.Untold)}
	if !c.At.IsZero() {
		p.At = timestamppb.New(c.At)
	}
	return p
}
