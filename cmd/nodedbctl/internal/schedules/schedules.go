// Package schedules is the noun "schedule": list what has statements run at times, what
// became of its runs, pause it, and run it now.
package schedules

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/ctl"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/render"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/term"
	"github.com/nodedb/nodedb/cmd/nodedbctl/internal/view"
)

const long = `Schedules are made in SQL, by CREATE SCHEDULE. A schedule is named NAME, SCHEMA.NAME or
DATABASE.SCHEMA.NAME; exit code 2 if there are several of that name.`

// New makes the command schedules.
func New(e *ctl.Env) *cobra.Command {
	run := func(cmd *cobra.Command, _ []string) error {
		return e.Repeat(cmd.Context(), func(ctx context.Context) error { return list(ctx, e) })
	}
	c := &cobra.Command{Use: "schedules [ls]", Aliases: []string{"schedule"}, Short: "List schedules and their runs, pause and resume them, run them now", Long: long, Args: cobra.NoArgs, RunE: run}
	var limit uint32
	history := &cobra.Command{
		Use: "history SCHEDULE", Short: "Show what became of the runs of a schedule, the newest first", Args: cobra.ExactArgs(1), ValidArgsFunction: e.Live(live),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.Repeat(cmd.Context(), func(ctx context.Context) error { return showHistory(ctx, e, args[0], limit) })
		},
	}
	history.Flags().Uint32Var(&limit, "limit", 0, "no more runs than this (default all that are kept, 100)")
	c.AddCommand(
		&cobra.Command{Use: "ls", Aliases: []string{"list"}, Short: "List the schedules of all databases", Args: cobra.NoArgs, RunE: run},
		&cobra.Command{
			Use: "show SCHEDULE", Short: "Show a schedule, its statements, and its last run", Args: cobra.ExactArgs(1), ValidArgsFunction: e.Live(live),
			RunE: func(cmd *cobra.Command, args []string) error {
				return e.Repeat(cmd.Context(), func(ctx context.Context) error { return show(ctx, e, args[0]) })
			},
		},
		history, newRun(e), newSwitch(e, false), newSwitch(e, true),
	)
	return c
}

// whole is the name of a schedule with what it is in.
func whole(s *adminpb.Schedule) string {
	return render.OneLine(s.GetDatabase() + "." + s.GetSchema() + "." + s.GetName())
}

// live offers the schedules.
func live(ctx context.Context, c *client.Client) ([]string, error) {
	r, err := c.ListSchedules(ctx, &adminpb.ListSchedulesRequest{})
	names := map[string]int{}
	for _, s := range r.GetSchedules() {
		names[s.GetName()]++
	}
	var out []string
	for _, s := range r.GetSchedules() {
		name := s.GetName()
		if names[name] > 1 {
			name = whole(s)
		}
		out = append(out, fmt.Sprintf("%s\t%s %s, of %s", name, s.GetCron(), s.GetTimeZone(), s.GetOwner()))
	}
	return out, err
}

// find is the schedule of a name.
func find(ctx context.Context, c *client.Client, name string) (*adminpb.Schedule, *adminpb.AsOf, error) {
	r, err := c.ListSchedules(ctx, &adminpb.ListSchedulesRequest{Name: name})
	if err != nil {
		return nil, nil, err
	}
	switch found := r.GetSchedules(); len(found) {
	case 0:
		return nil, nil, &ctl.Error{Code: ctl.NotFound, Message: fmt.Sprintf("there is no schedule %q", name), Next: []string{"nodedbctl schedules"}}
	case 1:
		return found[0], r.GetAsOf(), nil
	default:
		var names []string
		for _, s := range found {
			names = append(names, whole(s))
		}
		return nil, nil, ctl.Usagef("there are several schedules %q: %s", name, strings.Join(names, ", "))
	}
}

func list(ctx context.Context, e *ctl.Env) error {
	c, err := e.Client()
	if err != nil {
		return err
	}
	r, err := c.ListSchedules(ctx, &adminpb.ListSchedulesRequest{})
	if err != nil {
		return err
	}
	l := render.List[view.Schedule]{
		Kind: "ScheduleList", Meta: e.Meta(r.GetAsOf()), Columns: columns, Name: func(s view.Schedule) string { return s.Database + "." + s.Schema + "." + s.Name },
		Empty: "no schedule: CREATE SCHEDULE makes one",
	}
	for _, s := range r.GetSchedules() {
		l.Items = append(l.Items, view.NewSchedule(s))
	}
	return l.Print(e.Term, e.Flags.Output)
}

