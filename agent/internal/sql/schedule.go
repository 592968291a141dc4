package sql

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/schedule"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/clusterview"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

// maxRunTime is how long a run may take if the session that gave its body had no
// statement_timeout.
const maxRunTime = time.Hour

// createSchedule runs CREATE SCHEDULE.
func (s *Session) createSchedule(ctx context.Context, node *syntax.CreateSchedule) (string, error) {
	const tag = "CREATE SCHEDULE"
	zone, _ := s.settings.Get("timezone")
	made := &cluster.Schedule{TimeZone: zone, Overlap: cluster.OverlapSkip}
	existed := false
	err := s.changeObjects(ctx, tag, func(in catalog.Scope) (next *catalog.Draft, err error) {
		if err := s.changeSchedule(ctx, made, &node.Changes); err != nil {
			return nil, err
		}
		next, existed, err = s.server.catalog.CreateSchedule(ctx, in, node, made, s.user)
		return next, err
	})
	if err != nil {
		return "", err
	}
	if existed {
		s.notice("NOTICE", "42710", "schedule %q already exists, skipping", node.Name.Name)
	}
	return tag, nil
}

// alterSchedule runs ALTER SCHEDULE.
func (s *Session) alterSchedule(ctx context.Context, node *syntax.AlterSchedule) (string, error) {
	return s.alter(ctx, "ALTER SCHEDULE", func(in catalog.Scope) (*catalog.Draft, []catalog.Notice, error) {
		return s.server.catalog.AlterSchedule(in, node, func(made *cluster.Schedule) error {
			return s.changeSchedule(ctx, made, &node.Changes)
		})
	})
}

// dropSchedule runs DROP SCHEDULE.
func (s *Session) dropSchedule(ctx context.Context, node *syntax.DropSchedule) (string, error) {
	const tag = "DROP SCHEDULE"
	var told catalog.Dropped
	err := s.changeObjects(ctx, tag, func(in catalog.Scope) (next *catalog.Draft, err error) {
		next, told, err = s.server.catalog.DropSchedules(in, node)
		return next, err
	})
	if err != nil {
		return "", err
	}
	s.tellDropped(told, cluster.KindSchedule)
	return tag, nil
}

// changeSchedule has a schedule be as a statement says.
func (s *Session) changeSchedule(ctx context.Context, made *cluster.Schedule, c *syntax.ScheduleChanges) error {
	made.Cron, made.Overlap = cmp.Or(c.Cron, made.Cron), cmp.Or(cluster.Overlap(c.Overlap), made.Overlap)
	zone, err := datum.LoadZone(cmp.Or(c.TimeZone, made.TimeZone))
	if err != nil {
		return &syntax.Error{Code: "22023", Message: AsError(err).Message, Position: c.ZonePosition}
	}
	made.TimeZone = zone.String()
	switch _, err := schedule.Of(made); {
	case errors.Is(err, schedule.ErrZone):
		return &syntax.Error{Code: "22023", Message: "a schedule needs a time zone with a name, not " + made.TimeZone, Hint: "Write TIME ZONE 'Area/City', or 'UTC'.", Position: c.ZonePosition}
	case err != nil:
		return &syntax.Error{Code: "22023", Message: "invalid cron expression: " + err.Error(), Position: c.CronPosition,
			Hint: "It has the fields [second] minute hour day-of-month month day-of-week, or is @hourly, @daily, @weekly, @monthly or @yearly."}
	}
	if c.Enabled != nil {
		made.Disabled = !*c.Enabled
	}
	if c.Body == nil {
		return nil
	}
	if err := s.checkBody(ctx, c.Body); err != nil {
		return err
	}
	made.Body, made.TimeoutMS = c.Body.Text, cmp.Or(s.settings.Duration("statement_timeout"), maxRunTime).Milliseconds()
	made.SearchPath, _ = s.settings.Get("search_path")
	return nil
}

// checkBody refuses a body that would fail each time.
func (s *Session) checkBody(ctx context.Context, body *syntax.Body) error {
	s.due = s.server.cfg.Now().UTC().Format(time.RFC3339Nano)
	defer func() { s.due = "" }()
	for _, statement := range body.Statements {
		q, ok := statement.(*syntax.BodyQuery)
		if !ok || q.Into != nil {
			return unsupportedAt("IF, RAISE, RETURN or an assignment in the body of a schedule", "Write SELECT, INSERT, UPDATE and DELETE.", body.Position)
		}
		p := &Prepared{statement: &syntax.Statement{Text: q.SQL, Node: q.Query}}
		err := s.prepareQuery(ctx, p, q.Query)
		if err == nil && len(p.ParamOIDs) > 0 {
			err = &Error{Code: "42P02", Message: "there is no parameter $1"}
		}
		if err != nil {
			wrong := *AsError(err)
			if wrong.Position > 0 {
				wrong.Position += q.Position - 1
			}
			return &wrong
		}
	}
	return nil
}

