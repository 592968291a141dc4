package admin

import (
	"testing"

	"connectrpc.com/connect/v2/connecthttp"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
)

// TestManyRangesComeInPages: a client lists 100,000 ranges though no answer may be
// larger than 4 MiB, a fourth of what all of them take; pages end where they should,
// filters count.
func TestManyRangesComeInPages(t *testing.T) {
	r := newRig(t)
	large := largeBackend(30, goalRanges)
	r.backend.mu.Lock()
	v := *r.backend.view
	v.Nodes, v.Ranges = large.view.Nodes, large.view.Ranges
	r.backend.view, r.backend.statuses = &v, large.statuses
	r.backend.mu.Unlock()
	c := r.client("viewer", connecthttp.WithReadMaxBytes(4<<20))
	all, err := client.Ranges(t.Context(), c, &adminpb.ListRangesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got := len(all.GetRanges()); got != goalRanges || !all.GetAsOf().GetComplete() {
		t.Errorf("%d ranges as of %v, want %d", got, all.GetAsOf(), goalRanges)
	}
	for i, x := range all.GetRanges() {
		if x.GetId() != uint32(i+1) {
			t.Fatalf("range %d is r%d", i+1, x.GetId())
		}
	}
	for _, q := range []struct {
		req  *adminpb.ListRangesRequest
		n    int
		next uint32
	}{
		{&adminpb.ListRangesRequest{Limit: 10}, 10, 10}, {&adminpb.ListRangesRequest{After: goalRanges - 10, Limit: 10}, 10, 0},
		{&adminpb.ListRangesRequest{After: goalRanges, Limit: 10}, 0, 0}, {&adminpb.ListRangesRequest{Limit: 5, Ids: []uint32{7, 9, 4711}}, 3, 0},
		{&adminpb.ListRangesRequest{Limit: 2, Ids: []uint32{7, 9, 4711}}, 2, 9},
	} {
		p, err := c.ListRanges(t.Context(), q.req)
		if err != nil || len(p.GetRanges()) != q.n || p.GetNext() != q.next {
			t.Errorf("%v: %d ranges, next %d, %v; want %d, %d", q.req, len(p.GetRanges()), p.GetNext(), err, q.n, q.next)
		}
	}
	if _, err := c.ListRanges(t.Context(), &adminpb.ListRangesRequest{}); err == nil {
		t.Error("all ranges in one answer fit into 4 MiB: the test tests nothing")
	}
}
