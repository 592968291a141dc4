package tui

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/nodedb/nodedb/client/adminpb"
)

func (s *simulated) ListSchedules(context.Context, *adminpb.ListSchedulesRequest) (*adminpb.ListSchedulesResponse, error) {
	return s.f.schedules().Schedules, nil
}

func (s *simulated) ListScheduleRuns(_ context.Context, r *adminpb.ListScheduleRunsRequest) (*adminpb.ListScheduleRunsResponse, error) {
	out := s.f.schedules().Runs
	if r.GetSchedule() != out.GetSchedule().GetId() {
		i := slices.IndexFunc(s.f.schedules().Schedules.GetSchedules(), func(x *adminpb.Schedule) bool { return x.GetId() == r.GetSchedule() })
		out.Schedule = s.f.schedules().Schedules.GetSchedules()[i]
		out.Runs = nil
		if last := out.GetSchedule().GetLast(); last != nil {
			out.Runs = []*adminpb.ScheduleRun{last}
		}
	}
	return out, nil
}

func (s *simulated) RunSchedule(_ context.Context, r *adminpb.RunScheduleRequest) (*adminpb.RunScheduleResponse, error) {
	s.change(func() { s.started = append(s.started, fmt.Sprintf("run %d", r.GetSchedule())) })
	return &adminpb.RunScheduleResponse{Run: &adminpb.ScheduleRun{Number: 32, Node: 2}}, nil
}

func (s *simulated) SwitchSchedule(_ context.Context, r *adminpb.SwitchScheduleRequest) (*adminpb.SwitchScheduleResponse, error) {
	s.change(func() { s.started = append(s.started, fmt.Sprintf("switch %d %v", r.GetSchedule(), r.GetEnabled())) })
	return &adminpb.SwitchScheduleResponse{Changed: true}, nil
}

// TestScheduleStory: what failed and why, its runs, a run by hand, a pause.
func TestScheduleStory(t *testing.T) {
	c := newSimulated()
	s := open(t, c, 120, 36)
	s.see("HEALTHY", "● live", "root admin")
	s.keys("-")
	s.see("nodedb.archive.yearly", "paused", "nodedb.public.rollup", "failed", "it has not run")
	s.keys("P")
	s.see("it is paused already")
	s.keys("j")
	s.see("schedule nodedb.public.rollup", `duplicate key value violates unique constraint "totals_pkey"`, "31 11-27 02:12:45")
	s.keys("A")
	s.see("run schedule nodedb.public.rollup", "its statements run now, as report", "type rollup")
	s.keys("rollup\r")
	s.see("run 32 has begun on n2")
	s.keys(esc)
	s.gone("has begun")
	s.keys("R")
	s.see("it is not paused")
	s.keys("P")
	s.see("pause schedule nodedb.public.rollup", "it does not run at its times any more", "nodedbctl schedules resume nodedb.public.rollup")
	s.keys("rollup\r")
	s.see("done")
	s.keys(esc)
	s.gone("done")
	s.keys("j")
	s.see("by root", "7 times", "skipped")
	s.keys("/last:failed\r")
	s.gone("ticks")
	s.keys("q")
	if err := <-s.done; err != nil {
		t.Fatal(err)
	}
	if want := []string{"run 106", "switch 106 false"}; !slices.Equal(c.started, want) {
		t.Errorf("asked for %q, want %q", c.started, want)
	}
}
