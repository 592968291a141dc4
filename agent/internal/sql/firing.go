package sql

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/budget"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/exec"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

// firing is what one statement fires.
type firing struct {
	session *Session
	at      time.Time
	table   *catalog.Table
	// events are what the statement does, first that by which it is called.
	events   []string
	set      []cluster.ColumnID // that UPDATE sets
	triggers []*cluster.TableTrigger
	queue    []firedRow
	written  map[string]*writtenRows // by the event
}

// firedRow is a row that was written, and for which a trigger waits for the statement's end.
type firedRow struct {
	trigger   *compiledTrigger
	event     string
	was, next []datum.Datum
}

// fires says what a plan fires; nil: nothing.
func (s *Session) fires(plan *queryplan.Plan, at time.Time) *firing {
	if s.filling {
		return nil
	}
	f := &firing{session: s, at: at}
	switch {
	case plan.Insert != nil:
		f.table, f.events = plan.Insert.Table, []string{cluster.OnInsert}
		if c := plan.Insert.Conflict; c != nil && c.Set != nil {
			f.events = append(f.events, cluster.OnUpdate)
			for _, a := range c.Set {
				f.set = append(f.set, f.table.Columns[a.Column].ID)
			}
		}
	case plan.Instead != nil:
		f.table, f.events = plan.Instead.View, []string{plan.Instead.Event}
	case plan.Change != nil && plan.Change.Delete:
		f.table, f.events = plan.Change.Table, []string{cluster.OnDelete}
	case plan.Change != nil:
		f.table, f.events = plan.Change.Table, []string{cluster.OnUpdate}
		for _, i := range plan.Change.SetColumns {
			f.set = append(f.set, f.table.Columns[i].ID)
		}
	case plan.Merge != nil:
		f.merges(plan.Merge)
	default:
		return nil
	}
	if f.choose(); len(f.triggers) == 0 {
		return nil
	}
	return f
}

// merges is what a MERGE does.
func (f *firing) merges(m *queryplan.Merge) {
	f.table = m.Table
	var updates, deletes bool
	for _, ch := range m.Changes {
		updates, deletes = updates || !ch.Delete, deletes || ch.Delete
		for _, i := range ch.SetColumns {
			f.set = append(f.set, f.table.Columns[i].ID)
		}
	}
	if len(m.Inserts) > 0 {
		f.events = append(f.events, cluster.OnInsert)
	}
	if updates {
		f.events = append(f.events, cluster.OnUpdate)
	}
	if deletes {
		f.events = append(f.events, cluster.OnDelete)
	}
}

// choose finds the triggers that the events fire.
func (f *firing) choose() {
	list := f.table.Desc.Collection.Triggers
	for i := range list {
		t := &list[i]
		if slices.ContainsFunc(f.events, func(event string) bool { return f.on(t, event) }) {
			f.triggers = append(f.triggers, t)
		}
	}
}

// on reports whether a trigger is fired by an event of the statement.
func (f *firing) on(t *cluster.TableTrigger, event string) bool {
	return !t.Disabled && t.On(event) && (event != cluster.OnUpdate || len(t.Columns) == 0 ||
		slices.ContainsFunc(t.Columns, func(id cluster.ColumnID) bool { return slices.Contains(f.set, id) }))
}

// fireAsOne runs a statement and what it fires as one transaction, or in the one that
// there is. As every statement that stands alone it is run again when others came first.
func (s *Session) fireAsOne(ctx context.Context, at time.Time, run func() (string, error)) (tag string, err error) {
	if s.tx != nil {
		return run()
	}
	for {
		s.open(s.defaults(), at)
		if tag, err = run(); err != nil {
			s.endTransaction(true)
		} else {
			err = s.finish(ctx)
		}
		var conflict *txn.ConflictError // and no 40001 that a trigger raises
		if !errors.As(err, &conflict) || ctx.Err() != nil {
			return tag, err
		}
	}
}

