package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nodedb/nodedb/client/adminpb"
)

// watched serves Watch by a script, and notes the requests.
type watched struct {
	mu       sync.Mutex
	requests []*adminpb.WatchRequest
	serve    func(ctx context.Context, r *adminpb.WatchRequest, out adminpb.AdminWatchServerStream) error
}

func (n *fakeNode) Watch(ctx context.Context, r *adminpb.WatchRequest, out adminpb.AdminWatchServerStream) error {
	n.topics.mu.Lock()
	n.topics.requests = append(n.topics.requests, r)
	n.topics.mu.Unlock()
	return n.topics.serve(ctx, r, out)
}

func asOf(second int64) *adminpb.AsOf {
	return &adminpb.AsOf{Time: &timestamppb.Timestamp{Seconds: second}}
}

var errEnough = errors.New("enough")

func TestWatchResumesAtAnotherNode(t *testing.T) {
	a := newAuthority(t)
	n1, n2 := a.node(1, "/node/1"), a.node(2, "/node/2")
	n1.topics.serve = func(ctx context.Context, _ *adminpb.WatchRequest, out adminpb.AdminWatchServerStream) error {
		if err := out.Send(&adminpb.WatchResponse{Reset_: true, Resume: "token-1", AsOf: asOf(10), Nodes: []*adminpb.Node{{Id: 1}}}); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	}
	n2.topics.serve = func(_ context.Context, _ *adminpb.WatchRequest, out adminpb.AdminWatchServerStream) error {
		for _, m := range []*adminpb.WatchResponse{{AsOf: asOf(10)}, {Resume: "token-2", AsOf: asOf(11), Nodes: []*adminpb.Node{{Id: 2}}}} {
			if err := out.Send(m); err != nil {
				return err
			}
		}
		return nil
	}
	request := &adminpb.WatchRequest{Topics: []string{"nodes"}}
	var story []string
	var fresh time.Time
	err := a.dial(n1.addr, n2.addr).Watch(t.Context(), request, func(u Update) error {
		switch {
		case u.Lost != nil:
			story = append(story, "lost")
		case len(u.Response.GetNodes()) == 0:
			story = append(story, "heartbeat")
			if !u.Fresh.Equal(fresh) {
				t.Error("data of the same time count as fresh")
			}
		default:
			story = append(story, fmt.Sprintf("n%d", u.Response.GetNodes()[0].GetId()))
			if !u.Fresh.After(fresh) {
				t.Error("newer data do not count as fresh")
			}
			_ = n1.srv.Close() // now that its data have arrived
		}
		fresh = u.Fresh
		if len(story) >= 4 && story[len(story)-1] == "n2" {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Fatalf("got %v, want the error of the function", err)
	}
	if got := fmt.Sprint(story); got != "[n1 lost heartbeat n2]" {
		t.Errorf("got %s", got)
	}
	n2.topics.mu.Lock()
	defer n2.topics.mu.Unlock()
	if got := n2.topics.requests[0].GetResume(); got != "token-1" {
		t.Errorf("n2 was asked to resume at %q, want token-1", got)
	}
	if request.GetResume() != "" {
		t.Error("the caller's request was changed")
	}
}

// TestWatchLeavesAFullNode: a node that has no watch to spare is up; the next one is asked.
func TestWatchLeavesAFullNode(t *testing.T) {
	a := newAuthority(t)
	n1, n2 := a.node(1, "/node/1"), a.node(2, "/node/2")
	n1.topics.serve = func(context.Context, *adminpb.WatchRequest, adminpb.AdminWatchServerStream) error {
		return connect.NewError(connect.CodeUnavailable, "this node serves 64 watches already")
	}
	n2.topics.serve = func(_ context.Context, _ *adminpb.WatchRequest, out adminpb.AdminWatchServerStream) error {
		return out.Send(&adminpb.WatchResponse{Reset_: true})
	}
	lost := 0
	err := a.dial(n1.addr, n2.addr).Watch(t.Context(), &adminpb.WatchRequest{}, func(u Update) error {
		if u.Lost != nil {
			lost++
			return nil
		}
		return errEnough
	})
	if !errors.Is(err, errEnough) || lost != 1 {
		t.Errorf("got %v after %d losses, want n2's answer after one", err, lost)
	}
}

func TestWatchEndsForGood(t *testing.T) {
	a := newAuthority(t)
	n := a.node(1, "/node/1")
	n.topics.serve = func(context.Context, *adminpb.WatchRequest, adminpb.AdminWatchServerStream) error {
		return connect.NewError(connect.CodeUnauthenticated, "token t was revoked")
	}
	c := a.dial(n.addr)
	err := c.Watch(t.Context(), &adminpb.WatchRequest{}, func(u Update) error { return fmt.Errorf("told %v", u) })
	if e := AsError(err); e.Kind != Denied {
		t.Errorf("revoked: got %v, want denied", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	n.topics.serve = func(ctx context.Context, _ *adminpb.WatchRequest, _ adminpb.AdminWatchServerStream) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}
	err = c.Watch(ctx, &adminpb.WatchRequest{}, func(u Update) error { return fmt.Errorf("told %v", u) })
	if e := AsError(err); e.Kind != Cancelled {
		t.Errorf("cancelled: got %v", err)
	}
}
