package ops

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nodedb/nodedb/client/adminpb"
)

// TestBlockOfADecommission: what is being copied has a percentage and is in
// flight, however it explains itself.
func TestBlockOfADecommission(t *testing.T) {
	now := time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)
	o := &adminpb.Operation{
		Id: "op-7f3a", Spec: &adminpb.OperationSpec{Kind: "decommission", Nodes: []uint32{5}}, State: "running", Phase: "move",
		StartedAt: timestamppb.New(now.Add(-45 * time.Second)), PlannedSeconds: 96, EtaSeconds: 109, EtaLow: 90, EtaHigh: 130,
		Total: &adminpb.Progress{Bytes: 100 << 20, Ranges: 3, Replicas: 3}, Done: &adminpb.Progress{Bytes: 31 << 20},
		Phases: []*adminpb.Phase{{Name: "check", State: "done"}, {Name: "move", State: "running"}, {Name: "stop", State: "pending"}},
		Items: []*adminpb.Item{
			{Range: 812, From: 5, To: 2, Step: "snapshot", Why: "n2 is catching up", Bytes: 100, BytesDone: 64},
			{Range: 97, From: 5, To: 4, Step: "catch-up", Why: "n4 is catching up"},
			{Range: 441, From: 5, To: 1, Step: "blocked", Why: "NO_TARGET n1 is not alive"},
		},
	}
	got := strings.Join(block(o, now), "\n")
	for _, want := range []string{
		"31%", "31.0 MiB/100.0 MiB", "in flight  r812 n5->n2 64%   r97 n5->n4 catch-up n4 is catching up\n",
		"blocked    1  r441", "(planned 1m36s, late)",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not said:\n%s", want, got)
		}
	}
}

// TestShowAgreesWithTheLiveView: ops show has the same figures.
func TestShowAgreesWithTheLiveView(t *testing.T) {
	now := time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)
	o := &adminpb.Operation{
		Id: "op-7f3a", Spec: &adminpb.OperationSpec{Kind: "decommission", Nodes: []uint32{5}}, State: "running", Phase: "move",
		StartedAt: timestamppb.New(now.Add(-45 * time.Second)), PlannedSeconds: 96, EtaSeconds: 50, EtaLow: 45, EtaHigh: 55, Rate: 256 << 10,
		Limit: 256 << 10, LimitOf: "op-ac6a",
		Total: &adminpb.Progress{Bytes: 100 << 20, Ranges: 3, Replicas: 3}, Done: &adminpb.Progress{Bytes: 31 << 20},
		Items: []*adminpb.Item{{Range: 812, From: 5, To: 2, Step: "snapshot", Bytes: 100, BytesDone: 64}},
	}
	var b strings.Builder
	if err := writeShow(&b, o, now); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"31% · 0/3 ranges", "31.0 MiB/100.0 MiB", "256.0 KiB/s that each node sends, and receives: that of op-ac6a, the least of all holds\n",
		"left 50s (45s to 55s) (planned 1m36s, on track)\n", "r812 n5->n2 64%\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not said:\n%s", want, b.String())
		}
	}
}

// TestBlockOfADrain: two phases run beside each other, and the wait is named.
func TestBlockOfADrain(t *testing.T) {
	now := time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)
	o := &adminpb.Operation{
		Id: "op-f601", Spec: &adminpb.OperationSpec{Kind: "drain", Nodes: []uint32{3}}, State: "running", Phase: "unready",
		StartedAt: timestamppb.New(now.Add(-time.Second)), Total: &adminpb.Progress{Leaders: 6}, Done: &adminpb.Progress{Leaders: 4},
		Why: "2 leaderships left, r3 first; waiting for load balancers, 6 s left",
		Phases: []*adminpb.Phase{
			{Name: "check", State: "done"}, {Name: "unready", State: "running"}, {Name: "leaders", State: "running"}, {Name: "refuse", State: "pending"},
		},
	}
	got := strings.Join(block(o, now), "\n")
	for _, want := range []string{"check ✓  leaders … 4/6\n", "unready", "waiting for load balancers, 6 s left\n", "then  refuse"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not said:\n%s", want, got)
		}
	}
}
