package client

import (
	"context"
	"errors"
	"testing"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"

	"github.com/nodedb/nodedb/client/adminpb"
)

// starting is what a node answers that does not have the meta range yet.
func starting() error {
	d, err := connectproto.NewErrorDetail(&adminpb.ErrorDetail{Kind: adminpb.ErrorKind_ERROR_KIND_UNAVAILABLE, Elsewhere: true})
	if err != nil {
		return err
	}
	return connect.NewError(connect.CodeUnavailable, "this node is starting").WithDetail(d)
}

func (n *fakeNode) PauseOperation(context.Context, *adminpb.PauseOperationRequest) (*adminpb.PauseOperationResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls++
	if n.fail != nil {
		return nil, n.fail
	}
	return &adminpb.PauseOperationResponse{}, nil
}

// TestStartingNodesAreSkipped: a node that does not serve yet is no verdict; the
// next is asked, on the same client, for reads, changes and watches alike.
func TestStartingNodesAreSkipped(t *testing.T) {
	a := newAuthority(t)
	n1, n2, n3 := a.node(1, "/node/1"), a.node(2, "/node/2"), a.node(3, "/node/3")
	n1.fail, n2.fail = starting(), starting()
	c := a.dial(n1.addr, n2.addr, n3.addr)
	if r, err := c.WhoAmI(t.Context(), &adminpb.WhoAmIRequest{}); err != nil || r.GetNode() != 3 {
		t.Errorf("a read: got %v %v, want n3's answer", r, err)
	}
	c = a.dial(n1.addr, n2.addr, n3.addr)
	if _, err := c.PauseOperation(t.Context(), &adminpb.PauseOperationRequest{}); err != nil || n3.calls != 2 {
		t.Errorf("a change: got %v after %d calls of n3", err, n3.calls)
	}
	n1.watch = func(func(*adminpb.Operation) error, context.Context) error { return starting() }
	n3.watch = func(send func(*adminpb.Operation) error, _ context.Context) error {
		return send(&adminpb.Operation{Id: "op-1", State: "succeeded", MetaIndex: 1})
	}
	if _, err := a.dial(n1.addr, n3.addr).WatchOperation(t.Context(), "op-1", Watcher{}); err != nil {
		t.Errorf("a watch: %v", err)
	}
	_, err := a.dial(n1.addr, n2.addr).WhoAmI(t.Context(), &adminpb.WhoAmIRequest{})
	if e := AsError(err); e.Kind != Unavailable || e.Message != "this node is starting" {
		t.Errorf("all are starting: got %v", err)
	}
}

// TestChangesAreNotRepeated: only what a node surely did not begin is asked for elsewhere.
func TestChangesAreNotRepeated(t *testing.T) {
	a := newAuthority(t)
	n1, n2 := a.node(1, "/node/1"), a.node(2, "/node/2")
	for name, fail := range map[string]error{
		"no quorum": connect.NewError(connect.CodeUnavailable, "no answer in time"),
		"it stops":  connect.NewError(connect.CodeCanceled, "the call was cancelled"),
	} {
		n1.fail = fail
		_, err := a.dial(n1.addr, n2.addr).PauseOperation(t.Context(), &adminpb.PauseOperationRequest{})
		if e := AsError(err); e.Kind != Unavailable || !e.MaybeApplied() || n2.calls != 0 {
			t.Errorf("%s: got %v, n2 was called %d times", name, err, n2.calls)
		}
	}
}

// TestOnlyTheCallersOwnEndIsCancelled: a node whose own context ends, because it
// stops, has not been told to by the caller.
func TestOnlyTheCallersOwnEndIsCancelled(t *testing.T) {
	a := newAuthority(t)
	n1, n2 := a.node(1, "/node/1"), a.node(2, "/node/2")
	stops := connect.NewError(connect.CodeCanceled, "the call was cancelled")
	n1.fail = stops
	if r, err := a.dial(n1.addr, n2.addr).WhoAmI(t.Context(), &adminpb.WhoAmIRequest{}); err != nil || r.GetNode() != 2 {
		t.Errorf("a read: got %v %v, want n2's answer", r, err)
	}
	n2.watch = func(send func(*adminpb.Operation) error, _ context.Context) error {
		return send(&adminpb.Operation{Id: "op-1", State: "succeeded", MetaIndex: 2})
	}
	n1.watch = func(func(*adminpb.Operation) error, context.Context) error { return stops }
	if o, err := a.dial(n1.addr, n2.addr).WatchOperation(t.Context(), "op-1", Watcher{}); err != nil || o.GetState() != "succeeded" {
		t.Errorf("a watch of an operation: got %v %v", o, err)
	}
	n1.topics.serve = func(context.Context, *adminpb.WatchRequest, adminpb.AdminWatchServerStream) error { return stops }
	n2.topics.serve = func(_ context.Context, _ *adminpb.WatchRequest, out adminpb.AdminWatchServerStream) error {
		return out.Send(&adminpb.WatchResponse{Reset_: true})
	}
	err := a.dial(n1.addr, n2.addr).Watch(t.Context(), &adminpb.WatchRequest{}, func(u Update) error {
		if u.Lost != nil {
			return nil
		}
		return errEnough
	})
	if !errors.Is(err, errEnough) {
		t.Errorf("a watch: got %v", err)
	}
	if k, _ := WireKind("canceled"); k != Unavailable {
		t.Errorf("canceled, in JSON: got kind %d", k)
	}
}
