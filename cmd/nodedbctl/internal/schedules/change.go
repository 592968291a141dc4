package schedules

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

const runLong = `Run begins a run now, in the owner's name, whether the schedule is due or not, or is paused,
and waits for its end: exit code 11 if nothing of it was committed. Ctrl-C and --timeout
leave it running. When the schedule is due next does not change.`

func newSwitch(e *ctl.Env, enable bool) *cobra.Command {
	var change ctl.Change
	verb, short := "pause", "Have a schedule not run at its times; a run that is running ends"
	if enable {
		verb, short = "resume", "Have a schedule run at its times again; those that have passed are not run"
	}
	c := &cobra.Command{
		Use: verb + " SCHEDULE", Short: short, Args: cobra.ExactArgs(1), ValidArgsFunction: e.Live(live),
		RunE: func(cmd *cobra.Command, args []string) error {
			return switchTo(cmd.Context(), e, args[0], verb, &change)
		},
	}
	change.BindInstant(c.Flags())
	return c
}

func switchTo(ctx context.Context, e *ctl.Env, name, verb string, change *ctl.Change) error {
	c, err := e.Client()
	if err != nil {
		return err
	}
	call, stop := e.Call(ctx)
	defer stop()
	found, _, err := find(call, c, name)
	if err != nil {
		return err
	}
	plan := ctl.Instant{Command: "schedules " + verb + " " + name, Effects: []string{"would " + verb + " schedule " + whole(found)}}
	if yes, err := change.Agree(ctx, e, plan); err != nil || !yes {
		return err
	}
	r, err := c.SwitchSchedule(call, &adminpb.SwitchScheduleRequest{Schedule: found.GetId(), Enabled: verb == "resume", Reason: change.Reason})
	if err != nil {
		return err
	}
	text := map[bool]string{true: "is enabled", false: "is paused"}[r.GetSchedule().GetEnabled()]
	if !r.GetChanged() {
		text += " already"
	}
	return e.Done("schedules "+verb, nil, []string{whole(found)}, []string{"schedule " + whole(found) + " " + text})
}

func newRun(e *ctl.Env) *cobra.Command {
	var change ctl.Change
	c := &cobra.Command{
		Use: "run SCHEDULE", Short: "Run a schedule now, and wait for the end", Long: runLong, Args: cobra.ExactArgs(1), ValidArgsFunction: e.Live(live),
		RunE: func(cmd *cobra.Command, args []string) error { return runNow(cmd.Context(), e, args[0], &change) },
	}
	change.BindInstant(c.Flags())
	change.BindDetach(c.Flags())
	return c
}

func runNow(ctx context.Context, e *ctl.Env, name string, change *ctl.Change) error {
	c, err := e.Client()
	if err != nil {
		return err
	}
	call, stop := e.Call(ctx)
	defer stop()
	found, asOf, err := find(call, c, name)
	if err != nil {
		return err
	}
	plan := ctl.Instant{Command: "schedules run " + name, Effects: []string{"would run the statements of schedule " + whole(found) + " as " + render.OneLine(found.GetOwner())}}
	if yes, err := change.Agree(ctx, e, plan); err != nil || !yes {
		return err
	}
	began, err := c.RunSchedule(call, &adminpb.RunScheduleRequest{Schedule: found.GetId(), Reason: change.Reason})
	if err != nil {
		return err
	}
	run := began.GetRun()
	if !change.Detach {
		if run, asOf, err = await(ctx, e, c, found, run); err != nil {
			return err
		}
	}
	if err := printRun(e, asOf, run); err != nil {
		return err
	}
	if s := run.GetState(); s != "succeeded" && s != "running" {
		return &ctl.Error{Code: ctl.Failed, Message: fmt.Sprintf("run %d of schedule %s ended %s: nothing of it was committed", run.GetNumber(), whole(found), s), Next: []string{"nodedbctl schedules history " + name}}
	}
	return nil
}

func printRun(e *ctl.Env, asOf *adminpb.AsOf, run *adminpb.ScheduleRun) error {
	v := view.NewScheduleRun(run)
	one := render.One[view.ScheduleRun]{
		Kind: "ScheduleRun", Meta: e.Meta(asOf), Item: v, Name: fmt.Sprint(v.Number),
		Text: func(w io.Writer) error {
			text := runLine(e, &v) + "\n"
			if v.Code != "" {
				text += failure(&v) + "\n"
			}
			_, err := io.WriteString(w, text)
			return err
		},
	}
	return one.Print(e.Term, e.Flags.Output)
}

// lookAgain is how often is looked whether a run has ended.
const lookAgain = 200 * time.Millisecond

// await waits for the end of a run.
func await(ctx context.Context, e *ctl.Env, c *client.Client, of *adminpb.Schedule, run *adminpb.ScheduleRun) (*adminpb.ScheduleRun, *adminpb.AsOf, error) {
	wait, cancel := e.Wait(ctx)
	defer cancel()
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	goesOn := fmt.Sprintf("run %d of schedule %s goes on", run.GetNumber(), whole(of))
	for {
		r, err := c.ListScheduleRuns(wait, &adminpb.ListScheduleRunsRequest{Schedule: of.GetId()})
		if err != nil && wait.Err() == nil {
			return nil, nil, err
		}
		i := slices.IndexFunc(r.GetRuns(), func(x *adminpb.ScheduleRun) bool { return x.GetNumber() == run.GetNumber() })
		if i >= 0 && r.GetRuns()[i].GetState() != "running" {
			return r.GetRuns()[i], r.GetAsOf(), nil
		}
		select {
		case <-tick.C: // a node that has not heard of the run yet will
			continue
		case <-wait.Done():
		}
		if ctx.Err() == nil && errors.Is(wait.Err(), context.DeadlineExceeded) {
			return nil, nil, &ctl.Error{Code: ctl.Timeout, Message: goesOn + "; --timeout ended", Next: []string{"nodedbctl schedules history " + whole(of)}}
		}
		e.Term.Say("detached: %s; nodedbctl schedules history %s", goesOn, whole(of))
		return nil, nil, ctl.Silent(ctl.Interrupted)
	}
}
