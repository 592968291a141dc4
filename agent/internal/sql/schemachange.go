package sql

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/operation"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/exec"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
	"github.com/nodedb/nodedb/agent/internal/sql/syntax"
)

const (
	// schemaPart is for how long it works before it says how far it is, and schemaFence
	// for how long it waits at most for those who write by an older version.
	schemaPart, schemaFence = 2 * time.Second, 30 * time.Second
)

// schemaChange is a part of a schema change under way.
type schemaChange struct {
	server *Server
	op     *cluster.Operation
	what   *cluster.TableChange
	object *cluster.Object // as it is; nil: it was dropped
}

// Change satisfies operation.SchemaChanger. What the table becomes was published with the
// operation, in a state in which those who write maintain it and nobody relies on it. When
// no range takes writes any more of those who do not know it, the rows that are there are
// looked at; then everybody may rely on it, or it is taken back.
func (s *Server) Change(ctx context.Context, op *cluster.Operation) (operation.SchemaProgress, error) {
	now := *op
	c := &schemaChange{server: s, op: &now, what: op.Spec.Change}
	until := time.Now().Add(s.schemaPart)
	for n := 0; ; n++ {
		p, err := c.step(ctx, until)
		switch {
		case err != nil && n == 0 && bytes.Equal(now.Cursor, op.Cursor):
			return p, err
		case err != nil: // what was done before is to be written down; then it is met again
			return c.at(now.Phase, "", now.Cursor, now.Rows), nil //nolint:nilerr // it is met again
		case p.State != cluster.OpRunning || p.Phase == operation.PhaseTakeBack || !time.Now().Before(until) || c.cancelled():
			return p, nil
		}
		now.Phase, now.Cursor, now.Rows = p.Phase, p.Cursor, p.Rows
	}
}

// cancelled reports whether somebody has asked for the end of the operation meanwhile.
func (c *schemaChange) cancelled() bool {
	op := c.server.catalog.View().Operations[c.op.ID]
	return op == nil || op.State == cluster.OpCancelling
}

// step does what comes next.
func (c *schemaChange) step(ctx context.Context, until time.Time) (operation.SchemaProgress, error) {
	c.see()
	switch {
	case len(c.what.Repairs) > 0:
		return c.reindex(ctx, until)
	case c.what.Move && c.object == nil && !c.what.Converts:
		return c.ended(cluster.OpSucceeded, fmt.Sprintf("table %q was dropped, or truncated, which has it be where it was to be", c.what.Name), nil), nil
	case c.what.Move && c.object != nil:
		return c.move(ctx, until)
	case c.op.State == cluster.OpCancelling:
		return c.takeBack(ctx, cluster.OpCancelled, cmp.Or(c.op.Why, "cancelled"), nil)
	case c.object == nil && !c.what.Proves():
		return c.ended(cluster.OpSucceeded, fmt.Sprintf("table %q was dropped", c.what.Name), nil), nil
	case c.object == nil:
		return c.ended(cluster.OpFailed, fmt.Sprintf("table %q was dropped", c.what.Name),
			&cluster.Failure{Code: "42P01", Message: fmt.Sprintf("relation %q does not exist", c.what.Name)}), nil
	}
	switch c.op.Phase {
	case operation.PhaseMaintain:
		return c.maintain(ctx)
	case operation.PhaseFill:
		return c.rows(ctx, until, c.filler)
	case operation.PhaseValidate:
		return c.rows(ctx, until, c.validator)
	case operation.PhasePublish:
		return c.publish(ctx)
	case operation.PhaseRelease:
		return c.release(ctx)
	case operation.PhaseTakeBack:
		return c.takeBack(ctx, cluster.OpFailed, c.op.Failure.Message, c.op.Failure)
	}
	if !c.what.Proves() {
		return c.release(ctx)
	}
	if err := c.raise(ctx, c.what.Indexes); err != nil {
		return operation.SchemaProgress{}, err
	}
	if len(c.what.Indexes) > 0 {
		return c.at(operation.PhaseMaintain, "", nil, 0), nil
	}
	return c.at(operation.PhaseValidate, "", nil, 0), nil
}

