package admin

import (
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/client/adminpb"
)

// scheduleRig has two schedules of one name in two schemas; one has failed, one is the viewer's.
func scheduleRig(t *testing.T) *rig {
	r := newRig(t)
	at := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	object := func(id, parent cluster.ObjectID, kind cluster.ObjectKind, name, owner string) *cluster.Object {
		return &cluster.Object{ID: id, Parent: parent, Kind: kind, Name: name, Owner: owner, Version: 3}
	}
	other, mine := object(100, 2, cluster.KindSchedule, "rollup", "app"), object(101, 90, cluster.KindSchedule, "rollup", "viewer")
	other.Schedule = &cluster.Schedule{Cron: "* * * * *", TimeZone: "UTC", Overlap: cluster.OverlapSkip, Body: "select 1", SearchPath: "public", TimeoutMS: 5000}
	mine.Schedule = &cluster.Schedule{Cron: "* * * * *", TimeZone: "UTC", Overlap: cluster.OverlapAllow, Body: "select 2", TimeoutMS: 5000, Disabled: true}
	r.backend.change(func(v *metastate.View) {
		v.Objects = map[cluster.ObjectID]*cluster.Object{
			1: object(1, 0, cluster.KindDatabase, "nodedb", "admin"), 2: object(2, 1, cluster.KindSchema, "public", "admin"), 90: object(90, 1, cluster.KindSchema, "mine", "viewer"), 100: other, 101: mine,
		}
		v.Schedules = map[cluster.ObjectID]*metastate.ScheduleState{100: {ID: 100}, 101: {ID: 101}}
		v.Runs = map[cluster.ObjectID][]*cluster.ScheduleRun{100: {
			{Schedule: 100, Number: 1, State: cluster.RunRunning, Node: 1, Due: at, Started: at},
			{Schedule: 100, Number: 2, State: cluster.RunFailed, Node: 1, Due: at, Started: at, Ended: at.Add(time.Second), Code: "23505", Error: "Key (a)=(1)"},
		}}
	})
	return r
}

// TestListSchedules: by name, with or without what it is in; a viewer sees neither
// statements nor errors of others.
func TestListSchedules(t *testing.T) {
	r := scheduleRig(t)
	list := func(user, name string) []*adminpb.Schedule {
		t.Helper()
		l, err := r.client(user).ListSchedules(t.Context(), &adminpb.ListSchedulesRequest{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		return l.GetSchedules()
	}
	for name, want := range map[string][]uint32{"": {101, 100}, "rollup": {101, 100}, "public.rollup": {100}, "nodedb.mine.rollup": {101}, "ollup": nil, "other.public.rollup": nil} {
		var got []uint32
		for _, s := range list("operator", name) {
			got = append(got, s.GetId())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
	s := list("operator", "public.rollup")[0]
	if s.GetHidden() || s.GetBody() != "select 1" || s.GetRunning() != 1 || s.GetLast().GetError() != "Key (a)=(1)" || s.GetOverlap() != "skip" || !s.GetEnabled() || s.GetNextDue() == nil {
		t.Errorf("to an operator: %v", s)
	}
	s = list("viewer", "public.rollup")[0]
	if !s.GetHidden() || s.GetBody() != "" || s.GetLast().GetError() != "" || !s.GetLast().GetHidden() || s.GetLast().GetCode() != "23505" {
		t.Errorf("to a viewer: %v", s)
	}
	if s = list("viewer", "mine.rollup")[0]; s.GetHidden() || s.GetBody() != "select 2" {
		t.Errorf("to its owner: %v", s)
	}
	runs, err := r.client("viewer").ListScheduleRuns(t.Context(), &adminpb.ListScheduleRunsRequest{Schedule: 100, Limit: 1})
	if err != nil || len(runs.GetRuns()) != 1 || runs.GetRuns()[0].GetNumber() != 2 || !runs.GetRuns()[0].GetHidden() {
		t.Errorf("runs to a viewer: %v %v", runs, err)
	}
	if _, err := r.client("viewer").ListScheduleRuns(t.Context(), &adminpb.ListScheduleRunsRequest{Schedule: 9}); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("runs of one that is not: %v", err)
	}
}

// TestChangeSchedule: a run and a switch are asked for in the caller's name; a transaction
// in the way is waited for.
func TestChangeSchedule(t *testing.T) {
	r := scheduleRig(t)
	c := r.client("operator")
	run, err := c.RunSchedule(t.Context(), &adminpb.RunScheduleRequest{Schedule: 100, Reason: "missed"})
	if err != nil || run.GetRun().GetNumber() != 8 || run.GetRun().GetBy() != "operator" {
		t.Errorf("run: %v %v", run, err)
	}
	r.backend.pending = 2
	to, err := c.SwitchSchedule(t.Context(), &adminpb.SwitchScheduleRequest{Schedule: 101, Enabled: true})
	if err != nil || !to.GetChanged() || r.backend.settled != 2 {
		t.Errorf("switch: %v %v, after %d waits", to, err, r.backend.settled)
	}
	for _, err := range []error{
		func() error {
			_, err := c.RunSchedule(t.Context(), &adminpb.RunScheduleRequest{Schedule: 2})
			return err
		}(),
		func() error {
			_, err := c.SwitchSchedule(t.Context(), &adminpb.SwitchScheduleRequest{Schedule: 9})
			return err
		}(),
	} {
		if connect.CodeOf(err) != connect.CodeNotFound {
			t.Errorf("of one that is not: %v", err)
		}
	}
}