var columns = []render.Column[view.Schedule]{
	{Head: "DATABASE", Key: "database", Cell: func(s view.Schedule) string { return render.OneLine(s.Database) }},
	{Head: "SCHEMA", Less: true, Key: "schema", Cell: func(s view.Schedule) string { return render.OneLine(s.Schema) }},
	{Head: "NAME", Key: "name", Cell: func(s view.Schedule) string { return render.OneLine(s.Name) }},
	{Head: "OWNER", Less: true, Key: "owner", Cell: func(s view.Schedule) string { return render.OneLine(s.Owner) }},
	{Head: "CRON", Key: "cron", Cell: func(s view.Schedule) string { return render.OneLine(s.Cron) }},
	{Head: "ZONE", Key: "timeZone", Cell: func(s view.Schedule) string { return s.TimeZone }},
	{Head: "ENABLED", Key: "enabled", Cell: func(s view.Schedule) string { return map[bool]string{true: "yes", false: "paused"}[s.Enabled] }, Style: func(s view.Schedule) term.Style {
		return map[bool]term.Style{true: term.Plain, false: term.Warn}[s.Enabled]
	}},
	{Head: "NEXT DUE", Key: "nextDue", Cell: func(s view.Schedule) string { return clock(s.NextDue) }},
	{Head: "LAST DUE", Key: "lastDue", Cell: func(s view.Schedule) string { return clock(s.LastDue) }},
	{Head: "LAST", Key: "lastState", Cell: func(s view.Schedule) string { return render.Or(s.LastState) }, Style: func(s view.Schedule) term.Style { return stateStyle(s.LastState) }},
	{Head: "OVERLAP", Wide: true, Key: "overlap", Cell: func(s view.Schedule) string { return s.Overlap }},
	{Head: "RUNNING", Wide: true, Right: true, Key: "running", Cell: func(s view.Schedule) string { return fmt.Sprint(s.Running) }},
	{Head: "TIMEOUT", Wide: true, Right: true, Key: "timeoutSeconds", Cell: func(s view.Schedule) string { return render.Seconds(s.Timeout) }},
	{Head: "COMMENT", Wide: true, Key: "comment", Cell: func(s view.Schedule) string { return render.Or(render.OneLine(s.Comment)) }},
}

// clock writes a moment.
func clock(at *time.Time) string {
	if at == nil {
		return render.None
	}
	return at.Format("2006-01-02 15:04:05")
}

func stateStyle(state string) term.Style {
	switch state {
	case "succeeded":
		return term.Good
	case "running", "":
		return term.Plain
	case "failed", "lost":
		return term.Bad
	}
	return term.Warn
}

func show(ctx context.Context, e *ctl.Env, name string) error {
	c, err := e.Client()
	if err != nil {
		return err
	}
	found, asOf, err := find(ctx, c, name)
	if err != nil {
		return err
	}
	s := view.NewSchedule(found)
	one := render.One[view.Schedule]{
		Kind: "Schedule", Meta: e.Meta(asOf), Item: s, Name: whole(found),
		Text: func(w io.Writer) error { return write(w, e, s, whole(found)) },
	}
	return one.Print(e.Term, e.Flags.Output)
}

