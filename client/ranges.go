package client

import (
	"context"

	"github.com/nodedb/nodedb/client/adminpb"
)

// rangePage is how many ranges are asked for at once: some 3 MiB.
const rangePage = 10_000

// RangeLister answers for one page. A Client is one.
type RangeLister interface {
	ListRanges(ctx context.Context, r *adminpb.ListRangesRequest) (*adminpb.ListRangesResponse, error)
}

// Ranges lists all ranges that r asks for, page by page: one answer of very many would
// be larger than a client takes. The answer is as of its last page, or of one for
// which nodes did not answer. Ranges that come or go meanwhile may be in it or not;
// no other is missing, and none is there twice.
func Ranges(ctx context.Context, c RangeLister, r *adminpb.ListRangesRequest) (*adminpb.ListRangesResponse, error) {
	page := &adminpb.ListRangesRequest{
		Ids: r.GetIds(), Collection: r.GetCollection(), Node: r.GetNode(), States: r.GetStates(), NodeTimeout: r.GetNodeTimeout(), Pool: r.GetPool(),
		After: r.GetAfter(), Limit: rangePage,
	}
	out := &adminpb.ListRangesResponse{}
	for {
		p, err := c.ListRanges(ctx, page)
		if err != nil {
			return nil, err
		}
		out.Ranges = append(out.Ranges, p.GetRanges()...)
		if out.GetAsOf() == nil || out.GetAsOf().GetComplete() {
			out.AsOf = p.GetAsOf()
		}
		if p.GetNext() <= page.GetAfter() {
			return out, nil
		}
		page.After = p.GetNext()
	}
}
