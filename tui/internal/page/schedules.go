package page

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/tui/internal/action"
	"github.com/nodedb/nodedb/tui/internal/cell"
	"github.com/nodedb/nodedb/tui/internal/feed"
	"github.com/nodedb/nodedb/tui/internal/keymap"
	"github.com/nodedb/nodedb/tui/internal/match"
	"github.com/nodedb/nodedb/tui/internal/table"
	"github.com/nodedb/nodedb/tui/internal/theme"
)

// schedules shows what runs when, how the newest run of each ended, and the runs of the
// selected one. The stream does not carry it: it is asked for while the view is shown.
type schedules struct {
	filtered[*adminpb.Schedule]
	answer
	runs  *adminpb.ListScheduleRunsResponse // of the schedule that was selected
	asked time.Time
	open  bool // a question has not been answered
}

const askSchedules = "schedules"

// scheduleLevel is how a schedule is: its newest run went wrong, or is under way.
func scheduleLevel(s *adminpb.Schedule) theme.Level {
	if s.GetLast() == nil || !s.GetEnabled() && s.GetRunning() == 0 {
		return theme.Quiet
	}
	return runLevel(s.GetLast().GetState())
}

func runLevel(state string) theme.Level {
	switch state {
	case "running":
		return theme.Moving
	case "succeeded":
		return theme.Quiet
	case "failed", "lost":
		return theme.Broken
	}
	return theme.Alarm
}

// standing is a schedule in one word.
func standing(s *adminpb.Schedule) string {
	switch {
	case s.GetRunning() > 0:
		return "running"
	case !s.GetEnabled():
		return "paused"
	}
	return "waiting"
}

func outcomeOf(s *adminpb.Schedule) string { return s.GetLast().GetState() }

// whole is the name of a schedule with what it is in.
func whole(s *adminpb.Schedule) string {
	return cell.OneLine(s.GetDatabase() + "." + s.GetSchema() + "." + s.GetName())
}

var scheduleFields = match.Fields[*adminpb.Schedule]{
	Text: func(b []byte, s *adminpb.Schedule) []byte {
		return fmt.Append(b, whole(s), " ", s.GetOwner(), " ", s.GetCron(), " ", standing(s), " ", outcomeOf(s), " ", s.GetLast().GetError())
	},
	Words: map[string]func(*adminpb.Schedule) string{
		"name": (*adminpb.Schedule).GetName, "database": (*adminpb.Schedule).GetDatabase, "owner": (*adminpb.Schedule).GetOwner, "state": standing, "last": outcomeOf,
	},
	Whole: map[string]func(*adminpb.Schedule, string) bool{
		"node": func(s *adminpb.Schedule, v string) bool { return cell.Node(s.GetLast().GetNode()) == v },
	},
}

func newSchedules() *schedules {
	type S = *adminpb.Schedule
	at := func(f func(S) *timestamppb.Timestamp) func(*theme.Theme, S) (string, cell.Style) {
		return func(th *theme.Theme, s S) (string, cell.Style) { return clockOf(f(s)), th.Plain }
	}
	lastDue := func(s S) *timestamppb.Timestamp { return s.GetLast().GetDue() }
	p := &schedules{filtered: filtered[*adminpb.Schedule]{fields: &scheduleFields, noun: "schedule"}}
	p.t = table.New(func(s S) uint64 { return uint64(s.GetId()) },
		table.Column[S]{Title: "  SCHEDULE", Width: 14, Grow: true, Cell: func(th *theme.Theme, s S) (string, cell.Style) {
			mark, style := th.Mark(scheduleLevel(s))
			return mark + " " + whole(s), style
		}, Compare: func(a, b S) int { return strings.Compare(whole(a), whole(b)) }},
		table.Column[S]{Title: "OWNER", Width: 10, From: 120, Cell: func(th *theme.Theme, s S) (string, cell.Style) { return cell.OneLine(s.GetOwner()), th.Plain },
			Compare: func(a, b S) int { return strings.Compare(a.GetOwner(), b.GetOwner()) }},
		table.Column[S]{Title: "CRON", Width: 16, From: 100, Cell: func(th *theme.Theme, s S) (string, cell.Style) { return cell.OneLine(s.GetCron()), th.Dim }},
		table.Column[S]{Title: "STATE", Width: 7, Cell: func(th *theme.Theme, s S) (string, cell.Style) {
			return standing(s), map[string]cell.Style{"running": th.Busy, "paused": th.Warn, "waiting": th.Plain}[standing(s)]
		}, Compare: func(a, b S) int { return strings.Compare(standing(a), standing(b)) }},
		table.Column[S]{Title: "NEXT DUE", Width: 14, Cell: at(S.GetNextDue), Compare: func(a, b S) int { return a.GetNextDue().AsTime().Compare(b.GetNextDue().AsTime()) }},
		table.Column[S]{Title: "LAST DUE", Width: 14, Cell: at(lastDue), Compare: func(a, b S) int { return lastDue(b).AsTime().Compare(lastDue(a).AsTime()) }},
		table.Column[S]{Title: "LAST", Width: 9, Cell: func(th *theme.Theme, s S) (string, cell.Style) {
			return cell.Or(outcomeOf(s)), th.Word(runLevel(cmp.Or(outcomeOf(s), "succeeded")))
		}, Compare: func(a, b S) int { return strings.Compare(outcomeOf(a), outcomeOf(b)) }},
		table.Column[S]{Title: "NODE", Width: 4, Cell: func(th *theme.Theme, s S) (string, cell.Style) { return cell.Node(s.GetLast().GetNode()), th.Plain }},
	)
	return p
}