func write(w io.Writer, e *ctl.Env, s view.Schedule, name string) error {
	var b strings.Builder
	line := func(head, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s %s\n", head, fmt.Sprintf(format, args...))
	}
	state := "enabled"
	if !s.Enabled {
		state = e.Term.Paint(term.Warn, "paused") + ": nodedbctl schedules resume " + name
	}
	line("schedule", "%s  %s", name, state)
	line("owner", "%s", render.OneLine(s.Owner))
	due := "not due by itself"
	if s.NextDue != nil {
		due = "next " + clock(s.NextDue) + " UTC"
	}
	line("due", "%s in %s, %s", render.OneLine(s.Cron), s.TimeZone, due)
	line("overlap", "%s, %d running", s.Overlap, s.Running)
	line("timeout", "%s of a run", render.Seconds(s.Timeout))
	if s.Last != nil {
		line("last", "%s", runLine(e, s.Last))
		if s.Last.Code != "" {
			line("", "%s", failure(s.Last))
		}
	} else {
		line("last", "it has not run")
	}
	if s.Comment != "" {
		line("comment", "%s", render.OneLine(s.Comment))
	}
	if s.Hidden {
		line("statements", "(hidden)")
	} else {
		line("search_path", "%s", render.OneLine(s.SearchPath))
		line("statements", "%s", strings.ReplaceAll(printable(strings.TrimSpace(s.Body)), "\n", "\n             "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// printable is text of several lines that does nothing to a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.ReplaceAll(text, "\t", "    "))
}

// took writes how long a run took: many take less than a tenth of a second.
func took(seconds float64) string {
	if seconds < 1 {
		return fmt.Sprintf("%.0fms", seconds*1000)
	}
	return render.Seconds(seconds)
}

// runLine is a run in one line.
func runLine(e *ctl.Env, r *view.ScheduleRun) string {
	text := fmt.Sprintf("run %d, due %s, %s", r.Number, clock(&r.Due), e.Term.Paint(stateStyle(r.State), r.State))
	if r.Node != nil {
		text += " on " + render.Node(*r.Node)
	}
	if r.Took != nil {
		text += fmt.Sprintf(" in %s, %s", took(*r.Took), render.Plural(int(r.Rows), "row"))
	}
	if r.Missed > 0 {
		text += fmt.Sprintf(", %s", render.Plural(int(r.Missed), "time"))
	}
	if r.By != "" {
		text += ", asked for by " + render.OneLine(r.By)
	}
	return text
}

func failure(r *view.ScheduleRun) string {
	if r.Hidden {
		return "SQLSTATE " + r.Code + " (hidden)"
	}
	return "SQLSTATE " + r.Code + ": " + render.OneLine(r.Error)
}

func showHistory(ctx context.Context, e *ctl.Env, name string, limit uint32) error {
	c, err := e.Client()
	if err != nil {
		return err
	}
	found, _, err := find(ctx, c, name)
	if err != nil {
		return err
	}
	r, err := c.ListScheduleRuns(ctx, &adminpb.ListScheduleRunsRequest{Schedule: found.GetId(), Limit: limit})
	if err != nil {
		return err
	}
	l := render.List[view.ScheduleRun]{
		Kind: "ScheduleRunList", Meta: e.Meta(r.GetAsOf()), Columns: runColumns, Name: func(r view.ScheduleRun) string { return fmt.Sprint(r.Number) },
		Empty: "it has not run",
	}
	for _, run := range r.GetRuns() {
		l.Items = append(l.Items, view.NewScheduleRun(run))
	}
	return l.Print(e.Term, e.Flags.Output)
}

var runColumns = []render.Column[view.ScheduleRun]{
	{Head: "RUN", Key: "number", Right: true, Cell: func(r view.ScheduleRun) string { return fmt.Sprint(r.Number) }},
	{Head: "DUE", Key: "due", Cell: func(r view.ScheduleRun) string { return clock(&r.Due) }},
	{Head: "STATE", Key: "state", Cell: func(r view.ScheduleRun) string { return r.State }, Style: func(r view.ScheduleRun) term.Style { return stateStyle(r.State) }},
	{Head: "NODE", Key: "node", Cell: func(r view.ScheduleRun) string {
		if r.Node == nil {
			return render.None
		}
		return render.Node(*r.Node)
	}},
	{Head: "BY", Key: "by", Cell: func(r view.ScheduleRun) string { return render.Or(render.OneLine(r.By)) }},
	{Head: "STARTED", Wide: true, Key: "started", Cell: func(r view.ScheduleRun) string { return clock(&r.Started) }},
	{Head: "ENDED", Wide: true, Key: "ended", Cell: func(r view.ScheduleRun) string { return clock(r.Ended) }},
	{Head: "TOOK", Key: "tookSeconds", Right: true, Cell: func(r view.ScheduleRun) string {
		if r.Took == nil {
			return render.None
		}
		return took(*r.Took)
	}},
	{Head: "ROWS", Key: "rows", Right: true, Cell: func(r view.ScheduleRun) string { return fmt.Sprint(r.Rows) }},
	{Head: "MISSED", Wide: true, Key: "missed", Right: true, Cell: func(r view.ScheduleRun) string { return fmt.Sprint(r.Missed) }},
	{Head: "CODE", Key: "code", Cell: func(r view.ScheduleRun) string { return render.Or(r.Code) }},
	{Head: "ERROR", Key: "error", Cell: func(r view.ScheduleRun) string {
		if r.Hidden {
			return "(hidden)"
		}
		return render.Or(render.OneLine(r.Error))
	}},
}