// scheduleColumns are those of SHOW SCHEDULES and SHOW SCHEDULE HISTORY.
func scheduleColumns(node *syntax.ShowSchedules) []Column {
	const text, number, at = datum.Text, datum.Int8, datum.Timestamptz
	columns := []Column{typedColumn("schema", text), typedColumn("name", text), typedColumn("owner", text), typedColumn("cron", text), typedColumn("time_zone", text), typedColumn("overlap", text), typedColumn("enabled", datum.Bool),
		typedColumn("next_due", at), typedColumn("last_due", at), typedColumn("last_state", text), typedColumn("body", text), typedColumn("comment", text)}
	if node.History {
		columns = []Column{typedColumn("schema", text), typedColumn("name", text), typedColumn("run", number), typedColumn("due", at), typedColumn("state", text), typedColumn("node", text), typedColumn("started_at", at), typedColumn("ended_at", at),
			typedColumn("duration_ms", number), typedColumn("rows", number), typedColumn("missed", number), typedColumn("code", text), typedColumn("error", text), typedColumn("asked_by", text)}
	}
	return columns
}

// showSchedules runs SHOW SCHEDULES and SHOW SCHEDULE HISTORY.
func (s *Session) showSchedules(node *syntax.ShowSchedules, sink RowSink) (string, error) {
	scope := s.scope()
	list := scope.Schedules()
	if node.Name != nil {
		o, err := scope.FindSchedule(*node.Name)
		if err != nil {
			return "", err
		}
		if !scope.Rights.Owns(o) {
			return "", s.denied("SHOW SCHEDULE HISTORY", catalog.NotOwner(o))
		}
		list = []*cluster.Object{o}
	}
	out := &output{sink: sink, columns: scheduleColumns(node)}
	for _, o := range list {
		rows := s.scheduleRow(scope, o)
		if node.History {
			rows = s.historyRows(scope, o)
		}
		for _, row := range rows {
			if err := out.row(row); err != nil {
				return "", err
			}
		}
	}
	return "SHOW", out.begin()
}

func schemaName(scope catalog.Scope, o *cluster.Object) datum.Datum {
	if schema, ok := scope.Object(o.Parent); ok {
		return datum.MakeText(schema.Name)
	}
	return datum.MakeNull(datum.Text)
}

func (s *Session) scheduleRow(scope catalog.Scope, o *cluster.Object) [][]datum.Datum {
	var next, last time.Time
	lastState := ""
	if runs := scope.View.Runs[o.ID]; len(runs) > 0 {
		last, lastState = runs[len(runs)-1].Due, string(runs[len(runs)-1].State)
	}
	if times, err := schedule.Of(o.Schedule); err == nil && !o.Schedule.Disabled {
		next = times.Next(s.server.cfg.Now())
	}
	body := datum.MakeNull(datum.Text)
	if scope.Rights.Owns(o) {
		body = datum.MakeText(o.Schedule.Body)
	}
	return [][]datum.Datum{{schemaName(scope, o), datum.MakeText(o.Name), datum.MakeText(o.Owner), datum.MakeText(o.Schedule.Cron), datum.MakeText(o.Schedule.TimeZone),
		datum.MakeText(string(o.Schedule.Overlap)), datum.MakeBool(!o.Schedule.Disabled), clusterview.Moment(next), clusterview.Moment(last), clusterview.TextOrNull(lastState), body, clusterview.TextOrNull(o.Comment)}}
}

// historyRows are the runs of a schedule, the newest first; of one that is another's, none:
// what went wrong may show what is in rows.
func (s *Session) historyRows(scope catalog.Scope, o *cluster.Object) [][]datum.Datum {
	if !scope.Rights.Owns(o) {
		return nil
	}
	runs := scope.View.Runs[o.ID]
	out := make([][]datum.Datum, 0, len(runs))
	for i := len(runs) - 1; i >= 0; i-- {
		r := runs[i]
		took, node := datum.MakeNull(datum.Int8), datum.MakeNull(datum.Text)
		if !r.Ended.IsZero() && r.Node != 0 {
			took = datum.MakeInt(datum.Int8, r.Ended.Sub(r.Started).Milliseconds())
		}
		if r.Node != 0 {
			node = datum.MakeText(r.Node.String())
		}
		out = append(out, []datum.Datum{schemaName(scope, o), datum.MakeText(o.Name), datum.MakeCount(r.Number), clusterview.Moment(r.Due), datum.MakeText(string(r.State)), node,
			clusterview.Moment(r.Started), clusterview.Moment(r.Ended), took, datum.MakeInt(datum.Int8, r.Rows), datum.MakeCount(r.Count), clusterview.TextOrNull(r.Code), clusterview.TextOrNull(r.Error), clusterview.TextOrNull(r.By)})
	}
	return out
}
