package client

import (
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nodedb/nodedb/client/adminpb"
)

func TestShare(t *testing.T) {
	drain := &adminpb.Operation{
		Spec: &adminpb.OperationSpec{Kind: "drain"}, State: "running",
		Total: &adminpb.Progress{Leaders: 4}, Done: &adminpb.Progress{Leaders: 4},
		Phases: []*adminpb.Phase{{Name: "check", State: "done"}, {Name: "unready", State: "running"}, {Name: "leaders", State: "done"}, {Name: "drained", State: "pending"}},
	}
	half := &adminpb.Operation{
		Spec: &adminpb.OperationSpec{Kind: "drain"}, State: "running",
		Total: &adminpb.Progress{Leaders: 4}, Done: &adminpb.Progress{Leaders: 2},
		Phases: []*adminpb.Phase{{Name: "check", State: "done"}, {Name: "leaders", State: "running"}},
	}
	for _, c := range []struct {
		name string
		o    *adminpb.Operation
		want float64
	}{
		{"a drain that waits is not done when its leaderships are gone", drain, 0.5},
		{"leaderships count within their phase", half, 0.75},
		{"bytes before replicas", &adminpb.Operation{Total: &adminpb.Progress{Bytes: 10, Replicas: 2}, Done: &adminpb.Progress{Bytes: 4, Replicas: 1}}, 0.4},
		{"succeeded", &adminpb.Operation{State: "succeeded", Total: &adminpb.Progress{Bytes: 10}}, 1},
		{"nothing is known", &adminpb.Operation{}, 0},
	} {
		if got := Share(c.o); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestItems: what is being copied is in flight, however it explains itself; what
// is over is neither in flight nor blocked.
func TestItems(t *testing.T) {
	for _, c := range []struct {
		it              *adminpb.Item
		flying, blocked bool
	}{
		{&adminpb.Item{Step: "snapshot", Why: "n7 is catching up"}, true, false},
		{&adminpb.Item{Step: "catch-up", Why: "n7 is catching up"}, true, false},
		{&adminpb.Item{Step: "pending", Why: "waits for its turn"}, false, false},
		{&adminpb.Item{Step: "blocked", Why: "NO_TARGET"}, false, true},
		{&adminpb.Item{Step: "learner", Error: "unreachable", Needs: "its next attempt"}, false, true},
		{&adminpb.Item{Step: "done", Needs: "its next attempt", Error: "unreachable"}, false, false},
		{&adminpb.Item{Step: "dropped", Why: "stale"}, false, false},
	} {
		if InFlight(c.it) != c.flying || Blocked(c.it) != c.blocked {
			t.Errorf("%v: in flight %v, blocked %v", c.it, InFlight(c.it), Blocked(c.it))
		}
	}
	if s, ok := ItemShare(&adminpb.Item{Step: "snapshot", Bytes: 200, BytesDone: 128}); !ok || s != 0.64 {
		t.Errorf("64 of 100 bytes of a snapshot: %v %v", s, ok)
	}
	if _, ok := ItemShare(&adminpb.Item{Step: "joint", Bytes: 200, BytesDone: 200}); ok {
		t.Error("a joint change copies nothing")
	}
}

// TestLate: what is left counts, so that "on track" and the time left agree.
func TestLate(t *testing.T) {
	now := time.Now()
	o := &adminpb.Operation{State: "running", PlannedSeconds: 96, StartedAt: timestamppb.New(now.Add(-45 * time.Second)), EtaSeconds: 109}
	if is, ok := Late(o, now); !is || !ok {
		t.Error("45 s gone, 109 s left of 96 s planned: that is late")
	}
	o.EtaSeconds = 50
	if is, ok := Late(o, now); is || !ok {
		t.Error("45 s gone, 50 s left of 96 s planned: that is on track")
	}
	if _, ok := Late(&adminpb.Operation{}, now); ok {
		t.Error("nothing was planned: nothing can be late")
	}
}