// queryAsOne runs a query that fires triggers as one transaction. Its rows are given when it
// is certain that they are the result.
func (s *Session) queryAsOne(ctx context.Context, p *Prepared, q *syntax.Query, args []datum.Datum, sink RowSink, at time.Time) (string, error) {
	memory := s.server.cfg.Memory.Open()
	defer memory.Close()
	var rows *held
	tag, err := s.fireAsOne(ctx, at, func() (string, error) {
		memory.Close() // of the last try
		rows = &held{memory: memory}
		return s.runQuery(ctx, p, q, args, rows, at)
	})
	if err == nil {
		err = rows.give(p.Columns, sink)
	}
	return tag, err
}

// runFiring runs the plan with what it fires, if anything.
func (s *Session) runFiring(ctx context.Context, plan *queryplan.Plan, run *exec.Run, out *output, fires *firing) (n int64, err error) {
	var cascaded []*firing
	run.Fire = func(ctx context.Context, run *exec.Run, ch *queryplan.Change) (*exec.Triggers, error) {
		f := s.firesOn(ch, run.Env.Statement)
		if f == nil {
			return nil, nil //nolint:nilnil // there are none
		}
		cascaded = append(cascaded, f)
		t, err := f.forRows(ctx, run)
		if err == nil {
			err = f.statement(ctx, cluster.BeforeRows)
		}
		return t, err
	}
	if fires == nil {
		n, err = s.runPlan(ctx, plan, run, out)
	} else {
		n, err = fires.run(ctx, plan, run, out)
	}
	for ; err == nil && len(cascaded) > 0; cascaded = cascaded[1:] {
		err = cascaded[0].finish(ctx)
	}
	return n, err
}

// firesOn is what a change that a foreign key makes fires; nil: nothing.
func (s *Session) firesOn(ch *queryplan.Change, at time.Time) *firing {
	f := &firing{session: s, at: at, table: ch.Table, events: []string{cluster.OnUpdate}}
	if ch.Delete {
		f.events = []string{cluster.OnDelete}
	}
	for _, i := range ch.SetColumns {
		f.set = append(f.set, ch.Table.Columns[i].ID)
	}
	if f.choose(); len(f.triggers) == 0 {
		return nil
	}
	return f
}

// cascadesFire reports whether foreign keys may have a plan change rows of tables that fire
// something for that.
func (s *Session) cascadesFire(plan *queryplan.Plan) bool {
	var from *catalog.Table
	switch {
	case plan.Change != nil:
		from = plan.Change.Table
	case plan.Merge != nil:
		from = plan.Merge.Table
	case plan.Insert != nil && plan.Insert.Conflict != nil:
		from = plan.Insert.Table
	}
	if from == nil || len(from.Desc.Collection.ReferencedBy) == 0 {
		return false
	}
	scope := s.scope()
	seen := map[cluster.ObjectID]bool{}
	var fires func(o *cluster.Object) bool
	fires = func(o *cluster.Object) bool {
		for _, by := range o.Collection.ReferencedBy {
			child, ok := scope.Object(by.Table)
			if !ok || seen[child.ID] {
				continue
			}
			if len(child.Collection.Triggers) > 0 {
				return true
			}
			if seen[child.ID] = true; fires(child) {
				return true
			}
		}
		return false
	}
	return fires(from.Desc)
}

// held keeps rows until it is certain that they are the result.
type held struct {
	memory *budget.Account
	rows   [][]datum.Datum
}

// hold keeps rows of a statement in a body, counted until release.
func (s *Session) hold() (rows *held, release func()) {
	memory := s.server.cfg.Memory.Open()
	return &held{memory: memory}, memory.Close
}

func (h *held) Describe([]Column) error { return nil }

func (h *held) Row(row []datum.Datum) error {
	if err := h.memory.Grow(exec.HeldRow(row)); err != nil {
		return err
	}
	h.rows = append(h.rows, slices.Clone(row))
	return nil
}

// give hands the rows on.
func (h *held) give(columns []Column, sink RowSink) error {
	out := &output{sink: sink, columns: columns}
	if err := out.begin(); err != nil {
		return err
	}
	for _, row := range h.rows {
		if err := out.row(row); err != nil {
			return err
		}
	}
	return nil
}

