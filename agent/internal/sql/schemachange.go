package sql

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/operation"
	"github.com/nodedb/nodedb/agent/internal/sql/catalog"
	"github.com/nodedb/nodedb/agent/internal/sql/datum"
	"github.com/nodedb/nodedb/agent/internal/sql/queryplan"
)

const (
	// schemaRows is how many rows are looked at by one scan: to begin one costs a look into
	// each vshard.
	schemaRows = 100_000
	// schemaPart is for how long it works before it says how far it is, and schemaFence
	// for how long it waits at most for those who write by an older version.
	schemaPart, schemaFence = 2 * time.Second, 30 * time.Second
)

// schemaChange is a part of a schema change under way.
type schemaChange struct {
	server *Server
	op     *cluster.Operation
	what   *cluster.TableChange
	object *cluster.Object
}

// Change satisfies operation.SchemaChanger. What the table becomes was published with the
// operation, in a state in which those who write maintain it and nobody relies on it. When
// no range takes writes any more of those who do not know it, the rows that are there are
// looked at; then everybody may rely on it, or it is taken back.
func (s *Server) Change(ctx context.Context, op *cluster.Operation) (operation.SchemaProgress, error) {
	c := &schemaChange{server: s, op: op, what: op.Spec.Change}
	c.object = s.catalog.View().Objects[c.what.Table]
	switch {
	case op.State == cluster.OpCancelling:
		return c.takeBack(ctx, cluster.OpCancelled, cmp.Or(op.Why, "cancelled"), nil)
	case c.object == nil:
		return c.ended(cluster.OpFailed, fmt.Sprintf("table %q was dropped", c.what.Name),
			&cluster.Failure{Code: "42P01", Message: fmt.Sprintf("relation %q does not exist", c.what.Name)}), nil
	}
	switch op.Phase {
	case operation.PhaseMaintain:
		return c.maintain(ctx)
	case operation.PhaseFill:
		return c.rows(ctx, c.filler)
	case operation.PhaseValidate:
		return c.rows(ctx, c.validator)
	case operation.PhasePublish:
		return c.publish(ctx)
	}
	if err := c.raise(ctx); err != nil {
		return operation.SchemaProgress{}, err
	}
	if len(c.what.Indexes) > 0 {
		return c.at(operation.PhaseMaintain, "", nil, 0), nil
	}
	return c.at(operation.PhaseValidate, "", nil, 0), nil
}

func (c *schemaChange) at(phase, note string, cursor []byte, rows uint64) operation.SchemaProgress {
	return operation.SchemaProgress{Phase: phase, Note: note, Cursor: cursor, Rows: rows, State: cluster.OpRunning}
}

func (c *schemaChange) ended(state cluster.OperationState, why string, f *cluster.Failure) operation.SchemaProgress {
	return operation.SchemaProgress{State: state, Why: why, Rows: c.op.Rows, Failure: f}
}

// raise has all ranges refuse writes by versions that do not have what is on its way, and
// reads by those that do not know how far it is.
func (c *schemaChange) raise(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, schemaFence)
	defer cancel()
	fences := []cluster.SchemaFence{{SchemaVersion: cluster.SchemaVersion{Collection: c.object.ID, Version: c.object.Version}}}
	for _, id := range c.what.Indexes {
		fences = append(fences, cluster.SchemaFence{SchemaVersion: cluster.SchemaVersion{Collection: id, Version: c.object.Version}, Reads: true})
	}
	if err := c.server.cfg.DB.Raise(ctx, c.object.Collection.Pool, fences); err != nil {
		return fmt.Errorf("have all ranges ask for version %d: %w", c.object.Version, err)
	}
	return nil
}

// maintain has all who write write the entries of indexes, too. All delete them by now.
func (c *schemaChange) maintain(ctx context.Context) (operation.SchemaProgress, error) {
	err := c.alter(ctx, func(rows *cluster.Collection) { c.setIndexes(rows, cluster.ElementWriteOnly) })
	if err != nil {
		return operation.SchemaProgress{}, fmt.Errorf("have the indexes be written: %w", err)
	}
	if c.object = c.server.catalog.View().Objects[c.what.Table]; c.object != nil {
		if err := c.raise(ctx); err != nil {
			return operation.SchemaProgress{}, err
		}
	}
	return c.at(operation.PhaseFill, "", nil, 0), nil
}

// setIndexes has the indexes of the change be in a state.
func (c *schemaChange) setIndexes(*cluster.Collection, cluster.ElementState) {}

// rowWork is what a schema change does with the rows that are there: it looks at them, or
// writes what follows from them. What it does twice is done once.
type rowWork interface {
	// some does it with the next rows from the key cursor on, nil: from the first. last is
	// the key of the last of n; more says that others may follow. A failure is what is wrong
	// with one, and ends the change: it is taken back, and the client told.
	some(ctx context.Context, cursor []byte) (last []byte, n int, more bool, failure *cluster.Failure, err error)
}

