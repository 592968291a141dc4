package admin

import (
	"slices"
	"testing"

	"connectrpc.com/connect/v2"

	"github.com/nodedb/nodedb/client/adminpb"
)

func TestDiffRouting(t *testing.T) {
	r := newRig(t)
	d, err := r.client("viewer").DiffRouting(t.Context(), &adminpb.DiffRoutingRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if len(d.GetNodes()) != 2 || d.GetAsOf().GetComplete() || !slices.Equal(d.GetAsOf().GetMissing(), []uint32{3}) {
		t.Fatalf("got %v, want n1 and n2, n3 missing", d)
	}
	if n := d.GetNodes()[0]; len(n.GetStale())+len(n.GetWrongLeader()) > 0 || n.GetBehindSeconds() != 0 {
		t.Errorf("n1: got %v, want no difference", n)
	}
	// r3 is led by n1 in truth, r4 by n2.
	n := d.GetNodes()[1]
	if !slices.Equal(n.GetStale(), []uint32{2}) || !slices.Equal(n.GetWrongLeader(), []uint32{4}) || n.GetBehindSeconds() != 10 || n.GetWrongLeaderPerSecond() != 2 {
		t.Errorf("n2: got %v, want r2 stale, r4's leader wrong, 10 s behind, 2 wrong hints per second", n)
	}
}

func TestCollectDebug(t *testing.T) {
	r := newRig(t)
	c := r.client("admin")
	for _, x := range []struct {
		node uint32
		item string
		want connect.Code
		text string
	}{
		{0, "log", 0, "n1"}, {2, "goroutines", 0, "n2"}, {3, "log", connect.CodeUnavailable, ""},
		{9, "log", connect.CodeNotFound, ""}, {1, "shadow", connect.CodeInvalidArgument, ""}, {1, "", connect.CodeInvalidArgument, ""},
	} {
		got, err := c.CollectDebug(t.Context(), &adminpb.CollectDebugRequest{Node: x.node, Item: x.item})
		if x.want == 0 && (err != nil || string(got.GetContent()) != x.text) || x.want != 0 && connect.CodeOf(err) != x.want {
			t.Errorf("%d %q: got %v %v, want %v %q", x.node, x.item, got, err, x.want, x.text)
		}
	}
}
