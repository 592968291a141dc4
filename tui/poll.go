package tui

import (
	"context"
	"time"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/tui/internal/feed"
)

// watchOf asks for the lists again and again, until the client can watch.
func watchOf(c *client.Client) feed.Watch {
	return func(ctx context.Context, r *adminpb.WatchRequest, changed func(*adminpb.WatchResponse) error, _ func(error)) error {
		for {
			out := &adminpb.WatchResponse{Reset_: true}
			for _, t := range r.GetTopics() {
				if err := poll(ctx, c, t, out); err != nil && !client.AsError(err).Unserved() {
					return err
				}
			}
			if err := changed(out); err != nil {
				return err
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Second):
			}
		}
	}
}

func poll(ctx context.Context, c *client.Client, topic string, out *adminpb.WatchResponse) error {
	switch topic {
	case feed.Status:
		r, err := c.GetStatus(ctx, &adminpb.GetStatusRequest{NodeTimeout: 1})
		out.Status, out.AsOf = r, r.GetAsOf()
		return err
	case feed.Nodes:
		r, err := c.ListNodes(ctx, &adminpb.ListNodesRequest{NodeTimeout: 1})
		out.Nodes = r.GetNodes()
		return err
	case feed.Ranges:
		r, err := c.ListRanges(ctx, &adminpb.ListRangesRequest{NodeTimeout: 1})
		out.Ranges = r.GetRanges()
		return err
	case feed.Operations:
		r, err := c.ListOperations(ctx, &adminpb.ListOperationsRequest{All: true})
		out.Operations = r.GetOperations()
		return err
	case feed.Members:
		r, err := c.ListMembers(ctx, &adminpb.ListMembersRequest{NodeTimeout: 1})
		out.Members = r
		return err
	}
	return nil
}