// see looks at the table as it is now.
func (c *schemaChange) see() { c.object = c.server.catalog.View().Objects[c.what.Table] }

func (c *schemaChange) at(phase, note string, cursor []byte, rows uint64) operation.SchemaProgress {
	return operation.SchemaProgress{Phase: phase, Note: note, Cursor: cursor, Rows: rows, State: cluster.OpRunning, Failure: c.op.Failure}
}

func (c *schemaChange) ended(state cluster.OperationState, why string, f *cluster.Failure) operation.SchemaProgress {
	return operation.SchemaProgress{State: state, Why: why, Rows: c.op.Rows, Failure: f}
}

// raise has all ranges refuse writes by versions that do not have what is on its way, and
// reads of indexes by those that do not know how far these are.
func (c *schemaChange) raise(ctx context.Context, indexes []cluster.ObjectID) error {
	if c.see(); c.object == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, schemaFence)
	defer cancel()
	fences := []cluster.SchemaFence{{SchemaVersion: cluster.SchemaVersion{Collection: c.object.RowsID(), Version: c.object.Version}}}
	for _, id := range indexes {
		fences = append(fences, cluster.SchemaFence{SchemaVersion: cluster.SchemaVersion{Collection: id, Version: c.object.Version}, Reads: true})
	}
	slices.SortFunc(fences, func(a, b cluster.SchemaFence) int { return cmp.Compare(a.Collection, b.Collection) })
	if err := c.server.cfg.DB.Raise(ctx, c.object.Collection.Pool, fences); err != nil {
		return fmt.Errorf("have all ranges ask for version %d: %w", c.object.Version, err)
	}
	return c.raiseReferenced(ctx)
}

// maintain has all who write write the entries of indexes, too. All delete them by now.
func (c *schemaChange) maintain(ctx context.Context) (operation.SchemaProgress, error) {
	err := c.alter(ctx, func(rows *cluster.Collection) { setIndexes(rows, c.what.Indexes, cluster.ElementWriteOnly) })
	if err != nil {
		return operation.SchemaProgress{}, fmt.Errorf("have the indexes be written: %w", err)
	}
	if err := c.raise(ctx, c.what.Indexes); err != nil {
		return operation.SchemaProgress{}, err
	}
	return c.at(operation.PhaseFill, "", nil, 0), nil
}

// setIndexes has indexes be in a state. One that is dropped meanwhile is only deleted from.
func setIndexes(rows *cluster.Collection, ids []cluster.ObjectID, state cluster.ElementState) {
	for i := range rows.Indexes {
		x := &rows.Indexes[i]
		if slices.Contains(ids, x.ID) && (!x.Dropped || state == cluster.ElementDeleteOnly) {
			x.State = state
		}
	}
}

// rowWork is what a schema change does with the rows that are there: it looks at them, or
// writes what follows from them. What it does twice is done once.
type rowWork interface {
	// some does it with rows as they were at a time. A failure is what is wrong with one,
	// and ends the change: it is taken back, and the client told.
	some(ctx context.Context, rows []kv.Row, ts hlc.Timestamp) (failure *cluster.Failure, err error)
}

// rows does a part of what is to be done with the rows. Those that are written meanwhile
// are as they have to be, so that each may be read at a time of its own.
func (c *schemaChange) rows(ctx context.Context, until time.Time, begin func(context.Context, *catalog.Table) (rowWork, error)) (operation.SchemaProgress, error) {
	view := c.server.catalog.View()
	table, err := catalog.Scope{View: view}.NewTable(c.object, view.Objects[c.object.Parent])
	if err != nil {
		return operation.SchemaProgress{}, err
	}
	work, err := begin(ctx, table)
	if err != nil {
		return operation.SchemaProgress{}, err
	}
	at, err := decodeSpot(c.op.Cursor)
	if err != nil {
		return operation.SchemaProgress{}, err
	}
	s, pace := &sweep{c.server, placeOfTable(table), table.Name()}, breath{}
	for {
		began := time.Now()
		next, failure, err := s.work(ctx, at, work)
		switch c.op.Rows += uint64(len(next.rows)); {
		case err != nil:
			return operation.SchemaProgress{}, fmt.Errorf("look at the rows: %w", err)
		case failure != nil:
			c.op.Failure = failure
			return c.at(operation.PhaseTakeBack, "", nil, c.op.Rows), nil
		case !next.more:
			return c.at(c.after(), "", nil, c.op.Rows), nil
		}
		if at = next.next; !time.Now().Before(until) || c.cancelled() {
			return c.at(c.op.Phase, fmt.Sprintf("%d rows, about %.1f %%, are done", c.op.Rows, at.done()), at.encode(), c.op.Rows), nil
		}
		c.op.Cursor = at.encode()
		if err := pace.take(ctx, time.Since(began), len(next.rows)); err != nil {
			return operation.SchemaProgress{}, err
		}
	}
}

