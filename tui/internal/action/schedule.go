package action

import (
	"context"
	"fmt"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/tui/internal/cell"
)

// RunSchedule begins a run of a schedule now.
func RunSchedule(s *adminpb.Schedule) *Action {
	name := scheduleName(s)
	a := onSchedule(s, Action{Title: "run schedule " + name, Command: "nodedbctl schedules run " + name}, func(now *adminpb.Schedule) []string {
		text := []string{"its statements run now, as " + cell.OneLine(now.GetOwner()) + "; when it is due next does not change"}
		if now.GetRunning() > 0 && now.GetOverlap() == "skip" {
			text = append(text, "it is running: that is refused unless the run has ended by then")
		}
		return text
	})
	a.Do = func(ctx context.Context, c adminpb.AdminClient, _ *Verdict) (*Outcome, error) {
		r, err := c.RunSchedule(ctx, &adminpb.RunScheduleRequest{Schedule: s.GetId(), Reason: reason})
		if err != nil {
			return nil, err
		}
		return &Outcome{Text: fmt.Sprintf("run %d has begun on %s", r.GetRun().GetNumber(), cell.Node(r.GetRun().GetNode()))}, nil
	}
	return a
}

// SwitchSchedule pauses a schedule that is enabled, and has one that is paused run at its
// times again.
func SwitchSchedule(s *adminpb.Schedule) *Action {
	name, verb, undo, text := scheduleName(s), "pause", "resume", "it does not run at its times any more; a run that is running ends"
	if !s.GetEnabled() {
		verb, undo, text = "resume", "pause", "it runs at its times again; those that have passed are not run"
	}
	a := onSchedule(s, Action{Title: verb + " schedule " + name, Command: "nodedbctl schedules " + verb + " " + name, Undo: "nodedbctl schedules " + undo + " " + name},
		func(*adminpb.Schedule) []string { return []string{text} })
	a.Do = func(ctx context.Context, c adminpb.AdminClient, _ *Verdict) (*Outcome, error) {
		r, err := c.SwitchSchedule(ctx, &adminpb.SwitchScheduleRequest{Schedule: s.GetId(), Enabled: verb == "resume", Reason: reason})
		if err != nil {
			return nil, err
		}
		if !r.GetChanged() {
			return &Outcome{Text: "it was so already"}, nil
		}
		return &Outcome{Text: "done"}, nil
	}
	return a
}

func scheduleName(s *adminpb.Schedule) string {
	return cell.OneLine(s.GetDatabase() + "." + s.GetSchema() + "." + s.GetName())
}

// onSchedule makes an action of a schedule; text is what it does to the schedule as it is.
func onSchedule(s *adminpb.Schedule, a Action, text func(now *adminpb.Schedule) []string) *Action {
	a.Word = s.GetName()
	a.Look = func(ctx context.Context, c adminpb.AdminClient) (*Verdict, error) {
		r, err := c.ListSchedules(ctx, &adminpb.ListSchedulesRequest{})
		if err != nil {
			return nil, err
		}
		v := &Verdict{AsOf: r.GetAsOf()}
		for _, now := range r.GetSchedules() {
			if now.GetId() == s.GetId() {
				v.Allowed, v.Text = true, text(now)
				if now.GetBody() != "" {
					v.Text = append(v.Text, cell.OneLine(now.GetBody()))
				}
				return v, nil
			}
		}
		v.Text = []string{"there is no schedule " + scheduleName(s) + " any more"}
		return v, nil
	}
	return &a
}