// rows does a part of what is to be done with the rows. Those that are written meanwhile
// are as they have to be, so that each may be read at a time of its own.
func (c *schemaChange) rows(ctx context.Context, begin func() (rowWork, error)) (operation.SchemaProgress, error) {
	work, err := begin()
	if err != nil {
		return operation.SchemaProgress{}, err
	}
	cursor, rows := c.op.Cursor, c.op.Rows
	for until := time.Now().Add(schemaPart); ; {
		last, n, more, failure, err := work.some(ctx, cursor)
		switch rows += uint64(n); { //nolint:gosec // not negative
		case err != nil:
			return operation.SchemaProgress{}, fmt.Errorf("look at the rows: %w", err)
		case failure != nil:
			c.op.Rows = rows
			return c.takeBack(ctx, cluster.OpFailed, failure.Message, failure)
		case !more:
			return c.at(operation.PhasePublish, "", nil, rows), nil
		}
		if cursor = append(bytes.Clone(last), 0); time.Now().After(until) {
			return c.at(c.op.Phase, fmt.Sprintf("%d rows are done", rows), cursor, rows), nil
		}
	}
}

// filler writes the entries of indexes.
func (c *schemaChange) filler() (rowWork, error) {
	return nil, fmt.Errorf("%d indexes of table %q cannot be filled by this version", len(c.what.Indexes), c.what.Name)
}

// validator looks whether rows are as a schema change has them be.
type validator struct {
	server  *Server
	table   *catalog.Table
	env     *queryplan.Env
	notNull []int // of table.Columns
	checks  []queryplan.Check
	row     []datum.Datum
}

func (c *schemaChange) validator() (rowWork, error) {
	view := c.server.catalog.View()
	t, err := catalog.Scope{View: view}.NewTable(c.object, view.Objects[c.object.Parent])
	if err != nil {
		return nil, err
	}
	v := &validator{server: c.server, table: t, row: make([]datum.Datum, len(t.Columns))}
	now := c.server.cfg.Now()
	v.env = &queryplan.Env{Now: now, Statement: now, Session: &queryplan.Session{}}
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
	return v, nil
}

// some satisfies rowWork.
func (v *validator) some(ctx context.Context, cursor []byte) (last []byte, n int, more bool, failure *cluster.Failure, err error) {
	it, err := v.server.cfg.DB.Scan(ctx, kv.ScanRequest{Pool: v.table.Pool(), Collection: v.table.ID(), Start: cursor, Ordered: true})
	if err != nil {
		return nil, 0, false, nil, err
	}
	defer it.Close()
	for n < v.server.schemaRows {
		batch, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			return last, n, false, nil, nil
		}
		if err != nil {
			return nil, n, false, nil, err
		}
		for i := range batch {
			last, n = batch[i].Key, n+1
			if err := v.table.DecodeRow(batch[i].Key, batch[i].Value, v.row); err != nil {
				return nil, n, false, nil, err
			}
			if failure = v.look(); failure != nil {
				return nil, n, false, failure, nil
			}
		}
	}
	return last, n, true, nil, nil
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
			e := AsError(err)
			return &cluster.Failure{Code: e.Code, Message: e.Message, Detail: e.Detail}
		}
		if !ok.Null && !ok.Bool() {
			return &cluster.Failure{Code: "23514", Message: fmt.Sprintf("check constraint %q of relation %q is violated by some row", k.Name, name), Schema: schema, Table: name, Constraint: k.Name}
		}
	}
	return nil
}

// publish has everybody rely on what is true by now.
func (c *schemaChange) publish(ctx context.Context) (operation.SchemaProgress, error) {
	err := c.alter(ctx, func(rows *cluster.Collection) {
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
		c.setIndexes(rows, "")
	})
	if err != nil {
		return operation.SchemaProgress{}, fmt.Errorf("publish the table: %w", err)
	}
	return c.ended(cluster.OpSucceeded, fmt.Sprintf("%d rows are as they have to be", c.op.Rows), nil), nil
}

// takeBack has the table be as if nothing had been asked for. Who writes by a version in
// between keeps rules that hold no more, which harms nothing.
func (c *schemaChange) takeBack(ctx context.Context, state cluster.OperationState, why string, f *cluster.Failure) (operation.SchemaProgress, error) {
	err := c.alter(ctx, func(rows *cluster.Collection) {
		added := func(id cluster.ColumnID) bool { return slices.Contains(c.what.Added, id) }
		for i := range rows.Columns {
			if col := &rows.Columns[i]; col.NotNullState != "" && slices.Contains(c.what.NotNull, col.ID) {
				col.NotNull, col.NotNullState = false, ""
			}
		}
		rows.Columns = slices.DeleteFunc(rows.Columns, func(col cluster.Column) bool { return added(col.ID) })
		rows.Checks = slices.DeleteFunc(rows.Checks, func(k cluster.Check) bool {
			return k.State != "" && slices.Contains(c.what.Checks, k.ID) || slices.ContainsFunc(k.Columns, added)
		})
	})
	if err != nil {
		return operation.SchemaProgress{}, fmt.Errorf("take the change of the table back: %w", err)
	}
	return c.ended(state, why, f), nil
}

// alter changes the table as it is now, unless it is no more or nothing changes.
func (c *schemaChange) alter(ctx context.Context, change func(*cluster.Collection)) error {
	s := c.server
	for {
		view := s.catalog.View()
		o := view.Objects[c.what.Table]
		if o == nil {
			return nil
		}
		schema := view.Objects[o.Parent]
		next, rows := *o, *o.Collection
		rows.Columns, rows.Checks = slices.Clone(rows.Columns), slices.Clone(rows.Checks)
		change(&rows)
		if next.Collection = &rows; rows.SameElements(o.Collection) {
			return nil
		}
		_, err := s.catalog.Propose(ctx, metastate.Command{By: "coordinator", Via: "operation", ChangeObjects: &metastate.ChangeObjects{
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