// after is the phase after the one that looks at the rows.
func (c *schemaChange) after() string {
	if c.op.Phase == operation.PhaseFill && c.what.Validates() {
		return operation.PhaseValidate
	}
	return operation.PhasePublish
}

// filler writes the entries of indexes.
type filler struct{ exec.Backfill }

func (c *schemaChange) filler(ctx context.Context, table *catalog.Table) (rowWork, error) {
	all, err := queryplan.EntriesOf(table)
	if err != nil {
		return nil, err
	}
	now := c.server.cfg.Now()
	f := &filler{exec.Backfill{Table: table, Run: c.server.internalRun(&queryplan.Env{Now: now, Statement: now, Session: c.rowSession(ctx, table)})}}
	for _, e := range all {
		if slices.Contains(c.what.Indexes, e.Index.Desc.ID) && e.Index.Desc.State == cluster.ElementWriteOnly && !e.Index.Desc.Dropped {
			f.Of = append(f.Of, e)
		}
	}
	return f, nil
}

// some satisfies rowWork.
func (f *filler) some(ctx context.Context, rows []kv.Row, ts hlc.Timestamp) (*cluster.Failure, error) {
	err := f.Fill(ctx, rows, ts)
	var wrong *syntax.Error
	if errors.As(err, &wrong) {
		return failureOf(wrong), nil
	}
	return nil, err
}

// failureOf is what a statement is told that waits for the change.
func failureOf(err error) *cluster.Failure {
	e := AsError(err)
	return &cluster.Failure{Code: e.Code, Message: e.Message, Detail: e.Detail, Schema: e.Schema, Table: e.Table, Column: e.Column, Constraint: e.Constraint, DataType: e.DataType}
}

// validator looks whether rows are as a schema change has them be.
type validator struct {
	table   *catalog.Table
	env     *queryplan.Env
	notNull []int // of table.Columns
	checks  []queryplan.Check
	row     []datum.Datum
	// keys are foreign keys, which run looks at.
	keys []cluster.ObjectID
	run  *exec.Run
}

func (c *schemaChange) validator(ctx context.Context, t *catalog.Table) (rowWork, error) {
	v := &validator{table: t, row: make([]datum.Datum, len(t.Columns))}
	now := c.server.cfg.Now()
	v.env = &queryplan.Env{Now: now, Statement: now, Session: c.rowSession(ctx, t)}
	for i := range t.Columns {
		if t.Columns[i].Unproven && slices.Contains(c.what.NotNull, t.Columns[i].ID) {
			v.notNull = append(v.notNull, i)
		}
	}
	rules, err := queryplan.RulesOf(t)
	if err != nil {
		return nil, err
	}
	for _, k := range rules.Checks {
		if d, ok := t.Desc.Collection.Check(k.Name); ok && slices.Contains(c.what.Checks, d.ID) {
			v.checks = append(v.checks, k)
		}
	}
	for _, k := range t.Desc.Collection.ForeignKeys {
		if slices.Contains(c.what.ForeignKeys, k.ID) && (c.what.Validate || !k.NotValid) {
			v.keys = append(v.keys, k.ID)
		}
	}
	v.run = c.server.internalRun(v.env)
	return v, nil
}

