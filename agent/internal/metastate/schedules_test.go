package metastate

import (
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// newSchedule is a store with a schedule of root's.
func newSchedule(t *testing.T, overlap cluster.Overlap) (s *stored, id cluster.ObjectID) {
	t.Helper()
	s = newStored(t)
	id = s.do(t, Command{Via: ViaAgent, AllocateObjects: &AllocateObjects{Count: 1}}).Object
	schema := s.View().Objects[cluster.MainPublic]
	res := s.do(t, Command{By: "root", Via: ViaSQL, ChangeObjects: &ChangeObjects{Seen: []SeenObject{{schema.ID, schema.Version}}, Put: []cluster.Object{{
		ID: id, Parent: cluster.MainPublic, Kind: cluster.KindSchedule, Name: "s", Owner: "root",
		Schedule: &cluster.Schedule{Cron: "* * * * * *", TimeZone: "UTC", Overlap: overlap, Body: "select 1", TimeoutMS: 1000},
	}}}})
	if res.Refusal != nil {
		t.Fatal(res.Refusal)
	}
	return s, id
}

// TestRunNow: it does not move when the schedule is due, says who asked, runs while paused,
// and does not run beside others if those do not overlap.
func TestRunNow(t *testing.T) {
	s, id := newSchedule(t, cluster.OverlapSkip)
	due := s.View().Schedules[id].Last
	ask := func() Result {
		return s.do(t, Command{By: "root", Via: ViaAdmin, RunNow: &RunNow{Schedule: id, Version: s.View().Objects[id].Version, Node: 1}})
	}
	res := s.do(t, Command{By: "root", Via: ViaAdmin, SwitchSchedule: &SwitchSchedule{Schedule: id}})
	if o := s.View().Objects[id]; res.Refusal != nil || !o.Schedule.Disabled || o.Version != 2 || o.Owner != "root" {
		t.Fatalf("paused: %v, %+v", res.Refusal, o)
	}
	if res := ask(); res.Refusal != nil || res.Run != 1 {
		t.Fatalf("run %d, %v", res.Run, res.Refusal)
	}
	if r := s.View().Runs[id][0]; r.By != "root" || r.State != cluster.RunRunning || r.Node != 1 {
		t.Errorf("recorded: %+v", r)
	}
	if res := ask(); res.Refusal == nil || res.Refusal.Code != CodeConflict {
		t.Errorf("beside another: %v", res.Refusal)
	}
	if res := s.do(t, Command{Via: ViaAgent, EndRun: &EndRun{Schedule: id, Run: 1, State: cluster.RunFailed}}); res.Refusal != nil {
		t.Error(res.Refusal)
	}
	if res := ask(); res.Refusal != nil || res.Run != 2 {
		t.Errorf("after it: run %d, %v", res.Run, res.Refusal)
	}
	if s.View().Schedules[id].Last.Before(due) || s.View().Schedules[id].Runs != 2 {
		t.Errorf("it stands at %+v", s.View().Schedules[id])
	}
	if res := s.do(t, Command{By: "root", Via: ViaAdmin, RunNow: &RunNow{Schedule: id, Version: 1, Node: 1}}); res.Refusal == nil || res.Refusal.Code != CodeStale {
		t.Errorf("of an older version: %v", res.Refusal)
	}
	if res := s.do(t, Command{By: "root", Via: ViaAdmin, RunNow: &RunNow{Schedule: cluster.MainPublic, Node: 1}}); res.Refusal == nil || res.Refusal.Code != CodeNotFound {
		t.Errorf("of what is no schedule: %v", res.Refusal)
	}
}

// TestSwitchSchedule: resumed, it is due from then on; what it is already is no change.
func TestSwitchSchedule(t *testing.T) {
	s, id := newSchedule(t, cluster.OverlapAllow)
	to := func(enabled bool) Result {
		return s.do(t, Command{By: "root", Via: ViaAdmin, SwitchSchedule: &SwitchSchedule{Schedule: id, Enabled: enabled}})
	}
	before := s.View().SchemaVersion
	if res := to(true); res.Refusal != nil || s.View().SchemaVersion != before {
		t.Errorf("what it is already: %v", res.Refusal)
	}
	to(false)
	if res := s.do(t, Command{Via: ViaAgent, StartRun: &StartRun{Schedule: id, Version: 2, Due: s.clock.Add(time.Second), Node: 1}}); res.Refusal == nil {
		t.Error("a paused schedule is started")
	}
	s.clock = s.clock.Add(time.Hour)
	to(true)
	if last := s.View().Schedules[id].Last; !last.Equal(s.clock) {
		t.Errorf("due since %s, want %s", last, s.clock)
	}
	if res := s.do(t, Command{By: "root", Via: ViaAdmin, SwitchSchedule: &SwitchSchedule{Schedule: 999}}); res.Refusal == nil || res.Refusal.Code != CodeNotFound {
		t.Errorf("of none: %v", res.Refusal)
	}
}