// clockOf is a moment as the table has it, in the time of the one who looks.
func clockOf(t *timestamppb.Timestamp) string {
	if t == nil {
		return cell.None
	}
	return t.AsTime().Local().Format("01-02 15:04:05")
}

func (*schedules) Name() string { return Schedules }

func (*schedules) Topics() []string { return []string{feed.Status} }

func (*schedules) Load(*feed.Snapshot) {}

// Enter implements Enterer: what was shown before is asked for again at once.
func (p *schedules) Enter() { p.asked = time.Time{} }

// SchedulesAnswer is what the calls of one question came to.
type SchedulesAnswer struct {
	Schedules *adminpb.ListSchedulesResponse
	Runs      *adminpb.ListScheduleRunsResponse // of the selected one; nil: none is
}

// Again implements Asker.
func (p *schedules) Again(now time.Time) Effect {
	if p.open || now.Sub(p.asked) < askEvery {
		return nil
	}
	p.asked = now
	return p.ask()
}

// ask asks for the schedules, and for the runs of the selected one.
func (p *schedules) ask() Effect {
	p.open = true
	var selected uint32
	if s, ok := p.t.Selected(); ok {
		selected = s.GetId()
	}
	return Call{Name: askSchedules, Do: func(ctx context.Context, c adminpb.AdminClient) (any, error) {
		list, err := c.ListSchedules(ctx, &adminpb.ListSchedulesRequest{})
		if err != nil {
			return nil, err
		}
		if selected == 0 && len(list.GetSchedules()) > 0 {
			selected = list.GetSchedules()[0].GetId()
		}
		out := SchedulesAnswer{Schedules: list}
		for _, s := range list.GetSchedules() { // it may have been dropped
			if s.GetId() == selected {
				out.Runs, err = c.ListScheduleRuns(ctx, &adminpb.ListScheduleRunsRequest{Schedule: selected})
			}
		}
		return out, err
	}}
}

// Receive implements Receiver.
func (p *schedules) Receive(r Result) {
	if r.Name != askSchedules {
		return
	}
	p.open, p.err = false, r.Err
	v, ok := r.Value.(SchedulesAnswer)
	if !ok || r.Err != nil {
		return
	}
	p.have, p.at, p.runs = true, v.Schedules.GetAsOf().GetTime().AsTime(), v.Runs
	p.t.Set(v.Schedules.GetSchedules())
}

func (p *schedules) Keys() []*keymap.Key {
	return []*keymap.Key{&keymap.Move, &keymap.RunNow, &keymap.Pause, &keymap.Resume, &keymap.Filter, &keymap.Sort, &keymap.Copy}
}

// Press implements Page.
func (p *schedules) Press(key string) Effect {
	if p.t.Press(key) {
		return p.moved()
	}
	s, ok := p.t.Selected()
	switch {
	case !ok:
	case keymap.Copy.Is(key):
		return Copy{"nodedbctl schedules history " + whole(s)}
	case keymap.RunNow.Is(key):
		return Act{action.RunSchedule(s)}
	case keymap.Pause.Is(key) && !s.GetEnabled():
		return Say{Level: theme.Quiet, Text: "it is paused already; R has it run at its times again"}
	case keymap.Resume.Is(key) && s.GetEnabled():
		return Say{Level: theme.Quiet, Text: "it is not paused; A runs it now"}
	case keymap.Pause.Is(key), keymap.Resume.Is(key):
		return Act{action.SwitchSchedule(s)}
	}
	return nil
}

// moved asks for the runs of what is selected now, if they are not here.
func (p *schedules) moved() Effect {
	if s, ok := p.t.Selected(); ok && !p.open && s.GetId() != p.runs.GetSchedule().GetId() {
		return p.ask()
	}
	return Done{}
}

// Click implements Pointed: the runs of another one are asked for with the next question.
func (p *schedules) Click(_, y int) {
	p.t.Click(y)
	p.asked = time.Time{}
}

