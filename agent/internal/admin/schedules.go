package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/client/adminpb"
)

// shownSchedule is a schedule, and where it is.
type shownSchedule struct {
	*cluster.Object
	database, schema string
}

// schedulesOf are the schedules of all databases, by their names.
func schedulesOf(v *metastate.View) []shownSchedule {
	out := make([]shownSchedule, 0, len(v.Schedules))
	for id := range v.Schedules {
		o := v.Objects[id]
		if o == nil || o.Schedule == nil {
			continue
		}
		x := shownSchedule{Object: o}
		if schema := v.Objects[o.Parent]; schema != nil {
			x.schema = schema.Name
			if database := v.Objects[schema.Parent]; database != nil {
				x.database = database.Name
			}
		}
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b shownSchedule) int {
		return cmp.Or(cmp.Compare(a.database, b.database), cmp.Compare(a.schema, b.schema), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// called reports whether a name, with or without what it is in, is that of the schedule.
func (x *shownSchedule) called(name string) bool {
	whole := x.database + "." + x.schema + "." + x.Name
	return whole == name || strings.HasSuffix(whole, "."+name)
}

// ListSchedules implements adminpb.AdminHandler.
func (s *service) ListSchedules(ctx context.Context, r *adminpb.ListSchedulesRequest) (*adminpb.ListSchedulesResponse, error) {
	out := &adminpb.ListSchedulesResponse{AsOf: s.asOf()}
	view := s.backend.View()
	for _, x := range schedulesOf(view) {
		if r.GetName() == "" || x.called(r.GetName()) {
			out.Schedules = append(out.Schedules, s.scheduleProto(ctx, view, x))
		}
	}
	return out, nil
}

// ListScheduleRuns implements adminpb.AdminHandler.
func (s *service) ListScheduleRuns(ctx context.Context, r *adminpb.ListScheduleRunsRequest) (*adminpb.ListScheduleRunsResponse, error) {
	view := s.backend.View()
	x, err := findSchedule(view, r.GetSchedule())
	if err != nil {
		return nil, err
	}
	out := &adminpb.ListScheduleRunsResponse{AsOf: s.asOf(), Schedule: s.scheduleProto(ctx, view, x)}
	for _, run := range slices.Backward(view.Runs[x.ID]) {
		if r.GetLimit() > 0 && len(out.Runs) == int(r.GetLimit()) {
			break
		}
		out.Runs = append(out.Runs, runProto(run, out.Schedule.GetHidden()))
	}
	return out, nil
}

// RunSchedule implements adminpb.AdminHandler.
func (s *service) RunSchedule(ctx context.Context, r *adminpb.RunScheduleRequest) (*adminpb.RunScheduleResponse, error) {
	if _, err := findSchedule(s.backend.View(), r.GetSchedule()); err != nil {
		return nil, err
	}
	run, err := s.backend.RunSchedule(ctx, cluster.ObjectID(r.GetSchedule()), r.GetReason(), s.propose)
	if err != nil {
		return nil, err
	}
	run.By = caller(ctx).Name
	view := s.backend.View()
	x, err := findSchedule(view, r.GetSchedule())
	if err != nil {
		return nil, err
	}
	return &adminpb.RunScheduleResponse{Schedule: s.scheduleProto(ctx, view, x), Run: runProto(run, false)}, nil
}

// SwitchSchedule implements adminpb.AdminHandler. A transaction that is changing the
// schedule is waited for.
func (s *service) SwitchSchedule(ctx context.Context, r *adminpb.SwitchScheduleRequest) (*adminpb.SwitchScheduleResponse, error) {
	before, err := findSchedule(s.backend.View(), r.GetSchedule())
	if err != nil {
		return nil, err
	}
	for {
		_, err := s.propose(ctx, metastate.Command{SwitchSchedule: &metastate.SwitchSchedule{Schedule: before.ID, Enabled: r.GetEnabled(), Reason: r.GetReason()}})
		var refusal *metastate.Refusal
		if errors.As(err, &refusal) && refusal.Code == metastate.CodePending {
			if err := s.backend.Settle(ctx, refusal); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		break
	}
	view := s.backend.View()
	x, err := findSchedule(view, r.GetSchedule())
	if err != nil {
		return nil, err
	}
	return &adminpb.SwitchScheduleResponse{Schedule: s.scheduleProto(ctx, view, x), Changed: before.Schedule.Disabled == r.GetEnabled()}, nil
}

func findSchedule(v *metastate.View, id uint32) (shownSchedule, error) {
	list := schedulesOf(v)
	i := slices.IndexFunc(list, func(x shownSchedule) bool { return x.ID == cluster.ObjectID(id) })
	if i < 0 {
		return shownSchedule{}, &Error{Kind: KindNotFound, Message: fmt.Sprintf("there is no schedule with the id %d: nodedbctl schedules lists them", id)}
	}
	return list[i], nil
}

// scheduleProto is what a caller may see of a schedule: viewers neither the statements nor
// the errors of others, which may show what is in rows.
func (s *service) scheduleProto(ctx context.Context, view *metastate.View, x shownSchedule) *adminpb.Schedule {
	c := x.Schedule
	out := &adminpb.Schedule{
		Id: uint32(x.ID), Database: x.database, Schema: x.schema, Name: x.Name, Owner: x.Owner, Cron: c.Cron, TimeZone: c.TimeZone,
		Overlap: strings.ToLower(string(c.Overlap)), Enabled: !c.Disabled, NextDue: timestamp(s.backend.NextDue(x.Object)),
		Timeout: c.Timeout().Seconds(), Comment: x.Comment, Body: c.Body, SearchPath: c.SearchPath,
	}
	if who := caller(ctx); who.Role < auth.RoleOperator && who.Name != x.Owner {
		out.Body, out.SearchPath, out.Hidden = "", "", true
	}
	runs := view.Runs[x.ID]
	for _, r := range runs {
		if r.State == cluster.RunRunning {
			out.Running++
		}
	}
	if len(runs) > 0 {
		out.Last = runProto(runs[len(runs)-1], out.Hidden)
	}
	return out
}

func runProto(r *cluster.ScheduleRun, hidden bool) *adminpb.ScheduleRun {
	out := &adminpb.ScheduleRun{
		Number: r.Number, Due: timestamp(r.Due), State: string(r.State), Node: uint32(r.Node), By: r.By, Started: timestamp(r.Started), Ended: timestamp(r.Ended),
		Rows: uint64(r.Rows), Missed: uint32(r.Count), Code: r.Code, Error: r.Error,
	}
	if hidden && r.Error != "" {
		out.Error, out.Hidden = "", true
	}
	return out
}
