package main

import (
	"context"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nodedb/nodedb/client/adminpb"
)

// fakeSchedules are two of one name, and one whose body is not for the caller to see.
func fakeSchedules() []*adminpb.Schedule {
	at := func(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(asOf().GetTime().AsTime().Add(d)) }
	failed := &adminpb.ScheduleRun{Number: 31, Due: at(-time.Hour), State: "failed", Node: 2, Started: at(-time.Hour), Ended: at(-time.Hour + 7*time.Millisecond), Code: "23505", Error: "duplicate key value\x1b[2J"}
	return []*adminpb.Schedule{
		{Id: 107, Database: "nodedb", Schema: "archive", Name: "rollup", Owner: "root", Cron: "0 0 1 1 *", TimeZone: "Europe/Berlin", Overlap: "skip", Timeout: 3600, Body: "DELETE FROM old;\n\tSELECT 1", Comment: "not yet", SearchPath: "public"},
		{Id: 106, Database: "nodedb", Schema: "public", Name: "rollup", Owner: "report", Cron: "@hourly", TimeZone: "UTC", Overlap: "allow", Enabled: true, NextDue: at(time.Hour), Last: failed, Timeout: 30, Body: "INSERT INTO totals SELECT 1"},
		{Id: 105, Database: "nodedb", Schema: "public", Name: "ticks", Owner: "app", Cron: "* * * * * *", TimeZone: "UTC", Overlap: "skip", Enabled: true, NextDue: at(time.Second), Timeout: 3600, Hidden: true,
			Last: &adminpb.ScheduleRun{Number: 4709, Due: at(-time.Second), State: "missed", Started: at(0), Ended: at(0), Missed: 7}},
	}
}

func (f *fakeCluster) ListSchedules(_ context.Context, r *adminpb.ListSchedulesRequest) (*adminpb.ListSchedulesResponse, error) {
	out := &adminpb.ListSchedulesResponse{AsOf: asOf()}
	for _, s := range fakeSchedules() {
		if n := r.GetName(); n == "" || n == s.GetName() || n == s.GetSchema()+"."+s.GetName() || n == s.GetDatabase()+"."+s.GetSchema()+"."+s.GetName() {
			out.Schedules = append(out.Schedules, s)
		}
	}
	return out, nil
}

func scheduleByID(id uint32) *adminpb.Schedule {
	for _, s := range fakeSchedules() {
		if s.GetId() == id {
			return s
		}
	}
	return nil
}

// ListScheduleRuns has a run that somebody asked for: it fails in rollup, and never ends in ticks.
func (f *fakeCluster) ListScheduleRuns(_ context.Context, r *adminpb.ListScheduleRunsRequest) (*adminpb.ListScheduleRunsResponse, error) {
	s := scheduleByID(r.GetSchedule())
	asked := &adminpb.ScheduleRun{Number: 32, Due: asOf().GetTime(), State: "succeeded", Node: 1, By: "root", Started: asOf().GetTime(), Rows: 2, Ended: timestamppb.New(asOf().GetTime().AsTime().Add(1500 * time.Millisecond))}
	switch s.GetId() {
	case 106:
		asked.State, asked.Code, asked.Error, asked.Rows = "failed", "22012", "division by zero", 0
	case 105:
		asked.State, asked.Ended, asked.Rows = "running", nil, 0
	}
	out := &adminpb.ListScheduleRunsResponse{AsOf: asOf(), Schedule: s, Runs: []*adminpb.ScheduleRun{asked}}
	if s.GetLast() != nil && r.GetLimit() != 1 {
		out.Runs = append(out.Runs, s.GetLast())
	}
	return out, nil
}

func (f *fakeCluster) RunSchedule(_ context.Context, r *adminpb.RunScheduleRequest) (*adminpb.RunScheduleResponse, error) {
	if r.GetReason() == "twice" {
		return nil, refuse(connect.CodeAborted, `schedule "rollup" is running`, &adminpb.ErrorDetail{Kind: adminpb.ErrorKind_ERROR_KIND_CONFLICT})
	}
	return &adminpb.RunScheduleResponse{Schedule: scheduleByID(r.GetSchedule()), Run: &adminpb.ScheduleRun{Number: 32, Due: asOf().GetTime(), State: "running", Node: 1, By: "root", Started: asOf().GetTime()}}, nil
}

func (f *fakeCluster) SwitchSchedule(_ context.Context, r *adminpb.SwitchScheduleRequest) (*adminpb.SwitchScheduleResponse, error) {
	s := scheduleByID(r.GetSchedule())
	changed := s.GetEnabled() != r.GetEnabled()
	s.Enabled = r.GetEnabled()
	return &adminpb.SwitchScheduleResponse{Schedule: s, Changed: changed}, nil
}
