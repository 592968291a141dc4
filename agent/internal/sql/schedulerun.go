package sql

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

const (
	// settingDue is the setting that tells a body for what time it runs.
	settingDue = "schedule.due"
	// runAttempts is how often the transaction of a run is tried while others are in its
	// way, and runPause how long is waited first.
	runAttempts = 5
	runPause    = 50 * time.Millisecond
)

// RunSchedule carries out a run of a schedule, as its owner, in a transaction of its own, of
// which its end is a part: the run has succeeded if, and only if, the transaction was
// committed. It returns the end of a run of which nothing was committed; nil: the run is
// over, or nobody knows.
func (s *Server) RunSchedule(ctx context.Context, o *cluster.Object, run *cluster.ScheduleRun) *metastate.EndRun {
	pause := runPause
	for attempt := 1; ; attempt++ {
		err := s.runOnce(ctx, o, run)
		if err == nil {
			return nil
		}
		e := AsError(err)
		switch {
		case e.MaybeApplied() || !s.isRunning(run):
			return nil
		case attempt < runAttempts && (e.Code == "40001" || e.Code == "40P01"):
			select {
			case <-time.After(pause):
				pause *= 2
				continue
			case <-ctx.Done():
			}
		}
		return &metastate.EndRun{Schedule: run.Schedule, Run: run.Number, State: cluster.RunFailed, Code: e.Code, Error: e.Message}
	}
}

// isRunning reports whether the run counts as running, by what this node knows.
func (s *Server) isRunning(run *cluster.ScheduleRun) bool {
	for _, r := range s.catalog.View().Runs[run.Schedule] {
		if r.Number == run.Number {
			return r.State == cluster.RunRunning
		}
	}
	return false
}

// runOnce tries a run.
func (s *Server) runOnce(ctx context.Context, o *cluster.Object, run *cluster.ScheduleRun) error {
	view := s.catalog.View()
	schema := view.Objects[o.Parent]
	if schema == nil || view.Objects[schema.Parent] == nil {
		return &Error{Code: "3F000", Message: "the schema of the schedule was dropped"}
	}
	body, wrong := syntax.ParseBody(o.Schedule.Body)
	if wrong != nil {
		return wrong
	}
	session, err := s.Open(ctx, SessionOptions{
		User: o.Owner, Database: view.Objects[schema.Parent].Name, ApplicationName: "schedule " + o.Name, inside: true,
		Params: map[string]string{"search_path": o.Schedule.SearchPath, "timezone": o.Schedule.TimeZone},
	})
	if err != nil {
		return err
	}
	defer session.Close()
	session.due = run.Due.UTC().Format(time.RFC3339Nano)
	if _, err := session.inBody(ctx, "BEGIN"); err != nil {
		return err
	}
	end := &metastate.EndRun{Schedule: run.Schedule, Run: run.Number, State: cluster.RunSucceeded}
	for _, statement := range body.Statements {
		q, ok := statement.(*syntax.BodyQuery)
		if !ok {
			return syntax.Unsupported("this statement in the body of a schedule", "")
		}
		rows, err := session.inBody(ctx, q.SQL)
		if err != nil {
			return err
		}
		end.Rows += rows
	}
	return session.commitRun(ctx, end)
}

// commitRun commits the transaction with the end of the run that it is.
func (s *Session) commitRun(ctx context.Context, end *metastate.EndRun) error {
	if !s.server.planted.endAfter() {
		s.draft = s.draft.EndRun(end)
	}
	if _, err := s.inBody(ctx, "COMMIT"); err != nil || !s.server.planted.endAfter() {
		return err
	}
	_, err := s.server.catalog.Propose(ctx, metastate.Command{Via: metastate.ViaAgent, EndRun: end})
	return err
}

// inBody runs a statement, and returns how many rows it wrote or read.
func (s *Session) inBody(ctx context.Context, text string) (int64, error) {
	p, err := s.Prepare(ctx, text, nil)
	if err != nil {
		return 0, err
	}
	tag, err := s.Execute(ctx, p, nil, nobody{})
	if err != nil {
		return 0, err
	}
	rows, err := strconv.ParseInt(tag[strings.LastIndexByte(tag, ' ')+1:], 10, 64)
	if err != nil {
		return 0, nil //nolint:nilerr // BEGIN and COMMIT have no rows
	}
	return rows, nil
}

// Settle waits for the end of the transaction that a command was refused for.
func (s *Server) Settle(ctx context.Context, refusal *metastate.Refusal) error {
	return s.cfg.DB.Settle(ctx, refusal)
}