// some satisfies rowWork.
func (v *validator) some(ctx context.Context, rows []kv.Row, ts hlc.Timestamp) (*cluster.Failure, error) {
	for i := range rows {
		if err := v.table.DecodeRow(rows[i].Key, rows[i].Value, v.row); err != nil {
			return nil, err
		}
		if failure := v.look(); failure != nil {
			return failure, nil
		}
	}
	for _, key := range v.keys {
		v.run.TS = ts
		err := v.run.Orphan(ctx, v.table, key, rows)
		var wrong *syntax.Error
		if errors.As(err, &wrong) && wrong.Code == "23503" {
			return failureOf(wrong), nil
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// look says what is wrong with the row.
func (v *validator) look() *cluster.Failure {
	name := v.table.Name()
	schema := v.table.Schema().Name
	for _, i := range v.notNull {
		if v.row[i].Null {
			column := v.table.Columns[i].Name
			return &cluster.Failure{Code: "23502", Message: fmt.Sprintf("column %q of relation %q contains null values", column, name), Schema: schema, Table: name, Column: column}
		}
	}
	v.env.Row = v.row
	for _, k := range v.checks {
		ok, err := k.Value.Eval(v.env)
		if err != nil {
			return failureOf(err)
		}
		if !ok.Null && !ok.Bool() {
			return &cluster.Failure{Code: "23514", Message: fmt.Sprintf("check constraint %q of relation %q is violated by some row", k.Name, name), Schema: schema, Table: name, Constraint: k.Name}
		}
	}
	return nil
}

// publish has everybody rely on what is true by now.
func (c *schemaChange) publish(ctx context.Context) (operation.SchemaProgress, error) {
	since, err := c.server.cfg.DB.Fresh(ctx) // all entries are there by now
	if err != nil {
		return operation.SchemaProgress{}, fmt.Errorf("take the time from which on indexes are whole: %w", err)
	}
	err = c.alter(ctx, func(rows *cluster.Collection) {
		c.leave(rows)
		for i := range rows.Columns {
			if slices.Contains(c.what.NotNull, rows.Columns[i].ID) {
				rows.Columns[i].NotNullState = ""
			}
		}
		for i := range rows.Checks {
			if slices.Contains(c.what.Checks, rows.Checks[i].ID) {
				rows.Checks[i].State = ""
			}
		}
		for i := range rows.ForeignKeys {
			if k := &rows.ForeignKeys[i]; slices.Contains(c.what.ForeignKeys, k.ID) {
				k.State, k.NotValid = "", k.NotValid && !c.what.Validate
			}
		}
		for i := range rows.Indexes {
			if x := &rows.Indexes[i]; x.State != "" && !x.Dropped && slices.Contains(c.what.Indexes, x.ID) {
				x.State, x.Since = "", uint64(since)
			}
		}
	})
	if err != nil {
		return operation.SchemaProgress{}, fmt.Errorf("publish the table: %w", err)
	}
	if err := c.forgetKeys(ctx); err != nil {
		return operation.SchemaProgress{}, err
	}
	if len(c.what.Drops) > 0 {
		return c.at(operation.PhaseRelease, "", nil, c.op.Rows), nil
	}
	return c.ended(cluster.OpSucceeded, fmt.Sprintf("%d rows are as they have to be", c.op.Rows), nil), nil
}

// takeBack has the table be as if nothing had been asked for. Who writes by a version in
// between keeps rules that hold no more, which harms nothing.
func (c *schemaChange) takeBack(ctx context.Context, state cluster.OperationState, why string, f *cluster.Failure) (operation.SchemaProgress, error) {
	if err := c.dropIndexes(ctx, c.what.Indexes, nil); err != nil {
		return operation.SchemaProgress{}, err
	}
	err := c.alter(ctx, func(rows *cluster.Collection) {
		added := func(id cluster.ColumnID) bool { return slices.Contains(c.what.Added, id) }
		for i := range rows.Columns {
			if col := &rows.Columns[i]; col.NotNullState != "" && slices.Contains(c.what.NotNull, col.ID) {
				col.NotNull, col.NotNullState = false, ""
			}
		}
		c.takeBackKeys(rows)
		rows.Columns = slices.DeleteFunc(rows.Columns, func(col cluster.Column) bool { return added(col.ID) })
		rows.Checks = slices.DeleteFunc(rows.Checks, func(k cluster.Check) bool {
			return k.State != "" && slices.Contains(c.what.Checks, k.ID) || slices.ContainsFunc(k.Columns, added)
		})
		c.comeBack(rows)
	})
	if err != nil {
		return operation.SchemaProgress{}, fmt.Errorf("take the change of the table back: %w", err)
	}
	if err := c.forgetKeys(ctx); err != nil {
		return operation.SchemaProgress{}, err
	}
	if c.op.Failure = f; len(c.drops()) > 0 { // those are not taken back
		if state == cluster.OpFailed {
			return c.at(operation.PhaseRelease, "", nil, c.op.Rows), nil
		}
		if _, err := c.release(ctx); err != nil {
			return operation.SchemaProgress{}, err
		}
	}
	return c.ended(state, why, f), nil
}

// release has the indexes go that were dropped, and ends the change. Who reads them does not
// know of that: first no range lets him.
func (c *schemaChange) release(ctx context.Context) (operation.SchemaProgress, error) {
	err := c.raise(ctx, c.drops())
	if err == nil {
		err = c.dropIndexes(ctx, c.drops(), c.what.Gone)
	}
	switch {
	case err != nil:
		return operation.SchemaProgress{}, err
	case c.op.Failure != nil:
		return c.ended(cluster.OpFailed, c.op.Failure.Message, c.op.Failure), nil
	}
	return c.ended(cluster.OpSucceeded, "nobody reads or writes what was dropped", nil), nil
}

// dropIndexes has indexes go that nobody relies on, and columns with them. First nobody asks
// an index any more whether a value is taken: it may then have entries of rows that are gone.
func (c *schemaChange) dropIndexes(ctx context.Context, ids []cluster.ObjectID, columns []cluster.ColumnID) error {
	if len(ids) == 0 {
		return nil
	}
	err := c.alter(ctx, func(rows *cluster.Collection) { setIndexes(rows, ids, cluster.ElementDeleteOnly) })
	if err == nil {
		err = c.raise(ctx, ids)
	}
	if err == nil {
		err = c.alter(ctx, func(rows *cluster.Collection) {
			rows.Indexes = slices.DeleteFunc(rows.Indexes, func(x cluster.Index) bool { return slices.Contains(ids, x.ID) })
			rows.Columns = slices.DeleteFunc(rows.Columns, func(col cluster.Column) bool { return slices.Contains(columns, col.ID) })
		})
	}
	if err == nil {
		err = c.raise(ctx, nil)
	}
	if err != nil {
		return fmt.Errorf("have indexes be written no more: %w", err)
	}
	return nil
}

// alter changes the table as it is now, unless it is no more or nothing changes.
func (c *schemaChange) alter(ctx context.Context, change func(*cluster.Collection)) error {
	return c.alterTable(ctx, c.what.Table, change)
}

func (c *schemaChange) alterTable(ctx context.Context, id cluster.ObjectID, change func(*cluster.Collection)) error {
	s := c.server
	for {
		view := s.catalog.View()
		o := view.Objects[id]
		if o == nil {
			return nil
		}
		schema := view.Objects[o.Parent]
		next, rows := *o, *o.Collection
		rows.Columns, rows.Checks, rows.Indexes = slices.Clone(rows.Columns), slices.Clone(rows.Checks), slices.Clone(rows.Indexes)
		rows.ForeignKeys = slices.Clone(rows.ForeignKeys)
		change(&rows)
		if next.Collection = &rows; rows.SameElements(o.Collection) {
			return nil
		}
		needs, err := catalog.NeedsOf(&next)
		if err != nil {
			return err
		}
		next.Needs = needs
		_, err = s.catalog.Propose(ctx, metastate.Command{By: "coordinator", Via: "operation", ChangeObjects: &metastate.ChangeObjects{
			Seen: []metastate.SeenObject{{ID: schema.ID, Version: schema.Version}, {ID: o.ID, Version: o.Version}}, Put: []cluster.Object{next},
		}})
		var refusal *metastate.Refusal
		switch pending := errors.As(err, &refusal) && refusal.Code == metastate.CodePending; {
		case pending:
			if err := s.cfg.DB.Settle(ctx, refusal); err != nil {
				return fmt.Errorf("wait for a transaction that changes the same table: %w", err)
			}
		case !catalog.Overtaken(err) || ctx.Err() != nil:
			return err
		}
	}
}