// Wheel implements Pointed.
func (p *schedules) Wheel(by int) { p.t.Move(by) }

// Draw implements Page.
func (p *schedules) Draw(th *theme.Theme, s Size) *cell.Block {
	switch {
	case !p.have && p.err != nil:
		return blank(th, s, "the schedules are not known", refusal(p.err))
	case !p.have:
		return loading(th, s, "asking for the schedules")
	case p.t.Total() == 0:
		return blank(th, s, "no schedule", "CREATE SCHEDULE name CRON '0 3 * * *' AS 'statements' makes one, in SQL")
	case p.t.Len() == 0:
		return p.noMatch(th, s)
	}
	b := p.t.Draw(th, s.Width, min(p.t.Len()+1, max(4, s.Height*2/5)))
	if p.err != nil {
		b.Text(th.Warn, th.Sym.Warn+" as of before: "+refusal(p.err))
	}
	if x, ok := p.t.Selected(); ok {
		b.Blank()
		p.one(th, b, x)
		p.history(th, b, x, s.Height-b.Height())
	}
	return b.Resize(s.Height)
}

// one is the selected schedule in full.
func (p *schedules) one(th *theme.Theme, b *cell.Block, x *adminpb.Schedule) {
	b.Add(section(th, b.Width, "schedule "+whole(x), ""))
	row := func(style cell.Style, name, value string) {
		b.Add(cell.NewLine(b.Width).Space(1).Field(th.Dim, name, 13, false).Put(style, value))
	}
	row(th.Plain, "due", fmt.Sprintf("%s in %s, overlap %s, a run takes %s at most", cell.OneLine(x.GetCron()), x.GetTimeZone(), x.GetOverlap(), cell.Seconds(x.GetTimeout())))
	body := "(not for you to see)"
	if !x.GetHidden() {
		body = cell.OneLine(x.GetBody())
	}
	row(th.Plain, "statements", body)
	if c := x.GetComment(); c != "" {
		row(th.Dim, "comment", cell.OneLine(c))
	}
	if e := x.GetLast(); e.GetCode() != "" {
		lines := cell.Wrap(errorOf(e), b.Width-16)
		for i, line := range lines[:min(len(lines), errorLines)] {
			row(th.Bad, map[bool]string{true: "error"}[i == 0], line)
		}
	}
}

// errorLines bounds what is shown of an error: nodedbctl schedules show has all of it.
const errorLines = 4

func errorOf(r *adminpb.ScheduleRun) string {
	if r.GetHidden() {
		return "SQLSTATE " + r.GetCode() + " (not for you to see)"
	}
	return "SQLSTATE " + r.GetCode() + ": " + cell.OneLine(r.GetError())
}

// history are the runs of the selected schedule, as far as there is room.
func (p *schedules) history(th *theme.Theme, b *cell.Block, x *adminpb.Schedule, room int) {
	if room < 3 {
		return
	}
	b.Add(section(th, b.Width, "runs", "the newest first"))
	if p.runs.GetSchedule().GetId() != x.GetId() {
		b.Text(th.Dim, " "+th.Sym.Ellipsis+" asking for its runs")
		return
	}
	if len(p.runs.GetRuns()) == 0 {
		b.Text(th.Dim, " it has not run")
		return
	}
	for _, r := range p.runs.GetRuns()[:min(len(p.runs.GetRuns()), room-1)] {
		mark, style := th.Mark(runLevel(r.GetState()))
		l := cell.NewLine(b.Width).Space(1).Field(th.Dim, fmt.Sprint(r.GetNumber()), 6, true).Space(1).Field(th.Plain, clockOf(r.GetDue()), 14, false).Space(1).
			Put(style, mark+" ").Field(th.Word(runLevel(r.GetState())), r.GetState(), 9, false).Space(1)
		l.Put(th.Dim, runText(r))
		b.Add(l)
	}
}

// runText is what else there is to say of a run.
func runText(r *adminpb.ScheduleRun) string {
	var parts []string
	if r.GetNode() != 0 {
		parts = append(parts, cell.Node(r.GetNode()))
	}
	if r.GetEnded() != nil && r.GetNode() != 0 {
		parts = append(parts, fmt.Sprintf("%s, %s", cell.Latency(max(0, r.GetEnded().AsTime().Sub(r.GetStarted().AsTime()).Seconds())), cell.Plural(int(r.GetRows()), "row")))
	}
	if r.GetMissed() > 0 {
		parts = append(parts, cell.Plural(int(r.GetMissed()), "time"))
	}
	if r.GetBy() != "" {
		parts = append(parts, "by "+cell.OneLine(r.GetBy()))
	}
	if r.GetCode() != "" {
		parts = append(parts, errorOf(r))
	}
	return strings.Join(parts, "  ")
}