// run runs the plan with what it fires.
func (f *firing) run(ctx context.Context, plan *queryplan.Plan, run *exec.Run, out *output) (int64, error) {
	var err error
	if run.Triggers, err = f.forRows(ctx, run); err != nil {
		return 0, err
	}
	if err := f.statement(ctx, cluster.BeforeRows); err != nil {
		return 0, err
	}
	n, err := f.session.runPlan(ctx, plan, run, out)
	if err != nil {
		return 0, err
	}
	return n, f.finish(ctx)
}

// finish fires what waits for the end of the statement.
func (f *firing) finish(ctx context.Context) error {
	for _, r := range f.queue {
		if _, err := r.trigger.fire(ctx, &occasion{session: f.session, at: f.at, event: r.event, was: r.was, next: r.next, written: f.written[r.event]}); err != nil {
			return err
		}
	}
	return f.statement(ctx, cluster.AfterRows)
}

// statement fires what is fired once for the statement.
func (f *firing) statement(ctx context.Context, timing string) error {
	events := slices.Clone(f.events)
	if timing == cluster.AfterRows {
		slices.Reverse(events)
	}
	for _, event := range events {
		for _, t := range f.triggers {
			if t.Row || t.Timing != timing || !f.on(t, event) {
				continue
			}
			c, err := f.session.compiled(ctx, f.table, t)
			if err != nil {
				return err
			}
			fired := &occasion{session: f.session, at: f.at, event: event, written: f.written[event]}
			if ok, err := c.wants(ctx, fired); err != nil {
				return err
			} else if !ok {
				continue
			}
			if _, err := c.fire(ctx, fired); err != nil {
				return err
			}
		}
	}
	return nil
}

// forRows is what is fired for each row; nil: nothing.
func (f *firing) forRows(ctx context.Context, run *exec.Run) (*exec.Triggers, error) {
	var before, after []*compiledTrigger
	out := &exec.Triggers{}
	for _, t := range f.triggers {
		if !t.Row {
			continue
		}
		c, err := f.session.compiled(ctx, f.table, t)
		if err != nil {
			return nil, err
		}
		if t.Timing == cluster.AfterRows {
			after = append(after, c)
			continue
		}
		before = append(before, c)
		out.Reads, out.Sets, out.Keys = out.Reads || c.reads, out.Sets || c.sets, out.Keys || c.keys
	}
	if len(before)+len(after) == 0 && !slices.ContainsFunc(f.events, f.collects) {
		return nil, nil //nolint:nilnil // there are none
	}
	out.Before = func(event string, was, next []datum.Datum) ([]datum.Datum, bool, error) {
		return f.beforeRow(ctx, before, event, was, next)
	}
	out.After = func(event string, was, next []datum.Datum) error {
		if err := f.collect(run.Memory, event, was, next); err != nil {
			return err
		}
		for _, c := range after {
			if !f.on(c.desc, event) {
				continue
			}
			fired := &occasion{session: f.session, at: f.at, event: event, was: was, next: next}
			if ok, err := c.wants(ctx, fired); err != nil {
				return err
			} else if !ok {
				continue
			}
			row := firedRow{c, event, was, next}
			if waits, err := f.session.deferRow(row, f.at); waits || err != nil {
				if err != nil {
					return err
				}
				continue
			}
			if err := run.Memory.Grow(exec.HeldRow(was) + exec.HeldRow(next) + firedBytes); err != nil {
				return err
			}
			f.queue = append(f.queue, row)
		}
		return nil
	}
	return out, nil
}

// firedBytes is about what a row that waits for its triggers takes beside its values.
const firedBytes = 128

// beforeRow fires BEFORE triggers for a row and gives what is to be written; false: the
// row is left.
func (f *firing) beforeRow(ctx context.Context, list []*compiledTrigger, event string, was, next []datum.Datum) ([]datum.Datum, bool, error) {
	for _, c := range list {
		if !f.on(c.desc, event) {
			continue
		}
		fired := &occasion{session: f.session, at: f.at, event: event, was: was, next: next}
		if ok, err := c.wants(ctx, fired); err != nil {
			return nil, false, err
		} else if !ok {
			continue
		}
		row, err := c.fire(ctx, fired)
		switch {
		case err != nil || row == nil:
			return nil, false, err
		case event != cluster.OnDelete:
			next = row
		}
	}
	return next, true, nil
}
